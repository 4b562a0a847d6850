"""One program that enqueues unique jobs beside others and ends some: drawn from a seed.

python uniques.py PATH SEED COUNT     prints what it saw, as JSON: job, key and whether it was new
"""

from __future__ import annotations

import json
import random
import sys
from typing import Any

from aurora_db import Aurora, Unique

KEYS = 12
TYPE = "unique"


def run(db: Aurora, seed: int, count: int) -> list[tuple[str, str, bool]]:
    """Enqueue one and many, and end what was seen, in an order of its own."""
    draw = random.Random(seed)
    seen: list[tuple[str, str, bool]] = []
    for _ in range(count):
        keys = [draw.randrange(KEYS) for _ in range(draw.choice((1, 1, 1, 20)))]
        rule = Unique(key="k${k}", on_conflict=draw.choice(("keep", "replace", "reschedule")))
        options: dict[str, Any] = {"unique": rule, "delay": draw.choice((None, None, 1_000))}
        payloads = [{"k": key, "seed": seed} for key in keys]
        match draw.choice(("plain", "text", "transaction")):
            case "text" if len(keys) == 1:
                made = db.execute(
                    'mutation ($p: JSON) { j: enqueueJob(type: "unique", payload: $p, unique: "k${k}")'
                    " { id unique_key conflict } }",
                    {"p": payloads[0]},
                )["j"]
                seen.append((made["id"], made["unique_key"], not made["conflict"]))
            case "transaction":
                with db.transaction() as tx:
                    jobs = tx.enqueue_jobs(TYPE, payloads, **options)
                    if draw.random() < 0.3:
                        tx.rollback()
                        continue
                seen += [(job.id, str(job.unique_key), not job.conflict) for job in jobs]
            case _:
                jobs = (
                    [db.enqueue_job(TYPE, payloads[0], **options)]
                    if len(payloads) == 1
                    else db.enqueue_jobs(TYPE, payloads, **options)
                )
                seen += [(job.id, str(job.unique_key), not job.conflict) for job in jobs]
        if seen and draw.random() < 0.5:
            db.cancel_job(draw.choice(seen)[0])
    return seen


if __name__ == "__main__":
    path, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with Aurora(path) as opened:
        sys.stdin.readline()
        print(json.dumps(run(opened, seed, count)))
