"""The writer: who shares a commit fails alone, and nobody waits for himself."""

from __future__ import annotations

import threading
import time

import pytest

from aurora_db import Aurora, Timeout, TransactionError, UniqueViolation


def test_threads_share_commits_and_fail_alone(db):
    """Eight threads insert; those with a taken name fail, the others are all there."""
    db.execute("schema { define collection u { name: String @unique } }")
    refused: list[str] = []

    def insert(thread: int) -> None:
        for n in range(25):
            try:
                db["u"].insert({"name": f"{n}" if thread < 2 else f"{thread}-{n}"})
            except UniqueViolation:
                refused.append(f"{n}")

    threads = [threading.Thread(target=insert, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(refused) == 25
    assert db["u"].count() == 7 * 25


def test_a_transaction_past_its_deadline_is_rolled_back(db):
    """The next statement says so, nothing is kept, and others go on."""
    db.execute("schema { define collection u { n: Int } }")
    with pytest.raises(Timeout), db._engine.transaction(deadline=0.02) as held:
        db_tx = held
        end = time.monotonic() + 0.05
        while time.monotonic() < end:
            pass
        db_tx.commit()
    db.insert_into("u", {"n": 1})
    assert db["u"].count() == 1


def test_a_transaction_that_was_rolled_back_takes_no_more(db):
    """A verb after rollback() is refused."""
    db.execute("schema { define collection u { n: Int } }")
    with db.transaction() as tx:
        tx.rollback()
        with pytest.raises(TransactionError):
            tx["u"].insert({"n": 1})
    assert db["u"].count() == 0


def test_the_operations_of_a_bulk_are_one(db, other_program):
    """A bulk is one row of `_operations`; a change of another program stands alone."""
    db.execute("schema { define collection u { n: Int } }")
    db["u"].insert_many([{"n": n} for n in range(5)])
    other_program("INSERT INTO u (n) VALUES (9)")
    changes = db.execute('{ _changes(where: {collection: "u"}) { seq op after } }')["_changes"]
    rows = db._engine.read(lambda port: port.rows("SELECT first, last FROM _operations"))
    assert [change["after"]["n"] for change in changes] == [0, 1, 2, 3, 4, 9]
    assert rows == [(changes[0]["seq"], changes[4]["seq"])]


def test_a_collection_of_another_process_can_be_had_at_once(path):
    """`db[name]` and `db.query(name)` know what was defined a moment ago elsewhere."""
    with Aurora(path) as one, Aurora(path) as other:
        one.execute("schema { define collection a { n: Int } }")
        assert other["a"].count() == 0
        one.execute("schema { define collection b { n: Int } }")
        assert other.query("b").all() == []


def test_another_process_may_define_what_this_one_reads(path):
    """A collection defined elsewhere is known at its first use here."""
    with Aurora(path) as here, Aurora(path) as there:
        there.execute("schema { define collection late { n: Int } }")
        there.insert_into("late", {"n": 1})
        assert here.execute("{ late { n } }") == {"late": [{"n": 1}]}
        assert here.insert_into("late", {"n": 2})


def test_old_changes_are_forgotten(path, clock):
    """The feed keeps a day unless told otherwise."""
    with Aurora(path) as db:
        db.execute("schema { define collection u { n: Int } }")
        db["u"].insert_many([{"n": n} for n in range(10)])
    clock.advance(400 * 86_400)
    with Aurora(path, clock=clock) as db:
        assert db.execute("{ _changes { seq } }") == {"_changes": []}
