"""Why a job is BLOCKED: the jobs that it waits for, the deepest one that is stuck, a key that is taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aurora_db.base.codec import encode, timestamp
from aurora_db.base.records import Job, Status
from aurora_db.jobs import queue, why_waiting
from aurora_db.jobs.alive import Worker
from aurora_db.jobs.spoken import counted, lasting, listed
from aurora_db.store.port import Port, Row

#: Jobs that are looked at on the way down, at most.
MOST: Final = 10_000
#: Jobs that are named.
NAMED: Final = 5

#: Of these jobs some that have not ended.
OPEN = f"""
    SELECT id, type, status FROM _jobs
     WHERE id IN (SELECT value FROM json_each(?)) AND finished_at IS NULL LIMIT {NAMED + 1}
"""
#: Of these jobs some that must run again: who waits for them was let run again without them.
ENDED = f"""
    SELECT job.id, job.type, job.status FROM json_each(:after) AS named CROSS JOIN _jobs AS job ON job.id = named.value
     CROSS JOIN _job_dependencies AS edge ON edge.job_id = job.id AND edge.waiting = :id
     WHERE job.status IN ('FAILED', 'CANCELLED') AND edge.outcome IS NULL LIMIT {NAMED + 1}
"""
#: What blocked jobs wait for, and so on, the deepest first.
DEEPEST = f"""
    WITH RECURSIVE below (id, depth) AS (
        SELECT value, 1 FROM json_each(:after)
        UNION
        SELECT named.value, below.depth + 1
          FROM below CROSS JOIN _jobs AS job ON job.id = below.id AND job.status = 'BLOCKED' AND job.after IS NOT NULL
         CROSS JOIN json_each(job.after) AS named
         ORDER BY 2 DESC LIMIT {MOST}
    )
    SELECT job.id, max(below.depth) FROM below CROSS JOIN _jobs AS job ON job.id = below.id
     WHERE job.finished_at IS NULL AND job.status <> 'BLOCKED'
     GROUP BY job.id ORDER BY 2 DESC, job._n LIMIT 1
"""
KEY = """
    SELECT other.id, other.status FROM _job_keys AS held JOIN _jobs AS other ON other.id = held.job_id
     WHERE held.type = :type AND held.key = :key AND held.job_id <> :id
       AND EXISTS (SELECT 1 FROM json_each(held.statuses) WHERE value = other.status)
       AND (held.until IS NULL OR held.until > :now)
"""


async def blocked(port: Port, job: Job, workers: Sequence[Worker]) -> list[str]:
    """What a BLOCKED job waits for."""
    lines = await _dependencies(port, job, workers) if job.after else []
    if not lines:
        lines = await why_waiting.limits(port, job)
    if not lines:
        lines = [await key_taken(port, job)]
    lines.append(why_waiting.nobody(job, workers))
    found = [one for one in lines if one]
    return found or ["what it waited for has ended; it is freed in a moment."]


async def _dependencies(port: Port, job: Job, workers: Sequence[Worker]) -> list[str]:
    waits = await port.rows(OPEN, (encode(job.after),))
    if not waits:
        return await _left_behind(port, job)
    number = max(len(waits), job.depends_on or 0)
    of = "" if number == len(job.after) else f" of {len(job.after):,}"
    lines = [f"it waits for the end of {counted(number)}{of}: {_named(waits, number)}."]
    row = await port.row(DEEPEST, {"after": encode(job.after)})
    if row is None:
        return lines
    stuck = await queue.get(port, row[0])
    if stuck is None:
        return lines
    depth = "" if row[1] == 1 else f", {counted(row[1], 'step')} down,"
    lines.append(
        f"what holds all of it up{depth} is {_job(stuck.id, stuck.type, stuck.status)}: {await _stuck(port, stuck, workers)}"
    )
    return lines


async def _left_behind(port: Port, job: Job) -> list[str]:
    """That it runs only when jobs that have ended in vain run again, and complete."""
    ended = await port.rows(ENDED, {"after": encode(job.after), "id": job.id})
    if not ended:
        return []
    number = max(len(ended), job.depends_on or 0)
    return [
        f"it waits until {counted(number)} that ended in vain completes in another run: {_named(ended, number)}.",
        f"run it again: db.retry_job('{ended[0][0]}').",
    ]


async def _stuck(port: Port, job: Job, workers: Sequence[Worker]) -> str:
    match job.status:
        case Status.PENDING:
            return (await why_waiting.pending(port, job, workers))[0]
        case Status.SCHEDULED:
            return (await why_waiting.scheduled(port, job, workers))[0]
        case _:
            began = job.started_at or port.now()
            return f"it runs since {lasting((port.now() - began).total_seconds())} at worker '{job.worker}'."


async def key_taken(port: Port, job: Job) -> str:
    """That another job has its unique key by now; nothing if none has."""
    if job.unique_key is None:
        return ""
    row = await port.row(KEY, {
        "type": job.type, "key": job.unique_key, "id": job.id, "now": timestamp(port.now()),
    })  # fmt: skip
    if row is None:
        return ""
    return f"it cannot run while job '{row[0]}' ({row[1]}) has its unique key '{job.unique_key}'."


def _job(id: str, type: str, status: str) -> str:
    return f"job '{id}' ({type}, {status})"


def _named(rows: Sequence[Row], number: int) -> str:
    names = [_job(*row).removeprefix("job ") for row in rows[:NAMED]]
    rest = number - len(names)
    return listed(names) if rest <= 0 else f"{', '.join(names)} and {rest:,} more"
