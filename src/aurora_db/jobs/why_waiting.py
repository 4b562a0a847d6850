"""Why a job waits that may run, or may soon: the queue, its limits, the workers, the line, the time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from aurora_db.aql import suggest
from aurora_db.base.codec import decode, instant, timestamp
from aurora_db.base.records import Job, Priority
from aurora_db.jobs.alive import Worker
from aurora_db.jobs.keys import filled
from aurora_db.jobs.spoken import at, counted, lasting, listed, quoted, short, since
from aurora_db.store.port import Port

#: What is counted of a line; beyond it is "more than".
MOST: Final = 1_000
#: Types whose lines are counted, at most.
LANES: Final = 50
_LAST: Final = 2**63 - 1

#: The index of what is pending has type, queue, priority and number, so this reads what it counts.
BEFORE = """
    SELECT count(*) FROM (SELECT 1 FROM _jobs
                           WHERE status = 'PENDING' AND type = :type AND queue = :queue AND priority = :priority
                             AND _n < :n LIMIT :most)
"""
NUMBER = "SELECT _n FROM _jobs WHERE id = ?"
PAUSED = "SELECT paused_at FROM _queues WHERE name = ? AND paused_at IS NOT NULL"
LIMITS = """
    SELECT scope, name, concurrency, rate_count, rate_period, key FROM _limits
     WHERE (scope = 'queue' AND name = :queue) OR (scope = 'type' AND name = :type)
"""
#: There are never more of these than slots of all workers.
HELD = {
    "queue": "SELECT id, payload FROM _jobs WHERE status = 'RUNNING' AND queue = ? AND id <> ?",
    "type": "SELECT id, payload FROM _jobs WHERE status = 'RUNNING' AND type = ? AND id <> ?",
}
BUSY = "SELECT count(*) FROM _jobs WHERE status = 'RUNNING' AND worker IN (SELECT value FROM json_each(?))"
LAST_ERROR = """
    SELECT attempt, error FROM _job_errors
     WHERE job_id = ? AND after_completion = 0 ORDER BY rowid DESC LIMIT 1
