"""`db.workers`: register handlers, start, stop, look. What works is the pump and its slots."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, ClassVar, TypedDict, Unpack

from aurora_db.base.errors import JobError, ValidationError, WorkersDisabled
from aurora_db.base.records import QueueState, Status, WorkerStats
from aurora_db.jobs import limits, queues, reactions, upkeep
from aurora_db.jobs.context import Bench
from aurora_db.jobs.handlers import JobHandler, Jobs
from aurora_db.jobs.pruning import Pruner
from aurora_db.jobs.queues import named
from aurora_db.jobs.reactions import Fire, React
from aurora_db.store.engine import Engine

if TYPE_CHECKING:
    from aurora_db.jobs.pump import Pump
    from aurora_db.jobs.solo import Solo


class QueueOptions(TypedDict, total=False):
    """What `configure` takes."""

    concurrency: int | None
    rate: str | None
    key: str | None
    aging: float | timedelta | None


def _unknown(name: str) -> str:
    known = list(QueueOptions.__annotations__)
    import difflib  # noqa: PLC0415 - for this error only

    near = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean '{near[0]}'?" if near else f"; options are {', '.join(known)}"
    return f"no option named '{name}'{hint}"


class Workers:
    """`db.workers`: register handlers, start, stop, look. Callable, and then itself.

    Args:
        threads: how many jobs run at once.
        queues: the queues whose jobs it runs; None for all.
        enabled: False refuses every verb with the way to enable.
        poll_interval: seconds between looks for commits of other processes, at most.
        shutdown_timeout: seconds that `run` waits for running jobs at its end.
        bench: what the attempts share.
        kept: for how many seconds ended jobs are kept, by status.
    """

    #: Whether this process is a child of a worker: then what it imports starts no other workers.
    in_child: ClassVar[bool] = False

    def __init__(
        self,
        engine: Engine,
        registry: Jobs,
        *,
        threads: int,
        queues: Sequence[str] | None,
        enabled: bool,
        poll_interval: float,
        shutdown_timeout: float,
        kept: Mapping[Status, float],
        bench: Bench,
        react: React,
        fire: Fire,
    ) -> None:
        self._engine = engine
        self._registry = registry
        self._react = react
        self._fire = fire
        self._threads = threads
        self._queues = queues
        self._enabled = enabled
        self._poll_interval = poll_interval
        self._shutdown_timeout = shutdown_timeout
        self._pruner = Pruner(engine, kept) if kept else None
        self.bench = bench
        self._pump: Pump | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._begun = False
        registry.on_register(self._registered)
        # Handlers that are for workers need nothing registered, nor do schedules.
        engine.listen("handlers", self._defined)
        self._keep_schedules()
        if enabled and self._has_work():
            self.start()

    def __call__(self) -> Workers:
        """The same object, so that `db.workers()` reads as `db.workers`."""
        self._check()
        return self

    def _check(self) -> None:
        if not self._enabled:
            raise WorkersDisabled(
                "workers are disabled in this process; it only enqueues",
                hint="open the database with workers_enabled=True",
            )

    def register_handler(self, type: str, handler: JobHandler | Callable[..., object]) -> None:
        """Register an object with `handle(job)`, or a function, and start the workers.

        Raises:
            WorkersDisabled: the database was opened without workers.
            JobError: the type has a handler, or this cannot be one.
        """
        self._check()
        self._registry.register(type, handler)

    def _has_work(self) -> bool:
        """Whether there may ever be something to do."""
        catalog = self._engine.catalog
        return bool(reactions.types(self._registry, catalog) or catalog.schedules)

    def _keep_schedules(self) -> None:
        """Define the schedules of the registry in the database, also where no workers are."""
        if self._registry.planned and not self._closed:
            from aurora_db.jobs import planned  # noqa: PLC0415 - few programs have schedules

            planned.keep(self._engine, self._registry)

    def _registered(self) -> None:
        if self.in_child:
            return
        self._keep_schedules()
        if not self._enabled or self._closed:
            return
        if self._pump is None:
            self.start()
            return
        wanted = self._registry.limits()
        if self._engine.read(partial(limits.differs, wanted=wanted), single=True):
            self._engine.write(partial(limits.declare, wanted=wanted))
        self._pump.look_again()

    def _defined(self, _urgency: int) -> None:
        """Something to do was defined, by this process or another; start what never started."""
        if self._begun or not self._enabled or self._closed or self.in_child:
            return
        if self._has_work():
            # Whoever calls holds the writer, which starting needs.
            threading.Thread(target=self._begin, name="aurora-start", daemon=True).start()

    def _begin(self) -> None:
        if not self._begun and not self._closed:
            self.start()

    def start(self) -> None:
        """Start the workers; no error when they run. In a child process of a worker, none are.

        Raises:
            WorkersDisabled: the database was opened without workers.
            ReadOnly: the folder of the database cannot be written.
        """
        self._check()
        if self.in_child:
            return
        from aurora_db.jobs.pump import Pump  # noqa: PLC0415 - who only enqueues does without

        with self._lock:
            if self._pump is None:
                self._begun = True
                self._pump = Pump(
                    self._engine,
                    self._registry,
                    self._react,
                    self.bench,
                    self._threads,
                    self._poll_interval,
                    self._queues,
                    self._fire,
                    self._pruner,
                )

    def stop(self, timeout: float = 30.0) -> None:
        """Take nothing new, wait for running jobs up to `timeout` seconds, give back the rest.

        What is unfinished goes back as PENDING and counts as no failure.
        """
        self._check()
        self.close(timeout)
        self._closed = False

    def close(self, timeout: float) -> None:
        """The same, at the end of the database; no error when no workers run."""
        self._closed = True
        with self._lock:
            pump, self._pump = self._pump, None
        if pump is not None:
            pump.stop(timeout)

    def pause(self, queue: str) -> bool:
        """Let no process claim from this queue until `resume`; False when it was paused already.

        Running jobs finish; what was claimed and has not begun goes back uncounted.

        Raises:
            ValidationError: it is no name.
        """
        self._check()
        name = queues.named(queue)
        return self._engine.write(partial(queues.pause, queue=name))

    def resume(self, queue: str) -> bool:
        """Let all processes claim from this queue again; False when it was not paused.

        Raises:
            ValidationError: it is no name.
        """
        self._check()
        name = queues.named(queue)
        return self._engine.write(partial(queues.resume, queue=name))

    def configure(self, queue: str, **options: Unpack[QueueOptions]) -> None:
        """Say what holds for a queue, in all processes; what is not named stays, None clears.

        Args:
            queue: its name; no job needs to be in it.
            concurrency: how many of its jobs may run at once.
            rate: how many may begin in a time, such as "100/1m".
            key: makes both count for each value by itself: "${customer}" of the payload.
            aging: seconds after which a waiting job rises by one priority, up to HIGH.

        Raises:
            ValidationError: an option is outside its range.
        """
        self._check()
        unknown = options.keys() - QueueOptions.__annotations__.keys()
        if unknown:
            raise TypeError(_unknown(min(unknown)))
        wanted, name = queues.said(options), queues.named(queue)
        self._engine.write(lambda port: queues.configure(port, name, wanted))

    def queues(self) -> list[QueueState]:
        """Every queue that has waiting or running jobs, or was configured; by name."""
        self._check()
        return self._engine.read(queues.states)

    def scale(self, threads: int) -> None:
        """Run so many jobs at once in this process from now on; running ones finish.

        Raises:
            ValidationError: it is no number from 1 to 1,024.
        """
        self._check()
        if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= 1024:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValidationError(
                f"'threads' is from 1 to 1024, got {threads!r}", field="threads", rule="threads", value=threads,
                hint="to run nothing, stop the workers or pause a queue",
            )  # fmt: skip
        self._threads = threads
        pump = self._pump
        if pump is not None:
            pump.scale(threads)

    def enable(self, *, threads: int | None = None, queues: Sequence[str] | None = None) -> None:
        """Let this process work, though the database was opened to enqueue only.

        Workers that run are stopped first, as by `stop`; `start` or `run` starts them.

        Args:
            threads: how many jobs run at once, from 1 to 1,024; as the database was opened when absent.
            queues: the queues whose jobs it runs; as the database was opened when absent.

        Raises:
            ValidationError: an option is outside its range.
        """
        self.close(self._shutdown_timeout)
        self._closed = False
        self._enabled = True
        if threads is not None:
            self.scale(threads)
        if queues is not None:
            self._queues = [named(one) for one in queues]

    @property
    def threads(self) -> int:
        """How many jobs run at once in this process."""
        return self._threads

    @property
    def served(self) -> tuple[str, ...] | None:
        """The queues whose jobs this process runs; None for all."""
        return None if self._queues is None else tuple(self._queues)

    @property
    def types(self) -> tuple[str, ...]:
        """The job types that this process can run, those of event handlers included."""
        return reactions.types(self._registry, self._engine.catalog)

    def run(self, *, stopping: Callable[[], object] | None = None) -> None:
        """Work until SIGTERM or SIGINT, then stop gracefully; a second signal ends at once.

        Call it in the main thread of a process that does nothing else.

        Args:
            stopping: called once when the first signal has come, before running jobs are waited for.

        Raises:
            WorkersDisabled: this is a child process, which imports the module for a job handler.
        """
        self._check()
        if self.in_child:
            raise WorkersDisabled(
                "a child process that imports a job handler cannot run workers itself",
                hint='write `if __name__ == "__main__":` above `db.workers.run()`',
            )
        over = threading.Event()

        def graceful(number: int, _frame: FrameType | None) -> None:
            if over.is_set():
                os._exit(128 + number)
            over.set()

        before = {
            number: signal.signal(number, graceful) for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            self.start()
            # A wait without end would not see signals on every platform.
            while not over.wait(1.0):
                pass
            if stopping is not None:
                stopping()
            self.stop(self._shutdown_timeout)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def refuse_running(self) -> None:
        """Refuse what needs the jobs for itself.

        Raises:
            JobError: workers of this database run.
        """
        if self._pump is not None:
            raise JobError(
                "workers of this database run, so a test cannot say when jobs do",
                hint="open it without workers_enabled=True, or stop them by db.workers.stop()",
            )

    def solo(self, queue: str | None = None) -> Solo:
        """A worker that a test drives, of all queues or of one.

        Raises:
            JobError: workers of this database run.
        """
        from aurora_db.jobs.solo import Solo  # noqa: PLC0415 - only tests need it

        self.refuse_running()
        return Solo(self._engine, self._registry, self._react, self.bench, self._fire, queue)

    def stats(self) -> WorkerStats:
        """The queue by status, and what this process does."""
        self._check()

        counts = self._engine.read(upkeep.count, single=True)
        pump = self._pump
        slots = None if pump is None else pump.slots
        return WorkerStats(
            by_status=counts,
            threads=self._threads,
            running=0 if slots is None else slots.running,
            waiting=0 if slots is None else slots.waiting,
            completed=0 if slots is None else slots.completed,
            failed=0 if slots is None else slots.failed,
            rescued=0 if pump is None else pump.rescued,
            pruned=0 if self._pruner is None else self._pruner.pruned,
        )

    def __repr__(self) -> str:
        state = "disabled" if not self._enabled else "stopped" if self._pump is None else "running"
        return f"Workers({state}, threads={self._threads})"
