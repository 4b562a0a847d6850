"""`db.listen`: which changes a program hears of, and what a change says."""

from __future__ import annotations

import datetime as dt
from datetime import UTC, datetime

import pytest

from aurora_db import (
    AqlError,
    SubscriptionClosed,
    Timeout,
    TypeMismatch,
    UnknownCollection,
    UnknownField,
    UnknownOperator,
    Unsupported,
    ValidationError,
)

#: Seconds after which a wait has failed.
GUARD = 60.0

SCHEMA = """schema {
    define collection orders {
        number: Int!  status: String = "open"  due: Date  placed: DateTime  lines: [{ sku: String, on: Date }]
        customer: String @relation(to: customers)
        total: Int @computed("number * 2")
    }
    define collection customers { name: String }
    define collection logs @quiet { text: String }
    define collection notes @flexible { title: String }
}"""


@pytest.fixture
def shop(db):
    """A database with orders."""
    db.execute(SCHEMA)
    return db


def nothing(subscription):
    """Whether the subscription has nothing to say."""
    with pytest.raises(Timeout):
        subscription.next(timeout=0.05)
    return True


def test_a_change_has_values_of_python(shop):
    """Dates come as dates, as in a query, and also inside of lists."""
    with shop.listen("orders") as changes:
        id = shop["orders"].insert({
            "number": 1, "due": dt.date(2026, 5, 1), "placed": datetime(2026, 4, 1, tzinfo=UTC),
            "lines": [{"sku": "a", "on": dt.date(2026, 4, 2)}],
        })  # fmt: skip
        change = changes.next(timeout=GUARD)

    assert (change.collection, change.op, change.id, change.old) == ("orders", "insert", id, None)
    assert change.new == {
        "id": id, "number": 1, "status": "open", "due": dt.date(2026, 5, 1), "placed": datetime(2026, 4, 1, tzinfo=UTC),
        "lines": [{"sku": "a", "on": dt.date(2026, 4, 2)}], "customer": None, "total": 2,
    }  # fmt: skip
    assert change.new == shop["orders"].get(id)
    assert change.at.tzinfo is not None
    assert (change.changed, change.ends) == ((), True)


def test_an_update_says_both_documents_and_what_differs(shop):
    """Old and new are whole; changed are the names of the fields that differ, without the revision."""
    id = shop["orders"].insert({"number": 1})
    with shop.listen("orders") as changes:
        shop["orders"].update(id, {"status": "paid", "number": 1})
        shop["orders"].delete(id)
        updated, deleted = changes.next(timeout=GUARD), changes.next(timeout=GUARD)

    assert (updated.old["status"], updated.new["status"], updated.changed) == ("open", "paid", ("status",))  # fmt: skip
    assert (deleted.op, deleted.old["status"], deleted.new, deleted.changed) == ("delete", "paid", None, ())  # fmt: skip


def test_what_the_user_changes_is_the_users_own(shop):
    """Two listeners get two documents."""
    one, other = shop.listen("orders"), shop.listen("orders")
    shop["orders"].insert({"number": 1, "lines": [{"sku": "a"}]})
    change = one.next(timeout=GUARD)
    change.new["number"] = 9
    change.new["lines"][0]["sku"] = "z"
    assert other.next(timeout=GUARD).new["lines"] == [{"sku": "a"}]


def test_a_condition_sees_the_document_before_and_after(shop):
    """A change is said where the document matched before it, or does after it."""
    with shop.listen("orders", where={"status": {"eq": "open"}}) as changes:
        id = shop["orders"].insert({"number": 1})
        shop["orders"].insert({"number": 2, "status": "paid"})
        shop["orders"].update(id, {"status": "paid"})
        shop["orders"].update(id, {"number": 3})
        shop["orders"].update(id, {"status": "open"})
        said = [changes.next(timeout=GUARD) for _ in range(3)]

    assert [(one.op, one.new["number"], one.new["status"]) for one in said] == [
        ("insert", 1, "open"),
        ("update", 1, "paid"),
        ("update", 3, "open"),
    ]
    assert nothing(shop.listen("orders", where={"number": {"gt": 5}}))


