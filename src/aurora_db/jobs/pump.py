"""The pump of a process: one thread that claims and settles for the slots.

In each round it settles what ended and claims what the slots can begin, in one transaction. It
waits for a bell: rung by commits that touch jobs, of this process and, by the doorbell, of
others; by slots that run dry; and by timers. What programs that are no Aurora write it sees by
`PRAGMA data_version`.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

from aurora_db.base.errors import AuroraError
from aurora_db.base.ids import new_id
from aurora_db.jobs import (
    aging,
    crash,
    flow,
    limits,
    meters,
    progress,
    pruning,
    queue,
    reactions,
    upkeep,
)
from aurora_db.jobs.aging import Aging
from aurora_db.jobs.claims import Claimer
from aurora_db.jobs.context import Bench
from aurora_db.jobs.handlers import Jobs
from aurora_db.jobs.pruning import Pruner
from aurora_db.jobs.queue import Claimed, Settlement
from aurora_db.jobs.reactions import Fire, React
from aurora_db.jobs.slots import MOST_THREADS, Slots
from aurora_db.store import firing, process
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
TIMEOUTS = 0.1
#: Seconds until a chore goes on that had more to do than one step.
SOON = 0.02
#: Below every priority.
QUIET = -2
#: Seconds between two complaints that rounds fail.
COMPLAIN = 10.0
#: Seconds of the first wait; it doubles up to the poll interval while nothing happens.
SHORTEST = 0.001


class Bell:
    """Rung by many, waited for by one; a bare lock, for an idle worker does little else."""

    def __init__(self) -> None:
        self._silent = threading.Lock()
        self._silent.acquire()

    def ring(self) -> None:
        """Wake the one who waits, or the next one who will."""
        # Another thread may have rung between the look and the release.
        with contextlib.suppress(RuntimeError):
            if self._silent.locked():
                self._silent.release()

    def wait(self, timeout: float) -> bool:
        """Whether it rang within `timeout` seconds."""
        return self._silent.acquire(timeout=min(timeout, threading.TIMEOUT_MAX))


class Chore:
    """What the pump does once in a while; `running` ones only while something runs.

    What it does tells by True that it has more to do, soon, or by a number after how many seconds.
    """

    __slots__ = ("do", "every", "next", "running")

    def __init__(
        self, every: float, first: float, do: Callable[[], object], *, running: bool = False
    ) -> None:
        self.every = every
        self.next = first
        self.do = do
        self.running = running


class Pump:
    """The thread that claims and settles for the slots of this process."""

    def __init__(
        self,
        engine: Engine,
        registry: Jobs,
        react: React,
        bench: Bench,
        threads: int,
        poll_interval: float,
        queues: Sequence[str] | None,
        fire: Fire,
        pruner: Pruner | None,
    ) -> None:
        self.id = new_id()
        self.rescued = 0
        self._engine = engine
        self._registry = registry
        self._clock = engine.clock
        self._poll_interval = poll_interval
        self._fire_due = fire
        self._bell = Bell()
        crash.from_environment()
        self._stopping = False
        self._drained = threading.Event()
        self._maybe = True
        self._urgent = 0
        #: A running job was cancelled, of this process or another.
        self._cancelled = False
        #: The highest urgency since the last claim began.
        self._loudest = QUIET
        self._due: datetime | None = None
        self._seen = -1
        self._beaten = self._clock.now()
        self._wait = SHORTEST
        now = self._clock.monotonic()
        self._next_complaint = now
        self._queues = queues
        self._claimer = Claimer(self.id, queues)
        self._astray = meters.FIRST
        self._aging = Aging()
        self._lock = WorkerLock(engine.folder, self.id, MOST_THREADS)
        engine.write(partial(self._register, threads=threads))
        find = reactions.finder(registry, react)
        self.slots = Slots(threads, bench, find, self._lock, self._bell.ring)
        self._chores = self._all_chores(now)
        if pruner is not None:
            # Not at once: whoever starts works first.
            self._chores += (Chore(pruning.WALKING, now + pruning.WALKING, pruner.step),)
        self._ears = [
            engine.listen("jobs", self._enqueued),
            engine.listen("handlers", self._defined),
            engine.hear("jobs", self._rung),
            engine.listen("cancels", self._look_for_lost),
            engine.hear("cancels", self._look_for_lost),
            self._clock.on_jump(self._bell.ring),
        ]
        self._thread = threading.Thread(target=self._run, name="aurora-pump", daemon=True)
        self._thread.start()

    def _all_chores(self, now: float) -> tuple[Chore, ...]:
        return (
            Chore(BEAT, now + BEAT, self._beat),
            Chore(LOOK, now, self._rescue),
            Chore(LOOK, now, self._look_for_due),
            Chore(LOOK, now, self._resolve),
            Chore(TIMEOUTS, now, self.slots.overdue, running=True),
            Chore(LOOK, now, self._end_lost, running=True),
            Chore(LOOK, now, self._sweep),
            Chore(LOOK, now, self._age),
            Chore(progress.EVERY, now, self._report, running=True),
        )

    # --- bells ------------------------------------------------------------------------------

    async def _register(self, port: Port, threads: int) -> None:
        await upkeep.register(port, self.id, threads, self._types(), self._queues)
        await limits.declare(port, self._registry.limits())

    def _enqueued(self, urgency: int) -> None:
        self._loudest = max(self._loudest, urgency)
        self._urgent += 1
        self.slots.gate(urgency)
        self.look_again()

    def _rung(self, urgency: int) -> None:
        """Another process enqueued; a look tells whether anything of it is left."""
        self._loudest = max(self._loudest, urgency)
        if self.slots.gate(urgency):
            self._urgent += 1
            self._maybe = True
        self._bell.ring()

    def scale(self, threads: int) -> None:
        """So many jobs at once from here on."""
        self.slots.scale(threads)
        self._engine.write(partial(upkeep.scale, worker=self.id, threads=threads), durable=False)
        self.look_again()

    def look_again(self) -> None:
        """There may be something to claim."""
        self._maybe = True
        self._bell.ring()

    def _look_for_lost(self, _urgency: int) -> None:
        """A running job was cancelled; perhaps one of ours."""
        self._cancelled = True
        self._bell.ring()

    def _defined(self, _urgency: int) -> None:
        """An event handler or a schedule was defined; when that is due is asked anew."""
        self._due = self._clock.now()
        self.look_again()

    def _types(self) -> tuple[str, ...]:
        """The job types that this process can run."""
        return reactions.types(self._registry, self._engine.catalog)

    # --- the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                if self._round():
                    self._wait = SHORTEST
                    continue
                if self._stopping and self.slots.idle:
                    break
                while not self._bell.wait(self._timeout()):
                    if self._stirs():
                        break
            except Exception as error:  # noqa: BLE001 - a worker that stops would be worse
                if self._stopping:
                    break
                self._complain(error)
                self._bell.wait(self._poll_interval)
        self._drained.set()

    def _complain(self, error: Exception) -> None:
        """Log that a round failed, once in a while: a full disk fails every one."""
        now = self._clock.monotonic()
        if now >= self._next_complaint:
            self._next_complaint = now + COMPLAIN
            code = error.code if isinstance(error, AuroraError) else None
            logger.error("a round of the worker failed", exc_info=error, extra={"code": code})

    def _stirs(self) -> bool:
        """Whether a round would find anything to do, though no bell rang."""
        now = self._clock.monotonic()
        if any(now >= one.next and (self.slots.running or not one.running) for one in self._chores):
            return True
        if self._due is not None and self._due <= self._clock.now():
            return True
        return self.slots.waiting > 0 or self._engine.data_version() != self._seen

    def _round(self) -> bool:
        """One round; whether anything happened."""
        self._care()
        ended = self.slots.collect()
        if self._stopping or self._is_stale():
            ended += self.slots.withdraw()
        if any(one.job.limited for one in ended):
            # A limit has room again, perhaps for the next job here.
            self._maybe = True
        self._notice()
        wanted = 0 if self._stopping else self._wanted()
        claims = wanted > 0 and self._maybe
        if not ended and not claims:
            return False
        self._loudest = QUIET
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
        claimer = self._claimer
        more = claims and claimer.more
        if len(claimed) >= wanted or not claims or more or claimer.held is not None:
            self._maybe = True
        if crash.hook is not None:
            self._crash_points(ended, claimed)
        self.slots.offer(claimed, self._loudest)
        if claims and claimer.paused:
            # What was claimed before the pause and has not begun.
            self.slots.restore(self.slots.withdraw(claimer.paused))
        # The gate stays closed for an urgent job that may be claimed for a free slot only.
        if urgent == self._urgent and (claimer.held is None or not self.slots.gate(claimer.held)):
            self.slots.open_gate()
        return bool(ended) or bool(claimed) or more

    async def _cycle(self, port: Port, ended: list[Settlement], limit: int) -> list[Claimed]:
        if ended:
            for lost in await queue.settle(port, ended, wakes=False):
                logger.warning(
                    "job lost its lease", extra={"job": lost.job.id, "attempt": lost.job.attempt}
                )
            if crash.hook is not None:
                crash.hook("before_commit", self._engine)
        claimed: list[Claimed] = []
        if limit:
            if self._due is not None and self._due <= port.now():
                await upkeep.stage(port)
            types = reactions.types(self._registry, port.catalog)
            claimed = await self._claimer.claim(port, types, limit, self.slots.free_for)
            if len(claimed) < limit:
                self._due = self._claimer.due
        places = sum(one.job.limited for one in ended)
        if places > sum(job.limited for job in claimed):
            # Other workers may have something for the places that are left.
            port.touch("jobs")
        return claimed

    def _crash_points(self, ended: list[Settlement], claimed: list[Claimed]) -> None:
        """A test may want the process to die here: what this round did is committed."""
        assert crash.hook is not None
        if ended:
            crash.hook("after_commit_before_ack", self._engine)
        if claimed:
            crash.hook("after_claim", self._engine)

    def _wanted(self) -> int:
        """How many jobs to claim: for free slots, and as many as they do in a moment."""
        slots = self.slots
        mean = slots.mean
        ahead = 0 if mean is None else min(MOST_AHEAD, int(slots.threads * AHEAD / max(mean, 1e-6)))
        wanted = slots.threads - slots.running + ahead - slots.waiting
        held = self._claimer.held
        if held is not None and self._loudest <= held and slots.free_for(held) <= 0:
            # The next one has a limit, and is claimed for a free slot only.
            return 0
        if slots.gated:
            return max(wanted, slots.threads)
        # A few at a time would pay a transaction for each few.
        return wanted if slots.waiting <= ahead // 2 else 0

    def _is_stale(self) -> bool:
        slots = self.slots
        return slots.waiting > 0 and not slots.free and time.monotonic() - slots.last_taken > STALE

    def _notice(self) -> None:
        """Look for commits of other connections, and for what is due."""
        if not self._maybe and (version := self._engine.data_version()) != self._seen:
            self._seen = version
            # A claim takes the lock of all processes: not for nothing.
            types = self._types()
            look = partial(self._look, types=types)
            self._maybe, self._due, ended = self._engine.read(look)
            if ended:
                self._resolve()
            # Another process may have defined a handler that is for workers.
            self._maybe = self._maybe or types != self._types()
        if self._due is not None and self._due <= self._clock.now():
            self._maybe = True

    async def _look(self, port: Port, types: tuple[str, ...]) -> tuple[bool, datetime | None, bool]:
        return (*await self._claimer.look(port, types), await flow.unresolved(port))

    def _timeout(self) -> float:
        """Seconds to wait for the bell."""
        self._wait = min(self._wait * 2, self._poll_interval)
        if self._due is None:
            return self._wait
        return min(self._wait, max(0.0005, (self._due - self._clock.now()).total_seconds()))

    # --- upkeep -----------------------------------------------------------------------------

    def _care(self) -> None:
        if self._cancelled:
            self._cancelled = False
            self._end_lost()
        now = self._clock.monotonic()
        for chore in self._chores:
            if now >= chore.next:
                chore.next = now + chore.every
                more = chore.do()
                if more is True:
                    chore.next = now + SOON
                elif isinstance(more, float):
                    chore.next = now + more
        if self._due is not None and self._due <= self._clock.now() and not self._stopping:
            self._fire()

    def _fire(self) -> None:
        """Fire the schedules that are due; where there are none, it costs nothing."""
        engine = self._engine
        if not engine.catalog.schedules:
            return
        if engine.read(firing.any_due, single=True) and engine.write(self._fire_due):
            self._bell.ring()
        # What else was due is for the claim to find.
        self._maybe = True
        self._due = engine.read(upkeep.next_due, single=True)

    def _look_for_due(self) -> None:
        """While every claim is full, nothing else asks when a schedule is due."""
        if self._engine.catalog.schedules:
            due = self._engine.read(upkeep.next_due, single=True)
            if due is not None and (self._due is None or due < self._due):
                self._due = due

    def _beat(self) -> None:
        beat = partial(upkeep.beat, worker=self.id, types=self._types())
        if not self._engine.write(beat, durable=False):
            # It was silent so long that others forgot it.
            self._engine.write(partial(self._register, threads=self.slots.threads))
        self._beaten = self._clock.now()

    def _resolve(self) -> None:
        """Do what follows from ends that no Aurora wrote."""
        if self._engine.read(flow.unresolved, single=True):
            self._engine.write(flow.resolve)

    def _end_lost(self) -> None:
        """End the attempts whose job was cancelled, by whatever program, or is in other hands."""
        held = self.slots.held()
        if held:
            look = partial(upkeep.lost, worker=self.id, attempts=held)
            if lost := self._engine.read(look, single=True):
                self.slots.lose(lost)

    def _report(self) -> None:
        """Write what the running attempts said since the last time."""
        reports = {attempt: attempt.report for attempt in self.slots.reporting()}
        told = [one for one in reports.values() if one is not None]
        if not told:
            return
        lost = self._engine.write(partial(progress.write, reports=told), durable=False)
        for attempt, report in reports.items():
            attempt.told = report
        if lost:
            # Or completed by its own transaction just now; the look tells.
            self._end_lost()

    def _rescue(self) -> None:
        engine = self._engine
        for other in engine.read(partial(upkeep.others, worker=self.id), single=True):
            dead = process.inspect(engine.folder, other)
            if dead is not None:
                self.rescued += engine.write(partial(upkeep.rescue, worker=other, begun=dead.begun))
                process.forget(engine.folder, other)
        if holders := engine.read(upkeep.expired, single=True):
            if self._clock.now() - self._beaten > timedelta(seconds=2 * BEAT):
                # The machine slept, or was stopped, and everybody's lease ended: all renew theirs first.
                self._beat()
                return
            boards = {one: process.board(engine.folder, one) for one in holders}
            known = {one: begun for one, begun in boards.items() if begun is not None}
            self.rescued += engine.write(partial(upkeep.rescue_expired, boards=known))

    def _sweep(self) -> bool:
        """See to what other programs did to jobs behind the limits."""
        found = self._engine.read(partial(meters.astray, after=self._astray))
        self._astray = found.after
        if not found:
            return False
        return self._engine.write(partial(meters.tidy, found=found), durable=False)

    def _age(self) -> bool:
        """Let jobs rise that have waited long."""
        if not self._engine.read(aging.any_to_do, single=True):
            return False
        return self._engine.write(self._aging.step, durable=False)

    # --- the end ----------------------------------------------------------------------------

    def stop(self, timeout: float) -> None:
        """Take nothing new, wait, give back what is unfinished, leave."""
        self.slots.stop()
        self._stopping = True
        self._bell.ring()
        if not self._drained.wait(timeout):
            self.slots.abandon()
            # Cancelled handlers end soon; threads that do not end are fenced off.
            self._drained.wait(0.5)
            # Before others may run the same jobs.
            self.slots.end_children()
        for stop in self._ears:
            stop()
        self._engine.write(partial(upkeep.leave, worker=self.id))
        self._stopping = True
        self.slots.close(0.5)
        self._lock.close()
