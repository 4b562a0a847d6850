"""Jobs that wait for others, and flows: what is waited for, how it ends, what is refused."""

from __future__ import annotations

import random
import time

import pytest

from aurora_db import Aurora, Cancel, Fail, JobCancelled, Jobs, LeaseLost, NotFound, ValidationError

GUARD = 60.0


def statuses(db, *jobs):
    return [str(db.get_job(job.id).status) for job in jobs]


def finished(db, id):
    """The batch when all its jobs have ended."""
    end = time.monotonic() + GUARD
    while (found := db.get_batch(id)).finished_at is None:
        assert time.monotonic() < end, f"the batch did not finish: {found}"
        time.sleep(0.005)
    return found


def until(db, job, status):
    """The job when it has this status."""
    end = time.monotonic() + GUARD
    while (found := db.get_job(job.id)).status != status:
        assert time.monotonic() < end, f"the job did not become {status}: {found}"
        time.sleep(0.005)
    return found


def test_a_job_is_blocked_until_all_that_it_waits_for_have_completed(db, claim_one):
    """It counts down, and is PENDING when nothing is left."""
    a, b = db.enqueue_job("a"), db.enqueue_job("b")
    c = db.enqueue_job("c", after=[a.id, b.id])
    assert (c.status, c.after, c.depends_on) == ("BLOCKED", (a.id, b.id), 2)
    claim_one(db).complete()
    assert db.get_job(c.id).depends_on == 1
    assert statuses(db, c) == ["BLOCKED"]
    claim_one(db).complete()
    assert statuses(db, a, b, c) == ["COMPLETED", "COMPLETED", "PENDING"]
    assert db.get_job(c.id).depends_on == 0


def test_a_retry_of_the_first_does_not_free_the_second(db, claim_one):
    """A failed attempt is no end."""
    a = db.enqueue_job("a", retries=2, backoff=5)
    b = db.enqueue_job("b", after=[a.id])
    claim_one(db).fail(ValueError("once"))
    assert statuses(db, a, b) == ["SCHEDULED", "BLOCKED"]


def test_the_own_time_of_a_job_still_counts_when_it_is_freed(db, clock, claim_one):
    """`delay` counts from the enqueueing; what is freed before it waits as SCHEDULED."""
    a = db.enqueue_job("a")
    early = db.enqueue_job("b", after=[a.id], delay=10)
    assert early.run_at is not None
    claim_one(db).complete()
    assert statuses(db, early) == ["SCHEDULED"]
    assert claim_one(db) is None
    clock.advance(11)
    assert claim_one(db).id == early.id
    c = db.enqueue_job("c")
    late = db.enqueue_job("d", after=[c.id], delay=10)
    clock.advance(11)
    claim_one(db).complete()
    assert statuses(db, late) == ["PENDING"]


def test_a_failure_cancels_all_that_follow_and_each_says_why(db, claim_one):
    """The error names the job that was waited for."""
    a = db.enqueue_job("fetch", retries=1)
    b = db.enqueue_job("parse", after=[a.id])
    c = db.enqueue_job("store", after=[b.id])
    claim_one(db).fail(ValueError("no"))
    assert statuses(db, a, b, c) == ["FAILED", "CANCELLED", "CANCELLED"]
    assert db.get_job(b.id).error == f"waited for the job 'fetch' ({a.id}), which failed"
    assert db.get_job(c.id).error == f"waited for the job 'parse' ({b.id}), which was cancelled"
    assert db.get_job(c.id).finished_at == db.get_job(a.id).finished_at


def test_a_job_may_run_whatever_becomes_of_the_others(db, claim_one):
    """`on_dependency_failure="run"` counts a failure as an end."""
    a = db.enqueue_job("a", retries=1)
    b = db.enqueue_job("b", after=[a.id], on_dependency_failure="run")
    c = db.enqueue_job("c", after=[b.id])
    claim_one(db).fail(ValueError("no"))
    assert statuses(db, a, b, c) == ["FAILED", "PENDING", "BLOCKED"]
    assert db.get_job(b.id).on_dependency_failure == "run"


