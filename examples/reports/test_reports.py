"""The reports say what the data says, counted by the standard library."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from aurora_db import Aurora

ROOT = Path(__file__).parents[2]


def counted(out: Path) -> dict[str, list[dict[str, str]]]:
    """The rows of each day's report, from the files that the database was filled from."""
    with (out / "airlines.csv").open(newline="") as file:
        names = {row["carrier"]: row["name"] for row in csv.DictReader(file)}
    delays: dict[tuple[str, str], list[int | None]] = defaultdict(list)
    with (out / "flights.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            day = f"2013-{int(row['month']):02}-{int(row['day']):02}"
            flown = row["dep_time"] not in ("", "NA")
            delays[day, row["carrier"]].append(int(row["dep_delay"]) if flown else None)
    reports: dict[str, list[dict[str, str]]] = defaultdict(list)
    for (day, carrier), found in sorted(delays.items()):
        known = [one for one in found if one is not None]
        reports[day].append({
            "airline": names[carrier], "flights": str(len(found)), "cancelled": str(len(found) - len(known)),
            "mean delay": str(round(sum(known) / len(known), 1)) if known else "",
            "worst delay": str(max(known)) if known else "",
        })  # fmt: skip
    return dict(reports)


def test_every_night_is_reported_once_also_those_in_which_nobody_worked(tmp_path: Path) -> None:
    """31 files, each with the figures of its day."""
    done = subprocess.run(
        [sys.executable, "-m", "examples.reports.demo", "--out", tmp_path],
        cwd=ROOT, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    expected = counted(tmp_path)
    assert len(expected) == 31
    found = {}
    for path in (tmp_path / "reports").iterdir():
        with path.open(newline="") as file:
            found[path.stem] = list(csv.DictReader(file))
    assert found == expected
    with Aurora(tmp_path / "flights.db", read_only=True) as db:
        runs = db.execute("{ _schedule_runs { outcome } }")["_schedule_runs"]
        assert [run["outcome"] for run in runs] == ["FIRED"] * 31
        jobs = db.execute('{ _jobs(where: {type: "nightly"}) { status attempt } }')["_jobs"]
        assert {job["status"] for job in jobs} == {"COMPLETED"}
        assert len(jobs) == 31
