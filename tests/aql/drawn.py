"""Expressions for tests: calls of any function of the table, nested, over given paths."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from aurora_db.aql.functions import NAMES

if TYPE_CHECKING:
    from aurora_db.aql.functions import Function

#: Paths and constants for each kind of parameter.
Leaves = Mapping[str, Sequence[str]]

TEXTS = ("", " ", "a", "Ab", "straße", "İstanbul", "日本", "é", "a,b,c", "12", "-3.5", "true", "2024-02-29",
         "2024-01-31T10:00:00Z", "{} of {1}", "ab" * 20, "\t x \u3000")  # fmt: skip
UNITS = ("millisecond", "second", "minute", "hours", "day", "week", "month", "quarter", "years")

texts = st.sampled_from(TEXTS) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0$"), max_size=8
)

PARTS = {
    "text or list": ("text", "list"), "number, text or list": ("number", "text", "list"),
    "date or number": ("date", "number"), "text or number": ("text", "number"),
    "text or whole": ("text", "whole"), "any": ("any", "number", "text", "list", "date"),
}  # fmt: skip
#: Arguments that must be a word.
WORDS = {
    "unit": UNITS, "direction": ("ASC", "desc"), "algorithm": ("sha256",), "field": ("a", "s"),
    "function": ("uppercase", "length", "add", "toString", "year", "isNull"),
    "pattern": ("YYYY-MM-DD HH:mm:ss.SSS", "%A %d %B %j", "{} and {0}", "[D] ddd MMM h A"),
    "path": ("a", "s", "0.a", "a.b", "-1"),
}  # fmt: skip
OPERATORS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "mod": "%", "eq": "==", "gt": ">", "and": "&&"}  # fmt: skip
TESTED = sorted(name for name in NAMES if name not in ("now", "uuid") and name == NAMES[name].name)
#: What a function may stand for, so that nested ones fit.
GIVES = {
    "text": [n for n in TESTED if NAMES[n].group == "text" and n not in ("length", "split", "startsWith", "endsWith", "contains")] + ["toString", "formatDate", "if", "coalesce", "hash"],
    "number": [n for n in TESTED if NAMES[n].group == "number"] + ["length", "year", "weekday", "dateDiff", "sum", "avg", "toInt", "toFloat", "if", "coalesce", "case"],
    "whole": ["length", "floor", "count", "month", "toInt"],
    "list": ["split", "pluck", "sort", "unique", "slice", "map", "filter"],
    "date": ["dateAdd", "startOf", "toDateTime"],
    "time": ["toDateTime"],
    "object or list": ["get", "split"],
    "any": TESTED,
}  # fmt: skip


def literals(kind: str) -> st.SearchStrategy[str]:
    """A constant where a parameter of a kind is due."""
    plain = texts.map(lambda one: json.dumps(one, ensure_ascii=False))
    small = st.integers(-50, 200).map(str)
    return {
        "text": plain,
        "number": small | st.floats(-1e6, 1e6).map(repr),
        "any": plain | small,
    }.get(kind, st.sampled_from(["null"]))


@st.composite
def expressions(draw: st.DrawFn, leaves: Leaves, kind: str = "any", depth: int = 2) -> str:
    """An expression where a parameter of a kind is due, so many calls deep."""
    if kind in PARTS and kind != "any":
        kind = draw(st.sampled_from(PARTS[kind]))
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from(leaves[kind]) | literals(kind))
    return draw(calls(leaves, draw(st.sampled_from(GIVES[kind])), depth - 1))


@st.composite
def calls(draw: st.DrawFn, leaves: Leaves, name: str, depth: int = 1) -> str:
    """A call of a function, its arguments so many calls deep."""
    function: Function = NAMES[name]
    most = function.least + 2 if function.most is None else function.most
    made: list[str] = []
    for place in range(draw(st.integers(function.least, most))):
        parameter = function.parameter(place)
        if parameter.name in WORDS and draw(st.integers(0, 9)):
            made.append(json.dumps(draw(st.sampled_from(WORDS[parameter.name]))))
        else:
            kind = draw(st.sampled_from(PARTS.get(parameter.kind, (parameter.kind,))))
            made.append(draw(expressions(leaves, kind, depth)))
    if name in OPERATORS and len(made) == 2 and draw(st.booleans()):
        return f"({made[0]} {OPERATORS[name]} {made[1]})"
    return f"{name}({', '.join(made)})"
