"""SIGKILL at random moments: nothing acknowledged is lost, no effect happens twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aurora_db import Aurora

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = Path(__file__).with_name("programs.py")
KILLS = 20
GUARD = 90.0

CHECK = """
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
one = lambda sql: db.execute(sql).fetchone()[0]
print(json.dumps({
    "integrity": one("PRAGMA integrity_check"),
    "products": one("SELECT count(*) FROM products"),
    "without": one("SELECT count(*) FROM products p WHERE NOT EXISTS (SELECT 1 FROM effects e WHERE e.product = p.id)"),
    "effects": one("SELECT count(*) FROM effects"),
    "twice": one("SELECT count(*) FROM (SELECT product FROM effects GROUP BY product HAVING count(*) > 1)"),
    "jobs": one("SELECT count(*) FROM _jobs"),
    "open": one("SELECT count(*) FROM _jobs WHERE status <> 'COMPLETED'"),
}))
"""


class Programs:
    """A writer and two workers that come back after each kill; what the writer said is kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.acknowledged: list[str] = []
        self.running: dict[str, subprocess.Popen[str]] = {}
        self.readers: list[threading.Thread] = []

    def start(self, name: str) -> None:
        kind = name.split("-", maxsplit=1)[0]
        with self.path.with_name("errors.txt").open("a") as errors:
            process = subprocess.Popen(
                [sys.executable, str(PROGRAMS), kind, str(self.path)],
                stdout=subprocess.PIPE if kind == "writer" else subprocess.DEVNULL,
                stderr=errors,
                text=True,
            )
        self.running[name] = process
        if kind == "writer":
            reader = threading.Thread(target=self._read, args=(process,))
            reader.start()
            self.readers.append(reader)

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            # A line cut by the kill was not acknowledged.
            self.acknowledged.extend(line.strip() for line in lines if line.endswith("\n"))

    def kill(self, name: str) -> None:
        process = self.running.pop(name)
        assert process.poll() is None, self.path.with_name("errors.txt").read_text()
        process.send_signal(signal.SIGKILL)
        process.wait(GUARD)

    def stop(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait(GUARD)
        for reader in self.readers:
            reader.join(GUARD)


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    started = Programs(tmp_path / "kill.db")
    yield started
    started.stop()


def wait_until(condition: object, what: str) -> None:
    end = time.monotonic() + GUARD
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, f"waited {GUARD} s for {what}"
        time.sleep(0.02)


def unfinished(db: Aurora) -> int:
    where = "{status: {in: [PENDING, RUNNING, SCHEDULED]}}"
    return db.execute(f"{{ _jobs(where: {where}) {{ aggregate {{ count }} }} }}")["_jobs"][
        "aggregate"
    ]["count"]


@pytest.mark.crash
def test_a_killed_process_loses_nothing_and_repeats_nothing(programs: Programs) -> None:
    """A writer and two workers are killed 20 times; each product has its one effect."""
    rng = random.Random(20261124)
    names = ["writer", "worker-1", "worker-2"]
    for name in names:
        programs.start(name)
    wait_until(lambda: len(programs.acknowledged) > 5, "the first products")

    for _ in range(KILLS):
        before = len(programs.acknowledged)
        wait_until(lambda before=before: len(programs.acknowledged) > before, "progress")
        time.sleep(rng.uniform(0.0, 0.15))
        name = rng.choice(names)
        programs.kill(name)
        programs.start(name)
    programs.kill("writer")
    for reader in programs.readers:
        reader.join(GUARD)

    with Aurora(programs.path) as db:
        wait_until(lambda: unfinished(db) == 0, "the queue to drain")
        stored = {row["id"] for row in db.execute("{ products { id } }")["products"]}
    programs.stop()

    assert set(programs.acknowledged) <= stored
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(programs.path)],
        capture_output=True,
        text=True,
        check=True,
    )
    seen = json.loads(done.stdout)
    assert seen["integrity"] == "ok"
    assert seen["products"] == len(stored)
    assert (seen["without"], seen["twice"]) == (0, 0)
    assert seen["effects"] == seen["products"] == seen["jobs"]
    assert seen["open"] == 0
    assert os.path.exists(programs.path)
