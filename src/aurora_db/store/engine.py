"""One open database: a writer, a read connection for each thread, and who waits for commits."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from aurora_db.aql.catalog import Catalog
from aurora_db.base.clock import Clock
from aurora_db.base.errors import AuroraError, ReadOnly
from aurora_db.store import catalog as definitions
from aurora_db.store import changes, doorbell, folders, kv, migrate, process
from aurora_db.store.doorbell import Doorbell, Ringer
from aurora_db.store.generation import Generation
from aurora_db.store.held import DEADLINE, Held
from aurora_db.store.port import Verb, finish
from aurora_db.store.post import Post
from aurora_db.store.sqlite import Connection, DriverError, Execute, SqlitePort, connect, translated
from aurora_db.store.waiting import Single
from aurora_db.store.writer import Writer, closed

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    from aurora_db.store.cache import HotCache
    from aurora_db.store.topics import Posted
    from aurora_db.store.turns import Turns

T = TypeVar("T")

logger = logging.getLogger("aurora_db.store")

#: Commits between two looks at what the feed may forget.
PRUNE_EVERY = 256
#: Threads that run reads for event loops.
READERS = 4


class _Reader:
    """The read connection of one thread and what it has seen."""

    __slots__ = ("connection", "followed", "owner", "port", "seen")

    def __init__(self, connection: Connection, catalog: Catalog, clock: Clock) -> None:
        self.connection = connection
        self.port = SqlitePort(connection, catalog, clock)
        self.owner = threading.current_thread()
        self.seen = -1
        #: The definitions of another process that it has followed by.
        self.followed = catalog


class Engine:
    """One open database. Made by `Engine.open`; every verb is safe from any thread."""

    def __init__(
        self,
        path: str,
        *,
        durability: str,
        read_only: bool,
        clock: Clock,
        feed_retention: timedelta,
        private: str | None,
    ) -> None:
        self.path = path
        self.folder = Path(path + "-aurora")
        self.clock = clock
        self.foreign = False
        self._private = private
        self._durability = durability
        self.read_only = read_only
        self._retention = feed_retention
        self._closed = False
        self._local = threading.local()
        self._readers: list[_Reader] = []
        self._readers_lock = threading.Lock()
        self._listeners: dict[str, tuple[Callable[[int], None], ...]] = {}
        self._commits = 0
        self._pool: ThreadPoolExecutor | None = None
        self._turns: Turns | None = None
        self._watcher: Connection | None = None
        self._watcher_lock = threading.Lock()
        # A private file has no other process.
        shared = private is None and hasattr(socket, "AF_UNIX")
        self._ringer = Ringer(doorbell.folder_of(path)) if shared else None
        self.post = Post(doorbell.folder_of(path), self._ringer)
        self.generation = Generation(self.folder if private is None else None, path)
        #: What reads may be answered from, where that is wanted.
        self.hot: HotCache | None = None
        connection = connect(path, durability=durability, read_only=read_only)
        port = SqlitePort(connection, Catalog({}, {}, -1), clock)
        try:
            migrate.prepare(port, path, read_only=read_only)
            self.catalog = port.catalog = finish(definitions.load(port))
        except DriverError as error:
            connection.close()
            raise translated(error, path) from error
        except BaseException:
            connection.close()
            raise
        self._seen = connection.data_version()
        self._writer = Writer(port, durability, self._refresh, self._committed, self.generation)
        process.watch(self)

    @classmethod
    def open(
        cls,
        path: str,
        *,
        durability: str,
        read_only: bool,
        clock: Clock,
        feed_retention: float | timedelta,
    ) -> Engine:
        """Open or make the file; ":memory:" is a private temporary one, deleted at `close`.

        Raises:
            DatabaseCorrupt, VersionTooNew, ReadOnly, NotFound: the file cannot be used.
        """
        retention = (
            feed_retention
            if isinstance(feed_retention, timedelta)
            else timedelta(seconds=feed_retention)
        )
        private = None
        if path == ":memory:":
            import tempfile  # noqa: PLC0415 - files do without

            private = tempfile.mkdtemp(prefix="aurora-")
            path, durability = str(Path(private, "memory.db")), "none"
        else:
            # Two names of one file must share its locks and sockets.
            path = os.path.realpath(path)
            folders.check(path, read_only=read_only)
        engine = cls(
            path,
            durability=durability,
            read_only=read_only,
            clock=clock,
            feed_retention=retention,
            private=private,
        )
        if not read_only:
            engine.prune()
        return engine

    @property
    def durability(self) -> str:
        """As in `AuroraConfig`."""
        return self._durability

    @property
    def retention(self) -> float:
        """Seconds that changes are kept."""
        return self._retention.total_seconds()

    # --- reading ----------------------------------------------------------------------------

    def read(self, verb: Verb[T], *, single: bool = False) -> T:
        """Run a reading verb in the calling thread, in one snapshot.

        `single` says that it is one statement, which is a snapshot by itself.
        """
        reader = self._reader()
        port = reader.port
        port.catalog = self.catalog
        port.begin()
        try:
            if single:
                result = finish(verb(port))
            else:
                port.run("BEGIN")
                try:
                    result = finish(verb(port))
                finally:
                    port.run("COMMIT")
        except AuroraError:
            # By definitions of yesterday nothing may be found.
            if self._definitions_moved(reader):
                return self.read(verb, single=single)
            raise
        if self._definitions_moved(reader):
            return self.read(verb, single=single)
        return result

    def follow(self, verb: Verb[T]) -> T:
        """Run a reading verb once, in one snapshot, by the definitions of that snapshot."""
        reader = self._reader()
        port = reader.port
        port.begin()
        port.run("BEGIN")
        try:
            port.catalog = self._catalog_at(port.pragma("schema_version"), reader)
            return finish(verb(port))
        finally:
            if port.connection.in_transaction:
                port.run("COMMIT")

    def _catalog_at(self, version: int, reader: _Reader) -> Catalog:
        """The definitions of a snapshot, which may be older or newer than what this process knows."""
        if version == self.catalog.version:
            return self.catalog
        if version != reader.followed.version:
            reader.followed = finish(definitions.load(reader.port))
        return reader.followed

    def _definitions_moved(self, reader: _Reader) -> bool:
        """Whether another process defined something; then it is known from here on."""
        version, port = reader.connection.data_version(), reader.port
        if version == reader.seen:
            return False
        reader.seen = version
        if port.pragma("schema_version") == self.catalog.version:
            return False
        self.catalog = finish(definitions.load(port))
        for callback in self._listeners.get("handlers", ()):
            callback(0)
        return True

    def _reader(self) -> _Reader:
        self._check()
        reader: _Reader | None = getattr(self._local, "reader", None)
        if reader is None:
            connection = connect(self.path, durability=self._durability, read_only=self.read_only)
            reader = _Reader(connection, self.catalog, self.clock)
            with self._readers_lock:
                self._bury_dead()
                self._readers.append(reader)
            self._local.reader = reader
        return reader

    def _bury_dead(self) -> None:
        for reader in [r for r in self._readers if not r.owner.is_alive()]:
            self._readers.remove(reader)
            reader.connection.close()

    async def read_async(self, verb: Verb[T], *, bounded: bool) -> T:
        """Run a reading verb: inline when it is bounded, else on a reader thread."""
        if bounded:
            return self.read(verb)
        return await self._on_reader(self.read, verb)

    async def follow_async(self, verb: Verb[T]) -> T:
        """`follow` on a reader thread."""
        return await self._on_reader(self.follow, verb)

    async def _on_reader(self, run: Callable[[Verb[T]], T], verb: Verb[T]) -> T:
        self._check()
        import asyncio  # noqa: PLC0415 - a blocking program does without
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - the same

        if self._pool is None:
            self._pool = ThreadPoolExecutor(READERS, "aurora-reader")
        return await asyncio.get_running_loop().run_in_executor(self._pool, run, verb)

    def data_version(self) -> int:
        """A number that moves when any connection, of any program, has committed."""
        self._check()
        with self._watcher_lock:
            if self._watcher is None:
                self._watcher = connect(
                    self.path, durability=self._durability, read_only=self.read_only
                )
                self._watch = self._watcher.cursor()
            try:
                execute: Execute = self._watch.execute
                return execute("PRAGMA data_version").get
            except DriverError as error:
                raise translated(error, self.path) from error

    # --- writing ----------------------------------------------------------------------------

    def write(
        self, verb: Verb[T] | Single[T], *, durable: bool = True, exclusive: bool = False
    ) -> T:
        """Run a writing verb in the group commit of this process; returns after the commit."""
        self._check(writing=True)
        return self._writer.run(verb, durable=durable, exclusive=exclusive)

    def submit(
        self,
        verb: Verb[T] | Single[T],
        loop: asyncio.AbstractEventLoop,
        *,
        exclusive: bool = False,
    ) -> asyncio.Future[T]:
        """The same for tasks: a future of their event loop, resolved after the commit."""
        if self.foreign or self._closed or self.read_only:
            self._check(writing=True)
        return self._writer.submit(verb, loop, exclusive=exclusive)

    def publish(self, message: Posted) -> None:
        """Hand an ephemeral message to its subscribers at once.

        Raises:
            TransactionError: the caller holds an interactive transaction.
        """
        self._check()
        self._writer.refuse_holder()
        self.post.send((message,))

    def _refresh(self) -> bool:
        """Inside a write transaction: notice definitions that another process made.

        Returns whether another connection has written since the last time.
        """
        port = self._writer.port
        version = port.connection.data_version()
        if version == self._seen:
            return False
        self._seen = version
        if port.pragma("schema_version") != port.catalog.version:
            port.catalog = finish(definitions.load(port))
        return True

    def _committed(self, touched: Mapping[str, int], posted: Sequence[Posted]) -> None:
        self.catalog = self._writer.port.catalog
        # Our own commit moves the number, too; that of another one shows when the next one begins.
        self._seen = self._writer.port.connection.data_version()
        self._commits += 1
        if self._commits % PRUNE_EVERY == 0:
            self._writer.later(lambda port: changes.prune(port, self._retention))
            self._writer.later(kv.forget)
        # Nearly every commit has changes; who listens looks whether this one does.
        for topic, urgency in (("changes", 0), *touched.items()):
            for callback in self._listeners.get(topic, ()):
                callback(urgency)
            if self._ringer is not None:
                self._ringer.ring(topic, urgency, known=topic == "changes")
        if posted:
            self.post.send(posted)

    @contextmanager
    def transaction(self, deadline: float = DEADLINE) -> Iterator[Held]:
        """An interactive transaction: committed at the end, rolled back by an exception."""
        self._check(writing=True)
        held = self._writer.hold(deadline)
        try:
            yield held
        except BaseException as error:
            held.finish(error)
            raise
        held.finish(None)

    @asynccontextmanager
    async def transaction_async(self, deadline: float = DEADLINE) -> AsyncIterator[Held]:
        """The same for tasks; waiting for the writer and for the disk happens on threads."""
        self._check(writing=True)
        turns = self._turns
        if turns is None:
            from aurora_db.store.turns import Turns  # noqa: PLC0415 - a blocking program does without

            with self._readers_lock:
                turns = self._turns = self._turns or Turns(self._writer)
        held = await turns.take(deadline)
        try:
            yield held
        except BaseException as error:
            held.finish(error)
            raise
        await turns.commit(held)

    @property
    def in_transaction(self) -> bool:
        """Whether the calling thread or task has an interactive transaction open."""
        return self._writer.is_held_by_caller

    def listen(self, topic: str, callback: Callable[[int], None]) -> Callable[[], None]:
        """Call back after each commit of this process that touched `topic`, with its urgency."""
        self._listeners[topic] = (*self._listeners.get(topic, ()), callback)

        def stop() -> None:
            left = [one for one in self._listeners.get(topic, ()) if one is not callback]
            self._listeners[topic] = tuple(left)

        return stop

    def hear(self, topic: str, heard: Callable[[int], None]) -> Callable[[], None]:
        """Call back when another process of this machine has committed something of `topic`.

        Where the platform or the folder does not allow it, nothing is heard, and `data_version`
        tells later. Returns how to stop.
        """
        if self._ringer is None:
            return lambda: None
        try:
            bell = Doorbell(doorbell.folder_of(self.path), topic, heard)
        except OSError as error:
            logger.info(
                "no doorbell: commits of other processes are seen by looking", exc_info=error
            )
            return lambda: None
        self._ringer.leave_out(bell.path)
        return bell.close

    def freeze(self) -> Callable[[], None]:
        """Refuse every write from here on, as if this process were gone; returns how to end that."""
        before, self.read_only = self.read_only, True

        def thaw() -> None:
            self.read_only = before

        return thaw

    def prune(self) -> None:
        """Forget the oldest changes, one small step."""
        self._writer.run(lambda port: changes.prune(port, self._retention), durable=False)

    # --- the end ----------------------------------------------------------------------------

    def check(self) -> None:
        """Refuse a verb after `close`, and in a forked child.

        Raises:
            DatabaseClosed: it is the parent's, or closed.
        """
        self._check()

    def _check(self, *, writing: bool = False) -> None:
        if self.foreign:
            process.guard(self)
        if self._closed:
            raise closed()
        if writing and self.read_only:
            raise ReadOnly(
                "the database was opened with read_only=True", hint="open it without that option"
            )

    def close(self) -> None:
        """Finish what waits and close all connections. Twice is no error.

        Raises:
            DatabaseClosed: in a forked child, where it is the parent's.
        """
        process.guard(self)
        if self._closed:
            return
        if not self.read_only:
            self._writer.close()
        self._closed = True
        if self.hot is not None:
            self.hot.close()
        self.post.close()
        if self._ringer is not None:
            self._ringer.close()
        if self._pool is not None:
            self._pool.shutdown()
        if self._turns is not None:
            self._turns.close()
        with self._readers_lock:
            connections: list[Any] = [reader.connection for reader in self._readers]
            self._readers.clear()
        with self._watcher_lock:
            connections += [] if self._watcher is None else [self._watcher]
        connections.append(self._writer.port.connection)
        for connection in connections:
            try:
                connection.close()
            except DriverError as error:
                # The last one folds the log into the file; without room it does that next time.
                logger.warning("the log stays beside the database", exc_info=translated(error))
        if self._private is not None:
            import shutil  # noqa: PLC0415 - files do without

            shutil.rmtree(self._private, ignore_errors=True)

    def __repr__(self) -> str:
        return f"Engine({self.path!r})"
