"""Running aggregates, groups and series: what a query computes besides documents.

A query has as many statements as it has parts, whatever the data: one for all aggregates together,
one for each series, and for groups one and one more for their documents. All of them see the same
snapshot.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, assert_never

from aurora_db.aql import plan
from aurora_db.sql import aggregates, groups, series
from aurora_db.sql.statement import Statement
from aurora_db.store import nested, search
from aurora_db.store.documents import Document
from aurora_db.store.pages import PageRunner
from aurora_db.store.port import Port, Row
from aurora_db.store.scope import Runner, Scope

#: What runs a part: gives the values of one key or, of the aggregates, of several.
PartRunner = Callable[[Port, Scope], Awaitable[Mapping[str, Any]]]


def parts_runner(query: plan.Query, nodes: Runner | None) -> tuple[Runner, bool]:
    """What runs a query with a page or parts, and whether it is one statement.

    `nodes` are the documents beside parts.
    """
    page = None if query.page is None else PageRunner(query, query.page)
    parts = _parts(query)
    single = page.single and not parts if page is not None else nodes is None and _is_single(query)
    return partial(_run, query, nodes, page, parts), single


def _is_single(query: plan.Query) -> bool:
    match query.parts:
        case _ if query.search is not None:
            return False
        case (plan.Groups(outputs=outputs),):
            return all(output.nodes is None for output in outputs)
        case (plan.Window(outputs=outputs),):
            return not any(isinstance(one, (plan.One, plan.Many)) for one in outputs)
        case (plan.Downsample(),):
            return True
        case parts:
            return all(isinstance(part, plan.Aggregates) for part in parts)


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
    begun = scope if query.search is None else await search.begun(query, port, scope)
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
        inside = await _rows(port, nodes.statement, scope.variables)
        shown, start = nodes.shown, len(nodes.shown.columns)
        read = await nested.reader(shown.read, shown.children, inside, port, scope.variables)
        for row in inside:
            by_key[row[start:]][nodes.key].append(read(row))
    return {key: found}


async def _downsample(key: str, ready: series.Downsampled, port: Port, scope: Scope) -> Document:
    return {key: ready.read(await _rows(port, ready.statement, scope.variables))}


async def _window(key: str, ready: series.Windowed, port: Port, scope: Scope) -> Document:
    rows = await _rows(port, ready.statement, scope.variables)
    shown = ready.shown
    read = await nested.reader(shown.read, shown.children, rows, port, scope.variables)
    return {key: [ready.put(read(row), row[-1]) for row in rows]}
