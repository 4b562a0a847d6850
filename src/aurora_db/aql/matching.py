"""The operators of a where over values of Python: true or false, never unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from aurora_db.aql.comparing import WrongValue, compare, equal
from aurora_db.aql.folding import fold
from aurora_db.aql.patterns import search


def holds(op: str, value: Any, wanted: Any) -> bool:
    """Whether `value op wanted` is true; `op` is one of `plan.Compare`'s.

    Raises:
        SecurityError: the pattern of `matches` is refused.
    """
    match op:
        case "eq":
            return equal(value, wanted)
        case "ne":
            return not equal(value, wanted)
        case "isNull":
            return (value is None) == wanted
        case "in":
            return any(equal(value, one) for one in wanted)
        case "between":
            low, high = wanted
            return _ordered("gte", value, low) and _ordered("lte", value, high)
        case "contains":
            return _contains(value, wanted)
        case "containsAny" | "containsAll":
            every = all if op == "containsAll" else any
            return isinstance(value, list) and every(_contains(value, one) for one in wanted)
        case "gt" | "gte" | "lt" | "lte":
            return _ordered(op, value, wanted)
        case _:
            return isinstance(value, str) and isinstance(wanted, str) and _text(op, value, wanted)


def _ordered(op: str, value: Any, wanted: Any) -> bool:
    try:
        sign = compare(value, wanted)
    except WrongValue:
        # Values of different kinds have no order: no comparison of them is true.
        return False
    return {"gt": sign > 0, "gte": sign >= 0, "lt": sign < 0, "lte": sign <= 0}[op]


def _contains(value: Any, wanted: Any) -> bool:
    match value:
        case str():
            return isinstance(wanted, str) and wanted in value
        case list():
            return any(equal(one, wanted) for one in cast("list[Any]", value))
        case Mapping():
            found = cast("Mapping[str, Any]", value)
            return isinstance(wanted, Mapping) and all(
                key in found and equal(found[key], one)
                for key, one in cast("Mapping[str, Any]", wanted).items()
            )
        case _:
            return False


def _text(op: str, value: str, wanted: str) -> bool:
    match op:
        case "startsWith":
            return value.startswith(wanted)
        case "endsWith":
            return value.endswith(wanted)
        case "ieq":
            return fold(value) == fold(wanted)
        case "icontains":
            return fold(wanted) in fold(value)
        case "istartsWith":
            return fold(value).startswith(fold(wanted))
        case "iendsWith":
            return fold(value).endswith(fold(wanted))
        case "matches":
            return search(wanted, value)
        case _:
            raise AssertionError(f"no operator named '{op}'")
