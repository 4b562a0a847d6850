"""How a stored value is said in SQL: as a value, as JSON, as text. Pure SQL that 3.40 runs.

Every expression here may stand in a trigger, so none uses a function that only our connection
registers. `row` is what stands before a column: "NEW.", "OLD.", or the table and a dot, for a bare
name could be taken for a column of the `json_each` around it. Aliases begin with an underscore,
as no collection of a user does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from aurora_db.aql.catalog import Type
from aurora_db.aql.plan import Path
from aurora_db.aql.types import JSON_KINDS
from aurora_db.base.records import Priority
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

#: A key that a JSON path of SQLite 3.40 can say: its labels know no escapes.
_LABEL = re.compile(r'[^"\\\x00-\x1f]+')

#: A JSON value in SQL: the expression of its `json_type`, and that of its value.
Json = tuple[str, str]


def column(path: Path, row: str) -> str:
    """The column that a path begins in; over relations, that of the document they lead to.

    Each step is a query for one document by a unique key; without one its value is null.
    """
    name = "_extra" if path.field is None else path.field.name
    if not path.hops:
        return row + identifier(name)
    names = [*(hop.field.name for hop in path.hops), name]
    found = row + identifier(names[0])
    for n, hop in enumerate(path.hops):
        alias = f"_hop{n}"
        found = (
            f"(SELECT {alias}.{identifier(names[n + 1])} FROM {identifier(hop.collection.name)} AS {alias} "
            f"WHERE {alias}.{identifier(hop.key.name)} = {found})"
        )
    return found


def located(path: Path, row: str) -> tuple[str, str]:
    """A JSON text and the JSON path in it, as a literal, where the value of `path` is found."""
    base, labels = column(path, row), "$"
    for key in path.keys:
        if _LABEL.fullmatch(key):
            labels += f'."{key}"'
        else:
            whole = base if labels == "$" else f"{base} -> {literal(labels)}"
            base, labels = _member(whole, key), "$"
    return base, literal(labels)


def _member(whole: str, key: str) -> str:
    """The JSON of the value under a key of any characters."""
    return (
        "(SELECT CASE _m.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' "
        f"WHEN 'real' THEN {exact('_m.value')} WHEN 'object' THEN _m.value "
        "WHEN 'array' THEN _m.value ELSE json_quote(_m.value) END "
        f"FROM json_each({whole}) AS _m WHERE _m.key = {literal(key)} LIMIT 1)"
    )


def value(path: Path, row: str = "") -> str:
    """The stored value as an SQL value: of a plain column, or of a place in JSON."""
    if not path.keys:
        return column(path, row)
    base, labels = located(path, row)
    return f"{base} ->> {labels}"


def link(path: Path, row: str) -> str:
    """The value that documents are linked by: of an undeclared field only a text or a number."""
    if path.type is not None:
        return value(path, row)
    json_type, found = as_value(path, row)
    return f"CASE WHEN {json_type} IN ('text', 'integer', 'real') THEN {found} END"


def part(path: Path, row: str = "") -> str:
    """The JSON text of a place in JSON; SQL's null where there is none."""
    base, labels = located(path, row)
    return f"{base} -> {labels}"


def as_value(path: Path, row: str) -> Json:
    """What is stored at a place in JSON, or in a whole JSON column."""
    base, labels = located(path, row)
    return f"json_type({base}, {labels})", f"{base} ->> {labels}"


def elements(path: Path, row: str) -> str:
    """The table of the members of a list or an object."""
    base, labels = located(path, row)
    return f"json_each({base}, {labels})"


def items(path: Path, row: str) -> str:
    """The table of the elements of a list; of anything else there are none."""
    if not path.keys and path.type is not None and path.type.name == "List":
        return f"json_each({column(path, row)})"
    base, labels = located(path, row)
    return f"json_each(CASE json_type({base}, {labels}) WHEN 'array' THEN {base} END, {labels})"


def size(path: Path, row: str) -> str:
    """How many elements a list has; null of anything else."""
    if not path.keys and path.type is not None and path.type.name == "List":
        return f"json_array_length({column(path, row)})"
    base, labels = located(path, row)
    return f"CASE json_type({base}, {labels}) WHEN 'array' THEN json_array_length({base}, {labels}) END"


