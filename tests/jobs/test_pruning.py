"""Pruning: what has ended goes after its time, and never anything that somebody still needs."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest

from aurora_db import AsyncAurora, Aurora, AuroraConfig, Unique, ValidationError

GUARD = 30.0
DAY = 86_400.0


def until(holds):
    """Wait for a condition; a hang is a failure."""
    end = time.monotonic() + GUARD
    while not holds():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.002)


def ids(db):
    return {job["id"] for job in db.execute("{ _jobs { id } }")["_jobs"]}


def a_completed(db, claim_one, type="send"):
    job = db.enqueue_job(type, {})
    claim_one(db).complete()
    return job.id


def a_failed(db, claim_one):
    job = db.enqueue_job("send", {}, retries=1)
    claim_one(db).fail(ValueError("no"))
    return job.id


def a_cancelled(db):
    job = db.enqueue_job("send", {})
    db.cancel_job(job.id)
    return job.id


# --- by hand --------------------------------------------------------------------------------


def test_old_ended_jobs_go_and_younger_ones_stay(db, clock, claim_one):
    """The age counts from the end, not from the enqueueing."""
    early = db.enqueue_job("send", {"n": 1})
    old = a_cancelled(db)
    clock.advance(50)
    claim_one(db).complete()
    clock.advance(50)
    assert db.prune_jobs(older_than=100) == 1
    assert ids(db) == {early.id}
    assert db.get_job(old) is None
    assert db.prune_jobs(older_than=timedelta(seconds=50)) == 1
    assert ids(db) == set()


def test_only_the_statuses_that_were_named(db, clock, claim_one):
    """One status, several, or all three."""
    done, failed, cancelled = a_completed(db, claim_one), a_failed(db, claim_one), a_cancelled(db)
    clock.advance(10)
    assert db.prune_jobs(status="FAILED", older_than=5) == 1
    assert ids(db) == {done, cancelled}
    assert db.prune_jobs(status=["COMPLETED", "FAILED"], older_than=5) == 1
    assert ids(db) == {cancelled}
    assert failed not in ids(db)
    assert db.prune_jobs(older_than=5) == 1


def test_what_has_not_ended_stays_whatever_its_age(db, clock, claim_one):
    """PENDING, SCHEDULED, RUNNING: none is pruned."""
    db.enqueue_job("send", {"n": 1})
    claim_one(db)
    db.enqueue_job("send", {"n": 2})
    db.enqueue_job("send", {"n": 3}, delay=10_000)
    clock.advance(20)
    assert db.prune_jobs(older_than=0) == 0
    assert len(ids(db)) == 3


def test_its_errors_and_steps_go_with_it(db, clock, claim_one, other_program):
    """Nothing of it is left behind."""
    failed = a_failed(db, claim_one)
    other_program(
        f"PRAGMA foreign_keys = ON; INSERT INTO _job_steps (job_id, name, attempt, at) VALUES ('{failed}', 'one', 1, '2026-01-01T00:00:00.000000Z')"
    )
    assert len(db.execute("{ _job_errors { error } }")["_job_errors"]) == 1
    clock.advance(1)
    assert db.prune_jobs(older_than=1) == 1
    assert db.execute("{ _job_errors { error } _job_steps { name } }") == {
        "_job_errors": [],
        "_job_steps": [],
    }


def test_one_whose_end_others_wait_for_stays(db, clock, claim_one, other_program):
    """While what follows from its end is not done, it is there."""
    first = a_completed(db, claim_one)
    second = db.enqueue_job("after", {})
    edge = "INSERT INTO _job_dependencies (job_id, waiting, outcome) VALUES"
    other_program(f"{edge} ('{first}', '{second.id}', 'COMPLETED')")
    clock.advance(10)
    assert db.prune_jobs(older_than=1) == 0
    other_program("DELETE FROM _job_dependencies")
    assert db.prune_jobs(older_than=1) == 1
    assert ids(db) == {second.id}


def test_a_flow_survives_the_pruning_of_its_first_part(db, clock, claim_one):
    """What waited was freed by the end, and does not need the job any more."""
    first = db.enqueue_job("send", {})
    last = db.enqueue_job("send", {}, after=[first.id])
    claim_one(db).complete()
    clock.advance(10)
    assert db.prune_jobs(older_than=1) == 1
    assert db.get_job(last.id).status == "PENDING"
    assert claim_one(db).id == last.id


def test_one_that_keeps_a_unique_key_for_a_period_stays_as_long(db, clock, claim_one):
    """A key that is promised for an hour is not given away by pruning."""
    rule = Unique(key="ada", period=3_600, statuses=["PENDING", "RUNNING", "COMPLETED"])
    first = db.enqueue_job("send", {}, unique=rule)
    claim_one(db).complete()
    clock.advance(3_599)
    assert db.prune_jobs(older_than=1) == 0
    assert db.enqueue_job("send", {}, unique=rule).id == first.id
    clock.advance(1)
    assert db.prune_jobs(older_than=1) == 1


def test_many_go_in_small_steps(db, clock):
    """No step takes more than so many, and all of them go."""
    db.enqueue_jobs("send", [{"n": n} for n in range(1_300)])
    db.cancel_jobs({"payload.n": {"ne": 7}})
    clock.advance(1)
    before = db.execute("{ _jobs { aggregate { count } } }")
    assert before == {"_jobs": {"aggregate": {"count": 1_300}}}
    assert db.prune_jobs(older_than=1) == 1_299
    assert len(ids(db)) == 1


def test_pruning_in_a_transaction_is_undone_with_it(db, clock):
    """It is a verb like others."""
    a_cancelled(db)
    clock.advance(1)
    with db.transaction() as tx:
        assert tx.prune_jobs(older_than=1) == 1
        assert ids(tx) == set()
        tx.rollback()
    assert len(ids(db)) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"status": "RUNNING", "older_than": 1}, "only jobs that have ended are pruned"),
        ({"status": ["FAILED", "failed"], "older_than": 1}, "'failed' is no such status"),
        ({"older_than": -1}, "a duration from 0"),
        ({"older_than": "7d"}, "a duration from 0"),
        ({"older_than": True}, "a duration from 0"),
    ],
)
def test_a_wrong_option_prunes_nothing(db, clock, options, says):
    """The message says what is wanted."""
    a_cancelled(db)
    clock.advance(100)
    with pytest.raises(ValidationError, match=says):
        db.prune_jobs(**options)
    assert len(ids(db)) == 1


def test_the_asynchronous_verb(path, clock):
    """The same, awaited."""

    async def main():
        async with AsyncAurora(path, clock=clock) as db:
            job = await db.enqueue_job("send", {})
            await db.cancel_job(job.id)
            clock.advance(1)
            return await db.prune_jobs(older_than=1)

    assert asyncio.run(main()) == 1


# --- by itself ------------------------------------------------------------------------------


def opened(path, clock, **options):
    """A database with workers whose time is in the test's hand."""
    db = Aurora(path, clock=clock, workers_enabled=True, worker_threads=1, **options)
    db.job("never")(lambda _payload: None)
    return db


