"""Caches of several processes: what all of them saw is what one register after the other could have shown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from aurora_db import Aurora

sys.path.insert(0, str(Path(__file__).parent))

import registers

PROGRAM = Path(__file__).with_name("registers.py")
GUARD = 120


class Program:
    """One of the processes."""

    def __init__(self, path, log, name, steps, seed, *how):
        arguments = [path, log, name, steps, seed, *how]
        self.process = subprocess.Popen(
            [sys.executable, PROGRAM, *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ready(self):
        assert self.process.stdout.readline() == "ready\n"

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self):
        """The hits of its caches; None where it was killed."""
        said = self.process.communicate(timeout=GUARD)[0].split()
        return [int(one) for one in said] or None


def history(folder, path, steps, how, seed=1):
    """What processes saw, one for each of `how`, and their hits."""
    with Aurora(path, durability="none") as db:
        registers.prepare(db)
    logs = [folder / f"{n}.log" for n in range(len(how))]
    programs = [
        Program(path, log, f"p{n}", steps, seed * 100 + n, *([way] if way else []))
        for n, (log, way) in enumerate(zip(logs, how, strict=True))
    ]
    for program in programs:
        program.ready()
    for program in programs:
        program.go()
    hits = [program.end() for program in programs]
    return [line for log in logs for line in whole(log)], hits


def whole(log):
    """The lines of a log; whoever was killed may have left half of one."""
    text = log.read_text()
    return text[: text.rfind("\n") + 1].splitlines()


def test_four_processes_read_nothing_stale(tmp_path, path):
    """Four processes read and write the same documents, also in transactions that are rolled back."""
    lines, hits = history(tmp_path, path, 3_000, [None] * 4)
    assert registers.violations(lines) == []
    assert all(documents > 0 and results > 0 for documents, results in hits)


def test_killed_in_commits_nothing_is_stale_either(tmp_path, path):
    """Some are killed just before a commit, or just after it, when nobody was told of it yet."""
    lines, hits = history(tmp_path, path, 3_000, [None, None, "dies", "dies"])
    assert registers.violations(lines) == []
    assert hits[2:] == [None, None]
    with Aurora(path) as db:
        db["registers"].update("r0", {"value": "last"})
        assert [db["registers"].get("r0")["value"] for _ in range(4)] == ["last"] * 4
        assert db.cache_stats().documents.hits == 2


def test_the_check_finds_a_cache_without_invalidation(tmp_path, path):
    """What keeps entries that it should drop is caught, so the tests above mean something."""
    lines, _ = history(tmp_path, path, 3_000, [None, "broken", None])
    assert registers.violations(lines) != []


@pytest.mark.long
def test_many_rounds_with_deaths(tmp_path, path):
    """Round after round, with other seeds."""
    for seed in range(12):
        folder = tmp_path / str(seed)
        folder.mkdir()
        lines, _ = history(folder, folder / "test.db", 20_000, [None, None, None, "dies"], seed)
        assert registers.violations(lines) == []


@pytest.mark.parametrize(
    ("lines", "right"),
    [
        (["write r a 10 20", "read r first 1 5", "read r a 30 40"], True),
        # what overlaps may come in either order
        (["write r a 10 50", "read r first 20 30", "read r a 25 40"], True),
        (["write r a 10 20", "read r first 30 40"], False),
        (["write r a 10 20", "write r b 30 40", "read r b 50 60", "read r a 70 80"], False),
        # a reader goes back, though the write is not over yet
        (["write r a 10 90", "read r a 20 30", "read r first 40 50"], False),
        # who died in a write may have written, or not
        (["begin r a 10 0", "read r first 20 30"], True),
        (["begin r a 10 0", "read r a 20 30", "read r a 40 50"], True),
        (["begin r a 10 0", "read r a 20 30", "read r first 40 50"], False),
        (["read r rolled back 20 30"], False),
        (["write r a 50 60", "read r a 20 30"], False),
        (["write r a 10 20", "write r b 10 20", "read r a 30 40", "read r b 50 60"], False),
        (["write q a 10 20", "read r first 30 40"], True),
    ],
)
def test_the_check(lines, right):
    """The check by itself, on histories whose truth shows at a glance."""
    assert (registers.violations(lines) == []) is right
