"""A model of jobs: what every verb must make of them, one job after the other, as plainly as it can be said.

The model knows BLOCKED for jobs that wait for others. Those that a limit holds back it knows as PENDING:
which of them are looked at, and so BLOCKED, is the claim's business.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

LEASE = 30.0
POISON = "worker died 3 times running this"
ENDED = ("COMPLETED", "FAILED", "CANCELLED")
BAD = ("FAILED", "CANCELLED")
WAITING = ("SCHEDULED", "BLOCKED", "PENDING")
NOT_ENDED = (*WAITING, "RUNNING")

#: Type or queue, its name.
Place = tuple[str, str]


@dataclass
class Wanted:
    """The options of jobs that somebody enqueues."""

    type: str
    queue: str
    priority: int
    retries: int
    delay: float | None
    backoff: Any
    after: list[Modelled]
    policy: str
    #: What a unique job says: on_conflict, statuses, period.
    unique: tuple[str, tuple[str, ...], float | None] | None


@dataclass(eq=False)
class Modelled:
    """A job of the model; `n` is its place in the order of enqueueing, `waits` are those it waits for."""

    n: int
    id: str
    wanted: Wanted
    payload: Any
    priority: int
    queue: str
    max_retries: int
    backoff: Any
    status: str = "PENDING"
    run_at: datetime | None = None
    #: When it runs again at the latest, where that is drawn; `run_at` is the earliest.
    run_until: datetime | None = None
    waits: list[Modelled] = field(default_factory=list)
    waited: bool = False
    worker: str | None = None
    lease: datetime | None = None
    attempt: int = 0
    retries: int = 0
    crashes: int = 0
    error: str | None = None
    errors: int = 0
    result: Any = None
    progress: float | None = None
    note: str | None = None
    #: Which attempt did a step.
    steps: dict[str, int] = field(default_factory=dict)
    effects: Counter[str] = field(default_factory=Counter)

    @property
    def type(self) -> str:
        return self.wanted.type

    def finish(self, status: str) -> None:
        """It does not run any more."""
        self.status, self.lease = status, None


@dataclass
class Key:
    """Who has a key of unique jobs, and while it is in which statuses."""

    job: Modelled
    statuses: tuple[str, ...]
    until: datetime | None

    def counts(self, now: datetime) -> bool:
        return self.job.status in self.statuses and (self.until is None or self.until > now)


@dataclass
class Worker:
    """A worker process; `begun` are the ids of the jobs on its board."""

    name: str
    heard: datetime
    alive: bool = True
    registered: bool = True
    #: Whether its file is there.
    board: bool = True
    begun: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Token:
    """An attempt in the hands of a program, which may have lost it; `done` are the steps it found done."""

    job: Modelled
    attempt: int
    worker: str
    #: What the claim said.
    last_try: bool
    last_death: bool
    begun: bool = False
    used: set[str] = field(default_factory=set)
    done: dict[str, int] | None = None
    note: str | None = None

    @property
    def key(self) -> tuple[str, int]:
        return self.job.id, self.attempt

    @property
    def own(self) -> bool:
        """Whether nobody else has had the job since."""
        return (self.job.attempt, self.job.worker) == (self.attempt, self.worker)

    @property
    def holds(self) -> bool:
        return self.own and self.job.status == "RUNNING"

    def leaves(self, how: str) -> str:
        """The status that this end leaves behind."""
        if (how in ("errs", "late", "retries") and self.last_try) or (
            how == "dies" and self.last_death
        ):
            return "FAILED"
        return LEAVES[how]


class World:
    """All jobs, limits, queues and workers."""

    def __init__(self, now: datetime, key: str | None) -> None:
        self.now = now
        #: The key by which limits count.
        self.key = key
        self.jobs: dict[str, Modelled] = {}
        self.keys: dict[tuple[str, str], Key] = {}
        self.limits: dict[Place, int] = {}
        self.paused: set[str] = set()
        self.workers: dict[str, Worker] = {}

    def later(self, seconds: float) -> datetime:
        return self.now + timedelta(seconds=seconds)

    # --- enqueue ----------------------------------------------------------------------------

    def enqueue(
        self, wanted: Wanted, payloads: list[Any], ids: list[str]
    ) -> list[tuple[Modelled, bool]]:
        """For each payload its job, and whether that was there before."""
        new: list[Modelled] = []
        found: list[tuple[Modelled, bool]] = []
        for payload, id in zip(payloads, ids, strict=True):
            there = self.meet(wanted, payload)
            if there is None:
                new.append(self.add(wanted, payload, id))
            found.append((there or new[-1], there is not None))
        for job in new:
            # One of those that it waits for had failed before.
            if any(one.status in BAD for one in job.waits):
                job.waits = [one for one in job.waits if one.status not in BAD]
                self.doom(job)
        return found

    def meet(self, wanted: Wanted, payload: Any) -> Modelled | None:
        """The job that has the key, as this one changes it; None where there is none."""
        if wanted.unique is None:
            return None
        holder = self.keys.get((wanted.type, payload["k"]))
        if holder is None or not holder.counts(self.now):
            return None
        on_conflict, job = wanted.unique[0], holder.job
        if job.status not in WAITING or on_conflict == "keep":
            return job
        if on_conflict == "replace":
            job.payload, job.priority, job.queue = payload, wanted.priority, wanted.queue
            job.max_retries, job.backoff = wanted.retries, wanted.backoff
        if on_conflict == "reschedule" or wanted.delay is not None:
            job.run_at = self.later(wanted.delay) if wanted.delay else None
            if job.status != "BLOCKED":
                job.status = "SCHEDULED" if job.run_at else "PENDING"
        return job

    def add(self, wanted: Wanted, payload: Any, id: str) -> Modelled:
        job = Modelled(
            len(self.jobs), id, wanted, payload, wanted.priority, wanted.queue, wanted.retries, wanted.backoff
        )  # fmt: skip
        self.jobs[id] = job
        job.run_at = self.later(wanted.delay) if wanted.delay else None
        if wanted.unique is not None:
            _, statuses, period = wanted.unique
            until = None if period is None else self.later(period)
            self.keys[wanted.type, payload["k"]] = Key(job, statuses, until)
        self.wait(job, [one for one in wanted.after if not self.over(job, one)])
        return job

    # --- flows ------------------------------------------------------------------------------

    def over(self, job: Modelled, one: Modelled) -> bool:
        """Whether an end counts that was before."""
        return one.status == "COMPLETED" or (one.status in BAD and job.wanted.policy == "run")

    def wait(self, job: Modelled, waits: list[Modelled]) -> None:
        job.waits = waits
        if waits:
            job.status = "BLOCKED"
        else:
            self.free(job)

    def free(self, job: Modelled) -> None:
        late = job.run_at is not None and job.run_at > self.now
        job.status = "SCHEDULED" if late else "PENDING"

    def doom(self, job: Modelled) -> None:
        job.error, job.waited = None, True
        self.end(job, "CANCELLED")

    def end(self, job: Modelled, status: str) -> None:
        """It ends, and what follows from that does."""
        job.finish(status)
        for one in self.jobs.values():
            if job not in one.waits:
                continue
            one.waits.remove(job)
            if one.status != "BLOCKED":
                continue
            if status in BAD and one.wanted.policy == "cancel":
                self.doom(one)
            elif not one.waits:
                self.free(one)

    # --- a person ---------------------------------------------------------------------------

    def cancel(self, job: Modelled) -> bool:
        if job.status in ENDED:
            return False
        self.end(job, "CANCELLED")
        return True

    def retry(self, jobs: list[Modelled]) -> list[Modelled]:
        """Those that run again; the others had not ended, or another job has their key."""
        refused = self.regain([job for job in jobs if job.status in ENDED])
        again = [job for job in jobs if job.status in ENDED and job not in refused]
        waits = {
            job.id: [one for one in job.wanted.after if one in again or not self.over(job, one)]
            for job in again
        }
        for job in again:
            if job.status == "COMPLETED":
                job.steps.clear()
            job.run_at, job.run_until, job.worker, job.retries, job.crashes = None, None, None, 0, 0
            job.error, job.waited, job.result, job.progress, job.note = (
                None,
                False,
                None,
                None,
                None,
            )
        for job in again:
            self.wait(job, waits[job.id])
        return again

    def regain(self, ended: list[Modelled]) -> list[Modelled]:
        groups: dict[tuple[str, str], list[Modelled]] = {}
        for job in ended:
            if job.wanted.unique is not None:
                groups.setdefault((job.type, job.payload["k"]), []).append(job)
        refused: list[Modelled] = []
        for name, group in groups.items():
            holder = self.keys[name]
            if not holder.counts(self.now) and holder.job not in group:
                # It takes the key over as it is.
                holder.job = group[0]
            refused += [job for job in group if job is not holder.job]
        return refused

    # --- claims -----------------------------------------------------------------------------

    def meters(self, job: Modelled) -> list[tuple[str, str, str]]:
        """What counts this job."""
        value = job.payload["customer"] if self.key else ""
        places = (("type", job.type), ("queue", job.queue))
        return [(*place, value) for place in places if place in self.limits]

    def running(self, meter: tuple[str, str, str]) -> int:
        jobs = self.jobs.values()
        return sum(one.status == "RUNNING" and meter in self.meters(one) for one in jobs)

    def may_run(self, job: Modelled) -> bool:
        if job.status != "PENDING" or job.queue in self.paused:
            return False
        return all(self.running(meter) < self.limits[meter[:2]] for meter in self.meters(job))

    def stage(self) -> None:
        for job in self.jobs.values():
            if job.status == "SCHEDULED" and job.run_at is not None and job.run_at <= self.now:
                job.status = "PENDING"

    def claim(self, worker: str, count: int, taken: list[tuple[str, int]]) -> list[Token]:
        """Stage what is due, and begin what a claim has taken, which must be what may run, in its order.

        Without limits it is exactly the first. A job that a limit has let go keeps its place for a while,
        so others of its key may come after it.
        """
        self.stage()
        order = sorted(self.jobs.values(), key=lambda one: (-one.priority, one.n))
        free = [job for job in order if self.may_run(job) and not self.meters(job)]
        tokens = [self.start(worker, *one) for one in taken]
        jobs = [token.job for token in tokens]
        assert jobs == [job for job in order if job in jobs]
        unlimited = [job for job in jobs if not self.meters(job)]
        assert unlimited == free[: len(unlimited)]
        assert len(jobs) == count or unlimited == free
        return tokens

    def start(self, worker: str, id: str, attempt: int) -> Token:
        job = self.jobs[id]
        assert self.may_run(job)
        job.status, job.worker, job.lease = "RUNNING", worker, self.later(LEASE)
        job.attempt += 1
        assert job.attempt == attempt
        last = (job.retries + 1 >= job.max_retries, job.crashes == 2)
        return Token(job, attempt, worker, *last)

    # --- settle -----------------------------------------------------------------------------

    def settle(self, token: Token, how: str, arg: Any, told: str) -> None:
        """The end of an attempt; `told` is what its program was told, which must be right."""
        job = token.job
        if not token.holds:
            # Who finds what it would have left takes it for its own; the error is kept then.
            leaves = token.leaves(how)
            alike = token.own and job.status == leaves
            assert told == "lost" or (told == "written" and alike)
            assert told == "written" or not alike or leaves == "PENDING"
            job.errors += told == "written" and how in ERRORS
            return
        assert told == ("completed" if how == "completes" else "written")
        match how:
            case "returns" | "completes":
                job.result, job.error = arg, None
                job.effects["done"] += how == "completes"
                self.end(job, "COMPLETED")
            case "snoozes":
                job.finish("SCHEDULED")
                job.run_at, job.run_until = self.later(arg), None
            case "cancels":
                job.error = arg
                self.end(job, "CANCELLED")
            case "released":
                job.finish("PENDING")
            case "dies":
                job.errors += 1
                self.crash(job, f"{POISON} (signal 9)")
            case _:
                self.fail(job, how, arg)

    def fail(self, job: Modelled, how: str, arg: Any) -> None:
        job.retries += 1
        job.errors += 1
        job.error = {"retries": "asked for a retry", "late": "Timeout"}.get(how, arg)
        if how == "fails" or job.retries >= job.max_retries:
            self.end(job, "FAILED")
            return
        first, last = (arg, arg) if how == "retries" else back_off(job)
        job.finish("SCHEDULED")
        job.run_at, job.run_until = self.later(first), self.later(last)

    def crash(self, job: Modelled, poison: str = POISON) -> None:
        """The process died in which it ran."""
        job.crashes += 1
        if job.crashes >= 3:
            job.error = poison
            self.end(job, "FAILED")
        else:
            job.finish("PENDING")

    # --- upkeep -----------------------------------------------------------------------------

    def held_by(self, name: str) -> list[Modelled]:
        jobs = self.jobs.values()
        return [job for job in jobs if job.status == "RUNNING" and job.worker == name]

    def look(self) -> int:
        """Give back what the dead held, at once, and what is held by leases that have ended."""
        rescued: list[Modelled] = []
        for worker in self.workers.values():
            if not worker.alive and worker.registered:
                worker.registered = False
                held = self.held_by(worker.name)
                rescued += held
                self.rescue(held)
                worker.board = False
        expired = [
            job for job in self.jobs.values() if job.status == "RUNNING" and job.lease < self.now
        ]
        self.rescue(expired)
        return len(rescued) + len(expired)

    def rescue(self, jobs: list[Modelled]) -> None:
        """What had begun counts a death; what stands on no board has not, unless nobody can know."""
        boards = [self.workers[job.worker] for job in jobs]
        begun = {id for worker in boards if worker.board for id in worker.begun}
        for job, worker in zip(jobs, boards, strict=True):
            if worker.board and job.id not in begun:
                job.finish("PENDING")
            else:
                job.errors += 1
                self.crash(job)

    def beat(self, name: str) -> None:
        """It renews its leases; whoever is silent and holds nothing is forgotten."""
        worker = self.workers[name]
        worker.heard = self.now
        for job in self.held_by(name):
            job.lease = self.later(LEASE)
        for other in self.workers.values():
            if other.heard < self.later(-2 * LEASE) and not self.held_by(other.name):
                other.registered = False
        worker.registered = True

    def leave(self, name: str) -> int:
        worker = self.workers[name]
        worker.alive = worker.registered = worker.board = False
        returned = self.held_by(name)
        for job in returned:
            job.finish("PENDING")
        return len(returned)


#: The status that each end leaves behind; and which of them keep an error.
LEAVES = {
    "returns": "COMPLETED", "completes": "", "errs": "SCHEDULED", "retries": "SCHEDULED", "fails": "FAILED",
    "snoozes": "SCHEDULED", "cancels": "CANCELLED", "released": "PENDING", "dies": "PENDING", "late": "SCHEDULED",
}  # fmt: skip
ERRORS = ("errs", "retries", "fails", "dies", "late")


def back_off(job: Modelled) -> tuple[float, float]:
    """Seconds from a failure to the next attempt, at least and at most."""
    failures = job.retries
    match job.backoff:
        case None:
            plain = min(3600.0, 5.0 * 2 ** (failures - 1))
            return math.floor(plain * 0.9), math.ceil(plain * 1.1)
        case list():
            plain = job.backoff[min(failures, len(job.backoff)) - 1]
        case dict():
            plain = job.backoff["step"] * failures
        case _:
            plain = job.backoff
    return plain, plain
