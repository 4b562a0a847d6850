"""Collections → tables and indexes: the schema lives in the table, so every program obeys it.

Nothing here uses a function that only our connection registers, or another program's write
would fail. Patterns and addresses are checked before the write, by `aql/types.py`.
"""

from __future__ import annotations

from aurora_db.aql import specials
from aurora_db.aql.catalog import Collection, Field, Index, Relation, Type
from aurora_db.aql.types import DATES, store
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
    return [create_table(collection, collection.name), *indexes(collection).values()]


def create_table(collection: Collection, name: str) -> str:
    """The statement that makes the table of a collection, under a name that may be another one."""
    columns = ["_n INTEGER PRIMARY KEY", *(column(field) for field in collection.stored)]
    columns.insert(2, "_rev INTEGER NOT NULL DEFAULT 1")
    if collection.flexible:
        check = _json("_extra", "json_type(_extra) = 'object'")
        columns.append(f'_extra TEXT CONSTRAINT "_extra: object" CHECK ({check})')
    return f"CREATE TABLE {identifier(name)} (\n    " + ",\n    ".join(columns) + "\n) STRICT"


def indexes(collection: Collection) -> dict[str, str]:
    """The statements that make a collection's indexes, by the index's name."""
    own = [
        Index((field.name,)) for field in collection.fields if field.indexed and not field.unique
    ]
    return {
        _index_name(collection, one): _index(collection, one) for one in (*own, *collection.indexes)
    }


def drop_collection(collection: Collection) -> list[str]:
    """The statements that remove it, its documents included."""
    return [f"DROP TABLE {identifier(collection.name)}"]


def _index_name(collection: Collection, index: Index) -> str:
    return f"{collection.name}:{','.join(index.fields)}{':unique' if index.unique else ''}"


def _index(collection: Collection, index: Index) -> str:
    name = identifier(_index_name(collection, index))
    columns = ", ".join(identifier(field) for field in index.fields)
    return f"CREATE {'UNIQUE ' if index.unique else ''}INDEX {name} ON {identifier(collection.name)} ({columns})"


def column(field: Field) -> str:
    """The definition of a field's column, its constraints included."""
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
        elif field.updated:
            parts.append(f"DEFAULT ({present(field.type)})")
    parts += [
        f"CONSTRAINT {identifier(f'{field.name}: {rule}')} CHECK ({check})"
        for rule, check in checks(field, name)
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
    if specials.is_special(field.type, field.default):
        return f"({present(field.type) if field.type.name in DATES else UUID7})"
    # What an inline object has for "now" inside is known to our own writes only.
    return "NULL" if specials.has_special(field.type) else literal(store(field.type, field.default))


def present(type: Type) -> str:
    """The present by the wall clock, as the column of a date's type holds it."""
    return {"DateTime": NOW, "Date": "date('now')", "Time": "time('now')"}[type.name]


def checks(field: Field, name: str) -> list[tuple[str, str]]:
    """Pairs of rule and condition; null passes, for `NOT NULL` is a rule of its own."""
    found = checks_of(field.type, name)
    rules = field.validate
    if rules is None:
        return found
    if field.type.name == "List":
        # What holds for each element cannot be said in a CHECK, which knows no subqueries.
        counted = f"json_array_length({name})"
        if rules.min_items is not None:
            found.append(("minItems", _json(name, f"{counted} >= {rules.min_items}")))
        if rules.max_items is not None:
            found.append(("maxItems", _json(name, f"{counted} <= {rules.max_items}")))
        return found
    if rules.min is not None:
        found.append(("min", f"{name} >= {literal(rules.min)}"))
    if rules.max is not None:
        found.append(("max", f"{name} <= {literal(rules.max)}"))
    if rules.min_length is not None:
        found.append(("minLength", f"length({name}) >= {rules.min_length}"))
    if rules.max_length is not None:
        found.append(("maxLength", f"length({name}) <= {rules.max_length}"))
    if rules.enum is not None:
        found.append(("enum", f"{name} IN ({', '.join(literal(word) for word in rules.enum)})"))
    return found


def checks_of(type: Type, name: str) -> list[tuple[str, str]]:
    """Pairs of rule and condition that a type demands of a stored value."""
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
