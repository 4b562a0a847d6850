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

_SYMBOLS = {"eq": "IS", "ne": "IS NOT", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

#: The given value as a row of `json_each`.
_WANT = ("_want.type", "_want.value")


def where(condition: plan.Where, *, row: str = "", trigger: bool = False) -> Fragment:
    """The condition as SQL and its parameters.

    `row` is the table and a dot. In a trigger there are no parameters: constants become literals, fields are those of the new
    row, and of the old one where the path says so.
    """
    return _Lowering(row, trigger=trigger).where(condition, negated=False)


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
    def __init__(self, row: str, *, trigger: bool) -> None:
        self._trigger = trigger
        self._table = row

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
            return self._table
        return "OLD." if path.row == "old" else "NEW."

    def _given(self, condition: plan.Compare, form: Callable[[Any], Any]) -> Fragment:
        """The right side, in a form: a parameter, a bound one, or a literal in a trigger."""
        value = condition.value
        if isinstance(value, plan.Constant):
            known = form(value.value)
            return (literal(known), ()) if self._trigger else ("?", (known,))
        path, op = condition.path, condition.op

        def read(variables: Mapping[str, Any]) -> Any:
            return form(stored(path, op, value_of(value, variables, variables)))

        return "?", (Bound(read),)

    def _compare(self, condition: plan.Compare) -> Fragment:
        path = condition.path
        if path.type is None or path.type.name in JSON_KINDS:
            return self._json(condition)
        left = expressions.value(path, self._row(path))
        match condition.op:
            case "isNull":
                return self._is_null(condition, f"{left} IS NULL")
            case "in":
                return self._in(condition, left)
            case "contains":
                right, params = self._given(condition, _same)
                return f"instr({left}, {right}) > 0", params
            case "startsWith" | "endsWith":
                return self._edge(condition, left)
            case _:
                right, params = self._given(condition, _same)
                return f"{left} {_SYMBOLS[condition.op]} {right}", params

    def _is_null(self, condition: plan.Compare, text: str) -> Fragment:
        if isinstance(condition.value, plan.Constant):
            return (text if condition.value.value else f"NOT ({text})"), ()
        right, params = self._given(condition, int)
        return f"({text}) = {right}", params

    def _edge(self, condition: plan.Compare, left: str) -> Fragment:
        right, params = self._given(condition, _same)
        start = (
            f"1, length({right})"
            if condition.op == "startsWith"
            else f"max(1, length({left}) - length({right}) + 1)"
        )
        return f"substr({left}, {start}) = {right}", params + params

    def _in(self, condition: plan.Compare, left: str) -> Fragment:
        right, params = self._given(condition, encode)
        listed = f"{left} IN (SELECT value FROM json_each({right}))"
        known = condition.value
        if isinstance(known, plan.Constant) and None not in known.value:
            return listed, params
        null = f"{left} IS NULL AND EXISTS (SELECT 1 FROM json_each({right}) WHERE value IS NULL)"
        return f"({listed} OR ({null}))", params + params

    # --- on JSON: undeclared fields, lists, objects -----------------------------------------

    def _json(self, condition: plan.Compare) -> Fragment:
        path, op = condition.path, condition.op
        found = expressions.as_value(path, self._row(path))
        kinds = _kinds(condition)
        if kinds is not None:
            right, params = self._given(condition, _plain)
            symbol = "IS" if op == "ne" else _SYMBOLS[op]
            text = f"(coalesce({found[0]}, 'null') IN {kinds} AND {found[1]} {symbol} {right})"
            return (f"NOT {text}" if op == "ne" else text), params
        match op:
            case "isNull":
                return self._is_null(condition, f"coalesce({found[0]}, 'null') = 'null'")
            case "eq" | "in":
                return self._wanted(condition, expressions.equal(found, _WANT))
            case "ne":
                text, params = self._wanted(condition, expressions.equal(found, _WANT))
                return f"NOT {text}", params
            case "contains":
                each = expressions.elements(path, self._row(path))
                return self._wanted(condition, _holds(found, each))
            case "startsWith" | "endsWith":
                text, params = self._edge(condition, found[1])
                return f"({found[0]} = 'text' AND {text})", params
            case _:
                same = f"{expressions.kind(found[0])} = {expressions.kind(_WANT[0])}"
                ordered = f"{found[1]} {_SYMBOLS[op]} {_WANT[1]}"
                plain = f"{_WANT[0]} NOT IN ('object', 'array')"
                return self._wanted(condition, f"{plain} AND {same} AND {ordered}")

    def _wanted(self, condition: plan.Compare, test: str) -> Fragment:
        """Whether one of the given values passes a test of `_want`, whatever type it has."""
        # The values of an undeclared field come as they are, those of a declared one as JSON.
        text = encode if condition.path.type is None else _json_text

        def listed(value: Any) -> str:
            values = value if condition.op == "in" else [value]
            return "[" + ",".join([text(one) for one in values]) + "]"

        right, params = self._given(condition, listed)
        return f"EXISTS (SELECT 1 FROM json_each({right}) AS _want WHERE {test})", params


def _holds(found: expressions.Json, each: str) -> str:
    """`contains`: a part of a text, an element of a list, some keys and values of an object."""
    inside = expressions.equal(("_each.type", "_each.value"), _WANT)
    same = expressions.equal(("_each.type", "_each.value"), ("_key.type", "_key.value"))
    missing = f"NOT EXISTS (SELECT 1 FROM {each} AS _each WHERE _each.key = _key.key AND {same})"
    return (
        f"CASE {found[0]} WHEN 'text' THEN _want.type = 'text' AND instr({found[1]}, _want.value) > 0 "
        f"WHEN 'array' THEN EXISTS (SELECT 1 FROM {each} AS _each WHERE {inside}) "
        "WHEN 'object' THEN CASE _want.type WHEN 'object' THEN "
        f"NOT EXISTS (SELECT 1 FROM json_each(_want.value) AS _key WHERE {missing}) ELSE 0 END "
        "ELSE 0 END"
    )


def _kinds(condition: plan.Compare) -> str | None:
    """The JSON types that one known scalar can be compared with; None where it is not that easy."""
    if condition.path.type is not None or condition.op not in _SYMBOLS:
        return None
    match condition.value:
        case plan.Constant(value=bool()):
            return "('true', 'false')"
        case plan.Constant(value=int() | float()):
            return "('integer', 'real')"
        case plan.Constant(value=str()):
            return "('text')"
        case _:
            return None


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def _same(value: Any) -> Any:
    return value


def _json_text(value: Any) -> str:
    return "null" if value is None else value
