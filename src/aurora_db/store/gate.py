"""Who runs a verb: the engine in its own transaction, or an open transaction at once.

Façades are written against a gate, so that `db["users"].insert` and `tx["users"].insert` are one
piece of code. Blocking and asynchronous gates have the same verbs under the same names; the
façade generated from the other differs by the gate's name only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from aurora_db.aql.catalog import Catalog
from aurora_db.base.errors import TransactionError
from aurora_db.store.engine import Engine
from aurora_db.store.held import Held
from aurora_db.store.port import Port, Verb, finish
from aurora_db.store.waiting import Single

if TYPE_CHECKING:
    from aurora_db.store.topics import Posted

if TYPE_CHECKING:
    from aurora_db.store.cache import HotCache

T = TypeVar("T")


class Gate:
    """Each verb is a transaction of its own; the caller's thread waits for it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        #: Called after each write, where somebody wants to follow at once; else None.
        self.after: Callable[[], None] | None = None

    @property
    def catalog(self) -> Catalog:
        """The definitions as last seen."""
        return self._engine.catalog

    @property
    def hot(self) -> HotCache | None:
        """What reads may be answered from."""
        return self._engine.hot

    def read(self, verb: Verb[T], *, bounded: bool = False, single: bool = False) -> T:
        """Run a reading verb."""
        del bounded  # no event loop could be held up
        return self._engine.read(verb, single=single)

    def follow(self, verb: Verb[T]) -> T:
        """Run a reading verb once, by the definitions of its snapshot."""
        return self._engine.follow(verb)

    def write(self, verb: Verb[T] | Single[T], *, exclusive: bool = False) -> T:
        """Run a writing verb; when it returns, its effects are on disk."""
        written = self._engine.write(verb, exclusive=exclusive)
        if self.after is not None:
            self.after()
        return written

    def post(self, message: Posted) -> None:
        """Hand an ephemeral message on."""
        self._engine.publish(message)

    def offload(self, work: Callable[[], T]) -> T:
        """Run something that blocks; the caller waits anyway."""
        return work()


class AsyncGate:
    """Each verb is a transaction of its own; the event loop goes on meanwhile."""

    def __init__(self, engine: Engine) -> None:
        import asyncio  # noqa: PLC0415 - a blocking program does without

        self._engine = engine
        self._running_loop = asyncio.get_running_loop
        self._to_thread = asyncio.to_thread
        #: Awaited after each write, where somebody wants to follow at once; else None.
        self.after: Callable[[], Awaitable[None]] | None = None

    @property
    def catalog(self) -> Catalog:
        """The definitions as last seen."""
        return self._engine.catalog

    @property
    def hot(self) -> HotCache | None:
        """What reads may be answered from."""
        return self._engine.hot

    async def read(self, verb: Verb[T], *, bounded: bool = False, single: bool = False) -> T:
        """Run a reading verb: inline when it is bounded, else on a reader thread."""
        if bounded:
            # A hop to a thread costs more than the read.
            return self._engine.read(verb, single=single)
        return await self._engine.read_async(verb, bounded=False)

    async def follow(self, verb: Verb[T]) -> T:
        """Run a reading verb once, by the definitions of its snapshot; on a reader thread."""
        return await self._engine.follow_async(verb)

    def write(self, verb: Verb[T] | Single[T], *, exclusive: bool = False) -> Awaitable[T]:
        """Run a writing verb; when it was awaited, its effects are on disk."""
        # A coroutine around the future would cost each write another hop.
        future = self._engine.submit(verb, self._running_loop(), exclusive=exclusive)
        return future if self.after is None else _followed(future, self.after)

    def post(self, message: Posted) -> None:
        """Hand an ephemeral message on; it never blocks."""
        self._engine.publish(message)

    async def offload(self, work: Callable[[], T]) -> T:
        """Run something that blocks on a thread of its own."""
        return await self._to_thread(work)


class HeldGate:
    """Verbs run at once inside one open transaction."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._port = held.port

    #: A transaction sees its own writes, which no cache has.
    hot: HotCache | None = None

    @property
    def catalog(self) -> Catalog:
        """The definitions as this transaction sees them."""
        return self._port.catalog

    def read(self, verb: Verb[T], *, bounded: bool = False, single: bool = False) -> T:
        """Run a reading verb."""
        del bounded, single
        self._held.check()
        return finish(verb(self._port))

    def write(self, verb: Verb[T] | Single[T], *, exclusive: bool = False) -> T:
        """Run a writing verb; it is committed or rolled back with the transaction."""
        self._held.check()
        if exclusive:
            raise not_here()
        return finish(_held(self._port, verb))

    def post(self, message: Posted) -> None:
        """Hand an ephemeral message on when the transaction has been committed."""
        self._held.check()
        self._port.post(message)

    def offload(self, work: Callable[[], T]) -> T:
        """Run something that blocks; the caller waits anyway."""
        return work()


class AsyncHeldGate:
    """The asynchronous form of `HeldGate`; a statement on SQLite never suspends."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._port = held.port

    #: A transaction sees its own writes, which no cache has.
    hot: HotCache | None = None

    @property
    def catalog(self) -> Catalog:
        """The definitions as this transaction sees them."""
        return self._port.catalog

    async def read(self, verb: Verb[T], *, bounded: bool = False, single: bool = False) -> T:
        """Run a reading verb."""
        del bounded, single
        self._held.check()
        return await verb(self._port)

    async def write(self, verb: Verb[T] | Single[T], *, exclusive: bool = False) -> T:
        """Run a writing verb; it is committed or rolled back with the transaction."""
        self._held.check()
        if exclusive:
            raise not_here()
        return await _held(self._port, verb)

    def post(self, message: Posted) -> None:
        """Hand an ephemeral message on when the transaction has been committed."""
        self._held.check()
        self._port.post(message)

    async def offload(self, work: Callable[[], T]) -> T:
        """Run something that blocks on a thread of its own."""
        import asyncio  # noqa: PLC0415 - a blocking program does without

        return await asyncio.to_thread(work)


async def _followed(written: Awaitable[T], after: Callable[[], Awaitable[None]]) -> T:
    result = await written
    await after()
    return result


def not_here() -> TransactionError:
    """The refusal of what must have a transaction of its own."""
    return TransactionError(
        "relations lead to the collection, so it cannot be changed inside a transaction",
        hint="run it by db.execute, outside of the block",
    )


async def _held(port: Port, verb: Verb[T] | Single[T]) -> Any:
    if not isinstance(verb, Single):
        return await verb(port)
    await port.batch(verb.statement, [verb.params])
    if verb.topic is not None:
        port.touch(verb.topic, verb.urgency)
    return verb.result
