"""Other programs that write beside the one that follows: an Aurora of its own, and plain sqlite3.

`python live_programs.py aurora|sqlite` serves lines of JSON: what to open, then steps; each is
answered by a line when it has been done.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from aurora_db import Aurora

#: Seconds that a program may take to answer.
GUARD = 60.0


class Program:
    """A program at the other end of a pipe, kept for all examples."""

    def __init__(self, kind: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.models.live_programs", kind],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip

    def tell(self, verb: str, what: Any = None) -> Any:
        """Tell it to do something, and wait until it has."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([verb, what]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the program has ended"
        return json.loads(line)

    def end(self) -> None:
        """It ends when its input does."""
        self._process.communicate(timeout=GUARD)


def aurora() -> None:
    """An Aurora that does steps."""
    from tests.models.live_world import do

    db: Aurora | None = None
    folder = Path()
    for line in sys.stdin:
        verb, what = json.loads(line)
        said = None
        match verb:
            case "open":
                folder = Path(what).parent
                db = Aurora(what, durability="none")
            case "do":
                assert db is not None
                said = do(db, what, folder)
            case _:
                assert db is not None
                db.close()
                db = None
        print(json.dumps(said), flush=True)


def sqlite() -> None:
    """The standard library's sqlite3, which knows nothing of Aurora."""
    db: sqlite3.Connection | None = None
    for line in sys.stdin:
        verb, what = json.loads(line)
        said = None
        match verb:
            case "open":
                db = sqlite3.connect(what, isolation_level=None, timeout=GUARD)
                db.execute("PRAGMA synchronous = OFF")
            case "do":
                assert db is not None
                said = transaction(db, what[1], commit=what[2])
            case _:
                assert db is not None
                db.close()
                db = None
        print(json.dumps(said), flush=True)


def transaction(db: sqlite3.Connection, statements: list[Any], *, commit: bool) -> str | None:
    """Run statements together; what is wrong with one undoes all."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for text, params in statements:
            db.execute(text, params)
    except sqlite3.Error as error:
        db.execute("ROLLBACK")
        return str(error)
    db.execute("COMMIT" if commit else "ROLLBACK")
    return None


if __name__ == "__main__":
    aurora() if sys.argv[1] == "aurora" else sqlite()
