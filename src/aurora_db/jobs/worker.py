"""The workers of one process: a pump that claims and settles, and slots that run.

The pump is one thread. In each round it settles what ended and claims what the slots can begin,
in one transaction. It waits for a bell: rung by commits of this process that touch jobs, by slots
that run dry, and by timers; writes of other processes it sees by `PRAGMA data_version`.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from types import FrameType

from aurora_db.base.errors import AuroraError, WorkersDisabled
from aurora_db.base.ids import new_id
from aurora_db.base.records import WorkerStats
from aurora_db.jobs import queue, upkeep
from aurora_db.jobs.context import Bench, MakeTransaction
from aurora_db.jobs.handlers import JobHandler, Jobs
from aurora_db.jobs.queue import Claimed, Settlement
from aurora_db.jobs.slots import Slots
from aurora_db.store import process
from aurora_db.store.engine import Engine
from aurora_db.store.port import Port
from aurora_db.store.process import WorkerLock

logger = logging.getLogger("aurora_db.jobs")

#: Seconds of work that may be claimed ahead of the slots, by the measured time of a job.
AHEAD = 0.010
#: Jobs claimed ahead at most.
MOST_AHEAD = 512
#: Seconds after which jobs that no slot could begin are given back to other processes.
STALE = 0.25
#: Seconds between renewals of the leases, and between looks for dead workers.
BEAT = queue.LEASE / 3
LOOK = 1.0
#: Seconds between looks for attempts that take too long.
LIMITS = 0.1
#: Seconds of the first wait; it doubles up to the poll interval while nothing happens.
SHORTEST = 0.001


class Workers:
    """`db.workers`: register handlers, start, stop, look. Callable, and then itself.

    Args:
        threads: how many jobs run at once.
        enabled: False refuses every verb with the way to enable.
        poll_interval: seconds between looks for commits of other processes, at most.
        shutdown_timeout: seconds that `run` waits for running jobs at its end.
    """

    def __init__(
        self,
        engine: Engine,
        registry: Jobs,
        *,
        threads: int,
        enabled: bool,
        poll_interval: float,
        shutdown_timeout: float,
        make_transaction: MakeTransaction,
        make_async_transaction: MakeTransaction,
    ) -> None:
        self._engine = engine
        self._registry = registry
        self._threads = threads
        self._enabled = enabled
        self._poll_interval = poll_interval
        self._shutdown_timeout = shutdown_timeout
        self._bench = Bench(engine, make_transaction, make_async_transaction)
        self._pump: Pump | None = None
        self._lock = threading.Lock()
        self._closed = False
        registry.on_register(self._registered)
        if enabled and registry.types():
            self.start()

    def __call__(self) -> Workers:
        """The same object, so that `db.workers()` reads as `db.workers`."""
        self._check()
        return self

    def _check(self) -> None:
        if not self._enabled:
            raise WorkersDisabled(
                "workers are disabled in this process; it only enqueues",
                hint="open the database with workers_enabled=True",
            )

    def register_handler(self, type: str, handler: JobHandler | Callable[..., object]) -> None:
        """Register an object with `handle(job)`, or a function, and start the workers.

        Raises:
            WorkersDisabled: the database was opened without workers.
            JobError: the type has a handler, or this cannot be one.
        """
        self._check()
        self._registry.register(type, handler)

    def _registered(self) -> None:
        if not self._enabled or self._closed:
            return
        if self._pump is None:
            self.start()
        else:
            self._pump.look_again()

    def start(self) -> None:
        """Start the workers; no error when they run.

        Raises:
            WorkersDisabled: the database was opened without workers.
            ReadOnly: the folder of the database cannot be written.
        """
        self._check()
        with self._lock:
            if self._pump is None:
                self._pump = Pump(
                    self._engine, self._registry, self._bench, self._threads, self._poll_interval
                )

    def stop(self, timeout: float = 30.0) -> None:
        """Take nothing new, wait for running jobs up to `timeout` seconds, give back the rest.

        What is unfinished goes back as PENDING and counts as no failure.
        """
        self._check()
        self.close(timeout)
        self._closed = False

    def close(self, timeout: float) -> None:
        """The same, at the end of the database; no error when no workers run."""
        self._closed = True
        with self._lock:
            pump, self._pump = self._pump, None
        if pump is not None:
            pump.stop(timeout)

    def run(self) -> None:
        """Work until SIGTERM or SIGINT, then stop gracefully; a second signal ends at once.

        Call it in the main thread of a process that does nothing else.
        """
        self._check()
        over = threading.Event()

        def graceful(number: int, _frame: FrameType | None) -> None:
            if over.is_set():
                os._exit(128 + number)
            over.set()

        before = {
            number: signal.signal(number, graceful) for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            self.start()
            # A wait without end would not see signals on every platform.
            while not over.wait(1.0):
                pass
            self.stop(self._shutdown_timeout)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def stats(self) -> WorkerStats:
        """The queue by status, and what this process does."""
        self._check()
        counts = self._engine.read(upkeep.count, single=True)
        pump = self._pump
        slots = None if pump is None else pump.slots
        return WorkerStats(
            by_status=counts,
            threads=self._threads,
            running=0 if slots is None else slots.running,
            waiting=0 if slots is None else slots.waiting,
            completed=0 if slots is None else slots.completed,
            failed=0 if slots is None else slots.failed,
            rescued=0 if pump is None else pump.rescued,
        )

    def __repr__(self) -> str:
        state = "disabled" if not self._enabled else "stopped" if self._pump is None else "running"
        return f"Workers({state}, threads={self._threads})"


class Pump:
    """The thread that claims and settles for the slots of this process."""

    def __init__(
        self, engine: Engine, registry: Jobs, bench: Bench, threads: int, poll_interval: float
    ) -> None:
        self.id = new_id()
        self.rescued = 0
        self._engine = engine
        self._registry = registry
        self._clock = engine.clock
        self._poll_interval = poll_interval
        self._bell = threading.Event()
        self._stopping = False
        self._drained = threading.Event()
        self._maybe = True
        self._urgent = 0
        self._due: datetime | None = None
        self._seen = -1
        self._wait = SHORTEST
        now = self._clock.monotonic()
        self._next_beat = now + BEAT
        self._next_look = now
        self._next_limits = now
        self._lock = WorkerLock(engine.folder, self.id, threads)
        engine.write(
            partial(upkeep.register, worker=self.id, threads=threads, types=registry.types())
        )
        self.slots = Slots(threads, bench, registry.find, self._lock, self._bell.set)
        self._ears = [engine.listen("jobs", self._enqueued), self._clock.on_jump(self._bell.set)]
        self._thread = threading.Thread(target=self._run, name="aurora-pump", daemon=True)
        self._thread.start()

    # --- bells ------------------------------------------------------------------------------

    def _enqueued(self, urgency: int) -> None:
        self._urgent += 1
        self.slots.gate(urgency)
        self.look_again()

    def look_again(self) -> None:
        """There may be something to claim."""
        self._maybe = True
        self._bell.set()

    # --- the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self._bell.clear()
            try:
                if self._round():
                    self._wait = SHORTEST
                    continue
            except AuroraError as error:
                if self._stopping:
                    break
                logger.exception("a round of the worker failed", extra={"code": error.code})
                self._bell.wait(self._poll_interval)
                continue
            if self._stopping and self.slots.idle:
                break
            self._bell.wait(self._timeout())
        self._drained.set()

    def _round(self) -> bool:
        """One round; whether anything happened."""
        self._care()
        ended = self.slots.collect()
        if self._stopping or self._is_stale():
            ended += self.slots.withdraw()
        self._notice()
        wanted = 0 if self._stopping else self._wanted()
        claims = wanted > 0 and self._maybe
        if not ended and not claims:
            return False
        urgent = self._urgent
        # Before the claim: what is enqueued meanwhile must be looked for again.
        self._maybe = False
        try:
            claimed = self._engine.write(
                partial(self._cycle, ended=ended, limit=wanted if claims else 0),
                durable=bool(ended),
            )
        except BaseException:
            self._maybe = True
            self.slots.restore(ended)
            raise
        if len(claimed) >= wanted or not claims:
            self._maybe = True
        self.slots.offer(claimed)
        if urgent == self._urgent:
            self.slots.open_gate()
        return bool(ended) or bool(claimed)

    async def _cycle(self, port: Port, ended: list[Settlement], limit: int) -> list[Claimed]:
        if ended:
            for lost in await queue.settle(port, ended):
                logger.warning(
                    "job lost its lease", extra={"job": lost.job.id, "attempt": lost.job.attempt}
                )
        if not limit:
            return []
        if self._due is not None and self._due <= port.now():
            await upkeep.stage(port)
        claimed = await queue.claim(port, self.id, self._registry.types(), limit)
        if len(claimed) < limit:
            self._due = await upkeep.next_due(port)
        return claimed

    def _wanted(self) -> int:
        """How many jobs to claim: for free slots, and as many as they do in a moment."""
        slots = self.slots
        mean = slots.mean
        ahead = 0 if mean is None else min(MOST_AHEAD, int(slots.threads * AHEAD / max(mean, 1e-6)))
        wanted = slots.threads - slots.running + ahead - slots.waiting
        if slots.gated:
            return max(wanted, slots.threads)
        # A few at a time would pay a transaction for each few.
        return wanted if slots.waiting <= ahead // 2 else 0

    def _is_stale(self) -> bool:
        slots = self.slots
        return slots.waiting > 0 and not slots.free and time.monotonic() - slots.last_taken > STALE

    def _notice(self) -> None:
        """Look for commits of other connections, and for what is due."""
        version = self._engine.data_version()
        if version != self._seen:
            self._seen = version
            self._maybe = True
        if self._due is not None and self._due <= self._clock.now():
            self._maybe = True

    def _timeout(self) -> float:
        """Seconds to wait for the bell."""
        self._wait = min(self._wait * 2, self._poll_interval)
        if self._due is None:
            return self._wait
        return min(self._wait, max(0.0005, (self._due - self._clock.now()).total_seconds()))

    # --- upkeep -----------------------------------------------------------------------------

    def _care(self) -> None:
        now = self._clock.monotonic()
        if now >= self._next_beat:
            self._next_beat = now + BEAT
            beat = partial(upkeep.beat, worker=self.id, types=self._registry.types())
            self._engine.write(beat, durable=False)
        if now >= self._next_limits:
            self._next_limits = now + LIMITS
            self.slots.overdue()
        if now >= self._next_look:
            self._next_look = now + LOOK
            self._rescue()

    def _rescue(self) -> None:
        engine = self._engine
        for other in engine.read(partial(upkeep.others, worker=self.id), single=True):
            dead = process.inspect(engine.folder, other)
            if dead is not None:
                self.rescued += engine.write(partial(upkeep.rescue, worker=other, begun=dead.begun))
                process.forget(engine.folder, other)
        if engine.read(upkeep.any_expired, single=True):
            self.rescued += engine.write(upkeep.rescue_expired)

    # --- the end ----------------------------------------------------------------------------

    def stop(self, timeout: float) -> None:
        """Take nothing new, wait, give back what is unfinished, leave."""
        self.slots.stop()
        self._stopping = True
        self._bell.set()
        if not self._drained.wait(timeout):
            self.slots.abandon()
            # Cancelled handlers end soon; threads that do not end are fenced off.
            self._drained.wait(0.5)
        for stop in self._ears:
            stop()
        self._engine.write(partial(upkeep.leave, worker=self.id))
        self._stopping = True
        self.slots.close(0.5)
        self._lock.close()
