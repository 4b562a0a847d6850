"""Which of several jobs are new, and which of them meet one that has their key.

Runs in the transaction of the caller, who holds the writer from the look at the keys to the commit,
so nobody comes between; should somebody, the primary key of `_job_keys` refuses. All of a bulk is
decided at once: one look, and one statement for each kind of change, whatever number of jobs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from aurora_db.base.codec import decode, encode, timestamp
from aurora_db.base.records import Job, Status
from aurora_db.jobs import meters, queue
from aurora_db.jobs.status import WAITING
from aurora_db.sql.statement import Batch

if TYPE_CHECKING:
    from aurora_db.jobs.request import Request
    from aurora_db.jobs.unique import Rule
    from aurora_db.store.port import Port

#: A job type and a key of it.
Name = tuple[str, str]

#: Who has these keys: a pair of job type and key each.
HOLDERS = f"""
    SELECT {queue.COLUMNS}, counts, until
      FROM (SELECT held.job_id AS holder, held.statuses AS counts, held.until AS until
              FROM json_each(:names) AS name
             CROSS JOIN _job_keys AS held
                ON held.type = name.value ->> 0 AND held.key = name.value ->> 1)
     CROSS JOIN _jobs ON _jobs.id = holder
"""
HOLD = Batch.insert("_job_keys", ("type", "key", "job_id", "statuses", "until"))
#: A key whose job does not count any more is free.
FREE = "DELETE FROM _job_keys WHERE job_id IN (SELECT value FROM json_each(:ids))"

TAKE = Batch.insert(
    "_job_keys",
    ("type", "key", "job_id", "statuses", "until"),
    " ON CONFLICT (type, key) DO UPDATE SET job_id = excluded.job_id",
)
#: Of these jobs those that have ended and had a key.
ENDED = f"""
    SELECT {queue.COLUMNS} FROM _jobs
     WHERE id IN (SELECT value FROM json_each(:ids)) AND unique_key IS NOT NULL AND finished_at IS NOT NULL
"""

#: Jobs that a limit holds back: the limit of what they become may have room.
PARKED = """
    SELECT _n FROM _jobs
     WHERE id IN (SELECT value FROM json_each(:ids)) AND _n IN (SELECT n FROM _limit_parked)
"""
UNPARK = """
    UPDATE _jobs SET status = 'PENDING'
     WHERE _n IN (SELECT value FROM json_each(:numbers)) AND status = 'BLOCKED'
