"""The slots of a worker: claimed jobs wait in order of urgency, and run, so many at once.

Sync handlers run in the slot's own thread, async ones on one event loop in a thread beside. How
an attempt ended is collected for the pump, which settles many in one commit. An attempt that
takes too long fails: an async one is cancelled; a thread cannot be, so its slot gets another.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING

from aurora_db.base.clock import Clock
from aurora_db.jobs import executor, queue
from aurora_db.jobs.context import Attempt, Bench
from aurora_db.jobs.handlers import Handler
from aurora_db.jobs.queue import Claimed, Settlement
from aurora_db.store.process import WorkerLock

if TYPE_CHECKING:
    import asyncio

logger = logging.getLogger("aurora_db.jobs")

#: Slots of a process, at most: the board of its lock has a word for each.
MOST_THREADS = 1024
#: A job whose process died this often runs alone, before it is judged.
ALONE = 2
#: Weight of the newest attempt in the mean duration.
NEWEST = 0.1
#: Seconds that a cancelled async handler has to end.
GRACE = 5.0


class Slots:
    """Runs claimed jobs, at most `threads` at once.

    Args:
        find: the registered handler of a type.
        board: where the numbers of running jobs are noted.
        ring: wakes the pump: something ended, or nothing is left to run.
    """

    def __init__(
        self,
        threads: int,
        bench: Bench,
        find: Callable[[str], Handler | None],
        board: WorkerLock,
        ring: Callable[[], None],
    ) -> None:
        self.threads = threads
        self.running = 0
        self.completed = 0
        self.failed = 0
        #: Mean seconds of an attempt; None before the first one.
        self.mean: float | None = None
        self.last_taken = time.monotonic()
        self._bench = bench
        self._clock: Clock = bench.engine.clock
        self._find = find
        self._board = board
        self._ring = ring
        self._heap: list[tuple[int, int, Claimed]] = []
        self._ended: list[Settlement] = []
        self._free = list(range(threads))
        self._attempts: dict[int, Attempt] = {}
        self._gated = False
        self._alone = False
        self._stopping = False
        self._condition = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads: list[threading.Thread] = []
        self._made = -1
        for _ in range(threads):
            self._add_thread()

    def _add_thread(self) -> None:
        self._made += 1
        thread = threading.Thread(target=self._serve, name=f"aurora-slot-{self._made}", daemon=True)
        self._threads.append(thread)
        thread.start()

    # --- the pump's side --------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Claimed jobs that have not begun."""
        return len(self._heap)

    @property
    def free(self) -> int:
        """Slots in which nothing runs."""
        return max(0, self.threads - self.running)

    def free_for(self, priority: int) -> int:
        """Slots that a job of this priority would find free: more urgent ones wait for the others."""
        with self._condition:
            before = sum(-urgency >= priority for urgency, _, _ in self._heap)
            return self.threads - self.running - before

    def scale(self, threads: int) -> None:
        """Run so many at once from here on; what runs in a slot too many ends as usual."""
        with self._condition:
            used = {*self._attempts, *self._free}
            self._free = [slot for slot in self._free if slot < threads]
            self._free += [slot for slot in range(threads) if slot not in used]
            self.threads = threads
            while len(self._threads) < threads:
                self._add_thread()
            self._condition.notify_all()

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing that ended waits to be settled."""
        with self._condition:
            return self.running == 0 and not self._ended

    @property
    def gated(self) -> bool:
        """Whether the slots wait for the claim of an urgent job."""
        return self._gated

    def restore(self, settlements: Sequence[Settlement]) -> None:
        """What could not be settled; the next round tries again."""
        with self._condition:
            self._ended[:0] = settlements

    def offer(self, jobs: Sequence[Claimed]) -> None:
        """Claimed jobs to run."""
        with self._condition:
            for job in jobs:
                heapq.heappush(self._heap, (-job.priority, job.n, job))
            if jobs:
                self._condition.notify(min(len(jobs), self.threads))

    def collect(self) -> list[Settlement]:
        """How attempts ended since the last call."""
        with self._condition:
            ended, self._ended = self._ended, []
        return ended

    def gate(self, urgency: int) -> bool:
        """A job of this priority was enqueued: take none below it before the next claim.

        Returns whether any waits that must stand back.
        """
        with self._condition:
            if self._heap and urgency > -self._heap[0][0]:
                self._gated = True
            return self._gated

    def open_gate(self) -> None:
        """The claim was made."""
        with self._condition:
            if self._gated:
                self._gated = False
                self._condition.notify_all()

    def withdraw(self, queues: Container[str] | None = None) -> list[Settlement]:
        """Give up the jobs that have not begun, or those of some queues; they go back uncounted."""
        with self._condition:
            jobs = [one[2] for one in self._heap if queues is None or one[2].queue in queues]
            gone = {job.n for job in jobs}
            self._heap = [one for one in self._heap if one[1] not in gone]
            heapq.heapify(self._heap)
        return [Settlement(job, queue.RELEASE) for job in jobs]

    def stop(self) -> None:
        """Begin nothing new."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()

    def abandon(self) -> None:
        """Cancel the async handlers that still run; threads cannot be ended, they are fenced off."""
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._cancel_all)

    def _cancel_all(self) -> None:
        for task in list(self._tasks):
            task.cancel()

    def close(self, timeout: float) -> None:
        """End the event loop, and wait a moment for idle threads."""
        end = time.monotonic() + timeout
        for thread in list(self._threads):
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    # --- attempts that take too long --------------------------------------------------------

    def overdue(self) -> None:
        """End the attempts whose time is over."""
        now = self._clock.monotonic()
        with self._condition:
            late = [one for one in self._attempts.values() if one.deadline <= now]
            for attempt in late:
                if attempt.handler.is_async and not attempt.late:
                    attempt.late = True
                    attempt.deadline = now + GRACE
                    self._cancel(attempt)
                else:
                    self._give_up(attempt)

    def _cancel(self, attempt: Attempt) -> None:
        if attempt.task is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(attempt.task.cancel)

    def _give_up(self, attempt: Attempt) -> None:
        """Settle an attempt that does not end, and give its slot to others."""
        settlement = executor.overdue(self._bench, attempt)
        attempt.late = attempt.gone = True
        logger.warning(
            "a handler did not end in time; its slot goes to others",
            extra={"job": attempt.job.id, "type": attempt.job.type},
        )
        self._board.end(attempt.slot)
        self._hand_in(attempt, settlement, None)
        if attempt.handler.is_async:
            # It did not even take the cancellation: the loop may be blocked. New ones get another.
            self._loop = None
        else:
            self._threads.remove(attempt.thread)
            self._add_thread()
        self._condition.notify_all()

    # --- the slots' side --------------------------------------------------------------------

    def _serve(self) -> None:
        attempt = self._next(None, None, None)
        while attempt is not None:
            if attempt.handler.is_async:
                self._spawn(attempt)
                attempt = self._next(None, None, None)
                continue
            start = time.perf_counter()
            settlement = executor.run(self._bench, attempt)
            attempt = self._next(attempt, settlement, time.perf_counter() - start)

    def _next(
        self, ended: Attempt | None, settlement: Settlement | None, took: float | None
    ) -> Attempt | None:
        """Hand in what ended, take what is next; None when the slots stop."""
        with self._condition:
            if ended is not None:
                if ended.gone:
                    # Another thread has this one's place.
                    return None
                self._board.end(ended.slot)
                self._hand_in(ended, settlement, took)
            while not self._stopping:
                if len(self._threads) > self.threads:
                    self._threads.remove(threading.current_thread())
                    return None
                if self._may_begin():
                    return self._begin()
                if not self._heap:
                    self._ring()
                self._condition.wait()
            return None

    def _hand_in(self, ended: Attempt, settlement: Settlement | None, took: float | None) -> None:
        self.running -= 1
        del self._attempts[ended.slot]
        if ended.slot < self.threads:
            self._free.append(ended.slot)
        if self._alone:
            self._alone = False
            self._condition.notify_all()
        if took is not None:
            self.mean = took if self.mean is None else self.mean + NEWEST * (took - self.mean)
        if settlement is None:
            # Completed by its own transaction, or lost.
            self.completed += 1
        else:
            self.completed += settlement.statement is queue.COMPLETE
            self.failed += settlement.statement is queue.FAIL
            self._ended.append(settlement)
        if len(self._ended) <= 1:
            # The first since the pump last collected; those after it go along.
            self._ring()

    def _may_begin(self) -> bool:
        if not self._heap or self._gated or self._alone or self.running >= self.threads:
            return False
        return self._heap[0][2].crashes < ALONE or self.running == 0

    def _begin(self) -> Attempt:
        job = heapq.heappop(self._heap)[2]
        handler = self._find(job.type)
        assert handler is not None, "only registered types are claimed, and none is taken back"
        self._alone = job.crashes >= ALONE
        self.running += 1
        self.last_taken = time.monotonic()
        slot = self._free.pop()
        deadline = self._clock.monotonic() + executor.limit(handler, job)
        attempt = self._attempts[slot] = Attempt(job, handler, slot, deadline)
        self._board.begin(slot, job.n)
        return attempt

    # --- async handlers ---------------------------------------------------------------------

    def _spawn(self, attempt: Attempt) -> None:
        loop = self._running_loop()
        loop.call_soon_threadsafe(self._start, loop, attempt)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        import asyncio  # noqa: PLC0415 - a program without async handlers does without

        with self._condition:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=self._run_loop, args=(self._loop,), name="aurora-async", daemon=True
                ).start()
            return self._loop

    @staticmethod
    def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
        import asyncio  # noqa: PLC0415 - the same

        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()

    def _start(self, loop: asyncio.AbstractEventLoop, attempt: Attempt) -> None:
        task = loop.create_task(self._attempt(attempt))
        attempt.task = task
        attempt.thread = threading.current_thread()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attempt(self, attempt: Attempt) -> None:
        start = time.perf_counter()
        if attempt.late:
            # The loop was blocked so long that it could not even begin.
            settlement = executor.overdue(self._bench, attempt)
        else:
            settlement = await executor.run_async(self._bench, attempt)
        with self._condition:
            if not attempt.gone:
                self._board.end(attempt.slot)
                self._hand_in(attempt, settlement, time.perf_counter() - start)
                self._condition.notify()
