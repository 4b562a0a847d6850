"""Batches: jobs that are counted together, and what is enqueued when they have ended.

The counts are kept by triggers. A callback is a job, enqueued in the transaction in which the
last end is settled, once; a retry by hand may turn a batch that has finished into one that has
succeeded, and then that is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from aurora_db.aql import suggest
from aurora_db.base.codec import encode, instant, plain, timestamp
from aurora_db.base.errors import JobError, NotFound, ValidationError
from aurora_db.base.records import Batch, Priority
from aurora_db.jobs import queue, verbs
from aurora_db.jobs.request import Request
from aurora_db.jobs.status import WAITING
from aurora_db.sql.statement import Batch as Members
from aurora_db.store.port import Port, Row

if TYPE_CHECKING:
    from aurora_db.base.clock import Clock
    from aurora_db.jobs.handlers import Jobs

OPEN = (
    "INSERT INTO _batches (id, name, callbacks, created_at) VALUES (:id, :name, :callbacks, :now)"
)
JOIN = Members.insert("_batch_jobs", ("batch", "job_id", "name"))
GROW = """
    UPDATE _batches SET total = total + more.value, finished_at = NULL
      FROM json_each(:counted) AS more WHERE _batches.id = more.key
"""
FORGET = "DELETE FROM _batches WHERE id = ? AND total = 0"
GET = "SELECT id, name, total, completed, failed, cancelled, created_at, finished_at FROM _batches WHERE id = ?"
CHECK_OPEN = """
    SELECT id, name, finished_at IS NOT NULL FROM _batches WHERE id IN (SELECT value FROM json_each(?))
"""
DUE = """
    SELECT id, total, completed, failed, cancelled, callbacks, failed > 0 AND NOT told_failure,
           completed + failed + cancelled >= total AND NOT told_complete,
           completed = total AND NOT told_success
      FROM _batches WHERE due = 1
"""
TOLD = """
    UPDATE _batches
       SET told_failure = told_failure OR failed > 0,
           told_complete = told_complete OR completed + failed + cancelled >= total,
           told_success = told_success OR completed = total,
           finished_at = CASE WHEN completed + failed + cancelled >= total THEN coalesce(finished_at, :now) END
     WHERE due = 1
"""
MEMBERS = """
    SELECT job.id FROM _batch_jobs AS member CROSS JOIN _jobs AS job ON job.id = member.job_id
     WHERE member.batch = :batch AND job.status IN (SELECT value FROM json_each(:statuses))
