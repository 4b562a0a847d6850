"""Meters: what limits count, and who waits until they have room.

A limit has one meter for each value of its key, or one in all. It counts jobs that are RUNNING by
their rows in `_jobs`, so that a killed worker's jobs count until they are rescued, and beginnings in the
window of a rate by numbered rows. Jobs that a key holds back are parked: BLOCKED, and freed in
order of priority and enqueueing when a place is given back, or when the window has moved on.
Everything here happens in the transaction of the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from aurora_db.base.codec import encode, instant, timestamp
from aurora_db.jobs.limits import Limit
from aurora_db.sql.statement import Batch
from aurora_db.store.port import Port

if TYPE_CHECKING:
    from aurora_db.jobs.queue import Claimed

#: Scope ("queue" or "type"), name, and value of the key, which is "" without one.
Meter = tuple[str, str, str]
Limits = Mapping[tuple[str, str], Limit]

#: Seconds that a freed job has its place reserved, if nobody claims it.
RESERVED = 10.0
#: Meters looked at in one step, and jobs that are freed where no limit is any more.
MOST_METERS = 200
MOST_FREED = 500
#: Beginnings that are forgotten in one step.
MOST_PRUNED = 5_000
#: A room without bounds.
BOUNDLESS = 1 << 40

LIMITS = "SELECT scope, name, concurrency, rate_count, rate_period, key FROM _limits"

#: Whether a row of `_limit_places`, p, is that of a running attempt; or of a job that was freed.
RUNS = "+j.status = 'RUNNING' AND j.attempt = p.attempt"
RESERVES = "+j.status = 'PENDING' AND j.attempt = p.attempt - 1 AND p.until IS NOT NULL"
ROOMS = f"""
    WITH meters AS MATERIALIZED (
        SELECT value ->> 0 AS scope, value ->> 1 AS name, value ->> 2 AS key FROM json_each(:meters)
    )
    SELECT scope, name, key,
           (SELECT count(*) FROM _limit_places AS p CROSS JOIN _jobs AS j
             WHERE p.scope = m.scope AND p.name = m.name AND p.key = m.key AND j._n = p.n AND {RUNS}),
           (SELECT count(*) FROM _limit_places AS p CROSS JOIN _jobs AS j
             WHERE p.scope = m.scope AND p.name = m.name AND p.key = m.key AND j._n = p.n AND {RESERVES}
               AND p.until > :now
               AND NOT EXISTS (SELECT 1 FROM _queues AS q WHERE q.name = j.queue AND q.paused_at IS NOT NULL)),
           (SELECT seq FROM _limit_starts AS s
             WHERE s.scope = m.scope AND s.name = m.name AND s.key = m.key AND s.until > :now
             ORDER BY s.until, s.seq LIMIT 1),
           (SELECT until FROM _limit_starts AS s
             WHERE s.scope = m.scope AND s.name = m.name AND s.key = m.key AND s.until > :now
             ORDER BY s.until, s.seq LIMIT 1),
           (SELECT json_array(seq, until) FROM _limit_starts AS s
             WHERE s.scope = m.scope AND s.name = m.name AND s.key = m.key
             ORDER BY s.until DESC, s.seq DESC LIMIT 1),
           EXISTS (SELECT 1 FROM _limit_waits AS w WHERE w.scope = m.scope AND w.name = m.name AND w.key = m.key)
      FROM meters AS m
"""

PLACE = Batch.insert(
    "_limit_places", ("scope", "name", "key", "n", "attempt", "until"),
    " ON CONFLICT DO UPDATE SET attempt = excluded.attempt, until = excluded.until",
)  # fmt: skip
START = Batch.insert("_limit_starts", ("scope", "name", "key", "until", "seq"))
BLOCK = """
    UPDATE _jobs SET status = 'BLOCKED'
     WHERE _n IN (SELECT value FROM json_each(:numbers)) AND +status = 'PENDING'
