"""`perform`: one attempt of a handler, and no job before or after it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from aurora_db import (
    JobError,
    JobHandler,
    PayloadInvalid,
    Priority,
    Snooze,
    UnknownJobType,
    ValidationError,
)


@dataclass
class Thumbnail:
    path: str
    size: int = 64


def nothing_left(db):
    found = db.execute("{ _jobs { id } _job_errors { job_id } _workers { id } }")
    return found == {"_jobs": [], "_job_errors": [], "_workers": []}


def test_a_type_a_function_an_object(aurora, testing, aurora_jobs):
    """By the name of the type, or as what handles it, registered or not."""

    @aurora_jobs.job("double")
    def double(payload):
        return payload * 2

    class Triple(JobHandler):
        def handle(self, job):
            return job.payload * 3

    async def quadruple(payload):
        await asyncio.sleep(0)
        return payload * 4

    assert testing.perform("double", 5) == 10
    assert testing.perform(double, 5) == 10
    assert testing.perform(Triple(), 5) == 15
    assert testing.perform(quadruple, 5) == 20
    assert nothing_left(aurora)


def test_the_payload_is_validated(testing):
    """As in life, and a wrong one never comes to the handler."""
    seen = []

    def resize(payload: Thumbnail):
        seen.append(payload)
        return {"path": payload.path, "size": payload.size}

    assert testing.perform(resize, {"path": "cat.jpg"}) == {"path": "cat.jpg", "size": 64}
    assert testing.perform(resize, Thumbnail("cat.jpg", 8))["size"] == 8
    assert seen == [Thumbnail("cat.jpg"), Thumbnail("cat.jpg", 8)]
    with pytest.raises(PayloadInvalid, match="does not match"):
        testing.perform(resize, {"size": 3})
    assert len(seen) == 2


def test_the_job_is_as_said(testing):
    """Attempt, failures, attempts in all, queue, priority, tags."""
    seen = []

    def handler(job):
        seen.append((job.attempt, job.retries, job.max_retries, job.queue, job.priority, job.tags))

    testing.perform(handler)
    testing.perform(
        handler, attempt=4, failures=2, retries=9, queue="slow", priority="HIGH", tags=("eu",)
    )
    assert seen == [
        (1, 0, 3, "default", Priority.NORMAL, ()),
        (4, 2, 9, "slow", Priority.HIGH, ("eu",)),
    ]


@pytest.mark.parametrize("type", ["effect", "async_effect"])
def test_completing_works(aurora, testing, type):
    """What it commits stays, its result is what `perform` returns, the job is gone."""
    assert testing.perform(type) == "written"
    assert aurora.execute("{ effects { attempt } }") == {"effects": [{"attempt": 1}]}
    assert nothing_left(aurora)


def test_steps_and_progress_work(aurora, testing):
    """Of the job nothing stays, so a step is done each time."""
    done = []

    def handler(job):
        job.progress(0.5, "half")
        job.heartbeat()
        return job.step("one", lambda: done.append(1) or len(done))

    assert testing.perform(handler) == 1
    assert testing.perform(handler, attempt=2) == 2
    assert nothing_left(aurora)


def test_a_sleep_is_raised_as_a_snooze(testing):
    def handler(job):
        job.sleep("a night", 3600)

    with pytest.raises(Snooze):
        testing.perform(handler)


def test_a_block_that_fails_commits_nothing(aurora, testing):
    def handler(job):
        with job.completing() as tx:
            tx["effects"].insert({"job": job.id, "attempt": 1})
            raise KeyError("no")

    with pytest.raises(KeyError):
        testing.perform(handler)
    assert aurora["effects"].count() == 0
    assert nothing_left(aurora)


def test_what_comes_after_the_completion_is_raised_too(aurora, testing):
    def handler(job):
        with job.completing() as tx:
            tx["effects"].insert({"job": job.id, "attempt": 1})
        raise KeyError("after")

    with pytest.raises(KeyError, match="after"):
        testing.perform(handler)
    assert aurora["effects"].count() == 1
    assert nothing_left(aurora)


def test_whatever_the_handler_raises_is_raised(testing):
    """Errors as they are, instructions too."""
    for payload, error in (("snooze", Snooze),):
        with pytest.raises(error):
            testing.perform("says", payload)
    with pytest.raises(ValueError, match="attempt 3"):
        testing.perform("fails", {"times": 3}, attempt=3)
    assert testing.perform("fails", {"times": 3}, attempt=4) == 4


def test_the_result_is_what_would_be_kept(testing):
    """JSON types; what has no such form is refused."""
    assert testing.perform(lambda: Thumbnail("a")) == {"path": "a", "size": 64}
    assert testing.perform(lambda: None) is None
    with pytest.raises(JobError, match="the handler's result cannot be written as JSON"):
        testing.perform(lambda: {1, object})


def test_an_unknown_type_is_refused(testing):
    with pytest.raises(UnknownJobType, match="'effects'") as raised:
        testing.perform("effects")
    assert raised.value.hint == "did you mean 'effect'?"


def test_wrong_options_are_refused(aurora, testing):
    with pytest.raises(ValidationError, match="'attempt' is a number from 1, got 0"):
        testing.perform("plain", attempt=0)
    with pytest.raises(ValidationError, match="'failures' is a number from 0, got -1"):
        testing.perform("plain", failures=-1)
    with pytest.raises(ValidationError, match="'retries' is a number of attempts from 1"):
        testing.perform("plain", retries=0)
    with pytest.raises(TypeError, match="delay"):
        testing.perform("plain", delay=5)
    assert nothing_left(aurora)


def test_others_in_the_queue_are_not_touched(aurora, testing):
    job = aurora.enqueue_job("effect")
    testing.perform("effect")
    assert aurora.get_job(job.id).status == "PENDING"
    with testing.mode("inline"):
        assert testing.perform("plain", 1) == 1
    assert aurora.get_job(job.id).status == "PENDING"


def test_a_time_limit_counts_by_the_clock(testing):
    def slow():
        testing.clock.advance(61)

    with pytest.raises(JobError, match="the attempt took longer than 60 s"):
        testing.perform(slow, timeout=60)


async def test_an_asynchronous_database(aurora_async):
    async def handler(payload, job):
        async with job.completing() as tx:
            await tx.enqueue_job("plain")
            tx.result(payload)

    assert await aurora_async.jobs_testing.perform(handler, [1, 2]) == [1, 2]
    assert await aurora_async.jobs_testing.perform(lambda: 5) == 5
    aurora_async.jobs_testing.assert_enqueued(count=1)
