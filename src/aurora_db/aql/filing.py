"""Where a condition is filed: values that a document must have somewhere, so that it can match.

A place is necessary, and of most conditions not sufficient: whoever is found at one is asked whether the
document matches, unless being found says it already (`is_exact`). What has no such place is asked about each
document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, assert_never, cast

import msgspec

from aurora_db.aql import plan, ranges
from aurora_db.aql.ranges import Cut


class _Word:
    """A value that equals itself alone."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


#: A Boolean is no number, which Python takes it for.
_TRUE, _FALSE = _Word("true"), _Word("false")
#: The key of lists and objects, under which nothing is filed.
UNFILED: Final = _Word("unfiled")

_FREQUENT: Final = (_TRUE, _FALSE, None)

#: The name of a field, and the keys into its JSON.
Name = tuple[str | None, tuple[str, ...]]


class Among(msgspec.Struct, frozen=True):
    """Documents whose value at `path` has one of these keys."""

    path: plan.Path
    keys: tuple[Any, ...]


class Holding(msgspec.Struct, frozen=True):
    """Documents whose list at `path` has an element with one of these keys."""

    path: plan.Path
    keys: tuple[Any, ...]


class Within(msgspec.Struct, frozen=True):
    """Documents whose value at `path` lies between two cuts."""

    path: plan.Path
    low: Cut
    high: Cut


Place = Among | Holding | Within
#: What it costs to file at a place: about how many others are found there, too.
Cost = Callable[[Place], float]


def key(value: Any) -> Any:
    """What equal values have in common, hashable; `UNFILED` for lists and objects."""
    kind = value.__class__
    if kind is str or kind is int or kind is float or value is None:
        return value
    if kind is bool:
        return _TRUE if value else _FALSE
    return UNFILED


def name(path: plan.Path) -> Name:
    """What tells a path of a collection from others."""
    return (None if path.field is None else path.field.name), path.keys


def frequent(place: Place) -> int:
    """How many of its keys are what many documents have: true, false, null."""
    return 0 if isinstance(place, Within) else sum(one in _FREQUENT for one in place.keys)


def places(where: plan.Where, cost: Cost) -> tuple[Place, ...] | None:
    """Places of which a document that matches has at least one; None where there are none to tell.

    Of nothing (an empty tuple) no document matches.
    """
    match where:
        case plan.Compare():
            return _compared(where)
        case plan.And():
            return _cheapest(where, cost)
        case plan.Or(parts=parts):
            found: list[Place] = []
            for part in parts:
                some = places(part, cost)
                if some is None:
                    return None
                found += some
            return tuple(found)
        case plan.Not() | plan.Quantified() | plan.WhereVariable():
            return None
        case _:
            assert_never(where)


def is_exact(where: plan.Where) -> bool:
    """Whether a document matches if, and only if, it has one of the places."""
    match where:
        case plan.Compare():
            found = _compared(where)
            return found is not None and not any(isinstance(one, Holding) for one in found)
        case plan.And():
            parts = list(_flat(where))
            if len(parts) == 1:
                return is_exact(parts[0])
            # Of all ranges of one path their common part is filed.
            ranged = [_compared(part) if isinstance(part, plan.Compare) else None for part in parts]
            names = {
                name(one[0].path) if one and isinstance(one[0], Within) else None for one in ranged
            }
            return len(names) == 1 and None not in names
        case plan.Or(parts=parts):
            return all(map(is_exact, parts))
        case plan.Not() | plan.Quantified() | plan.WhereVariable():
            return False
        case _:
            assert_never(where)


def _cheapest(where: plan.And, cost: Cost) -> tuple[Place, ...] | None:
    """Of all that must hold, what fewest others are filed under."""
    choices: list[tuple[Place, ...]] = []
    both: dict[Name, Within] = {}
    for part in _flat(where):
        found = places(part, cost)
        if found is None:
            continue
        if len(found) == 1 and isinstance(found[0], Within):
            one = found[0]
            known = both.get(name(one.path), one)
            low, high = max(known.low, one.low), min(known.high, one.high)
            if high <= low:
                return ()
            both[name(one.path)] = Within(one.path, low, high)
        else:
            choices.append(found)
    choices += [(one,) for one in both.values()]
    return min(choices, key=lambda some: sum(map(cost, some)), default=None)


def _flat(where: plan.And) -> Iterator[plan.Where]:
    for part in where.parts:
        if isinstance(part, plan.And):
            yield from _flat(part)
        else:
            yield part


def _compared(where: plan.Compare) -> tuple[Place, ...] | None:
    path, value = where.path, where.value
    if not isinstance(path, plan.Path) or path.hops or not isinstance(value, plan.Constant):
        return None
    if path.type is not None and path.type.name == "Priority":
        return None
    from aurora_db.aql.evaluate import wanted  # noqa: PLC0415 - weighs much

    right = wanted(path.type, where.op, value.value)
    match where.op:
        case "eq":
            return _among(path, (right,))
        case "in":
            return _among(path, right)
        case "isNull":
            return _among(path, (None,)) if right else None
        case "gt" | "gte" | "lt" | "lte" | "startsWith":
            return _within(path, ranges.span(where.op, right))
        case "between":
            low, high = ranges.span("gte", right[0]), ranges.span("lte", right[1])
            return _within(path, None if low is None or high is None else (max(low[0], high[0]), min(low[1], high[1])))  # fmt: skip
        case "contains" | "containsAny" | "containsAll":
            return _holding(where.op, path, right)
        case _:
            return None


def _among(path: plan.Path, values: Sequence[Any]) -> tuple[Place, ...] | None:
    keys = tuple(dict.fromkeys(map(key, values)))
    return None if UNFILED in keys else (Among(path, keys),)


def _within(path: plan.Path, cuts: tuple[Cut, Cut] | None) -> tuple[Place, ...]:
    return () if cuts is None or cuts[1] <= cuts[0] else (Within(path, *cuts),)


def _holding(op: str, path: plan.Path, right: Any) -> tuple[Place, ...] | None:
    if path.type is None or path.type.name != "List":
        # A text may contain a text, an object some keys: anything.
        return None
    values = [right] if op == "contains" else cast("list[Any]", right)
    keys = tuple(dict.fromkeys(map(key, values)))
    if op == "containsAll":
        keys = tuple(one for one in keys if one is not UNFILED)[:1]
        return (Holding(path, keys),) if keys else None
    return None if UNFILED in keys else (Holding(path, keys),)
