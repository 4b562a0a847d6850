"""What a job handler sees of its job: the record of this attempt, and its completion."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from aurora_db.base.codec import decode, encode
from aurora_db.base.errors import JobError
from aurora_db.base.records import Job, Priority
from aurora_db.jobs import crash, flow, progress, queue
from aurora_db.jobs.attempt import Attempt, Fate
from aurora_db.jobs.handlers import Jobs, Snooze
from aurora_db.jobs.progress import Done
from aurora_db.jobs.queue import Settlement
from aurora_db.store.engine import Engine
from aurora_db.store.held import Held
from aurora_db.store.port import Port, finish

if TYPE_CHECKING:
    # The façades are above this floor; they are only named here, for type checkers.
    from aurora_db.aio import AsyncTransaction
    from aurora_db.database import Transaction
    from aurora_db.jobs.membership import JobBatch
    from aurora_db.jobs.steps import Steps

#: Makes the face of an open transaction: takes it and where to put the result of the job, if it has one.
MakeTransaction = Callable[[Held, Callable[[object], None] | None], Any]

#: Makes the bench of a child process, from the path of the database, its durability, the seconds
#: that its feed is kept and the registry of the handler; with it comes how to close.
Elsewhere = Callable[[str, str, float, Jobs], "tuple[Bench, Callable[[], None]]"]


class Bench(msgspec.Struct, frozen=True):
    """What the attempts of one worker share."""

    engine: Engine
    make_transaction: MakeTransaction
    make_async_transaction: MakeTransaction
    registry: Jobs
    #: Opens the database in a child process; by its name it is found there.
    elsewhere: Elsewhere | None = None


class JobContext:
    """One attempt of one job, as its handler sees it."""

    def __init__(self, bench: Bench, attempt: Attempt, payload: Any) -> None:
        claimed = attempt.job
        self._bench = bench
        self._attempt = attempt
        self._claimed = claimed
        self._completing: Completing | None = None
        self._steps: Steps | None = None
        #: When the sleep ends that the handler was to leave for.
        self.sleeps_until: datetime | None = None
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
    def cause(self) -> dict[str, Any] | None:
        """What enqueued the job: the schedule and its due time, the event handler and the document,
        or the job before; None for one that a program enqueued.
        """
        row = self._bench.engine.read(lambda port: queue.get(port, self.id), single=True)
        return None if row is None else row.cause

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
        """Whether this attempt shall end: its time is over, the job was cancelled or is lost, or
        the worker stops.

        A handler in a thread should look from time to time: nobody can end it. What it returns
        does not count then, and `completing()` raises `LeaseLost`.
        """
        return self._attempt.fate is not None

    def wait_cancelled(self, timeout: float | None = None) -> bool:
        """Wait up to `timeout` seconds for `cancelled`; whether it is so.

        Instead of `time.sleep` in a handler in a thread, which ends at once then.
        """
        return self._attempt.wait(timeout)

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
        self._completing = Completing(self._bench, self._attempt)
        return self._completing

    def step(self, name: str, call: Callable[..., Any], /, *args: Any, **named: Any) -> Any:
        """Do something once for this job, whatever happens to the attempt: its result is stored.

        `call(*args, **named)` runs unless a step of this name was finished by an attempt before; then
        its stored result is returned. In an async handler write `await job.step(…)`; there `call` may
        be a def, which runs in a thread, or an async def. One that has a parameter `tx` gets a
        transaction: its writes, the end of the step and its result commit together; keep it short,
        it holds the writer. Another one is done at least once: it is repeated if the process dies
        before its result is stored.

        Args:
            name: of this step in this job; code may change around it.
            call: what to do. Its result has a JSON form; what comes back is as JSON has it.
            *args: its arguments.
            **named: its arguments by name.

        Raises:
            JobError: the name was used in this attempt, or the job is completed.
            ValidationError: the result has no JSON form.
            LeaseLost: the job belongs to another worker by now; nothing was stored.
        """
        steps = self._begin_step()
        if self._attempt.handler.is_async:
            return steps.run_async(name, call, args, named)
        return steps.run(name, call, args, named)

    def sleep(self, name: str, duration: float | timedelta) -> Any:
        """Go on after `duration` seconds, counted from the first time; meanwhile no slot is held.

        The handler is left by an exception, and begins again when the time has come: then this returns
        at once, as finished steps do. In an async handler write `await job.sleep(…)`.

        Raises:
            JobError: the name was used in this attempt, or the job is completed.
            ValidationError: the duration is no number from 0.
            LeaseLost: the job belongs to another worker by now.
        """
        steps = self._begin_step()
        if self._attempt.handler.is_async:
            return self._sleep_async(steps, name, duration)
        self._leave(steps.sleep(name, duration))
        return None

    async def _sleep_async(self, steps: Steps, name: str, duration: float | timedelta) -> None:
        self._leave(await steps.sleep_async(name, duration))

    def _leave(self, until: datetime | None) -> None:
        """Leave the handler for a sleep that has not ended."""
        if until is not None:
            self.sleeps_until = until
            snooze = Snooze(0)
            snooze.until = until
            raise snooze

    def _begin_step(self) -> Steps:
        self._check()
        if self._steps is None:
            from aurora_db.jobs.steps import Steps  # noqa: PLC0415 - most jobs have none

            self._steps = Steps(self._bench, self._claimed)
        return self._steps

    def progress(self, done: float, note: str | None = None) -> Done:
        """Say how far the job is, for `_jobs.progress` and `progress_note`.

        Costs next to nothing: what was said last is written about ten times a second, and at the end of
        the attempt. A note stays until there is another one. The same in handlers of both kinds.

        Args:
            done: the part that is done, from 0 to 1.
            note: what it is at.

        Raises:
            ValidationError: `done` is not between 0 and 1.
            LeaseLost: it is known that the job belongs to another worker.
        """
        self._check()
        attempt = self._attempt
        attempt.say(progress.report(self._claimed, attempt.report, done, note))
        return progress.DONE

    def heartbeat(self) -> Done:
        """Look whether the job is still this attempt's, and renew its lease.

        A long loop may ask so whether its work still counts. The lease is also renewed without it, by
        the process of the worker. The same in handlers of both kinds.

        Raises:
            LeaseLost: the job belongs to another worker by now, or has ended.
        """
        self._check()
        attempt = self._attempt
        if not self._bench.engine.read(partial(queue.holds, job=self._claimed), single=True):
            attempt.tell(Fate.LOST)
            raise queue.lease_lost(self._claimed)
        if attempt.report is attempt.told:
            # Written with the others' in a moment; a report renews the lease.
            attempt.say(progress.renewal(self._claimed, attempt.report))
        return progress.DONE

    def _check(self) -> None:
        if self.completed:
            raise JobError(
                "the job is completed already", hint="do this before the block of job.completing()"
            )
        if self.cancelled:
            raise queue.lease_lost(self._claimed)

    def __repr__(self) -> str:
        return f"JobContext({self.type!r}, id={self.id!r}, attempt={self.attempt})"


class Completing:
    """The block of `job.completing()`, of both kinds."""

    def __init__(self, bench: Bench, attempt: Attempt) -> None:
        self._bench = bench
        self._attempt = attempt
        self._claimed = attempt.job
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
        report = self._attempt.unwritten
        return Settlement(self._claimed, queue.COMPLETE, result=self._result, report=report)

    def __enter__(self) -> Transaction:
        self._block = self._bench.engine.transaction()
        held = self._held = self._block.__enter__()
        try:
            if not finish(queue.holds(held.port, self._claimed)):
                raise queue.lease_lost(self._claimed)
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
                    raise queue.lease_lost(self._claimed)
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
                raise queue.lease_lost(self._claimed)
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
                    raise queue.lease_lost(self._claimed)
                if crash.hook is not None:
                    crash.hook("in_completing_before_commit", self._bench.engine)
            except BaseException:
                await self._async_block.__aexit__(*sys.exc_info())
                raise
        await self._async_block.__aexit__(kind, error, traceback)
        if completes and crash.hook is not None:
            crash.hook("after_commit_before_ack", self._bench.engine)
        self.committed = completes
