"""The programs that the kill test starts and kills: `programs.py writer|worker FILE`."""

from __future__ import annotations

import itertools
import sys

from aurora_db import Aurora, JobContext, Jobs

SCHEMA = """
schema {
  define collection products if not exists { name: String! image_url: String }
  define collection effects if not exists { product: ID! attempt: Int! }
}
define handler "make_effect" if not exists {
  on: "insert:products"
  action: { enqueueJob(type: "effect", payload: { product: "${id}" }) }
}
"""

jobs = Jobs()


@jobs.job("effect", retries=5, backoff=0.05)
def effect(payload: dict[str, str], job: JobContext) -> None:
    """Write one effect row for the product, with the completion."""
    with job.completing() as tx:
        tx["effects"].insert({"product": payload["product"], "attempt": job.attempt})


def write(path: str) -> None:
    """Insert products and say so, one line each, until killed or standard input ends."""
    with Aurora(path) as db:
        db.execute(SCHEMA)
        for n in itertools.count():
            id = db.insert_into("products", {"name": f"product {n}"})
            print(id, flush=True)


def work(path: str) -> None:
    """Run jobs until SIGTERM."""
    with Aurora(path, workers_enabled=True, worker_threads=2, jobs=jobs) as db:
        db.workers.run()


if __name__ == "__main__":
    {"writer": write, "worker": work}[sys.argv[1]](sys.argv[2])
