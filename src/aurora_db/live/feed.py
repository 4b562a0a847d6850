"""The tailer: one thread of a database reads each change once and hands it to all whom it touches.

It is woken by commits of this process and by the doorbell of others; what programs that are no Aurora
commit shows when `PRAGMA data_version` moves. A wake that is missed costs latency only: it goes on
from the position it has reached.

Only the thread touches the matcher and knows who follows. Whoever joins or leaves puts that into a
queue and never waits for a round. A round that fails loses nothing: every stream reads on by itself
from the position that was reached, in the thread of its consumer, who is told what fails there.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from aurora_db.store import changes, process
from aurora_db.store.port import Port
from aurora_db.store.writer import closed

if TYPE_CHECKING:
    from aurora_db.aql.interests import Matcher
    from aurora_db.live.subscription import Stream
    from aurora_db.store.changes import Changed
    from aurora_db.store.engine import Engine

logger = logging.getLogger("aurora_db.live")

#: Pages read in one snapshot, at most: an old snapshot keeps the log of the file from shrinking.
PAGES = 64
#: Seconds of the first wait after a ring; it doubles up to the poll interval.
SHORTEST = 0.001
#: Seconds between what tells idle streams how far they are.
PROGRESS = 10.0
#: Seconds of the wait after a round that failed; it doubles up to the second number.
RESTS = (0.05, 5.0)
#: Seconds in which a consumer that reads must have ended when the database closes.
PATIENCE = 10.0


class Feed:
    """The tailer of one database and who listens to it.

    Args:
        poll_interval: seconds between looks for what programs that are no Aurora commit.
    """

    def __init__(self, engine: Engine, poll_interval: float) -> None:
        self.engine = engine
        #: Every change up to here was handed on. Set after it was.
        self.position = 0
        self._poll_interval = poll_interval
        self._lock = threading.Lock()
        self._closed = threading.Event()
        #: Held while the thread may be inside of the engine.
        self.inside = threading.Lock()
        #: Weak, so that a subscription that nobody holds any more ends.
        self._all: weakref.WeakSet[Stream] = weakref.WeakSet()
        self._joining: deque[Stream] = deque()
        self._leaving: deque[Stream] = deque()
        self._bell = threading.Event()
        self._thread: threading.Thread | None = None
        self._ears: list[Callable[[], None]] = []
        self._database: str | None = None
        # What follows is the thread's own.
        self._live: dict[Stream, None] = {}
        self._matcher: Matcher
        self._version = -1
        self._limit = changes.PAGE // 4
        self._seen = -1
        #: To be woken after the page, and to be settled at the end of the feed.
        self._touched: dict[Stream, None] = {}
        self._unsettled: dict[Stream, None] = {}
        #: Those that look at what has no changes: settled after every commit.
        self._restless: dict[Stream, None] = {}
        #: Those that want to be told how far they are, and when that is due.
        self._paced: dict[Stream, None] = {}
        self._next = 0.0

    @property
    def database(self) -> str:
        """The id of the database, which positions name."""
        if self._database is None:
            self._database = self.engine.read(changes.database_id, single=True)
        return self._database

    # --- who listens ------------------------------------------------------------------------

    def open(self, stream: Stream) -> None:
        """Know a stream, so that it ends when the database is closed."""
        with self._lock:
            if self._closed.is_set():
                raise closed()
            self._all.add(stream)

    def join(self, stream: Stream) -> None:
        """Hand on to a stream what comes after the position it has reached."""
        with self._lock:
            if self._closed.is_set():
                raise closed()
            self._joining.append(stream)
            if self._thread is None:
                self._start()
        self._bell.set()

    def forget(self, stream: Stream, *, ring: bool = True) -> None:
        """It was closed. Without `ring`, safe from any place, a garbage collection too."""
        self._leaving.append(stream)
        if ring:
            self._bell.set()

    # --- the thread -------------------------------------------------------------------------

    def _start(self) -> None:
        from aurora_db.aql.interests import Matcher  # noqa: PLC0415 - few programs subscribe

        self._matcher = Matcher()
        engine = self.engine
        self._ears = [
            engine.listen("changes", self._rung),
            engine.hear("changes", self._rung),
            engine.clock.on_jump(self._bell.set),
        ]
        process.quiet_at_fork(self)
        self._thread = threading.Thread(target=self._run, name="aurora-feed", daemon=True)
        self._thread.start()

    def _rung(self, _urgency: int) -> None:
        # One that was abandoned has not rung.
        if self._live or self._joining or self._leaving:
            self._bell.set()

    def _run(self) -> None:
        wait, rest = SHORTEST, RESTS[0]
        while True:
            rang = self._bell.wait(wait if self._live or self._leaving else None)
            self._bell.clear()
            if self._closed.is_set():
                return
            try:
                with self.inside:
                    self._look()
                rest = RESTS[0]
            except Exception as error:  # noqa: BLE001 - whoever follows reads by itself, and is told
                self._failed(error)
                self._closed.wait(rest)
                rest = min(rest * 2, RESTS[1])
            wait = SHORTEST if rang else min(wait * 2, self._poll_interval)

    def _look(self) -> None:
        while self._leaving:
            stream = self._leaving.popleft()
            if not stream.fed:
                # Else it has joined again.
                self._leave(stream)
            if stream.closed:
                self._leave(stream)
                stream.left()
        version = self.engine.data_version()
        if version != self._seen or self._joining:
            # Before the look: what is committed during it moves the number again.
            self._seen = version
            while (self._live or self._joining) and not self.engine.follow(self._round):
                if self._closed.is_set():
                    return
        if self._paced:
            self._pace()

    async def _round(self, port: Port) -> bool:
        """Hand on what this snapshot has; whether that was all."""
        forgotten, last = await changes.bounds(port)
        if port.catalog.version != self._version:
            # Who joins is asked when it joins.
            self._version = port.catalog.version
            for stream in list(self._live):
                if not stream.roots.still_mean(port.catalog):
                    self._moved(stream)
        if not self._live:
            self.position = last
        elif forgotten > self.position:
            self._part()
        await self._admit(port, forgotten, last)
        if not await self._pages(port, last):
            return False
        self._unsettled |= self._restless
        for stream in list(self._unsettled):
            await self._settle(stream, port, last)
        return True

    async def _pages(self, port: Port, last: int) -> bool:
        for _ in range(PAGES):
            if self.position >= last:
                break
            limit = self._limit
            page = await changes.after(port, self.position, last, limit, self._matcher.collections)
            self._limit = changes.fitting(limit, page)
            for change in page:
                self._hand_on(change)
            # Who takes knows by the position that nothing more of an operation comes.
            self.position = page[-1].seq if len(page) == limit else last
            self._wake()
            if self._closed.is_set():
                return False
        return self.position >= last

    def _hand_on(self, change: Changed) -> None:
        touched: dict[Stream, list[tuple[int, bool, bool]]] = {}
        try:
            for (stream, n), before, after in self._matcher.touched(change):
                touched.setdefault(stream, []).append((n, before, after))
        except Exception:  # noqa: BLE001 - one of them cannot judge it: it shows whose that is
            touched = self._judged(change)
        for stream, roots in touched.items():
            if not stream.hear(change, roots):
                self._leave(stream)
            elif stream.unsettled:
                self._unsettled[stream] = None
            self._touched[stream] = None

    def _judged(self, change: Changed) -> dict[Stream, list[tuple[int, bool, bool]]]:
        """Whom a change touches, asked one by one; who cannot tell reads on by itself."""
        touched: dict[Stream, list[tuple[int, bool, bool]]] = {}
        for stream in list(self._live):
            try:
                roots = stream.roots.touched(change)
            except Exception:  # noqa: BLE001 - its consumer comes to it, and is told
                self._moved(stream)
                continue
            if roots:
                touched[stream] = roots
        return touched

    def _wake(self) -> None:
        woken, self._touched = self._touched, {}
        for stream in woken:
            stream.wake()
            if stream.held_back:
                # It waits for the rest of an operation.
                self._touched[stream] = None

    async def _settle(self, stream: Stream, port: Port, last: int) -> None:
        self._unsettled.pop(stream, None)
        try:
            await stream.settle(port, last)
        except Exception:  # noqa: BLE001 - its consumer settles it, and is told
            self._moved(stream)

    def _pace(self) -> None:
        now = self.engine.clock.monotonic()
        if now >= self._next:
            self._next = now + PROGRESS
            for stream in self._paced:
                stream.pace()

    # --- who follows ------------------------------------------------------------------------

    async def _admit(self, port: Port, forgotten: int, last: int) -> None:
        """Take those in who want to follow, with what was handed on since they have read."""
        for _ in range(len(self._joining)):
            stream = self._joining.popleft()
            if stream.fed or not stream.live:
                continue
            # It may have gone back meanwhile.
            self._leave(stream)
            if forgotten > stream.reached or not stream.roots.still_mean(port.catalog):
                stream.fall_behind()
                continue
            missed: Sequence[Changed] = ()
            if stream.reached < self.position:
                names, limit = stream.roots.collections, self._limit
                missed = await changes.after(port, stream.reached, self.position, limit, names)
                if len(missed) == limit:
                    # Much: it reads that by itself.
                    stream.fall_behind()
                    continue
            self._add(stream, missed, last)

    def _add(self, stream: Stream, missed: Sequence[Changed], last: int) -> None:
        try:
            heard = [
                (change, roots) for change in missed if (roots := stream.roots.touched(change))
            ]
        except Exception:  # noqa: BLE001 - its consumer comes to it, and is told
            stream.fall_behind()
            return
        if not stream.admit(heard):
            return
        self._live[stream] = None
        for n, root in enumerate(stream.roots):
            for interest in root.interests:
                self._matcher.add((stream, n), interest)
        if stream.roots.restless:
            self._restless[stream] = None
        if stream.paced:
            if not self._paced:
                self._next = self.engine.clock.monotonic() + PROGRESS
            self._paced[stream] = None
        if stream.unsettled:
            self._unsettled[stream] = None
        if heard or stream.held_back:
            self._touched[stream] = None
            if self.position >= last:
                self._wake()

    def _leave(self, stream: Stream) -> None:
        if self._live.pop(stream, False) is None:
            for n in range(len(stream.roots)):
                self._matcher.remove((stream, n))
        for known in (self._touched, self._unsettled, self._restless, self._paced):
            known.pop(stream, None)

    def _moved(self, stream: Stream) -> None:
        """It reads on by itself: its roots mean something else now, or have failed."""
        self._leave(stream)
        stream.fall_behind(self.position)

    def _part(self) -> None:
        """All read on by themselves."""
        for stream in list(self._live):
            self._moved(stream)

    def _failed(self, error: Exception) -> None:
        if not self._closed.is_set():
            logger.warning(
                "a round of the feed failed; whoever follows it reads by itself", exc_info=error
            )
        self._seen = -1
        self._part()
        while self._joining:
            self._joining.popleft().fall_behind()

    # --- the end ----------------------------------------------------------------------------

    def close(self) -> None:
        """End the thread and every stream. Twice is no error."""
        if self.engine.foreign:
            # The thread and the doorbell are the parent's.
            return
        with self._lock:
            self._closed.set()
            thread, self._thread = self._thread, None
            streams = list(self._all)
        for stream in streams:
            stream.close()
        self._bell.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join()
            for stop in self._ears:
                stop()
        for stream in streams:
            # Nobody reads on a connection that is going to be closed.
            stream.rest(PATIENCE)

    def __repr__(self) -> str:
        return f"Feed(position={self.position}, streams={len(self._all)})"
