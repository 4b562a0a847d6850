"""A job that runs is cancelled: its handler is told, nothing of it is kept, its slot serves others."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from aurora_db import Aurora, Jobs, LeaseLost
from aurora_db.jobs import slots

sys.path.insert(0, str(Path(__file__).parent))

import at_work

GUARD = 60.0


@pytest.fixture
def one(path):
    """A database with workers and one slot."""
    with Aurora(path, workers_enabled=True, worker_threads=1, shutdown_timeout=5) as opened:
        yield opened


@pytest.fixture
def late(path, clock):
    """The same, its clock in the test's hand."""
    with Aurora(path, workers_enabled=True, worker_threads=1, clock=clock) as opened:
        yield opened


@pytest.fixture
def children(path, clock):
    """The same with handlers in child processes."""
    with Aurora(
        path, workers_enabled=True, worker_threads=1, clock=clock, jobs=at_work.jobs
    ) as opened:
        yield opened


def until(condition, what):
    """Wait for what must happen."""
    end = time.monotonic() + GUARD
    while not condition():
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.002)


def completed(db, job):
    """The result of a job that completes."""
    until(lambda: db.get_job(job.id).status == "COMPLETED", f"the end of {job}")
    return db.get_job(job.id).result


def told(db):
    """Whether an attempt of this worker was told to end."""
    return any(one.fate for one in db.workers._pump.slots._attempts.values())


def test_a_handler_in_a_thread_is_told(one):
    """It wakes where it waits for that; what it returns is not kept, and its slot is free."""
    began, seen = threading.Event(), {}

    @one.job("waits")
    def waits(_payload, job):
        began.set()
        seen["before"] = (job.cancelled, job.wait_cancelled(0))
        seen["told"] = job.wait_cancelled(GUARD)
        seen["cancelled"] = job.cancelled
        try:
            with job.completing() as tx:
                tx.enqueue_job("other")
        except LeaseLost:
            seen["lost"] = True
        return "too late"

    one.job("other")(lambda: "ran")
    job = one.enqueue_job("waits", {})
    assert began.wait(GUARD)
    assert one.cancel_job(job.id) is True
    cancelled = one.get_job(job.id)
    assert completed(one, one.enqueue_job("other")) == "ran"
    assert seen == {"before": (False, False), "told": True, "cancelled": True, "lost": True}
    assert one.get_job(job.id) == cancelled
    assert (cancelled.status, cancelled.retries, cancelled.result) == ("CANCELLED", 0, None)
    assert one.execute("{ _job_errors { error } }") == {"_job_errors": []}
    stats = one.workers.stats()
    assert (stats.completed, stats.failed, stats.running) == (1, 0, 0)


def test_an_async_handler_is_cancelled(one):
    """Its task is; `finally` runs, and nothing of it counts as a failure."""
    began, cleaned = threading.Event(), []

    @one.job("waits")
    async def waits(_payload, job):
        began.set()
        try:
            await asyncio.sleep(GUARD)
        finally:
            cleaned.append(job.cancelled)

    one.job("other")(lambda: "ran")
    job = one.enqueue_job("waits", {})
    assert began.wait(GUARD)
    one.cancel_job(job.id)
    assert completed(one, one.enqueue_job("other")) == "ran"
    assert cleaned == [True]
    assert (one.get_job(job.id).status, one.get_job(job.id).retries) == ("CANCELLED", 0)
    assert one.execute("{ _job_errors { error } }") == {"_job_errors": []}


def test_a_handler_in_a_process_is_terminated(children, tmp_path):
    """SIGTERM raises SystemExit in it; the next job has its slot, and another process."""
    file = tmp_path / "began"
    job = children.enqueue_job("hang", {"file": str(file)})
    until(file.exists, "the handler to begin")
    children.cancel_job(job.id)
    pid = completed(children, children.enqueue_job("where"))["pid"]
    assert pid != int(file.read_text())
    assert file.with_suffix(".cleaned").read_text() == "True"
    ended = children.get_job(job.id)
    assert (ended.status, ended.retries, ended.crashes) == ("CANCELLED", 0, 0)


