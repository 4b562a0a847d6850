"""A consumer is killed again and again and goes on: each change exactly once, in order."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from aurora_db import Aurora, Timeout

PROGRAM = str(Path(__file__).with_name("resuming.py"))
SCHEMA = "schema { define collection t { n: Int } define collection effects { n: Int @unique } }"
KILLS = 8
#: Numbers that are written in the time of the kills, about; the consumer is asked for fewer.
MOST = 2_000
#: Seconds after which a wait has failed.
GUARD = 90.0


class Writing:
    """Writes numbers until it is told to stop, or there are enough."""

    def __init__(self, db: Aurora) -> None:
        self.count = 0
        self._db = db
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        chance = random.Random(7)
        while self.count < MOST and not self._over.is_set():
            size = chance.choice((1, 1, 1, 5, 40))
            self._db["t"].insert_many([{"n": n} for n in range(self.count, self.count + size)])
            self.count += size

    def stop(self) -> None:
        """End it; `count` numbers were written."""
        self._over.set()
        self._thread.join(GUARD)


def consumer(mode, path, notes):
    """A process that consumes."""
    return subprocess.Popen(
        [sys.executable, PROGRAM, mode, str(path), str(notes)], stdout=subprocess.PIPE, text=True
    )


def killed(mode, path, notes, seed):
    """Start a consumer and kill it after it has dealt with some changes, as often as `KILLS` says."""
    chance = random.Random(seed)
    for _ in range(KILLS):
        process = consumer(mode, path, notes)
        for _ in range(chance.randint(1, 60)):
            assert process.stdout.readline() != "", "it ended by itself"
        process.kill()
        process.communicate(timeout=GUARD)


def ended(mode, path, notes, last):
    """Let a consumer come to the number that is the last one."""
    process = consumer(mode, path, notes)
    guard = threading.Timer(GUARD, process.kill)
    guard.start()
    while (line := process.stdout.readline()).strip() != str(last):
        assert line != "", "it ended before it came to the last change"
    guard.cancel()
    process.kill()
    process.communicate(timeout=GUARD)


@pytest.fixture
def db(path):
    """A database whose numbers somebody will consume."""
    with Aurora(path, durability="relaxed") as opened:
        opened.execute(SCHEMA)
        yield opened


@pytest.mark.crash
def test_a_killed_consumer_that_keeps_its_position_has_each_change_once(db, path, tmp_path):
    """The position of a change is the place after it, whatever happened to the process."""
    notes = tmp_path / "notes.txt"
    notes.write_text(f"-1 {db.listen('t').position}\n")
    writing = Writing(db)
    killed("keeps", path, notes, seed=1)
    writing.stop()
    db["t"].insert({"n": writing.count})
    ended("keeps", path, notes, writing.count)

    numbers = [int(line.split()[0]) for line in notes.read_text().splitlines()]
    assert numbers == list(range(-1, writing.count + 1))


@pytest.mark.crash
def test_a_killed_durable_consumer_has_each_effect_once(db, path, tmp_path):
    """The effect and the position are in one transaction, so a kill finds both or neither."""
    with db.listen("t", consumer="copier") as changes, pytest.raises(Timeout):
        changes.next(timeout=0.01)
    writing = Writing(db)
    killed("durable", path, tmp_path, seed=2)
    writing.stop()
    db["t"].insert({"n": writing.count})
    ended("durable", path, tmp_path, writing.count)

    found = db.execute("{ effects(orderBy: {n: ASC}) { n } }")["effects"]
    assert [one["n"] for one in found] == list(range(writing.count + 1))
    assert db["effects"].count() == db["t"].count()