"""

#: When each is enqueued; the order is that of the last columns of `DUE`.
KINDS: Final = ("failure", "complete", "success")
#: What a callback's payload has beside what the user put there.
OURS: Final = ("batch", "counts")
#: The options of a callback; it runs when its time has come, so it has no other time.
OPTIONS: Final = ("type", "payload", "priority", "retries", "queue", "timeout", "tags", "backoff")


class Callback(msgspec.Struct, frozen=True):
    """A job that shall be, as a batch keeps it."""

    type: str
    payload: dict[str, Any]
    priority: int
    max_retries: int
    queue: str
    tags: tuple[str, ...]
    backoff: str | None
    timeout: float | None


def callbacks(jobs: Jobs, clock: Clock, id: str, given: Mapping[str, object]) -> str:
    """The callbacks of a batch as they are stored; `given` by kind.

    Raises:
        ValidationError: one is none, or an option of it is outside its range.
        PayloadInvalid: the payload is not what the registered handler declares.
    """
    made = {
        kind: _callback(jobs, clock, id, kind, one)
        for kind, one in given.items()
        if one is not None
    }
    return encode(made)


def _callback(jobs: Jobs, clock: Clock, id: str, kind: str, given: object) -> Callback:
    options = _options(kind, given)
    payload = plain(options.get("payload") or {})
    if not isinstance(payload, dict) or not set(OURS).isdisjoint(cast("dict[str, Any]", payload)):
        raise _refused(
            kind, options.get("payload"), "has an object as payload, without 'batch' and 'counts'"
        )
    mine = cast("dict[str, Any]", payload)
    sample = Batch(id=id, total=0, completed=0, failed=0, cancelled=0, created_at=clock.now())
    make: Any = jobs.request
    request: Request = make(clock, **{**options, "payload": {**mine, **_news(sample)}})
    return Callback(
        request.type, mine, int(request.priority), request.max_retries, request.queue, request.tags,
        request.backoff, request.timeout,
    )  # fmt: skip


def _options(kind: str, given: object) -> dict[str, Any]:
    """The options of a callback in whatever form it was given."""
    type = getattr(given, "type", given)
    match type:
        case str() if type:
            return {"type": type}
        case (name, payload):
            return {"type": getattr(name, "type", name), "payload": payload}
        case {"type": name, **others}:
            for option in others:
                if option not in OPTIONS:
                    hint = suggest.hint(str(option), OPTIONS, f"options are {', '.join(OPTIONS)}")
                    raise ValidationError(
                        f"'on_{kind}' has no option '{option}'", hint=hint, field=f"on_{kind}"
                    )
            return {**others, "type": getattr(name, "type", name)}
        case _:
            raise _refused(
                kind, given, 'is a job type, (type, payload), or {"type": …, "queue": …}'
            )


def _refused(kind: str, value: object, wanted: str) -> ValidationError:
    return ValidationError(
        f"'on_{kind}' {wanted}, got {value!r}", field=f"on_{kind}", rule="callback", value=value
    )


def _news(batch: Batch) -> dict[str, Any]:
    """What a callback is told."""
    counts = {
        "total": batch.total, "completed": batch.completed, "failed": batch.failed,
        "cancelled": batch.cancelled,
    }  # fmt: skip
    return {"batch": batch.id, "counts": counts}


async def begin(port: Port, id: str, name: str | None, stored: str) -> None:
    """A batch without jobs; the caller adds them in the same transaction."""
    now = timestamp(port.now())
    await port.change(OPEN, {"id": id, "name": name, "callbacks": stored, "now": now})


async def join(port: Port, members: Sequence[tuple[str | None, str, str | None]]) -> None:
    """Count new jobs in their batches: the batch, the job, and its name in a flow, of each."""
    await port.batch(JOIN, members)
    counted = Counter(batch for batch, _, _ in members)
    await port.change(GROW, {"counted": encode(counted)})


async def forget(port: Port, id: str) -> None:
    """Take back a batch that has got no jobs."""
    await port.change(FORGET, (id,))


async def check_open(port: Port, ids: Collection[str]) -> None:
    """Refuse batches that take no more jobs.

    Raises:
        NotFound: one does not exist.
        JobError: one has finished.
    """
    rows = await port.rows(CHECK_OPEN, (encode(sorted(ids)),))
    missing = set(ids) - {row[0] for row in rows}
    if missing:
        raise _unknown(min(missing))
    for id, name, finished in rows:
        if finished:
            raise JobError(
                f"the batch '{name or id}' has finished; it takes no more jobs",
                hint="add jobs from one of its jobs: job.batch.enqueue_job(type, payload)",
            )


def _unknown(id: str) -> NotFound:
    return NotFound(f"no batch with the id '{id}'", hint="its id is batch.id of the block")


async def tell(port: Port) -> None:
    """Enqueue the callbacks whose time has come."""
    rows = await port.rows(DUE)
    if not rows:
        return
    requests = [request for row in rows for request in _called(row)]
    await port.change(TOLD, {"now": timestamp(port.now())})
    await queue.enqueue_many(port, requests)


def _called(row: Row) -> list[Request]:
    id, total, completed, failed, cancelled, stored, *happened = row
    counts = {"total": total, "completed": completed, "failed": failed, "cancelled": cancelled}
    known = msgspec.json.decode(stored, type=dict[str, Callback])
    called = [
        known[kind] for kind, now in zip(KINDS, happened, strict=True) if now and kind in known
    ]
    return [
        Request(
            one.type, encode({**one.payload, "batch": id, "counts": counts}), Priority(one.priority),
            one.max_retries, None, one.queue, one.tags, one.backoff, one.timeout,
        )
        for one in called
    ]  # fmt: skip


async def get(port: Port, id: str) -> Batch | None:
    """The batch of this id, or None."""
    row = await port.row(GET, (id,))
    if row is None:
        return None
    return Batch(
        id=row[0], name=row[1], total=row[2], completed=row[3], failed=row[4], cancelled=row[5],
        created_at=instant(row[6]), finished_at=None if row[7] is None else instant(row[7]),
    )  # fmt: skip


async def cancel(port: Port, id: str) -> int:
    """Cancel all jobs of a batch that have not ended; how many.

    Raises:
        NotFound: there is no such batch.
    """
    return len(await verbs.cancel(port, await _members(port, id, WAITING)))


async def retry(port: Port, id: str) -> int:
    """Let all jobs of a batch that failed or were cancelled run once more; how many.

    Raises:
        NotFound: there is no such batch.
    """
    return len(await verbs.retry(port, await _members(port, id, ("FAILED", "CANCELLED"))))


async def _members(port: Port, id: str, statuses: Sequence[str]) -> list[str]:
    if await get(port, id) is None:
        raise _unknown(id)
    rows = await port.rows(MEMBERS, {"batch": id, "statuses": encode(statuses)})
    return [row[0] for row in rows]


__all__ = ["begin", "callbacks", "cancel", "check_open", "forget", "get", "join", "retry", "tell"]