def pruned(db, clock, count):
    """Let time pass until the workers have pruned so many."""

    def enough():
        clock.advance(1.5)
        return db.workers.stats().pruned >= count

    until(enough)


def test_workers_prune_what_is_older_than_the_retention(path, clock):
    """Seven days unless said; younger ones stay."""
    with opened(path, clock) as db:
        old = a_cancelled(db)
        clock.advance(6 * DAY)
        young = a_cancelled(db)
        assert db.get_job(old) is not None
        clock.advance(DAY)
        pruned(db, clock, 1)
        assert ids(db) == {young}


def test_each_status_has_its_own_retention(path, clock, claim_one):
    """Failed ones may be kept for ever, completed ones for a minute."""
    retention = {"COMPLETED": 60, "FAILED": None, "CANCELLED": timedelta(hours=1)}
    with opened(path, clock, job_retention=retention) as db:
        done, failed, cancelled = (
            a_completed(db, claim_one),
            a_failed(db, claim_one),
            a_cancelled(db),
        )
        clock.advance(60)
        pruned(db, clock, 1)
        assert ids(db) == {failed, cancelled}
        clock.advance(3_600)
        pruned(db, clock, 2)
        clock.advance(1_000 * DAY)
        later = a_completed(db, claim_one)
        clock.advance(60)
        pruned(db, clock, 3)
        assert ids(db) == {failed}
        assert {done, later}.isdisjoint(ids(db))


def test_more_than_a_step_goes_by_itself(path, clock):
    """The walk goes on where it was, past jobs that stay."""
    with opened(path, clock, job_retention=10) as db:
        db.enqueue_jobs("send", [{"n": n} for n in range(2_600)])
        db.cancel_jobs({"payload.n": {"gte": 2_300}})
        clock.advance(10)
        pruned(db, clock, 300)
        assert len(ids(db)) == 2_300
        db.cancel_jobs({"type": "send"})
        clock.advance(10)
        pruned(db, clock, 2_600)
        assert ids(db) == set()


def test_finished_batches_go_as_their_worst_job(path, clock, other_program):
    """A batch that failed is kept as long as failed jobs."""
    with opened(
        path, clock, job_retention={"COMPLETED": 10, "FAILED": 1_000, "CANCELLED": 10}
    ) as db:
        at = "2026-01-01T00:00:00.000000Z"
        rows = "INSERT INTO _batches (id, total, completed, failed, created_at, finished_at) VALUES"
        other_program(
            f"{rows} ('a', 1, 1, 0, '{at}', '{at}'), ('b', 2, 1, 1, '{at}', '{at}'), ('c', 2, 1, 0, '{at}', NULL)"
        )
        a_cancelled(db)
        clock.advance(10)
        pruned(db, clock, 1)

        def left():
            clock.advance(1.5)
            return [one["id"] for one in db.execute("{ _batches { id } }")["_batches"]]

        until(lambda: left() == ["b", "c"])


def test_none_keeps_all_for_ever(path, clock):
    """No duration, no pruning."""
    with opened(path, clock, job_retention=None) as db:
        kept = a_cancelled(db)
        clock.advance(10_000 * DAY)
        assert db.workers.stats().pruned == 0
        assert ids(db) == {kept}


@pytest.mark.parametrize(
    ("retention", "says"),
    [
        (-1, "a duration from 0"),
        ("7 days", "a duration from 0"),
        ({"RUNNING": 5}, "only jobs that have ended"),
        ({"COMPLETED": -5}, "a duration from 0"),
    ],
)
def test_a_wrong_retention_is_refused(retention, says):
    """Before the file is opened."""
    with pytest.raises(ValueError, match=says):
        AuroraConfig(path="x.db", job_retention=retention)
