"""`mode("inline")`: a job runs as soon as it is committed."""

from __future__ import annotations

import threading

import pytest

from aurora_db import ValidationError


@pytest.fixture
def inline(testing):
    testing.mode("inline")
    return testing


def status(db, job):
    return db.get_job(job.id).status


def test_a_job_has_run_when_it_is_enqueued(aurora, inline):
    assert status(aurora, aurora.enqueue_job("plain", 1)) == "COMPLETED"
    jobs = aurora.enqueue_jobs("plain", [1, 2])
    assert [status(aurora, one) for one in jobs] == ["COMPLETED", "COMPLETED"]


def test_it_runs_after_the_commit_of_its_transaction(aurora, inline, aurora_jobs):
    """Its handler sees what was committed with it."""
    seen = []
    aurora_jobs.job("looks")(lambda: seen.append(aurora["effects"].count()))
    with aurora.transaction() as tx:
        tx.enqueue_job("looks")
        tx["effects"].insert({"job": "x", "attempt": 1})
        assert seen == []
    assert seen == [1]


def test_what_is_rolled_back_never_runs(aurora, inline, aurora_jobs):
    ran = []
    aurora_jobs.job("notes")(lambda: ran.append(1))
    with pytest.raises(KeyError), aurora.transaction() as tx:
        tx.enqueue_job("notes")
        raise KeyError
    with aurora.transaction() as tx:
        tx.enqueue_job("notes")
        tx.rollback()
    aurora.insert_into("effects", {"job": "x", "attempt": 1})
    assert ran == []


def test_what_a_job_enqueues_runs_when_it_has_returned(aurora, inline, aurora_jobs):
    """Before the verb that enqueued the first one returns."""
    order = []

    @aurora_jobs.job("parent")
    def parent(payload):
        if payload:
            aurora.enqueue_job("parent", payload - 1)
        order.append(payload)

    aurora.enqueue_job("parent", 3)
    assert order == [3, 2, 1, 0]


def test_jobs_of_event_handlers_run(aurora, inline):
    """An insert that fires a handler returns when its job has run."""
    aurora.execute("""
        define handler "copy" { on: "insert:effects"
            action: { enqueueJob(type: "plain", payload: { from: "${job}" }) } }
    """)
    aurora.insert_into("effects", {"job": "x1", "attempt": 0})
    assert aurora.execute("{ _jobs { status result } }")["_jobs"] == [
        {"status": "COMPLETED", "result": {"from": "x1"}}
    ]
    aurora.execute('mutation { enqueueJob(type: "plain", payload: { a: 1 }) { id } }')
    assert inline.all_enqueued() == []


def test_a_collection_that_was_there_before_follows_too(aurora, testing):
    """Whoever holds one need not ask again."""
    effects = aurora["effects"]
    aurora.execute("""
        define handler "copy" { on: "insert:effects" action: { enqueueJob(type: "plain") } }
    """)
    with testing.mode("inline"):
        effects.insert({"job": "x", "attempt": 1})
        assert testing.all_enqueued() == []
    effects.insert({"job": "x", "attempt": 1})
    testing.assert_enqueued("plain", count=1)


def test_a_failure_is_noted_and_can_be_raised(aurora, inline):
    """As in life the enqueuer hears nothing of it, unless the mode says so; the job stays enqueued."""
    job = aurora.enqueue_job("fails", {"times": 1})
    assert status(aurora, job) == "SCHEDULED"
    inline.mode("inline", raises=True)
    with pytest.raises(ValueError, match="attempt 1"):
        aurora.enqueue_job("fails", {"times": 1})
    inline.assert_enqueued("fails", within=5, count=2)


def test_a_mode_can_be_for_a_block(aurora, testing):
    """At its end the one before holds again."""
    with testing.mode("inline"):
        assert status(aurora, aurora.enqueue_job("plain")) == "COMPLETED"
        with testing.mode("manual"):
            job = aurora.enqueue_job("plain")
        assert status(aurora, job) == "PENDING"
    assert status(aurora, aurora.enqueue_job("plain")) == "PENDING"


def test_scheduled_jobs_wait_for_a_drain(aurora, inline):
    job = aurora.enqueue_job("plain", delay=60)
    assert status(aurora, job) == "SCHEDULED"
    inline.clock.advance(60)
    inline.drain()
    assert status(aurora, job) == "COMPLETED"


def test_threads_that_enqueue_at_once(aurora, inline):
    """All of it has run when all of them have returned."""
    threads = [
        threading.Thread(target=aurora.enqueue_jobs, args=("plain", range(20))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert aurora.execute("{ _jobs(where: {status: COMPLETED}) { aggregate { count } } }")["_jobs"][
        "aggregate"
    ] == {"count": 80}


def test_an_unknown_mode_is_refused(testing):
    with pytest.raises(
        ValidationError, match=r"'mode' is \"manual\" or \"inline\", got 'inlin'"
    ) as raised:
        testing.mode("inlin")
    assert raised.value.hint == "did you mean 'inline'?"


async def test_an_asynchronous_database(aurora_async):
    """Awaited, the job has run; in a transaction after its commit; nested ones too."""
    ran = []

    @aurora_async.job("parent")
    async def parent(payload):
        ran.append(payload)
        if payload:
            await aurora_async.enqueue_job("parent", payload - 1)

    with aurora_async.jobs_testing.mode("inline"):
        await aurora_async.enqueue_job("parent", 1)
        assert ran == [1, 0]
        async with aurora_async.transaction() as tx:
            await tx.enqueue_job("parent", 0)
            assert ran == [1, 0]
        assert ran == [1, 0, 0]
    await aurora_async.enqueue_job("parent", 5)
    assert ran == [1, 0, 0]
