"""A query of one collection that is kept in memory: what it shows, or what comes and goes.

In RESULTS mode it says the whole list whenever that differs. In CHANGES mode it says one event for
each document that differs between what was said last and what is now, whatever happened in between:
who takes seldom gets merged events, which still make the list of now of the list of then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from operator import is_
from types import MappingProxyType
from typing import Any, Final, Protocol, cast

from aurora_db.aql import plan
from aurora_db.base.codec import decode, encode
from aurora_db.live.ordered import Entry, Ordered
from aurora_db.live.source import Interest
from aurora_db.live.values import Image, Unplaced
from aurora_db.sql import keeping
from aurora_db.store.changes import Changed
from aurora_db.store.port import Port

#: Makes of an image what the user gets: a value of his own.
Shape = Callable[[Image], Any]
#: Documents whose past is remembered until the user takes what has changed.
REMEMBERED: Final = 10_000


class Tell(Protocol):
    """Makes the item of one event of CHANGES mode."""

    def __call__(
        self,
        mutation: str,
        id: str | None,
        new: Image | None,
        old: Image | None,
        seq: int,
        reason: str | None = None,
    ) -> Any:
        """`mutation` is INITIAL READY INSERT UPDATE ENTER LEAVE DELETE or RESET.

        `id` and both images are None of READY and RESET, and `reason` is that of a RESET. `seq` is the number
        that its position is made of: where to go on when it is the last one taken. Before READY there is none.
        """
        ...


class _Past:
    """How a document was when the user was told last, and how it is now."""

    __slots__ = ("born", "matched", "matches", "new", "old")

    def __init__(self, change: Changed, before: bool) -> None:
        self.old = change.old
        self.born = change.op == "insert"
        self.matched = before
        self.new: Image | None = None
        self.matches = False


class _State:
    """What is shown; of what was said last and is not shown now, how it is, None where it was deleted."""

    __slots__ = ("gone", "seq", "shown")

    def __init__(
        self, seq: int, shown: tuple[Entry, ...], gone: Mapping[str, Image | None]
    ) -> None:
        self.seq = seq
        self.shown = shown
        self.gone = gone


class Window:
    """The root of a query without parts that `can_keep` lets through. RESULTS mode is without `tell`.

    Its methods are called one at a time, and `news` with the newest state only.

    Args:
        key: of its items.
        query: of one collection, its where expanded; what it selects is known to `shape` or `tell`.
        interest: in its collection, with the query's where as `where` and `test`, and no `fields`.
        variables: those of the operation, checked.
        shape: makes a document of the result of an image (RESULTS mode).
        tell: makes an event (CHANGES mode).
        initial: whether CHANGES begin with INITIAL events and READY.
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
        *,
        variables: Mapping[str, Any] = MappingProxyType({}),
        shape: Shape | None = None,
        tell: Tell | None = None,
        initial: bool = False,
        signature: object = None,
    ) -> None:
        if (shape is None) == (tell is None):
            raise AssertionError("a window has a shape, or it tells events")
        self.key = key
        self.interests = (interest,)
        self.signature = (query, dict(variables)) if signature is None else signature
        self._query = query
        self._shape = cast("Shape", shape)
        self._tell = tell
        self._initial = initial
        self._ordered = Ordered(query, variables)
        #: What the user has; None while that is not known.
        self._said: tuple[Entry, ...] | None = None
        self._said_ids: frozenset[str] = frozenset()
        #: No change after this one that it heard of was said.
        self._seq = 0
        #: Documents that changed: since the user was told last, and since the last look.
        self._past: dict[str, _Past] = {}
        self._heard: dict[str, _Past] = {}
        #: Whether more has changed than is remembered.
        self._blurred = False
        self._forgets = False
        self._unsaid = False
        #: Whether what the user has cannot be told, so that he is told all.
        self._anew = False

    async def begin(self, port: Port, seq: int, reset: str | None) -> list[Any]:
        """Read the documents; in RESULTS mode the list is said first, and does for a RESET."""
        await self._ordered.read(port)
        shown = self._ordered.shown()
        self._heard = {}
        self._has(shown, seq)
        if self._tell is None:
            return [self._listed(shown)]
        if reset is None and not self._initial:
            return []
        return [*self._begun(self._tell, shown, seq, reset)]

    def said(self, change: Changed, before: bool, after: bool) -> Any:
        """Never called: it is not exact."""

    def heard(self, change: Changed, before: bool, after: bool) -> None:
        """Note how the document is now and, of the first change since the last news, how it was."""
        id = change.id
        new = change.new
        self._ordered.note(id, new if after else None)
        if self._tell is None:
            return
        past = self._heard.get(id)
        if past is None:
            if self._said is None and not self._heard:
                self._seq = change.seq - 1
            if len(self._heard) >= REMEMBERED:
                self._forgets = True
                return
            past = self._heard[id] = _Past(change, before)
        past.new, past.matches = new, after

    async def settle(self, port: Port, seq: int) -> Any:
        """Move the documents; None where what is shown was said."""
        self._remember()
        if self._said is None:
            # It goes on after a position: what was heard is all that has happened since.
            return await self._resumed(port, seq)
        if not await self._ordered.settle(port):
            self._blurred = True
        if not self._ordered.moved and not self._unsaid:
            self._has(self._said, seq)
            return None
        self._ordered.moved = False
        shown = self._ordered.shown()
        if not self._unsaid and len(shown) == len(self._said) and all(map(is_, shown, self._said)):
            self._has(self._said, seq)
            return None
        self._unsaid = True
        if self._tell is None:
            return _State(seq, shown, {})
        return _State(seq, shown, await self._gone(port, shown))

    def news(self, state: Any) -> list[Any]:
        """The whole list where it differs, or an event for each document that does."""
        now = cast("_State", state)
        said, before = self._said, self._seq
        if self._tell is None:
            same = not self._anew and said is not None and self._looks_same(said, now.shown)
            told = [] if same else [self._listed(now.shown)]
        elif said is None or self._anew:
            told = [*self._begun(self._tell, now.shown, now.seq, "history")]
        else:
            events = list(self._events(said, now))
            last = len(events) - 1
            told = [
                self._tell(*event, now.seq if place == last else before)
                for place, event in enumerate(events)
            ]
        self._has(now.shown, now.seq)
        return told

    def _remember(self) -> None:
        """What was heard belongs to the state that is made now; of each document the oldest past."""
        heard, self._heard = self._heard, {}
        self._blurred |= self._forgets
        self._forgets = False
        for id, now in heard.items():
            past = self._past.setdefault(id, now)
            past.new, past.matches = now.new, now.matches
        if len(self._past) > REMEMBERED:
            self._blurred = True
            self._past = {id: past for id, past in self._past.items() if id in self._said_ids}

    # --- what the user has ------------------------------------------------------------------

    def _has(self, shown: tuple[Entry, ...], seq: int) -> None:
        if shown is not self._said and self._tell is not None:
            self._said_ids = frozenset(one.id for one in shown)
        self._said, self._seq = shown, seq
        self._past = {}
        self._blurred = self._unsaid = self._anew = False

    def _listed(self, shown: tuple[Entry, ...]) -> list[Any]:
        return [self._shape(one.image) for one in shown]

    def _looks_same(self, one: tuple[Entry, ...], other: tuple[Entry, ...]) -> bool:
        """Whether two lists differ in nothing that the query selects."""
        if len(one) != len(other):
            return False
        return all(
            a is b or encode(self._shape(a.image)) == encode(self._shape(b.image))
            for a, b in zip(one, other, strict=True)
        )

    def _begun(
        self, tell: Tell, shown: tuple[Entry, ...], seq: int, reset: str | None
    ) -> Iterator[Any]:
        if reset is not None:
            yield tell("RESET", None, None, None, seq, reset)
        for one in shown:
            yield tell("INITIAL", one.id, one.image, None, seq)
        yield tell("READY", None, None, None, seq)

    def _events(
        self, said: tuple[Entry, ...], now: _State
    ) -> Iterator[tuple[str, str, Image | None, Image | None]]:
        """What makes the one of the other: first what goes, then the others in their order."""
        before = {one.id: one for one in said}
        for one in said:
            if one.id in now.gone:
                new = now.gone[one.id]
                yield ("DELETE" if new is None else "LEAVE"), one.id, new, one.image
        for one in now.shown:
            was, past = before.get(one.id), self._past.get(one.id)
            if was is not None:
                if was is not one and was.image != one.image:
                    yield "UPDATE", one.id, one.image, was.image
            elif past is not None and past.born:
                yield "INSERT", one.id, one.image, None
            else:
                old = one.image if past is None or past.old is None else past.old
                yield "ENTER", one.id, one.image, old

    async def _gone(self, port: Port, shown: tuple[Entry, ...]) -> dict[str, Image | None]:
        """How what was said and is not shown is now: the feed is silent about what does not match."""
        here = {one.id for one in shown}
        gone = {one.id: one.image for one in self._said or () if one.id not in here}
        found: dict[str, Image | None] = {}
        asked: list[str] = []
        for id, image in gone.items():
            past = self._past.get(id)
            if past is None and not self._blurred:
                found[id] = image
            elif past is not None and past.matches and not self._blurred:
                found[id] = past.new
            else:
                asked.append(id)
        if asked:
            statement = keeping.by_ids(self._query.collection, asked)
            rows = await port.rows(statement.text, statement.params)
            known = {id: cast("Image", decode(text)) for id, _, text in rows}
            found |= {id: known.get(id) for id in asked}
        return {id: found[id] for id in gone}

    # --- going on after a position ----------------------------------------------------------

    async def _resumed(self, port: Port, seq: int) -> _State:
        past, blurred = self._past, self._blurred
        await self._ordered.read(port)
        shown = self._ordered.shown()
        said = None if blurred or self._tell is None else await self._then(port, past)
        self._has(shown if said is None else said, self._seq)
        self._past, self._blurred, self._unsaid = past, blurred, True
        self._anew = said is None
        return _State(seq, shown, await self._gone(port, shown))

    async def _then(self, port: Port, past: Mapping[str, _Past]) -> tuple[Entry, ...] | None:
        """What was shown before all that is remembered; None where that cannot be told.

        Documents that nobody touched are as they are now, the others as they were before the first change.
        """
        ordered, reach = self._ordered, self._ordered.reach
        is_cut = reach is not None or ordered.offset > 0
        if is_cut and (not self._query.order or not ordered.placed):
            return None
        entries = await ordered.first(port, None if reach is None else reach + len(past))
        kept = [one for one in entries if one.id not in past]
        try:
            for id, was in past.items():
                if was.matched and was.old is not None:
                    kept.append(Entry(ordered.key(was.old) if is_cut else (), id, was.old))
        except Unplaced:
            return None
        if not is_cut:
            return tuple(kept)
        if any(not one.key for one in kept):
            return None
        kept.sort(key=lambda one: one.key)
        return ordered.cut(kept)
