"""`watch` and `live`: what begins to match, changes and ends to match; the whole list, kept up to date."""

from __future__ import annotations

import asyncio
import threading

import msgspec
import pytest

from aurora_db import (
    Added,
    AsyncAurora,
    F,
    Modified,
    Removed,
    Reset,
    SubscriptionClosed,
    TransactionError,
    TypeMismatch,
    UnknownField,
)

#: Seconds after which a test has hung.
GUARD = 30

SCHEMA = """schema {
  define collection users { name: String! }
  define collection orders {
    status: String  total: Int  note: String  at: DateTime  buyer: ID @relation(to: "users")
  }
}"""


@pytest.fixture
def shop(db):
    """Two orders, one of them open."""
    db.execute(SCHEMA)
    db["orders"].insert_many(
        [
            {"id": "a", "status": "open", "total": 10},
            {"id": "b", "status": "done", "total": 20},
        ]
    )
    return db


def shown(document):
    """The fields of a document that a test looks at."""
    return {name: document[name] for name in ("id", "status", "total")}


def order(id, status, total):
    return {"id": id, "status": status, "total": total}


def test_what_matches_comes_first_then_what_changes(shop):
    """Documents that begin to match are Added, those that end to are Removed, as they were when they matched."""
    with (
        shop.query("orders")
        .filter(F.status == "open")
        .select("id", "status", "total")
        .watch() as watch
    ):
        shop["orders"].insert(order("c", "open", 30))
        shop["orders"].insert(order("d", "done", 40))
        shop["orders"].update("c", {"total": 31})
        shop["orders"].update("b", {"status": "open"})
        shop["orders"].update("a", {"status": "done"})
        shop["orders"].delete("c")
        assert [watch.next(timeout=GUARD) for _ in range(6)] == [
            Added(order("a", "open", 10)),
            Added(order("c", "open", 30)),
            Modified(order("c", "open", 30), order("c", "open", 31)),
            Added(order("b", "open", 20)),
            Removed(order("a", "open", 10)),
            Removed(order("c", "open", 31)),
        ]


def test_what_matches_at_the_start_can_be_left_out(shop):
    """Whoever has it already hears of what comes."""
    with shop.query("orders").select("id").watch(initial=False) as watch:
        shop["orders"].insert({"id": "c"})
        assert watch.next(timeout=GUARD) == Added({"id": "c"})


def test_a_watcher_goes_on_where_an_earlier_one_was(shop):
    """With its position nothing is missed and nothing comes twice, and what matched before is not told again."""
    query = shop.query("orders").select("id")
    with query.watch() as watch:
        assert {watch.next(timeout=GUARD).doc["id"] for _ in range(2)} == {"a", "b"}
        shop["orders"].insert({"id": "c"})
        assert watch.next(timeout=GUARD) == Added({"id": "c"})
        position = watch.position
    shop["orders"].insert({"id": "d"})
    with query.watch(since=position) as watch:
        shop["orders"].insert({"id": "e"})
        assert [watch.next(timeout=GUARD) for _ in range(2)] == [
            Added({"id": "d"}),
            Added({"id": "e"}),
        ]


def test_its_position_stands_when_what_matched_at_the_start_was_taken(shop):
    """With the last of it, or at once where nothing matched; not in the middle."""
    query = shop.query("orders").select("id")
    with query.watch() as watch, query.filter(F.total > 99).watch() as empty:
        assert empty.position is not None
        positions = []
        for _ in range(2):
            positions.append(watch.position)
            watch.next(timeout=GUARD)
        assert positions == [None, None]
        position = watch.position
    shop["orders"].insert({"id": "c"})
    with query.watch(since=position) as watch:
        assert watch.next(timeout=GUARD) == Added({"id": "c"})


def test_updates_of_other_fields_are_left_out(shop):
    """Only updates: what begins or ends to match is told whatever the fields."""
    query = shop.query("orders").filter(F.total >= 15).select("id", "status")
    with query.watch(initial=False, fields=["status"]) as watch:
        shop["orders"].update("b", {"note": "x"})
        shop["orders"].update("b", {"total": 25})
        shop["orders"].update("a", {"total": 15})
        shop["orders"].update("b", {"status": "sent"})
        shop["orders"].update("b", {"total": 1})
        assert [watch.next(timeout=GUARD) for _ in range(3)] == [
            Added({"id": "a", "status": "open"}),
            Modified({"id": "b", "status": "done"}, {"id": "b", "status": "sent"}),
            Removed({"id": "b", "status": "sent"}),
        ]


