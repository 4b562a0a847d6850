"""The counters of commits: equal when nothing is under way, right whoever dies or comes late."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys

import pytest

from aurora_db import Aurora, ReadOnly

SCHEMA = "define collection users if not exists { id: ID!  age: Int }"

DIES_AFTER = """
import os, signal, sys
from aurora_db import Aurora
from aurora_db.store.generation import Generation
with Aurora(sys.argv[1]) as db:
    Generation.end = lambda self: os.kill(os.getpid(), signal.SIGKILL)
    db["users"].update("u1", {"age": 2})
"""
UPDATES = """
import sys
from aurora_db import Aurora
with Aurora(sys.argv[1]) as db:
    db["users"].update("u1", {"age": int(sys.argv[2])})
"""


def counters(path):
    """`begun` and `ended` of the file."""
    return struct.unpack(
        "<qq", (path.parent / f"{path.name}-aurora" / "generation").read_bytes()[:16]
    )


def program(text, *arguments):
    return subprocess.run(
        [sys.executable, "-c", text, *map(str, arguments)], timeout=60, check=False
    )


def test_a_commit_moves_both(path):
    with Aurora(path) as db:
        db.execute(SCHEMA)
        begun, ended = counters(path)
        db["users"].insert({"id": "u1"})
        assert begun == ended
        assert counters(path) == (begun + 1, begun + 1)


def test_what_is_rolled_back_moves_nothing(path):
    with Aurora(path) as db:
        db.execute(SCHEMA)
        before = counters(path)
        with db.transaction() as tx:
            tx["users"].insert({"id": "u1"})
            tx.rollback()
        assert counters(path) == before


def test_a_commit_that_fails_has_ended_too(path):
    """A constraint that is looked at in the COMMIT itself fails it, and nobody waits for its end."""
    with Aurora(path) as db:
        db.execute(SCHEMA)
        before = counters(path)[0]

        async def broken(port):
            await port.script("PRAGMA defer_foreign_keys = ON")
            await port.script(
                "CREATE TABLE a (id INTEGER PRIMARY KEY);"
                "CREATE TABLE b (a INTEGER REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED);"
                "INSERT INTO b VALUES (1)"
            )

        with pytest.raises(Exception, match="Foreign key"):
            db._engine.write(broken)
        assert counters(path) == (before + 1, before + 1)
        assert db["users"].insert({"id": "u1"}) == "u1"


def test_who_was_killed_between_commit_and_its_end_hides_nothing(path):
    """Its commit is seen at once by others, and the next commit makes the counters equal again."""
    with Aurora(path) as db:
        db.execute(SCHEMA)
        db["users"].insert({"id": "u1", "age": 1})
        assert [db["users"].get("u1")["age"] for _ in range(3)] == [1, 1, 1]

        died = program(DIES_AFTER, path)

        assert died.returncode == -signal.SIGKILL
        begun, ended = counters(path)
        assert begun == ended + 1
        assert [db["users"].get("u1")["age"] for _ in range(5)] == [2] * 5
        # While they differ the database is asked whether anything was committed, and memory still serves.
        assert db.cache_stats().documents.hits >= 3
        db["users"].insert({"id": "u2"})
        assert len(set(counters(path))) == 1


def test_who_comes_late_makes_nothing_look_settled(path):
    """A process that stopped just after its COMMIT notes the end when another one has committed."""
    with Aurora(path) as slow, Aurora(path) as quick, Aurora(path) as reader:
        slow.execute(SCHEMA)
        slow["users"].insert({"id": "u1", "age": 1})
        generation = slow._engine.generation
        begun, _ = counters(path)
        late, generation.end = generation.end, lambda: None
        slow["users"].update("u1", {"age": 2})
        assert counters(path) == (begun + 1, begun)
        assert [reader["users"].get("u1")["age"] for _ in range(4)] == [2] * 4

        quick["users"].update("u1", {"age": 3})
        late()

        assert counters(path) == (begun + 2, begun + 2)
        assert [reader["users"].get("u1")["age"] for _ in range(4)] == [3] * 4


def test_the_file_belongs_to_whom_the_database_belongs_to(path):
    """Whoever may write the database may write the counters; they cannot be put aside unnoticed."""
    with Aurora(path) as db:
        db.execute(SCHEMA)
        mode = os.stat(path).st_mode & 0o666
        made = path.parent / f"{path.name}-aurora" / "generation"
        assert made.stat().st_mode & 0o777 == mode


def test_a_process_that_cannot_tell_others_commits_nothing(path):
    """Where the file cannot be made, a write is refused with what to do."""
    with Aurora(path) as db:
        db.execute(SCHEMA)
        db["users"].insert({"id": "u1", "age": 1})
    folder = path.parent / f"{path.name}-aurora"
    for one in folder.iterdir():
        one.unlink()
    folder.rmdir()
    folder.write_text("in its place")

    with pytest.raises(ReadOnly, match="other processes would not see the commit") as refused:
        Aurora(path)

    assert "let this user write the folder" in refused.value.hint
    with Aurora(path, read_only=True) as db:
        assert [db["users"].get("u1")["age"] for _ in range(3)] == [1, 1, 1]


def test_a_reader_without_the_file_looks_into_the_database_each_time(path):
    """A read-only process cannot make the file; it sees each commit of others all the same."""
    with Aurora(path) as db:
        db.execute(SCHEMA)
        db["users"].insert({"id": "u1", "age": 1})
    (path.parent / f"{path.name}-aurora" / "generation").unlink()
    with Aurora(path, read_only=True) as reader:
        assert [reader["users"].get("u1")["age"] for _ in range(3)] == [1, 1, 1]
        for age in (2, 3):
            program(UPDATES, path, age)
            assert [reader["users"].get("u1")["age"] for _ in range(3)] == [age] * 3
        assert reader.cache_stats().documents.hits >= 3


def test_a_file_that_was_removed_is_made_anew(path):
    """Processes of before and after its removal see each other by looking, within the poll interval."""
    with Aurora(path, poll_interval=0.001) as before:
        before.execute(SCHEMA)
        before["users"].insert({"id": "u1", "age": 1})
        assert [before["users"].get("u1")["age"] for _ in range(3)] == [1, 1, 1]
        (path.parent / f"{path.name}-aurora" / "generation").unlink()
        with Aurora(path) as after:
            after["users"].update("u1", {"age": 2})
            assert before["users"].get("u1", fresh=True)["age"] == 2
            after["users"].update("u1", {"age": 3})
            assert [before["users"].get("u1", fresh=True)["age"] for _ in range(3)] == [3] * 3
            assert before._engine.generation.was_removed is False


def test_memory_has_counters_of_its_own():
    with Aurora(":memory:") as db:
        db.execute(SCHEMA)
        db["users"].insert({"id": "u1", "age": 1})
        assert [db["users"].get("u1")["age"] for _ in range(4)] == [1] * 4
        db["users"].update("u1", {"age": 2})
        assert [db["users"].get("u1")["age"] for _ in range(4)] == [2] * 4
        assert db.cache_stats().documents.hits == 4
