"""What stays in memory when not everything can: W-TinyLFU, weighed in bytes.

What is new goes through a small window. What leaves the window takes the place of the entry that was
not used for longest, but only if it was asked for more often lately; else it is let go. So a scan over many
documents, each wanted once, takes the place of none that is wanted again and again.

A hit adds one to a number of the entry and moves nothing: whether an entry was used shows when it is about
to leave. The window grows where what was new is wanted again soon, and shrinks where it is not.

Source: Einziger, Friedman and Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", 2017;
Einziger, Eytan, Friedman and Manes, "Adaptive Software Cache Management", 2018.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

from aurora_db.store.frequency import MOST, Sketch

#: The share of the size that the window has in the beginning, and its bounds.
WINDOW: Final = 0.01
NARROWEST: Final = 0.005
WIDEST: Final = 0.8
#: How much of the size the window grows or shrinks at once, less each time, until the hit ratio changes by
#: so much.
PACE: Final = 0.01
SLOWER: Final = 0.95
RESTART: Final = 0.05
#: Misses between two of these steps: so many for each entry, and some. Of fewer, chance would decide.
LONG: Final = 8
STEP: Final = 1_000
#: Entries that may be passed over for one that comes in, because they were used.
PATIENCE: Final = 32
#: No entry is larger than this part of all.
LARGEST: Final = 16


class Entry(msgspec.Struct, gc=False):
    """Something kept. `place` and `key` say where it stands, `hits` count since it was last looked at.

    Not seen by the garbage collector, which would walk over all of them: it refers to nothing that
    refers to it. `value` is None when it was let go.
    """

    place: str | None
    key: Any
    hashed: int
    value: Any
    #: What makes the caller's own copy of the value.
    copy: Callable[[Any], Any]
    size: int
    hits: int = 0
    #: Whether it is in the window.
    new: bool = False
    #: What a result was read from.
    reads: Any = None


class Kept:
    """Entries of at most `size` bytes together. One thread at a time.

    Args:
        gone: called with each entry that is let go to make room.
    """

    def __init__(self, size: int, gone: Callable[[Entry], None]) -> None:
        self.size = size
        self._gone = gone
        self._sketch = Sketch()
        self._window: deque[Entry] = deque()
        self._main: deque[Entry] = deque()
        self._share = WINDOW
        #: Bytes of both, and how many entries.
        self.filled = 0
        self.count = 0
        self._in_window = 0
        #: At first narrower: what comes once is the rule.
        self._pace = -PACE
        self._misses = 0
        self._next_step = STEP
        #: Hits of entries that have been looked at, or are gone: of documents, and of results.
        self._hits = [0, 0]
        self._before = 0
        self._ratio = 0.0

    # --- coming and going -------------------------------------------------------------------

    def fits(self, size: int) -> bool:
        """Whether an entry of this size is kept at all."""
        return size * LARGEST <= self.size

    def add(self, entry: Entry) -> None:
        """One more, which nobody may be without: it stays at least until the window is full."""
        self._sketch.add(entry.hashed)
        self._misses += 1
        self._window.append(entry)
        entry.new = True
        size = entry.size
        self._in_window += size
        self.filled += size
        self.count += 1
        if self.filled > self.size or self._in_window > self.size * self._share:
            self._overflow()

    def settle(self, entry: Entry) -> bool:
        """One that was not asked for: kept where there is room for it, without anybody's leaving."""
        if self.filled + entry.size > self.size * (1 - WINDOW):
            return False
        self._main.append(entry)
        self.filled += entry.size
        self.count += 1
        return True

    def drop(self, entry: Entry) -> None:
        """It is valid no more. Its place in the queues is noticed later."""
        self._forget(entry)
        if len(self._window) + len(self._main) > 2 * self.count + 64:
            self._window = deque(one for one in self._window if one.value is not None)
            self._main = deque(one for one in self._main if one.value is not None)

    def clear(self) -> None:
        """Let go of everything; how often what was asked for is known still."""
        self._hits = self.hits
        self._window.clear()
        self._main.clear()
        self.filled = self.count = self._in_window = 0

    def _forget(self, entry: Entry) -> None:
        self._hits[entry.place is None] += entry.hits
        entry.hits = 0
        entry.value = None
        self.filled -= entry.size
        self.count -= 1
        if entry.new:
            self._in_window -= entry.size

    # --- who stays --------------------------------------------------------------------------

    def _overflow(self) -> None:
        """Take from the window what is too much; it stays or goes, and as much goes as must."""
        window, most = self._window, self.size * self._share
        while self._in_window > most and window:
            entry = window.popleft()
            if entry.value is None:
                continue
            self._in_window -= entry.size
            entry.new = False
            if self.filled <= self.size:
                self._main.append(entry)
            else:
                self._contend(entry)
        while self.filled > self.size:
            # The window has become wider.
            victim = self._victim() or self._leaves_window()
            if victim is None:
                break
            self._evict(victim)
        if self._misses > self._next_step:
            self._climb()

    def _leaves_window(self) -> Entry | None:
        """The oldest of the window, which is in it no more."""
        while self._window:
            entry = self._window.popleft()
            if entry.value is not None:
                self._in_window -= entry.size
                entry.new = False
                return entry
        return None

    def _contend(self, candidate: Entry) -> None:
        """Keep one that leaves the window, in the place of others, or let it go."""
        if candidate.hits:
            self._looked_at(candidate)
        wanted = self._sketch.estimate(candidate.hashed)
        first = self._main[0] if self._main else candidate
        if (
            first.value is not None
            and not first.hits
            and self._sketch.estimate(first.hashed) >= wanted
        ):
            # As it goes mostly.
            self._evict(candidate)
            return
        while self.filled > self.size:
            victim = self._victim()
            if victim is None:
                break
            if self._sketch.estimate(victim.hashed) >= wanted:
                self._main.appendleft(victim)
                self._evict(candidate)
                return
            self._evict(victim)
        self._main.append(candidate)

    def _victim(self) -> Entry | None:
        """Who must go next, taken out; those that were used since are passed over, but not for ever."""
        passed = 0
        while self._main:
            entry = self._main.popleft()
            if entry.value is None:
                continue
            if not entry.hits or passed >= PATIENCE:
                return entry
            passed += 1
            self._looked_at(entry)
            self._main.append(entry)
        return None

    def _looked_at(self, entry: Entry) -> None:
        """Make its hits part of how often it was wanted lately."""
        self._hits[entry.place is None] += entry.hits
        self._sketch.add(entry.hashed, min(entry.hits, MOST))
        entry.hits = 0

    def _evict(self, entry: Entry) -> None:
        if entry.hits or entry.new:
            self._forget(entry)
        else:
            entry.value = None
            self.filled -= entry.size
            self.count -= 1
        self._gone(entry)

    # --- how wide the window is -------------------------------------------------------------

    def _climb(self) -> None:
        """Move the width on as long as more is found so, else back."""
        self._sketch.fit(self.count)
        self._next_step = LONG * self.count + STEP
        hits = sum(self.hits)
        found, self._before = hits - self._before, hits
        ratio = found / max(1, found + self._misses)
        gained, self._ratio, self._misses = ratio - self._ratio, ratio, 0
        if abs(gained) >= RESTART:
            self._pace = PACE if self._pace >= 0 else -PACE
        else:
            self._pace *= SLOWER
        if gained < 0:
            self._pace = -self._pace
        self._share = min(WIDEST, max(NARROWEST, self._share + self._pace))
        while self._in_window > self.size * self._share:
            entry = self._leaves_window()
            if entry is None:
                break
            self._main.append(entry)

    @property
    def hits(self) -> list[int]:
        """How often documents, and results, were used so far."""
        found = [*self._hits]
        for part in (self._window, self._main):
            for one in part:
                found[one.place is None] += one.hits
        return found

    def __repr__(self) -> str:
        return f"Kept({self.count} entries, {self.filled} of {self.size} bytes)"


__all__ = ["Entry", "Kept"]
