"""Jobs: enqueue one, many and from tasks; drain; end to end; pickup; with steps; waiting for results."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from time import perf_counter, perf_counter_ns, sleep
from typing import Any

import apsw

from aurora_db import AsyncAurora, Aurora, JobContext, Jobs
from aurora_db.base.clock import SystemClock
from aurora_db.base.codec import encode, timestamp
from aurora_db.base.ids import new_id
from aurora_db.jobs import conflicts, queue
from benchmarks import processes
from benchmarks.measure import Figure, bare, database, document, median

ONE, MANY, TOTAL, BATCH = 1_000, 20_000, 20_000, 100
#: Jobs that are drained under limits.
LIMITED = 5_000
#: Jobs of a flow, each after three others, and of a batch.
FLOW, GATHERED = 10_000, 100_000
PAYLOAD = document(7)

CLAIM = """
    UPDATE _jobs SET status = 'RUNNING', worker = 'w', attempt = attempt + 1, started_at = ?, lease_until = ?
     WHERE _n IN (SELECT _n FROM _jobs WHERE status = 'PENDING' AND type = 'noop' AND queue = 'default'
                   ORDER BY priority DESC, _n LIMIT ?)
    RETURNING _n, payload, attempt
"""
COMPLETE = """
    UPDATE _jobs SET status = 'COMPLETED', finished_at = ?, lease_until = NULL
     WHERE _n = ? AND attempt = ? AND worker = 'w' AND status = 'RUNNING'
