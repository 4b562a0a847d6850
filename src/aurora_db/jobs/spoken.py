"""Durations, instants, numbers and lists as people say them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from aurora_db.base.codec import timestamp

_UNITS: Final = (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def lasting(seconds: float) -> str:
    """A duration in its two largest units: `4 min 10 s`, `2 days 3 h`, `250 ms`."""
    if seconds < 1:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    if seconds < 10 and seconds % 1:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    left = int(seconds)
    for number, (unit, size) in enumerate(_UNITS):
        if left >= size:
            parts = [_part(left // size, unit)]
            if number + 1 < len(_UNITS):
                smaller, width = _UNITS[number + 1]
                rest = left % size // width
                parts += [_part(rest, smaller)] if rest else []
            return " ".join(parts)
    return "0 s"


def _part(number: int, unit: str) -> str:
    return f"{number:,} {unit}s" if unit == "day" and number != 1 else f"{number:,} {unit}"


def since(then: datetime, now: datetime) -> str:
    """How long ago, and when: `3 min ago, at 2026-01-01T00:00:00Z`."""
    return f"{lasting((now - then).total_seconds())} ago, at {at(then)}"


def at(when: datetime) -> str:
    """An instant to the second, UTC."""
    return timestamp(when)[:19] + "Z"


def counted(number: int, what: str = "job", most: int | None = None) -> str:
    """`1 job`, `14 jobs`, and past `most` `more than 1,000 jobs`."""
    if most is not None and number > most:
        return f"more than {most:,} {what}s"
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def listed(names: Sequence[Any], most: int = 5) -> str:
    """`a, b and c`; of many the first ones and how many more."""
    shown = [str(one) for one in names[:most]]
    if len(names) > most:
        shown.append(f"{len(names) - most:,} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def quoted(names: Sequence[str], most: int = 5) -> str:
    """The same, each in quotes."""
    parts = [f"'{one}'" for one in names[:most]]
    rest = len(names) - most
    return listed(parts) if rest <= 0 else f"{', '.join(parts)} and {rest:,} more"


def short(text: str, most: int = 300) -> str:
    """The first line of a text, cut if it is long; without its full stop."""
    line = text.strip().split("\n", 1)[0]
    return (line if len(line) <= most else line[:most] + " …").rstrip(".")
