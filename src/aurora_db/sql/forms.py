"""The functions of the table that plain SQL can say, by name and static types of the arguments.

Every form here is SQL that 3.40 runs; what has none, for these types or at all, is called through
`aurora_call`, which is the Python of the table. Both give the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from aurora_db.aql import types
from aurora_db.aql.catalog import Type
from aurora_db.aql.functions import NULL
from aurora_db.aql.functions_text import SPACES
from aurora_db.aql.functions_time import unit_of
from aurora_db.aql.plan import Call
from aurora_db.sql.statement import literal

#: Characters of a text that is written twice, at most: nested ones would grow without bound.
LONG: Final = 1_000
LARGEST: Final = "1.7976931348623157e308"


class Sql(msgspec.Struct, frozen=True):
    """A value in SQL: text, parameters, form, static type.

    `guard` says that it may be out of range, as an Int or as a Float, and is to be checked before
    anything but a sum or product sees it: out of range it stays so through these. `constant` is its
    value where it is known.
    """

    text: str
    params: tuple[Any, ...]
    form: str
    type: Type | None
    guard: str = ""
    constant: Any = None


def said(
    pattern: str, *parts: Sql, form: str = "b", type: Type | None = None, guard: str = ""
) -> Sql:
    """The parts in the holes of a pattern; parameters follow, as often as their part is written."""
    params: list[Any] = []

    def fill(match: re.Match[str]) -> str:
        part = parts[int(match[0][1:-1])]
        params.extend(part.params)
        return part.text

    text = re.sub(r"\{\d+\}", fill, pattern)
    return Sql(text, tuple(params), form, type, guard)


def form_of(type: Type | None) -> str:
    """The form of values of a static type."""
    if type is None or type.name in types.JSON_KINDS:
        return "j"
    return "b" if type.name == "Boolean" else "n"


def finished(value: Sql) -> Sql:
    """The value with what is out of range as null."""
    match value.guard:
        case "Int":
            pattern = "(CASE typeof({0}) WHEN 'integer' THEN {0} END)"
            long = "aurora_whole({0})"
        case "Float":
            pattern = f"(CASE WHEN abs({{0}}) <= {LARGEST} THEN {{0}} + 0.0 END)"
            long = "aurora_finite({0})"
        case _:
            return value
    chosen = long if len(value.text) > LONG else pattern
    return said(chosen, value, form="n", type=value.type)


def called(call: Call, arguments: Sequence[Sql]) -> Sql:
    """A call of the table's Python."""
    form = form_of(call.type)
    mark = "f" if call.type is not None and call.type.name == "Float" else form
    shapes = "".join(one.form for one in arguments)
    holes = "".join(f", {{{n}}}" for n in range(len(arguments)))
    pattern = f"aurora_call({literal(call.function)}, '{shapes}>{mark}'{holes})"
    return said(pattern, *arguments, form=form, type=call.type)


# --- from one form to another ---------------------------------------------------------------


def to_json(value: Sql) -> Sql:
    """As JSON text; null as SQL's null or as `null`."""
    if value.form == "j":
        return value
    if value.type == NULL:
        return msgspec.structs.replace(value, form="j")
    if value.form == "b":
        pattern = "(CASE {0} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)"
    elif _named(value, "Float"):
        pattern = "(CASE WHEN {0} IS NOT NULL THEN printf('%!.18g', {0}) END)"
    else:
        pattern = "json_quote({0})"
    return said(pattern, value, form="j", type=value.type)


def to_type(value: Sql, type: Type | None) -> Sql:
    """In the form of a static type that the value has or can have."""
    if form_of(type) == "j":
        return to_json(value)
    if type is not None and type.name == "Float" and _named(value, "Int"):
        return said("CAST({0} AS REAL)", value, form="n", type=type)
    return value


def is_null(value: Sql) -> Sql:
    """Whether it is null."""
    if value.form == "j":
        return said("(coalesce({0}, 'null') = 'null')", value)
    return said("({0} IS NULL)", value)


def truth(value: Sql) -> Sql:
    """Whether it counts as true: 0 or 1, never null."""
    if value.form == "b" or _named(value, "Int", "Float"):
        return said("({0} IS TRUE)", value)
    if value.type == NULL:
        return said("0")
    if value.form == "n":
        return said("(({0} <> '') IS TRUE)", value)
    return said("aurora_call('and', 'j>b', {0})", value)


