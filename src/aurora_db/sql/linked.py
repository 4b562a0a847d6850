"""Nested selections → statements: related documents of all parents at once.

Each nested selection is one statement, however many parents there are: it takes the distinct values
that the parents are linked by, and gives the value of each row as its last column. For one value
there is a simpler one, which reads no more than it shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

import msgspec

from aurora_db.aql import plan
from aurora_db.sql import expressions, lower, reader
from aurora_db.sql.statement import Bound, Statement, identifier
from aurora_db.sql.where import where

#: The name under which the values of the parents are bound: as JSON text, or the only one as it is.
LINKS: Final = "\0links"


class Child(msgspec.Struct, frozen=True):
    """The documents of one nested selection.

    `place` is the column of the parents' rows with the value that links; `single`: it is an object
    or null, not a list. `alone` is the statement for one value, `statement` that for several.
    """

    place: int
    single: bool
    alone: Statement
    statement: Statement
    reader: reader.Reader
    children: tuple[Child, ...]


def children(outputs: Iterable[plan.Selected]) -> tuple[Child, ...]:
    """The nested selections of a selection, in their order."""
    made: list[Child] = []
    for place, output in enumerate(outputs):
        match output:
            case plan.One(hop=hop, outputs=inner):
                key = plan.Path(hop.key, (), hop.key.type)
                query = plan.Query(key=output.key, collection=hop.collection, outputs=inner)
                alone, statement = _alone(query, key), _statement(query, key, ordered=False)
                made.append(
                    Child(place, True, alone, statement, reader.compiled(inner), children(inner))
                )
            case plan.Many(link=link, query=query):
                inner = query.outputs
                alone = _alone(query, link.foreign)
                statement = _statement(query, link.foreign, ordered=True)
                made.append(
                    Child(place, False, alone, statement, reader.compiled(inner), children(inner))
                )
            case _:
                continue
    return tuple(made)


def _alone(query: plan.Query, foreign: plan.Path) -> Statement:
    """The documents that belong to one value."""
    collection = query.collection
    row = identifier(collection.name) + "."
    link = expressions.link(foreign, row)
    columns, before = lower.columns_of(query.outputs, collection)
    condition, params = where(query.where, row=row)
    terms, ordering = lower.orders(query)
    text = f"SELECT {columns}{', ' if columns else ''}{link} FROM {identifier(collection.name)} WHERE {link} = ?"
    if condition != "1":
        text += f" AND {condition}"
    return Statement(
        f"{text} ORDER BY {terms} LIMIT ? OFFSET ?",
        (
            *before, Bound(_links), *params, *ordering, lower.amount(query.limit, -1),
            lower.amount(query.offset, 0),
        ),
    )  # fmt: skip


def _statement(query: plan.Query, foreign: plan.Path, *, ordered: bool) -> Statement:
    collection = query.collection
    row = identifier(collection.name) + "."
    link = expressions.link(foreign, row)
    shown = [lower.column(output, collection) for output in query.outputs]
    columns = [text for text, _ in shown]
    before = tuple(one for _, given in shown for one in given)
    condition, params = where(query.where, row=row)
    source = (
        f"FROM {identifier(collection.name)} WHERE {link} IN (SELECT value FROM json_each(?))"
        + ("" if condition == "1" else f" AND {condition}")
    )
    params = (Bound(_links), *params)
    orders, ordering = lower.orders(query)
    if query.limit is None and query.offset is None:
        text = f"SELECT {', '.join([*columns, link])} {source}"
        if not ordered:
            return Statement(text, before + params)
        if not query.order and foreign.field is not None and foreign.field.indexed:
            # The index has them in this order, which is right within each parent.
            orders = f"{link}, {orders}"
        return Statement(f"{text} ORDER BY {orders}", before + params + ordering)
    names = [f"_c{n}" for n in range(len(columns))]
    named = ", ".join(f"{column} AS {name}" for column, name in zip(columns, names, strict=True))
    rank = f"row_number() OVER (PARTITION BY {link} ORDER BY {orders})"
    return Statement(
        f"SELECT {', '.join([*names, '_link'])} FROM (SELECT {named}, {link} AS _link, {rank} AS _rank {source}) "
        "WHERE _rank > ? AND _rank <= ? ORDER BY _link, _rank",
        (*before, *ordering, *params, lower.amount(query.offset, 0), Bound(_last(query))),
    )


def _links(variables: Mapping[str, Any]) -> Any:
    return variables[LINKS]


def _last(query: plan.Query) -> Any:
    """The rank of the last document of each parent."""
    limit, offset = lower.amount(query.limit, -1), lower.amount(query.offset, 0)

    def read(variables: Mapping[str, Any]) -> int:
        most, first = (
            cast("int", one.read(variables) if isinstance(one, Bound) else one)
            for one in (limit, offset)
        )
        return 2**63 - 1 if most < 0 else min(most + first, 2**63 - 1)

    return read
