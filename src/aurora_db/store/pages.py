"""Running pages: one statement for the documents, one for each end that is asked for, one for the total.

The number of statements does not depend on the data. One document more than wanted is read: it
tells whether there is another page that way. The other way there is one when a document stands at the
cursor or behind it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from aurora_db.aql import page_cursors, plan
from aurora_db.base.errors import TypeMismatch
from aurora_db.sql import operands, pages
from aurora_db.sql.statement import Statement
from aurora_db.store import nested, search
from aurora_db.store.documents import Document
from aurora_db.store.port import Port, Row
from aurora_db.store.scope import Scope

#: More than any table has.
ALL = 2**62


class Places(msgspec.Struct, frozen=True):
    """Where a page lies: the values of its cursors, and how many documents it has at most."""

    after: tuple[Any, ...] | None
    before: tuple[Any, ...] | None
    amount: int | None
    backward: bool


class Found(msgspec.Struct):
    """What a page shows: rows in the query's order, their documents, and what is beside them."""

    rows: Sequence[Row] = ()
    documents: Sequence[Document] = ()
    next: bool = False
    previous: bool = False
    total: int = 0


class PageRunner:
    """The page of one query: its statements, and what makes the object of their rows."""

    def __init__(self, query: plan.Query, page: plan.Page) -> None:
        self._query = query
        self._page = page
        self._pages = pages.Pages(query)
        self._digest = page_cursors.digest(query.collection, query.order, query.search)
        source, params = operands.source(query)
        self._count = Statement(f"SELECT count(*) {source}", params)
        words = {what for key in page.keys for what in (key.what, *(one for _, one in key.parts))}
        self._counts = "totalCount" in words
        self._reads = bool(words & {"edges", "nodes", "pageInfo"})
        self._shows = bool(words & {"node", "nodes"})
        self._looks_back = "hasPreviousPage" in words
        self._looks_on = "hasNextPage" in words
        #: Whether it is one statement: nothing is asked for that needs another.
        self.single = not (
            self._counts
            or (self._looks_back and page.after is not None)
            or (self._looks_on and page.before is not None)
            or self._pages.shown.children
            or query.search is not None
        )

    async def run(self, port: Port, scope: Scope, parts: Mapping[str, Any]) -> Document:
        """The page's object; `parts` are the values of its other keys.

        Raises:
            TypeMismatch: a cursor or an amount is none, or `first` and `last` are both given.
        """
        found = Found()
        places = self._places(scope)
        if self._reads:
            await self._read(found, places, port, scope)
        if self._shows:
            found.documents = await self._documents(found.rows, port, scope)
        if self._counts:
            count = self._count
            ((found.total,),) = await port.rows(count.text, count.bind(scope.variables))
        return {key.key: self._value(key, found, parts) for key in self._page.keys}

    async def _documents(self, rows: Sequence[Row], port: Port, scope: Scope) -> list[Document]:
        shown, read = self._pages.shown, self._pages.shown.read
        if shown.children:
            read = await nested.reader(read, shown.children, rows, port, scope.variables)
        documents = list(map(read, rows))
        if self._query.search is not None:
            await search.put_snippets(self._query, documents, port, scope)
        return documents

    # --- reading ----------------------------------------------------------------------------

    def _places(self, scope: Scope) -> Places:
        page = self._page
        first, last = _amount("first", page.first, scope), _amount("last", page.last, scope)
        if first is not None and last is not None:
            raise TypeMismatch(
                "a page is taken from one end: first or last, not both", hint="leave one of them"
            )
        return Places(
            after=self._cursor("after", page.after, scope),
            before=self._cursor("before", page.before, scope),
            amount=last if first is None else first,
            backward=last is not None,
        )

    def _cursor(self, name: str, value: plan.Value | None, scope: Scope) -> tuple[Any, ...] | None:
        given = None if value is None else scope.value(value)
        if given is None:
            return None
        return page_cursors.read(given, self._digest, self._pages.values, name)

    async def _read(self, found: Found, places: Places, port: Port, scope: Scope) -> None:
        amount, backward = places.amount, places.backward
        known = {
            **scope.variables,
            pages.AFTER: places.after,
            pages.BEFORE: places.before,
            pages.LIMIT: -1 if amount is None else min(amount, ALL) + 1,
        }
        after, before = _nulls(places.after), _nulls(places.before)
        statement = self._pages.statement(pages.Shape(backward, after, before))
        rows = await port.rows(statement.text, statement.bind(known))
        more = amount is not None and len(rows) > amount
        if more:
            rows.pop()
        found.rows = rows[::-1] if backward else rows
        found.next, found.previous = more and not backward, more and backward
        if self._looks_back and after is not None and not backward:
            behind = self._pages.exists(pages.AFTER, after, backward=True)
            ((found.previous,),) = await port.rows(behind.text, behind.bind(known))
        if self._looks_on and before is not None and (backward or amount is None):
            ahead = self._pages.exists(pages.BEFORE, before, backward=False)
            ((found.next,),) = await port.rows(ahead.text, ahead.bind(known))

    # --- the object -------------------------------------------------------------------------

    def _value(self, key: plan.PageKey, found: Found, parts: Mapping[str, Any]) -> Any:
        match key.what:
            case "edges":
                return self._edges(key, found)
            case "nodes":
                return found.documents
            case "pageInfo":
                return {name: self._info(what, found) for name, what in key.parts}
            case "totalCount":
                return found.total
            case _:
                return parts[key.key]

    def _edges(self, key: plan.PageKey, found: Found) -> list[Document]:
        columns = [
            found.documents if what == "node" else [self._written(row) for row in found.rows]
            for _, what in key.parts
        ]
        match [name for name, _ in key.parts]:
            case [name]:
                return [{name: one} for one in columns[0]]
            case [name, second]:
                return [{name: a, second: b} for a, b in zip(*columns, strict=True)]
            case names:
                return [dict(zip(names, each, strict=True)) for each in zip(*columns, strict=True)]

    def _info(self, what: str, found: Found) -> Any:
        match what:
            case "hasNextPage":
                return bool(found.next)
            case "hasPreviousPage":
                return bool(found.previous)
            case _ if not found.rows:
                return None
            case "startCursor":
                return self._written(found.rows[0])
            case _:
                return self._written(found.rows[-1])

    def _written(self, row: Row) -> str:
        return page_cursors.written(self._digest, row[self._pages.width :])


def _nulls(place: tuple[Any, ...] | None) -> tuple[bool, ...] | None:
    return None if place is None else tuple([value is None for value in place])


def _amount(name: str, value: plan.Value | None, scope: Scope) -> int | None:
    amount = None if value is None else scope.value(value)
    if amount is None:
        return None
    if isinstance(amount, bool) or not isinstance(amount, int) or amount < 0:
        raise TypeMismatch(f"'{name}' is a whole number from 0, got {amount!r}")
    return amount
