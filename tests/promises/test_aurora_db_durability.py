"""The behaviours that the documents of aurora-db 0.6 promise, by their number: durability.

The processes that are killed are real ones; SIGKILL lets them finish nothing.
"""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from aurora_db import Aurora, UniqueViolation

#: Seconds after which something hangs.
GUARD = 60

WRITER = """
import sys
from aurora_db import Aurora
db = Aurora(sys.argv[1])
db.execute("schema { define collection t if not exists { n: Int body: String } }")
for n in range(int(sys.argv[2]), int(sys.argv[3])):
    db["t"].insert({"id": str(n), "n": n, "body": str(n % 10) * int(sys.argv[4])})
    print(n, flush=True)
sys.stdin.read()
"""


def killed(path, first, last, size=1, after=None):
    """The numbers that a writer told to have written before it was killed."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(first), str(last), str(size)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdin is not None
    assert writer.stdout is not None
    with writer.stdin, writer.stdout:
        told = [int(writer.stdout.readline()) for _ in range(after or last - first)]
        writer.send_signal(signal.SIGKILL)
        told += [int(line) for line in writer.stdout if line.endswith("\n")]
        writer.wait(GUARD)
    return told


def test_90_what_was_written_is_there_after_a_kill(path):
    """Cycle after cycle adds up, large documents come back whole, and again is once."""
    for cycle in range(3):
        told = killed(path, cycle * 5, cycle * 5 + 5, size=100_000)
        assert told == [*range(cycle * 5, cycle * 5 + 5)]
        with Aurora(path) as db:
            assert db["t"].count() == (cycle + 1) * 5
    with Aurora(path) as db:
        for n in range(15):
            assert db["t"].get(str(n)) == {"id": str(n), "n": n, "body": str(n % 10) * 100_000}
        with pytest.raises(UniqueViolation):
            db["t"].insert({"id": "3", "n": 3})
        assert (db["t"].count(), db.check()) == (15, [])


def test_91_garbage_at_the_end_of_the_log_is_not_read(path):
    """What a torn write left behind the last commit is ignored: all that was synced is there."""
    killed(path, 0, 20)
    log = path.with_name(path.name + "-wal")
    assert log.stat().st_size > 0
    with log.open("ab") as file:
        file.write(b"\x00garbage\xff" * 1_000)
    with Aurora(path) as db:
        assert db["t"].count() == 20
        assert db["t"].insert({"id": "more", "n": 20}) == "more"
        assert db.check() == []


def test_92_what_was_acknowledged_survives_every_kill(path):
    """Killed in the middle of its writes, round after round: of what it told nothing is lost."""
    expected = set()
    for cycle in range(6):
        first = cycle * 10_000
        expected |= set(killed(path, first, first + 10_000, after=1 + cycle * 13))
        with Aurora(path) as db:
            there = {document["n"] for document in db.execute("{ t { n } }")["t"]}
        assert expected <= there
        # Beyond what was told there may be the one write whose answer was on its way.
        assert len(there - expected) <= cycle + 1
