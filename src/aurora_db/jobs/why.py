"""Why a job is as it is: a few plain sentences for a person who waits for it.

Everything comes from the tables, in one snapshot, and costs a bounded number of steps, whatever the
length of the queue. The wording is for people and may change.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final, assert_never

from aurora_db.base.codec import instant
from aurora_db.base.errors import NotFound
from aurora_db.base.records import Job, Status
from aurora_db.jobs import alive, queue, upkeep, why_blocked, why_waiting
from aurora_db.jobs.alive import Worker
from aurora_db.jobs.spoken import at, counted, lasting, short, since
from aurora_db.store.port import Port

#: The last thing that went wrong in a job, of each kind.
LAST_ERROR = """
    SELECT attempt, at, error FROM _job_errors
     WHERE job_id = ? AND after_completion = ? ORDER BY rowid DESC LIMIT 1
"""
STEPS = "SELECT count(*), max(name) FROM _job_steps WHERE job_id = ? AND sleep_until IS NULL"
#: Whether an error is that of a failure, and not the reason for a cancellation.
KNOWN = "SELECT 1 FROM _job_errors WHERE job_id = ? AND error = ? LIMIT 1"
#: How errors begin by which a policy cancelled a job.
BY_POLICY: Final = "waited for the job"


async def why(port: Port, id: str, folder: Path) -> str:
    """Why the job of this id is as it is: one sentence a line.

    Args:
        port: a snapshot.
        id: the job.
        folder: beside the database, where workers of this machine have their locks.

    Raises:
        NotFound: there is no such job.
    """
    job = await queue.get(port, id)
    if job is None:
        raise NotFound(
            f"no job with the id '{id}'",
            hint="its id is what enqueue_job returned; jobs that ended are pruned after job_retention",
        )
    lines = await _told(port, job, await alive.workers(port, folder))
    head, *rest = [line for line in lines if line]
    return "\n".join([f"{job.status}: {head}", *(line[0].upper() + line[1:] for line in rest)])


async def _told(port: Port, job: Job, workers: list[Worker]) -> list[str]:
    match job.status:
        case Status.PENDING:
            return await why_waiting.pending(port, job, workers)
        case Status.SCHEDULED:
            return await why_waiting.scheduled(port, job, workers)
        case Status.BLOCKED:
            return await why_blocked.blocked(port, job, workers)
        case Status.RUNNING:
            return await _running(port, job, workers)
        case Status.COMPLETED:
            return await _completed(port, job)
        case Status.FAILED:
            return await _failed(port, job)
        case Status.CANCELLED:
            return await _cancelled(port, job)
        case _:
            assert_never(job.status)


async def _running(port: Port, job: Job, workers: list[Worker]) -> list[str]:
    now = port.now()
    began = job.started_at or now
    known = next((one for one in workers if one.id == job.worker), None)
    name = f"'{job.worker}'" if known is None else known.name
    lasts = lasting((now - began).total_seconds())
    lines = [f"it runs since {lasts} at worker {name}, as attempt {job.attempt}, {_failures(job)}."]
    lines.append(_lease(job, known, workers, now))
    if job.timeout is not None:
        lines.append(f"an attempt may take {lasting(job.timeout)}.")
    if job.progress is not None or job.progress_note:
        part = "" if job.progress is None else f" {job.progress:.0%}"
        lines.append(f"it says of its progress:{part} {job.progress_note or ''}".rstrip() + ".")
    row = await port.row(STEPS, (job.id,))
    if row is not None and row[0]:
        lines.append(f"it has finished {counted(row[0], 'step')}.")
    if job.crashes:
        lines.append(_crashes(job))
    return lines


def _failures(job: Job) -> str:
    if not job.retries:
        return f"with no failure so far and {counted(job.max_retries, 'attempt')} allowed"
    return f"with {counted(job.retries, 'failure')} so far and {counted(job.max_retries, 'attempt')} allowed"


def _lease(job: Job, known: Worker | None, workers: list[Worker], now: datetime) -> str:
    until = job.lease_until or now
    left = (until - now).total_seconds()
    others = any(one.alive for one in workers if one.id != job.worker)
    if known is not None and known.alive and left > 0:
        return f"its worker is alive and holds it for {lasting(left)} more, unless it renews that."
    gone = (
        "its worker has not renewed its lease"
        if known is not None and known.alive
        else "its worker is gone"
    )
    if others:
        return f"{gone}; another one gives it back in a moment."
    return f"{gone}, and no other worker is alive to give it back: start one."


def _crashes(job: Job) -> str:
    return (
        f"{counted(job.crashes, 'worker')} died running it; at {upkeep.MOST_CRASHES} it is given up, "
        "and before that it runs alone."
    )


# --- ended ----------------------------------------------------------------------------------


def _ended(job: Job, now: datetime) -> str:
    return since(job.finished_at or now, now)


def _again(job: Job) -> str:
    return f"to run it again: db.retry_job('{job.id}')."


async def _completed(port: Port, job: Job) -> list[str]:
    now = port.now()
    took = ""
    if job.started_at is not None and job.finished_at is not None:
        took = f" in {lasting((job.finished_at - job.started_at).total_seconds())}"
    lines = [f"it ended {_ended(job, now)}; attempt {job.attempt} did it{took}."]
    if job.retries:
        lines.append(f"{counted(job.retries, 'attempt')} before it failed.")
    row = await port.row(LAST_ERROR, (job.id, 1))
    if row is not None:
        lines.append(
            f"after the completion its handler raised {short(row[2])}; what it had committed stays."
        )
    lines.append(await why_blocked.key_taken(port, job) or _again(job))
    return lines


async def _failed(port: Port, job: Job) -> list[str]:
    error = short(job.error or "no error was kept")
    ended = _ended(job, port.now())
    if (job.error or "").startswith(upkeep.POISON):
        head = f"it was given up {ended}: {error}, so that it kills no more of them."
    elif job.attempt == 0:
        head = f"it was refused {ended}: {error}."
    elif job.retries >= job.max_retries:
        head = (
            f"all {counted(job.max_retries, 'attempt')} failed, the last one {ended}, by {error}."
        )
        if job.max_retries == 1:
            head = f"its only attempt failed {ended}, by {error}."
    else:
        head = f"attempt {job.attempt} failed for good {ended}, by {error}; {job.retries} of {job.max_retries} were used."
    lines = [head]
    if job.crashes and not (job.error or "").startswith(upkeep.POISON):
        lines.append(f"{counted(job.crashes, 'worker')} died running it.")
    if job.attempt:
        lines.append(
            f"the tracebacks: aurora jobs FILE errors {job.id}, or the collection _job_errors."
        )
    lines.append(await why_blocked.key_taken(port, job) or _again(job))
    return lines


async def _cancelled(port: Port, job: Job) -> list[str]:
    ended = _ended(job, port.now())
    row = await port.row(LAST_ERROR, (job.id, 0))
    if job.error is not None and job.error.startswith(BY_POLICY):
        head = f"by policy, {ended}: it {short(job.error)}."
    elif job.error is not None and await port.row(KNOWN, (job.id, job.error)) is None:
        head = f"by its own handler, in attempt {job.attempt}, {ended}: {short(job.error)}."
    elif job.started_at is not None and job.attempt and job.worker is not None:
        head = f"by cancel_job, {ended}, after {counted(job.attempt, 'attempt')}."
    else:
        head = f"by cancel_job, {ended}, before it ran."
    lines = [head]
    if row is not None:
        lines.append(f"its last failure, {at(instant(row[1]))}: {short(row[2])}.")
    lines.append(await why_blocked.key_taken(port, job) or _again(job))
    return lines
