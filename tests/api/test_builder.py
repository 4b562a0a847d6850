"""The fluent builder means what AQL means, in a database and in a transaction."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from aurora_db import (
    F,
    MissingDependency,
    MissingWhere,
    NotFound,
    UnknownCollection,
    UnknownField,
    ValidationError,
)

PEOPLE = [
    {
        "id": "ada",
        "name": "Ada",
        "age": 36,
        "tags": ["math", "code"],
        "address": {"city": "Paris"},
        "pets": [{"kind": "cat"}],
    },
    {"id": "bob", "name": "Bob", "age": 17, "tags": ["code"], "address": {"city": "Oslo"}},
    {"id": "cyd", "name": "Cyd", "age": 25, "tags": [], "address": {"city": "Oslo"}},
    {"id": "dan", "name": None, "age": None, "tags": None, "address": None},
]


@pytest.fixture
def people(db):
    db.execute(
        "schema { define collection people {"
        " name: String age: Int tags: [String!] address: { city: String } pets: [{ kind: String }] } }"
    )
    db["people"].insert_many(PEOPLE)
    return db


def ids(query):
    return [one["id"] for one in query.all()]


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        (F.age == 36, ["ada"]),
        (F.age != 36, ["bob", "cyd", "dan"]),
        (F.age == None, ["dan"]),  # noqa: E711 - what a user writes
        (F.age >= 25, ["ada", "cyd"]),
        ((F.age > 17) & (F.age < 30), ["cyd"]),
        ((F.age == 17) | (F.name == "Ada"), ["ada", "bob"]),
        (~(F.age <= 25), ["ada", "dan"]),
        (F.name.in_(["Ada", None]), ["ada", "dan"]),
        (F.name.starts_with("B"), ["bob"]),
        (F.name.ends_with("d"), ["cyd"]),
        (F.tags.contains("code"), ["ada", "bob"]),
        (F.age.not_in([17, 25]), ["ada", "dan"]),
        (F.age.between(17, 25), ["bob", "cyd"]),
        (F.tags.contains_any(["math", "art"]), ["ada"]),
        (F.tags.contains_all(["code", "math"]), ["ada"]),
        (F.tags.size(gte=1), ["ada", "bob"]),
        (F.name.icontains("A"), ["ada"]),
        (F.name.equals("aDA", ignore_case=True), ["ada"]),
        (F.name.starts_with("b", ignore_case=True), ["bob"]),
        (F.name.ends_with("D", ignore_case=True), ["cyd"]),
        (F.name.matches("^[AB]"), ["ada", "bob"]),
        (F.pets.any(F.kind == "cat"), ["ada"]),
        (F.pets.every(F.kind == "dog"), ["bob", "cyd", "dan"]),
        (F.pets.none({"kind": "cat"}), ["bob", "cyd", "dan"]),
        (F.name.is_null(), ["dan"]),
        (F.name.is_not_null(), ["ada", "bob", "cyd"]),
        (F["address.city"] == "Oslo", ["bob", "cyd"]),
        (F.address.city == "Paris", ["ada"]),
        ({"age": {"gte": 18}, "or": [{"name": "Ada"}, {"name": "Bob"}]}, ["ada"]),
        ({"address": {"city": "Oslo"}, "not": {"age": 17}}, ["cyd"]),
    ],
)
def test_a_condition_finds_what_the_where_object_finds(people, condition, wanted):
    """A condition of F, or a where-object, selects the same documents as in AQL."""
    assert ids(people.query("people").filter(condition)) == wanted


def test_a_builder_and_a_text_have_the_same_plan(people):
    """The builder writes AQL: its plan is that of the text."""
    built = people.query("people").filter(F.age >= 18).order_by("-age").limit(2).select("name")
    text = "query ($p0: ValueInput) { found: people(where: {age: {gte: $p0}} orderBy: {age: DESC} limit: 2) { name } }"
    assert built.explain().plan == people.explain(text, {"p0": 18}).plan
    assert built.all() == [{"name": "Ada"}, {"name": "Cyd"}]


def test_steps_leave_the_query_as_it_was(people):
    """Each step gives a new query."""
    everyone = people.query("people")
    everyone.filter(F.age > 30).limit(1)
    assert everyone.count() == 4


def test_filters_add_up(people):
    """Several filters all hold."""
    query = people.query("people").filter(F.age > 10, F.age < 30).filter(F.name == "Bob")
    assert ids(query) == ["bob"]


def test_order_limit_offset(people):
    """Ordered by several keys, then cut."""
    query = people.query("people").order_by("address.city", "-age")
    assert ids(query) == ["dan", "cyd", "bob", "ada"]
    assert ids(query.offset(1).limit(2)) == ["cyd", "bob"]
    assert query.limit(1).count() == 4


def test_select_by_paths(people):
    """Paths select inside of objects."""
    query = people.query("people").filter(F.id == "ada").select("name", "address.city")
    assert query.all() == [{"name": "Ada", "address": {"city": "Paris"}}]


def test_first_one_exists(people):
    """One document, or what is said when there is none or there are several."""
    query = people.query("people")
    assert query.filter(F.age == 17).one()["id"] == "bob"
    assert query.filter(F.age == 99).first() is None
    assert not query.filter(F.age == 99).exists()
    with pytest.raises(NotFound, match="no document matches"):
        query.filter(F.age == 99).one()
    with pytest.raises(NotFound, match="several documents match"):
        query.one()


def test_documents_as_records(people):
    """Documents come as records of a class."""

    @dataclass
    class Person:
        id: str
        age: int

    query = people.query("people").select("id", "age")
    assert query.filter(F.age > 30).all(as_=Person) == [Person("ada", 36)]
    with pytest.raises(ValidationError, match="no Person"):
        query.filter(F.age.is_null()).all(as_=Person)


def test_update_and_delete(people):
    """All that match are changed; everything only when that is said."""
    query = people.query("people")
    assert query.filter(F.age < 30).update({"name": "young"}) == 2
    assert query.filter(F.name == "young").delete() == 2
    with pytest.raises(MissingWhere):
        query.delete()
    with pytest.raises(ValidationError, match="limit"):
        query.filter(F.age > 1).limit(1).delete()
    assert query.delete(all=True) == 2


def test_in_a_transaction(people):
    """A builder of a transaction sees what the transaction wrote."""
    with people.transaction() as tx:
        tx["people"].insert({"id": "eve", "age": 50})
        assert ids(tx.query("people").filter(F.age > 40)) == ["eve"]
        tx.rollback()
    assert not people.query("people").filter(F.age > 40).exists()


def test_what_is_wrong_is_refused(people):
    """Unknown names and values that make no sense are errors with a fix."""
    with pytest.raises(UnknownCollection, match="peple"):
        people.query("peple")
    with pytest.raises(UnknownField) as refused:
        people.query("people").filter(F.agee == 1).all()
    assert refused.value.hint == "did you mean 'age'?"
    with pytest.raises(ValidationError, match="whole number"):
        people.query("people").limit(-1)
    with pytest.raises(ValidationError, match="no name of a field"):
        people.query("people").select("name }")
    with pytest.raises(ValidationError, match="a filter is a condition"):
        people.query("people").filter("age > 1")
    with pytest.raises(TypeError, match="true or false by itself"):
        bool(F.age > 1)


def test_pages(people):
    """Lists of a size in order, each document once; a limit beside them is refused."""
    query = people.query("people").order_by("-age").select("id")
    found = [[one["id"] for one in page] for page in query.pages(3)]
    assert found == [["ada", "cyd", "bob"], ["dan"]]
    assert list(query.filter(F.age > 99).pages(3)) == []
    for refused in (lambda: query.limit(2).pages(3), lambda: query.pages(0)):
        with pytest.raises(ValidationError, match="pages have a size"):
            list(refused())


def test_aggregates(people):
    """Numbers over all that match, under the names asked for."""
    query = people.query("people").filter(F.age > 17)
    found = query.aggregate("count", total=("sum", "age"), oldest=("max", "age"))
    assert found == {"count": 2, "total": 61, "oldest": 36}


def test_as_a_table_of_pandas(people):
    """A frame with a column for each field."""
    frame = (
        people.query("people").filter(F.age > 17).order_by("age").select("id", "age").to_pandas()
    )
    assert frame.to_dict("records") == [{"id": "cyd", "age": 25}, {"id": "ada", "age": 36}]


def test_a_table_needs_its_package(people, monkeypatch):
    """What is not installed is named with the line that installs it."""
    monkeypatch.setitem(sys.modules, "polars", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for verb, name in (("to_polars", "polars"), ("to_arrow", "pyarrow")):
        with pytest.raises(MissingDependency) as refused:
            getattr(people.query("people"), verb)()
        assert refused.value.hint == f"pip install {name}"


async def test_asynchronous(tmp_path):
    """The same chain, awaited."""
    from aurora_db import AsyncAurora

    async with AsyncAurora(tmp_path / "a.db") as db:
        await db.execute("schema { define collection t { n: Int } }")
        await db["t"].insert_many([{"n": n} for n in range(3)])
        found = await db.query("t").filter(F.n > 0).order_by("-n").select("n").all()
        assert found == [{"n": 2}, {"n": 1}]
        pages = [len(page) async for page in db.query("t").pages(2)]
        assert pages == [2, 1]
