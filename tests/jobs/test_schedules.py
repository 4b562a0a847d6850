"""Schedules run by themselves: when they fire, what they make up for, what they leave out."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from aurora_db import (
    AsyncAurora,
    Aurora,
    JobContext,
    JobError,
    Jobs,
    ManualClock,
    PayloadInvalid,
    ScheduleInvalid,
    ValidationError,
)

GUARD = 60.0
LOG = "schema { define collection log { text: String @unique } }"


@pytest.fixture
def workers(path, clock):
    """A database with workers, its clock in the test's hand."""
    with Aurora(path, workers_enabled=True, worker_threads=2, clock=clock) as opened:
        yield opened


def until(condition):
    """What the condition gives when it gives anything."""
    end = time.monotonic() + GUARD
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)
    return found


def runs(db, name=None):
    """Due time, outcome and error of all runs of a schedule, the earliest first."""
    where = "" if name is None else f'(where: {{schedule: {{eq: "{name}"}}}})'
    found = db.execute(f"{{ _schedule_runs{where} {{ due_at outcome error }} }}")["_schedule_runs"]
    return sorted((f"{one['due_at']:%d %H:%M:%S}", one["outcome"], one["error"]) for one in found)


def jobs(db):
    return db.execute("{ _jobs { id type status cause payload priority queue max_retries } }")[
        "_jobs"
    ]


# --- when they fire -------------------------------------------------------------------------


def test_a_schedule_fires_when_its_time_comes(workers, clock):
    """In a process that registered nothing: its workers run the action, and write that down."""
    workers.execute(LOG)
    workers.execute('define schedule "s" { cron: "0 3 * * *" action: { insertInto(collection: "log", data: {text: "ran"}) } }')  # fmt: skip
    clock.advance(3 * 3600 - 1)
    clock.advance(1)
    (run,) = until(lambda: runs(workers))
    assert run == ("01 03:00:00", "FIRED", None)
    assert workers.execute("{ log { text } }") == {"log": [{"text": "ran"}]}
    (one,) = workers.schedules()
    assert one.last_at == datetime(2026, 1, 1, 3, tzinfo=UTC)
    assert one.next_at == datetime(2026, 1, 2, 3, tzinfo=UTC)
    assert one.last_outcome == "FIRED"


def test_it_does_not_fire_before(workers, clock):
    """A second earlier nothing has happened, though the workers looked."""
    workers.execute('define schedule "s" { cron: "0 3 * * *" action: { enqueueJob(type: "t") } }')
    workers.execute('define schedule "before" { cron: "59 2 * * *" action: { enqueueJob(type: "t") } }')  # fmt: skip
    clock.advance(3 * 3600 - 1)
    assert until(lambda: runs(workers)) == [("01 02:59:00", "FIRED", None)]


def test_its_jobs_name_it_as_their_cause(workers, clock):
    """Schedule and due time, also for several jobs; each has its run."""
    workers.execute('define schedule "s" { every: "1h" action: { a: enqueueJob(type: "t") b: enqueueJob(type: "u", payload: {x: 1}) } }')  # fmt: skip
    clock.advance(3600)
    made = until(lambda: jobs(workers))
    cause = {"schedule": "s", "due": "2026-01-01T01:00:00.000000Z"}
    assert [(one["type"], one["cause"]) for one in made] == [("t", cause), ("u", cause)]
    (run,) = workers.execute("{ _schedule_runs { jobs } }")["_schedule_runs"]
    assert run["jobs"] == [one["id"] for one in made]
    workers.execute('run schedule "s"')
    assert jobs(workers)[-1]["cause"] == {"schedule": "s"}
    assert len(runs(workers)) == 1


