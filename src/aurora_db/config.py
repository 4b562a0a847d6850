"""How a database is opened: one frozen record, made once, checked whole.

An option exists here only when it does something; an unknown one is a `TypeError` that names
the nearest.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, TypedDict, cast, get_args

import msgspec

from aurora_db.base.clock import Clock, SystemClock
from aurora_db.base.codec import seconds
from aurora_db.jobs import pruning
from aurora_db.jobs.pruning import Retention

Durability = Literal["strict", "relaxed", "none"]

#: Seconds or a `timedelta`.
Duration = float | timedelta


class Options(TypedDict, total=False):
    """The keywords of `Aurora(path, …)`: those of `AuroraConfig` without the path."""

    workers_enabled: bool
    worker_threads: int
    worker_queues: Sequence[str] | None
    durability: Durability
    hot_cache_size_mb: float
    read_only: bool
    feed_retention: Duration
    job_retention: Retention
    shutdown_timeout: Duration
    poll_interval: Duration
    clock: Clock


class AuroraConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Options of one open database.

    Args:
        path: a file, made when absent; ":memory:" is a private one that goes at `close`.
        workers_enabled: whether this process runs jobs; otherwise it only enqueues.
        worker_threads: how many jobs run at once in this process, 1 to 1,024.
        worker_queues: the queues whose jobs this process runs, such as ("media",); None for all.
        durability: "strict" (an acknowledged write survives a power cut), "relaxed" (a power
            cut may lose the last moments, never consistency) or "none" (tests and imports).
        hot_cache_size_mb: memory for documents and results that were read, in MiB; 0 keeps none. They are
            never stale (docs/realtime/caches.md), and take no more than they need.
        read_only: open without writing; every write is refused.
        feed_retention: how long changes are kept.
        job_retention: how long jobs are kept after their end, where workers run: for all of them, or by
            status as `{"COMPLETED": 3600, "FAILED": None}`; None is for ever.
        shutdown_timeout: how long `close` waits for running jobs.
        poll_interval: how often at most to look for writes of programs that are not Aurora,
            seconds, above 0.
        clock: where time comes from; tests pass a `ManualClock`.

    Raises:
        ValueError: an option is outside its range.
    """

    path: str | os.PathLike[str]
    workers_enabled: bool = False
    worker_threads: int = 4
    worker_queues: Sequence[str] | None = None
    durability: Durability = "strict"
    hot_cache_size_mb: float = 256
    read_only: bool = False
    feed_retention: Duration = timedelta(days=1)
    job_retention: Retention = timedelta(days=7)
    shutdown_timeout: Duration = 30.0
    poll_interval: Duration = 0.05
    clock: Clock = msgspec.field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        path = os.fspath(self.path)
        if not path:
            raise ValueError("'path' is empty; give a file name or ':memory:'")
        if "://" in path:
            raise ValueError(
                f"'{path}' is an address; this version opens files, such as 'shop.db', and ':memory:'"
            )
        if not 1 <= self.worker_threads <= 1024:
            raise ValueError(f"'worker_threads' is from 1 to 1024, not {self.worker_threads!r}")
        queues: object = self.worker_queues
        if queues is not None and (
            not isinstance(queues, (list, tuple, set, frozenset))
            or not queues
            or not all(isinstance(one, str) and one for one in cast("Iterable[object]", queues))
        ):
            raise ValueError(f"'worker_queues' is a list of names, or None for all, not {queues!r}")
        if self.durability not in get_args(Durability):
            words = ", ".join(f"'{word}'" for word in get_args(Durability))
            raise ValueError(f"'durability' is one of {words}, not {self.durability!r}")
        for name in ("feed_retention", "shutdown_timeout"):
            if seconds(getattr(self, name)) < 0:
                raise ValueError(f"'{name}' is a duration from 0, not {getattr(self, name)!r}")
        pruning.kept(self.job_retention)
        size = cast("object", self.hot_cache_size_mb)
        if isinstance(size, bool) or not isinstance(size, (int, float)) or not 0 <= size < 2**40:
            raise ValueError(f"'hot_cache_size_mb' is a number of MiB from 0, not {size!r}")
        if seconds(self.poll_interval) <= 0:
            raise ValueError(f"'poll_interval' is above 0, not {self.poll_interval!r}")
        if self.read_only and self.workers_enabled:
            raise ValueError("a read-only database cannot run workers; drop one of the two options")

    @classmethod
    def of(cls, path: str | os.PathLike[str], options: Mapping[str, Any]) -> AuroraConfig:
        """The configuration for `path` and keywords.

        Raises:
            TypeError: a keyword is not an option; the message names the nearest one.
        """
        known = [name for name in cls.__struct_fields__ if name != "path"]
        for name in options:
            if name not in known:
                import difflib  # noqa: PLC0415 - for this error only

                near = difflib.get_close_matches(name, known, 1)
                hint = (
                    f"; did you mean '{near[0]}'?" if near else f"; options are {', '.join(known)}"
                )
                raise TypeError(f"no option named '{name}'{hint}")
        return cls(path=path, **options)