def test_what_has_ended_already_counts(db, claim_one):
    """Completed: no wait. Failed or cancelled: by the policy, at once."""
    done, bad = db.enqueue_job("a"), db.enqueue_job("b", retries=1)
    claim_one(db).complete()
    claim_one(db).fail(ValueError("no"))
    gone = db.enqueue_job("c")
    db.cancel_job(gone.id)
    assert db.enqueue_job("d", after=[done.id]).status == "PENDING"
    assert db.enqueue_job("d", after=[bad.id], on_dependency_failure="run").status == "PENDING"
    refused = db.enqueue_job("d", after=[done.id, gone.id])
    assert refused.status == "CANCELLED"
    assert refused.error == f"waited for the job 'c' ({gone.id}), which was cancelled"


def test_a_cancelled_job_cancels_its_followers_and_is_not_freed_itself(db, claim_one):
    """cancel_job on a job that is waited for, and on one that waits."""
    a = db.enqueue_job("a")
    b = db.enqueue_job("b", after=[a.id])
    c = db.enqueue_job("c", after=[a.id])
    d = db.enqueue_job("d", after=[c.id])
    db.cancel_job(b.id)
    claim_one(db).complete()
    assert statuses(db, b, c, d) == ["CANCELLED", "PENDING", "BLOCKED"]
    db.cancel_job(c.id)
    assert statuses(db, c, d) == ["CANCELLED", "CANCELLED"]


def test_a_chain_of_a_thousand_is_cancelled_in_one_commit(db):
    """However long the way is."""
    with db.flow() as flow:
        last = flow.job("0", "work")
        for n in range(1, 1_000):
            last = flow.job(str(n), "work", after=[last])
    db.cancel_job(db.execute("{ _jobs(where: {after: {isNull: true}}) { id } }")["_jobs"][0]["id"])
    batch = db.get_batch(flow.id)
    assert (batch.total, batch.cancelled) == (1_000, 1_000)
    assert "'998'" in db.get_job(last.id).error


def test_an_unknown_job_in_after_is_refused(db):
    """Nothing of the call is written."""
    a = db.enqueue_job("a")
    with pytest.raises(NotFound, match="no job with the id 'nobody', which 'after' names"):
        db.enqueue_jobs("b", [1, 2], after=[a.id, "nobody"])
    assert db.execute("{ _jobs { aggregate { count } } }")["_jobs"]["aggregate"]["count"] == 1


def test_the_third_death_of_a_worker_cancels_the_followers(db, clock, claim_one):
    """A job that kills its workers is FAILED, and that is an end."""
    a = db.enqueue_job("poison")
    b = db.enqueue_job("b", after=[a.id])
    for n in range(3):
        assert claim_one(db, worker=f"w{n}").id == a.id
        clock.advance(31.0)
    claim_one(db)
    assert statuses(db, a, b) == ["FAILED", "CANCELLED"]


def test_a_zombie_frees_nobody(db, clock, claim_one):
    """A completion that comes too late leaves the followers as they are."""
    a = db.enqueue_job("a")
    b = db.enqueue_job("b", after=[a.id])
    zombie = claim_one(db)
    clock.advance(31.0)
    claim_one(db, worker="w2")
    with pytest.raises(LeaseLost):
        zombie.complete()
    assert statuses(db, a, b) == ["RUNNING", "BLOCKED"]


def test_a_job_that_is_deleted_counts_as_cancelled(db, other_program):
    """Unless it had ended: then as what it ended by."""
    a = db.enqueue_job("a")
    b = db.enqueue_job("b", after=[a.id])
    c = db.enqueue_job("c", after=[a.id], on_dependency_failure="run")
    other_program(f"DELETE FROM _jobs WHERE id = '{a.id}'")
    db.cancel_job(db.enqueue_job("any").id)
    assert statuses(db, b, c) == ["CANCELLED", "PENDING"]
    assert db.get_job(b.id).error == f"waited for the job {a.id}, which was deleted"


