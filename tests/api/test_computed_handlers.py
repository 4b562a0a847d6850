"""Computed values in the conditions of event handlers, and where they cannot stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aurora_db import AqlError

if TYPE_CHECKING:
    from aurora_db import Aurora

SCHEMA = """schema { define collection t {
    name: String price: Float qty: Int
    total: Float @computed("price * qty")
    loud: String @computed("upper(name)")
} }"""


def handler(where: str, on: str = "insert:t") -> str:
    return f'define handler "h" {{ on: "{on}" where: {where} action: {{ enqueueJob(type: "j", payload: "${{id}}") }} }}'


@pytest.mark.parametrize("where", ['{expr: "price * qty > 100"}', "{total: {gt: 100}}"])
@pytest.mark.parametrize("on", ["insert:t", "delete:t"])
def test_a_trigger_computes_its_condition(db: Aurora, where: str, on: str):
    """Only documents whose value is large cause a job, also when another program writes."""
    db.execute(SCHEMA)
    db.execute(handler(where, on))
    db["t"].insert({"id": "a", "price": 60, "qty": 2})
    db["t"].insert({"id": "b", "price": 60, "qty": 1})
    db["t"].insert({"id": "c"})
    db["t"].delete({}, all=True)
    assert db.execute("{ _jobs { payload } }") == {"_jobs": [{"payload": "a"}]}


@pytest.mark.parametrize("where", ['{loud: {eq: "X"}}', '{name: {eq: "a"}, loud: {matches: "x"}}'])
def test_a_condition_that_only_python_knows_is_left_to_the_workers(db: Aurora, where: str):
    """Another program could not run it, so the trigger enqueues and a worker looks."""
    db.execute(SCHEMA)
    assert db.execute(handler(where))["compiled"] == "WORKER"


def test_a_computed_field_is_part_of_a_payload(db: Aurora):
    """It has no column, so the trigger computes it; no write changes it, so it is none of `fields`."""
    db.execute(SCHEMA)
    db.execute('define handler "h" { on: "insert:t" action: { enqueueJob(type: "j", payload: {t: "${total}"}) } }')  # fmt: skip
    db["t"].insert({"price": 2.5, "qty": 2})
    assert db.execute("{ _jobs { payload } }") == {"_jobs": [{"payload": {"t": 5.0}}]}
    with pytest.raises(AqlError, match="total"):
        db.execute('define handler "i" { on: "update:t" fields: [total] action: { enqueueJob(type: "j") } }')  # fmt: skip


def test_the_feed_holds_stored_fields_only(db: Aurora):
    """A computed value is not part of a change."""
    db.execute(SCHEMA)
    db["t"].insert({"id": "a", "name": "n"})
    (change,) = db.execute('{ _changes(where: {collection: "t"}) { after } }')["_changes"]
    assert change["after"] == {"id": "a", "_rev": 1, "name": "n", "price": None, "qty": None}
