"""The verbs on files of the blocking façade.

Generated from aio_files.py by tools/unasync.py; do not edit.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from aurora_db.base.records import ImportReport
from aurora_db.store import documents
from aurora_db.store.gate import Gate, HeldGate

if TYPE_CHECKING:
    from aurora_db.store import transfer


class Files:
    """What a database and an open transaction do with files."""

    _gate: Gate | HeldGate

    def import_file(
        self,
        name: str,
        path: str | os.PathLike[str],
        format: str | None = None,
        on_conflict: str = "error",
        progress: transfer.Progress | None = None,
        null_values: Iterable[str] | None = None,
    ) -> ImportReport:
        """Insert the documents of a file into a collection, in bounded memory.

        Batches are transactions of their own: what is refused is in the report with its line and
        reason, the rest is imported. `docs/guides/import-export.md` says what cells of CSV mean.

        Args:
            name: the collection.
            path: the file.
            format: "json", "ndjson", "csv" or "parquet"; what the file's name says when absent.
            on_conflict: for an id or unique value that exists: "error", "skip" or "replace".
            progress: called after each batch with bytes done and bytes in all.
            null_values: texts of a CSV file that mean null, in every column; else NA, NaN, null
                where the field is no text.

        Raises:
            ValidationError: the file cannot be read as its format; what was imported before stays.
            UnknownField, NotFound, MissingDependency: a column, the file, or pyarrow is missing.
        """
        from aurora_db.store import transfer  # noqa: PLC0415 - few programs move files

        collection = documents.writable(self._gate.catalog, name)
        file = os.fspath(path)
        work = transfer.Importing(collection, file, format, on_conflict, null_values)
        while (batch := self._gate.offload(work.batch)) is not None:
            work.took(self._gate.write(partial(work.write, batch=batch)), progress)
        return work.tally.report()

    def export_file(
        self,
        name: str,
        path: str | os.PathLike[str],
        format: str | None = None,
        where: Mapping[str, Any] | None = None,
        progress: transfer.Progress | None = None,
    ) -> int:
        """Write the documents that match a where-object into a file; returns how many those were.

        It is one snapshot, in order of insertion, and appears under its name when it is whole.
        `progress` is called after each page with documents done and documents in all.

        Raises:
            ReadOnly: the file cannot be written.
            MissingDependency: "parquet" without pyarrow.
        """
        from aurora_db.store import transfer  # noqa: PLC0415 - few programs move files

        file = os.fspath(path)
        return self._gate.read(
            lambda port: transfer.export_file(port, name, file, format, where, progress)
        )
