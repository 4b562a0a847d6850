"""The life of a job: claims, fences, failures, rescue. Time stands in the test's hand."""

from __future__ import annotations

from functools import partial

import pytest

from aurora_db import LeaseLost
from aurora_db.jobs import queue, timing


def test_a_rescued_job_cannot_be_completed_by_its_first_worker(db, clock, claim_one):
    """When a lease ends and another worker takes the job, the first one has lost it."""
    db.enqueue_job("send", {"to": "ada"})
    first = claim_one(db, worker="w1")
    clock.advance(31.0)
    second = claim_one(db, worker="w2")
    with pytest.raises(LeaseLost):
        first.complete()
    with pytest.raises(LeaseLost):
        first.fail(ValueError("late"))
    assert second.attempt == 2
    second.complete()
    assert db.get_job(second.id).status == "COMPLETED"


def test_a_lease_holds_thirty_seconds(db, clock, claim_one):
    """Before its end nobody else gets the job."""
    db.enqueue_job("send", {})
    claim_one(db)
    clock.advance(29.0)
    assert claim_one(db, worker="w2") is None


def test_the_third_end_of_a_lease_is_the_end(db, clock, claim_one):
    """Where nobody sees a worker die, its leases end; at the third the job is FAILED and says so."""
    job = db.enqueue_job("poison", {})
    for n in range(3):
        assert claim_one(db, worker=f"w{n}") is not None
        clock.advance(31.0)
    assert claim_one(db) is None
    ended = db.get_job(job.id)
    assert (ended.status, ended.crashes, ended.retries) == ("FAILED", 3, 0)
    assert ended.error == "worker died 3 times running this"


def test_the_third_death_is_the_end(db):
    """A job whose worker died three times is FAILED and says so; retries count none of it."""

    @db.job("poison")
    def poison(job):
        with job.completing():
            pass

    job = db.enqueue_job("poison", {})
    for _ in range(3):
        with db.jobs_testing.crash_at("in_completing_before_commit"):
            db.jobs_testing.drain()
    assert db.jobs_testing.drain().attempts == 0
    ended = db.get_job(job.id)
    assert (ended.status, ended.crashes, ended.retries) == ("FAILED", 3, 0)
    assert ended.error == "worker died 3 times running this"


def test_an_error_is_kept_beside_a_zombie_of_the_same_job(db, clock, claim_one):
    """A worker that lost a job and has it again may end both attempts in one round."""
    job = db.enqueue_job("send", {"to": "ada"})
    first = claim_one(db)
    clock.advance(31.0)
    second = claim_one(db)
    ends = [
        queue.Settlement(held._claimed, queue.FAIL, error=words, traceback="")
        for held, words in ((first, "too late"), (second, "refused"))
    ]
    lost = db._engine.write(partial(queue.settle, settlements=ends))
    assert lost == ends[:1]
    kept = db.execute("{ _job_errors(orderBy: {attempt: ASC}) { attempt error } }")["_job_errors"]
    assert kept[-1] == {"attempt": 2, "error": "refused"}
    assert db.get_job(job.id).error == "refused"


def test_a_retried_job_keeps_its_place(db, clock):
    """After its back-off it comes before jobs enqueued later."""
    ran = []

    @db.job("send", backoff=5)
    def send(payload, job):
        ran.append((payload, job.attempt))
        if job.attempt == 1 and payload == 1:
            raise ValueError("no")

    db.enqueue_job("send", 1)
    db.enqueue_job("send", 2)
    assert db.jobs_testing.drain(limit=1).retried == 1
    clock.advance(6)
    assert db.jobs_testing.drain().completed == 2
    assert ran == [(1, 1), (1, 2), (2, 1)]


def test_exponential_delays():
    """5, 10, 20, 40 seconds, at most an hour, 10 % either way."""
    policy = timing.Exponential()
    assert [policy.delay(n, rng=lambda: 0.5) for n in (1, 2, 3, 4)] == [5.0, 10.0, 20.0, 40.0]
    assert policy.delay(1, rng=lambda: 0.0) == 4.5
    assert policy.delay(500, rng=lambda: 0.5) == 3600.0
    with pytest.raises(ValueError, match="from 1"):
        policy.delay(0)


@pytest.mark.parametrize(
    ("written", "delays"),
    [(2, [2, 2, 2]), ([1, 5], [1, 5, 5]), ({"kind": "linear", "step": 3}, [3, 6, 9])],
)
def test_other_delays(written, delays):
    """A number, a list, an object; stored and read again they mean the same."""
    policy = timing.backoff(written)
    assert [policy.delay(n) for n in (1, 2, 3)] == delays
    assert timing.backoff(timing.stored(policy)) == policy


@pytest.mark.parametrize("written", [-1, True, [], "soon", {"kind": "cubic"}, {"kind": "linear"}])
def test_a_wrong_back_off_is_refused(db, written):
    """Nothing is enqueued."""
    with pytest.raises(ValueError, match="back-off"):
        db.enqueue_job("send", {}, backoff=written)
    assert db.execute("{ _jobs { id } }") == {"_jobs": []}


@pytest.mark.parametrize(
    "options",
    [
        {"retries": 0},
        {"delay": -1},
        {"priority": 7},
        {"priority": "URGENT"},
        {"queue": ""},
        {"tags": "x"},
    ],
)
def test_a_wrong_option_is_refused(db, options):
    """The message names it, and nothing is enqueued."""
    with pytest.raises(ValueError, match=next(iter(options))):
        db.enqueue_job("send", {}, **options)
    assert db.execute("{ _jobs { id } }") == {"_jobs": []}
