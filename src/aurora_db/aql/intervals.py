"""Intervals of time: "15m", "1d", "month", and the buckets that they cut time into, in a zone.

Buckets are counted from 1970-01-01 by the wall clock of the zone, weeks from a Monday. A day is
the calendar's, so that it has 23 or 25 hours when clocks change; of a repeated hour both are
buckets of their own. Instants are aware and UTC, and no bucket begins before the year 1.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

import msgspec

UNITS: Final = ("s", "m", "h", "d", "w", "month", "year")
SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
#: Months in the units that have no fixed length.
MONTHS: Final = {"month": 1, "year": 12}
#: A hundred years: longer buckets are a mistake.
LONGEST: Final = 36_525 * 86_400

#: The Monday that weeks are counted from, in seconds.
MONDAY: Final = 4 * 86_400
EPOCH: Final = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - the wall clock of whatever zone
FIRST: Final = dt.datetime(1, 1, 1)  # noqa: DTZ001 - the same

_TEXT: Final = re.compile(r"([0-9]{0,9})\s*([A-Za-z]+)")
_SECOND: Final = dt.timedelta(seconds=1)


class Interval(msgspec.Struct, frozen=True):
    """So many units, such as 15 of "m"."""

    count: int
    unit: str

    @property
    def months(self) -> int:
        """Its length in months; 0 for one of fixed length."""
        return self.count * MONTHS.get(self.unit, 0)

    @property
    def seconds(self) -> int:
        """Its length in seconds; 0 for one of months."""
        return self.count * SECONDS.get(self.unit, 0)

    @property
    def origin(self) -> int:
        """Where its buckets are counted from, in seconds from 1970."""
        return MONDAY if self.unit == "w" else 0

    @property
    def _repeats(self) -> bool:
        """Whether both passes of a repeated hour are buckets."""
        return 0 < self.seconds <= SECONDS["h"]

    def start(self, instant: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
        """The instant in UTC at which the bucket of `instant` begins."""
        try:
            wall = self.floor(instant.astimezone(zone).replace(tzinfo=None, fold=0))
            begins = _resolved(wall, zone)
            if self._repeats:
                again = wall.replace(tzinfo=zone, fold=1).astimezone(dt.UTC)
                if begins < again <= instant:
                    return again
        except OverflowError:  # the first or last hours that a datetime knows
            return self.floor(instant.replace(tzinfo=None)).replace(tzinfo=dt.UTC)
        return begins

    def end(self, start: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
        """The instant in UTC at which the bucket that begins at `start` ends, and the next begins."""
        try:
            wall = start.astimezone(zone).replace(tzinfo=None, fold=0)
            floor = self.floor(wall)
            after = _resolved(self._next(floor), zone)
            if not self._repeats:
                return after
            straight = start + dt.timedelta(seconds=self.seconds)
            if wall == floor and after == straight and _offset(start, zone) == _offset(after, zone):
                return after
            return self._searched(start, zone)
        except OverflowError:
            return dt.datetime.max.replace(tzinfo=dt.UTC)

    def _searched(self, start: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
        """The end of a short bucket around which clocks change."""
        step = dt.timedelta(seconds=self.seconds)
        high = start + step
        while self.start(high, zone) == start:
            high += step
        low = start
        while high - low > _SECOND:
            middle = low + (high - low) // _SECOND // 2 * _SECOND
            if self.start(middle, zone) == start:
                low = middle
            else:
                high = middle
        return high

    def floor(self, wall: dt.datetime) -> dt.datetime:
        """The time on the wall clock at which the bucket of `wall` begins."""
        if self.months:
            count = (wall.year - 1970) * 12 + wall.month - 1
            return _month(count // self.months * self.months)
        passed = (wall - EPOCH) // _SECOND - self.origin
        try:
            return EPOCH + (passed // self.seconds * self.seconds + self.origin) * _SECOND
        except OverflowError:
            return FIRST

    def _next(self, floor: dt.datetime) -> dt.datetime:
        if self.months:
            return _month((floor.year - 1970) * 12 + floor.month - 1 + self.months)
        return floor + self.seconds * _SECOND


def interval(text: str) -> Interval:
    """The interval that a text such as "15m" or "month" means.

    Raises:
        ValueError: it means none; the message says why.
    """
    found = _TEXT.fullmatch(text)
    if found is None or found[2] not in UNITS:
        raise ValueError(f"an interval is a number and one of {' '.join(UNITS)}, got '{text}'")
    made = Interval(int(found[1] or 1), found[2])
    length = made.seconds or made.months * 30 * 86_400
    if not 0 < length <= LONGEST:
        raise ValueError(f"an interval is longer than nothing and at most 100 years, got '{text}'")
    return made


def zone(name: str) -> dt.tzinfo:
    """The time zone of this name of the IANA database.

    Raises:
        ValueError: there is none.
    """
    if name == "UTC":
        return dt.UTC
    import zoneinfo  # noqa: PLC0415 - most databases never name a zone

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"no time zone named '{name}'") from None


def _month(count: int) -> dt.datetime:
    """The first moment of a month, counted from January 1970."""
    year, month = divmod(count, 12)
    if year + 1970 > dt.MAXYEAR:
        raise OverflowError("after the last year")
    return FIRST if year + 1970 < 1 else dt.datetime(year + 1970, month + 1, 1)  # noqa: DTZ001


def _offset(instant: dt.datetime, zone: dt.tzinfo) -> dt.timedelta | None:
    return instant.astimezone(zone).utcoffset()


def _resolved(wall: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """The first instant at which a wall clock shows `wall` or, where it jumps over it, more."""
    found = wall.replace(tzinfo=zone).astimezone(dt.UTC)
    if found.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
        return found
    low, high = wall.replace(tzinfo=zone, fold=1).astimezone(dt.UTC), found
    before = _offset(low, zone)
    while high - low > _SECOND:
        middle = low + (high - low) // _SECOND // 2 * _SECOND
        if _offset(middle, zone) == before:
            low = middle
        else:
            high = middle
    return high
