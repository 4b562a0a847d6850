"""The mailbox of a process: a datagram socket on which ephemeral messages of other processes arrive."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from aurora_db.store import process
from aurora_db.store.doorbell import bound, unbind
from aurora_db.store.topics import LARGEST, LONGEST, Posted

logger = logging.getLogger("aurora_db.store")

#: Bytes of messages in one datagram, about; one message alone may have more.
FULL: Final = LARGEST
#: Bytes of a datagram, at most: what may be full, one message more, and what was lost.
LARGEST_PARCEL: Final = 2 * LARGEST + 64 * 1024
#: Topics of which one parcel tells what was lost; beyond, they are told as "any".
MOST_TOPICS: Final = 32


class Parcel(msgspec.Struct, array_like=True, gc=False):
    """What one datagram holds: messages in order, and how many were lost before them, by topic."""

    messages: list[Posted]
    lost: dict[str, int]


class Mailbox:
    """Receives parcels in a thread of its own.

    Args:
        path: of its socket; the folder is made when absent.
        arrived: called with the messages of each parcel.
        lost: called with what was lost on the way.

    Raises:
        OSError: the platform or the folder does not allow it.
    """

    def __init__(
        self,
        path: str,
        arrived: Callable[[Sequence[Posted]], None],
        lost: Callable[[Mapping[str, int]], None],
    ) -> None:
        self._arrived = arrived
        self._lost = lost
        self._open = True
        self.path = path
        self._socket = bound(path)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * LARGEST_PARCEL)
        process.release_in_child(self)
        self._thread = threading.Thread(target=self._run, name="aurora-mailbox", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        decoder = msgspec.msgpack.Decoder(Parcel)
        while True:
            data = self._socket.recv(LARGEST_PARCEL)
            if not self._open:
                return
            try:
                parcel = decoder.decode(data)
            except msgspec.DecodeError as error:
                # Whoever may write the folder may send anything.
                logger.warning("a datagram that is no message was dropped", exc_info=error)
                continue
            if parcel.lost:
                self._lost(parcel.lost)
            self._arrived(parcel.messages)

    def close(self) -> None:
        """Remove the socket and end the thread."""
        self._open = False
        with contextlib.suppress(OSError):
            self._socket.sendto(b"\0", self.path)
            if self._thread is not threading.current_thread():
                self._thread.join()
        unbind(self._socket, self.path)

    def drop(self) -> None:
        """In a forked child: only the child's descriptor goes."""
        self._open = False
        self._socket.close()

    def __repr__(self) -> str:
        return f"Mailbox({self.path!r})"


assert LONGEST * 4 * (MOST_TOPICS + 2) < 64 * 1024, "a parcel holds what it may have to tell"
