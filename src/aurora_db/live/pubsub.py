"""Topics: one subscription gets the durable messages from the feed and the ephemeral ones from the post.

Each kind keeps its order for each publisher; they take different roads, so their order among each other
is not promised.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from aurora_db.aql import plan
from aurora_db.aql.catalog import Catalog, Field, Type
from aurora_db.base.changes import Message, Reset
from aurora_db.base.codec import decode, own
from aurora_db.live.feed import Feed
from aurora_db.live.source import Interest, Root
from aurora_db.live.subscription import Stream
from aurora_db.live.waking import NOTHING
from aurora_db.store import positions, process, topics
from aurora_db.store.changes import TOPICS, Changed
from aurora_db.store.port import Port
from aurora_db.store.topics import Posted

logger = logging.getLogger("aurora_db.live")

#: Ephemeral messages that wait to be taken, at most, and their bytes as JSON.
MOST: Final = 10_000
MOST_BYTES: Final = 16 * 1024 * 1024

_TOPIC: Final = plan.Path(Field("topic", Type("String")), type=Type("String"))


class Published:
    """The root of a subscription: the durable messages whose topic matches a pattern."""

    exact = True
    resumes = True

    def __init__(self, pattern: str, token: Callable[[int], str]) -> None:
        self.key = pattern
        self.interests = (Interest(TOPICS, _filed(pattern), _tested(pattern), whole=False),)
        #: A pattern means the same by all definitions.
        self.signature: object = pattern
        self._token = token

    async def begin(self, port: Port, seq: int, reset: str | None) -> list[Any]:
        """Nothing is said first; what the feed has forgotten is."""
        del port
        return [] if reset is None else [Reset(reset, self._token(seq))]

    def said(self, change: Changed, before: bool, after: bool) -> Any:
        """The message."""
        del before, after
        assert change.new is not None, "a message is an insert"
        return Message(
            topic=change.id,
            payload=own(change.new.get("payload")),
            position=self._token(change.seq),
        )

    def heard(self, change: Changed, before: bool, after: bool) -> None:
        """Never called: it is exact."""

    async def settle(self, port: Port, seq: int) -> Any:
        """Never called: it is exact."""

    def news(self, state: Any) -> list[Any]:
        """Never called: it is exact."""
        del state
        return []


class Subscribed(Stream):
    """The stream of a subscription to topics, and its inbox of ephemeral messages.

    Args:
        pattern: checked.
        since: the number of the change to go on after; None is now.
    """

    def __init__(self, feed: Feed, pattern: str, since: int | None) -> None:
        self._wanted = topics.matching(pattern)
        self.topic = pattern if self._wanted is None else None
        #: Ephemeral messages that were lost for want of room, here or on the way here.
        self.missed = 0
        self._inbox: deque[tuple[Posted, int]] = deque()
        self._size = 0
        self._inbox_lock = threading.Lock()
        self._mail_first = False
        super().__init__(feed, _maker(feed, pattern), several=False, since=since, plain=True)

    # --- the inbox --------------------------------------------------------------------------

    def wants(self, topic: str) -> bool:
        """Whether its pattern matches."""
        return self._wanted is None or self._wanted(topic)

    def put(self, message: Posted) -> None:
        """An ephemeral message arrives; the oldest go where there is no room."""
        size = topics.size_of(message.payload)
        with self._inbox_lock:
            if self._closed:
                return
            waited = bool(self._inbox)
            self._inbox.append((message, size))
            self._size += size
            while len(self._inbox) > MOST or self._size > MOST_BYTES:
                self._size -= self._inbox.popleft()[1]
                self.missed += 1
        if not waited:
            self.wake()

    def missing(self, number: int) -> None:
        """So many were lost on the way here."""
        with self._inbox_lock:
            self.missed += number

    def _mail(self) -> Any:
        while True:
            with self._inbox_lock:
                if not self._inbox:
                    return NOTHING
                message, size = self._inbox.popleft()
                self._size -= size
            try:
                return Message(topic=message.topic, payload=decode(message.payload))
            except ValueError:
                # Whoever may write the folder may send anything.
                logger.warning("a message that is no JSON was dropped", exc_info=True)

    # --- who takes --------------------------------------------------------------------------

    def take(self) -> Any:
        """The next message of either kind, in turns where both wait; or NOTHING or BEHIND."""
        process.guard(self._feed.engine)
        if self._mail_first and (message := self._mail()) is not NOTHING:
            self._mail_first = False
            return message
        item = super().take()
        self._mail_first = item is not NOTHING
        return self._mail() if item is NOTHING else item

    def close(self) -> None:
        """End it, and forget what waits."""
        super().close()
        self._forget()

    def left(self) -> None:
        """The tailer has taken note of it; one that was abandoned is forgotten now."""
        super().left()
        self._forget()

    def _forget(self) -> None:
        if self._feed.engine.foreign:
            return
        self._feed.engine.post.remove(self)
        with self._inbox_lock:
            self._inbox.clear()
            self._size = 0


def subscribed(feed: Feed, pattern: object, since: str | None) -> Subscribed:
    """The stream of a new subscription: of what is published from here on, or after a position.

    Raises:
        ValidationError: the pattern is refused, or `since` is no position of this database.
    """
    checked = topics.pattern_of(pattern)
    number = None if since is None else positions.number(feed.database, since)
    stream = Subscribed(feed, checked, number)
    try:
        # Before the snapshot: what is published when this returns is had, of both kinds.
        feed.engine.post.add(stream)
        feed.engine.follow(stream.catch_up)
    except BaseException:
        stream.close()
        raise
    return stream


def _maker(feed: Feed, pattern: str) -> Callable[[Catalog], Sequence[Root]]:
    token = partial(positions.token, feed.database)

    def make(catalog: Catalog) -> Sequence[Root]:
        del catalog
        return (Published(pattern, token),)

    return make


def _filed(pattern: str) -> plan.Where:
    """What every topic that matches has, so that a message finds whom it may concern."""
    if topics.matching(pattern) is None:
        return plan.Compare(_TOPIC, "eq", plan.Constant(pattern))
    levels = pattern.split(".")
    wild = next(n for n, level in enumerate(levels) if level in (topics.ONE, topics.ANY))
    # Without the dot: of "chat.**" also "chat".
    return plan.Compare(_TOPIC, "startsWith", plan.Constant(".".join(levels[:wild])))


def _tested(pattern: str) -> Callable[[Any], bool]:
    """Whether the image of a message has a topic that matches."""
    wanted = topics.matching(pattern)
    if wanted is None:
        return lambda image: image.get("topic") == pattern
    return lambda image: wanted(image.get("topic", ""))
