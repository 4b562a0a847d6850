"""`debounce` and `throttle`: what a subscription heard is held back, and said as one."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from aurora_db import Added, AsyncAurora, F, Modified, Removed, Timeout, ValidationError
from aurora_db.live import subscription
from aurora_db.store import changes

#: Seconds after which a test has hung.
GUARD = 30


@pytest.fixture
def shop(db):
    """Two orders, one of them open."""
    db.execute("schema { define collection orders { status: String total: Int } }")
    db["orders"].insert_many(
        [
            {"id": "a", "status": "open", "total": 1},
            {"id": "b", "status": "done", "total": 2},
        ]
    )
    return db


def heard(db):
    """Return when all that is committed was handed on to who is live."""
    last = db._engine.read(changes.end)
    ends = time.monotonic() + GUARD
    while db._feed.position < last:
        assert time.monotonic() < ends
        time.sleep(0.001)


def nothing(items):
    """Nothing is said now."""
    with pytest.raises(Timeout):
        items.next(timeout=0)
    return True


def is_open(db):
    return db.query("orders").filter(F.status == "open").select("id", "total")


def test_after_a_silence_the_last_state_of_each_document_is_said(shop, clock):
    """What came, changed and went within it is not said at all."""
    with is_open(shop).debounce(2).watch() as watch:
        assert watch.next(timeout=GUARD) == Added({"id": "a", "total": 1})
        shop["orders"].insert({"id": "c", "status": "open", "total": 3})
        shop["orders"].update("a", {"total": 10})
        shop["orders"].update("c", {"total": 30})
        shop["orders"].update("a", {"total": 11})
        shop["orders"].insert({"id": "d", "status": "open"})
        shop["orders"].delete("d")
        heard(shop)
        assert nothing(watch)
        clock.advance(1.9)
        assert nothing(watch)
        clock.advance(0.1)
        assert [watch.next(timeout=GUARD) for _ in range(2)] == [
            Added({"id": "c", "total": 30}),
            Modified({"id": "a", "total": 1}, {"id": "a", "total": 11}),
        ]
        assert nothing(watch)


def test_each_change_begins_the_silence_anew_but_not_for_ever(shop, clock):
    """Ten times its seconds after the first change it is said, whatever still comes."""
    with is_open(shop).debounce(2).watch(initial=False) as watch:
        for n in range(13):
            shop["orders"].update("a", {"total": n})
            heard(shop)
            assert nothing(watch)
            clock.advance(1.5)
        shop["orders"].update("a", {"total": 100})
        heard(shop)
        assert nothing(watch)
        clock.advance(0.5)
        assert watch.next(timeout=GUARD).new == {"id": "a", "total": 100}


def test_a_throttle_says_the_first_at_once(shop, clock):
    """Then nothing for its seconds, then the last states."""
    with is_open(shop).throttle(5).watch(initial=False) as watch:
        shop["orders"].update("a", {"total": 10})
        assert watch.next(timeout=GUARD).new["total"] == 10
        shop["orders"].update("a", {"total": 11})
        shop["orders"].update("a", {"status": "done"})
        heard(shop)
        assert nothing(watch)
        clock.advance(5)
        assert watch.next(timeout=GUARD) == Removed({"id": "a", "total": 10})


def test_lists_are_held_back_too(shop, clock):
    """Of a live query the last list is said."""
    with is_open(shop).order_by("id").debounce(2).live() as live:
        assert live.next(timeout=GUARD) == [{"id": "a", "total": 1}]
        for n in range(5):
            shop["orders"].update("a", {"total": n})
        heard(shop)
        assert nothing(live)
        clock.advance(2)
        assert live.next(timeout=GUARD) == [{"id": "a", "total": 4}]
        assert nothing(live)


def test_what_changes_nothing_that_is_shown_is_nothing_to_wait_for(shop, clock):
    """The silence begins with the first change that counts."""
    with is_open(shop).order_by("id").debounce(2).live() as live:
        assert live.next(timeout=GUARD) == [{"id": "a", "total": 1}]
        shop["orders"].update("a", {"total": 2})
        shop["orders"].update("a", {"total": 1})
        heard(shop)
        clock.advance(100)
        with contextlib.suppress(Timeout):
            live.next(timeout=0)
        shop["orders"].update("b", {"total": 7})
        heard(shop)
        clock.advance(100)
        shop["orders"].update("a", {"total": 3})
        heard(shop)
        assert nothing(live)
        clock.advance(2)
        assert live.next(timeout=GUARD) == [{"id": "a", "total": 3}]


def test_who_waits_is_woken_when_time_has_come(shop, clock):
    """A thread that waits needs nobody to ask again."""
    with is_open(shop).debounce(3_600).watch(initial=False) as watch:
        taken = []
        thread = threading.Thread(target=lambda: taken.append(watch.next(timeout=GUARD)))
        thread.start()
        shop["orders"].update("a", {"total": 10})
        heard(shop)
        clock.advance(3_600)
        thread.join(GUARD)
        assert [one.new["total"] for one in taken] == [10]


async def test_time_passes_by_itself_for_tasks(path):
    """On the machine's clock, and the event loop goes on meanwhile."""
    async with AsyncAurora(path) as db:
        await db.execute("schema { define collection orders { total: Int } }")
        query = db.query("orders").select("id", "total")
        async with query.debounce(0.05).watch(initial=False) as watch:
            await db["orders"].insert({"id": "a", "total": 1})
            await db["orders"].update("a", {"total": 2})
            assert await watch.next(timeout=GUARD) == Added({"id": "a", "total": 2})


