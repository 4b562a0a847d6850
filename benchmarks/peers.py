"""Beside huey and litequeue, in the same run: the same protocol, each in its own environment.

Neither enqueues in bulk, so ours stands there twice: one by one as they do, and end to end in
its own best form. huey commits with SQLite's default durability, litequeue does not sync; ours
is on disk when the call returns.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import jobs, peer_programs
from benchmarks.measure import Figure, aligned, database, median, shown

PEERS = ("huey", "litequeue")
PYTHON = Path(__file__).parents[1] / ".cache/peers/bin/python"
RUNS = 3


@dataclass(frozen=True)
class Beside:
    """One question: ours, and each peer's answer."""

    name: str
    unit: str
    ours: float
    peers: dict[str, float]

    def ratio(self, peer: str) -> float:
        """How many times better ours is; of a time, how many times shorter."""
        theirs = self.peers[peer]
        return theirs / self.ours if self.unit == "ms" else self.ours / theirs


def version(peer: str) -> str:
    """The version that is measured."""
    code = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
    done = subprocess.run([PYTHON, "-c", code, peer], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def measured(peer: str) -> dict[str, float]:
    """The medians of a peer's figures."""
    if not PYTHON.exists():
        raise SystemExit("the peers are not installed; run: make bench")
    runs: list[dict[str, float]] = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory(prefix="aurora-bench-") as folder:
            done = subprocess.run(
                [PYTHON, peer_programs.__file__, peer, folder],
                capture_output=True, text=True, check=True, timeout=300,
            )  # fmt: skip
        runs.append(json.loads(done.stdout))
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def end_to_end_one() -> float:
    """Jobs a second from the first enqueue to the last start, one thread enqueueing one by one."""
    counter = jobs.Counter(peer_programs.END_TO_END)
    with database(workers_enabled=True, worker_threads=peer_programs.WORKERS) as db:
        db.job("noop")(lambda _: counter.hit())
        start = time.perf_counter()
        for _ in range(peer_programs.END_TO_END):
            db.enqueue_job("noop", peer_programs.PAYLOAD)
        assert counter.all.wait(60)
        return peer_programs.END_TO_END / (time.perf_counter() - start)


def figures() -> list[Beside]:
    """All of them."""
    theirs = {peer: measured(peer) for peer in PEERS}

    def beside(name: str, unit: str, ours: float, question: str) -> Beside:
        return Beside(name, unit, ours, {peer: theirs[peer][question] for peer in PEERS})

    p50, p99 = jobs.pickup()
    return [
        beside("enqueue one by one", "/s", median(jobs.enqueue_one_ours, 3), "enqueue one"),
        beside("enqueue, 64 tasks", "/s", median(lambda: jobs.tasks_ours(64), 3), "enqueue one"),
        beside("enqueue, in bulk", "/s", median(jobs.enqueue_many_ours, 3), "enqueue one"),
        beside("drain", "/s", median(lambda: jobs.loop_ours(drain=True), 3), "drain"),
        beside("end to end, one by one", "/s", median(end_to_end_one, 3), "end to end"),
        beside("end to end, by hundreds", "/s", median(lambda: jobs.loop_ours(drain=False), 3), "end to end"),
        beside("pickup p50", "ms", p50.ours, "pickup p50"),
        beside("pickup p99", "ms", p99.ours, "pickup p99"),
    ]  # fmt: skip


def table(rows: list[Beside]) -> str:
    """The figures as a table of text."""
    cells = [["beside", "ours", *PEERS, *(f"ours/{peer}" for peer in PEERS), "unit"]]
    for row in rows:
        theirs = [shown(row.peers[peer]) for peer in PEERS]
        ratios = [f"{row.ratio(peer):.1f}" for peer in PEERS]
        cells.append([row.name, shown(row.ours), *theirs, *ratios, row.unit])
    versions = ", ".join(f"{peer} {version(peer)}" for peer in PEERS)
    return f"{versions}; ratios above 1 are ours\n{aligned(cells)}"


def as_figures(rows: list[Beside]) -> list[Figure]:
    """The same for the file of results: the peer in the place of the floor."""
    return [
        Figure(f"{row.name}, beside {peer}", row.unit, row.peers[peer], row.ours)
        for row in rows
        for peer in PEERS
    ]