"""
PARK = Batch.insert(
    "_limit_parked", ("scope", "name", "key", "priority", "n"), " ON CONFLICT DO NOTHING"
)
WAIT = Batch.insert(
    "_limit_waits", ("scope", "name", "key", "template", "due_at"),
    " ON CONFLICT DO UPDATE SET due_at = coalesce(due_at, excluded.due_at)",
)  # fmt: skip

ANY_DUE = "SELECT 1 FROM _limit_waits WHERE due_at <= :now LIMIT 1"
DUE = f"SELECT scope, name, key, template FROM _limit_waits WHERE due_at <= :now ORDER BY due_at LIMIT {MOST_METERS}"
#: The next jobs of a meter; those in paused queues stay where they are, those that are gone come along.
NEXT = """
    SELECT p.n FROM (SELECT priority, n FROM _limit_parked
                      WHERE scope = ? AND name = ? AND key = ? ORDER BY priority DESC, n LIMIT 1000) AS p
      LEFT JOIN _jobs AS j ON j._n = p.n
     WHERE NOT EXISTS (SELECT 1 FROM _queues AS q WHERE q.name = j.queue AND q.paused_at IS NOT NULL)
     ORDER BY p.priority DESC, p.n LIMIT ?
"""
UNPARK = "DELETE FROM _limit_parked WHERE n IN (SELECT value FROM json_each(:numbers)) RETURNING scope, name, key, n"
FREE = """
    UPDATE _jobs SET status = 'PENDING'
     WHERE _n IN (SELECT value FROM json_each(:numbers)) AND +status = 'BLOCKED' AND coalesce(depends_on, 0) = 0
    RETURNING _n, priority, attempt
"""
#: A meter that nobody waits at is forgotten; the others are looked at again when they say.
RESET = """
    UPDATE _limit_waits SET due_at = m.value ->> 3 FROM json_each(:meters) AS m
     WHERE _limit_waits.scope = m.value ->> 0 AND _limit_waits.name = m.value ->> 1
       AND _limit_waits.key = m.value ->> 2
"""
FORGET = """
    DELETE FROM _limit_waits
     WHERE (scope, name, key) IN (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(:meters))
       AND NOT EXISTS (SELECT 1 FROM _limit_parked AS p
                        WHERE p.scope = _limit_waits.scope AND p.name = _limit_waits.name AND p.key = _limit_waits.key)
"""
LOOK_AGAIN = """
    UPDATE _limit_waits SET due_at = :now
     WHERE (scope, name, key) IN (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(:meters))
"""
#: Places that are nobody's any more. A lease that was lost leaves the place to who has the job now.
GIVE_BACK = f"""
    DELETE FROM _limit_places AS p
     WHERE n IN (SELECT value FROM json_each(:numbers))
       AND NOT EXISTS (SELECT 1 FROM _jobs AS j WHERE j._n = p.n AND ({RUNS} OR {RESERVES}))
    RETURNING scope, name, key
