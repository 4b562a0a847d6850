"""The child processes of a worker, in which the handlers of `process=True` run.

A slot takes an idle child, or starts one, hands it the job and waits: for the outcome, or for the
death of the child, which counts as a crash of the job and of no other. A child that was told to end
is not used again. What a child does stands in `child.py`.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import assert_never

import msgspec

from aurora_db.jobs.attempt import Attempt
from aurora_db.jobs.context import Bench
from aurora_db.jobs.importing import Reference
from aurora_db.jobs.outcome import Kind, Outcome
from aurora_db.jobs.queue import Claimed, Report
from aurora_db.store.children import Child

#: What a child runs; the parent's import path comes first, or it might not find this package.
CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); "
    "from aurora_db.jobs import child; child.main()"
)
#: Seconds that idle children have to end by themselves.
LEAVE = 2.0


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """The first frame to a child: how its parent was called, and which database it works for."""

    argv: list[str]
    path: str
    durability: str
    #: Seconds that changes are kept.
    retention: float
    #: Makes a `Bench` there.
    elsewhere: Reference


class Run(msgspec.Struct, frozen=True, array_like=True):
    """A frame of work: run this job by the handler that stands there."""

    job: Claimed
    handler: Reference


class End(msgspec.Struct, frozen=True, array_like=True):
    """A frame of control: this attempt shall end."""

    n: int
    attempt: int
    fate: str


class Begun(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A frame of a child: the handler is imported, and called now."""


class Said(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A frame of a child: how far this attempt is."""

    n: int
    attempt: int
    progress: float | None
    note: str | None


_heard = msgspec.msgpack.Decoder(Begun | Said | Outcome)
_encode = msgspec.msgpack.Encoder().encode


class Worker:
    """One child process, as its parent sees it."""

    def __init__(self, hello: Hello) -> None:
        path = json.dumps(sys.path)
        self._child = Child(CODE, [path])
        #: The handlers that it has imported.
        self._knows: set[Reference] = set()
        self._child.work.send(_encode(hello))

    @property
    def alive(self) -> bool:
        """Whether it could take a job."""
        return self._child.alive

    def do(self, attempt: Attempt, handler: Reference, begun: Callable[[], None]) -> Outcome:
        """Run a job and wait for its end; `begun` is called when the handler is imported first.

        The child is of no use any more when the outcome is DIED.
        """
        known = handler in self._knows
        self._child.work.send(_encode(Run(attempt.job, handler)))
        while (frame := self._child.work.receive()) is not None:
            heard: Begun | Said | Outcome = _heard.decode(frame)
            match heard:
                case Outcome() as outcome:
                    return outcome
                case Said() as said:
                    _hear(attempt, said)
                case Begun():
                    known = True
                    self._knows.add(handler)
                    begun()
                case _:
                    assert_never(heard)
        how = _how(self._child.bury())
        if known:
            return Outcome(Kind.DIED, error=how)
        # The job did not begin; that the process cannot start is a failure, and waits before it is
        # tried again.
        error = f"the child process died before the handler began ({how})"
        return Outcome(Kind.ERROR, error=f"JobError: {error}", traceback=f"{error}\n")

    def tell(self, attempt: Attempt) -> None:
        """Ask it to end an attempt."""
        assert attempt.fate is not None
        job = attempt.job
        self._child.control.send(_encode(End(job.n, job.attempt, attempt.fate)))

    def kill(self) -> None:
        """End it now."""
        self._child.kill()

    def leave(self) -> None:
        """Let it end by itself."""
        self._child.leave()

    def bury(self, patience: float = 0.0) -> None:
        """Wait for its end, `patience` seconds before it is killed."""
        self._child.bury(patience)

    def __repr__(self) -> str:
        return f"Worker({self._child!r})"


def _hear(attempt: Attempt, said: Said) -> None:
    """Leave a report with its attempt, for the pump; what the attempt before said comes too late."""
    if (said.n, said.attempt) == (attempt.job.n, attempt.job.attempt):
        attempt.say(Report(attempt.job, said.progress, said.note))


def _how(code: int) -> str:
    """`signal 9`, or `exit code 3`."""
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


class Pool:
    """The child processes of one worker: made when one is needed, kept, replaced when they die."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(self, attempt: Attempt, begun: Callable[[], None]) -> Outcome:
        """Run an attempt in a child, and wait for its end.

        `begun` is called when the handler begins and its import came first.
        """
        reference = attempt.handler.reference
        assert reference is not None
        try:
            worker = self._take()
        except OSError as error:
            text = f"no child process could be started: {error}"
            return Outcome(Kind.ERROR, error=f"OSError: {text}", traceback=f"{text}\n")
        # Who tells looks for the child after the fate, so one of both sides sees the other.
        attempt.child = worker
        if attempt.fate is not None:
            worker.tell(attempt)
        outcome = worker.do(attempt, reference, begun)
        attempt.child = None
        self._give_back(worker, fit=outcome.kind is not Kind.DIED and attempt.fate is None)
        return outcome

    def _take(self) -> Worker:
        while True:
            with self._lock:
                if self._closed:
                    raise OSError("the worker has stopped")
                worker = self._idle.pop() if self._idle else None
                if worker is not None:
                    self._busy.add(worker)
            if worker is None:
                break
            if worker.alive:
                return worker
            # Killed while it did nothing.
            self._give_back(worker, fit=False)
        worker = Worker(self._hello())
        with self._lock:
            self._busy.add(worker)
            closed = self._closed
        if closed:
            worker.kill()
        return worker

    def _give_back(self, worker: Worker, *, fit: bool) -> None:
        with self._lock:
            self._busy.discard(worker)
            if fit and not self._closed and worker.alive:
                self._idle.append(worker)
                return
        worker.bury()

    def _hello(self) -> Hello:
        bench, engine = self._bench, self._bench.engine
        assert bench.elsewhere is not None, "a worker's bench says how to make another"
        name = bench.elsewhere
        reference = Reference(name.__module__, name.__qualname__, None)
        return Hello(list(sys.argv), engine.path, engine.durability, engine.retention, reference)

    def kill(self) -> None:
        """End all children at once."""
        with self._lock:
            self._closed = True
            for worker in (*self._busy, *self._idle):
                worker.kill()

    def close(self) -> None:
        """Let the idle children end, and end those that are busy."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for worker in self._busy:
                worker.kill()
        for worker in idle:
            worker.leave()
        end = time.monotonic() + LEAVE
        for worker in idle:
            worker.bury(max(0.001, end - time.monotonic()))

    def __repr__(self) -> str:
        return f"Pool(idle={len(self._idle)}, busy={len(self._busy)})"


#: What a child is told with: its handlers may have one of their own for it.
SIGNAL = signal.SIGTERM
