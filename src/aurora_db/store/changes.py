"""The feed: reading it after a position, and which changes are kept for how long.

Changes are written by triggers, by whatever program writes; SQLite has one writer, so their numbers
are the order of commits. A reader asks in one transaction for what it wants and for what the feed has
forgotten, so that nothing is missed in between. Pruned in steps small enough to ride along with
other work.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from aurora_db.base.codec import decode, encode, timestamp
from aurora_db.store.port import Port

#: Changes kept at most, whatever their age and whoever has not read them.
MOST = 1_000_000
#: Changes removed in one step.
STEP = 1_000
#: Changes read at once, at most; the first time a quarter of them, for nobody knows how large they are.
PAGE = 1_000
#: … and at least, and characters of their images after which fewer are read.
SMALLEST = 8
LARGE = 16 * 1024 * 1024
#: The collection whose inserts are the messages that were published durably.
TOPICS = "_topics"

#: The newest of the first STEP changes that is too old and read by all durable consumers, or beyond the most.
EXPIRED = """
    SELECT max(seq)
      FROM (SELECT seq, at FROM _changes ORDER BY seq LIMIT :step)
     WHERE (at < :before AND seq <= coalesce((SELECT min(position) FROM _consumers WHERE lost = 0), seq))
           OR seq <= (SELECT max(seq) FROM _changes) - :most
"""
PRUNE_CHANGES = "DELETE FROM _changes WHERE seq <= :last"
PRUNE_OPERATIONS = "DELETE FROM _operations WHERE last <= :last"
FORGET = "UPDATE _settings SET value = :last WHERE name = 'forgotten'"
LOSE = "UPDATE _consumers SET lost = 1 WHERE position < :last AND lost = 0"

END = "SELECT seq FROM sqlite_sequence WHERE name = '_changes'"
FORGOTTEN = "SELECT CAST(value AS INTEGER) FROM _settings WHERE name = 'forgotten'"
BOUNDS = f"SELECT coalesce(({FORGOTTEN}), 0), coalesce(({END}), 0)"
#: The last column is the number of the last change of the operation, where it goes on after the change.
AFTER = """
    SELECT seq, collection, op, id, before, after, at,
           (SELECT last FROM _operations
             WHERE first = (SELECT max(first) FROM _operations WHERE first <= seq) AND last > seq)
      FROM _changes
     WHERE seq > ? AND seq <= ?{among}
     ORDER BY seq LIMIT ?
"""
AMONG = " AND collection IN (SELECT value FROM json_each(?))"


class Changed:
    """One change as the feed has it; its images are decoded when somebody asks for them.

    `old` and `new` are documents of JSON values (dates as text), shared by all who read: never to be
    changed. `goes_on` tells that more changes of the same operation follow.
    """

    __slots__ = (
        "_after",
        "_before",
        "_new",
        "_old",
        "at",
        "collection",
        "goes_on",
        "id",
        "op",
        "seq",
        "size",
        "until",
    )

    def __init__(self, row: Sequence[Any]) -> None:
        self.seq: int
        self.collection: str
        self.op: str
        self.id: str
        self.at: str
        self.seq, self.collection, self.op, self.id, self._before, self._after, self.at, more = row
        self.goes_on = bool(more)
        self.until: int = more or self.seq
        #: About how many bytes its images take.
        self.size = len(self._before or "") + len(self._after or "")
        self._old: Any = None
        self._new: Any = None

    @property
    def old(self) -> dict[str, Any] | None:
        """The document before; None for an insert."""
        if self._old is None and self._before is not None:
            self._old = decode(self._before)
        return self._old

    @property
    def new(self) -> dict[str, Any] | None:
        """The document after; None for a delete."""
        if self._new is None and self._after is not None:
            self._new = decode(self._after)
        return self._new

    def joined(self, last: Changed, seq: int) -> Changed:
        """This change of a document and those after it up to `last` as if they were one, of number `seq`."""
        match self._before is None, last._after is None:
            case True, False:
                op = "insert"
            case False, True:
                op = "delete"
            case _:
                op = "update"
        more = last.until if last.goes_on else None
        row = seq, self.collection, op, self.id, self._before, last._after, last.at, more
        made = Changed(row)
        made._old, made._new = self._old, last._new
        return made

    def __repr__(self) -> str:
        return f"Changed({self.seq}, {self.op} {self.collection} {self.id!r})"


async def end(port: Port) -> int:
    """The number of the newest change; 0 before the first one."""
    row = await port.row(END)
    return 0 if row is None else row[0]


async def bounds(port: Port) -> tuple[int, int]:
    """The number of the newest change that the feed has forgotten, and of the newest one there is; 0 for none."""
    row = await port.row(BOUNDS)
    return (0, 0) if row is None else (row[0], row[1])


async def database_id(port: Port) -> str:
    """What tells this database from others."""
    row = await port.row("SELECT value FROM _settings WHERE name = 'id'")
    return "" if row is None else row[0]


async def after(
    port: Port, seq: int, upto: int, limit: int, among: Sequence[str] | None = None
) -> list[Changed]:
    """The changes after `seq` up to `upto`, the oldest `limit` of them, of these collections or of all."""
    if among is None:
        rows = await port.rows(AFTER.format(among=""), (seq, upto, limit))
    else:
        rows = await port.rows(AFTER.format(among=AMONG), (seq, upto, encode(among), limit))
    return list(map(Changed, rows))


def fitting(limit: int, page: Sequence[Changed]) -> int:
    """How many changes to read next, after a page of up to `limit`: large documents come in smaller pages."""
    size = sum(change.size for change in page)
    if size > LARGE:
        return max(SMALLEST, limit // 4)
    return min(PAGE, limit * 2) if size < LARGE // 8 else limit


async def prune(port: Port, retention: timedelta) -> bool:
    """Remove one step of changes older than `retention`; returns whether there may be more.

    What a durable consumer has not read stays; beyond the most, it has lost it.
    """
    before = timestamp(port.now() - retention)
    row = await port.row(EXPIRED, {"step": STEP, "before": before, "most": MOST})
    if row is None or row[0] is None:
        return False
    removed = await port.change(PRUNE_CHANGES, {"last": row[0]})
    await port.change(PRUNE_OPERATIONS, {"last": row[0]})
    await port.change(FORGET, {"last": row[0]})
    await port.change(LOSE, {"last": row[0]})
    return removed >= STEP
