"""The main job of the product, shown: a catalogue, two workers, one of them killed.

python -m examples.thumbnails.demo [--images DIR] [--out DIR]
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from aurora_db import Aurora
from examples.thumbnails import catalogue, photos, sheet

#: Seconds after which something is wrong.
GUARD = 60.0
ROOT = Path(__file__).parents[2]

STATUSES = "{ _jobs { status retries crashes worker } }"
FAILED = '{ _jobs(where: {status: {eq: "FAILED"}}) { payload retries error last_retry } }'
HOLDERS = "{ _workers { id pid } }"


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description="thumbnails of real photographs by durable jobs")
    parser.add_argument("--images", type=Path, help="a folder of your own pictures")
    parser.add_argument(
        "--out", type=Path, help="where the database and the pictures go; a new folder when absent"
    )
    given = parser.parse_args()
    console = Console()
    out = given.out or Path(tempfile.mkdtemp(prefix="aurora-thumbnails-"))
    (out / "thumbnails").mkdir(parents=True, exist_ok=True)
    console.print(
        "fetching the photographs …" if given.images is None else f"pictures of {given.images}"
    )
    pictures = [*photos.photographs(given.images), *broken(out)]
    with Aurora(out / "shop.db") as db:
        catalogue.make(db)
        start = time.monotonic()
        catalogue.add(db, pictures)
        killed, rescued = work(db, console, out)
        report(db, console, time.monotonic() - start, killed, rescued)
        console.print(
            f"contact sheet: [bold]{sheet.contact_sheet(db, out / 'contact-sheet.png')}[/]"
        )


def broken(out: Path) -> list[Path]:
    """One corrupt file, and one that does not exist."""
    corrupt = out / "corrupt.jpg"
    corrupt.write_bytes(b"\xff\xd8\xff\xe0 this was a photograph once" * 40)
    return [corrupt, out / "missing.jpg"]


def work(db: Aurora, console: Console, out: Path) -> tuple[int, int]:
    """Two worker processes; one is killed while it holds jobs. Returns its pid, and the rescued."""
    command = [
        sys.executable,
        "-m",
        "examples.thumbnails.worker",
        str(out / "shop.db"),
        str(out / "thumbnails"),
    ]
    processes = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    killed, held = 0, 0
    end = time.monotonic() + GUARD
    try:
        with Live(console=console, refresh_per_second=12) as live:
            while True:
                jobs = db.execute(STATUSES)["_jobs"]
                live.update(view(jobs, killed))
                done = sum(job["status"] in ("COMPLETED", "FAILED") for job in jobs)
                if done == len(jobs):
                    break
                if not killed and done >= len(jobs) // 4:
                    killed, held = kill_one(db, [process.pid for process in processes])
                if time.monotonic() > end:
                    raise SystemExit(f"not done after {GUARD:g} s; look into {out / 'shop.db'}")
                time.sleep(0.03)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(GUARD)
    return killed, held


def kill_one(db: Aurora, mine: list[int]) -> tuple[int, int]:
    """SIGKILL a worker that holds running jobs; its pid and how many it held, or zeros."""
    pids = {row["id"]: row["pid"] for row in db.execute(HOLDERS)["_workers"]}
    running = [
        job["worker"]
        for job in db.execute('{ _jobs(where: {status: "RUNNING"}) { worker } }')["_jobs"]
    ]
    for worker in running:
        pid = pids.get(worker)
        if pid in mine:
            os.kill(pid, signal.SIGKILL)
            return pid, running.count(worker)
    return 0, 0


def view(jobs: list[dict[str, Any]], killed: int) -> Table:
    """The queue as it is now."""
    counts = {
        status: sum(job["status"] == status for job in jobs)
        for status in ("COMPLETED", "RUNNING", "PENDING", "SCHEDULED", "FAILED")
    }
    table = Table.grid(padding=(0, 2))
    done = counts["COMPLETED"] + counts["FAILED"]
    table.add_row(
        ProgressBar(total=len(jobs), completed=done, width=40), f"{done}/{len(jobs)} products"
    )
    table.add_row(
        "  ".join(f"{status.lower()} {count}" for status, count in counts.items()),
        f"worker {killed} killed" if killed else "two workers",
    )
    return table


def report(db: Aurora, console: Console, seconds: float, killed: int, held: int) -> None:
    """What became of it."""
    jobs = db.execute(STATUSES)["_jobs"]
    table = Table(title="jobs", title_justify="left")
    table.add_column("what")
    table.add_column("number", justify="right")
    for status in sorted({job["status"] for job in jobs}):
        table.add_row(status, str(sum(job["status"] == status for job in jobs)))
    table.add_row("retries", str(sum(job["retries"] for job in jobs)))
    table.add_row(f"held by worker {killed} when it was killed", str(held))
    table.add_row("rescued while running (crashes)", str(sum(job["crashes"] for job in jobs)))
    table.add_row("thumbnails", str(db["thumbnails"].count()))
    table.add_row("seconds", f"{seconds:.1f}")
    console.print()
    console.print(table)
    failures = Table(title="failed, as `_jobs` tells", title_justify="left")
    for name in ("picture", "attempts", "error"):
        failures.add_column(name, overflow="fold")
    for job in db.execute(FAILED)["_jobs"]:
        failures.add_row(Path(job["payload"]["path"]).name, str(job["retries"]), job["error"])
    console.print(failures)


if __name__ == "__main__":
    main()
