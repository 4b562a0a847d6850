"""Which roots a change can touch: found by their conditions, not by asking all of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from aurora_db.live.source import Interest
from aurora_db.store.changes import Changed


class Matcher:
    """Interests by who has them."""

    def __init__(self) -> None:
        self._by_collection: dict[str | None, dict[Hashable, list[Interest]]] = {}

    def add(self, owner: Hashable, interest: Interest) -> None:
        """One more interest of `owner`."""
        self._by_collection.setdefault(interest.collection, {}).setdefault(owner, []).append(
            interest
        )

    def remove(self, owner: Hashable) -> None:
        """No interest of `owner` any more."""
        for name in list(self._by_collection):
            self._by_collection[name].pop(owner, None)
            if not self._by_collection[name]:
                del self._by_collection[name]

    @property
    def collections(self) -> tuple[str, ...] | None:
        """The collections that anybody wants to hear of; None for all."""
        return None if None in self._by_collection else tuple(filter(None, self._by_collection))

    def touched(self, change: Changed) -> Iterator[tuple[Any, bool, bool]]:
        """Whom a change touches, and whether the document matched before and does after."""
        for name in (change.collection, None):
            for owner, interests in self._by_collection.get(name, {}).items():
                for interest in interests:
                    before, after = matches(interest, change)
                    if before or after:
                        yield owner, before, after


def matches(interest: Interest, change: Changed) -> tuple[bool, bool]:
    """Whether a document matched before a change, and does after; neither where it is left out."""
    old, new = change.old, change.new
    if interest.fields and old is not None and new is not None and not differs(old, new, interest):
        return False, False
    test = interest.test
    before = old is not None and (test is None or test(old))
    after = new is not None and (test is None or test(new))
    return before, after


def differs(old: Mapping[str, Any], new: Mapping[str, Any], interest: Interest) -> bool:
    """Whether an update changed one of the fields of an interest."""
    return any(old.get(name) != new.get(name) for name in interest.fields)