@pytest.mark.parametrize(
    ("fields", "error"), [(["stauts"], UnknownField), ("status", TypeMismatch), ([], TypeMismatch)]
)
def test_fields_that_say_nothing_are_refused(shop, fields, error):
    """An unknown name, a text instead of a list, an empty list."""
    with pytest.raises(error) as refused:
        shop.query("orders").watch(fields=fields)
    assert refused.value.hint in ("did you mean 'status'?", 'fields=["status"]')


def test_a_watcher_with_a_limit_is_a_window(shop):
    """A document that slips into the limit is Added, the one that it pushes out is Removed."""
    top = shop.query("orders").order_by("-total").limit(1).select("id")
    with top.watch() as watch:
        assert watch.next(timeout=GUARD) == Added({"id": "b"})
        shop["orders"].insert(order("c", "open", 30))
        said = [watch.next(timeout=GUARD) for _ in range(2)]
        assert sorted(said, key=repr) == [Added({"id": "c"}), Removed({"id": "b"})]
        shop["orders"].delete("c")
        said = [watch.next(timeout=GUARD) for _ in range(2)]
        assert sorted(said, key=repr) == [Added({"id": "b"}), Removed({"id": "c"})]


def test_live_says_the_whole_list_whenever_it_differs(shop):
    """At first at once; what changes nothing of what is shown says nothing."""
    top = shop.query("orders").order_by("-total").limit(2).select("id", "total")
    with top.live() as live:
        assert live.next(timeout=GUARD) == [{"id": "b", "total": 20}, {"id": "a", "total": 10}]
        shop["orders"].insert(order("c", "open", 5))
        shop["orders"].update("a", {"note": "x"})
        shop["orders"].update("c", {"total": 30})
        assert live.next(timeout=GUARD) == [{"id": "c", "total": 30}, {"id": "b", "total": 20}]


def test_relations_and_computed_fields_can_be_shown(shop):
    """`select` shapes documents as it does for `all`; a list follows the documents that it refers to."""
    shop["users"].insert({"id": "ada", "name": "Ada"})
    shop["orders"].update("a", {"buyer": "ada"})
    query = shop.query("orders").filter(F.status == "open").select("buyer.name", twice="total * 2")
    with query.live() as live:
        assert live.next(timeout=GUARD) == [{"buyer": {"name": "Ada"}, "twice": 20}]
        shop["users"].update("ada", {"name": "Ida"})
        assert live.next(timeout=GUARD) == [{"buyer": {"name": "Ida"}, "twice": 20}]


class Order(msgspec.Struct, frozen=True):
    id: str
    total: int


def test_documents_come_as_records(shop):
    """As `all(as_=…)` gives them."""
    query = shop.query("orders").filter(F.status == "open").select("id", "total")
    with query.watch(as_=Order) as watch, query.live(as_=Order) as live:
        assert watch.next(timeout=GUARD) == Added(Order("a", 10))
        assert live.next(timeout=GUARD) == [Order("a", 10)]
        shop["orders"].update("a", {"total": 11})
        assert watch.next(timeout=GUARD) == Modified(Order("a", 10), Order("a", 11))
        assert live.next(timeout=GUARD) == [Order("a", 11)]


def test_what_a_user_changes_is_the_users_own(shop):
    """Neither another subscription nor a later item sees it."""
    query = shop.query("orders").filter(F.status == "open").select("id", "total")
    with query.watch() as one, query.watch() as two, query.live() as live:
        one.next(timeout=GUARD).doc.clear()
        assert two.next(timeout=GUARD) == Added({"id": "a", "total": 10})
        live.next(timeout=GUARD).clear()
        shop["orders"].update("a", {"total": 11})
        one.next(timeout=GUARD).new.clear()
        assert two.next(timeout=GUARD) == Modified(
            {"id": "a", "total": 10}, {"id": "a", "total": 11}
        )
        assert live.next(timeout=GUARD) == [{"id": "a", "total": 11}]


def test_an_altered_collection_begins_anew(shop):
    """A Reset says why, and what matches now follows as Added; a list is simply said again."""
    query = shop.query("orders").filter(F.status == "open")
    with query.watch() as watch:
        assert isinstance(watch.next(timeout=GUARD), Added)
        shop.execute("alter collection orders { add extra: Int }")
        assert watch.next(timeout=GUARD) == Reset("definition")
        assert watch.next(timeout=GUARD).doc["extra"] is None
        assert watch.reason == "definition"


