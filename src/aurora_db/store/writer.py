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
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

import msgspec

from aurora_db.aql.catalog import Catalog, Collection
from aurora_db.base.errors import AuroraError, Busy, DatabaseClosed, TransactionError
from aurora_db.sql.statement import Batch
from aurora_db.store import causes
from aurora_db.store.held import DEADLINE, Held, caller, last_position, mark_operation
from aurora_db.store.port import Port, Verb, finish
from aurora_db.store.rebuilding import foreign_keys_off
from aurora_db.store.sqlite import SYNCHRONOUS, SqlitePort

T = TypeVar("T")

#: Operations in one transaction, at most.
BATCH = 2_000
#: Seconds a caller waits for the writer of its own process.
PATIENCE = 15.0


class Single(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """An operation of exactly one statement over one row of parameters.

    Neighbours with the same statement in a batch run as one. `several` tells that the statement
    causes several changes (event handlers fire), which are one operation in the feed. `collection` is
    what it was made for; where that has been changed since, `again` runs instead with `source`.
    """

    statement: Batch
    params: Sequence[Any]
    result: T
    topic: str | None = None
    urgency: int = 0
    several: bool = False
    collection: Collection | None = None
    source: Any = None
    again: Callable[[Port, Any], Coroutine[Any, Any, T]] | None = None

    def is_stale(self, catalog: Catalog) -> bool:
        """Whether the collection is another one now."""
        made_for = self.collection
        if made_for is None:
            return False
        now = catalog.collections.get(made_for.name)
        return now is not made_for and now != made_for


class _Waiting:
    """One operation in the queue and what became of it."""

    __slots__ = (
        "cause", "done", "durable", "error", "exclusive", "future", "joins", "loop", "result", "verb",
    )  # fmt: skip

    def __init__(
        self, verb: Verb[Any] | Single[Any], durable: bool, *, exclusive: bool = False
    ) -> None:
        self.verb = verb
        #: The job whose handler asks for it.
        self.cause = causes.CURRENT.get()
        self.durable = durable
        #: It has a transaction of its own, with foreign keys off.
        self.exclusive = exclusive
        #: The statement that neighbours may share.
        self.joins: Batch | None = None
        self.result: Any = None
        if verb.__class__ is Single:
            single = cast("Single[Any]", verb)
            self.result = single.result
            self.joins = None if single.several else single.statement
        self.done = False
        self.error: BaseException | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.future: asyncio.Future[Any] | None = None


class Writer:
    """The one writer of a process for one database.

    Args:
        port: the write connection's.
        durability: as in `AuroraConfig`.
        refresh: called inside each transaction before its operations, to notice definitions
            that another process made; tells whether anybody else has written.
        committed: called after each commit with the touched topics.
    """

    def __init__(
        self,
        port: SqlitePort,
        durability: str,
        refresh: Callable[[], bool],
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
        #: Held while the thread has nothing to do; a plain lock wakes faster than a semaphore.
        self._bell = threading.Lock()
        self._bell.acquire()
        self._idle = False
        self._closed = False
        #: Where the feed ends, while nobody else has written since; None where it is not known.
        self._position: int | None = None

    # --- blocking callers -------------------------------------------------------------------

    def run(self, verb: Verb[T] | Single[T], *, durable: bool = True, exclusive: bool = False) -> T:
        """Run an operation and wait until it is committed.

        An `exclusive` one runs alone in its transaction, with foreign keys off.

        Raises:
            TransactionError: the caller holds an interactive transaction.
            Busy: the writer was held longer than 15 seconds.
        """
        self.refuse_holder()
        waiting = _Waiting(verb, durable, exclusive=exclusive)
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

    def submit(
        self, verb: Verb[T] | Single[T], *, durable: bool = True, exclusive: bool = False
    ) -> asyncio.Future[T]:
        """Hand an operation to the writer thread; the future is resolved after its commit."""
        if self._closed or self._held is not None:
            self.refuse_holder()
        waiting = _Waiting(verb, durable, exclusive=exclusive)
        waiting.loop = loop = asyncio.get_running_loop()
        waiting.future = future = loop.create_future()
        self._queue.append(waiting)
        if self._thread is None:
            self._start()
        if self._idle:
            self._ring()
        return future

    def _ring(self) -> None:
        with self._thread_lock:
            if self._idle:
                self._idle = False
                self._bell.release()

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
                if self._queue or self._closed:
                    self._ring()
                self._bell.acquire()
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
        batch = [queue.popleft() for _ in range(min(BATCH, len(queue)))]
        try:
            for part in _apart(batch):
                self._part(part)
        finally:
            for waiting in batch:
                waiting.done = True
            self._resolve(batch)

    def _part(self, batch: Sequence[_Waiting]) -> None:
        try:
            if batch[0].exclusive:
                with foreign_keys_off(self.port):
                    self._transaction(batch)
            else:
                self._transaction(batch)
        except AuroraError as error:
            for waiting in batch:
                waiting.error = error

    def _transaction(self, batch: Sequence[_Waiting]) -> None:
        port = self.port
        self._switch(durable=any(waiting.durable for waiting in batch))
        port.run("BEGIN IMMEDIATE")
        catalog = port.catalog
        try:
            if self._refresh():
                self._position = None
            catalog = port.catalog
            self._operations(batch)
            if all(waiting.error is not None for waiting in batch):
                self._position = None
                port.run("ROLLBACK")
                return
            port.run("COMMIT")
        except BaseException:
            port.catalog = catalog
            self._position = None
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
        index, count = 0, len(batch)
        # Event handlers ask what caused a write, so writes of jobs stand alone.
        caused = bool(self.port.catalog.handlers)
        while index < count:
            waiting = batch[index]
            self.port.begin()
            index += 1
            verb = waiting.verb
            if (
                waiting.joins is None
                or (caused and waiting.cause is not None)
                or (isinstance(verb, Single) and verb.is_stale(self.port.catalog))
            ):
                self._one(waiting, alone=count == 1)
                continue
            start = index - 1
            while (
                index < count
                and batch[index].joins is waiting.joins
                and (batch[index].cause is None or not caused)
            ):
                index += 1
            self._singles(batch[start:index], alone=index - start == count)

    def _singles(self, run: Sequence[_Waiting], *, alone: bool = False) -> None:
        port = self.port
        singles = [cast("Single[Any]", waiting.verb) for waiting in run]
        self._position = None
        # A statement that fails undoes itself; several undo each other by a savepoint.
        guarded = len(run) > 1 and not alone
        try:
            if guarded:
                port.run("SAVEPOINT many")
            finish(port.batch(singles[0].statement, [single.params for single in singles]))
            if guarded:
                port.run("RELEASE many")
        except AuroraError as error:
            self._lost(error)
            if len(run) == 1:
                run[0].error = error
                return
            # Whose it is shows one by one; alone in the transaction, that is begun again.
            for sql in (
                ("ROLLBACK TO many", "RELEASE many") if guarded else ("ROLLBACK", "BEGIN IMMEDIATE")
            ):
                port.run(sql)
            for waiting in run:
                self._singles([waiting])
            return
        urgency: dict[str, int] = {}
        for single in singles:
            topic = single.topic
            if topic is not None and single.urgency >= urgency.get(topic, single.urgency):
                urgency[topic] = single.urgency
        for topic, level in urgency.items():
            port.touch(topic, level)

    def _lost(self, error: AuroraError) -> None:
        """SQLite may have rolled the whole transaction back: then nobody's work is left."""
        if not self.port.connection.in_transaction:
            raise error

    def _one(self, waiting: _Waiting, *, alone: bool) -> None:
        port = self.port
        catalog = port.catalog
        if not alone:
            port.run("SAVEPOINT one")
        first = last_position(port) if self._position is None else self._position
        self._position = None
        try:
            verb = waiting.verb
            caused = finish(causes.begin(port, waiting.cause))
            if isinstance(verb, Single) and verb.again and verb.is_stale(port.catalog):
                waiting.result = finish(verb.again(port, verb))
            elif isinstance(verb, Single):
                finish(port.batch(verb.statement, [verb.params]))
                if verb.topic is not None:
                    port.touch(verb.topic, verb.urgency)
            else:
                waiting.result = finish(verb(port))
            if caused:
                finish(causes.end(port))
            self._position = mark_operation(port, first)
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
            self._position = None
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
            self._ring()
            thread.join(PATIENCE)
        self._acquire()
        try:
            while self._queue:
                self._batch()
        finally:
            self._lock.release()


def _apart(batch: Sequence[_Waiting]) -> list[Sequence[_Waiting]]:
    """Operations that share a transaction; an exclusive one shares it with none."""
    if not any(waiting.exclusive for waiting in batch):
        return [batch]
    parts: list[list[_Waiting]] = []
    for waiting in batch:
        if not parts or waiting.exclusive or parts[-1][-1].exclusive:
            parts.append([])
        parts[-1].append(waiting)
    return [*parts]


def closed() -> DatabaseClosed:
    """The error of a verb after `close`."""
    return DatabaseClosed("the database is closed", hint="open it again: Aurora(path)")


def _settle(batch: Sequence[_Waiting]) -> None:
    for waiting in batch:
        future = waiting.future
        if future is None or future.done():
            continue
        if waiting.error is None:
            future.set_result(waiting.result)
        else:
            future.set_exception(waiting.error)
