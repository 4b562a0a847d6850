"""Limits: how many run at once, how many begin in a time; over all processes, whoever dies."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import timedelta

import pytest

from aurora_db import Aurora, Jobs, Priority, ValidationError

GUARD = 60.0


def until(condition, what="it"):
    """Wait for a condition, and return what it gives; a minute is a failure."""
    end = time.monotonic() + GUARD
    while not (found := condition()):
        assert time.monotonic() < end, f"{what} did not happen"
        time.sleep(0.002)
    return found


class Stage:
    """Handlers that run until they are told to end; knows in which order they began.

    All end when the block is left, before the database closes.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.began = []
        self.ends = {}
        self.over = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with self.lock:
            self.over = True
            for end in self.ends.values():
                end.set()

    def __call__(self, payload):
        name = payload["name"]
        with self.lock:
            self.began.append(name)
            end = self.ends.setdefault(name, threading.Event())
            if self.over:
                end.set()
        assert end.wait(GUARD)

    def end(self, *names):
        for name in names:
            with self.lock:
                end = self.ends.setdefault(name, threading.Event())
            end.set()

    def await_begun(self, *names):
        """Those that began so far are these, in some order."""
        until(lambda: sorted(self.began) == sorted(names), f"{names} begin, not {self.began},")


@pytest.fixture
def stage():
    """Handlers that run until they are told to end."""
    return Stage()


def statuses(db, jobs):
    """The status of each."""
    return [db.get_job(job.id).status.value for job in jobs]


def mails(db, *names, **options):
    """A job for each name; the customer is its first part."""
    return [
        db.enqueue_job("mail", {"name": name, "customer": name.split("-")[0]}, **options)
        for name in names
    ]


def settled(db):
    """A job of another type has run: whatever could be claimed before it, was."""
    if "done" not in db._jobs.types():
        db.job("done")(lambda _payload: None)
    job = db.enqueue_job("done", {}, Priority.LOW)
    until(lambda: db.get_job(job.id).finished_at is not None)


def test_a_full_key_hides_nobody(path, stage):
    """Of Ada's jobs one runs at a time; the others wait BLOCKED, and Bob's job runs beside hers."""
    with Aurora(path, workers_enabled=True) as db, stage:
        db.job("mail", concurrency=1, key="${customer}")(stage)
        jobs = mails(db, "ada-1", "ada-2", "ada-3", "bob-1")
        stage.await_begun("ada-1", "bob-1")
        settled(db)
        assert statuses(db, jobs) == ["RUNNING", "BLOCKED", "BLOCKED", "RUNNING"]
        stage.end("ada-1")
        stage.await_begun("ada-1", "bob-1", "ada-2")
        stage.end("ada-2", "ada-3", "bob-1")
        until(lambda: statuses(db, jobs) == ["COMPLETED"] * 4)
        assert stage.began.index("ada-2") < stage.began.index("ada-3")


def test_the_most_urgent_of_a_key_is_freed_first(path, stage):
    """Whatever the order of enqueueing was; within a priority it counts."""
    with Aurora(path, workers_enabled=True) as db, stage:
        db.job("mail", concurrency=1, key="${customer}")(stage)
        mails(db, "ada-1")
        stage.await_begun("ada-1")
        mails(db, "ada-low", priority=Priority.LOW)
        mails(db, "ada-2", "ada-3")
        mails(db, "ada-high", priority=Priority.HIGH)
        settled(db)
        stage.end("ada-1", "ada-2", "ada-3", "ada-high", "ada-low")
        until(lambda: len(stage.began) == 5)
        assert stage.began == ["ada-1", "ada-high", "ada-2", "ada-3", "ada-low"]


def test_a_limit_without_key_holds_for_the_type(path, stage):
    """Two run at once, whatever queue they are in; the others stay PENDING."""
    with Aurora(path, workers_enabled=True, worker_threads=8) as db, stage:
        db.job("mail", concurrency=2)(stage)
        jobs = mails(db, "a", "b", queue="one") + mails(db, "c", "d", queue="two")
        stage.await_begun("a", "b")
        settled(db)
        assert statuses(db, jobs) == ["RUNNING", "RUNNING", "PENDING", "PENDING"]
        stage.end("b")
        stage.await_begun("a", "b", "c")


