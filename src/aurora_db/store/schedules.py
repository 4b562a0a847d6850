"""Schedules as they are stored, with the time at which each is due next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from aurora_db.aql import plan, schedules, timetable
from aurora_db.aql.catalog import Schedule
from aurora_db.base.codec import timestamp
from aurora_db.base.errors import NotFound, SchemaError
from aurora_db.store.catalog import become, renumber
from aurora_db.store.port import Port
from aurora_db.store.scope import Runner, Scope

KEEP_SCHEDULE = """
    INSERT INTO _schedules (name, definition, next_at, created_at) VALUES (:name, :definition, :next, :now)
        ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, next_at = excluded.next_at
"""
DROP_SCHEDULE = "DELETE FROM _schedules WHERE name = ?"


async def define_schedule(port: Port, wanted: plan.DefineSchedule) -> dict[str, Any]:
    """Make a schedule, or replace it.

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
    await _keep(port, schedule)
    status = "registered" if existing is None else "replaced"
    return {"name": schedule.name, "status": status}


async def drop_schedule(port: Port, wanted: plan.DropSchedule) -> dict[str, Any]:
    """Remove a schedule; what it has enqueued stays.

    Raises:
        NotFound: none has this name, and `if exists` was not said.
    """
    if wanted.if_exists and wanted.name not in port.catalog.schedules:
        return {"name": wanted.name, "status": "unchanged"}
    _known(port, wanted.name)
    await port.change(DROP_SCHEDULE, (wanted.name,))
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
        scope = Scope({}, {})
        for part in schedules.actions_of(schedule, port.catalog):
            scope.results[part.key] = await runner(part)(port, scope)
        return {"name": wanted.name, "status": "run", "action": scope.results}
    enabled = wanted.verb == "enable"
    if schedule.enabled == enabled:
        return {"name": wanted.name, "status": "unchanged"}
    await _keep(port, msgspec.structs.replace(schedule, enabled=enabled))
    return {"name": wanted.name, "status": "enabled" if enabled else "disabled"}


async def _keep(port: Port, schedule: Schedule) -> None:
    now = port.now()
    due = timestamp(timetable.next_due(schedule, now)) if schedule.enabled else None
    await port.change(KEEP_SCHEDULE, {
        "name": schedule.name, "definition": msgspec.json.encode(schedule).decode(), "next": due,
        "now": timestamp(now),
    })  # fmt: skip
    await renumber(port)
    await become(port, schedules={**port.catalog.schedules, schedule.name: schedule})


def _known(port: Port, name: str) -> Schedule:
    found = port.catalog.schedules.get(name)
    if found is None:
        raise NotFound(
            f"no schedule named '{name}'", hint="look into _schedules: { _schedules { name } }"
        )
    return found
