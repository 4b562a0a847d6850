"""Records that users hold: jobs, versions, and what a worker says of itself. Frozen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

import msgspec


class Priority(IntEnum):
    """How soon a job is claimed: all of a higher one before any of a lower one."""

    LOW = -1
    NORMAL = 0
    HIGH = 1
    CRITICAL = 2

    @classmethod
    def of(cls, value: Priority | int | str) -> Priority:
        """The priority that a number or a word means.

        Raises:
            ValueError: it is none; the message lists them.
        """
        try:
            return cls[value.upper()] if isinstance(value, str) else cls(value)
        except (KeyError, ValueError):
            words = ", ".join(f"{one.name} ({one.value})" for one in cls)
            raise ValueError(f"{value!r} is not a priority; they are {words}") from None


#: Attempts of a job in all, unless it or its type says otherwise.
MAX_RETRIES = 3


class Status(StrEnum):
    """Where a job is in its life; `jobs/status.py` has the ways between them."""

    SCHEDULED = "SCHEDULED"
    BLOCKED = "BLOCKED"
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it was when it was read.

    `retries` counts failures, `attempt` counts claims, `progress` goes from 0 to 1. `after` are the
    jobs that it was to wait for, `depends_on` how many of them it still waits for. `batch` is the id of
    its batch or flow. `conflict` tells in what enqueueing returns that the job was there already and has
    the key of the one asked for.
    """

    id: str
    type: str
    queue: str
    payload: Any
    priority: Priority
    status: Status
    retries: int = 0
    max_retries: int
    error: str | None = None
    last_retry: datetime | None = None
    run_at: datetime | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempt: int = 0
    crashes: int = 0
    worker: str | None = None
    lease_until: datetime | None = None
    timeout: float | None = None
    progress: float | None = None
    progress_note: str | None = None
    result: Any = None
    unique_key: str | None = None
    tags: tuple[str, ...] = ()
    cause: dict[str, Any] | None = None
    after: tuple[str, ...] = ()
    depends_on: int | None = None
    backoff: Any = None
    conflict: bool = False
    on_dependency_failure: str | None = None
    batch: str | None = None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch or a flow as it was when it was read: how many jobs it has, and how they ended.

    `finished_at` is when the last of them ended; None while one has not.
    """

    id: str
    name: str | None = None
    total: int
    completed: int
    failed: int
    cancelled: int
    created_at: datetime
    finished_at: datetime | None = None

    @property
    def ended(self) -> int:
        """How many jobs have ended."""
        return self.completed + self.failed + self.cancelled

    @property
    def progress(self) -> float:
        """The share of the jobs that have ended, from 0 to 1."""
        return self.ended / self.total if self.total else 1.0


class MigrationResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one version: `status` is "applied" or "skipped", `steps` how many ran."""

    version: str
    status: str
    steps: int = 0


class WorkerStats(msgspec.Struct, frozen=True, kw_only=True):
    """The queue by status, and what this process does.

    `running` are jobs in slots of this process, `waiting` those it has claimed and not begun;
    `completed`, `failed`, `rescued` and `pruned` count since its workers started.
    """

    by_status: dict[str, int]
    threads: int
    running: int
    waiting: int
    completed: int
    failed: int
    rescued: int
    pruned: int = 0


class CacheCounts(msgspec.Struct, frozen=True, kw_only=True):
    """One cache: what it holds, and what came of it since the database was opened.

    `bytes` are about those of memory; of plans, the characters of their texts. `evictions` had to make
    room for others; what a change has dropped is not counted.
    """

    items: int
    bytes: int
    hits: int
    misses: int
    evictions: int

    @property
    def ratio(self) -> float:
        """The share of hits, from 0 to 1."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0


class CacheStats(msgspec.Struct, frozen=True, kw_only=True):
    """The caches of one open database. `size` is the most that documents and results have, in bytes."""

    size: int
    documents: CacheCounts
    results: CacheCounts
    plans: CacheCounts


class QueueState(msgspec.Struct, frozen=True, kw_only=True):
    """A queue as it is: what waits and runs, and what was said of it.

    `pending` may be claimed, `blocked` waits because a limit has no room for its key. `paused_at` is
    None while it is not paused; `rate` reads "100/60s"; `aging` is in seconds; `oldest_at` is when the
    first of the waiting jobs was enqueued.
    """

    name: str
    pending: int
    blocked: int
    running: int
    paused_at: datetime | None = None
    concurrency: int | None = None
    rate: str | None = None
    key: str | None = None
    aging: float | None = None
    oldest_at: datetime | None = None

    @property
    def paused(self) -> bool:
        """Whether nothing is claimed from it."""
        return self.paused_at is not None


class ImportFailure(msgspec.Struct, frozen=True):
    """A document of a file that was not imported: the line it begins on, and why."""

    line: int
    reason: str


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did. `failed` are the first thousand failures, `failed_count` is how many there were."""

    imported: int
    skipped: int
    failed: tuple[ImportFailure, ...] = ()
    failed_count: int = 0


class Problem(msgspec.Struct, frozen=True):
    """Something wrong with a file: where, "file" or a collection, and what."""

    place: str
    message: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """How an operation runs: its plan as text, its statements, and what they cost.

    `sql` are the distinct statements, `steps` the engine's own words for how it goes about them,
    `index` the indexes it uses. `rows_read` are the rows that came out of the statements, or that
    a scan stepped over where these are more. `elapsed` is in seconds.

    `live` says how a query or a subscription is kept up to date: "incremental", "by key" or "re-run",
    and `live_why` why so; None of what is not followed. `watches` are the fields of each collection whose
    changes matter, by its name; none are named where those of any do.
    """

    plan: str
    sql: tuple[str, ...]
    steps: tuple[str, ...]
    index: tuple[str, ...]
    rows_read: int
    elapsed: float
    live: str | None = None
    live_why: str = ""
    watches: Mapping[str, tuple[str, ...]] = {}
