"""Queries and writes as statements, run on the engine itself."""

from __future__ import annotations

import datetime as dt

import pytest

from aurora_db.aql import plan
from aurora_db.aql.catalog import Collection, Field, Type
from aurora_db.aql.changes import Change
from aurora_db.aql.selections import everything
from aurora_db.aql.system import SYSTEM
from aurora_db.aql.types import REV
from aurora_db.base.errors import TypeMismatch, UnknownField
from aurora_db.sql import aggregates, inserting, lower

BOX = Type(name="Inline", fields=(Field(name="a", type=Type(name="Int")),))
C = Collection(
    name="users",
    flexible=True,
    fields=(
        Field(name="id", type=Type(name="ID")),
        Field(name="name", type=Type(name="String"), unique=True),
        Field(name="age", type=Type(name="Int"), indexed=True),
        Field(name="on", type=Type(name="Boolean")),
        Field(name="at", type=Type(name="DateTime")),
        Field(name="box", type=BOX),
        Field(name="boxes", type=Type(name="List", item=BOX)),
    ),
)


def path(name, *keys, collection=C):
    """A declared field or a place in it; an undeclared field."""
    found = REV if name == "_rev" else collection.field(name)
    if found is None:
        return plan.Path(None, (name, *keys))
    return plan.Path(found, keys, None if keys else found.type)


def query(*names, collection=C, **options):
    """A query of fields by their names."""
    outputs = tuple(plan.Output(name, path(name, collection=collection)) for name in names)
    return plan.Query("q", collection, options.pop("outputs", outputs), **options)


def eq(name, value, op="eq"):
    return plan.Compare(path(name), op, plan.Constant(value))


def run(world, made, **variables):
    """The documents of a query."""
    lowered = lower.query(made)
    rows = world.rows(lowered.statement.text, lowered.statement.bind(variables))
    return [lowered.reader(row) for row in rows]


def write(world, statement, **variables):
    return world.rows(statement.text, statement.bind(variables))


@pytest.fixture
def users(world):
    """Four documents: ages 3, null, 1, 1."""
    world.define(C)
    text = inserting.insert(C, ("id", "name", "age", "_extra")).text()
    for id, name, age, extra in (
        ("d", "Ada", 3, '{"city": "Paris", "n": 1}'), ("c", None, None, None),
        ("b", "Bob", 1, '{"city": null}'), ("a", "Eve", 1, "{}"),
    ):  # fmt: skip
        world.rows(text, (id, name, age, extra))
    return world


def ids(documents):
    return "".join(one["id"] for one in documents)


def test_no_order_means_as_inserted(users):
    """By place, not by id."""
    assert ids(run(users, query("id"))) == "dcba"


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ((plan.Order(path("age")),), "cabd"),
        ((plan.Order(path("age"), descending=True),), "dabc"),
        ((plan.Order(path("age"), nulls_first=False),), "abdc"),
        ((plan.Order(path("age"), descending=True, nulls_first=True),), "cdab"),
        ((plan.Order(path("age")), plan.Order(path("name"), descending=True)), "cabd"),
        ((plan.Order(path("city")), plan.Order(path("id"), descending=True)), "cbad"),
        ((plan.Order(path("id")),), "abcd"),
    ],
)
def test_an_order_is_total_and_nulls_have_their_place(users, order, found):
    """Nulls first ascending, last descending, unless said otherwise; the id decides in the end."""
    assert ids(run(users, query("id", order=order))) == found


def test_limit_and_offset_are_parameters(users):
    """One text for every page; an offset alone takes all that follow."""
    assert ids(run(users, query("id", limit=plan.Constant(2), offset=plan.Constant(1)))) == "cb"
    assert ids(run(users, query("id", offset=plan.Constant(3)))) == "a"
    paged = query("id", limit=plan.Variable("n"), offset=plan.Variable("m"))
    assert ids(run(users, paged, n=1, m=2)) == "b"
    assert ids(run(users, paged, n=None, m=None)) == "dcba"
    for wrong in (-1, 1.5, "1", True):
        with pytest.raises(TypeMismatch, match="whole number from 0"):
            run(users, paged, n=wrong, m=0)


def test_values_come_back_as_python(users):
    """Only what needs a conversion gets one."""
    users.rows(
        """UPDATE users SET "on" = 1, at = '2026-01-02T03:04:05.000006Z', box = '{"a": 7}',
                  boxes = '[{"a": 1, "z": 2}, null]' WHERE id = 'd'"""
    )
    outputs = (
        plan.Output("quote's \"", path("name")),
        plan.Output("on", path("on")),
        plan.Output("at", path("at")),
        plan.Output("rev", path("_rev")),
        plan.Output("town", path("city")),
        plan.Output("whole", path("box")),
        plan.Output("box", path("box"), (plan.Output("x", path("box", "a")),)),
        plan.Output("boxes", path("boxes"), (plan.Output("a", path("boxes", "a")),)),
        plan.Output("inner", path("box", "a")),
    )

    found, empty, *_ = run(users, query(outputs=outputs))

    assert found == {
        "quote's \"": "Ada", "on": True, "at": dt.datetime(2026, 1, 2, 3, 4, 5, 6, dt.UTC), "rev": 2,
        "town": "Paris", "whole": {"a": 7}, "box": {"x": 7}, "boxes": [{"a": 1}, None], "inner": 7,
    }  # fmt: skip
    assert set(empty.values()) == {None, 1}
    assert list(found) == [one.key for one in outputs]


