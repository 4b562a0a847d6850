"""Running queries: a plan's query becomes a runner, made once and kept with its text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from aurora_db.aql import plan
from aurora_db.aql.catalog import Collection
from aurora_db.aql.expand import expand
from aurora_db.sql import lower
from aurora_db.store import search
from aurora_db.store.documents import Document
from aurora_db.store.parts import has_nodes_variable, parts_runner, with_nodes
from aurora_db.store.port import Port
from aurora_db.store.scope import Runner, Scope


def query_runner(query: plan.Query, lowered: list[lower.Lowered]) -> Runner:
    """What runs a query; where it is one statement, that is added to `lowered`."""
    if lower.has_where_variable(query.where) or has_nodes_variable(query):
        return partial(_late_query, query)
    if query.parts or query.page is not None:
        beside = msgspec.structs.replace(query, parts=(), page=None)
        nodes = query_runner(beside, []) if query.outputs and query.page is None else None
        return parts_runner(query, nodes)
    ready = lower.query(query)
    if query.search is not None:
        return partial(_search, query, ready)
    lowered.append(ready)
    return partial(read, ready)


async def read(ready: lower.Lowered, port: Port, scope: Scope) -> list[Document]:
    """The documents that a statement gives now."""
    rows = await port.rows(ready.statement.text, ready.statement.bind(scope.variables))
    return list(map(ready.reader, rows))


async def _search(
    query: plan.Query, ready: lower.Lowered, port: Port, scope: Scope
) -> list[Document]:
    begun = await search.begun(query, port, scope)
    found = await read(ready, port, begun)
    await search.put_snippets(query, found, port, begun)
    return found


async def _late_query(query: plan.Query, port: Port, scope: Scope) -> Any:
    known = msgspec.structs.replace(query, where=expand(query.where, port.catalog, scope.variables))
    known = with_nodes(known, lambda where: expand(where, port.catalog, scope.variables))
    return await query_runner(known, [])(port, scope)


async def by_ids(
    port: Port, collection: Collection, outputs: tuple[plan.Output, ...], ids: Sequence[str]
) -> list[Document]:
    """The documents of these ids in the order of the ids."""
    id_path = plan.Path(field=collection.fields[0], type=collection.fields[0].type)
    marker = plan.Output(key="\0id", path=id_path)
    query = plan.Query(
        key="",
        collection=collection,
        outputs=(*outputs, marker),
        where=plan.Compare(id_path, "in", plan.Constant(list(ids))),
    )
    ready = lower.query(query)
    rows = await port.rows(ready.statement.text, ready.statement.bind({}))
    found = {document.pop("\0id"): document for document in map(ready.reader, rows)}
    return [found[id] for id in ids if id in found]
