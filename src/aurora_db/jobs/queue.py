"""The queue: enqueue and settle, one transaction each, over a `Port`.

Every change of status is one guarded statement. A settlement carries attempt and worker: zero
rows mean that the job belongs to somebody else by now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, cast

import msgspec

from aurora_db.base.clock import Clock
from aurora_db.base.codec import decode, encode, instant, timestamp
from aurora_db.base.errors import LeaseLost, ValidationError
from aurora_db.base.ids import new_id
from aurora_db.base.records import Job, Priority, Status
from aurora_db.jobs import flow
from aurora_db.jobs.request import Links, Request
from aurora_db.sql.statement import Batch
from aurora_db.store.port import Port, Row
from aurora_db.store.waiting import Single

#: Seconds that a claim holds without renewal.
LEASE = 30.0
ENQUEUE = Batch.insert("_jobs", (
    "id", "type", "queue", "payload", "priority", "status", "max_retries", "run_at", "created_at",
    "tags", "backoff", "timeout",
))  # fmt: skip
#: For jobs that are tied to others; most are not, and each column costs.
ENQUEUE_LINKED = Batch.insert("_jobs", (
    "id", "type", "queue", "payload", "priority", "status", "max_retries", "run_at", "created_at",
    "tags", "backoff", "timeout", "unique_key", "after", "depends_on", "on_dependency_failure", "batch",
))  # fmt: skip

COLUMNS = (
    "id, type, queue, payload, priority, status, retries, max_retries, error, last_retry, run_at, created_at, "
    "started_at, finished_at, attempt, crashes, worker, lease_until, result, tags, cause, timeout, "
    "progress, progress_note, unique_key, after, depends_on, backoff, on_dependency_failure, batch"
)
GET = f"SELECT {COLUMNS} FROM _jobs WHERE id = ?"
GET_MANY = f"SELECT {COLUMNS} FROM _jobs WHERE id IN (SELECT value FROM json_each(?))"
ENDED = f"""
    SELECT asked, {COLUMNS} FROM (SELECT value AS asked FROM json_each(?)) LEFT JOIN _jobs ON id = asked
     WHERE id IS NULL OR finished_at IS NOT NULL
"""


def _settle(change: str) -> Batch:
    """The statement that ends attempts by `change`; its guard keeps a zombie out."""
    return Batch(
        "WITH ended (n, attempt, worker, now, result, error, run_at) AS (VALUES ",
        7,
        f""") UPDATE _jobs NOT INDEXED SET {change}, lease_until = NULL FROM ended
     WHERE _jobs._n = ended.n AND _jobs.attempt = ended.attempt AND _jobs.worker = ended.worker
       AND _jobs.status = 'RUNNING'""",
    )


FAILED = "retries = retries + 1, error = ended.error, last_retry = ended.now"
COMPLETE = _settle(
    "status = 'COMPLETED', finished_at = ended.now, result = ended.result, error = NULL"
)
RETRY = _settle(f"status = 'SCHEDULED', run_at = ended.run_at, {FAILED}")
FAIL = _settle(f"status = 'FAILED', finished_at = ended.now, {FAILED}")
SNOOZE = _settle("status = 'SCHEDULED', run_at = ended.run_at")
CANCEL = _settle("status = 'CANCELLED', finished_at = ended.now, error = ended.error")
RELEASE = _settle("status = 'PENDING', started_at = NULL")
#: The process of the handler died: that counts, and is no failure of the attempt.
CRASHED = _settle("status = 'PENDING', crashes = crashes + 1")
POISONED = _settle(
    "status = 'FAILED', crashes = crashes + 1, finished_at = ended.now, error = ended.error"
)

#: What each of them leaves behind.
LEAVES: Final[Mapping[Batch, Status]] = {
    COMPLETE: Status.COMPLETED,
    RETRY: Status.SCHEDULED,
    FAIL: Status.FAILED,
    SNOOZE: Status.SCHEDULED,
    CANCEL: Status.CANCELLED,
    RELEASE: Status.PENDING,
    CRASHED: Status.PENDING,
    POISONED: Status.FAILED,
}
#: Those after which the job has ended.
ENDS: Final = frozenset({COMPLETE, FAIL, POISONED, CANCEL})
SETTLED = """
    SELECT _n, attempt, worker FROM _jobs
     WHERE _n IN (SELECT value FROM json_each(:numbers)) AND +status = :status
"""
HOLDS = """
    SELECT 1 FROM _jobs
     WHERE _n = :n AND attempt = :attempt AND worker = :worker AND status = 'RUNNING'
"""
KEEP_ERROR = Batch.insert(
    "_job_errors", ("job_id", "attempt", "at", "error", "traceback", "worker", "after_completion")
)


class Claimed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One claimed attempt: what is needed to run and settle it."""

    n: int
    id: str
    type: str
    payload: str
    priority: int
    attempt: int
    retries: int
    max_retries: int
    crashes: int
    queue: str
    tags: str | None
    backoff: str | None
    timeout: float | None
    worker: str
    #: A limit counts it.
    limited: bool = False


