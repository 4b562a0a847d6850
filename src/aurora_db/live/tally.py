"""A query of one collection with aggregates and groups that are kept in memory: by what comes and goes.

A change costs what its document adds to the results, however many documents there are. Where a result
cannot be known without the database (`totals.Unsure`), the query is run again, and kept as before from there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, assert_never, cast

import msgspec

from aurora_db.aql import plan
from aurora_db.base.codec import decode, encode, own
from aurora_db.live.bunches import Aggregated, Grouped
from aurora_db.live.ordered import Entry, Ordered
from aurora_db.live.source import Interest
from aurora_db.live.totals import Unsure
from aurora_db.live.window import Shape
from aurora_db.sql import keeping
from aurora_db.store.changes import Changed
from aurora_db.store.port import Port

#: Runs the whole query in a snapshot; its result as a query gives it.
Run = Callable[[Port], Awaitable[Mapping[str, Any]]]


class _State:
    """The documents, where the query shows any, and the results of the parts by their key."""

    __slots__ = ("entries", "parts")

    def __init__(self, entries: tuple[Entry, ...] | None, parts: Mapping[str, Any]) -> None:
        self.entries = entries
        self.parts = parts


class Tally:
    """The root of a query with parts that `can_keep` lets through, in RESULTS mode.

    Its methods are called one at a time, and `news` with the newest state only.

    Args:
        key: of its items.
        query: of one collection, its where expanded.
        interest: in its collection, with the query's where as `where` and `test`, and no `fields`.
        run: the query itself, for results that only the database knows.
        variables: those of the operation, checked.
        shape: makes a document of `nodes` of an image; needed where the query has outputs.
        signature: what is compared after definitions have changed; the query and its variables by default.

    Raises:
        TypeMismatch: a limit or offset is no whole number from 0.
    """

    exact = False
    resumes = True

    def __init__(
        self,
        key: str,
        query: plan.Query,
        interest: Interest,
        run: Run,
        *,
        variables: Mapping[str, Any] = MappingProxyType({}),
        shape: Shape | None = None,
        signature: object = None,
    ) -> None:
        self.key = key
        self.interests = (interest,)
        self.signature = (query, dict(variables)) if signature is None else signature
        self._query = query
        self._run = run
        self._variables = variables
        self._shape = shape
        self._ordered = None if shape is None or not query.outputs else Ordered(query, variables)
        self._parts: dict[str, Aggregated | Grouped] = {}
        self._begun = False
        self._said: _State | None = None

    async def begin(self, port: Port, seq: int, reset: str | None) -> list[Any]:
        """Add up what matches; the result is said first, and does for a RESET."""
        del seq, reset
        await self._read(port)
        return self.news(await self._state(port))

    def said(self, change: Changed, before: bool, after: bool) -> Any:
        """Never called: it is not exact."""

    def heard(self, change: Changed, before: bool, after: bool) -> None:
        """Take away how the document was, and add how it is."""
        if self._ordered is not None:
            self._ordered.note(change.id, change.new if after else None)
        if not self._begun:
            return
        for part in self._parts.values():
            if before and change.old is not None:
                part.add(change.old, -1)
            if after and change.new is not None:
                part.add(change.new, 1)

    async def settle(self, port: Port, seq: int) -> Any:
        """The results now."""
        del seq
        if not self._begun:
            # It goes on after a position: what the user has is not known, so he is told the result.
            await self._read(port)
        elif self._ordered is not None:
            await self._ordered.settle(port)
        return await self._state(port)

    def news(self, state: Any) -> list[Any]:
        """The whole result where it differs."""
        now = cast("_State", state)
        if self._said is not None and self._looks_same(self._said, now):
            return []
        self._said = now
        return [self._shown(now)]

    # --- what is kept -----------------------------------------------------------------------

    async def _read(self, port: Port) -> None:
        self._parts = {part.key: _kept(part, self._variables) for part in self._query.parts}
        statement = keeping.pieces(self._query, _fields(self._query.parts))
        rows = await port.rows(statement.text, statement.bind(self._variables))
        for text, times in rows:
            image = decode(text)
            for part in self._parts.values():
                part.add(image, times)
        if self._ordered is not None:
            await self._ordered.read(port)
        self._begun = True

    async def _state(self, port: Port) -> _State:
        try:
            parts = {key: part.result() for key, part in self._parts.items()}
        except Unsure:
            result = await self._run(port)
            parts = {key: result[key] for key in self._parts}
        return _State(None if self._ordered is None else self._ordered.shown(), parts)

    # --- what is said -----------------------------------------------------------------------

    def _shown(self, state: _State) -> dict[str, Any]:
        nodes = {} if state.entries is None else {"nodes": self._nodes(state.entries)}
        return {**nodes, **own(state.parts)}

    def _nodes(self, entries: tuple[Entry, ...]) -> list[Any]:
        shape = cast("Shape", self._shape)
        return [shape(one.image) for one in entries]

    def _looks_same(self, one: _State, other: _State) -> bool:
        if not all(_same(one.parts[key], part) for key, part in other.parts.items()):
            return False
        had, has = one.entries or (), other.entries or ()
        return len(had) == len(has) and all(
            a is b or encode(self._nodes((a,))) == encode(self._nodes((b,)))
            for a, b in zip(had, has, strict=True)
        )


def _same(one: Any, other: Any) -> bool:
    """Whether two results of a part are; groups that have not changed are the same objects."""
    if isinstance(one, list) and isinstance(other, list):
        had, has = cast("list[Any]", one), cast("list[Any]", other)
        return len(had) == len(has) and all(map(_same, had, has))
    return one is other or encode(one) == encode(other)


def _kept(part: plan.QueryPart, variables: Mapping[str, Any]) -> Aggregated | Grouped:
    match part:
        case plan.Aggregates():
            return Aggregated(part, variables)
        case plan.Groups():
            return Grouped(part, variables)
        case plan.Downsample() | plan.Window():
            raise AssertionError("series are run again")
        case _:
            assert_never(part)


def _fields(parts: tuple[plan.QueryPart, ...]) -> frozenset[str] | None:
    """The fields that parts read; None where one is not declared."""
    names = {None if path.field is None else path.field.name for path in _paths(parts)}
    return None if None in names else frozenset(name for name in names if name is not None)


def _paths(node: Any) -> Iterator[plan.Path]:
    match node:
        case plan.Path():
            yield node
        case tuple():
            for one in cast("tuple[Any, ...]", node):
                yield from _paths(one)
        case plan.Aggregates() | plan.Groups() | plan.Group() | plan.Aggregate() | plan.Call() | plan.Items():  # fmt: skip
            for one in msgspec.structs.astuple(node):
                yield from _paths(one)
        case _:
            return
