"""The nightly report: what flew yesterday, by airline, as a CSV file and as a document."""

from __future__ import annotations

import csv
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from aurora_db import Aurora, JobContext, Jobs

ZONE = "America/New_York"
SCHEMA = """
schema {
  define collection reports { day: Date! @unique  flights: Int!  cancelled: Int!  worst: String  file: String! }
}
"""
QUESTION = """
query ($month: Int!, $day: Int!) {
  all: flights(where: {month: $month, day: $day}) {
    groupBy(field: "carrier", orderBy: {key: ASC}) {
      key
      count
      flown: aggregate { count(field: "dep_time") avg(field: "dep_delay") max(field: "dep_delay") }
    }
  }
  airlines { carrier name }
}
"""
COLUMNS = ("airline", "flights", "cancelled", "mean delay", "worst delay")


def handlers(folder: Path, open_db: Any) -> Jobs:
    """The registry of the worker: one scheduled function, writing into `folder`.

    `open_db` gives the database when the function runs: the registry is there before it.
    """
    jobs = Jobs()

    @jobs.schedule("0 3 * * *", timezone=ZONE, catch_up="ALL", overlap="ALLOW", retries=3)
    def nightly(job: JobContext) -> None:
        day = yesterday(job.cause)
        rows = ask(open_db(), day)
        path = folder / f"{day}.csv"
        # Whole or not at all, and the same for every attempt.
        fresh = path.with_suffix(f".{job.attempt}")
        write(fresh, rows)
        fresh.replace(path)
        worst = max(rows, key=lambda row: row["worst delay"] or 0, default=None)
        with job.completing() as tx:
            report = {
                "day": day, "flights": sum(row["flights"] for row in rows),
                "cancelled": sum(row["cancelled"] for row in rows),
                "worst": None if worst is None else worst["airline"], "file": path.name,
            }  # fmt: skip
            tx["reports"].upsert({"day": day}, report)
            tx.result({"day": day, "rows": len(rows)})

    return jobs


def yesterday(cause: dict[str, Any] | None) -> date:
    """The day before the night that a job is for: not of its running, which may be much later."""
    assert cause is not None, "the schedule enqueues it"
    due = datetime.fromisoformat(cause["due"])
    return due.astimezone(ZoneInfo(ZONE)).date() - timedelta(days=1)


def ask(db: Aurora, day: date) -> list[dict[str, Any]]:
    """The rows of a day's report."""
    found = db.execute(QUESTION, {"month": day.month, "day": day.day})
    names = {row["carrier"]: row["name"] for row in found["airlines"]}
    return [
        {
            "airline": names[row["key"]],
            "flights": row["count"],
            "cancelled": row["count"] - row["flown"]["count"],
            "mean delay": None if row["flown"]["avg"] is None else round(row["flown"]["avg"], 1),
            "worst delay": row["flown"]["max"],
        }
        for row in found["all"]["groupBy"]
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """A CSV file with a header."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
