"""Claims: a worker takes the most urgent pending jobs of its lanes, in one transaction.

A *lane* is one job type in one queue. Which lanes have pending jobs is seen by leaping through the
partial index, one step a lane, so that it costs the same however many jobs have ended, are
blocked or lie in paused queues. The lanes are merged by priority and order of enqueueing; each
gives its jobs in that order from the index. Most claims are one look and one update. Lanes with
limits take a longer way (`_Walk`), which decides by the meters of `meters.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from aurora_db.base.codec import decode, encode, instant, timestamp
from aurora_db.jobs import limits, meters, upkeep
from aurora_db.jobs.meters import Limits, Meter, Room
from aurora_db.jobs.queue import LEASE, Claimed
from aurora_db.store.port import Port

#: Lanes that a worker remembers, and looks into at once.
MOST_KNOWN = 8
#: Lanes that are merged by one statement.
MOST_MERGED = 64
#: Rounds of one claim among limits, and jobs looked at in one round, at most.
MOST_ROUNDS = 16
MOST_LOOKED_AT = 512

#: The lanes of the worker's types that have pending jobs: one leap through the index for each.
LANES = """
    WITH RECURSIVE lanes (type, queue) AS (
        SELECT value, (SELECT queue FROM _jobs WHERE status = 'PENDING' AND type = value ORDER BY queue LIMIT 1)
          FROM json_each(:types)
        UNION ALL
        SELECT type, (SELECT queue FROM _jobs
                       WHERE status = 'PENDING' AND type = lanes.type AND queue > lanes.queue
                       ORDER BY queue LIMIT 1)
          FROM lanes WHERE queue IS NOT NULL
    )
"""
#: The same for a worker that serves certain queues only.
SERVED_LANES = """
    WITH lanes (type, queue) AS (
        SELECT t.value, q.value FROM json_each(:types) AS t CROSS JOIN json_each(:queues) AS q
         WHERE EXISTS (SELECT 1 FROM _jobs WHERE status = 'PENDING' AND type = t.value AND queue = q.value)
    )
"""
#: Which lanes are open, whether a limit counts in them; paused queues; when parked and scheduled jobs are due.
OPEN = """
    SELECT (SELECT json_group_array(json_array(
                       type, queue, EXISTS (SELECT 1 FROM _limits WHERE scope = 'type' AND name = lanes.type)
                                    OR EXISTS (SELECT 1 FROM _limits WHERE scope = 'queue' AND name = lanes.queue)))
              FROM lanes
             WHERE queue IS NOT NULL
               AND NOT EXISTS (SELECT 1 FROM _queues WHERE name = lanes.queue AND paused_at IS NOT NULL)),
           (SELECT json_group_array(name) FROM _queues WHERE paused_at IS NOT NULL),
           (SELECT min(due_at) FROM _limit_waits WHERE due_at IS NOT NULL),
           (SELECT min(run_at) FROM _jobs WHERE status = 'SCHEDULED')
"""
LANE = "SELECT _n, priority FROM _jobs WHERE status = 'PENDING' AND type = :type{n} AND queue = :queue{n}"
#: What shall be claimed, as one text: a row each would wait for the interpreter's lock each.
JOBS = """
    SELECT json_group_array(json_array(_n, id, type, payload, priority, attempt + 1, retries, max_retries, crashes,
                                       queue, tags, backoff, timeout, :worker))
      FROM _jobs
     WHERE _n IN (SELECT _n FROM ({lanes} ORDER BY priority DESC, _n LIMIT :limit))
"""
#: In the same transaction nobody else can have taken them.
CLAIM = """
    UPDATE _jobs
       SET status = 'RUNNING', worker = :worker, attempt = attempt + 1, started_at = :now, lease_until = :lease
     WHERE _n IN (SELECT value FROM json_each(:numbers)) AND +status = 'PENDING'
