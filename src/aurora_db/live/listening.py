"""`db.listen`: every change of a collection, or of all, as a record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from aurora_db.aql import system
from aurora_db.aql.catalog import Catalog
from aurora_db.base.changes import Change, Reset
from aurora_db.base.codec import instant
from aurora_db.live.source import Interest, Root
from aurora_db.store import positions
from aurora_db.store.changes import Changed
from aurora_db.store.port import Port

if TYPE_CHECKING:
    from aurora_db.live.feed import Feed
    from aurora_db.live.subscription import Make


class Listened:
    """The root of a listener: it says changes as they are."""

    exact = True

    def __init__(self, key: str, interest: Interest, token: Callable[[int], str]) -> None:
        self.key = key
        self.interests = (interest,)
        self.signature: object = None
        self._token = token

    async def begin(self, port: Port, seq: int, reset: str | None) -> list[Any]:
        """Nothing is said first; what the feed has forgotten is."""
        del port
        return [] if reset is None else [Reset(reset, self._token(seq))]

    def said(self, change: Changed, before: bool, after: bool) -> Any:
        """The change as a record."""
        del before, after
        return Change(
            position=self._token(change.seq),
            collection=change.collection,
            op=change.op,
            id=change.id,
            old=own(change.old),
            new=own(change.new),
            at=instant(change.at),
            changed=changed(change),
            ends=not change.goes_on,
        )

    def heard(self, change: Changed, before: bool, after: bool) -> None:
        """Never called: it is exact."""

    async def settle(self, port: Port, seq: int) -> Any:
        """Never called: it is exact."""

    def news(self, state: Any) -> list[Any]:
        """Never called: it is exact."""
        del state
        return []


def listener(
    feed: Feed, name: str | None, where: Mapping[str, Any] | None, fields: Iterable[str] | None
) -> Make:
    """What makes the root of a listener."""
    del where, fields
    token = partial(positions.token, feed.database)

    def make(catalog: Catalog) -> Sequence[Root]:
        if name is not None:
            system.collection_named(name, catalog)
        return (Listened(name or "*", Interest(name), token),)

    return make


def own(value: Any) -> Any:
    """A copy of JSON values, so that nobody changes what others hold."""
    if isinstance(value, dict):
        return {key: own(one) for key, one in value.items()}
    if isinstance(value, list):
        return [own(one) for one in value]
    return value


def changed(change: Changed) -> tuple[str, ...]:
    """The names of the fields that an update changed; `_rev`, which counts updates, is none."""
    return differing(change.old, change.new)


def differing(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The names of the fields that two images of a document differ in, `_rev` left out; of one image none."""
    if old is None or new is None:
        return ()
    names = dict.fromkeys((*new, *old))
    return tuple(name for name in names if name != "_rev" and old.get(name) != new.get(name))
