"""What runs in a child process of a worker: one job after the other, until its parent leaves.

It opens the database for itself, imports the handler by its name and runs it in the main thread,
under the attempt and in the name of its parent's worker. Told to end an attempt, it raises SIGTERM in
that thread: `SystemExit`, unless the handler has set another way.
"""

from __future__ import annotations

import contextlib
import faulthandler
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Never

import msgspec

from aurora_db.base.errors import JobError
from aurora_db.jobs import crash, executor, importing, progress, signature
from aurora_db.jobs.attempt import Attempt, Fate
from aurora_db.jobs.context import Bench
from aurora_db.jobs.handlers import Handler, Jobs, RegisteredJob
from aurora_db.jobs.importing import Reference
from aurora_db.jobs.outcome import Outcome
from aurora_db.jobs.processes import SIGNAL, Begun, End, Hello, Run, Said
from aurora_db.jobs.queue import Report
from aurora_db.jobs.worker import Workers
from aurora_db.store.children import Parent

_run = msgspec.msgpack.Decoder(Run)
_end = msgspec.msgpack.Decoder(End)
_encode = msgspec.msgpack.Encoder().encode


class Runner:
    """Runs the jobs that the parent hands over."""

    def __init__(self, parent: Parent, hello: Hello) -> None:
        self._parent = parent
        self._hello = hello
        self._handlers: dict[tuple[Reference, str], tuple[Handler, Bench]] = {}
        self._benches: dict[int, Bench] = {}
        self._closers: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._attempt: Attempt | None = None
        #: What was told last; it may come before the job itself.
        self._told: End | None = None
        #: While a handler runs, so that it may be ended.
        self._open = False
        #: Set when an attempt has said how far it is; a thread hands that on.
        self._said: threading.Event | None = None
        self._sent: Report | None = None

    # --- told -------------------------------------------------------------------------------

    def hear(self, frame: bytes) -> None:
        """In the listening thread: an attempt shall end."""
        with self._lock:
            told = self._told = _end.decode(frame)
            current = self._attempt
            if current is None or not _means(told, current):
                return
            current.tell(Fate(told.fate))
        main = threading.main_thread().ident
        assert main is not None
        # To that thread, so that what it waits for is interrupted.
        signal.pthread_kill(main, SIGNAL)

    def terminate(self, _number: int, _frame: FrameType | None) -> None:
        """In the main thread: end the handler. A signal of others means the parent, which decides."""
        attempt = self._attempt
        if self._open and attempt is not None and attempt.fate is not None:
            self._open = False
            raise SystemExit(f"the attempt was told to end: {attempt.fate}")

    # --- work -------------------------------------------------------------------------------

    def serve(self) -> None:
        """Run jobs until the parent leaves. One that was told to end is followed by no other."""
        work = self._parent.work
        while (frame := work.receive()) is not None:
            if not work.send(_encode(self._do(_run.decode(frame)))):
                return

    def _do(self, run: Run) -> Outcome:
        try:
            handler, bench = self._found(run)
        except BaseException as error:  # noqa: BLE001 - the user's module; the border to it
            return executor.raised(_not_found(run, error))
        attempt = Attempt(run.job, handler, 0, math.inf)
        attempt.heard = self._wake
        try:
            self._begin(attempt)
            outcome = executor.perform(bench, attempt)
            self._report(attempt)
            return outcome
        except BaseException as error:  # noqa: BLE001 - the signal, just before the handler or after it
            return executor.raised(error)
        finally:
            self._open = False

    def _begin(self, attempt: Attempt) -> None:
        self._open = True
        with self._lock:
            self._attempt = attempt
            early = self._told
        if early is not None and _means(early, attempt):
            attempt.tell(Fate(early.fate))
            raise JobError("the attempt was told to end before it began")

    # --- how far it is ----------------------------------------------------------------------

    def _wake(self) -> None:
        if self._said is None:
            self._said = threading.Event()
            threading.Thread(target=self._tell_parent, name="aurora-progress", daemon=True).start()
        self._said.set()

    def _tell_parent(self) -> None:
        """In a thread: hand on what was said last, so often as it is written."""
        said = self._said
        assert said is not None
        while said.wait():
            said.clear()
            if self._attempt is not None:
                self._report(self._attempt)
            time.sleep(progress.EVERY)

    def _report(self, attempt: Attempt) -> None:
        # Not noted as written: `job.completing()` writes it in its own transaction.
        report = attempt.report
        if report is not None and report is not self._sent:
            self._sent = report
            job = attempt.job
            said = Said(job.n, job.attempt, report.progress, report.note)
            self._parent.work.send(_encode(said))

    # --- handlers and the database ----------------------------------------------------------

    def _found(self, run: Run) -> tuple[Handler, Bench]:
        """The handler of a job, imported, and the bench of its registry."""
        key = run.handler, run.job.type
        known = self._handlers.get(key)
        if known is None:
            found = importing.find(run.handler)
            registry = Jobs()
            while not isinstance(found, RegisteredJob) and hasattr(found, "__wrapped__"):
                found = found.__wrapped__
            if isinstance(found, RegisteredJob):
                registry = found.registry
                found = found.__wrapped__
            handler = signature.look_at(run.job.type, found)
            known = self._handlers[key] = handler, self._bench(registry)
            self._parent.work.send(_encode(Begun()))
        return known

    def _bench(self, registry: Jobs) -> Bench:
        """The database, opened here, with the handlers of a registry."""
        bench = self._benches.get(id(registry))
        if bench is None:
            hello = self._hello
            make: Any = importing.find(hello.elsewhere)
            bench, close = make(hello.path, hello.durability, hello.retention, registry)
            self._benches[id(registry)] = bench
            self._closers.append(close)
        return bench

    def close(self) -> None:
        """Close what was opened here."""
        for close in self._closers:
            close()


def _means(told: End, attempt: Attempt) -> bool:
    return (told.n, told.attempt) == (attempt.job.n, attempt.job.attempt)


def _not_found(run: Run, error: BaseException) -> JobError:
    refused = JobError(
        f"the handler '{run.handler.name}' of '{run.handler.module}' could not be imported in a "
        f"child process: {executor.words(error)}"
    )
    refused.__cause__ = error
    return refused


def main() -> Never:
    """Serve the parent that started this process."""
    parent = Parent(*map(int, sys.argv[1:4]))
    Workers.in_child = True
    crash.from_environment()
    frame = parent.work.receive()
    if frame is None:
        os._exit(0)
    hello = msgspec.msgpack.decode(frame, type=Hello)
    sys.argv[:] = hello.argv
    if sys.stderr is not None:
        # Where a crash happened is what its owner wants to know.
        faulthandler.enable()
    runner = Runner(parent, hello)
    signal.signal(SIGNAL, runner.terminate)
    parent.listen(runner.hear)
    try:
        runner.serve()
        runner.close()
    finally:
        for stream in (sys.stdout, sys.stderr):
            # Nobody may read any more.
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.flush()
    sys.exit(0)
