"""A stream: what one subscription has been told, has not taken yet, and still has to catch up with.

While it is live, the tailer puts what touches it into a bounded buffer. One that is new, resumed or
too slow is behind: it reads the feed by itself, in the thread of whoever takes from it, until it has
reached the tailer. So a slow one costs the others nothing and its memory is bounded.

Two locks: `_lock` for the buffer, held for moments by everybody; `_work` for the roots' state, held by
whoever reads for it (the tailer while it is fed, else a consumer), never by who only takes.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Self

from aurora_db.aql.catalog import Catalog
from aurora_db.base.errors import AuroraError, SubscriptionClosed
from aurora_db.live.feed import PAGES, Feed
from aurora_db.live.heard import BUFFER, Heard
from aurora_db.live.holding import Hold
from aurora_db.live.roots import Make, Roots, Touch
from aurora_db.live.waking import BEHIND, NOTHING
from aurora_db.store import changes, positions, process
from aurora_db.store.changes import Changed
from aurora_db.store.port import Port

#: Makes the item that tells how far a subscription is, of the token.
Progress = Callable[[str], Any]


class Stream(Heard):
    """One subscription: its roots, its buffer, its position.

    Args:
        make: makes its roots; once more when definitions have changed.
        several: whether what it says is an object by the keys of its roots.
        since: the number of the change to go on after; None begins with the snapshot of now.
        buffer: changes that wait to be taken, at most.
        plain: it says changes as they are, and no snapshot first: what was forgotten is told, and
            everything after it still comes.
        hold: how long what was heard is held back; None says it at once.
        progress: makes what tells from time to time how far an idle one is; None tells nothing.
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
        plain: bool = False,
        hold: Hold | None = None,
        progress: Progress | None = None,
    ) -> None:
        super().__init__(
            Roots(make, plain=plain), feed.engine.clock,
            several=several, plain=plain, buffer=buffer, since=since, hold=hold,
        )  # fmt: skip
        self._feed = feed
        self._progress = progress
        self._lock = threading.Lock()
        self._work = threading.Lock()
        self._page = changes.PAGE // 4
        #: Every change up to here is in the buffer or was taken; while it is fed the tailer knows better.
        self.reached = 0 if since is None else since
        #: Whether the tailer is asked to hand on what comes, and whether it does.
        self.live = False
        self._fed = False
        self._begun = since is not None
        self._resumed = since is not None
        self._reset: str | None = None
        #: Why it began anew the last time: "history" or "definition".
        self.reason: str | None = None
        self._dying: AuroraError | None = None
        self._error: AuroraError | None = None
        self._closed = False
        self._due = False
        self.wake: Callable[[], None] = _nobody
        self._deaf = _nobody if hold is None else self._clock.on_jump(_waking(self))
        feed.open(self)

    # --- the tailer -------------------------------------------------------------------------

    @property
    def paced(self) -> bool:
        """Whether it wants to be told how far it is."""
        return self._progress is not None

    @property
    def held_back(self) -> bool:
        """Whether it waits for the rest of an operation before it says the next change."""
        with self._lock:
            return self._is_alone()

    @property
    def fed(self) -> bool:
        """Whether the tailer hands on to it."""
        return self._fed

    def admit(self, missed: Sequence[tuple[Changed, Sequence[Touch]]]) -> bool:
        """From here on the tailer hands on, beginning with what it has missed; False when nobody wants that any more."""
        with self._lock:
            self._fed = self.live and not self._closed
            if self._fed:
                # In one step: whoever finds nothing now takes the position of the tailer for its own.
                for change, roots in missed:
                    self._note(change, roots)
            return self._fed

    def hear(self, change: Changed, roots: Sequence[Touch]) -> bool:
        """A change that touches these roots; False when it is not fed, or has no room: it is behind then."""
        with self._lock:
            if not self._fed:
                return False
            if change.seq <= self.reached:
                return True
            if self._buffer and self._full and any(self.roots[n].exact for n, _, _ in roots):
                self._fed = self.live = False
                self.reached = self._buffer[-1][1].seq
                return False
            self._note(change, roots)
            return True

    async def settle(self, port: Port, seq: int) -> None:
        """Bring roots that keep a state to this snapshot."""
        with self._work:
            if not self._fed:
                return
            await self._settle(port, seq)
        self.wake()

    async def _settle(self, port: Port, seq: int) -> None:
        states: dict[int, Any] = {}
        for n, root in enumerate(self.roots):
            if not root.exact:
                state = await root.settle(port, seq)
                if state is not None:
                    states[n] = state
        # At once: whoever takes has all of them from one snapshot.
        with self._lock:
            self._states.update(states)
            self._settled, self.unsettled = seq, False
            if states:
                self._came()

    def fall_behind(self, position: int = 0) -> None:
        """Nothing more is handed on; everything up to `position` was."""
        with self._lock:
            if self._fed:
                self.reached = max(self.reached, position)
            self._fed = self.live = False
        self.wake()

    def pace(self) -> None:
        """It is time to tell how far it is."""
        self._due = True
        self.wake()

    # --- who takes --------------------------------------------------------------------------

    def take(self) -> Any:
        """The next item, NOTHING or BEHIND.

        Raises:
            SubscriptionClosed: it was closed.
            DatabaseClosed: it belongs to the parent process.
            AuroraError: it cannot go on, for that reason.
        """
        # A lock may have been held by another thread when this process was forked.
        process.guard(self._feed.engine)
        # Before the look: the tailer moves on after it has handed on.
        position = self._feed.position
        with self._lock:
            if self._closed:
                raise SubscriptionClosed("the subscription is closed", hint="open another one")
            if not self._first:
                if self._hold is None and self._buffer and not self._waits(position):
                    return self._buffered()
                self._say()
            if self._first:
                item, taken = self._first.popleft()
                self._taken = self._told = taken if taken is not None else self._taken
                return item
            if self._error is not None:
                raise self._error
            if not self.live:
                return BEHIND
            self._idle(position)
            return self._passed()

    def _say(self) -> None:
        """Say what was held back, and the news of states; while newer states are made, those are waited for."""
        if not self._work.acquire(blocking=False):
            # Whoever makes them wakes whoever waits.
            return
        try:
            if self._hold is not None:
                rests = self.live and self._reset is None and self._error is None
                self._release(self._hold, rests=rests)
            elif self._states and not self._buffer:
                self._tell()
        finally:
            self._work.release()

    def pass_over(self, silent: Callable[[Any], bool]) -> None:
        """Take the next items as long as they are silent to the user."""
        process.guard(self._feed.engine)
        with self._lock:
            while self._first and silent(self._first[0][0]):
                _, taken = self._first.popleft()
                self._taken = taken if taken is not None else self._taken

    def _waits(self, position: int) -> bool:
        """Whether the next change waits to know if it is the last one of its operation."""
        if not self._is_alone() or self._reset is not None or self._error is not None:
            return False
        known = max(self.reached, position) if self._fed else self.reached
        return self._buffer[0][1].until > known

    def _idle(self, position: int) -> None:
        """What was handed on and touches nothing is had, too."""
        if self._fed and not (self._first or self._buffer or self._states or self.unsettled):
            self.reached = max(self.reached, position)
            self._taken = max(self._taken or 0, self.reached)

    def _passed(self) -> Any:
        if not self._due or self._progress is None:
            return NOTHING
        self._due = False
        token = self._token(self._taken)
        if token is None or self._taken == self._told:
            return NOTHING
        self._told = self._taken
        return self._progress(token)

    @property
    def position(self) -> str | None:
        """The token to go on after what was taken; None until the first snapshot was taken whole."""
        return self._token(self.seq)

    @property
    def seq(self) -> int | None:
        """The number of the change that stands for the position."""
        process.guard(self._feed.engine)
        position = self._feed.position
        with self._lock:
            self._idle(position)
            return self._taken

    def _token(self, seq: int | None) -> str | None:
        return None if seq is None else positions.token(self._feed.database, seq)

    @property
    def error(self) -> AuroraError | None:
        """Why it cannot go on."""
        return self._error

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    # --- catching up ------------------------------------------------------------------------

    def opened(self) -> Self:
        """Itself, with its first snapshot taken now, in the calling thread: what is committed from here on is said.

        Raises:
            AuroraError: its roots are refused.
        """
        try:
            self._feed.engine.follow(self.catch_up)
            if self._error is not None:
                raise self._error
        except BaseException:
            self.close()
            raise
        return self

    def rewind(self, seq: int) -> None:
        """Go on after another position than it was opened with; before anything was taken."""
        with self._work, self._lock:
            if self._taken == seq:
                return
            self._fed = self.live = False
            self._feed.forget(self)
            self._first.clear()
            self._buffer.clear()
            self.reached = self._taken = seq
            self._begun = self._resumed = True
            self._reset = None

    async def catch_up(self, port: Port) -> None:
        """In one snapshot: begin, or read pages of the feed; live again when there is no more.

        Two at once do no harm: a task that was cancelled may leave one behind.
        """
        with self._work:
            if self.live or self._closed or self._error is not None:
                return
            forgotten, last = await changes.bounds(port)
            if not self._means(port.catalog):
                return
            self._lost(forgotten, last)
            if self._reset is not None and (self._buffer or self._states or self._first):
                # Was handed on before, and is said before.
                return
            if not self._begun or self._reset is not None:
                await self._begin(port, last)
            else:
                await self._read(port, last)
            self._join(last)

    def _means(self, catalog: Catalog) -> bool:
        """Make its roots by these definitions; False when it cannot go on."""
        if self._begun and (self._buffer or self._states):
            # Those belong to the roots that heard them.
            return True
        self._dying = None
        try:
            if not self.roots.renew(catalog) and self._begun:
                self._reset = "definition"
        except AuroraError as error:
            if not (len(self.roots) and self.roots.exact):
                self.fail(error)
                return False
            # What was committed before is said first, as far as it can be told from here.
            self._dying = error
        return True

    def _lost(self, forgotten: int, last: int) -> None:
        """Notice that it cannot go on where it is."""
        resumed, self._resumed = self._resumed, False
        if not self._begun or self._reset is not None:
            return
        # A file that was put back from a copy ends before a position that is newer.
        if forgotten > self.reached or (resumed and self.reached > last):
            self._reset = "history"
            self.reached = forgotten if forgotten > self.reached else last
        elif resumed and not self.roots.resume:
            # What was said until then is not known any more.
            self._reset = "history"

    async def _begin(self, port: Port, last: int) -> None:
        # A plain one goes on with all there is.
        start = self.reached if self._plain and self._reset is not None else last
        said = {root.key: await root.begin(port, start, self._reset) for root in self.roots}
        with self._lock:
            self._states = {}
            self._put({key: items for key, items in said.items() if items}, start)
            self.reason = self._reset or self.reason
            self._begun, self._reset, self.reached = True, None, start
            if not self._first:
                self._taken = self._told = start
            self.unsettled = False

    async def _read(self, port: Port, last: int) -> None:
        names = self.roots.collections
        for _ in range(PAGES):
            if self.reached >= last or self._closed:
                break
            limit = self._page
            page = await changes.after(port, self.reached, last, limit, names)
            self._page = changes.fitting(limit, page)
            told = [(change, roots) for change in page if (roots := self.roots.touched(change))]
            with self._lock:
                for change, roots in told:
                    self._note(change, roots)
                self.reached = page[-1].seq if len(page) == limit else last
                if self._buffer and not self._waits(0):
                    break
        if self.unsettled and self.reached == last:
            await self._settle(port, last)

    def _join(self, last: int) -> None:
        if self.reached != last or self._reset is not None:
            return
        if self._dying is not None:
            self.fail(self._dying)
            return
        with self._lock:
            self.live = not self._closed
        if self.live:
            self._feed.join(self)

    # --- the end ----------------------------------------------------------------------------

    def fail(self, error: AuroraError) -> None:
        """It cannot go on, after what was said until then."""
        self._error = error
        self.wake()

    def close(self) -> None:
        """End it: nothing more is taken. Twice is no error; in a forked child it is the parent's."""
        if self._feed.engine.foreign or self._closed:
            return
        self._closed = True
        self._feed.forget(self)
        self.wake()

    def abandon(self) -> None:
        """The same of one that nobody holds any more: a garbage collection must not wait for a lock."""
        if not (self._feed.engine.foreign or self._closed):
            self._closed = True
            self._feed.forget(self, ring=False)

    def left(self) -> None:
        """The tailer has taken note that it was closed."""
        self._deaf()

    def rest(self, seconds: float) -> None:
        """Wait until nobody reads for it any more, so many seconds at most."""
        if self._work.acquire(timeout=seconds):
            self._work.release()

    def __repr__(self) -> str:
        return f"Stream({', '.join(root.key for root in self.roots)})"


def _nobody() -> None:
    """Nobody waits yet."""


def _waking(stream: Stream) -> Callable[[], None]:
    """Wakes who waits for a stream, which is not kept alive by that."""
    known = weakref.ref(stream)

    def wake() -> None:
        found = known()
        if found is not None:
            found.wake()

    return wake


def opened(
    feed: Feed,
    make: Make,
    since: str | None,
    *,
    several: bool = False,
    plain: bool = False,
    hold: Hold | None = None,
    progress: Progress | None = None,
) -> Stream:
    """A stream that begins with the snapshot of now, or goes on after a position.

    Raises:
        AuroraError: its roots are refused.
        ValidationError: `since` is no position of this database.
    """
    number = None if since is None else positions.number(feed.database, since)
    stream = Stream(
        feed, make, several=several, since=number, plain=plain, hold=hold, progress=progress
    )
    return stream.opened()
