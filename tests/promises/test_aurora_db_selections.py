"""The behaviours that the documents of aurora-db 0.6 promise, by their number: fragments, search, directives."""

from __future__ import annotations

import pytest

from aurora_db import (
    AccessDenied,
    FragmentCycle,
    TypeMismatch,
    Unauthenticated,
    UnknownField,
    UnknownFragment,
)


@pytest.fixture
def blog(db):
    """Two posts of one author."""
    db.execute("""schema {
      define collection users { name: String mail: String }
      define collection posts { title: String body: String author: ID @relation(to: "users") }
    }""")
    db["users"].insert({"id": "u1", "name": "Ada", "mail": "a@x"})
    db["posts"].insert_many(
        [
            {"id": "p1", "title": "one", "body": "1", "author": "u1"},
            {"id": "p2", "title": "two", "body": "2", "author": "u1"},
        ]
    )
    return db


def test_42_fragments_stand_for_their_fields(blog):
    """Alone, nested, in the nodes of groups and in the node of a page: exactly its fields."""
    blog_text = """
      fragment Name on users { name }
      fragment Post on posts { id author { ...Name } }
      { posts(limit: 1) { ...Post }
        group: posts { groupBy(field: "author") { nodes(limit: 1) { ...Post } } }
        page: posts(first: 1) { edges { node { ...Post } } } }
    """
    post = {"id": "p1", "author": {"name": "Ada"}}
    assert blog.execute(blog_text) == {
        "posts": [post],
        "group": {"groupBy": [{"nodes": [post]}]},
        "page": {"edges": [{"node": post}]},
    }


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{ posts { ...Missing } }", UnknownFragment),
        ("fragment F on users { name } { posts { ...F } }", TypeMismatch),
        ("fragment F on posts { titel } { posts { ...F } }", UnknownField),
        ("fragment F on posts { id ...F } { posts { ...F } }", FragmentCycle),
    ],
)
def test_43_wrong_fragments_are_refused(blog, text, error):
    """One that is not there, of another collection, with an unknown field, or within itself."""
    with pytest.raises(error) as refused:
        blog.execute(text)
    assert refused.value.line == 1


def test_48_search_forgives_a_typo(db):
    """One typo finds the word, best match first; the distance counts; an exact search finds one."""
    db.execute("schema { define collection t { text: String @search } }")
    db["t"].insert_many(
        [
            {"id": "a", "text": "database"},
            {"id": "b", "text": "a database among many other words about storage"},
            {"id": "c", "text": "gardening"},
            {"id": "d", "text": "datum"},
        ]
    )
    text = "query ($q: String!, $f: Int!) { t(search: {query: $q, fuzzy: $f}) { id _score } }"
    found = db.execute(text, {"q": "databse", "f": 1})["t"]
    assert [one["id"] for one in found] == ["a", "b"]
    assert 1 >= found[0]["_score"] > found[1]["_score"] > 0
    assert db.execute(text, {"q": "dtabse", "f": 1}) == {"t": []}
    assert [one["id"] for one in db.execute(text, {"q": "dtabse", "f": 2})["t"]] == ["a", "b"]
    assert db.execute('{ t(search: {query: "datum"}) { id } }') == {"t": [{"id": "d"}]}
    assert db.execute('{ t(search: {query: "databse"}) { id } }') == {"t": []}


def test_54_skip_and_include_for_every_execution(blog):
    """The same text shows another field for another value."""
    text = "query ($b: Boolean!) { users { id name @include(if: $b) mail @skip(if: $b) } }"
    for _ in range(2):
        assert blog.execute(text, {"b": True}) == {"users": [{"id": "u1", "name": "Ada"}]}
        assert blog.execute(text, {"b": False}) == {"users": [{"id": "u1", "mail": "a@x"}]}


def test_55_auth_and_require(blog):
    """Without claims unauthenticated, with the wrong role denied, with the right one served."""
    with pytest.raises(Unauthenticated):
        blog.execute("{ users @auth { id } }")
    assert blog.execute("{ users @auth { id } }", auth={"role": "USER"}) == {
        "users": [{"id": "u1"}]
    }

    admins = '{ users @require(role: "ADMIN") { id } }'
    with pytest.raises(AccessDenied):
        blog.execute(admins, auth={"role": "USER"})
    assert blog.execute(admins, auth={"role": "ADMIN"}) == {"users": [{"id": "u1"}]}

    write = 'mutation @require(role: "ADMIN") { insertInto(collection: "users", data: {name: "x"}) { id } }'
    with pytest.raises(AccessDenied):
        blog.execute(write, auth={"role": "USER"})
    assert blog["users"].count() == 1
