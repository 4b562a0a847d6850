"""The hot cache: documents and results in memory that are never stale.

What is kept is valid as of a *stamp*, the commit counters of all processes (`generation.py`) as they were
before the snapshot that it was brought up to. While they are the same, entries may be served. When they have
moved, the changes since are read from the feed, what they touch is dropped, and the new stamp is taken. So a
reader sees every commit that returned before its read began, by whatever process of ours, and never
goes back. Programs that are not Aurora do not move the counters: `PRAGMA data_version` is looked at
besides, at most once in each poll interval.

An entry may be put only if nothing was caught up with since before its snapshot began: `mark` tells.
Otherwise a change could be missed that the snapshot did not have and the catching up has passed already.
Entries of the caller's own transaction are none of ours: transactions do without.

Catching up costs about as much as reading a document. So it is left to the second reader after a commit;
the first one reads its document from the database. Results, which cost more, catch up at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Final

from aurora_db.base.codec import encode
from aurora_db.base.records import CacheCounts
from aurora_db.store import documents, process
from aurora_db.store.changes import BOUNDS
from aurora_db.store.generation import BOTH, settled
from aurora_db.store.keeping import Entry, Kept

if TYPE_CHECKING:
    from aurora_db.aql.catalog import Catalog, Collection
    from aurora_db.sql.lower import Lowered
    from aurora_db.store.documents import Document
    from aurora_db.store.engine import Engine
    from aurora_db.store.operations import Prepared
    from aurora_db.store.port import Port, Row
    from aurora_db.store.results import Asked, Results

#: Changes after which clearing is cheaper than reading what they touch.
MOST: Final = 1_000
#: Bytes of an entry beside its value: itself, its places in a mapping and in a queue, its counts, and what
#: the allocator leaves unused; measured as what a process grows by.
AROUND: Final = 360

#: Which documents changed; `id` is the new one, where another program has changed it.
TOUCHED = """
    SELECT collection, id, CASE op WHEN 'update' THEN before ->> '$.id' END
      FROM _changes WHERE seq > ? AND seq <= ?
"""
#: The same with the images, for collections that results were read from.
IMAGES = """
    SELECT seq, collection, op, id, before, after, at, NULL
      FROM _changes
     WHERE seq > ? AND seq <= ? AND collection IN (SELECT value FROM json_each(?))
     ORDER BY seq
