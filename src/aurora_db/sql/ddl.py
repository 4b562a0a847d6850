"""Collections → tables and indexes: the schema lives in the table, so every program obeys it.

Nothing here uses a function that only our connection registers, or another program's write
would fail. Patterns and addresses are checked before the write, by `aql/types.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from aurora_db.aql.catalog import Collection, Field, Relation, Type
from aurora_db.aql.types import store
from aurora_db.sql.expressions import NOW, UUID7
from aurora_db.sql.statement import identifier, literal

COLUMN_TYPES = {"Int": "INTEGER", "Boolean": "INTEGER", "Float": "REAL"}

_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_CLOCK = "[0-2][0-9]:[0-5][0-9]:[0-5][0-9]"
_DIGITS = "[0-9]" * 6
_OFFSET = "[+-][0-9][0-9]:[0-9][0-9]"
_HEX = "[0-9a-f]"
_UUID = "-".join(_HEX * count for count in (8, 4, 4, 4, 12))


def create_collection(collection: Collection) -> list[str]:
    """The statements that make a collection's table and indexes."""
    columns = ["_n INTEGER PRIMARY KEY", *(_column(field) for field in collection.stored)]
    columns.insert(2, "_rev INTEGER NOT NULL DEFAULT 1")
    if collection.flexible:
        check = _json("_extra", "json_type(_extra) = 'object'")
        columns.append(f'_extra TEXT CONSTRAINT "_extra: object" CHECK ({check})')
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
    if field.relation is not None:
        parts.append(_references(field.relation))
    return " ".join(parts)


def _references(relation: Relation) -> str:
    """The foreign key; RESTRICT is looked at when a statement ends, so that it may delete both sides."""
    actions = {"RESTRICT": "", "CASCADE": " ON DELETE CASCADE", "SET_NULL": " ON DELETE SET NULL"}
    to = f"REFERENCES {identifier(relation.to)} ({identifier(relation.key)})"
    return to + actions[relation.on_delete]


def _default(field: Field) -> str:
    value, kind = field.default, field.type.name
    if value == "now" and kind in ("DateTime", "Date", "Time"):
        return {"DateTime": f"({NOW})", "Date": "(date('now'))", "Time": "(time('now'))"}[kind]
    if value == "uuid" and kind in ("ID", "Uuid"):
        return f"({UUID7})"
    return literal(store(field.type, value))


def _checks(field: Field, name: str) -> list[tuple[str, str]]:
    """Pairs of rule and condition; null passes, for `NOT NULL` is a rule of its own."""
    checks = _of_type(field.type, name)
    rules = field.validate
    if rules is None:
        return checks
    if field.type.name == "List":
        # What holds for each element cannot be said in a CHECK, which knows no subqueries.
        counted = f"json_array_length({name})"
        if rules.min_items is not None:
            checks.append(("minItems", _json(name, f"{counted} >= {rules.min_items}")))
        if rules.max_items is not None:
            checks.append(("maxItems", _json(name, f"{counted} <= {rules.max_items}")))
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
        case "Uuid":
            return [("Uuid", f"{name} GLOB '{_UUID}'")]
        case "DateTime":
            return [("DateTime", f"{name} GLOB '{_DAY}T{_CLOCK}.{_DIGITS}Z' AND {_day(name)} AND {_hour(f'substr({name}, 12)')}")]  # fmt: skip
        case "Date":
            return [("Date", f"{name} GLOB '{_DAY}' AND {_day(name)}")]
        case "Time":
            tails = ("", f".{_DIGITS}", _OFFSET, f".{_DIGITS}{_OFFSET}")
            shapes = " OR ".join(f"{name} GLOB '{_CLOCK}{tail}'" for tail in tails)
            return [("Time", f"({shapes}) AND {_hour(name)}")]
        case "JSON" | "Any":
            return [("JSON", _json(name, "1"))]
        case "Object" | "Inline":
            return [("object", _json(name, f"json_type({name}) = 'object'"))]
        case "List":
            return [("list", _json(name, f"json_type({name}) = 'array'"))]
        case _:
            return []


def _json(name: str, check: str) -> str:
    """A check of JSON that is looked at only where it is JSON.

    `json_valid(NULL)` is 0 in SQLite 3.40, and `json_type` of anything else is an error.
    """
    return f"CASE WHEN {name} IS NULL THEN 1 WHEN json_valid({name}) THEN {check} ELSE 0 END"


def _day(text: str) -> str:
    """The first ten characters are a day of the calendar that Python knows, too."""
    day = f"substr({text}, 1, 10)"
    return f"date({day}, '+0 days') IS {day} AND {text} >= '0001'"


def _hour(text: str) -> str:
    return f"substr({text}, 1, 2) < '24'"
