"""What it weighs: packages, the time of the import, memory with an idle database."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from importlib import metadata

from benchmarks.measure import Figure

IDLE = """
import tempfile, pathlib, resource, sys
from aurora_db import Aurora
with tempfile.TemporaryDirectory() as folder, Aurora(pathlib.Path(folder, "idle.db")) as db:
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        print(int(lines["VmRSS"].split()[0]) / 1024)
    else:
        # Bytes on macOS, and the most there ever was.
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2)
"""
WORKING = """
import tempfile, pathlib, time
from aurora_db import Aurora
with tempfile.TemporaryDirectory() as folder, Aurora(pathlib.Path(folder, "idle.db"), workers_enabled=True) as db:
    db.job("noop")(lambda: None)
    time.sleep(1)
    used, begun = time.process_time(), time.perf_counter()
    time.sleep(5)
    print((time.process_time() - used) / (time.perf_counter() - begun) * 100)
"""
TIMED = "import time; t = time.perf_counter(); import {}; print((time.perf_counter() - t) * 1000)"


def packages() -> set[str]:
    """What `pip install aurora-db` brings along, without extras."""
    found: set[str] = set()
    waiting = ["aurora-db"]
    while waiting:
        for line in metadata.requires(waiting.pop()) or ():
            if "extra ==" in line:
                continue
            name = re.split(r"[^\w.-]", line, maxsplit=1)[0].lower()
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def said(code: str) -> float:
    """The number that a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def figures() -> list[Figure]:
    """All of them; the floor of the import is that of asyncio and sqlite3 alone."""
    floor = statistics.median(said(TIMED.format("asyncio, sqlite3")) for _ in range(7))
    ours = statistics.median(said(TIMED.format("aurora_db")) for _ in range(7))
    brought = packages()
    return [
        Figure(f"packages: {', '.join(sorted(brought))}", "", None, len(brought)),
        Figure("import aurora_db (floor: asyncio, sqlite3)", "ms", floor, ours),
        Figure("memory, open and idle", "MiB", None, statistics.median(said(IDLE) for _ in range(3))),
        Figure("processor of an idle worker", "%", None, statistics.median(said(WORKING) for _ in range(3))),
    ]  # fmt: skip
