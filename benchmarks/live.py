"""Live queries: finding whom a change touches, latency, what they cost those who write, idling.

The floor of "10,000 of which 10 match" is the 10 alone; that of the rates is nobody who follows.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import perf_counter, perf_counter_ns
from typing import Any, NamedTuple

from aurora_db import Aurora, F, Timeout
from aurora_db.aql.conditions import resolve_where
from aurora_db.aql.evaluate import Documents, compiled
from aurora_db.aql.interests import Interest, Matcher
from benchmarks.measure import RUNS, Figure, beside, database, document, median

MANY, FEW = 10_000, 10
#: The value of `grp` that the few look for.
HIT = 7
WRITES, LATENCIES, FOLLOWED = 300, 500, 100
ONE, BULK, BATCH = 1_500, 20_000, 1_000

#: Tells of each change when it came, in nanoseconds of the clock that all processes share.
LISTENER = """
import sys, time
from aurora_db import Aurora
with Aurora(sys.argv[1]) as db, db.listen("docs") as listener:
    print("ready", flush=True)
    for change in listener:
        now = time.perf_counter_ns()
        print(now, flush=True)
        if change.new["n"] < 0:
            break
"""
IDLE = """
import pathlib, tempfile, time
from aurora_db import Aurora, F
with tempfile.TemporaryDirectory() as folder, Aurora(pathlib.Path(folder, "idle.db")) as db:
    db.define("docs", {"n": "Int"})
    held = [db.query("docs").filter(F.n == n).watch() for n in range(1_000)]
    time.sleep(1)
    used, begun = time.process_time(), time.perf_counter()
    time.sleep(5)
    print((time.process_time() - used) / (time.perf_counter() - begun) * 100)
