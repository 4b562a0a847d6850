"""Which jobs a test expects in the queue: comparing, and saying what is there instead.

A job is enqueued as long as it waits: SCHEDULED, BLOCKED or PENDING. What is wanted of a payload is a
part of it: objects may have more fields, everything else is equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, cast

import msgspec

from aurora_db.base.codec import encode, plain, seconds
from aurora_db.base.errors import ValidationError
from aurora_db.base.records import Job, Priority, Status
from aurora_db.jobs import queue as job_queue
from aurora_db.jobs import request as requests
from aurora_db.store.engine import Engine
from aurora_db.store.port import Port

WAITING: Final = (Status.SCHEDULED, Status.BLOCKED, Status.PENDING)
WAIT = f"""
    SELECT {job_queue.COLUMNS} FROM _jobs WHERE status IN (SELECT value FROM json_each(?)) ORDER BY _n
"""
#: Jobs that a message lists, at most; the differences of one that it names; characters of a payload.
LISTED = 20
DIFFERENCES = 3
SHOWN = 200


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of a job; what is UNSET or None may be anything."""

    type: str | None
    payload: Any = msgspec.UNSET
    queue: str | None = None
    priority: Priority | None = None
    tags: tuple[str, ...] = ()
    run_at: datetime | None = None
    within: float | None = None

    def __str__(self) -> str:
        said = [f"type '{self.type}'"] if self.type is not None else []
        said += [f"payload {self.payload!r}"] if self.payload is not msgspec.UNSET else []
        said += [f"queue '{self.queue}'"] if self.queue is not None else []
        said += [f"priority {self.priority.name}"] if self.priority is not None else []
        said += [f"tags {list(self.tags)}"] if self.tags else []
        said += [f"run_at {self.run_at.isoformat()}"] if self.run_at is not None else []
        said += [f"within {self.within:g} s"] if self.within is not None else []
        return ", ".join(said) or "any job"


def wanted(
    type: object,
    payload: object,
    queue: str | None,
    priority: Priority | int | str | None,
    tags: Sequence[str],
    run_at: datetime | None,
    within: float | timedelta | None,
) -> Wanted:
    """What a test wants, checked.

    Raises:
        ValidationError: it can be wanted of no job.
    """
    name = getattr(type, "type", type)
    if name is not None and not isinstance(name, str):
        raise _refused("type", type, "a job type, or a function registered by @jobs.job")
    if isinstance(tags, str):
        raise _refused("tags", tags, "a list of texts")
    if run_at is not None and run_at.tzinfo is None:
        raise _refused("run_at", run_at, "an aware datetime")
    if within is not None and seconds(within) < 0:
        raise _refused("within", within, "a duration in seconds from 0")
    if queue is not None:
        requests.queue_name(queue)
    urgency = None if priority is None else requests.priority_of(priority)
    return Wanted(
        type=name, payload=payload, queue=queue, priority=urgency, tags=tuple(tags), run_at=run_at,
        within=None if within is None else seconds(within),
    )  # fmt: skip


def _refused(name: str, value: object, what: str) -> ValidationError:
    return ValidationError(f"'{name}' is {what}, got {value!r}", field=name, rule=name, value=value)


def waiting(engine: Engine) -> list[Job]:
    """The jobs that wait, in the order of enqueueing."""

    async def verb(port: Port) -> list[Job]:
        return [job_queue.of_row(row) for row in await port.rows(WAIT, (encode(list(WAITING)),))]

    return engine.read(verb, single=True)


def matching(wish: Wanted, jobs: Iterable[Job], now: datetime) -> list[Job]:
    """Those of `jobs` that are as wanted."""
    return [job for job in jobs if not differences(wish, job, now)]


# --- comparing ------------------------------------------------------------------------------


def differences(wish: Wanted, job: Job, now: datetime) -> list[str]:
    """How a job differs from what is wanted; empty when it does not."""
    found: list[str] = []
    if wish.type is not None and job.type != wish.type:
        found.append(f"type is '{job.type}'")
    if wish.payload is not msgspec.UNSET:
        found += _parts("payload", wish.payload, job.payload)
    if wish.queue is not None and job.queue != wish.queue:
        found.append(f"queue is '{job.queue}'")
    if wish.priority is not None and job.priority != wish.priority:
        found.append(f"priority is {job.priority.name}")
    if missing := [tag for tag in wish.tags if tag not in job.tags]:
        found.append(f"tags lack {missing}")
    return found + _times(wish, job, now)


