"""The verbs on jobs of the blocking façade.

Generated from aio_jobs.py by tools/unasync.py; do not edit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from aurora_db.base.records import Batch, Job, Priority
from aurora_db.config import Duration
from aurora_db.jobs import batches
from aurora_db.jobs import queue as job_queue
from aurora_db.jobs import schedule as job_schedules
from aurora_db.jobs import verbs as job_verbs
from aurora_db.jobs.handlers import Jobs
from aurora_db.jobs.planning import BatchBlock, FlowBlock
from aurora_db.jobs.request import OnFailure, Request
from aurora_db.jobs.schedule import Schedule
from aurora_db.jobs.unique import Unique, checked
from aurora_db.store.engine import Engine
from aurora_db.store.gate import Gate, HeldGate


class JobCalls:
    """What a database and an open transaction do with jobs."""

    _engine: Engine
    _gate: Gate | HeldGate
    _jobs: Jobs

    def enqueue_job(
        self,
        type: str,
        payload: object = None,
        priority: Priority | int | str = Priority.NORMAL,
        *,
        retries: int | None = None,
        delay: Duration | None = None,
        run_at: datetime | None = None,
        queue: str | None = None,
        timeout: Duration | None = None,  # noqa: ASYNC109 - of the job's attempts, not of this call
        tags: Sequence[str] = (),
        backoff: object = None,
        unique: Unique | str | bool | None = None,
        after: Sequence[str] = (),
        on_dependency_failure: OnFailure = "cancel",
        batch: str | None = None,
    ) -> Job:
        """Put a job into the queue; when this returns, the job survives a power cut.

        Args:
            type: what kind of work; some process registers a job handler for it.
            payload: anything with a JSON form; keep it small, a path or an id.
            priority: CRITICAL, HIGH, NORMAL or LOW, as `Priority`, word or number.
            retries: attempts in all, from 1; the type's own, else 3.
            delay: seconds to wait before the first attempt.
            run_at: the instant of the first attempt, aware; instead of `delay`.
            queue: the named lane; the type's own, else "default".
            timeout: seconds that one attempt may take; the type's own, else 300.
            tags: words to find the job by.
            backoff: what to wait after a failure: seconds, a list of them, or a policy.
            unique: True for one job of this type and payload at a time, a text such as
                "${customer}" for one of this key, or a `Unique` with more to say. What is returned
                may be the job that was there: its `conflict` is True then.
            after: ids of jobs that must end first.
            on_dependency_failure: what becomes of this job when one of them fails or is
                cancelled: "cancel", or "run".
            batch: the id of a batch or a flow that has not finished, to add the job to it.

        Raises:
            PayloadInvalid: the payload is not what the registered handler declares.
            ValidationError: an option is outside its range.
            NotFound: a job named in `after`, or the batch, does not exist.
            JobError: the batch has finished.
        """
        clock = self._engine.clock
        request = self._jobs.request(
            clock, type, payload, priority, retries, delay, run_at, queue, timeout, tags, backoff,
            unique, after, on_dependency_failure, batch,
        )  # fmt: skip
        if request.links is not None:
            return self._gate.write(lambda port: job_queue.enqueue(port, request))
        return self._gate.write(job_queue.single(request, clock))

    def enqueue_jobs(
        self,
        type: str,
        payloads: Iterable[object],
        priority: Priority | int | str = Priority.NORMAL,
        *,
        retries: int | None = None,
        delay: Duration | None = None,
        run_at: datetime | None = None,
        queue: str | None = None,
        timeout: Duration | None = None,  # noqa: ASYNC109 - of the job's attempts, not of this call
        tags: Sequence[str] = (),
        backoff: object = None,
        unique: Unique | str | bool | None = None,
        after: Sequence[str] = (),
        on_dependency_failure: OnFailure = "cancel",
        batch: str | None = None,
    ) -> list[Job]:
        """Put one job for each payload into the queue, all or none, in one transaction.

        Returns their records in order; options as of `enqueue_job`. With `unique` a record stands
        once for each payload of its key.
        """
        clock, make = self._engine.clock, self._jobs.request
        options = (
            priority, retries, delay, run_at, queue, timeout, tags, backoff, checked(unique), after,
            on_dependency_failure, batch,
        )  # fmt: skip
        requests: list[Request] = [make(clock, type, payload, *options) for payload in payloads]
        return self._gate.write(lambda port: job_queue.enqueue_many(port, requests))

    def get_job(self, id: str) -> Job | None:
        """The job of this id as it is now, or None."""
        return self._gate.read(lambda port: job_queue.get(port, id), bounded=True, single=True)

    def cancel_job(self, id: str) -> bool:
        """Cancel a job, also one that runs: its attempt has lost it then.

        Returns False when it had ended already.

        Raises:
            NotFound: there is no such job.
        """
        return self._gate.write(lambda port: job_verbs.cancel_one(port, id))

    def retry_job(self, id: str) -> bool:
        """Let a job that has ended run once more, with all its attempts.

        Returns False when it has not ended yet.

        Raises:
            NotFound: there is no such job.
            UniqueViolation: another job has its unique key by now.
        """
        return self._gate.write(lambda port: job_verbs.retry_one(port, id))

    @contextmanager
    def batch(
        self,
        name: str | None = None,
        *,
        on_success: object = None,
        on_complete: object = None,
        on_failure: object = None,
    ) -> Iterator[BatchBlock]:
        """A block that collects jobs, which are enqueued together at its end and counted together.

        Left by an exception it enqueues nothing. A callback is a job that the end of others
        enqueues, in the same transaction and once: a job type, `(type, payload)`, or the options
        of `enqueue_job` as `{"type": …, "queue": …}`. Its payload has the id as `batch` and
        the numbers as `counts` beside what is given here.

        Args:
            name: what people call it.
            on_success: enqueued when all its jobs have completed, also by retries later.
            on_complete: enqueued when all its jobs have ended, however.
            on_failure: enqueued when the first of its jobs has failed for good.

        Raises:
            ValidationError: a callback is none.
            NotFound: (at the end) a job named in an `after` does not exist.
        """
        given = {"success": on_success, "complete": on_complete, "failure": on_failure}
        block = BatchBlock(self._jobs, self._engine.clock, name, given)
        yield block
        self._gate.write(block.write)

    @contextmanager
    def flow(
        self,
        name: str | None = None,
        *,
        on_success: object = None,
        on_complete: object = None,
        on_failure: object = None,
    ) -> Iterator[FlowBlock]:
        """A batch whose jobs have names and wait for each other by them, in any order of writing.

        Everything is enqueued in one transaction at the end of the block; what is refused
        there leaves nothing behind. Arguments as of `batch`.

        Raises:
            ValidationError: a callback is none; at the end: jobs wait for each other in a circle,
                or for a name that no job has.
            NotFound: (at the end) a job named in an `after` does not exist.
        """
        given = {"success": on_success, "complete": on_complete, "failure": on_failure}
        block = FlowBlock(self._jobs, self._engine.clock, name, given)
        yield block
        self._gate.write(block.write)

    def get_batch(self, id: str) -> Batch | None:
        """The batch or flow of this id as it is now, or None."""
        return self._gate.read(lambda port: batches.get(port, id), bounded=True, single=True)

    def cancel_batch(self, id: str) -> int:
        """Cancel all jobs of a batch or flow that have not ended; returns how many.

        Raises:
            NotFound: there is no such batch.
        """
        return self._gate.write(lambda port: batches.cancel(port, id))

    def retry_batch(self, id: str) -> int:
        """Let all jobs of a batch or flow that failed or were cancelled run once more; how many.

        Those that were to wait for others wait again for those that have not completed.

        Raises:
            NotFound: there is no such batch.
        """
        return self._gate.write(lambda port: batches.retry(port, id))

    def schedules(self) -> list[Schedule]:
        """All schedules, by name: when each fires next, and how the last time went."""
        return self._gate.read(job_schedules.listed, single=True)
