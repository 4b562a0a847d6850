"""Operations that wait for their commit, and how their callers hear of its end."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import msgspec

from aurora_db.aql.catalog import Catalog, Collection
from aurora_db.base.errors import AuroraError
from aurora_db.sql.statement import Batch
from aurora_db.store import causes
from aurora_db.store.port import Port, Verb

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


class Single(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """An operation of exactly one statement over one row of parameters.

    Neighbours with the same statement in a batch run as one. `collection` is what it was made for; where
    that has been changed since, `again` runs instead with `source`.
    """

    statement: Batch
    params: Sequence[Any]
    result: T
    topic: str | None = None
    urgency: int = 0
    collection: Collection | None = None
    source: Any = None
    again: Callable[[Port, Any], Coroutine[Any, Any, T]] | None = None

    def is_stale(self, catalog: Catalog) -> bool:
        """Whether the collection is another one now."""
        made_for = self.collection
        if made_for is None:
            return False
        now = catalog.collections.get(made_for.name)
        return now is not made_for and now != made_for


class Waiting:
    """One operation in the queue and what became of it."""

    __slots__ = (
        "cause", "done", "durable", "error", "exclusive", "future", "joins", "loop", "result", "verb",
    )  # fmt: skip

    def __init__(self, verb: Verb[Any] | Single[Any], durable: bool, exclusive: bool) -> None:
        self.verb = verb
        #: The job whose handler asks for it.
        self.cause = causes.CURRENT.get()
        self.durable = durable
        #: It has a transaction of its own, with foreign keys off.
        self.exclusive = exclusive
        #: The statement that neighbours may share.
        self.joins: Batch | None = None
        self.result: Any = None
        if verb.__class__ is Single:
            single = cast("Single[Any]", verb)
            self.result = single.result
            self.joins = single.statement
        self.done = False
        self.error: BaseException | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.future: asyncio.Future[Any] | None = None

    @property
    def is_quiet(self) -> bool:
        """Whether the feed has nothing of the document that a single statement writes."""
        collection = cast("Single[Any]", self.verb).collection
        return collection is not None and collection.quiet

    def is_stale(self, catalog: Catalog) -> bool:
        """Whether the collection that a single statement was made for is another one now."""
        single = cast("Single[Any]", self.verb)
        return single.collection is not None and single.is_stale(catalog)


def interrupted(cause: BaseException) -> AuroraError:
    """The error of operations whose batch ended by what is no failure of theirs."""
    error = AuroraError(
        "the write was interrupted before it was known to be committed",
        hint="look whether it is there before you write again",
    )
    error.__cause__ = cause
    return error


def fail(batch: Sequence[Waiting], error: AuroraError) -> None:
    """Give all operations of a batch the same error."""
    for waiting in batch:
        waiting.error = error


def resolve(batch: Sequence[Waiting], ring: Callable[[], None]) -> None:
    """Tell the tasks whose operations have ended; `ring` is called when all of them have gone on."""
    for loop in {waiting.loop for waiting in batch}:
        if loop is None:
            continue
        try:
            loop.call_soon_threadsafe(
                _settle, loop, [one for one in batch if one.loop is loop], ring
            )
        except RuntimeError:
            # The loop was closed while its writes were committed: nobody waits any more.
            continue


def _settle(
    loop: asyncio.AbstractEventLoop, batch: Sequence[Waiting], ring: Callable[[], None]
) -> None:
    for waiting in batch:
        future = waiting.future
        if future is None or future.done():
            continue
        if waiting.error is None:
            future.set_result(waiting.result)
        else:
            future.set_exception(waiting.error)
    # After the tasks that wake now: what they write shall be one batch.
    loop.call_soon(ring)
