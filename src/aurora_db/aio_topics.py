"""Topics: publish and subscribe. Written by hand.

`database_topics.py` is generated from this file by `tools/unasync.py`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from aurora_db.aio_live import AsyncSubscription
from aurora_db.base.changes import Message, Reset
from aurora_db.store import topics
from aurora_db.store.gate import AsyncGate, AsyncHeldGate

if TYPE_CHECKING:
    from aurora_db.live.feed import Feed
    from aurora_db.live.pubsub import Subscribed
    from aurora_db.store.engine import Engine


class AsyncTopicSubscription(AsyncSubscription[Message | Reset]):
    """The messages of the topics that match a pattern."""

    _stream: Subscribed

    @property
    def missed(self) -> int:
        """How many ephemeral messages were lost for want of room, because nobody took them in time."""
        return self._stream.missed


class AsyncPublish:
    """How a database and an open transaction publish."""

    _gate: AsyncGate | AsyncHeldGate

    async def publish(self, topic: str, payload: Any, *, durable: bool = False) -> str | None:
        """Publish a message to whoever subscribes to the topic, in every process of this machine.

        An ephemeral message comes at most once, to those who subscribe now; nothing is written. A
        durable one is kept in the feed as long as changes are. In a transaction both are seen only if
        it commits. Returns the position of a durable message, None for an ephemeral one.

        Args:
            topic: levels with dots between them, such as "chat.room1".
            payload: anything that has a JSON form.
            durable: keep it, so that who comes later can read it by `since`.

        Raises:
            ValidationError: the topic is no topic, or the payload has no JSON form.
            TooLarge: the payload has more than 64 KiB as JSON, or 16 MiB if durable.
            TransactionError: this thread or task has a transaction open; use its `publish`.
        """
        message = topics.posted(topic, payload, durable=durable)
        if durable:
            return await self._gate.write(partial(topics.append, message=message))
        self._gate.post(message)
        return None


class AsyncTopics:
    """How a database subscribes."""

    _engine: Engine
    _feed: Feed

    def subscribe(self, pattern: str, since: str | None = None) -> AsyncTopicSubscription:
        """The messages that are published from now on to the topics that match `pattern`.

        What was published durably comes in the order of commits; what one publisher published
        ephemerally in its order. `position` and `since` are about durable messages only; when the
        feed has forgotten some that were not read, a `Reset` comes in their place.

        Args:
            pattern: a topic, in which "*" stands for one level and "**" for any number of them, also
                none: "chat.*" is "chat.room1", "chat.**" also "chat" and "chat.room1.typing".
            since: go on after this position, instead of now.

        Raises:
            ValidationError: the pattern is refused, or `since` is no position of this database.
        """
        from aurora_db.live import pubsub  # noqa: PLC0415 - few programs subscribe

        stream = pubsub.subscribed(self._feed, pattern, since)
        return AsyncTopicSubscription(stream, AsyncGate(self._engine))
