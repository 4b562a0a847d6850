"""`drain`: a worker that lives as long as the test wants."""

from __future__ import annotations

import asyncio
import threading

import pytest

from aurora_db import (
    Aurora,
    Fail,
    JobError,
    Jobs,
    LeaseLost,
    UnknownJobType,
    ValidationError,
)
from aurora_db.testing import DrainResult


def test_a_job_runs_when_it_is_drained(aurora, testing):
    """Before that it waits; after it, it is completed with its result."""
    job = aurora.enqueue_job("plain", {"n": 1})
    assert aurora.get_job(job.id).status == "PENDING"
    assert testing.drain() == DrainResult(completed=1)
    assert aurora.get_job(job.id).result == {"n": 1}
    assert aurora.get_job(job.id).attempt == 1


def test_nothing_of_the_worker_stays(aurora, testing):
    """Neither a row of it nor a lock beside the file."""
    aurora.enqueue_job("plain")
    testing.drain()
    assert aurora.execute("{ _workers { id } }") == {"_workers": []}
    assert list(aurora._engine.folder.glob("worker-*")) == []


def test_jobs_run_in_order_of_priority(aurora, testing, aurora_jobs):
    """CRITICAL, HIGH, NORMAL, LOW; then in order of enqueueing; what is enqueued meanwhile too."""
    ran = []

    @aurora_jobs.job("notes")
    def notes(payload):
        ran.append(payload)
        if payload == "high":
            aurora.enqueue_job("notes", "late but critical", "CRITICAL")

    for name, priority in (("low", "LOW"), ("one", "NORMAL"), ("two", "NORMAL"), ("high", "HIGH")):
        aurora.enqueue_job("notes", name, priority)
    assert testing.drain().completed == 5
    assert ran == ["high", "late but critical", "one", "two", "low"]


def test_async_handlers_run_on_one_loop(aurora, testing, aurora_jobs):
    """What belongs to an event loop can be shared by the jobs of a drain."""
    loops = []

    @aurora_jobs.job("async")
    async def on_loop(payload):
        loops.append(asyncio.get_running_loop())

    aurora.enqueue_jobs("async", [1, 2])
    assert testing.drain().completed == 2
    assert loops[0] is loops[1]


async def test_async_handlers_run_beside_a_loop(aurora, testing):
    """A blocking database drains in a coroutine, too: the handler's loop is another thread's."""
    job = aurora.enqueue_job("async_effect")
    assert testing.drain().completed == 1
    assert aurora.get_job(job.id).result == "written"


@pytest.mark.parametrize(
    ("how", "counted", "status"),
    [
        ("snooze", {"snoozed": 1}, "SCHEDULED"),
        ("cancel", {"cancelled": 1}, "CANCELLED"),
        ("fail", {"failed": 1}, "FAILED"),
        ("retry", {"retried": 1}, "SCHEDULED"),
    ],
)
def test_each_end_is_counted(aurora, testing, how, counted, status):
    job = aurora.enqueue_job("says", how)
    result = testing.drain()
    assert {name: getattr(result, name) for name in counted} == counted
    assert result.attempts == 1
    assert aurora.get_job(job.id).status == status


def test_errors_are_told(aurora, testing):
    """The result says which job failed with what, and shows it in short."""
    job = aurora.enqueue_job("fails", {"times": 9}, retries=2)
    result = testing.drain(with_scheduled=True)
    assert (result.retried, result.failed) == (1, 1)
    assert [(one.job_id, one.type, one.attempt) for one in result.errors] == [
        (job.id, "fails", 1),
        (job.id, "fails", 2),
    ]
    assert result.errors[1].error == "ValueError: attempt 2 is not good enough"
    assert "raise ValueError" in result.errors[1].traceback
    assert repr(result) == (
        "DrainResult(failed=1, retried=1, errors=['fails: ValueError: attempt 1 is not good enough', "
        "'fails: ValueError: attempt 2 is not good enough'])"
    )


def test_an_error_can_be_raised(aurora, testing):
    """It is the handler's own, and its attempt is settled all the same."""
    job = aurora.enqueue_job("fails", {"times": 1})
    after = aurora.enqueue_job("plain", "Low", "LOW")
    with pytest.raises(ValueError, match="attempt 1 is not good enough"):
        testing.drain(raises=True)
    assert (aurora.get_job(job.id).status, aurora.get_job(job.id).retries) == ("SCHEDULED", 1)
    assert aurora.get_job(after.id).status == "PENDING"
    assert testing.drain(raises=True).completed == 1


