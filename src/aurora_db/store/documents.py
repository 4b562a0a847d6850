"""The verbs on documents, one transaction each.

Written once over a `Port`. What SQL cannot check (patterns, e-mail addresses, time zones) is
checked here, by `checks.check_document`, before the statement; everything else is a constraint of
the table, so that another program obeys it too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from aurora_db.aql import checks, plan, resolve, suggest
from aurora_db.aql.catalog import Catalog, Collection
from aurora_db.aql.changes import Change, resolve_changes, stamped
from aurora_db.aql.changes import written as path_written
from aurora_db.aql.validation import shown
from aurora_db.base.errors import (
    AccessDenied,
    Conflict,
    MissingWhere,
    TypeMismatch,
    UnknownCollection,
    UnknownEnum,
    ValidationError,
)
from aurora_db.sql import lower
from aurora_db.sql.statement import Batch
from aurora_db.store.port import Port
from aurora_db.store.waiting import Single

Document = dict[str, Any]

#: What an insert does where a unique value exists already.
CONFLICTS: Final = ("ERROR", "SKIP", "REPLACE")

#: Which documents a verb means: an id, or a where-object of AQL.
Target = str | Mapping[str, Any]


@lru_cache(maxsize=512)
def columns(collection: Collection) -> tuple[str, ...]:
    """The columns that an insert names: the id, every declared field, the undeclared ones' place."""
    names = ("id", *(field.name for field in collection.stored if field.name != "id"))
    return (*names, "_extra") if collection.flexible else names


@lru_cache(maxsize=512)
def inserting(collection: Collection, on_conflict: str = "ERROR") -> Batch:
    """The statement that inserts documents of a collection."""
    return lower.insert(collection, columns(collection), on_conflict)


@lru_cache(maxsize=512)
def _get(collection: Collection, catalog: Catalog) -> lower.Lowered:
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
    return resolve.collection_named(name, catalog)


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
        await port.batch(inserting(collection), rows)
    elif rows:
        ids = await written(port, collection, rows, mode)
    if ids:
        touch_handlers(port, collection)
    return ids


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


async def get(port: Port, name: str, id: str) -> Document | None:
    """The document of this id with all its fields, or None."""
    collection = readable(port.catalog, name)
    ready = _get(collection, port.catalog)
    row = await port.row(ready.statement.text, (*ready.statement.params, id))
    return None if row is None else ready.reader(row)


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
    port: Port,
    name: str,
    target: Target,
    changes: Mapping[str, Any],
    *,
    all: bool = False,
    if_rev: int | None = None,
) -> int:
    """Merge `changes` into every document that `target` means; how many those were."""
    collection = writable(port.catalog, name)
    condition = _condition(collection, target, port.catalog, all=all)
    return len(await update_where(port, collection, condition, changes, if_rev=if_rev))


async def update_where(
    port: Port,
    collection: Collection,
    where: plan.Where,
    changes: Mapping[str, Any],
    variables: Mapping[str, Any] = MappingProxyType({}),
    *,
    if_rev: Any = None,
) -> list[str]:
    """Merge `changes` into every document that matches; their ids.

    Raises:
        Conflict: one of them has another revision than `if_rev`; nothing was written.
    """
    resolved = resolve_changes(collection, changes, port.now(), port.catalog)
    await _demand_rev(port, collection, where, variables, if_rev)
    wanted = tuple(change for change in resolved if change.op != "setOnInsert")
    if not wanted:
        statement = lower.ids(collection, where)
    else:
        wanted = stamped(collection, wanted, port.now())
        statement = lower.update(collection, where, wanted)
    try:
        rows = await port.rows(statement.text, statement.bind(variables))
    except ValidationError as error:
        raise _explained(error, wanted) from error
    if rows and wanted:
        touch_handlers(port, collection)
    return [row[0] for row in rows]


async def _demand_rev(
    port: Port,
    collection: Collection,
    where: plan.Where,
    variables: Mapping[str, Any],
    if_rev: Any,
) -> None:
    """Refuse documents of another revision; the writer is ours until the commit."""
    if if_rev is None:
        return
    statement = lower.another_rev(collection, where, revision(if_rev))
    row = await port.row(statement.text, statement.bind(variables))
    if row is not None:
        raise conflict(collection, row[0], if_rev, row[1])


def revision(if_rev: Any) -> int:
    """`if_rev` as the number of a revision.

    Raises:
        TypeMismatch: it is none.
    """
    if isinstance(if_rev, bool) or not isinstance(if_rev, int):
        raise TypeMismatch(f"ifRev is the number of a revision, got {shown(if_rev)}")
    return if_rev


def conflict(collection: Collection, id: str, wanted: int, current: int) -> Conflict:
    """The error of a document that has another revision than was demanded."""
    return Conflict(
        f"document '{id}' of '{collection.name}' has revision {current}, not {wanted}",
        hint="read it again and decide anew",
        current=current,
    )


def _explained(error: ValidationError, changes: Sequence[Change]) -> ValidationError:
    """What the database refused, in the words of the change that caused it."""
    mine = [change for change in changes if change.column == error.field]
    deep = [change for change in mine if not change.whole]
    if deep and error.rule in ("object", "JSON"):
        paths = ", ".join(f"'{path_written(change.path)}'" for change in deep)
        return ValidationError(
            f"{paths} cannot be changed: the way there is no object, a required field beside it would be "
            "empty, or the result would break its type or rule",
            field=path_written(deep[0].path),
            rule="path",
        )
    if error.rule == "type" and mine and mine[0].op in ("increment", "decrement", "multiply"):
        return ValidationError(
            f"field '{error.field}' would leave the range of Int", field=error.field, rule="range"
        )
    return error


async def delete(
    port: Port, name: str, target: Target, *, all: bool = False, if_rev: int | None = None
) -> int:
    """Remove every document that `target` means; how many those were."""
    collection = writable(port.catalog, name)
    condition = _condition(collection, target, port.catalog, all=all)
    return len(await delete_where(port, collection, condition, if_rev=if_rev))


async def delete_where(
    port: Port,
    collection: Collection,
    where: plan.Where,
    variables: Mapping[str, Any] = MappingProxyType({}),
    *,
    if_rev: Any = None,
) -> list[str]:
    """Remove every document that matches; their ids.

    Raises:
        Conflict: one of them has another revision than `if_rev`; nothing was removed.
    """
    await _demand_rev(port, collection, where, variables, if_rev)
    statement = lower.delete(collection, where)
    rows = await port.rows(statement.text, statement.bind(variables))
    if rows:
        touch_handlers(port, collection, deleted=True)
    return [row[0] for row in rows]


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
