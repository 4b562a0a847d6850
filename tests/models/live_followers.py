"""Followers of a database: each takes what a subscription says, and knows from it alone what is there.

What they are told must fit what they know: nothing comes that is there already, nothing goes that is
not, what was before is what they knew, and positions never go back.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from tests.models.live_world import IDS, NAMES, wheres
from tests.models.wheres import literal

from aurora_db import AuroraError, Timeout
from aurora_db.store import changes

if TYPE_CHECKING:
    from aurora_db import Aurora

#: Seconds in which a follower must have heard what was committed.
GUARD = 60.0


def number(position: str | None) -> int:
    """The number of the change that a position stands after; -1 before any."""
    return -1 if position is None else int(position.rpartition("-")[2])


def end(db: Aurora) -> int:
    """The number of the newest change."""
    return db._engine.read(changes.end, single=True)


def close(one: Any, other: Any) -> bool:
    """Equal; Floats within the last digits, for a sum depends on the order."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or abs(one - other) <= 1e-9 * max(abs(one), abs(other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(close, one, other))
    return type(one) is type(other) and one == other


class Follower:
    """One subscription, and what is known from it."""

    #: Whether it can go on after its position, one change after the other.
    resumes = True

    def __init__(self, db: Aurora, *, small: bool, lazy: bool) -> None:
        self.db = db
        self.lazy = lazy
        self._small = small
        #: Whether its query was refused since it was opened: then it may have ended.
        self.refused = False
        self.ended: AuroraError | None = None
        self._at = -1
        self.said: list[Any] = []
        self._open(None)

    def _open(self, since: str | None) -> None:
        self.sub = self.subscribe(since)
        if self._small:
            # So that it falls behind: it takes less than there is to say.
            self.sub._stream._limit = 2

    def subscribe(self, since: str | None) -> Any:
        raise NotImplementedError

    def take(self, item: Any) -> None:
        raise NotImplementedError

    def rerun(self) -> Any:
        """What there is now."""
        raise NotImplementedError

    def compare(self) -> None:
        """What is known is what there is."""
        raise NotImplementedError

    def reach(self, last: int) -> None:
        """Take what there is until the change of this number."""
        until = time.monotonic() + GUARD
        while self.ended is None and number(self.sub.position) < last:
            try:
                item = self.sub.next(timeout=0.01)
            except Timeout:
                assert time.monotonic() < until, f"{self} has not reached {last}: {self.sub}"
                continue
            except AuroraError as error:
                self.ended = error
                return
            self.said.append(item)
            self.take(item)
            now = number(self.sub.position)
            assert now >= self._at, f"{self} went back from {self._at} to {now}"
            self._at = now

    def look(self) -> None:
        """Definitions have changed: whether its query is refused by them."""
        try:
            self.rerun()
        except AuroraError:
            self.refused = True

    def check(self) -> bool:
        """It knows what there is; False when it has ended, for its query is refused."""
        try:
            self.rerun()
        except AuroraError:
            assert self.ended is not None, f"{self} goes on, and its query is refused"
        if self.ended is not None:
            assert self.refused, f"{self} has ended: {self.ended!r}"
            return False
        self.compare()
        return True

    def resume(self) -> None:
        """Close it, and go on from its position."""
        if self.ended is None and self.resumes and self.sub.position is not None:
            since = self.sub.position
            self.sub.close()
            self._open(since)

    def close(self) -> None:
        self.sub.close()


# --- plain changes ------------------------------------------------------------------------------


class Listener(Follower):
    """Every change of a collection, with a copy of all its documents."""

    def __init__(self, db: Aurora, name: str, **how: Any) -> None:
        self.name = name
        self.documents: dict[str, Any] = {one["id"]: one for one in shown(db, name)}
        self._open_ended = False
        super().__init__(db, **how)

    def subscribe(self, since: str | None) -> Any:
        return self.db.listen(self.name, since=since)

    def rerun(self) -> Any:
        return {one["id"]: one for one in shown(self.db, self.name)}

    def take(self, item: Any) -> None:
        if type(item).__name__ == "Reset":
            assert item.reason == "history"
            # A listener has no snapshot: what it missed it must look up.
            self.documents = self.rerun()
            return
        known = self.documents.get(item.id)
        match item.op:
            case "insert":
                assert known is None, f"{item} came, and was there"
                assert item.old is None
            case "update":
                assert known is not None, f"{item} was not there"
                assert some(item.old) == some(known), item
                names = {
                    name
                    for name in (item.old.keys() | item.new.keys()) - {"_rev"}
                    if json.dumps(item.old.get(name)) != json.dumps(item.new.get(name))
                }
                assert set(item.changed) >= {name for name in names if item.old.get(name) != item.new.get(name)}  # fmt: skip
            case _:
                assert known is not None, f"{item} went, and was not there"
                assert some(item.old) == some(known), item
                assert item.new is None
        if item.new is None:
            self.documents.pop(item.id, None)
        else:
            assert item.new["id"] == item.id
            self.documents[item.id] = item.new

    def compare(self) -> None:
        there = self.rerun()
        assert {id: some(one) for id, one in self.documents.items()} == {
            id: some(one) for id, one in there.items()
        }, self

    def __repr__(self) -> str:
        return f"Listener({self.name})"


def shown(db: Aurora, name: str) -> list[dict[str, Any]]:
    """All documents with their revisions."""
    revs = db.execute(f"{{ {name} {{ id _rev }} }}")[name]
    return [{**one, **rev} for one, rev in zip(db.execute(f"{{ {name} }}")[name], revs, strict=True)]  # fmt: skip


def some(document: Any) -> dict[str, Any]:
    """A document without what is null, in JSON."""
    return {name: json.dumps(value, default=str) for name, value in (document or {}).items() if value is not None}  # fmt: skip


# --- what is drawn ------------------------------------------------------------------------------


@st.composite
def followers(draw: st.DrawFn) -> tuple[str, tuple[Any, ...], dict[str, bool]]:
    """A kind of follower, what it follows, and how: with a small buffer, seldom asked."""
    how = {"small": draw(st.booleans()), "lazy": draw(st.integers(0, 3)) == 0}
    kind = draw(st.sampled_from(list(KINDS)))
    return kind, draw(KINDS[kind][1]()), how


def _listened() -> st.SearchStrategy[tuple[Any, ...]]:
    return st.sampled_from(NAMES).map(lambda name: (name,))


KINDS: dict[str, tuple[type[Follower], Any]] = {"listen": (Listener, _listened)}
_ = (IDS, wheres, literal)
