"""The verbs on whole documents, one transaction each: insert and get.

Written once over a `Port`. What works on all documents that match a condition is in `matching.py`.
What SQL cannot check (patterns, e-mail addresses, time zones) is checked here, by `checks.check_document`, before the statement; everything else is a constraint of
the table, so that another program obeys it too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from aurora_db.aql import checks, suggest, system
from aurora_db.aql.catalog import Catalog, Collection
from aurora_db.base.errors import AccessDenied, UniqueViolation, UnknownEnum
from aurora_db.sql import inserting as statements
from aurora_db.sql.statement import MOST_ROWS, Batch
from aurora_db.store.port import Port, Row
from aurora_db.store.waiting import Single

if TYPE_CHECKING:
    from aurora_db.sql.lower import Lowered

Document = dict[str, Any]

#: Which documents a verb means: an id, or a where-object of AQL.
Target = str | Mapping[str, Any]

#: What is told of a document that was read: its collection, the definitions, its statement and its row.
Keep = Callable[[Collection, Catalog, "Lowered", Row], None]

#: What an insert does where a unique value exists already.
CONFLICTS: Final = ("ERROR", "SKIP", "REPLACE")


@lru_cache(maxsize=512)
def columns(collection: Collection) -> tuple[str, ...]:
    """The columns that an insert names: the id, every declared field, the undeclared ones' place."""
    names = ("id", *(field.name for field in collection.stored if field.name != "id"))
    return (*names, "_extra") if collection.flexible else names


@lru_cache(maxsize=512)
def inserting(collection: Collection, on_conflict: str = "ERROR") -> Batch:
    """The statement that inserts documents of a collection."""
    return statements.insert(collection, columns(collection), on_conflict)


@lru_cache(maxsize=512)
def getting(collection: Collection, catalog: Catalog) -> Lowered:
    """The statement that reads a document of a collection by its id."""
    from aurora_db.sql import lower  # noqa: PLC0415 - who only inserts or enqueues does without

    return lower.get(collection, catalog)


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
    return system.collection_named(name, catalog)


def _stored(collection: Collection, document: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return checks.check_document(collection, document, now=now)


def insert_single(
    catalog: Catalog, name: str, document: Mapping[str, Any], now: datetime
) -> Single[str]:
    """The insert of one document as a single statement; its result is the id.

    Raises:
        UnknownCollection, AccessDenied: nothing can be inserted there.
        ValidationError, TypeMismatch, UnknownField: the document is refused.
    """
    collection = writable(catalog, name)
    stored = _stored(collection, document, now)
    params = tuple([stored.get(name) for name in columns(collection)])
    # Event handlers enqueue jobs.
    topic = "jobs" if catalog.handlers_of(name) else None
    return Single(
        inserting(collection), params, stored["id"], topic,
        collection=collection, source=document, again=_insert_again,
    )  # fmt: skip


def tell(error: UniqueViolation, single: Single[str]) -> None:
    """Say in the error of an insert the value that was to be written."""
    assert single.collection is not None
    held = dict(zip(columns(single.collection), single.params, strict=True))
    if error.value is None and set(error.fields) <= held.keys():
        error.tell([held[field] for field in error.fields])


async def _insert_again(port: Port, single: Single[str]) -> str:
    """The same for a collection that was changed in the meantime."""
    assert single.collection is not None
    return (await insert_many(port, single.collection.name, [single.source]))[0]


async def insert_many(
    port: Port, name: str, documents: Iterable[Mapping[str, Any]], on_conflict: str = "ERROR"
) -> list[str]:
    """Insert all of `documents` or none; the ids of those that were written, in their order.

    Where a document has a unique value, or the id, of another one: ERROR refuses all, SKIP leaves it out,
    REPLACE puts it in the place of the other one, whose id stays.

    Raises:
        ValidationError, TypeMismatch, UnknownField, UniqueViolation: a document is refused.
        UnknownEnum: `on_conflict` is another word.
    """
    collection = writable(port.catalog, name)
    mode = conflict_mode(on_conflict)
    now = port.now()
    names = columns(collection)
    check = checks.check_document
    ids: list[str] = []
    rows: list[tuple[Any, ...]] = []
    for document in documents:
        stored = check(collection, document, now=now)
        ids.append(stored["id"])
        rows.append(tuple([stored.get(name) for name in names]))
    if rows and mode == "ERROR":
        try:
            await port.batch(inserting(collection), rows)
        except UniqueViolation as error:
            await _tell(port, collection, error, rows)
            raise
    elif rows:
        ids = await written(port, collection, rows, mode)
    if ids:
        touch_handlers(port, collection)
    return ids


async def _tell(
    port: Port, collection: Collection, error: UniqueViolation, rows: Sequence[tuple[Any, ...]]
) -> None:
    """Say the value that exists already, or stands twice in one statement's rows."""
    if len(rows) > MOST_ROWS or not set(error.fields) <= set(columns(collection)):
        return
    places = [columns(collection).index(field) for field in error.fields]
    exists = statements.exists(collection, error.fields)
    seen: set[tuple[Any, ...]] = set()
    for row in rows:
        values = tuple(row[place] for place in places)
        if values in seen or await port.row(exists, values) is not None:
            error.tell(values)
            return
        seen.add(values)


async def written(
    port: Port, collection: Collection, rows: Sequence[tuple[Any, ...]], mode: str
) -> list[str]:
    """Write rows by SKIP or REPLACE; the ids of what was written."""
    ids: list[str] = []
    for text, params in inserting(collection, mode).pieces(rows):
        ids += [row[0] for row in await port.rows(text, params)]
    return ids


def conflict_mode(word: Any) -> str:
    """`on_conflict` as ERROR, SKIP or REPLACE, in either case of letters.

    Raises:
        UnknownEnum: it is another word.
    """
    mode = word.upper() if isinstance(word, str) else ""
    if mode not in CONFLICTS:
        raise UnknownEnum(
            f"onConflict has no word {word!r}",
            hint=suggest.hint(str(word), CONFLICTS, f"its words are {', '.join(CONFLICTS)}"),
        )
    return mode


def touch_handlers(port: Port, collection: Collection, *, deleted: bool = False) -> None:
    """Wake the workers after the commit if event handlers wait for `collection`.

    A delete reaches over relations.
    """
    catalog = port.catalog
    if not catalog.handlers:
        return
    names = catalog.reached_by_delete(collection.name) if deleted else (collection.name,)
    if any(map(catalog.handlers_of, names)):
        port.touch("jobs")


async def get(port: Port, name: str, id: str, keep: Keep | None = None) -> Document | None:
    """The document of this id with all its fields, or None; `keep` is called with its row."""
    collection = readable(port.catalog, name)
    ready = getting(collection, port.catalog)
    row = await port.row(ready.statement.text, (*ready.statement.params, id))
    if row is None:
        return None
    if keep is not None:
        keep(collection, port.catalog, ready, row)
    return ready.reader(row)
