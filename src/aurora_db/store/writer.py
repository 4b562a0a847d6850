"""Group commit: what waits is written in one transaction, with one fsync.

Blocking callers use flat combining: whoever gets the lock first runs the operations of all that
wait, so a program of one thread has no hop. Asynchronous callers are served by one thread and
resolved by one call per event loop and batch. One operation's failure undoes itself only; a
failed COMMIT fails all of them with the same error. Nothing is acknowledged before the COMMIT.

Tasks and the thread share the interpreter's lock. Those of one batch are resolved when the next
transaction has begun, just before its statement: a long step that leaves the lock to them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar, cast

from aurora_db.base.errors import AuroraError, Busy, DatabaseClosed, TransactionError
from aurora_db.sql.statement import MOST_ROWS, Batch
from aurora_db.store import causes
from aurora_db.store.generation import Generation
from aurora_db.store.held import (
    DEADLINE,
    Held,
    caller,
    last_position,
    mark_operation,
    mark_rows,
)
from aurora_db.store.port import Verb, finish
from aurora_db.store.rebuilding import foreign_keys_off
from aurora_db.store.sqlite import SYNCHRONOUS, Patience, SqlitePort
from aurora_db.store.waiting import Single, Waiting, fail, interrupted, resolve

if TYPE_CHECKING:
    import asyncio

    from aurora_db.store.topics import Posted

T = TypeVar("T")

#: Operations in one transaction, at most: one step of one statement.
BATCH = MOST_ROWS
#: A batch of less than this part of the one before waits a moment for the tasks that were just
#: answered: most of them will write again, and a commit of their own would be another fsync.
FEW = 4
#: Seconds of that moment, at most.
MOMENT = 0.002
#: Seconds in which the thread leaves the writer to those who wait for it.
HANDOVER = 0.0005
#: Seconds a caller waits for the writer of its own process.
PATIENCE = 15.0


class Writer:
    """The one writer of a process for one database.

    Args:
        port: the write connection's.
        durability: as in `AuroraConfig`.
        refresh: called inside each transaction before its operations, to notice definitions
            that another process made; tells whether anybody else has written.
        committed: called after each commit with the touched topics and the posted messages.
        generation: tells all processes of each commit.
    """

    def __init__(
        self,
        port: SqlitePort,
        durability: str,
        refresh: Callable[[], bool],
        committed: Callable[[Mapping[str, int], Sequence[Posted]], None],
        generation: Generation,
    ) -> None:
        self.port = port
        self._synchronous = SYNCHRONOUS[durability]
        self._current = self._synchronous
        self._refresh = refresh
        self._committed = committed
        self.generation = generation
        self._queue: deque[Waiting] = deque()
        self._lock = threading.Lock()
        self._held: Held | None = None
        self._thread: threading.Thread | None = None
        self._thread_lock = threading.Lock()
        #: Held while the thread has nothing to do; a plain lock wakes faster than a semaphore.
        self._bell = threading.Lock()
        self._bell.acquire()
        self._idle = False
        #: The event loop that will ring when its tasks of now have submitted.
        self._bursting: asyncio.AbstractEventLoop | None = None
        #: How many threads wait for the lock.
        self._blocked = 0
        #: Operations that have ended and whose tasks do not know it yet.
        self._unanswered: list[Waiting] = []
        port.connection.set_busy_handler(Patience(self._answer))
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
        waiting = Waiting(verb, durable=durable, exclusive=exclusive)
        self._queue.append(waiting)
        self._acquire(waiting)
        try:
            while not waiting.done:
                self._batch()
        finally:
            self._release()
        if waiting.error is not None:
            raise waiting.error
        return waiting.result

    def _release(self) -> None:
        self._answer()
        self._lock.release()

    def _acquire(self, waiting: Waiting | None = None) -> None:
        if self._lock.acquire(blocking=False):
            return
        with self._thread_lock:
            self._blocked += 1
        try:
            self._wait_for_lock(waiting)
        finally:
            with self._thread_lock:
                self._blocked -= 1

    def _wait_for_lock(self, waiting: Waiting | None) -> None:
        end = time.monotonic() + PATIENCE
        while not self._lock.acquire(timeout=0.25):
            held = self._held
            if held is not None:
                held.expire()
            # What somebody is running already will end; then it has not failed.
            if time.monotonic() > end and (waiting is None or self._withdraw(waiting)):
                raise Busy(
                    "the writer of this process was held too long", hint="keep transactions short"
                )

    def _withdraw(self, waiting: Waiting) -> bool:
        try:
            self._queue.remove(waiting)
        except ValueError:
            return False
        return True

    def refuse_holder(self) -> None:
        """Refuse a caller that would wait for itself.

        Raises:
            TransactionError: the caller holds an interactive transaction.
        """
        if self._closed:
            raise closed()
        if self.is_held_by_caller:
            raise TransactionError(
                "this thread or task holds a transaction; a write beside it would wait for itself",
                hint="use tx, the transaction of the block, instead of the database",
            )

    @property
    def is_held_by_caller(self) -> bool:
        """Whether the calling thread or task holds an interactive transaction."""
        held = self._held
        return held is not None and held.owner == caller()

    # --- asynchronous callers ---------------------------------------------------------------

    def submit(
        self,
        verb: Verb[T] | Single[T],
        loop: asyncio.AbstractEventLoop,
        *,
        exclusive: bool = False,
    ) -> asyncio.Future[T]:
        """Hand an operation to the writer thread; a future of `loop`, resolved after its commit."""
        if self._closed or self._held is not None:
            self.refuse_holder()
        waiting = Waiting(verb, durable=True, exclusive=exclusive)
        waiting.loop = loop
        waiting.future = future = loop.create_future()
        self._queue.append(waiting)
        if self._thread is None:
            self._start()
        if self._idle and self._bursting is not loop:
            # Once for all tasks that were waiting for the same commit.
            self._bursting = loop
            loop.call_soon(self._ring)
        return future

    def _ring(self) -> None:
        with self._thread_lock:
            self._bursting = None
            if self._idle:
                self._idle = False
                self._bell.release()

    def later(self, verb: Verb[Any]) -> None:
        """Run an operation along with the next batch; nobody waits for it."""
        self._queue.append(Waiting(verb, durable=False, exclusive=False))

    def _start(self) -> None:
        with self._thread_lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._serve, name="aurora-writer", daemon=True
                )
                self._thread.start()

    def _serve(self) -> None:
        company = 0
        while self._queue or not self._closed:
            if len(self._queue) <= company:
                self._sleep(company)
            try:
                self._acquire()
            except Busy as error:
                self._fail_queue(error)
                continue
            company = 0
            try:
                while len(self._queue) > company and not self._blocked:
                    company = self._batch() // FEW
            finally:
                self._release()
            if self._blocked:
                # The lock is not fair: whoever waits for it needs a moment to take it.
                time.sleep(HANDOVER)

    def _sleep(self, company: int) -> None:
        """Wait for the bell; a moment only where operations wait for more of them."""
        self._idle = True
        # What came between the look and the flag has not rung.
        if len(self._queue) > company or self._closed:
            self._ring()
        if not self._bell.acquire(timeout=MOMENT if self._queue else -1):
            with self._thread_lock:
                self._idle = False
                # It may have rung just now.
                self._bell.acquire(blocking=False)

    def _fail_queue(self, error: AuroraError) -> None:
        tasks = [waiting for waiting in list(self._queue) if waiting.future is not None]
        failed = [waiting for waiting in tasks if self._withdraw(waiting)]
        fail(failed, error)
        resolve(failed, self._ring)

    # --- one transaction --------------------------------------------------------------------

    def _batch(self) -> int:
        """Run what waits, as much as one transaction takes; how many operations."""
        queue = self._queue
        batch = [queue.popleft() for _ in range(min(BATCH, len(queue)))]
        ended = 0
        try:
            for part in _apart(batch):
                self._part(part)
                ended += len(part)
        except BaseException as error:
            # Ctrl-C in a thread that ran this for others too.
            fail(batch[ended:], interrupted(error))
            raise
        finally:
            for waiting in batch:
                waiting.done = True
            self._unanswered += batch
        return len(batch)

    def _part(self, batch: Sequence[Waiting]) -> None:
        """Run operations in one transaction; its failure is theirs."""
        try:
            if batch[0].exclusive:
                with foreign_keys_off(self.port):
                    self._transaction(batch)
            else:
                self._transaction(batch)
        except AuroraError as error:
            fail(batch, error)
        except Exception as error:  # noqa: BLE001 - handed to the callers
            fail(batch, interrupted(error))

    def _answer(self) -> None:
        """Tell the tasks whose operations have ended."""
        if self._unanswered:
            ended, self._unanswered = self._unanswered, []
            resolve(ended, self._ring)

    def _transaction(self, batch: Sequence[Waiting]) -> None:
        port = self.port
        self._switch(durable=any(waiting.durable for waiting in batch))
        port.run("BEGIN IMMEDIATE")
        catalog = port.catalog
        try:
            if self._refresh():
                self._position = None
            catalog = port.catalog
            self._answer()
            self._operations(batch)
            if all(waiting.error is not None for waiting in batch):
                self._position = None
                port.run("ROLLBACK")
                return
            self.generation.commit(port)
        except BaseException:
            port.catalog = catalog
            self._position = None
            if port.connection.in_transaction:
                port.run("ROLLBACK")
            self.generation.end()
            raise
        self._committed(port.take_touched(), port.take_posted())

    def _switch(self, *, durable: bool) -> None:
        # A claim may be undone by a power cut: then the job is pending again.
        wanted = self._synchronous
        if not durable and wanted == "FULL":
            wanted = "NORMAL"
        if wanted != self._current:
            self.port.run(f"PRAGMA synchronous = {wanted}")
            self._current = wanted

    def _operations(self, batch: Sequence[Waiting]) -> None:
        catalog = self.port.catalog
        # Event handlers ask what caused a write, so writes of jobs stand alone.
        caused = bool(catalog.handlers)

        def shared(waiting: Waiting) -> Batch | None:
            joins = waiting.joins
            if joins is None or (caused and (waiting.cause is not None or waiting.is_quiet)):
                return None
            return None if waiting.is_stale(catalog) else joins

        for joins, neighbours in groupby(batch, shared):
            run = list(neighbours)
            if joins is None:
                for waiting in run:
                    self._one(waiting, alone=len(batch) == 1)
            else:
                self._singles(run, alone=len(run) == len(batch))

    def _singles(self, run: Sequence[Waiting], *, alone: bool = False) -> None:
        port = self.port
        port.begin()
        singles = [cast("Single[Any]", waiting.verb) for waiting in run]
        fires = self._fires(singles[0])
        before = 0
        if fires is not None:
            before = last_position(port) if self._position is None else self._position
        self._position = None
        # A statement that fails undoes itself; several undo each other by a savepoint.
        guarded = len(run) > 1 and not alone
        try:
            if guarded:
                port.run("SAVEPOINT many")
            finish(port.batch(singles[0].statement, [single.params for single in singles]))
            if fires is not None:
                self._position = mark_rows(port, before, fires)
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
        for topic, urgency in {(single.topic, single.urgency) for single in singles}:
            if topic is not None:
                port.touch(topic, urgency)

    def _fires(self, single: Single[Any]) -> str | None:
        """The collection whose event handlers a statement fires: then each row makes several changes."""
        collection, catalog = single.collection, self.port.catalog
        if collection is None or not catalog.handlers or not catalog.handlers_of(collection.name):
            return None
        return collection.name

    def _lost(self, error: AuroraError) -> None:
        """SQLite may have rolled the whole transaction back: then nobody's work is left."""
        if not self.port.connection.in_transaction:
            raise error

    def _one(self, waiting: Waiting, *, alone: bool) -> None:
        port = self.port
        port.begin()
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

    # --- interactive transactions -----------------------------------------------------------

    def hold(self, deadline: float = DEADLINE, owner: object = None) -> Held:
        """Take the writer for an interactive transaction of the caller, or of `owner`; blocks until it is free.

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
            held = Held(self, deadline, owner)
        except BaseException:
            if self.port.connection.in_transaction:
                self.port.run("ROLLBACK")
            self._lock.release()
            raise
        self._held = held
        return held

    def let_go(self, touched: Mapping[str, int] | None, posted: Sequence[Posted] = ()) -> None:
        """End of an interactive transaction; `touched` is None when nothing was committed."""
        self._held = None
        self.port.guard = None
        self._lock.release()
        if touched is not None:
            self._committed(touched, posted)

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
            self._release()


def _apart(batch: Sequence[Waiting]) -> list[Sequence[Waiting]]:
    """Operations that share a transaction; an exclusive one shares it with none."""
    if not any(waiting.exclusive for waiting in batch):
        return [batch]
    parts: list[list[Waiting]] = []
    for waiting in batch:
        if not parts or waiting.exclusive or parts[-1][-1].exclusive:
            parts.append([])
        parts[-1].append(waiting)
    return [*parts]


def closed() -> DatabaseClosed:
    """The error of a verb after `close`."""
    return DatabaseClosed("the database is closed", hint="open it again: Aurora(path)")
