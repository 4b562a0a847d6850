"""One who never reads, beside a hundred who do, under a million changes."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import pathlib, resource, sys, threading
from aurora_db import Aurora, Change, F

TOTAL, GROUPS, BULK, GUARD = int(sys.argv[2]), 100, 5_000, 300

def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

with Aurora(sys.argv[1], durability="none") as db:
    db.define("docs", {"n": "Int!", "grp": "Int!", "text": "String"})
    wrong = []

    def follow(watch, grp):
        wanted = grp
        while wanted < TOTAL:
            doc = watch.next(GUARD).doc
            if (doc["n"], doc["grp"]) != (wanted, grp):
                wrong.append((doc["n"], wanted))
                return
            wanted += GROUPS

    slow = db.listen("docs")
    watches = [db.query("docs").filter(F.grp == grp).watch(initial=False) for grp in range(GROUPS)]
    readers = [threading.Thread(target=follow, args=(one, grp)) for grp, one in enumerate(watches)]
    for one in readers:
        one.start()
    before = peak = resident()
    for begin in range(0, TOTAL, BULK):
        db["docs"].insert_many([{"n": n, "grp": n % GROUPS, "text": f"text {n}"} for n in range(begin, begin + BULK)])
        peak = max(peak, resident())
    for one in readers:
        one.join(GUARD)
        assert not one.is_alive(), "a reader was held up"
    peak = max(peak, resident())
    for wanted in range(TOTAL):
        change = slow.next(GUARD)
        assert isinstance(change, Change), change
        assert change.new["n"] == wanted, (change, wanted)
    assert not wrong, wrong
    print(peak - before, max(peak, resident()) - before)
"""
#: MiB that the process may grow by: the buffers of 101 who follow, pages of the file, and what is in flight.
MOST = 400.0


def run(path: object, total: int) -> list[float]:
    """Megabytes that the process grew by: while it wrote, and in the end."""
    command = [sys.executable, "-c", PROGRAM, str(path), str(total)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [float(one) for one in done.stdout.split()]


def test_who_never_reads_holds_up_nobody_and_ends_complete(tmp_path):
    """20,000 changes: twice what its buffer holds."""
    assert max(run(tmp_path / "slow.db", 20_000)) < MOST


@pytest.mark.long
def test_a_million_changes_beside_one_who_never_reads(tmp_path):
    """The hundred get all of theirs in order, the slow one all of them, in bounded memory."""
    grown = run(tmp_path / "slow.db", 1_000_000)
    print(f"grew by {grown[0]:.0f} MiB while writing, {grown[1]:.0f} MiB in all")
    assert max(grown) < MOST
