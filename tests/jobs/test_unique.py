"""Unique jobs: one job of a type and key at a time, and what becomes of the second one."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from aurora_db import (
    AsyncAurora,
    Aurora,
    Jobs,
    Priority,
    Unique,
    UniqueViolation,
    ValidationError,
)


def count(db):
    return db.execute("{ _jobs { aggregate { count } } }")["_jobs"]["aggregate"]["count"]


# --- keep -------------------------------------------------------------------------------------


def test_the_same_payload_is_enqueued_once(db):
    """`unique=True` is about the type and the whole payload, whatever order its keys have."""
    first = db.enqueue_job("mail", {"to": "ada", "n": 1}, unique=True)
    second = db.enqueue_job("mail", {"n": 1, "to": "ada"}, unique=True)
    other = db.enqueue_job("mail", {"to": "bob", "n": 1}, unique=True)
    assert (first.conflict, second.conflict, other.conflict) == (False, True, False)
    assert second.id == first.id
    assert second.unique_key == '{"n":1,"to":"ada"}'
    assert count(db) == 2


def test_a_key_takes_values_of_the_payload(db):
    """A text is the key; its holes are filled in, also from inside of objects."""
    first = db.enqueue_job("sync", {"customer": {"id": 7}, "page": 1}, unique="c-${customer.id}")
    second = db.enqueue_job("sync", {"customer": {"id": 7}, "page": 2}, unique="c-${customer.id}")
    assert first.unique_key == "c-7"
    assert second.id == first.id
    assert second.payload == {"customer": {"id": 7}, "page": 1}
    assert db.get_job(first.id).conflict is False


def test_types_do_not_share_keys(db):
    """A key belongs to its type, whatever is written in either."""
    a = db.enqueue_job("a:b", None, unique="c")
    b = db.enqueue_job("a", None, unique="b:c")
    c = db.enqueue_job("b", None, unique="c")
    assert len({a.id, b.id, c.id}) == 3


def test_a_job_that_has_ended_frees_its_key(db, claim_one):
    """Running it is still in the way of another, completed not any more."""
    first = db.enqueue_job("t", 1, unique="k")
    held = claim_one(db)
    assert db.enqueue_job("t", 2, unique="k").id == first.id
    held.complete()
    second = db.enqueue_job("t", 3, unique="k")
    assert second.id != first.id
    assert second.conflict is False
    db.cancel_job(second.id)
    assert db.enqueue_job("t", 4, unique="k").conflict is False


def test_a_failed_attempt_keeps_the_key(db, claim_one):
    """While the job waits for its next attempt it is there."""
    first = db.enqueue_job("t", 1, unique="k")
    claim_one(db).fail(ValueError("no"))
    assert db.get_job(first.id).status == "SCHEDULED"
    assert db.enqueue_job("t", 1, unique="k").id == first.id


def test_statuses_say_when_a_job_counts(db, claim_one):
    """With PENDING alone one may wait while another runs."""
    one_waits = Unique(key="k", statuses=["PENDING"])
    first = db.enqueue_job("t", 1, unique=one_waits)
    assert db.enqueue_job("t", 2, unique=one_waits).id == first.id
    claim_one(db)
    second = db.enqueue_job("t", 3, unique=one_waits)
    assert second.id != first.id
    assert db.enqueue_job("t", 4, unique=one_waits).id == second.id


def test_a_period_counts_from_the_enqueueing(db, clock, claim_one):
    """At most one in ten minutes, also when the first one is done; a failed one does not count."""
    throttle = Unique(key="k", period=timedelta(minutes=10))
    first = db.enqueue_job("t", 1, unique=throttle)
    claim_one(db).complete()
    clock.advance(599)
    assert db.enqueue_job("t", 2, unique=throttle).id == first.id
    clock.advance(1)
    second = db.enqueue_job("t", 3, unique=throttle)
    assert second.id != first.id
    db.cancel_job(second.id)
    assert db.enqueue_job("t", 4, unique=throttle).conflict is False


def test_after_the_period_a_waiting_job_is_not_in_the_way(db, clock):
    """Both wait then; the key is the newer one's."""
    first = db.enqueue_job("t", 1, unique=Unique(key="k", period=60))
    clock.advance(60)
    second = db.enqueue_job("t", 2, unique=Unique(key="k", period=60))
    assert second.id != first.id
    assert db.enqueue_job("t", 3, unique="k").id == second.id
    assert count(db) == 2


