"""Who waits for the ends of jobs: `db.wait_job`, for threads and for tasks.

One thread of a database looks for all that wait, in one statement. It is woken by commits of this
process that end jobs, and by the doorbell of other processes; what programs that are no Aurora end
shows when `PRAGMA data_version` moves. Without anybody who waits it sleeps.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from aurora_db.base.codec import seconds
from aurora_db.base.errors import (
    AuroraError,
    JobCancelled,
    JobError,
    JobFailed,
    NotFound,
    Timeout,
    TransactionError,
    ValidationError,
)
from aurora_db.base.records import Job, Status
from aurora_db.jobs import queue
from aurora_db.store import causes
from aurora_db.store.engine import Engine
from aurora_db.store.writer import closed

if TYPE_CHECKING:
    import asyncio

#: Seconds of the first wait after a ring; it doubles up to the poll interval.
SHORTEST = 0.001
#: A look that took longer than so many seconds is followed by a rest of a few times that.
LONG = 0.001
RESTS = 4

#: How a wait ended: the record, None where there is no such job, or what went wrong.
Outcome = Job | AuroraError | None


class Waiter:
    """A thread or a task that waits for one job."""

    __slots__ = ("future", "loop", "outcome", "told")

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop
        self.future: asyncio.Future[None] | None = None if loop is None else loop.create_future()
        self.told = threading.Event() if loop is None else None
        self.outcome: Outcome = None


class Endings:
    """The waits of one database.

    Args:
        poll_interval: seconds between looks for what programs that are no Aurora commit.
    """

    def __init__(self, engine: Engine, poll_interval: float) -> None:
        self._engine = engine
        self._poll_interval = poll_interval
        self._waiters: dict[str, list[Waiter]] = {}
        self._lock = threading.Lock()
        self._bell = threading.Event()
        self._thread: threading.Thread | None = None
        self._ears: list[Callable[[], None]] = []
        self._seen = -1
        self._closed = False

    # --- those who wait ---------------------------------------------------------------------

    def wait(self, id: str, timeout: float | timedelta | None) -> Any:
        """The result of a job when it has completed; the thread waits."""
        limit = _limit(timeout)
        job = self._look(id)
        if job is None:
            waiter = Waiter()
            self._add(id, waiter)
            try:
                job = self._look(id) or self._wait(id, waiter, limit)
            finally:
                self._remove(id, waiter)
        return _result(job)

    async def wait_async(self, id: str, timeout: float | timedelta | None) -> Any:  # noqa: ASYNC109
        """The same; the event loop goes on meanwhile."""
        limit = _limit(timeout)
        job = self._look(id)
        if job is None:
            import asyncio  # noqa: PLC0415 - a blocking program does without

            waiter = Waiter(asyncio.get_running_loop())
            self._add(id, waiter)
            try:
                job = self._look(id) or await self._wait_async(id, waiter, limit)
            finally:
                self._remove(id, waiter)
        return _result(job)

    def _look(self, id: str) -> Job | None:
        """The job if it has ended; a short read, also on an event loop."""
        if not isinstance(id, str):  # pyright: ignore[reportUnnecessaryIsInstance] - who passes a job
            raise ValidationError(
                f"the id of a job is a text, got {id!r}", hint="db.wait_job(job.id)", rule="type"
            )
        if self._engine.in_transaction:
            raise TransactionError(
                "this thread or task has a transaction open, beside which no job would be seen to end",
                hint="wait after the block",
            )
        if causes.CURRENT.get() == id:
            raise JobError(
                "a job cannot wait for its own end", hint="return, and let a job after it go on"
            )
        ended = self._engine.read(partial(queue.ended, ids=[id]), single=True)
        if not ended:
            return None
        return _known(id, ended[0][1])

    def _wait(self, id: str, waiter: Waiter, limit: float | None) -> Job:
        assert waiter.told is not None
        if not waiter.told.wait(None if limit is None else min(limit, threading.TIMEOUT_MAX)):
            raise _timeout(id, limit)
        return _known(id, waiter.outcome)

    async def _wait_async(self, id: str, waiter: Waiter, limit: float | None) -> Job:
        import asyncio  # noqa: PLC0415 - a blocking program does without

        assert waiter.future is not None
        try:
            async with asyncio.timeout(limit):
                await waiter.future
        except TimeoutError:
            raise _timeout(id, limit) from None
        return _known(id, waiter.outcome)

    # --- the thread -------------------------------------------------------------------------

    def _add(self, id: str, waiter: Waiter) -> None:
        with self._lock:
            if self._closed:
                raise closed()
            if self._thread is None:
                self._ears = [
                    self._engine.listen("ended", self._rung),
                    self._engine.hear("ended", self._rung),
                ]
                self._thread = threading.Thread(
                    target=self._run, name="aurora-endings", daemon=True
                )
                self._thread.start()
            self._waiters.setdefault(id, []).append(waiter)
            if len(self._waiters) == 1:
                # It may sleep without end.
                self._bell.set()

    def _remove(self, id: str, waiter: Waiter) -> None:
        with self._lock:
            waiters = self._waiters.get(id)
            if waiters is not None and waiter in waiters:
                waiters.remove(waiter)
                if not waiters:
                    del self._waiters[id]

    def _rung(self, _urgency: int) -> None:
        if self._waiters:
            self._bell.set()

    def _run(self) -> None:
        wait = SHORTEST
        while True:
            rang = self._bell.wait(wait if self._waiters else None)
            self._bell.clear()
            if self._closed:
                return
            try:
                self._look_for_all()
            except AuroraError as error:
                self._tell((id, error) for id in list(self._waiters))
            wait = SHORTEST if rang else min(wait * 2, self._poll_interval)

    def _look_for_all(self) -> None:
        version = self._engine.data_version()
        if version == self._seen:
            return
        # Before the look: what is committed during it moves the number again.
        self._seen = version
        with self._lock:
            ids = list(self._waiters)
        if not ids:
            return
        begun = time.monotonic()
        self._tell(self._engine.read(partial(queue.ended, ids=ids), single=True))
        took = time.monotonic() - begun
        if took > LONG:
            # Thousands wait, and jobs end all the time.
            time.sleep(min(took * RESTS, self._poll_interval))

    def _tell(self, ended: Iterable[tuple[str, Outcome]]) -> None:
        tasks: dict[asyncio.AbstractEventLoop, list[Waiter]] = {}
        for id, outcome in ended:
            with self._lock:
                waiters = self._waiters.pop(id, [])
            for waiter in waiters:
                waiter.outcome = outcome
                if waiter.told is not None:
                    waiter.told.set()
                elif waiter.loop is not None:
                    tasks.setdefault(waiter.loop, []).append(waiter)
        for loop, waiters in tasks.items():
            try:
                loop.call_soon_threadsafe(_wake, waiters)
            except RuntimeError:
                # The loop was closed: nobody waits any more.
                continue

    def close(self) -> None:
        """End the thread; those who still wait get `DatabaseClosed`. Twice is no error."""
        if self._engine.foreign:
            # The thread and the doorbell are the parent's.
            return
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
        if thread is None:
            return
        self._bell.set()
        thread.join()
        for stop in self._ears:
            stop()
        error = closed()
        self._tell((id, error) for id in list(self._waiters))

    def __repr__(self) -> str:
        return f"Endings(waiting={len(self._waiters)})"


def _wake(waiters: Iterable[Waiter]) -> None:
    for waiter in waiters:
        if waiter.future is not None and not waiter.future.done():
            waiter.future.set_result(None)


def _limit(timeout: float | timedelta | None) -> float | None:
    """Seconds to wait at most; None without end.

    Raises:
        ValidationError: it is no duration.
    """
    if timeout is None:
        return None
    number = isinstance(timeout, (int, float, timedelta)) and not isinstance(timeout, bool)  # pyright: ignore[reportUnnecessaryIsInstance]
    limit = seconds(timeout) if number else math.nan
    if not math.isnan(limit):
        # Below 0 too: what is left of a deadline that has passed.
        return limit
    raise ValidationError(
        f"'timeout' is a duration in seconds, got {timeout!r}",
        hint="db.wait_job(job.id, timeout=30)", field="timeout", rule="timeout", value=timeout,
    )  # fmt: skip


def _known(id: str, outcome: Outcome) -> Job:
    if outcome is None:
        raise NotFound(f"no job with the id '{id}'", hint="its id is what enqueue_job returned")
    if isinstance(outcome, AuroraError):
        raise outcome
    return outcome


def _timeout(id: str, limit: float | None) -> Timeout:
    return Timeout(
        f"job '{id}' has not ended within {limit:g} s; it is not touched by that",
        hint="look at it: db.get_job(id)",
    )


def _result(job: Job) -> Any:
    """The result of a job that has ended; how it ended otherwise is raised."""
    if job.status is Status.COMPLETED:
        return job.result
    if job.status is Status.FAILED:
        failed = JobFailed(
            f"job '{job.id}' of type '{job.type}' failed: {job.error}",
            hint="its tracebacks are in _job_errors; db.retry_job(id) lets it run again",
        )
        failed.job = job
        raise failed
    why = "" if job.error is None else f": {job.error}"
    cancelled = JobCancelled(
        f"job '{job.id}' of type '{job.type}' was cancelled{why}",
        hint="db.retry_job(id) lets it run again",
    )
    cancelled.job = job
    raise cancelled