def test_all_fields_of_a_flexible_document(users):
    """Undeclared fields stand beside the declared ones."""
    ready = lower.get(C)
    text, read = ready.statement.text, ready.reader

    (row,) = users.rows(text, ("d",))

    assert read(row) == {
        "id": "d", "name": "Ada", "age": 3, "on": None, "at": None, "box": None, "boxes": None,
        "city": "Paris", "n": 1,
    }  # fmt: skip
    assert users.rows(text, ("z",)) == []


def test_counting_ignores_the_page(users):
    """An aggregate is over all that matches."""
    made = query("id", where=eq("age", 1), limit=plan.Constant(1))
    count = plan.Aggregates("all", (plan.Aggregate("n", "count"),))
    assert write(users, aggregates.lowered(made, [count]).statement) == [(2,)]
    assert users.rows(*lower.count(C, plan.ALWAYS)) == [(4,)]


def test_an_update_merges_and_raises_the_revision(users):
    """Null sets null, also in an undeclared field; the others stay; keys may hold anything."""
    extra = {"city": None, "q\"uo'te": [True], "back\\slash": 1.5, "a.b": {}, "é": "x", "": 0}
    undeclared = [
        Change(plan.Path(None, (key,)), "set", value, begun=("{}",)) for key, value in extra.items()
    ]
    declared = [Change(path("name"), "set"), Change(path("on"), "set", 0)]
    statement = lower.update(C, eq("age", 3), [*declared, *undeclared])

    assert write(users, statement) == [("d",)]

    ready = lower.get(C)
    text, read = ready.statement.text, ready.reader
    (row,) = users.rows(text, ("d",))
    assert read(row) == {
        "id": "d", "name": None, "age": 3, "on": False, "at": None, "box": None, "boxes": None,
        "n": 1, **extra,
    }  # fmt: skip
    assert users.rows("SELECT _rev FROM users ORDER BY _n") == [(2,), (1,), (1,), (1,)]


def test_deleting_tells_whom(users):
    """The ids of what is gone."""
    statement = lower.delete(C, plan.Compare(path("age"), "gte", plan.Variable("least")))
    assert write(users, lower.ids(C, plan.Not(eq("age", 1)))) == [("d",), ("c",)]
    assert sorted(write(users, statement, least=1)) == [("a",), ("b",), ("d",)]
    assert ids(run(users, query("id"))) == "c"


@pytest.mark.parametrize(
    ("options", "bounded"),
    [
        ({"where": eq("id", "x")}, True),
        ({"where": plan.And((eq("on", 1), eq("id", "x")))}, True),
        ({"where": eq("id", ["x", "y"], "in")}, True),
        ({"where": eq("name", "x")}, True),
        ({"where": eq("name", None)}, False),
        ({"where": plan.Or((eq("id", "x"), eq("on", 1)))}, False),
        ({"where": plan.Not(eq("id", "x")), "limit": plan.Constant(1)}, False),
        ({"limit": plan.Constant(1000)}, True),
        ({"limit": plan.Constant(1001)}, False),
        ({"limit": plan.Variable("n")}, False),
        ({"limit": plan.Constant(1), "order": (plan.Order(path("age")),)}, False),
        ({"limit": plan.Constant(1), "offset": plan.Constant(10**9)}, False),
        ({"where": eq("age", 1), "limit": plan.Constant(10)}, True),
        ({"where": plan.And((eq("age", 1),)), "limit": plan.Constant(10)}, True),
        ({"where": eq("age", 1)}, False),
        ({"where": plan.And((eq("age", 1), eq("on", 1))), "limit": plan.Constant(10)}, False),
        ({"where": eq("on", 1), "limit": plan.Constant(10)}, False),
        ({}, False),
    ],
)
def test_bounded_is_only_what_an_index_leads_to(options, bounded):
    """An event loop may run it inline: few rows are looked at, whatever the data."""
    assert lower.query(query("id", **options)).bounded is bounded


@pytest.mark.parametrize("name", SYSTEM)
def test_every_system_collection_can_be_read(world, name):
    """No column is asked for that its table does not have."""
    collection = SYSTEM[name]
    first = plan.Path(collection.fields[0], (), collection.fields[0].type)
    outputs = everything(collection)
    for order in ((), (plan.Order(first, descending=True),)):
        made = plan.Query("q", collection, outputs, order=order, limit=plan.Constant(5))
        assert run(world, made) == []
    assert world.rows(*lower.count(collection, plan.ALWAYS)) == [(0,)]


def test_jobs_read_as_words_and_by_place(world):
    """A priority is stored as a number and read as its word; jobs come as they were enqueued."""
    for id, priority in (("b", 2), ("a", -1)):
        world.rows(
            "INSERT INTO _jobs (id, type, priority, created_at) VALUES (?, 't', ?, '2026-01-01T00:00:00.000000Z')",
            (id, priority),
        )
    jobs = SYSTEM["_jobs"]

    found = run(world, query("id", "priority", "status", "payload", collection=jobs))

    assert found == [
        {"id": "b", "priority": "CRITICAL", "status": "PENDING", "payload": None},
        {"id": "a", "priority": "LOW", "status": "PENDING", "payload": None},
    ]
    ready = lower.get(jobs)
    text, read = ready.statement.text, ready.reader
    assert read(world.rows(text, ("a",))[0])["priority"] == "LOW"


def test_documents_without_ids_are_not_got_by_id():
    """Errors of jobs have none; changes have that of what changed."""
    for name in ("_job_errors", "_changes", "_handlers"):
        with pytest.raises(UnknownField, match="not kept by id"):
            lower.get(SYSTEM[name])