def test_every_does_not_drift(workers, clock):
    """Fired late, the next time is still that of the grid."""
    workers.execute('define schedule "s" { every: "5m" catchUp: ALL action: { enqueueJob(type: "t") } }')  # fmt: skip
    clock.advance(400)
    until(lambda: len(runs(workers)) == 1)
    clock.advance(201)
    until(lambda: len(runs(workers)) == 2)
    assert runs(workers) == [("01 00:05:00", "FIRED", None), ("01 00:10:00", "FIRED", None)]
    assert workers.schedules()[0].next_at == datetime(2026, 1, 1, 0, 15, tzinfo=UTC)


def test_jitter_delays_and_the_due_time_stays(workers, clock):
    """It fires at `next_at`, not before; what is written down is the time of the timetable."""
    workers.execute('define schedule "s" { cron: "0 3 * * *" jitter: "10m" action: { enqueueJob(type: "t") } }')  # fmt: skip
    (one,) = workers.schedules()
    assert one.due_at == datetime(2026, 1, 1, 3, tzinfo=UTC)
    assert one.due_at < one.next_at < one.due_at + timedelta(minutes=10)
    clock.advance(one.next_at - clock.now() - timedelta(microseconds=1))
    workers.execute('define schedule "other" { every: 1 action: { enqueueJob(type: "t") } }')
    clock.advance(timedelta(microseconds=1))
    assert until(lambda: runs(workers, "s")) == [("01 03:00:00", "FIRED", None)]


def test_without_workers_nothing_fires(db, path, clock):
    """Whoever opens the file with workers later makes up for it."""
    db.execute('define schedule "s" { every: "1h" action: { enqueueJob(type: "t") } }')
    clock.advance(3600)
    db.execute("{ _jobs { id } }")
    assert runs(db) == []
    with Aurora(path, workers_enabled=True, clock=clock) as other:
        assert until(lambda: runs(other)) == [("01 01:00:00", "FIRED", None)]


def test_the_machines_clock_fires_it(working):
    """Every second, without anything else that would wake the workers."""
    working.execute('define schedule "s" { every: 1 action: { enqueueJob(type: "t") } }')
    until(lambda: len(runs(working)) >= 2)
    for run in working.execute("{ _schedule_runs { due_at fired_at } }")["_schedule_runs"]:
        assert timedelta(0) <= run["fired_at"] - run["due_at"] < timedelta(seconds=GUARD)


def test_one_that_another_process_defined_fires(working, path):
    """The doorbell wakes workers that run."""
    working.job("t")(lambda: None)
    text = 'define schedule "s" { every: 1 action: { enqueueJob(type: "t") } }'
    program = "import sys; from aurora_db import Aurora; db = Aurora(sys.argv[1]); db.execute(sys.argv[2]); db.close()"
    subprocess.run([sys.executable, "-c", program, str(path), text], check=True, timeout=GUARD)
    until(lambda: any(one["status"] == "COMPLETED" for one in jobs(working)))


def test_a_schedule_fires_beside_a_backlog(path, clock):
    """Though every claim is full and jobs wait for hours, its time is not missed."""
    registry, seen = Jobs(), []
    with Aurora(path, clock=clock) as db:
        db.enqueue_jobs("slow", range(3_000))
        db.execute('define schedule "s" { every: "1h" action: { enqueueJob(type: "t", priority: CRITICAL) } }')  # fmt: skip
    clock.advance(3600)
    registry.job("slow")(seen.append)
    with Aurora(path, workers_enabled=True, worker_threads=1, clock=clock, jobs=registry) as db:
        until(lambda: len(seen) == 3_000)
        assert until(lambda: runs(db)) == [("01 01:00:00", "FIRED", None)]


