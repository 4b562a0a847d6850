"""Whoever comes from another language and types it here is told what to type."""

from __future__ import annotations

from datetime import datetime

import pytest

from aurora_db import Aurora, AuroraError, TypeMismatch


@pytest.fixture(scope="module")
def shop():
    """A collection that all mistakes are about."""
    with Aurora(":memory:") as db:
        db.execute(
            "schema { define collection users { name: String! age: Int at: DateTime tags: [String] } }"
        )
        yield db


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("SELECT * FROM users", "write { users(where: {age: {gt: 18}}) { name } }"),
        ("db.users.find({})", "write { users(where: {age: {gt: 18}}) { name } }"),
        (
            "INSERT INTO users VALUES (1)",
            'write mutation { insertInto(collection: "users", data: {…}) { id } }',
        ),
        (
            "UPDATE users SET age = 1",
            'write mutation { update(collection: "users", where: {…}, data: {…}) { affected } }',
        ),
        ("CREATE TABLE t (a TEXT)", "write schema { define collection users { name: String! } }"),
        ("type User { name: String! }", "write schema { define collection users { name: String! } }"),
        ("insertInto(collection: users)", "write 'mutation { insertInto … }'"),
        ("{ insertInto(data: {}) { id } }", "write mutation { insertInto(…) }"),
        ("mutation { users { name } }", "write query { users { … } }"),
        ("{ users(where: age > 18) { name } }", "write {age: {gt: …}}"),
        ("{ users(where: {age >= 18}) { name } }", "write {age: {gte: …}}"),
        ("{ users(where: {age: != 18}) { name } }", "write {ne: …}"),
        ("{ users(where: {age: {$gt: 1}}) { name } }", "names of operators and fields have no '$'"),
        ('{ users(where: {age: {"$gt": 1}}) { name } }', "did you mean 'gt'?"),
        ('{ users(orderBy: "age desc") { name } }', "write {age: DESC}"),
        ('{ users(orderBy: "-age") { name } }', "write {age: DESC}"),
        ("{ users(orderBy: {age: -1}) { name } }", "write ASC or DESC"),
        (
            '{ users(where: {name: {like: "A%"}}) { name } }',
            "write startsWith, endsWith, contains or matches",
        ),
        ('{ users(where: {name: {"$regex": "A"}}) { name } }', "write matches"),
        ("{ users(where: {age: {in: 5}}) { name } }", "write in: […]"),
        ('{ users(where: {tags: "new"}) { name } }', "ask for an element: {contains: …}"),
        ('mutation { insertInto(collection: "users", data: [{name: "x"}]) }', "insertMany takes a list"),
        ('mutation { insertMany(collection: "users", data: {name: "x"}) }', "write data: [{…}]"),
        ('run schedule "x"', "look into _schedules: { _schedules { name } }"),
        ("{ users { count } }", "write aggregate { count }"),
        ("{ users { sum } }", 'write aggregate { sum(field: "…") }'),
        ("{ users { name { x } } }", "leave out { x … }"),
        (
            "{ users { upper(name) } }",
            "arguments have names, as limit: 5; a computed value has an alias, as x: upper(name)",
        ),
        (
            'mutation { update(collection: "users", id: "a", data: {"$set": {age: 3}}) }',
            'operators stand at their field: {age: 5, visits: {increment: 1}, tags: {push: "a"}}',
        ),
        (
            'mutation { update(collection: "users", id: "a", data: {age: {inc: 3}}) }',
            "did you mean 'increment'?",
        ),
    ],
)  # fmt: skip
def test_the_hint_is_what_to_type(shop, text, hint):
    """SQL, MongoDB and GraphQL have their words; the hint has ours."""
    with pytest.raises(AuroraError) as caught:
        shop.execute(text)
    assert caught.value.hint == hint


def test_an_instant_without_a_time_zone_is_shown_as_it_was_given(shop):
    """The hint shows how to say which."""
    for value in ("2026-01-31", datetime(2026, 1, 31)):
        with pytest.raises(TypeMismatch) as caught:
            shop["users"].insert({"name": "Ada", "at": value})
        assert (caught.value.message, caught.value.hint) == (
            "field 'at' is DateTime with a time zone, got '2026-01-31T00:00:00' without one",
            'say which, such as "2026-01-31T00:00:00Z", or datetime(…, tzinfo=UTC)',
        )


def test_a_variable_that_nobody_declared_names_those_that_are(shop):
    """A misspelt one is guessed, any other shows what there is."""
    text = "query ($least: Int) { users(where: {age: {gte: $least}}) { name } }"
    for given, hint in (
        ("leest", "did you mean 'least'?"),
        ("x", "it declares $least"),
    ):
        with pytest.raises(AuroraError) as caught:
            shop.execute(text, {given: 1})
        assert caught.value.hint == hint
    with pytest.raises(AuroraError) as caught:
        shop.execute("{ users { name } }", {"x": 1})
    assert caught.value.hint == "it declares none: query ($x: String) { … }"