def test_raising_does_not_mean_instructions_that_fail_nothing(aurora, testing):
    """A snooze is no error; `Fail` is one."""
    aurora.enqueue_job("says", "snooze")
    assert testing.drain(raises=True).snoozed == 1
    aurora.enqueue_job("says", "fail")
    with pytest.raises(Fail, match="hopeless"):
        testing.drain(raises=True)


def test_a_scheduled_job_waits_for_its_time(aurora, testing):
    """Until the clock is there; then a drain stages and runs it."""
    job = aurora.enqueue_job("plain", delay=3600)
    assert testing.drain() == DrainResult()
    testing.clock.advance(3600)
    assert testing.drain().completed == 1
    assert aurora.get_job(job.id).status == "COMPLETED"


def test_the_clock_can_be_moved_on_to_each_scheduled_job(aurora, testing):
    """Delays, back-offs and snoozes, one after the other; the clock stands at the last one then."""
    begun = testing.clock.now()
    aurora.enqueue_job("plain", delay=10)
    aurora.enqueue_job("says", "snooze", delay=30)
    aurora.enqueue_job("fails", {"times": 2}, delay=100)
    result = testing.drain(with_scheduled=True)
    assert (result.completed, result.snoozed, result.retried) == (3, 1, 2)
    assert (testing.clock.now() - begun).total_seconds() == 110


def test_only_one_type(aurora, testing):
    first = aurora.enqueue_job("plain", 1)
    other = aurora.enqueue_job("says", "cancel")
    assert testing.drain("plain") == DrainResult(completed=1, pending={"says": 1})
    assert aurora.get_job(first.id).status == "COMPLETED"
    assert aurora.get_job(other.id).status == "PENDING"


def test_only_one_queue(aurora, testing):
    """In order of priority there, and scheduled ones of that queue only."""
    aurora.enqueue_job("plain", 1)
    second = aurora.enqueue_job("plain", 2, queue="mail")
    aurora.enqueue_job("plain", 3, queue="mail", delay=5)
    aurora.enqueue_job("plain", 4, delay=3)
    assert testing.drain(queue="mail") == DrainResult(completed=1, pending={"plain": 1})
    assert aurora.get_job(second.id).result == 2
    begun = testing.clock.now()
    assert testing.drain("plain", queue="mail", with_scheduled=True).completed == 1
    assert (testing.clock.now() - begun).total_seconds() == 5


def test_a_limit_stops_it(aurora, testing):
    aurora.enqueue_jobs("plain", range(5))
    assert testing.drain(limit=2) == DrainResult(completed=2, pending={"plain": 3})
    assert testing.drain(limit=0) == DrainResult(pending={"plain": 3})
    assert testing.drain() == DrainResult(completed=3)


def test_a_queue_without_end_is_noticed(aurora, testing, aurora_jobs, monkeypatch):
    """Instead of a test that hangs there is an error."""
    monkeypatch.setattr("aurora_db.jobs.drained.ENDLESS", 20)
    aurora_jobs.job("again")(lambda: aurora.enqueue_job("again"))
    aurora.enqueue_job("again")
    with pytest.raises(JobError, match="not empty after 20 attempts"):
        testing.drain()
    assert aurora.execute("{ _workers { id } }") == {"_workers": []}


def test_an_unknown_type_is_refused(testing):
    with pytest.raises(
        UnknownJobType, match="no handler is registered for the job type 'plan'"
    ) as raised:
        testing.drain("plan")
    assert raised.value.hint == "did you mean 'plain'?"


def test_a_type_that_nobody_handles_stays(aurora, testing):
    """And the result says so, for a registry that was forgotten is the usual reason."""
    aurora.enqueue_job("elsewhere")
    assert testing.drain() == DrainResult(pending={"elsewhere": 1})


def test_a_handler_cannot_drain(aurora, testing, aurora_jobs):
    aurora_jobs.job("drains")(testing.drain)
    aurora.enqueue_job("drains", retries=1)
    assert "the queue is being drained already" in testing.drain().errors[0].error


def test_it_is_refused_while_workers_run(tmp_path):
    """Two that claim would leave the test to chance; after their stop it works."""
    jobs = Jobs()
    jobs.job("plain")(lambda: None)
    with Aurora(tmp_path / "a.db", workers_enabled=True, jobs=jobs) as db:
        with pytest.raises(JobError, match="workers of this database run") as raised:
            db.jobs_testing  # noqa: B018
        assert "workers_enabled" in raised.value.hint
        db.workers.stop()
        db.enqueue_job("plain")
        testing = db.jobs_testing
        assert testing.drain().completed == 1
        db.workers.start()
        with pytest.raises(JobError, match="workers of this database run"):
            testing.drain()


