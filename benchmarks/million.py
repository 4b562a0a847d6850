"""A million jobs in the table, finished, pending, paused or blocked: what a claim and an open cost then."""

from __future__ import annotations

import statistics
import tempfile
from functools import partial
from pathlib import Path
from time import perf_counter

import apsw

from aurora_db import Aurora
from aurora_db.jobs import claims
from benchmarks.measure import Figure, document

MANY = 1_000_000
CLAIMS, EACH = 50, 100

FINISHED = """
INSERT INTO _jobs (id, type, payload, status, created_at, started_at, finished_at, attempt, worker)
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
SELECT printf('01980000-0000-7000-8000-%012x', i), 'noop', '{"n":' || i || '}', 'COMPLETED',
       '2026-01-01T00:00:00.000000Z', '2026-01-01T00:00:01.000000Z', '2026-01-01T00:00:02.000000Z', 1, 'w'
  FROM n
"""
#: Before those that are claimed: in their own lane, or in a queue of their own.
WAITING = """
INSERT INTO _jobs (id, type, queue, payload, status, priority, created_at)
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
SELECT printf('01980000-0000-7000-8000-%012x', i), 'noop', :queue, '{"n":' || i || '}', :status, -1,
       '2026-01-01T00:00:00.000000Z'
  FROM n
"""
PAUSE = "INSERT INTO _queues (name, paused_at) VALUES ('held', '2026-01-01T00:00:00.000000Z')"


def claim_cost(path: Path) -> float:
    """Microseconds a job, claimed a hundred at a time, each claim a transaction."""
    with Aurora(path) as db:
        db.enqueue_jobs("noop", [document(n) for n in range(CLAIMS * EACH)])
        claim = partial(claims.claim, worker="w", types=["noop"], limit=EACH)
        took: list[float] = []
        for _ in range(CLAIMS):
            start = perf_counter()
            claimed = db._engine.write(claim, durable=False)
            took.append((perf_counter() - start) / EACH * 1e6)
            assert len(claimed) == EACH
        return statistics.median(took)


def open_cost(path: Path) -> float:
    """Milliseconds to open and close the file."""
    took: list[float] = []
    for _ in range(5):
        start = perf_counter()
        db = Aurora(path)
        took.append((perf_counter() - start) * 1e3)
        db.close()
    return statistics.median(took)


def filled(path: Path, text: str, **params: str) -> Path:
    """A file with a million jobs in it."""
    Aurora(path).close()
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA synchronous = OFF")
    with connection:
        connection.execute(text.replace("?", str(MANY)), params)
        if params.get("queue") == "held":
            connection.execute(PAUSE)
    connection.close()
    return path


def figures() -> list[Figure]:
    """The floor is the same on a file without other jobs."""
    with tempfile.TemporaryDirectory(prefix="aurora-bench-") as folder:
        empty, full = Path(folder, "empty.db"), filled(Path(folder, "full.db"), FINISHED)
        Aurora(empty).close()
        found = [
            Figure("open, 1,000,000 finished jobs", "ms", open_cost(empty), open_cost(full)),
            Figure("claim, 1,000,000 finished jobs", "µs", claim_cost(empty), claim_cost(full)),
        ]
        full.unlink()
        for what, queue, status in (
            ("pending", "default", "PENDING"), ("paused", "held", "PENDING"), ("blocked", "default", "BLOCKED"),
        ):  # fmt: skip
            path = filled(Path(folder, f"{what}.db"), WAITING, queue=queue, status=status)
            cost = claim_cost(path)
            found.append(Figure(f"claim, 1,000,000 {what} jobs", "µs", claim_cost(empty), cost))
            path.unlink()
        return found
