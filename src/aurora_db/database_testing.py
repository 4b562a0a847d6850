"""`db.jobs_testing` of the blocking façade.

Generated from aio_testing.py by tools/unasync.py; do not edit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from aurora_db.base.codec import decode
from aurora_db.base.errors import JobError
from aurora_db.config import Duration
from aurora_db.jobs import crash
from aurora_db.jobs.crash import Crashed
from aurora_db.jobs.drained import DrainResult, Tally
from aurora_db.jobs.handlers import Handler, JobHandler, Jobs, RegisteredJob
from aurora_db.jobs.queue import Claimed, Settlement
from aurora_db.jobs.rehearsal import Rehearsal
from aurora_db.jobs.request import queue_name
from aurora_db.jobs.solo import Solo
from aurora_db.jobs.worker import Workers
from aurora_db.store import causes
from aurora_db.store.engine import Engine
from aurora_db.store.gate import Gate


class JobsTesting(Rehearsal):
    """Jobs in tests: run them in the test's own thread, look at what is enqueued, let workers die."""

    def __init__(self, engine: Engine, gate: Gate, registry: Jobs, workers: Workers) -> None:
        super().__init__(engine, registry)
        self._workers = workers
        #: The gate of the database, which tells when something was written; and one that does not.
        self._front = gate
        self._gate = Gate(engine)
        self._busy = threading.Lock()
        self._touched = False
        engine.listen("jobs", self._heard)

    def drain(
        self,
        type: str | RegisteredJob[..., Any] | None = None,
        *,
        queue: str | None = None,
        limit: int | None = None,
        with_scheduled: bool = False,
        raises: bool = False,
    ) -> DrainResult:
        """Run the jobs that are due, one after the other, by urgency, and those that they enqueue.

        It is a worker that begins, works until nothing is left, and ends: what a dead worker held is
        rescued first, and each attempt is claimed, run and settled as in life. Async handlers run on
        an event loop; `process=True` ones run here as well.

        Args:
            type: only jobs of this type.
            queue: only jobs of this queue.
            limit: attempts at most.
            with_scheduled: move the clock on to the next scheduled job when nothing else is due.
            raises: raise what makes an attempt fail, when that is settled.

        Raises:
            JobError: workers of this database run, or a handler called this; or it does not end.
            UnknownJobType: no handler of this type is registered here.
            ValidationError: the limit is no number from 0, or the queue no name.
        """
        tally = Tally(limit, raises=raises)
        if queue is not None:
            queue_name(queue)
        if causes.CURRENT.get() is not None or not self._busy.acquire(blocking=False):
            raise JobError(
                "the queue is being drained already",
                hint="a handler's own jobs run when it has returned; do not drain inside a handler",
            )
        try:
            self._work(tally, self.types_of(type), queue, with_scheduled=with_scheduled)
        finally:
            self._busy.release()
        return tally.result()

    def _work(
        self,
        tally: Tally,
        types: tuple[str, ...] | None,
        queue: str | None,
        *,
        with_scheduled: bool,
    ) -> None:
        worker = self._workers.solo(queue)
        try:
            self._gate.write(worker.arrive)
            worker.bury()
            tally.rescued = worker.rescued
            take = partial(worker.take, types=types)
            due = partial(worker.next_due, types=types)
            while tally.goes_on():
                job = self._gate.write(take)
                if job is not None:
                    self._one(worker, job, tally)
                elif not with_scheduled or not self.skip_to(self._gate.read(due, bounded=True)):
                    break
            tally.pending = self._gate.read(worker.pending, bounded=True)
            self._gate.write(worker.leave)
        except Crashed:
            worker.die()
            raise
        except BaseException:
            self._gate.write(worker.leave)
            raise
        finally:
            worker.close()

    def _one(self, worker: Solo, job: Claimed, tally: Tally) -> None:
        if crash.hook is not None:
            crash.hook("after_claim", self._engine)
        attempt = worker.begin(job)
        try:
            settlement = worker.ended(attempt, worker.attempt(attempt))
        except KeyboardInterrupt:
            self._gate.write(partial(worker.release, job=job))
            raise
        if settlement is None:
            completed = partial(worker.completed, job=job)
            tally.settled_itself(completed=self._gate.read(completed, bounded=True))
            return
        held = attempt.gone or self._gate.write(partial(worker.settle, settlement=settlement))
        if crash.hook is not None:
            crash.hook("after_commit_before_ack", self._engine)
        tally.settled(settlement, worker.raised, held=held)

    def perform(
        self,
        handler: str | RegisteredJob[..., Any] | JobHandler | Callable[..., Any],
        payload: object = None,
        *,
        attempt: int = 1,
        failures: int = 0,
        retries: int | None = None,
        priority: Any = None,
        queue: str | None = None,
        timeout: Duration | None = None,  # noqa: ASYNC109 - of the attempt
        tags: tuple[str, ...] = (),
    ) -> Any:
        """Run one attempt of a handler without a job in the queue; returns its result as JSON types.

        The payload is validated, and the `JobContext` works: what `completing` commits stays, but
        the job itself is gone afterwards. Whatever the handler raises is raised here.

        Args:
            handler: a job type, or what handles it: a function, a registered one, a `JobHandler`.
            payload: as of `enqueue_job`.
            attempt: the number of this attempt, from 1.
            failures: how many attempts have failed before, `job.retries`.
            retries: attempts in all, `job.max_retries`.
            priority: as of `enqueue_job`.
            queue: as of `enqueue_job`.
            timeout: as of `enqueue_job`; it counts by the clock in the test's hand.
            tags: as of `enqueue_job`.

        Raises:
            UnknownJobType: no handler of this type is registered here.
            PayloadInvalid: the payload is not what the handler declares.
            JobError: workers of this database run.
        """
        found = self.handler_of(handler)
        wanted = self.request_of(found, payload, priority, retries, queue, timeout, tags)
        self.check_numbers(attempt, failures)
        worker = self._workers.solo()
        make = partial(worker.make, wanted=wanted, attempt=attempt, retries=failures)
        try:
            self._gate.write(worker.arrive)
            job = self._gate.write(make)
            return self._performed(worker, job, found)
        finally:
            self._gate.write(worker.leave)
            worker.close()

    def _performed(self, worker: Solo, job: Claimed, handler: Handler) -> Any:
        one = worker.begin(job, handler)
        settlement: Settlement | None = None
        try:
            settlement = worker.ended(one, worker.attempt(one))
        except Crashed:
            worker.thaw()
            raise
        finally:
            stored = self._gate.write(partial(worker.unmake, job=job))
        if settlement is None and worker.raised is not None:
            raise worker.raised
        if settlement is None:
            return None if stored is None else decode(stored)
        return self.returned(settlement, worker.raised)

    # --- inline mode ------------------------------------------------------------------------

    def _heard(self, _urgency: int) -> None:
        self._touched = True

    def _set_inline(self, inline: bool) -> None:
        self._touched = False
        self._front.after = self.committed if inline else None

    def committed(self) -> None:
        """Something was committed: in inline mode, run what is due by that."""
        if self._front.after is None or causes.CURRENT.get() is not None:
            # What a handler enqueues runs when it has returned.
            return
        while self._touched and self._busy.acquire(blocking=False):
            try:
                self._touched = False
                self._work(self.inline_tally(), None, None, with_scheduled=False)
            finally:
                self._busy.release()