def to_text(value: Sql) -> Sql:
    """As text, null as null."""
    if value.form == "j":
        pattern = "aurora_call('toString', 'j>n', {0})"
    elif value.form == "b":
        pattern = "(CASE {0} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)"
    elif _named(value, "Float"):
        short = "printf('%!.15g', {0})"
        pattern = (
            f"(CASE WHEN {{0}} IS NULL THEN NULL WHEN CAST({short} AS REAL) = {{0}} THEN {short} "
            "ELSE aurora_call('toString', 'n>n', {0}) END)"
        )
        if len(value.text) > LONG:
            pattern = "aurora_call('toString', 'n>n', {0})"
    elif _named(value, "Int"):
        pattern = "CAST({0} AS TEXT)"
    else:
        return value
    return said(pattern, value, form="n", type=Type("String"))


def _named(value: Sql, *names: str) -> bool:
    return value.type is not None and value.type.name in names


def _is_text(value: Sql) -> bool:
    return value.type is not None and value.type.name in types.TEXT


def _is_list(value: Sql) -> bool:
    return _named(value, "List")


# --- arithmetic -----------------------------------------------------------------------------

Form = Callable[[Call, list[Sql]], Sql | None]


def _operator(symbol: str) -> Form:
    def form(call: Call, given: list[Sql]) -> Sql | None:
        name = None if call.type is None else call.type.name
        if name == "String" and symbol == "+":
            return said("({0} || {1})", *given, form="n", type=call.type)
        if name not in ("Int", "Float"):
            return None
        # An Int out of range must not become the Float of a longer sum.
        parts = [one if one.guard == name or not one.guard else finished(one) for one in given]
        return said(f"({{0}} {symbol} {{1}})", *parts, form="n", type=call.type, guard=name)

    return form


def _divide(call: Call, given: list[Sql]) -> Sql | None:
    if not all(_named(one, "Int", "Float") for one in given):
        return None
    parts = [finished(one) for one in given]
    return said("(CAST({0} AS REAL) / {1})", *parts, form="n", type=call.type, guard="Float")


def _mod(call: Call, given: list[Sql]) -> Sql | None:
    if not all(_named(one, "Int") for one in given):
        return None
    return said("({0} % {1})", *map(finished, given), form="n", type=call.type)


def _negate(call: Call, given: list[Sql]) -> Sql | None:
    if not _named(given[0], "Int", "Float") or call.type is None:
        return None
    return said("(- {0})", given[0], form="n", type=call.type, guard=call.type.name)


def _abs(call: Call, given: list[Sql]) -> Sql | None:
    value = finished(given[0])
    if len(value.text) > LONG:
        return None
    if _named(value, "Float"):
        return said("abs({0})", value, form="n", type=call.type)
    if _named(value, "Int"):
        # SQLite's own fails for the least of all Ints, which has no positive.
        pattern = "(CASE WHEN {0} > -9223372036854775808 THEN abs({0}) END)"
        return said(pattern, value, form="n", type=call.type)
    return None


def _whole(correction: str) -> Form:
    """Float to Int: cut off, then corrected by what was cut."""

    def form(call: Call, given: list[Sql]) -> Sql | None:
        value = finished(given[0])
        if _named(value, "Int"):
            return value
        if not _named(value, "Float") or len(value.text) > LONG:
            return None
        pattern = (
            "(CASE WHEN {0} >= -9223372036854775808.0 AND {0} < 9223372036854775808.0 "
            f"THEN CAST({{0}} AS INTEGER){correction} END)"
        )
        return said(pattern, value, form="n", type=call.type)

    return form


def _to_int(call: Call, given: list[Sql]) -> Sql | None:
    if given[0].form == "b":
        return said("{0}", given[0], form="n", type=call.type)
    return _whole("")(call, given)


def _to_float(call: Call, given: list[Sql]) -> Sql | None:
    value = finished(given[0])
    if value.form == "b" or _named(value, "Int"):
        return said("CAST({0} AS REAL)", value, form="n", type=call.type)
    return value if _named(value, "Float") else None


def _round(_call: Call, given: list[Sql]) -> Sql | None:
    value = finished(given[0])
    whole = len(given) == 1 or (isinstance(given[1].constant, int) and given[1].constant >= 0)
    return value if _named(value, "Int") and whole else None


def _sign(call: Call, given: list[Sql]) -> Sql | None:
    value = finished(given[0])
    if not _named(value, "Int", "Float") or len(value.text) > LONG:
        return None
    return said("(({0} > 0) - ({0} < 0))", value, form="n", type=call.type)