# --- replace and reschedule ---------------------------------------------------------------------


def test_replace_changes_payload_and_options(db):
    """A job that waits becomes what the second call says; its id, time and failures stay."""
    first = db.enqueue_job("t", {"k": 1, "v": "old"}, delay=60, unique="${k}", tags=["a"])
    second = db.enqueue_job(
        "t", {"k": 1, "v": "new"}, Priority.HIGH, queue="q", retries=7, timeout=9, tags=["b"],
        backoff=4, unique=Unique(key="${k}", on_conflict="replace"),
    )  # fmt: skip
    assert (second.id, second.conflict) == (first.id, True)
    now = db.get_job(first.id)
    assert (now.payload, now.priority, now.queue) == ({"k": 1, "v": "new"}, Priority.HIGH, "q")
    assert (now.max_retries, now.timeout, now.tags, now.backoff) == (7, 9.0, ("b",), [4.0])
    assert (now.status, now.run_at, now.created_at) == ("SCHEDULED", first.run_at, first.created_at)


def test_replace_moves_the_job_where_a_time_is_given(db, clock):
    """The newest payload at the newest time."""
    replace = Unique(key="k", on_conflict="replace")
    first = db.enqueue_job("t", 1, unique=replace, delay=10)
    clock.advance(9)
    db.enqueue_job("t", 2, unique=replace, delay=10)
    now = db.get_job(first.id)
    assert (now.payload, now.run_at) == (2, first.run_at + timedelta(seconds=9))


def test_reschedule_moves_the_time_alone(db, clock, claim_one):
    """Each call puts the job off; when the calls stop it runs once, with its first payload."""
    debounce = Unique(key="k", on_conflict="reschedule")
    first = db.enqueue_job("t", 1, unique=debounce, delay=10)
    for number in (2, 3, 4):
        clock.advance(9)
        later = db.enqueue_job("t", number, Priority.HIGH, unique=debounce, delay=10)
        assert (later.id, later.conflict, later.status) == (first.id, True, "SCHEDULED")
        assert later.run_at == clock.now() + timedelta(seconds=10)
        assert claim_one(db) is None
    clock.advance(10)
    held = claim_one(db)
    assert (held.id, held.payload) == (first.id, 1)
    assert count(db) == 1


def test_reschedule_goes_both_ways(db):
    """A pending job may be put off, and one that is put off may be due at once."""
    move = Unique(key="k", on_conflict="reschedule")
    first = db.enqueue_job("t", 1, unique=move)
    assert first.status == "PENDING"
    later = db.enqueue_job("t", 1, unique=move, delay=60)
    assert (later.id, later.status) == (first.id, "SCHEDULED")
    at_once = db.enqueue_job("t", 1, unique=move, run_at=datetime(2000, 1, 1, tzinfo=UTC))
    assert (at_once.id, at_once.status, at_once.run_at) == (first.id, "PENDING", None)


@pytest.mark.parametrize("on_conflict", ["replace", "reschedule"])
def test_a_running_or_ended_job_stays_as_it_is(db, claim_one, on_conflict):
    """Only what still waits is changed."""
    rule = Unique(key="k", on_conflict=on_conflict, statuses=["PENDING", "RUNNING", "COMPLETED"])
    first = db.enqueue_job("t", 1, unique=rule)
    held = claim_one(db)
    running = db.enqueue_job("t", 2, Priority.HIGH, unique=rule, delay=5)
    assert (running.id, running.payload, running.status) == (first.id, 1, "RUNNING")
    held.complete()
    ended = db.enqueue_job("t", 3, Priority.HIGH, unique=rule, delay=5)
    assert (ended.id, ended.payload, ended.status) == (first.id, 1, "COMPLETED")
    assert (ended.priority, ended.run_at) == (Priority.NORMAL, None)