def test_a_limit_of_a_queue_holds_for_all_its_types(path, stage):
    """And so does its key; other queues know nothing of it."""
    with Aurora(path, workers_enabled=True, worker_threads=8) as db, stage:
        db.workers.configure("media", concurrency=1, key="${customer}")
        db.job("mail")(stage)
        db.job("scan")(stage)
        payload = {"customer": "ada"}
        db.enqueue_job("mail", {**payload, "name": "a"}, queue="media")
        db.enqueue_job("scan", {**payload, "name": "b"}, queue="media")
        db.enqueue_job("scan", {**payload, "name": "c"})
        db.enqueue_job("scan", {"customer": "bob", "name": "d"}, queue="media")
        stage.await_begun("a", "c", "d")
        stage.end("a")
        stage.await_begun("a", "b", "c", "d")


def test_both_limits_must_have_room(path, stage):
    """A job that its type lets run waits for its queue, and its place goes to the next."""
    with Aurora(path, workers_enabled=True, worker_threads=8) as db, stage:
        db.workers.configure("media", concurrency=1, key="${disk}")
        db.job("mail", concurrency=2, key="${customer}")(stage)

        def enqueue(name, customer, disk):
            payload = {"name": name, "customer": customer, "disk": disk}
            return db.enqueue_job("mail", payload, queue="media")

        jobs = [
            enqueue("1", "ada", "x"), enqueue("2", "ada", "x"), enqueue("3", "ada", "y"),
            enqueue("4", "ada", "z"), enqueue("5", "bob", "z"),
        ]  # fmt: skip
        stage.await_begun("1", "3", "5")
        settled(db)
        assert statuses(db, jobs) == ["RUNNING", "BLOCKED", "RUNNING", "BLOCKED", "RUNNING"]
        stage.end("3")
        # Ada has room again for the fourth, but its disk has not; then for the second, which is the same.
        stage.end("5")
        stage.await_begun("1", "3", "5", "4")
        stage.end("1", "4", "2")
        until(lambda: statuses(db, jobs) == ["COMPLETED"] * 5)


def test_a_rate_lets_so_many_begin_in_its_time(path, clock):
    """Two in ten seconds: the third begins ten seconds after the first, not at some full minute."""
    ran = []
    with Aurora(path, workers_enabled=True, clock=clock) as db:
        db.job("mail", rate="2/10s")(lambda payload: ran.append(payload["name"]))
        mails(db, "a")
        until(lambda: ran == ["a"])
        clock.advance(6)
        mails(db, "b", "c", "d")
        until(lambda: ran == ["a", "b"])
        clock.advance(3.999)
        settled(db)
        assert ran == ["a", "b"]
        clock.advance(0.001)
        until(lambda: ran == ["a", "b", "c"])
        settled(db)
        assert ran == ["a", "b", "c"]
        clock.advance(6)
        until(lambda: ran == ["a", "b", "c", "d"])


def test_a_rate_by_key_frees_what_it_blocked(path, clock):
    """Each customer has a window of its own."""
    ran = []
    with Aurora(path, workers_enabled=True, clock=clock) as db:
        db.job("mail", rate="1/1m", key="${customer}")(lambda payload: ran.append(payload["name"]))
        jobs = mails(db, "ada-1", "ada-2", "bob-1", "ada-3")
        until(lambda: ran == ["ada-1", "bob-1"])
        settled(db)
        assert statuses(db, jobs) == ["COMPLETED", "BLOCKED", "COMPLETED", "BLOCKED"]
        clock.advance(60)
        until(lambda: ran == ["ada-1", "bob-1", "ada-2"])
        clock.advance(60)
        until(lambda: ran == ["ada-1", "bob-1", "ada-2", "ada-3"])


def test_a_blocked_job_can_be_cancelled_and_run_again(path, stage):
    """Cancelled it does not run when its turn comes; retried it waits in its place again."""
    with Aurora(path, workers_enabled=True) as db, stage:
        db.job("mail", concurrency=1, key="${customer}")(stage)
        first, second, third = mails(db, "ada-1", "ada-2", "ada-3")
        stage.await_begun("ada-1")
        settled(db)
        assert db.cancel_job(second.id)
        assert db.retry_job(second.id)
        assert db.cancel_job(third.id)
        assert not db.retry_job(first.id)
        settled(db)
        assert statuses(db, [first, second, third]) == ["RUNNING", "BLOCKED", "CANCELLED"]
        stage.end("ada-1")
        stage.await_begun("ada-1", "ada-2")


