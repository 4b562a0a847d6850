"""Followers of a database: each takes what a subscription says, and knows from it alone what is there.

What they are told must fit what they know: nothing comes that is there already, nothing goes that is
not, what was before is what they knew, and positions never go back.
"""

from __future__ import annotations

import copy
import json
import time
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st
from tests.models.live_world import NAMES, wheres
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

    def __init__(self, db: Aurora, *, small: bool, lazy: bool) -> None:
        self.db = db
        self.lazy = lazy
        self._small = small
        #: What is known: documents by id, or a result.
        self.known: Any = {}
        #: Whether its query was refused since it was opened: then it may have ended.
        self.refused = False
        self.ended: AuroraError | None = None
        #: How often it may say the same again, for it began anew.
        self.again = 0
        #: Where to go on when it is killed, and what was known there.
        self._token: str | None = None
        self._saved: Any = None
        self._at = -1
        self._open(None)

    def _open(self, since: str | None) -> None:
        self.sub = self.subscribe(since)
        if self._small:
            # So that it falls behind: it takes less than there is to say.
            self.sub._stream._limit = 2

    def subscribe(self, since: str | None) -> Any:
        raise NotImplementedError

    def take(self, item: Any) -> str | None:
        """Learn from an item; the position that it tells."""
        raise NotImplementedError

    def rerun(self) -> Any:
        """What there is now."""
        raise NotImplementedError

    def compare(self, there: Any) -> None:
        """What is known is what there is."""
        assert close(self.known, there), f"{self}\nknown {self.known}\nthere {there}"

    def some(self, count: int) -> None:
        """Take so many items, if there are so many now."""
        for _ in range(count):
            if not self._next(0.0):
                return

    def reach(self, last: int) -> None:
        """Take what there is until the change of this number."""
        until = time.monotonic() + GUARD
        while self.ended is None and number(self.sub.position) < last:
            if not self._next(0.01):
                assert time.monotonic() < until, f"{self} has not reached {last}: {self.sub}"
        if self.ended is None:
            self._save(self.sub.position)

    def _next(self, timeout: float) -> bool:
        if self.ended is not None:
            return False
        try:
            item = self.sub.next(timeout=timeout)
        except Timeout:
            return False
        except AuroraError as error:
            self.ended = error
            return False
        told = self.take(item)
        if told is not None:
            assert number(told) >= self._at, f"{self} went back from {self._at}: {item}"
            self._at = number(told)
        if told is not None and number(told) > number(self._token):
            self._save(told)
        return True

    def _save(self, token: str | None) -> None:
        self._token, self._saved = token, copy.copy(self.known)

    def altered(self) -> None:
        """Definitions have changed: it may begin anew, or end where its query is refused."""
        self.again += 1
        self.told()

    def told(self) -> None:
        """Something was committed: where its query fails from now on, it may end."""
        try:
            self.rerun()
        except AuroraError:
            self.refused = True

    def pruned(self) -> None:
        """History was forgotten: it may begin anew."""
        self.again += 1

    def check(self) -> bool:
        """It knows what there is; False when it has ended, for its query is refused."""
        there: Any = None
        try:
            there = self.rerun()
        except AuroraError:
            assert self.ended is not None, f"{self} goes on, and its query is refused"
        if self.ended is not None:
            assert self.refused, f"{self} has ended: {self.ended!r}"
            return False
        self.compare(there)
        return True

    def killed(self) -> None:
        """It is gone, and another one goes on from its position, with what was known there."""
        if self.ended is None and self._token is not None:
            self.sub.close()
            self.known = copy.copy(self._saved)
            self.again += 1
            self._at = number(self._token)
            self._open(self._token)

    def close(self) -> None:
        self.sub.close()


# --- plain changes ------------------------------------------------------------------------------


