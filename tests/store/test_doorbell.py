"""The doorbell: heard across processes, stale ones removed, long paths, and never a failure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from aurora_db import Aurora
from aurora_db.jobs import pump
from aurora_db.store import doorbell
from aurora_db.store.doorbell import Doorbell, Ringer, folder_of

GUARD = 30.0

ENQUEUE = """
import sys
from aurora_db import Aurora
with Aurora(sys.argv[1]) as db:
    db.enqueue_job("hello", {"from": "another process"})
"""
DIES = """
import sys, time
from pathlib import Path
from aurora_db.store.doorbell import Doorbell
Doorbell(Path(sys.argv[1]), "jobs", lambda urgency: None)
print("bound", flush=True)
time.sleep(600)
"""


class Ear:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.rang = threading.Event()

    def __call__(self, urgency: int) -> None:
        self.heard.append(urgency)
        self.rang.set()


def test_rings_by_topic_and_not_oneself(tmp_path):
    jobs, changes, own = Ear(), Ear(), Ear()
    bells = [
        Doorbell(tmp_path, topic, ear)
        for topic, ear in (("jobs", jobs), ("changes", changes), ("jobs", own))
    ]
    ringer = Ringer(tmp_path)
    ringer.leave_out(bells[2].path)
    ringer.ring("jobs", 2)
    assert jobs.rang.wait(GUARD)
    ringer.ring("changes", -1)
    assert changes.rang.wait(GUARD)
    for bell in bells:
        bell.close()
    assert (jobs.heard, changes.heard, own.heard) == ([2], [-1], [])
    assert list(tmp_path.iterdir()) == []
    ringer.ring("jobs", 0)
    ringer.close()


def test_a_bell_that_is_new_is_rung(tmp_path):
    """Also when it was made in the same tick of the folder's time stamp as the last look."""
    ringer = Ringer(tmp_path)
    for _ in range(50):
        ringer.ring("jobs", 0)
        ear = Ear()
        bell = Doorbell(tmp_path, "jobs", ear)
        ringer.ring("jobs", 0)
        assert ear.rang.wait(GUARD)
        bell.close()
    ringer.close()


def test_the_socket_of_a_killed_process_is_removed(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", DIES, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "bound\n"
    process.send_signal(signal.SIGKILL)
    process.wait(GUARD)
    process.stdout.close()
    assert len(list(tmp_path.glob("bell.jobs.*"))) == 1
    ringer = Ringer(tmp_path)
    ringer.ring("jobs", 0)
    assert list(tmp_path.glob("bell.*")) == []
    ringer.close()


def test_a_full_bell_does_not_block(tmp_path):
    """A process that hangs does not hold up those who commit."""
    blocked, let_go = threading.Event(), threading.Event()

    def heard(_urgency: int) -> None:
        blocked.set()
        assert let_go.wait(GUARD)

    bell = Doorbell(tmp_path, "jobs", heard)
    ringer = Ringer(tmp_path)
    for _ in range(20_000):
        ringer.ring("jobs", 0)
    assert blocked.wait(GUARD)
    let_go.set()
    bell.close()
    ringer.close()


@pytest.mark.parametrize("length", [0, 200])
def test_a_worker_hears_another_process(tmp_path, monkeypatch, length):
    """Looking is put off for an hour, so only the bell can tell; also with a path of 200 characters."""
    monkeypatch.setattr(pump, "SHORTEST", 3600.0)
    folder = tmp_path
    while len(str(folder)) < length:
        folder /= "a-folder-with-a-long-name"[: max(1, length - len(str(folder)))]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "bell.db"
    ran = threading.Event()
    with Aurora(path, workers_enabled=True, worker_threads=1, poll_interval=3600.0) as db:
        db.job("hello")(lambda _payload: ran.set())
        (bell,) = folder_of(os.path.realpath(path)).glob("bell.jobs.*")
        assert len(os.fsencode(str(bell))) <= doorbell.LONGEST_PATH
        subprocess.run([sys.executable, "-c", ENQUEUE, str(path)], check=True, timeout=GUARD)
        assert ran.wait(GUARD)
    assert not bell.exists()


def test_without_a_bell_there_is_looking(path, monkeypatch):
    """A folder that is not our own is not used; what others write is seen all the same."""
    monkeypatch.setattr(doorbell, "LONGEST_PATH", 0)
    short = path.parent / "short"
    monkeypatch.setattr(doorbell, "SHORT", short)
    short.mkdir()
    folder = folder_of(os.path.realpath(path))
    folder.mkdir()
    folder.chmod(0o777)
    ran = threading.Event()
    with Aurora(path, workers_enabled=True, worker_threads=1) as db:
        db.job("hello")(lambda _payload: ran.set())
        assert list(folder.iterdir()) == []
        subprocess.run([sys.executable, "-c", ENQUEUE, str(path)], check=True, timeout=GUARD)
        assert ran.wait(GUARD)


def test_two_names_of_one_file_share_their_bells(tmp_path):
    real, link = tmp_path / "real.db", tmp_path / "link.db"
    Aurora(real).close()
    link.symlink_to(real)
    with Aurora(link, workers_enabled=True) as db:
        db.job("hello")(lambda: None)
        assert len(list(folder_of(os.path.realpath(real)).glob("bell.jobs.*"))) == 1