def test_cancelling_a_running_job_frees_the_next(path, stage):
    """Its place is given back at once, though its handler may still run."""
    with Aurora(path, workers_enabled=True) as db, stage:
        db.job("mail", concurrency=1, key="${customer}")(stage)
        first, _ = mails(db, "ada-1", "ada-2")
        stage.await_begun("ada-1")
        settled(db)
        assert db.cancel_job(first.id)
        stage.await_begun("ada-1", "ada-2")


def test_completing_frees_the_next(path):
    """The completion in a transaction of the handler gives the place back like any other."""
    names = []
    with Aurora(path, workers_enabled=True) as db:

        @db.job("mail", concurrency=1, key="${customer}")
        def mail(payload, job):
            with job.completing() as tx:
                names.append(payload["name"])
                tx.result("sent")

        jobs = mails(db, *(f"ada-{n}" for n in range(20)))
        until(lambda: set(statuses(db, jobs)) == {"COMPLETED"})
        assert names == [f"ada-{n}" for n in range(20)]


def test_what_another_program_ends_is_noticed(path, stage, other_program):
    """sqlite3 cancels the running job: the next of its key runs."""
    with Aurora(path, workers_enabled=True) as db, stage:
        db.job("mail", concurrency=1, key="${customer}")(stage)
        first, _ = mails(db, "ada-1", "ada-2")
        stage.await_begun("ada-1")
        settled(db)
        other_program(
            f"UPDATE _jobs SET status = 'CANCELLED', finished_at = created_at, lease_until = NULL WHERE id = '{first.id}'"
        )
        stage.await_begun("ada-1", "ada-2")


def test_a_limit_that_is_cleared_frees_everybody(path, stage):
    """None clears; what was BLOCKED runs."""
    with Aurora(path, workers_enabled=True, worker_threads=8) as db, stage:
        db.workers.configure("media", concurrency=1, key="${customer}")
        db.job("mail")(stage)
        mails(db, "ada-1", "ada-2", "ada-3", queue="media")
        stage.await_begun("ada-1")
        settled(db)
        db.workers.configure("media", concurrency=None)
        stage.await_begun("ada-1", "ada-2", "ada-3")
        assert db.execute("{ _limits { name } }") == {"_limits": []}


def test_a_limit_counts_what_runs_already(path, stage):
    """Two run; from now on one may: the third begins when both have ended."""
    with Aurora(path, workers_enabled=True, worker_threads=8) as db, stage:
        db.job("mail")(stage)
        mails(db, "ada-1", "ada-2", queue="media")
        stage.await_begun("ada-1", "ada-2")
        db.workers.configure("media", concurrency=1)
        mails(db, "ada-3", queue="media")
        settled(db)
        stage.end("ada-1")
        settled(db)
        assert stage.began == ["ada-1", "ada-2"]
        stage.end("ada-2")
        stage.await_begun("ada-1", "ada-2", "ada-3")


def test_another_key_counts_by_itself(path, stage):
    """When the key changes, what runs counts by the new one."""
    with Aurora(path, workers_enabled=True, worker_threads=8) as db, stage:
        db.workers.configure("media", concurrency=1, key="${customer}")
        db.job("mail")(stage)

        def enqueue(name, customer, disk):
            payload = {"name": name, "customer": customer, "disk": disk}
            return db.enqueue_job("mail", payload, queue="media")

        enqueue("1", "ada", "x")
        enqueue("2", "ada", "y")
        third = enqueue("3", "ada", "x")
        stage.await_begun("1")
        settled(db)
        db.workers.configure("media", key="${disk}")
        stage.await_begun("1", "2")
        settled(db)
        assert db.get_job(third.id).status == "BLOCKED"
        stage.end("1")
        stage.await_begun("1", "2", "3")


