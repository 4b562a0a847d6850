"""An album by two workers; both are killed half-way, and new ones go on.

python -m examples.media.demo [--images DIR] [--out DIR]
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from aurora_db import Aurora
from examples.media import pipeline
from examples.thumbnails import photos

#: Seconds after which something is wrong.
GUARD = 90.0
ROOT = Path(__file__).parents[2]


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description="a photo pipeline as a flow of jobs")
    parser.add_argument("--images", type=Path, help="a folder of your own pictures")
    parser.add_argument("--out", type=Path, help="where everything goes; else a new folder")
    given = parser.parse_args()
    console = Console()
    out = given.out or Path(tempfile.mkdtemp(prefix="aurora-media-"))
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    broken = out / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 this was a photograph once" * 40)
    pictures = [*photos.photographs(given.images), broken]
    begun = time.monotonic()
    with Aurora(out / "album.db") as db:
        db.execute(pipeline.SCHEMA)
        flow = pipeline.start(db, pictures, out)
        work(db, flow, out, console)
        report(db, flow, console)
        console.print(f"{time.monotonic() - begun:.1f} s; collage: [bold]{out / 'collage.jpg'}[/]")


def work(db: Aurora, flow: str, out: Path, console: Console) -> None:
    """Two workers until half of the flow is done; kill them; two new ones for the rest."""
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("album", total=db.get_batch(flow).total)
        for until in (0.5, 1.0):
            workers = [_worker(out) for _ in range(2)]
            try:
                _wait(db, flow, until, lambda done: progress.update(bar, completed=done))
            finally:
                for worker in workers:
                    worker.send_signal(signal.SIGKILL if until < 1 else signal.SIGTERM)
                for worker in workers:
                    worker.wait(GUARD)


def _worker(out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "examples.media.worker", out / "album.db", out / "pictures"]
    return subprocess.Popen(command, cwd=ROOT)


def _wait(db: Aurora, flow: str, part: float, show: object) -> None:
    end = time.monotonic() + GUARD
    while True:
        batch = db.get_batch(flow)
        done = batch.completed + batch.failed + batch.cancelled
        show(done)
        told = part < 1 or db.execute(TOLD)["_jobs"]
        if done >= batch.total * part and told:
            return
        if time.monotonic() > end:
            raise SystemExit(f"not done after {GUARD:g} s; look into {db.config.path}")
        time.sleep(0.02)


TOLD = '{ _jobs(where: {type: "told", status: "COMPLETED"}) { result } }'
RUNS = '{ _jobs { groupBy(field: "type") { key count } aggregate { sum(field: "crashes") } } }'
LOST = '{ _jobs(where: {status: {in: ["FAILED", "CANCELLED"]}}, orderBy: "created_at") { type status error } }'


def report(db: Aurora, flow: str, console: Console) -> None:
    """What became of the album."""
    batch = db.get_batch(flow)
    jobs = db.execute(RUNS)["_jobs"]
    table = Table(title=f"the flow '{batch.name}'", title_justify="left")
    table.add_column("what")
    table.add_column("number", justify="right")
    for what, number in (
        ("jobs", batch.total),
        ("completed", batch.completed),
        ("failed", batch.failed),
        ("cancelled, for what they wait for failed", batch.cancelled),
        ("photographs", db["photos"].count()),
        ("sizes made", db["sizes"].count()),
        ("jobs that were running when their worker was killed", jobs["aggregate"]["sum"] or 0),
        ("times that the end was told", len(db.execute(TOLD)["_jobs"])),
    ):
        table.add_row(what, str(number))
    console.print(table)
    lost = Table(title="what failed, and what was cancelled with it", title_justify="left")
    for name in ("type", "status", "error"):
        lost.add_column(name, overflow="fold")
    for row in db.execute(LOST)["_jobs"]:
        lost.add_row(row["type"], row["status"], row["error"])
    console.print(lost)


if __name__ == "__main__":
    main()
