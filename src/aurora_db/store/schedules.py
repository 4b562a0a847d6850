"""Schedules as they are stored, with the time at which each is due next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from aurora_db.aql import plan, timetable
from aurora_db.aql.catalog import Schedule
from aurora_db.base.codec import timestamp
from aurora_db.base.errors import NotFound, SchemaError
from aurora_db.store import firing
from aurora_db.store.catalog import become, renumber
from aurora_db.store.port import Port
from aurora_db.store.scope import Runner, Scope

KEEP_SCHEDULE = """
    INSERT INTO _schedules (name, definition, next_at, due_at, created_at)
    VALUES (:name, :definition, :next, :due, :now)
        ON CONFLICT (name) DO UPDATE
           SET definition = excluded.definition, next_at = excluded.next_at, due_at = excluded.due_at
"""
KEEP_DEFINITION = "UPDATE _schedules SET definition = :definition WHERE name = :name"
DROP_SCHEDULE = "DELETE FROM _schedules WHERE name = ?"
DROP_RUNS = "DELETE FROM _schedule_runs WHERE schedule = ?"


async def define_schedule(port: Port, wanted: plan.DefineSchedule) -> dict[str, Any]:
    """Make a schedule, or replace it; it is due next after now, unless its times stay the same.

    Raises:
        SchemaError: one of this name exists and differs.
    """
    schedule = wanted.schedule
    existing = port.catalog.schedules.get(schedule.name)
    if existing is not None:
        if existing.digest == schedule.digest or wanted.if_not_exists:
            return {"name": schedule.name, "status": "unchanged"}
        if not wanted.or_replace:
            raise SchemaError(
                f"schedule '{schedule.name}' exists and differs",
                hint=f'write `define schedule "{schedule.name}" or replace {{ … }}`',
            )
    await _keep(port, schedule, existing)
    status = "registered" if existing is None else "replaced"
    return {"name": schedule.name, "status": status}


async def drop_schedule(port: Port, wanted: plan.DropSchedule) -> dict[str, Any]:
    """Remove a schedule and the record of its runs; what it has enqueued stays.

    Raises:
        NotFound: none has this name, and `if exists` was not said.
    """
    if wanted.if_exists and wanted.name not in port.catalog.schedules:
        return {"name": wanted.name, "status": "unchanged"}
    _known(port, wanted.name)
    await port.change(DROP_SCHEDULE, (wanted.name,))
    await port.change(DROP_RUNS, (wanted.name,))
    others = {n: one for n, one in port.catalog.schedules.items() if n != wanted.name}
    await renumber(port)
    await become(port, schedules=others)
    return {"name": wanted.name, "status": "dropped"}


async def control_schedule(
    wanted: plan.ControlSchedule, runner: Callable[[plan.Part], Runner], port: Port, _scope: Scope
) -> dict[str, Any]:
    """Enable, disable, or run the action now.

    A schedule that is enabled again is due next after now.

    Raises:
        NotFound: none has this name.
    """
    schedule = _known(port, wanted.name)
    if wanted.verb == "run":
        results, _ = await firing.act(port, firing.runners(schedule, runner, port), schedule.name)
        return {"name": wanted.name, "status": "run", "action": results}
    enabled = wanted.verb == "enable"
    if schedule.enabled == enabled:
        return {"name": wanted.name, "status": "unchanged"}
    await _keep(port, msgspec.structs.replace(schedule, enabled=enabled), schedule)
    return {"name": wanted.name, "status": "enabled" if enabled else "disabled"}


async def _keep(port: Port, schedule: Schedule, before: Schedule | None) -> None:
    now = port.now()
    if schedule.every is not None:
        # On its grid it stays, whatever else changes.
        known = before is not None and before.every == schedule.every
        anchor = before.anchor if known and before is not None else now
        schedule = msgspec.structs.replace(schedule, anchor=anchor)
    values: dict[str, str | None] = {
        "name": schedule.name, "definition": msgspec.json.encode(schedule).decode(),
    }  # fmt: skip
    if before is not None and before.times == schedule.times and before.enabled == schedule.enabled:
        # A time that is due and has not fired yet is not lost to a new action.
        await port.change(KEEP_DEFINITION, values)
    else:
        due = timetable.next_due(schedule, now) if schedule.enabled else None
        await port.change(KEEP_SCHEDULE, {
            **values,
            "due": None if due is None else timestamp(due),
            "next": None if due is None else timestamp(timetable.fires_at(schedule, due)),
            "now": timestamp(now),
        })  # fmt: skip
    await renumber(port)
    await become(port, schedules={**port.catalog.schedules, schedule.name: schedule})
    # Workers that had nothing to do so far begin, those of other processes look when it is due.
    port.touch("handlers")
    port.touch("jobs")


def _known(port: Port, name: str) -> Schedule:
    found = port.catalog.schedules.get(name)
    if found is None:
        raise NotFound(
            f"no schedule named '{name}'", hint="look into _schedules: { _schedules { name } }"
        )
    return found