"""

_CLAIMED = msgspec.json.Decoder(list[Claimed])

#: Type and queue.
Lane = tuple[str, str]
#: How many slots are free for a job of this priority.
Free = Callable[[int], int]


class _View(msgspec.Struct, frozen=True):
    """What a look has shown: open lanes and whether they have limits, whether parked jobs are due.

    `next` is when the next scheduled or parked job is due.
    """

    lanes: Mapping[Lane, bool]
    due: bool
    next: datetime | None
    paused: tuple[str, ...]
    jobs: list[Claimed]

    @property
    def limited(self) -> bool:
        """Whether limits have a say."""
        return self.due or any(self.lanes.values())


class Claimer:
    """Claims for one worker; remembers its lanes from one claim to the next.

    Args:
        queues: the queues that it serves; None for all.

    After a claim, `due` is when something more may be there to claim, None when only a commit can
    bring it; `more` says that the claim stopped at its bounds and shall be made again; `held` is the priority of
    a job with a limit that waits for a free slot; `paused` are the queues that are.
    """

    def __init__(self, worker: str, queues: Sequence[str] | None = None) -> None:
        self._worker = worker
        self._queues = None if queues is None else encode(list(queues))
        self._known: tuple[Lane, ...] = ()
        self._types: tuple[Sequence[str], str] = ((), "[]")
        self._among_limits = False
        self.due: datetime | None = None
        self.more = False
        self.held: int | None = None
        self.paused: tuple[str, ...] = ()

    async def claim(
        self, port: Port, types: Sequence[str], limit: int, free: Free | None = None
    ) -> list[Claimed]:
        """Claim up to `limit` pending jobs of these types, the most urgent first.

        Jobs of limited types and queues are claimed for free slots only: `free` tells how many there are.
        """
        self.more, self.held, self.due = False, None, None
        if not types or limit < 1:
            # A schedule may be due, which needs no job handler.
            self.due = await upkeep.next_due(port)
            return []
        known = () if self._among_limits else self._known
        view = await self._look(port, types, known, limit)
        self.paused = view.paused
        self._among_limits = view.limited
        if view.limited:
            walk = _Walk(self, port, types, limit, free)
            claimed = await walk.run(view)
            self.may_come(await upkeep.next_due(port))
        else:
            claimed = view.jobs
            lanes = view.lanes
            # A lane that was not looked into, or one that is closed by now.
            if any(lane not in known for lane in lanes) or any(
                (job.type, job.queue) not in lanes for job in claimed
            ):
                self._known = tuple(lanes)[:MOST_KNOWN]
                claimed = await self.merged(port, lanes, limit)
            await self.take(port, claimed)
            self.due = view.next
        claimed.sort(key=_order)
        return claimed

    async def look(self, port: Port, types: Sequence[str]) -> tuple[bool, datetime | None]:
        """Whether there is anything to claim, and when the next may be; changes nothing."""
        view = await self._look(port, types, (), 0)
        due = view.next
        if view.due or any(not limited for limited in view.lanes.values()):
            return True, due
        if not view.lanes:
            return False, due
        known = await meters.limits(port)
        rooms = await meters.rooms(port, known, _whole(view.lanes, known))
        frees = [due] if due is not None else []
        for lane in view.lanes:
            full = _full(lane, known, rooms)
            if full is None:
                return True, due
            if full.frees is not None:
                frees.append(full.frees)
        return False, min(frees) if frees else None

    async def _look(
        self, port: Port, types: Sequence[str], known: Sequence[Lane], limit: int
    ) -> _View:
        if self._types[0] is not types:
            self._types = (types, encode(list(types)))
        params = {"types": self._types[1]}
        if self._queues is not None:
            params["queues"] = self._queues
        text = _look_text(len(known), self._queues is not None)
        if known:
            params |= _lane_params(known) | {"worker": self._worker, "limit": limit}
        row = await port.row(text, params)
        assert row is not None
        lanes = {(type, queue): bool(limited) for type, queue, limited in decode(row[0])}
        paused, parked, scheduled = row[1:4]
        due = parked is not None and parked <= timestamp(port.now())
        next = min(parked or scheduled, scheduled or parked) if parked or scheduled else None
        return _View(
            lanes,
            due,
            None if next is None else instant(next),
            () if paused == "[]" else tuple(decode(paused)),
            _CLAIMED.decode(row[4]) if known else [],
        )

    async def lanes(self, port: Port, types: Sequence[str]) -> _View:
        """The open lanes as they are now."""
        return await self._look(port, types, (), 0)

    async def merged(self, port: Port, lanes: Iterable[Lane], limit: int) -> list[Claimed]:
        """The first jobs of these lanes by priority and order of enqueueing."""
        lanes = list(lanes)
        jobs: list[Claimed] = []
        for start in range(0, len(lanes), MOST_MERGED):
            some = lanes[start : start + MOST_MERGED]
            params = _lane_params(some) | {"worker": self._worker, "limit": limit}
            row = await port.row(_jobs_text(len(some)), params)
            assert row is not None
            jobs += _CLAIMED.decode(row[0])
        jobs.sort(key=_order)
        return jobs[:limit]

    async def take(self, port: Port, jobs: Sequence[Claimed]) -> None:
        """Write that these are running."""
        if jobs:
            now = port.now()
            await port.change(CLAIM, {
                "worker": self._worker, "now": timestamp(now), "lease": timestamp(now + timedelta(seconds=LEASE)),
                "numbers": encode([job.n for job in jobs]),
            })  # fmt: skip

    def may_come(self, at: datetime | None) -> None:
        """There may be something more to claim at this instant, if any is known."""
        if at is not None:
            self.due = at if self.due is None else min(self.due, at)

    def __repr__(self) -> str:
        return f"Claimer({self._worker!r})"


async def claim(port: Port, worker: str, types: Sequence[str], limit: int) -> list[Claimed]:
    """Claim up to `limit` pending jobs of these types, the most urgent first, in any queue."""
    return await Claimer(worker).claim(port, types, limit)


class _Walk:
    """One claim among limits: in rounds over the most urgent jobs, each taken, passed over or parked.

    A job whose meter counts by key and has no room is parked: it is BLOCKED and hides nobody. A lane whose
    limit has no key is left as it is, and its jobs too.
    """

    def __init__(
        self, claimer: Claimer, port: Port, types: Sequence[str], limit: int, free: Free | None
    ) -> None:
        self._claimer = claimer
        self._port = port
        self._asked = types
        self._limit = limit
        self._free = free
        self._limits: Limits = {}
        self._rooms: dict[Meter, Room] = {}
        self._taken: list[Claimed] = []
        self._freed: dict[int, int] = {}
        self._tried: set[Meter] = set()
        self._size = limit if free is None else min(limit, max(1, free(-1)) + 1)

    async def run(self, view: _View) -> list[Claimed]:
        """Claim; returns the jobs."""
        claimer, port = self._claimer, self._port
        self._limits = await meters.limits(port)
        for turn in range(MOST_ROUNDS):
            if view.due:
                self._freed |= await meters.release(port, self._limits)
            if view.due or turn:
                view = await claimer.lanes(port, self._asked)
            if not await self._round(view):
                break
            view = msgspec.structs.replace(view, due=await meters.any_due(port))
        else:
            claimer.more = True
        taken = {job.n for job in self._taken}
        left = [priority for n, priority in self._freed.items() if n not in taken]
        if left:
            # For the workers that have a slot for them, or serve their queue.
            port.touch("jobs", max(left))
        claimer.more = claimer.more or await meters.any_due(port)
        return self._taken

    async def _round(self, view: _View) -> bool:
        """One round; whether another one may find more."""
        port = self._port
        whole = _whole(view.lanes, self._limits)
        self._rooms = await meters.rooms(port, self._limits, whole)
        lanes: list[Lane] = []
        for lane in view.lanes:
            full = _full(lane, self._limits, self._rooms)
            if full is None:
                lanes.append(lane)
            else:
                self._claimer.may_come(full.frees)
        if any(not view.lanes[lane] for lane in lanes):
            self._size = max(self._size, self._limit)
        size = min(self._size, MOST_LOOKED_AT)
        jobs = await self._claimer.merged(port, lanes, size)
        found = [(job, self._meters(job)) for job in jobs]
        wanted = {meter for _, ours in found for meter in ours} - self._rooms.keys()
        self._rooms |= await meters.rooms(port, self._limits, wanted)
        step = self._step(found)
        await self._write(step)
        self._size *= 2
        if len(self._taken) >= self._limit or self._claimer.held is not None:
            return False
        return step.again or len(jobs) == size

    def _meters(self, job: Claimed) -> list[Meter]:
        """The meters that count a job: of its type, and of its queue."""
        found: list[Meter] = []
        for place in (("type", job.type), ("queue", job.queue)):
            limit = self._limits.get(place)
            if limit is not None:
                found.append((*place, limits.value(limit, job.payload)))
        return found

    def _step(self, found: Sequence[tuple[Claimed, list[Meter]]]) -> _Step:
        """Decide about the jobs, in their order."""
        step = _Step()
        for job, ours in found:
            if len(self._taken) + len(step.taken) >= self._limit:
                break
            rooms = [self._rooms[meter] for meter in ours]
            full = next((n for n, room in enumerate(rooms) if room.left <= 0), None)
            if full is None:
                before = [meter for meter in ours if self._has_parked(meter)]
                if before:
                    # They were there first, and can be freed; looked at once.
                    self._tried.update(before)
                    step.due += before
                    step.again = True
                    break
                if ours and self._free is not None:
                    busy = len(self._taken) + len(step.taken)
                    if self._free(job.priority) <= busy:
                        self._claimer.held = job.priority
                        break
                step.taken.append((job, ours))
                for meter in ours:
                    self._rooms[meter] = self._rooms[meter].less()
            elif self._limits[ours[full][:2]].key is not None:
                step.parked.append((job, ours[full], rooms[full]))
                others = [
                    meter
                    for meter, room in zip(ours, rooms, strict=True)
                    if room.waits and room.left > 0
                ]
                if others:
                    # Its place there goes to the next.
                    step.due += others
                    step.again = True
                    break
            else:
                self._claimer.may_come(rooms[full].frees)
        return step

    def _has_parked(self, meter: Meter) -> bool:
        room = self._rooms[meter]
        return room.waits and room.spare > 0 and meter not in self._tried

    async def _write(self, step: _Step) -> None:
        port = self._port
        if step.taken:
            jobs = [job for job, _ in step.taken]
            await self._claimer.take(port, jobs)
            await meters.take(port, self._limits, self._rooms, [
                (meter, job.n, job.attempt) for job, ours in step.taken for meter in ours
            ])  # fmt: skip
            self._taken += [
                msgspec.structs.replace(job, limited=True) if ours else job
                for job, ours in step.taken
            ]
        if step.parked:
            await meters.park(port, self._limits, step.parked)
        if step.due:
            await meters.look_again(port, step.due)


class _Step:
    """What a round has decided: jobs to take and to park, meters to look at again."""

    __slots__ = ("again", "due", "parked", "taken")

    def __init__(self) -> None:
        self.taken: list[tuple[Claimed, list[Meter]]] = []
        self.parked: list[tuple[Claimed, Meter, Room]] = []
        self.due: list[Meter] = []
        self.again = False


def _order(job: Claimed) -> tuple[int, int]:
    return -job.priority, job.n


def _whole(lanes: Iterable[Lane], known: Limits) -> set[Meter]:
    """The meters of limits without key that count these lanes."""
    places = {place for lane in lanes for place in (("type", lane[0]), ("queue", lane[1]))}
    return {(*place, "") for place in places if place in known and known[place].key is None}


def _full(lane: Lane, known: Limits, rooms: Mapping[Meter, Room]) -> Room | None:
    """The full meter that closes a lane as a whole, or None."""
    for meter in (("type", lane[0], ""), ("queue", lane[1], "")):
        limit = known.get(meter[:2])
        if limit is not None and limit.key is None and rooms[meter].left <= 0:
            return rooms[meter]
    return None


def _lane_params(lanes: Sequence[Lane]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for n, (type, queue) in enumerate(lanes):
        params[f"type{n}"] = type
        params[f"queue{n}"] = queue
    return params


@lru_cache(maxsize=128)
def _jobs_text(lanes: int) -> str:
    return JOBS.format(lanes=" UNION ALL ".join(LANE.format(n=n) for n in range(lanes)))


@lru_cache(maxsize=32)
def _look_text(known: int, served: bool) -> str:
    text = (SERVED_LANES if served else LANES) + OPEN
    return f"{text}, ({_jobs_text(known)})" if known else text
