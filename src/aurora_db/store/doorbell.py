"""The doorbell: who committed tells the other processes of the machine at once.

A process that wants to know of a topic binds a datagram socket beside the database; who has
committed something of that topic sends one byte to each. A ring that is missed costs latency
only, for everyone also looks from time to time (`PRAGMA data_version`).
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from aurora_db.base.ids import new_id
from aurora_db.store import process

#: Bytes of a path that every platform's sockets take (Linux 107, macOS 103).
LONGEST_PATH = 100
#: Where the sockets of a database with a long path lie.
SHORT = Path("/tmp")  # noqa: S108 - a folder of our own in it, its owner checked
#: Seconds in which the time stamp of a folder may stay the same though something was added.
COARSE = 0.05
#: Seconds between two looks at the folder for what is rung with every commit.
LOOK = 0.02
#: Rings that are read at once.
MANY = 4096


def folder_of(database: str) -> Path:
    """Where the sockets of a database lie: beside it, or in a short folder named by a hash."""
    beside = Path(database + "-aurora")
    if len(os.fsencode(_socket_path(beside, "changes", "0" * 12))) <= LONGEST_PATH:
        return beside
    import hashlib  # noqa: PLC0415 - for long paths only

    digest = hashlib.sha256(os.fsencode(database)).hexdigest()[:16]
    return SHORT / f"aurora-{os.getuid()}-{digest}"


def _socket_path(folder: Path, topic: str, name: str) -> str:
    return f"{folder}/bell.{topic}.{name}"


class Doorbell:
    """Hears the rings of other processes for one topic, in a thread of its own.

    Args:
        folder: from `folder_of`; made when absent.
        heard: called with the highest urgency of the rings since the last call.

    Raises:
        OSError: the platform or the folder does not allow it; then there is only looking.
    """

    def __init__(self, folder: Path, topic: str, heard: Callable[[int], None]) -> None:
        self._heard = heard
        self._open = True
        self.path = new_path(folder, topic)
        self._socket = bound(self.path)
        process.release_in_child(self)
        self._thread = threading.Thread(target=self._run, name="aurora-doorbell", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            loudest = self._socket.recv(1)[0]
            with contextlib.suppress(BlockingIOError):
                for _ in range(MANY):
                    loudest = max(loudest, self._socket.recv(1, socket.MSG_DONTWAIT)[0])
            if not self._open:
                return
            self._heard(loudest - 1)

    def close(self) -> None:
        """Remove the socket and end the thread."""
        self._open = False
        with contextlib.suppress(OSError):
            self._socket.sendto(b"\0", self.path)
            self._thread.join()
        unbind(self._socket, self.path)

    def drop(self) -> None:
        """In a forked child: only the child's descriptor goes."""
        self._open = False
        self._socket.close()

    def __repr__(self) -> str:
        return f"Doorbell({self.path!r})"


def new_path(folder: Path, topic: str) -> str:
    """The path of a new socket on which a process hears of `topic`."""
    # The end of the id is random; its beginning is the time.
    return _socket_path(folder, topic, new_id()[-12:])


def bound(path: str) -> socket.socket:
    """A new datagram socket.

    Raises:
        OSError: the platform or the folder does not allow it.
    """
    _make(Path(path).parent)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        made.bind(path)
    except OSError:
        made.close()
        raise
    return made


def unbind(made: socket.socket, path: str) -> None:
    """Remove a socket that `bound` made, and the short folder when it was the last one there."""
    Path(path).unlink(missing_ok=True)
    made.close()
    folder = Path(path).parent
    if folder.parent == SHORT:
        with contextlib.suppress(OSError):
            folder.rmdir()


class Ringer:
    """Rings the doorbells of a database; removes those that nobody hears any more."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamp = -1
        self._look_at = 0.0
        self._bells: dict[str, list[str]] = {}
        self._own: frozenset[str] = frozenset()
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def leave_out(self, path: str) -> None:
        """Never ring this one: it is the process's own."""
        with self._lock:
            self._own |= {path}
            self._stamp = -1

    def forget(self, path: str) -> None:
        """The process's own, left out until now, is removed."""
        with self._lock:
            self._own -= {path}

    def ring(self, topic: str, urgency: int, *, known: bool = False) -> None:
        """Ring everyone who wants to know of `topic`; never blocks and never fails.

        With `known` those who were there a moment ago: for what is rung with every commit, where a look at
        the folder would cost more than the ring. Who is that new looks often by itself.
        """
        with self._lock:
            now = time.monotonic()
            bells = self._bells
            if not known or now > self._look_at:
                bells = self._listening()
                self._look_at = now + LOOK
            for path in bells.get(topic, ()):
                self._send(path, urgency)

    def listening(self, topic: str) -> Sequence[str]:
        """The sockets of the other processes that want to know of `topic`."""
        with self._lock:
            return self._listening().get(topic, ())

    def remove(self, path: str) -> None:
        """Remove the socket of a process that is gone."""
        with contextlib.suppress(OSError):
            os.unlink(path)
        self._stamp = -1

    def _listening(self) -> dict[str, list[str]]:
        """The sockets by topic, read anew when the folder has changed."""
        try:
            stamp = os.stat(self._folder).st_mtime_ns
            names = os.listdir(self._folder) if stamp != self._stamp else ()
        except OSError:
            # Absent, gone between the two looks, or not ours to read.
            return {}
        if stamp != self._stamp:
            self._bells = {}
            for name in names:
                bell, _, rest = name.partition(".")
                path = f"{self._folder}/{name}"
                if bell == "bell" and path not in self._own:
                    self._bells.setdefault(rest.partition(".")[0], []).append(path)
            settled = time.time() - stamp / 1e9 > COARSE
            self._stamp = stamp if settled else -1
        return self._bells

    def _send(self, path: str, urgency: int) -> None:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        try:
            self._socket.sendto(bytes((urgency + 1,)), path)
        except ConnectionRefusedError:
            self.remove(path)
        except OSError:
            # Full: it was rung already. Absent, or not ours to ring: it looks by itself.
            return

    def close(self) -> None:
        """Give the socket back."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def __repr__(self) -> str:
        return f"Ringer({str(self._folder)!r})"


def _make(folder: Path) -> None:
    """Make the folder; one in a place that everybody may write must be our own."""
    folder.mkdir(mode=0o700 if folder.parent == SHORT else 0o777, exist_ok=True)
    if folder.parent == SHORT:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
            raise PermissionError(f"'{folder}' belongs to somebody else")
