"""Running queries: a plan's query becomes a runner, made once and kept with its text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, assert_never

import msgspec

from aurora_db.aql import plan, resolve
from aurora_db.aql.catalog import Catalog, Collection
from aurora_db.base.errors import TypeMismatch
from aurora_db.sql import lower
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
    lowered.append(ready)
    return partial(read, ready)


async def read(ready: lower.Lowered, port: Port, scope: Scope) -> list[Document]:
    """The documents that a statement gives now."""
    rows = await port.rows(ready.statement.text, ready.statement.bind(scope.variables))
    return list(map(ready.reader, rows))


async def _late_query(query: plan.Query, port: Port, scope: Scope) -> Any:
    known = msgspec.structs.replace(query, where=expand(query.where, port.catalog, scope))
    known = with_nodes(known, lambda where: expand(where, port.catalog, scope))
    return await query_runner(known, [])(port, scope)


def expand(where: plan.Where, catalog: Catalog, scope: Scope) -> plan.Where:
    """`where` with every `where: $variable` replaced by what the variable says."""
    match where:
        case plan.WhereVariable(name=name, collection=collection):
            given = scope.variables.get(name)
            if given is None:
                return plan.ALWAYS
            if not isinstance(given, Mapping):
                raise TypeMismatch(f"variable '${name}' is a where-object, got {given!r}")
            return resolve.resolve_where(collection, given, catalog)
        case plan.And(parts=parts):
            return plan.And(tuple(expand(part, catalog, scope) for part in parts))
        case plan.Or(parts=parts):
            return plan.Or(tuple(expand(part, catalog, scope) for part in parts))
        case plan.Not(part=part):
            return plan.Not(expand(part, catalog, scope))
        case plan.Quantified():
            return msgspec.structs.replace(where, where=expand(where.where, catalog, scope))
        case plan.Compare():
            return where
        case _:
            assert_never(where)


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
