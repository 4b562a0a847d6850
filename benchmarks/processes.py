"""Job handlers in child processes: what the pipe costs, and what a processor of one's own gives.

The floor of the no-op is the standard library's pool of as many spawned processes, which keeps nothing;
that of the arithmetic is the same work in threads. Processes are started before the clock is.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from time import perf_counter, sleep

from aurora_db import Jobs
from benchmarks.measure import Figure, database, median

NOOPS, SUMS, SLOTS = 4_000, 60, 2
#: Turns of one sum, some 20 milliseconds.
TURNS = 300_000

jobs = Jobs()


def nothing(_payload: object) -> None:
    """For the pool."""


@jobs.job("noop_child", process=True)
def nothing_in_child(_payload: object) -> None:
    """For ours."""


def add() -> int:
    """Keeps a processor busy, and the interpreter's lock."""
    return sum(n * n for n in range(TURNS))


@jobs.job("add_thread")
def add_in_thread() -> int:
    """The sum, beside others in one process."""
    return add()


@jobs.job("add_child", process=True)
def add_in_child() -> int:
    """The sum, in a process of its own."""
    return add()


def rate(type: str, count: int) -> float:
    """Jobs a second, from the first enqueue until all are COMPLETED."""
    with database(workers_enabled=True, worker_threads=SLOTS, jobs=jobs) as db:

        def completed(wanted: int) -> None:
            while db.workers.stats().completed < wanted:
                sleep(0.001)

        warm = SLOTS * 4
        db.enqueue_jobs(type, [None] * warm)
        completed(warm)
        start = perf_counter()
        db.enqueue_jobs(type, [None] * count)
        completed(warm + count)
        return count / (perf_counter() - start)


def pool() -> float:
    """The same no-op through the pool of the standard library."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(SLOTS, mp_context=context) as executor:
        list(executor.map(nothing, [None] * SLOTS * 4))
        start = perf_counter()
        list(executor.map(nothing, [None] * NOOPS))
        return NOOPS / (perf_counter() - start)


def figures() -> list[Figure]:
    """All of them."""
    return [
        Figure(
            "through child processes, no-op (floor: a pool in memory)",
            "/s",
            median(pool, 3),
            median(lambda: rate("noop_child", NOOPS), 3),
        ),
        Figure(
            f"arithmetic in {SLOTS} processes (floor: in {SLOTS} threads)",
            "/s",
            median(lambda: rate("add_thread", SUMS), 3),
            median(lambda: rate("add_child", SUMS), 3),
        ),
    ]
