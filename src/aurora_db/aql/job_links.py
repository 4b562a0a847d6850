"""The options of `enqueueJob` that tie a job to others: unique, after, onDependencyFailure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from aurora_db.aql import plan, suggest, syntax, system
from aurora_db.aql.job_options import seconds
from aurora_db.aql.values import Scope, literal
from aurora_db.base.errors import TypeMismatch, UnknownEnum

#: The arguments by what the queue calls them, each with its spelling.
NAMES: Final = {"unique": "unique", "after": "after", "on_failure": "onDependencyFailure"}
#: What is written for a job whose key is at most one job's.
UNIQUE: Final = 'true, a key such as "${customer}", or {key: "${customer}", period: "10m", statuses: [PENDING], onConflict: KEEP}'  # fmt: skip
PARTS: Final = {
    "key": "key", "period": "period", "statuses": "statuses", "onConflict": "onConflict",
}  # fmt: skip
CONFLICTS: Final = ("KEEP", "REPLACE", "RESCHEDULE")
FAILURES: Final = ("CANCEL", "RUN")
STATUSES: Final = system.STATUSES

_HOLE: Final = re.compile(r"\$\{[^{}]*\}")


class Template(str):
    """A key as it stands in the text: its holes are filled with values of the payload.

    A key that a variable or an earlier part gives is taken as it is.
    """

    __slots__ = ()


def option(scope: Scope, name: str, entry: syntax.Entry) -> plan.Value:
    """One of these options, constants checked where they stand."""
    if name == "on_failure":
        return _word(scope, entry.value, entry.key.text, FAILURES)
    if name == "after":
        return _checked(scope, name, entry.key.text, entry.value)
    value = entry.value
    match value:
        case syntax.ObjectLiteral(entries=entries):
            given = scope.arguments("unique", entries, PARTS)
            pairs = tuple((part, _part(scope, part, one)) for part, one in given.items())
            if all(isinstance(one, plan.Constant) for _, one in pairs):
                return plan.Constant(
                    {part: cast("plan.Constant", one).value for part, one in pairs}
                )
            return plan.ObjectValue(pairs)
        case syntax.StringLiteral():
            return plan.Constant(_template(scope, value))
        case syntax.BooleanLiteral() | syntax.NullLiteral() | syntax.VariableRef():
            return _checked(scope, name, entry.key.text, value)
        case _:
            raise scope.fail(TypeMismatch, f"'unique' is {UNIQUE}", value.span)


def _part(scope: Scope, name: str, entry: syntax.Entry) -> plan.Value:
    value = entry.value
    match name, value:
        case "key", syntax.StringLiteral():
            return plan.Constant(_template(scope, value))
        case "key", syntax.Word():
            raise scope.fail(TypeMismatch, "'key' is a text in quotes", value.span)
        case "onConflict", _:
            return _word(scope, value, name, CONFLICTS)
        case "statuses", syntax.ListLiteral(items=items):
            for item in items:
                _word(scope, item, name, STATUSES)
        case _:
            pass
    return _checked(scope, name, name, value)


def _checked(scope: Scope, name: str, written: str, value: syntax.Value) -> plan.Value:
    resolved = scope.value(value)
    if isinstance(resolved, plan.Constant):
        wrong = _wrong(name, resolved.value)
        if wrong is not None:
            raise scope.fail(TypeMismatch, f"'{written}' is {wrong}", value.span)
    return resolved


def _word(scope: Scope, value: syntax.Value, name: str, words: tuple[str, ...]) -> plan.Value:
    resolved = scope.value(value)
    if isinstance(resolved, plan.Constant) and resolved.value not in words:
        raise scope.fail(
            UnknownEnum, f"'{name}' has no word {literal(value)!r}", value.span,
            suggest.hint(str(resolved.value), words, f"its words are {', '.join(words)}"),
        )  # fmt: skip
    return resolved


def _template(scope: Scope, node: syntax.StringLiteral) -> Template:
    if not node.value:
        raise scope.fail(TypeMismatch, "a key is a text that is not empty", node.span)
    if "${" in _HOLE.sub("", node.value):
        raise scope.fail(TypeMismatch, "a '${' without its '}'", node.span)
    return Template(node.value)


# --- values that are known at execution --------------------------------------------------------


def given(name: str, value: Any) -> Any:
    """The value of an option at execution, as the queue takes it: periods in seconds, keys as texts.

    Raises:
        TypeMismatch: it is none of the option.
    """
    problem = _problem(name, value)
    if problem is not None:
        raise TypeMismatch(f"'{NAMES.get(name, name)}' is {problem}, got {value!r}")
    return _converted(name, value)


def _problem(name: str, value: Any) -> str | None:
    if name != "unique" or not isinstance(value, Mapping):
        return _wrong(name, value)
    parts = cast("Mapping[str, Any]", value)
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        return f"{UNIQUE}, it has no '{unknown[0]}'"
    for part, one in parts.items():
        wrong = None if one is None else _wrong(part, one)
        if wrong is not None:
            return f"an object whose '{part}' is {wrong}"
    return None


def _converted(name: str, value: Any) -> Any:
    if name != "unique":
        return value
    if not isinstance(value, Mapping):
        return _key(value)
    parts = {part: one for part, one in cast("Mapping[str, Any]", value).items() if one is not None}
    if "period" in parts:
        parts["period"] = seconds(parts["period"])
    if "key" in parts:
        parts["key"] = _key(parts["key"])
    return parts


def _key(value: Any) -> Any:
    return value if isinstance(value, (bool, str)) else str(value)


def _wrong(name: str, value: Any) -> str | None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    match name:
        case "unique":
            known = value is None or value is True or value is False or _is_key(value) or number
            return None if known else UNIQUE
        case "after":
            listed = isinstance(value, (list, tuple))
            ids = cast("list[Any]", value) if listed else []
            known = listed and all(isinstance(one, str) and one for one in ids)
            return None if known else "a list of ids of jobs"
        case "key":
            return None if _is_key(value) or number else "a text that is not empty"
        case "period":
            return None if seconds(value) else 'a duration such as "10m", or seconds above 0'
        case "statuses":
            listed = isinstance(value, (list, tuple)) and bool(cast("list[Any]", value))
            known = listed and all(one in STATUSES for one in cast("list[Any]", value))
            return None if known else f"a list of {', '.join(STATUSES)}"
        case "onConflict":
            return None if value in CONFLICTS else f"one of {', '.join(CONFLICTS)}"
        case _:
            return None if value in FAILURES else f"one of {', '.join(FAILURES)}"


def _is_key(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
