"""The routes to the mailboxes of other processes: never blocking, bounded, in order.

A mailbox takes few datagrams at once (ten on many systems). What finds it full waits here, and
a thread sends it on, several messages in one parcel. Beyond the bound the oldest go, and the
receiver is told how many of which topic.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import msgspec

from aurora_db.store import process
from aurora_db.store.mailbox import FULL, LARGEST_PARCEL, MOST_TOPICS, Parcel
from aurora_db.store.topics import Posted, size_of

#: Messages that wait for one process, at most, and their bytes.
MOST: Final = 10_000
MOST_BYTES: Final = 16 * 1024 * 1024
#: Parcels sent at once, while who publishes waits.
PARCELS: Final = 16
#: Seconds until a full mailbox is tried again; it doubles up to the second.
SHORTEST: Final = 0.0005
LONGEST_WAIT: Final = 0.02
#: Seconds in which `close` sends what is left.
LINGER: Final = 1.0

#: The socket is full, by the words of Linux and macOS.
_FULL: Final = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS})
#: The other process is gone.
_GONE: Final = frozenset({errno.ECONNREFUSED, errno.ENOENT, errno.ECONNRESET, errno.ENOTCONN})


class Gone(Exception):
    """Nobody reads the mailbox any more."""


class Route:
    """The way to one mailbox.

    Raises:
        Gone: nobody reads it.
        OSError: it cannot be reached.
    """

    def __init__(self, path: str) -> None:
        #: Messages with their bytes.
        self._waiting: deque[tuple[Posted, int]] = deque()
        self._size = 0
        self._lost: dict[str, int] = {}
        # One socket for each: what a process has not read counts for whoever sent it.
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * LARGEST_PARCEL)
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            if error.errno in _GONE:
                raise Gone from error
            raise

    @property
    def waits(self) -> bool:
        """Whether something has not been sent."""
        return bool(self._waiting or self._lost)

    def put(self, messages: Sequence[Posted]) -> None:
        """Send messages after those that wait.

        Raises:
            Gone: nobody reads the mailbox.
        """
        for message in messages:
            size = size_of(message.payload) + len(message.topic)
            self._waiting.append((message, size))
            self._size += size
            while len(self._waiting) > MOST or self._size > MOST_BYTES:
                self._lose()

    def _lose(self) -> None:
        message, size = self._waiting.popleft()
        self._size -= size
        topic = message.topic
        if topic not in self._lost and len(self._lost) >= MOST_TOPICS:
            topic = ""
        self._lost[topic] = self._lost.get(topic, 0) + 1

    def push(self) -> bool:
        """Send as much as there is room for, but not for long; whether anything went.

        Raises:
            Gone: nobody reads the mailbox.
        """
        went = False
        for _ in range(PARCELS):
            if not self.waits:
                break
            messages = list(self._parcel())
            try:
                self._socket.send(_ENCODER.encode(Parcel(messages, self._lost)))
            except OSError as error:
                if error.errno in _FULL:
                    return went
                if error.errno in _GONE:
                    raise Gone from error
                # Refused for good, as a datagram that this system finds too long.
                for _ in messages:
                    self._lose()
                if not messages:
                    self._lost = {}
                continue
            went = True
            self._lost = {}
            for _ in messages:
                self._size -= self._waiting.popleft()[1]
        return went

    def _parcel(self) -> Iterator[Posted]:
        """The messages of the next parcel: one at least, and more while it is not full."""
        total = 0
        for message, size in self._waiting:
            if total and total + size > FULL:
                return
            total += size
            yield message

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()


class Routes:
    """The routes of one database.

    Args:
        remove: called with the path of a mailbox that nobody reads.
    """

    def __init__(self, remove: Callable[[str], None]) -> None:
        self._remove = remove
        self._routes: dict[str, Route] = {}
        self._lock = threading.Lock()
        self._bell = threading.Event()
        self._thread: threading.Thread | None = None
        self._open = True
        process.release_in_child(self)

    def send(self, paths: Sequence[str], messages: Sequence[Posted]) -> None:
        """Send messages to these mailboxes; what finds them full waits."""
        with self._lock:
            if len(paths) != len(self._routes):
                self._forget(set(self._routes).difference(paths))
            full = False
            for path in paths:
                route = self._routes.get(path)
                try:
                    if route is None:
                        route = self._routes[path] = Route(path)
                    in_order = not route.waits
                    route.put(messages)
                    if in_order:
                        route.push()
                    full |= route.waits
                except Gone:
                    self._lost(path)
                except OSError:
                    # Not ours to write to.
                    continue
            if full and self._open:
                self._wake()

    def _forget(self, paths: set[str]) -> None:
        for path in paths:
            self._routes.pop(path).close()

    def _lost(self, path: str) -> None:
        route = self._routes.pop(path, None)
        if route is not None:
            route.close()
        self._remove(path)

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="aurora-post", daemon=True)
            self._thread.start()
        self._bell.set()

    def _run(self) -> None:
        wait = SHORTEST
        while self._open:
            self._bell.wait()
            went, left = self._push()
            wait = SHORTEST if went else min(wait * 2, LONGEST_WAIT)
            if left:
                time.sleep(wait)

    def _push(self) -> tuple[bool, bool]:
        """Whether anything went, and whether anything is left."""
        went = False
        with self._lock:
            for path, route in list(self._routes.items()):
                try:
                    went |= route.waits and route.push()
                except Gone:
                    self._lost(path)
            left = any(route.waits for route in self._routes.values())
            if not left and self._open:
                self._bell.clear()
        return went, left

    def close(self) -> None:
        """Send what is left for a moment, then give everything back."""
        ends = time.monotonic() + LINGER
        while self._push()[1] and time.monotonic() < ends:
            time.sleep(SHORTEST)
        self._open = False
        self._bell.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            self._forget(set(self._routes))

    def drop(self) -> None:
        """In a forked child: only the child's descriptors go."""
        for route in self._routes.values():
            route.close()

    def __repr__(self) -> str:
        return f"Routes({len(self._routes)})"


_ENCODER = msgspec.msgpack.Encoder()
