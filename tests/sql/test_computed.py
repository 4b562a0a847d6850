"""Expressions as values of columns and in triggers: what other statements are made with."""

from __future__ import annotations

from typing import Any

import pytest

from aurora_db import Aurora, TypeMismatch
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.syntax import StringLiteral
from aurora_db.aql.values import Scope
from aurora_db.sql import computed

SCHEMA = """schema { define collection t @flexible {
    name: String price: Float qty: Int total: Float whole: Int tags: [String!] meta: JSON twice: Int @computed("qty * 2")
} }"""


def resolved(db: Aurora, text: str, name: str | None = None) -> Any:
    collection = db._engine.catalog.collections["t"]
    field = None if name is None else collection.field(name)
    expressions = Conditions(collection, Scope("", {})).expressions()
    return expressions.update_value(StringLiteral(text), field).expression


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("total", "price * qty", 5.0), ("total", "qty", 2.0), ("whole", "floor(price)", 2), ("whole", "twice + 1", 5),
        ("whole", "9223372036854775807 + qty", None), ("tags", 'split(name, "")', ["a", "b"]), ("meta", "qty + 1", 3),
        ("meta", "tags", ["x"]), ("name", "upper(name)", "AB"), ("name", '"${name}/${price}"', "ab/2.5"),
        ("whole", "loose", 7), ("name", "loose", None), ("meta", "name", "ab"), ("meta", "null", None),
    ],
)  # fmt: skip
def test_an_expression_is_the_value_of_a_column(db: Aurora, name: str, text: str, wanted: Any):
    """An update sets what the expression says about the document itself."""
    db.execute(SCHEMA)
    db["t"].insert({"id": "a", "name": "ab", "price": 2.5, "qty": 2, "tags": ["x"], "loose": 7})
    collection = db._engine.catalog.collections["t"]
    field = collection.field(name)
    assert field is not None
    value, params = computed.column_value(resolved(db, text, name), collection, field.type)

    async def verb(port: Any) -> int:
        return await port.change(
            f'UPDATE "t" SET "{name}" = {value} WHERE "t"."id" = ?', (*params, "a")
        )

    assert db._engine.write(verb) == 1
    document = db["t"].get("a")
    assert document is not None
    assert document[name] == wanted
    assert type(document[name]) is type(wanted)


@pytest.mark.parametrize(
    ("name", "text"), [("whole", "price"), ("name", "qty"), ("tags", "name"), ("qty", "tags")]
)
def test_an_expression_of_another_type_is_refused(db: Aurora, name: str, text: str):
    """The field and the two types are named."""
    db.execute(SCHEMA)
    with pytest.raises(TypeMismatch, match=f"field '{name}' is"):
        resolved(db, text, name)


def test_what_a_trigger_may_hold(db: Aurora):
    """Only what any program can run, of the row itself."""
    db.execute(SCHEMA)
    pure = [
        "price * qty > 100",
        "twice + 1",
        'if(qty > 1, "a", "b")',
        "coalesce(name, tags)",
        "name + 'x'".replace("'", '"'),
    ]
    ours = ["upper(name)", "loose * 2", "uuid() == name && hash(name)", "sqrt(qty)"]
    assert [text for text in pure if not computed.is_pure(resolved(db, text))] == []
    assert [text for text in ours if computed.is_pure(resolved(db, text))] == []


def test_a_condition_on_a_computed_value_uses_an_index(db: Aurora):
    """`expr` over a plain column is no slower than the operator."""
    db.execute("schema { define collection t { qty: Int @indexed } }")
    (sql,) = db.explain('{ t(where: {expr: "qty == 5"}) { id } }').sql

    async def verb(port: Any) -> Any:
        return await port.rows("EXPLAIN QUERY PLAN " + sql, (5,))

    assert any("USING INDEX" in row[3] for row in db._engine.read(verb))