# --- what was missed ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        ("NONE", [("01 01:00:00", "SKIPPED", "missed, as were all before 2026-01-01T05:00:00.000000Z"),
                  ("01 05:00:00", "SKIPPED", "missed: no worker ran at its time")]),
        ("ONE", [("01 01:00:00", "SKIPPED", "missed, as were all before 2026-01-01T05:00:00.000000Z"),
                 ("01 05:00:00", "FIRED", None)]),
        ("ALL", [(f"01 0{n}:00:00", "FIRED", None) for n in range(1, 6)]),
    ],
)  # fmt: skip
def test_what_is_made_up_for_after_a_downtime(db, path, clock, policy, wanted):
    """None of five missed hours, the last one, or all in their order; the next hour fires anyhow."""
    db.execute(f'define schedule "s" {{ cron: "0 * * * *" catchUp: {policy} action: {{ enqueueJob(type: "t") }} }}')  # fmt: skip
    clock.advance(5 * 3600 + 1800)
    with Aurora(path, workers_enabled=True, clock=clock) as other:
        until(lambda: len(runs(other)) == len(wanted))
        assert runs(other) == wanted
        due = [one["cause"]["due"][11:13] for one in jobs(other)]
        assert due == [at[3:5] for at, outcome, _ in wanted if outcome == "FIRED"]
        clock.advance(1800)
        until(lambda: len(runs(other)) == len(wanted) + 1)
        assert runs(other)[-1] == ("01 06:00:00", "FIRED", None)


def test_a_time_that_is_seen_a_moment_late_was_not_missed(db, path, clock):
    """NONE makes up for nothing, but a minute is no downtime."""
    db.execute('define schedule "s" { every: "1h" catchUp: NONE action: { enqueueJob(type: "t") } }')  # fmt: skip
    clock.advance(3659)
    with Aurora(path, workers_enabled=True, clock=clock) as other:
        assert until(lambda: runs(other)) == [("01 01:00:00", "FIRED", None)]


def test_all_goes_on_over_many_transactions(db, path, clock):
    """Two days of minutes come one after the other; the oldest runs are forgotten."""
    db.execute('define schedule "s" { every: "1m" catchUp: ALL action: { enqueueJob(type: "t") } }')
    clock.advance(2 * 24 * 3600)
    with Aurora(path, workers_enabled=True, clock=clock) as other:
        until(lambda: len(jobs(other)) == 2 * 24 * 60)
        due = [one["cause"]["due"] for one in jobs(other)]
        assert due == sorted(set(due))
        until(lambda: len(runs(other)) == 1_000)
        assert runs(other)[-1][0] == "03 00:00:00"


def test_a_long_downtime_of_a_frequent_schedule_costs_little(db, path, clock):
    """Ten years of minutes and of seconds are two runs each."""
    db.execute("""define schedule "m" { cron: "* * * * *" timezone: "Europe/Paris" action: { enqueueJob(type: "t") } }
        define schedule "s" { every: 1 action: { enqueueJob(type: "t") } }""")
    clock.advance(timedelta(days=3650))
    with Aurora(path, workers_enabled=True, clock=clock) as other:
        until(lambda: len(jobs(other)) == 2)
        assert len(runs(other)) == 4


# --- what is left out, and what fails -------------------------------------------------------


def test_skip_leaves_out_what_would_overlap(db, path, clock):
    """While the job of the last time has not ended; afterwards it fires again."""
    db.execute('define schedule "s" { every: "1h" overlap: SKIP action: { enqueueJob(type: "t") } }')  # fmt: skip
    db.execute('define schedule "a" { every: "1h" overlap: ALLOW action: { enqueueJob(type: "u") } }')  # fmt: skip
    with Aurora(path, workers_enabled=True, clock=clock) as other:
        for hour in range(1, 4):
            clock.advance(3600)
            until(lambda hour=hour: len(runs(other)) == 2 * hour)
        why = "what was enqueued for 2026-01-01T01:00:00.000000Z has not ended"
        assert runs(other, "s") == [
            ("01 01:00:00", "FIRED", None),
            ("01 02:00:00", "SKIPPED", why),
            ("01 03:00:00", "SKIPPED", why),
        ]
        assert [one["type"] for one in jobs(other)].count("u") == 3
        assert other.schedules()[1].last_at == datetime(2026, 1, 1, 1, tzinfo=UTC)
        (waiting,) = [one for one in jobs(other) if one["type"] == "t"]
        other.cancel_job(waiting["id"])
        clock.advance(3600)
        until(lambda: len(runs(other)) == 8)
        assert runs(other, "s")[-1] == ("01 04:00:00", "FIRED", None)


