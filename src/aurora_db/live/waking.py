"""Who waits for a stream: threads or tasks, under the same names.

Wakes are counted, so that several who wait for one stream lose none: who has looked remembers the count
from before the look, and sleeps only while it stands.
"""

from __future__ import annotations

import threading
from typing import Any, Final

#: A stream has nothing to take now.
NOTHING: Final[Any] = object()
#: It is behind: run its `catch_up` in a snapshot, then take again.
BEHIND: Final[Any] = object()


class Sleeper:
    """Threads that wait."""

    def __init__(self) -> None:
        self._awake = threading.Condition()
        self._wakes = 0

    def wake(self) -> None:
        """There is something to take."""
        with self._awake:
            self._wakes += 1
            self._awake.notify_all()

    def begin(self) -> int:
        """Before the last look: a wake from here on counts."""
        return self._wakes

    def sleep(self, since: int, timeout: float | None) -> None:
        """Wait for a wake since `begin` said so, so many seconds at most."""
        if timeout is not None:
            timeout = min(timeout, threading.TIMEOUT_MAX)
        with self._awake:
            if self._wakes == since:
                self._awake.wait(timeout)


class AsyncSleeper:
    """Tasks that wait; the event loop goes on meanwhile."""

    def __init__(self) -> None:
        import asyncio  # noqa: PLC0415 - a blocking program does without

        self._loop = asyncio.get_running_loop()
        self._asleep: set[asyncio.Future[None]] = set()
        self._wakes = 0
        #: Whether the loop was told already.
        self._told = False

    def wake(self) -> None:
        """There is something to take; from any thread."""
        if self._told:
            return
        self._told = True
        try:
            self._loop.call_soon_threadsafe(self._rouse)
        except RuntimeError:
            # The loop was closed: nobody waits any more.
            return

    def _rouse(self) -> None:
        # Before the count: a wake from here on is another one.
        self._told = False
        self._wakes += 1
        for one in self._asleep:
            if not one.done():
                one.set_result(None)

    def begin(self) -> int:
        """Before the last look: a wake from here on counts."""
        return self._wakes

    async def sleep(self, since: int, timeout: float | None) -> None:  # noqa: ASYNC109
        """Wait for a wake since `begin` said so, so many seconds at most."""
        import asyncio  # noqa: PLC0415 - a blocking program does without

        if self._wakes != since:
            return
        woken = self._loop.create_future()
        self._asleep.add(woken)
        try:
            await asyncio.wait((woken,), timeout=timeout)
        finally:
            self._asleep.discard(woken)
