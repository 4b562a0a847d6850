"""The process that takes orders and cooks them.

python -m examples.orderboard.shop FILE [--orders 200] [--seed 1] [--pace 0.005]
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator

from aurora_db import Aurora

SCHEMA = """
schema {
    define collection orders {
        number: Int! @unique
        table: Int!
        dish: String!
        status: Enum("OPEN", "COOKING", "READY", "SERVED") = "OPEN" @indexed
        placed_at: DateTime = now
    }
}
"""
DISHES = ("Ramen", "Pho", "Bibimbap", "Okonomiyaki", "Laksa", "Dosa", "Gyoza", "Tom yam")
NEXT = {"OPEN": "COOKING", "COOKING": "READY", "READY": "SERVED"}


def make(db: Aurora) -> None:
    """Define the collection; the same again changes nothing."""
    db.execute(SCHEMA)


def trade(db: Aurora, orders: int, seed: int) -> Iterator[None]:
    """Take orders until there are so many, and move all of them on until they are served.

    One step at a time, from what is in the file: a shop that was killed goes on where it was.
    """
    chance = random.Random(seed)
    while True:
        taken = db["orders"].count()
        waiting = db.query("orders").filter({"status": {"ne": "SERVED"}}).order_by("number")
        found = waiting.limit(12).select("id", "status", "_rev").all()
        if taken < orders and (not found or chance.random() < 0.4):
            row = {
                "number": taken + 1,
                "table": chance.randint(1, 20),
                "dish": chance.choice(DISHES),
            }
            db["orders"].insert(row)
        elif found:
            one = chance.choice(found)
            db["orders"].update(one["id"], {"status": NEXT[one["status"]]}, if_rev=one["_rev"])
        else:
            return
        yield


def main() -> None:
    """Trade until everything is served."""
    parser = argparse.ArgumentParser(description="takes orders and cooks them")
    parser.add_argument("file", help="the database")
    parser.add_argument("--orders", type=int, default=200, help="how many orders in all")
    parser.add_argument("--seed", type=int, default=1, help="which orders")
    parser.add_argument("--pace", type=float, default=0.005, help="seconds between two steps")
    given = parser.parse_args()
    with Aurora(given.file) as db:
        make(db)
        for _ in trade(db, given.orders, given.seed):
            time.sleep(given.pace)


if __name__ == "__main__":
    main()