def test_an_action_that_fails_is_written_down_and_the_schedule_goes_on(workers, clock, caplog):
    """Wholly undone, with its error, and logged; other schedules fire in the same moment."""
    workers.execute(LOG)
    workers.execute("""define schedule "bad" { every: "1h" action: {
      a: insertInto(collection: "log", data: {text: "first"}) { id }
      b: insertInto(collection: "log", data: {text: "there"}) { id }
    } }
    define schedule "good" { every: "1h" action: { enqueueJob(type: "t") } }""")
    there = workers.insert_into("log", {"text": "there"})
    with caplog.at_level(logging.ERROR, "aurora_db.store"):
        clock.advance(3600)
        until(lambda: len(runs(workers)) == 2)
    (run,) = runs(workers, "bad")
    assert run[:2] == ("01 01:00:00", "FAILED")
    assert run[2] == "UniqueViolation: Unique constraint violation on field 'text' of 'log'"
    assert runs(workers, "good") == [("01 01:00:00", "FIRED", None)]
    assert [one["text"] for one in workers.execute("{ log { text } }")["log"]] == ["there"]
    (record,) = caplog.records
    assert (record.getMessage(), record.schedule) == ("the action of a schedule failed", "bad")
    workers["log"].delete(there)
    clock.advance(3600)
    until(lambda: len(runs(workers)) == 4)
    assert runs(workers, "bad")[-1] == ("01 02:00:00", "FIRED", None)
    assert workers["log"].count() == 2


def test_an_action_that_the_definitions_do_not_know_any_more_fails_clearly(
    workers, clock, other_program
):
    """Another program has taken the collection away, which we would have refused."""
    workers.execute(LOG)
    workers.execute('define schedule "s" { every: "1h" action: { insertInto(collection: "log", data: {text: "x"}) } }')  # fmt: skip
    other_program("DELETE FROM _collections WHERE name = 'log'; DROP TABLE log;")
    clock.advance(3600)
    (run,) = until(lambda: runs(workers))
    assert run == ("01 01:00:00", "FAILED", "UnknownCollection: no collection named 'log'")


# --- definitions ----------------------------------------------------------------------------


def test_another_definition_changes_when_it_is_due(db, clock):
    """Other times count from now; another action leaves the time as it is, jitter included."""
    db.execute('define schedule "s" { cron: "0 3 * * *" action: { enqueueJob(type: "t") } }')
    assert db.schedules()[0].next_at == datetime(2026, 1, 1, 3, tzinfo=UTC)
    clock.advance(4 * 3600)
    db.execute('define schedule "s" or replace { cron: "0 3 * * *" action: { enqueueJob(type: "u") } }')  # fmt: skip
    assert db.schedules()[0].next_at == datetime(2026, 1, 1, 3, tzinfo=UTC)
    db.execute('define schedule "s" or replace { cron: "0 3 * * *" timezone: "Asia/Kolkata" action: { enqueueJob(type: "u") } }')  # fmt: skip
    assert db.schedules()[0].next_at == datetime(2026, 1, 1, 21, 30, tzinfo=UTC)
    db.execute('define schedule "s" or replace { every: "7m" action: { enqueueJob(type: "u") } }')
    assert db.schedules()[0].next_at == datetime(2026, 1, 1, 4, 7, tzinfo=UTC)


def test_a_disabled_schedule_misses_nothing(db, path, clock):
    """What it would have done meanwhile is not made up for; `every` stays on its grid."""
    db.execute('define schedule "s" { every: "1h" catchUp: ALL action: { enqueueJob(type: "t") } }')
    db.execute('disable schedule "s"')
    assert db.schedules()[0].upcoming() == ()
    clock.advance(3 * 3600 + 60)
    db.execute('enable schedule "s"')
    assert db.schedules()[0].next_at == datetime(2026, 1, 1, 4, tzinfo=UTC)
    clock.advance(3600)
    with Aurora(path, workers_enabled=True, clock=clock) as other:
        assert until(lambda: runs(other)) == [("01 04:00:00", "FIRED", None)]