def test_updates_of_other_fields_are_left_out(shop):
    """With fields, updates that change none of them are not said; inserts and deletes are."""
    with shop.listen("orders", fields=["status"]) as changes:
        id = shop["orders"].insert({"number": 1})
        shop["orders"].update(id, {"number": 2})
        shop["orders"].update(id, {"status": "paid"})
        shop["orders"].delete(id)
        said = [changes.next(timeout=GUARD) for _ in range(3)]

    assert [one.op for one in said] == ["insert", "update", "delete"]
    assert said[1].changed == ("status",)


def test_a_transaction_ends_with_the_last_change_that_is_said(shop):
    """`ends` is of what the listener hears: other collections of the transaction do not count."""
    with shop.listen("orders", where={"number": {"lt": 10}}) as changes:
        with shop.transaction() as tx:
            tx["customers"].insert({"name": "Ada"})
            tx["orders"].insert({"number": 1})
            tx["orders"].insert({"number": 2})
            tx["orders"].insert({"number": 11})
            tx["customers"].insert({"name": "Bob"})
        shop["orders"].insert({"number": 3})
        said = [changes.next(timeout=GUARD) for _ in range(3)]

    assert [(one.new["number"], one.ends) for one in said] == [(1, False), (2, True), (3, True)]


def test_an_insert_and_the_job_of_its_event_handler_are_one(shop):
    """Who hears of all collections is told that the job belongs to the insert."""
    shop.execute('define handler "h" { on: "insert:orders" action: { enqueueJob(type: "mail", payload: {}) } }')  # fmt: skip
    with shop.listen_all() as changes:
        shop["orders"].insert({"number": 1})
        shop["orders"].insert({"number": 2})
        said = [changes.next(timeout=GUARD) for _ in range(4)]

    assert [(one.collection, one.ends) for one in said] == [("orders", False), ("_jobs", True)] * 2
    assert said[1].new == {"status": "PENDING"}


def test_jobs_are_heard_by_their_status(shop):
    """Changes of jobs have the status only."""
    with shop.listen("_jobs", where={"status": {"eq": "CANCELLED"}}) as changes:
        job = shop.enqueue_job("mail", {})
        shop.cancel_job(job.id)
        change = changes.next(timeout=GUARD)

    assert (change.id, change.old, change.new) == (job.id, {"status": "PENDING"}, {"status": "CANCELLED"})  # fmt: skip


def test_what_is_rolled_back_is_never_said(shop):
    """A transaction that ends by an exception leaves no change, nor does a statement that fails."""
    with shop.listen_all() as changes:
        with pytest.raises(RuntimeError), shop.transaction() as tx:
            tx["orders"].insert({"number": 1})
            raise RuntimeError
        with pytest.raises(ValidationError):
            shop["orders"].insert_many([{"number": 2}, {"number": None}])
        shop["orders"].insert({"number": 3})
        assert changes.next(timeout=GUARD).new["number"] == 3
        assert nothing(changes)


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        ({"name": "order"}, UnknownCollection, "did you mean 'orders'?"),
        ({"name": "logs"}, Unsupported, "without @quiet"),
        ({"name": "_workers"}, Unsupported, "db.stream"),
        ({"name": "orders", "where": {"stauts": "open"}}, UnknownField, "did you mean 'status'?"),
        ({"name": "orders", "where": {"number": {"contians": 1}}}, UnknownOperator, None),
        ({"name": "orders", "where": {"customer.name": "Ada"}}, Unsupported, "db.stream"),
        ({"name": "orders", "where": {"not": {"customer.name": "Ada"}}}, Unsupported, "db.stream"),
        ({"name": "orders", "where": {"expr": 'customer.name == "Ada"'}}, Unsupported, "db.stream"),
        ({"name": "customers", "where": {"orders": {"some": {"number": 1}}}}, Unsupported, "db.stream"),
        ({"name": "_jobs", "where": {"queue": "mail"}}, Unsupported, "status"),
        ({"name": "_jobs", "fields": ["queue"]}, UnknownField, "status"),
        ({"name": "orders", "fields": ["stauts"]}, UnknownField, "did you mean 'status'?"),
        ({"name": "orders", "fields": ["total"]}, UnknownField, "computed"),
        ({"name": "orders", "fields": ["_rev"]}, UnknownField, "every update"),
        ({"name": "orders", "fields": ["lines.sku"]}, UnknownField, "'lines'"),
        ({"name": "orders", "fields": "status"}, TypeMismatch, 'fields=["status"]'),
        ({"name": "orders", "fields": []}, TypeMismatch, 'fields=["status"]'),
        ({"name": "orders", "where": [1]}, TypeMismatch, None),
    ],
)  # fmt: skip
def test_what_cannot_be_heard_is_refused(shop, arguments, error, hint):
    """A name that is wrong, or a question that a change cannot answer, is an error that says what to do."""
    with pytest.raises(error) as caught:
        shop.listen(**arguments)
    assert hint is None or hint in caught.value.hint