def test_the_machine_s_clock_cannot_be_moved(tmp_path):
    with Aurora(tmp_path / "a.db") as db:
        db.enqueue_job("plain", delay=60)
        with pytest.raises(JobError, match="machine's clock") as raised:
            db.jobs_testing.clock  # noqa: B018
        assert raised.value.hint == "open it with clock=ManualClock(), as the fixture `aurora` does"


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_time_limit_counts_by_the_clock(aurora, testing, aurora_jobs, kind):
    """A handler during which the clock passes its limit has failed, whatever it returns."""
    seen = []

    def slow(payload, job):
        testing.clock.advance(61)
        seen.append(job.cancelled)
        return "too late"

    async def slow_async(payload, job):
        testing.clock.advance(61)
        seen.append(job.cancelled)
        await asyncio.sleep(0)
        seen.append("went on")

    aurora_jobs.job("slow", timeout=60, retries=1)(slow if kind == "def" else slow_async)
    job = aurora.enqueue_job("slow")
    assert testing.drain().failed == 1
    assert seen == [True]
    assert aurora.get_job(job.id).error == "Timeout: the attempt took longer than 60 s"


def test_a_handler_that_does_not_end_is_given_up(aurora, testing, aurora_jobs):
    """Told to end, it has five seconds; then it has lost the job."""
    seen = []

    @aurora_jobs.job("hangs", timeout=60, retries=2, backoff=9)
    def hangs(payload, job):
        testing.clock.advance(61)
        seen.append(aurora.get_job(job.id).status)
        testing.clock.advance(5)
        seen.append(aurora.get_job(job.id).status)
        with pytest.raises(LeaseLost), job.completing():
            pass
        return "too late"

    job = aurora.enqueue_job("hangs")
    assert testing.drain().retried == 1
    assert seen == ["RUNNING", "SCHEDULED"]
    assert aurora.get_job(job.id).retries == 1


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_running_job_may_be_cancelled(aurora, testing, aurora_jobs, kind):
    """Its handler is told, and what it returns does not count."""
    seen = []

    def stops(payload, job):
        aurora.cancel_job(job.id)
        seen.append(job.cancelled)

    async def stops_async(payload, job):
        aurora.cancel_job(job.id)
        seen.append(job.cancelled)
        await asyncio.sleep(0)
        seen.append("went on")

    aurora_jobs.job("stops")(stops if kind == "def" else stops_async)
    job = aurora.enqueue_job("stops")
    assert testing.drain() == DrainResult(lost=1)
    assert seen == [True]
    assert aurora.get_job(job.id).status == "CANCELLED"


def test_an_interrupt_ends_the_test_and_gives_the_job_back(aurora, testing, aurora_jobs):
    """Ctrl-C during a handler means the person, not the job."""

    @aurora_jobs.job("long")
    def long(payload):
        raise KeyboardInterrupt

    job = aurora.enqueue_job("long")
    with pytest.raises(KeyboardInterrupt):
        testing.drain()
    assert (aurora.get_job(job.id).status, aurora.get_job(job.id).crashes) == ("PENDING", 0)
    assert aurora.execute("{ _workers { id } }") == {"_workers": []}


def test_event_handlers_of_workers_run(aurora, testing):
    """Jobs of the built-in type are drained as those of registered ones."""
    aurora.execute("""
        define handler "copy" { on: "insert:effects" where: { job: { matches: "^x" } }
            action: { enqueueJob(type: "plain", payload: { from: "${job}" }) } }
    """)
    aurora.insert_into("effects", {"job": "x1", "attempt": 0})
    assert testing.drain().completed == 2
    ended = aurora.execute('{ _jobs(where: {type: {eq: "plain"}}) { result } }')["_jobs"]
    assert ended == [{"result": {"from": "x1"}}]


async def test_an_asynchronous_database(aurora_async):
    """The same verbs, awaited: async handlers are tasks of the test's loop, sync ones have a thread."""
    where = []
    jobs = aurora_async._jobs
    loop, thread = asyncio.get_running_loop(), threading.current_thread()

    @jobs.job("here")
    async def here():
        where.append(asyncio.get_running_loop() is loop)
        await aurora_async.enqueue_job("there")

    @jobs.job("there")
    def there():
        where.append(threading.current_thread() is thread)

    await aurora_async.enqueue_job("here")
    assert await aurora_async.jobs_testing.drain() == DrainResult(completed=2)
    assert where == [True, False]
    job = await aurora_async.enqueue_job("fails", {"times": 1})
    with pytest.raises(ValueError, match="not good enough"):
        await aurora_async.jobs_testing.drain(raises=True)
    assert (await aurora_async.jobs_testing.drain(with_scheduled=True)).completed == 1
    assert (await aurora_async.get_job(job.id)).result == 2