@pytest.mark.parametrize(("outcome", "then"), [("COMPLETED", "COMPLETED"), ("FAILED", "CANCELLED")])
def test_an_end_that_another_program_writes_is_seen(working, other_program, outcome, then):
    """`sqlite3` sets the status; the workers do what follows."""
    working.job("b")(lambda _: None)
    a = working.enqueue_job("a")
    b = working.enqueue_job("b", after=[a.id])
    other_program(
        f"UPDATE _jobs SET status = '{outcome}', finished_at = created_at WHERE id = '{a.id}'"
    )
    until(working, b, then)


def test_a_deletion_by_another_program_is_seen(working, other_program):
    """Followers of a row that is gone do not wait for ever."""
    working.job("b")(lambda _: None)
    a = working.enqueue_job("a")
    b = working.enqueue_job("b", after=[a.id])
    other_program(f"DELETE FROM _jobs WHERE id = '{a.id}'")
    until(working, b, "CANCELLED")


def test_who_waits_for_a_follower_hears_of_its_cancellation(working):
    """`wait_job` ends when a policy ends the job."""

    @working.job("first", retries=1)
    def first(_payload):
        raise Fail("no")

    with working.flow() as flow:
        flow.job("a", "first")
        last = flow.job("b", "second", after=["a"])
    with pytest.raises(JobCancelled, match="which failed"):
        working.wait_job(last.id, timeout=GUARD)


# --- retry ----------------------------------------------------------------------------------


def failed_pair(db, claim_one):
    a = db.enqueue_job("a", retries=1)
    b = db.enqueue_job("b", after=[a.id])
    claim_one(db).fail(ValueError("no"))
    assert statuses(db, a, b) == ["FAILED", "CANCELLED"]
    return a, b


def test_a_retried_follower_waits_again_until_the_first_has_completed(db, claim_one):
    """In whatever order the two are retried."""
    a, b = failed_pair(db, claim_one)
    assert db.retry_job(b.id)
    assert statuses(db, a, b) == ["FAILED", "BLOCKED"]
    assert db.get_job(b.id).error is None
    db.retry_job(a.id)
    claim_one(db).complete()
    assert statuses(db, a, b) == ["COMPLETED", "PENDING"]


def test_a_retried_dependency_leaves_its_followers_cancelled(db, claim_one):
    """They are retried on their own, or all together by retry_batch."""
    a, b = failed_pair(db, claim_one)
    db.retry_job(a.id)
    claim_one(db).complete()
    assert statuses(db, a, b) == ["COMPLETED", "CANCELLED"]
    db.retry_job(b.id)
    assert statuses(db, b) == ["PENDING"]


def test_a_follower_that_waits_again_is_cancelled_by_another_failure(db, claim_one):
    """Also when the failed job is deleted meanwhile."""
    a, b = failed_pair(db, claim_one)
    db.retry_job(b.id)
    db.retry_job(a.id)
    claim_one(db).fail(ValueError("again"))
    assert statuses(db, a, b) == ["FAILED", "CANCELLED"]


def test_a_retry_does_not_trip_over_an_end_that_nobody_has_seen(db, claim_one, other_program):
    """Another program ended the first; the retried follower waits for its next run."""
    a = db.enqueue_job("a", retries=1)
    b = db.enqueue_job("b", after=[a.id])
    db.cancel_job(b.id)
    other_program(
        f"UPDATE _jobs SET status = 'FAILED', finished_at = created_at WHERE id = '{a.id}'"
    )
    db.retry_job(b.id)
    db.retry_job(a.id)
    assert statuses(db, a, b) == ["PENDING", "BLOCKED"]
    claim_one(db).complete()
    assert statuses(db, b) == ["PENDING"]


# --- the block ------------------------------------------------------------------------------


