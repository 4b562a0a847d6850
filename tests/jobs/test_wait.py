"""db.wait_job: the result of a job when it has ended, wherever it ran."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import threading
import time

import pytest

from aurora_db import (
    AsyncAurora,
    Aurora,
    Cancel,
    DatabaseClosed,
    JobCancelled,
    JobError,
    JobFailed,
    NotFound,
    Timeout,
    TransactionError,
    ValidationError,
)

GUARD = 30.0

#: Runs jobs of the type "double" until it is killed.
WORKER = """
import sys
from aurora_db import Aurora
with Aurora(sys.argv[1], workers_enabled=True) as db:
    db.job("double")(lambda payload: 2 * payload["n"])
    print("ready", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def elsewhere(path):
    """Another process that works."""
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.stdin.close()
        assert process.wait(GUARD) == 0


def test_the_result_of_a_job_of_this_process(working):
    """Before its end and after it."""
    working.job("double")(lambda payload: 2 * payload["n"])
    job = working.enqueue_job("double", {"n": 21})
    assert working.wait_job(job.id, timeout=GUARD) == 42
    assert working.wait_job(job.id, timeout=0) == 42
    nothing = working.enqueue_job("double", {"n": []})
    assert working.wait_job(nothing.id) == []


def test_the_result_of_a_job_of_another_process(path, elsewhere):
    """It is heard by the doorbell, hundreds one after the other."""
    with Aurora(path, poll_interval=5) as db:
        begun = time.monotonic()
        for n in range(100):
            assert db.wait_job(db.enqueue_job("double", {"n": n}).id, GUARD) == 2 * n
        # Looking alone would take up to five seconds for each.
        assert time.monotonic() - begun < GUARD


def test_a_job_that_another_program_ends(db, other_program):
    """It has no doorbell; the version of the data tells."""
    job = db.enqueue_job("by hand", {})
    waiting = threading.Event()
    results: list[object] = []

    def wait() -> None:
        waiting.set()
        results.append(db.wait_job(job.id, GUARD))

    thread = threading.Thread(target=wait)
    thread.start()
    assert waiting.wait(GUARD)
    other_program(
        "UPDATE _jobs SET status = 'COMPLETED', finished_at = '2026-01-01T00:00:00.000000Z', result = '[7]'"
    )
    thread.join(GUARD)
    assert results == [[7]]


def test_how_else_a_job_ends(working):
    """JobFailed and JobCancelled tell why and carry the record."""

    @working.job("fails", retries=1)
    def fails(_payload):
        raise ValueError("no")

    @working.job("cancels")
    def cancels(_payload):
        raise Cancel("not needed")

    failing = working.enqueue_job("fails", {})
    with pytest.raises(JobFailed, match="of type 'fails' failed: ValueError: no") as failed:
        working.wait_job(failing.id, GUARD)
    assert (failed.value.job.id, failed.value.job.retries) == (failing.id, 1)

    cancelling = working.enqueue_job("cancels", {})
    with pytest.raises(JobCancelled, match="was cancelled: not needed") as cancelled:
        working.wait_job(cancelling.id, GUARD)
    assert cancelled.value.job.status == "CANCELLED"

    waiting = working.enqueue_job("nobody does it", {})
    threading.Thread(target=working.cancel_job, args=(waiting.id,)).start()
    with pytest.raises(JobCancelled, match=r"was cancelled\n"):
        working.wait_job(waiting.id, GUARD)


def test_a_job_that_died_too_often_has_failed(db, clock, claim_one):
    """Its third death is an end that the waiting one hears of."""
    job = db.enqueue_job("poison", {})
    errors: list[JobFailed] = []

    def wait() -> None:
        try:
            db.wait_job(job.id, GUARD)
        except JobFailed as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    for n in range(3):
        assert claim_one(db, worker=f"w{n}") is not None
        clock.advance(31)
    assert claim_one(db) is None
    thread.join(GUARD)
    assert errors[0].job.error == "worker died 3 times running this"


def test_a_timeout_leaves_the_job_alone(db):
    """It is a TimeoutError, and the job still waits."""
    job = db.enqueue_job("nobody does it", {})
    for timeout in (0, 0.01, -1):
        with pytest.raises(Timeout, match="has not ended within") as late:
            db.wait_job(job.id, timeout)
        assert isinstance(late.value, TimeoutError)
    assert db.get_job(job.id).status == "PENDING"


def test_a_job_that_is_not_there(db, other_program):
    """NotFound, at once or when it is deleted meanwhile; an id is a text."""
    with pytest.raises(NotFound, match="no job with the id 'nothing'"):
        db.wait_job("nothing")
    job = db.enqueue_job("nobody does it", {})
    with pytest.raises(ValidationError, match="the id of a job is a text"):
        db.wait_job(job)
    thread = threading.Thread(target=other_program, args=("DELETE FROM _jobs",))
    thread.start()
    with pytest.raises(NotFound):
        db.wait_job(job.id, GUARD)
    thread.join(GUARD)


def test_waiting_inside_a_transaction_is_refused(db):
    """The job could not be seen to end; after the block it can."""
    job = db.enqueue_job("nobody does it", {})
    with db.transaction(), pytest.raises(TransactionError, match="transaction open") as refused:
        db.wait_job(job.id)
    assert refused.value.hint == "wait after the block"


async def test_waiting_inside_a_transaction_of_the_task_is_refused(path):
    """Another task waits meanwhile."""
    async with AsyncAurora(path) as db:
        job = await db.enqueue_job("nobody does it", {})
        other = asyncio.create_task(db.wait_job(job.id, GUARD))
        async with db.transaction():
            with pytest.raises(TransactionError):
                await db.wait_job(job.id)
        await db.cancel_job(job.id)
        with pytest.raises(JobCancelled):
            await other


def test_a_job_does_not_wait_for_itself(working):
    """It would for ever."""
    caught: list[JobError] = []

    @working.job("narcissus")
    def narcissus(_payload, job):
        try:
            working.wait_job(job.id)
        except JobError as error:
            caught.append(error)

    working.wait_job(working.enqueue_job("narcissus", {}).id, GUARD)
    assert caught[0].message == "a job cannot wait for its own end"


async def test_a_thousand_tasks_wait(path):
    """One thread looks for all of them, a few times; each gets the result of its own job."""
    async with AsyncAurora(path, workers_enabled=True) as db:
        go_on = threading.Event()

        @db.job("double")
        def double(payload):
            assert go_on.wait(GUARD)
            return 2 * payload["n"]

        jobs = await db.enqueue_jobs("double", [{"n": n} for n in range(1_000)])
        waits = [asyncio.create_task(db.wait_job(job.id, GUARD)) for job in jobs]
        await asyncio.sleep(0)
        waiting = [thread for thread in threading.enumerate() if thread.name == "aurora-endings"]
        assert len(waiting) == 1
        go_on.set()
        assert await asyncio.gather(*waits) == [2 * n for n in range(1_000)]


async def test_a_wait_that_is_cancelled_is_forgotten(path):
    """Nothing is looked for any more."""
    async with AsyncAurora(path) as db:
        job = await db.enqueue_job("nobody does it", {})
        task = asyncio.create_task(db.wait_job(job.id))
        await asyncio.sleep(0)
        assert repr(db._endings) == "Endings(waiting=1)"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(Timeout):
            await db.wait_job(job.id, 0.001)
        assert repr(db._endings) == "Endings(waiting=0)"


def test_waiting_costs_next_to_nothing(path):
    """Five hundred threads that wait for what does not come use no processor."""
    with Aurora(path) as db:
        jobs = db.enqueue_jobs("nobody does it", [{}] * 500)
        threads = [threading.Thread(target=_outlast, args=(db, job.id)) for job in jobs]
        for thread in threads:
            thread.start()
        while repr(db._endings) != "Endings(waiting=500)":
            time.sleep(0.01)
        before = resource.getrusage(resource.RUSAGE_SELF)
        with pytest.raises(Timeout):
            db.wait_job(jobs[0].id, 1)
        after = resource.getrusage(resource.RUSAGE_SELF)
        db._endings.close()
        for thread in threads:
            thread.join(GUARD)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert used < 0.1  # of one second


def _outlast(db, id):
    with pytest.raises(DatabaseClosed):
        db.wait_job(id)


def test_closing_ends_a_wait(path):
    """Whoever still waits hears that the database is closed."""
    db = Aurora(path)
    job = db.enqueue_job("nobody does it", {})
    thread = threading.Thread(target=_outlast, args=(db, job.id))
    thread.start()
    while repr(db._endings) != "Endings(waiting=1)":
        time.sleep(0.002)
    db.close()
    thread.join(GUARD)
    assert not thread.is_alive()
    with pytest.raises(DatabaseClosed):
        db.wait_job(job.id)


def test_a_private_database_and_one_that_is_only_read(path, working):
    """Both can wait: one has no other process, the other hears of them."""
    working.job("double")(lambda payload: 2 * payload["n"])
    with Aurora(path, read_only=True) as reader:
        job = working.enqueue_job("double", {"n": 4})
        assert reader.wait_job(job.id, GUARD) == 8
    with Aurora(":memory:", workers_enabled=True) as db:
        db.job("double")(lambda payload: 2 * payload["n"])
        assert db.wait_job(db.enqueue_job("double", {"n": 4}).id, GUARD) == 8
