"""`groupBy` → SQL: one statement for the groups, one for the documents of all of them.

Keys, counts and aggregates are columns with aliases of their own, by which `having` and the order
name them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from aurora_db.aql import plan
from aurora_db.aql.aggregates import INT, result_type
from aurora_db.aql.catalog import Type
from aurora_db.aql.having import having_value
from aurora_db.aql.intervals import interval
from aurora_db.aql.operands import type_of
from aurora_db.aql.values import value_of
from aurora_db.base.codec import encode
from aurora_db.sql import aggregates, lower, operands, ordering
from aurora_db.sql.aggregates import Column
from aurora_db.sql.buckets import bucket
from aurora_db.sql.shown import Shown, shown
from aurora_db.sql.statement import Bound, Statement
from aurora_db.sql.where import Fragment

_SYMBOLS = {"eq": "IS ?", "ne": "IS NOT ?", "gt": "> ?", "gte": ">= ?", "lt": "< ?", "lte": "<= ?"}


class Nodes(msgspec.Struct, frozen=True):
    """The documents of all groups: outputs, then the keys of their group."""

    key: str
    statement: Statement
    shown: Shown


class Lowered(msgspec.Struct, frozen=True):
    """A `groupBy`: its statement, what makes objects of its rows, and its documents."""

    statement: Statement
    #: How many columns at the start of a row are its keys.
    keys: int
    #: Names of the keys, and what makes Python of each.
    names: tuple[str, ...]
    key_loads: tuple[operands.Load | None, ...]
    single: bool
    outputs: tuple[plan.Group, ...]
    loads: tuple[operands.Load | None, ...]
    nodes: tuple[Nodes, ...]

    def read(self, row: Sequence[Any]) -> dict[str, Any]:
        """The object of one group, without its documents."""
        values = iter(zip(self.loads, row[self.keys + 1 :], strict=True))
        result: dict[str, Any] = {}
        for output in self.outputs:
            match output.what:
                case "key":
                    result[output.key] = self._key(row)
                case "count":
                    result[output.key] = row[self.keys]
                case "nodes":
                    result[output.key] = []
                case _:
                    result[output.key] = {
                        one.key: aggregates.loaded(*next(values)) for one in output.functions
                    }
        return result

    def _key(self, row: Sequence[Any]) -> Any:
        loaded = [aggregates.loaded(load, row[n]) for n, load in enumerate(self.key_loads)]
        return loaded[0] if self.single else dict(zip(self.names, loaded, strict=True))


def lowered(query: plan.Query, part: plan.Groups) -> Lowered:
    """The statements of one `groupBy`."""
    return _Lowering(query, part).lowered()


class _Lowering:
    def __init__(self, query: plan.Query, part: plan.Groups) -> None:
        self._query = query
        self._part = part
        self._row = operands.row_of(query.collection)
        found = [self._key(one) for _, one in part.by]
        self._keys = [fragment for fragment, _ in found]
        self._loads = tuple(load for _, load in found)
        #: Alias and type of each name that having and the order may use.
        self._names: dict[tuple[str, ...], tuple[str, Type | None]] = {("count",): ("_count", INT)}
        for n, (name, one) in enumerate(part.by):
            place = ("key",) if part.single else ("key", name)
            self._names[place] = (f"_k{n}", type_of(one))
        self._columns: list[Column] = []
        for output in part.outputs:
            for one in output.functions:
                alias = f"_a{len(self._columns)}"
                self._names[output.key, one.key] = (alias, result_type(one))
                self._columns.append(aggregates.column(one, self._row))

    def _key(self, expression: plan.Expression) -> tuple[Fragment, operands.Load | None]:
        type, length = type_of(expression), self._part.interval
        if length is None or type is None or type.name != "DateTime":
            return operands.key(expression, self._row)
        time = operands.fragment(expression, self._row)
        return bucket(time, interval(length), self._part.timezone or "UTC")

    def lowered(self) -> Lowered:
        part = self._part
        statement = self._statement()
        return Lowered(
            statement=statement,
            keys=len(self._keys),
            names=tuple(name for name, _ in part.by),
            key_loads=self._loads,
            single=part.single,
            outputs=part.outputs,
            loads=tuple(one.load for one in self._columns),
            nodes=tuple(
                self._nodes(output.key, output.nodes, statement)
                for output in part.outputs
                if output.nodes is not None
            ),
        )

    def _statement(self) -> Statement:
        """The groups: keys, count, aggregates."""
        columns = [f"{text} AS _k{n}" for n, (text, _) in enumerate(self._keys)]
        columns.append("count(*) AS _count")
        columns += [f"{one.text} AS _a{n}" for n, one in enumerate(self._columns)]
        params = [p for _, each in self._keys for p in each]
        params += [p for one in self._columns for p in one.params]
        source, more = operands.source(self._query)
        keys = ", ".join(f"_k{n}" for n in range(len(self._keys)))
        text = f"SELECT {', '.join(columns)} {source} GROUP BY {keys}"
        params += more
        having = [self._having(*one) for one in self._part.having]
        if having:
            text += f" HAVING {' AND '.join(one for one, _ in having)}"
            params += [p for _, each in having for p in each]
        text += f" ORDER BY {', '.join(self._order())}"
        if self._part.limit is not None or self._part.offset is not None:
            text += " LIMIT ? OFFSET ?"
            params += [lower.amount(self._part.limit, -1), lower.amount(self._part.offset, 0)]
        return Statement(text, tuple(params))

    def _order(self) -> list[str]:
        found = [
            self._names[place][0] + (" DESC" if descending else "")
            for place, descending in self._part.order
        ]
        return [*found, *(f"_k{n}" for n in range(len(self._keys)) if f"_k{n}" not in found)]

    def _having(self, place: tuple[str, ...], op: str, value: plan.Value) -> Fragment:
        alias, type = self._names[place]
        match op:
            case "isNull" | "isNotNull":
                wanted = "=" if op == "isNull" else "<>"
                return f"({alias} IS NULL) {wanted} ?", (_given(place, type, op, value, int),)
            case "in" | "nin":
                listed = _given(place, type, op, value, encode)
                text = f"EXISTS (SELECT 1 FROM json_each(?) WHERE type NOT IN ('array', 'object') AND value IS {alias})"
                return (text if op == "in" else f"NOT {text}"), (listed,)
            case _:
                return f"{alias} {_SYMBOLS[op]}", (
                    _given(place, type, op, value, partial(_same, op)),
                )

    # --- documents --------------------------------------------------------------------------

    def _nodes(self, key: str, nodes: plan.Query, groups: Statement) -> Nodes:
        """The documents of the groups in their order: those of all groups in one statement.

        Without an order of their own they have the query's. With a limit their places are numbered in each
        group, and only what is shown is read.
        """
        collection = self._query.collection
        each = shown(nodes.outputs, collection)
        order = ordering.by(ordering.keys(nodes, nodes.order or self._query.order))
        ranked = nodes.limit is not None or nodes.offset is not None
        inner, given = self._ranks(nodes, order, ranked=ranked)
        keys = [f"_r._k{n}" for n in range(len(self._keys))]
        text = f"SELECT {', '.join([*each.columns, *keys])} FROM ({inner}) AS _r"
        params = [*each.params, *given]
        if self._part.limit is not None or self._part.offset is not None or self._part.having:
            same = " AND ".join(f"_g._k{n} IS {one}" for n, one in enumerate(keys))
            text += f" JOIN ({groups.text}) AS _g ON {same}"
            params += groups.params
        place = operands.place_of(collection)
        text += f" CROSS JOIN {self._row[:-1]} ON {place} = _r._place"
        if ranked:
            text += " WHERE _r._rank > ? AND _r._rank - ? <= ? ORDER BY _r._rank"
            skipped = lower.amount(nodes.offset, 0)
            params += [skipped, skipped, lower.amount(nodes.limit, 2**62)]
        else:
            text += f" ORDER BY {order[0]}"
            params += order[1]
        return Nodes(key, Statement(text, tuple(params)), each)

    def _ranks(self, nodes: plan.Query, order: Fragment, *, ranked: bool) -> tuple[str, list[Any]]:
        """The place and keys of each document, and its rank in its group."""
        collection = self._query.collection
        columns = [f"{operands.place_of(collection)} AS _place"]
        columns += [f"{text} AS _k{n}" for n, (text, _) in enumerate(self._keys)]
        params = [p for _, each in self._keys for p in each]
        if ranked:
            keys = ", ".join(text for text, _ in self._keys)
            columns.append(f"row_number() OVER (PARTITION BY {keys} ORDER BY {order[0]}) AS _rank")
            params += [p for _, each in self._keys for p in each] + list(order[1])
        both = self._query.where
        if nodes.where != plan.ALWAYS:
            both = plan.And((both, nodes.where))
        source, more = operands.source(replace(self._query, where=both))
        return f"SELECT {', '.join(columns)} {source}", [*params, *more]


def _given(place: tuple[str, ...], type: Type | None, op: str, value: plan.Value, form: Any) -> Any:
    """A value of `having`, or what reads it from the variables."""
    if isinstance(value, plan.Constant):
        return form(value.value)
    return Bound(
        lambda variables: form(having_value(place, type, op, value_of(value, variables, variables)))
    )


def _same(op: str, value: Any) -> Any:
    if isinstance(value, (list, dict)):
        # No aggregate gives one: nothing equals it, and nothing is above or below it.
        return b"" if op in ("eq", "ne") else None
    return int(value) if isinstance(value, bool) else value
