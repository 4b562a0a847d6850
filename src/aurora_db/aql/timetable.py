"""When a schedule is due: cron with a time zone, or every so often. Pure: the present is given.

Days on which clocks move are Debian's cron's: what falls into the skipped hour is due right after it,
what falls into the repeated hour is due once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from aurora_db.aql.catalog import Schedule

#: Seconds between two times, at least.
SHORTEST: Final = 1.0


def next_due(schedule: Schedule, after: datetime) -> datetime:
    """The first instant after `after` at which the schedule is due, UTC, without jitter.

    Source of the rules of cron: CronSim, which follows Debian's cron.
    """
    if schedule.every is not None:
        return after + timedelta(seconds=schedule.every)
    # Only a definition of a schedule needs it.
    from cronsim import CronSim  # noqa: PLC0415

    assert schedule.cron is not None
    local = after.astimezone(ZoneInfo(schedule.timezone))
    return next(CronSim(schedule.cron, local)).astimezone(UTC)


def cron_problem(cron: str) -> str | None:
    """Why an expression is no cron expression, or None."""
    from cronsim import CronSim, CronSimError  # noqa: PLC0415

    if len(cron.split()) != 5:
        return "a cron expression has five fields: minute, hour, day, month, weekday"
    try:
        next(CronSim(cron, datetime(2000, 1, 1, tzinfo=UTC)))
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