"""


class Room(msgspec.Struct, frozen=True):
    """What a meter has left now.

    `left` counts running jobs only, `spare` those too that were freed and are not claimed yet;
    `starts` is what is left of the rate, `turn` when its window frees the next once that is nothing.
    `waits` says that jobs are parked; `last` is the number and the end of the newest beginning.
    """

    left: int
    spare: int
    starts: int = BOUNDLESS
    turn: str | None = None
    waits: bool = False
    last: tuple[int, str] | None = None

    @property
    def frees(self) -> datetime | None:
        """When the window of a full rate frees the next."""
        return instant(self.turn) if self.turn is not None and self.starts <= 0 else None

    def less(self) -> Room:
        """The room when one more has begun."""
        return msgspec.structs.replace(
            self, left=self.left - 1, spare=self.spare - 1, starts=self.starts - 1
        )


NO_LIMIT = Room(BOUNDLESS, BOUNDLESS, waits=True)


async def limits(port: Port) -> dict[tuple[str, str], Limit]:
    """All limits, by scope and name."""
    rows = await port.rows(LIMITS)
    return {(row[0], row[1]): Limit(*row[2:]) for row in rows}


async def rooms(port: Port, limits: Limits, wanted: Iterable[Meter]) -> dict[Meter, Room]:
    """The rooms of these meters."""
    wanted = list(wanted)
    if not wanted:
        return {}
    rows = await port.rows(ROOMS, {"meters": encode(wanted), "now": timestamp(port.now())})
    return {row[:3]: _room(port, limits.get(row[:2]), *row[3:]) for row in rows}


def _room(
    port: Port, limit: Limit | None, running: int, reserved: int, first: int | None, ends: str | None,
    last: str | None, waits: int,
) -> Room:  # fmt: skip
    """`first` and `ends` are the number and the end of the oldest beginning in the window."""
    if limit is None:
        return NO_LIMIT
    newest = None if last is None else msgspec.json.decode(last, type=tuple[int, str])
    left = starts = BOUNDLESS
    turn = None
    if limit.concurrency is not None:
        left = limit.concurrency - running
    if limit.count is not None and limit.period is not None:
        within = 0 if first is None or newest is None else newest[0] - first + 1
        starts = limit.count - within
        turn = ends or timestamp(port.now() + timedelta(seconds=limit.period))
        left = min(left, starts)
    return Room(left, left - reserved, starts, turn, bool(waits), newest)


async def take(
    port: Port, limits: Limits, rooms: Mapping[Meter, Room], taken: Sequence[tuple[Meter, int, int]]
) -> None:
    """Count jobs that begin: for each its meter, number and attempt."""
    if not taken:
        return
    await port.batch(PLACE, [(*meter, n, attempt, None) for meter, n, attempt in taken])
    starts: list[tuple[Any, ...]] = []
    newest: dict[Meter, tuple[int, str]] = {}
    for meter, _, _ in taken:
        limit = limits[meter[:2]]
        if limit.period is None:
            continue
        seq, until = newest.get(meter) or rooms[meter].last or (0, "")
        # Never before the one before it, though the clock was set back.
        until = max(until, timestamp(port.now() + timedelta(seconds=limit.period)))
        newest[meter] = (seq + 1, until)
        starts.append((*meter, until, seq + 1))
    if starts:
        await port.batch(START, starts)


async def park(port: Port, limits: Limits, parked: Sequence[tuple[Claimed, Meter, Room]]) -> None:
    """Block jobs until their meters have room; for each the meter, and its room."""
    await port.change(BLOCK, {"numbers": encode([job.n for job, _, _ in parked])})
    await port.batch(PARK, [(*meter, job.priority, job.n) for job, meter, _ in parked])
    waits = {
        meter: (*meter, limits[meter[:2]].key or "", room.turn if room.starts <= 0 else None)
        for _, meter, room in parked
    }
    await port.batch(WAIT, list(waits.values()))


async def any_due(port: Port) -> bool:
    """Whether parked jobs may have room now."""
    return await port.row(ANY_DUE, {"now": timestamp(port.now())}) is not None


async def look_again(port: Port, meters: Sequence[Meter]) -> None:
    """Somebody may be freed at these meters."""
    await port.change(LOOK_AGAIN, {"meters": encode(meters), "now": timestamp(port.now())})


async def release(port: Port, limits: Limits) -> dict[int, int]:
    """Free parked jobs where there is room by now, some meters at a time: numbers and priorities."""
    now = timestamp(port.now())
    rows = await port.rows(DUE, {"now": now})
    found = await _rooms_of(port, limits, rows)
    wanted = [
        (*meter, min(room.spare, MOST_FREED)) for meter, room in found.items() if room.spare > 0
    ]
    numbers = [row[0] for row in await port.many(NEXT, wanted)] if wanted else []
    freed, came = await _free(port, limits, numbers) if numbers else ({}, {})
    again = encode([
        (*meter, _next_look(room, came.get(meter), now)) for meter, room in found.items()
    ])  # fmt: skip
    await port.change(RESET, {"meters": again})
    await port.change(FORGET, {"meters": again})
    return freed


async def _free(
    port: Port, limits: Limits, numbers: Sequence[int]
) -> tuple[dict[int, int], dict[Meter, int]]:
    """Free these: numbers and priorities of those that were still BLOCKED, and how many of each meter."""
    named = {"numbers": encode(numbers)}
    places = {row[3]: row[:3] for row in await port.rows(UNPARK, named)}
    rows = await port.rows(FREE, named)
    until = timestamp(port.now() + timedelta(seconds=RESERVED))
    await port.batch(PLACE, [
        (*places[n], n, attempt + 1, until) for n, _, attempt in rows if places[n][:2] in limits
    ])  # fmt: skip
    came = dict.fromkeys(places.values(), 0)
    for n, _, _ in rows:
        came[places[n]] += 1
    return {n: priority for n, priority, _ in rows}, came


async def _rooms_of(
    port: Port, limits: Limits, rows: Sequence[tuple[Any, ...]]
) -> dict[Meter, Room]:
    """The rooms of waiting meters; one whose limit is gone, or has another key now, has no bounds."""
    known = await rooms(port, limits, [row[:3] for row in rows])
    for row in rows:
        limit = limits.get(row[:2])
        if limit is None or (limit.key or "") != row[3]:
            known[row[:3]] = NO_LIMIT
    return known


def _next_look(room: Room, came: int | None, now: str) -> str | None:
    """When a meter is looked at after now; `came` jobs were freed, None when none could be found."""
    if came is not None and (room is NO_LIMIT or came < room.spare):
        # There may be more; some of those that were parked had ended.
        return now
    return room.turn if came or room.starts <= 0 else None


async def give_back(port: Port, numbers: Sequence[int]) -> bool:
    """Jobs do not run any more: their places are free. Whether there were any."""
    if not numbers:
        return False
    named = {"numbers": encode(list(numbers))}
    rows = await port.rows(GIVE_BACK, named)
    if not rows:
        return False
    await look_again(port, list(dict.fromkeys(rows)))
    return True


async def end(port: Port, numbers: Sequence[int]) -> bool:
    """A person has ended jobs, wherever they were; whether a limit had counted or parked any."""
    rows = await port.rows(UNPARK, {"numbers": encode(list(numbers))})
    if rows:
        await look_again(port, list(dict.fromkeys(row[:3] for row in rows)))
    return await give_back(port, numbers) or bool(rows)


#: Whether there is anything of limits at all.
ANY = """
    SELECT EXISTS (SELECT 1 FROM _limit_waits) OR EXISTS (SELECT 1 FROM _limit_places)
        OR EXISTS (SELECT 1 FROM _limit_starts)