"""


# --- the matcher alone --------------------------------------------------------------------------


class Change(NamedTuple):
    """As the feed has it."""

    collection: str
    op: str
    old: dict[str, Any]
    new: dict[str, Any]


def matcher(db: Aurora, wheres: list[dict[str, Any]]) -> Matcher:
    """Each condition with an owner of its own."""
    made, catalog = Matcher(), db._engine.catalog
    for n, where in enumerate(wheres):
        meant = resolve_where(catalog.collections["docs"], where, catalog)
        test = compiled(meant, Documents({}, {}, db._engine.clock.now()))
        made.add(n, Interest("docs", meant, test))
    return made


def matching() -> list[Figure]:
    """Of ten thousand conditions, ten are found."""
    ways: dict[str, Callable[[int], dict[str, Any]]] = {
        "equal": lambda n: {"grp": n // FEW},
        "equal and more": lambda n: {"active": True, "grp": n // FEW, "name": {"icontains": "u"}},
        "in a range": lambda n: {"grp": {"gte": n // FEW, "lt": n // FEW + 1}},
        "one of two": lambda n: {"or": [{"grp": n // FEW}, {"name": f"other-{n // FEW}"}]},
    }
    found: list[Figure] = []
    one = {**document(HIT * 10), "id": "a", "active": True}
    change = Change("docs", "update", one, {**one, "age": 1})
    with database() as db:
        for name, where in ways.items():
            many = matcher(db, [where(n) for n in range(MANY)])
            few = matcher(db, [where(n) for n in range(HIT * FEW, HIT * FEW + FEW)])
            assert len(many.touched(change)) == len(few.touched(change)) == FEW
            found.append(
                beside(
                    f"whom a change touches, 10 of 10,000, {name}",
                    lambda few=few: few.touched(change), lambda many=many: many.touched(change), 2,
                )
            )  # fmt: skip
    return found


# --- live queries -------------------------------------------------------------------------------


def told(db: Aurora, watching: list[Any]) -> float:
    """Microseconds of a write, until all who watch have been told; the median."""
    took: list[float] = []
    for n in range(WRITES):
        begun = perf_counter()
        db["docs"].insert({**document(n), "grp": HIT})
        for one in watching:
            one.next(timeout=30)
        took.append((perf_counter() - begun) * 1e6)
    return statistics.median(took)


def ten_of_many() -> list[Figure]:
    """A write beside ten thousand live queries that ten of them hear, and beside those ten alone."""
    with database() as db, ExitStack() as stack:

        def watch(group: int) -> Any:
            query = db.query("docs").filter(F.grp == group)
            return stack.enter_context(query.watch(initial=False))

        few = [watch(HIT) for _ in range(FEW)]
        alone = statistics.median(told(db, few) for _ in range(RUNS))
        begun = perf_counter()
        for n in range(MANY - FEW):
            watch(1_000 + n)
        opened = (perf_counter() - begun) / (MANY - FEW) * 1e6
        beside_all = statistics.median(told(db, few) for _ in range(RUNS))
    return [
        Figure("a write until 10 of 10,000 live queries are told", "µs", alone, beside_all, 2),
        Figure("opening one of 10,000 live queries", "µs", None, opened),
    ]


# --- latency ------------------------------------------------------------------------------------


def half(took: list[float], name: str, goal: str) -> Figure:
    """The median of latencies in nanoseconds."""
    return Figure(f"{name}, p50 (goal {goal})", "ms", None, statistics.median(took) / 1e6)


def latency() -> Figure:
    """From the return of a commit until a thread that waits has the change."""
    took: list[float] = []
    heard = threading.Semaphore(0)
    came: list[int] = []
    with database() as db, db.listen("docs") as listener:

        def listen() -> None:
            for _ in listener:
                came.append(perf_counter_ns())
                heard.release()

        thread = threading.Thread(target=listen)
        thread.start()
        for n in range(LATENCIES):
            db["docs"].insert(document(n))
            returned = perf_counter_ns()
            heard.acquire()
            took.append(max(0, came[-1] - returned))
        listener.close()
        thread.join()
    return half(took, "commit to a subscriber in the process", "0.3")


def latency_elsewhere() -> Figure:
    """The same to a subscriber in another process."""
    took: list[float] = []
    with (
        database() as db,
        subprocess.Popen(
            [sys.executable, "-c", LISTENER, str(db.config.path)], stdout=subprocess.PIPE, text=True
        ) as other,
    ):
        assert other.stdout is not None
        other.stdout.readline()
        for n in range(LATENCIES):
            db["docs"].insert({**document(n), "n": n if n < LATENCIES - 1 else -1})
            returned = perf_counter_ns()
            took.append(max(0, int(other.stdout.readline()) - returned))
    return half(took, "commit to a subscriber in another process", "2")


# --- what they cost those who write -------------------------------------------------------------


@contextmanager
def followed(make: Callable[[int], Any] | None) -> Iterator[None]:
    """Live queries, and a thread that takes what they say."""
    if make is None:
        yield
        return
    streams = [make(n) for n in range(FOLLOWED)]
    ended = threading.Event()

    def take() -> None:
        while not ended.wait(0.02):
            for one in streams:
                try:
                    while True:
                        one.next(timeout=0)
                except Timeout:
                    continue

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        for one in streams:
            one.close()


def rate(way: str | None, *, bulk: bool) -> float:
    """Inserts a second, one by one or many in a transaction."""
    with database() as db:
        make = None if way is None else WAYS[way](db)
        with followed(make):
            begun = perf_counter()
            if bulk:
                for first in range(0, BULK, BATCH):
                    db["docs"].insert_many(map(document, range(first, first + BATCH)))
                return BULK / (perf_counter() - begun)
            for n in range(ONE):
                db["docs"].insert(document(n))
            return ONE / (perf_counter() - begun)


WAYS: dict[str, Callable[[Aurora], Callable[[int], Any]]] = {
    "each hears 1 %": lambda db: lambda n: db.query("docs").filter(F.age >= n * 10, F.age < n * 10 + 10).watch(),
    "each hears all": lambda db: lambda _n: db.query("docs").watch(),
    "lists of 10": lambda db: lambda n: db.query("docs").filter(F.age >= n * 10, F.age < n * 10 + 10).order_by("-n").limit(10).live(),
}  # fmt: skip


def rates() -> list[Figure]:
    """Beside nobody, and beside a hundred live queries on the collection."""
    found: list[Figure] = []
    for bulk in (False, True):
        alone = median(lambda bulk=bulk: rate(None, bulk=bulk), 3)
        name = "insert many" if bulk else "insert one"
        for way in WAYS:
            beside_them = median(lambda way=way, bulk=bulk: rate(way, bulk=bulk), 3)
            found.append(Figure(f"{name}, 100 live queries, {way}", "/s", alone, beside_them))
    return found


def idle() -> Figure:
    """Percent of a processor that a process with a thousand subscriptions takes while nothing happens."""
    done = subprocess.run(
        [sys.executable, "-c", IDLE], capture_output=True, text=True, check=True, timeout=300
    )
    return Figure("processor of 1,000 idle subscriptions (goal 0.5)", "%", None, float(done.stdout))


def figures() -> list[Figure]:
    """All of them."""
    return [*matching(), *ten_of_many(), latency(), latency_elsewhere(), *rates(), idle()]
