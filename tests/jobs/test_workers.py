"""Workers that run: whatever a handler does, the worker goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import msgspec
import pytest

from aurora_db import (
    Aurora,
    Cancel,
    Fail,
    JobContext,
    JobError,
    JobHandler,
    Jobs,
    PayloadInvalid,
    Retry,
    Snooze,
)

GUARD = 30.0


def ended(db, job):
    """The job when it has ended."""
    end = time.monotonic() + GUARD
    while db.get_job(job.id).finished_at is None:
        assert time.monotonic() < end, f"the job did not end: {db.get_job(job.id)}"
        time.sleep(0.002)
    return db.get_job(job.id)


def endless(n: int) -> int:
    return endless(n + 1)


ERRORS = {
    "raises": lambda: 1 / 0,
    "exits": lambda: sys.exit(3),
    "interrupts": lambda: (_ for _ in ()).throw(KeyboardInterrupt()),
    "recurses": lambda: endless(0),
}


@pytest.mark.parametrize("what", ERRORS)
def test_a_handler_that_breaks_fails_its_attempt_only(working, what):
    """ZeroDivisionError, sys.exit, KeyboardInterrupt, endless recursion: the next job runs."""

    @working.job("bad")
    def bad(_payload):
        ERRORS[what]()

    @working.job("good")
    async def good(_payload):
        await asyncio.sleep(0)
        return "fine"

    broken = working.enqueue_job("bad", {}, retries=1)
    after = working.enqueue_job("good", {})
    assert ended(working, broken).status == "FAILED"
    assert ended(working, after).result == "fine"
    (kept,) = working.execute("{ _job_errors { attempt error traceback } }")["_job_errors"]
    name = {
        "raises": "ZeroDivisionError",
        "exits": "SystemExit: 3",
        "interrupts": "KeyboardInterrupt",
        "recurses": "RecursionError",
    }
    assert kept["error"].startswith(name[what])
    assert "Traceback" in kept["traceback"]


def test_an_async_handler_that_exits(working):
    """The same in a task."""

    @working.job("bad")
    async def bad(_payload):
        sys.exit(1)

    assert ended(working, working.enqueue_job("bad", {}, retries=1)).error == "SystemExit: 1"


def test_instructions(working):
    """Retry, Snooze, Cancel and Fail decide what becomes of the job."""
    seen: list[str] = []

    @working.job("steps", retries=3)
    def steps(payload):
        seen.append(payload["do"])
        if seen.count(payload["do"]) > 1:
            return "again"
        raise {
            "retry": Retry(0.01),
            "snooze": Snooze(0.01),
            "cancel": Cancel("no need"),
            "fail": Fail("never"),
        }[payload["do"]]

    jobs = {
        do: working.enqueue_job("steps", {"do": do}) for do in ("retry", "snooze", "cancel", "fail")
    }
    done = {do: ended(working, job) for do, job in jobs.items()}
    assert {do: (job.status, job.retries) for do, job in done.items()} == {
        "retry": ("COMPLETED", 1),
        "snooze": ("COMPLETED", 0),
        "cancel": ("CANCELLED", 0),
        "fail": ("FAILED", 1),
    }
    assert (done["cancel"].error, done["fail"].error) == ("no need", "never")


def test_a_result_that_is_not_json_fails(working):
    """The error says so."""
    working.job("odd", retries=1)(lambda _payload: object())
    assert "JSON" in ended(working, working.enqueue_job("odd", {})).error


@dataclass
class Point:
    x: int


class Size(msgspec.Struct):
    w: int


def test_typed_payloads(working):
    """Dataclasses and structs arrive as themselves; what does not fit is refused, naming the field."""
    got: list[object] = []

    @working.job("point")
    def point(payload: Point):
        got.append(payload)

    @working.job("size")
    def size(payload: Size, job: JobContext):
        got.append((payload, job.payload))

    ended(working, point.enqueue(Point(1)))
    ended(working, size.enqueue({"w": 2}))
    assert got == [Point(1), (Size(2), {"w": 2})]
    with pytest.raises(PayloadInvalid, match=r"\$\.x"):
        point.enqueue({"x": "one"})


def test_a_payload_that_no_longer_fits_is_a_permanent_failure(path):
    """Enqueued by a process that does not know the type, it fails at once."""
    with Aurora(path) as db:
        job = db.enqueue_job("point", {"x": "one"}, retries=5)
    jobs = Jobs()
    jobs.job("point")(_takes_point)
    with Aurora(path, workers_enabled=True, jobs=jobs) as db:
        done = ended(db, job)
    assert (done.status, done.retries) == ("FAILED", 1)
    assert "$.x" in done.error


def _takes_point(payload: Point) -> None:
    raise AssertionError(payload)


def test_a_type_is_registered_once(working):
    """A second handler, a class, or an impossible signature is refused."""
    working.job("one")(lambda _payload: None)
    with pytest.raises(JobError, match="already"):
        working.job("one")(lambda _payload: None)
    with pytest.raises(JobError, match="class"):
        working.workers.register_handler("two", JobHandler)
    with pytest.raises(JobError, match="parameters"):
        working.job("three")(lambda _a, _b, _c: None)


def test_no_more_run_at_once_than_there_are_slots(path):
    """Two slots, eight sync and async jobs: never three at once."""
    lock, running, most = threading.Lock(), 0, 0
    meet = threading.Barrier(2)

    def enter() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)

    def leave() -> None:
        nonlocal running
        with lock:
            running -= 1

    with Aurora(path, workers_enabled=True, worker_threads=2) as db:

        @db.job("sync")
        def sync(_payload):
            enter()
            meet.wait(GUARD)
            leave()

        @db.job("async")
        async def async_(_payload):
            enter()
            await asyncio.sleep(0.01)
            leave()

        jobs = db.enqueue_jobs("sync", [{}] * 4) + db.enqueue_jobs("async", [{}] * 4)
        for job in jobs:
            assert ended(db, job).status == "COMPLETED"
    assert most == 2


def test_completing_once_and_what_comes_after(working):
    """A second completing() is refused; an exception after the block is kept, the job stays done."""
    working.execute("schema { define collection notes { text: String } }")
    seen: list[str] = []

    @working.job("note")
    def note(_payload, job):
        with job.completing() as tx:
            tx["notes"].insert({"text": "one"})
            tx.result(7)
        try:
            job.completing()
        except JobError as error:
            seen.append(error.code)
        raise ValueError("too late")

    job = working.enqueue_job("note", {})
    done = ended(working, job)
    assert (done.status, done.result) == ("COMPLETED", 7)
    end = time.monotonic() + GUARD
    while not (
        rows := working.execute("{ _job_errors { error after_completion } }")["_job_errors"]
    ):
        assert time.monotonic() < end
        time.sleep(0.002)
    assert rows == [{"error": "ValueError: too late", "after_completion": True}]
    assert seen == ["job"]


def test_a_block_left_by_an_exception_commits_nothing(working):
    """The attempt fails as usual, without its writes."""
    working.execute("schema { define collection notes { text: String } }")

    @working.job("note", retries=1)
    def note(_payload, job):
        with job.completing() as tx:
            tx["notes"].insert({"text": "one"})
            raise ValueError("inside")

    assert ended(working, working.enqueue_job("note", {})).status == "FAILED"
    assert working["notes"].count() == 0


def test_stop_gives_back_what_is_unfinished(path):
    """A job that outlives the timeout is PENDING again, and its late end changes nothing."""
    began, finish = threading.Event(), threading.Event()
    with Aurora(path, workers_enabled=True) as db:

        @db.job("slow")
        def slow(_payload):
            began.set()
            finish.wait(GUARD)

        job = db.enqueue_job("slow", {})
        assert began.wait(GUARD)
        db.workers.stop(timeout=0.05)
        back = db.get_job(job.id)
        finish.set()
        assert (back.status, back.retries, back.crashes, back.attempt) == ("PENDING", 0, 0, 1)
        assert db.get_job(job.id).status == "PENDING"


def test_a_killed_process_is_rescued(path):
    """The other process sees the death by the lock, counts a crash and does the job."""
    program = """
