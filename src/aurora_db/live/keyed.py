"""Which documents of a query have been touched by changes, their own or those of related documents.

What is heard is kept as ids and keys, of which there are a bounded number: beyond that the whole query
is asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from aurora_db.aql import plan, ways
from aurora_db.aql.reads import Way
from aurora_db.live.snapshots import Run, identity
from aurora_db.store.changes import Changed
from aurora_db.store.port import Port
from aurora_db.store.scope import Scope

#: Touched documents, and keys of related ones, that are still read one by one.
MOST: Final = 1_000


class Touched:
    """The documents of a query that changes have touched since they were read.

    Args:
        query: whose documents.
        to: ways to related documents, each `ways.is_keyed`.
    """

    def __init__(self, query: plan.Query, to: Sequence[Way], run: Run) -> None:
        self._collection = query.collection
        self._to: dict[str, list[Way]] = {}
        for way in to:
            self._to.setdefault(way[-1].collection.name, []).append(way)
        self._run = run
        self._ids: set[str] = set()
        self._keys: dict[Way, set[Any]] = {}
        self._many = False

    def hear(self, change: Changed) -> None:
        """Note whom a change touches."""
        if self._many:
            return
        images = [image for image in (change.old, change.new) if image is not None]
        if change.collection == self._collection.name:
            # Another program may give a document another id.
            self._ids.update(str(image.get("id", change.id)) for image in images)
            self._ids.add(change.id)
        for way in self._to.get(change.collection, ()):
            found = (ways.key(way[-1], image, change.id) for image in images)
            self._keys.setdefault(way, set()).update(one for one in found if one is not None)
        if len(self._ids) + sum(map(len, self._keys.values())) > MOST:
            self._many = True

    def forget(self) -> None:
        """All is read anew."""
        self._ids, self._keys, self._many = set(), {}, False

    async def take(self, port: Port) -> list[str] | None:
        """The ids of documents touched, by the relations of this snapshot; None where they are too many."""
        ids, keys, many = self._ids, self._keys, self._many
        self.forget()
        if many:
            return None
        known = {way: sorted(some, key=repr) for way, some in keys.items() if some}
        if known:
            led = plan.Or(tuple(ways.leading(way, some) for way, some in known.items()))
            marker = identity(self._collection)
            query = plan.Query("", self._collection, (marker,), led, limit=plan.Constant(MOST + 1))
            found = await self._run(query)(port, Scope({}))
            ids |= {document[marker.key] for document in found}
        return None if len(ids) > MOST else sorted(ids)
