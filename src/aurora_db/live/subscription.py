"""A stream: what one subscription has been told, has not taken yet, and still has to catch up with.

While it is live, the tailer puts what touches it into a bounded buffer. One that is new, resumed or
too slow is behind: it reads the feed by itself, in the thread of whoever takes from it, until it has
reached the tailer. So a slow one costs the others nothing and its memory is bounded.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, Final

from aurora_db.aql.catalog import Catalog
from aurora_db.aql.interests import matches
from aurora_db.base.errors import AuroraError, SubscriptionClosed
from aurora_db.live import holding
from aurora_db.live.feed import PAGE, Feed
from aurora_db.live.holding import Hold
from aurora_db.live.source import Root
from aurora_db.store import changes, positions
from aurora_db.store.changes import Changed
from aurora_db.store.port import Port

#: Changes that wait to be taken, at most.
BUFFER: Final = 10_000
#: Nothing to take now.
NOTHING: Final = object()
#: It is behind: run `catch_up` in a snapshot, then take again.
BEHIND: Final = object()

#: Makes the roots of a stream by the definitions of now.
Make = Callable[[Catalog], Sequence[Root]]


class Stream:
    """One subscription: its roots, its buffer, its position.

    Args:
        make: makes its roots; once more when definitions have changed.
        several: whether what it says is an object by the keys of its roots.
        since: the number of the change to go on after; None begins with the snapshot of now.
        hold: how long what was heard is held back; None says it at once.
        wake: tells whoever waits that there is something to take; set by whoever waits.
    """

    def __init__(
        self,
        feed: Feed,
        make: Make,
        *,
        several: bool,
        since: int | None = None,
        buffer: int = BUFFER,
        hold: Hold | None = None,
    ) -> None:
        self._feed = feed
        self._make = make
        self._several = several
        self._limit = buffer
        self._lock = threading.Lock()
        #: Held by whoever catches up: one at a time, also when a task that waited for it was cancelled.
        self._catching = threading.Lock()
        self.roots: Sequence[Root] = ()
        self._version = -1
        self._first: deque[Any] = deque()
        self._buffer: deque[tuple[int, Changed, bool, bool]] = deque()
        #: States that were settled and not taken, by the number of their root.
        self._states: dict[int, Any] = {}
        #: Every change up to here is in the buffer or was taken; while live the tailer knows better.
        self._reached = 0 if since is None else since
        #: What the user has: None until the first snapshot was taken whole.
        self._taken: int | None = since
        self._live = False
        self._begun = since is not None
        self._reset: str | None = None
        self._error: AuroraError | None = None
        self._closed = False
        #: Whether changes were heard that no state contains yet.
        self.unsettled = False
        self.wake: Callable[[], None] = _nobody
        self._hold = hold
        self._clock = feed.engine.clock
        feed.open(self)
        self._deaf = _nobody if hold is None else self._clock.on_jump(self._jumped)

    # --- the tailer -------------------------------------------------------------------------

    def hear(self, n: int, change: Changed, before: bool, after: bool) -> bool:
        """A change that touches root `n`; False when there is no room: it is behind from here on."""
        with self._lock:
            if change.seq <= self._reached:
                return True
            root = self.roots[n]
            self._came()
            if not root.exact:
                root.heard(change, before, after)
                self.unsettled = True
                return True
            if len(self._buffer) >= self._limit and change.seq != self._buffer[-1][1].seq:
                self._live = False
                self._reached = self._buffer[-1][1].seq
                return False
            self._buffer.append((n, change, before, after))
            return True

    async def settle(self, port: Port, seq: int) -> None:
        """Bring roots that keep a state to this snapshot."""
        with self._lock:
            await self._settle(port, seq)
            self._came()
        self.wake()

    async def _settle(self, port: Port, seq: int) -> None:
        for n, root in enumerate(self.roots):
            if not root.exact:
                state = await root.settle(port, seq)
                if state is not None:
                    self._states[n] = state
        self.unsettled = False

    def still_means(self, catalog: Catalog) -> bool:
        """Whether its roots mean by these definitions what they meant."""
        if catalog.version == self._version:
            return True
        try:
            made = self._make(catalog)
        except AuroraError as error:
            self.fail(error)
            return True
        if [one.signature for one in made] != [one.signature for one in self.roots]:
            # Made anew by whoever takes, in the snapshot that it begins with.
            return False
        self._version = catalog.version
        return True

    def redefined(self) -> None:
        """Its collections were altered: it begins anew."""
        with self._lock:
            self._live = False
            self._reset = "definition"
        self.wake()

    # --- who takes --------------------------------------------------------------------------

    def take(self) -> Any:
        """The next item, NOTHING or BEHIND.

        Raises:
            SubscriptionClosed: it was closed.
            AuroraError: it cannot go on, for that reason.
        """
        # Before the look: the tailer moves on after it has handed on.
        position = self._feed.position
        with self._lock:
            if self._error is not None:
                raise self._error
            if self._closed:
                raise SubscriptionClosed("the subscription is closed", hint="open another one")
            if not self._first and self._reset is None:
                if self._hold is not None:
                    self._release(self._hold, position)
                elif self._buffer:
                    return self._buffered()
                elif self._states:
                    self._tell(position)
            if self._first:
                item, taken = self._first.popleft()
                self._taken = taken if taken is not None else self._taken
                return item
            if not self._live:
                return BEHIND
            if not self.unsettled and not self._buffer and not self._states:
                self._reached = max(self._reached, position)
                self._taken = max(self._taken or 0, self._reached)
            return NOTHING

    def _buffered(self) -> Any:
        seq = self._buffer[0][1].seq
        said: dict[str, Any] = {}
        while self._buffer and self._buffer[0][1].seq == seq:
            n, change, before, after = self._buffer.popleft()
            root = self.roots[n]
            said[root.key] = root.said(change, before, after)
        self._taken = seq
        return said if self._several else next(iter(said.values()))

    def _tell(self, position: int) -> None:
        news = {n: self.roots[n].news(state) for n, state in self._states.items()}
        self._states = {}
        self._put({self.roots[n].key: items for n, items in news.items() if items}, position)

    def _release(self, hold: Hold, position: int) -> None:
        """Say what was held back, where it is time; changes of one document as one."""
        full = len(self._buffer) >= self._limit
        if not full and (not self._live or self.waits or not (self._buffer or self._states)):
            return
        hold.said(self._clock.monotonic())
        end = max(self._buffer[-1][1].seq if self._buffer else 0, position if self._live else 0)
        heard = holding.merged(self._buffer, self._taken or 0, end)
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
        return None if self._hold is None else self._hold.waits(self._clock.monotonic())

    def _jumped(self) -> None:
        self.wake()

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

    async def catch_up(self, port: Port) -> None:
        """In one snapshot: begin, or read a page of the feed; live again when there is no more."""
        with self._catching:
            if not self._live:
                await self._catch_up(port)

    async def _catch_up(self, port: Port) -> None:
        last = await changes.end(port)
        if port.catalog.version != self._version and not self._remade(port.catalog):
            return
        if self._begun and self._reset is None and await changes.forgotten(port) > self._reached:
            self._reset = "history"
        if not self._begun or self._reset is not None:
            await self._begin(port, last)
        else:
            await self._read(port, last)
        with self._lock:
            if self._reached == last and not self._closed:
                # Before it joins: the tailer may hand on at once.
                self._live = True
        if self._live and not self._feed.join(self, last):
            self._live = False

    def _remade(self, catalog: Catalog) -> bool:
        try:
            made = self._make(catalog)
        except AuroraError as error:
            self.fail(error)
            return False
        if self._begun and self.roots and [one.signature for one in made] != [one.signature for one in self.roots]:  # fmt: skip
            self._reset = "definition"
        self.roots, self._version = made, catalog.version
        return True

    async def _begin(self, port: Port, last: int) -> None:
        said = {root.key: await root.begin(port, last, self._reset) for root in self.roots}
        with self._lock:
            self._buffer.clear()
            self._first.clear()
            self._states = {}
            self._put({key: items for key, items in said.items() if items}, last)
            self._begun, self._reset, self._reached = True, None, last
            if not self._first:
                self._taken = last
            self.unsettled = False

    async def _read(self, port: Port, last: int) -> None:
        names = {interest.collection for root in self.roots for interest in root.interests}
        among = None if None in names else [name for name in names if name is not None]
        page = await changes.after(port, self._reached, last, PAGE, among)
        with self._lock:
            for change in page:
                for n, root in enumerate(self.roots):
                    for interest in root.interests:
                        if interest.collection not in (None, change.collection):
                            continue
                        before, after = matches(interest, change)
                        if before or after:
                            if root.exact:
                                self._buffer.append((n, change, before, after))
                            else:
                                root.heard(change, before, after)
                                self.unsettled = True
            # A snapshot that waited for another one may be older than what that one read.
            self._reached = max(self._reached, last if len(page) < PAGE else page[-1].seq)
            if self._buffer or self.unsettled:
                self._came()
            if self.unsettled and self._reached == last:
                await self._settle(port, last)

    @property
    def position(self) -> str | None:
        """The token to go on after what was taken; None until the first snapshot was taken whole."""
        return None if self._taken is None else positions.token(self._feed.database, self._taken)

    @property
    def error(self) -> AuroraError | None:
        """Why it cannot go on."""
        return self._error

    # --- the end ----------------------------------------------------------------------------

    def fail(self, error: AuroraError) -> None:
        """It cannot go on."""
        self._error = error
        self.wake()

    def close(self) -> None:
        """End it: nothing more is taken. Twice is no error."""
        self._closed = True
        self._deaf()
        self._feed.forget(self)
        self.wake()

    def __repr__(self) -> str:
        return f"Stream({', '.join(root.key for root in self.roots)})"


def _nobody() -> None:
    """Nobody waits yet."""


def opened(
    feed: Feed,
    make: Make,
    since: str | None,
    *,
    several: bool = False,
    hold: Hold | None = None,
) -> Stream:
    """A stream that begins with the snapshot of now, or goes on after a position.

    Raises:
        AuroraError: its roots are refused.
        ValidationError: `since` is no position of this database.
    """
    number = None if since is None else positions.number(feed.database, since)
    stream = Stream(feed, make, several=several, since=number, hold=hold)
    try:
        # What is committed from here on is said: the snapshot is taken now, not at the first item.
        feed.engine.follow(stream.catch_up)
        if stream.error is not None:
            raise stream.error
    except BaseException:
        stream.close()
        raise
    return stream
