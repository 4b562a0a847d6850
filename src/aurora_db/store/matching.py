"""The verbs on all documents that match: count, update, delete; one transaction each.

Written once over a `Port`. A target is the id of one document, or a where-object of AQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from aurora_db.aql import plan
from aurora_db.aql.catalog import Catalog, Collection
from aurora_db.aql.changes import Change, resolve_changes, stamped
from aurora_db.aql.changes import written as path_written
from aurora_db.aql.conditions import resolve_where
from aurora_db.aql.validation import shown
from aurora_db.base.errors import (
    Conflict,
    MissingWhere,
    TypeMismatch,
    UniqueViolation,
    ValidationError,
)
from aurora_db.sql import lower
from aurora_db.store.documents import Target, readable, touch_handlers, writable
from aurora_db.store.port import Port


async def count(port: Port, name: str, where: Mapping[str, Any] | None) -> int:
    """How many documents match; all of them without `where`."""
    collection = readable(port.catalog, name)
    condition = plan.ALWAYS if where is None else resolve_where(collection, where, port.catalog)
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
    where: plan.Where | lower.Condition,
    changes: Mapping[str, Any] | tuple[Change, ...],
    variables: Mapping[str, Any] = MappingProxyType({}),
    *,
    if_rev: Any = None,
    kept: dict[tuple[Any, ...], str] | None = None,
) -> list[str]:
    """Merge `changes` into every document that matches; their ids.

    `kept` are texts of statements with the same condition, as of `lower.update`.

    Raises:
        Conflict: one of them has another revision than `if_rev`; nothing was written.
    """
    resolved = (
        changes
        if isinstance(changes, tuple)
        else resolve_changes(collection, changes, port.now(), port.catalog)
    )
    await _demand_rev(port, collection, where, variables, if_rev)
    wanted = tuple(change for change in resolved if change.op != "setOnInsert")
    if not wanted:
        statement = lower.ids(collection, where)
    else:
        wanted = stamped(collection, wanted, port.now())
        statement = lower.update(collection, where, wanted, kept)
    try:
        rows = await port.rows(statement.text, statement.bind(variables))
    except ValidationError as error:
        raise _explained(error, wanted) from error
    except UniqueViolation as error:
        given = {change.column: change.given for change in wanted if change.op == "set"}
        if set(error.fields) <= given.keys():
            error.tell([given[field] for field in error.fields])
        raise
    if rows and wanted:
        touch_handlers(port, collection)
    return [row[0] for row in rows]


async def _demand_rev(
    port: Port,
    collection: Collection,
    where: plan.Where | lower.Condition,
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
    where: plan.Where | lower.Condition,
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
    return resolve_where(collection, target, catalog)
