"""How a stored value is said in SQL: as a value, as JSON, as text. Pure SQL that 3.40 runs.

Every expression here may stand in a trigger, so none uses a function that only our connection
registers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from aurora_db.aql.catalog import Type
from aurora_db.aql.plan import Path
from aurora_db.aql.types import JSON_KINDS
from aurora_db.sql.statement import identifier, literal

#: The present, by the wall clock: all that a trigger can know.
NOW = "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"

#: A UUIDv7: 48 bits of milliseconds, then random ones. Source: RFC 9562, section 5.7.
UUID7 = (
    "printf('%08x-%04x-7%03x-%04x-%012x', "
    "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) >> 16, "
    "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) & 65535, "
    "random() & 4095, (random() & 16383) | 32768, random() & 281474976710655)"
)


def column(path: Path, row: str) -> str:
    """The column that a path begins in; `row` is "NEW.", "OLD." or ""."""
    return row + identifier("_extra" if path.field is None else path.field.name)


def inside(path: Path) -> str | None:
    """The JSON path of what lies below the column, as a literal; None when nothing does."""
    if not path.keys:
        return None
    return literal("$" + "".join("." + json.dumps(key, ensure_ascii=False) for key in path.keys))


def value(path: Path, row: str = "") -> str:
    """The stored value as an SQL value."""
    below = inside(path)
    return column(path, row) if below is None else f"{column(path, row)} ->> {below}"


def kind(json_type: str) -> str:
    """Classes of JSON values that may be equal, from an expression of a `json_type`."""
    return (
        f"CASE {json_type} WHEN 'integer' THEN 1 WHEN 'real' THEN 1 WHEN 'text' THEN 2 "
        "WHEN 'true' THEN 3 WHEN 'false' THEN 3 WHEN 'object' THEN 4 WHEN 'array' THEN 4 END"
    )


def as_json(path: Path, row: str = "") -> str:
    """The stored value as JSON text, `null` included, exact for every type."""
    below = inside(path)
    stored = column(path, row)
    if below is not None:
        return f"coalesce({stored} -> {below}, 'null')"
    return column_as_json(stored, path.type)


def column_as_json(stored: str, type: Type | None) -> str:
    """A column's value as JSON text."""
    name = "JSON" if type is None else type.name
    if name in JSON_KINDS:
        return f"coalesce({stored}, 'null')"
    if name == "Boolean":
        return f"CASE {stored} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END"
    if name == "Float":
        # json_object of SQLite 3.40 writes 0.1 + 0.2 as 0.3.
        return f"CASE WHEN {stored} IS NULL THEN 'null' ELSE printf('%!.17g', {stored}) END"
    return f"json_quote({stored})"


def as_text(path: Path, row: str = "") -> str:
    """The stored value as a part of a longer text; null as nothing."""
    stored = column(path, row)
    below = inside(path)
    if below is not None:
        return f"coalesce({stored} ->> {below}, '')"
    name = "JSON" if path.type is None else path.type.name
    if name == "Boolean":
        return f"CASE {stored} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE '' END"
    if name == "Float":
        return f"CASE WHEN {stored} IS NULL THEN '' ELSE printf('%!.15g', {stored}) END"
    return f"coalesce({stored}, '')"


def json_object(pairs: Sequence[tuple[str, str]]) -> str:
    """A JSON object of keys and expressions of JSON text; without a limit to their number."""
    if not pairs:
        return "'{}'"
    parts: list[str] = []
    for n, (key, expression) in enumerate(pairs):
        opening = ("{" if n == 0 else ",") + json.dumps(key, ensure_ascii=False) + ":"
        parts += [literal(opening), f"({expression})"]
    return " || ".join([*parts, "'}'"])
