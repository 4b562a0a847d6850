"""Firing schedules: what is due is done, once over all processes, and written down.

For each time that is due one transaction moves the schedule on, claims the time in `_schedule_runs`, whose
key it is, and runs the action. What an action does it does wholly or not at all; when it fails, that is
written down, and the schedule goes on. What runs an action is handed in.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from aurora_db.aql.catalog import Schedule
from aurora_db.base.codec import encode, instant, timestamp
from aurora_db.base.errors import AuroraError, Busy, DatabaseCorrupt, DiskFull, ReadOnly
from aurora_db.store import causes
from aurora_db.store.port import Port
from aurora_db.store.recent import Recent
from aurora_db.store.scope import Runner, Scope

if TYPE_CHECKING:
    from aurora_db.aql import plan

logger = logging.getLogger("aurora_db.store")

#: Times that are fired in one transaction, and the seconds after which it takes no more.
STEP = 1_000
BUDGET = 0.25
#: Seconds after which a time was missed, where nothing is made up for.
LATE = 60.0
#: Runs that are kept of each schedule.
KEPT = 1_000
#: Schedules whose actions are kept ready to run.
READY = 256
#: Characters of an error that are kept: the beginning tells most.
ERROR = 2_000

#: What is no fault of an action: the whole transaction is tried again.
_OURS = (Busy, DiskFull, DatabaseCorrupt, ReadOnly)

DUE = """
    SELECT name, due_at, definition FROM _schedules
     WHERE next_at IS NOT NULL AND next_at <= :now ORDER BY next_at, name LIMIT 1
"""
ANY_DUE = "SELECT 1 FROM _schedules WHERE next_at IS NOT NULL AND next_at <= :now ORDER BY next_at LIMIT 1"
MOVE = """
    UPDATE _schedules SET next_at = :next, due_at = :next_due
     WHERE name = :name AND due_at = :due
"""
#: The key is the guard: whoever writes it fires.
CLAIM = """
    INSERT INTO _schedule_runs (schedule, due_at, fired_at, outcome, error)
    VALUES (:name, :due, :now, :outcome, :error) ON CONFLICT (schedule, due_at) DO NOTHING
"""
LAST = "UPDATE _schedules SET last_at = :now WHERE name = :name"
ENQUEUED = "UPDATE _schedule_runs SET jobs = :jobs WHERE schedule = :name AND due_at = :due"
FAILED = """
    UPDATE _schedule_runs SET outcome = 'FAILED', error = :error WHERE schedule = :name AND due_at = :due
"""
#: The last time whose jobs have not ended.
HELD = """
    SELECT r.due_at
      FROM (SELECT due_at, jobs FROM _schedule_runs
             WHERE schedule = :name AND outcome = 'FIRED' ORDER BY due_at DESC LIMIT 1) AS r
     WHERE EXISTS (SELECT 1 FROM json_each(r.jobs) AS j JOIN _jobs ON _jobs.id = j.value
                    WHERE _jobs.finished_at IS NULL)
"""
#: Whether the last one has ended is asked of the run that enqueued, which stays therefore.
PRUNE = """
    DELETE FROM _schedule_runs
     WHERE schedule = :name
       AND due_at <= (SELECT due_at FROM _schedule_runs
                       WHERE schedule = :name ORDER BY due_at DESC LIMIT 1 OFFSET :kept)
       AND due_at <> coalesce((SELECT due_at FROM _schedule_runs
                                WHERE schedule = :name AND outcome = 'FIRED' ORDER BY due_at DESC LIMIT 1), '')
