"""The queue: enqueue, claim and settle, one transaction each, over a `Port`.

Every change of status is one guarded statement. A settlement carries attempt and worker: zero
rows mean that the job belongs to somebody else by now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, cast

from aurora_db.base.clock import Clock
from aurora_db.base.codec import decode, encode, instant, seconds, timestamp
from aurora_db.base.errors import ValidationError
from aurora_db.base.ids import new_id
from aurora_db.base.records import Job, Priority, Status
from aurora_db.jobs import timing
from aurora_db.store.port import Port, Row
from aurora_db.store.writer import Single

#: Seconds that a claim holds without renewal.
LEASE = 30.0
#: Attempts in all, unless a job or its type says otherwise.
MAX_RETRIES = 3

ENQUEUE = """
    INSERT INTO _jobs (id, type, queue, payload, priority, status, max_retries, run_at, created_at, tags, backoff)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

COLUMNS = (
    "id, type, queue, payload, priority, status, retries, max_retries, error, last_retry, run_at, created_at, "
    "started_at, finished_at, attempt, crashes, worker, lease_until, result, tags, cause"
)
GET = f"SELECT {COLUMNS} FROM _jobs WHERE id = ?"

#: The candidates of one type; the partial index gives them in this order.
CANDIDATES = """
    SELECT * FROM (SELECT _n, priority FROM _jobs
                    WHERE status = 'PENDING' AND type = :type{n}
                    ORDER BY priority DESC, _n LIMIT :limit)
"""
CLAIM = """
    UPDATE _jobs
       SET status = 'RUNNING', worker = :worker, attempt = attempt + 1, started_at = :now, lease_until = :lease
     WHERE _n IN (SELECT _n FROM ({candidates}) ORDER BY priority DESC, _n LIMIT :limit)
    RETURNING _n, id, type, payload, priority, attempt, retries, max_retries, crashes, queue, tags, backoff
"""

#: Settle one attempt. The guard keeps a zombie out.
COMPLETE = """
    UPDATE _jobs
       SET status = 'COMPLETED', finished_at = :now, result = :result, lease_until = NULL, error = NULL
     WHERE _n = :n AND attempt = :attempt AND worker = :worker AND status = 'RUNNING'
    RETURNING _n
"""
RETRY = """
    UPDATE _jobs
       SET status = 'SCHEDULED', run_at = :run_at, retries = retries + 1, error = :error, last_retry = :now,
           lease_until = NULL
     WHERE _n = :n AND attempt = :attempt AND worker = :worker AND status = 'RUNNING'
    RETURNING _n
"""
FAIL = """
    UPDATE _jobs
       SET status = 'FAILED', finished_at = :now, retries = retries + 1, error = :error, last_retry = :now,
           lease_until = NULL
     WHERE _n = :n AND attempt = :attempt AND worker = :worker AND status = 'RUNNING'
    RETURNING _n
"""
SNOOZE = """
    UPDATE _jobs
       SET status = 'SCHEDULED', run_at = :run_at, lease_until = NULL
     WHERE _n = :n AND attempt = :attempt AND worker = :worker AND status = 'RUNNING'
    RETURNING _n
"""
CANCEL = """
    UPDATE _jobs
       SET status = 'CANCELLED', finished_at = :now, error = :error, lease_until = NULL
     WHERE _n = :n AND attempt = :attempt AND worker = :worker AND status = 'RUNNING'
    RETURNING _n
"""
RELEASE = """
    UPDATE _jobs
       SET status = 'PENDING', lease_until = NULL, started_at = NULL
     WHERE _n = :n AND attempt = :attempt AND worker = :worker AND status = 'RUNNING'
    RETURNING _n
"""
HOLDS = """
    SELECT 1 FROM _jobs
     WHERE _n = :n AND attempt = :attempt AND worker = :worker AND status = 'RUNNING'
"""
KEEP_ERROR = """
    INSERT INTO _job_errors (job_id, attempt, at, error, traceback, worker, after_completion)
    VALUES (:id, :attempt, :now, :error, :traceback, :worker, :after)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A job that shall be: checked, its payload JSON already."""

    type: str
    payload: str
    priority: Priority
    max_retries: int
    run_at: datetime | None
    queue: str
    tags: tuple[str, ...]
    backoff: timing.Backoff | None


@dataclass(frozen=True, slots=True)
class Claimed:
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
    worker: str