class Report(msgspec.Struct, frozen=True, gc=False):
    """A sign of life of one attempt: how far it is, from 0 to 1, where it says so."""

    job: Claimed
    progress: float | None = None
    note: str | None = None


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """How one attempt ended. `error` and `traceback` go into `_job_errors` too when set.

    `report` is what the attempt said last and is not written yet.
    """

    job: Claimed
    statement: Batch
    result: str | None = None
    error: str | None = None
    traceback: str | None = None
    run_at: datetime | None = None
    report: Report | None = None


# --- enqueue --------------------------------------------------------------------------------


def _row(wanted: Request, now: datetime, text: str) -> tuple[tuple[Any, ...], Job]:
    """The row of a new job, and its record; `text` is `now`."""
    links = wanted.links
    id = new_id() if links is None or links.id is None else links.id
    run_at = wanted.run_at
    due = None
    if run_at is not None and run_at > now:
        due = timestamp(run_at)
    status = Status.PENDING if due is None else Status.SCHEDULED
    row = (
        id, wanted.type, wanted.queue, wanted.payload, wanted.priority, status, wanted.max_retries,
        due, text, encode(wanted.tags) if wanted.tags else None, wanted.backoff, wanted.timeout,
    )  # fmt: skip
    record = Job(
        id=id,
        type=wanted.type,
        queue=wanted.queue,
        payload=decode(wanted.payload),
        priority=wanted.priority,
        status=status,
        max_retries=wanted.max_retries,
        run_at=None if due is None else run_at,
        created_at=now,
        timeout=wanted.timeout,
        tags=wanted.tags,
    )
    return row, record


def begins(wanted: Request, waits: int, now: datetime) -> Status:
    """The status that a new job begins with, which has to wait for so many others."""
    if waits:
        return Status.BLOCKED
    late = wanted.run_at is not None and wanted.run_at > now
    return Status.SCHEDULED if late else Status.PENDING


def single(wanted: Request, clock: Clock) -> Single[Job]:
    """The enqueueing of one job as one statement; its result is the record."""
    now = clock.now()
    row, record = _row(wanted, now, timestamp(now))
    return Single(ENQUEUE, row, record, "jobs", wanted.priority)


async def enqueue(port: Port, wanted: Request) -> Job:
    """Put one job into the queue."""
    return (await enqueue_many(port, [wanted]))[0]


async def enqueue_many(port: Port, requests: Iterable[Request]) -> list[Job]:
    """Put several jobs into the queue; their records in order."""
    requests = list(requests)
    if any(one.links is not None for one in requests):
        from aurora_db.jobs import linking  # noqa: PLC0415 - most jobs stand alone

        return await linking.enqueue(port, requests)
    now = port.now()
    text = timestamp(now)
    made = [_row(wanted, now, text) for wanted in requests]
    if made:
        await port.batch(ENQUEUE, [row for row, _ in made])
        port.touch("jobs", max(record.priority for _, record in made))
    return [record for _, record in made]


async def insert(port: Port, requests: Sequence[Request], waits: Sequence[int]) -> list[Job]:
    """Insert jobs that are tied to others; `waits` says for how many others each waits."""
    now = port.now()
    text = timestamp(now)
    rows: list[tuple[Any, ...]] = []
    records: list[Job] = []
    for wanted, count in zip(requests, waits, strict=True):
        row, record = _row(wanted, now, text)
        links = wanted.links or Links()
        key = None if links.unique is None else links.unique.key
        after = links.after
        left, policy = (count, links.on_failure) if after else (None, None)
        status = begins(wanted, count, now)
        rows.append((
            *row[:5], status, *row[6:], key, encode(after) if after else None, left, policy, links.batch,
        ))  # fmt: skip
        records.append(msgspec.structs.replace(
            record, status=status, unique_key=key, after=after, depends_on=left,
            on_dependency_failure=policy, batch=links.batch,
        ))  # fmt: skip
    if rows:
        await port.batch(ENQUEUE_LINKED, rows)
        port.touch("jobs", max(record.priority for record in records))
    return records


async def get(port: Port, id: str) -> Job | None:
    """The job of this id, or None.

    Raises:
        ValidationError: the id is no text.
    """
    if not isinstance(cast("object", id), str):
        hint = (
            "give job.id"
            if isinstance(cast("object", id), Job)
            else "its id is what enqueue_job returned"
        )
        raise ValidationError(
            f"the id of a job is a text, got {type(id).__name__}", hint=hint, field="id"
        )
    row = await port.row(GET, (id,))
    return None if row is None else of_row(row)


async def get_many(port: Port, ids: Sequence[str]) -> dict[str, Job]:
    """The jobs of these ids that exist, by id."""
    rows = await port.rows(GET_MANY, (encode(list(ids)),))
    return {row[0]: of_row(row) for row in rows}


