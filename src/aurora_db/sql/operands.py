"""Expressions inside aggregates, groups and series, as SQL.

`fragment` is the one place where an expression becomes SQL here. Of untyped values only the
numbers are aggregated; as keys and for `countDistinct` they are told apart by JSON's types.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aurora_db.aql import plan, types
from aurora_db.aql.catalog import Collection
from aurora_db.aql.operands import type_of, untyped
from aurora_db.aql.values import value_of
from aurora_db.base.codec import decode
from aurora_db.sql import expressions, search
from aurora_db.sql.statement import Bound, identifier
from aurora_db.sql.where import Fragment, where

Load = Callable[[Any], Any]


def row_of(collection: Collection) -> str:
    """What stands before the columns of a collection's table."""
    return identifier(collection.name) + "."


def place_of(collection: Collection) -> str:
    """The column that keeps the order of insertion."""
    return row_of(collection) + ("rowid" if collection.system else identifier("_n"))


def source(query: plan.Query, more: Fragment = ("", ())) -> Fragment:
    """FROM and WHERE: the documents that match, are found, and fulfil `more` besides."""
    table, found = search.source(query)
    text, params = where(query.where, row=row_of(query.collection))
    conditions = [part for part in (text if text != "1" else "", more[0]) if part]
    start = f"FROM {table}"
    return (
        f"{start} WHERE {' AND '.join(conditions)}" if conditions else start,
        (*found, *params, *more[1]),
    )


def fragment(expression: plan.Expression, row: str) -> Fragment:
    """The value of an expression as SQL with its parameters."""
    match expression:
        case plan.Path():
            return expressions.value(expression, row), ()
        case plan.Constant(value=value):
            return "?", (value,)
        case plan.Variable():
            return "?", (Bound(lambda variables: value_of(expression, variables)),)
        case plan.Call() | plan.Items():
            raise AssertionError("expressions are refused when they are resolved")


def numbers(expression: plan.Expression, row: str) -> Fragment:
    """The value where it may be aggregated: of an untyped one, the number or null."""
    if not isinstance(expression, plan.Path) or not untyped(expression.type):
        return fragment(expression, row)
    kind, found = expressions.as_value(expression, row)
    return f"CASE WHEN {kind} IN ('integer', 'real') THEN {found} END", ()


def key(expression: plan.Expression, row: str) -> tuple[Fragment, Load | None]:
    """The value as a key of its own, and what makes Python of it.

    An untyped one is a number, or the JSON text of anything else, so that 1, true and "1" differ.
    """
    type = type_of(expression)
    if not isinstance(expression, plan.Path) or not untyped(type):
        return fragment(expression, row), None if type is None else types.load(type)
    kind, found = expressions.as_value(expression, row)
    text = expressions.part(expression, row)
    return (
        f"CASE {kind} WHEN 'integer' THEN {found} WHEN 'real' THEN {found} WHEN 'null' THEN NULL ELSE {text} END",
        (),
    ), _untyped_key


def _untyped_key(value: Any) -> Any:
    return decode(value) if isinstance(value, str) else value