"""


def row() -> tuple[object, ...]:
    """The columns of a job."""
    now = timestamp(SystemClock().now())
    return (
        new_id(),
        "noop",
        "default",
        encode(PAYLOAD),
        0,
        "PENDING",
        3,
        None,
        now,
        None,
        None,
        None,
    )


def insert(connection: apsw.Connection, rows: list[tuple[object, ...]]) -> None:
    """All rows, by the statement that ours uses: many rows in each."""
    for text, params in queue.ENQUEUE.pieces(rows):
        connection.execute(text, params)


def enqueue_one_floor() -> float:
    """Single enqueues a second, bare."""
    with bare() as connection:
        start = perf_counter()
        for _ in range(ONE):
            connection.execute(queue.ENQUEUE.text(), row())
        return ONE / (perf_counter() - start)


def enqueue_one_ours() -> float:
    """Single enqueues a second, ours."""
    with database() as db:
        start = perf_counter()
        for _ in range(ONE):
            db.enqueue_job("noop", PAYLOAD)
        return ONE / (perf_counter() - start)


def enqueue_many_floor() -> float:
    """Jobs a second in one transaction, bare."""
    with bare() as connection:
        start = perf_counter()
        with connection:
            insert(connection, [row() for _ in range(MANY)])
        return MANY / (perf_counter() - start)


def enqueue_many_ours() -> float:
    """Jobs a second in one transaction, ours."""
    with database() as db:
        start = perf_counter()
        db.enqueue_jobs("noop", [PAYLOAD] * MANY)
        return MANY / (perf_counter() - start)


def unique_floor(count: int, size: int) -> float:
    """Jobs a second with a key each, bare: a look, the job and the row of the key; `size` in a transaction."""
    with bare() as connection:
        start = perf_counter()
        for first in range(0, count, size):
            rows = [row() for _ in range(size)]
            names = [("noop", f"k{n}") for n in range(first, first + size)]
            held = [
                (*name, one[0], '["PENDING"]', None) for name, one in zip(names, rows, strict=True)
            ]
            with connection:
                connection.execute(conflicts.HOLDERS, {"names": encode(names)}).fetchall()
                insert(connection, rows)
                for text, params in conflicts.HOLD.pieces(held):
                    connection.execute(text, params)
        return count / (perf_counter() - start)


def unique_one_ours() -> float:
    """Single enqueues a second of jobs with a key each."""
    with database() as db:
        start = perf_counter()
        for number in range(ONE):
            db.enqueue_job("noop", PAYLOAD, unique=f"k{number}")
        return ONE / (perf_counter() - start)


def unique_many_ours() -> float:
    """Jobs with a key each a second, in one transaction."""
    payloads = [{**PAYLOAD, "key": number} for number in range(MANY)]
    with database() as db:
        start = perf_counter()
        db.enqueue_jobs("noop", payloads, unique="k${key}")
        return MANY / (perf_counter() - start)


def unique_again_ours() -> float:
    """The same where all of them are there already."""
    payloads = [{**PAYLOAD, "key": number} for number in range(MANY)]
    with database() as db:
        db.enqueue_jobs("noop", payloads, unique="k${key}")
        start = perf_counter()
        db.enqueue_jobs("noop", payloads, unique="k${key}")
        return MANY / (perf_counter() - start)


def tasks_floor(producers: int) -> float:
    """Durable enqueues a second, bare: as many in a transaction as there are producers."""
    rounds = TOTAL // producers
    with bare() as connection:
        start = perf_counter()
        for _ in range(rounds):
            with connection:
                insert(connection, [row() for _ in range(producers)])
        return rounds * producers / (perf_counter() - start)


def tasks_ours(producers: int) -> float:
    """Durable enqueues a second from asyncio producers, each waiting for its own."""

    async def produce(db: AsyncAurora, count: int) -> None:
        for _ in range(count):
            await db.enqueue_job("noop", PAYLOAD)

    async def main() -> float:
        with tempfile.TemporaryDirectory(prefix="aurora-bench-") as folder:
            async with AsyncAurora(Path(folder, "bench.db")) as db:
                start = perf_counter()
                await asyncio.gather(*(produce(db, TOTAL // producers) for _ in range(producers)))
                return TOTAL // producers * producers / (perf_counter() - start)

    return asyncio.run(main())


def loop_floor(*, drain: bool) -> float:
    """The ideal loop, bare, with batches of 100: enqueue (unless draining), claim, complete."""
    with bare() as connection:
        start = perf_counter()
        rows = [row() for _ in range(TOTAL)] if drain else []
        size = TOTAL if drain else BATCH
        for _ in range(0, TOTAL, size):
            with connection:
                insert(connection, rows or [row() for _ in range(BATCH)])
        start = perf_counter() if drain else start
        ended: list[tuple[object, ...]] = []
        while True:
            now = timestamp(SystemClock().now())
            with connection:
                connection.executemany(COMPLETE, ended)
                claimed = connection.execute(CLAIM, (now, now, BATCH)).fetchall()
            if not claimed:
                return TOTAL / (perf_counter() - start)
            ended = [(now, n, attempt) for n, _, attempt in claimed]


class Counter:
    """Counts what ran, and tells when all of it has."""

    def __init__(self, wanted: int) -> None:
        self.count = 0
        self.wanted = wanted
        self.all = threading.Event()

    def hit(self) -> None:
        """One ran. Only the interpreter's lock guards the count, as a user's would."""
        self.count += 1
        if self.count >= self.wanted:
            self.all.set()


def loop_ours(*, drain: bool, total: int = TOTAL, **limits: Any) -> float:
    """From the first enqueue (or the start of the workers) until the last job is COMPLETED."""
    counter = Counter(total)
    jobs = Jobs()
    jobs.job("noop", **limits)(lambda _: counter.hit())
    with tempfile.TemporaryDirectory(prefix="aurora-bench-") as folder:
        path = Path(folder, "bench.db")
        if drain:
            with Aurora(path) as db:
                db.enqueue_jobs("noop", [{**PAYLOAD, "customer": n % 100} for n in range(total)])
        start = perf_counter()
        with Aurora(path, workers_enabled=True, jobs=jobs) as db:
            if not drain:
                start = perf_counter()
                for _ in range(0, total, BATCH):
                    db.enqueue_jobs("noop", [PAYLOAD] * BATCH)
            assert counter.all.wait(60)
            while db.workers.stats().by_status.get("COMPLETED", 0) < total:
                sleep(0.001)
            return total / (perf_counter() - start)


def limited() -> list[Figure]:
    """Drained under limits; the floor is what the same worker drains without."""
    free = median(lambda: loop_ours(drain=True, total=LIMITED), 3)
    key = "${customer}"
    cases = {
        "drain, concurrency": {"concurrency": 1_000},
        "drain, concurrency per key, 100 keys": {"concurrency": 2, "key": key},
        "drain, rate per key, 100 keys": {"rate": "1000000/1h", "key": key},
    }
    return [
        Figure(name, "/s", free, median(lambda o=options: loop_ours(drain=True, total=LIMITED, **o), 3))
        for name, options in cases.items()
    ]  # fmt: skip


def together(*, flow: bool) -> float:
    """Jobs a second of a flow of 10,000 in layers, or of a batch of 100,000, from the block to the callback."""
    over = threading.Event()
    jobs = Jobs()
    jobs.job("noop")(lambda _: None)
    jobs.job("over")(lambda _: over.set())
    rng = random.Random(7)
    with database(workers_enabled=True, jobs=jobs) as db:
        start = perf_counter()
        if flow:
            with db.flow(on_complete="over") as block:
                for n in range(FLOW):
                    before = [str((n // 100 - 1) * 100 + rng.randrange(100)) for _ in range(3)]
                    block.job(str(n), "noop", PAYLOAD, after=before if n >= 100 else ())
        else:
            with db.batch(on_complete="over") as block:
                block.enqueue_jobs("noop", [PAYLOAD] * GATHERED)
        assert over.wait(300)
        return (FLOW if flow else GATHERED) / (perf_counter() - start)


def pickup() -> list[Figure]:
    """Milliseconds from the call of enqueue to the start of the handler, workers idle."""
    started: list[int] = []
    ran = threading.Event()
    jobs = Jobs()

    @jobs.job("noop")
    def noop(_payload: dict[str, object]) -> None:
        started.append(perf_counter_ns())
        ran.set()

    with database(workers_enabled=True, jobs=jobs) as db:
        took: list[float] = []
        for _ in range(300):
            ran.clear()
            begun = perf_counter_ns()
            db.enqueue_job("noop", PAYLOAD)
            assert ran.wait(30)
            took.append((started[-1] - begun) / 1e6)
            sleep(0.005)
    took.sort()
    return [
        Figure("pickup p50", "ms", None, took[len(took) // 2]),
        Figure("pickup p99", "ms", None, took[int(len(took) * 0.99)]),
    ]


#: A worker process: says that it is ready, and when each handler began. The clock is the machine's.
ELSEWHERE = """
import sys, time
from aurora_db import Aurora
with Aurora(sys.argv[1], workers_enabled=True) as db:
    db.job("noop")(lambda _: print(time.perf_counter_ns(), flush=True))
    print("ready", flush=True)
    sys.stdin.readline()
