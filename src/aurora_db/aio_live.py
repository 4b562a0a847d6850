"""Subscriptions: the verbs that follow what is committed. Written by hand.

`database_live.py` is generated from this file by `tools/unasync.py`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from aurora_db.base.codec import seconds
from aurora_db.base.errors import SubscriptionClosed, Timeout
from aurora_db.live.waking import BEHIND, NOTHING, AsyncSleeper
from aurora_db.store.gate import AsyncGate

if TYPE_CHECKING:
    from aurora_db.base.changes import Change, Reset
    from aurora_db.config import Duration
    from aurora_db.live.feed import Feed
    from aurora_db.live.roots import Make
    from aurora_db.live.subscription import Stream
    from aurora_db.store.engine import Engine
    from aurora_db.store.operations import Plans

T = TypeVar("T")


class AsyncSubscription(Generic[T]):
    """What a subscription says, one item after the other: an iterator and a context manager.

    It is meant for one thread or task at a time; `close` may come from any.
    """

    def __init__(self, stream: Stream, gate: AsyncGate) -> None:
        self._stream = stream
        self._gate = gate
        self._sleeper = AsyncSleeper()
        stream.wake = self._sleeper.wake

    @property
    def position(self) -> str | None:
        """The token to go on after what was taken, as `since`; None before the first snapshot was taken whole."""
        return self._stream.position

    async def next(self, timeout: Duration | None = None) -> T:  # noqa: ASYNC109
        """The next item.

        Args:
            timeout: seconds to wait at most; without it, as long as it takes.

        Raises:
            Timeout: (a `TimeoutError`) nothing came.
            SubscriptionClosed: it was closed, here or by closing the database.
            AuroraError: it cannot go on, for that reason.
        """
        ends = None if timeout is None else time.monotonic() + seconds(timeout)
        while True:
            self._sleeper.begin()
            item = self._stream.take()
            if item is BEHIND:
                await self._gate.follow(self._stream.catch_up)
            elif item is not NOTHING:
                return item
            else:
                left = None if ends is None else ends - time.monotonic()
                if (left is not None and left <= 0) or not await self._sleeper.sleep(left):
                    raise Timeout("nothing came within the timeout", hint="it is still open")

    def close(self) -> None:
        """End it; who waits for the next item is told. Twice is no error."""
        self._stream.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.next()
        except SubscriptionClosed:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._stream!r}, position={self.position!r})"


class AsyncLive:
    """What a database tells of what is committed."""

    _engine: Engine
    _plans: Plans
    _feed: Feed

    def listen(
        self,
        name: str,
        where: Mapping[str, Any] | None = None,
        fields: Iterable[str] | None = None,
        since: str | None = None,
    ) -> AsyncSubscription[Change | Reset]:
        """Every change of the collection `name` from now on, in the order of commits.

        Args:
            name: the collection.
            where: only changes of documents that match this where-object before or after.
            fields: leave out updates that change none of these fields.
            since: go on after this position, instead of now.

        Raises:
            UnknownCollection, AqlError: there is no such collection, or the condition is refused.
            ValidationError: `since` is no position of this database.
        """
        from aurora_db.live import listening  # noqa: PLC0415 - few programs listen

        return self._subscribed(
            listening.listener(self._feed, name, where, fields), since, plain=True
        )

    def listen_all(self, since: str | None = None) -> AsyncSubscription[Change | Reset]:
        """Every change of every collection from now on, in the order of commits."""
        from aurora_db.live import listening  # noqa: PLC0415 - few programs listen

        return self._subscribed(listening.listener(self._feed, None, None, None), since, plain=True)

    def _subscribed(
        self, make: Make, since: str | None, *, several: bool = False, plain: bool = False
    ) -> AsyncSubscription[Any]:
        from aurora_db.live import subscription  # noqa: PLC0415 - few programs subscribe

        stream = subscription.opened(self._feed, make, since, several=several, plain=plain)
        return AsyncSubscription(stream, AsyncGate(self._engine))
