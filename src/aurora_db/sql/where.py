"""Conditions → SQL. Two-valued: a comparison is true or false, `not` is its complement.

At places where only truth counts, SQL's unknown is as good as false and indexes stay usable;
under a `not` every comparison is closed by `IS TRUE`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, assert_never

from aurora_db.aql import plan
from aurora_db.aql.conditions import stored
from aurora_db.aql.types import JSON_KINDS
from aurora_db.aql.values import value_of
from aurora_db.base.codec import encode
from aurora_db.sql import expressions
from aurora_db.sql.statement import Bound, literal

Fragment = tuple[str, tuple[Any, ...]]

_SYMBOLS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def where(condition: plan.Where, *, trigger: bool = False) -> Fragment:
    """The condition as SQL and its parameters.

    In a trigger there are no parameters: constants become literals, fields are those of the new
    row, and of the old one where the path says so.
    """
    return _Lowering(trigger=trigger).where(condition, negated=False)


def has_variable(condition: plan.Where) -> bool:
    """Whether a whole where-object comes from a variable, so that it is known at execution."""
    match condition:
        case plan.WhereVariable():
            return True
        case plan.And(parts=parts) | plan.Or(parts=parts):
            return any(has_variable(part) for part in parts)
        case plan.Not(part=part):
            return has_variable(part)
        case plan.Compare():
            return False


class _Lowering:
    def __init__(self, *, trigger: bool) -> None:
        self._trigger = trigger

    def where(self, condition: plan.Where, *, negated: bool) -> Fragment:
        match condition:
            case plan.And(parts=parts):
                return self._junction(parts, " AND ", "1", negated=negated)
            case plan.Or(parts=parts):
                return self._junction(parts, " OR ", "0", negated=negated)
            case plan.Not(part=part):
                text, params = self.where(part, negated=True)
                return f"NOT ({text})", params
            case plan.Compare():
                text, params = self._compare(condition)
                return (f"(({text}) IS TRUE)" if negated else text), params
            case plan.WhereVariable():
                raise AssertionError("a where variable is expanded before it is lowered")
            case _:
                assert_never(condition)

    def _junction(
        self, parts: tuple[plan.Where, ...], word: str, empty: str, *, negated: bool
    ) -> Fragment:
        if not parts:
            return empty, ()
        lowered = [self.where(part, negated=negated) for part in parts]
        if len(lowered) == 1:
            return lowered[0]
        return "(" + word.join(text for text, _ in lowered) + ")", tuple(
            p for _, params in lowered for p in params
        )

    # --- one comparison ---------------------------------------------------------------------

    def _row(self, path: plan.Path) -> str:
        if not self._trigger:
            return ""
        return "OLD." if path.row == "old" else "NEW."

    def _param(self, value: Any) -> Fragment:
        if self._trigger:
            return literal(value), ()
        return "?", (value,)

    def _given(self, condition: plan.Compare, form: Callable[[Any], Any]) -> Fragment:
        """The right side, in a form: a parameter, a bound one, or a literal in a trigger."""
        value = condition.value
        if isinstance(value, plan.Constant):
            return self._param(form(value.value))
        path, op = condition.path, condition.op

        def read(variables: Mapping[str, Any]) -> Any:
            return form(stored(path, op, value_of(value, variables, variables)))

        return "?", (Bound(read),)

    def _compare(self, condition: plan.Compare) -> Fragment:
        path = condition.path
        left = expressions.value(path, self._row(path))
        match condition.op:
            case "isNull":
                right, params = self._given(condition, int)
                return f"({left} IS NULL) = {right}", params
            case "in":
                return self._in(condition, left)
            case "contains":
                return self._contains(condition, left)
            case "startsWith":
                right, params = self._given(condition, _same)
                return f"substr({left}, 1, length({right})) = {right}", params + params
            case "endsWith":
                right, params = self._given(condition, _same)
                return (
                    f"(substr({left}, max(1, length({left}) - length({right}) + 1)) = {right})",
                    params + params,
                )
            case _:
                return self._ordered(condition, left)

    def _ordered(self, condition: plan.Compare, left: str) -> Fragment:
        symbol = {"eq": "IS", "ne": "IS NOT", **_SYMBOLS}[condition.op]
        if condition.path.type is not None:
            right, params = self._given(condition, _plain)
            return f"{left} {symbol} {right}", params
        right, params = self._given(condition, _plain)
        wanted, kinds = self._given(condition, _kind)
        same = f"{self._kind_of(condition.path)} IS {wanted}"
        if condition.op == "ne":
            return f"NOT ({left} IS {right} AND {same})", params + kinds
        return f"({left} {symbol} {right} AND {same})", params + kinds

    def _kind_of(self, path: plan.Path) -> str:
        below = expressions.inside(path)
        stored_in = expressions.column(path, self._row(path))
        return expressions.kind(
            f"json_type({stored_in})" if below is None else f"json_type({stored_in}, {below})"
        )

    def _in(self, condition: plan.Compare, left: str) -> Fragment:
        right, params = self._given(condition, encode)
        if condition.path.type is None:
            same = f"{expressions.kind('each.type')} IS {self._kind_of(condition.path)}"
            return (
                f"EXISTS (SELECT 1 FROM json_each({right}) AS each WHERE each.value IS {left} AND {same})",
                params,
            )
        null = f"({left} IS NULL AND EXISTS (SELECT 1 FROM json_each({right}) WHERE value IS NULL))"
        listed = f"{left} IN (SELECT value FROM json_each({right}))"
        known = condition.value
        if isinstance(known, plan.Constant) and None not in known.value:
            return listed, params
        return f"({listed} OR {null})", params + params

    def _contains(self, condition: plan.Compare, left: str) -> Fragment:
        path = condition.path
        if path.type is None:
            right, params = self._given(condition, _plain)
            as_list, more = self._given(condition, encode)
            kind = self._kind_of(path)
            below = expressions.inside(path)
            stored_in = expressions.column(path, self._row(path))
            each = (
                f"json_each({stored_in}, {below})"
                if below is not None
                else f"json_each({stored_in})"
            )
            return (
                f"CASE {kind} WHEN 2 THEN instr({left}, {right}) > 0 WHEN 4 THEN "
                f"EXISTS (SELECT 1 FROM {each} AS each, json_each('[' || {as_list} || ']') AS want "
                f"WHERE {_equal('each', 'want')}) ELSE 0 END"
            ), params + more
        if path.type.name not in JSON_KINDS:
            right, params = self._given(condition, _same)
            return f"instr({left}, {right}) > 0", params
        right, params = self._given(condition, _same)
        element = (
            f"EXISTS (SELECT 1 FROM json_each({left}) AS each, json_each('[' || {right} || ']') AS want "
            f"WHERE {_equal('each', 'want')})"
        )
        if path.type.name == "List":
            return element, params
        subset = (
            f"NOT EXISTS (SELECT 1 FROM json_each({right}) AS want WHERE NOT EXISTS "
            f"(SELECT 1 FROM json_each({left}) AS each WHERE each.key IS want.key AND {_equal('each', 'want')}))"
        )
        # A part of an object is an object; anything else can only be an element.
        objects = f"json_type({left}) = 'object' AND json_type({right}) = 'object'"
        return (
            f"CASE WHEN {objects} THEN {subset} WHEN json_type({left}) = 'array' THEN {element} ELSE 0 END"
        ), params * 3


def _equal(one: str, other: str) -> str:
    return f"{one}.value IS {other}.value AND {expressions.kind(one + '.type')} IS {expressions.kind(other + '.type')}"


def _same(value: Any) -> Any:
    return value


def _plain(value: Any) -> Any:
    """A value as SQLite compares it: containers by their JSON."""
    if isinstance(value, bool):
        return int(value)
    return encode(value) if isinstance(value, (dict, list, tuple)) else value


def _kind(value: Any) -> int | None:
    """The class of a value, as `expressions.kind` counts them."""
    match value:
        case bool():
            return 3
        case int() | float():
            return 1
        case str():
            return 2
        case None:
            return None
        case _:
            return 4
