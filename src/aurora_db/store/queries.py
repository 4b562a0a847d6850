"""Running queries: a plan's query becomes a runner, made once and kept with its text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import msgspec

from aurora_db.aql import plan
from aurora_db.aql.catalog import Collection
from aurora_db.aql.expand import assume_given, expand_query
from aurora_db.sql import linked, lower
from aurora_db.sql.statement import Statement
from aurora_db.store import nested, search
from aurora_db.store.documents import Document
from aurora_db.store.parts import parts_runner
from aurora_db.store.port import Port
from aurora_db.store.scope import Runner, Scope

NOTHING: Mapping[str, Any] = MappingProxyType({})


def query_runner(query: plan.Query, lowered: list[lower.Lowered]) -> Runner:
    """What runs a query; where it is one statement, that is added to `lowered`.

    So is the first one of several, where the others read no more rows than it.
    """
    if _is_late(query):
        given, names = assume_given(query)
        if _is_late(given):
            return partial(_late_query, query)
        return partial(_given_or_late, query, query_runner(given, []), names)
    if query.parts or query.page is not None:
        beside = msgspec.structs.replace(query, parts=(), page=None)
        nodes = query_runner(beside, []) if query.outputs and query.page is None else None
        runner, single = parts_runner(query, nodes)
        if single:
            lowered.append(lower.Lowered(Statement(""), dict, bounded=False))
        return runner
    ready = lower.query(query)
    children = linked.children(query.outputs)
    if query.search is not None:
        return partial(_search, query, ready, children)
    if not children:
        lowered.append(ready)
    elif all(map(_is_single, children)):
        lowered.append(msgspec.structs.replace(ready, alone=False))
    return partial(read, ready, children)


def _is_single(child: linked.Child) -> bool:
    return child.single and all(map(_is_single, child.children))


def _is_late(query: plan.Query) -> bool:
    """Whether a where of the query is known only at execution."""
    return (
        lower.has_where_variable(query.where)
        or any(map(_is_late_output, query.outputs))
        or any(map(_is_late_part, query.parts))
    )


def _is_late_part(part: plan.QueryPart) -> bool:
    match part:
        case plan.Groups(outputs=outputs):
            return any(one.nodes is not None and _is_late(one.nodes) for one in outputs)
        case plan.Window(outputs=outputs):
            return any(map(_is_late_output, outputs))
        case plan.Aggregates() | plan.Downsample():
            return False


def _is_late_output(output: plan.Selected) -> bool:
    match output:
        case plan.One(outputs=outputs):
            return any(map(_is_late_output, outputs))
        case plan.Many(query=query):
            return _is_late(query)
        case _:
            return False


async def read(
    ready: lower.Lowered, children: tuple[linked.Child, ...], port: Port, scope: Scope
) -> list[Document]:
    """The documents that a statement gives now, with their related ones."""
    rows = await port.rows(ready.statement.text, ready.statement.bind(scope.bindings))
    if not children:
        return list(map(ready.reader, rows))
    reader = await nested.reader(ready.reader, children, rows, port, scope.bindings)
    return list(map(reader, rows))


async def documents_of(query: plan.Query, port: Port, scope: Scope) -> list[Document]:
    """The documents of a query that runs once; its wheres are known."""
    ready, children = lower.query(query), linked.children(query.outputs)
    if query.search is not None:
        return await _search(query, ready, children, port, scope)
    return await read(ready, children, port, scope)


async def _search(
    query: plan.Query,
    ready: lower.Lowered,
    children: tuple[linked.Child, ...],
    port: Port,
    scope: Scope,
) -> list[Document]:
    begun = await search.begun(query, port, scope)
    found = await read(ready, children, port, begun)
    await search.put_snippets(query, found, port, begun)
    return found


async def _given_or_late(
    query: plan.Query, given: Runner, names: frozenset[str], port: Port, scope: Scope
) -> Any:
    """By the statement for variables that are not null, where none is."""
    for name in names:
        value = scope.variables.get(name)
        if value is None or (isinstance(value, (list, tuple)) and None in value):
            return await _late_query(query, port, scope)
    return await given(port, scope)


async def _late_query(query: plan.Query, port: Port, scope: Scope) -> Any:
    known = expand_query(query, port.catalog, scope.variables)
    return await query_runner(known, [])(port, scope)


async def by_ids(
    port: Port,
    collection: Collection,
    outputs: tuple[plan.Selected, ...],
    ids: Sequence[str],
    variables: Mapping[str, Any] = NOTHING,
) -> list[Document]:
    """The documents of these ids in the order of the ids."""
    if ids and all(map(_is_id, outputs)):
        # They were written in this transaction: nothing more is to be read.
        return [{output.key: id for output in outputs} for id in ids]
    id_path = plan.Path(field=collection.fields[0], type=collection.fields[0].type)
    marker = plan.Output(key="\0id", path=id_path)
    query = plan.Query(
        key="",
        collection=collection,
        outputs=(*outputs, marker),
        where=plan.Compare(id_path, "in", plan.Constant(list(ids))),
    )
    known = expand_query(query, port.catalog, variables)
    found = {
        document.pop("\0id"): document
        for document in await documents_of(known, port, Scope(variables))
    }
    return [found[id] for id in ids if id in found]


def _is_id(output: plan.Selected) -> bool:
    if not isinstance(output, plan.Output) or output.extra:
        return False
    field = output.path.field
    return (
        field is not None and field.name == "id" and not output.path.keys and not output.path.hops
    )
