"""The stored definitions, read into a `Catalog`, and what changes of all kinds of them share.

The kinds have rooms of their own, which are loaded when something is defined: `tables.py` for
collections, `event_handlers.py`, `schedules.py`, `rules.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from aurora_db.aql import system
from aurora_db.aql.catalog import Catalog, Collection, Handler, Rules, Schedule
from aurora_db.store.port import Port

LOAD_COLLECTIONS = "SELECT definition FROM _collections ORDER BY name"
LOAD_HANDLERS = "SELECT definition FROM _handlers ORDER BY name"
LOAD_SCHEDULES = "SELECT definition FROM _schedules ORDER BY name"
LOAD_RULES = "SELECT rules FROM _collections WHERE rules IS NOT NULL ORDER BY name"


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
