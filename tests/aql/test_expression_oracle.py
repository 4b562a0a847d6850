"""Every function of the table, alone and nested: the SQL gives what the Python gives."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aurora_db import Aurora, AuroraError
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.evaluate_expressions import evaluate
from aurora_db.aql.functions import KINDS, NAMES
from aurora_db.aql.values import Scope
from aurora_db.base.clock import ManualClock
from aurora_db.base.errors import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aurora_db.aql.functions import Function

SCHEMA = """schema { define collection t @flexible {
    s: String  s2: String  w: Enum("red", "green")  i: Int  j: Int  f: Float  g: Float  b: Boolean
    at: DateTime  till: DateTime  day: Date  tm: Time
    ls: [String]  li: [Int]  lf: [Float]  lo: [{a: Int s: String}]  o: {a: Int s: String f: Float b: Boolean}
    js: JSON  total: Float @computed("f * i")  shown: String @computed("${s}/${i}/${f}/${b}")
} }"""

EDGES = (0, 1, -1, 2, 3, 7, 10, 2**31, 2**53 + 1, 2**62, 2**63 - 1, -(2**63), -(2**63) + 1)
TEXTS = ("", " ", "a", "Ab", "straße", "İstanbul", "日本", "é", "a,b,c", "12", "-3.5", "true", "2024-02-29",
         "2024-01-31T10:00:00Z", "{} of {1}", "ab" * 20, "\t x \u3000")  # fmt: skip
UNITS = ("millisecond", "second", "minute", "hours", "day", "week", "month", "quarter", "years")

ints = st.sampled_from(EDGES) | st.integers(-100, 100) | st.integers(-(2**63), 2**63 - 1)
floats = (
    st.sampled_from((0.0, -0.0, 0.1, 1.5, -2.5, 2.675, 1e-7, 1e22, 1e300, -1e308, 9.3e18, 5e-324))
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(-1000, 1000)
)
texts = st.sampled_from(TEXTS) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0$"), max_size=8
)
instants = st.datetimes(timezones=st.just(dt.UTC)) | st.just(
    dt.datetime(2024, 2, 29, 23, 59, 59, 999999, dt.UTC)
)
scalars = st.none() | st.booleans() | ints | floats | texts
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("as"), inner, max_size=2)
    ),
    max_leaves=6,
)


def or_null(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values | values


documents = st.fixed_dictionaries(
    {
        "s": or_null(texts), "s2": or_null(texts), "w": or_null(st.sampled_from(("red", "green"))),
        "i": or_null(ints), "j": or_null(ints), "f": or_null(floats), "g": or_null(floats),
        "b": or_null(st.booleans()), "at": or_null(instants), "till": or_null(instants),
        "day": or_null(st.dates()), "tm": or_null(st.times()), "ls": or_null(st.lists(or_null(texts), max_size=4)),
        "li": or_null(st.lists(or_null(ints), max_size=4)), "lf": or_null(st.lists(or_null(floats), max_size=4)),
        "lo": or_null(st.lists(st.fixed_dictionaries({"a": or_null(ints), "s": or_null(texts)}), max_size=3)),
        "o": or_null(st.fixed_dictionaries({"a": or_null(ints), "s": or_null(texts), "f": or_null(floats), "b": or_null(st.booleans())})),
        "js": anything,
    },
    optional={
        "ua": anything, "ui": ints, "uf": floats, "us": texts, "ub": st.booleans(),
        "ul": st.lists(scalars, max_size=4), "ud": instants.map(lambda one: one.isoformat()),
    },
)  # fmt: skip

#: Fields and literals for each kind of parameter, typed and untyped.
LEAVES = {
    "any": ("s", "i", "f", "b", "at", "day", "tm", "ls", "o", "js", "ua", "null", "w", "true", "total"),
    "text": ("s", "s2", "w", "us", "ua", "o.s", "shown", "null"),
    "number": ("i", "j", "f", "g", "ui", "uf", "ua", "o.a", "o.f", "total", "null"),
    "whole": ("i", "j", "ui", "o.a", "0", "1", "2", "5"),
    "list": ("ls", "li", "lf", "lo", "ul", "js", "ua", "[i, j, 3]", "[s, f, null]", "[]"),
    "date": ("at", "till", "day", "ud", "us", "s", '"2024-02-29"', '"2023-12-31T23:59:59.5+02:00"', '"no"'),
    "time": ("at", "tm", "ud", '"10:11:12"'),
    "object or list": ("o", "lo", "js", "ua", "ul", "li"),
}  # fmt: skip
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
    plain = texts.map(lambda one: json.dumps(one, ensure_ascii=False))
    small = st.integers(-50, 200).map(str)
    return {
        "text": plain,
        "number": small | st.floats(-1e6, 1e6).map(repr),
        "any": plain | small,
    }.get(kind, st.sampled_from(LEAVES.get(kind, ("null",))))


@st.composite
def expressions(draw: st.DrawFn, kind: str = "any", depth: int = 2) -> str:
    if kind in PARTS and kind != "any":
        kind = draw(st.sampled_from(PARTS[kind]))
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from(LEAVES[kind]) | literals(kind))
    return draw(calls(draw(st.sampled_from(GIVES[kind])), depth - 1))


@st.composite
def calls(draw: st.DrawFn, name: str, depth: int = 1) -> str:
    function: Function = NAMES[name]
    most = function.least + 2 if function.most is None else function.most
    made: list[str] = []
    for place in range(draw(st.integers(function.least, most))):
        parameter = function.parameter(place)
        if parameter.name in WORDS and draw(st.integers(0, 9)):
            made.append(json.dumps(draw(st.sampled_from(WORDS[parameter.name]))))
        else:
            kind = draw(st.sampled_from(PARTS.get(parameter.kind, (parameter.kind,))))
            made.append(draw(expressions(kind, depth)))
    if name in OPERATORS and len(made) == 2 and draw(st.booleans()):
        return f"({made[0]} {OPERATORS[name]} {made[1]})"
    return f"{name}({', '.join(made)})"


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aurora]:
    path = tmp_path_factory.mktemp("oracle") / "oracle.db"
    with Aurora(path, clock=ManualClock(), durability="none") as opened:
        opened.execute(SCHEMA)
        yield opened


def same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and one == other


def check(db: Aurora, document: dict[str, Any], texts: list[str]) -> int:
    """Compare all expressions that are not refused; how many those were."""
    collection = db._engine.catalog.collections["t"]
    scope = Scope("", {})
    plans: list[Any] = []
    kept: list[str] = []
    for text in texts:
        try:
            plans.append(Conditions(collection, scope).expressions().of_text(text, Span(0, 0)))
        except AuroraError:
            continue
        kept.append(text)
    if not kept:
        return 0
    db["t"].delete({}, all=True)
    db["t"].insert({"id": "d", **document})
    # A plain name as a whole is no computed field.
    shown = " ".join(f"x{n}: coalesce({text}, null)" for n, text in enumerate(kept))
    (found,) = db.execute(f"{{ t {{ {shown} }} }}")["t"]
    stored = db["t"].get("d")
    assert stored is not None
    for n, (text, plan) in enumerate(zip(kept, plans, strict=True)):
        wanted = evaluate(plan, stored, {}, ManualClock().now())
        assert same(found[f"x{n}"], wanted), (
            f"{text}\nSQL    {found[f'x{n}']!r}\nPython {wanted!r}\n{document}"
        )
    return len(kept)


ORACLE = settings(suppress_health_check=list(HealthCheck), deadline=None)


@pytest.mark.parametrize("name", TESTED)
def test_a_function_gives_the_same_in_sql_and_in_python(name: str, oracle: Aurora):
    """Whatever its arguments, a function means one thing."""
    compared = 0

    @settings(ORACLE, max_examples=max(12, settings.default.max_examples // 6))
    @given(documents, st.lists(calls(name), min_size=1, max_size=4))
    def run(document: dict[str, Any], made: list[str]) -> None:
        nonlocal compared
        compared += check(oracle, document, made)

    run()
    assert compared > 0


@settings(ORACLE, max_examples=settings.default.max_examples * 3)
@given(document=documents, made=st.lists(expressions(depth=4), min_size=1, max_size=4))
def test_nested_expressions_give_the_same_in_sql_and_in_python(
    oracle: Aurora, document: dict[str, Any], made: list[str]
):
    """Nesting changes nothing: null, overflow and wrong types go the same way through."""
    check(oracle, document, made)


def test_every_kind_of_parameter_is_tried():
    """A kind that the generator does not know would never be tested."""
    assert {kind for kind in KINDS if kind not in PARTS} <= set(LEAVES)
