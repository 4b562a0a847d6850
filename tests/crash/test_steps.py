"""Steps and fences with real processes: stopped, continued, killed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aurora_db import Aurora, JobFailed, ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

sys.path.insert(0, str(Path(__file__).parent))

import steps

GUARD = 60.0
PROGRAM = str(Path(steps.__file__))


@contextmanager
def worker(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that works; killed at the end, if it still lives."""
    with subprocess.Popen(
        [sys.executable, PROGRAM, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
            process.wait(GUARD)


def ask(process: subprocess.Popen[str], what: str) -> str:
    """What the zombie says when it has tried."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(what + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


TRIALS = ("progress", "heartbeat", "step", "step with tx", "sleep", "completing")


@pytest.mark.crash
@pytest.mark.parametrize(
    "when", ["while the new holder runs", "after the new holder has completed"]
)
def test_a_zombie_can_do_nothing(path: Path, when: str) -> None:
    """Stopped past its lease and continued, it neither reports, nor steps, nor writes, nor completes.

    The rescuer's clock is two minutes ahead, so that the lease has ended for it.
    """
    began, go_on = threading.Event(), threading.Event()
    clock = ManualClock(datetime.now(UTC) + timedelta(minutes=2))
    with Aurora(path) as db:
        db.execute(steps.SCHEMA)
        job = db.enqueue_job("zombie", {})
    with worker(path) as zombie:
        assert zombie.stdout is not None
        assert zombie.stdout.readline() == "began\n"
        zombie.send_signal(signal.SIGSTOP)
        with Aurora(path, workers_enabled=True, worker_threads=1, clock=clock) as db:

            @db.job("zombie")
            def successor(_payload: object, job) -> str:
                job.step("before", int)
                job.progress(0.5, "successor")
                job.step("own", steps.note, job.id, "successor")
                began.set()
                assert go_on.wait(GUARD)
                return "successor"

            assert began.wait(GUARD)
            if when.startswith("after"):
                go_on.set()
                assert db.wait_job(job.id, GUARD) == "successor"
            zombie.send_signal(signal.SIGCONT)
            answers = {what: ask(zombie, what) for what in TRIALS}
            assert zombie.stdin is not None
            # Its report was refused when it was written, if not at once.
            assert answers.pop("progress") in {"done", "lease_lost"}
            assert set(answers.values()) == {"lease_lost"}
            zombie.stdin.write("return\n")
            zombie.stdin.flush()
            zombie.terminate()
            # It has settled what it returned, or tried to.
            assert zombie.wait(GUARD) == 0
            held = db.get_job(job.id)
            assert held is not None
            if when.startswith("while"):
                assert (held.status, held.attempt) == ("RUNNING", 2)
            go_on.set()
            assert db.wait_job(job.id, GUARD) == "successor"
            done = db.get_job(job.id)
            found = db.execute("{ effects { step } _job_steps { name attempt } }")
    assert done is not None
    assert (done.attempt, done.crashes, done.progress_note) == (2, 1, "successor")
    assert found["effects"] == [{"step": "successor"}]
    assert found["_job_steps"] == [
        {"name": "before", "attempt": 1},
        {"name": "own", "attempt": 2},
    ]


def finished_at_last(db: Aurora, id: str) -> object:
    """The result of a job, retried by hand when its worker died three times."""
    try:
        return db.wait_job(id, GUARD)
    except JobFailed as failed:
        if failed.job is None or failed.job.error != "worker died 3 times running this":
            raise
        db.retry_job(id)
        return db.wait_job(id, GUARD)


#: Where the process dies, and what is begun then and by the next attempt.
POINTS = {
    "inside first": (["first of attempt 1"], ["first", "outside", "last"]),
    "after first": (["first of attempt 1"], ["outside", "last"]),
    "inside outside": (["first of attempt 1", "outside of attempt 1"], ["outside", "last"]),
    "after outside": (["first of attempt 1", "outside of attempt 1"], ["last"]),
    "inside last": (
        ["first of attempt 1", "outside of attempt 1", "last of attempt 1"],
        ["last"],
    ),
    "after last": (["first of attempt 1", "outside of attempt 1", "last of attempt 1"], []),
}


@pytest.mark.crash
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_between_and_inside_of_steps(path: Path, point: str) -> None:
    """What was finished is not begun again, what was not is; each effect is there exactly once."""
    first, second = POINTS[point]
    with Aurora(path) as db:
        db.execute(steps.SCHEMA)
        job = db.enqueue_job("killed", {"point": point})
        with worker(path) as dies:
            assert dies.wait(GUARD) == -signal.SIGKILL
            assert dies.stdout is not None
            assert dies.stdout.read().splitlines() == first
        with worker(path) as goes_on:
            assert db.wait_job(job.id, GUARD) == ["first", "outside", "last"]
            goes_on.terminate()
            assert goes_on.wait(GUARD) == 0
            assert goes_on.stdout is not None
            assert goes_on.stdout.read().splitlines() == [f"{name} of attempt 2" for name in second]
        done = db.get_job(job.id)
        effects = db.execute("{ effects { step } }")["effects"]
    assert done is not None
    assert (done.attempt, done.crashes, done.retries) == (2, 1, 0)
    assert effects == [{"step": "first"}, {"step": "last"}]


@pytest.mark.crash
def test_kills_at_any_moment_repeat_no_finished_step(path: Path) -> None:
    """Sixty jobs of five steps in processes that are killed eight times: three hundred effects.

    A job that was killed three times has failed; retried by hand it goes on after its steps.
    """
    rng = random.Random(20261125)
    log = path.with_name("log.txt")
    with Aurora(path) as db:
        db.execute(steps.SCHEMA)
        made = db.enqueue_jobs("chain", [{"log": str(log)}] * 60)
        for _ in range(8):
            with worker(path):
                size = log.stat().st_size if log.exists() else 0
                end = time.monotonic() + GUARD
                while not log.exists() or log.stat().st_size < size + rng.randrange(50, 1_500):
                    assert time.monotonic() < end, "no step goes on"
                    time.sleep(0.002)
        with worker(path):
            for job in made:
                assert finished_at_last(db, job.id) == steps.STEPS
        effects = db.execute("{ effects { job step } }")["effects"]
    counted = Counter((row["job"], row["step"]) for row in effects)
    assert counted == {(job.id, f"step {n}"): 1 for job in made for n in range(steps.STEPS)}
    finished: set[str] = set()
    for line in log.read_text().splitlines():
        what, _, step = line.partition(" ")
        assert what == "finished" or step not in finished, f"{step} was begun again"
        if what == "finished":
            finished.add(step)
