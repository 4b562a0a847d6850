"""Resolved changes → the SET clause of one UPDATE, so that each is atomic. Pure.

A change inside JSON is a chain of subqueries over one document `_d`, each with a LIMIT: without one
SQLite would fold them together and copy `_d` into every place it is used. Where a chain meets what it
must not write (a path through a value that is no object, a number that leaves its type, a required
field left empty) `_d` becomes NULL and the column `REFUSED`, which breaks the column's CHECK.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from aurora_db.aql.catalog import Field, Type
from aurora_db.aql.changes import Change
from aurora_db.base.codec import encode
from aurora_db.sql import computed_changes, ddl, expressions
from aurora_db.sql.statement import identifier, literal

#: No JSON: what a column holds for a moment, until its CHECK refuses the statement.
REFUSED: Final = "'!'"
#: Pairs of path and value in one call; the engine takes 127 arguments.
MOST_PAIRS: Final = 50
_SYMBOLS: Final = {"increment": "+", "decrement": "-", "multiply": "*"}
#: Operators on whole columns whose text is the same for every value.
_BY_SHAPE: Final = frozenset((
    "set", "unset", "increment", "decrement", "multiply", "min", "max", "push",
))  # fmt: skip
_START: Final = {"Int": "0", "Float": "0.0"}

Fragment = tuple[str, list[Any]]


def assignments(changes: Sequence[Change], row: str) -> tuple[list[str], list[Any]]:
    """`column = expression` for each column that changes, and the parameters in their order.

    `row` is the table and a dot.
    """
    columns: dict[str, list[Change]] = {}
    for change in changes:
        if change.op != "setOnInsert":
            columns.setdefault(change.column, []).append(change)
    sets: list[str] = []
    params: list[Any] = []
    for name, mine in columns.items():
        text, more = _whole(mine[0], row) if mine[0].whole else _inside(mine, row)
        sets.append(f"{identifier(name)} = {text}")
        params += more
    return sets, params


def shape(changes: Sequence[Change]) -> tuple[Any, ...] | None:
    """What the text of `assignments` depends on; None where a value decides on the text, too."""
    made: list[tuple[str, str]] = []
    for change in changes:
        if change.path.keys or change.op not in _BY_SHAPE:
            return None
        made.append((change.column, change.op))
    return tuple(made)


def values(changes: Sequence[Change]) -> list[Any]:
    """The parameters of `assignments` for changes that have a `shape`."""
    return [
        encode(change.value) if change.op == "push" else change.value
        for change in changes
        if change.op != "unset"
    ]


# --- a whole column -------------------------------------------------------------------------


def _whole(change: Change, row: str) -> Fragment:
    stored = row + identifier(change.column)
    match change.op:
        case "set":
            return "?", [change.value]
        case "unset":
            return "NULL", []
        case "expr":
            return computed_changes.column(change, row)
        case "increment" | "decrement" | "multiply" | "min" | "max":
            return _number(change, stored)
        case _:
            return _list(change, f"coalesce({stored}, '[]')")


def _number(change: Change, stored: str) -> Fragment:
    start = _START[_type(change).name]
    symbol = _SYMBOLS.get(change.op)
    if symbol is None:
        return f"{change.op}(coalesce({stored}, {start}), ?)", [change.value]
    return f"coalesce({stored}, {start}) {symbol} ?", [change.value]


def _type(change: Change) -> Type:
    assert change.path.type is not None
    return change.path.type


# --- lists ----------------------------------------------------------------------------------


def _list(change: Change, items: str) -> Fragment:
    """The JSON text of a changed list; `items` is the text of it now."""
    match change.op:
        case "push":
            return f"json_insert({items}, '$[#]', json(?))", [encode(change.value)]
        case "pushAll":
            return _joined(items, change.value)
        case "removeAt":
            place = change.value
            return f"json_remove({items}, ?)", [f"$[{place}]" if place >= 0 else f"$[#{place}]"]
        case "addToSet":
            same, params = _same(change.value)
            there = f"EXISTS (SELECT 1 FROM json_each({items}) AS _e WHERE {same})"
            text = f"CASE WHEN {there} THEN {items} ELSE json_insert({items}, '$[#]', json(?)) END"
            return text, [*params, encode(change.value)]
        case "pull":
            same, params = _same(change.value)
            left = f"SELECT group_concat({_ELEMENT}, ',') FROM json_each({items}) AS _e WHERE NOT {same}"
            return f"'[' || coalesce(({left}), '') || ']'", params
        case op:
            raise AssertionError(f"no operator on lists: {op}")


def _joined(items: str, more: list[Any]) -> Fragment:
    if not more:
        return items, []
    text = encode(more)
    opened = f"substr(json({items}), 1, length(json({items})) - 1)"
    return f"CASE json_array_length({items}) WHEN 0 THEN ? ELSE {opened} || ? END", [text, "," + text[1:]]  # fmt: skip


#: The JSON text of an element, every float as it is.
_ELEMENT: Final = (
    "CASE _e.type WHEN 'text' THEN json_quote(_e.value) "
    f"WHEN 'real' THEN {expressions.readable('_e.value')} "
    "WHEN 'integer' THEN _e.value WHEN 'object' THEN _e.value WHEN 'array' THEN _e.value ELSE _e.type END"
)


def _same(value: Any) -> Fragment:
    """Whether the element `_e` equals `value`."""
    match value:
        case None:
            return "_e.type = 'null'", []
        case bool():
            return f"_e.type = '{'true' if value else 'false'}'", []
        case int() | float():
            return "(_e.type IN ('integer', 'real') AND _e.value = ?)", [value]
        case str():
            return "(_e.type = 'text' AND _e.value = ?)", [value]
        case _:
            equal = expressions.equal(("_e.type", "_e.value"), ("_want.type", "_want.value"))
            return f"EXISTS (SELECT 1 FROM json_each(?) AS _want WHERE {equal})", [encode([value])]


# --- inside JSON ----------------------------------------------------------------------------


class _Chain:
    """A chain of subqueries over the document `_d`."""

    def __init__(self, base: str) -> None:
        self._text = f"SELECT {base} AS _d"
        self._params: list[Any] = []

    def then(self, expression: str, params: Sequence[Any] = ()) -> None:
        """Let `_d` be `expression` of the `_d` before."""
        self._text = f"SELECT {expression} AS _d FROM ({self._text}) LIMIT 1"
        # The outer expression stands before what it selects from.
        self._params = [*params, *self._params]

    def with_value(self, value: str, params: Sequence[Any], expression: str) -> None:
        """Let `_d` be `expression`, which sees `value` of the `_d` before as `_v`."""
        inner = f"SELECT _d, {value} AS _v FROM ({self._text}) LIMIT 1"
        self._text = f"SELECT {expression} AS _d FROM ({inner}) LIMIT 1"
        self._params = [*params, *self._params]

    def ended(self) -> Fragment:
        """The document, or what the column refuses."""
        return f"coalesce(({self._text}), {REFUSED})", self._params


def _inside(changes: Sequence[Change], row: str) -> Fragment:
    stored = f"coalesce({row}{identifier(changes[0].column)}, '{{}}')"
    chain = _Chain(f"CASE json_type({stored}) WHEN 'object' THEN {stored} END")
    field, begun = changes[0].path.field, changes[0].begun[0]
    if begun != "{}":
        # An inline object that was null begins with its defaults.
        missing = f"{row}{identifier(changes[0].column)} IS NULL"
        chain.then(f"CASE WHEN {missing} THEN json(?) ELSE _d END", [begun])
    opened: set[tuple[str, ...]] = set()
    for change in changes:
        keys = change.path.keys
        for length in range(1, len(keys)):
            if change.op != "unset" and keys[:length] not in opened:
                opened.add(keys[:length])
                _open(chain, keys[:length], change.begun[length])
    _apply(chain, changes, row)
    for place, name in _required(field, changes):
        where = _label((*place, name))
        chain.then(f"CASE WHEN coalesce(json_type(_d, {where}), 'null') <> 'null' THEN _d END")
    return chain.ended()


def _open(chain: _Chain, keys: tuple[str, ...], begun: str) -> None:
    """What a path leads through is an object; null becomes one, anything else is refused."""
    place = _label(keys)
    chain.then(
        f"CASE coalesce(json_type(_d, {place}), 'null') WHEN 'null' THEN json_set(_d, {place}, json(?)) "
        "WHEN 'object' THEN _d END",
        [begun],
    )


def _apply(chain: _Chain, changes: Sequence[Change], row: str) -> None:
    plain = [change for change in changes if change.op == "set"]
    for start in range(0, len(plain), MOST_PAIRS):
        part = plain[start : start + MOST_PAIRS]
        pairs = ", ".join(f"{_label(change.path.keys)}, json(?)" for change in part)
        chain.then(f"json_set(_d, {pairs})", [encode(change.value) for change in part])
    for change in changes:
        place = _label(change.path.keys)
        match change.op:
            case "set":
                continue
            case "unset":
                chain.then(f"json_remove(_d, {place})")
            case "expr":
                text, params, shown, checks = computed_changes.part(change, row)
                holds = " AND ".join(checks) or "1"
                chain.with_value(
                    text, params, f"CASE WHEN {holds} THEN json_set(_d, {place}, {shown}) END"
                )
            case "increment" | "decrement" | "multiply" | "min" | "max":
                text, params = _number(change, f"(_d ->> {place})")
                chain.with_value(text, params, _guarded(change, place))
            case _:
                text, params = _list(change, f"coalesce(nullif(_d -> {place}, 'null'), '[]')")
                chain.with_value(text, params, f"json_set(_d, {place}, json(_v))")


def _guarded(change: Change, place: str) -> str:
    """The document with the number `_v`, if that still is of its type and keeps its rules."""
    type = _type(change)
    checks = [f"({check})" for _, check in ddl.checks_of(type, "_v")]
    field = _declared(change.path.field, change.path.keys)
    if field is not None:
        checks = [f"({check})" for _, check in ddl.checks(field, "_v")]
    if type.name == "Int":
        checks.append("typeof(_v) = 'integer'")
    shown = "_v" if type.name == "Int" else f"json({expressions.exact('_v')})"
    return f"CASE WHEN {' AND '.join(checks)} THEN json_set(_d, {place}, {shown}) END"


def _required(field: Field | None, changes: Sequence[Change]) -> list[tuple[tuple[str, ...], str]]:
    """Required fields of the inline objects that are written into, as places and names."""
    found: dict[tuple[tuple[str, ...], str], None] = {}
    for change in changes:
        for length in range(len(change.path.keys)):
            place = change.path.keys[:length]
            type = _container(field, place)
            if type is not None and change.op != "unset":
                found.update({(place, one.name): None for one in type.fields if one.required})
    return list(found)


def _declared(field: Field | None, keys: tuple[str, ...]) -> Field | None:
    for key in keys:
        if field is None:
            return None
        field = next((one for one in field.type.fields if one.name == key), None)
    return field


def _container(field: Field | None, keys: tuple[str, ...]) -> Type | None:
    """The inline type at a place; None where nothing is declared."""
    found = _declared(field, keys)
    return found.type if found is not None and found.type.name == "Inline" else None


def _label(keys: Sequence[str]) -> str:
    return literal("$" + "".join("." + encode(key) for key in keys))
