"""Batches: jobs that are counted together, and what is enqueued when they have ended."""

from __future__ import annotations

import asyncio
import threading
import time

import msgspec
import pytest

from aurora_db import (
    Aurora,
    Cancel,
    Fail,
    JobError,
    Jobs,
    NotFound,
    PayloadInvalid,
    ValidationError,
)

GUARD = 60.0
CALLBACKS = {"on_success": "success", "on_complete": "complete", "on_failure": "failure"}


class Report(msgspec.Struct, forbid_unknown_fields=True):
    to: str
    batch: str
    counts: dict[str, int]


def told(db):
    """The callbacks that were enqueued, in order."""
    query = '{ _jobs(where: {type: {in: ["success", "complete", "failure"]}}) { type payload } }'
    return [row["type"] for row in db.execute(query)["_jobs"]]


def work(db, claim_one, *hows):
    """Claim a job of the batch for each of these and end it so."""
    for how in hows:
        held = claim_one(db)
        assert held.type == "work"
        if how is None:
            held.complete()
        else:
            held.fail(how)


def counts(batch):
    return batch.total, batch.completed, batch.failed, batch.cancelled


def until_finished(db, id):
    end = time.monotonic() + GUARD
    while (found := db.get_batch(id)).finished_at is None:
        assert time.monotonic() < end, f"the batch did not finish: {found}"
        time.sleep(0.005)
    return found


def test_a_batch_counts_and_calls_when_all_have_completed(db, clock, claim_one):
    """on_complete and on_success, each once, in the commit of the last completion."""
    with db.batch("import", **CALLBACKS) as batch:
        batch.enqueue_jobs("work", [1, 2, 3])
    begun = db.get_batch(batch.id)
    assert (begun.name, counts(begun), begun.progress) == ("import", (3, 0, 0, 0), 0.0)
    work(db, claim_one, None, None)
    assert told(db) == []
    clock.advance(5)
    work(db, claim_one, None)
    found = db.get_batch(batch.id)
    assert (counts(found), found.ended, found.progress) == ((3, 3, 0, 0), 3, 1.0)
    assert found.finished_at == clock.now()
    assert told(db) == ["complete", "success"]


def test_the_first_failure_calls_at_once_and_only_once(db, claim_one):
    """on_failure does not wait for the end; with a failure there is no on_success."""
    with db.batch(**CALLBACKS) as batch:
        batch.enqueue_jobs("work", [1, 2, 3], retries=1)
    work(db, claim_one, Fail("no"))
    assert told(db) == ["failure"]
    work(db, claim_one, Fail("no"), None)
    assert told(db) == ["failure", "complete"]
    assert counts(db.get_batch(batch.id)) == (3, 1, 2, 0)


def test_an_attempt_that_is_retried_is_no_failure(db, clock, claim_one):
    """Only a job that has failed for good is."""
    with db.batch(**CALLBACKS) as batch:
        batch.enqueue_job("work", 1, backoff=1)
    work(db, claim_one, ValueError("once"))
    assert (counts(db.get_batch(batch.id)), told(db)) == ((1, 0, 0, 0), [])
    clock.advance(2)
    work(db, claim_one, None)
    assert told(db) == ["complete", "success"]


def test_a_retry_by_hand_may_make_it_a_success(db, claim_one):
    """What was told is not told again; the counts follow."""
    with db.batch(**CALLBACKS) as batch:
        first = batch.enqueue_job("work", 1, retries=1, priority="HIGH")
        batch.enqueue_job("work", 2, priority="HIGH")
    work(db, claim_one, Fail("no"), None)
    assert told(db) == ["failure", "complete"]
    db.retry_job(first.id)
    again = db.get_batch(batch.id)
    assert (counts(again), again.finished_at) == ((2, 1, 0, 0), None)
    work(db, claim_one, None)
    assert told(db) == ["failure", "complete", "success"]
    db.retry_job(first.id)
    work(db, claim_one, None)
    assert told(db) == ["failure", "complete", "success"]


def test_a_cancelled_job_is_no_failure_and_no_success(db, claim_one):
    """It is an end."""
    with db.batch(**CALLBACKS) as batch:
        one, two = batch.enqueue_jobs("work", [1, 2], retries=1)
    db.cancel_job(two.id)
    work(db, claim_one, Cancel("enough"))
    assert told(db) == ["complete"]
    assert db.get_batch(batch.id).cancelled == 2
    assert db.get_job(one.id).batch == batch.id


