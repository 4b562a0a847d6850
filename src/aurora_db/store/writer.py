"""Group commit: what waits is written in one transaction, with one fsync.

Blocking callers use flat combining: whoever gets the lock first runs the operations of all that
wait, so a program of one thread has no hop. Asynchronous callers are served by one thread and
resolved by one call per event loop and batch. One operation's failure undoes itself only; a
failed COMMIT fails all of them with the same error. Nothing is acknowledged before the COMMIT.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from aurora_db.base.errors import AuroraError, Busy, DatabaseClosed, TransactionError
from aurora_db.store.held import DEADLINE, Held, caller, last_position, mark_operation
from aurora_db.store.port import Params, Verb, finish
from aurora_db.store.sqlite import SYNCHRONOUS, SqlitePort

T = TypeVar("T")

#: Operations in one transaction, at most.
BATCH = 2_000
#: Seconds a caller waits for the writer of its own process.
PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class Single(Generic[T]):
    """An operation of exactly one statement.

    Neighbours with equal `sql` in a batch run as one `executemany`. `several` tells that the
    statement causes several changes (event handlers fire), which are one operation in the feed.
    """

    sql: str
    params: Params
    result: T
    topic: str | None = None
    urgency: int = 0
    several: bool = False


class _Waiting:
    """One operation in the queue and what became of it."""

    __slots__ = ("done", "durable", "error", "future", "loop", "result", "verb")

    def __init__(self, verb: Verb[Any] | Single[Any], durable: bool) -> None:
        self.verb = verb
        self.durable = durable
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.future: asyncio.Future[Any] | None = None


class Writer:
    """The one writer of a process for one database.

    Args:
        port: the write connection's.
        durability: as in `AuroraConfig`.
        refresh: called inside each transaction before its operations, to notice definitions
            that another process made.
        committed: called after each commit with the touched topics.
    """

    def __init__(
        self,
        port: SqlitePort,
        durability: str,
        refresh: Callable[[], None],
        committed: Callable[[Mapping[str, int]], None],
    ) -> None:
        self.port = port
        self._synchronous = SYNCHRONOUS[durability]
        self._current = self._synchronous
        self._refresh = refresh
        self._committed = committed
        self._queue: deque[_Waiting] = deque()
        self._lock = threading.Lock()
        self._held: Held | None = None
        self._thread: threading.Thread | None = None
        self._thread_lock = threading.Lock()
        self._bell = threading.Semaphore(0)
        self._idle = False
        self._closed = False

    # --- blocking callers -------------------------------------------------------------------

    def run(self, verb: Verb[T] | Single[T], *, durable: bool = True) -> T:
        """Run an operation and wait until it is committed.

        Raises:
            TransactionError: the caller holds an interactive transaction.
            Busy: the writer was held longer than 15 seconds.
        """
        self.refuse_holder()
        waiting = _Waiting(verb, durable)
        self._queue.append(waiting)
        self._acquire(waiting)
        try:
            while not waiting.done:
                self._batch()
        finally:
            self._lock.release()
        if waiting.error is not None:
            raise waiting.error
        return waiting.result

    def _acquire(self, waiting: _Waiting | None = None) -> None:
        if self._lock.acquire(blocking=False):
            return
        end = time.monotonic() + PATIENCE
        while not self._lock.acquire(timeout=0.25):
            held = self._held
            if held is not None:
                held.expire()
            if time.monotonic() > end:
                if waiting is not None:
                    self._withdraw(waiting)
                raise Busy(
                    "the writer of this process was held too long", hint="keep transactions short"
                )

    def _withdraw(self, waiting: _Waiting) -> None:
        try:
            self._queue.remove(waiting)
        except ValueError:
            waiting.done = True

    def refuse_holder(self) -> None:
        """Refuse a caller that would wait for itself.

        Raises:
            TransactionError: the caller holds an interactive transaction.
        """
        if self._closed:
            raise closed()
        held = self._held
        if held is not None and held.owner == caller():
            raise TransactionError(
                "this thread or task holds a transaction; a write beside it would wait for itself",
                hint="use tx, the transaction of the block, instead of the database",
            )

    # --- asynchronous callers ---------------------------------------------------------------

    def submit(self, verb: Verb[T] | Single[T], *, durable: bool = True) -> asyncio.Future[T]:
        """Hand an operation to the writer thread; the future is resolved after its commit."""
        self.refuse_holder()
        waiting = _Waiting(verb, durable)
        waiting.loop = asyncio.get_running_loop()
        waiting.future = waiting.loop.create_future()
        self._queue.append(waiting)
        if self._thread is None:
            self._start()
        if self._idle:
            self._idle = False
            self._bell.release()
        return waiting.future

    def later(self, verb: Verb[Any]) -> None:
        """Run an operation along with the next batch; nobody waits for it."""
        self._queue.append(_Waiting(verb, durable=False))

    def _start(self) -> None:
        with self._thread_lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._serve, name="aurora-writer", daemon=True
                )
                self._thread.start()

    def _serve(self) -> None:
        while True:
            if not self._queue:
                self._idle = True
                # What came between the look and the flag has not rung.
                if not self._queue:
                    self._bell.acquire()
                self._idle = False
            if self._closed and not self._queue:
                return
            try:
                self._acquire()
            except Busy as error:
                self._fail_queue(error)
                continue
            try:
                if self._queue:
                    self._batch()
            finally:
                self._lock.release()

    def _fail_queue(self, error: AuroraError) -> None:
        failed = [w for w in list(self._queue) if w.future is not None]
        for waiting in failed:
            waiting.error = error
            self._withdraw(waiting)
        self._resolve(failed)

    # --- one transaction --------------------------------------------------------------------

    def _batch(self) -> None:
        queue = self._queue
        batch: list[_Waiting] = []
        while queue and len(batch) < BATCH:
            batch.append(queue.popleft())
        try:
            self._transaction(batch)
        except AuroraError as error:
            for waiting in batch:
                waiting.error = error
        finally:
            for waiting in batch:
                waiting.done = True
            self._resolve(batch)

    def _transaction(self, batch: Sequence[_Waiting]) -> None:
        port = self.port
        self._switch(durable=any(waiting.durable for waiting in batch))
        port.run("BEGIN IMMEDIATE")
        catalog = port.catalog
        try:
            self._refresh()
            catalog = port.catalog
            self._operations(batch)
            if all(waiting.error is not None for waiting in batch):
                port.run("ROLLBACK")
                return
            port.run("COMMIT")
        except BaseException:
            port.catalog = catalog
            if port.connection.in_transaction:
                port.run("ROLLBACK")
            raise
        touched = port.take_touched()
        self._committed(touched)

    def _switch(self, *, durable: bool) -> None:
        # A claim may be undone by a power cut: then the job is pending again.
        wanted = self._synchronous
        if not durable and wanted == "FULL":
            wanted = "NORMAL"
        if wanted != self._current:
            self.port.run(f"PRAGMA synchronous = {wanted}")
            self._current = wanted

    def _operations(self, batch: Sequence[_Waiting]) -> None:
        index = 0
        alone = len(batch) == 1
        while index < len(batch):
            waiting = batch[index]
            verb = waiting.verb
            self.port.begin()
            if isinstance(verb, Single) and not verb.several:
                end = index + 1
                while end < len(batch) and self._joins(batch[end].verb, verb.sql):
                    end += 1
                self._singles(batch[index:end])
                index = end
                continue
            self._one(waiting, alone=alone)
            index += 1

    @staticmethod
    def _joins(verb: Verb[Any] | Single[Any], sql: str) -> bool:
        return isinstance(verb, Single) and verb.sql == sql and not verb.several

    def _singles(self, run: Sequence[_Waiting]) -> None:
        port = self.port
        singles = [cast("Single[Any]", waiting.verb) for waiting in run]
        if len(run) == 1:
            # A statement that fails undoes itself.
            try:
                finish(port.change(singles[0].sql, singles[0].params))
            except AuroraError as error:
                run[0].error = error
                self._lost(error)
        else:
            try:
                port.run("SAVEPOINT many")
                finish(port.many(singles[0].sql, [single.params for single in singles]))
                port.run("RELEASE many")
            except AuroraError as error:
                self._lost(error)
                port.run("ROLLBACK TO many")
                port.run("RELEASE many")
                for waiting in run:
                    self._singles([waiting])
                return
        for waiting, single in zip(run, singles, strict=True):
            waiting.result = single.result
            if single.topic is not None and waiting.error is None:
                port.touch(single.topic, single.urgency)

    def _lost(self, error: AuroraError) -> None:
        """SQLite may have rolled the whole transaction back: then nobody's work is left."""
        if not self.port.connection.in_transaction:
            raise error

    def _one(self, waiting: _Waiting, *, alone: bool) -> None:
        port = self.port
        catalog = port.catalog
        if not alone:
            port.run("SAVEPOINT one")
        first = last_position(port)
        try:
            verb = waiting.verb
            if isinstance(verb, Single):
                finish(port.change(verb.sql, verb.params))
                waiting.result = verb.result
                if verb.topic is not None:
                    port.touch(verb.topic, verb.urgency)
            else:
                waiting.result = finish(verb(port))
            mark_operation(port, first)
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            waiting.error = error
            port.catalog = catalog
            if isinstance(error, AuroraError):
                self._lost(error)
            if not alone and port.connection.in_transaction:
                port.run("ROLLBACK TO one")
        if not alone:
            port.run("RELEASE one")

    def _resolve(self, batch: Sequence[_Waiting]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[_Waiting]] = {}
        for waiting in batch:
            if waiting.loop is not None:
                by_loop.setdefault(waiting.loop, []).append(waiting)
        for loop, mine in by_loop.items():
            try:
                loop.call_soon_threadsafe(_settle, mine)
            except RuntimeError:
                # The loop was closed while its writes were committed: nobody waits any more.
                continue

    # --- interactive transactions -----------------------------------------------------------

    def hold(self, deadline: float = DEADLINE) -> Held:
        """Take the writer for an interactive transaction; blocks until it is free.

        Raises:
            TransactionError: the caller holds one already.
            Busy: the writer, or the file, was held too long.
        """
        self.refuse_holder()
        self._acquire()
        try:
            self._switch(durable=True)
            self.port.run("BEGIN IMMEDIATE")
            self._refresh()
            held = Held(self, deadline)
        except BaseException:
            if self.port.connection.in_transaction:
                self.port.run("ROLLBACK")
            self._lock.release()
            raise
        self._held = held
        return held

    def let_go(self, touched: Mapping[str, int] | None) -> None:
        """End of an interactive transaction; `touched` is None when nothing was committed."""
        self._held = None
        self.port.guard = None
        self._lock.release()
        if touched is not None:
            self._committed(touched)

    def close(self) -> None:
        """Run what waits, end the thread; later verbs are refused."""
        self._closed = True
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            self._bell.release()
            thread.join(PATIENCE)
        self._acquire()
        try:
            while self._queue:
                self._batch()
        finally:
            self._lock.release()


def closed() -> DatabaseClosed:
    """The error of a verb after `close`."""
    return DatabaseClosed("the database is closed", hint="open it again: Aurora(path)")


def _settle(batch: Sequence[_Waiting]) -> None:
    for waiting in batch:
        future = waiting.future
        if future is None or future.done():
            continue
        if waiting.error is not None:
            future.set_exception(waiting.error)
        else:
            future.set_result(waiting.result)