"""
#: The sleep that ends when the job may run.
SLEEP = "SELECT name FROM _job_steps WHERE job_id = ? AND sleep_until = ?"


async def pending(port: Port, job: Job, workers: Sequence[Worker]) -> list[str]:
    """What keeps a PENDING job from running, the strongest reason first."""
    able = [one for one in workers if one.alive and job.type in one.types]
    lines = [await _paused(port, job), nobody(job, workers), *await limits(port, job)]
    lines = [one for one in lines if one]
    lines.append(await _line(port, job, able, held=bool(lines)))
    if job.crashes:
        lines.append(f"{counted(job.crashes, 'worker')} died running it.")
    return lines


async def scheduled(port: Port, job: Job, workers: Sequence[Worker]) -> list[str]:
    """What a SCHEDULED job waits for, and what will keep it from running then."""
    now = port.now()
    due = job.run_at or now
    reason = await _because(port, job, now)
    left = (due - now).total_seconds()
    if left > 0:
        lines = [f"it may run in {lasting(left)}, at {at(due)}: {reason}."]
    else:
        lines = [
            f"it is due since {lasting(-left)}: {reason}; the next look of a worker takes it up."
        ]
    lines += [await _paused(port, job), nobody(job, workers)]
    return lines


async def _because(port: Port, job: Job, now: datetime) -> str:
    if job.attempt == 0 or job.started_at is None:
        return "it was enqueued with that delay or time"
    if job.retries and job.last_retry is not None and job.last_retry >= job.started_at:
        row = await port.row(LAST_ERROR, (job.id,))
        error = job.error if row is None else row[1]
        return (
            f"attempt {job.attempt} failed {since(job.last_retry, now)}, by {short(error or 'an error')}, and this is "
            f"its back-off; {job.retries} of {job.max_retries} attempts are used"
        )
    row = await port.row(SLEEP, (job.id, timestamp(job.run_at or now)))
    if row is not None:
        return f"its handler sleeps, in step '{row[0]}'"
    return f"its handler snoozed it in attempt {job.attempt}"


# --- what holds it --------------------------------------------------------------------------


async def _paused(port: Port, job: Job) -> str:
    row = await port.row(PAUSED, (job.queue,))
    if row is None:
        return ""
    when = since(instant(row[0]), port.now())
    return f"queue '{job.queue}' was paused {when}; resume it: db.workers.resume('{job.queue}')."


def nobody(job: Job, workers: Sequence[Worker]) -> str:
    """That no worker is there for the job; nothing if one is."""
    living = [one for one in workers if one.alive]
    if any(job.type in one.types for one in living):
        return ""
    if not living:
        gone = [one for one in workers if job.type in one.types]
        last = max((one.heartbeat_at for one in gone), default=None)
        more = (
            "" if last is None else f"; the last one that had its type was heard of at {at(last)}"
        )
        return f"no worker is alive{more}: start one, by `aurora work` or workers_enabled=True."
    types = sorted({type for one in living for type in one.types})
    hint = suggest.hint(job.type, types)
    told = "; ".join(
        f"worker {one.name} has {quoted(one.types) if one.types else 'none'}" for one in living[:5]
    )
    more = f"; and {len(living) - 5:,} more workers" if len(living) > 5 else ""
    return f"no worker that is alive has the type '{job.type}': {told}{more}.{'' if hint is None else f' {hint[0].upper()}{hint[1:]}'}"


async def limits(port: Port, job: Job) -> list[str]:
    """The limits that it has to wait for, and who holds them."""
    lines: list[str] = []
    for scope, name, concurrency, _, _, key in await port.rows(
        LIMITS, {"queue": job.queue, "type": job.type}
    ):
        mine = None if key is None else filled(key, job.payload)
        held = await _holders(port, job, scope, key, mine)
        if concurrency is not None and len(held) >= concurrency:
            of = f"{scope} '{name}'" + ("" if mine is None else f", for key '{mine}'")
            verb = "runs" if len(held) == 1 else "run"
            lines.append(
                f"the limit of {concurrency} at once of {of} is reached: {listed(held)} {verb}."
            )
    return lines


async def _holders(
    port: Port, job: Job, scope: str, key: str | None, mine: str | None
) -> list[str]:
    rows = await port.rows(HELD[scope], (job.queue if scope == "queue" else job.type, job.id))
    return [
        f"'{id}'" for id, payload in rows if key is None or filled(key, decode(payload)) == mine
    ]


# --- its place in the line ------------------------------------------------------------------


async def _line(port: Port, job: Job, able: Sequence[Worker], *, held: bool) -> str:
    """How many are before it among what the workers that have its type can run."""
    row = await port.row(NUMBER, (job.id,))
    n = 0 if row is None else row[0]
    types = dict.fromkeys([job.type, *(type for one in able for type in one.types)])
    higher: list[str] = []
    total = 0
    for priority in sorted(Priority, reverse=True):
        if priority < job.priority:
            break
        upto = n if priority == job.priority else _LAST
        count = await _count(port, job.queue, list(types)[:LANES], priority, upto)
        total += count
        if count and priority == job.priority:
            many = f"more than {MOST:,}" if count > MOST else f"{count:,}"
            higher.append(f"{many} older {'one' if count == 1 else 'ones'} of its priority")
        elif count:
            higher.append(
                f"{f'more than {MOST:,}' if count > MOST else f'{count:,}'} {priority.name}"
            )
    if total:
        is_, many = "is" if total == 1 else "are", counted(total, most=MOST)
        return f"{many} {is_} before it: {', '.join(higher)} in queue '{job.queue}'."
    if held:
        return f"no job is before it in queue '{job.queue}'."
    return await _next(port, able)


async def _count(port: Port, queue: str, types: Sequence[str], priority: int, upto: int) -> int:
    total = 0
    for type in types:
        row = await port.row(BEFORE, {
            "type": type, "queue": queue, "priority": priority, "n": upto, "most": MOST + 1 - total,
        })  # fmt: skip
        total += 0 if row is None else row[0]
        if total > MOST:
            break
    return total


async def _next(port: Port, able: Sequence[Worker]) -> str:
    row = await port.row(BUSY, (json.dumps([one.id for one in able]),))
    busy, slots = 0 if row is None else row[0], sum(one.threads for one in able)
    workers = (
        f"the {counted(len(able), 'worker')} that {'has' if len(able) == 1 else 'have'} its type"
    )
    if busy >= slots:
        return f"it is next in the line, and all {counted(slots, 'slot')} of {workers} are busy."
    return f"it is next in the line, and {workers} {'has' if len(able) == 1 else 'have'} a free slot: it begins in a moment."
