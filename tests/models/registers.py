"""One program of several that read and write a few registers, and the check of what all of them saw.

python registers.py PATH LOG NAME STEPS SEED [broken|dies]

Each operation is a line of LOG: what, which register, its value, and the nanoseconds of the machine's
monotonic clock at which it began and ended. `broken` keeps entries that it should drop; `dies` kills itself in
the middle of a commit, now before and now after it.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import time
from collections import defaultdict
from typing import Any

REGISTERS = tuple(f"r{n}" for n in range(5))
SCHEMA = "define collection registers if not exists { id: ID!  place: Int @indexed  value: String }"
ALL = "{ registers(orderBy: {place: ASC}) { id value } }"
#: What nobody ever commits.
NEVER = "rolled back"


class Undone(Exception):
    """Rolls a transaction back."""


def prepare(db: Any) -> None:
    """The registers, each with its first value."""
    db.execute(SCHEMA)
    db["registers"].insert_many(
        [{"id": name, "place": n, "value": "first"} for n, name in enumerate(REGISTERS)]
    )


def run(db: Any, log: Any, name: str, steps: int, draw: random.Random) -> None:
    """Read and write, so many steps."""
    now = time.monotonic_ns
    registers = db["registers"]
    for n in range(steps):
        turn = draw.random()
        one = draw.choice(REGISTERS)
        if turn < 0.72:
            for _ in range(draw.choice((1, 3, 20))):
                start = now()
                value = registers.get(one)["value"]
                log.write(f"read {one} {value} {start} {now()}\n")
        elif turn < 0.82:
            for _ in range(draw.choice((1, 3, 6))):
                start = now()
                found = db.execute(ALL)["registers"]
                end = now()
                for each in found:
                    log.write(f"read {each['id']} {each['value']} {start} {end}\n")
        elif turn < 0.85:
            try:
                with db.transaction() as tx:
                    tx["registers"].update(one, {"value": NEVER})
                    assert tx["registers"].get(one)["value"] == NEVER
                    raise Undone
            except Undone:
                pass
        elif turn < 0.9:
            time.sleep(0.002)
        else:
            value = f"{name}-{n}"
            start = now()
            # A write whose end nobody noted may have happened, or may not.
            log.write(f"begin {one} {value} {start} 0\n")
            log.flush()
            registers.update(one, {"value": value})
            log.write(f"write {one} {value} {start} {now()}\n")


def die_in_commits(draw: random.Random) -> None:
    """From now on this process kills itself in one of its commits."""
    from aurora_db.store.generation import Generation

    commit, end = Generation.commit, Generation.end
    left = draw.randrange(5, 60)
    before = draw.random() < 0.5

    class Stops:
        def __init__(self, port: Any) -> None:
            self._port = port

        def run(self, sql: str) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(self: Any, port: Any) -> None:
        nonlocal left
        left -= 1
        commit(self, Stops(port) if before and left == 0 else port)

    def ended(self: Any) -> None:
        if not before and left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        end(self)

    Generation.commit, Generation.end = counted, ended


def break_it() -> None:
    """From now on nothing is dropped, as in a cache without invalidation."""
    from aurora_db.store.cache import HotCache

    HotCache._drop = lambda self, touched: None


# --- the check ------------------------------------------------------------------------------


def violations(lines: list[str]) -> list[str]:
    """What no single register could have shown, one line for each register that is wrong.

    Each value is written once, so the operations on it are a cluster; a register is linearizable exactly
    if no value is read before its write began, no two clusters must both have ended before the other one
    can begin, and none lies wholly in a time that another one must have held.

    Source: Gibbons and Korach, "Testing Shared Memories", 1997, for reads that say which write they saw.
    """
    writes: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    reads: dict[str, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        kind, register, value, began, ended = _parts(line)
        start, end = int(began), int(ended)
        if kind == "begin":
            writes[register].setdefault(value, (start, float("inf")))
        elif kind == "write":
            writes[register][value] = (start, end)
        else:
            reads[register][value].append((start, end))
    found: list[str] = []
    for register in sorted(reads):
        known = {**writes[register], "first": (float("-inf"), float("-inf"))}
        wrong = _wrong(known, reads[register])
        if wrong:
            found.append(f"{register}: {wrong}")
    return found


def _parts(line: str) -> list[str]:
    kind, register, rest = line.split(" ", 2)
    value, began, ended = rest.rsplit(" ", 2)
    return [kind, register, value, began, ended]


def _wrong(
    writes: dict[str, tuple[float, float]], reads: dict[str, list[tuple[int, int]]]
) -> str | None:
    zones: list[tuple[float, float, str]] = []
    points: list[tuple[float, float, str]] = []
    for value, some in reads.items():
        if value not in writes:
            return f"{value!r} was read, which nobody committed"
        if min(end for _, end in some) < writes[value][0]:
            return f"{value!r} was read before its write began"
    for value, (start, end) in writes.items():
        some = reads.get(value, [])
        if not some and end == float("inf"):
            # It may never have happened.
            continue
        first = min([end, *(one for _, one in some)])
        last = max([start, *(one for one, _ in some)])
        if first < last:
            zones.append((first, last, value))
        else:
            points.append((last, first, value))
    zones.sort()
    for (_, last, one), (first, _, other) in itertools.pairwise(zones):
        if first < last:
            return f"{one!r} was read after {other!r} had been there, or the other way round"
    return _inside(zones, sorted(points))


def _inside(
    zones: list[tuple[float, float, str]], points: list[tuple[float, float, str]]
) -> str | None:
    at = 0
    for start, end, value in points:
        while at < len(zones) and zones[at][1] <= start:
            at += 1
        if at < len(zones) and zones[at][0] < start and end < zones[at][1]:
            return f"{zones[at][2]!r} was read before and after {value!r}, which lies between"
    return None


def main() -> None:
    """The program."""
    from aurora_db import Aurora

    path, log, name, steps, seed, *how = sys.argv[1:]
    draw = random.Random(int(seed))
    if how == ["broken"]:
        break_it()
    with Aurora(path, durability="none") as db, open(log, "a", buffering=1 << 16) as file:
        db["registers"].get(REGISTERS[0])
        if how == ["dies"]:
            die_in_commits(draw)
        print("ready", flush=True)
        sys.stdin.readline()
        run(db, file, name, int(steps), draw)
        stats = db.cache_stats()
        print(stats.documents.hits, stats.results.hits, flush=True)


if __name__ == "__main__":
    main()