# --- comparing JSON -------------------------------------------------------------------------


def kind(json_type: str) -> str:
    """Classes of JSON values that may be equal, from an expression of a `json_type`."""
    return (
        f"CASE {json_type} WHEN 'integer' THEN 1 WHEN 'real' THEN 1 WHEN 'text' THEN 2 "
        "WHEN 'true' THEN 3 WHEN 'false' THEN 3 WHEN 'object' THEN 4 WHEN 'array' THEN 5 END"
    )


def equal(one: Json, other: Json) -> str:
    """Whether two JSON values are equal: numbers by value, objects whatever the order of keys.

    True or false, never unknown; what is missing equals `null`.
    """
    return (
        f"({kind(one[0])} IS {kind(other[0])} AND CASE WHEN {other[0]} IN ('object', 'array') "
        f"THEN {_contained(one[1], other[1])} AND {_contained(other[1], one[1])} "
        f"ELSE {one[1]} IS {other[1]} END)"
    )


def _contained(one: str, other: str) -> str:
    """Whether every node of one JSON text is at the same place in the other."""
    nodes = "SELECT {0}.fullkey, {1}, {0}.atom FROM json_tree({2}) AS {0}"
    return (
        f"NOT EXISTS ({nodes.format('_a', kind('_a.type'), one)} "
        f"EXCEPT {nodes.format('_b', kind('_b.type'), other)})"
    )


# --- JSON and text of a value ---------------------------------------------------------------


def exact(real: str) -> str:
    """The text of a float that reads back as the same float.

    `json_object` of SQLite 3.40 writes 0.1 + 0.2 as 0.3, and its 17 digits miss one large or
    small float in five hundred; 18 digits missed none of a million.
    """
    return f"printf('%!.18g', {real})"


def as_json(path: Path, row: str = "") -> str:
    """The stored value as JSON text, `null` included, exact for every type."""
    if path.keys:
        return f"coalesce({part(path, row)}, 'null')"
    return column_as_json(column(path, row), path.type)


def column_as_json(stored: str, type: Type | None) -> str:
    """A column's value as JSON text."""
    name = "JSON" if type is None else type.name
    if name in JSON_KINDS:
        return f"coalesce({stored}, 'null')"
    if name == "Boolean":
        return f"CASE {stored} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END"
    if name == "Float":
        return f"CASE WHEN {stored} IS NULL THEN 'null' ELSE {exact(stored)} END"
    if name == "Priority":
        return f"json_quote({_word(stored)})"
    return f"json_quote({stored})"


def _word(priority: str) -> str:
    """The word of a priority."""
    cases = " ".join(f"WHEN {one.value} THEN {literal(one.name)}" for one in Priority)
    return f"CASE {priority} {cases} END"


def as_text(path: Path, row: str = "") -> str:
    """The stored value as a part of a longer text; null as nothing."""
    if path.keys:
        json_type, found = as_value(path, row)
        return (
            f"CASE coalesce({json_type}, 'null') WHEN 'null' THEN '' WHEN 'text' THEN {found} "
            f"WHEN 'real' THEN {readable(f'({found})')} ELSE {part(path, row)} END"
        )
    stored = column(path, row)
    name = "JSON" if path.type is None else path.type.name
    if name == "Boolean":
        return f"CASE {stored} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE '' END"
    if name == "Float":
        return f"CASE WHEN {stored} IS NULL THEN '' ELSE {readable(stored)} END"
    if name == "Priority":
        return f"coalesce({_word(stored)}, '')"
    return f"coalesce({stored}, '')"


def readable(real: str) -> str:
    """The text of a float as a person writes it, where that is the same float."""
    short = f"printf('%!.15g', {real})"
    return f"CASE WHEN CAST({short} AS REAL) = {real} THEN {short} ELSE {exact(real)} END"


def json_object(pairs: Sequence[tuple[str, str]]) -> str:
    """A JSON object of keys and expressions of JSON text; without a limit to their number."""
    if not pairs:
        return "'{}'"
    parts: list[str] = []
    for n, (key, expression) in enumerate(pairs):
        opening = ("{" if n == 0 else ",") + json.dumps(key, ensure_ascii=False) + ":"
        parts += [literal(opening), f"({expression})"]
    return " || ".join([*parts, "'}'"])
