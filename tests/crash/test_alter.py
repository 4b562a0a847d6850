"""SIGKILL in the middle of an alteration: the old collection or the new one, never a part of it."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aurora_db import Aurora

sys.path.insert(0, str(Path(__file__).parent))

import altering

KILLS = 8

CHECK = """
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
names = lambda table: [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
print(json.dumps([
    db.execute("PRAGMA integrity_check").fetchone()[0],
    db.execute("PRAGMA foreign_key_check").fetchall(),
    db.execute("SELECT name FROM sqlite_schema WHERE name LIKE '%alter%' OR name LIKE '%converted%'").fetchall(),
    names("t"), names("teams"),
]))
"""


@pytest.mark.crash
def test_a_killed_alteration_leaves_the_old_or_the_new_collection(tmp_path):
    """Two collections that relate are altered in one block and killed at random moments."""
    path = tmp_path / "a.db"
    altering.prepare(str(path))
    rng = random.Random(20261124)
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, altering.__file__, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.stdout.close()
        process.wait(60)
        assert _form(path) in ("first", "second")


def _form(path: Path) -> str:
    """Which of the two forms the file has, everything in it being of this form."""
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(path)], capture_output=True, text=True, check=True
    )
    integrity, broken, remains, t, teams = json.loads(done.stdout)
    assert (integrity, broken, remains) == ("ok", [], [])
    with Aurora(path) as db:
        count = db["t"].count()
        one = db.execute("{ t(limit: 1) { team { id } } }")["t"]
        whole = db.execute("{ t(orderBy: {id: ASC}, limit: 1) }")["t"][0]
    assert (count, one) == (altering.DOCUMENTS, [{"team": {"id": "red"}}])
    first = (["_n", "id", "_rev", "n", "team"], ["_n", "id", "_rev", "name"], ["id", "n", "team"])
    second = (
        ["_n", "id", "_rev", "m", "team", "plan"],
        ["_n", "id", "_rev", "title"],
        ["id", "m", "team", "plan"],
    )
    found = (t, teams, list(whole))
    assert found in (first, second), found
    return "first" if found == first else "second"