def test_a_batch_is_cancelled_and_retried_as_a_whole(db, claim_one):
    """The jobs that have not ended; then those that did not complete."""
    with db.batch(**CALLBACKS) as batch:
        batch.enqueue_jobs("work", [1, 2, 3, 4], retries=1, priority="HIGH")
    other = db.enqueue_job("other", priority="LOW")
    work(db, claim_one, None, Fail("no"))
    assert db.cancel_batch(batch.id) == 2
    assert counts(db.get_batch(batch.id)) == (4, 1, 1, 2)
    assert db.retry_batch(batch.id) == 3
    assert counts(db.get_batch(batch.id)) == (4, 1, 0, 0)
    work(db, claim_one, None, None, None)
    assert told(db) == ["failure", "complete", "success"]
    assert db.get_job(other.id).status == "PENDING"
    for verb in (db.cancel_batch, db.retry_batch):
        with pytest.raises(NotFound, match="no batch with the id 'nothing'"):
            verb("nothing")
    assert db.get_batch("nothing") is None


def test_a_batch_without_jobs_has_completed(db):
    """An import of nothing is a success."""
    with db.batch(**CALLBACKS) as batch:
        pass
    assert told(db) == ["complete", "success"]
    assert db.get_batch(batch.id).finished_at is not None


def test_a_callback_gets_the_id_and_the_counts_beside_the_payload(db, claim_one):
    """In all forms in which a callback may be given."""
    with db.batch(
        on_success=("report", {"to": "ada"}),
        on_complete={"type": "clean", "queue": "late", "priority": "LOW", "retries": 7},
    ) as batch:
        batch.enqueue_job("work")
    work(db, claim_one, None)
    counted = {"total": 1, "completed": 1, "failed": 0, "cancelled": 0}
    query = (
        '{ _jobs(where: {type: {ne: "work"}}) { type payload queue priority max_retries batch } }'
    )
    assert db.execute(query)["_jobs"] == [
        {
            "type": "clean",
            "payload": {"batch": batch.id, "counts": counted},
            "queue": "late",
            "priority": "LOW",
            "max_retries": 7,
            "batch": None,
        },
        {
            "type": "report",
            "payload": {"to": "ada", "batch": batch.id, "counts": counted},
            "queue": "default",
            "priority": "NORMAL",
            "max_retries": 3,
            "batch": None,
        },
    ]


def test_a_callback_may_be_a_registered_job_with_a_typed_payload(working):
    """What does not fit is refused when the batch begins."""
    seen = []
    done = threading.Event()

    @working.job("report")
    def report(payload: Report):
        seen.append(payload)
        done.set()

    working.job("work")(lambda _: None)
    with working.batch(on_success=(report, {"to": "ada"})) as batch:
        batch.enqueue_job("work")
    assert done.wait(GUARD)
    wanted = Report("ada", batch.id, {"total": 1, "completed": 1, "failed": 0, "cancelled": 0})
    assert seen == [wanted]
    with pytest.raises(PayloadInvalid, match="report"), working.batch(on_success=report):
        pass


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (3, "'on_success' is a job type"),
        ("", "'on_success' is a job type"),
        ({"queue": "x"}, "'on_success' is a job type"),
        ({"type": "x", "delay": 3}, "'on_success' has no option 'delay'"),
        (("x", [1]), "'on_success' has an object as payload"),
        (("x", {"batch": 1}), "without 'batch' and 'counts'"),
        ({"type": "x", "priority": "SOON"}, "is not a priority"),
    ],
)
def test_what_is_no_callback_is_refused(db, given, said):
    """Before the block begins."""
    with pytest.raises(ValidationError, match=said), db.batch(on_success=given):
        pytest.fail("the block began")


def test_a_finished_batch_takes_no_more_jobs(db, claim_one):
    """One that has not does, from whoever knows its id."""
    with db.batch("import", **CALLBACKS) as batch:
        batch.enqueue_job("work", 1)
    assert db.enqueue_job("work", 2, batch=batch.id).batch == batch.id
    db.enqueue_jobs("work", [3, 4], batch=batch.id)
    assert db.get_batch(batch.id).total == 4
    work(db, claim_one, None, None, None, None)
    with pytest.raises(JobError, match="the batch 'import' has finished; it takes no more jobs"):
        db.enqueue_job("work", 5, batch=batch.id)
    with pytest.raises(NotFound, match="no batch with the id 'nothing'"):
        db.enqueue_job("work", 5, batch="nothing")
    with pytest.raises(ValidationError, match="'batch' is the id of a batch"):
        db.enqueue_job("work", 5, batch=3)


def test_jobs_add_jobs_to_their_own_batch(working):
    """From threads and from tasks; the callback waits for them too."""
    done = []

    @working.job("pages")
    def pages(payload, job):
        job.batch.enqueue_jobs("page", list(range(payload)), priority="HIGH")

    @working.job("async pages")
    async def more(payload, job):
        await asyncio.sleep(0)
        await job.batch.enqueue_job("page", 100)
        await job.batch.enqueue_jobs("page", [101, 102])

    @working.job("page")
    def page(payload, job):
        done.append(payload)
        assert job.batch.get().total >= 5

    @working.job("alone")
    def alone(_payload, job):
        return [job.batch, job.results()]

    with working.batch(on_success="alone") as batch:
        batch.enqueue_job("pages", 3)
        batch.enqueue_job("async pages")
    found = until_finished(working, batch.id)
    assert counts(found) == (8, 8, 0, 0)
    assert sorted(done) == [0, 1, 2, 100, 101, 102]
    last = working.execute('{ _jobs(where: {type: "alone"}) { id } }')["_jobs"]
    end = time.monotonic() + GUARD
    while working.get_job(last[0]["id"]).status != "COMPLETED":
        assert time.monotonic() < end
        time.sleep(0.005)
    assert working.get_job(last[0]["id"]).result == [None, {}]


