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
from aurora_db.base.codec import decode
from aurora_db.sql import computed, expressions, search
from aurora_db.sql.forms import Sql, said
from aurora_db.sql.statement import identifier
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
    if isinstance(expression, plan.Path):
        return expressions.value(expression, row), ()
    made = computed.ordered(expression, row)
    return made.text, made.params


def numbers(expression: plan.Expression, row: str) -> Fragment:
    """The value where it may be aggregated: of an untyped one, the number or null."""
    if not untyped(type_of(expression)):
        return fragment(expression, row)
    return _by_kind("CASE WHEN {0} IN ('integer', 'real') THEN {1} END", expression, row)


def key(expression: plan.Expression, row: str) -> tuple[Fragment, Load | None]:
    """The value as a key of its own, and what makes Python of it.

    An untyped one is a number, or the JSON text of anything else, so that 1, true and "1" differ.
    """
    type = type_of(expression)
    if type is not None and not untyped(type):
        return fragment(expression, row), types.load(type)
    pattern = (
        "CASE {0} WHEN 'integer' THEN {1} WHEN 'real' THEN {1} WHEN 'null' THEN NULL ELSE {2} END"
    )
    return _by_kind(pattern, expression, row), _untyped_key


def whole(expression: plan.Expression, row: str) -> tuple[Fragment, Load | None]:
    """The value as it is, whatever its type, and what makes Python of it."""
    type = type_of(expression)
    if type is not None and not untyped(type):
        return fragment(expression, row), types.load(type)
    return _by_kind("{2}", expression, row), decode


def _by_kind(pattern: str, expression: plan.Expression, row: str) -> Fragment:
    """An untyped value: {0} is its `json_type`, {1} its SQL value, {2} its JSON text."""
    if isinstance(expression, plan.Path):
        kind, found = expressions.as_value(expression, row)
        return pattern.format(kind, found, expressions.part(expression, row)), ()
    made = computed.value(expression, row)
    if made.form == "j":
        return _holes(pattern, ("json_type({0})", "({0} ->> '$')", "{0}"), made)
    return _holes(pattern, ("typeof({0})", "{0}", "json_quote({0})"), made)


def _holes(pattern: str, parts: tuple[str, str, str], made: Sql) -> Fragment:
    found = said(pattern.format(*parts), made)
    return found.text, found.params


def _untyped_key(value: Any) -> Any:
    return decode(value) if isinstance(value, str) else value
