"""Jobs against a plain model: several worker processes, SIGKILL, clock jumps, and people who interfere.

After every step each job is as the model has it, and the feed has the changes of status that the model
made, in which each is an event of the table in `jobs/status.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from aurora_db import Aurora, ManualClock
from aurora_db.base.records import Priority, Status
from aurora_db.jobs.status import TRANSITIONS, Event

PROGRAM = str(Path(__file__).with_name("machine.py"))
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
GUARD = 60.0
#: As the page of the life of a job and the design say.
LEASE, DEATHS, SNOOZE, AGAIN, BACKOFF = 30.0, 3, 20.0, 5.0, 10.0
ENDED = (Status.COMPLETED, Status.FAILED, Status.CANCELLED)
BAD = (Status.FAILED, Status.CANCELLED)

SCHEMA = "schema { define collection effects { job: ID! attempt: Int! } }"
JOBS = """
    SELECT id, status, attempt, retries, crashes, run_at, lease_until, finished_at IS NOT NULL FROM _jobs
"""
CHANGES = """
    SELECT seq, id, json_extract(before, '$.status'), json_extract(after, '$.status') FROM _changes
     WHERE collection = '_jobs' AND seq > ? ORDER BY seq
"""


def text(seconds: float | None) -> str | None:
    """The instant so many seconds after the beginning, as the file has it."""
    if seconds is None:
        return None
    return (BEGIN + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# --- the model ------------------------------------------------------------------------------


class Modelled:
    """One job of the model. Its status moves by the table only."""

    def __init__(self, id: str, options: dict[str, Any], log: Counter[Any]) -> None:
        self.id = id
        self.type: str = options["type"]
        self.queue: str = options["queue"]
        self.priority: Priority = options["priority"]
        self.max_retries: int = options["retries"]
        self.run_at: float | None = None
        self.after: list[Modelled] = []
        self.policy = "cancel"
        self.status: Status | None = None
        self.attempt = self.retries = self.crashes = 0
        self.holder: int | None = None
        self.lease: float | None = None
        self._log = log

    def born(self, status: Status) -> None:
        """It is enqueued."""
        self.status = status
        self._log[self.id, None, status] += 1

    def move(self, event: Event, to: Status | None = None) -> None:
        """Something happens to it."""
        assert self.status is not None
        target = TRANSITIONS[self.status][event]
        assert to is None or to == target
        self._log[self.id, self.status, target] += 1
        self.status = target
        if target is not Status.RUNNING:
            self.lease = None

    def row(self) -> tuple[Any, ...]:
        """What the table must say of it."""
        return (
            self.id, self.status, self.attempt, self.retries, self.crashes, text(self.run_at), text(self.lease),
            self.status in ENDED,
        )  # fmt: skip


class Model:
    """What must be, one job after the other in the words of the documentation."""

    def __init__(self) -> None:
        self.now = 0.0
        self.jobs: list[Modelled] = []
        self.paused: set[str] = set()
        self.effects: Counter[str] = Counter()
        #: The changes of status since the last look.
        self.log: Counter[Any] = Counter()

    def enqueue(
        self, id: str, options: dict[str, Any], delay: float, after: list[Modelled], policy: str
    ) -> Modelled:
        """It waits for its time, for other jobs, or may be claimed."""
        job = Modelled(id, options, self.log)
        self.jobs.append(job)
        job.run_at = self.now + delay if delay else None
        job.after, job.policy = after, policy
        fails = policy == "cancel" and any(one.status in BAD for one in after)
        if fails or any(one.status not in ENDED for one in after):
            job.born(Status.BLOCKED)
        elif delay:
            job.born(Status.SCHEDULED)
        else:
            job.born(Status.PENDING)
        self.follow()
        return job

    def follow(self) -> None:
        """What follows from the ends of jobs for those that wait for them."""
        changed = True
        while changed:
            changed = False
            for job in self.jobs:
                if job.status is Status.BLOCKED:
                    changed = self._followed(job) or changed

    def _followed(self, job: Modelled) -> bool:
        if job.policy == "cancel" and any(one.status in BAD for one in job.after):
            job.move(Event.CANCEL)
        elif any(one.status not in ENDED for one in job.after):
            return False
        elif job.run_at is not None and job.run_at > self.now:
            job.move(Event.DEFER)
        else:
            job.move(Event.FREE)
        return True

    def claim(self, holder: int) -> Modelled | None:
        """What is due is staged; the most urgent job goes, in the order of enqueueing."""
        for job in self.jobs:
            if job.status is Status.SCHEDULED and job.run_at is not None and job.run_at <= self.now:
                job.move(Event.STAGE)
        taken = any(job.status is Status.RUNNING and job.type == "single" for job in self.jobs)
        may = [
            job
            for job in self.jobs
            if job.status is Status.PENDING
            and job.queue not in self.paused
            and not (taken and job.type == "single")
        ]
        if not may:
            return None
        job = max(may, key=lambda one: (one.priority, -self.jobs.index(one)))
        job.move(Event.CLAIM)
        job.attempt += 1
        job.holder, job.lease = holder, self.now + LEASE
        return job

    def settle(self, job: Modelled, how: str) -> None:
        """The attempt ends, and the job is still its own."""
        match how:
            case "complete" | "completing":
                job.move(Event.COMPLETE)
                self.effects[job.id] += how == "completing"
            case "cancel":
                job.move(Event.CANCEL)
            case "snooze":
                job.move(Event.SNOOZE)
                job.run_at = self.now + SNOOZE
            case _:
                job.retries += 1
                if how == "Fail" or job.retries >= job.max_retries:
                    job.move(Event.FAIL)
                else:
                    job.move(Event.RETRY)
                    job.run_at = self.now + (AGAIN if how == "retry" else BACKOFF)
        self.follow()

    def crash(self, job: Modelled) -> None:
        """Its worker died while it ran."""
        job.crashes += 1
        job.move(Event.FAIL if job.crashes >= DEATHS else Event.RESCUE)

    def rescue(self, dead: dict[int, Modelled | None], running: list[Modelled]) -> None:
        """The jobs of the dead come back, and those whose lease has ended; what had begun counts it."""
        for holder, begun in dead.items():
            for job in self.jobs:
                if job.status is Status.RUNNING and job.holder == holder:
                    if job is begun:
                        self.crash(job)
                    else:
                        job.move(Event.RESCUE)
        for job in self.jobs:
            if job.status is Status.RUNNING and job.lease is not None and job.lease < self.now:
                if job in running:
                    self.crash(job)
                else:
                    job.move(Event.RESCUE)
        self.follow()

    def revive(self, job: Modelled) -> None:
        """A new run, with all its attempts."""
        job.move(Event.REVIVE)
        job.retries = job.crashes = 0
        job.run_at = job.holder = None


# --- processes ------------------------------------------------------------------------------


class Zygote:
    """A process that has imported everything and forks workers."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="machine-")
        name = str(Path(self.folder, "socket"))
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(name)
        self._socket.listen()
        self._socket.settimeout(GUARD)
        self._process = subprocess.Popen(
            [sys.executable, PROGRAM, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def fork(self, path: str) -> Child:
        """Another worker of the database at `path`."""
        self._tell(path)
        connection, _ = self._socket.accept()
        connection.settimeout(GUARD)
        return Child(connection)

    def bury(self, child: Child) -> None:
        """Wait until a worker that ends is gone."""
        self._tell(str(child.pid))
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "gone\n"
        child.close()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(GUARD)
        self._process.stdout.close()
        self._socket.close()
        shutil.rmtree(self.folder)


class Child:
    """A worker process, and what the test knows of it."""

    count = 0

    def __init__(self, connection: socket.socket) -> None:
        Child.count += 1
        self.number = Child.count
        self._connection = connection
        self._lines = connection.makefile("rw", encoding="utf-8")
        self.pid: int = json.loads(self._lines.readline())
        self.job: Modelled | None = None
        self.attempt = 0
        self.begun = False

    def do(self, now: float, verb: str, *arguments: object) -> Any:
        """Tell it something; its answer."""
        answer = self.tell(now, verb, *arguments)
        assert answer, f"the worker died at {verb}"
        return json.loads(answer)

    def tell(self, now: float, verb: str, *arguments: object) -> str:
        """Tell it something; the line of its answer, or nothing when it died."""
        self._lines.write(json.dumps([now, verb, arguments]) + "\n")
        self._lines.flush()
        try:
            return self._lines.readline()
        except ConnectionResetError:
            return ""

    @property
    def holds(self) -> bool:
        """Whether the job is still its own."""
        job = self.job
        return (
            job is not None
            and job.status is Status.RUNNING
            and job.holder == self.number
            and job.attempt == self.attempt
        )

    def kill(self) -> None:
        """Without warning."""
        os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._lines.close()
        self._connection.close()


SEATS = st.integers(0, 2)
HOW = st.sampled_from(
    ["complete", "completing", "fail", "fail", "Fail", "cancel", "snooze", "retry"]
)


class Machine(RuleBasedStateMachine):
    """The rules. `zygote` is set by the test."""

    zygote: Zygote
    jobs = Bundle("jobs")

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="jobs-", dir=self.zygote.folder)
        self.path = str(Path(self.folder, "jobs.db"))
        self.clock = ManualClock(BEGIN)
        self.db = Aurora(self.path, clock=self.clock, durability="none", workers_enabled=True)
        self.db.execute(SCHEMA)
        self.model = Model()
        self.living: dict[int, Child] = {}
        #: Workers that died and were not seen yet, and the job that each was running.
        self.dead: dict[int, Modelled | None] = {}
        self.position = 0

    def teardown(self) -> None:
        if not hasattr(self, "db"):
            return
        for child in self.living.values():
            child.kill()
            self.zygote.bury(child)
        self.db.close()
        shutil.rmtree(self.folder)

    # --- people ----------------------------------------------------------------------------

    @rule(
        target=jobs,
        type=st.sampled_from(["plain", "single"]),
        queue=st.sampled_from(["default", "default", "slow"]),
        priority=st.sampled_from(list(Priority)),
        retries=st.integers(1, 3),
        delay=st.sampled_from([0.0, 0.0, 0.0, 15.0]),
    )
    def enqueue(self, type, queue, priority, retries, delay):
        return self._enqueue(type, queue, priority, retries, delay, [], "cancel")

    @rule(
        target=jobs,
        priority=st.sampled_from(list(Priority)),
        delay=st.sampled_from([0.0, 15.0, 60.0]),
        after=st.lists(jobs, min_size=1, max_size=3, unique_by=id),
        policy=st.sampled_from(["cancel", "run"]),
    )
    def enqueue_after(self, priority, delay, after, policy):
        return self._enqueue("plain", "default", priority, 2, delay, after, policy)

    def _enqueue(self, type, queue, priority, retries, delay, after, policy):
        job = self.db.enqueue_job(
            type, None, priority, queue=queue, retries=retries, delay=delay or None, backoff=BACKOFF,
            after=[one.id for one in after], on_dependency_failure=policy,
        )  # fmt: skip
        options = {"type": type, "queue": queue, "priority": priority, "retries": retries}
        return self.model.enqueue(job.id, options, delay, after, policy)

    @rule(job=jobs)
    def cancel(self, job):
        """A person cancels it; a running attempt has lost it."""
        ended = job.status in ENDED
        assert self.db.cancel_job(job.id) is not ended
        if not ended:
            job.move(Event.CANCEL)
            self.model.follow()

    @rule(job=jobs)
    def retry(self, job):
        """A person lets it run again. Those tied to others have a model of their own."""
        if job.after or any(job in other.after for other in self.model.jobs):
            return
        ended = job.status in ENDED
        assert self.db.retry_job(job.id) is ended
        if ended:
            self.model.revive(job)

    @rule(queue=st.sampled_from(["default", "slow"]))
    def pause_or_resume(self, queue):
        if queue in self.model.paused:
            self.db.workers.resume(queue)
            self.model.paused.discard(queue)
        else:
            self.db.workers.pause(queue)
            self.model.paused.add(queue)

    @rule(seconds=st.sampled_from([1.0, 5.0, 10.0, 20.0, 31.0]))
    def clock_jumps(self, seconds):
        self.clock.advance(seconds)
        self.model.now += seconds

    # --- workers ---------------------------------------------------------------------------

    def _one(self, seat: int, *, busy: bool | None = None) -> Child | None:
        """One of the living, that has a job or has none, if it matters."""
        fit = [
            child
            for child in self.living.values()
            if busy is None or (child.job is not None) is busy
        ]
        return fit[seat % len(fit)] if fit else None

    @precondition(lambda self: len(self.living) < 3)
    @rule()
    def start(self):
        """A worker begins: it rescues what the dead held."""
        child = self.zygote.fork(self.path)
        self.living[child.number] = child
        child.do(self.model.now, "arrive")
        self._rescued()

    @rule()
    def rescue(self):
        """Some other worker looks for dead ones, and goes."""
        self.db.jobs_testing.drain(limit=0)
        self._rescued()

    def _rescued(self) -> None:
        running = [child.job for child in self.living.values() if child.begun and child.holds]
        self.model.rescue(self.dead, running)
        self.dead.clear()

    @precondition(lambda self: self._one(0, busy=False))
    @rule(seat=SEATS, begins=st.booleans())
    def claim(self, seat, begins):
        """A worker takes a job; its handler may begin, and take its time."""
        child = self._one(seat, busy=False)
        self._claim(child)
        if begins and child.job is not None:
            self._begin(child)

    def _claim(self, child: Child) -> None:
        found = child.do(self.model.now, "claim")
        job = self.model.claim(child.number)
        assert found == (None if job is None else [job.id, job.attempt])
        if job is not None:
            child.job, child.attempt, child.begun = job, job.attempt, False

    @precondition(lambda self: self._one(0, busy=True))
    @rule(seat=SEATS, how=HOW)
    def end(self, seat, how):
        """The handler runs and ends so; what is not its own any more is left alone."""
        self._end(self._one(seat, busy=True), how)

    @precondition(lambda self: self._one(0, busy=False))
    @rule(seat=SEATS, hows=st.lists(HOW, min_size=1, max_size=5))
    def work(self, seat, hows):
        """Claim and run, one job after the other."""
        child = self._one(seat, busy=False)
        for how in hows:
            self._claim(child)
            if child.job is None:
                break
            self._end(child, how)

    def _end(self, child: Child, how: str) -> None:
        self._begin(child)
        held = child.do(self.model.now, "end", how)
        assert held is child.holds
        if child.holds:
            self.model.settle(child.job, how)
        child.job = None

    def _begin(self, child: Child) -> None:
        if not child.begun:
            child.do(self.model.now, "begin")
            child.begun = True

    @precondition(lambda self: self._one(0, busy=True))
    @rule(seat=SEATS)
    def release(self, seat):
        """A job that has not begun is given back."""
        child = self._one(seat, busy=True)
        if child.begun:
            return
        child.do(self.model.now, "release")
        if child.holds:
            child.job.move(Event.RELEASE)
        child.job = None

    @precondition(lambda self: self.living)
    @rule(seat=SEATS)
    def leave(self, seat):
        """A worker stops gracefully: what it still holds goes back uncounted."""
        child = self._one(seat)
        child.do(self.model.now, "leave")
        if child.holds:
            child.job.move(Event.RELEASE)
        del self.living[child.number]
        self.zygote.bury(child)

    @precondition(lambda self: self.living)
    @rule(seat=SEATS)
    def kill(self, seat):
        """SIGKILL, whatever it does."""
        child = self._one(seat)
        child.kill()
        self._died(child, child.job if child.begun else None)

    @precondition(lambda self: self._one(0, busy=True))
    @rule(
        seat=SEATS,
        point=st.sampled_from(
            ["before_commit", "in_completing_before_commit", "after_commit_before_ack"]
        ),
    )
    def die_at(self, seat, point):
        """It kills itself at a crash point."""
        child = self._one(seat, busy=True)
        if not child.holds:
            return
        how = "completing" if point == "in_completing_before_commit" else "complete"
        self._begin(child)
        assert child.tell(self.model.now, "end", how, point) == ""
        if point == "after_commit_before_ack":
            self.model.settle(child.job, how)
        # When it had returned, its place on the board is empty.
        self._died(child, child.job if how == "completing" else None)

    @precondition(lambda self: len(self.living) < 3)
    @rule(begun=st.lists(st.booleans(), min_size=1, max_size=4))
    def deaths(self, begun):
        """One worker after the other takes a job and is killed, while its handler runs or before."""
        for begins in begun:
            self.start()
            child = list(self.living.values())[-1]
            self._claim(child)
            if begins and child.job is not None:
                self._begin(child)
            child.kill()
            self._died(child, child.job if child.begun else None)
        self.rescue()

    @precondition(lambda self: self._one(0, busy=False))
    @rule(seat=SEATS, how=HOW, begins=st.booleans())
    def hang(self, seat, how, begins):
        """A worker hangs past its lease; others rescue its job and take it; then it goes on."""
        child = self._one(seat, busy=False)
        self._claim(child)
        if child.job is None:
            return
        if begins:
            self._begin(child)
        self.clock_jumps(31.0)
        self.rescue()
        other = self._one(seat, busy=False)
        if other is not None:
            self._claim(other)
        self._end(child, how)

    def _died(self, child: Child, running: Modelled | None) -> None:
        self.dead[child.number] = running
        del self.living[child.number]
        self.zygote.bury(child)

    # --- the comparison --------------------------------------------------------------------

    @invariant()
    def every_job_is_as_the_model_has_it(self):
        if not hasattr(self, "db"):
            return
        port = self.db._engine

        async def jobs(port: Any) -> list[Any]:
            return await port.rows(JOBS)

        async def changes(port: Any) -> list[Any]:
            return await port.rows(CHANGES, (self.position,))

        found = {row[0]: (*row[:7], bool(row[7])) for row in port.read(jobs)}
        assert found == {job.id: job.row() for job in self.model.jobs}
        seen = port.read(changes)
        assert Counter((id, before, after) for _, id, before, after in seen) == self.model.log
        self.position = seen[-1][0] if seen else self.position
        self.model.log.clear()
        effects = self.db.execute("{ effects { job } }")["effects"]
        assert Counter(one["job"] for one in effects) == +self.model.effects


@pytest.mark.crash
def test_jobs_live_as_their_table_says() -> None:
    """Whatever people, workers, deaths and the clock do."""
    Machine.zygote = Zygote()
    examples = 400 if settings().max_examples > 100 else 25
    try:
        run_state_machine_as_test(
            Machine,
            settings=settings(max_examples=examples, stateful_step_count=50, deadline=None),
        )
    finally:
        Machine.zygote.close()
