"""Jobs whose process dies: counted, told, given up at the third time; their neighbours are not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest

from aurora_db import Aurora, Jobs, ManualClock

GUARD = 30.0

WORKER = r"""
import os, sys, time
from aurora_db import Aurora
db = Aurora(sys.argv[1], workers_enabled=True, worker_threads=int(sys.argv[2]))
@db.job("quick")
def quick(payload):
    pass
@db.job("hang")
def hang(payload):
    os.write(1, b"began\n")
    time.sleep(600)
db.workers.run()
"""


def until(holds):
    """Wait for a condition; a hang is a failure."""
    end = time.monotonic() + GUARD
    while not holds():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.005)


@pytest.fixture
def begun(path):
    """Starts a worker process that runs so many hanging jobs; none is left behind."""
    started: list[subprocess.Popen[str]] = []

    def start(threads, count):
        child = subprocess.Popen(
            [sys.executable, "-c", WORKER, path, str(threads)], stdout=subprocess.PIPE, text=True
        )
        started.append(child)
        assert child.stdout is not None
        for _ in range(count):
            assert child.stdout.readline() == "began\n"
        return child

    yield start
    for child in started:
        child.kill()
        child.wait(GUARD)
        assert child.stdout is not None
        child.stdout.close()


def ended_by_signal(child, number):
    os.kill(child.pid, number)
    child.wait(GUARD)


CLAIMED = """
    UPDATE _jobs SET status = 'RUNNING', attempt = 1, started_at = created_at,
           worker = (SELECT worker FROM _jobs WHERE type = 'hang'),
           lease_until = (SELECT lease_until FROM _jobs WHERE type = 'hang')
     WHERE type = 'quick'
