"""What a job handler sees of its job: the record of this attempt, and its completion."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from aurora_db.base.codec import decode, encode
from aurora_db.base.errors import JobError, LeaseLost
from aurora_db.base.records import Job, Priority
from aurora_db.jobs import crash, flow, queue
from aurora_db.jobs.handlers import Handler, Jobs
from aurora_db.jobs.queue import Claimed, Settlement
from aurora_db.store.engine import Engine
from aurora_db.store.held import Held
from aurora_db.store.port import Port, finish

if TYPE_CHECKING:
    import asyncio

    # The façades are above this floor; they are only named here, for type checkers.
    from aurora_db.aio import AsyncTransaction
    from aurora_db.database import Transaction
    from aurora_db.jobs.membership import JobBatch

#: Makes the face of an open transaction: takes it and where to put the result of the job.
MakeTransaction = Callable[[Held, Callable[[object], None]], Any]


class Bench(msgspec.Struct, frozen=True):
    """What the attempts of one worker share."""

    engine: Engine
    make_transaction: MakeTransaction
    make_async_transaction: MakeTransaction
    registry: Jobs


class Attempt:
    """One attempt in its slot.

    `late` since its time is over; `gone` since its slot was given to others: what it still does
    does not count any more.
    """

    __slots__ = ("deadline", "gone", "handler", "job", "late", "slot", "task", "thread")

    def __init__(self, job: Claimed, handler: Handler, slot: int, deadline: float) -> None:
        self.job = job
        self.handler = handler
        self.slot = slot
        self.deadline = deadline
        self.late = False
        self.gone = False
        #: The thread in which the handler runs; the task of an async one.
        self.thread = threading.current_thread()
        self.task: asyncio.Task[None] | None = None


class JobContext:
    """One attempt of one job, as its handler sees it."""

    def __init__(self, bench: Bench, attempt: Attempt, payload: Any) -> None:
        claimed = attempt.job
        self._bench = bench
        self._attempt = attempt
        self._claimed = claimed
        self._completing: Completing | None = None
        self.id = claimed.id
        self.type = claimed.type
        #: The payload as it was enqueued, plain JSON types.
        self.payload: Any = payload
        self.attempt = claimed.attempt
        #: Failures so far, and the number of attempts in all.
        self.retries = claimed.retries
        self.max_retries = claimed.max_retries
        self.queue = claimed.queue
        self.priority = Priority(claimed.priority)

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags given when it was enqueued."""
        return tuple(decode(self._claimed.tags)) if self._claimed.tags else ()

    @property
    def batch(self) -> JobBatch | None:
        """The batch, or the flow, that this job belongs to; None when it stands alone."""
        from aurora_db.jobs import membership  # noqa: PLC0415 - most jobs stand alone

        return membership.of(self._bench, self._claimed, is_async=self._attempt.handler.is_async)

    def dependencies(self) -> dict[str, Job]:
        """The jobs that this one waited for, by their names in its flow, or else by id."""
        return self._bench.engine.read(lambda port: flow.dependencies(port, self._claimed.n))

    def results(self) -> dict[str, Any]:
        """What these jobs returned, by the same names; None for one that did not complete."""
        return {name: one.result for name, one in self.dependencies().items()}

    @property
    def cancelled(self) -> bool:
        """Whether the time of this attempt is over, so that a handler in a thread should end.

        What it returns now does not count, and `completing()` raises `LeaseLost`.
        """
        return self._attempt.late

    @property
    def completed(self) -> bool:
        """Whether `completing()` has committed."""
        return self._completing is not None and self._completing.committed

    def completing(self) -> Completing:
        """The transaction in which effects, result and completion commit together.

        `with job.completing() as tx` in sync handlers, `async with` in async ones; keep it
        short, it holds the writer. The job is completed by that commit. A block left by an
        exception commits nothing, and the attempt fails as usual.

        Raises:
            JobError: it was used in this attempt before.
            LeaseLost: (when entered or left) the job belongs to another worker by now.
        """
        if self._completing is not None:
            raise JobError(
                "job.completing() was used in this attempt already",
                hint="put everything that must commit together into one block",
            )
        self._completing = Completing(self._bench, self._claimed)
        return self._completing

    def __repr__(self) -> str:
        return f"JobContext({self.type!r}, id={self.id!r}, attempt={self.attempt})"


class Completing:
    """The block of `job.completing()`, of both kinds."""

    def __init__(self, bench: Bench, claimed: Claimed) -> None:
        self._bench = bench
        self._claimed = claimed
        self._result: str | None = None
        self._held: Held | None = None
        self._block: AbstractContextManager[Held] | None = None
        self._async_block: AbstractAsyncContextManager[Held] | None = None
        self.committed = False

    @property
    def port(self) -> Port:
        """The open transaction, for what runs on this floor."""
        assert self._held is not None
        return self._held.port

    def _set_result(self, value: object) -> None:
        self._result = encode(value)

    def _settlement(self) -> Settlement:
        return Settlement(self._claimed, queue.COMPLETE, result=self._result)

    def _lost(self) -> LeaseLost:
        return LeaseLost(
            f"job '{self._claimed.id}' belongs to another worker or has ended; nothing was written",
            hint="the handler ran longer than its process could hold the lease; make the work idempotent",
        )

    def __enter__(self) -> Transaction:
        self._block = self._bench.engine.transaction()
        held = self._held = self._block.__enter__()
        try:
            if not finish(queue.holds(held.port, self._claimed)):
                raise self._lost()
        except BaseException:
            self._block.__exit__(*sys.exc_info())
            raise
        return self._bench.make_transaction(held, self._set_result)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._block is not None
        assert self._held is not None
        completes = error is None and self._held.open
        if completes:
            try:
                if finish(queue.settle(self._held.port, [self._settlement()])):
                    raise self._lost()
                if crash.hook is not None:
                    crash.hook("in_completing_before_commit", self._bench.engine)
            except BaseException:
                self._block.__exit__(*sys.exc_info())
                raise
        self._block.__exit__(kind, error, traceback)
        if completes and crash.hook is not None:
            crash.hook("after_commit_before_ack", self._bench.engine)
        self.committed = completes

    async def __aenter__(self) -> AsyncTransaction:
        self._async_block = self._bench.engine.transaction_async()
        held = self._held = await self._async_block.__aenter__()
        try:
            if not await queue.holds(held.port, self._claimed):
                raise self._lost()
        except BaseException:
            await self._async_block.__aexit__(*sys.exc_info())
            raise
        return self._bench.make_async_transaction(held, self._set_result)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._async_block is not None
        assert self._held is not None
        completes = error is None and self._held.open
        if completes:
            try:
                if await queue.settle(self._held.port, [self._settlement()]):
                    raise self._lost()
                if crash.hook is not None:
                    crash.hook("in_completing_before_commit", self._bench.engine)
            except BaseException:
                await self._async_block.__aexit__(*sys.exc_info())
                raise
        await self._async_block.__aexit__(kind, error, traceback)
        if completes and crash.hook is not None:
            crash.hook("after_commit_before_ack", self._bench.engine)
        self.committed = completes
