"""SIGKILL of all workers half-way through a flow and a batch: nothing changes in the result."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aurora_db import Aurora

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

sys.path.insert(0, str(Path(__file__).parent))

import flowing

GUARD = 240.0
CALLBACKS = {"on_success": "told", "on_complete": "told", "on_failure": "told"}

#: What the feed says of each job: how often it completed, and whether any began before its time.
CHECK = """
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
one = lambda sql: db.execute(sql).fetchone()[0]
db.executescript('''
    CREATE TEMP TABLE ends AS SELECT id, seq FROM _changes WHERE collection = '_jobs' AND after = '{"status":"COMPLETED"}';
    CREATE INDEX temp.by_id ON ends (id);
    CREATE TEMP TABLE begins AS SELECT id, min(seq) AS seq FROM _changes
        WHERE collection = '_jobs' AND after = '{"status":"RUNNING"}' GROUP BY id;
''')
print(json.dumps({
    "integrity": one("PRAGMA integrity_check"),
    "statuses": dict(db.execute("SELECT type || ' ' || status, count(*) FROM _jobs GROUP BY 1").fetchall()),
    "twice": one("SELECT count(*) FROM (SELECT id FROM ends GROUP BY id HAVING count(*) > 1)"),
    "early": one('''SELECT count(*) FROM _jobs JOIN begins ON begins.id = _jobs.id, json_each(_jobs.after) AS named
                     WHERE begins.seq < (SELECT min(seq) FROM ends WHERE ends.id = named.value)'''),
    "edges": one("SELECT count(*) FROM _job_dependencies"),
}))
"""


def looked_at(path: Path) -> dict[str, object]:
    """What the standard library's sqlite3 finds in the file, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(path)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + GUARD
    while not condition():
        assert time.monotonic() < end, f"waited {GUARD} s for {what}"
        time.sleep(0.002)


class Workers:
    """Two worker processes at a time."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._command = [sys.executable, flowing.__file__, str(path), str(seconds)]
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        self.running = [subprocess.Popen(self._command) for _ in range(2)]

    def kill(self) -> None:
        for process in self.running:
            process.send_signal(signal.SIGKILL)
        for process in self.running:
            process.wait(GUARD)
        self.running = []


@pytest.fixture
def workers(path: Path, request: pytest.FixtureRequest) -> Iterator[Workers]:
    """Worker processes, gone at the end of the test."""
    made = Workers(path, request.node.callspec.params["seconds"])
    yield made
    made.kill()


def killed_half_way(db: Aurora, workers: Workers, id: str) -> None:
    """Let two processes work, kill both when half is done, start two others, wait for the end."""
    workers.start()
    half = db.get_batch(id).total // 2
    wait_until(lambda: db.get_batch(id).completed >= half, "half of the jobs")
    workers.kill()
    assert db.get_batch(id).finished_at is None, "the workers were too fast to be killed"
    workers.start()
    told = '{ _jobs(where: {type: "told", status: COMPLETED}) { id } }'
    wait_until(lambda: len(db.execute(told)["_jobs"]) >= 2, "the callbacks")


SIZES = [(600, 0.002), pytest.param(10_000, 0.0, marks=pytest.mark.long)]


@pytest.mark.crash
@pytest.mark.parametrize(("count", "seconds"), SIZES)
def test_a_flow_whose_workers_are_killed_ends_as_if_nothing_had_happened(
    path, workers, count, seconds
):
    """Layers of fifty, each job after three of the layer before: each once, in order."""
    rng = random.Random(count)
    with Aurora(path) as db:
        with db.flow(**CALLBACKS) as flow:
            for n in range(count):
                before = {str((n // 50 - 1) * 50 + rng.randrange(50)) for _ in range(3)}
                flow.job(str(n), "work", n, after=before if n >= 50 else ())
        killed_half_way(db, workers, flow.id)
    workers.kill()
    found = looked_at(path)
    assert found == {
        "integrity": "ok",
        "statuses": {"work COMPLETED": count, "told COMPLETED": 2},
        "twice": 0,
        "early": 0,
        "edges": 0,
    }


SIZES = [(3_000, 0.001), pytest.param(100_000, 0.0, marks=pytest.mark.long)]


@pytest.mark.crash
@pytest.mark.parametrize(("count", "seconds"), SIZES)
def test_a_batch_whose_workers_are_killed_calls_back_once(path, workers, count, seconds):
    """Each job once, each callback once."""
    with Aurora(path) as db:
        with db.batch(**CALLBACKS) as batch:
            batch.enqueue_jobs("work", range(count))
        killed_half_way(db, workers, batch.id)
        found = db.get_batch(batch.id)
        assert (found.completed, found.failed, found.cancelled) == (count, 0, 0)
    workers.kill()
    found = looked_at(path)
    assert found == {
        "integrity": "ok",
        "statuses": {"work COMPLETED": count, "told COMPLETED": 2},
        "twice": 0,
        "early": 0,
        "edges": 0,
    }
