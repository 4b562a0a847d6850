"""Worker processes of the job machine: forked, driven over a socket, killed by whoever drives them.

python machine.py SOCKET PATH     serves: forks workers, and waits for their ends
"""

from __future__ import annotations

import json
import os
import socket
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from aurora_db import Aurora, Cancel, Fail, JobContext, Jobs, ManualClock, Retry, Snooze
from aurora_db.jobs import crash

if TYPE_CHECKING:
    from aurora_db.jobs.queue import Claimed

#: Seconds of a snooze, and of a retry that says when.
SNOOZE = 20.0
AGAIN = 5.0

jobs = Jobs()
#: What the next handler does.
orders: list[str] = []


@jobs.job("single", concurrency=1)
@jobs.job("plain")
def plain(job: JobContext) -> str:
    """Do as told."""
    match orders.pop():
        case "fail":
            raise ValueError("no")
        case "Fail":
            raise Fail("never")
        case "cancel":
            raise Cancel("no need")
        case "snooze":
            raise Snooze(SNOOZE)
        case "retry":
            raise Retry(AGAIN)
        case "completing":
            with job.completing() as tx:
                tx.insert_into("effects", {"job": job.id, "attempt": job.attempt})
        case _:
            return "done"
    return "returned after the completion"


class Worker:
    """One worker: claims, begins and ends one job at a time, each when it is told."""

    def __init__(self, path: str) -> None:
        self.clock = ManualClock()
        self.db = Aurora(path, jobs=jobs, clock=self.clock, durability="none")
        self.engine = self.db._engine
        self.solo = self.db._workers.solo()
        self.job: Claimed | None = None
        self.attempt: Any = None

    def arrive(self) -> object:
        """Register, and rescue what the dead held."""
        self.engine.write(self.solo.arrive)
        self.solo.bury()
        return self.solo.id

    def claim(self) -> object:
        """Claim a job; its id and attempt, or None."""
        self.job = self.engine.write(partial(self.solo.take, types=None))
        return None if self.job is None else [self.job.id, self.job.attempt]

    def begin(self) -> object:
        """Its handler begins: it stands on the board."""
        assert self.job is not None
        self.attempt = self.solo.begin(self.job)
        return None

    def end(self, how: str, point: str | None = None) -> object:
        """Run the handler and settle; whether the job was still ours. May die at a crash point."""
        assert self.job is not None
        if point is not None:
            crash.hook = crash.killer(point)
        orders.append(how)
        settlement = self.solo.ended(self.attempt, self.solo.attempt(self.attempt))
        if settlement is None:
            held = self.engine.read(partial(self.solo.completed, job=self.job))
        else:
            held = self.engine.write(partial(self.solo.settle, settlement=settlement))
            if crash.hook is not None:
                crash.hook("after_commit_before_ack", self.engine)
        self.job = None
        return held

    def release(self) -> object:
        """Give the job back that has not begun."""
        assert self.job is not None
        self.engine.write(partial(self.solo.release, job=self.job))
        self.job = None
        return None

    def leave(self) -> object:
        """Stop gracefully."""
        self.engine.write(self.solo.leave)
        self.solo.close()
        self.db.close()
        return None


def serve(name: str, path: str) -> None:
    """Obey one line after the other: the time, a verb, its arguments."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(name)
        lines = connection.makefile("rw", encoding="utf-8")
        worker = Worker(path)
        lines.write(json.dumps(os.getpid()) + "\n")
        lines.flush()
        for line in lines:
            now, verb, arguments = json.loads(line)
            if now > worker.clock.monotonic():
                worker.clock.advance(now - worker.clock.monotonic())
            answer = getattr(worker, verb)(*arguments)
            lines.write(json.dumps(answer) + "\n")
            lines.flush()
            if verb == "leave":
                return


def main(name: str) -> None:
    """Fork a worker for each line with the path of its database; wait for one whose number comes."""
    for line in sys.stdin:
        said = line.rstrip("\n")
        if said.isdecimal():
            # Only now are its locks free, whatever its parent has seen of it.
            os.waitpid(int(said), 0)
            print("gone", flush=True)
        elif os.fork() == 0:
            serve(name, said)
            os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
