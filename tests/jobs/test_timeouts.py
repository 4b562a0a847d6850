"""Attempts that take too long, and handlers that say too much. Time moves by hand."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from datetime import timedelta

import pytest

from aurora_db import Aurora, Jobs, LeaseLost, ValidationError
from aurora_db.jobs import slots

GUARD = 30.0


@pytest.fixture
def late(path, clock):
    """A database with one slot, its clock in the test's hand."""
    with Aurora(path, workers_enabled=True, worker_threads=1, clock=clock) as db:
        yield db


def wait_for(db, job, *statuses):
    """The job when it has one of these statuses."""
    end = time.monotonic() + GUARD
    while (found := db.get_job(job.id)).status not in statuses:
        assert time.monotonic() < end, f"the job did not become {statuses}: {found}"
        time.sleep(0.002)
    return found


def errors(db):
    return db.execute("{ _job_errors { attempt error traceback } }")["_job_errors"]


def test_a_thread_that_hangs_gives_its_slot_to_others(late, clock):
    """Its attempt fails with the stack of the moment; what it returns later does not count."""
    began, let_go, ended = threading.Event(), threading.Event(), threading.Event()
    seen = {}

    @late.job("hangs", timeout=60, retries=1)
    def hangs(_payload, job):
        began.set()
        assert let_go.wait(GUARD)
        seen["cancelled"] = job.cancelled
        try:
            with job.completing() as tx:
                tx.enqueue_job("other")
        except LeaseLost as error:
            seen["completing"] = error
        ended.set()
        return "too late"

    late.job("other")(lambda: "ran")
    job = late.enqueue_job("hangs", {})
    assert began.wait(GUARD)
    clock.advance(59)
    assert late.get_job(job.id).status == "RUNNING"
    clock.advance(2)
    failed = wait_for(late, job, "FAILED")
    assert failed.error == "Timeout: the attempt took longer than 60 s"
    (kept,) = errors(late)
    assert "let_go.wait" in kept["traceback"]

    assert wait_for(late, late.enqueue_job("other"), "COMPLETED").result == "ran"
    let_go.set()
    assert ended.wait(GUARD)
    assert seen["cancelled"] is True
    assert isinstance(seen["completing"], LeaseLost)
    assert wait_for(late, late.enqueue_job("other"), "COMPLETED").result == "ran"
    assert late.get_job(job.id) == failed
    assert late.workers.stats().running == 0


def test_an_async_handler_is_cancelled_and_retried(late, clock):
    """The traceback shows where it waited; the next attempt may succeed."""
    began, cleaned = threading.Event(), []

    @late.job("waits", timeout=timedelta(seconds=10), retries=2, backoff=1)
    async def waits(_payload, job):
        began.set()
        if job.attempt == 2:
            return "in time"
        try:
            await asyncio.sleep(GUARD * 10)
        finally:
            cleaned.append(job.cancelled)
        return "never"

    job = late.enqueue_job("waits", {})
    assert began.wait(GUARD)
    clock.advance(11)
    waiting = wait_for(late, job, "SCHEDULED")
    assert (waiting.retries, waiting.error) == (1, "Timeout: the attempt took longer than 10 s")
    assert cleaned == [True]
    assert "asyncio.sleep" in errors(late)[0]["traceback"]
    clock.advance(1)
    assert wait_for(late, job, "COMPLETED").result == "in time"


def test_an_async_handler_that_blocks_its_loop(late, clock):
    """It cannot be cancelled; after a grace its slot, and a new loop, serve others."""
    began, let_go = threading.Event(), threading.Event()

    @late.job("blocks", timeout=5, retries=1)
    async def blocks(_payload):
        began.set()
        assert let_go.wait(GUARD)

    @late.job("other")
    async def other():
        await asyncio.sleep(0)
        return "ran"

    job = late.enqueue_job("blocks", {})
    assert began.wait(GUARD)
    clock.advance(6)
    # The worker must have seen the first limit before the grace can end.
    end = time.monotonic() + GUARD
    while not any(one.fate for one in late.workers._pump.slots._attempts.values()):
        assert time.monotonic() < end
        time.sleep(0.002)
    clock.advance(slots.GRACE)
    assert wait_for(late, job, "FAILED").error == "Timeout: the attempt took longer than 5 s"
    assert "let_go.wait" in errors(late)[0]["traceback"]
    assert wait_for(late, late.enqueue_job("other"), "COMPLETED").result == "ran"
    let_go.set()