def test_undeclared_fields_are_heard_too(shop):
    """Conditions and fields may name what a flexible collection has."""
    with shop.listen("notes", where={"color": "red"}, fields=["color"]) as changes:
        id = shop["notes"].insert({"title": "a", "color": "red"})
        shop["notes"].update(id, {"title": "b"})
        shop["notes"].update(id, {"color": "blue"})
        said = [changes.next(timeout=GUARD) for _ in range(2)]
    assert [one.new["color"] for one in said] == ["red", "blue"]


def test_the_present_of_a_condition_is_that_of_the_change(shop, clock):
    """`now()` in a condition moves with the clock, not with the subscription."""
    with shop.listen("orders", where={"expr": "placed < now()"}) as changes:
        later = clock.now() + dt.timedelta(hours=1)
        shop["orders"].insert({"number": 1, "placed": later})
        assert nothing(changes)
        clock.advance(7200)
        shop["orders"].insert({"number": 2, "placed": later})
        assert changes.next(timeout=GUARD).new["number"] == 2


def test_an_alter_is_heard_and_the_listener_goes_on(shop):
    """Documents that became others are changes; later ones come with the new fields."""
    shop["customers"].insert({"id": "a", "name": "Ada"})
    with shop.listen("customers") as changes:
        shop.execute('schema { alter collection customers { add city: String = "Rome" } }')
        shop["customers"].insert({"id": "b", "name": "Bob"})
        while (change := changes.next(timeout=GUARD)).id == "a":
            assert change.op == "update"
    assert change.new == {"id": "b", "name": "Bob", "city": "Rome"}


def test_a_condition_that_means_nothing_any_more_ends_the_listener(shop):
    """What came before is said first, then the reason."""
    with shop.listen("customers", where={"name": "Ada"}) as changes:
        shop["customers"].insert({"id": "a", "name": "Ada"})
        shop.execute("schema { alter collection customers { drop name } }")
        assert changes.next(timeout=GUARD).id == "a"
        with pytest.raises(AqlError) as caught:
            while True:
                changes.next(timeout=GUARD)
    assert caught.value.code == "unknown_field"


def test_a_dropped_collection_says_that_its_documents_are_gone(shop):
    """Then the listener ends, for there is no such collection."""
    shop["customers"].insert({"id": "a", "name": "Ada"})
    with shop.listen("customers") as changes:
        shop.execute(
            "schema { alter collection orders { drop customer }  drop collection customers }"
        )
        assert (changes.next(timeout=GUARD).op) == "delete"
        with pytest.raises(UnknownCollection):
            changes.next(timeout=GUARD)


def test_a_closed_listener_ends_its_loop(shop):
    """`for` ends; `next` says that it was closed; closing twice is no error."""
    changes = shop.listen("orders")
    shop["orders"].insert({"number": 1})
    for change in changes:
        assert change.new["number"] == 1
        changes.close()
    changes.close()
    with pytest.raises(SubscriptionClosed):
        changes.next(timeout=GUARD)
