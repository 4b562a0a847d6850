"""Queues: paused, resumed, served by some workers only, aged, looked at; and how many run at once."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import pytest

from aurora_db import AsyncAurora, Aurora, AuroraConfig, Priority, ValidationError, WorkersDisabled

GUARD = 60.0


def until(condition, what="it"):
    """Wait for a condition; a minute is a failure."""
    end = time.monotonic() + GUARD
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen"
        time.sleep(0.002)


def completed(db, *jobs):
    """Wait until these have."""
    until(lambda: all(db.get_job(job.id).status == "COMPLETED" for job in jobs), "the end of jobs")


def test_nothing_is_claimed_from_a_paused_queue(working):
    """Its jobs stay PENDING, those of other queues run; resumed, it goes on in order."""
    ran = []
    working.job("mail")(ran.append)
    assert working.workers.pause("media") is True
    assert working.workers.pause("media") is False
    held = [working.enqueue_job("mail", n, queue="media") for n in (1, 2)]
    completed(working, working.enqueue_job("mail", 3))
    assert ran == [3]
    assert [working.get_job(job.id).status for job in held] == ["PENDING", "PENDING"]
    assert working.workers.resume("media") is True
    assert working.workers.resume("media") is False
    completed(working, *held)
    assert sorted(ran) == [1, 2, 3]
    assert working.execute("{ _queues { name } }") == {"_queues": []}


def test_what_was_claimed_and_has_not_begun_goes_back(path):
    """After pause() returns, no job of the queue begins in this process, though many were claimed."""
    ran, hold, began = [], threading.Event(), threading.Event()
    with Aurora(path, workers_enabled=True, worker_threads=1) as db:

        @db.job("mail")
        def mail(payload):
            ran.append(payload)
            if payload == 300:
                began.set()
                assert hold.wait(GUARD)

        jobs = db.enqueue_jobs("mail", range(600), queue="media")
        assert began.wait(GUARD)
        db.workers.pause("media")
        hold.set()
        completed(db, jobs[300], db.enqueue_job("mail", -1))
        rest = [db.get_job(job.id) for job in jobs[301:]]
        assert {(job.status, job.retries, job.crashes) for job in rest} == {("PENDING", 0, 0)}
        assert ran == [*range(301), -1]
        db.workers.resume("media")
        completed(db, *jobs)
        assert ran == [*range(301), -1, *range(301, 600)]


def test_a_pause_holds_for_other_processes(path):
    """Another process pauses and resumes; this one hears it."""
    program = """
import sys
from aurora_db import Aurora
with Aurora(sys.argv[1], workers_enabled=True, worker_queues=("none",)) as db:
    getattr(db.workers, sys.argv[2])("media")