def _times(wish: Wanted, job: Job, now: datetime) -> list[str]:
    due = now if job.run_at is None else job.run_at
    if wish.run_at is None:
        if wish.within is None or (due - now).total_seconds() <= wish.within:
            return []
        return [f"is due in {(due - now).total_seconds():g} s"]
    if abs((due - wish.run_at).total_seconds()) <= (wish.within or 0.0):
        return []
    return ["run_at is not set" if job.run_at is None else f"run_at is {job.run_at.isoformat()}"]


def _parts(place: str, wish: object, found: object) -> list[str]:
    """How `found` at `place` lacks a part that is wanted."""
    if isinstance(wish, Mapping):
        wish = cast("Mapping[object, object]", wish)
        if not isinstance(found, Mapping):
            return [f"{place} is {found!r}"]
        there = cast("Mapping[object, object]", found)
        parts: list[str] = []
        for name, value in wish.items():
            inside = f"{place}.{name}"
            parts += _parts(inside, value, there[name]) if name in there else [f"no {inside}"]
        return parts
    if isinstance(wish, (list, tuple)) and isinstance(found, list):
        ours, theirs = cast("Sequence[object]", wish), cast("list[object]", found)
        if len(ours) != len(theirs):
            return [f"{place} has {len(theirs)} items"]
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [one for n, pair in pairs for one in _parts(f"{place}[{n}]", *pair)]
    # First as it is: what is wanted may have an equality of its own (`pytest.approx`, `mock.ANY`).
    if bool(wish == found):
        return []
    return [] if _plain(wish) == found else [f"{place} is {found!r}"]


def _plain(value: object) -> object:
    """A dataclass or another record as JSON, where it has such a form."""
    try:
        return plain(value)
    except ValidationError:
        return value


# --- messages -------------------------------------------------------------------------------


def lacking(wish: Wanted, engine: Engine, jobs: Sequence[Job], now: datetime) -> str:
    """The message when jobs that are wanted are not there."""
    return "\n".join(["no such job is enqueued", *_around(wish, engine, jobs, now)])


def counted(
    wish: Wanted, engine: Engine, jobs: Sequence[Job], now: datetime, found: int, count: int
) -> str:
    """The message when there is another number of jobs than wanted."""
    head = f"{_jobs(found)} of this kind, not {count}"
    return "\n".join([head, *_around(wish, engine, jobs, now)])


def unwanted(wish: Wanted, found: Sequence[Job], now: datetime) -> str:
    """The message when there are jobs that shall not be there."""
    verb = "is" if len(found) == 1 else "are"
    head = f"{_jobs(len(found))} of this kind {verb} enqueued"
    return "\n".join([head, f"  refused: {wish}", *(_line(job, now) for job in found[:LISTED])])


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"


def _around(wish: Wanted, engine: Engine, jobs: Sequence[Job], now: datetime) -> list[str]:
    lines = [f"  wanted: {wish}", f"  enqueued: {_jobs(len(jobs)) if jobs else 'nothing'}"]
    near = sorted(jobs, key=lambda job: len(differences(wish, job, now)))
    # Its own type first; else the order of the queue.
    near.sort(key=lambda job: job.type != wish.type)
    for job in near[:LISTED]:
        apart = differences(wish, job, now)[:DIFFERENCES] if job.type == wish.type else []
        lines.append(_line(job, now) + (f"  <- {'; '.join(apart)}" if apart else ""))
    lines += [f"    … and {len(near) - LISTED} more"] if len(near) > LISTED else []
    return lines + _elsewhere(wish, engine)


def _line(job: Job, now: datetime) -> str:
    payload = repr(job.payload)
    payload = payload if len(payload) <= SHOWN else payload[:SHOWN] + " …"
    where = f", queue '{job.queue}'" if job.queue != "default" else ""
    tags = f", tags {list(job.tags)}" if job.tags else ""
    due = f", due in {(job.run_at - now).total_seconds():g} s" if job.run_at is not None else ""
    return f"    {job.type} {payload}: {job.status}, {job.priority.name}{where}{tags}{due}"


RAN = """
    SELECT status, count(*) FROM _jobs
     WHERE type = ? AND status NOT IN ('SCHEDULED', 'BLOCKED', 'PENDING') GROUP BY status ORDER BY status
"""


def _elsewhere(wish: Wanted, engine: Engine) -> list[str]:
    """Jobs of the type that do not wait any more: a test may have looked too late."""

    async def verb(port: Port) -> list[tuple[Any, ...]]:
        return await port.rows(RAN, (wish.type,))

    rows = [] if wish.type is None else engine.read(verb, single=True)
    said = ", ".join(f"{count} {status}" for status, count in rows)
    return [f"  no longer waiting: {said}"] if said else []