"""
#: Stands for counters that cannot be read: it holds never, so each look is one at the database.
_NOWHERE: Final = b"\x00"

logger = logging.getLogger("aurora_db.store")

_NONE: Mapping[str, Entry] = {}


class HotCache:
    """What one open database keeps in memory of what was read; safe from any thread.

    Args:
        size: bytes of all of it together.
        poll_interval: seconds between looks for commits of programs that are not Aurora.
    """

    def __init__(self, engine: Engine, size: int, poll_interval: float) -> None:
        self._engine = engine
        self._poll_interval = poll_interval
        self._lock = threading.Lock()
        self._catching = threading.Lock()
        self._kept = Kept(size, self._gone)
        self._documents: dict[str, dict[str, Entry]] = {}
        #: Whether documents of a collection may be kept, by these definitions.
        self._steady: dict[str, tuple[Catalog, bool]] = {}
        self._results: Results | None = None
        self._misses = 0
        self._evicted = [0, 0]
        #: What `BOTH` is read of; empty until it is opened.
        self._words: Any = b""
        #: What it was before the snapshot of which entries are valid; None where it never holds.
        self._stamp: bytes | None = None
        #: What it was when somebody found last that it had moved.
        self._moved: bytes | None = None
        #: The number of `data_version` then, and when to look at it next.
        self._version: int | None = None
        self._look_at = 0.0
        #: Counts the times that something was dropped; None before the first snapshot.
        self._mark: int | None = None
        self._marks = 0
        self._position = -1
        self._catalog: int | None = None
        process.release_in_child(self)

    @property
    def size(self) -> int:
        """The bytes that it may have."""
        return self._kept.size

    # --- documents --------------------------------------------------------------------------

    def document(self, name: str, id: str, *, fresh: bool = False) -> Document | None:
        """The caller's own copy of a document that is kept; None where it is not, or may have changed."""
        if (
            fresh or self._words[BOTH] != self._stamp or time.monotonic() > self._look_at
        ) and not self._is_current(fresh=fresh):
            return None
        entry = self._documents.get(name, _NONE).get(id)
        if entry is None:
            return None
        value = entry.value
        if value is None:
            return None
        entry.hits += 1
        return entry.copy(value)

    def reading(self, name: str, id: str) -> Callable[[Port], Coroutine[Any, Any, Document | None]]:
        """The verb that reads a document and keeps it."""
        self._misses += 1
        mark = self._mark

        def keep(collection: Collection, catalog: Catalog, ready: Lowered, row: Row) -> None:
            if mark is None or mark != self._mark or id in self._documents.get(name, _NONE):
                return
            if id.__class__ is not str or not self.keeps(collection, catalog):
                return
            entry = _entry(name, id, row, ready)
            if self._kept.fits(entry.size):
                self._keep(entry, mark)

        return lambda port: documents.get(port, name, id, keep)

    def _keep(self, entry: Entry, mark: int) -> None:
        assert entry.place is not None, "it is a document"
        with self._lock:
            if self._mark == mark:
                here = self._documents.setdefault(entry.place, {})
                # Two threads may have read it at once.
                if entry.key not in here:
                    here[entry.key] = entry
                    self._kept.add(entry)

    def keeps(self, collection: Collection, catalog: Catalog) -> bool:
        """Whether a document changes only by changes of the feed that name it."""
        known = self._steady.get(collection.name)
        if known is not None and known[0] is catalog:
            return known[1]
        steady = not (collection.system or collection.quiet)
        if steady:
            from aurora_db.aql import plan  # noqa: PLC0415 - with the first document that is read
            from aurora_db.aql.reads import reads  # noqa: PLC0415 - the same
            from aurora_db.aql.selections import everything  # noqa: PLC0415 - the same

            outputs = everything(collection, catalog)
            found = reads(plan.Query("", collection, outputs))
            steady = not (found.ways or found.volatile)
        self._steady[collection.name] = (catalog, steady)
        return steady

    # --- results ----------------------------------------------------------------------------

    def asked(
        self, text: str, index: int, one: Prepared, variables: Mapping[str, Any], *, fresh: bool
    ) -> Asked | None:
        """What is known of the result of an operation that reads; None where it is never kept."""
        if one.operation.explain or one.operation.bare:
            return None
        results = self._results
        if results is None:
            results = self._made_results()
        key = results.key(text, index, variables)
        if key is None:
            return None
        known = key in results.entries
        if (known or results.is_repeated(key)) and not self._is_current(at_once=True, fresh=fresh):
            return None
        return results.asked(key, variables, self._mark)

    def remember(self, asked: Asked, result: Any, one: Prepared, catalog: Catalog) -> None:
        """Keep the result of what was asked for repeatedly, unless something has changed meanwhile.

        `one` is what it means by `catalog`.
        """
        results, mark = self._results, asked.mark
        if (
            results is None
            or mark is None
            or mark != self._mark
            or catalog.version != self._catalog
        ):
            return
        entry = results.entry(asked, result, one.operation, catalog, self._engine.clock.now)
        if entry is None:
            return
        if not self._kept.fits(entry.size):
            results.refuse(asked.key)
            return
        with self._lock:
            if self._mark == mark and asked.key not in results.entries:
                results.put(entry)
                self._kept.add(entry)

    def _made_results(self) -> Results:
        from aurora_db.store.results import Results  # noqa: PLC0415 - with the first query

        with self._lock:
            if self._results is None:
                self._results = Results()
            return self._results

    # --- staying current --------------------------------------------------------------------

    def _is_current(self, *, at_once: bool = False, fresh: bool = False) -> bool:
        """Whether entries may be served now; catches up, unless this is the first look after a commit."""
        stamp: bytes = self._words[BOTH]
        now = time.monotonic()
        if stamp != self._stamp:
            if not (at_once or fresh) and stamp != self._moved:
                self._moved = stamp
                return False
        elif not fresh and now <= self._look_at:
            return True
        if not stamp or now > self._look_at:
            stamp = self._looked_at_file()
        version = self._engine.data_version()
        self._look_at = now + self._poll_interval
        if version == self._version:
            # Nothing was committed since that anybody could see.
            self._stamp = stamp if settled(stamp) else None
            return True
        return self._caught_up(stamp, version)

    def _looked_at_file(self) -> bytes:
        """The counters, of the file that is there now."""
        generation = self._engine.generation
        if generation.was_removed:
            generation.forget()
            self._words = b""
        if self._words in (b"", _NOWHERE):
            found = generation.read(writing=not self._engine.read_only)
            self._words = _NOWHERE if found is None else found
        return self._words[BOTH]

    def _caught_up(self, stamp: bytes, version: int) -> bool:
        """Drop what was changed since. False where another thread is at it."""
        if not self._catching.acquire(blocking=False):
            return False
        try:
            touched = self._engine.read(self._touched)
            with self._lock:
                self._marks += 1
                self._mark = self._marks
                self._drop(touched)
                self._position, self._catalog = touched.end, touched.catalog
                self._version = version
                self._stamp = stamp if settled(stamp) else None
        finally:
            self._catching.release()
        return True

    async def _touched(self, port: Port) -> _Touched:
        """What was changed after the position, in one snapshot."""
        row = await port.row(BOUNDS)
        forgotten, end = row or (0, 0)
        position, catalog = self._position, port.catalog.version
        if (
            catalog != self._catalog
            or not self._kept.count
            or forgotten > position
            or not position <= end <= position + MOST
        ):
            return _Touched(end, catalog, None)
        rows = await port.rows(TOUCHED, (position, end)) if position < end else []
        results: Sequence[Row] = ()
        watched = () if self._results is None else self._results.collections
        if rows and not {row[0] for row in rows}.isdisjoint(watched):
            results = await port.rows(IMAGES, (position, end, encode(list(watched))))
        return _Touched(end, catalog, rows, results)

    def _drop(self, touched: _Touched) -> None:
        if touched.rows is None:
            self._clear(defined=self._catalog not in (None, touched.catalog))
            return
        for name, id, before in touched.rows:
            found = self._documents.get(name)
            if found:
                for one in (id,) if before is None or before == id else (id, before):
                    entry = found.pop(one, None)
                    if entry is not None:
                        self._kept.drop(entry)
        if self._results is not None and touched.images:
            try:
                for entry in self._results.touched(touched.images):
                    self._kept.drop(entry)
            except Exception:
                # A value that another program wrote, perhaps: what cannot be told is not served.
                logger.exception("a change could not be matched with results, so all are dropped")
                self._clear()

    def _gone(self, entry: Entry) -> None:
        """An entry had to make room."""
        self._evicted[entry.place is None] += 1
        if entry.place is not None:
            self._documents[entry.place].pop(entry.key, None)
        elif self._results is not None:
            self._results.forget(entry.key)

    def _clear(self, *, defined: bool = False) -> None:
        self._documents.clear()
        self._steady.clear()
        if self._results is not None:
            self._results.clear(defined=defined)
        self._kept.clear()

    # --- looking after it -------------------------------------------------------------------

    def clear(self) -> None:
        """Forget everything that is kept."""
        with self._lock:
            self._clear()
            if self._mark is not None:
                self._marks += 1
                self._mark = self._marks

    def prewarm(self, name: str) -> int:
        """Read the newest documents of a collection into the cache, while there is room; how many.

        Raises:
            UnknownCollection: it is not defined.
            ValidationError: its documents are never kept.
        """
        from aurora_db.store.prewarming import Prewarming  # noqa: PLC0415 - few programs do

        return Prewarming(self, self._engine, name).run()

    def begun(self) -> int | None:
        """The mark of now, caught up with everything; None where another thread is at it."""
        return self._mark if self._is_current(at_once=True) else None

    def settle(
        self, name: str, found: Sequence[tuple[int, str, Row]], ready: Lowered, mark: int
    ) -> int | None:
        """Keep documents that nobody has asked for, while there is room; how many of them are kept.

        None where something was dropped since `mark`.
        """
        with self._lock:
            if self._mark != mark:
                return None
            here = self._documents.setdefault(name, {})
            for done, (_, id, row) in enumerate(found):
                if id in here:
                    continue
                entry = _entry(name, id, row, ready)
                if not (self._kept.fits(entry.size) and self._kept.settle(entry)):
                    return done
                here[id] = entry
        return len(found)

    def stats(self) -> tuple[CacheCounts, CacheCounts]:
        """Of documents, and of results."""
        with self._lock:
            results = self._results
            some = [] if results is None else list(results.entries.values())
            size, hits = sum(one.size for one in some), self._kept.hits
            documents = CacheCounts(
                items=self._kept.count - len(some), bytes=self._kept.filled - size,
                hits=hits[0], misses=self._misses, evictions=self._evicted[0],
            )  # fmt: skip
            return documents, CacheCounts(
                items=len(some), bytes=size, hits=hits[1],
                misses=0 if results is None else results.misses, evictions=self._evicted[1],
            )  # fmt: skip

    def close(self) -> None:
        """Serve nothing any more."""
        self.drop()
        with self._lock:
            self._clear()

    def drop(self) -> None:
        """In a forked child: what is kept is the parent's."""
        self._words, self._stamp, self._mark = b"", None, None

    def __repr__(self) -> str:
        return f"HotCache({self._kept!r})"


class _Touched:
    """What was changed after a position, up to `end`; `rows` is None where everything is to be dropped."""

    __slots__ = ("catalog", "end", "images", "rows")

    def __init__(
        self, end: int, catalog: int, rows: Sequence[Row] | None, images: Sequence[Row] = ()
    ) -> None:
        self.end = end
        self.catalog = catalog
        self.rows = rows
        self.images = images


def _entry(name: str, id: str, row: Row, ready: Lowered) -> Entry:
    if row[0] == id:
        # The same text, which is kept once.
        id = row[0]
    size = AROUND + getsizeof(row) + sum(map(getsizeof, row))
    return Entry(name, id, hash(id) ^ hash(name), row, ready.reader, size)


__all__ = ["HotCache"]
