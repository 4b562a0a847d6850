"""Worker processes that a test drives step by step and kills: claims, handlers, settlements, upkeep.

`python job_programs.py FD` forks: for each socket that comes by the descriptor FD it makes a child that
serves it. Each line is a verb as JSON and is answered by one, or by "hangs" where it is told to stay
in the middle of what it does until it is killed. All times are the caller's.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from aurora_db import Aurora, AuroraError, ManualClock, Unique, completing
from aurora_db.jobs import (
    claims,
    executor,
    limits,
    progress,
    queue,
    queues,
    signature,
    upkeep,
    verbs,
)
from aurora_db.jobs.attempt import Attempt, Fate
from aurora_db.jobs.context import JobContext
from aurora_db.jobs.handlers import Cancel, Fail, Retry, Snooze
from aurora_db.jobs.outcome import Kind, Outcome
from aurora_db.store import process

TYPES = ("mail", "scan")
SLOTS = 256
SCHEMA = "schema { define collection effects { job: ID! what: String! } }"

_encode = msgspec.json.encode
_decode = msgspec.json.decode


class Hands:
    """One open database and what may be done there by any process."""

    def __init__(self, path: str, now: datetime) -> None:
        self.clock = ManualClock(now)
        forever = timedelta(days=36_500)
        self.db = Aurora(path, clock=self.clock, durability="none", feed_retention=forever)
        self.engine = self.db._engine
        self.worker = ""

    def enqueue(
        self, type: str, payloads: list[Any], unique: dict[str, Any] | None, options: dict[str, Any]
    ) -> list[tuple[str, bool, str]]:
        """Enqueue one or many; of each its id, whether it was there, and its status."""
        rule = None if unique is None else Unique(**unique)
        if len(payloads) == 1:
            made = [self.db.enqueue_job(type, payloads[0], unique=rule, **options)]
        else:
            made = self.db.enqueue_jobs(type, payloads, unique=rule, **options)
        return [(job.id, job.conflict, job.status.value) for job in made]

    def cancel(self, id: str) -> bool:
        return self.db.cancel_job(id)

    def retry(self, id: str) -> bool:
        return self.db.retry_job(id)

    def retry_many(self, ids: list[str]) -> list[str]:
        return self.engine.write(partial(verbs.retry, ids=ids))

    def pause(self, queue: str) -> bool:
        return self.engine.write(partial(queues.pause, queue=queue))

    def resume(self, queue: str) -> bool:
        return self.engine.write(partial(queues.resume, queue=queue))

    def limit(self, place: tuple[str, str], count: int | None, key: str | None) -> None:
        wanted = limits.limit(count, None, key if count else None)
        scope: Any = place[0]
        self.engine.write(partial(limits.put, scope=scope, name=place[1], wanted=wanted))

    def look(self) -> int:
        """What the pump does once a second: rescue the jobs of the dead, and of those who are silent."""
        rescued = 0
        for other in self.engine.read(partial(upkeep.others, worker=self.worker), single=True):
            dead = process.inspect(self.engine.folder, other)
            if dead is not None:
                rescue = partial(upkeep.rescue, worker=other, begun=dead.begun)
                rescued += self.engine.write(rescue)
                process.forget(self.engine.folder, other)
        if holders := self.engine.read(upkeep.expired, single=True):
            boards = {one: process.board(self.engine.folder, one) for one in holders}
            known = {one: begun for one, begun in boards.items() if begun is not None}
            rescued += self.engine.write(partial(upkeep.rescue_expired, boards=known))
        return rescued


class Held:
    """A claimed job in the hands of a program."""

    def __init__(self, attempt: Attempt, context: JobContext) -> None:
        self.attempt = attempt
        self.context = context
        self.slot: int | None = None


class Program(Hands):
    """A worker process; what it claimed it keeps until told otherwise, whoever has it by then."""

    def __init__(self, path: str, now: datetime, worker: str, hang: Callable[..., None]) -> None:
        super().__init__(path, now)
        self._hang = hang
        self._bench = completing.bench(self.engine, self.db._plans, self.db._jobs)
        self._held: dict[tuple[str, int], Held] = {}
        self.join(worker)

    def join(self, worker: str) -> None:
        """Be a worker of this name from here on."""
        self.worker = worker
        self._claimer = claims.Claimer(worker)
        self._lock = process.WorkerLock(self.engine.folder, worker, SLOTS)
        self._free = list(range(SLOTS))
        self._register()

    def _register(self) -> None:
        register = partial(upkeep.register, worker=self.worker, threads=SLOTS, types=TYPES)
        self.engine.write(register)

    def leave(self, worker: str) -> int:
        """Stop gracefully, and begin anew under another name; the handlers go on, as threads may."""
        returned = self.engine.write(partial(upkeep.leave, worker=self.worker))
        self._lock.close()
        for held in self._held.values():
            held.slot = None
        self.join(worker)
        return returned

    def close(self) -> None:
        self._lock.close()
        self.db.close()

    def beat(self) -> list[tuple[str, int]]:
        """Renew the leases; which attempts have lost their job."""
        beat = partial(upkeep.beat, worker=self.worker, types=TYPES)
        if not self.engine.write(beat, durable=False):
            self._register()
        ours = {
            (one.attempt.job.n, one.attempt.job.attempt): key
            for key, one in self._held.items()
            if one.attempt.job.worker == self.worker
        }
        look = partial(upkeep.lost, worker=self.worker, attempts=list(ours))
        return [ours[one] for one in self.engine.read(look, single=True)]

    def claim(self, count: int, hang: str | None = None) -> list[tuple[str, int]]:
        """Claim as the pump does; hang in the transaction, or after it."""

        async def cycle(port: Any) -> list[queue.Claimed]:
            await upkeep.stage(port)
            claimed = await self._claimer.claim(port, TYPES, count)
            if hang == "inside":
                self._hang()
            return claimed

        claimed = self.engine.write(cycle)
        taken = [(job.id, job.attempt) for job in claimed]
        if hang == "after":
            self._hang(taken)
        handler = signature.look_at("any", lambda payload: payload)
        for job in claimed:
            attempt = Attempt(job, handler, 0, 0.0)
            context = JobContext(self._bench, attempt, _decode(job.payload))
            self._held[job.id, job.attempt] = Held(attempt, context)
        return taken

    def begin(self, id: str, number: int) -> None:
        """It stands on the board from here on."""
        held = self._held[id, number]
        held.slot = self._free.pop()
        self._lock.begin(held.slot, held.attempt.job.n)

    def settle(self, ends: list[tuple[str, int, str, Any]], keep: bool) -> list[str]:
        """End these attempts, in one transaction; what became of each."""
        settlements: dict[tuple[str, int], queue.Settlement] = {}
        told: dict[tuple[str, int], str] = {}
        for id, number, how, arg in ends:
            held = self._held[id, number]
            attempt = held.attempt
            settlement = self._end(attempt, how, arg)
            if settlement is not None:
                settlements[id, number] = settlement
            else:
                told[id, number] = "completed" if attempt.completed else "lost"
                attempt.completed = False
            self._give_back(held)
            if not keep:
                del self._held[id, number]
        wanted = partial(queue.settle, settlements=list(settlements.values()))
        lost = [(one.job.id, one.job.attempt) for one in self.engine.write(wanted)]
        told |= {key: "lost" if key in lost else "written" for key in settlements}
        return [told[id, number] for id, number, _, _ in ends]

    def _end(self, attempt: Attempt, how: str, arg: Any) -> queue.Settlement | None:
        """The settlement of an attempt whose handler does this, by the way of real workers."""
        if how == "dies":
            return executor.settle(self._bench, attempt, Outcome(Kind.DIED, error="signal 9"))
        if how in ("released", "late"):
            attempt.tell(Fate.STOP if how == "released" else Fate.TIMEOUT)
            settlement = executor.given_up(self._bench, attempt)
            attempt.fate = None
            return settlement

        def handle(payload: Any, job: JobContext) -> Any:
            return self._handle(job, how, arg)

        attempt.handler = signature.look_at(attempt.job.type, handle)
        return executor.run(self._bench, attempt)

    def _handle(self, job: JobContext, how: str, arg: Any) -> Any:
        match how:
            case "returns":
                return arg
            case "errs":
                raise ValueError(arg)
            case "retries":
                raise Retry(delay=arg)
            case "fails":
                raise Fail(arg)
            case "snoozes":
                raise Snooze(arg)
            case "cancels":
                raise Cancel(arg)
            case _:
                return self._complete(job, how, arg)

    def _complete(self, job: JobContext, how: str, arg: Any) -> None:
        with job.completing() as tx:
            tx["effects"].insert({"job": job.id, "what": "done"})
            tx.result(arg)
            if how == "hangs inside":
                self._hang()
        if how == "hangs after":
            self._hang()

    def step(self, id: str, number: int, name: str, hang: bool) -> int:
        """Do a step with an effect; the number of the attempt that did it."""

        def work(tx: Any) -> int:
            tx["effects"].insert({"job": id, "what": name})
            if hang:
                self._hang()
            return number

        return self._held[id, number].context.step(name, work)

    def progress(self, id: str, number: int, done: float, note: str | None) -> bool:
        """Say how far it is, and write it as the pump does; whether the job was still there."""
        held = self._held[id, number]
        held.context.progress(done, note)
        assert held.attempt.report is not None
        write = partial(progress.write, reports=[held.attempt.report])
        return not self.engine.write(write, durable=False)

    def heartbeat(self, id: str, number: int) -> None:
        """Refused when the job is lost; then the handler ends, and nothing of that counts."""
        held = self._held[id, number]
        try:
            held.context.heartbeat()
        except AuroraError:
            assert self._end(held.attempt, "returns", 1) is None
            del self._held[id, number]
            self._give_back(held)
            raise

    def _give_back(self, held: Held) -> None:
        if held.slot is not None:
            self._lock.end(held.slot)
            self._free.append(held.slot)
            held.slot = None


# --- in the child -----------------------------------------------------------------------------


def serve(connection: socket.socket) -> None:
    """Do what the other end says, until it is closed."""
    lines = connection.makefile("rwb")

    def say(answer: dict[str, Any]) -> None:
        lines.write(_encode(answer) + b"\n")
        lines.flush()

    def hang(done: Any = "hangs") -> None:
        say({"hangs": True, "done": done})
        while True:
            signal.pause()

    program: Program | None = None
    for line in lines:
        verb, now, args = _decode(line, type=tuple[str, datetime, dict[str, Any]])
        if verb == "open":
            # Of back-offs that are drawn.
            random.seed(0)
            program = Program(now=now, hang=hang, **args)
            say({"done": None})
            continue
        assert program is not None
        program.clock.advance(now - program.clock.now())
        try:
            say({"done": getattr(program, verb)(**args)})
        except AuroraError as error:
            say({"refused": type(error).__name__})


def main() -> None:
    """Fork a child for each socket that comes, and bury those that are said to be dead."""
    logging.disable()
    control = socket.socket(fileno=int(sys.argv[1]))
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 64, 1)
        if not message:
            return
        if message.startswith(b"bury"):
            os.waitpid(int(message.split()[1]), 0)
            control.sendall(b"done\n")
            continue
        pid = os.fork()
        if pid == 0:
            control.close()
            serve(socket.socket(fileno=descriptors[0]))
            os._exit(0)
        os.close(descriptors[0])
        control.sendall(b"%d\n" % pid)


# --- at the other end ---------------------------------------------------------------------------

#: Seconds that a program may take to answer.
GUARD = 60.0


class Refused(Exception):
    """A program was refused what it was told to do; the name of the error."""


class Child:
    """A program at the other end of its socket."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._socket.settimeout(GUARD)
            self._pid = crew.fork(theirs)
        self._lines = self._socket.makefile("rwb")
        #: Whether it waits to be told something.
        self.idle = True

    def send(self, verb: str, now: datetime, **args: Any) -> None:
        """Tell it to do something."""
        self.idle = False
        self._lines.write(_encode((verb, now, args)) + b"\n")
        self._lines.flush()

    def hear(self) -> Any:
        """What it answers.

        Raises:
            Refused: the database did not let it.
        """
        line = self._lines.readline()
        assert line, "the program has ended"
        answer = _decode(line)
        self.idle = "hangs" not in answer
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer["done"]

    def tell(self, verb: str, now: datetime, **args: Any) -> Any:
        """Tell it to do something, and wait for the answer."""
        self.send(verb, now, **args)
        return self.hear()

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone."""
        os.kill(self._pid, signal.SIGKILL)
        self._lines.close()
        self._socket.close()
        self._crew.bury(self._pid)


class Crew:
    """Programs by the dozen: forked by one that has imported everything and opened nothing."""

    def __init__(self) -> None:
        import subprocess

        self._control, theirs = socket.socketpair()
        with theirs:
            self._control.settimeout(GUARD)
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )

    def fork(self, theirs: socket.socket) -> int:
        """A new program for this socket; its process id."""
        socket.send_fds(self._control, [b"fork"], [theirs.fileno()])
        return int(self._control.recv(64))

    def bury(self, pid: int) -> None:
        """Wait until the kernel has taken back all that it had."""
        self._control.sendall(b"bury %d" % pid)
        assert self._control.recv(64) == b"done\n"

    def close(self) -> None:
        self._control.close()
        assert self._process.wait(GUARD) == 0


@contextmanager
def crew() -> Iterator[Crew]:
    """A crew for the time of a test."""
    made = Crew()
    try:
        yield made
    finally:
        made.close()


if __name__ == "__main__":
    main()