def test_the_newest_handler_says_the_limit(path):
    """It stands in the database since a worker with the handler started; one without removes it."""
    shown = "{ _limits { scope name concurrency rate_count rate_period key } }"
    with Aurora(path, workers_enabled=True) as db:
        db.job("mail", concurrency=2, rate="100/1m", key="${customer}")(lambda _payload: None)
        db.job("scan")(lambda _payload: None)
        assert db.execute(shown)["_limits"] == [{
            "scope": "type", "name": "mail", "concurrency": 2, "rate_count": 100, "rate_period": 60.0,
            "key": "${customer}",
        }]  # fmt: skip
    jobs = Jobs()
    jobs.job("mail")(lambda _payload: None)
    jobs.job("scan", concurrency=7)(lambda _payload: None)
    with Aurora(path, jobs=jobs) as db:
        assert len(db.execute(shown)["_limits"]) == 1
    with Aurora(path, jobs=jobs, workers_enabled=True) as db:
        (limit,) = db.execute(shown)["_limits"]
    assert (limit["name"], limit["concurrency"]) == ("scan", 7)


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": 0},
        {"concurrency": True},
        {"rate": "100"},
        {"rate": "0/1m"},
        {"rate": 5},
        {"key": "${customer}"},
        {"key": "customer", "concurrency": 1},
        {"key": 7, "concurrency": 1},
    ],
)
def test_a_wrong_limit_is_refused(working, options):
    """By the handler and by the queue, naming the option; nothing is written."""
    name = next(iter(options))
    with pytest.raises(ValidationError, match=name):
        working.job("mail", **options)(lambda _payload: None)
    with pytest.raises(ValidationError, match=name):
        working.workers.configure("media", **options)
    assert working.execute("{ _limits { name } }") == {"_limits": []}


def test_an_unknown_option_names_the_nearest(working):
    """A typing error is not passed over."""
    with pytest.raises(TypeError, match="did you mean 'concurrency'"):
        working.workers.configure("media", concurency=1)
    with pytest.raises(ValidationError, match="queue"):
        working.workers.configure("", concurrency=1)


def test_limited_jobs_are_not_claimed_ahead(path, stage):
    """One slot, and a limit of five: one is RUNNING, for a claimed job would count without running."""
    with Aurora(path, workers_enabled=True, worker_threads=1) as db, stage:
        db.job("quick", concurrency=5)(lambda _payload: None)
        db.job("mail", concurrency=5)(stage)
        warm = db.enqueue_jobs("quick", [{}] * 50)
        until(lambda: set(statuses(db, warm)) == {"COMPLETED"})
        jobs = mails(db, "a", "b", "c")
        stage.await_begun("a")
        other = db.enqueue_job("quick", {}, Priority.CRITICAL)
        assert statuses(db, jobs) == ["RUNNING", "PENDING", "PENDING"]
        stage.end("a")
        stage.await_begun("a", "b")
        assert db.get_job(other.id).status == "COMPLETED"
        assert db.get_job(jobs[2].id).status == "PENDING"


def test_unlimited_jobs_do_not_starve_limited_ones(path):
    """A job with a limit is next when its turn comes, though the others are claimed ahead."""
    order = []
    with Aurora(path, workers_enabled=True, worker_threads=1) as db:
        first = [db.enqueue_job("plain", {"n": n}) for n in range(300)]
        second = db.enqueue_job("mail", {})
        last = [db.enqueue_job("plain", {"n": n}) for n in range(300, 600)]
        db.workers.pause("default")
        db.job("mail", concurrency=1)(lambda _payload: order.append("mail"))
        db.job("plain")(lambda payload: order.append(payload["n"]))
        db.workers.resume("default")
        until(lambda: len(order) == 601)
        until(lambda: set(statuses(db, [*first, second, *last])) == {"COMPLETED"})
    assert order == [*range(300), "mail", *range(300, 600)]


WORKER = """
import os, sys, time
from aurora_db import Aurora
db = Aurora(sys.argv[1], workers_enabled=True, worker_threads=4)

def note(job, what, at):
    db.insert_into("trace", {"job": job.id, "attempt": job.attempt, "pid": os.getpid(), "what": what, "at": at})

def traced(payload, job):
    note(job, "began", time.perf_counter_ns())
    time.sleep(payload["takes"])
    note(job, "ended", time.perf_counter_ns())

@db.job("render", concurrency=2, key="${customer}")
def render(payload, job):
    traced(payload, job)

@db.job("call", rate="15/1s")
def call(payload, job):
    traced(payload, job)

print("ready", flush=True)
db.workers.run()
db.close()
"""
PROCESSES, KILLS = 4, 2
CUSTOMERS = ("ada", "bob", "cyd", "dan")


def most_at_once(spans):
    """The largest number of spans that overlap; one that ends when another begins does not."""
    events = sorted([(end, -1) for _, end in spans] + [(begin, 1) for begin, _ in spans])
    return max(itertools.accumulate(step for _, step in events), default=0)


def running_at_once(feed, wanted):
    """The largest number of these jobs that were RUNNING after any commit."""
    running, most = set(), 0
    for change in feed:
        if change["id"] in wanted:
            runs = (change["after"] or {}).get("status") == "RUNNING"
            (running.add if runs else running.discard)(change["id"])
            most = max(most, len(running))
    return most