def test_a_dropped_schedule_leaves_its_jobs(workers, clock):
    """The record of its runs goes with it."""
    workers.execute('define schedule "s" { every: "1h" action: { enqueueJob(type: "t") } }')
    clock.advance(3600)
    until(lambda: runs(workers))
    workers.execute('drop schedule "s"')
    assert (workers.schedules(), runs(workers), len(jobs(workers))) == ([], [], 1)


def test_what_is_upcoming(db):
    """The next times, over the day on which clocks move; from the one that is due."""
    db.execute('define schedule "s" { cron: "30 2 28-30 3 *" timezone: "Europe/Paris" action: { enqueueJob(type: "t") } }')  # fmt: skip
    (one,) = db.schedules()
    assert [f"{at:%Y-%m-%d %H:%M}" for at in one.upcoming(4)] == [
        "2026-03-28 01:30",
        "2026-03-29 01:00",
        "2026-03-30 00:30",
        "2027-03-28 01:00",
    ]
    assert len(one.upcoming()) == 10
    assert (one.name, one.cron, one.timezone, one.enabled) == ("s", "30 2 28-30 3 *", "Europe/Paris", True)  # fmt: skip


def test_one_that_cannot_be_so_rare(db):
    """Durations end at ten years."""
    with pytest.raises(Exception, match="ten years at most"):
        db.execute('define schedule "s" { every: "600w" action: { enqueueJob(type: "t") } }')


# --- scheduled functions --------------------------------------------------------------------


def test_a_function_runs_at_times(workers, clock):
    """It takes nothing, the job, or the payload that was given; its name is the job type."""
    seen = {}

    @workers.schedule("0 3 * * *")
    def nothing():
        seen["nothing"] = True

    @workers.schedule(every=3600, retries=5, queue="reports", priority="HIGH")
    def job_alone(job: JobContext):
        seen["job"] = job.type

    @workers.schedule(every=timedelta(hours=1), name="sum", payload={"a": 1, "b": [2]})
    def added(payload: dict[str, object], job: JobContext):
        seen["payload"] = (payload, job.queue)

    clock.advance(3 * 3600)
    until(lambda: len(seen) == 3)
    assert seen == {
        "nothing": True,
        "job": "job_alone",
        "payload": ({"a": 1, "b": [2]}, "default"),
    }
    by_type = {one["type"]: one for one in jobs(workers)}
    high = by_type["job_alone"]
    assert (high["priority"], high["queue"], high["max_retries"]) == ("HIGH", "reports", 5)
    nothing()
    assert nothing.type == "nothing"


def test_a_function_of_a_registry_is_kept_when_a_database_opens(path, clock):
    """Once, whoever opens it; other times replace it; without the code it stays until it is dropped."""

    def registry(cron):
        made = Jobs()
        made.schedule(cron, timezone="Europe/Paris", catch_up="ALL", overlap="SKIP", jitter=5)(
            nightly
        )
        return made

    def nightly():
        pass

    with Aurora(path, clock=clock, jobs=registry("0 3 * * *")) as db:
        (one,) = db.schedules()
        assert (one.cron, one.timezone, one.catch_up, one.overlap, one.jitter) == (
            "0 3 * * *", "Europe/Paris", "ALL", "SKIP", 5.0,
        )  # fmt: skip
        version = db._engine.catalog.version
        with Aurora(path, clock=clock, jobs=registry("0 3 * * *")) as other:
            assert other._engine.catalog.version == version
        with Aurora(path, clock=clock, read_only=True, jobs=registry("0 4 * * *")) as other:
            assert other.schedules()[0].cron == "0 3 * * *"
        db.execute('disable schedule "nightly"')
        with Aurora(path, clock=clock, jobs=registry("0 5 * * *")) as other:
            (changed,) = other.schedules()
            assert (changed.cron, changed.enabled) == ("0 5 * * *", False)
    with Aurora(path, clock=clock) as db:
        assert [one.name for one in db.schedules()] == ["nightly"]
        db.execute('drop schedule "nightly"')
        assert db.schedules() == []


