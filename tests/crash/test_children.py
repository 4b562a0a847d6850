"""Real kills of workers with child processes: none is left behind, no effect happens twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aurora_db import Aurora

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

sys.path.insert(0, str(Path(__file__).parent))

import children

PROGRAM = str(Path(__file__).with_name("children.py"))
GUARD = 60.0
#: Seconds that an orphan may live.
ORPHAN = 2.0
#: How a child is busy, and how many processes that makes.
HOW = {"python": 1, "lock": 1, "program": 2}


def until(condition: Callable[[], bool], what: str, seconds: float = GUARD) -> None:
    """Wait for what must happen."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.002)


def gone(pid: int) -> bool:
    """Whether no process has this id; one that nobody has waited for has ended, too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the handlers say that they began."""
    made = tmp_path / "began"
    made.mkdir()
    return made


@pytest.fixture
def db(path: Path) -> Iterator[Aurora]:
    """A database with a collection for effects, which only enqueues."""
    with Aurora(path) as opened:
        opened.execute("schema { define collection effects { how: String! attempt: Int! } }")
        yield opened


@pytest.fixture
def worker(db: Aurora, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker in a process of its own."""
    process = subprocess.Popen([sys.executable, PROGRAM, str(path)])
    yield process
    process.kill()
    process.wait(GUARD)


def began(folder: Path, how: str, count: int) -> list[int]:
    """The ids of the processes that a handler has made, when all of them run."""
    until(lambda: len(list(folder.glob(f"{how}-*[0-9]"))) == count, f"{how} to begin")
    return [int(file.read_text()) for file in folder.glob(f"{how}-*[0-9]")]


def all_began(folder: Path) -> list[int]:
    return [pid for how, count in HOW.items() for pid in began(folder, how, count)]


@pytest.mark.crash
def test_a_worker_is_killed_while_its_children_are_busy(db, path, folder, worker):
    """They are gone at once, also one inside a C function and the program that one had started.

    The jobs are rescued and have their effects once.
    """
    jobs = [db.enqueue_job("busy", {"how": how, "folder": str(folder)}) for how in HOW]
    pids = all_began(folder)
    worker.kill()
    until(lambda: all(gone(pid) for pid in pids), "the orphans to end", ORPHAN)
    with Aurora(path, workers_enabled=True, jobs=children.jobs) as other:
        for job in jobs:
            until(lambda job=job: other.get_job(job.id).status == "COMPLETED", str(job))
        assert [other.get_job(job.id).crashes for job in jobs] == [1, 1, 1]
        found = other.execute("{ effects(orderBy: {how: ASC}) { how attempt } }")["effects"]
    assert found == [
        {"how": "lock", "attempt": 2},
        {"how": "program", "attempt": 2},
        {"how": "python", "attempt": 2},
    ]


@pytest.mark.crash
def test_a_child_is_killed_from_outside(db, folder, worker):
    """Its job has a crash and is done again at once; the other one goes on undisturbed."""
    beside = db.enqueue_job("busy", {"how": "program", "folder": str(folder)})
    job = db.enqueue_job("busy", {"how": "python", "folder": str(folder)})
    (pid,) = began(folder, "python", 1)
    began(folder, "program", 2)
    os.kill(pid, signal.SIGKILL)
    until(lambda: db.get_job(job.id).status == "COMPLETED", str(job))
    done, running = db.get_job(job.id), db.get_job(beside.id)
    assert (done.attempt, done.crashes, done.retries) == (2, 1, 0)
    assert (running.status, running.attempt, running.crashes) == ("RUNNING", 1, 0)
    assert db.execute("{ effects { how attempt } }") == {
        "effects": [{"how": "python", "attempt": 2}]
    }


@pytest.mark.crash
def test_what_a_dead_child_has_left_is_ended(db, folder, worker):
    """A process that it forked holds its pipes; its death is seen all the same."""
    job = db.enqueue_job("fork", {"how": "fork", "folder": str(folder)})
    until(lambda: db.get_job(job.id).status == "FAILED", str(job))
    assert db.get_job(job.id).error == "worker died 3 times running this (exit code 7)"
    pids = [int(file.read_text()) for file in folder.glob("fork-*[0-9]")]
    assert len(pids) >= 1
    until(lambda: all(gone(pid) for pid in pids), "what was forked to end", ORPHAN)


@pytest.mark.crash
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_a_worker_and_its_children_at_once(db, path, folder, worker, number):
    """The first lets the handlers go on; after the second nothing is left, and the jobs are rescued."""
    jobs = [db.enqueue_job("busy", {"how": how, "folder": str(folder)}) for how in HOW]
    pids = all_began(folder)
    worker.send_signal(number)
    # It takes nothing new: that is how the first signal shows.
    waits = db.enqueue_job("busy", {"how": "none", "folder": str(folder)})
    assert not any(gone(pid) for pid in pids)
    assert worker.poll() is None
    end = time.monotonic() + GUARD
    while worker.poll() is None:
        assert time.monotonic() < end
        worker.send_signal(number)
        time.sleep(0.05)
    assert worker.returncode == 128 + number
    until(lambda: all(gone(pid) for pid in pids), "the orphans to end", ORPHAN)
    assert db.get_job(waits.id).status == "PENDING"
    with Aurora(path, workers_enabled=True, jobs=children.jobs) as other:
        for job in [*jobs, waits]:
            until(
                lambda job=job: (
                    other.get_job(job.id).finished_at or other.get_job(job.id).attempt > 1
                ),
                str(job),
            )


@pytest.mark.crash
def test_a_graceful_stop_gives_back_what_a_child_cannot_finish(db, path, folder):
    """SIGTERM, the timeout, and the process ends well: jobs PENDING and uncounted, no orphan."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); import children; from aurora_db import Aurora\n"
        "with Aurora(sys.argv[1], workers_enabled=True, worker_threads=3, jobs=children.jobs,"
        " shutdown_timeout=0.2) as db: db.workers.run()\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", code, str(path), str(Path(PROGRAM).parent)])
    try:
        jobs = [db.enqueue_job("busy", {"how": how, "folder": str(folder)}) for how in HOW]
        pids = all_began(folder)
        worker.terminate()
        assert worker.wait(GUARD) == 0
        until(lambda: all(gone(pid) for pid in pids), "the children to end", ORPHAN)
        found = [db.get_job(job.id) for job in jobs]
        assert [(one.status, one.retries, one.crashes) for one in found] == [("PENDING", 0, 0)] * 3
    finally:
        worker.kill()
        worker.wait(GUARD)
