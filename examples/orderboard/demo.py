"""A shop, a board and somebody who watches it; shop and board are killed in the middle.

python -m examples.orderboard.demo [--orders 200] [--out DIR] [--keep]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from aurora_db import Aurora, Change
from examples.orderboard import shop
from examples.orderboard.viewer import Viewer

#: Seconds after which something is wrong.
GUARD = 90.0
ROOT = Path(__file__).parents[2]


def main() -> None:
    """Run the demo; exit 1 when the viewer has missed a change or seen one twice."""
    parser = argparse.ArgumentParser(description="an order board that misses nothing")
    parser.add_argument("--orders", type=int, default=200, help="how many orders")
    parser.add_argument("--out", type=Path, help="where the database goes; else a new folder")
    parser.add_argument("--keep", action="store_true", help="leave the board on until Ctrl-C")
    given = parser.parse_args()
    out = given.out or Path(tempfile.mkdtemp(prefix="aurora-orderboard-"))
    out.mkdir(parents=True, exist_ok=True)
    console = Console()
    wrong = run(out / "shop.db", given.orders, console, keep=given.keep)
    console.print(f"the database: [bold]{out / 'shop.db'}[/]")
    sys.exit(1 if wrong else 0)


def run(path: Path, orders: int, console: Console, *, keep: bool = False) -> int:
    """Trade while both processes die once; how many changes were missed or seen twice."""
    with Aurora(path) as db:
        shop.make(db)
        with db.listen("orders") as before:
            start = before.position
        board, url = _board(path, 0)
        kills = {"board": 0, "shop": 0}
        selling = _shop(path, orders)
        try:
            with Viewer(url) as viewer:
                console.print(f"the board: [bold]{url}[/]")
                _wait(lambda: len(viewer.positions) > orders // 2)
                _kill(board)
                kills["board"] += 1
                _wait(lambda: db["orders"].count() > orders // 3)
                _kill(selling)
                kills["shop"] += 1
                board, _ = _board(path, int(url.rsplit(":", 1)[1].strip("/")))
                selling = _shop(path, orders)
                selling.wait(GUARD)
                told = changes_of(db, start)
                _wait(lambda: bool(viewer.positions) and viewer.positions[-1] >= told[-1])
                wrong = report(db, told, viewer, kills, console)
                if keep:
                    console.print("Ctrl-C ends it")
                    board.wait()
        except KeyboardInterrupt:
            wrong = 0
        finally:
            _kill(board)
            _kill(selling)
    return wrong


def changes_of(db: Aurora, start: str | None) -> list[int]:
    """The numbers of all changes of orders, as the feed has them."""
    numbers: list[int] = []
    with db.listen("orders", since=start) as feed:
        while True:
            try:
                change = feed.next(timeout=0.1)
            except TimeoutError:
                return numbers
            assert isinstance(change, Change)
            numbers.append(number(change.position))


def number(position: str) -> int:
    """The number in a position; only a test looks into one."""
    return int(position.rpartition("-")[2])


def _board(path: Path, port: int) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "examples.orderboard.board", str(path), "--port", str(port)]
    board = subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True)
    assert board.stdout is not None
    return board, json.loads(board.stdout.readline())["url"]


def _shop(path: Path, orders: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "examples.orderboard.shop", str(path), "--orders", str(orders)]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ)


def _kill(process: subprocess.Popen[Any]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
        process.wait(GUARD)
    if process.stdout is not None:
        process.stdout.close()


def _wait(done: Any) -> None:
    end = time.monotonic() + GUARD
    while not done():
        if time.monotonic() > end:
            raise SystemExit(f"not done after {GUARD:g} s")
        time.sleep(0.02)


def report(
    db: Aurora, told: list[int], viewer: Viewer, kills: dict[str, int], console: Console
) -> int:
    """Print what the viewer saw; how many changes it missed, saw twice or in another order."""
    seen = [one for one in viewer.positions if one > viewer.began]
    wanted = [one for one in told if one > viewer.began]
    here = {row["id"] for row in db.query("orders").filter({"status": {"ne": "SERVED"}}).all()}
    wrong = len(set(wanted) ^ set(seen)) + (len(seen) - len(set(seen))) + (seen != sorted(seen))
    wrong += len(here ^ set(viewer.orders))
    table = Table(title="order board", title_justify="left")
    table.add_column("what")
    table.add_column("number", justify="right")
    for what, count in (
        ("orders", db["orders"].count()),
        ("changes committed while the viewer looked", len(wanted)),
        ("changes that the viewer saw", len(seen)),
        ("times the board was killed", kills["board"]),
        ("times the shop was killed", kills["shop"]),
        ("connections of the viewer", viewer.connections),
        ("missed, seen twice, or in another order", wrong),
    ):
        table.add_row(what, str(count))
    console.print(table)
    return wrong


if __name__ == "__main__":
    main()
