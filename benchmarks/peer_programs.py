"""What the peers do, in an environment of their own: `peer_programs.py huey|litequeue FOLDER`.

Stands alone: imports nothing of ours. One protocol for each: enqueue one by one, drain that
backlog with four workers, one job at a time with idle workers, end to end. Prints JSON.
"""

from __future__ import annotations

import json
import logging
import random
import sqlite3
import sys
import threading
import time
from pathlib import Path

ENQUEUED = 3_000
END_TO_END = 3_000
PICKUPS = 150
WORKERS = 4
#: Seconds of one phase at most.
CAP = 15.0
CITIES = ("Lisbon", "Oslo", "Quito", "Hanoi", "Accra", "Turin", "Cork", "Perth")


def document(i: int) -> dict[str, object]:
    """The document of the benchmarks, about 200 bytes of JSON."""
    h = (i * 2654435761) & 0xFFFFFFFF
    return {
        "n": i, "grp": i // 10, "name": f"user-{i:07d}", "email": f"user{i:07d}@example.com", "age": h % 1000,
        "score": round((h ^ (h >> 13)) % 1_000_000 / 1_000_000, 6), "active": bool(h & 1),
        "tags": ["alpha", "beta", "gamma"], "addr": {"city": CITIES[h % 8], "zip": f"{h % 100000:05d}"},
        "at": 1_760_000_000 + i,
    }  # fmt: skip


PAYLOAD = document(7)
BODY = json.dumps(PAYLOAD, separators=(",", ":"))


class Sink:
    """Keeps when handlers began."""

    def __init__(self) -> None:
        self.times: list[int] = []
        self._condition = threading.Condition()

    def hit(self) -> None:
        """A handler began."""
        now = time.perf_counter_ns()
        with self._condition:
            self.times.append(now)
            self._condition.notify_all()

    def wait(self, count: int, seconds: float) -> bool:
        """Whether so many have begun within `seconds`."""
        with self._condition:
            return self._condition.wait_for(lambda: len(self.times) >= count, seconds)


class Huey:
    """huey as it comes: SqliteHuey with four worker threads."""

    def __init__(self, folder: Path, sink: Sink) -> None:
        from huey import SqliteHuey  # noqa: PLC0415 - only where it is installed

        logging.getLogger("huey").setLevel(logging.ERROR)
        self._huey = SqliteHuey("bench", filename=str(folder / "huey.db"), results=False)

        @self._huey.task()
        def noop(_body: object) -> None:
            sink.hit()

        self._noop = noop
        self._consumer = None

    def enqueue(self) -> None:
        """Put one job."""
        self._noop(PAYLOAD)

    def start(self) -> None:
        """Start the workers."""
        self._consumer = self._huey.create_consumer(
            workers=WORKERS, worker_type="thread", periodic=False
        )
        self._consumer._set_signal_handlers = lambda: None
        self._consumer.start()

    def stop(self) -> None:
        """End them."""
        if self._consumer is not None:
            self._consumer.stop(graceful=True)


class Litequeue:
    """litequeue has no workers: four threads pop, and look every 5 ms when there is nothing."""

    def __init__(self, folder: Path, sink: Sink) -> None:
        from litequeue import LiteQueue  # noqa: PLC0415 - only where it is installed

        self._make = lambda: LiteQueue(str(folder / "lite.db"))
        self._queue = self._make()
        self._sink = sink
        self._over = False
        self._threads: list[threading.Thread] = []

    def enqueue(self) -> None:
        """Put one job."""
        self._queue.put(BODY)

    def start(self) -> None:
        """Start the workers."""
        self._threads = [threading.Thread(target=self._work) for _ in range(WORKERS)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        queue = self._make()
        claims = hasattr(queue, "retry_expired")
        while not self._over:
            try:
                message = queue.pop()
            except sqlite3.OperationalError:
                continue
            if message is None:
                time.sleep(0.005)
                continue
            json.loads(message.data)
            self._sink.hit()
            done = {"claim_id": message.claim_id} if claims else {}
            while True:
                try:
                    queue.done(message.message_id, **done)
                    break
                except sqlite3.OperationalError:
                    pass

    def stop(self) -> None:
        """End them."""
        self._over = True
        for thread in self._threads:
            thread.join(5)


PEERS = {"huey": Huey, "litequeue": Litequeue}


def enqueue(peer: Huey | Litequeue, count: int) -> tuple[int, float]:
    """Enqueue one by one; how many were done, and the seconds they took."""
    start = time.perf_counter()
    done = 0
    while done < count and time.perf_counter() - start < CAP:
        peer.enqueue()
        done += 1
    return done, time.perf_counter() - start


def measure(name: str, folder: Path) -> dict[str, float]:
    """All figures of one peer."""
    sink = Sink()
    peer = PEERS[name](folder, sink)
    try:
        peer.enqueue()
        done, seconds = enqueue(peer, ENQUEUED)
        figures = {"enqueue one": done / seconds}
        peer.start()
        sink.wait(done + 1, CAP * 2)
        times = sorted(sink.times)
        figures["drain"] = (len(times) - 1) / (times[-1] - times[0]) * 1e9
        time.sleep(0.3)
        took: list[float] = []
        end = time.perf_counter() + CAP
        while len(took) < PICKUPS and time.perf_counter() < end:
            sink.times.clear()
            begun = time.perf_counter_ns()
            peer.enqueue()
            sink.wait(1, 20)
            took.append((sink.times[0] - begun) / 1e6)
            time.sleep(random.uniform(0.005, 0.015))
        took.sort()
        figures["pickup p50"] = took[len(took) // 2]
        figures["pickup p99"] = took[int(len(took) * 0.99)]
        sink.times.clear()
        begun = time.perf_counter_ns()
        done, _ = enqueue(peer, END_TO_END)
        sink.wait(done, CAP * 2)
        figures["end to end"] = len(sink.times) / (max(sink.times) - begun) * 1e9
        return figures
    finally:
        peer.stop()


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]))))