def test_a_handler_in_a_process_may_wait_for_it(children, tmp_path):
    """The cancel reaches it by the pipe, whatever it makes of the signal."""
    file = tmp_path / "began"
    job = children.enqueue_job("look", {"file": str(file)})
    until(file.exists, "the handler to begin")
    children.cancel_job(job.id)
    completed(children, children.enqueue_job("where"))
    assert file.with_suffix(".cleaned").read_text() == "True"
    assert children.get_job(job.id).status == "CANCELLED"


def test_a_process_that_does_not_end_is_killed(children, clock, tmp_path):
    """After a grace, which is the worker's own; the slot is free then."""
    file = tmp_path / "began"
    job = children.enqueue_job("hang", {"file": str(file), "deaf": True})
    until(lambda: file.exists() and file.read_text(), "the handler to begin")
    children.cancel_job(job.id)
    until(lambda: told(children), "the worker to see it")
    clock.advance(slots.GRACE)
    assert completed(children, children.enqueue_job("where"))["pid"] != int(file.read_text())
    assert not file.with_suffix(".cleaned").exists()
    ended = children.get_job(job.id)
    assert (ended.status, ended.retries, ended.crashes) == ("CANCELLED", 0, 0)


def test_a_thread_that_does_not_end_loses_its_slot(late, clock):
    """After the same grace another thread serves others; what it does later is fenced off."""
    began, let_go, ended = threading.Event(), threading.Event(), threading.Event()

    @late.job("stuck")
    def stuck():
        began.set()
        assert let_go.wait(GUARD)
        ended.set()
        return "too late"

    late.job("other")(lambda: "ran")
    job = late.enqueue_job("stuck")
    assert began.wait(GUARD)
    late.cancel_job(job.id)
    until(lambda: told(late), "the worker to see it")
    clock.advance(slots.GRACE)
    assert completed(late, late.enqueue_job("other")) == "ran"
    let_go.set()
    assert ended.wait(GUARD)
    assert completed(late, late.enqueue_job("other")) == "ran"
    assert (late.get_job(job.id).status, late.get_job(job.id).result) == ("CANCELLED", None)
    assert late.workers.stats().running == 0


CANCELS = """
import sys
from aurora_db import Aurora
with Aurora(sys.argv[1]) as db:
    {}
"""


@pytest.mark.parametrize(
    "how",
    [
        "assert db.cancel_job(sys.argv[2])",
        'db.execute("mutation ($id: ID!) {{ cancelJob(id: $id) {{ affected }} }}", {{"id": sys.argv[2]}})',
        "with db.transaction() as tx: tx.cancel_job(sys.argv[2])",
    ],
)
def test_another_process_cancels(one, path, how):
    """By any verb; the worker hears of it."""
    began, seen = threading.Event(), []

    @one.job("waits")
    def waits(_payload, job):
        began.set()
        seen.append(job.wait_cancelled(GUARD))

    one.job("other")(lambda: "ran")
    job = one.enqueue_job("waits", {})
    assert began.wait(GUARD)
    code = CANCELS.format(how).replace("{{", "{").replace("}}", "}")
    subprocess.run([sys.executable, "-c", code, str(path), job.id], check=True, timeout=GUARD)
    assert completed(one, one.enqueue_job("other")) == "ran"
    assert seen == [True]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE _jobs SET status = 'CANCELLED', finished_at = created_at, lease_until = NULL",
        "UPDATE _jobs SET attempt = attempt + 1, worker = 'another'",
        "DELETE FROM _jobs",
    ],
)
def test_a_program_that_is_no_aurora_takes_the_job(one, other_program, sql):
    """Cancelled, in another worker's hands, or gone: the attempt is told within a second or so."""
    began, seen = threading.Event(), []

    @one.job("waits")
    def waits(_payload, job):
        began.set()
        seen.append(job.wait_cancelled(GUARD))

    one.job("other")(lambda: "ran")
    one.enqueue_job("waits", {})
    assert began.wait(GUARD)
    other_program(sql)
    assert completed(one, one.enqueue_job("other")) == "ran"
    assert seen == [True]


