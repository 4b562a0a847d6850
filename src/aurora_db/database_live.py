"""Subscriptions of the blocking façade.

Generated from aio_live.py by tools/unasync.py; do not edit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from aurora_db.aql.builder import Chain, checked_name, subscription
from aurora_db.base.codec import seconds
from aurora_db.base.errors import DatabaseClosed, SubscriptionClosed, Timeout, ValidationError
from aurora_db.live.holding import Hold, hold
from aurora_db.live.waking import BEHIND, NOTHING, Sleeper
from aurora_db.store import documents
from aurora_db.store.gate import Gate

if TYPE_CHECKING:
    from aurora_db.aql.catalog import Collection
    from aurora_db.base.changes import Change, Consumer, Document, Reset
    from aurora_db.config import Duration
    from aurora_db.database import Transaction
    from aurora_db.database_query import Query
    from aurora_db.live.durable import Held
    from aurora_db.live.feed import Feed
    from aurora_db.live.roots import Make
    from aurora_db.live.subscription import Progress, Stream
    from aurora_db.store.engine import Engine
    from aurora_db.store.operations import Plans

T = TypeVar("T")


class Subscription(Generic[T]):
    """What a subscription says, one item after the other: an iterator and a context manager.

    Several threads or tasks may take from it: each item goes to one of them. `close` may come from any.
    """

    def __init__(
        self,
        stream: Stream,
        gate: Gate,
        shown: Callable[[Any], Any] | None = None,
        consumer: Held | None = None,
    ) -> None:
        self._stream = stream
        self._gate = gate
        #: The durable consumer that it has.
        self._consumer = consumer
        #: Makes what the user gets of what the stream says; NOTHING for what the user does not.
        self._shown = shown
        self._sleeper = Sleeper()
        stream.wake = self._sleeper.wake

    @property
    def position(self) -> str | None:
        """The token to go on after what was taken, as `since`; None before the first snapshot was taken whole."""
        silent = getattr(self._shown, "silent", None)
        if silent is not None:
            # The end of a snapshot is no item of this one, and nothing is missing when it is next.
            self._stream.pass_over(silent)
        return self._stream.position

    @property
    def reason(self) -> str | None:
        """Why it began anew the last time: "history" or "definition"; None while it did not."""
        return self._stream.reason

    def next(self, timeout: Duration | None = None) -> T:  # noqa: ASYNC109
        """The next item.

        Args:
            timeout: seconds to wait at most; without it, as long as it takes.

        Raises:
            Timeout: (a `TimeoutError`) nothing came.
            SubscriptionClosed: it was closed, here or by closing the database.
            AuroraError: it cannot go on, for that reason.
        """
        if self._consumer is not None and not self._consumer.taken:
            self._consumer.have(self._gate.write(self._consumer.take))
        ends = None if timeout is None else time.monotonic() + seconds(timeout)
        while True:
            wakes = self._sleeper.begin()
            item = self._stream.take()
            if item is BEHIND:
                self._catch_up()
            elif item is not NOTHING:
                shown = item if self._shown is None else self._shown(item)
                if shown is not NOTHING:
                    return shown
            else:
                left = None if ends is None else ends - time.monotonic()
                if left is not None and left <= 0:
                    raise Timeout("nothing came within the timeout", hint="it is still open")
                held = self._stream.waits
                self._sleeper.sleep(
                    wakes, min((one for one in (left, held) if one is not None), default=None)
                )

    def _catch_up(self) -> None:
        try:
            self._gate.follow(self._stream.catch_up)
        except DatabaseClosed:
            # Closing the database ends its subscriptions, and that is what is told.
            if not self._stream.closed:
                raise

    def ack(self, tx: Transaction | None = None) -> None:
        """Note that everything taken so far was dealt with: the durable consumer goes on after it.

        Args:
            tx: an open transaction, with which it commits: what the changes have led to and the
                position are on disk together, or neither is.

        Raises:
            SubscriptionClosed: another subscription has the consumer now, or it was forgotten.
            ValidationError: the subscription has no durable consumer.
        """
        if self._consumer is None:
            raise ValidationError(
                "the subscription has no durable consumer to acknowledge for",
                hint='name one: db.listen("orders", consumer="mailer")', field="consumer", rule="consumer",
            )  # fmt: skip
        verb = self._consumer.acknowledge()
        if verb is not None:
            (self._gate if tx is None else tx.gate).write(verb)

    def close(self) -> None:
        """End it; who waits for the next item is told. Twice is no error."""
        self._stream.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        try:
            return self.next()
        except SubscriptionClosed:
            raise StopIteration from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        stream = getattr(self, "_stream", None)
        if stream is not None:
            stream.abandon()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._stream!r}, position={self.position!r})"


class Live:
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
        *,
        consumer: str | None = None,
    ) -> Subscription[Change | Reset]:
        """Every change of the collection `name` from now on, in the order of commits.

        Args:
            name: the collection.
            where: only changes of documents that match this where-object before or after.
            fields: leave out updates that change none of these fields.
            since: go on after this position, instead of now.
            consumer: go on after what this durable consumer has acknowledged; one that is new begins
                now, with the first `next`.

        Raises:
            UnknownCollection, AqlError: there is no such collection, or the condition is refused.
            ValidationError: `since` is no position of this database, or stands beside `consumer`.
            ReadOnly: a durable consumer cannot be kept in a database that is not written.
        """
        return self._listening(name, where, fields, since, consumer)

    def listen_all(
        self, since: str | None = None, *, consumer: str | None = None
    ) -> Subscription[Change | Reset]:
        """Every change of every collection from now on, in the order of commits; see `listen`."""
        return self._listening(None, None, None, since, consumer)

    def _listening(
        self,
        name: str | None,
        where: Mapping[str, Any] | None,
        fields: Iterable[str] | None,
        since: str | None,
        consumer: str | None,
    ) -> Subscription[Change | Reset]:
        from aurora_db.live import listening  # noqa: PLC0415 - few programs listen

        make = listening.listener(self._feed, name, where, fields)
        if consumer is None:
            return self._subscribed(make, since, plain=True)
        from aurora_db.live import durable  # noqa: PLC0415 - few of them durably

        held = durable.held(self._feed, make, consumer, since)
        return Subscription(held.stream, Gate(self._engine), consumer=held)

    def consumers(self) -> list[Consumer]:
        """The durable consumers by name: how far each has come, and whether it has lost something."""
        from aurora_db.store import consumers  # noqa: PLC0415 - few programs have some

        return Gate(self._engine).read(consumers.listed)

    def forget_consumer(self, name: str) -> None:
        """Remove a durable consumer: nothing is kept for it any more.

        Raises:
            NotFound: there is none of this name.
        """
        from aurora_db.store import consumers  # noqa: PLC0415 - few programs have some

        Gate(self._engine).write(partial(consumers.forget, name=name))

    def group(self, **queries: Query) -> Subscription[dict[str, list[Document]]]:
        """Several live queries that move together: `db.group(orders=db.query("orders"), users=db.query("users"))`.

        Each item has the whole list of each query by its name, all at one position: at first at once,
        then whenever one of them differs.

        Raises:
            ValidationError: there is no query, or one is not of this database.
        """
        from aurora_db.live import streaming  # noqa: PLC0415 - few programs follow queries

        if not queries:
            raise ValidationError(
                "a group has a query at least",
                hint='db.group(orders=db.query("orders"))', rule="group",
            )  # fmt: skip
        chains = {
            checked_name(name, "a group"): query.chain_of(self) for name, query in queries.items()
        }
        return self.follow(chains, "RESULTS", None, streaming.Whole(), several=True)

    def definition(self, name: str) -> Collection:
        """The definition of a collection as last seen.

        Raises:
            UnknownCollection: there is none of this name.
        """
        return documents.readable(self._engine.catalog, name)

    def follow(
        self,
        chains: Mapping[str, Chain],
        mode: str,
        since: str | None,
        shown: Callable[[Any], Any],
        *,
        several: bool = False,
    ) -> Subscription[Any]:
        """A subscription to what the fluent builder describes, which calls this: `watch`, `live`."""
        from aurora_db.live import streaming, watching  # noqa: PLC0415 - few programs follow queries

        text, variables = subscription(chains, mode)
        followed = streaming.Followed(self._feed, self._plans, text, variables, None, None)
        debounce = max(chain.debounce for chain in chains.values())
        throttle = max(chain.throttle for chain in chains.values())
        make = followed.make if mode == "RESULTS" else watching.unmarked(followed.make)
        return self._subscribed(
            make, since, several=several, hold=hold(debounce, throttle), shown=shown
        )

    def stream(
        self,
        text: str,
        variables: Mapping[str, Any] | None = None,
        *,
        since: str | None = None,
        operation: str | None = None,
        auth: Mapping[str, Any] | None = None,
    ) -> Subscription[dict[str, Any]]:
        """Follow a text of AQL: one subscription, or one query.

        What a subscription says is an object by the keys of its roots: events in mode CHANGES, else
        whole results. Of a query each item is what `execute` would give, at first at once, then
        whenever it differs.

        Args:
            text: a text of one operation, or of several of which `operation` names one.
            variables: values for the declared variables, by name without the dollar.
            since: go on after this position; the text may say it instead.
            operation: the name of the operation to follow.
            auth: claims of the caller, as for `execute`.

        Raises:
            AqlError: the text is refused, or is a mutation.
            NotFound: the text has several operations, and none was chosen.
            Unauthenticated, AccessDenied: `auth` lacks what the text demands.
            ValidationError: `since` is no position of this database.
        """
        from aurora_db.live import streaming  # noqa: PLC0415 - few programs follow texts

        followed = streaming.Followed(self._feed, self._plans, text, variables, operation, auth)
        return self._subscribed(
            followed.make, followed.since(since), several=True, hold=followed.hold(),
            shown=streaming.Whole() if followed.is_query else None, progress=followed.progress(),
        )  # fmt: skip

    def _subscribed(
        self,
        make: Make,
        since: str | None,
        *,
        several: bool = False,
        plain: bool = False,
        hold: Hold | None = None,
        shown: Callable[[Any], Any] | None = None,
        progress: Progress | None = None,
    ) -> Subscription[Any]:
        from aurora_db.live import subscription as streams  # noqa: PLC0415 - few programs subscribe

        stream = streams.opened(
            self._feed, make, since, several=several, plain=plain, hold=hold, progress=progress
        )
        return Subscription(stream, Gate(self._engine), shown)
