"""Aggregates and groups that are kept in memory are always those that the query gives."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from tests.live.kept import (
    SCHEMA,
    Followed,
    documents,
    orders,
    understood,
    wheres,
    write,
    writes,
)

from aurora_db import Aurora
from aurora_db.live.keeping import can_keep

MODEL = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)

NUMBERS = ["n", "f", "loose", "box.size", "twice"]
functions = st.one_of(
    st.just("count"),
    st.sampled_from(["n", "s", "loose", "free"]).map(lambda f: f'count(field: "{f}")'),
    st.sampled_from(["n", "f", "s", "b", "at", "box.word"]).map(
        lambda f: f'countDistinct(field: "{f}")'
    ),
    st.tuples(st.sampled_from(["sum", "avg"]), st.sampled_from(NUMBERS)).map(
        lambda one: f'{one[0]}(field: "{one[1]}")'
    ),
    st.tuples(
        st.sampled_from(["min", "max"]), st.sampled_from([*NUMBERS, "s", "b", "at", "box.word"])
    ).map(lambda one: f'{one[0]}(field: "{one[1]}")'),
)


@st.composite
def aggregates(draw: st.DrawFn) -> str:
    found = draw(st.lists(functions, min_size=1, max_size=4))
    return "aggregate { " + " ".join(f"a{n}: {one}" for n, one in enumerate(found)) + " }"


@st.composite
def groups(draw: st.DrawFn) -> str:
    fields = draw(st.lists(st.sampled_from(["n", "f", "s", "b", "box.size", "twice"]), min_size=1, max_size=2, unique=True))  # fmt: skip
    arguments = f'field: "{fields[0]}"' if len(fields) == 1 else f"fields: [{' '.join(map(_quoted, fields))}]"  # fmt: skip
    if draw(st.integers(0, 3)) == 0:
        length = draw(st.sampled_from(["1d", "2h", "month", "1h", "3 month", "w"]))
        zone = draw(st.sampled_from(["", ' timezone: "Europe/Paris"']))
        arguments = f'field: "at" interval: "{length}"{zone}'
    if draw(st.booleans()):
        arguments += draw(st.sampled_from([" having: {count: {gt: 1}}", " having: {x: {ne: 0}}", " having: {x: {isNull: false}}"]))  # fmt: skip
    if draw(st.booleans()):
        arguments += draw(st.sampled_from([" orderBy: {count: DESC}", " orderBy: {x: ASC}", " orderBy: {x: DESC}"]))  # fmt: skip
    if draw(st.booleans()):
        arguments += f" limit: {draw(st.integers(0, 3))} offset: {draw(st.integers(0, 1))}"
    x = draw(st.sampled_from(["sum", "min", "max", "countDistinct"]))
    return f'groupBy({arguments}) {{ key count t: aggregate {{ x: {x}(field: "n") y: {draw(functions)} }} }}'


def _quoted(name: str) -> str:
    return f'"{name}"'


@st.composite
def queries(draw: st.DrawFn) -> str:
    parts = draw(st.lists(aggregates() | groups(), min_size=1, max_size=2))
    shown = draw(st.sampled_from(["", "", "id n "]))
    cut = f" limit: {draw(st.integers(0, 3))}" if draw(st.booleans()) else ""
    named = " ".join(f"p{n}: {part}" for n, part in enumerate(parts))
    return f"{{ things(where: {draw(wheres)} orderBy: {draw(orders)}{cut}) {{ {shown}{named} }} }}"


@settings(MODEL)
@given(queries(), st.lists(documents, max_size=6), st.lists(writes, max_size=20))
def test_kept_results_are_those_of_the_query(
    text: str, first: list[dict[str, Any]], done: list[tuple[str, str, dict[str, Any]]]
):
    """However documents come, change and go, sums, means, extremes and groups are what SQL gives, to the last digit."""
    note(text)
    with Aurora(":memory:") as db:
        db.execute(SCHEMA)
        for n, document in enumerate(first):
            db["things"].insert({"id": "abcdefghijkl"[n], **document})
        followed = Followed(db, text)
        followed.begin()
        followed.check()
        for what, id, document in done:
            if what == "hear":
                followed.hear()
                followed.take()
            elif what in ("settle", "take"):
                followed.settle()
                if what == "take":
                    followed.take()
                    followed.check()
            else:
                write(db, what, id, document)
        followed.settle()
        followed.take()
        followed.check()


TOTAL = '{ things { aggregate { sum(field: "f") avg(field: "f") } } }'


def test_sums_of_floats_do_not_drift():
    """After ten thousand of them came and went, the sum is that of those which are left."""
    with Aurora(":memory:") as db:
        db.execute(SCHEMA)
        followed = Followed(db, TOTAL)
        followed.begin()
        db["things"].insert_many([{"id": str(n), "f": 0.1 * n} for n in range(10_000)])
        followed.settle()
        followed.take()
        followed.check()
        db["things"].delete({"id": {"notIn": ["1", "2", "9999"]}})
        followed.settle()
        assert followed.take() == [{"aggregate": {"sum": 1000.2, "avg": 333.40000000000003}}]
        followed.check()


def test_sums_that_cancel_each_other_are_those_of_the_database():
    """What SQL loses on the way is lost here, too."""
    with Aurora(":memory:") as db:
        db.execute(SCHEMA)
        followed = Followed(db, TOTAL)
        followed.begin()
        for n, value in enumerate([1e16, 1.0, 1e-17, -1e16, 1e300, 0.1, -1e300, 1e-9]):
            db["things"].insert({"id": str(n), "f": value})
            followed.settle()
            followed.take()
            followed.check()


def test_the_smallest_is_known_when_the_smallest_has_gone():
    """Deleting it shows the next one."""
    with Aurora(":memory:") as db:
        db.execute(SCHEMA)
        db["things"].insert_many([{"id": str(n), "n": n // 2} for n in range(6)])
        followed = Followed(db, '{ things { aggregate { min(field: "n") max(field: "n") } } }')
        followed.begin()
        seen: list[Any] = []
        for n in range(6):
            db["things"].delete(str(n))
            followed.settle()
            seen += followed.take()
        assert [one["aggregate"]["min"] for one in seen] == [1, 2, None]


def test_a_result_that_is_the_same_is_no_news():
    """Two changes that outweigh each other are not told."""
    with Aurora(":memory:") as db:
        db.execute(SCHEMA)
        db["things"].insert_many([{"id": "a", "n": 1}, {"id": "b", "n": 2}])
        followed = Followed(db, '{ things { aggregate { sum(field: "n") } } }')
        assert followed.begin() == [{"aggregate": {"sum": 3}}]
        db["things"].update("a", {"n": 2})
        db["things"].update("b", {"n": 1})
        followed.settle()
        assert followed.take() == []


@pytest.mark.parametrize(
    "text",
    [
        '{ things { groupBy(field: "s") { key nodes { id } } } }',
        '{ things { groupBy(field: "loose") { key count } } }',
        '{ things { aggregate { countDistinct(field: "loose") } } }',
        "{ things { windowFunc(function: rowNumber) { id value } } }",
    ],
)
def test_what_only_the_database_can_tell_is_not_kept(text: str):
    """Documents of groups, untyped keys and series are run again."""
    with Aurora(":memory:") as db:
        db.execute(SCHEMA)
        assert not can_keep(understood(db, text))
