"""Aging: jobs that have waited long in a queue rise, so that nobody starves.

A queue with `aging` lets a waiting job rise by one priority for each so many seconds, from LOW
to NORMAL and to HIGH; CRITICAL stays a person's word. A wait is counted from the enqueueing, or
from `run_at` where there is one, and anew from each rise. In small steps: each looks at some jobs
of a lane in the order of enqueueing, and ends at the first that is too young.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from aurora_db.base.codec import encode, instant, timestamp
from aurora_db.sql.statement import Batch
from aurora_db.store.port import Port

#: Jobs of one lane that are looked at in one step.
MOST = 1_000

ANY = "SELECT EXISTS (SELECT 1 FROM _queues WHERE aging IS NOT NULL) OR EXISTS (SELECT 1 FROM _job_rises)"
QUEUES = "SELECT name, aging FROM _queues WHERE aging IS NOT NULL"
#: The lanes of a queue in which jobs of this priority wait, by leaps through the index.
LANES = """
    WITH RECURSIVE types (type) AS (
        SELECT min(type) FROM _jobs WHERE status = 'PENDING'
        UNION ALL
        SELECT (SELECT min(type) FROM _jobs WHERE status = 'PENDING' AND type > types.type)
          FROM types WHERE type IS NOT NULL
    )
    SELECT type FROM types
     WHERE type IS NOT NULL
       AND EXISTS (SELECT 1 FROM _jobs
                    WHERE status = 'PENDING' AND type = types.type AND queue = :queue AND priority = :priority)
"""
WAITING = """
    SELECT _n, created_at, coalesce(since, run_at, created_at)
      FROM _jobs LEFT JOIN _job_rises ON n = _n
     WHERE status = 'PENDING' AND type = :type AND queue = :queue AND priority = :priority AND _n > :after
     ORDER BY _n LIMIT :most
"""
RISE = """
    UPDATE _jobs SET priority = priority + 1
     WHERE _n IN (SELECT value FROM json_each(:numbers)) AND +status = 'PENDING'
"""
KEEP = Batch.insert(
    "_job_rises", ("n", "since"), " ON CONFLICT DO UPDATE SET since = excluded.since"
)
#: Notes, and whether the job has ended.
NOTES = """
    SELECT r.n, j._n IS NULL OR j.finished_at IS NOT NULL
      FROM (SELECT n FROM _job_rises WHERE n > :after ORDER BY n LIMIT :most) AS r LEFT JOIN _jobs AS j ON j._n = r.n
"""
FORGET = "DELETE FROM _job_rises WHERE n IN (SELECT value FROM json_each(:numbers))"

#: Queue, job type, priority.
_Place = tuple[str, str, int]


async def any_to_do(port: Port) -> bool:
    """Whether any queue lets its jobs rise, or did so."""
    row = await port.row(ANY)
    return row is not None and bool(row[0])


class Aging:
    """Goes through the waiting jobs of the queues that let them rise."""

    def __init__(self) -> None:
        #: The number up to which a lane was looked at.
        self._after: dict[_Place, int] = {}
        self._noted = 0

    async def step(self, port: Port) -> bool:
        """Let some jobs rise; whether there is more to look at."""
        after: dict[_Place, int] = {}
        now = port.now()
        for queue, seconds in await port.rows(QUEUES):
            # From above, or what rises would be met again.
            for priority in (0, -1):
                for (type,) in await port.rows(LANES, {"queue": queue, "priority": priority}):
                    place = (queue, type, priority)
                    last = await self._lane(port, place, timedelta(seconds=seconds), now)
                    if last is not None:
                        after[place] = last
        self._after = after
        await self._forget(port)
        return bool(after)

    async def _forget(self, port: Port) -> None:
        """Forget the rises of jobs that have ended, some at a time."""
        rows = await port.rows(NOTES, {"after": self._noted, "most": MOST})
        self._noted = rows[-1][0] if len(rows) == MOST else 0
        ended = [n for n, has_ended in rows if has_ended]
        if ended:
            await port.change(FORGET, {"numbers": encode(ended)})

    async def _lane(self, port: Port, place: _Place, aging: timedelta, now: datetime) -> int | None:
        """Look at some jobs of a lane; the last one's number when others may follow."""
        queue, type, priority = place
        rows = await port.rows(WAITING, {
            "queue": queue, "type": type, "priority": priority, "after": self._after.get(place, 0), "most": MOST,
        })  # fmt: skip
        before = timestamp(now - aging)
        rising = [(n, timestamp(instant(since) + aging)) for n, _, since in rows if since <= before]
        if rising:
            await port.change(RISE, {"numbers": encode([n for n, _ in rising])})
            await port.batch(KEEP, rising)
        if len(rows) < MOST or rows[-1][1] > before:
            return None
        return rows[-1][0]
