"""Worker processes that kill themselves at a crash point: the effects of a job are there once in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aurora_db import Aurora
from aurora_db.testing import VARIABLE

PROGRAMS = str(Path(__file__).with_name("programs.py"))
GUARD = 60.0

#: Where it dies, and the most crashes of a job in the end: those that run beside it die with it, those
#: that have not begun do not count.
POINTS = {
    "after_claim": 0,
    "in_completing_before_commit": 1,
    "after_commit_before_ack": 1,
    "in_completing_before_commit:3": 1,
}


def worker(path, **environment):
    """A worker process of its own."""
    return subprocess.Popen(
        [sys.executable, PROGRAMS, "worker", str(path)],
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_end(db, jobs):
    """Wait until all of these jobs have ended."""
    import time

    end = time.monotonic() + GUARD
    while any(db.get_job(job.id).finished_at is None for job in jobs):
        assert time.monotonic() < end, [db.get_job(job.id) for job in jobs]
        time.sleep(0.01)


@pytest.mark.crash
@pytest.mark.parametrize("point", POINTS)
def test_a_worker_dies_there(path, point):
    """Killed by itself; another one does what is left, and nothing is there twice."""
    with Aurora(path) as db:
        db.execute("schema { define collection effects { product: ID! attempt: Int! } }")
        jobs = db.enqueue_jobs("effect", [{"product": f"p{n}"} for n in range(5)])
        dying = worker(path, **{VARIABLE: point})
        assert dying.wait(GUARD) == -signal.SIGKILL
        dying.stderr.close()
        left = sum(db.get_job(job.id).finished_at is None for job in jobs)
        assert left > 0
        living = worker(path)
        wait_for_end(db, jobs)
        living.terminate()
        assert living.wait(GUARD) == 0
        living.stderr.close()
        effects = db.execute("{ effects { product } }")["effects"]
        assert sorted(one["product"] for one in effects) == ["p0", "p1", "p2", "p3", "p4"]
        found = [db.get_job(job.id) for job in jobs]
        assert [one.status for one in found] == ["COMPLETED"] * 5
        assert max(one.crashes for one in found) <= POINTS[point]


@pytest.mark.crash
def test_a_settlement_that_is_not_committed_is_made_again(path):
    """`before_commit`: the handler had returned; it runs once more, as is documented."""
    with Aurora(path) as db:
        job = db.enqueue_job("plain", {"x": 1})
        program = (
            "import sys; from aurora_db import Aurora\n"
            "db = Aurora(sys.argv[1], workers_enabled=True)\n"
            "db.job('plain')(lambda payload: payload)\n"
            "db.workers.run()\n"
            "db.close()\n"
        )
        command = [sys.executable, "-c", program, str(path)]
        dying = subprocess.Popen(command, env={**os.environ, VARIABLE: "before_commit"})
        assert dying.wait(GUARD) == -signal.SIGKILL
        assert db.get_job(job.id).status == "RUNNING"
        living = subprocess.Popen(command)
        wait_for_end(db, [job])
        living.terminate()
        assert living.wait(GUARD) == 0
        ended = db.get_job(job.id)
        assert (ended.result, ended.attempt, ended.retries) == ({"x": 1}, 2, 0)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("after_claims", "no crash point named 'after_claims'"),
        ("after_claim:soon", "'AURORA_CRASH_AT' is a point or 'point:n' with n from 1"),
        ("after_claim:0", "'AURORA_CRASH_AT' is a point or 'point:n' with n from 1"),
    ],
)
def test_a_wrong_point_is_refused_when_workers_start(path, value, said):
    """Else a crash test would test nothing."""
    failing = worker(path, **{VARIABLE: value})
    _, errors = failing.communicate(timeout=GUARD)
    assert failing.returncode == 1
    assert said in errors
