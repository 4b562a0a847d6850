"""Progress and heartbeats: cheap to give, fenced, and the last one always arrives."""

from __future__ import annotations

import math
import threading
import time

import pytest

from aurora_db import Aurora, LeaseLost, ValidationError

GUARD = 30.0


def wait_for(condition, what):
    end = time.monotonic() + GUARD
    while not condition():
        assert time.monotonic() < end, f"waited {GUARD} s for {what}"
        time.sleep(0.002)


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_progress_is_seen_while_the_job_runs(working, kind):
    """In the record of the job and in `_jobs`; the same call in handlers of both kinds."""
    go_on = threading.Event()

    def sync(_payload, job):
        job.progress(0.4, "resizing")
        assert go_on.wait(GUARD)

    async def task(_payload, job):
        import asyncio

        job.progress(0.3)
        await job.progress(0.4, "resizing")
        while not go_on.is_set():
            await asyncio.sleep(0.001)

    working.job("resize")(sync if kind == "def" else task)
    job = working.enqueue_job("resize", {})
    wait_for(lambda: working.get_job(job.id).progress is not None, "the progress")
    seen = working.get_job(job.id)
    assert (seen.status, seen.progress, seen.progress_note) == ("RUNNING", 0.4, "resizing")
    assert working.execute("{ _jobs { progress progress_note } }")["_jobs"] == [
        {"progress": 0.4, "progress_note": "resizing"}
    ]
    go_on.set()
    working.wait_job(job.id, GUARD)


def test_ten_thousand_reports_are_few_writes(path):
    """Each counts, the last one is kept; the writes are ten a second and one at the end."""
    with Aurora(path, workers_enabled=True) as db:
        took: list[float] = []

        @db.job("counts")
        def counts(_payload, job):
            begun = time.monotonic()
            for n in range(10_000):
                job.progress(n / 10_000, f"{n} of 10,000")
            took.append(time.monotonic() - begun)
            job.progress(1)

        before = db._engine._commits
        job = db.enqueue_job("counts", {})
        db.wait_job(job.id, GUARD)
        commits = db._engine._commits - before
        done = db.get_job(job.id)
    # A note stays until there is another one.
    assert (done.progress, done.progress_note) == (1.0, "9999 of 10,000")
    # Enqueued, claimed, settled with what was said last; ten a second at most between; beats.
    assert commits <= 6 + 11 * took[0]


@pytest.mark.parametrize("how", ["returns", "raises", "completes", "snoozes"])
def test_what_was_said_last_is_kept_however_the_attempt_ends(path, clock, how):
    """The clock stands still, so nothing is written before the end."""
    with Aurora(path, workers_enabled=True, clock=clock) as db:

        @db.job("ends", retries=1)
        def ends(_payload, job):
            job.progress(0.5, "half")
            job.progress(0.75, how)
            match how:
                case "raises":
                    raise ValueError(how)
                case "completes":
                    with job.completing():
                        pass
                case "snoozes":
                    job.sleep("long", 60)
                case _:
                    pass

        job = db.enqueue_job("ends", {})
        status = {"raises": "FAILED", "snoozes": "SCHEDULED"}.get(how, "COMPLETED")
        wait_for(lambda: db.get_job(job.id).status == status, status)
        done = db.get_job(job.id)
    assert (done.progress, done.progress_note) == (0.75, how)


def test_a_retry_by_hand_begins_without_progress(working):
    """The new run has done nothing yet; a retry of the queue keeps what was said."""

    @working.job("half", retries=1)
    def half(payload, job):
        if job.attempt == 1:
            job.progress(0.5, "half")
            raise ValueError("half")

    job = working.enqueue_job("half", {})
    wait_for(lambda: working.get_job(job.id).status == "FAILED", "the failure")
    assert working.get_job(job.id).progress == 0.5
    working.retry_job(job.id)
    working.wait_job(job.id, GUARD)
    done = working.get_job(job.id)
    assert (done.progress, done.progress_note) == (None, None)


@pytest.mark.parametrize("done", [-0.1, 1.1, 40, math.nan, math.inf, True, "0.4", None])
def test_progress_is_a_part_of_one(working, done):
    """A percentage, or what is no number, is refused; the hint says how to make it a part."""
    caught: list[ValidationError] = []

    @working.job("wrong")
    def wrong(_payload, job):
        try:
            job.progress(done)
        except ValidationError as error:
            caught.append(error)

    job = working.enqueue_job("wrong", {})
    working.wait_job(job.id, GUARD)
    assert caught[0].message == f"progress goes from 0 to 1, got {done!r}"
    assert caught[0].hint == "give the part that is done: job.progress(done / total)"
    assert working.get_job(job.id).progress is None


def test_the_note_of_a_progress_is_a_text(working):
    """Anything else is refused."""
    caught: list[ValidationError] = []

    @working.job("wrong")
    def wrong(_payload, job):
        try:
            job.progress(0.5, 7)
        except ValidationError as error:
            caught.append(error)

    working.wait_job(working.enqueue_job("wrong", {}).id, GUARD)
    assert caught[0].message == "the note of a progress is a text, got 7"


def test_a_heartbeat_renews_the_lease(path, clock):
    """Thirty seconds from the beat on, written with the next round of reports."""
    said, go_on = threading.Event(), threading.Event()
    with Aurora(path, workers_enabled=True, clock=clock) as db:

        @db.job("beats")
        def beats(_payload, job):
            assert go_on.wait(GUARD)
            job.heartbeat()
            said.set()
            go_on.clear()
            assert go_on.wait(GUARD)

        job = db.enqueue_job("beats", {})
        wait_for(lambda: db.get_job(job.id).status == "RUNNING", "the claim")
        before = db.get_job(job.id).lease_until
        go_on.set()
        assert said.wait(GUARD)
        clock.advance(5)  # less than the worker's own third of a lease
        wait_for(lambda: db.get_job(job.id).lease_until > before, "the renewal")
        assert (db.get_job(job.id).lease_until - before).total_seconds() == 5
        go_on.set()
        db.wait_job(job.id, GUARD)


def test_who_has_lost_the_job_hears_it(working):
    """heartbeat() says so at once; after that `cancelled` is true and progress is refused."""
    began, go_on = threading.Event(), threading.Event()
    seen: list[object] = []

    @working.job("slow")
    def slow(_payload, job):
        job.heartbeat()
        began.set()
        assert go_on.wait(GUARD)
        try:
            job.heartbeat()
        except LeaseLost as error:
            seen.append(error.code)
        seen.append(job.cancelled)
        try:
            job.progress(1)
        except LeaseLost as error:
            seen.append(error.code)
        go_on.clear()

    job = working.enqueue_job("slow", {})
    assert began.wait(GUARD)
    working.cancel_job(job.id)
    go_on.set()
    working.workers.stop()
    assert seen == ["lease_lost", True, "lease_lost"]
    assert working.get_job(job.id).progress is None


def test_a_report_that_nobody_wants_tells_its_attempt(working):
    """A handler that only says how far it is learns by that, a moment later, that the job is gone."""
    began, ended = threading.Event(), threading.Event()

    @working.job("slow")
    def slow(_payload, job):
        began.set()
        end = time.monotonic() + GUARD
        try:
            while time.monotonic() < end:
                job.progress(0.5)
                time.sleep(0.001)
        except LeaseLost:
            ended.set()

    job = working.enqueue_job("slow", {})
    assert began.wait(GUARD)
    working.cancel_job(job.id)
    assert ended.wait(GUARD)
