"""SIGKILL at random moments: starts writers and workers, kills them, and looks at what is left."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aurora_db import Aurora

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS = str(Path(__file__).with_name("programs.py"))
#: Seconds after which a wait has failed.
GUARD = 90.0
#: Programs by name; the part before the dash is the role.
NAMES = ("writer-1", "tasks-1", "worker-1", "worker-2", "worker-3")

CHECK = """
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
one = lambda sql: db.execute(sql).fetchone()[0]
print(json.dumps({
    "integrity": one("PRAGMA integrity_check"),
    "products": one("SELECT count(*) FROM products"),
    "without": one("SELECT count(*) FROM products p WHERE NOT EXISTS (SELECT 1 FROM effects e WHERE e.product = p.id AND e.attempt > 0)"),
    "effects": one("SELECT count(*) FROM effects WHERE attempt > 0"),
    "counted": one("SELECT count(*) FROM effects WHERE attempt = 0"),
    "twice": one("SELECT count(*) FROM (SELECT product FROM effects GROUP BY product, attempt > 0 HAVING count(*) > 1)"),
    "again": one("SELECT count(*) FROM effects WHERE attempt > 1"),
    "jobs": one("SELECT count(*) FROM _jobs"),
    "statuses": dict(db.execute("SELECT status, count(*) FROM _jobs GROUP BY status").fetchall()),
}))
"""


def looked_at(path: Path) -> dict[str, object]:
    """What the standard library's sqlite3 finds in the file, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(path)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that must happen.

    Raises:
        AssertionError: it did not, within `GUARD` seconds.
    """
    end = time.monotonic() + GUARD
    while not condition():
        assert time.monotonic() < end, f"waited {GUARD} s for {what}"
        time.sleep(0.01)


def unfinished(db: Aurora) -> int:
    """How many jobs have not ended."""
    where = "{status: {in: [PENDING, RUNNING, SCHEDULED]}}"
    found = db.execute(f"{{ _jobs(where: {where}) {{ aggregate {{ count }} }} }}")
    return found["_jobs"]["aggregate"]["count"]


@dataclass
class Report:
    """What happened and what is left."""

    kills: Counter[str] = field(default_factory=Counter[str])
    acknowledged: int = 0
    lost: int = 0
    rescues: list[float] = field(default_factory=list[float])
    seconds: float = 0.0
    found: dict[str, object] = field(default_factory=dict[str, object])

    def rescue(self, share: float) -> float:
        """Seconds from a kill to the end of the rescue, not exceeded by `share` of them."""
        times = sorted(self.rescues)
        return times[min(len(times) - 1, int(len(times) * share))] if times else 0.0

    def faults(self) -> list[str]:
        """What must not be; empty when all is well."""
        found = self.found
        wrong = {
            "acknowledged products are missing": self.lost,
            "products have no effect": found["without"],
            "products have two effects": found["twice"],
            "effects are too many": found["effects"] != found["products"],
            "jobs are lost": found["jobs"] != found["products"],
            "jobs did not complete": found["statuses"] != {"COMPLETED": found["jobs"]},
            "the file is damaged": found["integrity"] != "ok",
        }
        return [what for what, yes in wrong.items() if yes]


class Programs:
    """Writers and workers that come back after each kill; what the writers said is kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.acknowledged: list[str] = []
        self.running: dict[str, subprocess.Popen[str]] = {}
        self.readers: list[threading.Thread] = []
        #: Workers that were killed, by id, and when.
        self.killed: dict[str, float] = {}
        self.report = Report()
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._rescues)

    def start(self, name: str) -> None:
        """Start the program of this name."""
        role = name.partition("-")[0]
        speaks = role != "worker"
        with self.path.with_name("errors.txt").open("a") as errors:
            process = subprocess.Popen(
                [sys.executable, PROGRAMS, role, str(self.path)],
                stdout=subprocess.PIPE if speaks else subprocess.DEVNULL,
                stderr=errors,
                text=True,
            )
        self.running[name] = process
        if speaks:
            reader = threading.Thread(target=self._read, args=(process,))
            reader.start()
            self.readers.append(reader)

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            # A line cut by the kill was not acknowledged.
            self.acknowledged.extend(line.strip() for line in lines if line.endswith("\n"))

    def kill(self, name: str, db: Aurora) -> None:
        """Kill one, without warning."""
        process = self.running.pop(name)
        assert process.poll() is None, self.path.with_name("errors.txt").read_text()
        found = db.execute(
            "query ($p: Int!) { _workers(where: {pid: $p}) { id } }", {"p": process.pid}
        )
        process.send_signal(signal.SIGKILL)
        for worker in found["_workers"]:
            self.killed[worker["id"]] = time.monotonic()
        process.wait(GUARD)
        self.report.kills[name.partition("-")[0]] += 1

    def watch(self) -> None:
        """Begin to measure rescues."""
        self._watch.start()

    def _rescues(self) -> None:
        """From the kill of a worker to the moment when nothing is held in its name."""
        held = "{ _jobs(where: {status: RUNNING}) { worker } }"
        seen: set[str] = set()
        with Aurora(self.path, read_only=True) as db:
            while not self._over.wait(0.005):
                holders = {row["worker"] for row in db.execute(held)["_jobs"]}
                for id in list(self.killed):
                    if id in holders:
                        seen.add(id)
                    else:
                        took = time.monotonic() - self.killed.pop(id)
                        # One that held nothing had nothing to be rescued.
                        if id in seen:
                            self.report.rescues.append(took)

    def stop(self) -> None:
        """End everything."""
        self._over.set()
        for process in self.running.values():
            process.kill()
            process.wait(GUARD)
        for reader in self.readers:
            reader.join(GUARD)
        if self._watch.is_alive():
            self._watch.join(GUARD)


def run(path: Path, kills: int, seed: int, say: Callable[[int], None] = lambda _: None) -> Report:
    """Kill so often, wait until the queue has drained, and report. `say` is told of each kill.

    Raises:
        AssertionError: nothing goes on any more.
    """
    rng = random.Random(seed)
    begun = time.monotonic()
    group = Programs(path)
    try:
        for name in NAMES:
            group.start(name)
        wait_until(lambda: len(group.acknowledged) > 5, "the first products")
        with Aurora(path) as db:
            group.watch()
            for n in range(kills):
                before = len(group.acknowledged)
                time.sleep(rng.uniform(0.1, 0.5))
                wait_until(lambda before=before: len(group.acknowledged) > before, "progress")
                name = rng.choice(NAMES)
                group.kill(name, db)
                group.start(name)
                say(n + 1)
            for name in ("writer-1", "tasks-1"):
                group.kill(name, db)
            for reader in group.readers:
                reader.join(GUARD)
            wait_until(lambda: unfinished(db) == 0, "the queue to drain")
            wait_until(lambda: not group.killed, "the last rescues")
            stored = {row["id"] for row in db.execute("{ products { id } }")["products"]}
    finally:
        group.stop()
    report = group.report
    report.acknowledged = len(group.acknowledged)
    report.lost = len(set(group.acknowledged) - stored)
    report.found = looked_at(path)
    report.seconds = time.monotonic() - begun
    return report