class Listener(Follower):
    """Every change of a collection, with a copy of all its documents."""

    def __init__(self, db: Aurora, name: str, **how: Any) -> None:
        self.name = name
        #: Whether all documents are known, by the names that fields have now; else those that were heard of.
        self.whole = True
        super().__init__(db, **how)
        self.known = self.rerun()
        self._save(self.sub.position)

    def subscribe(self, since: str | None) -> Any:
        return self.db.listen(self.name, since=since)

    def rerun(self) -> Any:
        return {one["id"]: filled(one) for one in self.db.execute(f"{{ {self.name} }}")[self.name]}

    def take(self, item: Any) -> str | None:
        if type(item).__name__ == "Reset":
            assert item.reason == "history"
            # A listener has no snapshot: what was there then nobody tells.
            self.known, self.whole = {}, False
            return item.position
        old, new = filled(item.old), filled(item.new)
        assert (item.old is None, item.new is None) == {"insert": (True, False), "update": (False, False), "delete": (False, True)}[item.op]  # fmt: skip
        known = self.known.pop(item.id, None)
        if self.whole:
            assert (known is None) == (item.op == "insert"), f"{item}, and known was {known}"
            assert known is None or known == old, f"{item}, and known was {known}"
        if item.op == "update":
            differs = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
            # What a field was named before is a name that differs, too.
            assert differs == set(item.changed) or (differs < set(item.changed) and not self.whole)
        if item.new is not None:
            assert item.new["id"] == item.id
            self.known[item.id] = new
        return item.position

    def compare(self, there: Any) -> None:
        if not self.whole:
            assert self.known.items() <= there.items()
        else:
            super().compare(there)
        self.known, self.whole = there, True
        self._save(self.sub.position)

    def altered(self) -> None:
        super().altered()
        # A change is told by the names that fields have when it is taken.
        self.whole = False

    def killed(self) -> None:
        super().killed()
        # What was saved was maybe named otherwise, or not whole.
        self.whole = self.whole and self.known == self._saved

    def __repr__(self) -> str:
        return f"Listener({self.name})"


def filled(document: Any) -> dict[str, str]:
    """What a document has that is not null, so that 1 is 1.0, and neither is true."""
    return {name: repr(_valued(value)) for name, value in (document or {}).items() if value is not None}  # fmt: skip


def _valued(value: Any) -> Any:
    if isinstance(value, list):
        return [_valued(one) for one in value]
    if isinstance(value, dict):
        return {name: _valued(one) for name, one in value.items()}
    return float(value) if type(value) is int else value


# --- events -------------------------------------------------------------------------------------


class Events(Follower):
    """A subscription in CHANGES mode, with a copy of each document that the query has."""

    def __init__(self, db: Aurora, asked: Asked, **how: Any) -> None:
        self.asked = asked
        self.ready = False
        super().__init__(db, **how)

    @property
    def text(self) -> str:
        """The subscription."""
        shown = self.asked.selection and f"{{ {self.asked.selection} }}"
        keys = f"mutation id node {shown} old {shown} position"
        return f"subscription {{ e: {self.asked.head('initial: true')} {{ {keys} }} }}"

    def subscribe(self, since: str | None) -> Any:
        return self.db.stream(self.text, since=since)

    def rerun(self) -> Any:
        text = f"{{ e: {self.asked.head()} {{ {self.asked.shown} }} }}"
        return {one["id"]: self._plain(one) for one in self.db.execute(text)["e"]}

    def _plain(self, document: Any) -> Any:
        """As events show it: without the id that was asked for to tell documents apart."""
        if self.asked.selection:
            document.pop("id")
        return document

    def take(self, item: Any) -> str | None:
        event = item["e"]
        word, id, node, old = event["mutation"], event["id"], event["node"], event["old"]
        if word not in ("INITIAL", "READY", "RESET"):
            assert self.ready, event
        match word:
            case "RESET":
                self.known, self.ready = {}, False
            case "READY":
                assert not self.ready
                self.ready = True
            case "INITIAL" | "INSERT" | "ENTER":
                assert (word != "INITIAL") == self.ready, event
                assert old is None or word == "ENTER", event
                self.comes(id, node, event)
            case "UPDATE":
                self.goes(id, old, event)
                self.comes(id, node, event)
            case "LEAVE":
                self.goes(id, old, event)
                assert node is not None
            case "DELETE":
                self.goes(id, old, event)
                assert node is None
            case _:
                assert word == "PROGRESS", event
        return event["position"] if self.ready else None

    def comes(self, id: str, document: Any, said: Any) -> None:
        """A document that is not there comes."""
        assert id not in self.known, f"{self}: {said} came, and was there"
        self.known[id] = document

    def goes(self, id: str, document: Any, said: Any) -> None:
        """A document that is there goes, as it was."""
        assert id in self.known, f"{self}: {said} was not there"
        known = self.known.pop(id)
        assert close(known, document), f"{self}: {said}, and known was {known}"

    def compare(self, there: Any) -> None:
        super().compare(there)
        assert self.ready

    def __repr__(self) -> str:
        return f"Events({self.text})"