async def test_async_functions_are_scheduled(path, clock):
    """The same decorator, and the same list."""
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with AsyncAurora(path, workers_enabled=True, clock=clock) as db:

        @db.schedule(every=60)
        async def tick():
            loop.call_soon_threadsafe(done.set)

        (one,) = await db.schedules()
        assert one.name == "tick"
        clock.advance(60)
        await asyncio.wait_for(done.wait(), GUARD)


@pytest.mark.parametrize(
    ("times", "error", "message"),
    [
        ({}, ScheduleInvalid, "has either 'cron' or 'every'"),
        ({"cron": "* * * * *", "every": 5}, ScheduleInvalid, "has either 'cron' or 'every'"),
        ({"cron": "61 * * * *"}, ScheduleInvalid, "'61 \\* \\* \\* \\*' is no cron expression: bad minute"),
        ({"cron": "0 0 30 2 *"}, ScheduleInvalid, "is no cron expression"),
        ({"cron": "* * * * *", "timezone": "Mars"}, ScheduleInvalid, "no time zone named 'Mars'"),
        ({"every": 0.5}, ScheduleInvalid, "1 s at least"),
        ({"every": float("inf")}, ValidationError, "not a JSON number"),
        ({"every": "5m"}, ValidationError, "'every' is a duration in seconds, got '5m'"),
        ({"every": 5, "jitter": -1}, ScheduleInvalid, "'jitter'"),
        ({"every": 5, "catch_up": "one"}, ValidationError, "'catch_up' is one of NONE, ONE, ALL, got 'one'"),
        ({"every": 5, "overlap": "ALLOW } x: {"}, ValidationError, "'overlap' is one of"),
        ({"every": 5, "name": ""}, ScheduleInvalid, "1 to 200 characters"),
        ({"every": 5, "priority": "URGENT"}, ValidationError, "is not a priority"),
        ({"every": 5, "payload": 1}, JobError, "takes no payload, and one is given"),
    ],
)  # fmt: skip
def test_what_a_scheduled_function_cannot_be(db, times, error, message):
    """It is refused where it is decorated, and nothing is registered or kept."""

    def function():
        pass

    with pytest.raises(error, match=message):
        db.schedule(**times)(function)
    assert db.schedules() == []
    db.job(times.get("name") or "function")(function)


def test_the_payload_of_a_scheduled_function_is_checked(db):
    """By its annotation, and that there is one."""

    def wants(payload: list[int]):
        pass

    with pytest.raises(PayloadInvalid):
        db.schedule(every=5, payload={"a": 1})(wants)
    with pytest.raises(JobError, match="takes a payload, and none is given"):
        db.schedule(every=5)(wants)
    db.schedule(every=5, payload=[1])(wants)
    with pytest.raises(JobError, match="has a handler already"):
        db.schedule(every=6, payload=[1])(wants)
    assert db.schedules()[0].every == 5.0


def test_wild_names_and_payloads_arrive(path, clock: ManualClock):
    """Quotes, dollars, braces and line ends are only text."""
    seen = []
    payload = {'a "b"': "${x} $y } \\ \n é \U0001f600", "n": [None, True, 1.5, {"": []}]}
    with Aurora(path, workers_enabled=True, clock=clock) as db:
        db.schedule(every=60, name='odd "name" } ${x}', payload=payload)(seen.append)
        clock.advance(60)
        until(lambda: seen)
        assert db.schedules()[0].name == 'odd "name" } ${x}'
    assert seen == [payload]
