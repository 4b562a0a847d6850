"""Run the benchmarks: floor, ours, ratio, in one run.

    python -m benchmarks.run [aql] [documents] [constructs] [queries] [mutations] [jobs] [live] [caches] [million] [weight] [peers]

Machines are noisy: read the ratios, not the numbers.
"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import apsw

from benchmarks import (
    aql,
    caches,
    constructs,
    documents,
    jobs,
    live,
    million,
    mutations,
    peers,
    queries,
    weight,
)
from benchmarks.measure import Figure, keep, table

QUESTIONS = {
    "aql": aql.figures,
    "documents": documents.figures,
    "constructs": constructs.figures,
    "queries": queries.figures,
    "mutations": mutations.figures,
    "jobs": jobs.figures,
    "live": live.figures,
    "caches": caches.figures,
    "million": million.figures,
    "weight": weight.figures,
}
PEERS = "peers"


def main(names: list[str]) -> None:
    """Measure what is named, or everything."""
    wanted = names or [*QUESTIONS, PEERS]
    unknown = [name for name in wanted if name not in (*QUESTIONS, PEERS)]
    if unknown:
        known = ", ".join((*QUESTIONS, PEERS))
        raise SystemExit(f"no benchmark named '{unknown[0]}'; there are {known}")
    print(
        f"Python {platform.python_version()}, SQLite {apsw.sqlite_lib_version()}, "
        f"{os.cpu_count()} processors, synchronous=FULL, medians"
    )
    print("floor: bare APSW, the same statements on the same tables with the same triggers")
    print("floor of aql: graphql-core's parse of the same text")
    kept: list[Figure] = []
    for name in wanted:
        print(f"measuring {name} …", file=sys.stderr)
        if name == PEERS:
            rows = peers.figures()
            print("\n" + peers.table(rows), flush=True)
            kept += peers.as_figures(rows)
        else:
            figures = QUESTIONS[name]()
            print("\n" + table(figures), flush=True)
            kept += figures
    keep(kept, Path(__file__).parents[1] / "build" / "bench.json")


if __name__ == "__main__":
    main(sys.argv[1:])