def _extreme(word: str) -> Form:
    def form(call: Call, given: list[Sql]) -> Sql | None:
        type = call.type
        if len(given) < 2 or type is None or type.name not in types.ORDERED:
            return None
        parts = [to_type(finished(one), type) for one in given]
        holes = ", ".join(f"{{{n}}}" for n in range(len(parts)))
        return said(f"{word}({holes})", *parts, form=form_of(type), type=type)

    return form


# --- logic ----------------------------------------------------------------------------------


def _comparison(symbol: str) -> Form:
    def form(call: Call, given: list[Sql]) -> Sql | None:
        if any(one.form == "j" or one.type is None for one in given):
            return None
        return said(f"({{0}} {symbol} {{1}})", *map(finished, given), type=call.type)

    return form


def _junction(word: str) -> Form:
    def form(call: Call, given: list[Sql]) -> Sql | None:
        parts = [truth(finished(one)) for one in given]
        holes = word.join(f"{{{n}}}" for n in range(len(parts)))
        return said(f"({holes})", *parts, type=call.type)

    return form


def _not(call: Call, given: list[Sql]) -> Sql | None:
    return said("(NOT {0})", truth(finished(given[0])), type=call.type)


def _if(call: Call, given: list[Sql]) -> Sql | None:
    return _case(call, given)


def _case(call: Call, given: list[Sql]) -> Sql | None:
    parts: list[Sql] = []
    text = ""
    for n, one in enumerate(given):
        last = n == len(given) - 1 and n % 2 == 0
        is_value = n % 2 == 1 or last
        text += f" {'ELSE' if last else 'THEN' if is_value else 'WHEN'} {{{n}}}"
        parts.append(to_type(finished(one), call.type) if is_value else truth(finished(one)))
    return said(f"(CASE{text} END)", *parts, form=form_of(call.type), type=call.type)


def _coalesce(call: Call, given: list[Sql]) -> Sql | None:
    parts = [to_type(finished(one), call.type) for one in given]
    if form_of(call.type) == "j":
        parts = [said("nullif({0}, 'null')", one, form="j", type=one.type) for one in parts]
    if len(parts) == 1:
        return msgspec.structs.replace(parts[0], form=form_of(call.type), type=call.type)
    holes = ", ".join(f"{{{n}}}" for n in range(len(parts)))
    return said(f"coalesce({holes})", *parts, form=form_of(call.type), type=call.type)


def _is_null(call: Call, given: list[Sql]) -> Sql | None:
    return msgspec.structs.replace(is_null(finished(given[0])), type=call.type)


def _is_not_null(call: Call, given: list[Sql]) -> Sql | None:
    return said("(NOT {0})", is_null(finished(given[0])), type=call.type)


# --- text -----------------------------------------------------------------------------------


def _concat(call: Call, given: list[Sql]) -> Sql | None:
    parts = [to_text(finished(one)) for one in given if one.type != NULL]
    if not parts:
        return said("''", form="n", type=call.type)
    holes = " || ".join(
        f"{{{n}}}" if one.constant is not None else f"coalesce({{{n}}}, '')"
        for n, one in enumerate(parts)
    )
    return said(f"({holes})", *parts, form="n", type=call.type)


def _to_string(call: Call, given: list[Sql]) -> Sql | None:
    return msgspec.structs.replace(to_text(finished(given[0])), type=call.type)


def _of_texts(pattern: str, form: str = "n") -> Form:
    """A pattern for arguments that are all texts."""

    def made(call: Call, given: list[Sql]) -> Sql | None:
        if not all(map(_is_text, given)):
            return None
        return said(pattern, *given, form=form, type=call.type)

    return made


def _replace(call: Call, given: list[Sql]) -> Sql | None:
    if not all(map(_is_text, given)):
        return None
    # SQLite's own ignores a null where the searched text is empty.
    known = given[2].constant is not None
    pattern = "replace({0}, {1}, {2})"
    if not known:
        pattern = f"(CASE WHEN {{2}} IS NOT NULL THEN {pattern} END)"
    return said(pattern, *given, form="n", type=call.type)


def _length(call: Call, given: list[Sql]) -> Sql | None:
    if _is_text(given[0]):
        return said("length({0})", given[0], form="n", type=call.type)
    if _is_list(given[0]):
        pattern = "json_array_length(nullif({0}, 'null'))"
        return said(pattern, given[0], form="n", type=call.type)
    return None


