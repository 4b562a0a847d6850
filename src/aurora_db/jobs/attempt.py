"""One attempt in its slot: the job, its handler, and what was decided about it while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from aurora_db.jobs.handlers import Handler
from aurora_db.jobs.queue import Claimed, Report

if TYPE_CHECKING:
    import asyncio


class Fate(StrEnum):
    """Why an attempt shall end before its handler does."""

    #: Its time is over.
    TIMEOUT = "timeout"
    #: The job was cancelled, or belongs to another worker.
    LOST = "lost"
    #: The worker stops, and has waited long enough.
    STOP = "stop"


class Killable(Protocol):
    """The process in which an attempt runs."""

    def tell(self, attempt: Attempt) -> None:
        """Ask it to end."""
        ...

    def kill(self) -> None:
        """End it now."""
        ...


#: Two threads of one handler may wait at once.
_making = threading.Lock()


class Attempt:
    """One attempt in its slot.

    `gone` since its slot was given to others: what it still does does not count any more. `report` is
    what it said last, `told` what of that is written.
    """

    __slots__ = (
        "_event", "child", "completed", "deadline", "fate", "gone", "handler", "heard", "job", "killed", "report",
        "slot", "task", "thread", "told",
    )  # fmt: skip

    def __init__(self, job: Claimed, handler: Handler, slot: int, deadline: float) -> None:
        self.job = job
        self.handler = handler
        self.slot = slot
        #: When it shall end; when it was told to, how long it has for that.
        self.deadline = deadline
        self.fate: Fate | None = None
        self.gone = False
        self.killed = False
        #: The job was completed by a transaction of its handler.
        self.completed = False
        #: The thread in which the handler runs; the task of an async one; the process of others.
        self.thread = threading.current_thread()
        self.task: asyncio.Task[None] | None = None
        self.child: Killable | None = None
        self._event: threading.Event | None = None
        self.report: Report | None = None
        self.told: Report | None = None
        #: Called for each report, where nobody looks for them.
        self.heard: Callable[[], object] | None = None

    def tell(self, fate: Fate) -> None:
        """It shall end; whoever waits for that wakes."""
        self.fate = fate
        if self._event is not None:
            self._event.set()

    def wait(self, timeout: float | None) -> bool:
        """Whether it was told to end, within `timeout` seconds."""
        with _making:
            event = self._event = self._event or threading.Event()
        # Told before the event was there, it has not been set.
        return self.fate is not None or event.wait(timeout) or self.fate is not None

    def say(self, report: Report) -> None:
        """How far it is, or that it lives; written with those of others in a moment."""
        self.report = report
        if self.heard is not None:
            self.heard()

    @property
    def unwritten(self) -> Report | None:
        """What it said last, if that is not written yet."""
        return None if self.report is self.told else self.report
