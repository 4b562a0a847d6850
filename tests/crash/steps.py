"""A worker whose jobs have steps, until it is killed: `steps.py FILE`.

`zombie` does as its standard input says, a line for each thing to try, and prints how it went;
`killed` kills its process where the payload says so; `chain` does five steps and keeps a log.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from typing import Any

from aurora_db import Aurora, AuroraError, JobContext, Jobs

SCHEMA = "schema { define collection effects if not exists { job: ID!  step: String! } }"
STEPS = 5

jobs = Jobs()


def note(job: str, step: str, tx: Any) -> str:
    """The effect of a step, in its transaction."""
    return tx["effects"].insert({"job": job, "step": step})


def trial(what: str, job: JobContext) -> None:
    """One thing that an attempt may do."""
    match what:
        case "progress":
            job.progress(0.99, "zombie")
        case "heartbeat":
            job.heartbeat()
        case "step":
            job.step("outside", lambda: print("ran", flush=True))
        case "step with tx":
            job.step("inside", note, job.id, "zombie")
        case "sleep":
            job.sleep("a while", 60)
        case "completing":
            with job.completing() as tx:
                note(job.id, "zombie", tx)
        case other:
            raise ValueError(other)


@jobs.job("zombie", retries=5)
def zombie(_payload: object, job: JobContext) -> str:
    """Try what is asked for; say "done", or the code of the error."""
    job.step("before", int)
    print("began", flush=True)
    while (what := sys.stdin.readline().strip()) != "return":
        try:
            trial(what, job)
            print("done", flush=True)
        except AuroraError as error:
            print(error.code, flush=True)
    return "zombie"


def die_at(point: str, payload: dict[str, str], job: JobContext) -> None:
    """Be killed here, the first time."""
    if payload["point"] == point and job.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)


@jobs.job("killed")
def killed(payload: dict[str, str], job: JobContext) -> list[str]:
    """Three steps, with a place to die between and inside of them; prints what it does."""

    def inside(step: str, tx: Any) -> str:
        print(f"{step} of attempt {job.attempt}", flush=True)
        note(job.id, step, tx)
        die_at(f"inside {step}", payload, job)
        return step

    def outside() -> str:
        print(f"outside of attempt {job.attempt}", flush=True)
        die_at("inside outside", payload, job)
        return "outside"

    done = [job.step("first", inside, "first")]
    die_at("after first", payload, job)
    done.append(job.step("outside", outside))
    die_at("after outside", payload, job)
    done.append(job.step("last", inside, "last"))
    die_at("after last", payload, job)
    return done


@jobs.job("chain")
def chain(payload: dict[str, str], job: JobContext) -> int:
    """Five steps with an effect each; the log tells which began and which were finished."""
    log = os.open(payload["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def work(step: str, tx: Any) -> None:
        os.write(log, f"began {job.id} {step}\n".encode())
        note(job.id, step, tx)

    try:
        for n in range(STEPS):
            job.step(f"step {n}", work, f"step {n}")
            os.write(log, f"finished {job.id} step {n}\n".encode())
            time.sleep(random.random() * 0.02)
    finally:
        os.close(log)
    return STEPS


def main(path: str) -> None:
    """Work until SIGTERM."""
    with Aurora(path, workers_enabled=True, worker_threads=2, jobs=jobs) as db:
        db.workers.run()


if __name__ == "__main__":
    main(sys.argv[1])