def test_a_handler_that_has_completed_its_job_goes_on(path):
    """The cancel of another job does not reach it, nor does that of its own, which has ended."""
    began, let_go, seen = threading.Event(), threading.Event(), {}
    with Aurora(path, workers_enabled=True, worker_threads=2) as db:

        @db.job("completes")
        def completes(_payload, job):
            with job.completing():
                pass
            began.set()
            assert let_go.wait(GUARD)
            seen["completes"] = job.cancelled

        @db.job("waits")
        def waits(_payload, job):
            seen["waits"] = job.wait_cancelled(GUARD)

        first, second = db.enqueue_job("completes", {}), db.enqueue_job("waits", {})
        assert began.wait(GUARD)
        until(lambda: db.get_job(second.id).status == "RUNNING", "the other job")
        assert db.cancel_job(first.id) is False
        assert db.cancel_job(second.id) is True
        until(lambda: "waits" in seen, "the end of the other job")
        let_go.set()
        until(lambda: "completes" in seen, "the end of the first job")
        assert seen == {"waits": True, "completes": False}
        assert db.get_job(first.id).status == "COMPLETED"


def test_a_claimed_job_that_has_not_begun_never_runs(path):
    """Cancelled while it waits for the slot."""
    began, let_go, ran = threading.Event(), threading.Event(), []
    jobs = Jobs()

    @jobs.job("first")
    def first():
        began.set()
        assert let_go.wait(GUARD)

    jobs.job("quick")(ran.append)
    with Aurora(path, workers_enabled=True, worker_threads=1, jobs=jobs) as db:
        # So quick that the worker claims ahead.
        for job in db.enqueue_jobs("quick", range(50)):
            completed(db, job)
        with db.transaction() as tx:
            last = [tx.enqueue_job("first"), *tx.enqueue_jobs("quick", ["a", "b", "c"])]
        assert began.wait(GUARD)
        for job in last[1:]:
            assert db.cancel_job(job.id)
        until(lambda: db.workers.stats().waiting == 0, "the worker to see it")
        let_go.set()
        completed(db, last[0])
        completed(db, db.enqueue_job("quick", "d"))
    assert ran[50:] == ["d"]


def test_a_stopping_worker_tells_its_handlers(path):
    """When the timeout is over; one that ends then is settled or given back, and no failure."""
    began, seen = [threading.Event(), threading.Event()], []
    with Aurora(path, workers_enabled=True, worker_threads=2) as db:

        @db.job("thread")
        def thread(_payload, job):
            began[0].set()
            seen.append(job.wait_cancelled(GUARD))
            return "after all"

        @db.job("task")
        async def task():
            began[1].set()
            await asyncio.sleep(GUARD)

        jobs = [db.enqueue_job("thread", {}), db.enqueue_job("task")]
        assert all(one.wait(GUARD) for one in began)
        db.workers.stop(timeout=0.05)
        first, second = (db.get_job(job.id) for job in jobs)
    assert seen == [True]
    assert (first.status, first.result) == ("COMPLETED", "after all")
    assert (second.status, second.retries, second.crashes) == ("PENDING", 0, 0)


def test_a_cancel_of_what_does_not_run_rings_nobody(one):
    """Workers look at what they run only when something that ran was cancelled."""
    rung = []
    one._engine.listen("cancels", rung.append)
    job = one.enqueue_job("unknown")
    assert one.cancel_job(job.id)
    assert one.enqueue_job("unknown").id
    assert rung == []
