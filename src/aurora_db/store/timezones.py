"""The SQL function for buckets of time in a time zone, on each of our connections.

Only queries use it: a trigger with it would fail in another program.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from aurora_db.aql import intervals
from aurora_db.base.codec import instant, timestamp

#: Its name, as `sql/buckets.py` says it, which is loaded when a query needs it.
BUCKET: Final = "aurora_bucket"


class Buckets:
    """The start of the bucket of an instant. Keeps the last bucket: series come in order."""

    def __init__(self) -> None:
        self._last: tuple[Any, ...] = ()
        self._start = ""
        self._end = ""
        self._zone: dt.tzinfo = dt.UTC
        self._interval = intervals.Interval(1, "d")

    def __call__(self, text: str | None, count: int, unit: str, zone: str) -> str | None:
        """The text of the instant at which the bucket of `text` begins; null for null."""
        if text is None:
            return None
        if self._last != (count, unit, zone):
            self._last = (count, unit, zone)
            self._interval, self._zone = intervals.Interval(count, unit), intervals.zone(zone)
            self._start = self._end = ""
        if not self._start <= text < self._end:
            start = self._interval.start(instant(text), self._zone)
            self._start = timestamp(start)
            self._end = timestamp(self._interval.end(start, self._zone))
        return self._start
