"""Who waits for a stream: a thread or a task, under the same names."""

from __future__ import annotations

import threading
from typing import Any, Final

#: A stream has nothing to take now.
NOTHING: Final[Any] = object()
#: It is behind: run its `catch_up` in a snapshot, then take again.
BEHIND: Final[Any] = object()


class Sleeper:
    """A thread that waits."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def wake(self) -> None:
        """There is something to take."""
        self._event.set()

    def begin(self) -> None:
        """Before the last look: a wake from here on counts."""
        self._event.clear()

    def sleep(self, timeout: float | None) -> bool:
        """Wait; False when nothing came in so many seconds."""
        return self._event.wait(timeout)


class AsyncSleeper:
    """A task that waits; the event loop goes on meanwhile."""

    def __init__(self) -> None:
        import asyncio  # noqa: PLC0415 - a blocking program does without

        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        #: Whether the loop was told already.
        self._told = False

    def wake(self) -> None:
        """There is something to take; from any thread."""
        if self._told:
            return
        self._told = True
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:
            # The loop was closed: nobody waits any more.
            return

    def begin(self) -> None:
        """Before the last look: a wake from here on counts."""
        self._told = False
        self._event.clear()

    async def sleep(self, timeout: float | None) -> bool:  # noqa: ASYNC109
        """Wait; False when nothing came in so many seconds."""
        import asyncio  # noqa: PLC0415 - a blocking program does without

        try:
            async with asyncio.timeout(timeout):
                await self._event.wait()
        except TimeoutError:
            return False
        return True
