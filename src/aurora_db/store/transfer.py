"""Collections ⇄ files, in bounded memory.

An import writes a batch at a time, each in a transaction of its own: a document that is refused is
reported with its line, the others stay. An export reads one snapshot, page by page.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from aurora_db.aql import cells, plan, selections
from aurora_db.aql.catalog import Collection, Type
from aurora_db.aql.checks import check_document
from aurora_db.aql.conditions import resolve_where
from aurora_db.aql.expand import expand
from aurora_db.base.codec import encode
from aurora_db.base.errors import AuroraError, UnknownField, ValidationError
from aurora_db.base.records import ImportFailure, ImportReport
from aurora_db.sql import lower
from aurora_db.store import documents, formats, queries
from aurora_db.store.documents import Document
from aurora_db.store.formats import Record
from aurora_db.store.port import Port, finish
from aurora_db.store.scope import Scope

#: Documents of one transaction, and of one page.
BATCH: Final = 2_000
#: Failures whose line and reason are kept.
KEPT: Final = 1_000
#: Errors that are a document's own fault.
OWN: Final = frozenset({"validation", "unique_violation", "foreign_key_violation", "unknown_enum"})

Progress = Callable[[int, int], object]


class Tally:
    """Counts what an import did."""

    def __init__(self) -> None:
        self.imported = self.skipped = self.failed = 0
        self.failures: list[ImportFailure] = []

    def fail(self, line: int, reason: str) -> None:
        """Count a document that was refused."""
        self.failed += 1
        if len(self.failures) < KEPT:
            self.failures.append(ImportFailure(line, reason))

    def report(self) -> ImportReport:
        """The counts so far."""
        return ImportReport(
            imported=self.imported,
            skipped=self.skipped,
            failed=tuple(sorted(self.failures, key=lambda one: one.line)),
            failed_count=self.failed,
        )


class Importing:
    """One import of a file: `batch()` until it gives None, `write` each.

    Raises:
        UnknownCollection, AccessDenied: the collection cannot be written.
        ValidationError, NotFound: the file or its format is not usable.
        UnknownEnum: `on_conflict` is another word.
    """

    def __init__(
        self,
        collection: Collection,
        path: str,
        format: str | None,
        on_conflict: str,
        null_values: Iterable[str] | None,
    ) -> None:
        self._name = collection.name
        self._mode = documents.conflict_mode(on_conflict)
        self._source = formats.Source(
            path, formats.format_of(path, format), collection, null_values
        )
        self._batches = self._source.batches(BATCH)
        self.tally = Tally()

    def batch(self) -> list[Record] | None:
        """The next documents of the file; None at its end."""
        return next(self._batches, None)

    async def write(self, port: Port, batch: Sequence[Record]) -> Tally:
        """Write one batch, return what became of it; counted by `took` after the commit."""
        return await write_batch(port, self._name, batch, self._mode)

    def took(self, part: Tally, progress: Progress | None) -> None:
        """Count a batch that was committed."""
        self.tally.imported += part.imported
        self.tally.skipped += part.skipped
        self.tally.failed += part.failed - len(part.failures)
        for failure in part.failures:
            self.tally.fail(failure.line, failure.reason)
        if progress is not None:
            progress(self._source.position, self._source.size)


async def write_batch(port: Port, name: str, batch: Sequence[Record], mode: str) -> Tally:
    """Write what can be written of a batch."""
    collection = documents.writable(port.catalog, name)
    names, now, tally = documents.columns(collection), port.now(), Tally()
    rows: list[tuple[int, tuple[Any, ...]]] = []
    for record in batch:
        if record.problem is not None:
            tally.fail(record.line, record.problem)
            continue
        try:
            stored = check_document(collection, record.document, now=now)
        except AuroraError as error:
            tally.fail(record.line, error.message)
            continue
        rows.append((record.line, tuple([stored.get(column) for column in names])))
    statement = documents.inserting(collection, mode)
    for start in range(0, len(rows), statement.most):
        await _piece(port, collection, rows[start : start + statement.most], mode, tally)
    if tally.imported:
        documents.touch_handlers(port, collection)
    return tally


async def _piece(
    port: Port,
    collection: Collection,
    rows: Sequence[tuple[int, tuple[Any, ...]]],
    mode: str,
    tally: Tally,
) -> None:
    """Write rows by one statement; where it is refused, which undoes it, one by one."""
    values = [row for _, row in rows]
    try:
        if mode == "ERROR":
            await port.batch(documents.inserting(collection), values)
            done = len(values)
        else:
            done = len(await documents.written(port, collection, values, mode))
    except AuroraError as error:
        if error.code not in OWN:
            raise
        if len(rows) == 1:
            tally.fail(rows[0][0], error.message)
            return
        for row in rows:
            await _piece(port, collection, [row], mode, tally)
        return
    tally.imported += done
    tally.skipped += len(values) - done


# --- export ---------------------------------------------------------------------------------


def _pages(port: Port, collection: Collection, condition: plan.Where, variables: Mapping[str, Any]) -> Iterator[list[Document]]:  # fmt: skip
    """The documents that match in order of insertion, a page at a time."""
    if collection.system and collection.name not in ("_jobs", "_workers"):
        raise UnknownField(
            f"documents of '{collection.name}' are not kept by id",
            hint="query them by their fields",
        )
    statement, outputs = lower.places(collection, condition, BATCH), _shown(collection)
    last = 0
    while True:
        rows = finish(port.rows(statement.text, (*statement.bind(variables)[:-1], last)))
        if rows:
            ids = [row[1] for row in rows]
            yield finish(queries.by_ids(port, collection, outputs, ids, variables))
            last = rows[-1][0]
        if len(rows) < BATCH:
            return


def _shown(collection: Collection) -> tuple[plan.Output, ...]:
    """What is written: what could be read in again, so no computed fields."""
    outputs = selections.everything(collection)
    return tuple(one for one in outputs if isinstance(one, plan.Output))


def _columns(port: Port, collection: Collection) -> list[tuple[str, Type | None]]:
    """The columns of a table-like file: every shown field, then the undeclared ones by name."""
    named: list[tuple[str, Type | None]] = [
        (one.key, one.path.type) for one in _shown(collection) if not one.extra
    ]
    if collection.flexible:
        rows = finish(port.rows(lower.undeclared(collection)))
        named += [(row[0], None) for row in rows]
    return named


async def export_file(
    port: Port,
    name: str,
    path: str,
    format: str | None,
    where: Mapping[str, Any] | None,
    progress: Progress | None,
) -> int:
    """Write the documents that match into a file; how many those were."""
    collection = documents.readable(port.catalog, name)
    condition = plan.ALWAYS if where is None else resolve_where(collection, where, port.catalog)
    return _export(port, collection, condition, {}, path, formats.format_of(path, format), progress)


def _export(
    port: Port,
    collection: Collection,
    condition: plan.Where,
    variables: Mapping[str, Any],
    path: str,
    format: str,
    progress: Progress | None = None,
) -> int:
    statement = lower.Statement(*lower.count(collection, condition))
    row = finish(port.row(statement.text, statement.bind(variables)))
    total, done = 0 if row is None else row[0], 0

    def counted() -> Iterator[Document]:
        nonlocal done
        for page in _pages(port, collection, condition, variables):
            yield from page
            done += len(page)
            if progress is not None:
                progress(done, total)

    columns = _columns(port, collection) if format in ("csv", "parquet") else []
    formats.Target(path).write(lambda beside: _written(beside, format, columns, counted()))
    return done


def _written(
    path: str, format: str, columns: Sequence[tuple[str, Type | None]], found: Iterator[Document]
) -> None:
    if format == "parquet":
        from aurora_db.store import parquet  # noqa: PLC0415 - optional

        parquet.write(path, columns, found)
        return
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.writelines(_texts(format, columns, found))


def _texts(
    format: str, columns: Sequence[tuple[str, Type | None]], found: Iterator[Document]
) -> Iterator[str]:
    """The pieces of a file of text."""
    if format == "ndjson":
        for document in found:
            yield encode(document) + "\n"
    elif format == "csv":
        lines = _Line()
        writer = csv.writer(lines, lineterminator="\n")
        names = [name for name, _ in columns]
        writer.writerow(names)
        yield lines.text
        for document in found:
            writer.writerow([cells.cell_of(document.get(name)) for name in names])
            yield lines.text
    else:
        opening = "[\n"
        for document in found:
            yield opening + encode(document)
            opening = ",\n"
        yield "[]\n" if opening == "[\n" else "\n]\n"


class _Line:
    """A file that keeps the last thing written."""

    text = ""

    def write(self, text: str) -> None:
        self.text = text


async def export(part: plan.Export, port: Port, scope: Scope) -> Document:
    """The mutation: into a file, else into the result."""
    collection = part.collection
    where = expand(part.where, port.catalog, scope.bindings)
    path = None if part.path is None else scope.value(part.path)
    word = None if part.format is None else scope.value(part.format)
    values: dict[str, Any] = {"path": path}
    if path is not None:
        if not isinstance(path, str) or not path:
            raise ValidationError(f"'path' is the name of a file, got {path!r}", rule="type")
        format = formats.format_of(path, word)
        values["count"] = _export(port, collection, where, scope.bindings, path, format)
    else:
        values["data"], values["count"] = _inline(port, collection, where, scope, word or "JSON")
    return {key: values[what] for key, what in part.keys}


def _inline(
    port: Port, collection: Collection, where: plan.Where, scope: Scope, word: str
) -> tuple[Any, int]:
    format = formats.format_of("", word)
    pages = list(_pages(port, collection, where, scope.bindings))
    found = [document for page in pages for document in page]
    if format == "json":
        return found, len(found)
    if format == "parquet":
        raise ValidationError(
            "PARQUET is no text, it needs a file", rule="format", hint='give path: "….parquet"'
        )
    columns = _columns(port, collection) if format == "csv" else []
    return "".join(_texts(format, columns, iter(found))), len(found)
