import pytest
import shop

from aurora_db import TypeMismatch
from aurora_db.testing import POINTS


def test_a_receipt_follows_in_a_minute(aurora):
    shop.order(aurora, "ada", 12.5)
    aurora.jobs_testing.assert_enqueued(
        "receipt", payload={"customer": "ada"}, queue="mail", within=60
    )
    assert aurora.jobs_testing.drain(queue="mail").completed == 0
    aurora.jobs_testing.clock.advance(60)
    assert aurora.jobs_testing.drain(queue="mail").completed == 1
    assert shop.sent == ["ada"]


def test_an_order_that_fails_sends_nothing(aurora):
    with pytest.raises(TypeMismatch, match="total"):
        shop.order(aurora, "ada", "much")
    aurora.jobs_testing.refute_enqueued("receipt")


@pytest.mark.aurora(mode="inline")
def test_orders_are_in_the_books_at_once(aurora):
    id = shop.order(aurora, "ada", 12.5)
    assert aurora.execute("{ books { order total } }") == {"books": [{"order": id, "total": 12.5}]}


def test_a_receipt_needs_a_customer(aurora):
    assert aurora.jobs_testing.perform("receipt", {"customer": "ada"}, attempt=2) == "attempt 2"
    with pytest.raises(ValueError, match="nobody to write to"):
        aurora.jobs_testing.perform("receipt", {"customer": ""})


@pytest.mark.parametrize(
    "point", ["after_claim", "in_completing_before_commit", "after_commit_before_ack"]
)
def test_an_order_is_counted_once_whenever_the_worker_dies(aurora, point):
    shop.order(aurora, "ada", 12.5)
    with aurora.jobs_testing.crash_at(point):
        aurora.jobs_testing.drain("count_order")
    aurora.jobs_testing.drain("count_order")
    assert aurora["books"].count() == 1


def test_a_receipt_may_go_out_twice(aurora):
    """What is documented: outside of the database a job's work is done at least once."""
    shop.order(aurora, "ada", 12.5)
    with aurora.jobs_testing.crash_at("before_commit"):
        aurora.jobs_testing.drain("receipt", with_scheduled=True)
    aurora.jobs_testing.drain("receipt")
    assert shop.sent == ["ada", "ada"]


def test_every_point_has_a_meaning():
    assert POINTS["before_commit"] == "the handler has returned, and how it ended is not committed"
