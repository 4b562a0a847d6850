"""Event handlers as they are stored: define, drop, enable and disable, with their triggers."""

from __future__ import annotations

from typing import Any

import msgspec

from aurora_db.aql import plan
from aurora_db.aql.catalog import WORKER_TYPE, Handler
from aurora_db.base.codec import timestamp
from aurora_db.base.errors import HandlerInvalid, NotFound
from aurora_db.sql import handler_jobs
from aurora_db.store.catalog import become
from aurora_db.store.port import Port
from aurora_db.store.tables import renew_triggers

KEEP_HANDLER = """
    INSERT INTO _handlers (name, definition, created_at) VALUES (?, ?, ?)
        ON CONFLICT (name) DO UPDATE SET definition = excluded.definition
"""
DROP_HANDLER = "DELETE FROM _handlers WHERE name = ?"
#: What waits for a handler that is no more could never run.
CANCEL = """
    UPDATE _jobs SET status = 'CANCELLED', finished_at = :now, error = :error
     WHERE type = :type AND status IN ('PENDING', 'SCHEDULED', 'BLOCKED')
"""


async def define_handler(port: Port, wanted: plan.DefineHandler) -> dict[str, Any]:
    """Make an event handler, or replace it.

    Raises:
        HandlerInvalid: one of this name exists and differs.
    """
    existing = port.catalog.handlers.get(wanted.handler.name)
    if existing is not None:
        if existing.digest == wanted.handler.digest or wanted.if_not_exists:
            return _result(existing, "unchanged")
        if not wanted.or_replace:
            raise HandlerInvalid(
                f"event handler '{existing.name}' exists and differs",
                hint=f'write `define handler "{existing.name}" or replace {{ … }}`',
            )
    worker = any(handler_jobs.by_worker(one) for one in wanted.triggers)
    handler = msgspec.structs.replace(
        wanted.handler, compiled="WORKER" if worker else "TRIGGER", by_worker=worker
    )
    if existing is not None and existing.by_worker:
        # Jobs of the definition before may wait; a worker runs them by this one.
        handler = msgspec.structs.replace(handler, by_worker=True)
    await _keep(port, handler, existing)
    return _result(handler, "registered" if existing is None else "replaced")


async def control_handler(port: Port, wanted: plan.ControlHandler) -> dict[str, Any]:
    """Enable or disable an event handler; what it has enqueued already stays.

    Raises:
        NotFound: none has this name.
    """
    existing = known(port, wanted.name)
    if existing.enabled == wanted.enabled:
        return _result(existing, "unchanged")
    handler = msgspec.structs.replace(existing, enabled=wanted.enabled)
    await _keep(port, handler, existing)
    return _result(handler, "enabled" if wanted.enabled else "disabled")


async def drop_handler(port: Port, wanted: plan.DropHandler) -> dict[str, Any]:
    """Remove an event handler; what waits for a worker to run it is cancelled.

    Raises:
        NotFound: none has this name, and `if exists` was not said.
    """
    if wanted.if_exists and wanted.name not in port.catalog.handlers:
        return {"name": wanted.name, "status": "unchanged"}
    existing = known(port, wanted.name)
    await port.change(DROP_HANDLER, (wanted.name,))
    if existing.by_worker:
        await port.change(CANCEL, {
            "now": timestamp(port.now()), "type": WORKER_TYPE + wanted.name,
            "error": f"the event handler '{wanted.name}' was dropped",
        })  # fmt: skip
    others = {n: h for n, h in port.catalog.handlers.items() if n != wanted.name}
    await become(port, handlers=others)
    await renew_triggers(port, _collections_of(existing))
    return {"name": wanted.name, "status": "dropped"}


def known(port: Port, name: str) -> Handler:
    """The event handler of this name.

    Raises:
        NotFound: there is none.
    """
    existing = port.catalog.handlers.get(name)
    if existing is None:
        raise NotFound(
            f"no event handler named '{name}'", hint="look into _handlers: { _handlers { name } }"
        )
    return existing


async def _keep(port: Port, handler: Handler, before: Handler | None) -> None:
    text = msgspec.json.encode(handler).decode()
    await port.change(KEEP_HANDLER, (handler.name, text, timestamp(port.now())))
    touched = _collections_of(handler) | (set() if before is None else _collections_of(before))
    await become(port, handlers={**port.catalog.handlers, handler.name: handler})
    await renew_triggers(port, touched)
    if handler.by_worker:
        # Workers may have to run it that had nothing to do so far.
        port.touch("handlers")


def _result(handler: Handler, status: str) -> dict[str, Any]:
    events = [event.written for event in handler.on]
    on: Any = events[0] if len(events) == 1 else events
    return {"name": handler.name, "on": on, "status": status, "compiled": handler.compiled}


def _collections_of(handler: Handler) -> set[str]:
    return {event.collection for event in handler.on}