def test_a_transaction_has_nothing_that_goes_on(shop):
    """It sees only itself, and ends; the error says where to ask instead."""
    with shop.transaction() as tx:
        for verb in ("watch", "live"):
            with pytest.raises(TransactionError) as refused:
                getattr(tx.query("orders"), verb)()
            assert refused.value.hint == f'outside of it: db.query("orders").{verb}()'


def test_values_travel_as_variables(shop):
    """Quotes and braces in a value are a value."""
    with shop.query("orders").filter(F.note == '"}) { id } }').select("id").watch() as watch:
        shop["orders"].insert({"id": "c", "note": '"}) { id } }'})
        assert watch.next(timeout=GUARD) == Added({"id": "c"})


# --- a subscription in general --------------------------------------------------------------


def test_iteration_ends_when_it_is_closed(shop):
    """A loop over it just ends, and `next` says that it is closed; closing twice is no error."""
    watch = shop.query("orders").select("id").watch()
    seen = []
    for update in watch:
        seen.append(update.doc["id"])
        if len(seen) == 2:
            watch.close()
            watch.close()
    assert sorted(seen) == ["a", "b"]
    with pytest.raises(SubscriptionClosed):
        watch.next(timeout=0)


def test_nothing_within_the_timeout(shop):
    """It is a TimeoutError, and the subscription is open still."""
    with shop.query("orders").select("id").watch(initial=False) as watch:
        with pytest.raises(TimeoutError):
            watch.next(timeout=0)
        shop["orders"].insert({"id": "c"})
        assert watch.next(timeout=GUARD) == Added({"id": "c"})


def test_closing_wakes_who_waits(shop):
    """From another thread, also by closing the database."""
    for close in ("subscription", "database"):
        watch = shop.query("orders").watch(initial=False)
        ended = []

        def wait(watch=watch, ended=ended):
            try:
                watch.next(timeout=GUARD)
            except SubscriptionClosed:
                ended.append(True)

        thread = threading.Thread(target=wait)
        thread.start()
        watch.close() if close == "subscription" else shop.close()
        thread.join(GUARD)
        assert ended == [True]


def test_several_threads_may_take_from_one(shop):
    """Each item goes to one of them, and none is lost."""
    watch = shop.query("orders").select("id").watch(initial=False)
    taken = []

    def take():
        for update in watch:
            taken.append(update.doc["id"])
            if len(taken) == 300:
                watch.close()

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(300):
        shop["orders"].insert({"id": f"n{n}"})
    for thread in threads:
        thread.join(GUARD)
        assert not thread.is_alive()
    assert sorted(taken) == sorted(f"n{n}" for n in range(300))


def test_it_says_what_it_is(shop):
    """Its position shows how far it is."""
    with shop.query("orders").watch(initial=False) as watch:
        assert repr(watch) == f"Subscription(Stream(found), position={watch.position!r})"


async def test_tasks_watch_too(path, clock):
    """The same verbs: watch and live are not awaited, their items are."""
    async with AsyncAurora(path, clock=clock) as db:
        await db.execute(SCHEMA)
        async with (
            db.query("orders").select("id").watch() as watch,
            db.query("orders").select("id").live() as live,
        ):
            assert await live.next(timeout=GUARD) == []
            await db["orders"].insert({"id": "a"})
            async for update in watch:
                assert update == Added({"id": "a"})
                break
            assert await live.next(timeout=GUARD) == [{"id": "a"}]


async def test_a_task_that_is_cancelled_leaves_it_usable(path, clock):
    """Whether it waited or was about to catch up: what comes is taken by the next one, once."""
    async with AsyncAurora(path, clock=clock) as db:
        await db.execute(SCHEMA)
        watch = db.query("orders").select("id").watch(initial=False)
        for n in range(20):
            task = asyncio.create_task(watch.next())
            await asyncio.sleep(0)
            if n % 2:
                await db["orders"].insert({"id": f"n{n}"})
            task.cancel()
            (said,) = await asyncio.gather(task, return_exceptions=True)
            if n % 2 and not isinstance(said, Added):
                assert isinstance(said, asyncio.CancelledError)
                said = await watch.next(timeout=GUARD)
            if n % 2:
                assert said == Added({"id": f"n{n}"})


async def test_closing_wakes_tasks(path, clock):
    """All that wait for it; their loops end."""
    async with AsyncAurora(path, clock=clock) as db:
        await db.execute(SCHEMA)
        watch = db.query("orders").watch()

        async def drained():
            return [one async for one in watch]

        tasks = [asyncio.create_task(drained()) for _ in range(3)]
        await asyncio.sleep(0)
        watch.close()
        assert await asyncio.wait_for(asyncio.gather(*tasks), GUARD) == [[], [], []]
