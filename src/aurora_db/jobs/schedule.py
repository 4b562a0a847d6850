"""Schedules as they are listed: their definition, when they fire, how the last time went."""

from __future__ import annotations

from datetime import datetime

import msgspec

from aurora_db.aql import catalog
from aurora_db.base.codec import instant
from aurora_db.store.port import Port

LIST = """
    SELECT s.definition, s.next_at, s.due_at, s.last_at, r.outcome, r.error
      FROM _schedules AS s
      LEFT JOIN _schedule_runs AS r
        ON r.schedule = s.name
       AND r.due_at = (SELECT due_at FROM _schedule_runs
                        WHERE schedule = s.name ORDER BY due_at DESC LIMIT 1)
     ORDER BY s.name
"""


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule as it was when it was read.

    Either `cron` with `timezone` or `every`, in seconds, is set. `next_at` is None while it is
    disabled, and has the jitter in it. `last_at` is when it fired last, `last_outcome` is FIRED, SKIPPED
    or FAILED, with `last_error` saying why.
    """

    name: str
    cron: str | None = None
    every: float | None = None
    timezone: str = "UTC"
    catch_up: str = "ONE"
    overlap: str = "ALLOW"
    jitter: float = 0.0
    enabled: bool = True
    next_at: datetime | None = None
    due_at: datetime | None = None
    last_at: datetime | None = None
    last_outcome: str | None = None
    last_error: str | None = None
    #: The definition, in AQL.
    text: str = ""

    def upcoming(self, count: int = 10) -> tuple[datetime, ...]:
        """The instants at which it fires next, jitter included, UTC; none while it is disabled."""
        if self.due_at is None:
            return ()
        from aurora_db.aql import timetable  # noqa: PLC0415 - few programs have schedules

        known = catalog.Schedule(
            name=self.name, text="", digest="", cron=self.cron, every=self.every,
            timezone=self.timezone, jitter=self.jitter, anchor=self.due_at,
        )  # fmt: skip
        return timetable.first_of(known, self.due_at, count)


async def listed(port: Port) -> list[Schedule]:
    """All schedules, by name."""
    return [_record(*row) for row in await port.rows(LIST)]


def _record(
    definition: str,
    next_at: str | None,
    due_at: str | None,
    last_at: str | None,
    outcome: str | None,
    error: str | None,
) -> Schedule:
    known = msgspec.json.decode(definition, type=catalog.Schedule)
    return Schedule(
        name=known.name, cron=known.cron, every=known.every, timezone=known.timezone,
        catch_up=known.catch_up, overlap=known.overlap, jitter=known.jitter, enabled=known.enabled,
        next_at=_when(next_at), due_at=_when(due_at), last_at=_when(last_at), last_outcome=outcome,
        last_error=error, text=known.text,
    )  # fmt: skip


def _when(text: str | None) -> datetime | None:
    return None if text is None else instant(text)
