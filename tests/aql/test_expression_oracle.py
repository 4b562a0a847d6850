"""Every function of the table, alone and nested: the SQL gives what the Python gives."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.aql.drawn import PARTS, TESTED, calls, expressions, texts

from aurora_db import Aurora, AuroraError
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.evaluate_expressions import evaluate
from aurora_db.aql.functions import KINDS
from aurora_db.aql.values import Scope
from aurora_db.base.clock import ManualClock
from aurora_db.base.errors import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = """schema { define collection t @flexible {
    s: String  s2: String  w: Enum("red", "green")  i: Int  j: Int  f: Float  g: Float  b: Boolean
    at: DateTime  till: DateTime  day: Date  tm: Time
    ls: [String]  li: [Int]  lf: [Float]  lo: [{a: Int s: String}]  o: {a: Int s: String f: Float b: Boolean}
    js: JSON  total: Float @computed("f * i")  shown: String @computed("${s}/${i}/${f}/${b}")
} }"""

EDGES = (0, 1, -1, 2, 3, 7, 10, 2**31, 2**53 + 1, 2**62, 2**63 - 1, -(2**63), -(2**63) + 1)
ints = st.sampled_from(EDGES) | st.integers(-100, 100) | st.integers(-(2**63), 2**63 - 1)
floats = (
    st.sampled_from((0.0, -0.0, 0.1, 1.5, -2.5, 2.675, 1e-7, 1e22, 1e300, -1e308, 9.3e18, 5e-324))
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(-1000, 1000)
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
    @given(documents, st.lists(calls(LEAVES, name), min_size=1, max_size=4))
    def run(document: dict[str, Any], made: list[str]) -> None:
        nonlocal compared
        compared += check(oracle, document, made)

    run()
    assert compared > 0


@settings(ORACLE, max_examples=settings.default.max_examples * 3)
@given(document=documents, made=st.lists(expressions(LEAVES, depth=4), min_size=1, max_size=4))
def test_nested_expressions_give_the_same_in_sql_and_in_python(
    oracle: Aurora, document: dict[str, Any], made: list[str]
):
    """Nesting changes nothing: null, overflow and wrong types go the same way through."""
    check(oracle, document, made)


def test_every_kind_of_parameter_is_tried():
    """A kind that the generator does not know would never be tested."""
    assert {kind for kind in KINDS if kind not in PARTS} <= set(LEAVES)
