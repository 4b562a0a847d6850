"""The full-text index is right whoever writes, and what is typed never breaks it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_db import TypeMismatch
from aurora_db.aql import search


def found(db, query):
    text = "query ($q: String!) { t(search: {query: $q}, orderBy: id) { id } }"
    return [one["id"] for one in db.execute(text, {"q": query})["t"]]


@pytest.fixture
def texts(db):
    db.execute("schema { define collection t { a: String @search  b: String @search } }")
    db["t"].insert_many([{"id": "1", "a": "the sea"}, {"id": "2", "b": "a lake"}])
    return db


def test_another_programs_writes_are_found(texts, other_program):
    """What the plain sqlite3 program inserts, updates and deletes shows in the index."""
    other_program(
        "INSERT INTO t (id, a) VALUES ('3', 'an ocean');"
        "UPDATE t SET a = 'the desert' WHERE id = '1';"
        "DELETE FROM t WHERE id = '2';"
    )
    assert found(texts, "ocean") == ["3"]
    assert found(texts, "desert") == ["1"]
    assert found(texts, "sea") == []
    assert found(texts, "lake") == []


def test_a_rolled_back_write_is_not_found(texts):
    """The index is part of the transaction."""
    with texts.transaction() as tx:
        tx["t"].insert({"id": "4", "a": "volcano"})
        assert [one["id"] for one in tx.execute('{ t(search: "volcano") { id } }')["t"]] == ["4"]
        tx.rollback()
    assert found(texts, "volcano") == []


@given(query=st.text(alphabet="ab \"*-()^:{}'\x00OR+é", max_size=30))
def test_no_text_breaks_the_expression(query):
    """Whatever is typed is a search or is refused, never an error of the engine."""
    import apsw

    db = apsw.Connection(":memory:")
    db.execute("CREATE VIRTUAL TABLE f USING fts5 (a, b)")
    db.execute("INSERT INTO f VALUES ('a b ab', 'ba')")
    try:
        units = search.units(query)
    except TypeMismatch:
        return
    expression = search.expression(units, ["a"], {})
    if expression is not None:
        db.execute("SELECT rowid FROM f WHERE f MATCH ?", (expression,)).fetchall()


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [("sea", "sea", 0), ("sea", "see", 1), ("sea", "seas", 1), ("sea", "esa", 1), ("sea", "se", 1),
     ("database", "databsae", 1), ("kitten", "sitting", 3), ("", "ab", 2)],
)  # fmt: skip
def test_edits(one, other, edits):
    """An edit adds, drops or changes a letter, or swaps two neighbours."""
    assert search.edits_between(one, other, 3) == edits
    assert search.edits_between(other, one, 3) == edits
