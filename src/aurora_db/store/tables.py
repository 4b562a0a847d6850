"""Collections as they are stored: made with their tables, and their triggers made anew."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from aurora_db.aql import handlers, plan, written
from aurora_db.aql.catalog import Catalog, Collection
from aurora_db.base.codec import timestamp
from aurora_db.base.errors import AqlError, SchemaError
from aurora_db.sql import ddl, search, triggers
from aurora_db.store.catalog import become
from aurora_db.store.port import Port

KEEP_COLLECTION = "INSERT INTO _collections (name, definition, created_at) VALUES (?, ?, ?)"


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