class Watcher(Events):
    """The same by the fluent builder."""

    def subscribe(self, since: str | None) -> Any:
        return self.asked.built(self.db).watch(since=since)

    def rerun(self) -> Any:
        return {one["id"]: one for one in self.asked.built(self.db).all()}

    def take(self, item: Any) -> str | None:
        match type(item).__name__:
            case "Reset":
                self.known = {}
            case "Added":
                self.comes(item.doc["id"], item.doc, item)
            case "Modified":
                self.goes(item.old["id"], item.old, item)
                self.comes(item.new["id"], item.new, item)
            case "Removed":
                self.goes(item.doc["id"], item.doc, item)
            case name:
                raise AssertionError(name)
        return None

    def compare(self, there: Any) -> None:
        self.ready = True
        super().compare(there)

    def __repr__(self) -> str:
        return f"Watcher({self.asked})"


# --- results ------------------------------------------------------------------------------------


class Results(Follower):
    """A query that is followed whole, with what it said last."""

    def __init__(self, db: Aurora, text: str, **how: Any) -> None:
        self.text = text
        super().__init__(db, **how)

    def subscribe(self, since: str | None) -> Any:
        return self.db.stream(self.text, since=since)

    def rerun(self) -> Any:
        return self.db.execute(self.text)

    def take(self, item: Any) -> str | None:
        if item == self.known:
            self.again -= 1
            assert self.again >= 0, f"{self}: {item} was said before"
        self.known = item
        return None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.text})"


class Live(Results):
    """The same by the fluent builder."""

    def __init__(self, db: Aurora, asked: Asked, **how: Any) -> None:
        self.asked = asked
        super().__init__(db, str(asked), **how)

    def subscribe(self, since: str | None) -> Any:
        return self.asked.built(self.db).live()

    def killed(self) -> None:
        """It cannot go on after a position."""

    def rerun(self) -> Any:
        return self.asked.built(self.db).all()


class Group(Results):
    """Two queries that move together."""

    def __init__(self, db: Aurora, one: Asked, other: Asked, **how: Any) -> None:
        self.both = (one, other)
        super().__init__(db, f"{one} {other}", **how)

    def subscribe(self, since: str | None) -> Any:
        one, other = self.both
        return self.db.group(one=one.built(self.db), other=other.built(self.db))

    def killed(self) -> None:
        """It cannot go on after a position."""

    def rerun(self) -> Any:
        one, other = self.both
        return {"one": one.built(self.db).all(), "other": other.built(self.db).all()}


# --- what is drawn ------------------------------------------------------------------------------


class Asked(NamedTuple):
    """A query of documents."""

    name: str
    where: dict[str, Any]
    order: list[str]
    limit: int | None
    offset: int | None
    selection: str

    @property
    def shown(self) -> str:
        """The selection of a query that has the ids, too."""
        return f"id {self.selection}" if self.selection else ""

    def head(self, *more: str) -> str:
        """The collection with its arguments."""
        given = [f"where: {literal(self.where)}"] * bool(self.where)
        keys = (f"{{{json.dumps(one.lstrip('-'))}: {'DESC' if one[0] == '-' else 'ASC'}}}" for one in self.order)  # fmt: skip
        given += [f"orderBy: [{' '.join(keys)}]"] * bool(self.order)
        given += [f"limit: {self.limit}"] * (self.limit is not None)
        given += [f"offset: {self.offset}"] * (self.offset is not None)
        given += more
        return self.name + (f"({' '.join(given)})" if given else "")

    def built(self, db: Aurora) -> Any:
        """As the fluent builder has it, whole documents."""
        query = db.query(self.name).filter(self.where)
        if self.order:
            query = query.order_by(*self.order)
        if self.limit is not None:
            query = query.limit(self.limit)
        return query if self.offset is None else query.offset(self.offset)


ORDERS = {
    "people": ["n", "-n", "name", "f", "-at", "id", "team.n", "boss.name"],
    "teams": ["name", "-n", "id", "ok"],
    "notes": ["n", "text", "-id", "person.n"],
}
SELECTIONS = {
    "people": [
        "", "", "name n", "n tags box at", "n team { name n }", "boss { n boss { n } }", "n notes(via: person) { id n }",
        "n twice: n * 2", 'n said: "${name}-${n}"', "team { people(via: team orderBy: {n: DESC} limit: 2) { id n } }",
    ],
    "teams": ["", "", "name n", "n people(via: team) { id n }", "people(via: team orderBy: [{n: DESC} {id: ASC}] limit: 1) { n }"],
    "notes": ["", "", "text n", "free", "person { n team { ok } }"],
}  # fmt: skip
FUNCTIONS = {
    "people": ["count", 's: sum(field: "n")', 'a: avg(field: "f")', 'lo: min(field: "name")', 'hi: max(field: "n")', 'd: countDistinct(field: "ok")', 'x: max(field: "team.n")'],
    "teams": ["count", 's: sum(field: "n")', 'lo: min(field: "name")'],
    "notes": ["count", 's: sum(field: "n")', 'hi: max(field: "n")', 'd: countDistinct(field: "text")'],
}  # fmt: skip
GROUPS = {
    "people": ['field: "team"', 'field: "ok"', 'field: "n"', 'fields: ["ok", "name"]', 'expr: "n + 1"', 'field: "team.name"'],
    "teams": ['field: "ok"', 'field: "n"'],
    "notes": ['field: "text"', 'field: "person"'],
}  # fmt: skip