def _substring(call: Call, given: list[Sql]) -> Sql | None:
    known = [one.constant for one in given[1:]]
    if not _is_text(given[0]) or not all(isinstance(one, int) and one >= 0 for one in known):
        return None
    rest = ", {2}" if len(given) == 3 else ""
    return said(f"substr({{0}}, {{1}} + 1{rest})", *given, form="n", type=call.type)


# --- time -----------------------------------------------------------------------------------


def _digits(start: int, size: int, *names: str) -> Form:
    """A part of the stored text of a date, as a number."""

    def form(call: Call, given: list[Sql]) -> Sql | None:
        if not _named(given[0], *names):
            return None
        at = start - 11 if given[0].type == Type("Time") else start
        return said(f"CAST(substr({{0}}, {at}, {size}) AS INTEGER)", given[0], form="n", type=call.type)  # fmt: skip

    return form


def _weekday(call: Call, given: list[Sql]) -> Sql | None:
    if not _named(given[0], "DateTime", "Date"):
        return None
    pattern = "((strftime('%w', substr({0}, 1, 10)) + 6) % 7 + 1)"
    return said(pattern, given[0], form="n", type=call.type)


#: How much of the text of an instant stays, and what follows it.
_STARTS: Final = {
    "second": (19, ".000000Z"), "minute": (16, ":00.000000Z"), "hour": (13, ":00:00.000000Z"),
    "day": (10, "T00:00:00.000000Z"), "month": (7, "-01T00:00:00.000000Z"),
    "year": (4, "-01-01T00:00:00.000000Z"),
}  # fmt: skip


def _start_of(call: Call, given: list[Sql]) -> Sql | None:
    unit = given[1].constant
    found = _STARTS.get(unit_of(unit)) if isinstance(unit, str) else None
    if found is None or not _named(given[0], "DateTime", "Date"):
        return None
    size, rest = found
    if _named(given[0], "Date"):
        if size > 10:
            return None
        rest = rest.partition("T")[0]
    pattern = f"(substr({{0}}, 1, {size}) || '{rest}')"
    return said(pattern, given[0], form="n", type=call.type)


def _to_datetime(call: Call, given: list[Sql]) -> Sql | None:
    if _named(given[0], "Date"):
        return said("({0} || 'T00:00:00.000000Z')", given[0], form="n", type=call.type)
    return given[0] if _named(given[0], "DateTime") else None


FORMS: Final[dict[str, Form]] = {
    "add": _operator("+"), "subtract": _operator("-"), "multiply": _operator("*"), "divide": _divide,
    "mod": _mod, "negate": _negate, "abs": _abs, "floor": _whole(" - ({0} < CAST({0} AS INTEGER))"),
    "ceil": _whole(" + ({0} > CAST({0} AS INTEGER))"), "round": _round, "sign": _sign,
    "min": _extreme("min"), "max": _extreme("max"), "toInt": _to_int, "toFloat": _to_float,
    "eq": _comparison("="), "ne": _comparison("<>"), "gt": _comparison(">"), "gte": _comparison(">="),
    "lt": _comparison("<"), "lte": _comparison("<="), "and": _junction(" AND "), "or": _junction(" OR "),
    "not": _not, "if": _if, "case": _case, "coalesce": _coalesce, "isNull": _is_null,
    "isNotNull": _is_not_null, "concat": _concat, "template": _concat, "toString": _to_string,
    "trim": _of_texts("trim({0}, " + literal(SPACES) + ")"), "replace": _replace,
    "startsWith": _of_texts("(substr({0}, 1, length({1})) = {1})", "b"),
    "endsWith": _of_texts("(substr({0}, max(1, length({0}) - length({1}) + 1)) = {1})", "b"),
    "contains": _of_texts("(instr({0}, {1}) > 0)", "b"), "length": _length, "count": _length,
    "substring": _substring, "year": _digits(1, 4, "DateTime", "Date"),
    "month": _digits(6, 2, "DateTime", "Date"), "day": _digits(9, 2, "DateTime", "Date"),
    "hour": _digits(12, 2, "DateTime", "Time"), "minute": _digits(15, 2, "DateTime", "Time"),
    "second": _digits(18, 2, "DateTime", "Time"), "weekday": _weekday, "startOf": _start_of,
    "toDateTime": _to_datetime,
}  # fmt: skip
