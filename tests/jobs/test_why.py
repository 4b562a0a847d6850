"""`why`: whoever waits for a job is told what it waits for, in plain sentences."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from aurora_db import AsyncAurora, Aurora, Cancel, Fail, NotFound, Priority, Snooze

GUARD = 30.0
START = "2026-01-01T00:00:00.000000Z"


def until(holds):
    """Wait for a condition; a hang is a failure."""
    end = time.monotonic() + GUARD
    while not holds():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.002)


def lines(db, job):
    return db.why(job.id).split("\n")


@pytest.fixture
def a_worker(other_program):
    """Registers a worker of another machine."""

    def register(id, *types, threads=4, heard=START):
        words = ",".join(f'"{type}"' for type in types)
        other_program(
            "INSERT INTO _workers (id, host, pid, threads, types, started_at, heartbeat_at) "
            f"VALUES ('{id}', 'far', 7, {threads}, '[{words}]', '{START}', '{heard}')"
        )

    return register


# --- pending --------------------------------------------------------------------------------


def test_the_line_before_it(db, a_worker):
    """Those above it, and older ones of its priority; lower and younger ones do not count."""
    a_worker("w1", "resize", "crop")
    db.enqueue_jobs("resize", [{}] * 8, queue="media")
    db.enqueue_jobs("crop", [{}] * 4, queue="media")
    job = db.enqueue_job("resize", {}, queue="media")
    db.enqueue_jobs("crop", [{}] * 2, Priority.CRITICAL, queue="media")
    db.enqueue_jobs("resize", [{}] * 5, queue="media")
    db.enqueue_jobs("resize", [{}] * 5, Priority.LOW, queue="media")
    db.enqueue_jobs("resize", [{}] * 5, Priority.CRITICAL)
    db.enqueue_jobs("other", [{}] * 5, Priority.CRITICAL, queue="media")
    assert db.why(job.id) == (
        "PENDING: 14 jobs are before it: 2 CRITICAL, 12 older ones of its priority in queue 'media'."
    )


def test_one_job_before_it(db, a_worker):
    """One is one."""
    a_worker("w1", "send")
    db.enqueue_job("send", {})
    job = db.enqueue_job("send", {})
    assert db.why(job.id) == (
        "PENDING: 1 job is before it: 1 older one of its priority in queue 'default'."
    )


def test_a_long_line_is_not_counted_to_its_end(db, a_worker):
    """Beyond a thousand it says so."""
    a_worker("w1", "send")
    db.enqueue_jobs("send", [{}] * 3_000)
    job = db.enqueue_job("send", {})
    assert db.why(job.id) == (
        "PENDING: more than 1,000 jobs are before it: more than 1,000 older ones of its priority in queue 'default'."
    )


def test_the_next_in_the_line(db, a_worker, claim_one):
    """With a free slot it begins in a moment; without one it waits for the slots."""
    a_worker("w1", "send", threads=1)
    job = db.enqueue_job("send", {"n": 1})
    assert db.why(job.id) == (
        "PENDING: it is next in the line, and the 1 worker that has its type has a free slot: it begins in a moment."
    )
    claim_one(db, worker="w1")
    later = db.enqueue_job("send", {"n": 2})
    assert db.why(later.id) == (
        "PENDING: it is next in the line, and all 1 slot of the 1 worker that has its type are busy."
    )


def test_a_paused_queue(db, a_worker, clock, other_program):
    """Since when, and how it goes on."""
    a_worker("w1", "send", heard="2026-01-01T00:04:10.000000Z")
    other_program(f"INSERT INTO _queues (name, paused_at) VALUES ('mail', '{START}')")
    job = db.enqueue_job("send", {}, queue="mail")
    clock.advance(250)
    assert lines(db, job) == [
        "PENDING: queue 'mail' was paused 4 min 10 s ago, at 2026-01-01T00:00:00Z; resume it: db.workers.resume('mail').",
        "No job is before it in queue 'mail'.",
    ]


def test_nobody_has_its_type(db, a_worker):
    """Who is there and what they can do is said, and what may have been meant."""
    a_worker("w1", "resize", "crop")
    a_worker("w2")
    job = db.enqueue_job("resise", {})
    assert lines(db, job)[0] == (
        "PENDING: no worker that is alive has the type 'resise': worker 'w1' (far, pid 7) has 'resize' and 'crop'; "
        "worker 'w2' (far, pid 7) has none. Did you mean 'resize'?"
    )


def test_nobody_is_alive(db, a_worker, clock):
    """A worker that was not heard of for a minute is none."""
    a_worker("w1", "send")
    job = db.enqueue_job("send", {})
    assert "no worker" not in db.why(job.id)
    clock.advance(61)
    assert lines(db, job)[0] == (
        "PENDING: no worker is alive; the last one that had its type was heard of at 2026-01-01T00:00:00Z: "
        "start one, by `aurora work` or workers_enabled=True."
    )


def test_a_killed_worker_of_this_machine_is_not_alive(path):
    """Its lock tells, long before its heartbeat would."""
    program = """
