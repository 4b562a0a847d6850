"""Handlers that raise, say and ask for strange things: their own job fails, the worker goes on."""

from __future__ import annotations

import math
import os
import threading
import time
from datetime import timedelta

import pytest

from aurora_db import (
    Aurora,
    Cancel,
    Fail,
    JobCancelled,
    JobError,
    JobFailed,
    ManualClock,
    Retry,
    Snooze,
    ValidationError,
)

GUARD = 30.0


@pytest.fixture
def works(path):
    """A database with one slot: who loses it stops everything."""
    with Aurora(path, workers_enabled=True, worker_threads=1, poll_interval=0.05) as db:
        db.job("next")(lambda: "works")
        yield db


def still_works(db):
    return db.wait_job(db.enqueue_job("next").id, timeout=GUARD) == "works"


def failure(db, handler, **options):
    """The record of a job whose handler is this, when it has failed."""
    db.job("strange", retries=1)(handler)
    with pytest.raises(JobFailed) as raised:
        db.wait_job(db.enqueue_job("strange", {}, **options).id, timeout=GUARD)
    return raised.value.job


#: A file name that is no UTF-8, as `os.listdir` gives it.
NAME = os.fsdecode(b"photo-\xff.jpg")


@pytest.mark.parametrize("raises", [FileNotFoundError, Fail, ValueError])
def test_an_error_that_names_a_file_which_is_no_utf8_is_kept(works, raises):
    """The message keeps what can be kept of the name, and the worker goes on."""

    def handler(payload):
        raise raises(NAME)

    assert "photo-\\udcff.jpg" in failure(works, handler).error
    (kept,) = works.execute("{ _job_errors { error traceback } }")["_job_errors"]
    assert "photo-\\udcff.jpg" in kept["error"]
    assert "photo-\\udcff.jpg" in kept["traceback"]
    assert still_works(works)


def test_a_job_may_be_cancelled_for_a_reason_that_is_no_utf8(works):
    """The reason is kept as far as it can be."""

    @works.job("strange")
    def strange(payload):
        raise Cancel(NAME)

    with pytest.raises(JobCancelled) as raised:
        works.wait_job(works.enqueue_job("strange", {}).id, timeout=GUARD)
    assert raised.value.job.error == "photo-\\udcff.jpg"
    assert still_works(works)


def test_a_note_of_a_progress_may_name_a_file_which_is_no_utf8(works):
    """It is shown with what cannot be written spelled out."""

    @works.job("strange")
    def strange(payload, job):
        job.progress(0.5, NAME)

    job = works.enqueue_job("strange", {})
    assert works.wait_job(job.id, timeout=GUARD) is None
    assert works.get_job(job.id).progress_note == "photo-\\udcff.jpg"


@pytest.mark.parametrize("delay", [math.inf, math.nan, -1, 1e300, "soon", True])
@pytest.mark.parametrize("kind", [Snooze, Retry])
def test_a_wait_that_is_none_is_refused_where_it_is_written(works, kind, delay):
    """The job fails with what to write instead, and its slot is free again."""

    def handler(payload):
        raise kind(delay)

    error = failure(works, handler).error
    assert f"{kind.__name__} takes a number of seconds from 0, got {delay!r}" in error
    assert still_works(works)
    with pytest.raises(ValidationError) as raised:
        kind(delay)
    assert raised.value.hint == f"raise {kind.__name__}(60)"


def test_a_wait_may_be_a_timedelta(works, clock):
    """As everywhere."""
    assert Snooze(timedelta(minutes=1)).delay == 60
    assert Retry(timedelta(minutes=1)).delay == 60
    assert Retry().delay is None


def test_a_handler_that_ends_its_own_job_inside_of_its_completion_has_failed(works):
    """The block commits nothing; the attempt does not stay RUNNING until somebody gives up."""

    def handler(payload, job):
        with job.completing() as tx:
            tx.enqueue_job("next")
            tx.cancel_job(job.id)

    job = failure(works, handler)
    assert job.error.startswith("LeaseLost: ")
    assert works["_jobs"].count() == 1
    assert still_works(works)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"queue": ""}, "'queue' is a name that is not empty, got ''"),
        ({"queue": 5}, "'queue' is a name that is not empty, got 5"),
        ({"backoff": math.inf}, "inf is not a back-off"),
        ({"backoff": math.nan}, "nan is not a back-off"),
    ],
)
def test_an_option_of_a_type_is_refused_when_it_is_registered(path, options, message):
    """Not when its first job is enqueued, or runs."""
    with Aurora(path) as db, pytest.raises(ValidationError) as raised:
        db.job("strange", **options)(lambda payload: payload)
    assert raised.value.message == message


