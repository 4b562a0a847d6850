"""Run the benchmarks: floor, ours, ratio, in one run.

    python -m benchmarks.run [documents] [jobs]

Machines are noisy: read the ratios, not the numbers.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import apsw

from benchmarks import documents, jobs
from benchmarks.measure import Figure, keep, table

QUESTIONS = {"documents": documents.figures, "jobs": jobs.figures}


def main(names: list[str]) -> None:
    """Measure what is named, or everything."""
    unknown = [name for name in names if name not in QUESTIONS]
    if unknown:
        raise SystemExit(f"no benchmark named '{unknown[0]}'; there are {', '.join(QUESTIONS)}")
    print(
        f"Python {platform.python_version()}, SQLite {apsw.sqlite_lib_version()}, synchronous=FULL, medians"
    )
    print("floor: bare APSW, the same statements on the same tables with the same triggers\n")
    figures: list[Figure] = []
    for name in names or QUESTIONS:
        print(f"measuring {name} …", file=sys.stderr)
        figures += QUESTIONS[name]()
    print(table(figures))
    keep(figures, Path(__file__).parents[1] / "build" / "bench.json")


if __name__ == "__main__":
    main(sys.argv[1:])
