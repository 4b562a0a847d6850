"""The tailer: one thread of a database reads each change once and hands it to all whom it touches.

It is woken by commits of this process and by the doorbell of others; what programs that are no Aurora
commit shows when `PRAGMA data_version` moves. A wake that is missed costs latency only: it goes on
from the position it has reached.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from aurora_db.aql.interests import Matcher
from aurora_db.base.errors import AuroraError
from aurora_db.store import changes
from aurora_db.store.engine import Engine
from aurora_db.store.port import Port
from aurora_db.store.writer import closed

if TYPE_CHECKING:
    from aurora_db.live.subscription import Stream

logger = logging.getLogger("aurora_db.live")

#: Changes read at once.
PAGE = 1_000
#: Seconds of the first wait after a ring; it doubles up to the poll interval.
SHORTEST = 0.001


class Feed:
    """The tailer of one database and who listens to it.

    Args:
        poll_interval: seconds between looks for what programs that are no Aurora commit.
    """

    def __init__(self, engine: Engine, poll_interval: float) -> None:
        self.engine = engine
        self._poll_interval = poll_interval
        self._lock = threading.Lock()
        self._live: dict[Stream, None] = {}
        self._all: dict[Stream, None] = {}
        self._matcher = Matcher()
        #: Every change up to here was handed on. Set after it was.
        self.position = 0
        self._version = engine.catalog.version
        self._bell = threading.Event()
        self._thread: threading.Thread | None = None
        self._ears: list[Callable[[], None]] = []
        self._seen = -1
        self._closed = False
        self._database: str | None = None

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
            if self._closed:
                raise closed()
            self._all[stream] = None

    def forget(self, stream: Stream) -> None:
        """It was closed."""
        with self._lock:
            self._all.pop(stream, None)
            self._leave(stream)

    def join(self, stream: Stream, seq: int) -> bool:
        """Hand on to a stream what comes after `seq`; False where the tailer is further already."""
        with self._lock:
            if self._closed:
                raise closed()
            if not self._live:
                # Nobody listened: it begins where this one stands.
                self.position = seq
            elif self.position > seq:
                return False
            self._live[stream] = None
            for n, root in enumerate(stream.roots):
                for interest in root.interests:
                    self._matcher.add((stream, n), interest)
            if self._thread is None:
                self._start()
        self._bell.set()
        return True

    def leave(self, stream: Stream) -> None:
        """Hand nothing more on to a stream."""
        with self._lock:
            self._leave(stream)

    def _leave(self, stream: Stream) -> None:
        if self._live.pop(stream, False) is None:
            for n in range(len(stream.roots)):
                self._matcher.remove((stream, n))

    # --- the thread -------------------------------------------------------------------------

    def _start(self) -> None:
        engine = self.engine
        self._ears = [engine.listen("changes", self._rung), engine.hear("changes", self._rung)]
        self._thread = threading.Thread(target=self._run, name="aurora-feed", daemon=True)
        self._thread.start()

    def _rung(self, _urgency: int) -> None:
        self._bell.set()

    def _run(self) -> None:
        wait = SHORTEST
        while True:
            rang = self._bell.wait(wait if self._live else None)
            self._bell.clear()
            if self._closed:
                return
            try:
                self._look()
            except AuroraError as error:
                for stream in list(self._live):
                    stream.fail(error)
            except Exception:
                logger.exception("a round of the feed failed; it is tried again")
            wait = SHORTEST if rang else min(wait * 2, self._poll_interval)

    def _look(self) -> None:
        version = self.engine.data_version()
        if version == self._seen:
            return
        # Before the look: what is committed during it moves the number again.
        self._seen = version
        with self._lock:
            if not self._live:
                return
        while not self.engine.follow(self._round):
            pass

    async def _round(self, port: Port) -> bool:
        """Hand on one page of changes; whether that was all."""
        with self._lock:
            if port.catalog.version != self._version:
                self._version = port.catalog.version
                for stream in list(self._live):
                    if not stream.still_means(port.catalog):
                        self._leave(stream)
                        stream.redefined()
            last = await changes.end(port)
            page = await changes.after(port, self.position, last, PAGE, self._matcher.collections)
            touched: dict[Stream, None] = {}
            for change in page:
                for owner, before, after in self._matcher.touched(change):
                    stream, n = owner
                    if stream.hear(n, change, before, after):
                        touched[stream] = None
                    else:
                        self._leave(stream)
            whole = len(page) < PAGE
            for stream in touched:
                stream.wake()
            if whole:
                for stream in list(self._live):
                    if stream.unsettled:
                        await stream.settle(port, last)
            self.position = last if whole else page[-1].seq
        return whole

    def close(self) -> None:
        """End the thread and every stream. Twice is no error."""
        if self.engine.foreign:
            # The thread and the doorbell are the parent's.
            return
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
            streams = list(self._all)
        for stream in streams:
            stream.close()
        if thread is None:
            return
        self._bell.set()
        if thread is not threading.current_thread():
            thread.join()
        for stop in self._ears:
            stop()

    def __repr__(self) -> str:
        return f"Feed(position={self.position}, streams={len(self._all)})"
