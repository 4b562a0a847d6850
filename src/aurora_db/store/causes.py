"""What causes what: jobs of event handlers name the job whose writes fired the handler.

While a job handler runs, `CURRENT` names its job, and whatever it writes stands in a transaction that
has a row in `_causing` meanwhile; the triggers of the event handlers read it. So the length of a chain
of causes is known where the next job is made, and a chain without end is cut.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from aurora_db.store.port import Port

#: The id of the job whose handler runs in this thread or task.
CURRENT: Final[ContextVar[str | None]] = ContextVar("aurora_db_job", default=None)

BEGIN = """
    INSERT INTO _causing (job, depth, chain, newest)
    SELECT id, coalesce(json_extract(cause, '$.depth'), 0),
           coalesce(json_extract(cause, '$.chain'), json_extract(cause, '$.handler'), ''),
           (SELECT max(_n) FROM _jobs)
      FROM _jobs WHERE id = ?
"""
#: A job that a job handler enqueues is no link of the chain, and does not break it either.
CONTINUE = """
    UPDATE _jobs SET cause = json_object('job', c.job, 'depth', c.depth, 'chain', c.chain)
      FROM _causing AS c
     WHERE _jobs._n > c.newest AND _jobs.cause IS NULL
"""
END = "DELETE FROM _causing"
NEWEST = "SELECT coalesce(max(_n), 0) FROM _jobs"
#: What the worker of a handler enqueues has the cause of the handler, and was made by its job.
INHERIT = """
    UPDATE _jobs SET cause = (SELECT json_set(cause, '$.job', id) FROM _jobs WHERE id = ?)
     WHERE _n > ? AND cause IS NULL
"""


async def begin(port: Port, job: str | None) -> bool:
    """From here on the writes of this transaction are caused by a job; whether that matters."""
    if job is None or not port.catalog.handlers:
        return False
    await port.change(BEGIN, (job,))
    return True


async def end(port: Port) -> None:
    """The writes after this are nobody's; the jobs among those before get their cause."""
    await port.change(CONTINUE)
    await port.change(END)


async def newest_job(port: Port) -> int:
    """The place of the newest job."""
    row = await port.row(NEWEST)
    return 0 if row is None else row[0]


async def inherit(port: Port, job: str, after: int) -> None:
    """Give the jobs enqueued since `after` the cause of the job that enqueued them."""
    await port.change(INHERIT, (job, after))
