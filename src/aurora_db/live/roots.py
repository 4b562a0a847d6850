"""The roots of one subscription, by the definitions of now: made once, and made anew when those change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from aurora_db.aql.catalog import Catalog, Collection
from aurora_db.aql.interests import matches
from aurora_db.aql.system import SYSTEM
from aurora_db.base.errors import AuroraError
from aurora_db.live.source import Root
from aurora_db.store.changes import Changed

#: Makes the roots of a stream by the definitions of now.
Make = Callable[[Catalog], Sequence[Root]]
#: How a change touches a stream: the root, and whether the document matched before and does after.
Touch = tuple[int, bool, bool]


class Roots:
    """The roots of one subscription, by number.

    Args:
        make: makes them by a catalog.
        plain: they say changes as they are: other definitions are no reason to begin anew.
    """

    def __init__(self, make: Make, *, plain: bool) -> None:
        self._make = make
        self._plain = plain
        self._all: Sequence[Root] = ()
        self._collections: Mapping[str, Collection] | None = None
        #: Whether each change speaks for itself, to all of them.
        self.exact = True
        #: Whether all of them can go on after a position.
        self.resume = True
        #: The collections whose changes they want to hear of; None for all.
        self.collections: Sequence[str] | None = ()
        #: Whether one looks at a system collection without changes: it is settled after every commit.
        self.restless = False

    def touched(self, change: Changed) -> list[Touch]:
        """Which roots a change touches, asked of each interest."""
        found: list[Touch] = []
        for n, root in enumerate(self._all):
            before = after = False
            for interest in root.interests:
                if interest.collection in (None, change.collection):
                    one = matches(interest, change)
                    before, after = before or one[0], after or one[1]
            if before or after:
                found.append((n, before, after))
        return found

    def still_mean(self, catalog: Catalog) -> bool:
        """Whether they mean by these definitions what they meant; a plain one is made anew all the same."""
        if self._known(catalog):
            return True
        if self._plain:
            return False
        try:
            made = self._make(catalog)
        except AuroraError:
            return False
        if not _same(made, self._all):
            return False
        self._collections = catalog.collections
        return True

    def renew(self, catalog: Catalog) -> bool:
        """Make them by these definitions; whether they mean what they meant.

        Raises:
            AuroraError: they are refused; those that were are kept.
        """
        if self._known(catalog):
            return True
        made = self._make(catalog)
        same = self._collections is None or _same(made, self._all)
        names = {interest.collection for root in made for interest in root.interests}
        self._all, self._collections = made, catalog.collections
        self.exact = all(root.exact for root in made)
        self.resume = all(root.resumes for root in made)
        self.collections = None if None in names else [one for one in names if one is not None]
        self.restless = any(name in SYSTEM and name != "_jobs" for name in names)
        return same

    def _known(self, catalog: Catalog) -> bool:
        if self._collections is catalog.collections:
            return True
        if self._collections != catalog.collections:
            return False
        self._collections = catalog.collections
        return True

    def __iter__(self) -> Iterator[Root]:
        return iter(self._all)

    def __getitem__(self, n: int) -> Root:
        return self._all[n]

    def __len__(self) -> int:
        return len(self._all)

    def __repr__(self) -> str:
        return f"Roots({', '.join(root.key for root in self._all)})"


def _same(made: Sequence[Root], known: Sequence[Root]) -> bool:
    return [one.signature for one in made] == [one.signature for one in known]