def test_whose_timeout_counts(late, clock):
    """That of the job, else of its type, else 300 seconds."""
    began, let_go = threading.Semaphore(0), threading.Event()
    for type, timeout in (("own", 20), ("none", None)):
        late.job(type, timeout=timeout, retries=1)(lambda: (began.release(), let_go.wait(GUARD)))

    def error_after(job, seconds):
        assert began.acquire(timeout=GUARD)
        clock.advance(seconds - 1)
        assert late.get_job(job.id).status == "RUNNING"
        clock.advance(1.5)
        return wait_for(late, job, "FAILED").error

    assert "than 7 s" in error_after(late.enqueue_job("own", timeout=7), 7)
    assert "than 20 s" in error_after(late.enqueue_job("own"), 20)
    assert "than 300 s" in error_after(late.enqueue_job("none"), 300)
    by_aql = late.execute('mutation { enqueueJob(type: "own", timeout: "1m") { id timeout } }')
    assert by_aql["enqueueJob"]["timeout"] == 60.0
    assert "than 60 s" in error_after(late.get_job(by_aql["enqueueJob"]["id"]), 60)
    let_go.set()


def test_an_event_handler_gives_the_timeout(late):
    late.execute("schema { define collection things { name: String } }")
    late.execute("""define handler "h" { on: "insert:things"
        action: { enqueueJob(type: "unknown", timeout: "90s") } }""")
    late.insert_into("things", {})
    (job,) = late.execute("{ _jobs { timeout } }")["_jobs"]
    assert job["timeout"] == 90.0


@pytest.mark.parametrize("timeout", [0, -1, "soon", True, float("nan"), float("inf")])
def test_a_wrong_timeout_is_refused(late, timeout):
    with pytest.raises(ValidationError, match="'timeout' is a duration in seconds above 0"):
        late.enqueue_job("t", timeout=timeout)
    with pytest.raises(ValidationError, match="'timeout'"):
        Jobs().job("t", timeout=timeout)(lambda: None)


def test_a_handler_that_floods_the_log(late, caplog):
    """Thousands of lines hold up neither its worker nor the next job, and none of them is ours."""

    @late.job("floods")
    def floods():
        for n in range(20_000):
            logging.getLogger("shop").warning("line %d of a handler that says too much", n)
        return "said"

    late.job("other")(lambda: "ran")
    jobs = [late.enqueue_job("floods"), late.enqueue_job("other")]
    assert [wait_for(late, job, "COMPLETED").result for job in jobs] == ["said", "ran"]
    assert {record.name for record in caplog.records} == {"shop"}
    assert len(caplog.records) == 20_000


def test_a_handler_whose_error_is_a_flood(late):
    """Error and traceback are kept short; the job and the worker go on."""

    @late.job("floods", retries=1)
    def floods():
        def deeper(n):
            return deeper(n - 1) if n else 1 / 0

        try:
            deeper(500)
        except ZeroDivisionError as error:
            raise RuntimeError("x" * 10_000_000) from error

    failed = wait_for(late, late.enqueue_job("floods"), "FAILED")
    assert failed.error is not None
    assert failed.error.startswith("RuntimeError: xxx")
    assert len(failed.error) < 2_100
    (kept,) = errors(late)
    assert len(kept["traceback"]) <= 20_000
    assert "ZeroDivisionError" in kept["traceback"]


def test_a_retry_policy_that_fails_is_the_end_of_the_job_only(late):
    def policy(_failures):
        raise KeyError("no such wait")

    @late.job("bad", backoff=policy)
    def bad():
        raise ValueError

    late.job("good")(lambda: "ran")
    failed = wait_for(late, late.enqueue_job("bad"), "FAILED")
    assert failed.error == "KeyError: 'no such wait'"
    assert "ValueError" in errors(late)[0]["traceback"]
    assert wait_for(late, late.enqueue_job("good"), "COMPLETED").result == "ran"
