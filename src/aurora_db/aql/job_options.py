"""The options of `enqueueJob`, checked where they stand."""

from __future__ import annotations

import re
from typing import Any, Final

from aurora_db.aql import plan, suggest, syntax
from aurora_db.aql.values import Scope
from aurora_db.base.errors import TypeMismatch, UnknownEnum
from aurora_db.base.records import Priority

DURATION: Final = re.compile(r"(?P<amount>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m|h|d|w)")
UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def job_option(scope: Scope, name: str, entry: syntax.Entry) -> plan.Value:
    """One option of `enqueueJob`; constants are checked where they stand."""
    value = entry.value
    if (
        name == "priority"
        and isinstance(value, syntax.Word)
        and value.text not in Priority.__members__
    ):
        words = tuple(Priority.__members__)
        raise scope.fail(
            UnknownEnum, f"no priority named '{value.text}'", value.span,
            suggest.hint(value.text, words, f"priorities are {', '.join(words)}"),
        )  # fmt: skip
    resolved = scope.value(value)
    if not isinstance(resolved, plan.Constant):
        return resolved
    problem = _option_problem(name, resolved.value)
    if problem is not None:
        raise scope.fail(TypeMismatch, f"'{entry.key.text}' is {problem}", value.span)
    if name in ("delay", "timeout"):
        return plan.Constant(seconds(resolved.value))
    return resolved


def _option_problem(name: str, value: Any) -> str | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    texts = isinstance(value, str) and bool(value)
    match name:
        case "type" | "queue":
            return None if texts else "a text that is not empty"
        case "retries":
            return None if whole and int(value) >= 1 else "a number of attempts from 1"
        case "delay":
            return (
                None
                if seconds(value) is not None
                else 'a duration such as "10m", or seconds from 0'
            )
        case "timeout":
            return None if seconds(value) else 'a duration such as "10m", or seconds above 0'
        case "run_at":
            return None if texts else 'an instant such as "2026-01-01T00:00:00Z"'
        case "tags":
            known = isinstance(value, list) and all(isinstance(one, str) for one in value)
            return None if known else "a list of texts"
        case "priority":
            return (
                None
                if value in Priority.__members__ or value in list(Priority)
                else f"one of {', '.join(Priority.__members__)}"
            )
        case _:
            return None


def seconds(value: Any) -> float | None:
    """The seconds of a number from 0 or of a text such as "10m"; None where it is neither."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) if value >= 0 else None
    found = DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    return None if found is None else float(found["amount"]) * UNITS[found["unit"]]
