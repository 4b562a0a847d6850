"""`crash_at`: after a death at any point, the effects of a job are there exactly once in the end."""

from __future__ import annotations

import pytest

from aurora_db import ValidationError
from aurora_db.jobs import crash
from aurora_db.testing import POINTS, Crashed

#: Status after the death, crashes and attempt in the end, effects after the death. A death while the
#: handler does not run is no crash of the job.
AFTER = {
    ("effect", "after_claim"): ("RUNNING", 0, 2, 0),
    ("effect", "in_completing_before_commit"): ("RUNNING", 1, 2, 0),
    ("effect", "after_commit_before_ack"): ("COMPLETED", 0, 1, 1),
    ("async_effect", "after_claim"): ("RUNNING", 0, 2, 0),
    ("async_effect", "in_completing_before_commit"): ("RUNNING", 1, 2, 0),
    ("async_effect", "after_commit_before_ack"): ("COMPLETED", 0, 1, 1),
    ("plain", "after_claim"): ("RUNNING", 0, 2, 0),
    ("plain", "before_commit"): ("RUNNING", 0, 2, 0),
    ("plain", "after_commit_before_ack"): ("COMPLETED", 0, 1, 0),
}


@pytest.mark.parametrize(("type", "point"), AFTER)
def test_the_effects_are_there_once(aurora, testing, type, point):
    """The dead worker holds the job; the next drain rescues it and ends it."""
    status, crashes, attempt, effects = AFTER[type, point]
    job = aurora.enqueue_job(type, "x")
    with testing.crash_at(point):
        testing.drain()
        raise AssertionError("the dead go no further")
    assert aurora.get_job(job.id).status == status
    assert aurora["effects"].count() == effects
    assert testing.drain().rescued == (status == "RUNNING")
    ended = aurora.get_job(job.id)
    assert (ended.status, ended.crashes, ended.attempt) == ("COMPLETED", crashes, attempt)
    assert ended.retries == 0
    assert aurora["effects"].count() == ("effect" in type)
    assert aurora.execute("{ _workers { id } }") == {"_workers": []}


@pytest.mark.parametrize(
    "point", ["after_claim", "in_completing_before_commit", "after_commit_before_ack"]
)
async def test_the_same_in_an_asynchronous_database(aurora_async, point):
    await aurora_async.execute("schema { define collection effects { job: ID! attempt: Int! } }")
    job = await aurora_async.enqueue_job("async_effect")
    with aurora_async.jobs_testing.crash_at(point):
        await aurora_async.jobs_testing.drain()
    await aurora_async.jobs_testing.drain()
    assert (await aurora_async.get_job(job.id)).status == "COMPLETED"
    assert await aurora_async["effects"].count() == 1


@pytest.mark.parametrize("point", ["after_claim", "before_commit", "after_commit_before_ack"])
def test_the_same_inline(aurora, testing, point):
    """The verb that enqueued dies with the worker; the job is there."""
    with testing.mode("inline"), testing.crash_at(point):
        aurora.enqueue_job("plain", 5)
    testing.drain()
    assert aurora.execute("{ _jobs { status result } }")["_jobs"] == [
        {"status": "COMPLETED", "result": 5}
    ]


def test_the_third_death_is_the_end(aurora, testing):
    """As when processes die: crashes are counted, retries are not."""
    job = aurora.enqueue_job("effect")
    for _ in range(3):
        with testing.crash_at("in_completing_before_commit"):
            testing.drain()
    testing.drain()
    ended = aurora.get_job(job.id)
    assert (ended.status, ended.crashes, ended.retries) == ("FAILED", 3, 0)
    assert ended.error == "worker died 3 times running this"


def test_a_job_that_was_claimed_and_not_begun_is_given_back_uncounted(aurora, testing):
    """Its worker dies before the handler: nothing that the job did."""
    job = aurora.enqueue_job("plain")
    for _ in range(4):
        with testing.crash_at("after_claim"):
            testing.drain()
    assert testing.drain().completed == 1
    assert (aurora.get_job(job.id).crashes, aurora.get_job(job.id).attempt) == (0, 5)


@pytest.mark.parametrize("kind", ["plain", "tx"])
def test_steps_that_are_done_are_not_done_again(aurora, testing, aurora_jobs, kind):
    """The worker dies between the second step and the third; the next one goes on there."""
    done = []

    @aurora_jobs.job("stepwise")
    def stepwise(payload, job):
        def outside(name):
            done.append(name)
            return name

        def inside(name, tx):
            tx["effects"].insert({"job": job.id, "attempt": job.attempt})
            return outside(name)

        call = outside if kind == "plain" else inside
        return [job.step(name, call, name) for name in ("one", "two", "three")]

    job = aurora.enqueue_job("stepwise")
    with testing.crash_at("between_steps", nth=2):
        testing.drain()
    assert done == ["one", "two"]
    assert testing.drain().completed == 1
    assert done == ["one", "two", "three"]
    assert aurora.get_job(job.id).result == ["one", "two", "three"]
    assert aurora["effects"].count() == (3 if kind == "tx" else 0)