@pytest.mark.parametrize("type", [5, "", None])
def test_a_handler_is_registered_for_a_text(path, type):
    """Nobody could enqueue a job of another type."""
    with Aurora(path) as db, pytest.raises(ValidationError) as raised:
        db.job(type)(lambda payload: payload)
    assert raised.value.message == f"'type' is a text that is not empty, got {type!r}"


def test_the_decorator_without_its_parentheses_is_refused(path):
    """It would register nothing, and say nothing."""
    with Aurora(path) as db, pytest.raises(JobError) as raised:

        @db.job
        def resize(payload):
            return payload

    assert raised.value.hint == 'write @db.job("resize"), with the type in parentheses'


def test_a_generator_is_no_handler(path):
    """Nobody would run its body."""

    def sync(payload):
        yield payload

    async def asynchronous(payload):
        yield payload

    with Aurora(path) as db:
        for handler in (sync, asynchronous):
            with pytest.raises(JobError) as raised:
                db.job("strange")(handler)
            assert raised.value.hint == "leave out the yield, and return what is the result"


@pytest.mark.parametrize("kind", ["batch", "flow"])
def test_a_block_that_has_ended_takes_no_more_jobs(path, kind):
    """They would never be enqueued."""
    with Aurora(path) as db:
        with getattr(db, kind)("nightly") as block:
            pass
        with pytest.raises(JobError) as raised:
            block.enqueue_job("late")
        assert "'late' would never be enqueued" in raised.value.message
        assert db["_jobs"].count() == 0


@pytest.mark.parametrize("timeout", ["soon", math.nan, True, []])
def test_a_wait_for_a_job_takes_a_duration(path, timeout):
    """What is none is refused before anybody waits."""
    with Aurora(path) as db, pytest.raises(ValidationError) as raised:
        db.wait_job(db.enqueue_job("never").id, timeout=timeout)
    assert raised.value.message == f"'timeout' is a duration in seconds, got {timeout!r}"


def test_a_delay_beyond_the_calendar_is_refused(path):
    """With an error of ours, and nothing is enqueued."""
    with Aurora(path) as db:
        with pytest.raises(ValidationError) as raised:
            db.enqueue_job("late", delay=10**18)
        assert raised.value.field == "delay"
        assert db["_jobs"].count() == 0


def test_a_record_where_an_id_is_wanted_is_told_so(path):
    """`after` of `enqueue_job` takes ids; the error says how to write them, and not the whole record."""
    with Aurora(path) as db:
        job = db.enqueue_job("first")
        with pytest.raises(ValidationError) as raised:
            db.enqueue_job("second", after=[job])
    assert raised.value.hint == "after=[job.id]"
    assert len(raised.value.message) < 150


@pytest.mark.parametrize("verb", ["get_job", "cancel_job", "retry_job", "why"])
def test_a_record_where_an_id_is_wanted_is_refused_with_what_to_write(db, verb):
    """Whoever passes the job itself is told to pass its id."""
    job = db.enqueue_job("mail")
    with pytest.raises(ValidationError, match="the id of a job is a text, got Job") as caught:
        getattr(db, verb)(job)
    assert caught.value.hint == "give job.id"


def test_more_attempts_than_can_be_counted_are_refused_by_name(db):
    """Not by the engine, which would not say which option it was."""
    with pytest.raises(
        ValidationError, match="'retries' is a number of attempts from 1 to 1,000,000,000"
    ):
        db.enqueue_job("mail", retries=10**20)
    assert db.execute("{ _jobs { id } }") == {"_jobs": []}


class Broken(ManualClock):
    """A clock that fails in the thread that claims and settles, while it is told to."""

    broken = False

    def now(self):
        if self.broken and threading.current_thread().name == "aurora-pump":
            raise RuntimeError("the clock stopped")
        return super().now()


def test_a_round_that_fails_for_an_unknown_reason_does_not_end_the_worker(path, caplog):
    """It is logged, and the next round goes on."""
    clock = Broken()
    with Aurora(path, workers_enabled=True, clock=clock) as db:
        db.job("mail")(lambda: "sent")
        assert db.wait_job(db.enqueue_job("mail").id, 30) == "sent"
        clock.broken = True
        job = db.enqueue_job("mail")
        end = time.monotonic() + 30
        while not any("a round of the worker failed" in one.message for one in caplog.records):
            assert time.monotonic() < end, "nothing was logged"
            time.sleep(0.002)
        clock.broken = False
        assert db.wait_job(job.id, 30) == "sent"
