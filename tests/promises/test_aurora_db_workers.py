"""The behaviours that the documents of aurora-db 0.6 promise, by their number: failing and crashing jobs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

from aurora_db import Aurora, Jobs

#: Seconds after which something hangs.
GUARD = 60

WORKER = """
import sys, time
from aurora_db import Aurora
db = Aurora(sys.argv[1], workers_enabled=True, worker_threads=1)
@db.job("hang")
def hang(payload):
    print("began", flush=True)
    time.sleep(600)
db.workers.run()
"""


def test_85_retries_and_their_waits(db, clock):
    """After each failure it waits 5, 10, 20, 40 seconds; at the last one it is FAILED, with its error."""

    @db.job("mail")
    def mail(job):
        raise ValueError(f"number {job.attempt}")

    job = db.enqueue_job("mail", {}, retries=5)
    waits = []
    for attempt in range(1, 6):
        db.jobs_testing.drain()
        now = db.get_job(job.id)
        assert now.retries == attempt
        if attempt < 5:
            assert now.status == "SCHEDULED"
            waits.append((now.run_at - clock.now()).total_seconds())
            clock.advance(60)
    assert all(
        0.9 * plain <= wait <= 1.1 * plain
        for plain, wait in zip((5, 10, 20, 40), waits, strict=True)
    )
    assert (now.status, now.error) == ("FAILED", "ValueError: number 5")
    assert db.jobs_testing.drain(with_scheduled=True).attempts == 0


def test_87_jobs_at_a_crash_are_run_after_the_restart(path):
    """Those that waited and the one that ran when the process was killed."""
    with Aurora(path) as db:
        jobs = db.enqueue_jobs("hang", [{"n": n} for n in range(3)])
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert worker.stdout is not None
        with worker.stdout as lines:
            assert lines.readline().strip() == "began"
            os.kill(worker.pid, signal.SIGKILL)
            worker.wait(GUARD)
    seen = []
    done = threading.Event()
    registry = Jobs()

    @registry.job("hang")
    def hang(payload):
        seen.append(payload["n"])
        if len(seen) == 3:
            done.set()

    with Aurora(path, workers_enabled=True, worker_threads=1, jobs=registry) as db:
        assert done.wait(GUARD)
    assert sorted(seen) == [0, 1, 2]
    with Aurora(path) as db:
        assert {db.get_job(job.id).status for job in jobs} == {"COMPLETED"}


def test_88_a_timeout_fails_and_an_unknown_type_stays(working):
    """An attempt that takes too long ends as a timeout; a job of which nobody knows the type waits."""
    unknown = working.enqueue_job("nobody", {})
    let_go, ran = threading.Event(), threading.Event()

    @working.job("slow", timeout=0.05, retries=1)
    def slow(_payload):
        let_go.wait(GUARD)

    @working.job("failed")
    def failed(_payload):
        ran.set()

    working.execute(
        'define handler "told" { on: "job_failed:slow" action: { enqueueJob(type: "failed") } }'
    )
    job = working.enqueue_job("slow", {})
    assert ran.wait(GUARD)
    let_go.set()
    ended = working.get_job(job.id)
    assert (ended.status, ended.error) == ("FAILED", "Timeout: the attempt took longer than 0.05 s")
    assert working.get_job(unknown.id).status == "PENDING"


def test_89_stats_count_by_status(path, clock, claim_one):
    """Waiting, running, done and failed jobs are counted."""
    with Aurora(path, clock=clock, workers_enabled=True) as db:
        for retries in (1, 1, 1, 1):
            db.enqueue_job("mail", {}, retries=retries)
        claim_one(db).complete()
        claim_one(db).fail(ValueError("no"))
        claim_one(db)
        found = {status: n for status, n in db.workers.stats().by_status.items() if n}
    assert found == {"COMPLETED": 1, "FAILED": 1, "RUNNING": 1, "PENDING": 1}
