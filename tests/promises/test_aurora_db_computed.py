"""What was promised of computed fields: cases 44 to 47."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aurora_db import Aurora


def test_44_a_template_joins_fields(db: Aurora):
    """`fullName: "${first} ${last}"` is "John Doe"."""
    db.execute("schema { define collection u { first: String last: String } }")
    db["u"].insert({"first": "John", "last": "Doe"})
    assert db.execute('{ u { fullName: "${first} ${last}" } }') == {"u": [{"fullName": "John Doe"}]}


def test_45_a_computed_field_multiplies(db: Aurora):
    """10 times 5 is the Int 50, in reads, in selections and in conditions."""
    db.execute(
        'schema { define collection o { price: Int qty: Int total: Int @computed("price * qty") } }'
    )
    db["o"].insert({"id": "a", "price": 10, "qty": 5})
    db["o"].insert({"id": "b", "price": 1, "qty": 5})
    document = db["o"].get("a")
    assert document is not None
    assert document["total"] == 50
    assert type(document["total"]) is int
    assert db.execute("{ o(where: {total: {eq: 50}}) { id total } }") == {
        "o": [{"id": "a", "total": 50}]
    }
    assert db["o"].count({"total": {"lt": 50}}) == 1


def test_46_templates_conditions_and_dates(db: Aurora):
    """A template is filled, a condition chooses, what is missing is null, an instant stays one."""
    db.execute(
        """schema { define collection u { name: String age: Int at: DateTime seen: DateTime
            kind: String @computed("age >= 18 ? \\"adult\\" : \\"minor\\"")
            since: DateTime @computed("startOf(at, \\"day\\")") } }"""
    )
    at = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    db["u"].insert({"name": "Ada", "age": 36, "at": at})
    db["u"].insert({"name": "Bo", "age": 9})
    text = '{ u { hello: "Hello, ${name}! You are ${age}…" kind y: year(seen) since at: dateAdd(at, 0, "day") } }'
    assert db.execute(text) == {
        "u": [
            {"hello": "Hello, Ada! You are 36…", "kind": "adult", "y": None, "since": datetime(2024, 5, 6, tzinfo=UTC), "at": at},
            {"hello": "Hello, Bo! You are 9…", "kind": "minor", "y": None, "since": None, "at": None},
        ]
    }  # fmt: skip


def test_47_pipes_operators_and_calls(db: Aurora):
    """`name | uppercase`, `price * qty`, `if(…)` and `coalesce(…)` are evaluated."""
    db.execute("schema { define collection p { name: String price: Float qty: Int stock: Int a: String b: String } }")  # fmt: skip
    db["p"].insert({"name": "pen", "price": 1.5, "qty": 4, "stock": 0, "b": "bee"})
    text = '{ p { upper: name | uppercase total: price * qty s: if(gt(stock, 0), "In", "Out") c: coalesce(a, b, "x") d: coalesce(a, "x") } }'
    assert db.execute(text) == {
        "p": [{"upper": "PEN", "total": 6.0, "s": "Out", "c": "bee", "d": "x"}]
    }


def test_now_is_one_instant_and_uuids_differ(db: Aurora):
    """Each document gets a UUID of its own, all get the same present."""
    db.execute("schema { define collection t { n: Int } }")
    for n in range(3):
        db["t"].insert({"n": n})
    found = db.execute("{ t { now: now() id: uuid() } }")["t"]
    assert len({one["now"] for one in found}) == 1
    assert found[0]["now"].tzinfo is not None
    assert len({one["id"] for one in found}) == 3