"""


def others_done(path, behind, clock=None):
    """Another process with workers does what the first one had claimed; its jobs, and what was kept."""
    jobs = Jobs()
    jobs.job("quick")(lambda _payload: None)
    options = {} if clock is None else {"clock": clock}
    with Aurora(path, workers_enabled=True, jobs=jobs, **options) as other:
        until(lambda: all(other.get_job(one.id).status == "COMPLETED" for one in behind))
        kept = other.execute("{ _job_errors { job_id attempt error worker } }")["_job_errors"]
        return [other.get_job(one.id).crashes for one in behind], kept


def test_what_was_claimed_and_not_begun_counts_no_crash(path, begun, other_program):
    """Only the job that ran when its process was killed is to blame; those behind it are not."""
    with Aurora(path) as db:
        bad = db.enqueue_job("hang", {})
        child = begun(1, 1)
        behind = db.enqueue_jobs("quick", [{}] * 5)
    other_program(CLAIMED)
    ended_by_signal(child, signal.SIGKILL)
    crashes, kept = others_done(path, behind)
    assert crashes == [0] * 5
    with Aurora(path) as db:
        crashed = db.get_job(bad.id)
    assert (crashed.status, crashed.crashes, crashed.retries) == ("PENDING", 1, 0)
    error = "worker died running this (its process is gone)"
    assert kept == [{"job_id": bad.id, "attempt": 1, "error": error, "worker": crashed.worker}]


def test_a_process_that_hangs_gives_back_uncounted_what_had_not_begun(path, begun, other_program):
    """Stopped past its lease: of its jobs, those on its board count a crash, the others do not."""
    with Aurora(path) as db:
        bad = db.enqueue_job("hang", {})
        child = begun(1, 1)
        behind = db.enqueue_jobs("quick", [{}] * 5)
        # Not in the middle of a commit, or all would wait for it.
        until(lambda: db.get_job(bad.id).status == "RUNNING")
        with db.transaction():
            os.kill(child.pid, signal.SIGSTOP)
    try:
        other_program(CLAIMED)
        later = ManualClock()
        later.advance(timedelta(days=36_500))
        crashes, kept = others_done(path, behind, later)
        assert crashes == [0] * 5
        error = "worker died running this (it did not renew its lease)"
        assert [(one["job_id"], one["error"]) for one in kept] == [(bad.id, error)]
    finally:
        ended_by_signal(child, signal.SIGKILL)


def test_the_third_death_fails_it_and_each_death_is_kept(path, begun):
    """Its neighbour, killed along with it twice, is done by the next worker."""
    with Aurora(path) as db:
        poison, neighbour = db.enqueue_jobs("hang", [{"n": 1}, {"n": 2}])
        for n in range(3):
            # Together twice; then it runs alone.
            child = begun(2, 2 if n < 2 else 1)
            if n == 2:
                states = {str(db.get_job(one.id).status) for one in (poison, neighbour)}
                assert "RUNNING" in states
                assert db.get_job(poison.id).status == "RUNNING"
            ended_by_signal(child, signal.SIGKILL)
        jobs = Jobs()
        jobs.job("hang")(lambda _payload: "done")
        with Aurora(path, workers_enabled=True, jobs=jobs) as other:
            until(lambda: other.get_job(neighbour.id).status == "COMPLETED")
            until(lambda: other.get_job(poison.id).finished_at is not None)
            end = other.get_job(poison.id)
            assert (end.status, end.crashes, end.retries) == ("FAILED", 3, 0)
            assert end.error == "worker died 3 times running this"
            assert other.get_job(neighbour.id).crashes == 2
            mine = other.execute(
                "query ($id: ID!) { _job_errors(where: {job_id: $id}) { attempt } }",
                {"id": poison.id},
            )
            assert [one["attempt"] for one in mine["_job_errors"]] == [1, 2, 3]


class Sleepy(ManualClock):
    """A machine that sleeps: the time of day goes on, its monotonic clock does not."""

    def sleep(self, seconds):
        self._now += timedelta(seconds=seconds)


def test_a_machine_that_slept_keeps_its_running_jobs(path):
    """Every lease has ended when a laptop wakes; nobody died, so nothing is taken away or counted."""
    clock = Sleepy()
    with Aurora(path, clock=clock, workers_enabled=True, worker_threads=1) as db:
        going, on = threading.Event(), threading.Event()

        @db.job("long")
        def long(_payload):
            going.set()
            on.wait(GUARD)
            return "done"

        job = db.enqueue_job("long", {})
        assert going.wait(GUARD)
        before = db.get_job(job.id).lease_until
        clock.sleep(3_600)
        clock.advance(1.5)
        until(lambda: db.get_job(job.id).lease_until > before)
        on.set()
        until(lambda: db.get_job(job.id).finished_at is not None)
        done = db.get_job(job.id)
        assert (done.status, done.attempt, done.crashes) == ("COMPLETED", 1, 0)


def test_a_worker_that_was_forgotten_registers_again(path, other_program):
    """After a long silence it is known again with its next heartbeat."""
    clock = ManualClock()
    with Aurora(path, clock=clock, workers_enabled=True, worker_threads=3) as db:
        db.job("any")(lambda _payload: None)
        other_program("DELETE FROM _workers")
        clock.advance(11)
        until(lambda: db.execute("{ _workers { threads types } }")["_workers"])
        assert db.execute("{ _workers { threads types } }") == {
            "_workers": [{"threads": 3, "types": ["any"]}]
        }


@pytest.mark.parametrize("again", [True, False])
def test_a_poisoned_job_may_run_again_by_hand(db, clock, claim_one, again):
    """Its crashes count anew."""
    job = db.enqueue_job("poison", {})
    for n in range(3):
        assert claim_one(db, worker=f"w{n}") is not None
        clock.advance(31)
    claim_one(db)
    assert db.get_job(job.id).status == "FAILED"
    assert (db.retry_job(job.id) if again else db.retry_jobs({"type": "poison"}) == 1) is True
    assert (db.get_job(job.id).status, db.get_job(job.id).crashes) == ("PENDING", 0)
