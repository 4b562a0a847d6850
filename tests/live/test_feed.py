"""The feed: who writes, who reads, what is lost and what never is."""

from __future__ import annotations

import asyncio
import csv
import os
import subprocess
import sys
import threading
from datetime import timedelta

import pytest

from aurora_db import (
    AsyncAurora,
    Aurora,
    Change,
    DatabaseClosed,
    ManualClock,
    NotFound,
    ReadOnly,
    Reset,
    SubscriptionClosed,
    Timeout,
    ValidationError,
)
from aurora_db.live import heard
from aurora_db.store import changes as feed

#: Seconds after which a wait has failed.
GUARD = 60.0
SCHEMA = "schema { define collection t { n: Int } define collection u { n: Int } }"
#: Long after the feed has forgotten what the machine's clock wrote.
AGES = timedelta(days=36_500)

ANOTHER = """
import sys
from aurora_db import Aurora
with Aurora(sys.argv[1]) as db:
    for n in range(int(sys.argv[2]), int(sys.argv[3])):
        db["t"].insert({"n": n})
"""


@pytest.fixture
def db(path):
    """A database with two collections, on the machine's clock."""
    with Aurora(path, durability="none") as opened:
        opened.execute(SCHEMA)
        yield opened


def numbers(subscription, count):
    """The number in each of so many changes."""
    return [subscription.next(timeout=GUARD).new["n"] for _ in range(count)]


def silent(subscription):
    """Whether there is nothing to take."""
    with pytest.raises(Timeout):
        subscription.next(timeout=0.02)
    return True


def forget(path):
    """Prune everything, as days later."""
    clock = ManualClock()
    clock.advance(AGES)
    with Aurora(path, clock=clock) as old:
        while old._engine.write(lambda port: feed.prune(port, timedelta(days=1))):
            pass


# --- who writes -----------------------------------------------------------------------------