"""

    def other(verb):
        subprocess.run([sys.executable, "-c", program, path, verb], check=True, timeout=GUARD)

    with Aurora(path, workers_enabled=True) as db:
        db.job("mail")(lambda _payload: None)
        other("pause")
        held = db.enqueue_job("mail", 1, queue="media")
        completed(db, db.enqueue_job("mail", 2, queue="other"))
        assert db.get_job(held.id).status == "PENDING"
        other("resume")
        completed(db, held)


def test_a_pause_outlives_the_process(path):
    """It stands in the database."""
    with Aurora(path, workers_enabled=True) as db:
        db.workers.pause("media")
        held = db.enqueue_job("mail", 1, queue="media")
    with Aurora(path, workers_enabled=True) as db:
        db.job("mail")(lambda _payload: None)
        completed(db, db.enqueue_job("mail", 2))
        assert db.get_job(held.id).status == "PENDING"
        (state,) = db.workers.queues()
        assert (state.name, state.pending, state.paused) == ("media", 1, True)


def test_a_worker_serves_the_queues_it_is_given(path):
    """The others are left to other processes."""
    config = AuroraConfig(path=path, workers_enabled=True, worker_queues=("media", "mail"))
    with Aurora.with_config(config) as db:
        db.job("send")(lambda _payload: None)
        left = db.enqueue_job("send", 1)
        completed(
            db, db.enqueue_job("send", 2, queue="media"), db.enqueue_job("send", 3, queue="mail")
        )
        assert db.get_job(left.id).status == "PENDING"
    with Aurora(path, workers_enabled=True) as db:
        db.job("send")(lambda _payload: None)
        completed(db, left)


@pytest.mark.parametrize("queues", ["media", (), ("",), (1,), 7])
def test_wrong_queues_are_refused(path, queues):
    """A text would be a list of letters."""
    with pytest.raises(ValueError, match="worker_queues"):
        AuroraConfig(path=path, worker_queues=queues)


def test_the_most_urgent_of_all_lanes_is_next(db, claim_one):
    """Whatever their types and queues are; within a priority the order of enqueueing counts."""
    wanted = []
    for n in range(120):
        priority = Priority((n * 7) % 4 - 1)
        wanted.append((-priority, n))
        db.enqueue_job(f"type{n % 5}", n, priority, queue=f"queue{n % 6}")
    assert [claim_one(db).payload for _ in range(120)] == [n for _, n in sorted(wanted)]
    assert claim_one(db) is None


def test_scale_runs_more_and_fewer_at_once(path):
    """More begin at once; with fewer, those that run finish and no new one begins before."""
    lock, running, most = threading.Lock(), [], []
    ends = {n: threading.Event() for n in range(12)}
    with Aurora(path, workers_enabled=True, worker_threads=1) as db:

        @db.job("slow")
        def slow(n):
            with lock:
                running.append(n)
                most.append(len(running))
            assert ends[n].wait(GUARD)
            with lock:
                running.remove(n)

        jobs = db.enqueue_jobs("slow", range(12))
        until(lambda: running == [0])
        db.workers.scale(4)
        until(lambda: sorted(running) == [0, 1, 2, 3])
        assert db.workers.stats().threads == 4
        db.workers.scale(2)
        ends[0].set()
        ends[1].set()
        until(lambda: sorted(running) == [2, 3])
        most.clear()
        for event in ends.values():
            event.set()
        completed(db, *jobs)
        assert max(most) <= 2
        (worker,) = db.execute("{ _workers { threads } }")["_workers"]
        assert worker["threads"] == 2
        db.workers.scale(3)
        completed(db, *db.enqueue_jobs("slow", range(12)))


def test_scale_before_the_start_holds_at_the_start(path):
    """And a number out of range is refused."""
    with Aurora(path, workers_enabled=True) as db:
        db.workers.scale(7)
        assert db.workers.stats().threads == 7
        for wrong in (0, 1025, True, "2"):
            with pytest.raises(ValidationError, match="threads"):
                db.workers.scale(wrong)
        db.job("mail")(lambda _payload: None)
        (worker,) = db.execute("{ _workers { threads } }")["_workers"]
        assert worker["threads"] == 7


def test_queues_tell_what_is_in_them(path, clock):
    """Waiting, running and blocked jobs, limits, and since when the first one waits."""
    began, hold = threading.Event(), threading.Event()
    with Aurora(path, workers_enabled=True, clock=clock) as db:

        @db.job("mail", concurrency=1, key="${customer}")
        def mail(_payload):
            began.set()
            assert hold.wait(GUARD)

        db.workers.configure("media", concurrency=3, rate="5/1m", aging=60)
        db.workers.pause("other")
        db.enqueue_job("mail", {"customer": "ada"}, queue="media")
        assert began.wait(GUARD)
        clock.advance(10)
        blocked = db.enqueue_job("mail", {"customer": "ada"}, queue="media")
        until(lambda: db.get_job(blocked.id).status == "BLOCKED")
        clock.advance(10)
        db.enqueue_job("mail", {"customer": "bob"}, queue="other")
        clock.advance(10)
        db.enqueue_job("mail", {"customer": "bob"}, queue="other")
        media, other = db.workers.queues()
        hold.set()
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert (media.name, media.pending, media.blocked, media.running) == ("media", 0, 1, 1)
    assert (media.concurrency, media.rate, media.key, media.aging) == (3, "5/60s", None, 60.0)
    assert (media.paused, (media.oldest_at - start).total_seconds()) == (False, 10)
    assert (other.name, other.pending, other.blocked, other.running) == ("other", 2, 0, 0)
    assert (other.paused, (other.oldest_at - start).total_seconds()) == (True, 20)


def test_waiting_jobs_rise_with_time(path, clock):
    """From LOW to NORMAL to HIGH, a level for each minute, and never to CRITICAL."""
    with Aurora(path, workers_enabled=True, clock=clock) as db:
        db.workers.pause("media")
        db.workers.configure("media", aging=60)
        db.workers.start()
        low, normal, critical = (
            db.enqueue_job("mail", {}, priority, queue="media")
            for priority in (Priority.LOW, Priority.NORMAL, Priority.CRITICAL)
        )
        other = db.enqueue_job("mail", {}, Priority.LOW)
        clock.advance(30)
        late = db.enqueue_job("mail", {}, Priority.LOW, queue="media")

        def priorities():
            return [int(db.get_job(job.id).priority) for job in (low, normal, critical, late)]

        assert priorities() == [-1, 0, 2, -1]
        clock.advance(30)
        until(lambda: priorities() == [0, 1, 2, -1])
        clock.advance(30)
        until(lambda: priorities() == [0, 1, 2, 0])
        clock.advance(30)
        until(lambda: priorities() == [1, 1, 2, 0])
        clock.advance(3_000)
        until(lambda: priorities() == [1, 1, 2, 1])
        assert int(db.get_job(other.id).priority) == -1
        db.workers.configure("media", aging=None)
        assert db.workers.queues()[-1].aging is None


@pytest.mark.parametrize("aging", [0, -1, True, "soon", float("inf"), float("nan")])
def test_a_wrong_aging_is_refused(working, aging):
    """The message names it."""
    with pytest.raises(ValidationError, match="aging"):
        working.workers.configure("media", aging=aging)
    assert working.workers.queues() == []


def test_a_process_without_workers_is_told_so(db):
    """The verbs of workers are refused with the way to enable them."""
    for verb in (
        lambda: db.workers.pause("media"), lambda: db.workers.resume("media"), db.workers.queues,
        lambda: db.workers.scale(2), lambda: db.workers.configure("media", aging=1),
    ):  # fmt: skip
        with pytest.raises(WorkersDisabled):
            verb()


async def test_the_async_database_has_the_same_verbs(path):
    """`db.workers` is the same plain object."""
    async with AsyncAurora(path, workers_enabled=True) as db:
        db.workers.pause("media")
        db.workers.configure("media", rate="1/1s")
        (state,) = db.workers.queues()
        assert (state.paused, state.rate) == (True, "1/1s")
        db.workers.resume("media")
