"""Whom a change touches: found by the values it has, not by asking all who have an interest.

An interest is filed under values that a document needs to match (`filing.py`): equal ones in a hash,
ranges in a tree. A change is looked up by the values of the document before it and after it; whoever is
found is asked. So the cost grows with those who are found, not with all there are.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, assert_never

import msgspec

from aurora_db.aql import plan
from aurora_db.aql.comparing import equal
from aurora_db.aql.filing import (
    Among,
    Holding,
    Name,
    Place,
    Within,
    frequent,
    is_exact,
    key,
    name,
    places,
)
from aurora_db.aql.ranges import Ranges, point

if TYPE_CHECKING:
    from aurora_db.aql.evaluate import Test


#: What it weighs to be found by a value that every other document has.
_FREQUENT = 16


class Interest(msgspec.Struct, frozen=True):
    """What somebody wants to hear of in one collection; None is every collection.

    `where` has no variables left: by it is found whom a change can touch. `test` is the same as a
    function, and decides; without it every document matches. An update that changes none of `fields`
    is left out, unless they are empty. Unless it is `whole`, `where` says less than `test`: what every
    document has that passes.
    """

    collection: str | None
    where: plan.Where = plan.ALWAYS
    test: Test | None = None
    fields: frozenset[str] = frozenset()
    whole: bool = True


class Images(Protocol):
    """A change: the documents before and after it, decoded when they are asked for."""

    @property
    def collection(self) -> str:
        """The collection of the document."""
        ...

    @property
    def op(self) -> str:
        """insert, update or delete."""
        ...

    @property
    def old(self) -> Mapping[str, Any] | None:
        """The document before; None for an insert."""
        ...

    @property
    def new(self) -> Mapping[str, Any] | None:
        """The document after; None for a delete."""
        ...


class Matcher:
    """Interests by who has them: any owner that can be a key."""

    def __init__(self) -> None:
        self._shelves: dict[str | None, _Shelf] = {}
        self._by_owner: dict[Hashable, list[Interest]] = {}

    def add(self, owner: Hashable, interest: Interest) -> None:
        """One more interest of `owner`."""
        shelf = self._shelves.get(interest.collection)
        if shelf is None:
            shelf = self._shelves[interest.collection] = _Shelf()
        shelf.add(owner, interest)
        self._by_owner.setdefault(owner, []).append(interest)

    def remove(self, owner: Hashable) -> None:
        """No interest of `owner` any more; it costs what its interests are, not all there are."""
        for interest in self._by_owner.pop(owner, ()):
            shelf = self._shelves.get(interest.collection)
            if shelf is not None and shelf.remove(owner, interest):
                del self._shelves[interest.collection]

    @property
    def collections(self) -> tuple[str, ...] | None:
        """The collections that anybody wants to hear of; None for all."""
        return None if None in self._shelves else tuple(filter(None, self._shelves))

    def touched(self, change: Images) -> list[tuple[Any, bool, bool]]:
        """Whom a change touches, each once, and whether the document matched before and does after.

        An owner of several interests hears whether it matched any of them.
        """
        olds: dict[_Filed, None] = {}
        news: dict[_Filed, None] = {}
        found: dict[_Filed, None] = {}
        for collection in (change.collection, None):
            shelf = self._shelves.get(collection)
            if shelf is not None:
                found |= shelf.find(change, olds, news)
        found |= olds
        found |= news
        if not found:
            return []
        told: dict[Hashable, tuple[bool, bool]] = {}
        for one in sorted(found, key=_number) if len(found) > 1 else found:
            if not one.exact:
                before, after = matches(one.interest, change)
            elif is_told(one.interest, change):
                before, after = one in olds, one in news
            else:
                continue
            if before or after:
                for owner in one.owners:
                    known = told.get(owner)
                    told[owner] = (before, after) if known is None else (before or known[0], after or known[1])  # fmt: skip
        return [(owner, *said) for owner, said in told.items()]

    def __len__(self) -> int:
        return len(self._by_owner)

    def __repr__(self) -> str:
        return f"Matcher({len(self)})"


def matches(interest: Interest, change: Images) -> tuple[bool, bool]:
    """Whether a document matched before a change, and does after; neither where it is left out."""
    if not is_told(interest, change):
        return False, False
    before, after = change.op != "insert", change.op != "delete"
    test = interest.test
    if test is None:
        return before, after
    return (
        before and (old := change.old) is not None and test(old),
        after and (new := change.new) is not None and test(new),
    )


def is_told(interest: Interest, change: Images) -> bool:
    """Whether a change is told where it matches: an update of none of the fields is not."""
    return not interest.fields or change.op != "update" or differs(change, interest.fields)


def differs(change: Images, fields: frozenset[str]) -> bool:
    """Whether an update changed one of these fields."""
    old, new = change.old or {}, change.new or {}
    return any(not equal(old.get(name), new.get(name)) for name in fields)


class _Filed:
    """An interest, who has it, and where it is filed; None is nowhere, so that it is always asked.

    Of an `exact` one a document matches if and only if it is found there.
    """

    __slots__ = ("exact", "interest", "number", "owners", "places")

    def __init__(self, number: int, interest: Interest, at: tuple[Place, ...] | None) -> None:
        self.number = number
        self.interest = interest
        self.places = at
        self.exact = at is not None and interest.whole and is_exact(interest.where)
        self.owners: dict[Hashable, None] = {}


def _number(one: _Filed) -> int:
    return one.number


class _Shelf:
    """The interests in one collection."""

    def __init__(self) -> None:
        #: Who has the same test has the same interest.
        self._filed: dict[tuple[Test | None, frozenset[str]], _Filed] = {}
        self._asked: dict[_Filed, None] = {}
        self._columns: dict[Name, _Column] = {}
        self._last = 0

    def add(self, owner: Hashable, interest: Interest) -> None:
        same = (interest.test, interest.fields)
        filed = self._filed.get(same)
        if filed is None:
            self._last += 1
            at = None if interest.test is None else places(interest.where, self._cost)
            filed = self._filed[same] = _Filed(self._last, interest, at)
            if at is None:
                self._asked[filed] = None
            else:
                for place in at:
                    self._column(place.path).add(place, filed)
        filed.owners[owner] = None

    def remove(self, owner: Hashable, interest: Interest) -> bool:
        """Whether nothing is left."""
        same = (interest.test, interest.fields)
        filed = self._filed.get(same)
        if filed is not None:
            filed.owners.pop(owner, None)
            if not filed.owners:
                del self._filed[same]
                self._asked.pop(filed, None)
                for place in filed.places or ():
                    column = self._columns.get(name(place.path))
                    if column is not None and column.remove(place, filed):
                        del self._columns[name(place.path)]
        return not self._filed

    def find(
        self, change: Images, olds: dict[_Filed, None], news: dict[_Filed, None]
    ) -> dict[_Filed, None]:
        """Who must be asked; note who is found by the document before, and by the one after."""
        if self._columns:
            for image, found in ((change.old, olds), (change.new, news)):
                if image is not None:
                    for column in self._columns.values():
                        column.find(image, found)
        return self._asked

    def _column(self, path: plan.Path) -> _Column:
        column = self._columns.get(name(path))
        if column is None:
            column = self._columns[name(path)] = _Column(path)
        return column

    def _cost(self, place: Place) -> float:
        column = self._columns.get(name(place.path))
        return _FREQUENT * frequent(place) + (0 if column is None else column.cost(place))


class _Column:
    """What is filed under the values at one path."""

    __slots__ = ("_among", "_holding", "_ranges", "_read")

    def __init__(self, path: plan.Path) -> None:
        from aurora_db.aql.evaluate import reader  # noqa: PLC0415 - weighs much

        self._read: Callable[[Mapping[str, Any]], Any] = reader(path)
        self._among: dict[Any, dict[_Filed, None]] = {}
        self._holding: dict[Any, dict[_Filed, None]] = {}
        self._ranges = Ranges()

    def add(self, place: Place, filed: _Filed) -> None:
        match place:
            case Within(low=low, high=high):
                self._ranges.add(low, high, filed)
            case Among() | Holding():
                shelf = self._hash(place)
                for one in place.keys:
                    shelf.setdefault(one, {})[filed] = None
            case _:
                assert_never(place)

    def remove(self, place: Place, filed: _Filed) -> bool:
        """Whether nothing is left."""
        match place:
            case Within(low=low, high=high):
                self._ranges.remove(low, high, filed)
            case Among() | Holding():
                shelf = self._hash(place)
                for one in place.keys:
                    some = shelf.get(one, {})
                    some.pop(filed, None)
                    if not some:
                        shelf.pop(one, None)
            case _:
                assert_never(place)
        return not (self._among or self._holding or len(self._ranges))

    def cost(self, place: Place) -> float:
        """About how many are found there already."""
        match place:
            case Within():
                return len(self._ranges) / 2
            case Among() | Holding():
                shelf = self._hash(place)
                return sum(len(shelf.get(one, ())) for one in place.keys)
            case _:
                assert_never(place)

    def find(self, image: Mapping[str, Any], found: dict[_Filed, None]) -> None:
        """Note what a document is found under."""
        value = self._read(image)
        if self._among:
            some = self._among.get(key(value))
            if some is not None:
                found.update(some)
        if self._ranges:
            at = point(value)
            if at is not None:
                self._ranges.find(at, found)
        if self._holding and value is not None:
            # No list, by another program's hand: whoever looks for an element is asked.
            keys = map(key, value) if isinstance(value, list) else list(self._holding)
            for one in keys:
                some = self._holding.get(one)
                if some is not None:
                    found.update(some)

    def _hash(self, place: Among | Holding) -> dict[Any, dict[_Filed, None]]:
        return self._among if isinstance(place, Among) else self._holding
