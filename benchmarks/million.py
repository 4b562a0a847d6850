"""A million finished jobs in the table: what a claim and an open cost then."""

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

FINISHED = 1_000_000
CLAIMS, EACH = 50, 100

FILL = """
INSERT INTO _jobs (id, type, payload, status, created_at, started_at, finished_at, attempt, worker)
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
SELECT printf('01980000-0000-7000-8000-%012x', i), 'noop', '{"n":' || i || '}', 'COMPLETED',
       '2026-01-01T00:00:00.000000Z', '2026-01-01T00:00:01.000000Z', '2026-01-01T00:00:02.000000Z', 1, 'w'
  FROM n
"""


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


def figures() -> list[Figure]:
    """The floor is the same on a file without finished jobs."""
    with tempfile.TemporaryDirectory(prefix="aurora-bench-") as folder:
        empty, full = Path(folder, "empty.db"), Path(folder, "full.db")
        for path in (empty, full):
            Aurora(path).close()
        connection = apsw.Connection(str(full))
        connection.execute("PRAGMA synchronous = OFF")
        with connection:
            connection.execute(FILL, (FINISHED,))
        connection.close()
        return [
            Figure("open, 1,000,000 finished jobs", "ms", open_cost(empty), open_cost(full)),
            Figure("claim, 1,000,000 finished jobs", "µs", claim_cost(empty), claim_cost(full)),
        ]
