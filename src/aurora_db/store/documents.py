"""The verbs on documents, one transaction each.

Written once over a `Port`. What SQL cannot check (patterns, e-mail addresses, time zones) is
checked here, by `checks.check_document`, before the statement; everything else is a constraint of
the table, so that another program obeys it too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from aurora_db.aql import checks, plan, resolve
from aurora_db.aql.catalog import Catalog, Collection
from aurora_db.base.errors import AccessDenied, MissingWhere, UnknownCollection
from aurora_db.sql import lower
from aurora_db.sql.statement import Batch
from aurora_db.store.port import Port, Row
from aurora_db.store.waiting import Single

Document = dict[str, Any]

#: Which documents a verb means: an id, or a where-object of AQL.
Target = str | Mapping[str, Any]


@lru_cache(maxsize=512)
def columns(collection: Collection) -> tuple[str, ...]:
    """The columns that an insert names: the id, every declared field, the undeclared ones' place."""
    names = ("id", *(field.name for field in collection.fields if field.name != "id"))
    return (*names, "_extra") if collection.flexible else names


@lru_cache(maxsize=512)
def _insert(collection: Collection) -> Batch:
    return lower.insert(collection, columns(collection))


@lru_cache(maxsize=512)
def _get(collection: Collection) -> tuple[str, Callable[[Row], Document]]:
    return lower.get(collection)


def writable(catalog: Catalog, name: str) -> Collection:
    """The collection of this name, which the caller wants to write.

    Raises:
        UnknownCollection: no collection has this name.
        AccessDenied: it is a system collection.
    """
    collection = readable(catalog, name)
    if collection.system:
        hint = "use enqueue_job" if name == "_jobs" else None
        raise AccessDenied(f"the system collection '{name}' cannot be written", hint=hint)
    return collection


def readable(catalog: Catalog, name: str) -> Collection:
    """The collection of this name.

    Raises:
        UnknownCollection: no collection has this name.
    """
    return resolve.collection_named(name, catalog)


def _stored(collection: Collection, document: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return checks.check_document(collection, document, now=now)


def insert_single(
    collection: Collection, document: Mapping[str, Any], now: datetime, *, touch: bool
) -> Single[str]:
    """The insert of one document as a single statement; its result is the id.

    `touch` wakes the workers, for event handlers of the collection enqueue jobs.
    """
    stored = _stored(collection, document, now)
    params = tuple([stored.get(name) for name in columns(collection)])
    return Single(_insert(collection), params, stored["id"], "jobs" if touch else None)


async def insert_many(port: Port, name: str, documents: Iterable[Mapping[str, Any]]) -> list[str]:
    """Insert all of `documents` or none; the ids in their order.

    Raises:
        ValidationError, TypeMismatch, UnknownField, UniqueViolation: a document is refused.
    """
    collection = writable(port.catalog, name)
    now = port.now()
    names = columns(collection)
    check = checks.check_document
    ids: list[str] = []
    rows: list[tuple[Any, ...]] = []
    for document in documents:
        stored = check(collection, document, now=now)
        ids.append(stored["id"])
        rows.append(tuple([stored.get(name) for name in names]))
    if rows:
        await port.batch(_insert(collection), rows)
        touch_handlers(port, collection)
    return ids


def touch_handlers(port: Port, collection: Collection) -> None:
    """Wake the workers after the commit if event handlers wait for `collection`."""
    if port.catalog.handlers_of(collection.name):
        port.touch("jobs")


async def get(port: Port, name: str, id: str) -> Document | None:
    """The document of this id with all its fields, or None."""
    collection = readable(port.catalog, name)
    text, read = _get(collection)
    row = await port.row(text, (id,))
    return None if row is None else read(row)


async def count(port: Port, name: str, where: Mapping[str, Any] | None) -> int:
    """How many documents match; all of them without `where`."""
    collection = readable(port.catalog, name)
    condition = (
        plan.ALWAYS if where is None else resolve.resolve_where(collection, where, port.catalog)
    )
    text, params = lower.count(collection, condition)
    row = await port.row(text, params)
    return 0 if row is None else row[0]


async def update(
    port: Port, name: str, target: Target, changes: Mapping[str, Any], *, all: bool = False
) -> int:
    """Merge `changes` into every document that `target` means; how many those were."""
    collection = writable(port.catalog, name)
    condition = _condition(collection, target, port.catalog, all=all)
    return len(await update_where(port, collection, condition, changes))


async def update_where(
    port: Port,
    collection: Collection,
    where: plan.Where,
    changes: Mapping[str, Any],
    variables: Mapping[str, Any] = MappingProxyType({}),
) -> list[str]:
    """Merge `changes` into every document that matches; their ids."""
    stored = checks.check_document(collection, changes, now=port.now(), partial=True)
    if not stored:
        statement = lower.ids(collection, where)
    else:
        statement = lower.update(collection, where, stored)
    rows = await port.rows(statement.text, statement.bind(variables))
    if rows and stored:
        touch_handlers(port, collection)
    return [row[0] for row in rows]


async def delete(port: Port, name: str, target: Target, *, all: bool = False) -> int:
    """Remove every document that `target` means; how many those were."""
    collection = writable(port.catalog, name)
    condition = _condition(collection, target, port.catalog, all=all)
    statement = lower.delete(collection, condition)
    rows = await port.rows(statement.text, statement.bind({}))
    if rows:
        touch_handlers(port, collection)
    return len(rows)


def _condition(
    collection: Collection, target: Target, catalog: Catalog, *, all: bool
) -> plan.Where:
    if isinstance(target, str):
        target = {"id": {"eq": target}}
    if not target and not all:
        raise MissingWhere(
            f"this would change every document of '{collection.name}'",
            hint="pass all=True if that is meant",
        )
    return resolve.resolve_where(collection, target, catalog)


__all__ = [
    "Document",
    "Target",
    "UnknownCollection",
    "columns",
    "count",
    "delete",
    "get",
    "insert_many",
    "insert_single",
    "readable",
    "touch_handlers",
    "update",
    "update_where",
    "writable",
]
