"""Expressions over plain Python documents: the same result as their SQL."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping
from typing import Any, cast

from aurora_db.aql import plan, types
from aurora_db.aql.catalog import Type
from aurora_db.aql.functions import TABLE, call, fit
from aurora_db.base.codec import timestamp
from aurora_db.base.ids import new_id

Document = Mapping[str, Any]
#: The document that a relation leads to, or None.
Follow = Callable[[plan.Hop, Document], Document | None]


def evaluate(
    expression: plan.Expression,
    document: Document,
    variables: Mapping[str, Any],
    now: dt.datetime,
    follow: Follow | None = None,
) -> Any:
    """The value of an expression for one document, as a selection would show it.

    Args:
        expression: resolved.
        document: values of JSON or of Python (dates as `datetime`).
        variables: by name; missing ones are null.
        now: what `now()` gives.
        follow: leads over relations; without it what lies behind them is null.
    """
    found = _Evaluation(document, variables, now, follow).of(expression)
    type = None if isinstance(expression, plan.Constant) else expression.type
    revive = None if type is None else types.revive(type)
    return found if revive is None else revive(found)


class _Evaluation:
    def __init__(
        self, document: Document, variables: Mapping[str, Any], now: dt.datetime, follow: Follow | None
    ) -> None:  # fmt: skip
        self._document = document
        self._variables = variables
        self._now = now
        self._follow = follow

    def of(self, expression: plan.Expression) -> Any:
        match expression:
            case plan.Constant(value=value):
                return plain(value)
            case plan.Variable(name=name, type=type):
                return variable(self._variables.get(name), type)
            case plan.Path():
                return self._path(expression)
            case plan.Items(items=items):
                return [self.of(one) for one in items]
            case plan.Call(function="now"):
                return timestamp(self._now)
            case plan.Call(function="uuid"):
                return new_id()
            case plan.Call(function="size", arguments=(argument,)):
                found = self.of(argument)
                return len(cast("list[Any]", found)) if isinstance(found, list) else None
            case plan.Call(function=name, arguments=arguments, type=type):
                return fit(type, call(TABLE[name], [self.of(one) for one in arguments]))

    def _path(self, path: plan.Path) -> Any:
        document: Document | None = self._document
        for hop in path.hops:
            if self._follow is None or document is None:
                return None
            document = self._follow(hop, document)
        keys = path.keys if path.field is None else (path.field.name, *path.keys)
        found: Any = document
        for key in keys:
            found = cast("Document", found).get(key) if isinstance(found, Mapping) else None
        return fit(path.type, plain(found))


def plain(value: Any) -> Any:
    """A value of Python as one of expressions: dates and UUIDs as their stored text."""
    match value:
        case dt.datetime():
            return timestamp(value)
        case dt.date() | dt.time():
            return value.isoformat()
        case uuid.UUID():
            return str(value)
        case Mapping():
            return {key: plain(one) for key, one in cast("Mapping[str, Any]", value).items()}
        case list() | tuple():
            return [plain(one) for one in cast("list[Any]", value)]
        case _:
            return value


def variable(value: Any, type: Type | None) -> Any:
    """The value of a variable of a declared type, as one of expressions."""
    if value is None or type is None:
        return plain(value)
    return types.deep(type, value, "the variable")
