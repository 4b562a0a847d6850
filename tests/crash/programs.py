"""The programs that the crash tests start and kill: `programs.py ROLE FILE [SECONDS]`."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import sqlite3
import sys
import time

from aurora_db import AsyncAurora, Aurora, AuroraError, JobContext, Jobs

SCHEMA = """
schema {
  define collection products if not exists { name: String! image_url: String }
  define collection effects if not exists { product: ID! attempt: Int! }
}
define handler "make_effect" if not exists {
  on: "insert:products"
  action: { enqueueJob(type: "effect", payload: { product: "${id}" }, retries: 5) }
}
"""
#: Tasks of the asynchronous writer, whose writes share commits.
TASKS = 8

jobs = Jobs()


@jobs.job("effect", retries=5, backoff=0.05)
def effect(payload: dict[str, str], job: JobContext) -> None:
    """Take a moment, then write one effect row for the product, with the completion."""
    time.sleep(random.random() * 0.02)
    with job.completing() as tx:
        tx["effects"].insert({"product": payload["product"], "attempt": job.attempt})


def write(path: str) -> None:
    """Insert products and say so, one line each, until killed."""
    with Aurora(path) as db:
        db.execute(SCHEMA)
        for n in itertools.count():
            print(db.insert_into("products", {"name": f"product {n}"}), flush=True)
            time.sleep(0.002)


def write_tasks(path: str) -> None:
    """The same from several tasks; half of them put product and job into one transaction."""

    async def produce(db: AsyncAurora, task: int) -> None:
        for n in itertools.count():
            product = {"name": f"product {n} of task {task}"}
            print(await db.insert_into("products", product), flush=True)
            await asyncio.sleep(0.02)

    async def main() -> None:
        async with AsyncAurora(path) as db:
            await db.execute(SCHEMA)
            await asyncio.gather(*(produce(db, task) for task in range(TASKS)))

    asyncio.run(main())


def work(path: str) -> None:
    """Run jobs until SIGTERM."""
    with Aurora(path, workers_enabled=True, worker_threads=4, jobs=jobs) as db:
        db.workers.run()


def everything(path: str, seconds: str) -> None:
    """Write, enqueue and work at once for a while; say what was done as one JSON object."""
    done = {"products": 0, "enqueued": 0, "longest": 0.0, "errors": []}
    with Aurora(path, workers_enabled=True, worker_threads=2, jobs=jobs) as db:
        last = time.monotonic()
        end = last + float(seconds)
        while last < end:
            try:
                product = db.insert_into("products", {"name": "by Aurora"})
                done["products"] += 1
                if done["products"] % 5 == 0:
                    with db.transaction() as tx:
                        tx.enqueue_job("count", {"product": product})
                    done["enqueued"] += 1
            except AuroraError as error:
                done["errors"].append(f"{error.code}: {error}")
            now = time.monotonic()
            done["longest"] = max(done["longest"], now - last)
            last = now
    print(json.dumps(done))


def other(path: str, seconds: str) -> None:
    """The same by the standard library's sqlite3, which knows nothing of us."""
    done = {"products": 0, "enqueued": 0, "longest": 0.0, "errors": []}
    db = sqlite3.connect(path, timeout=15, isolation_level=None)
    last = time.monotonic()
    end = last + float(seconds)
    while last < end:
        try:
            db.execute("INSERT INTO products (name) VALUES ('by sqlite3')")
            done["products"] += 1
        except sqlite3.Error as error:
            done["errors"].append(str(error))
        now = time.monotonic()
        done["longest"] = max(done["longest"], now - last)
        last = now
        # It would otherwise hold the file nearly all the time; no program does nothing else.
        time.sleep(0.001)
    db.close()
    print(json.dumps(done))


@jobs.job("count", retries=5, backoff=0.05)
def count(payload: dict[str, str], job: JobContext) -> None:
    """A job that was enqueued by hand: its effect is marked by attempt 0."""
    with job.completing() as tx:
        tx["effects"].insert({"product": payload["product"], "attempt": 0})


ROLES = {
    "writer": write,
    "tasks": write_tasks,
    "worker": work,
    "everything": everything,
    "other": other,
}

if __name__ == "__main__":
    ROLES[sys.argv[1]](*sys.argv[2:])