@cache
def asked(*, selected: bool = True) -> st.SearchStrategy[Asked]:
    """A query of documents."""

    def of(name: str) -> st.SearchStrategy[Asked]:
        orders = st.lists(st.sampled_from(ORDERS[name]), max_size=2, unique_by=lambda one: one.lstrip("-"))  # fmt: skip
        return st.builds(
            Asked, st.just(name), st.just({}) | wheres(name) | wheres(name, hops=False), orders,
            st.none() | st.integers(0, 3), st.none() | st.none() | st.integers(0, 2),
            st.sampled_from(SELECTIONS[name] if selected else [""]),
        )  # fmt: skip

    every = {name: of(name) for name in ("people", "teams", "notes")}
    return st.sampled_from(["people", "people", "people", "teams", "notes"]).flatmap(every.__getitem__)  # fmt: skip


WAYS = st.sampled_from(["documents", "documents", "counted", "grouped", "both", "paged", "two"])
SOME = {
    name: st.lists(st.sampled_from(known), min_size=1, max_size=4, unique=True).map(" ".join)
    for name, known in FUNCTIONS.items()
}
AFTER = st.sampled_from(["", "", " orderBy: {count: DESC}", " having: {count: {gt: 1}}", " limit: 2"])  # fmt: skip
NODES = st.sampled_from(["", "", " nodes { id n }", " nodes(orderBy: {id: DESC} limit: 1) { id }"])


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A query to be followed whole."""
    one = draw(asked())
    way = draw(WAYS)
    some = draw(SOME[one.name])
    group = draw(st.sampled_from(GROUPS[one.name])) + draw(AFTER)
    nodes = draw(NODES)
    grouped = f"groupBy({group}) {{ key count stats: aggregate {{ {some} }}{nodes} }}"
    shown = one.shown and f"{{ {one.shown} }}"
    match way:
        case "documents":
            return f"{{ r: {one.head()} {shown} }}"
        case "counted":
            return f"{{ r: {one.head()} {{ aggregate {{ {some} }} }} }}"
        case "grouped":
            return f"{{ r: {one._replace(limit=None, offset=None).head()} {{ {grouped} }} }}"
        case "both":
            return f"{{ r: {one._replace(order=[]).head()} {{ {one.shown or 'id'} aggregate {{ {some} }} {grouped} }} }}"  # fmt: skip
        case "paged":
            paged = one._replace(limit=None, offset=None).head(f"first: {one.limit or 1}")
            return f"{{ r: {paged} {{ edges {{ node {{ id n }} }} pageInfo {{ hasNextPage }} totalCount }} }}"  # fmt: skip
        case _:
            return f"{{ r: {one.head()} {shown} other: {draw(asked())._replace(selection='').head()} }}"


KINDS: dict[str, tuple[type[Follower], st.SearchStrategy[tuple[Any, ...]]]] = {
    "listen": (Listener, st.sampled_from(NAMES).map(lambda name: (name,))),
    "events": (Events, asked().map(lambda one: (one,))),
    "watch": (Watcher, asked(selected=False).map(lambda one: (one,))),
    "results": (Results, texts().map(lambda text: (text,))),
    "live": (Live, asked(selected=False).map(lambda one: (one,))),
    "group": (Group, st.tuples(asked(selected=False), asked(selected=False))),
}


def followers() -> st.SearchStrategy[tuple[str, tuple[Any, ...], dict[str, bool]]]:
    """A kind of follower, what it follows, and how: with a small buffer, seldom asked."""
    how = st.fixed_dictionaries({"small": st.booleans(), "lazy": st.sampled_from([False, False, False, True])})  # fmt: skip
    return st.one_of(
        *(st.tuples(st.just(kind), what, how) for kind, (_, what) in KINDS.items()),
        # Most ways of keeping a query are those of events and results.
        *(st.tuples(st.just(kind), KINDS[kind][1], how) for kind in ("events", "results", "results")),
    )  # fmt: skip
