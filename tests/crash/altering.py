"""Alters a collection to and fro until killed: `altering.py FILE`; a line for each alteration."""

from __future__ import annotations

import itertools
import sys

from aurora_db import Aurora

DOCUMENTS = 20_000
SCHEMA = """schema {
  define collection teams { name: String! }
  define collection t { n: Int!  team: ID @relation(to: "teams") }
}"""
#: What makes the second form of the collections, and the first one again.
THERE = """schema {
  alter collection teams { rename name to title }
  alter collection t { rename n to m  modify m: Float! @validate(min: 0)  add plan: String! = "free" }
}"""
BACK = """schema {
  alter collection t { drop plan  modify m: Int!  rename m to n }
  alter collection teams { rename title to name }
}"""


def prepare(path: str) -> None:
    """The file with its documents."""
    with Aurora(path) as db:
        db.execute(SCHEMA)
        db["teams"].insert({"id": "red", "name": "Red"})
        db["t"].insert_many([{"n": n, "team": "red"} for n in range(DOCUMENTS)])


def main(path: str) -> None:
    """To and fro; which way comes next is seen in the file."""
    with Aurora(path) as db:
        fields = db.execute("{ __schema { collections { name fields { name } } } }")
        there = any(f["name"] == "plan" for f in fields["__schema"]["collections"][0]["fields"])
        for n in itertools.count(int(there)):
            db.execute(BACK if n % 2 else THERE)
            print(n % 2, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
