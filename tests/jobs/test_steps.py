"""Steps: what a job has finished is not done again, and a sleep holds no slot."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import timedelta

import pytest

from aurora_db import (
    Aurora,
    AuroraError,
    Cancel,
    Fail,
    JobError,
    JobFailed,
    LeaseLost,
    Retry,
    Snooze,
    TransactionError,
    ValidationError,
)

GUARD = 30.0
NOTES = "schema { define collection notes { text: String! } }"


def steps(db):
    return db.execute("{ _job_steps { name result attempt } }")["_job_steps"]


def errors(db):
    return [row["error"] for row in db.execute("{ _job_errors { error } }")["_job_errors"]]


def texts(db):
    return [row["text"] for row in db.execute("{ notes { text } }")["notes"]]


def ended(db, job):
    """The record of a job that has ended, however it did."""
    try:
        db.wait_job(job.id, GUARD)
    except JobFailed as failed:
        return failed.job
    return db.get_job(job.id)


def test_a_retry_leaves_out_what_is_finished(working):
    """The first step runs once, the failing one again; both results come back."""
    calls: list[str] = []

    def first(n: int, *, by: int) -> int:
        calls.append("first")
        return n * by

    def second() -> str:
        calls.append("second")
        if calls.count("second") < 3:
            raise ValueError("not yet")
        return "done"

    @working.job("two", retries=3, backoff=0.001)
    def two(_payload, job):
        return [job.step("first", first, 6, by=7), job.step("second", second)]

    assert working.wait_job(working.enqueue_job("two", {}).id, GUARD) == [42, "done"]
    assert calls == ["first", "second", "second", "second"]
    assert steps(working) == [
        {"name": "first", "result": 42, "attempt": 1},
        {"name": "second", "result": "done", "attempt": 3},
    ]


def test_the_writes_of_a_step_commit_with_it(working):
    """They stay when the attempt fails afterwards, and a retry does not make them again."""
    working.execute(NOTES)

    def note(text: str, tx) -> str:
        tx.enqueue_job("other")
        return tx["notes"].insert({"text": text})

    @working.job("noting", retries=3, backoff=0.001)
    def noting(_payload, job):
        id = job.step("note", note, "once")
        if job.attempt < 3:
            raise ValueError("after the step")
        return id

    id = working.wait_job(working.enqueue_job("noting", {}).id, GUARD)
    assert working.execute("{ notes { id text } }")["notes"] == [{"id": id, "text": "once"}]
    assert working.execute('{ _jobs(where: {type: "other"}) { status } }')["_jobs"] == [
        {"status": "PENDING"}
    ]


def test_a_step_that_raises_leaves_nothing_behind(working):
    """Neither its writes nor a result; the next attempt does it from the start."""
    working.execute(NOTES)

    def note(tx, job) -> None:
        tx["notes"].insert({"text": f"attempt {job.attempt}"})
        if job.attempt == 1:
            raise ValueError("inside")

    @working.job("noting", retries=2, backoff=0.001)
    def noting(_payload, job):
        job.step("note", note, job=job)

    working.wait_job(working.enqueue_job("noting", {}).id, GUARD)
    assert texts(working) == ["attempt 2"]
    assert steps(working) == [{"name": "note", "result": None, "attempt": 2}]


def test_steps_of_async_handlers(working):
    """Awaited, with def and async def, with a transaction and without, several at once."""
    working.execute(NOTES)
    threads: list[threading.Thread] = []

    async def wait() -> str:
        await asyncio.sleep(0)
        return "waited"

    def block() -> str:
        threads.append(threading.current_thread())
        return "blocked"

    async def insert(text: str, *, tx) -> str:
        await tx["notes"].insert({"text": text})
        return text

    def insert_plainly(text: str, tx) -> str:
        tx["notes"].insert({"text": text})
        return text

    @working.job("mixed", retries=2, backoff=0.001)
    async def mixed(_payload, job):
        got = await asyncio.gather(
            job.step("wait", wait),
            job.step("block", block),
            job.step("insert", insert, "one"),
            job.step("insert plainly", insert_plainly, "two"),
        )
        threads.append(threading.current_thread())
        if job.attempt == 1:
            raise ValueError("again")
        return got

    expected = ["waited", "blocked", "one", "two"]
    assert working.wait_job(working.enqueue_job("mixed", {}).id, GUARD) == expected
    assert sorted(texts(working)) == ["one", "two"]
    # The def ran once, and not where it would have held up other handlers.
    assert len(threads) == 3
    assert threads[0] is not threads[1]


def test_a_replay_returns_what_the_first_run_returned(working):
    """A tuple is a list the first time already, for that is what is stored."""
    seen: list[object] = []

    @working.job("pair", retries=2, backoff=0.001)
    def pair(_payload, job):
        seen.append(job.step("pair", lambda: {"pair": (1, 2.5), "none": None, 3: "three"}))
        seen.append(job.step("nothing", lambda: None))
        if job.attempt == 1:
            raise ValueError("again")

    working.wait_job(working.enqueue_job("pair", {}).id, GUARD)
    assert seen == [{"pair": [1, 2.5], "none": None, "3": "three"}, None] * 2


def test_a_result_without_a_json_form_is_refused(working):
    """The error names the step and what to return; nothing is stored."""
    working.execute(NOTES)

    def insert(tx) -> object:
        tx["notes"].insert({"text": "one"})
        return object()

    @working.job("odd", retries=1)
    def odd(payload, job):
        job.step("look", insert if payload["tx"] else object)

    for tx in (True, False):
        ended(working, working.enqueue_job("odd", {"tx": tx}))
    message = (
        "ValidationError: the result of step 'look' cannot be written as JSON: a value of type 'object' has no "
        "JSON form\n  hint: return JSON types, or nothing; an id or a path instead of the thing"
    )
    assert errors(working) == [message, message]
    assert (texts(working), steps(working)) == ([], [])


MISUSES = {
    "a name twice": (
        lambda job: [job.step("one", int), job.step("one", int)],
        "step 'one' was done in this attempt already",
    ),
    "a sleep of the name of a step": (
        lambda job: [job.step("one", int), job.sleep("one", 5)],
        "step 'one' was done in this attempt already",
    ),
    "no name": (lambda job: job.step("", int), "the name of a step is a text, got ''"),
    "a number as name": (lambda job: job.step(1, int), "the name of a step is a text, got 1"),
    "no function": (lambda job: job.step("one", 5), "step 'one' has no function to call, but 5"),
    "a coroutine": (
        lambda job: job.step("one", asyncio.sleep, 0),
        "the function of step 'one' is async, and the handler is not",
    ),
    "what gives a coroutine": (
        lambda job: job.step("one", lambda: asyncio.sleep(0)),
        "the function of step 'one' is async, and the handler is not",
    ),
    "a transaction rolled back": (
        lambda job: job.step("one", lambda tx: tx.rollback()),
        "step 'one' rolled its transaction back, so it is not finished",
    ),
}


@pytest.mark.parametrize("what", MISUSES)
def test_a_misuse_is_an_error_with_the_fix(working, what):
    """JobError, and the hint says what to type."""
    do, message = MISUSES[what]
    caught: list[JobError] = []

    @working.job("misuse")
    def misuse(_payload, job):
        try:
            do(job)
        except JobError as error:
            caught.append(error)

    working.wait_job(working.enqueue_job("misuse", {}).id, GUARD)
    (error,) = caught
    assert error.message.startswith(message)
    assert error.hint


@pytest.mark.parametrize("duration", [-1, float("nan"), float("inf"), 1e300, True, "1h", None])
def test_a_sleep_takes_a_time(working, duration):
    """A duration that is none is refused, and no sleep is noted."""
    caught: list[ValidationError] = []

    @working.job("sleeps")
    def sleeps(_payload, job):
        try:
            job.sleep("long", duration)
        except ValidationError as error:
            caught.append(error)

    working.wait_job(working.enqueue_job("sleeps", {}).id, GUARD)
    assert "sleep 'long' takes a number of seconds from 0" in caught[0].message
    assert steps(working) == []


def test_a_failed_step_may_be_tried_again_in_the_same_attempt(working):
    """What has raised has stored nothing, so its name is free."""
    tries: list[int] = []

    def flaky() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("no answer")
        return len(tries)

    @working.job("patient", retries=1)
    def patient(_payload, job):
        while True:
            try:
                return job.step("call", flaky)
            except ConnectionError:
                continue

    assert working.wait_job(working.enqueue_job("patient", {}).id, GUARD) == 3


def test_a_step_after_the_completion_or_inside_of_it_is_refused(working):
    """The block of job.completing() is the last thing a job does."""
    caught: list[AuroraError] = []

    @working.job("late")
    def late(_payload, job):
        with job.completing():
            try:
                job.step("inside", int)
            except TransactionError as error:
                caught.append(error)
        for verb in (
            lambda: job.step("after", int),
            lambda: job.sleep("after", 1),
            lambda: job.progress(1),
            job.heartbeat,
        ):
            try:
                verb()
            except JobError as error:
                caught.append(error)

    working.wait_job(working.enqueue_job("late", {}).id, GUARD)
    working.workers.stop()
    assert [type(error) for error in caught] == [TransactionError, *[JobError] * 4]
    assert steps(working) == []


def test_a_handler_that_has_lost_its_job_does_no_step(working):
    """Somebody cancelled it: what is done outside is not begun, nothing is stored or written."""
    working.execute(NOTES)
    began, go_on = threading.Event(), threading.Event()
    caught: list[object] = []

    @working.job("slow")
    def slow(_payload, job):
        job.step("before", int)
        began.set()
        assert go_on.wait(GUARD)
        for call in (lambda: caught.append("ran"), lambda tx: tx["notes"].insert({"text": "lost"})):
            try:
                job.step("after", call)
            except LeaseLost as error:
                caught.append(error.code)
        go_on.clear()

    job = working.enqueue_job("slow", {})
    assert began.wait(GUARD)
    assert working.cancel_job(job.id)
    go_on.set()
    working.workers.stop()
    assert not go_on.is_set()
    assert caught == ["lease_lost", "lease_lost"]
    assert [row["name"] for row in steps(working)] == ["before"]
    assert texts(working) == []


# --- sleeps -----------------------------------------------------------------------------------


@pytest.fixture
def timed(path, clock):
    """A database with one slot, its clock in the test's hand."""
    with Aurora(path, workers_enabled=True, worker_threads=1, clock=clock) as db:
        yield db


