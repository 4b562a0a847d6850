"""Pages use the index of their order, whatever the place of the cursor."""

from __future__ import annotations

import pytest

from aurora_db.aql import plan
from aurora_db.aql.catalog import Collection, Field, Index, Type
from aurora_db.sql.pages import AFTER, BEFORE, LIMIT, Pages, Shape

C = Collection(
    name="users",
    fields=(
        Field(name="id", type=Type(name="ID")),
        Field(name="age", type=Type(name="Int"), indexed=True),
        Field(name="born", type=Type(name="Int"), required=True, indexed=True),
        Field(name="city", type=Type(name="String"), required=True),
    ),
    indexes=(Index(("city", "born")),),
)


def order(*names):
    """Keys from `age` or `-age`."""
    made = []
    for name in names:
        field = C.field(name.lstrip("-"))
        made.append(plan.Order(plan.Path(field, (), field.type), name.startswith("-")))
    return tuple(made)


def steps(world, keys, shape, **places):
    """How the engine runs a page."""
    out = plan.Output("id", plan.Path(C.fields[0], (), C.fields[0].type))
    query = plan.Query(key="users", collection=C, outputs=(out,), order=keys)
    statement = Pages(query).statement(shape)
    known = {AFTER: places.get("after"), BEFORE: places.get("before"), LIMIT: 11}
    rows = world.rows(f"EXPLAIN QUERY PLAN {statement.text}", statement.bind(known))
    return [row[3] for row in rows]


@pytest.fixture
def users(world):
    """A collection with indexes."""
    world.define(C)
    return world


def test_the_order_of_insertion_needs_no_sorting(users):
    """Without an order a page goes along the table."""
    found = steps(users, (), Shape(after=(False, False)), after=(7, "a"))
    assert found == ["SEARCH users USING INTEGER PRIMARY KEY (rowid>?)"]


def test_a_key_that_may_be_null_has_two_halves(users):
    """Descending, the nulls come last: a range of the index, then its nulls."""
    found = steps(users, order("-age"), Shape(after=(False, False)), after=(30, "a"))
    searches = [step for step in found if step.startswith("SEARCH")]
    assert searches == [
        "SEARCH users USING INDEX users:age (age<?)",
        "SEARCH users USING INDEX users:age (age=?)",
    ]


def test_from_null_to_values_has_two_halves(users):
    """Ascending, after a null come other nulls, then the values."""
    found = steps(users, order("age"), Shape(after=(True, False)), after=(None, "a"))
    searches = [step for step in found if step.startswith("SEARCH")]
    assert searches == [
        "SEARCH users USING INDEX users:age (age=?)",
        "SEARCH users USING INDEX users:age (age>?)",
    ]


def test_several_keys_are_one_row_value(users):
    """Keys that go one way are looked up together in an index over them."""
    shape = Shape(after=(False, False, False))
    found = steps(users, order("city", "born"), shape, after=("Paris", 1990, "a"))
    assert found[0] == "SEARCH users USING INDEX users:city,born ((city,born)>(?,?))"


def test_keys_that_go_different_ways_use_the_first(users):
    """Mixed directions begin at the first key's place in the index."""
    shape = Shape(backward=True, before=(False, False, False))
    found = steps(users, order("born", "-city"), shape, before=(1990, "Paris", "a"))
    assert found[0] == "SEARCH users USING INDEX users:born (born<?)"
    assert "USE TEMP B-TREE FOR ORDER BY" not in found
