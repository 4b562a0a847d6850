"""Where time comes from: the only room that reads a clock.

Everything that decides by time takes a `Clock`. `SystemClock` is the machine's; `ManualClock`
stands still until a test advances it, and then wakes whoever waits, so that no test sleeps.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """The present, and a call when it jumps."""

    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start that never run backwards."""
        ...

    def on_jump(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` whenever time moves other than by itself; returns the way to stop that."""
        ...


class SystemClock:
    """The machine's clock; it never jumps as far as we are told."""

    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds of the operating system's monotonic clock."""
        return time.monotonic()

    def on_jump(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Nothing to register; returns a function that does nothing."""
        return lambda: None

    def __repr__(self) -> str:
        return "SystemClock()"


class ManualClock:
    """A clock for tests: it moves only by `advance`."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._elapsed = 0.0
        self._lock = threading.Lock()
        self._wakes: dict[int, Callable[[], None]] = {}
        self._next = 0

    def now(self) -> datetime:
        """The instant set so far, aware, UTC."""
        with self._lock:
            return self._now

    def monotonic(self) -> float:
        """Seconds advanced so far."""
        with self._lock:
            return self._elapsed

    def advance(self, seconds: float | timedelta) -> None:
        """Move forward by `seconds` and wake whoever waits."""
        delta = seconds if isinstance(seconds, timedelta) else timedelta(seconds=seconds)
        if delta < timedelta(0):
            raise ValueError("a clock moves forward only")
        with self._lock:
            self._now += delta
            self._elapsed += delta.total_seconds()
            wakes = list(self._wakes.values())
        for wake in wakes:
            wake()

    def on_jump(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` after each `advance`; returns the way to stop that."""
        with self._lock:
            key = self._next
            self._next += 1
            self._wakes[key] = wake
        return lambda: self._forget(key)

    def _forget(self, key: int) -> None:
        with self._lock:
            self._wakes.pop(key, None)

    def __repr__(self) -> str:
        return f"ManualClock({self._now.isoformat()})"