@dataclass(frozen=True, slots=True)
class Settlement:
    """How one attempt ended. `error` and `traceback` go into `_job_errors` too when set."""

    job: Claimed
    statement: str
    result: str | None = None
    error: str | None = None
    traceback: str | None = None
    run_at: datetime | None = None


def request(
    type: str,
    payload: object,
    *,
    clock: Clock,
    priority: Priority | int | str = Priority.NORMAL,
    retries: int | None = None,
    delay: float | timedelta | None = None,
    run_at: datetime | str | None = None,
    queue: str | None = None,
    tags: Sequence[str] = (),
    backoff: object = None,
) -> Request:
    """Check the options of a job.

    Raises:
        ValidationError: one is outside its range; the message names it.
    """
    if not isinstance(type, str) or not type:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _refused("type", type, "a text that is not empty")
    attempts = MAX_RETRIES if retries is None else retries
    if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _refused("retries", retries, "a number of attempts from 1")
    if delay is not None and run_at is not None:
        raise _refused("delay", delay, "absent when 'run_at' is given")
    if queue is not None and not queue:
        raise _refused("queue", queue, "a name that is not empty")
    if isinstance(tags, str) or not all(isinstance(tag, str) for tag in tags):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _refused("tags", tags, "a list of texts")
    try:
        level = Priority.of(priority)
    except ValueError as error:
        raise ValidationError(
            str(error), field="priority", rule="priority", value=priority
        ) from None
    return Request(
        type=type,
        payload=encode(payload),
        priority=level,
        max_retries=attempts,
        run_at=_due(delay, run_at, clock),
        queue=queue or "default",
        tags=tuple(tags),
        backoff=None if backoff is None else timing.backoff(backoff),
    )


def _due(
    delay: float | timedelta | None, run_at: datetime | str | None, clock: Clock
) -> datetime | None:
    if isinstance(run_at, str):
        try:
            run_at = datetime.fromisoformat(run_at)
        except ValueError:
            raise _refused("run_at", run_at, "an instant such as '2026-01-01T00:00:00Z'") from None
    if run_at is not None:
        timestamp(run_at)
        return run_at
    if delay is None:
        return None
    if not _is_duration(delay):
        raise _refused("delay", delay, "a duration in seconds from 0")
    return clock.now() + timedelta(seconds=seconds(delay))


def _is_duration(value: object) -> bool:
    number = isinstance(value, (int, float, timedelta)) and not isinstance(value, bool)
    return number and seconds(cast("float | timedelta", value)) >= 0


def _refused(name: str, value: object, wanted: str) -> ValidationError:
    return ValidationError(
        f"'{name}' is {wanted}, got {value!r}", field=name, rule=name, value=value
    )


# --- enqueue --------------------------------------------------------------------------------


def _values(wanted: Request, id: str, now: str, due: str | None) -> tuple[Any, ...]:
    return (
        id,
        wanted.type,
        wanted.queue,
        wanted.payload,
        int(wanted.priority),
        "PENDING" if due is None else "SCHEDULED",
        wanted.max_retries,
        due,
        now,
        encode(wanted.tags) if wanted.tags else None,
        None if wanted.backoff is None else encode(timing.stored(wanted.backoff)),
    )


def _due_text(wanted: Request, now: datetime) -> str | None:
    if wanted.run_at is None or wanted.run_at <= now:
        return None
    return timestamp(wanted.run_at)


def _record(wanted: Request, id: str, now: datetime, due: str | None) -> Job:
    return Job(
        id=id,
        type=wanted.type,
        queue=wanted.queue,
        payload=decode(wanted.payload),
        priority=wanted.priority,
        status=Status.PENDING if due is None else Status.SCHEDULED,
        retries=0,
        max_retries=wanted.max_retries,
        error=None,
        last_retry=None,
        run_at=None if due is None else wanted.run_at,
        created_at=now,
        started_at=None,
        finished_at=None,
        attempt=0,
        crashes=0,
        worker=None,
        lease_until=None,
        result=None,
        tags=wanted.tags,
        cause=None,
    )


def single(wanted: Request, clock: Clock) -> Single[Job]:
    """The enqueueing of one job as one statement; its result is the record."""
    now = clock.now()
    due = _due_text(wanted, now)
    id = new_id()
    params = _values(wanted, id, timestamp(now), due)
    return Single(ENQUEUE, params, _record(wanted, id, now, due), "jobs", int(wanted.priority))