# --- bulk ---------------------------------------------------------------------------------------


def test_duplicates_inside_a_bulk(db):
    """The first of each key is new, the others are it; in order."""
    there = db.enqueue_job("t", {"k": 9}, unique="${k}")
    made = db.enqueue_jobs("t", [{"k": n % 3} for n in range(6)] + [{"k": 9}], unique="${k}")
    assert [one.unique_key for one in made] == ["0", "1", "2", "0", "1", "2", "9"]
    assert [one.conflict for one in made] == [False] * 3 + [True] * 4
    assert [one.id for one in made[:3]] == [one.id for one in made[3:6]]
    assert made[6].id == there.id
    assert count(db) == 4


def test_the_last_of_a_bulk_replaces_the_others(db):
    """As if they came one after the other."""
    there = db.enqueue_job("t", {"k": 2, "n": 0}, unique="${k}")
    payloads = [{"k": 1, "n": 1}, {"k": 2, "n": 2}, {"k": 1, "n": 3}, {"k": 2, "n": 4}]
    made = db.enqueue_jobs("t", payloads, unique=Unique(key="${k}", on_conflict="replace"))
    assert [one.payload["n"] for one in made] == [3, 4, 3, 4]
    assert made[1].id == made[3].id == there.id
    assert count(db) == 2


def test_a_bulk_may_reschedule_thousands(db, clock):
    """Ten thousand at once, half of them there: set by set, no statement for each."""
    payloads = [{"k": n} for n in range(10_000)]
    move = Unique(key="${k}", on_conflict="reschedule")
    before = db.enqueue_jobs("t", payloads[::2], unique=move)
    made = db.enqueue_jobs("t", payloads, unique=move, delay=60)
    assert sum(one.conflict for one in made) == 5_000
    assert {one.id for one in before} == {one.id for one in made[::2]}
    assert {one.run_at for one in made} == {clock.now() + timedelta(seconds=60)}
    assert db.execute('{ _jobs(where: {status: "SCHEDULED"}) { aggregate { count } } }') == {
        "_jobs": {"aggregate": {"count": 10_000}}
    }


def test_a_bulk_needs_few_statements(db):
    """A thousand unique jobs are not a thousand statements."""
    texts: list[str] = []
    db.enqueue_jobs("t", [{"k": n} for n in range(0, 1_000, 2)], unique="${k}")
    connection = db._engine._writer.port.connection
    connection.trace_v2(1, lambda told: texts.append(told["sql"]))
    db.enqueue_jobs(
        "t", [{"k": n} for n in range(1_000)], unique=Unique(key="${k}", on_conflict="replace")
    )
    connection.trace_v2(0, None)
    own = [text for text in texts if not text.startswith("TRIGGER") and "_changes" not in text]
    assert 0 < len(own) < 40


# --- where it is asked for ----------------------------------------------------------------------


def test_the_type_says_it(db):
    """`@db.job(unique=…)` holds for what this process enqueues; a call may say otherwise."""

    @db.job("sync", unique="${customer}")
    def sync(payload: dict) -> None: ...

    first = sync.enqueue({"customer": 1})
    assert sync.enqueue({"customer": 1}).id == first.id
    assert db.enqueue_job("sync", {"customer": 1}).id == first.id
    assert sync.enqueue({"customer": 1}, unique=False).id != first.id
    assert sync.enqueue({"customer": 1}, unique="other").unique_key == "other"


def test_the_option_of_a_type_is_checked_when_it_is_registered(db):
    """Not when the first job is enqueued."""
    with pytest.raises(ValidationError, match="'on_conflict' is keep, replace or reschedule"):
        db.job("t", unique=Unique(on_conflict="drop"))(lambda payload: None)


