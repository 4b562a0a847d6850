"""Files of documents: JSON, NDJSON, CSV, and PARQUET with pyarrow; read and written piece by piece.

A reader gives `Record`s in the order of the file. What is wrong with one document is in its record;
what makes the rest unreadable is raised.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any, Final, cast

import msgspec

from aurora_db.aql import suggest
from aurora_db.aql.catalog import Collection
from aurora_db.aql.cells import Converter, Guess, converter
from aurora_db.base.codec import decode
from aurora_db.base.errors import AuroraError, NotFound, ReadOnly, UnknownField, ValidationError

FORMATS: Final = ("json", "ndjson", "csv", "parquet")
SUFFIXES: Final = {
    ".json": "json", ".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv", ".parquet": "parquet",
}  # fmt: skip
#: Characters read at once.
CHUNK: Final = 1 << 18
#: Characters of one document of a JSON array, at most.
MOST: Final = 1 << 26

#: What tells where an object ends; a lone quote is a string that goes on in the next chunk.
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]"]', re.DOTALL)


class Record(msgspec.Struct, frozen=True):
    """One document and the line it begins on; `problem` instead where it cannot be read."""

    line: int
    document: Any = None
    problem: str | None = None


def format_of(path: str, format: str | None) -> str:
    """The format given, else the one that the name of the file tells.

    Raises:
        ValidationError: there is no such format, or the name tells none.
    """
    if format is None:
        found = SUFFIXES.get(os.path.splitext(path)[1].lower())
        if found is None:
            raise ValidationError(
                f"the name of '{path}' does not tell its format", rule="format",
                hint=f"give the format: {', '.join(FORMATS)}",
            )  # fmt: skip
        return found
    word = str(format).lower()
    if word not in FORMATS:
        raise ValidationError(
            f"no format named '{format}'", rule="format", value=format,
            hint=suggest.hint(word, FORMATS, f"formats are {', '.join(FORMATS)}"),
        )  # fmt: skip
    return word


class Source:
    """An open file of documents for a collection.

    Args:
        path: the file.
        format: one of FORMATS.
        collection: says what the cells of a CSV file mean.
        null_values: words of null cells in every column, instead of the usual ones.
    """

    def __init__(
        self, path: str, format: str, collection: Collection, null_values: Iterable[str] | None
    ) -> None:
        self.path = path
        self._format = format
        self._collection = collection
        self._nulls = None if null_values is None else tuple(null_values)
        self._file: IO[bytes] | None = None
        try:
            self.size = os.path.getsize(path)
        except OSError as error:
            raise NotFound(f"the file '{path}' cannot be read: {error.strerror}") from error

    @property
    def position(self) -> int:
        """Bytes read so far, about."""
        file = self._file
        return self.size if file is None or file.closed else min(file.tell(), self.size)

    def batches(self, most: int) -> Iterator[list[Record]]:
        """The records, up to `most` at once.

        Raises:
            ValidationError: the file cannot be read as its format.
        """
        records = _checked(self._records(), self.path)
        while batch := [record for _, record in zip(range(most), records, strict=False)]:
            yield batch

    def _records(self) -> Iterator[Record]:
        match self._format:
            case "ndjson":
                return self._lines()
            case "json":
                return self._array()
            case "csv":
                return self._rows()
            case _:
                from aurora_db.store import parquet  # noqa: PLC0415 - optional

                return parquet.records(self.path, self._collection)

    def _open(self) -> io.TextIOWrapper:
        self._file = open(self.path, "rb")  # noqa: SIM115 - closed with the text around it
        return io.TextIOWrapper(self._file, encoding="utf-8-sig", newline="")

    def _lines(self) -> Iterator[Record]:
        with self._open() as text:
            for number, line in enumerate(text, 1):
                if line.strip():
                    yield _decoded(number, line)

    def _array(self) -> Iterator[Record]:
        with self._open() as text:
            yield from _Array(text).records()

    # --- CSV --------------------------------------------------------------------------------

    def _rows(self) -> Iterator[Record]:
        converters = self._converters()
        with self._open() as text:
            reader = csv.reader(text, strict=True)
            next(reader, None)
            begins = reader.line_num + 1
            for row in reader:
                if row:
                    yield _row(begins, row, converters)
                begins = reader.line_num + 1

    def _converters(self) -> list[tuple[str, Converter]]:
        with self._open() as text:
            reader = csv.reader(text, strict=True)
            names = next(reader, [])
            self._check_header(names)
            known = {field.name: field.type for field in self._collection.fields}
            guesses = {
                n: Guess(self._nulls)
                for n, name in enumerate(names)
                if name not in (*known, "_sid")
            }
            if guesses:
                for row in reader:
                    for n, guess in guesses.items():
                        if n < len(row):
                            guess.see(row[n])
            known.update({names[n]: guess.type() for n, guess in guesses.items()})
        return [(name, converter(name, known.get(name), self._nulls)) for name in names]

    def _check_header(self, names: list[str]) -> None:
        known = {field.name for field in self._collection.fields} | {"_sid"}
        for n, name in enumerate(names, 1):
            if not name or names.count(name) > 1:
                raise ValidationError(
                    f"column {n} of '{self.path}' has "
                    + ("no name" if not name else f"the name '{name}' of another one"),
                    rule="format",
                    hint="the first line of a CSV file names its columns",
                )
            if name not in known and (not self._collection.flexible or name.startswith("_")):
                raise UnknownField(
                    f"no field named '{name}' in collection '{self._collection.name}', the name of column {n} of "
                    f"'{self.path}'",
                    hint=suggest.hint(
                        name, known, "declare it, or define the collection @flexible"
                    ),
                )


def _row(line: int, row: list[str], converters: list[tuple[str, Converter]]) -> Record:
    if len(row) != len(converters):
        return Record(line, None, f"{len(row)} cells, the header has {len(converters)}")
    try:
        return Record(line, {name: convert(cell) for cell, (name, convert) in zip(row, converters)})  # noqa: B905
    except (AuroraError, msgspec.DecodeError) as error:
        return Record(line, None, error.message if isinstance(error, AuroraError) else str(error))


def _decoded(line: int, text: str) -> Record:
    try:
        document = decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        return Record(line, None, f"not JSON: {error}")
    if not isinstance(document, Mapping):
        return Record(line, None, "not an object")
    return Record(line, cast("Any", document))


def _checked(records: Iterator[Record], path: str) -> Iterator[Record]:
    """The same records; what makes a file unreadable is an error of ours."""
    try:
        yield from records
    except UnicodeDecodeError as error:
        raise ValidationError(
            f"'{path}' is not UTF-8: {error.reason}", rule="format", hint="convert it first"
        ) from error
    except csv.Error as error:
        raise ValidationError(f"'{path}' cannot be read as CSV: {error}", rule="format") from error
    except OSError as error:
        raise NotFound(f"the file '{path}' cannot be read: {error.strerror}") from error


class _Array:
    """The objects of a JSON array, one after the other, whatever its size."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._buffer = ""
        self._line = 1

    def _more(self) -> bool:
        chunk = self._text.read(CHUNK)
        self._buffer += chunk
        return bool(chunk)

    def _drop(self, count: int) -> None:
        self._line += self._buffer.count("\n", 0, count)
        self._buffer = self._buffer[count:]

    def _next(self) -> str:
        """The next character that is no white space; "" at the end."""
        while True:
            rest = self._buffer.lstrip()
            self._drop(len(self._buffer) - len(rest))
            if rest or not self._more():
                return self._buffer[:1]

    def records(self) -> Iterator[Record]:
        if self._next() != "[":
            raise self._wrong(
                "a JSON file is an array of objects", 'for a line each, format="ndjson"'
            )
        self._drop(1)
        separator = ""
        while (found := self._next()) != "]":
            if separator:
                if found != ",":
                    raise self._wrong("expected ',' or ']' between objects")
                self._drop(1)
                found = self._next()
            if found != "{":
                raise self._wrong(f"expected an object, found {found or 'the end'!r}")
            end = self._end()
            yield _decoded(self._line, self._buffer[:end])
            self._drop(end)
            separator = ","
        self._drop(1)
        if self._next():
            raise self._wrong("something follows the array")

    def _end(self) -> int:
        """Where the object that the buffer begins with ends."""
        depth = at = 0
        while True:
            token = _TOKEN.search(self._buffer, at)
            if token is None or token.group() == '"':
                at = len(self._buffer) if token is None else token.start()
                if len(self._buffer) > MOST or not self._more():
                    raise self._wrong("this object does not end")
                continue
            at = token.end()
            if token.group() in "{[":
                depth += 1
            elif token.group() in "}]":
                depth -= 1
                if depth == 0:
                    return at

    def _wrong(self, message: str, hint: str | None = None) -> ValidationError:
        return ValidationError(f"line {self._line}: {message}", rule="format", hint=hint)


# --- writing --------------------------------------------------------------------------------


class Target:
    """A file that appears under its name when all is written; made beside it until then."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.beside = f"{path}.{os.getpid()}.part"

    def write(self, verb: Callable[[str], None]) -> None:
        """Let `verb` write the file of the name it is given, then put it into its place.

        Raises:
            ReadOnly: the folder cannot be written.
        """
        try:
            verb(self.beside)
            os.replace(self.beside, self.path)
        except OSError as error:
            raise ReadOnly(f"the file '{self.path}' cannot be written: {error.strerror}") from error
        finally:
            if os.path.exists(self.beside):
                os.unlink(self.beside)


__all__ = ["FORMATS", "Record", "Source", "Target", "format_of"]
