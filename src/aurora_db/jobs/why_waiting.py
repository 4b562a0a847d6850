"""Why a job waits that may run, or may soon: the queue, its limits, the workers, the line, the time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from aurora_db.aql import suggest
from aurora_db.base.codec import encode, instant, timestamp
from aurora_db.base.records import Job, Priority
from aurora_db.jobs import limits as limits_of
from aurora_db.jobs import meters
from aurora_db.jobs.alive import Worker
from aurora_db.jobs.limits import Limit
from aurora_db.jobs.meters import Meter
from aurora_db.jobs.spoken import at, counted, lasting, listed, quoted, short, since
from aurora_db.store.port import Port

#: What is counted of a line; beyond it is "more than".
MOST: Final = 1_000
#: Types whose lines are counted, at most.
LANES: Final = 50
#: Workers that are named.
NAMED: Final = 5
_LAST: Final = 2**63 - 1

#: The index of what is pending has type, queue, priority and number, so this reads what it counts.
BEFORE = """
    SELECT count(*) FROM (SELECT 1 FROM _jobs
                           WHERE status = 'PENDING' AND type = :type AND queue = :queue AND priority = :priority
                             AND _n < :n LIMIT :most)
"""
NUMBER = "SELECT _n FROM _jobs WHERE id = ?"
PAUSED = "SELECT paused_at FROM _queues WHERE name = ? AND paused_at IS NOT NULL"
#: Who has a place at a limit; there are never more than slots of all workers.
HOLDERS = f"""
    SELECT j.id FROM _limit_places AS p CROSS JOIN _jobs AS j
     WHERE p.scope = ? AND p.name = ? AND p.key = ? AND j._n = p.n AND {meters.RUNS} AND j.id <> ?
"""
PARKED = """
    SELECT count(*) FROM (SELECT 1 FROM _limit_parked
                           WHERE scope = :scope AND name = :name AND key = :key
                             AND (priority > :priority OR (priority = :priority AND n < :n)) LIMIT :most)
"""
BUSY = "SELECT count(*) FROM _jobs WHERE status = 'RUNNING' AND worker IN (SELECT value FROM json_each(?))"
LAST_ERROR = """
    SELECT attempt, error FROM _job_errors
     WHERE job_id = ? AND after_completion = 0 ORDER BY rowid DESC LIMIT 1
"""
#: The sleep that ends when the job may run.
SLEEP = "SELECT name FROM _job_steps WHERE job_id = ? AND sleep_until = ?"


async def pending(port: Port, job: Job, workers: Sequence[Worker]) -> list[str]:
    """What keeps a PENDING job from running, the strongest reason first."""
    able = [one for one in workers if one.alive and one.can(job.type, job.queue)]
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
    having = [one for one in living if job.type in one.types]
    if any(one.can(job.type, job.queue) for one in having):
        return ""
    if having:
        told = "; ".join(
            f"worker {one.name} serves {quoted(one.queues or ())}" for one in having[:NAMED]
        )
        return f"no worker that is alive and has the type '{job.type}' serves the queue '{job.queue}': {told}{_more(having)}."
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
        f"worker {one.name} has {quoted(one.types) if one.types else 'none'}"
        for one in living[:NAMED]
    )
    return f"no worker that is alive has the type '{job.type}': {told}{_more(living)}.{'' if hint is None else f' {hint[0].upper()}{hint[1:]}'}"


def _more(workers: Sequence[Worker]) -> str:
    return f"; and {len(workers) - NAMED:,} more workers" if len(workers) > NAMED else ""


async def limits(port: Port, job: Job) -> list[str]:
    """The limits that it has to wait for, who holds them, and how many wait there before it."""
    known = await meters.limits(port)
    lines: list[str] = []
    for scope, name in (("type", job.type), ("queue", job.queue)):
        limit = known.get((scope, name))
        if limit is None:
            continue
        meter = (scope, name, limits_of.value(limit, encode(job.payload)))
        of = f"{scope} '{name}'" + ("" if limit.key is None else f", for key '{meter[2]}'")
        lines += await _held_up(port, job, limit, meter, of)
    return lines


async def _held_up(port: Port, job: Job, limit: Limit, meter: Meter, of: str) -> list[str]:
    lines: list[str] = []
    held = [f"'{row[0]}'" for row in await port.rows(HOLDERS, (*meter, job.id))]
    if limit.concurrency is not None and len(held) >= limit.concurrency:
        verb = "runs" if len(held) == 1 else "run"
        lines.append(
            f"the limit of {limit.concurrency} at once of {of} is reached: {listed(held)} {verb}."
        )
    room = (await meters.rooms(port, {meter[:2]: limit}, [meter]))[meter]
    if room.frees is not None:
        frees = room.frees
        left = lasting((frees - port.now()).total_seconds())
        lines.append(
            f"the rate of {limit.rate} of {of} is used up: it frees the next in {left}, at {at(frees)}."
        )
    if lines:
        scope, name, key = meter
        row = await port.row(PARKED, {
            "scope": scope, "name": name, "key": key, "priority": job.priority, "n": await _number(port, job),
            "most": MOST + 1,
        })  # fmt: skip
        if row is not None and row[0]:
            is_ = "waits" if row[0] == 1 else "wait"
            lines.append(f"{counted(row[0], most=MOST)} {is_} for it before this one.")
    return lines


# --- its place in the line ------------------------------------------------------------------


async def _line(port: Port, job: Job, able: Sequence[Worker], *, held: bool) -> str:
    """How many are before it among what the workers that have its type can run."""
    n = await _number(port, job)
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


async def _number(port: Port, job: Job) -> int:
    row = await port.row(NUMBER, (job.id,))
    return 0 if row is None else row[0]


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