def test_jobs_added_with_the_completion_are_added_exactly_once(working):
    """`tx.enqueue_job(…, batch=…)` in `job.completing()`."""

    @working.job("pages", retries=2, backoff=0)
    def pages(_payload, job):
        with job.completing() as tx:
            tx.enqueue_jobs("page", [1, 2], batch=job.batch.id)
            if job.attempt == 1:
                raise RuntimeError("after the page were added")

    working.job("page")(lambda _: None)
    with working.batch() as batch:
        batch.enqueue_job("pages")
    assert counts(until_finished(working, batch.id)) == (3, 3, 0, 0)


def test_a_deleted_job_counts_as_cancelled_unless_it_had_ended(db, claim_one, other_program):
    """The batch finishes without it; history that is pruned stays counted."""
    with db.batch(**CALLBACKS) as batch:
        one, two = batch.enqueue_jobs("work", [1, 2])
    work(db, claim_one, None)
    other_program(f"DELETE FROM _jobs WHERE id IN ('{one.id}', '{two.id}')")
    db.cancel_job(db.enqueue_job("any").id)
    assert counts(db.get_batch(batch.id)) == (2, 1, 0, 1)
    assert told(db) == ["complete"]
    assert db.execute("{ _batch_jobs { job_id } }") == {"_batch_jobs": []}


def test_the_counts_follow_other_programs(working, other_program):
    """`sqlite3` ends the last job of a batch; the callback runs."""
    ran = threading.Event()
    working.job("success")(lambda _: ran.set())
    with working.batch(on_success="success") as batch:
        batch.enqueue_job("work")
    other_program("UPDATE _jobs SET status = 'COMPLETED', finished_at = created_at")
    assert ran.wait(GUARD)
    assert counts(working.get_batch(batch.id)) == (1, 1, 0, 0)


def test_batches_are_read_in_aql(db, claim_one):
    """Counts, and the jobs of a batch."""
    with db.batch("import") as batch:
        batch.enqueue_jobs("work", [1, 2])
    work(db, claim_one, None)
    query = "{ _batches { name total completed failed cancelled finished_at } }"
    assert db.execute(query)["_batches"] == [
        {"name": "import", "total": 2, "completed": 1, "failed": 0, "cancelled": 0, "finished_at": None}
    ]  # fmt: skip
    found = db.execute(
        "query ($b: ID!) { _jobs(where: {batch: $b, status: PENDING}) { payload } }",
        {"b": batch.id},
    )
    assert found["_jobs"] == [{"payload": 2}]


def test_jobs_of_a_batch_may_wait_for_each_other(db, claim_one):
    """`after` takes what the block gave."""
    with db.batch() as batch:
        first = batch.enqueue_job("work", 1)
        last = batch.enqueue_jobs("work", [2, 3], after=[first])
    assert [str(db.get_job(job.id).status) for job in last] == ["BLOCKED", "BLOCKED"]
    work(db, claim_one, Cancel("no"))
    assert counts(db.get_batch(batch.id)) == (3, 0, 0, 3)


def test_a_unique_job_that_was_there_is_not_of_the_batch(db, claim_one):
    """What waits for it waits for the one that has its key."""
    there = db.enqueue_job("sync", 1, unique="k")
    with db.flow() as flow:
        sync = flow.job("sync", "sync", 1, unique="k")
        flow.job("after", "work", after=["sync"])
    assert sync.id == there.id
    assert db.get_batch(flow.id).total == 1
    claim_one(db).complete()
    work(db, claim_one, None)
    with pytest.raises(ValidationError, match="one unique key are one job"), db.flow() as flow:
        flow.job("a", "sync", 1, unique="k", after=["b"])
        flow.job("b", "work", after=["c"])
        flow.job("c", "sync", 1, unique="k")


@pytest.mark.parametrize("count", [10_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_a_large_batch_finishes(path, count):
    """Each job once, the callback once, with real workers."""
    jobs = Jobs()
    ran = []
    over = threading.Event()
    jobs.job("work")(ran.append)
    jobs.job("success")(lambda payload: over.set())
    with Aurora(path, workers_enabled=True, jobs=jobs) as db:
        with db.batch(on_success="success") as batch:
            batch.enqueue_jobs("work", range(count))
        assert over.wait(GUARD * 2)
        assert counts(db.get_batch(batch.id)) == (count, count, 0, 0)
        assert told(db) == ["success"]
    assert sorted(ran) == list(range(count))