async def ended(port: Port, ids: Sequence[str]) -> list[tuple[str, Job | None]]:
    """Those of these jobs that have ended, by id; None for one that does not exist (any more)."""
    rows = await port.rows(ENDED, (encode(list(ids)),))
    return [(row[0], None if row[1] is None else of_row(row[1:])) for row in rows]


def of_row(row: Row) -> Job:
    """The job that a row of `COLUMNS` tells."""

    def when(text: str | None) -> datetime | None:
        return None if text is None else instant(text)

    def json(text: str | None) -> Any:
        return None if text is None else decode(text)

    return Job(
        id=row[0], type=row[1], queue=row[2], payload=json(row[3]), priority=Priority(row[4]),
        status=Status(row[5]), retries=row[6], max_retries=row[7], error=row[8], last_retry=when(row[9]),
        run_at=when(row[10]), created_at=instant(row[11]), started_at=when(row[12]),
        finished_at=when(row[13]), attempt=row[14], crashes=row[15], worker=row[16],
        lease_until=when(row[17]), result=json(row[18]), tags=tuple(json(row[19]) or ()), cause=json(row[20]),
        timeout=row[21], progress=row[22], progress_note=row[23], unique_key=row[24],
        after=tuple(json(row[25]) or ()), depends_on=row[26], backoff=json(row[27]),
        on_dependency_failure=row[28], batch=row[29],
    )  # fmt: skip


def _numbers(jobs: Iterable[Claimed]) -> str:
    return encode([job.n for job in jobs])


# --- settle ---------------------------------------------------------------------------------


async def settle(
    port: Port, settlements: Sequence[Settlement], *, wakes: bool = True
) -> list[Settlement]:
    """Write how attempts ended; returns those whose job is no longer theirs.

    Whoever claims in the same transaction says `wakes=False`: what a limit has room for now is theirs.
    """
    now = timestamp(port.now())
    lost: list[Settlement] = []
    groups: dict[Batch, list[Settlement]] = {}
    for settlement in settlements:
        groups.setdefault(settlement.statement, []).append(settlement)
    reports = [one.report for one in settlements if one.report is not None]
    if reports:
        from aurora_db.jobs import progress  # noqa: PLC0415 - few handlers say how far they are

        await progress.write(port, reports)
    for statement, group in groups.items():
        changed = await port.batch(statement, [_ended(one, now) for one in group])
        if changed < len(group):
            lost += await _lost(port, group, LEAVES[statement])
    if not ENDS.isdisjoint(groups):
        port.touch("ended")
    if CRASHED in groups or port.catalog.handlers_of("_jobs"):
        # Another process may take it; and the end of a job may have enqueued others.
        port.touch("jobs")
    limited = [one.job.n for one in settlements if one.job.limited]
    if limited:
        from aurora_db.jobs import meters  # noqa: PLC0415 - most jobs have no limits

        if await meters.give_back(port, limited) and wakes:
            port.touch("jobs")
    errors = [one for one in settlements if one.traceback is not None]
    if errors and lost:
        # By the attempt: one that lost its job may end together with the one that has it now.
        missing = {(one.job.n, one.job.attempt) for one in lost}
        errors = [one for one in errors if (one.job.n, one.job.attempt) not in missing]
    if errors:
        rows = [error_row(one.job, one.error, one.traceback, now) for one in errors]
        await port.batch(KEEP_ERROR, rows)
    if not ENDS.isdisjoint(groups):
        await flow.resolve(port)
    return lost


def _ended(settlement: Settlement, now: str) -> tuple[Any, ...]:
    job = settlement.job
    due = None if settlement.run_at is None else timestamp(settlement.run_at)
    return (job.n, job.attempt, job.worker, now, settlement.result, settlement.error, due)


async def _lost(port: Port, group: Sequence[Settlement], status: Status) -> list[Settlement]:
    """Those of a group that were not settled: their job is not as the statement leaves it."""
    numbers = _numbers(one.job for one in group)
    rows = await port.rows(SETTLED, {"numbers": numbers, "status": status})
    return [one for one in group if (one.job.n, one.job.attempt, one.job.worker) not in rows]


def error_row(
    job: Claimed, error: str | None, traceback: str | None, now: str, *, after: bool = False
) -> tuple[Any, ...]:
    """The parameters of `KEEP_ERROR`."""
    return (job.id, job.attempt, now, error or "", traceback, job.worker, int(after))


async def holds(port: Port, job: Claimed) -> bool:
    """Whether the attempt is still the job's."""
    fence = {"n": job.n, "attempt": job.attempt, "worker": job.worker}
    return await port.row(HOLDS, fence) is not None


def lease_lost(job: Claimed) -> LeaseLost:
    """The error of an attempt that is no longer the job's."""
    return LeaseLost(
        f"job '{job.id}' belongs to another worker or has ended; nothing was written",
        hint="the handler ran longer than its process could hold the lease; make the work idempotent",
    )


async def keep_error(port: Port, job: Claimed, error: str, traceback: str) -> None:
    """Keep an exception that came after the completion."""
    row = error_row(job, error, traceback, timestamp(port.now()), after=True)
    await port.batch(KEEP_ERROR, [row])
