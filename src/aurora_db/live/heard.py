"""What a subscription was told and has not taken yet: changes, states, and the items that come of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, Final

import msgspec

from aurora_db.base.changes import Change
from aurora_db.base.clock import Clock
from aurora_db.live import holding
from aurora_db.live.holding import Hold
from aurora_db.live.roots import Roots, Touch
from aurora_db.store import changes
from aurora_db.store.changes import Changed

#: Changes that wait to be taken, at most, and about how many bytes of their images.
BUFFER: Final = 10_000
BYTES: Final = 32 * 1024 * 1024


class Heard:
    """The part of a stream that holds what was heard, under the lock of the stream."""

    def __init__(
        self,
        roots: Roots,
        clock: Clock,
        *,
        several: bool,
        plain: bool,
        buffer: int,
        since: int | None,
        hold: Hold | None,
    ) -> None:
        self.roots = roots
        self._clock = clock
        self._several = several
        self._plain = plain
        self._limit = buffer
        self._hold = hold
        #: Items to be taken first, each with the position that the user has with it.
        self._first: deque[tuple[Any, int | None]] = deque()
        self._buffer: deque[tuple[int, Changed, bool, bool]] = deque()
        self._weight = 0
        #: States that were settled and not taken, by the number of their root.
        self._states: dict[int, Any] = {}
        self._settled = 0
        #: What the user has: None until the first snapshot was taken whole.
        self._taken: int | None = since
        #: The position that an item has told last.
        self._told: int | None = None
        #: Whether changes were heard that no state contains yet.
        self.unsettled = False

    @property
    def _full(self) -> bool:
        return bool(self._buffer) and (len(self._buffer) >= self._limit or self._weight > BYTES)

    def _note(self, change: Changed, roots: Sequence[Touch]) -> None:
        for n, before, after in roots:
            root = self.roots[n]
            if root.exact:
                if change.collection == changes.TOPICS and root.interests[0].collection is None:
                    # A message is no document: who hears of all collections does not hear of it.
                    continue
                self._weight = self._weight + change.size if self._buffer else change.size
                self._buffer.append((n, change, before, after))
                if self._hold is not None:
                    self._came()
            else:
                root.heard(change, before, after)
                self.unsettled = True

    def _is_alone(self) -> bool:
        return self._plain and len(self._buffer) == 1 and self._buffer[0][1].goes_on

    def _buffered(self) -> Any:
        seq = self._buffer[0][1].seq
        # While another root has not said what it heard, the user has nothing more: who goes on here
        # gets it again.
        end = self._end(seq)
        said: dict[str, Any] = {}
        while self._buffer and self._buffer[0][1].seq == seq:
            n, change, before, after = self._buffer.popleft()
            root = self.roots[n]
            self._weight -= change.size
            told = change if end == seq else change.joined(change, end)
            said[root.key] = root.said(told, before, after)
            if self._plain and change.goes_on and not self._goes_on(change):
                # What follows in the operation is nothing for this one.
                said[root.key] = _ending(said[root.key])
        self._taken = self._told = end
        return said if self._several else next(iter(said.values()))

    def _end(self, seq: int) -> int:
        """What the user has with the change `seq`, when those before it were taken."""
        waits = self.unsettled or bool(self._states)
        return self._taken or 0 if waits else seq

    def _goes_on(self, change: Changed) -> bool:
        return bool(self._buffer) and self._buffer[0][1].seq <= change.until

    def _tell(self) -> None:
        news = {n: self.roots[n].news(state) for n, state in self._states.items()}
        self._states = {}
        self._put(
            {self.roots[n].key: items for n, items in news.items() if items},
            max(self._taken or 0, self._settled),
        )

    def _release(self, hold: Hold, *, rests: bool) -> None:
        """Say what was held back where it is time, or what is before an end; changes of a document as one."""
        if not self._buffer and not self._states:
            return
        if rests and not self._full and hold.waits(self._clock.monotonic()):
            return
        hold.said(self._clock.monotonic())
        start = self._taken or 0
        last = max(start, self._settled, self._buffer[-1][1].seq if self._buffer else 0)
        end = start if self.unsettled else last
        heard = holding.merged(self._buffer, start, end)
        self._buffer.clear()
        said = {self.roots[n].key: [self.roots[n].said(*one[1:]) for one in found] for n, found in heard.items()}  # fmt: skip
        for n, state in self._states.items():
            said.setdefault(self.roots[n].key, []).extend(self.roots[n].news(state))
        self._states = {}
        self._put({key: items for key, items in said.items() if items}, end)
        if not self._first:
            self._taken = end

    @property
    def waits(self) -> float | None:
        """Seconds until what is held back may be said; None where nothing is."""
        if self._hold is None or not (self._buffer or self._states):
            return None
        return self._hold.waits(self._clock.monotonic())

    def _came(self) -> None:
        if self._hold is not None:
            self._hold.came(self._clock.monotonic())

    def _put(self, said: Mapping[str, Sequence[Any]], seq: int) -> None:
        """Items of several roots, side by side; with the last one the user has `seq`."""
        missing = object()
        rows = [
            dict(zip(said, row, strict=True))
            for row in zip_longest(*said.values(), fillvalue=missing)
        ]
        for place, row in enumerate(rows):
            known = {key: item for key, item in row.items() if item is not missing}
            item = known if self._several else next(iter(known.values()))
            self._first.append((item, seq if place == len(rows) - 1 else None))


def _ending(said: Any) -> Any:
    return msgspec.structs.replace(said, ends=True) if isinstance(said, Change) else said