async def test_a_time_limit_in_an_asynchronous_database(aurora_async):
    testing = aurora_async.jobs_testing

    @aurora_async.job("slow", timeout=60, retries=1)
    async def slow():
        testing.clock.advance(61)
        await asyncio.sleep(30)

    @aurora_async.job("sync", timeout=60, retries=1)
    def sync():
        testing.clock.advance(61)

    jobs = [await aurora_async.enqueue_job(one) for one in ("slow", "sync")]
    assert (await testing.drain()).failed == 2
    for job in jobs:
        ended = await aurora_async.get_job(job.id)
        assert ended.error == "Timeout: the attempt took longer than 60 s"


@pytest.mark.parametrize("key", [None, "${to}"])
def test_a_rate_holds_by_the_clock(aurora, testing, aurora_jobs, key):
    """Two a minute: the third one runs a minute later, in a drain that moves the clock on."""
    aurora_jobs.job("mail", rate="2/1m", key=key)(lambda payload: None)
    aurora.enqueue_jobs("mail", [{"to": "ada"}] * 5)
    assert testing.drain().completed == 2
    begun = testing.clock.now()
    assert testing.drain(with_scheduled=True).completed == 3
    assert (testing.clock.now() - begun).total_seconds() == 120


def test_a_limit_of_a_type_lets_one_after_the_other_run(aurora, testing, aurora_jobs):
    """Also when its worker died."""
    aurora_jobs.job("one", concurrency=1)(lambda payload: None)
    aurora.enqueue_jobs("one", range(3))
    with testing.crash_at("before_commit"):
        testing.drain()
    assert testing.drain() == DrainResult(completed=3, rescued=1)


def test_a_paused_queue_waits(tmp_path, aurora_jobs, aurora_clock):
    with Aurora(
        tmp_path / "a.db", workers_enabled=True, jobs=aurora_jobs, clock=aurora_clock
    ) as db:
        db.workers.stop()
        db.workers.pause("mail")
        db.enqueue_job("plain", queue="mail")
        db.enqueue_job("plain")
        testing = db.jobs_testing
        assert testing.drain() == DrainResult(completed=1, pending={"plain": 1})
        db.workers.resume("mail")
        assert testing.drain() == DrainResult(completed=1)


def test_progress_stands_in_the_job(aurora, testing, aurora_jobs):
    """What a handler said last is kept with its end."""

    @aurora_jobs.job("tells", retries=1)
    def tells(payload, job):
        job.progress(0.5, "half")
        raise ValueError("no")

    job = aurora.enqueue_job("tells")
    testing.drain()
    ended = aurora.get_job(job.id)
    assert (ended.progress, ended.progress_note) == (0.5, "half")


def test_flows_and_batches_run_in_one_drain(aurora, testing, aurora_jobs):
    """What waits for a job is freed by its end."""
    ran = []
    aurora_jobs.job("notes")(ran.append)
    first = aurora.enqueue_job("notes", "first", "LOW")
    aurora.enqueue_job("notes", "second", "CRITICAL", after=[first.id])
    assert testing.drain().completed == 2
    assert ran == ["first", "second"]


def test_schedules_fire_when_they_are_due(aurora, testing):
    """The clock is moved by the test, then a drain fires them; it does not go from day to day itself."""
    aurora.execute("""
        define schedule "nightly" { cron: "0 3 * * *" action: { enqueueJob(type: "plain") } }
    """)
    assert testing.drain(with_scheduled=True) == DrainResult()
    testing.clock.advance(24 * 3600)
    assert testing.drain(with_scheduled=True).completed == 1


def at_work(payload):
    """A handler for a child process: found by its module and name."""
    import os

    return os.getpid()


def test_handlers_of_child_processes_run_here(aurora, testing, aurora_jobs):
    """So that a test can see what they do, and patch it."""
    import os

    aurora_jobs.job("heavy", process=True)(at_work)
    job = aurora.enqueue_job("heavy")
    assert testing.drain().completed == 1
    assert aurora.get_job(job.id).result == os.getpid()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": -1}, "'limit' is a number of attempts from 0, got -1"),
        ({"limit": True}, "'limit' is a number of attempts from 0, got True"),
        ({"limit": "1"}, "'limit' is a number of attempts from 0, got '1'"),
        ({"queue": ""}, "'queue' is a name that is not empty, got ''"),
        ({"queue": 5}, "'queue' is a name that is not empty, got 5"),
    ],
)
def test_a_drain_of_nothing_is_refused(aurora, testing, options, message):
    """A test that runs no job by mistake would prove nothing."""
    aurora.enqueue_job("plain")
    with pytest.raises(ValidationError) as raised:
        testing.drain(**options)
    assert raised.value.message == message
    assert testing.drain().completed == 1
