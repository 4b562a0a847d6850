"""Plan → statement: one function for each verb."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aurora_db.aql import plan
from aurora_db.aql.catalog import Collection
from aurora_db.aql.selections import everything
from aurora_db.aql.values import value_of
from aurora_db.base.codec import encode
from aurora_db.base.errors import TypeMismatch
from aurora_db.sql import expressions, reader
from aurora_db.sql.statement import Bound, Statement, identifier, literal
from aurora_db.sql.where import has_variable, where

#: Rows that an event loop may read inline.
FEW = 1_000

has_where_variable = has_variable


@dataclass(frozen=True, slots=True)
class Lowered:
    """A query as a statement, with what makes documents of its rows.

    `bounded`: it reads few rows, by an index.
    """

    statement: Statement
    reader: reader.Reader
    bounded: bool


def query(query: plan.Query) -> Lowered:
    """The statement of a query, without its aggregates."""
    collection = query.collection
    condition, params = where(query.where)
    columns = ", ".join(_column(output) for output in query.outputs)
    parts = [f"SELECT {columns} FROM {identifier(collection.name)}"]
    if condition != "1":
        parts.append(f"WHERE {condition}")
    parts.append("ORDER BY " + ", ".join(_orders(query)))
    if query.limit is not None or query.offset is not None:
        parts.append("LIMIT ?")
        params += (_amount(query.limit, -1),)
    if query.offset is not None:
        parts.append("OFFSET ?")
        params += (_amount(query.offset, 0),)
    return Lowered(
        Statement(" ".join(parts), params), reader.compiled(query.outputs), _is_bounded(query)
    )


def _column(output: plan.Output) -> str:
    path = output.path
    if output.extra:
        return identifier("_extra")
    if path.keys and not output.selection:
        return f"{expressions.column(path, '')} -> {expressions.inside(path)}"
    if path.keys:
        return f"{expressions.column(path, '')} -> {expressions.inside(path)}"
    return expressions.column(path, "")


def _amount(value: plan.Value | None, otherwise: int) -> Any:
    if value is None:
        return otherwise
    if isinstance(value, plan.Constant):
        return value.value

    def read(variables: Mapping[str, Any]) -> int:
        amount = value_of(value, variables)
        if amount is None:
            return otherwise
        if isinstance(amount, bool) or not isinstance(amount, int) or amount < 0:
            raise TypeMismatch(f"a limit or offset is a whole number from 0, got {amount!r}")
        return amount

    return Bound(read)


def _orders(query: plan.Query) -> list[str]:
    last = _place(query.collection)
    if not query.order:
        return [last]
    return [
        *(_order(order) for order in query.order),
        last if query.collection.field("id") is None else identifier("id"),
    ]


def _place(collection: Collection) -> str:
    """The column that keeps the order of insertion."""
    return identifier("_n") if not collection.system or collection.name == "_jobs" else "rowid"


def _order(order: plan.Order) -> str:
    text = expressions.value(order.path) + (" DESC" if order.descending else "")
    # SQLite's own rule is ours: nulls first ascending, last descending.
    if order.nulls_first is None or order.nulls_first != order.descending:
        return text
    return text + (" NULLS FIRST" if order.nulls_first else " NULLS LAST")


def _is_bounded(query: plan.Query) -> bool:
    parts = query.where.parts if isinstance(query.where, plan.And) else (query.where,)
    equal = [
        part.path
        for part in _comparisons(parts)
        if part.op == "eq" and not part.path.keys and part.path.field
    ]
    if any(
        path.field is not None and (path.field.name == "id" or path.field.unique) for path in equal
    ):
        return True
    limit = query.limit
    few = isinstance(limit, plan.Constant) and isinstance(limit.value, int) and limit.value <= FEW
    if not few:
        return False
    if any(path.field is not None and path.field.indexed for path in equal):
        return not query.order or len(equal) > 0
    return not query.order and not parts and query.offset is None


def _comparisons(parts: Sequence[plan.Where]) -> list[plan.Compare]:
    found: list[plan.Compare] = []
    for part in parts:
        if isinstance(part, plan.Compare):
            found.append(part)
        elif isinstance(part, plan.And):
            found += _comparisons(part.parts)
    return found


def aggregate(query: plan.Query) -> Statement:
    """How many documents match, over the whole filtered set."""
    condition, params = where(query.where)
    return Statement(
        f"SELECT count(*) FROM {identifier(query.collection.name)} WHERE {condition}", params
    )


def count(collection: Collection, condition: plan.Where) -> tuple[str, tuple[Any, ...]]:
    """The same for a condition without variables."""
    text, params = where(condition)
    return f"SELECT count(*) FROM {identifier(collection.name)} WHERE {text}", params


def ids(collection: Collection, condition: plan.Where) -> Statement:
    """The ids of what matches, in order of insertion."""
    text, params = where(condition)
    return Statement(
        f"SELECT id FROM {identifier(collection.name)} WHERE {text} ORDER BY _n", params
    )


def get(collection: Collection) -> tuple[str, Callable[[tuple[Any, ...]], dict[str, Any]]]:
    """The text that reads one document by id, and what makes a document of its row."""
    outputs = everything(collection)
    columns = ", ".join(_column(output) for output in outputs)
    return f"SELECT {columns} FROM {identifier(collection.name)} WHERE id = ?", reader.compiled(
        outputs
    )


def insert(collection: Collection, names: Sequence[str]) -> str:
    """The text that inserts one document with these columns."""
    columns = ", ".join(identifier(name) for name in names)
    places = ", ".join("?" for _ in names)
    return f"INSERT INTO {identifier(collection.name)} ({columns}) VALUES ({places})"


def update(collection: Collection, condition: plan.Where, stored: Mapping[str, Any]) -> Statement:
    """Set the columns of what matches; returns their ids. `_extra` holds values by name."""
    sets: list[str] = []
    params: list[Any] = []
    for name, value in stored.items():
        if name == "_extra":
            sets.append(f"_extra = {_merged(value, params)}")
        else:
            sets.append(f"{identifier(name)} = ?")
            params.append(value)
    text, more = where(condition)
    return Statement(
        f"UPDATE {identifier(collection.name)} SET {', '.join(sets)}, _rev = _rev + 1 WHERE {text} RETURNING id",
        (*params, *more),
    )


def _merged(values: Mapping[str, Any], params: list[Any]) -> str:
    """Undeclared fields set one by one, so that null sets null."""
    parts: list[str] = []
    for name, value in values.items():
        parts.append(f"{literal('$.' + encode(name))}, json(?)")
        params.append(encode(value))
    return f"json_set(coalesce(_extra, '{{}}'), {', '.join(parts)})"


def delete(collection: Collection, condition: plan.Where) -> Statement:
    """Remove what matches; returns the ids."""
    text, params = where(condition)
    return Statement(f"DELETE FROM {identifier(collection.name)} WHERE {text} RETURNING id", params)
