"""Several programs at once on one file: Aurora processes and the standard library's sqlite3."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import kill
import programs

from aurora_db import Aurora

if TYPE_CHECKING:
    from pathlib import Path

#: Aurora processes; one of sqlite3 comes beside them.
PROCESSES = 4
#: Seconds that one write may wait for the others at most; sqlite3's own patience is 15.
WAIT = 8.0


@dataclass
class Report:
    """What each program did, and what is left."""

    by_name: dict[str, dict[str, object]]
    found: dict[str, object]
    drained: float

    @property
    def products(self) -> int:
        """Products that were acknowledged, by all programs."""
        return sum(self.number(name, "products") for name in self.by_name)

    @property
    def enqueued(self) -> int:
        """Jobs that were enqueued by hand."""
        return sum(self.number(name, "enqueued") for name in self.by_name)

    def number(self, name: str, what: str) -> int:
        """One count of one program."""
        value = self.by_name[name][what]
        assert isinstance(value, int)
        return value

    def faults(self) -> list[str]:
        """What must not be; empty when all is well."""
        found = self.found
        ours = [n for n in self.by_name if n != "sqlite3"]
        fair = sum(self.number(n, "products") for n in ours) / len(ours)
        wrong = {
            "products are lost": found["products"] != self.products,
            "products have no effect": found["without"],
            "effects came twice": found["twice"],
            "jobs by hand are lost": found["counted"] != self.enqueued,
            "jobs did not complete": found["statuses"]
            != {"COMPLETED": self.products + self.enqueued},
            "the file is damaged": found["integrity"] != "ok",
            "errors reached a user": any(one["errors"] for one in self.by_name.values()),
            "a program of ours starved": min(self.number(n, "products") for n in ours) < fair / 4,
            "a program waited too long": any(
                float(str(one["longest"])) > WAIT for one in self.by_name.values()
            ),
        }
        return [what for what, yes in wrong.items() if yes]


def run(path: Path, seconds: float) -> Report:
    """Let all of them write, enqueue and work for `seconds`, and look at what is left.

    Raises:
        AssertionError: one of them hangs, or the queue does not drain.
    """
    with Aurora(path) as db:
        db.execute(programs.SCHEMA)
    names = [f"aurora-{n}" for n in range(1, PROCESSES + 1)] + ["sqlite3"]
    running: dict[str, subprocess.Popen[str]] = {}
    said: dict[str, dict[str, object]] = {}
    try:
        for name in names:
            role = "other" if name == "sqlite3" else "everything"
            running[name] = subprocess.Popen(
                [sys.executable, kill.PROGRAMS, role, str(path), str(seconds)],
                stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
        for name, process in running.items():
            output, _ = process.communicate(timeout=seconds + kill.GUARD)
            assert process.returncode == 0, f"{name} ended with {process.returncode}"
            said[name] = json.loads(output)
    finally:
        for process in running.values():
            if process.poll() is None:
                process.kill()
                process.wait(kill.GUARD)
    begun = time.monotonic()
    with Aurora(path, workers_enabled=True, worker_threads=8, jobs=programs.jobs) as db:
        kill.wait_until(lambda: kill.unfinished(db) == 0, "the queue to drain")
    return Report(said, kill.looked_at(path), time.monotonic() - begun)