def wait_for(db, job, status):
    end = time.monotonic() + GUARD
    while (found := db.get_job(job.id)).status != status:
        assert time.monotonic() < end, f"the job did not become {status}: {found}"
        time.sleep(0.002)
    return found


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_sleep_holds_no_slot(timed, clock, kind):
    """For an hour the one slot runs other jobs; then the job goes on, and no failure was counted."""
    calls: list[str] = []

    def sync(_payload, job):
        job.step("before", lambda: calls.append("before"))
        try:
            job.sleep("cool-down", timedelta(hours=1))
        except Exception:  # noqa: BLE001 - what is tested
            calls.append("swallowed")
        return "rested"

    async def task(_payload, job):
        await job.step("before", lambda: calls.append("before"))
        try:
            await job.sleep("cool-down", 3600)
        except Exception:  # noqa: BLE001 - what is tested
            calls.append("swallowed")
        return "rested"

    timed.job("sleeps")(sync if kind == "def" else task)
    timed.job("other")(lambda: "ran")
    begun = clock.now()
    job = timed.enqueue_job("sleeps", {})
    asleep = wait_for(timed, job, "SCHEDULED")
    assert (asleep.run_at, asleep.worker is None) == (begun + timedelta(hours=1), False)
    assert timed.wait_job(timed.enqueue_job("other").id, GUARD) == "ran"

    clock.advance(3599)
    assert timed.wait_job(timed.enqueue_job("other").id, GUARD) == "ran"
    assert timed.get_job(job.id).status == "SCHEDULED"
    clock.advance(1)
    assert timed.wait_job(job.id, GUARD) == "rested"
    done = timed.get_job(job.id)
    assert (done.attempt, done.retries, done.crashes) == (2, 0, 0)
    assert calls == ["before"]