import sys
from aurora_db import Aurora
db = Aurora(sys.argv[1], workers_enabled=True)
db.job("send")(lambda payload: None)
print("there", flush=True)
db.workers.run()
"""
    with Aurora(path) as db:
        job = db.enqueue_job("send", {}, delay=1_000)
        command = [sys.executable, "-c", program, path]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "there\n"
            assert "worker" not in db.why(job.id)
            child.kill()
            child.wait(GUARD)
        assert lines(db, job)[1].startswith(
            "No worker is alive; the last one that had its type was "
        )


def test_a_limit_that_is_reached_names_its_holders(db, a_worker, claim_one, other_program):
    """Before a worker has looked at the job, and when it was put aside for its key."""
    a_worker("w1", "send")
    other_program(
        "INSERT INTO _limits (scope, name, concurrency, key) VALUES ('type', 'send', 1, '${customer}')"
    )
    first = db.enqueue_job("send", {"customer": "ada"})
    claim_one(db)
    second = db.enqueue_job("send", {"customer": "ada"})
    third = db.enqueue_job("send", {"customer": "ada"})
    free = db.enqueue_job("send", {"customer": "bob"})
    limit = f"the limit of 1 at once of type 'send', for key 'ada' is reached: '{first.id}' runs."
    assert lines(db, third) == [
        f"PENDING: {limit}",
        "1 job is before it: 1 older one of its priority in queue 'default'.",
    ]
    assert "limit" not in db.why(free.id)
    assert claim_one(db).id == free.id
    assert db.why(second.id) == f"BLOCKED: {limit}"
    assert lines(db, third) == [f"BLOCKED: {limit}", "1 job waits for it before this one."]


def test_a_rate_that_is_used_up(db, a_worker, claim_one, clock, other_program):
    """When it frees the next."""
    a_worker("w1", "send")
    other_program(
        "INSERT INTO _limits (scope, name, rate_count, rate_period) VALUES ('queue', 'default', 2, 60)"
    )
    db.enqueue_jobs("send", [{}, {}])
    claim_one(db).complete()
    clock.advance(20)
    claim_one(db)
    clock.advance(10)
    job = db.enqueue_job("send", {})
    assert lines(db, job)[0] == (
        "PENDING: the rate of 2/60s of queue 'default' is used up: it frees the next in 30 s, at 2026-01-01T00:01:00Z."
    )


def test_nobody_serves_its_queue(db, a_worker, other_program):
    """Who has the type serves other queues."""
    a_worker("w1", "send")
    other_program("""UPDATE _workers SET queues = '["mail","slow"]'""")
    job = db.enqueue_job("send", {}, queue="media")
    assert lines(db, job)[0] == (
        "PENDING: no worker that is alive and has the type 'send' serves the queue 'media': "
        "worker 'w1' (far, pid 7) serves 'mail' and 'slow'."
    )
    assert "no worker" not in db.why(db.enqueue_job("send", {}, queue="slow").id)


# --- scheduled ------------------------------------------------------------------------------


def test_a_delay(db, a_worker):
    """In how long, and when."""
    a_worker("w1", "send")
    job = db.enqueue_job("send", {}, delay=250)
    assert db.why(job.id) == (
        "SCHEDULED: it may run in 4 min 10 s, at 2026-01-01T00:04:10Z: it was enqueued with that delay or time."
    )


def test_a_back_off(db, a_worker, clock, claim_one):
    """After which error, and how many attempts are left."""
    a_worker("w1", "send")
    job = db.enqueue_job("send", {}, backoff=[60], retries=5)
    claim_one(db).fail(ConnectionError("no answer"))
    clock.advance(10)
    assert db.why(job.id) == (
        "SCHEDULED: it may run in 50 s, at 2026-01-01T00:01:00Z: attempt 1 failed 10 s ago, at 2026-01-01T00:00:00Z, "
        "by ConnectionError: no answer, and this is its back-off; 1 of 5 attempts are used."
    )


def test_a_snooze_and_a_sleep(db, a_worker, claim_one, clock, other_program):
    """The handler wanted it so; a sleep is told by its name."""
    a_worker("w1", "send")
    job = db.enqueue_job("send", {})
    claim_one(db).fail(Snooze(90))
    assert db.why(job.id) == (
        "SCHEDULED: it may run in 1 min 30 s, at 2026-01-01T00:01:30Z: its handler snoozed it in attempt 1."
    )
    other_program(
        f"INSERT INTO _job_steps (job_id, name, sleep_until, attempt, at) VALUES ('{job.id}', 'cool-down', '2026-01-01T00:01:30.000000Z', 1, '{START}')"
    )
    assert db.why(job.id).endswith(": its handler sleeps, in step 'cool-down'.")


def test_due_and_nobody_there(db, clock):
    """A worker is needed to take it up."""
    job = db.enqueue_job("send", {}, delay=10)
    clock.advance(15)
    assert lines(db, job) == [
        "SCHEDULED: it is due since 5 s: it was enqueued with that delay or time; the next look of a worker takes it up.",
        "No worker is alive: start one, by `aurora work` or workers_enabled=True.",
    ]


# --- blocked --------------------------------------------------------------------------------


def test_dependencies_and_what_holds_them_up(db, a_worker):
    """The jobs that it waits for, and at the bottom the one that is stuck, with its own reason."""
    a_worker("w1", "resize", "collage")
    root, done = db.enqueue_job("upload", {}), db.enqueue_job("resize", {})
    db.cancel_job(done.id)
    middle = db.enqueue_job("resize", {}, after=[root.id])
    last = db.enqueue_job("collage", {}, after=[middle.id, done.id], on_dependency_failure="run")
    nobody = "no worker that is alive has the type 'upload': worker 'w1' (far, pid 7) has 'resize' and 'collage'."
    assert lines(db, last) == [
        f"BLOCKED: it waits for the end of 1 job of 2: '{middle.id}' (resize, BLOCKED).",
        f"What holds all of it up, 2 steps down, is job '{root.id}' (upload, PENDING): {nobody}",
    ]


def test_many_dependencies(db, a_worker):
    """Some are named, all are counted."""
    a_worker("w1", "resize", "collage")
    parts = [job.id for job in db.enqueue_jobs("resize", [{}] * 40)]
    last = db.enqueue_job("collage", {}, after=parts)
    told = lines(db, last)
    assert told[0].startswith("BLOCKED: it waits for the end of 40 jobs: ")
    assert told[0].endswith("(resize, PENDING) and 35 more.")
    assert told[1].startswith(
        f"What holds all of it up is job '{parts[0]}' (resize, PENDING): it is next"
    )


def test_a_chain_that_is_longer_than_a_stack(db):
    """Three thousand deep, the bottom is found."""
    with db.transaction() as tx:
        first = before = tx.enqueue_job("link", {})
        for _ in range(2_999):
            before = tx.enqueue_job("link", {}, after=[before.id])
    assert f"2,999 steps down, is job '{first.id}' (link, PENDING)" in db.why(before.id)


def test_a_job_that_a_failed_one_took_along(db, claim_one):
    """By policy, and which one it was."""
    first = db.enqueue_job("upload", {}, retries=1)
    last = db.enqueue_job("resize", {}, after=[first.id])
    claim_one(db).fail(ValueError("no"))
    assert lines(db, last)[0] == (
        f"CANCELLED: by policy, 0 ms ago, at 2026-01-01T00:00:00Z: it waited for the job 'upload' ({first.id}), which failed."
    )


def test_a_follower_that_is_retried_alone(db, a_worker):
    """Its turn comes when the one that failed runs again; nothing else is in its way."""
    a_worker("w1", "upload", "resize")
    first = db.enqueue_job("upload", {})
    last = db.enqueue_job("resize", {}, after=[first.id])
    db.cancel_job(first.id)
    db.retry_job(last.id)
    assert lines(db, last) == [
        f"BLOCKED: it waits until 1 job that ended in vain completes in another run: '{first.id}' (upload, CANCELLED).",
        f"Run it again: db.retry_job('{first.id}').",
    ]
    db.retry_job(first.id)
    assert lines(db, last)[0].startswith("BLOCKED: it waits for the end of 1 job: ")


def test_what_it_waited_for_has_ended(db, a_worker, other_program):
    """Nothing is left to name."""
    a_worker("w1", "send")
    job = db.enqueue_job("send", {})
    other_program("UPDATE _jobs SET status = 'BLOCKED'")
    assert db.why(job.id) == "BLOCKED: what it waited for has ended; it is freed in a moment."


# --- running --------------------------------------------------------------------------------


def test_a_running_job(db, a_worker, clock, claim_one, other_program):
    """Since when, by whom, which attempt, how far it says it is, how long the lease holds."""
    a_worker("w1", "send")
    job = db.enqueue_job("send", {}, timeout=60)
    claim_one(db, worker="w1")
    other_program("UPDATE _jobs SET progress = 0.4, progress_note = 'resizing'")
    clock.advance(12)
    assert lines(db, job) == [
        "RUNNING: it runs since 12 s at worker 'w1' (far, pid 7), as attempt 1, with no failure so far and 3 attempts allowed.",
        "Its worker is alive and holds it for 18 s more, unless it renews that.",
        "An attempt may take 1 min.",
        "It says of its progress: 40% resizing.",
    ]


def test_a_running_job_whose_worker_is_gone(db, claim_one, a_worker):
    """Somebody must give it back."""
    job = db.enqueue_job("send", {})
    claim_one(db, worker="w9")
    assert lines(db, job)[1] == (
        "Its worker is gone, and no other worker is alive to give it back: start one."
    )
    a_worker("w1", "send")
    assert lines(db, job)[1] == "Its worker is gone; another one gives it back in a moment."


# --- ended ----------------------------------------------------------------------------------


def again(job):
    return f"To run it again: db.retry_job('{job.id}')."


def test_a_completed_job(db, clock, claim_one):
    """When, by which attempt, how long it took."""
    job = db.enqueue_job("send", {}, backoff=1)
    claim_one(db).fail(ValueError("no"))
    clock.advance(2)
    held = claim_one(db)
    clock.advance(0.5)
    held.complete()
    clock.advance(3_600)
    assert lines(db, job) == [
        "COMPLETED: it ended 1 h ago, at 2026-01-01T00:00:02Z; attempt 2 did it in 500 ms.",
        "1 attempt before it failed.",
        again(job),
    ]


def test_an_exception_after_the_completion(working):
    """What was committed stays, and the exception is not hidden."""
    working.execute("schema { define collection notes { text: String } }")

    @working.job("note")
    def note(_payload, job):
        with job.completing() as tx:
            tx["notes"].insert({"text": "one"})
        raise ValueError("too late")

    job = working.enqueue_job("note", {})
    until(lambda: working.execute("{ _job_errors { error } }")["_job_errors"])
    said = (
        "After the completion its handler raised ValueError: too late; what it had committed stays."
    )
    assert said in working.why(job.id)


def test_a_job_whose_attempts_are_used_up(db, claim_one):
    """The last error, and where the tracebacks are."""
    job = db.enqueue_job("send", {}, retries=1)
    claim_one(db).fail(ConnectionError("no answer"))
    assert lines(db, job) == [
        "FAILED: its only attempt failed 0 ms ago, at 2026-01-01T00:00:00Z, by ConnectionError: no answer.",
        f"The tracebacks: aurora jobs FILE errors {job.id}, or the collection _job_errors.",
        again(job),
    ]


def test_a_job_that_failed_for_good(db, claim_one):
    """Though attempts were left."""
    job = db.enqueue_job("send", {}, retries=5)
    claim_one(db).fail(Fail("the card was refused"))
    assert lines(db, job)[0] == (
        "FAILED: attempt 1 failed for good 0 ms ago, at 2026-01-01T00:00:00Z, by the card was refused; 1 of 5 were used."
    )


def test_a_poisoned_job(db, clock, claim_one):
    """How many workers died."""
    job = db.enqueue_job("poison", {})
    for n in range(3):
        claim_one(db, worker=f"w{n}")
        clock.advance(31)
    claim_one(db)
    assert lines(db, job)[0] == (
        "FAILED: it was given up 0 ms ago, at 2026-01-01T00:01:33Z: worker died 3 times running this, so that it kills no more of them."
    )


def test_who_cancelled_it(db, claim_one):
    """A person, before or after it ran; or its handler."""
    never = db.enqueue_job("send", {"n": 1})
    db.cancel_job(never.id)
    assert lines(db, never) == [
        "CANCELLED: by cancel_job, 0 ms ago, at 2026-01-01T00:00:00Z, before it ran.",
        again(never),
    ]
    once = db.enqueue_job("send", {"n": 2}, backoff=1)
    claim_one(db).fail(ValueError("no"))
    db.cancel_job(once.id)
    assert lines(db, once) == [
        "CANCELLED: by cancel_job, 0 ms ago, at 2026-01-01T00:00:00Z, after 1 attempt.",
        "Its last failure, 2026-01-01T00:00:00Z: ValueError: no.",
        again(once),
    ]
    own = db.enqueue_job("send", {"n": 3})
    claim_one(db).fail(Cancel("no need"))
    assert lines(db, own)[0] == (
        "CANCELLED: by its own handler, in attempt 1, 0 ms ago, at 2026-01-01T00:00:00Z: no need."
    )


def test_a_key_that_another_job_has_by_now(db):
    """It could not run again now."""
    ended = db.enqueue_job("send", {"n": 1}, unique="ada")
    db.cancel_job(ended.id)
    other = db.enqueue_job("send", {"n": 2}, unique="ada")
    assert lines(db, ended)[-1] == (
        f"It cannot run while job '{other.id}' (PENDING) has its unique key 'ada'."
    )


# --- as a verb ------------------------------------------------------------------------------


def test_a_job_that_is_not_there(db):
    """It may have been pruned."""
    with pytest.raises(NotFound, match="no job with the id 'x'") as caught:
        db.why("x")
    assert "pruned" in caught.value.hint


def test_in_a_transaction_and_awaited(db, tmp_path):
    """It sees what the transaction has written."""
    with db.transaction() as tx:
        job = tx.enqueue_job("send", {})
        assert tx.why(job.id).startswith("PENDING: ")
        tx.cancel_job(job.id)
        assert tx.why(job.id).startswith("CANCELLED: ")

    async def main():
        async with AsyncAurora(tmp_path / "other.db") as other:
            return await other.why((await other.enqueue_job("send", {})).id)

    assert asyncio.run(main()).startswith("PENDING: no worker is alive")


def test_while_a_handler_runs(working):
    """The worker of this very process is named, and alive."""
    going, on = threading.Event(), threading.Event()

    @working.job("slow")
    def slow(_payload):
        going.set()
        on.wait(GUARD)

    job = working.enqueue_job("slow", {})
    assert going.wait(GUARD)
    told = working.why(job.id)
    on.set()
    assert told.startswith("RUNNING: it runs since ")
    assert "Its worker is alive and holds it for" in told
