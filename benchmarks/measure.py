"""Measuring: one document, several runs, the median, a table."""

from __future__ import annotations

import gc
import json
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

import apsw

from aurora_db import Aurora

RUNS = 5
CITIES = ("Lisbon", "Oslo", "Quito", "Hanoi", "Accra", "Turin", "Cork", "Perth")

SCHEMA = """schema { define collection docs {
  id: ID  n: Int!  grp: Int @indexed  name: String  email: String  age: Int
  score: Float  active: Boolean  tags: [String!]  addr: Object  at: Int
} }"""


def document(i: int) -> dict[str, Any]:
    """About 200 bytes of JSON; ten documents share each `grp`."""
    h = (i * 2654435761) & 0xFFFFFFFF
    return {
        "n": i, "grp": i // 10, "name": f"user-{i:07d}", "email": f"user{i:07d}@example.com", "age": h % 1000,
        "score": round((h ^ (h >> 13)) % 1_000_000 / 1_000_000, 6), "active": bool(h & 1),
        "tags": ["alpha", "beta", "gamma"], "addr": {"city": CITIES[h % 8], "zip": f"{h % 100000:05d}"},
        "at": 1_760_000_000 + i,
    }  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """One question: the floor's answer and ours, in `unit`; more is better unless it is a time."""

    name: str
    unit: str
    floor: float | None
    ours: float
    #: The ratio that shall not be exceeded.
    goal: float | None = None

    @property
    def ratio(self) -> float | None:
        """Ours as a multiple of the floor."""
        return None if self.floor is None else self.ours / self.floor


def median(measure: Callable[[], float], runs: int = RUNS) -> float:
    """The median of several runs."""
    values: list[float] = []
    for _ in range(runs):
        gc.collect()
        values.append(measure())
    return statistics.median(values)


@contextmanager
def database(**options: Any) -> Iterator[Aurora]:
    """A new file with the collection of the benchmark, at synchronous=FULL.

    Without a cache unless its size is said: the database is measured, not what is remembered of it.
    """
    options.setdefault("hot_cache_size_mb", 0)
    with (
        tempfile.TemporaryDirectory(prefix="aurora-bench-") as folder,
        Aurora(Path(folder, "bench.db"), **options) as db,
    ):
        db.execute(SCHEMA)
        yield db


@contextmanager
def bare() -> Iterator[apsw.Connection]:
    """The same file with the same tables and triggers, opened by APSW alone."""
    with tempfile.TemporaryDirectory(prefix="aurora-bench-") as folder:
        path = Path(folder, "bench.db")
        with Aurora(path) as db:
            db.execute(SCHEMA)
        connection = apsw.Connection(str(path))
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -65536")
        try:
            yield connection
        finally:
            connection.close()


def timed(run: Callable[[], object], seconds: float = 0.1) -> float:
    """Microseconds of processor time of one run, over as many as a tenth of a second holds.

    Both sides only read, in one thread, from a warm cache: what else the machine does is left out.
    """
    start = process_time()
    run()
    times = max(1, min(1_000, int(seconds / max(process_time() - start, 1e-6))))
    start = process_time()
    for _ in range(times):
        run()
    return (process_time() - start) / times * 1e6


def beside(
    name: str, hand: Callable[[], object], ours: Callable[[], object], goal: float
) -> Figure:
    """Both in turns, so that they share what else the machine does; medians."""
    pairs = [(timed(hand), timed(ours)) for _ in range(RUNS)]
    middle = statistics.median
    return Figure(
        name, "µs", middle(one for one, _ in pairs), middle(one for _, one in pairs), goal
    )


def table(figures: list[Figure]) -> str:
    """The figures as a table of text."""
    rows = [("what", "floor", "ours", "ratio", "goal", "unit")]
    for one in figures:
        rows.append(
            (
                one.name,
                shown(one.floor),
                shown(one.ours),
                "" if one.ratio is None else f"{one.ratio:.2f}",
                shown(one.goal),
                one.unit,
            )
        )
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as a table of text: a head, a rule, and numbers to the right."""
    last = len(rows[0]) - 1
    widths = [max(len(row[n]) for row in rows) for n in range(last + 1)]
    lines = [
        "  ".join(
            cell.ljust(width) if n in (0, last) else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def shown(value: float | None) -> str:
    """A number in as many digits as matter."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def keep(figures: list[Figure], path: Path) -> None:
    """Write the figures as JSON."""
    path.parent.mkdir(exist_ok=True)
    rows = [
        {
            "name": f.name,
            "unit": f.unit,
            "floor": f.floor,
            "ours": f.ours,
            "ratio": f.ratio,
            "goal": f.goal,
        }
        for f in figures
    ]
    path.write_text(json.dumps(rows, indent=1))
