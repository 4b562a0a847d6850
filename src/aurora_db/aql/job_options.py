"""The options of `enqueueJob`, checked where they stand."""

from __future__ import annotations

import re
from typing import Any, Final, cast

from aurora_db.aql import plan, suggest, syntax, types
from aurora_db.aql.catalog import Type
from aurora_db.aql.values import Scope
from aurora_db.base.codec import UNITS
from aurora_db.base.errors import TypeMismatch, UnknownEnum, ValidationError
from aurora_db.base.records import Priority

DURATION: Final = re.compile(r"(?P<amount>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m|h|d|w)")
BACKOFF: Final = (
    'seconds from 0, a list of them, or {kind: "exponential", base: 5, cap: 3600}, '
    'or {kind: "linear", step: 2}'
)
_INSTANT: Final = Type(name="DateTime")


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
    return plan.Constant(_converted(name, resolved.value))


def given(name: str, value: Any) -> Any:
    """The value of an option that a variable or an earlier part gave, as the queue takes it.

    Raises:
        TypeMismatch: it is none of the option.
    """
    if name == "payload":
        return value
    problem = _option_problem(name, value)
    if problem is not None:
        raise TypeMismatch(f"'{name}' is {problem}, got {value!r}")
    return _converted(name, value)


def _converted(name: str, value: Any) -> Any:
    return seconds(value) if name in ("delay", "timeout") else value


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
            return None if _is_instant(value) else 'an instant such as "2026-01-01T00:00:00Z"'
        case "tags":
            known = isinstance(value, list) and all(isinstance(one, str) for one in value)
            return None if known else "a list of texts"
        case "priority":
            return (
                None
                if value in Priority.__members__ or value in list(Priority)
                else f"one of {', '.join(Priority.__members__)}"
            )
        case "backoff":
            return None if _is_backoff(value) else f"no back-off; give {BACKOFF}"
        case _:
            return None


def _is_instant(value: Any) -> bool:
    try:
        types.store(_INSTANT, value)
    except (TypeMismatch, ValidationError):
        return False
    return True


def _is_backoff(value: Any) -> bool:
    match value:
        case {"kind": "exponential", **rest}:
            return not set(rest) - {"base", "cap"} and all(map(_is_amount, rest.values()))
        case {"kind": "linear", "step": _, **rest}:
            amounts = (value["step"], *rest.values())
            return not set(rest) - {"cap"} and all(map(_is_amount, amounts))
        case list() if value:
            return all(map(_is_amount, cast("list[Any]", value)))
        case _:
            return _is_amount(value)


def _is_amount(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def seconds(value: Any) -> float | None:
    """The seconds of a number from 0 or of a text such as "10m"; None where it is neither."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) if value >= 0 else None
    found = DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    return None if found is None else float(found["amount"]) * UNITS[found["unit"]]
