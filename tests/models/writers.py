"""One program that writes beside others: operations drawn from a seed, each of which commutes.

python writers.py PATH SEED COUNT     prints what each unique insert gave, as JSON
"""

from __future__ import annotations

import json
import random
import sys
from typing import Any

from aurora_db import Aurora, UniqueViolation

SCHEMA = """schema {
    define collection tallies if not exists { name: String! @unique  n: Int  list: [Int]  set: [Int]  inner: { n: Int } }
    define collection names if not exists { name: String! @unique  owner: Int }
}"""
TALLIES = ("red", "green", "blue")
NAMES = 40


def steps(seed: int, count: int) -> list[tuple[str, str, int]]:
    """What a writer does, in order: verb, name, number."""
    draw = random.Random(seed)
    verbs = ("increment", "push", "add", "upsert", "claim", "text")
    return [(draw.choice(verbs), draw.choice(TALLIES), draw.randrange(NAMES)) for _ in range(count)]


def run(db: Aurora, seed: int, count: int) -> list[str]:
    """Do it; the names that this writer was the first to insert."""
    won: list[str] = []
    tallies, names = db["tallies"], db["names"]
    for verb, name, number in steps(seed, count):
        where: dict[str, Any] = {"name": name}
        match verb:
            case "increment":
                tallies.update(where, {"n": {"increment": number}, "inner.n": {"increment": 1}})
            case "push":
                tallies.update(where, {"list": {"push": number}})
            case "add":
                tallies.update(where, {"set": {"addToSet": number}})
            case "upsert":
                tallies.upsert({"name": f"up-{number}"}, {"n": {"increment": 1}})
            case "text":
                db.execute(
                    'mutation ($k: String!) { upsert(collection: "tallies", where: {name: $k},'
                    " data: {n: {increment: 1}}) { id } }",
                    {"k": f"up-{number}"},
                )
            case _:
                try:
                    names.insert({"name": f"name-{number}", "owner": seed})
                except UniqueViolation:
                    continue
                won.append(f"name-{number}")
    return won


def expected(seeds: list[int], count: int) -> dict[str, Any]:
    """What the database must hold after all of them, in whatever order they came."""
    every = [step for seed in seeds for step in steps(seed, count)]
    tallies: dict[str, Any] = {}
    for name in TALLIES:
        mine = [(verb, number) for verb, own, number in every if own == name]
        tallies[name] = {
            "n": sum(number for verb, number in mine if verb == "increment"),
            "inner": {"n": sum(verb == "increment" for verb, _ in mine)},
            "list": sorted(number for verb, number in mine if verb == "push"),
            "set": sorted({number for verb, number in mine if verb == "add"}),
        }
    counted: dict[str, int] = {}
    for verb, _, number in every:
        if verb in ("upsert", "text"):
            counted[f"up-{number}"] = counted.get(f"up-{number}", 0) + 1
    claimed = sorted({f"name-{number}" for verb, _, number in every if verb == "claim"})
    return {"tallies": tallies, "upserts": counted, "names": claimed}


def found(db: Aurora) -> dict[str, Any]:
    """What the database holds, in the form of `expected`."""
    rows = db.execute("{ tallies { name n list set inner } names(orderBy: {name: ASC}) { name } }")
    tallies = {row.pop("name"): row for row in rows["tallies"]}
    return {
        "tallies": {
            name: {
                "n": tallies[name]["n"] or 0,
                "inner": tallies[name]["inner"] or {"n": 0},
                "list": sorted(tallies[name]["list"] or []),
                "set": sorted(tallies[name]["set"] or []),
            }
            for name in TALLIES
        },
        "upserts": {name: row["n"] for name, row in tallies.items() if name.startswith("up-")},
        "names": sorted(row["name"] for row in rows["names"]),
    }


def main() -> None:
    """One writer."""
    path, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with Aurora(path) as db:
        # All begin together.
        sys.stdin.readline()
        print(json.dumps(run(db, seed, count)))


if __name__ == "__main__":
    main()
