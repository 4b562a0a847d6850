"""Images of documents: the whole of a row as JSON text, and an image as a row again. Pure SQL."""

from __future__ import annotations

from typing import Final

from aurora_db.aql.catalog import Collection, Field, Type
from aurora_db.aql.types import JSON_KINDS
from aurora_db.base.codec import encode
from aurora_db.sql import expressions
from aurora_db.sql.ddl import present
from aurora_db.sql.statement import identifier, literal

#: The revision after an update, also when another program left it alone.
NEXT_REV: Final = "max(NEW._rev, OLD._rev + 1)"


def image(collection: Collection, row: str, rev: str | None, *, stamped: bool = False) -> str:
    """The whole document as JSON text; with `stamped` as an update leaves it. Jobs have no `rev`."""
    pairs = [("id", f"json_quote({row}id)")]
    if rev is not None:
        pairs.append(("_rev", f"json_quote({rev})"))
    pairs += [
        (
            field.name,
            expressions.column_as_json(
                f"({stamp(field, row)})"
                if stamped and field.updated
                else row + identifier(field.name),
                _type(field),
            ),
        )
        for field in collection.stored
        if field.name != "id"
    ]
    text = expressions.json_object(pairs)
    if not collection.flexible:
        return text
    opened = text.removesuffix(" || '}'")
    extra = f"json({row}_extra)"
    return f"{opened} || CASE WHEN coalesce({extra}, '{{}}') = '{{}}' THEN '}}' ELSE ',' || substr({extra}, 2) END"


def stamp(field: Field, row: str) -> str:
    """A field with `@updated` after an update: the present, unless the write set it or is ours."""
    name = identifier(field.name)
    return (
        f"CASE WHEN NEW._rev <= OLD._rev AND NEW.{name} IS OLD.{name} "
        f"THEN {present(field.type)} ELSE {row}{name} END"
    )


def columns_of(collection: Collection, place: str) -> str:
    """The columns of a document, read from its image at a parameter."""
    paths = ["$." + encode(field.name) for field in collection.stored]
    columns = [
        f"{_read(place, literal(path), field.type)} AS {identifier(field.name)}"
        for path, field in zip(paths, collection.stored, strict=True)
    ]
    if not collection.system:
        columns.append(f"json_extract({place}, '$._rev') AS _rev")
    if collection.flexible:
        known = ", ".join(literal(path) for path in [*paths, "$._rev"])
        columns.append(f"json_remove({place}, {known}) AS _extra")
    return ", ".join(columns)


def _read(place: str, path: str, type: Type) -> str:
    if type.name in JSON_KINDS:
        return f"nullif({place} -> {path}, 'null')"
    return f"json_extract({place}, {path})"


def _type(field: Field) -> Type:
    """In an image of a job its priority is the number that the column holds."""
    return Type(name="Int") if field.type.name == "Priority" else field.type
