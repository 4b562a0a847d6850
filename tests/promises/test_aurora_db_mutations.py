"""The behaviours that the documents of aurora-db 0.6 promise of mutations, by their number."""

from __future__ import annotations

import threading

import pytest

from aurora_db import UniqueViolation


@pytest.fixture
def t(db):
    """A collection of numbers and lists."""
    db.execute("schema { define collection t { name: String @unique  n: Int  tags: [String] } }")
    return db["t"]


def test_56_four_inserts_in_one_mutation(db, t):
    """Each part has its result."""
    parts = " ".join(
        f'p{n}: insertInto(collection: "t", data: {{n: {n}}}) {{ n }}' for n in range(4)
    )
    assert db.execute(f"mutation {{ {parts} }}") == {
        "p0": {"n": 0}, "p1": {"n": 1}, "p2": {"n": 2}, "p3": {"n": 3},
    }  # fmt: skip
    assert t.count() == 4


def test_57_update_and_delete_say_how_many(db, t):
    """`set` and `data` are one; the change is visible."""
    t.insert({"id": "a", "n": 1})
    changed = db.execute('mutation { update(collection: "t", id: "a", set: {n: 2}) { affected } }')
    assert changed == {"update": {"affected": 1}}
    changed = db.execute('mutation { update(collection: "t", id: "a", data: {n: 3}) { affected } }')
    assert changed == {"update": {"affected": 1}}
    assert t.get("a")["n"] == 3
    gone = db.execute('mutation { deleteFrom(collection: "t", where: {n: 3}) { affected } }')
    assert gone == {"deleteFrom": {"affected": 1}}


def test_58_update_operators(db, t):
    """10 and 5 are 15, less 3 are 12; lists grow, stay sets, lose elements."""
    t.insert({"id": "a", "n": 10, "tags": ["x"]})
    t.update("a", {"n": {"increment": 5}})
    assert t.get("a")["n"] == 15
    t.update("a", {"n": {"decrement": 3}})
    assert t.get("a")["n"] == 12
    t.update("a", {"tags": {"push": "y"}})
    t.update("a", {"tags": {"addToSet": "y"}})
    assert t.get("a")["tags"] == ["x", "y"]
    t.update("a", {"tags": {"pull": "x"}})
    assert t.get("a")["tags"] == ["y"]


def test_59_upsert_inserts_or_updates(db, t):
    """One document, whichever came first; a selection shows what it names."""
    text = 'mutation ($n: Int) { upsert(collection: "t", where: {name: "a"}, data: {n: $n}) { n _created } }'
    assert db.execute(text, {"n": 1}) == {"upsert": {"n": 1, "_created": True}}
    assert db.execute(text, {"n": 2}) == {"upsert": {"n": 2, "_created": False}}
    only = 'mutation { upsert(collection: "t", where: {name: "a"}, data: {n: 3}) { n } }'
    assert db.execute(only) == {"upsert": {"n": 3}}
    assert t.count() == 1


def test_60_upsert_with_an_operator_makes_a_number(db, t):
    """The first one counts from 0."""
    text = (
        'mutation { upsert(collection: "t", where: {name: "a"}, data: {n: {increment: 1}}) { n } }'
    )
    assert db.execute(text) == {"upsert": {"n": 1}}
    assert db.execute(text) == {"upsert": {"n": 2}}


def test_61_insert_many(db, t):
    """Three documents, also inside a transaction."""
    many = 'insertMany(collection: "t", data: [{n: 1}, {n: 2}, {n: 3}]) { count }'
    assert db.execute(f"mutation {{ {many} }}") == {"insertMany": {"count": 3}}
    inside = db.execute(f"mutation {{ transaction {{ {many} }} }}")
    assert inside == {"transaction": {"insertMany": {"count": 3}}}
    assert t.count() == 6


def test_62_a_transaction_over_two_collections(db, t):
    """All three are there."""
    db.execute("schema { define collection u { n: Int } }")
    result = db.execute(
        """mutation { transaction {
            a: insertInto(collection: "t", data: {n: 1}) { n }
            b: insertInto(collection: "u", data: {n: 2}) { n }
            c: insertInto(collection: "u", data: {n: 3}) { n }
        } }"""
    )
    assert result == {"transaction": {"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 3}}}
    assert (t.count(), db["u"].count()) == (1, 2)


def test_63_a_failure_leaves_nothing(db, t):
    """The part that fails takes those before it along."""
    with pytest.raises(UniqueViolation):
        db.execute(
            """mutation {
                a: insertInto(collection: "t", data: {name: "x"}) { id }
                b: insertInto(collection: "t", data: {name: "x"}) { id }
            }"""
        )
    assert t.count() == 0


def test_64_a_scope_is_seen_when_it_commits(db, t):
    """What is inserted inside is not seen outside; a rollback leaves the balance as it was."""
    t.insert({"id": "account", "n": 100})
    seen: list[int] = []
    with db.transaction() as tx:
        tx["t"].insert({"id": "new"})
        reader = threading.Thread(target=lambda: seen.append(t.count({"id": "new"})))
        reader.start()
        reader.join(30)
        tx.rollback()
    assert (seen, t.get("new")) == ([0], None)
    update = 'mutation { update(collection: "t", id: "account", data: {n: {decrement: 30}}) { affected } }'
    with db.transaction() as tx:
        tx.execute(update)
        tx.rollback()
    assert t.get("account")["n"] == 100
    with db.transaction() as tx:
        tx.execute(update)
    assert t.get("account")["n"] == 70


def test_65_increments_add_up(db, t):
    """Fifty threads count to fifty."""
    t.insert({"id": "a", "n": 0})
    threads = [
        threading.Thread(target=t.update, args=("a", {"n": {"increment": 1}})) for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert t.get("a")["n"] == 50


def test_66_import_and_export(db, t):
    """Three in, three out."""
    data = [{"id": "a", "n": 1}, {"id": "b", "n": 2}, {"id": "c", "n": 3}]
    text = 'mutation ($d: [JSON!]!) { import(collection: "t", data: $d) { count } }'
    assert db.execute(text, {"d": data}) == {"import": {"count": 3}}
    found = db.execute('mutation { export(collection: "t", format: JSON) { count data } }')[
        "export"
    ]
    assert found["count"] == 3
    assert [(one["id"], one["n"]) for one in found["data"]] == [("a", 1), ("b", 2), ("c", 3)]


def test_82_enqueue_job(db):
    """Id, type and status of a job that waits."""
    made = db.execute(
        'mutation { enqueueJob(type: "mail", payload: {to: "a"}) { job_id job_type status } }'
    )
    job = made["enqueueJob"]
    assert db.get_job(job["job_id"]).payload == {"to": "a"}
    assert (job["job_type"], job["status"]) == ("mail", "PENDING")
    assert db.execute("{ _jobs { type } }") == {"_jobs": [{"type": "mail"}]}


def test_95_export_then_import(db, t, tmp_path):
    """Imported, skipped for an id that exists, failed for a bad type; JSON and CSV."""
    t.insert_many([{"id": "a", "n": 1}, {"id": "b", "n": 2}])
    for name in ("t.json", "t.csv"):
        file = tmp_path / name
        assert db.export_file("t", file) == 2
        t.delete("b")
        text = file.read_text()
        file.write_text(
            text + "c,,many,\n" if name == "t.csv" else text[:-3] + ',{"id": "c", "n": "many"}]'
        )
        report = db.import_file("t", file, on_conflict="skip")
        assert (report.imported, report.skipped, report.failed_count) == (1, 1, 1)
        assert t.get("b")["n"] == 2
