"""The behaviours that the documents of aurora-db 0.6 promise, by their number: the feed of changes."""

from __future__ import annotations

import contextlib

import pytest

from aurora_db import ForeignKeyViolation, UniqueViolation


def test_72_what_is_not_committed_is_no_event(db):
    """A mutation that fails, a transaction that is rolled back or cannot commit: the feed has nothing."""
    db.execute("""schema {
      define collection t { name: String @unique }
      define collection s { t: ID @relation(to: "t") }
    }""")
    with pytest.raises(UniqueViolation):
        db.execute("""mutation {
          a: insertInto(collection: "t", data: {name: "x"}) { id }
          b: insertInto(collection: "t", data: {name: "x"}) { id }
        }""")
    with db.transaction() as tx:
        tx["t"].insert({"name": "y"})
        tx.rollback()
    with contextlib.suppress(ForeignKeyViolation), db.transaction() as tx:
        tx["t"].insert({"name": "z"})
        tx["s"].insert({"t": "nobody"})
    assert db.execute("{ _changes { op } }") == {"_changes": []}
    id = db["t"].insert({"name": "x"})
    assert db.execute("{ _changes { collection op id } }") == {
        "_changes": [{"collection": "t", "op": "insert", "id": id}]
    }
