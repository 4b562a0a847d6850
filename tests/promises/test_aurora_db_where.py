"""The behaviours that the documents of aurora-db 0.6 promise, by their number: filters, relations, lookups."""

from __future__ import annotations

import pytest

from aurora_db import ForeignKeyViolation, SecurityError

POSTS = [
    {"id": "p1", "tags": ["rust", "async"]},
    {"id": "p2", "tags": ["go"]},
    {"id": "p3", "tags": ["python"]},
]


def ids(rows):
    return [row["id"] for row in rows]


def test_11_a_relation_is_a_foreign_key(db):
    """An insert with an existing parent works; with a missing one it is a foreign key violation."""
    db.execute("""schema {
      define collection members { name: String group: ID @relation(to: "groups", key: "id") }
      define collection groups { name: String }
    }""")
    db.insert_into("groups", {"id": "g1", "name": "admins"})
    db.insert_into("members", {"id": "m1", "group": "g1"})

    with pytest.raises(
        ForeignKeyViolation, match="Foreign key violation on field 'group'"
    ) as refused:
        db.insert_into("members", {"id": "m2", "group": "g9"})

    assert (refused.value.code, refused.value.fields) == ("foreign_key_violation", ("group",))
    assert refused.value.value == "g9"
    assert ids(db.execute("{ members { id } }")["members"]) == ["m1"]


def test_20_contains_any_and_all(db):
    """`containsAny` finds two of three posts, `containsAll` one."""
    db.execute("schema { define collection posts { tags: [String!] } }")
    db["posts"].insert_many(POSTS)
    found = db.execute("""{
      any: posts(where: {tags: {containsAny: ["rust", "go"]}}) { id }
      all: posts(where: {tags: {containsAll: ["rust", "async"]}}) { id }
    }""")
    assert ids(found["any"]) == ["p1", "p2"]
    assert ids(found["all"]) == ["p1"]


def test_21_matches(db):
    """A pattern over four mails finds two; an oversized or invalid one is a `SecurityError`."""
    db.execute("schema { define collection u { email: String } }")
    mails = ["a@gmail.com", "b@gmail.com", "c@gmail.community", "d@example.org"]
    db["u"].insert_many([{"id": mail[0], "email": mail} for mail in mails])
    text = "query ($p: String!) { u(where: {email: {matches: $p}}) { id } }"

    assert ids(db.execute(text, {"p": ".*@gmail\\.com$"})["u"]) == ["a", "b"]
    for pattern in ("x" * 1_001, "(", "(a)\\1", "(?=a)"):
        with pytest.raises(SecurityError):
            db.execute(text, {"p": pattern})


def test_missing_values_over_relations(db):
    """`ne` matches documents without the field, also where a relation leads nowhere; `eq` does not."""
    db.execute("""schema {
      define collection u { team: ID @relation(to: "teams") }
      define collection teams { name: String }
    }""")
    db["teams"].insert_many([{"id": "t1", "name": "red"}, {"id": "t2"}])
    db["u"].insert_many([{"id": "a", "team": "t1"}, {"id": "b", "team": "t2"}, {"id": "c"}])
    found = db.execute("""{
      eq: u(where: {team: {name: "red"}}) { id } ne: u(where: {team: {name: {ne: "red"}}}) { id }
      gt: u(where: {team: {name: {gt: ""}}}) { id } null: u(where: {"team.name": {isNull: true}}) { id }
    }""")
    assert {key: ids(rows) for key, rows in found.items()} == {
        "eq": ["a"], "ne": ["b", "c"], "gt": ["a"], "null": ["b", "c"],
    }  # fmt: skip


@pytest.mark.parametrize(
    "where",
    [
        {"n": {"between": [2, 3]}}, {"n": {"nin": [1, None]}}, {"tags": {"size": {"gte": 1}}},
        {"tags": {"containsAny": ["x"]}}, {"name": {"icontains": "A"}}, {"not": {"name": {"matches": "^a"}}},
        {"or": [{"n": 1}, {"n": None}], "name": {"ne": "a"}}, {"lines": {"some": {"q": {"gt": 1}}}},
    ],
)  # fmt: skip
def test_29_a_filter_of_python_is_the_filter_of_aql(db, where):
    """The same filter finds the same documents, given as Python or in a text."""
    db.execute(
        "schema { define collection d { name: String n: Int tags: [String] lines: [{ q: Int }] } }"
    )
    db["d"].insert_many([
        {"id": "1", "name": "a", "n": 1, "tags": ["x"], "lines": [{"q": 2}]},
        {"id": "2", "name": "Ab", "n": 2, "tags": [], "lines": [{"q": 1}]},
        {"id": "3", "n": 3, "tags": ["x", "y"]}, {"id": "4", "name": "b"},
    ])  # fmt: skip
    written = ids(db.execute(f"{{ d(where: {_aql(where)}) {{ id }} }}")["d"])

    assert 0 < len(written) < 4
    assert (
        ids(db.execute("query ($w: DFilter) { d(where: $w) { id } }", {"w": where})["d"]) == written
    )
    assert db["d"].count(where) == len(written)


def _aql(value):
    """A Python value as it is written in AQL."""
    match value:
        case dict():
            return "{" + " ".join(f"{key}: {_aql(one)}" for key, one in value.items()) + "}"
        case list():
            return "[" + " ".join(map(_aql, value)) + "]"
        case None:
            return "null"
        case str():
            return f'"{value}"'
        case _:
            return str(value)


@pytest.fixture
def blog(db):
    db.execute("""schema {
      define collection posts { title: String author_id: ID @relation(to: "users") }
      define collection users { name: String active: Boolean }
    }""")
    db["users"].insert_many(
        [
            {"id": "u1", "name": "Ada", "active": True},
            {"id": "u2", "name": "Bob", "active": False},
        ]
    )
    db["posts"].insert_many(
        [
            {"id": "p1", "title": "one", "author_id": "u1"},
            {"id": "p2", "title": "two", "author_id": "u2"},
        ]
    )
    return db


def test_39_a_lookup_is_a_list(blog):
    """A lookup under an alias is a list of the joined documents."""
    text = '{ posts { id user: lookup(collection: "users", localField: "author_id", foreignField: "id") { id name } } }'
    (first, second) = blog.execute(text)["posts"]
    assert first["user"][0]["id"] == "u1"
    assert second == {"id": "p2", "user": [{"id": "u2", "name": "Bob"}]}


def test_40_a_lookup_filters_the_joined_documents_only(blog):
    """All parents remain, whatever the condition of the lookup."""
    text = """query ($b: Boolean!) { posts { id user: lookup(collection: "users", localField: "author_id",
        foreignField: "id", where: {active: {eq: $b}}) { name } } }"""
    assert blog.execute(text, {"b": True}) == {
        "posts": [{"id": "p1", "user": [{"name": "Ada"}]}, {"id": "p2", "user": []}]
    }
    assert blog.execute(text, {"b": False})["posts"][1] == {"id": "p2", "user": [{"name": "Bob"}]}


def test_41_a_selection_on_a_relation_field(blog):
    """It gives the document that the relation refers to, here an object."""
    assert blog.execute("{ posts { author_id { name } } }") == {
        "posts": [{"author_id": {"name": "Ada"}}, {"author_id": {"name": "Bob"}}]
    }