def test_a_flow_is_written_at_the_end_and_may_name_what_comes_later(db, claim_one):
    """Names in any order; the ids are known in the block."""
    with db.flow("daily") as flow:
        report = flow.job("report", "report", after=["parse", "count"])
        flow.job("parse", "parse", {"n": 1}, after=["fetch"], priority="HIGH")
        flow.job("count", "count", after=["fetch"])
        fetch = flow.job("fetch", "fetch")
        assert db.get_job(fetch.id) is None
    assert db.get_batch(flow.id).name == "daily"
    order = []
    while (held := claim_one(db)) is not None:
        order.append(held.type)
        held.complete()
    assert order == ["fetch", "parse", "count", "report"]
    assert db.get_job(report.id).after != ()
    names = db.execute("{ _batch_jobs { name } }")["_batch_jobs"]
    assert {row["name"] for row in names} == {"report", "parse", "count", "fetch"}


@pytest.mark.parametrize(
    ("edges", "said"),
    [
        ({"a": ["a"]}, "a → a"),
        ({"a": ["b"], "b": ["a"]}, "a → b → a"),
        ({"x": [], "a": ["x", "c"], "b": ["a"], "c": ["b"], "d": ["c"]}, "a → b → c → a"),
    ],
)
def test_a_circle_is_refused_and_spelled_out(db, edges, said):
    """In the order of running; nothing is written."""
    with pytest.raises(ValidationError) as caught, db.flow() as flow:
        for name, after in edges.items():
            flow.job(name, "work", after=after)
    assert caught.value.message == f"jobs wait for each other: {said}"
    assert db.execute("{ _jobs { id } _batches { id } }") == {"_jobs": [], "_batches": []}


def test_an_unknown_name_is_refused_with_the_nearest(db):
    """At the end of the block, for names may come later."""
    with pytest.raises(ValidationError) as caught:  # noqa: SIM117
        with db.flow() as flow:
            flow.job("fetch", "fetch")
            flow.job("parse", "parse", after=["fetsh"])
    assert caught.value.message == "no job named 'fetsh', which 'parse' waits for"
    assert caught.value.hint == "did you mean 'fetch'?"
    assert db.execute("{ _jobs { id } _batches { id } }") == {"_jobs": [], "_batches": []}


def test_what_the_block_refuses(db):
    """Each with the place and the fix."""
    with db.flow() as flow:
        flow.job("a", "work")
        with pytest.raises(ValidationError, match="has a job named 'a' already"):
            flow.job("a", "work")
        with pytest.raises(ValidationError, match="a job has no option 'retry'") as caught:
            flow.job("b", "work", retry=3)
        assert caught.value.hint == "did you mean 'retries'?"
        with pytest.raises(ValidationError, match="'after' is a list of names, jobs or ids"):
            flow.job("b", "work", after="a")
        with pytest.raises(ValidationError, match="'on_dependency_failure' is one of"):
            flow.job("b", "work", after=["a"], on_dependency_failure="ignore")
        with pytest.raises(ValidationError, match="given together with 'after' only"):
            flow.job("b", "work", on_dependency_failure="run")
        with pytest.raises(ValidationError, match="'name' is a text that is not empty"):
            flow.job("", "work")
    assert db.get_batch(flow.id).total == 1


def test_a_block_that_raises_writes_nothing(db):
    """Nor does one inside a transaction that is rolled back."""
    with pytest.raises(RuntimeError), db.flow() as flow:
        flow.job("a", "work")
        raise RuntimeError
    with db.transaction() as tx:
        with tx.flow() as flow:
            flow.job("a", "work")
        assert tx.get_batch(flow.id).total == 1
        tx.rollback()
    with db.transaction() as tx, pytest.raises(NotFound), tx.flow() as flow:
        flow.job("a", "work", after=["01900000-0000-7000-8000-000000000000"])
    assert db.execute("{ _jobs { id } _batches { id } }") == {"_jobs": [], "_batches": []}


