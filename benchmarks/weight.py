"""What it weighs: packages, the time of the import, memory with an idle database.

Imports are measured as after `pip install`, which compiles what it installs: with byte code, in
a folder of its own, whatever the environment says of writing it.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
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
TIMED = "import time; t = time.perf_counter(); {}; print((time.perf_counter() - t) * 1000)"


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


def said(code: str, compiled: str) -> float:
    """The number that a fresh interpreter prints; byte code lies in the folder `compiled`."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return float(done.stdout)


def imported(statements: list[str], compiled: str) -> list[float]:
    """Milliseconds of each import in a fresh interpreter; taken in turns, for machines drift."""
    for statement in statements:
        said(TIMED.format(statement), compiled)
    rounds = [[said(TIMED.format(one), compiled) for one in statements] for _ in range(15)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def figures() -> list[Figure]:
    """All of them; the floor of the import is that of asyncio and sqlite3 alone."""
    with tempfile.TemporaryDirectory(prefix="aurora-bench-") as compiled:
        floor, drivers, package, blocking, tasks = imported(
            [
                "import asyncio, sqlite3",
                "import apsw, msgspec, uuid_utils",
                "import aurora_db",
                "from aurora_db import Aurora",
                "import asyncio; from aurora_db import AsyncAurora",
            ],
            compiled,
        )
        memory = statistics.median(said(IDLE, compiled) for _ in range(3))
        processor = statistics.median(said(WORKING, compiled) for _ in range(3))
    brought = packages()
    return [
        Figure(f"packages: {', '.join(sorted(brought))}", "", None, len(brought)),
        Figure("import aurora_db (floor: asyncio, sqlite3)", "ms", floor, package),
        Figure("… (floor: the packages that it loads)", "ms", drivers, package),
        Figure("from aurora_db import Aurora", "ms", floor, blocking),
        Figure("asyncio and AsyncAurora", "ms", floor, tasks),
        Figure("memory, open and idle", "MiB", None, memory),
        Figure("processor of an idle worker", "%", None, processor),
    ]