async def test_steps_of_an_async_handler(aurora_async):
    done = []
    testing = aurora_async.jobs_testing

    @aurora_async.job("stepwise")
    async def stepwise(payload, job):
        for name in ("one", "two"):
            await job.step(name, done.append, name)
        await job.sleep("a night", 3600)
        await job.step("three", done.append, "three")

    await aurora_async.enqueue_job("stepwise")
    with testing.crash_at("between_steps"):
        await testing.drain()
    assert done == ["one"]
    assert (await testing.drain()).snoozed == 1
    assert (await testing.drain(with_scheduled=True)).completed == 1
    assert done == ["one", "two", "three"]


def test_the_nth_time(aurora, testing):
    """Two jobs go well, the third one's worker dies."""
    jobs = aurora.enqueue_jobs("effect", range(4))
    with testing.crash_at("in_completing_before_commit", nth=3):
        testing.drain()
    statuses = [aurora.get_job(one.id).status for one in jobs]
    assert statuses == ["COMPLETED", "COMPLETED", "RUNNING", "PENDING"]
    assert testing.drain().completed == 2
    assert aurora["effects"].count() == 4


def test_what_a_handler_does_while_it_dies_does_not_count(aurora, testing, aurora_jobs):
    """A dead process runs no `finally`: what is written there is refused, what is caught stays dead."""
    caught = []

    @aurora_jobs.job("clings")
    def clings(payload, job):
        try:
            with job.completing() as tx:
                tx["effects"].insert({"job": job.id, "attempt": job.attempt})
        except BaseException as error:  # noqa: BLE001 - some handler does
            caught.append(type(error))
            if isinstance(error, Crashed):
                aurora.insert_into("effects", {"job": "from the grave", "attempt": 0})
        return "I live"

    job = aurora.enqueue_job("clings")
    with testing.crash_at("in_completing_before_commit"):
        testing.drain()
    assert caught == [Crashed]
    assert aurora.get_job(job.id).status == "RUNNING"
    assert aurora["effects"].count() == 0
    testing.drain()
    assert aurora.execute("{ effects { attempt } }") == {"effects": [{"attempt": 2}]}


def test_a_death_can_be_caught_in_the_block(aurora, testing):
    """Then the block goes on, as another process would."""
    job = aurora.enqueue_job("plain")
    with testing.crash_at("before_commit"):
        with pytest.raises(
            Crashed, match="the worker died at 'before_commit': the handler has returned"
        ):
            testing.drain()
        assert testing.drain().completed == 1
    assert aurora.get_job(job.id).status == "COMPLETED"


def test_a_point_that_nobody_came_to_fails_the_test(aurora, testing):
    """Else a test would show nothing, and pass."""
    aurora.enqueue_job("plain")
    never = pytest.raises(AssertionError, match="no worker came to the crash point 'in_completing")
    with never, testing.crash_at("in_completing_before_commit"):
        testing.drain()


def test_an_error_in_the_block_is_the_one_that_is_seen(testing):
    with pytest.raises(KeyError), testing.crash_at("after_claim"):
        raise KeyError


def test_an_unknown_point_is_refused(testing):
    with pytest.raises(ValidationError, match="no crash point named 'after_claims'") as raised:
        testing.crash_at("after_claims").__enter__()
    assert raised.value.hint == "did you mean 'after_claim'?"
    with pytest.raises(ValidationError, match="'nth' is a number from 1, got 0"):
        testing.crash_at("after_claim", nth=0).__enter__()


def test_nothing_is_armed_afterwards(aurora, testing):
    with testing.crash_at("after_claim"):
        aurora.enqueue_job("plain")
        testing.drain()
    assert crash.hook is None
    aurora.insert_into("effects", {"job": "x", "attempt": 1})


def test_another_database_lives_on(aurora, testing, aurora_file):
    """A crash point is one database's."""
    aurora_file.enqueue_job("plain")
    with pytest.raises(AssertionError, match="no worker came"), testing.crash_at("after_claim"):
        assert aurora_file.jobs_testing.drain().completed == 1


def test_a_worker_of_another_process_rescues_the_job(aurora_file, aurora_jobs, aurora_clock):
    """The lock of the dead is free: whoever opens the file takes the job over, without waiting."""
    from aurora_db import Aurora

    job = aurora_file.enqueue_job("plain", 7)
    with aurora_file.jobs_testing.crash_at("before_commit"):
        aurora_file.jobs_testing.drain()
    with Aurora(aurora_file.config.path, jobs=aurora_jobs, clock=aurora_clock) as other:
        assert other.jobs_testing.drain().rescued == 1
    assert aurora_file.get_job(job.id).result == 7


def test_perform_dies_too_and_leaves_no_job(aurora, testing):
    with testing.crash_at("in_completing_before_commit"):
        testing.perform("effect")
    assert aurora.execute("{ _jobs { id } effects { id } }") == {"_jobs": [], "effects": []}


def test_each_point_is_described():
    assert {
        "after_claim", "before_commit", "after_commit_before_ack", "in_completing_before_commit",
        "between_steps",
    } == set(POINTS)  # fmt: skip