def test_a_flow_may_wait_for_jobs_that_exist(db, claim_one):
    """By their record or id, in all their states."""
    before = db.enqueue_job("before")
    with db.flow() as flow:
        a = flow.job("a", "a", after=[before])
        b = flow.job("b", "b", after=[before.id, a])
    assert statuses(db, a, b) == ["BLOCKED", "BLOCKED"]
    claim_one(db).complete()
    assert statuses(db, a, b) == ["PENDING", "BLOCKED"]


def test_a_handler_reads_the_results_of_those_it_waited_for(working):
    """By name in the flow, by id outside of it; what failed has None."""
    seen = {}

    @working.job("work", retries=1)
    def work(payload, job):
        if payload == "fail":
            raise Fail("no")
        return payload * 2

    @working.job("sum")
    def total(_payload, job):
        seen.update(job.results())
        seen["statuses"] = {name: str(one.status) for name, one in job.dependencies().items()}

    outside = working.enqueue_job("work", 21)
    with working.flow() as flow:
        flow.job("a", "work", 1)
        flow.job("b", "work", "fail")
        flow.job("c", "sum", after=["a", "b", outside], on_dependency_failure="run")
    assert finished(working, flow.id).failed == 1
    assert seen == {
        "a": 2,
        "b": None,
        outside.id: 42,
        "statuses": {"a": "COMPLETED", "b": "FAILED", outside.id: "COMPLETED"},
    }


def test_completing_frees_the_followers_in_its_commit(working):
    """Effects, completion and what follows are one transaction."""
    working.execute("schema { define collection notes { text: String! } }")

    @working.job("first")
    def first(_payload, job):
        with job.completing() as tx:
            tx["notes"].insert({"text": "first"})

    working.job("second")(lambda _: None)
    a = working.enqueue_job("first")
    b = working.enqueue_job("second", after=[a.id])
    until(working, b, "COMPLETED")
    assert working["notes"].count() == 1


def test_a_handler_that_cancels_itself_cancels_its_followers(working):
    """`Cancel` is an end that is no completion."""

    @working.job("first")
    def first(_payload):
        raise Cancel("enough")

    a = working.enqueue_job("first")
    b = working.enqueue_job("second", after=[a.id])
    assert until(working, b, "CANCELLED").error.endswith("which was cancelled")


async def test_flows_and_batches_in_an_asynchronous_program(path):
    """The same verbs; what writes is awaited, the block collects."""
    from aurora_db import AsyncAurora

    async with AsyncAurora(path) as db:
        async with db.flow("f") as flow:
            a = flow.job("a", "work")
            b = flow.job("b", "work", after=["a"])
        assert (await db.get_batch(flow.id)).total == 2
        async with db.transaction() as tx, tx.batch() as batch:
            batch.enqueue_jobs("work", [1, 2], after=[b])
        assert await db.cancel_job(a.id)
        assert (await db.get_batch(batch.id)).cancelled == 2
        assert await db.retry_batch(flow.id) == 2
        assert await db.cancel_batch(flow.id) == 2


def layered(flow, count, rng, width=100):
    """`count` jobs in layers, each after three of the layer before."""
    for n in range(count):
        layer = n // width
        before = [str((layer - 1) * width + rng.randrange(width)) for _ in range(3)]
        flow.job(str(n), "work", n, after=before if layer else ())


@pytest.mark.parametrize("count", [2_000, pytest.param(10_000, marks=pytest.mark.long)])
def test_a_large_flow_runs_in_order(path, count):
    """Each job after those it waits for, each once, with real workers."""
    jobs = Jobs()
    ran = []
    jobs.job("work")(ran.append)
    with Aurora(path, workers_enabled=True, jobs=jobs) as db:
        with db.flow() as flow:
            layered(flow, count, random.Random(7))
        assert finished(db, flow.id).completed == count
    assert sorted(ran) == list(range(count))
    place = {n: at for at, n in enumerate(ran)}
    rng = random.Random(7)
    for n in range(count):
        before = [(n // 100 - 1) * 100 + rng.randrange(100) for _ in range(3)]
        assert n < 100 or all(place[one] < place[n] for one in before)
