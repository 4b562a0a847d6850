"""Running mutations of documents: one core verb for each kind of part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from aurora_db.aql import plan
from aurora_db.aql.catalog import Collection
from aurora_db.aql.expand import expand_for_write, expand_query
from aurora_db.aql.validation import shown
from aurora_db.base.errors import TypeMismatch
from aurora_db.sql import lower
from aurora_db.store import documents, matching, queries, upserts
from aurora_db.store.documents import Document
from aurora_db.store.port import Port
from aurora_db.store.scope import Scope


def _as_document(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        hint = "insertMany takes a list" if isinstance(value, list) else None
        raise TypeMismatch(f"{what} is an object, got {shown(value)}", hint=hint)
    return cast("Mapping[str, Any]", value)


class Target:
    """What an update or a delete is about: its condition as SQL, kept where no variable decides on its shape."""

    __slots__ = ("_known", "collection", "kept", "where")

    def __init__(self, part: plan.Update | plan.Delete) -> None:
        self.collection = part.collection
        self.where = part.where
        self._known = (
            None
            if lower.has_where_variable(part.where)
            else lower.condition_of(part.collection, part.where)
        )
        #: Texts of statements with this condition, by the shape of their changes.
        self.kept: dict[tuple[Any, ...], str] | None = None if self._known is None else {}

    def condition(self, port: Port, scope: Scope) -> lower.Condition:
        """The condition for one execution.

        Raises:
            MissingWhere: the variable holds none.
        """
        if self._known is not None:
            return self._known
        where = expand_for_write(self.where, port.catalog, scope.bindings)
        return lower.condition_of(self.collection, where)


async def insert(part: plan.Insert, port: Port, scope: Scope) -> Document:
    """Insert one document; it by the outputs."""
    document = _as_document(scope.value(part.data), "'data'")
    ids = await documents.insert_many(port, part.collection.name, [document])
    return (await queries.by_ids(port, part.collection, part.outputs, ids, scope.bindings))[0]


async def insert_many(part: plan.InsertMany | plan.Import, port: Port, scope: Scope) -> Document:
    """Insert several documents; the result of the bulk verb."""
    given = scope.value(part.data)
    if not isinstance(given, (list, tuple)):
        raise TypeMismatch(
            f"'data' is a list of objects, got {shown(given)}", hint="write data: [{…}]"
        )
    rows = [_as_document(one, "each element of 'data'") for one in cast("list[Any]", given)]
    mode = "ERROR" if part.on_conflict is None else scope.value(part.on_conflict)
    ids = await documents.insert_many(port, part.collection.name, rows, mode)
    nodes = await _nodes(port, part.collection, part.result, ids, scope)
    return affected(part.result, ids, nodes)


async def update(part: plan.Update, target: Target, port: Port, scope: Scope) -> Document:
    """Merge into what matches; the result of the bulk verb."""
    changes = _as_document(scope.value(part.data), "'data'")
    where = target.condition(port, scope)
    rev = None if part.if_rev is None else scope.value(part.if_rev)
    ids = await matching.update_where(
        port, part.collection, where, changes, scope.bindings, if_rev=rev, kept=target.kept
    )
    nodes = await _nodes(port, part.collection, part.result, ids, scope)
    return affected(part.result, ids, nodes)


async def upsert(part: plan.Upsert, port: Port, scope: Scope) -> Document:
    """Update the document of a unique key, or insert it; it by the outputs."""
    where = scope.value(part.equalities)
    data = _as_document(scope.value(part.data), "'data'")
    rev = None if part.if_rev is None else scope.value(part.if_rev)
    id, created = await upserts.upsert_one(
        port, part.collection, where, data, scope.bindings, if_rev=rev
    )
    found = (await queries.by_ids(port, part.collection, part.outputs, [id], scope.bindings))[0]
    found.update(dict.fromkeys(part.created, created))
    if not part.order:
        return found
    return {key: found[key] for key in part.order}


async def delete(part: plan.Delete, target: Target, port: Port, scope: Scope) -> Document:
    """Remove what matches; the result of the bulk verb."""
    where = target.condition(port, scope)
    rev = None if part.if_rev is None else scope.value(part.if_rev)
    nodes: list[Document] = []
    if _shows_nodes(part.result):
        shown_where = expand_for_write(part.where, port.catalog, scope.bindings)
        before = plan.Query(
            key="", collection=part.collection, outputs=part.result.nodes, where=shown_where
        )
        known = expand_query(before, port.catalog, scope.bindings)
        nodes = await queries.documents_of(known, port, scope)
    ids = await matching.delete_where(port, part.collection, where, scope.bindings, if_rev=rev)
    return affected(part.result, ids, nodes)


async def _nodes(
    port: Port, collection: Collection, result: plan.Affected, ids: Sequence[str], scope: Scope
) -> list[Document]:
    if not _shows_nodes(result):
        return []
    return await queries.by_ids(port, collection, result.nodes, ids, scope.bindings)


def _shows_nodes(result: plan.Affected) -> bool:
    return any(what == "nodes" for _, what in result.keys)


def affected(result: plan.Affected, ids: list[str], nodes: list[Document]) -> Document:
    """The result of a bulk verb by its keys."""
    values: dict[str, Any] = {"count": len(ids), "affected": len(ids), "ids": ids, "nodes": nodes}
    return {key: values[what] for key, what in result.keys}
