"""The stored definitions: read into a `Catalog`, changed together with their tables and triggers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from aurora_db.aql import handlers, plan, system
from aurora_db.aql.catalog import Catalog, Collection, Handler
from aurora_db.base.codec import timestamp
from aurora_db.base.errors import HandlerInvalid, NotFound, SchemaError
from aurora_db.sql import ddl, search, triggers
from aurora_db.store.port import Port

LOAD_COLLECTIONS = "SELECT definition FROM _collections ORDER BY name"
LOAD_HANDLERS = "SELECT definition FROM _handlers ORDER BY name"
KEEP_COLLECTION = "INSERT INTO _collections (name, definition, created_at) VALUES (?, ?, ?)"
KEEP_HANDLER = """
    INSERT INTO _handlers (name, definition, created_at) VALUES (?, ?, ?)
        ON CONFLICT (name) DO UPDATE SET definition = excluded.definition
"""
DROP_HANDLER = "DELETE FROM _handlers WHERE name = ?"


async def load(port: Port) -> Catalog:
    """The definitions as this transaction sees them."""
    collections = dict(system.SYSTEM)
    for (text,) in await port.rows(LOAD_COLLECTIONS):
        collection = msgspec.json.decode(text, type=Collection)
        collections[collection.name] = collection
    found = [msgspec.json.decode(text, type=Handler) for (text,) in await port.rows(LOAD_HANDLERS)]
    return Catalog(collections, {one.name: one for one in found}, await version(port))


async def version(port: Port) -> int:
    """A number that grows with every definition, in this process or another one."""
    row = await port.row("PRAGMA schema_version")
    return 0 if row is None else row[0]


async def define_collections(
    port: Port, definitions: Sequence[plan.SchemaStatement]
) -> list[dict[str, str]]:
    """Make what does not exist; one step of the result for each.

    Raises:
        SchemaError: a collection exists and differs.
    """
    steps: list[dict[str, str]] = []
    for definition in definitions:
        assert isinstance(definition, plan.DefineCollection)
        status = await _define(port, definition)
        steps.append({"kind": "collection", "name": definition.collection.name, "status": status})
    return steps


async def _define(port: Port, definition: plan.DefineCollection) -> str:
    wanted = definition.collection
    existing = port.catalog.collections.get(wanted.name)
    if existing is not None:
        if existing == wanted or definition.if_not_exists:
            return "unchanged"
        raise SchemaError(
            f"collection '{wanted.name}' exists and differs: {difference(existing, wanted)}",
            hint="write `if not exists` to keep it as it is",
        )
    for statement in (*ddl.create_collection(wanted), *search.create(wanted)):
        await port.script(statement)
    await _make_triggers(port, wanted)
    text = msgspec.json.encode(wanted).decode()
    await port.change(KEEP_COLLECTION, (wanted.name, text, timestamp(port.now())))
    await _become(port, collections=[wanted])
    return "created"


def difference(existing: Collection, wanted: Collection) -> str:
    """In words, what a definition would change."""
    before = {field.name: field for field in existing.fields}
    after = {field.name: field for field in wanted.fields}
    parts = [f"field '{name}' is new" for name in after if name not in before]
    parts += [f"field '{name}' is missing" for name in before if name not in after]
    parts += [
        f"field '{name}' is defined otherwise"
        for name in after
        if name in before and before[name] != after[name]
    ]
    if existing.flexible != wanted.flexible:
        parts.append("'@flexible' differs")
    if existing.quiet != wanted.quiet:
        parts.append("'@quiet' differs")
    if existing.indexes != wanted.indexes:
        parts.append("its indexes differ")
    return ", ".join(parts) or "the order of its fields"


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
    text = msgspec.json.encode(wanted.handler).decode()
    await port.change(KEEP_HANDLER, (wanted.handler.name, text, timestamp(port.now())))
    touched = _collections_of(wanted.handler) | (
        set() if existing is None else _collections_of(existing)
    )
    others = {n: h for n, h in port.catalog.handlers.items() if n != wanted.handler.name}
    await _become(port, handlers={**others, wanted.handler.name: wanted.handler})
    await _renew_triggers(port, touched)
    return _result(wanted.handler, "registered" if existing is None else "replaced")


async def drop_handler(port: Port, wanted: plan.DropHandler) -> dict[str, Any]:
    """Remove an event handler.

    Raises:
        NotFound: none has this name, and `if exists` was not said.
    """
    existing = port.catalog.handlers.get(wanted.name)
    if existing is None:
        if wanted.if_exists:
            return {"name": wanted.name, "status": "unchanged"}
        raise NotFound(
            f"no event handler named '{wanted.name}'",
            hint="write `if exists`, or look into _handlers",
        )
    await port.change(DROP_HANDLER, (wanted.name,))
    others = {n: h for n, h in port.catalog.handlers.items() if n != wanted.name}
    await _become(port, handlers=others)
    await _renew_triggers(port, _collections_of(existing))
    return {"name": wanted.name, "status": "dropped"}


def _result(handler: Handler, status: str) -> dict[str, Any]:
    events = [f"{event.op}:{event.collection}" for event in handler.on]
    on: Any = events[0] if len(events) == 1 else events
    return {"name": handler.name, "on": on, "status": status, "compiled": "TRIGGER"}


def _collections_of(handler: Handler) -> set[str]:
    return {event.collection for event in handler.on}


async def _renew_triggers(port: Port, names: Iterable[str]) -> None:
    for name in sorted(names):
        collection = port.catalog.collections[name]
        for statement in triggers.drop(collection):
            await port.script(statement)
        await _make_triggers(port, collection)
    # The statements above raised the version once more.
    await _become(port)


async def _make_triggers(port: Port, collection: Collection) -> None:
    meant = [
        trigger
        for handler in port.catalog.handlers_of(collection.name)
        for trigger in handlers.triggers_of(handler, port.catalog)
        if trigger.collection.name == collection.name
    ]
    for statement in triggers.feed(collection, meant):
        await port.script(statement)


async def _become(
    port: Port,
    *,
    collections: Iterable[Collection] = (),
    handlers: dict[str, Handler] | None = None,
) -> None:
    known = dict(port.catalog.collections)
    known.update((one.name, one) for one in collections)
    kept = dict(port.catalog.handlers) if handlers is None else handlers
    port.catalog = Catalog(known, kept, await version(port))
