"""When a schedule is due: cron with a time zone, or every so often. Pure: the present is given.

Days on which clocks move are Debian's cron's. Where neither minute nor hour begins with a star, a time that
falls into a skipped hour is due right after it, one that falls into a repeated hour is due in its first
pass only. Where one of them begins with a star, the clock on the wall alone counts. A jump of three hours
or more, such as over the date line, is no summer time: what it skips is not due, what it repeats is due
again.

Source of these rules: cron(8) and cron.c of Debian's package cron.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from aurora_db.aql.catalog import Schedule

if TYPE_CHECKING:
    from cronsim import CronSim

#: Seconds between two times, at least.
SHORTEST: Final = 1.0
#: And at most: ten years.
LONGEST: Final = 10 * 366 * 86400.0
#: Jumps of the clock from here on are no summer time.
CORRECTION: Final = timedelta(hours=3)
#: No zone changes its offset twice within this time.
_STEP: Final = timedelta(days=1)
_NONE: Final = timedelta(0)
_INSTANT: Final = timedelta(microseconds=1)
#: The first stretch of the past that is searched for the last time that was due.
_NEAR: Final = timedelta(hours=1)


def next_due(schedule: Schedule, after: datetime) -> datetime:
    """The first instant after `after` at which the schedule is due, UTC, without jitter."""
    if schedule.every is not None:
        anchor = schedule.anchor or after
        every = timedelta(seconds=schedule.every)
        return anchor + ((after - anchor) // every + 1) * every
    assert schedule.cron is not None
    return _next(schedule.cron, ZoneInfo(schedule.timezone), after)


def fires_at(schedule: Schedule, due: datetime) -> datetime:
    """The instant at which it fires for the time `due`: up to its jitter later, always the same."""
    if not schedule.jitter:
        return due
    digest = hashlib.sha256(f"{schedule.name}\0{due.timestamp():.6f}".encode()).digest()
    share = int.from_bytes(digest[:7]) / (1 << 56)
    return due + timedelta(seconds=schedule.jitter * share)


def last_due(schedule: Schedule, first: datetime, now: datetime) -> datetime:
    """The last time from `first` on that fires by `now`; `first` is one that does.

    Looks back from `now`, so that a long downtime of a schedule that is due often costs little.
    """
    back = _NEAR
    while True:
        start = max(first - _INSTANT, now - back)
        last = None
        due = next_due(schedule, start)
        while due <= now:
            if fires_at(schedule, due) <= now:
                last = due
            due = next_due(schedule, due)
        if last is not None:
            return last
        if start < first:
            return first
        back *= 4


def upcoming(schedule: Schedule, due: datetime) -> Iterator[datetime]:
    """The instants at which it fires, from that for the time `due` on; a later time is never earlier."""
    fires = fires_at(schedule, due)
    while True:
        yield fires
        due = next_due(schedule, due)
        fires = max(fires, fires_at(schedule, due))


def first_of(schedule: Schedule, due: datetime, count: int) -> tuple[datetime, ...]:
    """The first `count` of `upcoming`."""
    return tuple(islice(upcoming(schedule, due), count))


# --- cron -----------------------------------------------------------------------------------


def _next(cron: str, zone: ZoneInfo, after: datetime) -> datetime:
    """The first instant after `after` that matches, found between changes of the offset."""
    fixed = not any(field.startswith("*") for field in cron.split()[:2])
    while True:
        offset = _offset(zone, after)
        match = _match_after(cron, _wall(after, offset))
        due = match.replace(tzinfo=UTC) - offset
        change = _change(zone, after, due)
        if change is None:
            if not (fixed and _is_repeated(zone, due)):
                return due
            after = due
            continue
        if _is_due_at_change(cron, change, offset, _offset(zone, change), fixed=fixed):
            return change
        after = change


def _is_due_at_change(
    cron: str, change: datetime, before: timedelta, offset: timedelta, *, fixed: bool
) -> bool:
    """Whether something is due at the instant at which the offset changes, or was skipped by it."""
    new = _wall(change, offset)
    skips = fixed and _NONE < offset - before < CORRECTION
    start = _wall(change, before) if skips else new
    if _match_after(cron, start - _INSTANT) > new:
        return False
    return not (fixed and _NONE < before - offset < CORRECTION)


def _is_repeated(zone: ZoneInfo, instant: datetime) -> bool:
    """Whether the clock on the wall showed the same before, less than three hours ago."""
    local = instant.astimezone(zone)
    if not local.fold:
        return False
    return instant - local.replace(fold=0).astimezone(UTC) < CORRECTION


def _change(zone: ZoneInfo, after: datetime, until: datetime) -> datetime | None:
    """The first instant in (after, until] at which the offset is another one; to a second."""
    offset = _offset(zone, after)
    low = after
    while low < until:
        high = min(low + _STEP, until)
        if _offset(zone, high) != offset:
            break
        low = high
    else:
        return None
    start = datetime(1970, 1, 1, tzinfo=UTC)
    first, last = (int((one - start) // timedelta(seconds=1)) for one in (low, high))
    while last - first > 1:
        middle = (first + last) // 2
        if _offset(zone, start + timedelta(seconds=middle)) == offset:
            first = middle
        else:
            last = middle
    return start + timedelta(seconds=last)


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(zone).utcoffset() or _NONE


def _wall(instant: datetime, offset: timedelta) -> datetime:
    """What a clock on the wall shows."""
    return instant.replace(tzinfo=None) + offset


def _match_after(cron: str, wall: datetime) -> datetime:
    """The first time on the wall after `wall` that matches; no clock moves here."""
    parsed = copy.copy(_parsed(cron))
    parsed.dt = wall.replace(microsecond=0)
    return next(parsed)


@lru_cache(maxsize=256)
def _parsed(cron: str) -> CronSim:
    # Only programs with schedules need it.
    from cronsim import CronSim  # noqa: PLC0415

    return CronSim(cron, datetime(2000, 1, 1))  # noqa: DTZ001 - a clock on the wall has no zone


# --- what is refused ------------------------------------------------------------------------


def cron_problem(cron: str) -> str | None:
    """Why an expression is no cron expression, or None."""
    from cronsim import CronSimError  # noqa: PLC0415

    if len(cron.split()) != 5:
        return "a cron expression has five fields: minute, hour, day, month, weekday"
    try:
        _match_after(cron, datetime(2000, 1, 1))  # noqa: DTZ001 - as above
    except CronSimError as error:
        return f"'{cron}' is no cron expression: {str(error).lower()}"
    except StopIteration:
        return f"'{cron}' is never due"
    return None


def timezone_problem(name: str) -> str | None:
    """Why a name is no time zone, or None."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return f"no time zone named '{name}'"
    return None