import sys, time
from aurora_db import Aurora
db = Aurora(sys.argv[1], workers_enabled=True, worker_threads=1)
@db.job("hang")
def hang(payload):
    print("began", flush=True)
    time.sleep(60)
db.workers.run()
"""
    with Aurora(path) as db:
        job = db.enqueue_job("hang", {})
        other = subprocess.Popen(
            [sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True
        )
        assert other.stdout is not None
        with other.stdout as lines:
            assert lines.readline().strip() == "began"
            os.kill(other.pid, signal.SIGKILL)
            other.wait(GUARD)
        assert db.get_job(job.id).status == "RUNNING"
    jobs = Jobs()
    jobs.job("hang")(lambda _payload: "done at last")
    with Aurora(path, workers_enabled=True, jobs=jobs) as db:
        done = ended(db, job)
        assert db.workers.stats().rescued == 1
    assert (done.result, done.crashes, done.attempt, done.retries) == ("done at last", 1, 2, 0)


def test_sigterm_stops_gracefully(path):
    """run() lets the running job finish, and the process ends with success."""
    program = """
import signal, sys, time
from aurora_db import Aurora
db = Aurora(sys.argv[1], workers_enabled=True)
@db.job("short")
def short(payload):
    while signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        time.sleep(0.001)  # workers start with the first handler, before run()
    print("began", flush=True)
    time.sleep(0.5)
    return "finished"
db.workers.run()
db.close()
"""
    with Aurora(path) as db:
        job = db.enqueue_job("short", {})
        other = subprocess.Popen(
            [sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True
        )
        assert other.stdout is not None
        with other.stdout as lines:
            lines.readline()
            other.terminate()
            assert other.wait(GUARD) == 0
        assert db.get_job(job.id).result == "finished"
        assert db.execute("{ _workers { id } }") == {"_workers": []}