@pytest.mark.crash
def test_limits_hold_over_four_processes_and_their_deaths(path):
    """Two at once for each customer, three in the queue, fifteen a second: whatever is killed."""
    with Aurora(path, workers_enabled=True) as db:
        db.workers.configure("media", concurrency=3)
        db.execute(
            "schema { define collection trace { job: ID attempt: Int pid: Int what: String at: Int } }"
        )
        jobs = {}
        for n in range(120):
            payload = {"customer": CUSTOMERS[n % 4], "takes": 0.01}
            queue = ("default", "media")[n % 8 < 4]
            jobs[db.enqueue_job("render", payload, queue=queue, priority=n % 4 - 1).id] = (
                payload["customer"],
                queue,
            )
        calls = [db.enqueue_job("call", {"takes": 0.001}).id for _ in range(50)]
    killed = work_and_kill(path)
    with Aurora(path) as db:
        ended = db.execute("{ _jobs { id status crashes } }")["_jobs"]
        trace = db.execute("{ trace { job attempt pid at what } }")["trace"]
        feed = db.execute(
            '{ _changes(where: {collection: {eq: "_jobs"}}, orderBy: {seq: ASC}) { id after at } }'
        )["_changes"]
    assert Counter(one["status"] for one in ended) == {"COMPLETED": 170}
    assert sum(one["crashes"] for one in ended) >= 1
    spans = spans_of(trace, killed)
    for customer in CUSTOMERS:
        ours = {id for id, (whose, _) in jobs.items() if whose == customer}
        assert running_at_once(feed, ours) == 2
        assert most_at_once([span for id, span in spans if id in ours]) <= 2
    media = {id for id, (_, queue) in jobs.items() if queue == "media"}
    assert running_at_once(feed, media) == 3
    assert most_at_once([span for id, span in spans if id in media]) <= 3
    starts = sorted(
        one["at"]
        for one in feed
        if one["id"] in set(calls) and (one["after"] or {}).get("status") == "RUNNING"
    )
    assert len(starts) >= 50
    assert all(
        later - first >= timedelta(seconds=1)
        for first, later in zip(starts, starts[15:], strict=False)
    )


def work_and_kill(path):
    """Four workers until all jobs have ended; some are killed while they run. When, by process."""
    errors = open(path.parent / "errors.txt", "w")  # noqa: SIM115 - for all of them

    def start():
        return subprocess.Popen(
            [sys.executable, "-c", WORKER, str(path)], stdout=subprocess.PIPE, stderr=errors, text=True
        )  # fmt: skip

    workers, killed = [start() for _ in range(PROCESSES)], {}
    with errors, Aurora(path, workers_enabled=True) as db:

        def completed():
            return db.workers.stats().by_status.get("COMPLETED", 0)

        for least in range(30, 30 * (KILLS + 1), 30):
            until(lambda least=least: completed() >= least)
            victim = until(lambda: busy(db, workers), "that a worker runs something,")
            killed[victim.pid] = time.perf_counter_ns()
            victim.kill()
            victim.wait(GUARD)
            workers.append(start())
        until(lambda: completed() == 170, "the end of all jobs")
    for worker in workers:
        worker.terminate()
    codes = [worker.wait(GUARD) for worker in workers]
    for worker in workers:
        worker.stdout.close()
    assert sorted(codes) == [-signal.SIGKILL] * KILLS + [0] * PROCESSES
    assert "Traceback" not in (path.parent / "errors.txt").read_text()
    return killed


def busy(db, workers):
    """A worker that runs a render job now, or None."""
    pids = {one["id"]: one["pid"] for one in db.execute("{ _workers { id pid } }")["_workers"]}
    where = 'where: {status: {eq: "RUNNING"}, type: {eq: "render"}}'
    rows = db.execute(f"{{ _jobs({where}) {{ worker }} }}")["_jobs"]
    running = {pids.get(row["worker"]) for row in rows}
    return next((one for one in workers if one.poll() is None and one.pid in running), None)


def spans_of(trace, killed):
    """Job, begin and end of each attempt; with its process ends what was killed."""
    ends = {(one["job"], one["attempt"]): one["at"] for one in trace if one["what"] == "ended"}
    return [
        (one["job"], (one["at"], ends.get((one["job"], one["attempt"])) or killed[one["pid"]]))
        for one in trace
        if one["what"] == "began"
    ]