def test_changes_come_in_the_order_of_commits(db):
    """Many threads write; every listener hears the same order, that of the feed."""
    listeners = [db.listen("t") for _ in range(5)]

    def write(start):
        for n in range(start, start + 50):
            db["t"].insert({"n": n})

    threads = [threading.Thread(target=write, args=(start,)) for start in (0, 100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    stored = [n for (n,) in db._engine.read(lambda port: port.rows("SELECT after ->> 'n' FROM _changes ORDER BY seq"))]  # fmt: skip
    assert len(stored) == 200
    for one in listeners:
        assert numbers(one, 200) == stored
        assert silent(one)


def test_another_program_is_heard(db, other_program):
    """What the standard library's sqlite3 writes comes like everything else, within the poll interval."""
    with db.listen("t") as changes:
        other_program("INSERT INTO t (id, n) VALUES ('a', 1); UPDATE t SET n = 2; DELETE FROM t;")
        said = [changes.next(timeout=GUARD) for _ in range(3)]
    assert [(one.op, one.id) for one in said] == [("insert", "a"), ("update", "a"), ("delete", "a")]
    assert (said[1].old["n"], said[1].new["n"]) == (1, 2)


def test_another_process_is_heard(db, path):
    """And its definitions are: a collection that it makes is heard of by who listens to all."""
    with db.listen("t") as changes, db.listen_all() as everything:
        subprocess.run([sys.executable, "-c", ANOTHER, str(path), "0", "20"], check=True, timeout=GUARD)  # fmt: skip
        assert numbers(changes, 20) == list(range(20))
        for text in (
            "schema { define collection v { n: Int } }",
            'mutation { insertInto(collection: "v" data: {n: 7}) { id } }',
        ):
            run = (
                "import sys; from aurora_db import Aurora; Aurora(sys.argv[1]).execute(sys.argv[2])"
            )
            subprocess.run([sys.executable, "-c", run, str(path), text], check=True, timeout=GUARD)
        *_, last = [everything.next(timeout=GUARD) for _ in range(21)]
    assert (last.collection, last.new["n"]) == ("v", 7)


def test_an_import_is_heard(db, tmp_path):
    """Each imported document is a change."""
    file = tmp_path / "t.csv"
    with file.open("w", newline="") as rows:
        csv.writer(rows).writerows([["n"], *([n] for n in range(250))])
    with db.listen("t") as changes:
        db.import_file("t", file)
        assert sorted(numbers(changes, 250)) == list(range(250))


def test_a_large_operation_is_heard_whole_and_as_one(db):
    """100,000 documents in one statement come in order; only the last one ends the operation."""
    with db.listen("t") as changes:
        db["t"].insert_many([{"n": n} for n in range(100_000)])
        ends = []
        for n in range(100_000):
            change = changes.next(timeout=GUARD)
            assert change.new["n"] == n
            if change.ends:
                ends.append(n)
        assert ends == [99_999]
        assert silent(changes)


def test_who_waits_is_woken(db):
    """A thread that waits for the next change gets it when it is committed."""
    changes = db.listen("t")
    got = []
    waiting = threading.Thread(target=lambda: got.append(changes.next(timeout=GUARD)))
    waiting.start()
    db["t"].insert({"n": 1})
    waiting.join(GUARD)
    assert [one.new["n"] for one in got] == [1]


# --- where to go on ---------------------------------------------------------------------------


def test_a_listener_goes_on_after_a_position(db):
    """Each change exactly once, whether the position came from a change or from the subscription."""
    with db.listen("t") as changes:
        for n in range(10):
            db["t"].insert({"n": n})
        third = [changes.next(timeout=GUARD) for _ in range(3)][-1]
        assert changes.position == third.position
    with db.listen("t", since=third.position) as changes:
        assert numbers(changes, 7) == [3, 4, 5, 6, 7, 8, 9]
        assert silent(changes)
        db["t"].insert({"n": 10})
        assert numbers(changes, 1) == [10]


def test_the_position_of_an_idle_listener_stays_new(db, path):
    """What is nothing for it moves its position too, so that pruning does not make it old."""
    with db.listen("u") as idle, db.listen("t") as changes:
        for n in range(3):
            db["t"].insert({"n": n})
        numbers(changes, 3)
        while idle.position != changes.position:
            assert silent(idle)
        position = idle.position
    forget(path)
    db["u"].insert({"n": 5})
    assert numbers(db.listen("u", since=position), 1) == [5]


def test_what_was_forgotten_is_told(db, path):
    """History that is lost is a record, never a gap; what is still there follows."""
    with db.listen("t") as changes:
        db["t"].insert({"n": 1})
        position = changes.next(timeout=GUARD).position
    db["t"].insert({"n": 2})
    forget(path)
    db["t"].insert({"n": 3})
    with db.listen("t", since=position) as changes:
        reset = changes.next(timeout=GUARD)
        assert isinstance(reset, Reset)
        assert reset.reason == "history"
        assert numbers(changes, 1) == [3]
    assert numbers(db.listen("t", since=reset.position), 1) == [3]


def test_a_position_that_is_newer_than_the_file_is_told(db, path):
    """As when a copy of yesterday was put back: what comes from here on is said, after a record."""
    ahead = db.listen("t").position.rpartition("-")[0] + "-50"
    with db.listen("t", since=ahead) as changes:
        db["t"].insert({"n": 1})
        assert isinstance(changes.next(timeout=GUARD), Reset)
        assert numbers(changes, 1) == [1]


@pytest.mark.parametrize(
    "since", ["", "abc", "ffffffffffff-1", 3, "ffffffffffff-99999999999999999999"]
)
def test_a_position_of_another_database_is_refused(db, since):
    """So is what is no position at all."""
    with pytest.raises(ValidationError) as caught:
        db.listen("t", since=since)
    assert caught.value.field == "since"


# --- slow and many ------------------------------------------------------------------------------


def test_who_never_reads_costs_nothing_and_ends_complete(db):
    """Its buffer is bounded; later it gets everything, and the others have had it long before."""
    slow, fast = db.listen("t"), db.listen("t")
    for start in range(0, 30_000, 5_000):
        db["t"].insert_many([{"n": n} for n in range(start, start + 5_000)])
        assert numbers(fast, 5_000) == list(range(start, start + 5_000))
    waiting = len(slow._stream._buffer)
    assert waiting <= heard.BUFFER
    assert numbers(slow, 30_000) == list(range(30_000))
    db["t"].insert({"n": -1})
    assert numbers(slow, 1) == numbers(fast, 1) == [-1]


def test_large_documents_are_not_all_held(db):
    """A subscription that is not read holds no more than some megabytes of them."""
    db.execute("schema { define collection files { n: Int text: String } }")
    slow = db.listen("files")
    for n in range(80):
        db["files"].insert({"n": n, "text": "x" * 1_000_000})
    with db.listen("files", where={"n": 79}, since=slow.position) as last:
        assert numbers(last, 1) == [79]
    assert slow._stream._weight <= heard.BYTES + 2_000_000
    assert numbers(slow, 80) == list(range(80))


def test_a_listener_that_nobody_holds_is_gone(db):
    """A subscription that was dropped without closing it ends by itself."""
    dropped, kept = db.listen("t"), db.listen("t")
    db["t"].insert({"n": 1})
    assert numbers(dropped, 1) == numbers(kept, 1) == [1]
    del dropped
    db["t"].insert({"n": 2})
    assert numbers(kept, 1) == [2]
    db["t"].insert({"n": 3})
    assert numbers(kept, 1) == [3]
    assert len(db._feed._all) == 1


def test_listeners_come_and_go_while_others_write(db):
    """Whoever joins in the middle misses nothing after its position and gets nothing twice."""
    over, quiet = threading.Event(), threading.Event()
    heard_of = []

    def write():
        n = 0
        while not quiet.is_set():
            db["t"].insert({"n": n})
            n += 1

    def listen():
        while not over.is_set():
            with db.listen("t") as changes:
                heard_of.append(numbers(changes, 20))

    writer = threading.Thread(target=write)
    listeners = [threading.Thread(target=listen) for _ in range(3)]
    with db.listen("t") as whole:
        for thread in (writer, *listeners):
            thread.start()
        assert numbers(whole, 1_000) == list(range(1_000))
        over.set()
        for thread in listeners:
            thread.join(GUARD)
        quiet.set()
        writer.join(GUARD)
        count = db["t"].count()
        assert numbers(whole, count - 1_000) == list(range(1_000, count))
        assert silent(whole)
    assert heard_of
    for some in heard_of:
        assert some == list(range(some[0], some[0] + 20))


# --- the end ------------------------------------------------------------------------------------


def test_closing_the_database_ends_who_waits(path):
    """A thread in `next` is told; a loop ends."""
    db = Aurora(path)
    db.execute(SCHEMA)
    ended, seen = [], []
    waiting, looping = db.listen("t", where={"n": 2}), db.listen("t")
    came = threading.Event()

    def wait():
        try:
            waiting.next(timeout=GUARD)
        except SubscriptionClosed as error:
            ended.append(error.code)

    def loop():
        for change in looping:
            seen.append(change.new["n"])
            came.set()
        ended.append("loop")

    threads = [threading.Thread(target=wait), threading.Thread(target=loop)]
    for thread in threads:
        thread.start()
    db["t"].insert({"n": 1})
    assert came.wait(GUARD)
    db.close()
    for thread in threads:
        thread.join(GUARD)
        assert not thread.is_alive()
    assert seen == [1]
    assert sorted(ended) == ["closed", "loop"]


def test_a_child_process_is_refused(db):
    """A fork inherits no subscription: it says so, and the parent goes on."""
    changes = db.listen("t")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            changes.next(timeout=GUARD)
        except DatabaseClosed:
            changes.close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    db["t"].insert({"n": 1})
    assert numbers(changes, 1) == [1]


def test_a_private_database_has_a_feed():
    """Without a file there are no other processes, and changes come all the same."""
    with Aurora(":memory:") as db:
        db.execute(SCHEMA)
        with db.listen("t") as changes:
            db["t"].insert({"n": 1})
            assert numbers(changes, 1) == [1]


def test_who_only_reads_hears_who_writes(db, path):
    """A database opened for reading follows the writers of other processes."""
    with Aurora(path, read_only=True) as reader, reader.listen("t") as changes:
        subprocess.run([sys.executable, "-c", ANOTHER, str(path), "0", "3"], check=True, timeout=GUARD)  # fmt: skip
        assert numbers(changes, 3) == [0, 1, 2]
        with pytest.raises(ReadOnly):
            reader.listen("t", consumer="mailer")


def test_tasks_listen(path):
    """`async for` and `await next` do not hold up the event loop; a cancelled wait loses nothing."""

    async def main():
        async with AsyncAurora(path) as db:
            await db.execute(SCHEMA)
            async with db.listen("t") as changes, db.listen("t") as loop:
                waiting = asyncio.create_task(changes.next())
                await asyncio.sleep(0)
                waiting.cancel()
                await asyncio.gather(*(db["t"].insert({"n": n}) for n in range(50)))
                found = [(await changes.next(timeout=GUARD)).new["n"] for _ in range(50)]
                looped = []
                async for change in loop:
                    looped.append(change.new["n"])
                    if len(looped) == 50:
                        break
                return found, looped

    found, looped = asyncio.run(main())
    assert sorted(found) == list(range(50))
    assert looped == found


def test_opening_starts_no_thread(path):
    """Who does not listen pays nothing; closing ends what listening has begun."""
    before = set(threading.enumerate())
    with Aurora(path) as db:
        db.execute(SCHEMA)
        assert set(threading.enumerate()) <= before
        db.listen("t")
        begun = set(threading.enumerate()) - before
        assert {thread.name for thread in begun} == {"aurora-feed", "aurora-doorbell"}
    assert not any(thread.is_alive() for thread in begun)


# --- durable consumers --------------------------------------------------------------------------


def test_a_durable_consumer_goes_on_after_what_it_acknowledged(db):
    """What was taken and not acknowledged comes again."""
    with db.listen("t", consumer="mailer") as changes:
        for n in range(5):
            db["t"].insert({"n": n})
        assert numbers(changes, 2) == [0, 1]
        changes.ack()
        assert numbers(changes, 2) == [2, 3]
    with db.listen("t", consumer="mailer") as changes:
        assert numbers(changes, 3) == [2, 3, 4]
    assert [(one.name, one.behind, one.lost) for one in db.consumers()] == [("mailer", 3, False)]
    assert db.execute("{ _consumers { name position lost } }")["_consumers"] == [
        {"name": "mailer", "position": 2, "lost": False}
    ]


def test_a_new_consumer_begins_where_it_listened(db):
    """What is committed between listening and the first item is said."""
    db["t"].insert({"n": 0})
    with db.listen("t", consumer="mailer") as changes:
        db["t"].insert({"n": 1})
        assert db.consumers() == []
        assert numbers(changes, 1) == [1]
        assert [one.behind for one in db.consumers()] == [1]


def test_an_effect_and_its_position_commit_together(db):
    """With the transaction of the effect it is acknowledged, or not at all."""
    with db.listen("t", consumer="copier") as changes:
        db["t"].insert({"n": 1})
        change = changes.next(timeout=GUARD)
        with pytest.raises(RuntimeError), db.transaction() as tx:
            tx["u"].insert({"n": change.new["n"]})
            changes.ack(tx)
            raise RuntimeError
    assert (db["u"].count(), db.consumers()[0].behind) == (0, 1)
    with db.listen("t", consumer="copier") as changes:
        change = changes.next(timeout=GUARD)
        with db.transaction() as tx:
            tx["u"].insert({"n": change.new["n"]})
            changes.ack(tx)
        assert silent(changes)
    with db.listen("t", consumer="copier") as changes:
        assert silent(changes)
    assert db["u"].count() == 1


def test_who_opens_a_consumer_last_has_it(db):
    """Two at once: what the first one acknowledges is refused, so nothing counts twice."""
    first = db.listen("t", consumer="mailer")
    db["t"].insert({"n": 1})
    assert numbers(first, 1) == [1]
    second = db.listen("t", consumer="mailer")
    assert numbers(second, 1) == [1]
    with pytest.raises(SubscriptionClosed), db.transaction() as tx:
        tx["u"].insert({"n": 1})
        first.ack(tx)
    second.ack()
    assert (db["u"].count(), db.consumers()[0].behind) == (0, 0)


def test_what_a_consumer_has_not_read_is_kept(db, path):
    """It outlives the retention; forgetting the consumer lets it go."""
    with db.listen("t", consumer="mailer") as changes:
        db["t"].insert({"n": 1})
        db["t"].insert({"n": 2})
        assert numbers(changes, 1) == [1]
        changes.ack()
    forget(path)
    with db.listen("t", consumer="mailer") as changes:
        assert numbers(changes, 1) == [2]
    position = db.consumers()[0].position
    db.forget_consumer("mailer")
    forget(path)
    assert db.consumers() == []
    assert isinstance(db.listen("t", since=position).next(timeout=GUARD), Reset)


def test_past_the_cap_a_consumer_is_lost_and_told(db, path, monkeypatch):
    """The feed is bounded: who never reads loses the oldest, visibly, and goes on with the rest."""
    with db.listen("t", consumer="mailer") as changes:
        db["t"].insert({"n": 0})
        assert numbers(changes, 1) == [0]
    for n in range(1, 10):
        db["t"].insert({"n": n})
    monkeypatch.setattr(feed, "MOST", 4)
    forget(path)
    assert [(one.name, one.lost) for one in db.consumers()] == [("mailer", True)]
    with db.listen("t", consumer="mailer") as changes:
        assert isinstance(changes.next(timeout=GUARD), Reset)
        db["t"].insert({"n": 10})
        assert numbers(changes, 1) == [10]
        changes.ack()
    assert [(one.behind, one.lost) for one in db.consumers()] == [(0, False)]


def test_what_is_no_consumer_is_refused(db):
    """Names, and verbs without one."""
    for name in ("", 3, "a\nb", "x" * 201):
        with pytest.raises(ValidationError):
            db.listen("t", consumer=name)
    with pytest.raises(ValidationError, match="since"):
        db.listen("t", since=db.listen("t").position, consumer="mailer")
    with pytest.raises(ValidationError, match="no durable consumer"):
        db.listen("t").ack()
    db.listen("t", consumer="mailer").ack()
    assert db.consumers() == []
    with pytest.raises(Timeout):
        db.listen("t", consumer="mailer").next(timeout=0.01)
    with pytest.raises(NotFound) as caught:
        db.forget_consumer("mialer")
    assert caught.value.hint == "did you mean 'mailer'?"


def test_everything_is_a_record(db):
    """What a listener gives is frozen."""
    with db.listen_all() as changes:
        db["t"].insert({"n": 1})
        change = changes.next(timeout=GUARD)
    assert isinstance(change, Change)
    with pytest.raises(AttributeError):
        change.op = "update"
