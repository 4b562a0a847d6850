"""Collections → tables and indexes: the schema lives in the table, so every program obeys it.

Nothing here uses a function that only our connection registers, or another program's write
would fail. Patterns and addresses are checked before the write, by `aql/types.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aurora_db.aql.catalog import Collection, Field, Type
from aurora_db.base.codec import encode
from aurora_db.sql.expressions import NOW, UUID7
from aurora_db.sql.statement import identifier, literal

COLUMN_TYPES = {"Int": "INTEGER", "Boolean": "INTEGER", "Float": "REAL"}

_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_CLOCK = "[0-9][0-9]:[0-9][0-9]:[0-9][0-9]"
_DIGITS = "[0-9][0-9][0-9][0-9][0-9][0-9]"


def create_collection(collection: Collection) -> list[str]:
    """The statements that make a collection's table and indexes."""
    columns = ["_n INTEGER PRIMARY KEY", *(_column(field) for field in collection.fields)]
    columns.insert(2, "_rev INTEGER NOT NULL DEFAULT 1")
    if collection.flexible:
        columns.append(
            "_extra TEXT CONSTRAINT \"_extra: object\" CHECK (json_valid(_extra) AND json_type(_extra) = 'object')"
        )
    table = identifier(collection.name)
    statements = [f"CREATE TABLE {table} (\n    " + ",\n    ".join(columns) + "\n) STRICT"]
    for field in collection.fields:
        if field.indexed and not field.unique:
            statements.append(_index(collection, (field.name,), unique=False))
    statements += [
        _index(collection, index.fields, unique=index.unique) for index in collection.indexes
    ]
    return statements


def drop_collection(collection: Collection) -> list[str]:
    """The statements that remove it, its documents included."""
    return [f"DROP TABLE {identifier(collection.name)}"]


def _index(collection: Collection, fields: Sequence[str], *, unique: bool) -> str:
    name = identifier(f"{collection.name}:{','.join(fields)}{':unique' if unique else ''}")
    columns = ", ".join(identifier(field) for field in fields)
    return f"CREATE {'UNIQUE ' if unique else ''}INDEX {name} ON {identifier(collection.name)} ({columns})"


def _column(field: Field) -> str:
    name = identifier(field.name)
    parts = [name, COLUMN_TYPES.get(field.type.name, "TEXT")]
    if field.name == "id":
        parts.append(f"NOT NULL UNIQUE DEFAULT ({UUID7})")
    else:
        if field.required:
            parts.append("NOT NULL")
        if field.unique:
            parts.append("UNIQUE")
        if field.has_default:
            parts.append(f"DEFAULT {_default(field)}")
    parts += [
        f"CONSTRAINT {identifier(f'{field.name}: {rule}')} CHECK ({check})"
        for rule, check in _checks(field, name)
    ]
    return " ".join(parts)


def _default(field: Field) -> str:
    value, kind = field.default, field.type.name
    if value == "now" and kind in ("DateTime", "Date", "Time"):
        return {"DateTime": f"({NOW})", "Date": "(date('now'))", "Time": "(time('now'))"}[kind]
    if value == "uuid" and kind in ("ID", "Uuid"):
        return f"({UUID7})"
    return literal(_stored_default(value, kind))


def _stored_default(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind in ("JSON", "Object", "Any", "List", "Inline"):
        return encode(value)
    if kind == "Float":
        return float(value)
    return value


def _checks(field: Field, name: str) -> list[tuple[str, str]]:
    """Pairs of rule and condition; null passes, for `NOT NULL` is a rule of its own."""
    checks = _of_type(field.type, name)
    rules = field.validate
    if rules is None:
        return checks
    if field.type.name == "List":
        counted = f"json_array_length({name})"
        checks += (
            [("minItems", f"{counted} >= {rules.min_items}")] if rules.min_items is not None else []
        )
        checks += (
            [("maxItems", f"{counted} <= {rules.max_items}")] if rules.max_items is not None else []
        )
        return checks
    if rules.min is not None:
        checks.append(("min", f"{name} >= {literal(rules.min)}"))
    if rules.max is not None:
        checks.append(("max", f"{name} <= {literal(rules.max)}"))
    if rules.min_length is not None:
        checks.append(("minLength", f"length({name}) >= {rules.min_length}"))
    if rules.max_length is not None:
        checks.append(("maxLength", f"length({name}) <= {rules.max_length}"))
    if rules.enum is not None:
        checks.append(("enum", f"{name} IN ({', '.join(literal(word) for word in rules.enum)})"))
    return checks


def _of_type(type: Type, name: str) -> list[tuple[str, str]]:
    match type.name:
        case "Boolean":
            return [("Boolean", f"{name} IN (0, 1)")]
        case "Float":
            return [("finite", f"abs({name}) <= 1.7976931348623157e308")]
        case "ID":
            return [("length", f"length({name}) BETWEEN 1 AND 255")]
        case "Enum":
            return [("words", f"{name} IN ({', '.join(literal(word) for word in type.words)})")]
        case "DateTime":
            return [("DateTime", f"{name} GLOB '{_DAY}T{_CLOCK}.{_DIGITS}Z'")]
        case "Date":
            return [("Date", f"{name} GLOB '{_DAY}'")]
        case "Time":
            return [("Time", f"{name} GLOB '{_CLOCK}*'")]
        case "JSON" | "Any":
            return [("JSON", f"json_valid({name})")]
        case "Object" | "Inline":
            return [("object", f"json_valid({name}) AND json_type({name}) = 'object'")]
        case "List":
            return [("list", f"json_valid({name}) AND json_type({name}) = 'array'")]
        case _:
            return []
