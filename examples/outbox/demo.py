"""Orders, two workers, a receiver that fails half the time, one worker killed.

python -m examples.outbox.demo [--orders 200] [--out DIR]
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

from rich.console import Console
from rich.table import Table

from aurora_db import Aurora
from examples.outbox import shop
from examples.outbox.receiver import Receiver

#: Seconds after which something is wrong.
GUARD = 90.0
ROOT = Path(__file__).parents[2]
LEFT = '{ _jobs(where: {status: {notIn: ["COMPLETED", "FAILED"]}}) { aggregate { count } } }'
ENDED = (
    '{ _jobs { aggregate { count sum(field: "crashes") } groupBy(field: "status") { key count } } }'
)


def main() -> None:
    """Run the demo; exit 1 when a delivery is missing or was done twice."""
    parser = argparse.ArgumentParser(description="webhooks by a transactional outbox")
    parser.add_argument("--orders", type=int, default=200, help="how many orders")
    parser.add_argument("--out", type=Path, help="where the database goes; else a new folder")
    given = parser.parse_args()
    out = given.out or Path(tempfile.mkdtemp(prefix="aurora-outbox-"))
    out.mkdir(parents=True, exist_ok=True)
    console = Console()
    with Aurora(out / "shop.db") as db, Receiver(refused="order.lost") as receiver:
        shop.make(db)
        start = time.monotonic()
        workers = [_worker(out / "shop.db", receiver.url) for _ in range(2)]
        try:
            trade(db, given.orders)
            _wait(db, done=given.orders)
            workers[0].send_signal(signal.SIGKILL)
            workers[0].wait(GUARD)
            _wait(db)
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.wait(GUARD)
        wrong = report(db, receiver, console, time.monotonic() - start)
        console.print(f"the database: [bold]{out / 'shop.db'}[/]")
    sys.exit(1 if wrong else 0)


def _worker(path: Path, url: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "examples.outbox.worker", str(path), url]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ)


def trade(db: Aurora, count: int) -> None:
    """Insert orders, let half of them be paid, lose one; and roll one back, of which nobody may hear."""
    rows = [{"customer": f"customer {n % 17}", "total": 1 + n * 1.25} for n in range(count)]
    ids = [db.insert_into("orders", row) for row in rows[: count // 2]]
    ids += db["orders"].insert_many(rows[count // 2 :])
    for id in ids[::2]:
        db["orders"].update(id, {"status": "paid"})
    db["orders"].update(ids[-1], {"status": "lost"})
    with db.transaction() as tx:
        tx.insert_into("orders", {"customer": "nobody", "total": 1.0})
        tx.rollback()


def _wait(db: Aurora, done: int | None = None) -> None:
    """Until all events are delivered, or so many."""
    end = time.monotonic() + GUARD
    while db["deliveries"].count() < done if done else left(db):
        if time.monotonic() > end:
            raise SystemExit(f"not done after {GUARD:g} s; look into {db.config.path}")
        time.sleep(0.02)


def left(db: Aurora) -> int:
    """Jobs that have not ended."""
    return int(db.execute(LEFT)["_jobs"]["aggregate"]["count"])


def report(db: Aurora, receiver: Receiver, console: Console, seconds: float) -> int:
    """Print what became of the events; how many of them were lost or done twice."""
    jobs = db.execute(ENDED)["_jobs"]
    status = {row["key"]: row["count"] for row in jobs["groupBy"]}
    delivered = db["deliveries"].count()
    effects = [len(done) for done in receiver.done.values()]
    wrong = abs(delivered - len(effects)) + sum(count != 1 for count in effects)
    wrong += abs(status.get("COMPLETED", 0) - delivered)
    table = Table(title="webhooks", title_justify="left")
    table.add_column("what")
    table.add_column("number", justify="right")
    for what, number in (
        ("events committed", sum(status.values())),
        ("delivered, as the shop knows", delivered),
        ("done, as the receiver counts by idempotency key", sum(effects)),
        ("refused for good (FAILED)", status.get("FAILED", 0)),
        ("posts", sum(receiver.posts.values())),
        ("posts that met a busy receiver", receiver.failures["busy"]),
        ("posts whose answer was lost", receiver.failures["lost"]),
        ("jobs whose worker was killed in them", jobs["aggregate"]["sum"] or 0),
        ("lost or done twice", wrong),
    ):
        table.add_row(what, str(number))
    console.print(table)
    console.print(f"{seconds:.1f} s")
    return wrong


if __name__ == "__main__":
    main()
