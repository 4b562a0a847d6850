"""The hot cache: what a hit costs, how much is found beside LRU, and what it takes of memory.

The floor of "found" is LRU of as many documents as ours holds, on the same trace; that of a hit is the
same read with `hot_cache_size_mb=0`.
"""

from __future__ import annotations

import bisect
import gc
import itertools
import random
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Sequence
from time import perf_counter

from aurora_db import Aurora
from benchmarks.measure import Figure, database, document, median

DOCUMENTS, GETS, SCAN = 100_000, 500_000, 20_000
#: MiB of the cache: about a hundredth of the documents have room.
SIZE = 1.0
READS = 20_000
#: Reads a document of a million by its id, each once, with 64 MiB for the cache; what the memory grew by.
MEMORY = """
import gc, pathlib, resource, sys, tempfile
from aurora_db import Aurora
from benchmarks.measure import document
def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, "rss.db")
    with Aurora(path, durability="none", hot_cache_size_mb=int(sys.argv[1])) as db:
        db.define("docs", {"n": "Int", "name": "String", "email": "String"})
        ids = []
        for begin in range(0, int(sys.argv[2]), 10_000):
            rows = [{"n": n, "name": f"user {n}", "email": f"user{n}@example.com"} for n in range(begin, begin + 10_000)]
            ids += db["docs"].insert_many(rows)
        get = db["docs"].get
        gc.collect()
        before = resident()
        for id in ids:
            get(id)
        gc.collect()
        print(resident() - before)
"""


def zipf(skew: float, count: int, seed: int = 1) -> list[int]:
    """Numbers of documents, the n-th as often as 1/n**skew says."""
    weights = itertools.accumulate(1 / n**skew for n in range(1, DOCUMENTS + 1))
    sums = list(weights)
    chance = random.Random(seed)
    # Which one is popular has nothing to do with its place in the file.
    order = list(range(DOCUMENTS))
    chance.shuffle(order)
    return [order[bisect.bisect_left(sums, chance.random() * sums[-1])] for _ in range(count)]


def scanned(trace: Sequence[int]) -> list[int]:
    """The same with a scan over a fifth of the documents after each quarter of it."""
    quarter = len(trace) // 4
    parts = [
        [*trace[n * quarter : (n + 1) * quarter], *range(n * SCAN, (n + 1) * SCAN)]
        for n in range(4)
    ]
    return [one for part in parts for one in part]


def lru(trace: Sequence[int], room: int) -> float:
    """The share that LRU finds in the second half, percent."""
    kept: OrderedDict[int, None] = OrderedDict()
    found, half = 0, len(trace) // 2
    for place, one in enumerate(trace):
        if one in kept:
            found += place >= half
            kept.move_to_end(one)
            continue
        kept[one] = None
        if len(kept) > room:
            kept.popitem(last=False)
    return found / (len(trace) - half) * 100


def ours(db: Aurora, ids: Sequence[str], trace: Sequence[int]) -> tuple[float, int]:
    """The share that ours finds in the second half, percent, and how many documents it holds."""
    db.clear_hot_cache()
    get, half = db["docs"].get, len(trace) // 2
    for one in trace[:half]:
        get(ids[one])
    before = db.cache_stats().documents
    for one in trace[half:]:
        get(ids[one])
    after = db.cache_stats().documents
    hits, misses = after.hits - before.hits, after.misses - before.misses
    return hits / (hits + misses) * 100, after.items


def found() -> list[Figure]:
    """Traces, one after the other."""
    figures: list[Figure] = []
    with database(hot_cache_size_mb=SIZE) as db:
        ids = db["docs"].insert_many([document(n) for n in range(DOCUMENTS)])
        for skew in (0.8, 0.9, 1.0):
            trace = zipf(skew, GETS)
            for name, one in (("", trace), (" with scans", scanned(trace))):
                share, room = ours(db, ids, one)
                figures.append(Figure(f"found, Zipf {skew}{name}", "%", lru(one, room), share))
    return figures


def hit(size: float, *, keep: int = 100) -> float:
    """Microseconds of a read by id of documents that were read before."""
    with database(hot_cache_size_mb=size) as db:
        ids = db["docs"].insert_many([document(n) for n in range(keep)])
        get = db["docs"].get
        for id in ids * 2:
            get(id)
        gc.disable()
        try:
            start = perf_counter()
            for id in ids * (READS // keep):
                get(id)
            return (perf_counter() - start) / READS * 1e6
        finally:
            gc.enable()


def flat(size: float) -> float:
    """The same of documents without lists and objects."""
    with database(hot_cache_size_mb=size) as db:
        db.define("flat", {"n": "Int", "name": "String", "email": "String", "score": "Float"})
        rows = [
            {"n": n, "name": f"n{n}", "email": f"{n}@example.com", "score": 0.5} for n in range(100)
        ]
        ids = db["flat"].insert_many(rows)
        get = db["flat"].get
        for id in ids * 2:
            get(id)
        start = perf_counter()
        for id in ids * (READS // 100):
            get(id)
        return (perf_counter() - start) / READS * 1e6


def repeated(size: float) -> float:
    """Microseconds of a query of ten documents that was asked before."""
    text = "query ($g: Int!) { docs(where: {grp: $g}) { id n name email } }"
    with database(hot_cache_size_mb=size) as db:
        db["docs"].insert_many([document(n) for n in range(1_000)])
        for n in range(300):
            db.execute(text, {"g": n % 100})
        start = perf_counter()
        for n in range(3_000):
            db.execute(text, {"g": n % 100})
        return (perf_counter() - start) / 3_000 * 1e6


def memory(size: int, count: int) -> float:
    """MiB that the process grew by while it read so many documents with a cache of `size` MiB."""
    command = [sys.executable, "-c", MEMORY, str(size), str(count)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def figures() -> list[Figure]:
    """All of them."""
    return [
        Figure("get by id, from memory", "µs", median(lambda: hit(0)), median(lambda: hit(256))),
        Figure("the same, flat documents", "µs", median(lambda: flat(0)), median(lambda: flat(256))),
        Figure("query of 10, from memory", "µs", median(lambda: repeated(0)), median(lambda: repeated(256))),
        *found(),
        # What is beyond the cache's size is the engine's page cache, which the floor has, too.
        Figure("1,000,000 documents read, cache of 64 MiB", "MiB", memory(0, 1_000_000), memory(64, 1_000_000)),
    ]  # fmt: skip
