"""The event loop of async handlers, in a thread beside the slots; made when one is needed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from aurora_db.jobs.attempt import Attempt

if TYPE_CHECKING:
    import asyncio


class Tasks:
    """Runs attempts as tasks of one event loop.

    Args:
        run: one attempt, from its beginning to its end.
    """

    def __init__(self, run: Callable[[Attempt], Coroutine[Any, Any, None]]) -> None:
        self._run = run
        self._loop: asyncio.AbstractEventLoop | None = None
        #: An event loop alone does not keep its tasks.
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = threading.Lock()

    def spawn(self, attempt: Attempt) -> None:
        """Begin an attempt."""
        loop = self._running()
        loop.call_soon_threadsafe(self._start, loop, attempt)

    def _running(self) -> asyncio.AbstractEventLoop:
        import asyncio  # noqa: PLC0415 - a program without async handlers does without

        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=_serve, args=(self._loop,), name="aurora-async", daemon=True
                ).start()
            return self._loop

    def _start(self, loop: asyncio.AbstractEventLoop, attempt: Attempt) -> None:
        task = loop.create_task(self._run(attempt))
        attempt.task = task
        attempt.thread = threading.current_thread()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self, attempt: Attempt) -> None:
        """Cancel the task of an attempt; one that has not begun looks at its fate first."""
        if attempt.task is not None:
            # Its loop may have been replaced and closed.
            with contextlib.suppress(RuntimeError):
                attempt.task.get_loop().call_soon_threadsafe(attempt.task.cancel)

    def replace(self) -> None:
        """The loop is blocked: new tasks get another one."""
        with self._lock:
            self._loop = None

    def close(self) -> None:
        """End the loop."""
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    def __repr__(self) -> str:
        return f"Tasks({len(self._tasks)})"


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    import asyncio  # noqa: PLC0415 - a program without async handlers does without

    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