def test_a_sleep_counts_from_its_first_time(timed, clock):
    """A retry in the middle does not begin it anew, and after its end it takes no time."""

    @timed.job("sleeps", retries=5, backoff=0)
    def sleeps(_payload, job):
        if job.attempt == 2:
            raise ValueError("woken up too early by a person")
        job.sleep("a while", 100)
        return job.attempt

    job = timed.enqueue_job("sleeps", {})
    wait_for(timed, job, "SCHEDULED")
    clock.advance(101)
    assert timed.wait_job(job.id, GUARD) == 3


def test_a_sleep_of_nothing_returns_at_once(timed):
    """Zero seconds are over."""
    timed.job("sleeps")(lambda _payload, job: [job.sleep("none", 0), job.attempt])
    assert timed.wait_job(timed.enqueue_job("sleeps", {}).id, GUARD) == [None, 1]


def test_a_handler_that_catches_everything_sleeps_all_the_same(timed, clock):
    """It returned, but it had asked to go on later."""

    @timed.job("greedy")
    def greedy(_payload, job):
        try:
            job.sleep("cool-down", 60)
        except BaseException:  # noqa: BLE001 - what is tested
            return "swallowed"
        return "rested"

    job = timed.enqueue_job("greedy", {})
    wait_for(timed, job, "SCHEDULED")
    clock.advance(60)
    assert timed.wait_job(job.id, GUARD) == "rested"