"""
#: A job that waits may still be another one.
REPLACE = Batch(
    "WITH wanted (id, payload, priority, queue, max_retries, tags, backoff, timeout) AS (VALUES ",
    8,
    """) UPDATE _jobs
       SET payload = wanted.payload, priority = wanted.priority, queue = wanted.queue,
           max_retries = wanted.max_retries, tags = wanted.tags, backoff = wanted.backoff, timeout = wanted.timeout
      FROM wanted
     WHERE _jobs.id = wanted.id AND _jobs.status IN ('SCHEDULED', 'BLOCKED', 'PENDING')""",
)
RESCHEDULE = Batch(
    "WITH wanted (id, run_at) AS (VALUES ",
    2,
    """) UPDATE _jobs
       SET run_at = wanted.run_at,
           status = CASE WHEN _jobs.status = 'BLOCKED' THEN 'BLOCKED'
                         WHEN wanted.run_at IS NULL THEN 'PENDING' ELSE 'SCHEDULED' END
      FROM wanted
     WHERE _jobs.id = wanted.id AND _jobs.status IN ('SCHEDULED', 'BLOCKED', 'PENDING')""",
)
_CHANGEABLE: Final = frozenset((Status.SCHEDULED, Status.BLOCKED, Status.PENDING))


class Holder:
    """The job that has a key, and what it shall become."""

    __slots__ = ("job", "moved", "replaced", "run_at", "status", "statuses", "until")

    def __init__(self, job: Job, statuses: str, until: str | None) -> None:
        self.job = job
        #: What it will be when all that was noted is done.
        self.status = job.status
        self.statuses: tuple[str, ...] = tuple(decode(statuses))
        self.until = until
        self.replaced: Request | None = None
        self.moved = False
        self.run_at: datetime | None = None

    def counts(self, now: str) -> bool:
        """Whether the job is in the way of others."""
        return self.status in self.statuses and (self.until is None or self.until > now)

    def meet(self, wanted: Request, rule: Rule, now: datetime) -> None:
        """Note what one more job of the key changes. One that runs or has ended stays as it is."""
        if self.status not in _CHANGEABLE or rule.on_conflict == "keep":
            return
        if rule.on_conflict == "replace":
            self.replaced = wanted
        if rule.on_conflict == "reschedule" or wanted.run_at is not None:
            self.moved, self.run_at = True, wanted.run_at
            self.status = queue.begins(wanted, self.job.depends_on or 0, now)
        elif self.status is Status.BLOCKED and not self.job.depends_on:
            self.status = Status.PENDING


class Decided(msgspec.Struct):
    """What becomes of several requests: the new jobs, and for each request which one it is.

    A place is a number among the new ones, or the record of a job that was there. `waits` goes with
    `new`; `names` are the keys that new ones get.
    """

    new: list[Request]
    waits: list[int]
    places: list[int | Job]
    names: dict[Name, int]

    def records(self, made: Sequence[Job]) -> list[Job]:
        """The record for each request, told from a new one where it is none."""
        known: set[int] = set()
        records: list[Job] = []
        for place in self.places:
            if isinstance(place, Job):
                records.append(_told(place))
            elif place in known:
                records.append(_told(made[place]))
            else:
                known.add(place)
                records.append(made[place])
        return records


def _told(job: Job) -> Job:
    return msgspec.structs.replace(job, conflict=True)


async def decide(port: Port, requests: Sequence[Request], waits: Sequence[int]) -> Decided:
    """Find which jobs are new, and change those that are there as the others want.

    Args:
        port: the transaction of the caller.
        requests: the jobs asked for.
        waits: for how many jobs each would have to wait.
    """
    rules = [None if one.links is None else one.links.unique for one in requests]
    pairs = zip(requests, rules, strict=True)
    names = {(one.type, rule.key): None for one, rule in pairs if rule is not None}
    if not names:
        return Decided(list(requests), list(waits), list(range(len(requests))), {})
    now = port.now()
    text = timestamp(now)
    holders = await _holders(port, names)
    decided = Decided([], [], [], {})
    met: list[tuple[int, Name]] = []
    for wanted, rule, count in zip(requests, rules, waits, strict=True):
        name = (wanted.type, "" if rule is None else rule.key)
        first = decided.names.get(name)
        holder = holders.get(name)
        if rule is not None and first is not None and _counts(decided, first, now):
            decided.new[first] = _merged(decided.new[first], wanted, rule)
            decided.places.append(first)
            continue
        if rule is not None and first is None and holder and holder.counts(text):
            holder.meet(wanted, rule, now)
            met.append((len(decided.places), name))
            decided.places.append(holder.job)
            continue
        if rule is not None:
            decided.names[name] = len(decided.new)
        decided.places.append(len(decided.new))
        decided.new.append(wanted)
        decided.waits.append(count)
    await _change(port, holders, now)
    for place, name in met:
        decided.places[place] = holders[name].job
    free = [holders[name].job.id for name in decided.names if name in holders]
    if free:
        await port.change(FREE, {"ids": encode(free)})
    return decided


def _counts(decided: Decided, number: int, now: datetime) -> bool:
    """Whether a job of this bulk will count for those after it, as it is inserted."""
    wanted = decided.new[number]
    assert wanted.links is not None
    assert wanted.links.unique is not None
    return queue.begins(wanted, decided.waits[number], now) in wanted.links.unique.statuses


def _merged(first: Request, wanted: Request, rule: Rule) -> Request:
    """The first of two jobs with a key, as the second wants it."""
    if rule.on_conflict == "keep":
        return first
    if rule.on_conflict == "reschedule":
        return msgspec.structs.replace(first, run_at=wanted.run_at)
    due = first.run_at if wanted.run_at is None else wanted.run_at
    return msgspec.structs.replace(wanted, run_at=due, links=first.links)


async def _holders(port: Port, names: Iterable[Name]) -> dict[Name, Holder]:
    rows = await port.rows(HOLDERS, {"names": encode(list(names))})
    holders: dict[Name, Holder] = {}
    for *columns, statuses, until in rows:
        job = queue.of_row(tuple(columns))
        assert job.unique_key is not None
        holders[job.type, job.unique_key] = Holder(job, statuses, until)
    return holders


async def _change(port: Port, holders: Mapping[Name, Holder], now: datetime) -> None:
    """Write what shall become of jobs that are there, and read them anew."""
    replaced = [
        (one.job.id, *_options(one.replaced))
        for one in holders.values()
        if one.replaced is not None
    ]
    moved = [
        (one.job.id, None if one.run_at is None or one.run_at <= now else timestamp(one.run_at))
        for one in holders.values()
        if one.moved
    ]
    if not replaced and not moved:
        return
    ids = list({row[0] for row in (*replaced, *moved)})
    if any(one.job.status is Status.BLOCKED for one in holders.values()):
        await _unpark(port, ids)
    if replaced:
        await port.batch(REPLACE, replaced)
    if moved:
        await port.batch(RESCHEDULE, moved)
    records = await queue.get_many(port, ids)
    for holder in holders.values():
        holder.job = records.get(holder.job.id, holder.job)
    port.touch("jobs", max(one.priority for one in records.values()))


async def _unpark(port: Port, ids: Sequence[str]) -> None:
    numbers = [row[0] for row in await port.rows(PARKED, {"ids": encode(ids)})]
    if numbers:
        await meters.end(port, numbers)
        await port.change(UNPARK, {"numbers": encode(numbers)})


def _options(wanted: Request) -> tuple[Any, ...]:
    tags = encode(wanted.tags) if wanted.tags else None
    return (
        wanted.payload, wanted.priority, wanted.queue, wanted.max_retries, tags, wanted.backoff,
        wanted.timeout,
    )  # fmt: skip


async def hold(port: Port, decided: Decided, made: Sequence[Job]) -> None:
    """Write who has the keys of new jobs."""
    rows: list[tuple[Any, ...]] = []
    for (type, key), number in decided.names.items():
        links = decided.new[number].links
        assert links is not None
        rule = links.unique
        assert rule is not None
        until = None
        if rule.period is not None:
            until = timestamp(port.now() + timedelta(seconds=rule.period))
        rows.append((type, key, made[number].id, encode(rule.statuses), until))
    if rows:
        await port.batch(HOLD, rows)


# --- running again --------------------------------------------------------------------------


async def regain(port: Port, ids: Sequence[str]) -> dict[str, Job]:
    """Give ended jobs their keys back that shall run again.

    Returns those that must not, each with the job that has its key. Of several with one key the one
    that has it may, else the first.
    """
    ended = [
        queue.of_row(row) for row in await port.rows(ENDED, {"ids": encode(list(ids))})
    ]  # fmt: skip
    if not ended:
        return {}
    groups: dict[Name, list[Job]] = {}
    places = {id: place for place, id in enumerate(ids)}
    for job in sorted(ended, key=lambda one: places[one.id]):
        assert job.unique_key is not None
        groups.setdefault((job.type, job.unique_key), []).append(job)
    holders = await _holders(port, groups)
    now = timestamp(port.now())
    refused: dict[str, Job] = {}
    rows: list[tuple[Any, ...]] = []
    for name, group in groups.items():
        holder = holders.get(name)
        first = group[0]
        if holder is not None and (holder.counts(now) or holder.job in group):
            first = holder.job
        else:
            rows.append((*name, first.id, encode(WAITING), None))
        refused.update((job.id, first) for job in group if job.id != first.id)
    if rows:
        await port.batch(TAKE, rows)
    return refused
