"""A consumer that is killed: `python resuming.py keeps|durable PATH NOTES`.

It prints a line for each change that it has dealt with. `keeps` notes number and position in a file of its
own and goes on after the last whole line; `durable` writes its effect and acknowledges in one transaction.
"""

from __future__ import annotations

import sys
from pathlib import Path

from aurora_db import Aurora


def keeps(db: Aurora, notes: Path) -> None:
    """A consumer that keeps its position by itself."""
    # What follows the last line was cut by the kill.
    lines = notes.read_text().split("\n")[:-1]
    notes.write_text("".join(f"{line}\n" for line in lines))
    with (
        notes.open("a", buffering=1) as file,
        db.listen("t", since=lines[-1].split()[1]) as changes,
    ):
        for change in changes:
            file.write(f"{change.new['n']} {change.position}\n")
            print(change.new["n"], flush=True)


def durable(db: Aurora) -> None:
    """A consumer whose position is in the database."""
    with db.listen("t", consumer="copier") as changes:
        for change in changes:
            with db.transaction() as tx:
                tx["effects"].insert({"n": change.new["n"]})
                changes.ack(tx)
            print(change.new["n"], flush=True)


if __name__ == "__main__":
    with Aurora(sys.argv[2], durability="relaxed") as opened:
        if sys.argv[1] == "keeps":
            keeps(opened, Path(sys.argv[3]))
        else:
            durable(opened)
