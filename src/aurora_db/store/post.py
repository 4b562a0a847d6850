"""Ephemeral messages: to the subscribers of this process directly, to those of others by datagrams.

At most once: nothing is kept for who does not subscribe yet. Sending never blocks and never fails;
what finds no room is counted, and who would have got it is told.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from aurora_db.store.doorbell import Ringer, new_path

if TYPE_CHECKING:
    from aurora_db.store.mailbox import Mailbox
    from aurora_db.store.routes import Routes
    from aurora_db.store.topics import Posted

logger = logging.getLogger("aurora_db.store")

#: What the sockets of processes with subscribers are named by.
TOPIC: Final = "topics"
#: Topics whose subscribers are remembered.
REMEMBERED: Final = 4_096


class Inbox(Protocol):
    """Where the messages of one subscriber arrive."""

    #: The one topic that it wants; None where `wants` decides.
    topic: str | None

    def wants(self, topic: str) -> bool:
        """Whether messages of `topic` are for it."""
        ...

    def put(self, message: Posted) -> None:
        """A message arrives. Called from any thread; returns at once."""
        ...

    def missing(self, number: int) -> None:
        """So many messages for it were lost on the way."""
        ...


class Post:
    """The ephemeral messages of one open database.

    Args:
        folder: where the sockets lie.
        ringer: who knows the sockets of other processes; None where there are none.
    """

    def __init__(self, folder: Path, ringer: Ringer | None) -> None:
        self._folder = folder
        self._ringer = ringer
        self._lock = threading.Lock()
        self._by_topic: dict[str, dict[Inbox, None]] = {}
        self._by_pattern: dict[Inbox, None] = {}
        self._found: dict[str, tuple[Inbox, ...]] = {}
        self._mailbox: Mailbox | None = None
        self._routes: Routes | None = None

    # --- who subscribes ---------------------------------------------------------------------

    def add(self, inbox: Inbox) -> None:
        """What is sent from here on arrives in `inbox`."""
        with self._lock:
            among = self._among(inbox)
            among[inbox] = None
            self._found = {}
            if self._mailbox is None and self._ringer is not None:
                self._mailbox = self._opened(self._ringer)

    def remove(self, inbox: Inbox) -> None:
        """Nothing arrives in `inbox` any more. Twice is no error."""
        closing: Mailbox | None = None
        with self._lock:
            self._among(inbox).pop(inbox, None)
            if inbox.topic is not None and not self._by_topic[inbox.topic]:
                del self._by_topic[inbox.topic]
            self._found = {}
            if not self._by_topic and not self._by_pattern:
                closing, self._mailbox = self._mailbox, None
            ringer = self._ringer
        if closing is not None and ringer is not None:
            # Its thread may be handing on a message just now, and wants the lock.
            closing.close()
            ringer.forget(closing.path)

    def _among(self, inbox: Inbox) -> dict[Inbox, None]:
        if inbox.topic is None:
            return self._by_pattern
        return self._by_topic.setdefault(inbox.topic, {})

    def _opened(self, ringer: Ringer) -> Mailbox | None:
        from aurora_db.store.mailbox import Mailbox  # noqa: PLC0415 - few programs subscribe

        path = new_path(self._folder, TOPIC)
        # Before it is there: what this process sends is handed on here already.
        ringer.leave_out(path)
        try:
            return Mailbox(path, self.deliver, self.lost)
        except OSError as error:
            ringer.forget(path)
            logger.info(
                "no mailbox: messages of other processes do not arrive here", exc_info=error
            )
            return None

    # --- messages ---------------------------------------------------------------------------

    def send(self, messages: Sequence[Posted]) -> None:
        """Hand messages to all subscribers, here and in other processes."""
        self.deliver(messages)
        ringer = self._ringer
        if ringer is None:
            return
        paths = ringer.listening(TOPIC)
        if not paths and self._routes is None:
            return
        with self._lock:
            if self._routes is None:
                from aurora_db.store.routes import Routes  # noqa: PLC0415 - for other processes only

                self._routes = Routes(ringer.remove)
            routes = self._routes
        routes.send(paths, messages)

    def deliver(self, messages: Sequence[Posted]) -> None:
        """Hand messages to the subscribers of this process."""
        for message in messages:
            found = self._found.get(message.topic)
            for inbox in self._find(message.topic) if found is None else found:
                inbox.put(message)

    def lost(self, numbers: Mapping[str, int]) -> None:
        """Tell subscribers what was lost on the way here, by topic; "" is any topic."""
        for topic, number in numbers.items():
            if topic:
                inboxes = self._find(topic)
            else:
                with self._lock:
                    inboxes = (*self._by_pattern, *(one for many in self._by_topic.values() for one in many))  # fmt: skip
            for inbox in inboxes:
                inbox.missing(number)

    def _find(self, topic: str) -> tuple[Inbox, ...]:
        if not self._by_topic and not self._by_pattern:
            return ()
        with self._lock:
            found = (
                *self._by_topic.get(topic, ()),
                *(inbox for inbox in self._by_pattern if inbox.wants(topic)),
            )
            if len(self._found) >= REMEMBERED:
                self._found = {}
            self._found[topic] = found
        return found

    def close(self) -> None:
        """Send what is left for a moment; then nothing arrives any more. Twice is no error."""
        with self._lock:
            mailbox, self._mailbox = self._mailbox, None
            routes, self._routes = self._routes, None
            self._by_topic, self._by_pattern, self._found = {}, {}, {}
            self._ringer = None
        if mailbox is not None:
            mailbox.close()
        if routes is not None:
            routes.close()

    def __repr__(self) -> str:
        return f"Post({str(self._folder)!r})"