def test_in_a_transaction(db):
    """The key is taken with the transaction, and given back with its rollback."""
    with db.transaction() as tx:
        first = tx.enqueue_job("t", 1, unique="k")
        assert tx.enqueue_job("t", 2, unique="k").id == first.id
        tx.rollback()
    second = db.enqueue_job("t", 3, unique="k")
    assert (second.conflict, second.payload) == (False, 3)
    assert count(db) == 1


def test_of_an_asynchronous_database(path):
    """A thousand tasks want the same job: one gets it, the others hear of it."""

    async def main():
        async with AsyncAurora(path) as db:
            jobs = await asyncio.gather(*(db.enqueue_job("t", n, unique="k") for n in range(1_000)))
            assert len({job.id for job in jobs}) == 1
            assert [job.conflict for job in jobs].count(False) == 1

    asyncio.run(main())


def test_a_typed_payload_has_its_fields(db):
    """Records are read as their JSON."""
    from msgspec import Struct

    class Order(Struct):
        id: int
        at: datetime

    at = datetime(2026, 1, 1, tzinfo=UTC)
    job = db.enqueue_job("t", Order(5, at), unique="${id} ${at}")
    assert job.unique_key == "5 2026-01-01T00:00:00Z"


# --- what frees a key ---------------------------------------------------------------------------


def test_a_deleted_job_frees_its_key(db, other_program):
    """Whoever deletes it: the key goes with the job."""
    first = db.enqueue_job("t", 1, unique=Unique(key="k", statuses=["PENDING", "CANCELLED"]))
    db.cancel_job(first.id)
    assert db.enqueue_job("t", 2, unique="k").id == first.id
    other_program(f"PRAGMA foreign_keys = ON; DELETE FROM _jobs WHERE id = '{first.id}'")
    assert db.enqueue_job("t", 3, unique="k").conflict is False


# --- running again ------------------------------------------------------------------------------


def test_a_job_does_not_run_again_while_another_has_its_key(db):
    """The refusal names who has it; when that one has ended, it may."""
    first = db.enqueue_job("t", 1, unique="k")
    db.cancel_job(first.id)
    second = db.enqueue_job("t", 2, unique="k")
    with pytest.raises(UniqueViolation, match=f"job '{second.id}' has its key 'k' by now") as told:
        db.retry_job(first.id)
    assert (told.value.fields, told.value.value) == (("unique_key",), "k")
    assert db.get_job(first.id).status == "CANCELLED"
    db.cancel_job(second.id)
    assert db.retry_job(first.id) is True
    assert db.enqueue_job("t", 3, unique="k").id == first.id
    with pytest.raises(UniqueViolation):
        db.retry_job(second.id)
    assert db.retry_job(first.id) is False


def test_a_job_that_runs_again_has_its_key_again(db, claim_one):
    """Nobody took it meanwhile."""
    first = db.enqueue_job("t", 1, unique="k")
    claim_one(db).complete()
    assert db.retry_job(first.id) is True
    assert db.enqueue_job("t", 2, unique="k").id == first.id


def test_of_many_that_run_again_one_of_a_key_does(db):
    """Those that must not stay as they are, and are not told among the changed ones."""
    ids = []
    for number in range(3):
        ids.append(db.enqueue_job("t", number, unique="k").id)
        db.cancel_job(ids[-1])
    free = db.enqueue_job("t", 9)
    db.cancel_job(free.id)
    told = db.execute('mutation { retryJob(where: {type: "t"}) { ids } }')["retryJob"]["ids"]
    assert sorted(told) == sorted([ids[2], free.id])
    assert [db.get_job(id).status for id in ids] == ["CANCELLED", "CANCELLED", "PENDING"]


