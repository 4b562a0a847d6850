"""Transactions of tasks: one thread waits for the writer, for one after the other, and another commits.

Threads of asyncio's own pool would not do: when all of them wait for the writer, or do something long
for a user, none is left that could commit for whoever has it.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aurora_db.store.held import Held, caller
from aurora_db.store.writer import Writer

T = TypeVar("T")


class Turns:
    """The tasks of one database that want a transaction, in the order in which they asked."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._waiting = ThreadPoolExecutor(1, "aurora-turns")
        self._committing = ThreadPoolExecutor(1, "aurora-commits")

    async def take(self, deadline: float) -> Held:
        """The open transaction of the calling task.

        Raises:
            TransactionError: the task holds one already.
            Busy: the writer, or the file, was held too long.
        """
        self._writer.refuse_holder()
        owner = caller()
        turn = _run(self._waiting, lambda: self._writer.hold(deadline, owner))
        try:
            return await asyncio.shield(turn)
        except asyncio.CancelledError:
            # The thread gets the writer all the same, and nobody would let it go before its deadline.
            turn.add_done_callback(_let_go)
            raise

    async def commit(self, held: Held) -> None:
        """End the block of a transaction; everything in it is on disk then."""
        try:
            await _run(self._committing, lambda: held.finish(None))
        except asyncio.CancelledError:
            # It may not have begun; when it has, this waits for it and undoes nothing.
            held.rollback()
            raise

    def close(self) -> None:
        """End the threads."""
        self._waiting.shutdown()
        self._committing.shutdown()

    def __repr__(self) -> str:
        return f"Turns({self._writer.port!r})"


def _run(pool: ThreadPoolExecutor, work: Callable[[], T]) -> asyncio.Future[T]:
    """Run something in a thread that knows which job asks for it."""
    context = contextvars.copy_context()
    return asyncio.get_running_loop().run_in_executor(pool, context.run, work)


def _let_go(turn: asyncio.Future[Held]) -> None:
    """Undo the transaction of a task that was cancelled before it had it."""
    if not turn.cancelled() and turn.exception() is None:
        turn.result().rollback()
