"""Conditions over plain documents: what a live query asks of a change."""

from __future__ import annotations

import pytest

from aurora_db import TypeMismatch
from aurora_db.aql import parser, plan, resolve
from aurora_db.aql.conditions import resolve_where
from aurora_db.aql.evaluate import Documents, compiled, matches

SCHEMA = """schema {
  define collection teams { name: String }
  define collection people { n: Int at: DateTime tags: [String] team: ID @relation(to: "teams") twice: Int @computed("n * 2") }
}"""


@pytest.fixture
def people(db):
    """A database with two people, the catalog and the images of their changes."""
    db.execute(SCHEMA)
    db["teams"].insert({"id": "t", "name": "red"})
    db["people"].insert_many([
        {"id": "a", "n": 3, "at": "2026-01-01T02:00:00+01:00", "tags": ["x"], "team": "t"}, {"id": "b"},
    ])  # fmt: skip
    return db


def images(db) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {"teams": [], "people": []}
    for change in db.execute("{ _changes { collection after } }")["_changes"]:
        found[change["collection"]].append(change["after"])
    return found


def named(db, where, variables=None) -> list[str]:
    catalog = db._engine.catalog
    documents = Documents(images(db), variables or {}, db._engine.clock.now())
    test = compiled(resolve_where(catalog.collections["people"], where, catalog), documents)
    return [one["id"] for one in documents.all("people") if test(one)]


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ({"n": {"gte": 3}}, ["a"]), ({"n": {"ne": 3}}, ["b"]), ({"twice": 6}, ["a"]),
        ({"at": "2026-01-01T01:00:00Z"}, ["a"]), ({"tags": {"contains": "x"}}, ["a"]), ({"tags": {"size": {"gte": 0}}}, ["a"]),
        ({"not": {"tags": {"size": {"gte": 0}}}}, ["b"]), ({"team.name": {"istartsWith": "R"}}, ["a"]),
        ({"team": {"name": None}}, ["b"]), ({"expr": "n > 2"}, ["a"]), ({"_rev": 1}, ["a", "b"]), ({}, ["a", "b"]),
        ({"or": []}, []),
    ],
)  # fmt: skip
def test_the_image_of_a_change_matches_as_its_document_does(people, where, wanted):
    """The feed's JSON is enough to say whether a document belongs to a query."""
    assert named(people, where) == wanted


def test_a_condition_reads_its_variables_once(people):
    """A value that does not fit is refused before any document is asked."""
    text = "query ($n: Int) { people(where: {n: {gt: $n}}) { id } }"
    catalog = people._engine.catalog
    (operation,) = resolve.resolve(parser.parse(text), text, catalog).operations
    (root,) = operation.roots
    assert isinstance(root, plan.Query)
    now = people._engine.clock.now()
    assert matches(root.where, {"id": "x", "n": 5}, Documents({}, {"n": 4}, now))
    assert not matches(root.where, {"id": "x", "n": 5}, Documents({}, {"n": 5}, now))
    with pytest.raises(TypeMismatch):
        compiled(root.where, Documents({}, {"n": "5"}, now))
