"""The behaviours that the documents of aurora-db 0.6 promise, by their number: the feed of changes."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from aurora_db import Added, F, ForeignKeyViolation, Modified, Removed, Timeout, UniqueViolation
from aurora_db.store import changes

#: Seconds after which a test has hung.
GUARD = 30


def nothing(subscription):
    """Nothing more is said, after what is committed now has been handed on."""
    with pytest.raises(Timeout):
        subscription.next(timeout=0)
    return True


def test_67_an_insert_is_an_event(db):
    """A subscription without a filter tells the collection, by its root, and the document."""
    db.execute("schema { define collection users { name: String } }")
    text = "subscription { users { mutation id node { name } } }"
    with db.stream(text) as events, db.listen("users") as listener:
        id = db["users"].insert({"name": "Ada"})
        assert events.next(timeout=GUARD) == {
            "users": {"mutation": "INSERT", "id": id, "node": {"name": "Ada"}}
        }
        change = listener.next(timeout=GUARD)
        assert (change.collection, change.op, change.id) == ("users", "insert", id)
        assert change.new["name"] == "Ada"


def test_68_only_what_matches_is_an_event(db):
    """Of 5, 15 and 10 exactly the one over 10; of three texts the two that begin so."""
    db.execute("schema { define collection logs { score: Int text: String } }")
    high = "subscription { logs(where: {score: {gt: 10}}) { node { score } } }"
    errors = 'subscription { logs(where: {text: {startsWith: "Error"}}) { node { text } } }'
    with db.stream(high) as scores, db.stream(errors) as texts:
        for score in (5, 15, 10):
            db["logs"].insert({"score": score})
        for text in ("Error: disk", "Warning: heat", "Error: net"):
            db["logs"].insert({"text": text})
        db["logs"].insert({"score": 100, "text": "Error: the last one"})
        said = [scores.next(timeout=GUARD)["logs"]["node"]["score"] for _ in range(2)]
        assert said == [15, 100]
        said = [texts.next(timeout=GUARD)["logs"]["node"]["text"] for _ in range(3)]
        assert said == ["Error: disk", "Error: net", "Error: the last one"]


def test_69_only_updates_of_watched_fields_are_events(db):
    """An update of another field is none; inserts pass; the filter still holds."""
    db.execute("schema { define collection users { status: String bio: String age: Int } }")
    query = db.query("users").filter(F.age >= 18).select("id", "status")
    with (
        query.watch(fields=["status"]) as watch,
        db.listen("users", where={"age": {"gte": 18}}, fields=["status"]) as listener,
    ):
        db["users"].insert({"id": "ada", "status": "new", "age": 36})
        db["users"].update("ada", {"bio": "mathematician"})
        db["users"].insert({"id": "bob", "status": "new", "age": 17})
        db["users"].update("bob", {"status": "active"})
        db["users"].update("ada", {"status": "active"})
        assert [watch.next(timeout=GUARD) for _ in range(2)] == [
            Added({"id": "ada", "status": "new"}),
            Modified({"id": "ada", "status": "new"}, {"id": "ada", "status": "active"}),
        ]
        said = [listener.next(timeout=GUARD) for _ in range(2)]
        assert [(one.op, one.id, one.changed) for one in said] == [
            ("insert", "ada", ()),
            ("update", "ada", ("status",)),
        ]


def test_70_the_names_of_changed_fields(db):
    """Those whose value differs, that came and that went; none for an insert and a delete."""
    db.execute("schema { define collection users @flexible { name: String age: Int } }")
    text = "subscription { users { mutation changed } }"
    with db.stream(text) as events, db.listen("users") as listener:
        id = db["users"].insert({"name": "Ada", "age": 35, "old": 1})
        db["users"].update(id, {"age": 36, "name": "Ada", "more": True})
        db["users"].update(id, {"old": None})
        db["users"].delete(id)
        expected = [
            ("insert", set()),
            ("update", {"age", "more"}),
            ("update", {"old"}),
            ("delete", set()),
        ]
        for op, names in expected:
            change = listener.next(timeout=GUARD)
            assert (change.op, set(change.changed)) == (op, names)
            event = events.next(timeout=GUARD)["users"]
            assert (event["mutation"], set(event["changed"])) == (op.upper(), names)


def test_71_fifty_listeners_get_every_event_in_order(db):
    """Each of them, while several threads write."""
    db.execute("schema { define collection t { thread: Int n: Int } }")
    listeners = [db.listen("t") for _ in range(50)]

    def write(thread):
        for n in range(20):
            db["t"].insert({"thread": thread, "n": n})

    threads = [threading.Thread(target=write, args=(one,)) for one in range(5)]
    for one in threads:
        one.start()
    said = [[one.next(timeout=GUARD) for _ in range(100)] for one in listeners]
    for one in threads:
        one.join(GUARD)
    orders = [[(one.new["thread"], one.new["n"]) for one in feed] for feed in said]
    assert all(order == orders[0] for order in orders)
    for thread in range(5):
        assert [n for which, n in orders[0] if which == thread] == list(range(20))
    for one in listeners:
        assert nothing(one)
        one.close()


def test_72_what_is_not_committed_is_no_event(db):
    """A mutation that fails, a transaction that is rolled back or cannot commit: the feed has nothing."""
    db.execute("""schema {
      define collection t { name: String @unique }
      define collection s { t: ID @relation(to: "t") }
    }""")
    listener, watch = db.listen("t"), db.query("t").select("name").watch()
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
    change = listener.next(timeout=GUARD)
    assert (change.op, change.id) == ("insert", id)
    assert watch.next(timeout=GUARD) == Added({"name": "x"})


def test_73_a_watcher(db, clock):
    """What matches at the start is Added; an update out of the filter is Removed; debounce keeps the last state."""
    db.execute("schema { define collection t { status: String n: Int } }")
    db["t"].insert({"id": "a", "status": "open", "n": 1})
    db["t"].insert({"id": "b", "status": "done", "n": 1})
    query = db.query("t").filter(F.status == "open").select("id", "n")
    with query.watch() as watch, query.debounce(0.05).watch() as calm:
        assert watch.next(timeout=GUARD) == Added({"id": "a", "n": 1})
        assert calm.next(timeout=GUARD) == Added({"id": "a", "n": 1})
        db["t"].insert({"id": "c", "status": "open", "n": 1})
        for n in (2, 3, 4):
            db["t"].update("c", {"n": n})
        db["t"].update("a", {"status": "done"})
        said = [watch.next(timeout=GUARD) for _ in range(5)]
        assert said[0] == Added({"id": "c", "n": 1})
        assert [one.new["n"] for one in said[1:4]] == [2, 3, 4]
        assert said[4] == Removed({"id": "a", "n": 1})
        heard(db)
        assert nothing(calm)
        clock.advance(0.05)
        assert [calm.next(timeout=GUARD) for _ in range(2)] == [
            Added({"id": "c", "n": 4}),
            Removed({"id": "a", "n": 1}),
        ]


def heard(db):
    """Return when all that is committed was handed on to who is live."""
    last = db._engine.read(changes.end)
    ends = time.monotonic() + GUARD
    while db._feed.position < last:
        assert time.monotonic() < ends
        time.sleep(0.001)
