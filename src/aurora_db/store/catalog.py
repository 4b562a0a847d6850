"""The stored definitions: read into a `Catalog`, changed together with their tables and triggers.

Here are collections, and what all kinds share; the other kinds have rooms of their own:
`event_handlers.py`, `schedules.py`, `rules.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from aurora_db.aql import handlers, plan, system, written
from aurora_db.aql.catalog import Catalog, Collection, Handler, Rules, Schedule
from aurora_db.base.codec import timestamp
from aurora_db.base.errors import AqlError, SchemaError
from aurora_db.sql import ddl, search, triggers
from aurora_db.store.port import Port

LOAD_COLLECTIONS = "SELECT definition FROM _collections ORDER BY name"
LOAD_HANDLERS = "SELECT definition FROM _handlers ORDER BY name"
LOAD_SCHEDULES = "SELECT definition FROM _schedules ORDER BY name"
LOAD_RULES = "SELECT rules FROM _collections WHERE rules IS NOT NULL ORDER BY name"
KEEP_COLLECTION = "INSERT INTO _collections (name, definition, created_at) VALUES (?, ?, ?)"


async def load(port: Port) -> Catalog:
    """The definitions as this transaction sees them."""
    collections = dict(system.SYSTEM)
    for (text,) in await port.rows(LOAD_COLLECTIONS):
        collection = msgspec.json.decode(text, type=Collection)
        collections[collection.name] = collection
    found = [msgspec.json.decode(text, type=Handler) for (text,) in await port.rows(LOAD_HANDLERS)]
    schedules = [
        msgspec.json.decode(text, type=Schedule) for (text,) in await port.rows(LOAD_SCHEDULES)
    ]
    rules = [msgspec.json.decode(text, type=Rules) for (text,) in await port.rows(LOAD_RULES)]
    return Catalog(
        collections,
        {one.name: one for one in found},
        await version(port),
        {one.name: one for one in schedules},
        {one.collection: one for one in rules},
    )


async def version(port: Port) -> int:
    """A number that grows with every definition, in this process or another one."""
    row = await port.row("PRAGMA schema_version")
    return 0 if row is None else row[0]


async def define_collection(port: Port, definition: plan.DefineCollection) -> str:
    """Make a collection that does not exist; the status of the step.

    Raises:
        SchemaError: it exists and differs.
    """
    wanted = definition.collection
    existing = port.catalog.collections.get(wanted.name)
    if existing is not None:
        if definition.if_not_exists or written.same(existing, wanted):
            return "unchanged"
        raise SchemaError(
            f"collection '{wanted.name}' exists and differs: {', '.join(written.differences(existing, wanted))}",
            hint=written.alteration(existing, wanted),
        )
    for statement in (*ddl.create_collection(wanted), *search.create(wanted)):
        await port.script(statement)
    await _make_triggers(port, wanted)
    text = msgspec.json.encode(wanted).decode()
    await port.change(KEEP_COLLECTION, (wanted.name, text, timestamp(port.now())))
    await become(port, collections=[wanted])
    return "created"


async def renew_triggers(port: Port, names: Iterable[str]) -> None:
    """Make the triggers of these collections anew, and notice that definitions changed.

    "*" is all of the user's, "_jobs" the jobs'.
    """
    wanted = set(names)
    if "*" in wanted:
        known = port.catalog.collections.values()
        wanted |= {one.name for one in known if not one.system}
    for name in sorted(wanted - {"*"}):
        collection = port.catalog.collections[name]
        drop = triggers.drop_of_jobs() if name == "_jobs" else triggers.drop(collection)
        for statement in drop:
            await port.script(statement)
        await _make_triggers(port, collection)
    # The statements above raised the version once more.
    await become(port)


async def _make_triggers(port: Port, collection: Collection) -> None:
    known = port.catalog
    if collection.name not in known.collections:
        collections = {**known.collections, collection.name: collection}
        known = Catalog(collections, known.handlers, known.version, known.schedules, known.rules)
    meant: list[plan.HandlerTrigger] = []
    for handler in known.handlers_of(collection.name):
        try:
            meant += handlers.triggers_of(handler, known, collection.name)
        except AqlError as error:
            raise SchemaError(
                f"collection '{collection.name}' lacks what the event handler '{handler.name}' needs: {error.message}",
                hint="a handler of all collections may use what each of them has",
            ) from error
    made = (
        triggers.of_jobs(meant) if collection.name == "_jobs" else triggers.feed(collection, meant)
    )
    for statement in made:
        await port.script(statement)


async def become(
    port: Port,
    *,
    collections: Iterable[Collection] = (),
    handlers: Mapping[str, Handler] | None = None,
    schedules: Mapping[str, Schedule] | None = None,
    rules: Mapping[str, Rules] | None = None,
) -> None:
    """Let the transaction see these definitions, of each kind that is given all."""
    before = port.catalog
    known = dict(before.collections)
    known.update((one.name, one) for one in collections)
    port.catalog = Catalog(
        known,
        before.handlers if handlers is None else handlers,
        await version(port),
        before.schedules if schedules is None else schedules,
        before.rules if rules is None else rules,
    )


async def renumber(port: Port) -> None:
    """Raise the version for a definition that made no table or trigger, so that all notice it."""
    # SQLite reads its schema anew whenever this number moves; it never falls.
    await port.script(f"PRAGMA schema_version = {await version(port) + 1}")
