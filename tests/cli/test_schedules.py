"""`aurora schedules`: what it lists, what it does, how it complains."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from aurora_db import Aurora, ManualClock


@pytest.fixture
def schedules(tmp_path):
    """A file with two schedules, and what runs the command on it."""
    path = tmp_path / "shop.db"
    with Aurora(path, clock=ManualClock(datetime(2026, 3, 28, 12, tzinfo=UTC))) as db:
        db.execute("""
          define schedule "a report" { cron: "30 2 * * *" timezone: "Europe/Paris" action: { enqueueJob(type: "t") } }
          define schedule "tick" { every: "1m" action: { enqueueJob(type: "u") } }
        """)

    def run(*words):
        done = subprocess.run(
            [sys.executable, "-m", "aurora_db", "schedules", str(path), *words],
            check=False, capture_output=True, text=True, timeout=60,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    run.path = path
    return run


def test_schedules_are_listed(schedules):
    """When each is due, and how the last time went; all or one, for people or machines."""
    listed = (
        "a report: cron 30 2 * * * Europe/Paris, next 2026-03-29 01:00:00+00:00, never ran\n"
        "tick: every 60 s, next 2026-03-28 12:01:00+00:00, never ran\n"
    )
    assert schedules() == (0, listed, "")
    assert schedules("list", "tick")[1].count("\n") == 1
    (first, _) = json.loads(schedules("--json")[1])
    assert (first["name"], first["timezone"], first["next_at"]) == (
        "a report",
        "Europe/Paris",
        "2026-03-29T01:00:00Z",
    )


def test_the_next_times_are_shown(schedules):
    """On the clock of the schedule's own zone; over the change of clocks."""
    assert schedules("next", "a report", "--count", "2")[1] == (
        "a report:\n  2026-03-29 03:00:00+02:00\n  2026-03-30 02:30:00+02:00\n"
    )
    assert schedules("next", "--count", "1", "--json")[1] == (
        '{"a report":["2026-03-29T01:00:00Z"],"tick":["2026-03-28T12:01:00Z"]}\n'
    )


def test_one_is_run_disabled_and_enabled(schedules):
    """As the verbs of AQL do."""
    assert schedules("run", "a report") == (0, "a report: run\n", "")
    assert schedules("disable", "tick") == (0, "tick: disabled\n", "")
    assert schedules("disable", "tick", "--json")[1] == '{"name":"tick","status":"unchanged"}\n'
    assert schedules()[1].splitlines()[1] == "tick: every 60 s, disabled, never ran"
    assert schedules("next", "tick")[1] == "tick: disabled\n"
    assert schedules("enable", "tick") == (0, "tick: enabled\n", "")
    with Aurora(schedules.path) as db:
        assert [one["type"] for one in db.execute("{ _jobs { type } }")["_jobs"]] == ["t"]


def test_what_is_wrong_is_said(schedules):
    """A name that is missing or wrong, another word, another file."""
    code, _, error = schedules("run")
    assert code == 2
    assert "NAME" in error
    code, _, error = schedules("next", "tock")
    assert (code, error.splitlines()[0]) == (1, "error: no schedule named 'tock'")
    code, _, error = schedules("run", "tock")
    assert (code, error.splitlines()[0]) == (1, "error: no schedule named 'tock'")
    assert schedules("stop", "tick")[0] == 2


def test_a_failure_is_shown(schedules):
    """With its error below."""
    with Aurora(schedules.path) as db:
        db._engine.write(_fail)
    lines = schedules("list", "tick")[1].splitlines()
    assert lines[0].endswith("last FAILED")
    assert lines[1] == "  NotFound: no such thing"


async def _fail(port):
    await port.change(
        "INSERT INTO _schedule_runs (schedule, due_at, fired_at, outcome, error) VALUES (?, ?, ?, ?, ?)",
        ("tick", "2026-03-28T12:00:00.000000Z", "2026-03-28T12:00:00.000000Z", "FAILED", "NotFound: no such thing"),
    )  # fmt: skip
