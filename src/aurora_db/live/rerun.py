"""Roots of queries that are asked again: whole, or for the documents that were touched.

What was said last is compared with what is now. Between two times that the user takes, states are
merged; the last one always arrives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from aurora_db.aql import plan
from aurora_db.base.codec import own
from aurora_db.live.events import Events
from aurora_db.live.keyed import Touched
from aurora_db.live.matched import opening
from aurora_db.live.snapshots import Row, Run, Snapshots
from aurora_db.live.source import Interest
from aurora_db.store.changes import Changed
from aurora_db.store.port import Port
from aurora_db.store.scope import Scope


class Asked(msgspec.Struct, frozen=True):
    """What such roots have in common.

    `interests` are in all collections that the query looks into. A `restless` one looks into
    collections without a feed: it is settled after every commit. `signature` is what is compared
    after definitions have changed.
    """

    key: str
    interests: tuple[Interest, ...]
    restless: bool
    signature: object


class _Root:
    """A root that keeps a state, and notes whether it may have changed."""

    exact = False
    resumes = False

    def __init__(self, asked: Asked) -> None:
        self.key = asked.key
        self.interests = asked.interests
        self.signature = asked.signature
        self.restless = asked.restless
        self._stale = True

    def said(self, change: Changed, before: bool, after: bool) -> Any:
        """Never called: it keeps a state."""

    def heard(self, change: Changed, before: bool, after: bool) -> None:
        """Something that the query looks into has changed."""
        del change, before, after
        self._stale = True

    async def settle(self, port: Port, seq: int) -> Any:
        """What is now; None where nothing can have changed."""
        if not (self._stale or self.restless):
            return None
        found = await self._settled(port, seq)
        # Where that failed it is asked again.
        self._stale = False
        return found

    async def _settled(self, port: Port, seq: int) -> Any:
        raise AssertionError(f"each root has its own: {port} {seq}")


class Rerun(_Root):
    """The whole result of a query, whenever it differs (RESULTS mode).

    Args:
        query: its where expanded.
        variables: those of the operation, checked.
    """

    def __init__(
        self, asked: Asked, query: plan.Query, variables: Mapping[str, Any], run: Run
    ) -> None:
        super().__init__(asked)
        self._runner = run(query)
        self._variables = variables
        #: The newest result, and the one that was said last; in a tuple, for a result may be anything.
        self._newest: tuple[Any] | None = None
        self._told: tuple[Any] | None = None

    async def begin(self, port: Port, seq: int, reset: str | None) -> list[Any]:
        """The result of now. It is whole, so that a reset needs no word."""
        del seq, reset
        self._stale = False
        self._newest = self._told = await self._ask(port)
        return [own(self._newest[0])]

    async def _settled(self, port: Port, seq: int) -> Any:
        del seq
        found = await self._ask(port)
        if found == self._newest:
            return None
        self._newest = found
        return found

    async def _ask(self, port: Port) -> tuple[Any]:
        return (await self._runner(port, Scope(self._variables)),)

    def news(self, state: Any) -> list[Any]:
        """The result, unless it is the one said last."""
        if state == self._told:
            return []
        self._told = state
        return [own(state[0])]


class _State(msgspec.Struct, frozen=True):
    """The documents of a query at one position.

    `left` are those that may have been said last and match no more, as they are now. `inserted` are numbers of
    the changes that brought documents.
    """

    seq: int
    rows: Mapping[str, Row]
    left: Mapping[str, Row]
    inserted: Mapping[str, int]


class Kept(_Root):
    """The documents of a query by their ids: those that were touched are read again, or all.

    Args:
        snapshots: reads them.
        touched: which ones were; None reads all again.
        events: makes the events of CHANGES mode; None is RESULTS mode, with `snapshots` that sort.
        initial: whether CHANGES begin with what matches.
    """

    def __init__(
        self,
        asked: Asked,
        snapshots: Snapshots,
        touched: Touched | None,
        events: Events | None,
        *,
        initial: bool = False,
    ) -> None:
        super().__init__(asked)
        self._snapshots = snapshots
        self._touched = touched
        self._events = events
        self._initial = initial
        self._rows: Mapping[str, Row] | None = None
        #: Documents that were inserted since what was said last, by the number of the change.
        self._inserted: dict[str, int] = {}
        #: What was said last, by whoever takes: in RESULTS mode the list, else the state.
        self._list: list[Any] | None = None
        self._told: _State | None = None

    async def begin(self, port: Port, seq: int, reset: str | None) -> list[Any]:
        """The documents of now: whole, or as INITIAL and READY, after a RESET always."""
        self._stale = False
        if self._touched is not None:
            self._touched.forget()
        self._inserted = {}
        self._rows = rows = await self._snapshots.all(port)
        if self._events is None:
            self._list = None
            return self._listed(rows)
        self._told = _State(seq, rows, {}, {})
        if reset is None and not self._initial:
            return []
        return opening(self._events, _owned(rows), seq, reset)

    def heard(self, change: Changed, before: bool, after: bool) -> None:
        """Note whom the change touches."""
        super().heard(change, before, after)
        if self._touched is not None:
            self._touched.hear(change)
        events = self._events
        if events is not None and change.op == "insert" and change.collection == events.collection:
            self._inserted[change.id] = change.seq

    async def _settled(self, port: Port, seq: int) -> _State:
        # Where this fails it is known no more what was touched.
        known, self._rows = self._rows, None
        touched = None if self._touched is None else await self._touched.take(port)
        if known is None or touched is None:
            rows: Mapping[str, Row] = await self._snapshots.all(port)
        else:
            gone = frozenset(touched)
            kept = {id: row for id, row in known.items() if id not in gone}
            rows = kept | await self._snapshots.among(port, touched)
        self._rows = rows
        if self._events is None:
            return _State(seq, rows, {}, {})
        # The state before this one may be taken meanwhile, or not.
        told = self._told
        before = {**(known or {}), **(told.rows if told is not None else {})}
        left = await self._snapshots.now(port, [id for id in before if id not in rows])
        since = 0 if told is None else told.seq
        self._inserted = {id: at for id, at in self._inserted.items() if at > since and id in rows}
        return _State(seq, rows, left, dict(self._inserted))

    def news(self, state: Any) -> list[Any]:
        """The list where it differs, or an event for each document that does."""
        if self._events is None:
            return self._listed(state.rows)
        told, self._told = self._told, state
        if told is None:
            # It went on after a position: what was said there is not known.
            return opening(self._events, _owned(state.rows), state.seq, "history")
        differing = list(_differing(self._events, told, state))
        # The position belongs to all of them together.
        return [
            self._events.event(
                mutation, self._events.token(state.seq) if n == len(differing) else None, id, nodes, olds, changed
            )
            for n, (mutation, id, nodes, olds, changed) in enumerate(differing, 1)
        ]  # fmt: skip

    def _listed(self, rows: Mapping[str, Row]) -> list[Any]:
        found = [row.nodes[0] for _, row in self._snapshots.sort(rows)]
        if found == self._list:
            return []
        self._list = found
        return [own(found)]


def _differing(
    events: Events, told: _State, state: _State
) -> Iterator[tuple[str, str, Sequence[Any] | None, Sequence[Any] | None, Sequence[str]]]:
    for id, row in told.rows.items():
        if id not in state.rows:
            now = state.left.get(id)
            if now is None:
                yield "DELETE", id, None, own(list(row.nodes)), ()
            else:
                names = events.differing(row.nodes, now.nodes)
                yield "LEAVE", id, own(list(now.nodes)), own(list(row.nodes)), names
    for id, row in state.rows.items():
        before = told.rows.get(id)
        if before is None:
            new = state.inserted.get(id, 0) > told.seq
            yield "INSERT" if new else "ENTER", id, own(list(row.nodes)), None, ()
        elif before is not row and before.nodes != row.nodes:
            names = events.differing(before.nodes, row.nodes)
            yield "UPDATE", id, own(list(row.nodes)), own(list(before.nodes)), names


def _owned(rows: Mapping[str, Row]) -> dict[str, Row]:
    return {id: Row(tuple(own(list(row.nodes)))) for id, row in rows.items()}
