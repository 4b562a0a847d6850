"""Running pages, aggregates, groups and series: what a query computes besides a list of documents.

A query has as many statements as it has parts, whatever the data: one for each page, one more for
each of its two ends, one for its total, one for all aggregates together, one for each series, and
for groups one and one more for their documents. All of them see the same snapshot.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, assert_never

import msgspec
from msgspec.structs import replace

from aurora_db.aql import page_cursors, plan
from aurora_db.base.errors import TypeMismatch
from aurora_db.sql import aggregates, groups, lower, pages, series
from aurora_db.sql.statement import Statement
from aurora_db.store.documents import Document
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
    parts = _parts(query)
    if query.page is not None:
        return partial(_page, PageRunner(query, query.page), parts)
    keys = [part.key for part in query.parts]
    return partial(_beside, nodes, keys, parts)


async def _beside(
    nodes: Runner | None, keys: list[str], parts: Sequence[PartRunner], port: Port, scope: Scope
) -> Document:
    result: Document = {}
    if nodes is not None:
        result["nodes"] = await nodes(port, scope)
    found = await _found(parts, port, scope)
    for key in keys:
        result[key] = found[key]
    return result


async def _found(parts: Sequence[PartRunner], port: Port, scope: Scope) -> Document:
    found: Document = {}
    for part in parts:
        found.update(await part(port, scope))
    return found


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
                ready = groups.lowered(query, part, {}) if groups.is_settled(part) else None
                made.append(partial(_groups, query, part, ready))
            case plan.Downsample():
                sampled = series.downsampled(query, part, {}) if series.is_settled(part) else None
                made.append(partial(_downsample, query, part, sampled))
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


async def _groups(
    query: plan.Query, part: plan.Groups, ready: groups.Lowered | None, port: Port, scope: Scope
) -> Document:
    if ready is None:
        ready = groups.lowered(query, part, scope.variables)
    rows = await _rows(port, ready.statement, scope.variables)
    found = [ready.read(row) for row in rows]
    width = ready.keys
    by_key = {row[:width]: group for row, group in zip(rows, found, strict=True)}
    for nodes in ready.nodes:
        for row in await _rows(port, nodes.statement, scope.variables):
            by_key[row[nodes.width :]][nodes.key].append(nodes.read(row))
    return {part.key: found}


async def _downsample(
    query: plan.Query,
    part: plan.Downsample,
    ready: series.Downsampled | None,
    port: Port,
    scope: Scope,
) -> Document:
    if ready is None:
        ready = series.downsampled(query, part, scope.variables)
    return {part.key: ready.read(await _rows(port, ready.statement, scope.variables))}


async def _window(key: str, ready: series.Windowed, port: Port, scope: Scope) -> Document:
    return {key: list(map(ready.read, await _rows(port, ready.statement, scope.variables)))}


# --- pages ----------------------------------------------------------------------------------


class Places(msgspec.Struct, frozen=True):
    """Where a page lies: the values of its cursors, and how many documents it has at most."""

    after: tuple[Any, ...] | None
    before: tuple[Any, ...] | None
    amount: int | None
    backward: bool


class PageRunner:
    """The page of one query: its statements, and what makes the object of their rows."""

    def __init__(self, query: plan.Query, page: plan.Page) -> None:
        order = query.order
        assert not isinstance(order, plan.OrderVariable)
        self.page = page
        self.pages = pages.Pages(query, order)
        self.digest = page_cursors.digest(query.collection.name, order)
        self.count = Statement(*lower.count(query.collection, query.where))
        words = {what for key in page.keys for what in (key.what, *(one for _, one in key.parts))}
        self.counts = "totalCount" in words
        self.reads = bool(words & {"edges", "nodes", "pageInfo"})
        self.shows = bool(query.outputs)
        self.looks_back = "hasPreviousPage" in words
        self.looks_on = "hasNextPage" in words

    def places(self, scope: Scope) -> Places:
        """The arguments of the page, with these variables.

        Raises:
            TypeMismatch: a cursor or an amount is none, or `first` and `last` are both given.
        """
        first, last = (
            _amount(name, value, scope)
            for name, value in (("first", self.page.first), ("last", self.page.last))
        )
        if first is not None and last is not None:
            raise TypeMismatch(
                "a page is taken from one end: first or last, not both", hint="leave one of them"
            )
        return Places(
            after=self._cursor("after", self.page.after, scope),
            before=self._cursor("before", self.page.before, scope),
            amount=last if first is None else first,
            backward=last is not None,
        )

    def _cursor(self, name: str, value: plan.Value | None, scope: Scope) -> tuple[Any, ...] | None:
        given = None if value is None else scope.value(value)
        if given is None:
            return None
        return page_cursors.read(given, self.digest, self.pages.values, name)

    def object(
        self, rows: Sequence[Row], ends: Mapping[str, bool], total: int, parts: Document
    ) -> Document:
        """The page's object; `rows` are those shown, in the query's order."""
        result: Document = {}
        for key in self.page.keys:
            match key.what:
                case "edges":
                    result[key.key] = [self._edge(key, row) for row in rows]
                case "nodes":
                    result[key.key] = list(map(self.pages.read, rows))
                case "pageInfo":
                    result[key.key] = {name: self._info(one, rows, ends) for name, one in key.parts}
                case "totalCount":
                    result[key.key] = total
                case _:
                    result[key.key] = parts[key.key]
        return result

    def _edge(self, key: plan.PageKey, row: Row) -> Document:
        return {
            name: self.pages.read(row) if what == "node" else self._written(row)
            for name, what in key.parts
        }

    def _info(self, what: str, rows: Sequence[Row], ends: Mapping[str, bool]) -> Any:
        if what in ends:
            return ends[what]
        if not rows:
            return None
        return self._written(rows[0] if what == "startCursor" else rows[-1])

    def _written(self, row: Row) -> str:
        return page_cursors.written(self.digest, row[self.pages.width :])


def _amount(name: str, value: plan.Value | None, scope: Scope) -> int | None:
    amount = None if value is None else scope.value(value)
    if amount is None:
        return None
    if isinstance(amount, bool) or not isinstance(amount, int) or amount < 0:
        raise TypeMismatch(f"'{name}' is a whole number from 0, got {amount!r}")
    return amount


async def _page(
    page: PageRunner, parts: Sequence[PartRunner], port: Port, scope: Scope
) -> Document:
    places = page.places(scope)
    rows: list[Row] = []
    ends = {"hasNextPage": False, "hasPreviousPage": False}
    if page.reads:
        rows, ends = await _read(page, places, port, scope)
    total = 0
    if page.counts:
        ((total,),) = await _rows(port, page.count, scope.variables)
    return page.object(rows, ends, total, await _found(parts, port, scope))


async def _read(
    page: PageRunner, places: Places, port: Port, scope: Scope
) -> tuple[list[Row], dict[str, bool]]:
    """The rows of the page in the query's order, and whether there is something on its sides.

    One row more than wanted is read: it tells whether there is another page that way. The other
    way there is one when a document stands at the cursor or behind it.
    """
    nulls = [
        None if place is None else tuple(value is None for value in place)
        for place in (places.after, places.before)
    ]
    amount = places.amount
    known = {
        **scope.variables,
        pages.AFTER: places.after,
        pages.BEFORE: places.before,
        pages.LIMIT: -1 if amount is None else min(amount, 2**62) + 1,
    }
    statement = page.pages.statement(pages.Shape(places.backward, nulls[0], nulls[1]))
    rows = await _rows(port, statement, known)
    more = amount is not None and len(rows) > amount
    if more:
        rows.pop()
    if places.backward:
        rows.reverse()
    forward = more and not places.backward
    ends = {"hasNextPage": forward, "hasPreviousPage": more and places.backward}
    after, before = nulls
    if page.looks_back and after is not None and not places.backward:
        behind = page.pages.exists(name=pages.AFTER, nulls=after, backward=True)
        ((found,),) = await _rows(port, behind, known)
        ends["hasPreviousPage"] = bool(found)
    if page.looks_on and before is not None and (places.backward or amount is None):
        ahead = page.pages.exists(name=pages.BEFORE, nulls=before, backward=False)
        ((found,),) = await _rows(port, ahead, known)
        ends["hasNextPage"] = bool(found)
    return rows, ends
