"""Signs of life of attempts: how far they are, and the renewal of their leases.

A handler only leaves its report with its attempt, which costs no write. The pump writes those of all
attempts together, ten times a second at most, and with the end of an attempt what it said last.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from datetime import timedelta
from typing import cast

from aurora_db.base.codec import encode, storable, timestamp
from aurora_db.base.errors import ValidationError
from aurora_db.jobs.queue import LEASE, Claimed, Report
from aurora_db.sql.statement import Batch
from aurora_db.store.port import Port

#: Seconds between two writes of what attempts say.
EVERY = 0.1

#: The guard keeps a zombie out. What is not said stays.
WRITE = Batch(
    "WITH told (n, attempt, worker, progress, note, lease) AS (VALUES ",
    6,
    """) UPDATE _jobs NOT INDEXED
       SET progress = coalesce(told.progress, _jobs.progress),
           progress_note = coalesce(told.note, _jobs.progress_note), lease_until = told.lease
      FROM told
     WHERE _jobs._n = told.n AND _jobs.attempt = told.attempt AND _jobs.worker = told.worker
       AND _jobs.status = 'RUNNING'""",
)
HELD = """
    SELECT _n, attempt, worker FROM _jobs
     WHERE _n IN (SELECT value FROM json_each(?)) AND +status = 'RUNNING'
"""


class Done:
    """Nothing is left to wait for: in an async handler `await job.progress(…)` is the same as without."""

    __slots__ = ()

    def __await__(self) -> Generator[None]:
        """End at once."""
        return
        yield


DONE = Done()


def report(job: Claimed, before: Report | None, done: object, note: object) -> Report:
    """What an attempt says now; a note stays until there is another one.

    Raises:
        ValidationError: `done` is not between 0 and 1, or the note is not a text.
    """
    number = isinstance(done, (int, float)) and not isinstance(done, bool)
    if not number or not 0 <= cast("float", done) <= 1 or math.isnan(cast("float", done)):
        raise ValidationError(
            f"progress goes from 0 to 1, got {done!r}",
            hint="give the part that is done: job.progress(done / total)",
            rule="range",
            value=done,
        )
    if note is not None and not isinstance(note, str):
        raise ValidationError(
            f"the note of a progress is a text, got {note!r}",
            hint='job.progress(0.4, "resizing")',
            rule="type",
            value=note,
        )
    if note is not None:
        return Report(job, float(cast("float", done)), storable(note))
    return Report(job, float(cast("float", done)), None if before is None else before.note)


def renewal(job: Claimed, before: Report | None) -> Report:
    """A report that says nothing new."""
    return Report(job) if before is None else Report(job, before.progress, before.note)


async def write(port: Port, reports: Sequence[Report]) -> list[Report]:
    """Write what attempts say, and renew their leases; returns the reports of those who lost theirs."""
    lease = timestamp(port.now() + timedelta(seconds=LEASE))
    rows = [
        (one.job.n, one.job.attempt, one.job.worker, one.progress, one.note, lease)
        for one in reports
    ]
    if await port.batch(WRITE, rows) == len(rows):
        return []
    held = set(await port.rows(HELD, (encode([one.job.n for one in reports]),)))
    return [one for one in reports if (one.job.n, one.job.attempt, one.job.worker) not in held]