def test_a_step_and_a_sleep_are_different_things(timed, clock):
    """When the code has changed between two attempts, the name of one is not the other's."""

    @timed.job("changed", retries=2, backoff=0)
    def changed(_payload, job):
        match job.attempt:
            case 1:
                job.step("one", int)
                job.sleep("two", 1)
            case 2:
                job.sleep("one", 1)
            case _:
                job.step("two", int)

    job = timed.enqueue_job("changed", {})
    wait_for(timed, job, "SCHEDULED")
    clock.advance(2)
    wait_for(timed, job, "FAILED")
    assert [one.partition("\n")[0] for one in errors(timed)] == [
        "JobError: 'one' was a step of this job",
        "JobError: 'two' was a sleep of this job",
    ]


INSTRUCTIONS = {
    "snooze": (Snooze(0.001), ("COMPLETED", 0)),
    "retry": (Retry(0.001), ("COMPLETED", 1)),
    "cancel": (Cancel("no need"), ("CANCELLED", 0)),
    "fail": (Fail("never"), ("FAILED", 1)),
}


@pytest.mark.parametrize("what", INSTRUCTIONS)
def test_a_broad_except_does_not_swallow_an_instruction(working, what):
    """Retry, Snooze, Cancel and Fail pass `except Exception`, as the cancellation of a task does."""
    instruction, expected = INSTRUCTIONS[what]

    @working.job("careful", retries=2)
    def careful(_payload, job):
        try:
            if job.attempt == 1:
                raise instruction
        except Exception:  # noqa: BLE001 - what is tested
            return "swallowed"

    @working.job("grouped", retries=2)
    async def grouped(_payload, job):
        async def instruct():
            raise instruction

        if job.attempt == 1:
            async with asyncio.TaskGroup() as group:
                group.create_task(instruct())

    for type in ("careful", "grouped"):
        job = working.enqueue_job(type, {})
        end = time.monotonic() + GUARD
        while (found := working.get_job(job.id)).finished_at is None:
            assert time.monotonic() < end
            time.sleep(0.002)
        assert (found.status, found.retries, found.result) == (*expected, None)


# --- by hand ----------------------------------------------------------------------------------


def test_a_failed_job_that_is_retried_goes_on_after_its_steps(working):
    """What it had finished stays finished; its attempts count anew."""
    calls: list[str] = []
    broken = [True]

    @working.job("resumes", retries=1)
    def resumes(_payload, job):
        job.step("one", calls.append, "one")
        job.step("two", fail_or_append)

    def fail_or_append() -> None:
        if broken:
            raise ValueError("broken")
        calls.append("two")

    job = working.enqueue_job("resumes", {})
    assert ended(working, job).status == "FAILED"
    broken.clear()
    assert working.retry_job(job.id)
    assert ended(working, job).status == "COMPLETED"
    assert calls == ["one", "two"]


def test_a_completed_job_that_is_retried_begins_anew(working):
    """Whoever runs a finished job again wants its work done again, steps and sleeps too."""
    calls: list[str] = []

    @working.job("again")
    def again(_payload, job):
        job.step("one", calls.append, "one")
        job.sleep("moment", 0.001)
        return len(calls)

    job = working.enqueue_job("again", {})
    assert working.wait_job(job.id, GUARD) == 1
    assert working.retry_job(job.id)
    assert working.wait_job(job.id, GUARD) == 2
    assert sorted(row["name"] for row in steps(working)) == ["moment", "one"]


def test_the_steps_of_a_job_go_with_it(working, other_program):
    """Deleting a job leaves none of its steps behind."""
    working.job("one")(lambda _payload, job: job.step("one", int))
    working.wait_job(working.enqueue_job("one", {}).id, GUARD)
    assert len(steps(working)) == 1
    other_program("PRAGMA foreign_keys = ON; DELETE FROM _jobs")
    assert steps(working) == []
