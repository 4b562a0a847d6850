"""Running mutations: one core verb for each kind of part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aurora_db.aql import plan, system
from aurora_db.aql.catalog import Collection
from aurora_db.aql.expand import expand_for_write, expand_query
from aurora_db.base.errors import TypeMismatch
from aurora_db.sql import lower
from aurora_db.store import documents, queries
from aurora_db.store.documents import Document
from aurora_db.store.port import Port
from aurora_db.store.scope import Enqueue, Scope


def _as_document(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeMismatch(f"{what} is an object, got {value!r}")
    return value


async def insert(part: plan.Insert, port: Port, scope: Scope) -> Document:
    """Insert one document; it by the outputs."""
    document = _as_document(scope.value(part.data), "'data'")
    ids = await documents.insert_many(port, part.collection.name, [document])
    return (await queries.by_ids(port, part.collection, part.outputs, ids, scope.variables))[0]


async def insert_many(part: plan.InsertMany, port: Port, scope: Scope) -> Document:
    """Insert several documents; the result of the bulk verb."""
    given = scope.value(part.data)
    if not isinstance(given, (list, tuple)):
        raise TypeMismatch(f"'data' is a list of objects, got {given!r}")
    rows = [_as_document(one, "each element of 'data'") for one in given]
    ids = await documents.insert_many(port, part.collection.name, rows)
    nodes = await _nodes(port, part.collection, part.result, ids, scope)
    return _affected(part.result, ids, nodes)


async def update(part: plan.Update, port: Port, scope: Scope) -> Document:
    """Merge into what matches; the result of the bulk verb."""
    changes = _as_document(scope.value(part.data), "'data'")
    where = expand_for_write(part.where, port.catalog, scope.variables)
    ids = await documents.update_where(port, part.collection, where, changes, scope.variables)
    nodes = await _nodes(port, part.collection, part.result, ids, scope)
    return _affected(part.result, ids, nodes)


async def delete(part: plan.Delete, port: Port, scope: Scope) -> Document:
    """Remove what matches; the result of the bulk verb."""
    where = expand_for_write(part.where, port.catalog, scope.variables)
    nodes: list[Document] = []
    if part.result.nodes:
        before = plan.Query(
            key="", collection=part.collection, outputs=part.result.nodes, where=where
        )
        known = expand_query(before, port.catalog, scope.variables)
        nodes = await queries.documents_of(known, port, scope)
    statement = lower.delete(part.collection, where)
    rows = await port.rows(statement.text, statement.bind(scope.variables))
    if rows:
        documents.touch_handlers(port, part.collection, deleted=True)
    return _affected(part.result, [row[0] for row in rows], nodes)


async def _nodes(
    port: Port, collection: Collection, result: plan.Affected, ids: Sequence[str], scope: Scope
) -> list[Document]:
    if not result.nodes:
        return []
    return await queries.by_ids(port, collection, result.nodes, ids, scope.variables)


def _affected(result: plan.Affected, ids: list[str], nodes: list[Document]) -> Document:
    values: dict[str, Any] = {"count": len(ids), "affected": len(ids), "ids": ids, "nodes": nodes}
    return {key: values[what] for key, what in result.keys}


async def enqueue_job(
    part: plan.EnqueueJob, enqueue: Enqueue, port: Port, scope: Scope
) -> Document:
    """Put a job into the queue; it by the outputs."""
    options = {name: scope.value(value) for name, value in part.options}
    id = await enqueue(port, options)
    return (
        await queries.by_ids(port, system.SYSTEM["_jobs"], part.outputs, [id], scope.variables)
    )[0]
