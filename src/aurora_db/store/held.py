"""An interactive transaction: its deadline, its end, and who holds it."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

from aurora_db.base.errors import Timeout, TransactionError
from aurora_db.store import causes
from aurora_db.store.port import finish
from aurora_db.store.sqlite import SqlitePort

if TYPE_CHECKING:
    from aurora_db.store.writer import Writer

#: Seconds an interactive transaction may hold the writer.
DEADLINE = 10.0


class Held:
    """An interactive transaction: holds the writer until its end or its deadline.

    A context manager of both kinds: commits at the end, rolls back when the block raises.
    """

    def __init__(self, writer: Writer, deadline: float, owner: object = None) -> None:
        self._writer = writer
        self._ends = time.monotonic() + deadline
        self._seconds = deadline
        self._mutex = threading.RLock()
        self._catalog = writer.port.catalog
        self._first = last_position(writer.port)
        self._state = "open"
        #: The task that waited for it by a thread, or whoever calls.
        self.owner = caller() if owner is None else owner
        self.port = writer.port
        self.port.begin()
        self._caused = finish(causes.begin(self.port, causes.CURRENT.get()))
        self.port.guard = self._guard

    def _guard(self) -> None:
        if self._state == "open" and time.monotonic() > self._ends:
            self._end("expired")
        self.check()

    def check(self) -> None:
        """Refuse a verb after the end.

        Raises:
            Timeout: the deadline has passed.
            TransactionError: it was committed or rolled back.
        """
        if self._state == "expired":
            raise Timeout(
                f"the transaction outlived its deadline of {self._seconds:g} seconds and was rolled back",
                hint="do slow work before the block, and keep the block short",
            )
        if self._state != "open":
            raise TransactionError(
                f"the transaction was {self._state} already", hint="open another one"
            )

    def expire(self) -> None:
        """Roll back if the deadline has passed; for those who wait."""
        if time.monotonic() > self._ends:
            with self._mutex:
                if self._state == "open":
                    self._end("expired")

    def _end(self, state: str) -> None:
        """Roll back and give the writer to others."""
        with self._mutex:
            self._state = state
            self.port.guard = None
            if self.port.connection.in_transaction:
                self.port.run("ROLLBACK")
            self._writer.generation.end()
            self.port.catalog = self._catalog
            self.port.take_touched()
            self._writer.let_go(None)

    def commit(self) -> None:
        """Commit; everything in the transaction is on disk when this returns.

        Raises:
            Timeout: the deadline has passed; nothing was committed.
        """
        with self._mutex:
            self._guard()
            try:
                if self._caused:
                    finish(causes.end(self.port))
                mark_operation(self.port, self._first)
                self._writer.generation.commit(self.port)
            except BaseException:
                self._end("rolled back")
                raise
            self._state = "committed"
            touched, posted = self.port.take_touched(), self.port.take_posted()
            self._writer.let_go(touched, posted)

    def rollback(self) -> None:
        """Undo everything; no error when the transaction has ended."""
        with self._mutex:
            if self._state == "open":
                self._end("rolled back")

    @property
    def open(self) -> bool:
        """Whether statements can still run."""
        return self._state == "open"

    def finish(self, error: BaseException | None) -> None:
        """Commit, or roll back when the block raised; a block that rolled back itself is done."""
        if error is not None:
            self.rollback()
        elif self._state != "rolled back":
            self.commit()


def caller() -> object:
    """Who runs: the current task where an event loop runs, else the thread."""
    # Where nobody has imported it, no event loop runs; the import would cost each program.
    asyncio = sys.modules.get("asyncio")
    try:
        task = None if asyncio is None else asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident() if task is None else task


def last_position(port: SqlitePort) -> int:
    """The position of the newest change."""
    rows = finish(port.rows("SELECT seq FROM sqlite_sequence WHERE name = '_changes'"))
    return rows[0][0] if rows else 0


#: Each row of a statement made its change first, and then its event handlers theirs.
MARK_ROWS = """
    INSERT INTO _operations (first, last)
    SELECT first, last
      FROM (SELECT seq AS first, lead(seq, 1, :end + 1) OVER (ORDER BY seq) - 1 AS last
              FROM _changes WHERE seq > :before AND collection = :collection)
     WHERE last > first
"""


def mark_rows(port: SqlitePort, before: int, collection: str) -> int:
    """Note which changes after `before` are one operation: those from one of a document to the next one's.

    Returns the position of the newest change.
    """
    last = last_position(port)
    finish(port.change(MARK_ROWS, {"before": before, "end": last, "collection": collection}))
    return last


def mark_operation(port: SqlitePort, before: int) -> int:
    """Note that the changes after `before` are one operation, if they are several.

    Returns the position of the newest change.
    """
    last = last_position(port)
    if last > before + 1:
        finish(
            port.change("INSERT INTO _operations (first, last) VALUES (?, ?)", (before + 1, last))
        )
    return last