def test_its_position_moves_when_all_of_it_was_taken(shop, clock):
    """Whoever stops in the middle is told all that was held back once more."""
    query = is_open(shop)
    with query.debounce(2).watch(initial=False) as watch:
        before = watch.position
        for id in ("c", "d"):
            shop["orders"].insert({"id": id, "status": "open", "total": 3})
            shop["orders"].update(id, {"total": 4})
        heard(shop)
        clock.advance(2)
        assert watch.next(timeout=GUARD) == Added({"id": "c", "total": 4})
        assert watch.position == before
        assert watch.next(timeout=GUARD) == Added({"id": "d", "total": 4})
        after = watch.position
    with query.watch(since=after) as watch:
        shop["orders"].insert({"id": "e", "status": "open", "total": 5})
        assert watch.next(timeout=GUARD) == Added({"id": "e", "total": 5})


def test_what_is_held_back_has_an_end(shop, monkeypatch):
    """A full buffer is said without waiting, so memory is bounded."""
    options = {**subscription.Stream.__init__.__kwdefaults__, "buffer": 50}
    monkeypatch.setattr(subscription.Stream.__init__, "__kwdefaults__", options)
    with shop.query("orders").select("id").debounce(3_600).watch(initial=False) as watch:
        for n in range(120):
            shop["orders"].insert({"id": f"n{n}"})
        known = [watch.next(timeout=GUARD).doc["id"] for _ in range(50)]
        assert known == [f"n{n}" for n in range(50)]


def test_what_was_held_back_is_said_before_a_reset(shop, clock):
    """Definitions that change wait for nobody."""
    with is_open(shop).debounce(3_600).watch(initial=False) as watch:
        shop["orders"].update("a", {"total": 10})
        heard(shop)
        shop.execute("alter collection orders { add extra: Int }")
        said = [watch.next(timeout=GUARD) for _ in range(3)]
        assert said[0] == Modified({"id": "a", "total": 1}, {"id": "a", "total": 10})
        assert said[1].reason == "definition"
        assert said[2] == Added({"id": "a", "total": 10})


def test_aql_says_it_as_well(shop, clock):
    """`debounce` is an argument of a subscription."""
    text = 'subscription { orders(debounce: "2s") { mutation node { total } changed } }'
    with shop.stream(text) as stream:
        shop["orders"].update("a", {"total": 10})
        shop["orders"].update("a", {"total": 11})
        heard(shop)
        assert nothing(stream)
        clock.advance(2)
        assert stream.next(timeout=GUARD) == {
            "orders": {"mutation": "UPDATE", "node": {"total": 11}, "changed": ["total"]}
        }


@pytest.mark.parametrize("duration", [-1, float("nan"), float("inf")])
def test_a_duration_is_from_0(shop, duration):
    """Anything else is refused when it is said."""
    for step in ("debounce", "throttle"):
        with pytest.raises(ValidationError, match=f"'{step}' is a duration"):
            getattr(shop.query("orders"), step)(duration)


def test_a_verb_that_gives_one_answer_refuses_it(shop):
    """Nothing is silently ignored."""
    for verb in ("all", "count", "first", "explain"):
        with pytest.raises(ValidationError, match=r"'debounce' is for watch\(\) and live\(\)"):
            getattr(shop.query("orders").debounce(1), verb)()