async def enqueue(port: Port, wanted: Request) -> Job:
    """Put one job into the queue."""
    return (await enqueue_many(port, [wanted]))[0]


async def enqueue_many(port: Port, requests: Iterable[Request]) -> list[Job]:
    """Put several jobs into the queue; their records in order."""
    now = port.now()
    text = timestamp(now)
    records: list[Job] = []
    rows: list[tuple[Any, ...]] = []
    for wanted in requests:
        due = _due_text(wanted, now)
        id = new_id()
        rows.append(_values(wanted, id, text, due))
        records.append(_record(wanted, id, now, due))
    if rows:
        await port.many(ENQUEUE, rows)
        port.touch("jobs", max(int(record.priority) for record in records))
    return records


async def get(port: Port, id: str) -> Job | None:
    """The job of this id, or None."""
    row = await port.row(GET, (id,))
    return None if row is None else _job(row)


def _job(row: Row) -> Job:
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
    )  # fmt: skip


# --- claim ----------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _claim_text(types: int) -> str:
    parts = [CANDIDATES.format(n=n) for n in range(types)]
    return CLAIM.format(candidates=" UNION ALL ".join(parts))


async def claim(port: Port, worker: str, types: Sequence[str], limit: int) -> list[Claimed]:
    """Claim up to `limit` pending jobs of these types, the most urgent first."""
    if not types or limit < 1:
        return []
    now = port.now()
    params: dict[str, Any] = {f"type{n}": type for n, type in enumerate(types)}
    params.update(
        worker=worker,
        limit=limit,
        now=timestamp(now),
        lease=timestamp(now + timedelta(seconds=LEASE)),
    )
    rows = await port.rows(_claim_text(len(types)), params)
    claimed = [_claimed(row, worker) for row in rows]
    # RETURNING promises no order.
    claimed.sort(key=lambda job: (-job.priority, job.n))
    return claimed


def _claimed(row: Row, worker: str) -> Claimed:
    values: tuple[Any, ...] = (*row, worker)
    return Claimed(*values)


# --- settle ---------------------------------------------------------------------------------


async def settle(port: Port, settlements: Sequence[Settlement]) -> list[Settlement]:
    """Write how attempts ended; returns those whose job is no longer theirs."""
    now = timestamp(port.now())
    lost: list[Settlement] = []
    by_statement: dict[str, list[Settlement]] = {}
    for settlement in settlements:
        by_statement.setdefault(settlement.statement, []).append(settlement)
    for statement, group in by_statement.items():
        rows = await port.many(statement, [_parameters(one, now) for one in group])
        if len(rows) < len(group):
            written = {row[0] for row in rows}
            lost += [one for one in group if one.job.n not in written]
    missing = {one.job.n for one in lost}
    errors = [one for one in settlements if one.traceback is not None and one.job.n not in missing]
    if errors:
        await port.many(
            KEEP_ERROR, [error_row(one.job, one.error, one.traceback, now) for one in errors]
        )
    return lost


def _parameters(settlement: Settlement, now: str) -> dict[str, Any]:
    job = settlement.job
    due = settlement.run_at
    return {
        "n": job.n,
        "attempt": job.attempt,
        "worker": job.worker,
        "now": now,
        "result": settlement.result,
        "error": settlement.error,
        "run_at": None if due is None else timestamp(due),
    }


def error_row(
    job: Claimed, error: str | None, traceback: str | None, now: str, *, after: bool = False
) -> Mapping[str, Any]:
    """The parameters of `KEEP_ERROR`."""
    return {
        "id": job.id,
        "attempt": job.attempt,
        "now": now,
        "error": error or "",
        "traceback": traceback,
        "worker": job.worker,
        "after": int(after),
    }


async def holds(port: Port, job: Claimed) -> bool:
    """Whether the attempt is still the job's."""
    fence = {"n": job.n, "attempt": job.attempt, "worker": job.worker}
    return await port.row(HOLDS, fence) is not None


async def keep_error(port: Port, job: Claimed, error: str, traceback: str) -> None:
    """Keep an exception that came after the completion."""
    row = error_row(job, error, traceback, timestamp(port.now()), after=True)
    await port.change(KEEP_ERROR, row)