"""
WAITING = f"""
    SELECT scope, name, key, template FROM _limit_waits
     WHERE (due_at IS NULL OR due_at > :now) AND (scope, name, key) > (:scope, :name, :key)
     ORDER BY scope, name, key LIMIT {MOST_METERS}
"""
#: Places that are left though their job has gone on, by another program.
STALE = f"""
    SELECT n FROM _limit_places AS p
     WHERE NOT EXISTS (SELECT 1 FROM _jobs AS j WHERE j._n = p.n AND ({RUNS} OR {RESERVES}))
     LIMIT {MOST_FREED}
"""
OLD = "SELECT EXISTS (SELECT 1 FROM _limit_starts WHERE until <= :now)"
PRUNE = f"""
    DELETE FROM _limit_starts WHERE (scope, name, key, until, seq) IN (
        SELECT scope, name, key, until, seq FROM _limit_starts WHERE until <= :now ORDER BY until LIMIT {MOST_PRUNED})
"""


class Astray(msgspec.Struct, frozen=True):
    """What nobody told the meters: those that have room by now, numbers of places that are nobody's.

    `old` says that beginnings count no more; `after` is where the next look begins.
    """

    open: list[Meter]
    stale: list[int]
    old: bool
    after: Meter

    def __bool__(self) -> bool:
        return bool(self.open or self.stale or self.old)


FIRST: Meter = ("", "", "")


async def astray(port: Port, after: Meter) -> Astray:
    """What other programs have done to jobs behind the meters, a bounded part of it; changes nothing."""
    row = await port.row(ANY)
    if row is None or not row[0]:
        return Astray([], [], False, FIRST)
    now = timestamp(port.now())
    scope, name, key = after
    rows = await port.rows(WAITING, {"now": now, "scope": scope, "name": name, "key": key})
    found = await _rooms_of(port, await limits(port), rows)
    stale = [row[0] for row in await port.rows(STALE)]
    old = await port.row(OLD, {"now": now})
    return Astray(
        [meter for meter, room in found.items() if room.spare > 0],
        stale,
        old is not None and bool(old[0]),
        FIRST if len(rows) < MOST_METERS else rows[-1][:3],
    )


async def tidy(port: Port, found: Astray) -> bool:
    """Put right what has gone astray; whether there is more to forget."""
    pruned = 0
    if found.open:
        await look_again(port, found.open)
    if found.old:
        pruned = await port.change(PRUNE, {"now": timestamp(port.now())})
    if await give_back(port, found.stale) or found.open:
        port.touch("jobs")
    return pruned == MOST_PRUNED
