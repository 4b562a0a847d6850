"""The documents of a query in their order, kept in memory: those its limit shows and some beyond.

Changes move them. What lies beyond the last one kept is not known; when too few are left they are read
anew, and so much is kept in reserve that this is seldom. Without a limit all are kept.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import pairwise
from operator import attrgetter
from typing import Any, Final, cast

from aurora_db.aql import plan
from aurora_db.aql.values import value_of
from aurora_db.base.codec import decode
from aurora_db.base.errors import TypeMismatch
from aurora_db.live.values import Image, Key, Unplaced, sorter
from aurora_db.sql import keeping
from aurora_db.store.port import Port

#: Documents that are kept beyond what is shown, at least and at most.
LEAST, MOST = 16, 1_000
#: Changed documents that are noted until the next look; of more all are read anew.
NOTED: Final = 10_000
#: So many at once are put in one after the other; more by sorting.
FEW: Final = 32

_KEY: Final = attrgetter("key")


class Entry:
    """A document and its place in the order. Never changed: another image is another entry."""

    __slots__ = ("id", "image", "key")

    def __init__(self, key: Key, id: str, image: Image) -> None:
        self.key = key
        self.id = id
        self.image = image


class Ordered:
    """The first documents of a query.

    Args:
        query: one for which `can_keep` is true.
        variables: those of its limit, its offset and its expressions.

    Raises:
        TypeMismatch: a limit or offset is no whole number from 0.
    """

    def __init__(self, query: plan.Query, variables: Mapping[str, Any]) -> None:
        self._query = query
        self._variables = variables
        self._by_insertion = not query.order
        self._sorted = sorter(query.order, variables)
        self.offset = _amount(query.offset, variables) or 0
        self.limit = _amount(query.limit, variables)
        #: How many the limit and the offset reach; None is all.
        self.reach = None if self.limit is None else self.offset + self.limit
        self._reserve = max(LEAST, min(self.reach or 0, MOST))
        self._kept: list[Entry] = []
        self._by_id: dict[str, Entry] = {}
        #: The key of the last one whose place is known; None where all are kept.
        self._bound: Key | None = None
        #: Whether places are known to the database only.
        self._unplaced = False
        self._noted: dict[str, Image | None] = {}
        #: Whether more has changed than was noted.
        self._stale = False
        #: Whether what is kept is another since this was set to False.
        self.moved = False

    @property
    def placed(self) -> bool:
        """Whether the order is known without the database."""
        return not self._unplaced

    def shown(self) -> tuple[Entry, ...]:
        """What the limit and the offset leave."""
        return self.cut(self._kept)

    def cut(self, entries: list[Entry]) -> tuple[Entry, ...]:
        """Of documents in order what the limit and the offset leave."""
        return tuple(entries[self.offset : self.reach])

    def note(self, id: str, image: Image | None) -> None:
        """A document changed: its image where it matches now."""
        if self._stale:
            return
        self._noted[id] = image
        if len(self._noted) > NOTED:
            self._stale = True
            self._noted = {}

    async def settle(self, port: Port) -> bool:
        """Move what was noted; False where it was too much, and all was read anew."""
        noted, stale = self._noted, self._stale
        # Until it has ended well: what was noted would be lost.
        self._noted, self._stale = {}, True
        if stale or self._unplaced:
            await self.read(port)
            return not stale
        try:
            arrived = await self._arrived(port, noted)
        except Unplaced:
            await self.read(port)
            return True
        self._stale = False
        self._move(noted, arrived)
        if self.reach is not None:
            if self._bound is not None and len(self._kept) < self.reach:
                await self.read(port)
            elif len(self._kept) > self.reach + 2 * self._reserve:
                self._trim(self.reach + self._reserve)
        return True

    async def read(self, port: Port) -> None:
        """Take them from the database."""
        most = None if self.reach is None else self.reach + self._reserve
        found = await self.first(port, None if most is None else most + 1)
        self._unplaced = any(not one.key for one in found) or not _ascend(found)
        self._kept, self._bound, self.moved = found, None, True
        self._by_id = {one.id: one for one in found}
        if most is not None and len(found) > most:
            self._trim(most)
        self._noted, self._stale = {}, False

    async def first(self, port: Port, most: int | None) -> list[Entry]:
        """The first so many documents by the database; keys that are not known are empty."""
        statement = keeping.images(self._query, most)
        found: list[Entry] = []
        for text, place in await port.rows(statement.text, statement.bind(self._variables)):
            image = cast("Image", decode(text))
            try:
                key = self.key(image, place)
            except Unplaced:
                key = ()
            known = self._by_id.get(image["id"])
            same = known is not None and known.key == key and known.image == image
            found.append(known if known is not None and same else Entry(key, image["id"], image))
        return found

    def key(self, image: Image, place: int = 0) -> Key:
        """What a document is sorted by; by insertion, its place.

        Raises:
            Unplaced: only the database knows.
        """
        return (place,) if self._by_insertion else (*self._sorted(image), image["id"])

    async def _arrived(self, port: Port, noted: Mapping[str, Image | None]) -> list[Entry]:
        """What matches now of what was noted; images do not tell where they were inserted."""
        present = [(id, image) for id, image in noted.items() if image is not None]
        if not self._by_insertion or not present:
            return [Entry(self.key(image), id, image) for id, image in present]
        statement = keeping.places(self._query.collection, [id for id, _ in present])
        places: dict[str, int] = dict(await port.rows(statement.text, statement.params))
        if len(places) < len(present):
            raise Unplaced
        return [Entry((places[id],), id, image) for id, image in present]

    def _move(self, gone: Iterable[str], arrived: list[Entry]) -> None:
        known = [self._by_id.pop(id) for id in gone if id in self._by_id]
        if self._bound is not None:
            arrived = [one for one in arrived if not self._bound < one.key]
        if not known and not arrived:
            return
        self.moved = True
        if len(known) + len(arrived) > FEW:
            self._kept = [one for one in self._kept if one.id in self._by_id]
            self._kept += arrived
            self._kept.sort(key=_KEY)
        else:
            for one in known:
                del self._kept[bisect_left(self._kept, one.key, key=_KEY)]
            for one in arrived:
                self._kept.insert(bisect_left(self._kept, one.key, key=_KEY), one)
        self._by_id.update((one.id, one) for one in arrived)

    def _trim(self, most: int) -> None:
        for one in self._kept[most:]:
            del self._by_id[one.id]
        del self._kept[most:]
        self._bound = self._kept[-1].key


def _ascend(entries: list[Entry]) -> bool:
    """Whether the database sorts as the keys do."""
    return all(one.key < other.key for one, other in pairwise(entries))


def _amount(value: plan.Value | None, variables: Mapping[str, Any]) -> int | None:
    found = None if value is None else value_of(value, variables)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        raise TypeMismatch(f"a limit or offset is a whole number from 0, got {found!r}")
    return found