"""
NEW_JOBS = "SELECT id FROM _jobs WHERE _n > ? ORDER BY _n"
CAUSED = "UPDATE _jobs SET cause = ? WHERE _n > ? AND cause IS NULL"

#: What runs an action, by the keys of its parts.
Runners = Sequence[tuple[str, Runner]]


async def any_due(port: Port) -> bool:
    """Whether a schedule is due."""
    return await port.row(ANY_DUE, {"now": timestamp(port.now())}) is not None


class Firing:
    """Fires schedules. `runner` makes the runner of a part."""

    def __init__(self, runner: Callable[[plan.Part], Runner]) -> None:
        self._runner = runner
        self._ready: Recent[tuple[int, str, str], Runners] = Recent(READY, READY)

    async def step(self, port: Port) -> bool:
        """Fire what is due, the earliest first, up to a bound; whether something is left."""
        begun = time.monotonic()
        now = {"now": timestamp(port.now())}
        names: set[str] = set()
        for _ in range(STEP):
            row = await port.row(DUE, now)
            if row is None or (names and time.monotonic() - begun > BUDGET):
                break
            name, due, definition = row
            names.add(name)
            await self._time(port, msgspec.json.decode(definition, type=Schedule), due)
        for name in names:
            await port.change(PRUNE, {"name": name, "kept": KEPT})
        return await any_due(port)

    async def _time(self, port: Port, schedule: Schedule, text: str) -> None:
        """One time of one schedule; of those that were missed, the one that counts for all."""
        from aurora_db.aql import timetable  # noqa: PLC0415 - few programs have schedules

        now, first = port.now(), instant(text)
        due = first
        if schedule.catch_up != "ALL":
            due = timetable.last_due(schedule, first, now)
        late = now - timetable.fires_at(schedule, due) > timedelta(seconds=LATE)
        missed = schedule.catch_up == "NONE" and late
        following = timetable.next_due(schedule, due)
        moved = await port.change(MOVE, {
            "name": schedule.name, "due": text, "next_due": timestamp(following),
            "next": timestamp(timetable.fires_at(schedule, following)),
        })  # fmt: skip
        if not moved:
            return
        if due != first:
            await _left_out(port, schedule, first, f"missed, as were all before {timestamp(due)}")
        if missed:
            await _left_out(port, schedule, due, "missed: no worker ran at its time")
            return
        await self._fire(port, schedule, timestamp(due))

    async def _fire(self, port: Port, schedule: Schedule, due: str) -> None:
        key = {"name": schedule.name, "due": due}
        if schedule.overlap == "SKIP":
            held = await port.row(HELD, {"name": schedule.name})
            if held is not None:
                why = f"what was enqueued for {held[0]} has not ended"
                await _left_out(port, schedule, instant(due), why)
                return
        if not await _claimed(port, schedule, due, "FIRED"):
            return
        await port.change(LAST, {"name": schedule.name, "now": timestamp(port.now())})
        await port.script("SAVEPOINT action")
        try:
            ready = self._runners(schedule, port)
            _, jobs = await act(port, ready, schedule.name, due)
            if jobs:
                await port.change(ENQUEUED, {**key, "jobs": encode(jobs)})
        except Exception as error:
            if isinstance(error, _OURS):
                raise
            await port.script("ROLLBACK TO action")
            logger.error(  # noqa: TRY400 - the same with a field
                "the action of a schedule failed", exc_info=error, extra={"schedule": schedule.name}
            )
            await port.change(FAILED, {**key, "error": _words(error)})
        await port.script("RELEASE action")

    def _runners(self, schedule: Schedule, port: Port) -> Runners:
        key = (port.catalog.version, schedule.name, schedule.digest)
        ready = self._ready.get(key)
        if ready is None:
            ready = runners(schedule, self._runner, port)
            self._ready.put(key, ready, 1)
        return ready


def runners(schedule: Schedule, runner: Callable[[plan.Part], Runner], port: Port) -> Runners:
    """What runs the action of a schedule, against the definitions of now.

    Raises:
        AqlError: they have no meaning for it any more.
    """
    from aurora_db.aql import schedules  # noqa: PLC0415 - few programs have schedules

    return [(part.key, runner(part)) for part in schedules.actions_of(schedule, port.catalog)]


async def act(
    port: Port, ready: Runners, name: str, due: str | None = None
) -> tuple[Mapping[str, Any], list[str]]:
    """Run an action: the results of its parts, and the ids of all jobs that were made meanwhile.

    The jobs name the schedule as their cause, and the time that was due.
    """
    newest = await causes.newest_job(port)
    scope = Scope({}, {})
    for key, runner in ready:
        scope.results[key] = await runner(port, scope)
    jobs = [row[0] for row in await port.rows(NEW_JOBS, (newest,))]
    if jobs:
        cause = {"schedule": name} if due is None else {"schedule": name, "due": due}
        await port.change(CAUSED, (encode(cause), newest))
    return scope.results, jobs


async def _claimed(
    port: Port, schedule: Schedule, due: str, outcome: str, error: str | None = None
) -> bool:
    values = {
        "name": schedule.name, "due": due, "now": timestamp(port.now()), "outcome": outcome, "error": error,
    }  # fmt: skip
    return await port.change(CLAIM, values) > 0


async def _left_out(port: Port, schedule: Schedule, due: datetime, why: str) -> None:
    await _claimed(port, schedule, timestamp(due), "SKIPPED", why)


def _words(error: Exception) -> str:
    text = error.message if isinstance(error, AuroraError) else str(error)
    name = type(error).__name__
    return f"{name}: {text}"[:ERROR] if text else name
