"""January 2013 in a moment: each night at three in New York the day before is reported.

The clock is moved by hand. For ten nights no worker runs; `catch_up="ALL"` makes up for them.

python -m examples.reports.demo [--out DIR]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from aurora_db import Aurora, ManualClock
from examples.flights import load
from examples.reports import nightly

#: Seconds after which something is wrong.
GUARD = 120.0
DAY = 86_400
#: The nights in which nobody works.
AWAY = range(11, 21)


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description="nightly reports by a schedule")
    parser.add_argument("--out", type=Path, help="where everything goes; else a new folder")
    given = parser.parse_args()
    out = given.out or Path(tempfile.mkdtemp(prefix="aurora-reports-"))
    out.mkdir(parents=True, exist_ok=True)
    console = Console()
    database = out / "flights.db"
    load.load(database, out, months=1)
    folder = out / "reports"
    folder.mkdir()
    clock = ManualClock(datetime(2013, 1, 1, 12, tzinfo=ZoneInfo(nightly.ZONE)))
    with Aurora(database, clock=clock) as db:
        db.execute(nightly.SCHEMA)
    nights(database, folder, clock, range(1, AWAY.start))
    console.print(f"nobody works for {len(AWAY)} nights")
    clock.advance(len(AWAY) * DAY)
    nights(database, folder, clock, range(AWAY.stop, 32))
    with Aurora(database, clock=clock) as db:
        report(db, console)
    console.print(f"the reports: [bold]{folder}[/]")


def nights(database: Path, folder: Path, clock: ManualClock, days: range) -> None:
    """A worker that lives through these nights."""
    opened: list[Aurora] = []
    jobs = nightly.handlers(folder, lambda: opened[0])
    # All nights of the month are shown at its end, so none of their jobs is pruned after a week.
    with Aurora(database, workers_enabled=True, clock=clock, jobs=jobs, job_retention=None) as db:
        opened.append(db)
        for day in days:
            clock.advance(DAY)
            _wait(db, day)


def _wait(db: Aurora, reports: int) -> None:
    """Until so many days are reported."""
    end = time.monotonic() + GUARD
    while db["reports"].count() < reports:
        if time.monotonic() > end:
            raise SystemExit(f"no report {reports} after {GUARD:g} s; look into {db.config.path}")
        time.sleep(0.005)


RUNS = '{ _schedule_runs { groupBy(field: "outcome") { key count } } }'


def report(db: Aurora, console: Console) -> None:
    """What the nights have left."""
    table = Table(title="reports", title_justify="left")
    for name in ("day", "flights", "cancelled", "worst delay by", "file"):
        table.add_column(name)
    query = '{ reports(orderBy: "day") { day flights cancelled worst file } }'
    for row in db.execute(query)["reports"]:
        table.add_row(*(str(value) for value in row.values()))
    console.print(table)
    runs = db.execute(RUNS)["_schedule_runs"]["groupBy"]
    console.print("the schedule: " + ", ".join(f"{run['count']} {run['key']}" for run in runs))


if __name__ == "__main__":
    main()
