"""The behaviours of schemas that the documents of aurora-db 0.6 promise, by their number."""

from __future__ import annotations

import pytest

from aurora_db import (
    AqlError,
    Aurora,
    SchemaError,
    TypeMismatch,
    UnknownField,
    ValidationError,
)


def define(db, body, name="u", attributes=""):
    return db.execute(f"schema {{ define collection {name} {attributes} {{ {body} }} }}")


def test_a_word_of_queries_is_no_field(db):
    """A field called as a word of queries is refused, and the message names it."""
    with pytest.raises(SchemaError, match="'nodes' is a word of queries") as refused:
        define(db, "nodes: Int")
    assert (refused.value.line, refused.value.hint) == (1, "call it 'nodes_'")


def test_an_update_keeps_the_given_id(db):
    """The given id is the document's under both names, also after an update."""
    define(db, "name: String")
    db["u"].insert({"_sid": "u1", "name": "Ada"})
    db["u"].update("u1", {"name": "Bob"})
    assert db.execute("{ u { id _sid name } }") == {
        "u": [{"id": "u1", "_sid": "u1", "name": "Bob"}]
    }


@pytest.mark.parametrize("document", ["text", 5, [1], None])
def test_a_document_is_an_object(db, document):
    """What is no object is refused as a document."""
    define(db, "name: String")
    with pytest.raises(TypeMismatch):
        db["u"].insert(document)
    assert db["u"].count() == 0


def test_14_both_ends_of_a_range(db):
    """`min` and `max` are allowed themselves, what is beyond them is not."""
    define(db, "age: Int @validate(min: 13, max: 120)")
    db["u"].insert_many([{"age": 13}, {"age": 120}, {"age": None}])
    for age in (5, 12, 121):
        with pytest.raises(ValidationError) as refused:
            db["u"].insert({"age": age})
        assert refused.value.field == "age"
        assert refused.value.value == age
    assert db["u"].count() == 3


def test_now_is_the_same_for_the_documents_of_one_call(db, clock):
    """Documents inserted together were created together."""
    define(db, 'n: Int at: DateTime = "now"')
    db["u"].insert_many([{"n": n} for n in range(3)])
    assert {row["at"] for row in db.execute("{ u { at } }")["u"]} == {clock.now()}


def test_an_alteration_holds_after_a_reopen(tmp_path):
    """A dropped field is gone, a renamed one keeps its values, an added one has its default; also reopened."""
    path = tmp_path / "a.db"
    with Aurora(path) as db:
        define(db, "old: String  nick: String")
        db["u"].insert({"id": "a", "old": "o", "nick": "n"})
        done = db.execute(
            'alter collection u { drop old  rename nick to name  add plan: String = "free" }'
        )
        assert done["steps"] == [{"kind": "collection", "name": "u", "status": "altered"}]
    with Aurora(path) as db:
        assert db.execute("{ u }") == {"u": [{"id": "a", "name": "n", "plan": "free"}]}
        fields = db.execute("{ __schema { collections { fields { name } } } }")
        names = [field["name"] for field in fields["__schema"]["collections"][0]["fields"]]
        assert names == ["id", "name", "plan"]
        for gone in ("old", "nick"):
            with pytest.raises(UnknownField):
                db.execute(f"{{ u {{ {gone} }} }}")


def test_96_any_is_queried_inside_at_once(db):
    """A path into a field of type Any finds what was just written."""
    define(db, "meta: Any")
    db["u"].insert({"id": "a", "meta": {"author": {"name": "ada"}, "tags": ["x"]}})
    db["u"].insert({"id": "b", "meta": [1, 2]})
    db["u"].insert({"id": "c", "meta": "text"})
    found = lambda where: [
        row["id"] for row in db.execute(f"{{ u(where: {where}) {{ id }} }}")["u"]
    ]
    assert found('{"meta.author.name": "ada"}') == ["a"]
    assert found('{meta: {author: {name: {startsWith: "a"}}}}') == ["a"]
    assert found('{"meta.tags": {contains: "x"}}') == ["a"]
    assert db.execute("{ u { meta } }")["u"] == [
        {"meta": {"author": {"name": "ada"}, "tags": ["x"]}},
        {"meta": [1, 2]},
        {"meta": "text"},
    ]


def test_a_refused_definition_says_where(db):
    """The error of a definition has line, column and excerpt, as every error of a text."""
    with pytest.raises(SchemaError) as refused:
        db.execute("schema {\n  define collection u {\n    tags: [Int] @unique\n  }\n}")
    error = refused.value
    assert isinstance(error, AqlError)
    assert (error.code, error.line, error.column) == ("schema", 3, 5)
    assert error.excerpt == "3 |     tags: [Int] @unique\n  |     ^^^^^^^^^^^^^^^^^^^"
