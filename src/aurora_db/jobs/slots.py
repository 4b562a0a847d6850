"""The slots of a worker: claimed jobs wait in order of urgency, and run, so many at once.

Sync handlers run in the slot's own thread, async ones on one event loop in a thread beside
(`tasks.py`), others in child processes (`processes.py`). How an attempt ended is collected for the
pump, which settles many in one commit.

An attempt that takes too long, or whose job was cancelled, is told to end: an async one is
cancelled, a process gets SIGTERM and then SIGKILL, a thread may look. One that does not end in
time is given up: its slot gets another thread, or the loop is replaced.
"""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable, Collection, Container, Sequence
from typing import TYPE_CHECKING

import msgspec

from aurora_db.base.clock import Clock
from aurora_db.jobs import executor, queue
from aurora_db.jobs.attempt import Attempt, Fate
from aurora_db.jobs.context import Bench
from aurora_db.jobs.handlers import Handler
from aurora_db.jobs.queue import Claimed, Settlement
from aurora_db.jobs.tasks import Tasks
from aurora_db.store.process import WorkerLock

if TYPE_CHECKING:
    from aurora_db.jobs.processes import Pool

logger = logging.getLogger("aurora_db.jobs")

#: Slots of a process, at most: the board of its lock has a word for each.
MOST_THREADS = 1024
#: A job whose process died this often runs alone, before it is judged.
ALONE = 2
#: Weight of the newest attempt in the mean duration.
NEWEST = 0.1
#: Seconds that a handler has to end when it was told to.
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
        self._tasks = Tasks(self._attempt)
        self._pool: Pool | None = None
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

    def offer(self, jobs: Sequence[Claimed], urgency: int) -> None:
        """Claimed jobs to run; `urgency` is the highest of what was enqueued since they were claimed."""
        with self._condition:
            for job in jobs:
                heapq.heappush(self._heap, (-job.priority, job.n, job))
            if self._heap and urgency > -self._heap[0][0]:
                self._gated = True
            if jobs:
                self._condition.notify(min(len(jobs), self.threads))

    def collect(self) -> list[Settlement]:
        """How attempts ended since the last call."""
        with self._condition:
            ended, self._ended = self._ended, []
        return ended

    def reporting(self) -> list[Attempt]:
        """The attempts whose last report is not written yet."""
        with self._condition:
            return [one for one in self._attempts.values() if one.report is not one.told]

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
        """Tell what still runs to end; threads cannot be ended, they are fenced off."""
        now = self._clock.monotonic()
        with self._condition:
            for attempt in self._attempts.values():
                if attempt.fate is None:
                    self._tell(attempt, Fate.STOP, now)

    def end_children(self) -> None:
        """End the child processes that are busy, at once."""
        if self._pool is not None:
            self._pool.kill()

    def close(self, timeout: float) -> None:
        """End the event loop and the child processes, and wait a moment for idle threads."""
        end = time.monotonic() + timeout
        for thread in list(self._threads):
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))
        self._tasks.close()
        if self._pool is not None:
            self._pool.close()

    # --- attempts that shall end ------------------------------------------------------------

    def held(self) -> list[tuple[int, int]]:
        """Number and attempt of each job that runs here or waits for a slot."""
        with self._condition:
            jobs = [one.job for one in self._attempts.values() if one.fate is not Fate.LOST]
            jobs += [job for _, _, job in self._heap]
        return [(job.n, job.attempt) for job in jobs]

    def lose(self, lost: Collection[tuple[int, int]]) -> None:
        """These were cancelled, or belong to others: forget what waits, tell what runs."""
        now = self._clock.monotonic()
        with self._condition:
            kept = [one for one in self._heap if (one[2].n, one[2].attempt) not in lost]
            heapq.heapify(kept)
            self._heap = kept
            for attempt in self._attempts.values():
                if attempt.fate is None and (attempt.job.n, attempt.job.attempt) in lost:
                    self._tell(attempt, Fate.LOST, now)

    def overdue(self) -> None:
        """End the attempts whose time is over."""
        now = self._clock.monotonic()
        with self._condition:
            for attempt in [one for one in self._attempts.values() if one.deadline <= now]:
                if attempt.fate is None:
                    self._tell(attempt, Fate.TIMEOUT, now)
                elif attempt.child is not None and not attempt.killed:
                    attempt.killed = True
                    attempt.deadline = now + GRACE
                    attempt.child.kill()
                else:
                    self._give_up(attempt)

    def _tell(self, attempt: Attempt, fate: Fate, now: float) -> None:
        attempt.deadline = now + GRACE
        attempt.tell(fate)
        if attempt.handler.is_async:
            self._tasks.cancel(attempt)
        elif attempt.child is not None:
            attempt.child.tell(attempt)
        elif fate is Fate.TIMEOUT and not attempt.handler.process:
            # It has had its time.
            self._give_up(attempt)

    def _give_up(self, attempt: Attempt) -> None:
        """Settle an attempt that does not end, and give its slot to others."""
        settlement = executor.given_up(self._bench, attempt)
        attempt.gone = True
        logger.warning(
            "a handler did not end in time; its slot goes to others",
            extra={"job": attempt.job.id, "type": attempt.job.type},
        )
        self._board.end(attempt.slot)
        self._hand_in(attempt, settlement, None)
        if attempt.handler.is_async:
            # It did not even take the cancellation: the loop may be blocked. New ones get another.
            self._tasks.replace()
        else:
            self._threads.remove(attempt.thread)
            self._add_thread()
        self._condition.notify_all()

    # --- the slots' side --------------------------------------------------------------------

    def _serve(self) -> None:
        attempt = self._next(None, None, None)
        while attempt is not None:
            if attempt.handler.is_async:
                self._tasks.spawn(attempt)
                attempt = self._next(None, None, None)
                continue
            start = time.perf_counter()
            if attempt.handler.process:
                settlement = self._run_child(attempt)
            else:
                settlement = executor.run(self._bench, attempt)
            attempt = self._next(attempt, settlement, time.perf_counter() - start)

    def _run_child(self, attempt: Attempt) -> Settlement | None:
        from aurora_db.jobs.processes import Pool  # noqa: PLC0415 - most programs start no process

        with self._condition:
            if self._pool is None:
                self._pool = Pool(self._bench)
        outcome = self._pool.run(attempt, lambda: self._imported(attempt))
        return executor.settle(self._bench, attempt, outcome)

    def _imported(self, attempt: Attempt) -> None:
        """The handler of a child begins now: what its import took is not the attempt's time."""
        with self._condition:
            if attempt.fate is None:
                limit = executor.limit(attempt.handler, attempt.job)
                attempt.deadline = self._clock.monotonic() + limit

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
            self.completed += ended.completed
        else:
            if ended.report is not ended.told:
                settlement = msgspec.structs.replace(settlement, report=ended.report)
            self.completed += settlement.statement is queue.COMPLETE
            self.failed += settlement.statement in (queue.FAIL, queue.POISONED)
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

    async def _attempt(self, attempt: Attempt) -> None:
        """On the event loop: an async handler, from its beginning to its end."""
        start = time.perf_counter()
        if attempt.fate is not None:
            # The loop was blocked so long that it could not even begin.
            settlement = executor.given_up(self._bench, attempt)
        else:
            settlement = await executor.run_async(self._bench, attempt)
        with self._condition:
            if not attempt.gone:
                self._board.end(attempt.slot)
                self._hand_in(attempt, settlement, time.perf_counter() - start)
                self._condition.notify()
