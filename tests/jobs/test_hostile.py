"""Handlers that raise, say and ask for strange things: their own job fails, the worker goes on."""

from __future__ import annotations

import math
import os
from datetime import timedelta

import pytest

from aurora_db import Aurora, Cancel, Fail, JobCancelled, JobFailed, Retry, Snooze, ValidationError

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