def test_a_key_that_nobody_has_any_more_is_taken_again(db, other_program):
    """Its holder was deleted: the retried job has it then."""
    first = db.enqueue_job("t", 1, unique="k")
    db.cancel_job(first.id)
    second = db.enqueue_job("t", 2, unique="k")
    other_program(f"PRAGMA foreign_keys = ON; DELETE FROM _jobs WHERE id = '{second.id}'")
    assert db.retry_job(first.id) is True
    assert db.enqueue_job("t", 3, unique="k").id == first.id


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unique", "told"),
    [
        (5, "'unique' is True, a key or a Unique, got 5"),
        ("", "'key' is a text that is not empty"),
        (Unique(key=5), "'key' is a text that is not empty, got 5"),
        ("${a", "has a '${' without its '}'"),
        ("${}", "has a '${}' that names nothing"),
        ("${b}", "needs 'b', which its payload has not"),
        ("${a.b}", "needs 'a.b', which its payload has not"),
        ("${a}", "not empty when it is filled in"),
        (Unique(period=0), "'period' is a duration in seconds above 0, got 0"),
        (Unique(period=float("nan")), "'period' is a duration"),
        (Unique(period=float("inf")), "'period' is a duration"),
        (Unique(period="10m"), "'period' is a duration in seconds above 0, got '10m'"),
        (Unique(statuses=[]), "'statuses' is a list of SCHEDULED, BLOCKED"),
        (Unique(statuses="PENDING"), "'statuses' is a list of"),
        (Unique(statuses=["pending"]), "'statuses' is a list of"),
        (Unique(on_conflict="raise"), "'on_conflict' is keep, replace or reschedule, got 'raise'"),
    ],
)
def test_a_wrong_rule_is_refused(db, unique, told):
    """The message names the part."""
    with pytest.raises(ValidationError) as refused:
        db.enqueue_job("t", {"a": ""}, unique=unique)
    assert told in str(refused.value)
    assert count(db) == 0


def test_long_and_wild_keys(db):
    """What is long, or no text for SQL, is told apart all the same."""
    made = db.enqueue_jobs(
        "t", ["x" * 5_000, "x" * 5_001, "a\0b", "a\0c", "ä'\"", "a", None, 1, "1"], unique=True
    )
    assert [one.conflict for one in made] == [False] * 9
    again = db.enqueue_jobs("t", ["x" * 5_000, "a\0b", "ä'\"", None, "1"], unique=True)
    assert [one.conflict for one in again] == [True] * 5
    assert len(made[0].unique_key) < 100


# --- registries ---------------------------------------------------------------------------------


def test_a_registry_without_a_database(path):
    """A module of jobs says it before a database is open."""
    jobs = Jobs()

    @jobs.job("t", unique=True)
    def t(payload: dict) -> None: ...

    with Aurora(path, jobs=jobs):
        assert t.enqueue({"a": 1}).id == t.enqueue({"a": 1}).id


# --- beside limits ------------------------------------------------------------------------------


@pytest.mark.parametrize("on_conflict", ["replace", "reschedule"])
def test_a_job_that_a_limit_holds_back_is_changed(working, on_conflict):
    """Its new payload may have room at once, and its new time counts."""
    began, go = threading.Event(), threading.Event()
    ran: list[object] = []

    @working.job("busy")
    def busy(payload: dict) -> None:
        began.set()
        assert go.wait(60)

    @working.job("t")
    def t(payload: dict) -> None:
        ran.append(payload["c"])

    working.workers.configure("q", concurrency=1, key="${c}")
    working.enqueue_job("busy", {"c": 1}, queue="q")
    assert began.wait(60)
    rule = Unique(key="k", on_conflict=on_conflict)
    job = working.enqueue_job("t", {"c": 1}, queue="q", unique=rule)
    end = time.monotonic() + 60
    while working.get_job(job.id).status != "BLOCKED":
        assert time.monotonic() < end
        time.sleep(0.002)
    if on_conflict == "replace":
        working.enqueue_job("t", {"c": 2}, queue="q", unique=rule)
        while working.get_job(job.id).status != "COMPLETED":
            assert time.monotonic() < end
            time.sleep(0.002)
        assert ran == [2]
    else:
        later = working.enqueue_job("t", {"c": 1}, queue="q", unique=rule, delay=3_600)
        assert (later.id, later.status) == (job.id, "SCHEDULED")
    go.set()
