"""Aggregate functions → SQL: one column for each, all in one statement over the filtered set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from aurora_db.aql import plan, types
from aurora_db.aql.aggregates import result_type
from aurora_db.base.errors import ValidationError
from aurora_db.sql import operands
from aurora_db.sql.statement import Statement
from aurora_db.sql.where import Fragment


class Column(msgspec.Struct, frozen=True):
    """An aggregate as a column of a statement, and what makes Python of its value."""

    text: str
    params: tuple[Any, ...]
    load: operands.Load | None


def column(aggregate: plan.Aggregate, row: str) -> Column:
    """The column of one function."""
    of = aggregate.of
    if of is None:
        return Column("count(*)", (), None)
    type = result_type(aggregate)
    match aggregate.function:
        case "count":
            text, params = _present(of, row)
            return Column(f"count({text})", params, None)
        case "countDistinct":
            (text, params), _ = operands.key(of, row)
            return Column(f"count(DISTINCT {text})", params, None)
        case "sum":
            text, params = operands.numbers(of, row)
            nothing = "0.0" if type is not None and type.name == "Float" else "0"
            return Column(f"coalesce(sum({text}), {nothing})", params, finite)
        case "avg":
            text, params = operands.numbers(of, row)
            return Column(f"avg({text})", params, finite)
        case function:
            text, params = operands.numbers(of, row)
            return Column(f"{function}({text})", params, None if type is None else types.load(type))


def _present(of: plan.Expression, row: str) -> Fragment:
    """What is null where the value is, whatever its type."""
    return operands.key(of, row)[0]


def finite(value: Any) -> Any:
    """The sum or mean as it is.

    Raises:
        ValidationError: it is larger than a Float can be.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise ValidationError("an aggregate is outside the range of Float", rule="range")
    return value


class Lowered(msgspec.Struct, frozen=True):
    """Several `aggregate { … }` of one query: a statement of one row, and a reader of it."""

    statement: Statement
    parts: tuple[tuple[str, tuple[tuple[str, operands.Load | None], ...]], ...]

    def read(self, row: Sequence[Any]) -> dict[str, dict[str, Any]]:
        """The object of each part, by the part's key."""
        values = iter(row)
        return {
            key: {name: loaded(load, next(values)) for name, load in columns}
            for key, columns in self.parts
        }


def loaded(load: operands.Load | None, value: Any) -> Any:
    """A stored value as Python; null stays null."""
    return value if load is None or value is None else load(value)


def lowered(query: plan.Query, parts: Sequence[plan.Aggregates]) -> Lowered:
    """The one statement of all aggregates over the documents that match."""
    row = operands.row_of(query.collection)
    columns = [[column(one, row) for one in part.functions] for part in parts]
    texts = [one.text for each in columns for one in each] or ["NULL"]
    params = tuple(param for each in columns for one in each for param in one.params)
    source, more = operands.source(query)
    return Lowered(
        Statement(f"SELECT {', '.join(texts)} {source}", params + more),
        tuple(
            (part.key, tuple((f.key, c.load) for f, c in zip(part.functions, each, strict=True)))
            for part, each in zip(parts, columns, strict=True)
        ),
    )
