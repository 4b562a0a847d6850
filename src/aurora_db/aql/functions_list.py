"""The functions on lists and objects, in Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from aurora_db.aql.comparing import WrongValue, compare, equal, is_number, rank
from aurora_db.aql.functions_text import text, whole


def listed(value: Any) -> list[Any]:
    """A value that must be a list."""
    if not isinstance(value, list):
        raise WrongValue
    return cast("list[Any]", value)


def first(values: Any) -> Any:
    """The first element; of none null."""
    return listed(values)[0] if values else None


def last(values: Any) -> Any:
    """The last element; of none null."""
    return listed(values)[-1] if values else None


def count(values: Any) -> int:
    """How many elements."""
    return len(listed(values))


def total(values: Any) -> Any:
    """The sum of the elements; nulls are passed over."""
    return sum(_numbers(values))


def average(values: Any) -> float | None:
    """The mean of the elements; nulls are passed over, of none null."""
    found = _numbers(values)
    return float(sum(found)) / len(found) if found else None


def _numbers(values: Any) -> list[Any]:
    found = [one for one in listed(values) if one is not None]
    if not all(map(is_number, found)):
        raise WrongValue
    return found


def least(*values: Any) -> Any:
    """The least of the arguments; of one list, of its elements that are not null."""
    return _extreme(values, -1)


def greatest(*values: Any) -> Any:
    """The greatest of the arguments; of one list, of its elements that are not null."""
    return _extreme(values, 1)


def _extreme(values: tuple[Any, ...], sign: int) -> Any:
    if len(values) == 1 and isinstance(values[0], list):
        found = [one for one in cast("list[Any]", values[0]) if one is not None]
    elif None in values:
        return None
    else:
        found = list(values)
    best: Any = None
    for one in found:
        # The comparison with itself refuses what has no order.
        if best is None or compare(one, best) * sign > 0:
            best = one
        compare(one, best)
    return best


def pluck(values: Any, field: Any) -> list[Any]:
    """The value at a path in each element."""
    return [get(one, field) for one in listed(values)]


def where(values: Any, field: Any, wanted: Any) -> list[Any]:
    """The elements that have this value at a path."""
    return [one for one in listed(values) if equal(get(one, field), wanted)]


def mapped(call: Callable[..., Any], values: Any, *rest: Any) -> list[Any]:
    """What a function gives for each element."""
    return [call(one, *rest) for one in listed(values)]


def ordered(values: Any, direction: Any = "ASC") -> list[Any]:
    """The elements in order, nulls first; "DESC" the other way round."""
    word = text(direction).upper()
    if word not in ("ASC", "DESC"):
        raise WrongValue
    return sorted(listed(values), key=rank, reverse=word == "DESC")


def unique(values: Any) -> list[Any]:
    """Each element once, in the order of their first places."""
    found: list[Any] = []
    for one in listed(values):
        if not any(equal(one, other) for other in found):
            found.append(one)
    return found


def part(values: Any, start: Any, end: Any = None) -> Any:
    """The elements, or characters, from place `start` up to `end`; negative counts from the end."""
    if not isinstance(values, (list, str)):
        raise WrongValue
    last = None if end is None else whole(end)
    return cast("list[Any]", values)[whole(start) : last]


def get(value: Any, path: Any) -> Any:
    """The value at a path such as "a.b" or "lines.0.name"; null where there is none."""
    found = value
    keys = text(path).split(".") if isinstance(path, str) else [str(whole(path))]
    for key in keys:
        if isinstance(found, Mapping):
            found = cast("Mapping[str, Any]", found).get(key)
        elif isinstance(found, list) and key.removeprefix("-").isdecimal():
            at = int(key)
            items = cast("list[Any]", found)
            found = items[at] if -len(items) <= at < len(items) else None
        else:
            return None
    return found
