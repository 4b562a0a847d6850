"""Buckets of time as SQL: an expression to group by, and what makes an instant of its value.

In UTC the engine computes buckets itself: a part of the text where that is the bucket, else a
number. In another zone our connection's function does, and gives the text of the bucket's start.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from aurora_db.aql.intervals import Interval
from aurora_db.base.codec import instant
from aurora_db.sql.operands import Load
from aurora_db.sql.where import Fragment

#: The function that our connection registers: text, count, unit and zone give a text.
FUNCTION: Final = "aurora_bucket"

#: Characters of the text of an instant that name the bucket, and the rest of its start.
_PREFIXES: Final = {
    "s": (19, ".000000Z"),
    "m": (16, ":00.000000Z"),
    "h": (13, ":00:00.000000Z"),
    "d": (10, "T00:00:00.000000Z"),
    "month": (7, "-01T00:00:00.000000Z"),
    "year": (4, "-01-01T00:00:00.000000Z"),
}
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIRST: Final = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
#: Before any instant, in seconds and in months from 1970: what is divided is never negative.
_LONG_AGO: Final = 70_000_000_000
_MONTHS_AGO: Final = 12 * 2_000


def bucket(time: Fragment, interval: Interval, zone: str) -> tuple[Fragment, Load]:
    """The bucket of a DateTime, null for null, and what makes an instant of it."""
    text, params = time
    if zone != "UTC":
        return (
            f"{FUNCTION}({text}, ?, ?, ?)",
            (*params, interval.count, interval.unit, zone),
        ), instant
    if interval.count == 1 and interval.unit in _PREFIXES:
        length, rest = _PREFIXES[interval.unit]
        return (f"substr({text}, 1, {length})", params), lambda value: instant(value + rest)
    if interval.months:
        return _months((text, params), interval)
    return _seconds((text, params), interval)


def _seconds(time: Fragment, interval: Interval) -> tuple[Fragment, Load]:
    step, origin = interval.seconds, interval.origin
    before = -(-_LONG_AGO // step) * step

    def load(value: Any) -> dt.datetime:
        seconds = value * step - before + origin
        try:
            return _EPOCH + dt.timedelta(seconds=seconds)
        except OverflowError:
            return _FIRST

    text, params = time
    return (f"(unixepoch({text}) + ?) / ?", (*params, before - origin, step)), load


def _months(time: Fragment, interval: Interval) -> tuple[Fragment, Load]:
    step = interval.months
    before = -(-_MONTHS_AGO // step) * step

    def load(value: Any) -> dt.datetime:
        year, month = divmod(value * step - before, 12)
        return _EPOCH.replace(year=year + 1970, month=month + 1) if year > -1970 else _FIRST

    text, params = time
    return (
        f"(substr({text}, 1, 4) * 12 + substr({text}, 6, 2) + ?) / ?",
        (*params, *params, before - 1970 * 12 - 1, step),
    ), load