"""


def pickup_elsewhere() -> list[Figure]:
    """The same where the handler runs in another process, which hears of the job by its doorbell."""
    with (
        database() as db,
        subprocess.Popen(
            [sys.executable, "-c", ELSEWHERE, str(db.config.path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as worker,
    ):  # fmt: skip
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
        took: list[float] = []
        for _ in range(300):
            begun = perf_counter_ns()
            db.enqueue_job("noop", PAYLOAD)
            took.append((int(worker.stdout.readline()) - begun) / 1e6)
            sleep(0.005)
        worker.stdin.close()
    took.sort()
    return [
        Figure("pickup in another process, p50", "ms", None, took[len(took) // 2]),
        Figure("pickup in another process, p99", "ms", None, took[int(len(took) * 0.99)]),
    ]


STEP = "INSERT INTO _job_steps (job_id, name, result, attempt, at) VALUES (?, ?, '7', 1, ?)"
#: Steps of one job, one after the other; jobs with three steps each, and how many run at once.
STEPS, STEPPED, SLOTS = 1_000, 1_000, 4


def one_step_floor() -> float:
    """Steps a second, bare: a write and the row of the step, with an fsync each."""
    with bare() as connection:
        connection.execute(queue.ENQUEUE.text(), row())
        (id,) = connection.execute("SELECT id FROM _jobs").fetchall()[0]
        now = timestamp(SystemClock().now())
        start = perf_counter()
        for n in range(STEPS):
            connection.execute(STEP, (id, f"step {n}", now))
        return STEPS / (perf_counter() - start)


def one_step_ours() -> float:
    """Steps a second of one job, one after the other."""
    jobs = Jobs()

    @jobs.job("steps")
    def steps(job: JobContext) -> float:
        start = perf_counter()
        for n in range(STEPS):
            job.step(f"step {n}", int, "7")
        return perf_counter() - start

    with database(workers_enabled=True, jobs=jobs) as db:
        return STEPS / db.wait_job(db.enqueue_job("steps").id, 60)


def stepped_floor() -> float:
    """Jobs of three steps a second, bare: as many steps in a transaction as run at once."""
    with bare() as connection:
        rows = [row() for _ in range(STEPPED)]
        with connection:
            insert(connection, rows)
        now = timestamp(SystemClock().now())
        start = perf_counter()
        for first in range(0, STEPPED, SLOTS):
            with connection:
                claimed = connection.execute(CLAIM, (now, now, SLOTS)).fetchall()
            for n in range(3):
                with connection:
                    ids = [one[0] for one in rows[first : first + SLOTS]]
                    connection.executemany(STEP, [(id, f"step {n}", now) for id in ids])
            with connection:
                connection.executemany(COMPLETE, [(now, n, attempt) for n, _, attempt in claimed])
        return STEPPED / (perf_counter() - start)


def stepped_ours() -> float:
    """Jobs of three steps a second, from the first enqueue until the last one is COMPLETED."""
    jobs = Jobs()

    @jobs.job("noop")
    def noop(_payload: dict[str, object], job: JobContext) -> None:
        for n in range(3):
            job.step(f"step {n}", int, "7")

    with database(workers_enabled=True, worker_threads=SLOTS, jobs=jobs) as db:
        start = perf_counter()
        made = db.enqueue_jobs("noop", [PAYLOAD] * STEPPED)
        for job in made:
            db.wait_job(job.id, 60)
        return STEPPED / (perf_counter() - start)


def waiting() -> list[Figure]:
    """Milliseconds from enqueue to the result of `wait_job`, here and of another process."""
    jobs = Jobs()
    jobs.job("noop")(lambda _: 7)
    figures: list[Figure] = []
    with database(workers_enabled=True, jobs=jobs) as db:
        took = sorted(_waited(db) for _ in range(300))
        figures.append(Figure("enqueue to result, p50", "ms", None, took[len(took) // 2]))
    with (
        database() as db,
        subprocess.Popen(
            [sys.executable, "-c", ELSEWHERE, str(db.config.path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as worker,
    ):  # fmt: skip
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdout.readline()
        took = sorted(_waited(db) for _ in range(300))
        worker.stdin.close()
        worker.stdout.read()
    figures.append(
        Figure("enqueue to result of another process, p50", "ms", None, took[len(took) // 2])
    )
    return figures


def _waited(db: Aurora) -> float:
    begun = perf_counter()
    db.wait_job(db.enqueue_job("noop", PAYLOAD).id, 30)
    return (perf_counter() - begun) * 1e3


def figures() -> list[Figure]:
    """All of them."""
    return [
        Figure("enqueue one", "/s", median(enqueue_one_floor), median(enqueue_one_ours)),
        Figure("enqueue many", "/s", median(enqueue_many_floor), median(enqueue_many_ours)),
        Figure(
            "enqueue one, unique",
            "/s",
            median(lambda: unique_floor(ONE, 1)),
            median(unique_one_ours),
        ),
        Figure(
            "enqueue many, unique",
            "/s",
            median(lambda: unique_floor(MANY, MANY)),
            median(unique_many_ours),
        ),
        Figure("enqueue many, unique, all there", "/s", None, median(unique_again_ours)),
        *(
            Figure(
                f"enqueue, {n:,} asyncio producers",
                "/s",
                median(lambda n=n: tasks_floor(n), 3),
                median(lambda n=n: tasks_ours(n), 3),
            )
            for n in (64, 1_000)
        ),
        Figure(
            "drain, no-op",
            "/s",
            median(lambda: loop_floor(drain=True), 3),
            median(lambda: loop_ours(drain=True), 3),
        ),
        Figure(
            "end to end, no-op",
            "/s",
            median(lambda: loop_floor(drain=False), 3),
            median(lambda: loop_ours(drain=False), 3),
        ),
        *limited(),
        Figure("flow of 10,000", "/s", None, median(lambda: together(flow=True), 3)),
        Figure("batch of 100,000", "/s", None, median(lambda: together(flow=False), 3)),
        *pickup(),
        *pickup_elsewhere(),
        Figure(
            "one step after the other",
            "/s",
            median(one_step_floor, 3),
            median(one_step_ours, 3),
        ),
        Figure("with three steps, jobs", "/s", median(stepped_floor, 3), median(stepped_ours, 3)),
        *waiting(),
        *processes.figures(),
    ]
