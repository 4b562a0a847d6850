"""Four processes fire the same schedules and are killed meanwhile: each time fires exactly once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from aurora_db import Aurora, ManualClock

if TYPE_CHECKING:
    from pathlib import Path

GUARD = 120.0
PROCESSES = 4
KILLS = 8
#: Schedules, and the minutes that each was not fired for when the processes start.
SCHEDULES = 4
MISSED = 1_200

SCHEMA = """schema {
  define collection fired { schedule: String! }
  define collection effects { schedule: String!  job: ID! @unique }
}"""

#: Fires, and does the jobs; says when it is ready.
PROGRAM = """
import sys, threading
from aurora_db import Aurora
db = Aurora(sys.argv[1], workers_enabled=True, worker_threads=2)
@db.job("note")
def note(job):
    with job.completing() as tx:
        tx.insert_into("effects", {"schedule": job.payload["s"], "job": job.id})
print("ready", flush=True)
threading.Event().wait()
"""


def start(path: Path) -> subprocess.Popen[str]:
    with path.with_name("errors.txt").open("a") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(path)],
            stdout=subprocess.PIPE, stderr=errors, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=GUARD)


def define(path: Path, begin: datetime) -> None:
    """Schedules of a minute each, of which many times are due already, and one for now."""
    with Aurora(path, clock=ManualClock(begin)) as db:
        for n in range(SCHEDULES):
            db.execute(f"""define schedule "s{n}" {{ every: "1m" catchUp: ALL action: {{
              insertInto(collection: "fired", data: {{schedule: "s{n}"}}) {{ id }}
              enqueueJob(type: "note", payload: {{s: "s{n}"}})
            }} }}""")
    with Aurora(path) as db:
        db.execute('define schedule "now" { every: 1 catchUp: ALL action: { insertInto(collection: "fired", data: {schedule: "now"}) } }')  # fmt: skip


@pytest.mark.crash
def test_each_time_fires_once_over_four_processes_that_are_killed(tmp_path: Path) -> None:
    """Thousands of missed times and those of now: as many effects as times, none twice, none lost."""
    path = tmp_path / "schedules.db"
    rng = random.Random(20261125)
    with Aurora(path) as db:
        db.execute(SCHEMA)
    running = [start(path) for _ in range(PROCESSES)]
    try:
        # All of them see at once that thousands of times are due.
        define(path, datetime.now(UTC) - timedelta(minutes=MISSED))
        with Aurora(path) as db:
            for _ in range(KILLS):
                time.sleep(rng.uniform(0.02, 0.3))
                kill(running.pop(rng.randrange(PROCESSES)))
                running.append(start(path))
            wait_for_the_end(db)
            for process in running:
                kill(process)
            running.clear()
            look(db)
    finally:
        for process in running:
            kill(process)
    assert "Traceback" not in path.with_name("errors.txt").read_text()


def wait_for_the_end(db: Aurora) -> None:
    """Until everything missed has fired and its jobs are done."""
    end = time.monotonic() + GUARD
    while True:
        behind = [one for one in db.schedules() if one.next_at < datetime.now(UTC) - timedelta(seconds=5)]  # fmt: skip
        waiting = db.execute("{ _jobs(where: {status: {ne: COMPLETED}}) { aggregate { count } } }")
        if not behind and waiting["_jobs"]["aggregate"]["count"] == 0 and db["effects"].count():
            return
        assert time.monotonic() < end, (behind, waiting)
        time.sleep(0.05)


def look(db: Aurora) -> None:
    """One document for each time from the first to the last, one job and one effect of each job."""
    fired = Counter(row["schedule"] for row in db.execute("{ fired { schedule } }")["fired"])
    for one in db.schedules():
        (row,) = db.execute(
            "query ($n: String!) { _schedules(where: {name: $n}) { definition due_at } }",
            {"n": one.name},
        )["_schedules"]
        anchor = datetime.fromisoformat(row["definition"]["anchor"])
        assert one.every is not None
        times = (row["due_at"] - anchor) / timedelta(seconds=one.every) - 1
        assert fired[one.name] == times, one.name
        assert times >= (2 if one.name == "now" else MISSED)
    runs = db.execute("{ _schedule_runs { outcome } }")["_schedule_runs"]
    assert {run["outcome"] for run in runs} == {"FIRED"}
    jobs = db.execute("{ _jobs { id cause } }")["_jobs"]
    causes = {(job["cause"]["schedule"], job["cause"]["due"]) for job in jobs}
    assert len(causes) == len(jobs) == sum(fired.values()) - fired["now"]
    effects = {row["job"] for row in db.execute("{ effects { job } }")["effects"]}
    assert effects == {job["id"] for job in jobs}
