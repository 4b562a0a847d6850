"""Collections are defined from Python as from a text."""

from __future__ import annotations

import pytest

from aurora_db import AqlSyntaxError, SchemaError, TypeMismatch, UnknownField, UnknownType

NOTES = {"title": "String! @unique", "body": "String", "tags": "[String]"}


def test_a_collection_by_python(db):
    """Fields are what stands after the colon; rules and flexibility are said beside."""
    done = db.define("notes", NOTES, rules=["@@index(fields: [title, body])"], flexible=True)
    assert done == {
        "operation": "schema", "collections": ["notes"], "status": "done",
        "steps": [{"kind": "collection", "name": "notes", "status": "created"}],
    }  # fmt: skip
    id = db["notes"].insert({"title": "t", "more": 1})
    assert db["notes"].get(id) == {"id": id, "title": "t", "body": None, "tags": None, "more": 1}
    again = db.define("notes", NOTES, ["@@index(fields: [title, body])"], flexible=True)
    assert again["steps"][0]["status"] == "unchanged"


def test_inside_a_transaction(db):
    """It is undone with the transaction."""
    with db.transaction() as tx:
        tx.define("notes", NOTES)
        tx["notes"].insert({"title": "t"})
        tx.rollback()
    assert db.execute("{ _collections { name } }") == {"_collections": []}


def test_another_definition_is_refused_with_the_alter(db):
    """The hint is what to type."""
    db.define("notes", NOTES)
    with pytest.raises(SchemaError, match="exists and differs") as refused:
        db.define("notes", {**NOTES, "stars": "Int! = 0"})
    assert refused.value.hint == "alter collection notes { add stars: Int! = 0 }"


@pytest.mark.parametrize(
    ("name", "fields", "rules", "error"),
    [
        ("x", {"a": "Strin"}, [], UnknownType),
        ("x", {"a": ""}, [], AqlSyntaxError),
        ("x", {"a": 3}, [], TypeMismatch),
        ("x", {"a": "Int", "b": "Int } drop collection notes define collection z { c: Int"}, [], SchemaError),
        ("x", {"a": "Int b: Int"}, [], SchemaError),
        ("x", {"a b": "Int"}, [], SchemaError),
        ("x y", {"a": "Int"}, [], SchemaError),
        ("_x", {"a": "Int"}, [], SchemaError),
        ("x", {"a": "Int"}, ["@@index(fields: [b])"], SchemaError),
        ("x", {"a": "Int"}, ["b: Int"], SchemaError),
    ],
)  # fmt: skip
def test_what_is_no_definition_is_refused(db, name, fields, rules, error):
    """A part is one field or one rule; nothing else can be put into it."""
    db.define("notes", NOTES)
    with pytest.raises(error):
        db.define(name, fields, rules)
    assert db.execute("{ _collections { name } }") == {"_collections": [{"name": "notes"}]}


def test_a_private_field_is_read_by_its_name(db):
    """It is written and searched as any other, and left out of whole documents."""
    db.define("users", {"name": "String", "secret": "String @private"})
    id = db["users"].insert({"name": "Ada", "secret": "s"})
    assert db["users"].get(id) == {"id": id, "name": "Ada"}
    assert db.execute('{ users(where: {secret: "s"}) { secret } }') == {"users": [{"secret": "s"}]}
    with pytest.raises(UnknownField):
        db["users"].insert({"sekret": "s"})


def test_updated_moves_with_operators_too(db, clock):
    """Whatever a write says of other fields, the time of it is kept."""
    db.define("t", {"n": "Int", "tags": "[String]", "at": "DateTime @updated"})
    id = db["t"].insert({"n": 1})
    clock.advance(60)
    db["t"].update(id, {"n": {"increment": 1}})
    assert db["t"].get(id) == {"id": id, "n": 2, "tags": None, "at": clock.now()}
    clock.advance(60)
    db["t"].upsert({"id": id}, {"tags": {"push": "x"}})
    assert db["t"].get(id) == {"id": id, "n": 2, "tags": ["x"], "at": clock.now()}
