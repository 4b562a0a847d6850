"""Running aggregates, groups and series: what a query computes besides documents.

A query has as many statements as it has parts, whatever the data: one for all aggregates together,
one for each series, and for groups one and one more for their documents. All of them see the same
snapshot.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, assert_never

from msgspec.structs import replace

from aurora_db.aql import plan
from aurora_db.sql import aggregates, groups, lower, series
from aurora_db.sql.statement import Statement
from aurora_db.store import search
from aurora_db.store.documents import Document
from aurora_db.store.pages import PageRunner
from aurora_db.store.port import Port, Row
from aurora_db.store.scope import Runner, Scope

#: What runs a part: gives the values of one key or, of the aggregates, of several.
PartRunner = Callable[[Port, Scope], Awaitable[Mapping[str, Any]]]


def has_nodes_variable(query: plan.Query) -> bool:
    """Whether a whole where-object of the documents of a group comes from a variable."""
    return any(lower.has_where_variable(one.where) for one in _all_nodes(query))


def with_nodes(query: plan.Query, expand: Callable[[plan.Where], plan.Where]) -> plan.Query:
    """The query with every `where` of the documents of its groups made known."""
    if not any(True for _ in _all_nodes(query)):
        return query
    return replace(query, parts=tuple(_expanded(part, expand) for part in query.parts))


def _all_nodes(query: plan.Query) -> Iterator[plan.Query]:
    for part in query.parts:
        if isinstance(part, plan.Groups):
            for output in part.outputs:
                if output.nodes is not None:
                    yield output.nodes


def _expanded(part: plan.QueryPart, expand: Callable[[plan.Where], plan.Where]) -> plan.QueryPart:
    if not isinstance(part, plan.Groups):
        return part
    outputs = tuple(
        one
        if one.nodes is None
        else replace(one, nodes=replace(one.nodes, where=expand(one.nodes.where)))
        for one in part.outputs
    )
    return replace(part, outputs=outputs)


def parts_runner(query: plan.Query, nodes: Runner | None) -> Runner:
    """What runs a query with a page or parts; `nodes` are the documents beside parts."""
    page = None if query.page is None else PageRunner(query, query.page)
    return partial(_run, query, nodes, page, _parts(query))


async def _run(
    query: plan.Query,
    nodes: Runner | None,
    page: PageRunner | None,
    parts: Sequence[PartRunner],
    port: Port,
    scope: Scope,
) -> Document:
    result: Document = {}
    if nodes is not None:
        result["nodes"] = await nodes(port, scope)
    begun = await search.begun(query, port, scope)
    found: Document = {}
    for part in parts:
        found.update(await part(port, begun))
    if page is not None:
        return await page.run(port, begun, found)
    result.update((part.key, found[part.key]) for part in query.parts)
    return result


def _parts(query: plan.Query) -> list[PartRunner]:
    together = [part for part in query.parts if isinstance(part, plan.Aggregates)]
    made: list[PartRunner] = []
    if together:
        made.append(partial(_aggregates, aggregates.lowered(query, together)))
    for part in query.parts:
        match part:
            case plan.Aggregates():
                pass
            case plan.Groups():
                made.append(partial(_groups, part.key, groups.lowered(query, part)))
            case plan.Downsample():
                made.append(partial(_downsample, part.key, series.downsampled(query, part)))
            case plan.Window():
                made.append(partial(_window, part.key, series.windowed(query, part)))
            case _:
                assert_never(part)
    return made


async def _rows(port: Port, statement: Statement, variables: Mapping[str, Any]) -> list[Row]:
    return await port.rows(statement.text, statement.bind(variables))


# --- parts ----------------------------------------------------------------------------------


async def _aggregates(ready: aggregates.Lowered, port: Port, scope: Scope) -> Document:
    (row,) = await _rows(port, ready.statement, scope.variables)
    return ready.read(row)


async def _groups(key: str, ready: groups.Lowered, port: Port, scope: Scope) -> Document:
    rows = await _rows(port, ready.statement, scope.variables)
    found = [ready.read(row) for row in rows]
    width = ready.keys
    by_key = {row[:width]: group for row, group in zip(rows, found, strict=True)}
    for nodes in ready.nodes:
        for row in await _rows(port, nodes.statement, scope.variables):
            by_key[row[nodes.width :]][nodes.key].append(nodes.read(row))
    return {key: found}


async def _downsample(key: str, ready: series.Downsampled, port: Port, scope: Scope) -> Document:
    return {key: ready.read(await _rows(port, ready.statement, scope.variables))}


async def _window(key: str, ready: series.Windowed, port: Port, scope: Scope) -> Document:
    return {key: list(map(ready.read, await _rows(port, ready.statement, scope.variables)))}
