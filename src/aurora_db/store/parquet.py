"""PARQUET by pyarrow, where that is installed: scalars and lists of scalars as they are, the rest as JSON text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any, cast

from aurora_db.aql.catalog import Collection, Type
from aurora_db.aql.types import JSON_KINDS
from aurora_db.base.codec import decode, encode
from aurora_db.base.errors import MissingDependency, ValidationError
from aurora_db.store.formats import Record

#: Documents in one group of rows.
GROUP = 10_000


def _library() -> tuple[Any, Any]:
    """The two modules of pyarrow.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingDependency(
            "PARQUET needs pyarrow, which is not installed", hint="pip install pyarrow"
        ) from error


def records(path: str, collection: Collection) -> Iterator[Record]:
    """The documents of a file; `line` counts its rows from 1."""
    arrow, parquet = _library()
    texts = {field.name for field in collection.fields if field.type.name in JSON_KINDS}
    try:
        file = parquet.ParquetFile(path)
        number = 0
        for batch in file.iter_batches(batch_size=1_000):
            for document in cast("list[dict[str, Any]]", batch.to_pylist()):
                number += 1
                yield Record(
                    number, {name: _plain(name, value, texts) for name, value in document.items()}
                )
    except arrow.ArrowException as error:
        raise ValidationError(
            f"'{path}' cannot be read as PARQUET: {error}", rule="format"
        ) from error


def _plain(name: str, value: Any, texts: set[str]) -> Any:
    return decode(value) if name in texts and isinstance(value, str) else value


def write(
    path: str, columns: Sequence[tuple[str, Type | None]], documents: Iterable[dict[str, Any]]
) -> None:
    """Write documents with these columns."""
    arrow, parquet = _library()
    types = {name: _arrow_type(arrow, type) for name, type in columns}
    schema = arrow.schema(
        [(name, arrow.string() if type is None else type) for name, type in types.items()]
    )
    with parquet.ParquetWriter(path, schema) as writer:
        group: list[dict[str, Any]] = []
        for document in documents:
            group.append({name: _kept(types[name], document.get(name)) for name in types})
            if len(group) >= GROUP:
                writer.write_table(arrow.Table.from_pylist(group, schema=schema))
                group = []
        writer.write_table(arrow.Table.from_pylist(group, schema=schema))


def _kept(type: Any, value: Any) -> Any:
    return encode(value) if type is None and value is not None else value


def _arrow_type(arrow: Any, type: Type | None) -> Any:
    """The type of a column; None for JSON text."""
    match "JSON" if type is None else type.name:
        case "Int":
            return arrow.int64()
        case "Float":
            return arrow.float64()
        case "Boolean":
            return arrow.bool_()
        case "DateTime":
            return arrow.timestamp("us", tz="UTC")
        case "Date":
            return arrow.date32()
        case "List":
            item = None if type is None or type.item is None else _arrow_type(arrow, type.item)
            return None if item is None else arrow.list_(item)
        case "Time" | "JSON" | "Object" | "Any" | "Inline":
            return None
        case _:
            return arrow.string()
