"""SQLite by APSW: connections, pragmas, the error map, and the `Port` over a connection.

The only room that imports the driver. No driver error leaves it: each becomes one of ours, the
cause chained.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import apsw

from aurora_db.aql.catalog import Catalog
from aurora_db.base.clock import Clock
from aurora_db.base.codec import timestamp
from aurora_db.base.errors import (
    AuroraError,
    Busy,
    DatabaseCorrupt,
    DiskFull,
    ForeignKeyViolation,
    ReadOnly,
    TooLarge,
    UniqueViolation,
    ValidationError,
)
from aurora_db.sql.statement import Batch
from aurora_db.store import foreign_keys, functions
from aurora_db.store.port import Params, Row
from aurora_db.store.timezones import BUCKET, Buckets

if TYPE_CHECKING:
    from aurora_db.store.topics import Posted

#: How long a statement waits for another process's transaction, in milliseconds.
BUSY_TIMEOUT_MS = 15_000
#: Page cache of a connection, in KiB.
CACHE_KIB = 64 * 1024

SYNCHRONOUS = {"strict": "FULL", "relaxed": "NORMAL", "none": "OFF"}

#: Seconds between two tries for the file while another process writes, about; the first come sooner.
TRY = 0.005
#: Seconds after which a waiting connection tries ever more often.
LONG = 0.1


class Patience:
    """The busy handler of a connection: tries often, and the more often the longer it waits.

    SQLite's own sleeps longer the longer it has waited, up to 100 ms, so that whoever came late
    goes first: beside four busy processes one waited more than a second for each write.

    Args:
        before: called before the first wait.
    """

    def __init__(self, before: Callable[[], None] | None = None) -> None:
        self._before = before
        self._since = 0.0

    def __call__(self, tries: int) -> bool:
        """Wait a moment; whether to try again."""
        now = time.monotonic()
        if tries == 0:
            self._since = now
            if self._before is not None:
                self._before()
        waited = now - self._since
        if waited * 1_000 > BUSY_TIMEOUT_MS:
            return False
        usual = TRY * min(1.0, (tries + 1) / 5)
        time.sleep(usual * (0.5 + random.random()) / (1 + waited / LONG))
        return True


Connection = apsw.Connection
#: The driver's own types are wider than a column's.
Execute = Callable[..., Any]
#: What the driver raises; the last two for values that no column can hold.
DriverError = (apsw.Error, OverflowError, TypeError, UnicodeEncodeError)


def connect(path: str, *, durability: str, read_only: bool) -> Connection:
    """A new connection with the pragmas of the project.

    Raises:
        DatabaseCorrupt, ReadOnly, Busy, AuroraError: the file cannot be opened.
    """
    flags = (
        apsw.SQLITE_OPEN_READONLY
        if read_only
        else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    )
    try:
        connection = apsw.Connection(path, flags=flags, statementcachesize=512)
        connection.set_busy_handler(Patience())
        # Else a statement is prepared anew whenever a limit or the end of a range is bound.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        # An unknown name in double quotes is an error, never a text.
        connection.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)
        connection.config(apsw.SQLITE_DBCONFIG_DQS_DDL, 0)
        functions.register(connection)
        buckets: Any = Buckets()
        connection.create_scalar_function(BUCKET, buckets, 4, deterministic=True)
        execute: Execute = connection.execute
        execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        execute("PRAGMA foreign_keys = ON")
        execute("PRAGMA trusted_schema = OFF")
        execute("PRAGMA mmap_size = 0")
        if not read_only:
            execute("PRAGMA journal_mode = WAL").fetchall()
            execute(f"PRAGMA synchronous = {SYNCHRONOUS[durability]}")
    except DriverError as error:
        raise translated(error, path) from error
    return connection


_UNIQUE = re.compile(r"UNIQUE constraint failed: (.+)")
_NOT_NULL = re.compile(r"NOT NULL constraint failed: (\w+)\.(\w+)")
_CHECK = re.compile(r"CHECK constraint failed: (.+)", re.DOTALL)
_STORE = re.compile(r"cannot store (\w+) value in (\w+) column (\w+)\.(\w+)")


def translated(error: Exception, path: str = "") -> AuroraError:
    """Our error for one of the driver."""
    text = str(error)
    match error:
        case apsw.ConstraintError():
            return _constraint(text)
        case OverflowError() | TypeError() | UnicodeEncodeError():
            return ValidationError(f"a value cannot be stored: {text}", rule="storable")
        case apsw.BusyError() | apsw.LockedError():
            return Busy(
                "another process held the database longer than 15 seconds",
                hint="try again; look for a program that keeps a write transaction open",
            )
        case apsw.FullError():
            return DiskFull(
                "the disk is full; nothing of the operation was written",
                hint="make room and try again",
            )
        case apsw.ReadOnlyError():
            return ReadOnly("the database cannot be written", hint=_may_write(path))
        case apsw.NotADBError():
            return DatabaseCorrupt(
                f"the file '{path}' is not a database",
                hint="give the path of a database, or of a file that does not exist yet",
            )
        case apsw.CorruptError():
            return DatabaseCorrupt(f"the database is damaged: {text}", hint="restore a backup")
        case apsw.SQLError() if text.endswith("integer overflow"):
            return ValidationError(
                "an aggregate is outside the range of Int",
                hint="keep the field as Float",
                rule="range",
            )
        case apsw.TooBigError():
            return TooLarge(
                "a value is larger than the database can hold",
                hint="store a path instead of the content",
            )
        case apsw.CantOpenError() | apsw.PermissionsError() | apsw.AuthError():
            return ReadOnly(f"the file '{path}' cannot be opened: {text}", hint=_may_write(path))
        case apsw.IOError():
            return DiskFull(
                f"the disk refused an operation: {text}", hint="look at the disk and try again"
            )
        case _:
            return AuroraError(f"the engine refused a statement: {text}")


def _may_write(path: str) -> str:
    where = f" of '{path}'" if path else ""
    return f"check that this user may write the file{where} and its folder"


def _constraint(text: str) -> AuroraError:
    if unique := _UNIQUE.search(text):
        places = [place.strip().split(".", 1) for place in unique.group(1).split(",")]
        names = tuple(place[-1] for place in places)
        fields = ", ".join(f"'{name}'" for name in names)
        word = "field" if len(names) == 1 else "fields"
        return UniqueViolation(
            f"Unique constraint violation on {word} {fields} of '{places[0][0]}'",
            hint="another document has this value",
            fields=names,
        )
    if missing := _NOT_NULL.search(text):
        name = missing.group(2)
        return ValidationError(f"field '{name}' is required", field=name, rule="required")
    if check := _CHECK.search(text):
        name, _, rule = check.group(1).partition(": ")
        return ValidationError(
            f"field '{name}' breaks its rule '{rule or name}'", field=name, rule=rule or name
        )
    if stored := _STORE.search(text):
        kind, column, _, name = stored.groups()
        return ValidationError(f"field '{name}' is {column}, got {kind}", field=name, rule="type")
    if foreign_keys.FAILED in text:
        return ForeignKeyViolation("Foreign key violation: a relation would lead nowhere")
    return ValidationError(f"the database refused the document: {text}", rule="constraint")


class SqlitePort:
    """One connection, used by one thread at a time, as a `Port`. Never suspends."""

    __slots__ = (
        "_clock",
        "_execute",
        "_executemany",
        "_marks",
        "_now",
        "_posted",
        "_total",
        "catalog",
        "connection",
        "guard",
        "touched",
    )

    def __init__(self, connection: Connection, catalog: Catalog, clock: Clock) -> None:
        self.connection = connection
        self.catalog = catalog
        #: Called before each statement of an interactive transaction.
        self.guard: Callable[[], None] | None = None
        #: Topics to wake after the commit, with the highest urgency.
        self.touched: dict[str, int] = {}
        #: Messages to hand on after the commit, and how many there were at each savepoint.
        self._posted: list[Posted] = []
        self._marks: dict[str, int] = {}
        self._execute: Execute = connection.execute
        self._executemany: Execute = connection.executemany
        self._clock = clock
        self._now: datetime | None = None
        functions.register_now(connection, lambda: timestamp(self.now()))

    def begin(self) -> None:
        """Forget the present: the next operation begins."""
        self._now = None

    def now(self) -> datetime:
        """The present instant, the same for the whole operation."""
        if self._now is None:
            self._now = self._clock.now()
        return self._now

    async def rows(self, sql: str, params: Params = ()) -> list[Row]:
        """All rows of one statement."""
        if self.guard is not None:
            self.guard()
        try:
            return self._execute(sql, params).fetchall()
        except DriverError as error:
            raise self._refused(error, lambda: self._execute(sql, params).fetchall()) from error

    async def row(self, sql: str, params: Params = ()) -> Row | None:
        """The first row of one statement, or None."""
        if self.guard is not None:
            self.guard()
        try:
            rows = self._execute(sql, params).fetchall()
        except DriverError as error:
            raise self._refused(error, lambda: self._execute(sql, params).fetchall()) from error
        return rows[0] if rows else None

    async def measured(self, sql: str, params: Params = ()) -> tuple[list[Row], int]:
        """All rows of one statement and how many rows its scans stepped over."""
        scanned = 0

        def note(event: dict[str, Any]) -> None:
            nonlocal scanned
            scanned += event["stmt_status"]["SQLITE_STMTSTATUS_FULLSCAN_STEP"]

        self.connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, note, id=self)
        try:
            return await self.rows(sql, params), scanned
        finally:
            self.connection.trace_v2(0, None, id=self)

    async def change(self, sql: str, params: Params = ()) -> int:
        """How many rows one statement changed itself."""
        if self.guard is not None:
            self.guard()
        try:
            self._execute(sql, params).fetchall()
            return self.connection.changes()
        except DriverError as error:
            raise self._refused(error, lambda: self._execute(sql, params).fetchall()) from error

    async def batch(self, statement: Batch, rows: Sequence[Sequence[Any]]) -> int:
        """How many rows one statement over many rows of parameters changed itself."""
        if self.guard is not None:
            self.guard()
        changed = 0
        text, params = "", []
        try:
            for text, params in statement.pieces(rows):
                self._execute(text, params)
                changed += self.connection.changes()
        except DriverError as error:
            piece = (text, params)
            raise self._refused(error, lambda: self._execute(*piece)) from error
        return changed

    async def many(self, sql: str, params: Iterable[Params]) -> list[Row]:
        """All rows of all runs of one statement."""
        if self.guard is not None:
            self.guard()
        try:
            return self._executemany(sql, params).fetchall()
        except DriverError as error:
            raise translated(error) from error

    async def script(self, sql: str) -> None:
        """Several statements without parameters."""
        if self.guard is not None:
            self.guard()
        try:
            self._execute(sql).fetchall()
        except DriverError as error:
            raise translated(error) from error
        if self._posted:
            self._mark(sql)

    def _refused(self, error: Exception, again: Callable[[], object]) -> AuroraError:
        """Our error for one of the driver; `again` runs the statement once more."""
        if foreign_keys.FAILED in str(error):
            return foreign_keys.explain(self.connection, self.catalog, again)
        return translated(error)

    def touch(self, topic: str, urgency: int = 0) -> None:
        """Wake whoever waits for `topic` after the commit."""
        before = self.touched.get(topic)
        if before is None or urgency > before:
            self.touched[topic] = urgency

    def take_touched(self) -> dict[str, int]:
        """The topics touched so far, forgotten here."""
        touched, self.touched = self.touched, {}
        return touched

    def pragma(
        self, name: Literal["schema_version", "data_version", "user_version", "application_id"]
    ) -> int:
        """The number that a pragma gives."""
        return self._execute(f"PRAGMA {name}").fetchall()[0][0]

    def run(self, sql: str) -> None:
        """A statement of transaction control, its errors ours."""
        try:
            self._execute(sql)
        except DriverError as error:
            raise translated(error) from error
        if self._posted:
            self._mark(sql)

    def post(self, message: Posted) -> None:
        """Hand an ephemeral message on after the commit."""
        self._posted.append(message)

    def take_posted(self) -> Sequence[Posted]:
        """The messages of what has been committed, forgotten here."""
        if not self._posted:
            return ()
        posted, self._posted = self._posted, []
        self._marks.clear()
        return posted

    def _mark(self, sql: str) -> None:
        """Undo posting as a savepoint, or the transaction, is undone."""
        match sql.split():
            case ["SAVEPOINT", name]:
                self._marks[name] = len(self._posted)
            case ["ROLLBACK", "TO", name]:
                # One that is not known was set before the first message.
                del self._posted[self._marks.get(name, 0) :]
            case ["RELEASE", name]:
                self._marks.pop(name, None)
            case ["ROLLBACK"] | ["BEGIN", "IMMEDIATE"]:
                # A transaction that SQLite has ended by itself shows when the next one begins.
                self._posted.clear()
            case _:
                pass
        if not self._posted:
            self._marks.clear()

    def __repr__(self) -> str:
        return f"SqlitePort({self.connection.filename!r})"
