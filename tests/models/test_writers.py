"""Writers beside each other: what they leave is what a model of them says, in whatever order they came."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from aurora_db import Aurora

sys.path.insert(0, str(Path(__file__).parent))

import writers

COUNT = 150


def prepared(path):
    """A database with the schema and the documents that all of them change."""
    db = Aurora(path)
    db.execute(writers.SCHEMA)
    db["tallies"].insert_many([{"name": name} for name in writers.TALLIES])
    return db


def agree(db, seeds, won):
    """The database holds what the model says, and each name was inserted by one writer."""
    wanted = writers.expected(seeds, COUNT)
    got = writers.found(db)
    assert Counter(got["upserts"]) == Counter(wanted["upserts"])
    assert got == {**wanted, "upserts": got["upserts"]}
    assert sorted(won) == wanted["names"]


def test_eight_threads(path):
    """Unique, increment, push, addToSet and upsert hold under threads."""
    seeds = list(range(8))
    won: list[str] = []
    with prepared(path) as db:
        together = threading.Barrier(len(seeds))

        def write(seed):
            together.wait(30)
            won.extend(writers.run(db, seed, COUNT))

        threads = [threading.Thread(target=write, args=(seed,)) for seed in seeds]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        agree(db, seeds, won)


@pytest.mark.crash
def test_four_processes(path):
    """The same under processes, each with its own connection."""
    seeds = [100, 101, 102, 103]
    prepared(path).close()
    program = [sys.executable, writers.__file__, str(path)]
    running = [
        subprocess.Popen(
            [*program, str(seed), str(COUNT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for seed in seeds
    ]
    for one in running:
        one.stdin.write("go\n")
        one.stdin.flush()
    outputs = [one.communicate(timeout=120)[0] for one in running]
    assert [one.returncode for one in running] == [0, 0, 0, 0]
    with Aurora(path) as db:
        agree(db, seeds, [name for output in outputs for name in json.loads(output)])
