"""Topics: who gets what, in which order, in which process, and what is lost is counted."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_db import (
    AsyncAurora,
    Aurora,
    DatabaseClosed,
    SubscriptionClosed,
    TooLarge,
    TransactionError,
    UniqueViolation,
    ValidationError,
)
from aurora_db.base.changes import Message, Reset
from aurora_db.live import pubsub
from aurora_db.store import doorbell, routes, topics
from aurora_db.store.doorbell import folder_of

GUARD = 30.0

#: Says every message as a line; the topic "end" ends it, with what was missed.
SUBSCRIBES = """
import sys
from aurora_db import Aurora
with Aurora(sys.argv[1]) as db, db.subscribe("**") as messages:
    print("ready", flush=True)
    got = 0
    for message in messages:
        if message.topic == "end":
            print(got, messages.missed, flush=True)
            break
        got += 1
        if message.topic.startswith("say."):
            print(message.topic, message.payload, message.position is not None, flush=True)
"""
PUBLISHES = """
import sys
from aurora_db import Aurora
with Aurora(sys.argv[1]) as db:
    for n in range(int(sys.argv[2])):
        db.publish("count", n)
    db.publish("count", "durable", durable=True)
    with db.transaction() as tx:
        tx.publish("count", "committed")
    db.publish("end", None)
"""


def texts(messages, number):
    return [messages.next(GUARD).payload for _ in range(number)]


def sockets(path):
    return sorted(one.name for one in folder_of(os.path.realpath(path)).glob("bell.topics.*"))


@pytest.fixture
def other(path):
    """Another process that subscribes to everything."""
    Aurora(path).close()
    process = subprocess.Popen(
        [sys.executable, "-c", SUBSCRIBES, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait(GUARD)
    process.stdout.close()


# --- who gets what --------------------------------------------------------------------------

TOPICS = ("chat", "chat.room1", "chat.room1.typing", "chats", "news", "news.room1")
PATTERNS = [
    ("chat", ["chat"]),
    ("chat.room1", ["chat.room1"]),
    ("chat.*", ["chat.room1"]),
    ("*", ["chat", "chats", "news"]),
    ("*.room1", ["chat.room1", "news.room1"]),
    ("*.*.typing", ["chat.room1.typing"]),
    ("chat.**", ["chat", "chat.room1", "chat.room1.typing"]),
    ("chat.*.**", ["chat.room1", "chat.room1.typing"]),
    ("**.room1", ["chat.room1", "news.room1"]),
    ("**.room1.**", ["chat.room1", "chat.room1.typing", "news.room1"]),
    ("**.chat", ["chat"]),
    ("**", list(TOPICS)),
    ("nobody", []),
]


@pytest.mark.parametrize("durable", [False, True], ids=["ephemeral", "durable"])
@pytest.mark.parametrize(("pattern", "expected"), PATTERNS)
def test_a_pattern_gets_the_topics_that_match_it(db, pattern, expected, durable):
    """`*` stands for exactly one level, `**` for any number of them, also none."""
    with db.subscribe(pattern) as messages:
        for topic in TOPICS:
            db.publish(topic, None, durable=durable)

        assert [messages.next(GUARD).topic for _ in expected] == expected
        with pytest.raises(TimeoutError):
            messages.next(0)


def by_definition(pattern, topic):
    """What a pattern means, said as simply as possible; exponential."""
    if not pattern or not topic:
        return all(level == "**" for level in pattern) and not topic
    first, rest = pattern[0], pattern[1:]
    if first == "**":
        return by_definition(rest, topic) or by_definition(pattern, topic[1:])
    return first in ("*", topic[0]) and by_definition(rest, topic[1:])


@given(
    st.lists(st.sampled_from(["a", "b", "*", "**"]), min_size=1, max_size=6),
    st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=6),
)
def test_patterns_mean_what_their_definition_says(pattern, topic):
    match = topics.matching(".".join(pattern))

    found = pattern == topic if match is None else match(".".join(topic))

    assert found == by_definition(pattern, topic)


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("chat*", "'*' stands for one whole level and '**' for any number of levels, as in 'chat.*'"),
        ("chat.***", "'*' stands for one whole level and '**' for any number of levels, as in 'chat.*'"),
        ("chat.#", "did you mean 'chat.**'?"),
        ("chat.>", "did you mean 'chat.**'?"),
        ("+.room1", "did you mean '*.room1'?"),
        ("chat..room1", "write it as 'chat.room1'"),
        (".chat", "write it as 'chat'"),
        ("", "write it as 'chat.room1'"),
        ("chat.room\n1", "use letters, digits and signs"),
        ("x" * 256, "put what is long into the payload"),
        (7, "give levels with dots between them, such as 'chat.room1', as pattern"),
    ],
)  # fmt: skip
def test_a_pattern_that_is_none_is_refused_with_what_to_type(db, pattern, hint):
    with pytest.raises(ValidationError) as refused:
        db.subscribe(pattern)

    assert refused.value.hint == hint
    assert refused.value.field == "pattern"


@pytest.mark.parametrize("topic", ["chat.*", "**", "", "a..b", "a.", "a\0b", None, "x" * 256])
@pytest.mark.parametrize("durable", [False, True], ids=["ephemeral", "durable"])
def test_a_topic_that_is_none_is_refused(db, topic, durable):
    with pytest.raises(ValidationError) as refused:
        db.publish(topic, {}, durable=durable)

    assert refused.value.field == "topic"


# --- payloads -------------------------------------------------------------------------------


@pytest.mark.parametrize("durable", [False, True], ids=["ephemeral", "durable"])
def test_a_payload_is_anything_that_json_has(db, durable):
    payloads = [
        None,
        True,
        0,
        1.5,
        "ü€𝄞",
        [],
        {},
        {"a": [1, {"b": None}]},
        {"payload": {"topic": 1}},
    ]
    with db.subscribe("t") as messages:
        for payload in payloads:
            db.publish("t", payload, durable=durable)
        db.publish("t", {"at": datetime(2026, 1, 1, tzinfo=UTC)}, durable=durable)

        assert texts(messages, len(payloads)) == payloads
        assert texts(messages, 1) == [{"at": "2026-01-01T00:00:00Z"}]


@pytest.mark.parametrize("durable", [False, True], ids=["ephemeral", "durable"])
def test_a_payload_without_a_json_form_is_refused(db, durable):
    for payload in (object(), float("nan"), {"x": {1, object()}}):
        with pytest.raises(ValidationError):
            db.publish("t", payload, durable=durable)


@pytest.mark.parametrize("durable", [False, True], ids=["ephemeral", "durable"])
def test_everybody_gets_a_payload_of_their_own(db, durable):
    """What one subscriber does to a payload, no other one sees, nor does the publisher."""
    mine = {"list": [1]}
    with db.subscribe("t") as one, db.subscribe("*") as two:
        db.publish("t", mine, durable=durable)
        one.next(GUARD).payload["list"].append(2)

        assert two.next(GUARD).payload == {"list": [1]}
        assert mine == {"list": [1]}


def test_a_payload_that_is_too_large_for_a_datagram_can_be_durable(db):
    """64 KiB as JSON go ephemerally, and the hint says what takes more."""
    most = "x" * (64 * 1024 - 2)
    with db.subscribe("t") as messages:
        db.publish("t", most)
        with pytest.raises(TooLarge, match=r"65,537 bytes as JSON, at most 65,536") as refused:
            db.publish("t", most + "x")
        assert "durable=True" in (refused.value.hint or "")
        db.publish("t", most + "x", durable=True)

        assert sorted(map(len, texts(messages, 2))) == [len(most), len(most) + 1]
    with pytest.raises(TooLarge, match="at most 16,777,216"):
        db.publish("t", "x" * 16 * 1024 * 1024, durable=True)


# --- order and transactions -----------------------------------------------------------------


@pytest.mark.parametrize("durable", [False, True], ids=["ephemeral", "durable"])
def test_what_one_publisher_publishes_comes_in_its_order(db, durable):
    def publish(name):
        for n in range(200):
            db.publish(f"from.{name}", n, durable=durable)

    with db.subscribe("from.*") as messages:
        threads = [threading.Thread(target=publish, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        got = [messages.next(GUARD) for _ in range(600)]
        for thread in threads:
            thread.join(GUARD)

    for name in "abc":
        mine = [one.payload for one in got if one.topic == f"from.{name}"]
        assert mine == list(range(200))


def test_one_subscription_gets_both_kinds(db):
    with db.subscribe("chat.*") as messages:
        position = db.publish("chat.a", "kept", durable=True)
        assert db.publish("chat.b", "said") is None

        got = [messages.next(GUARD), messages.next(GUARD)]

        assert sorted(got, key=lambda one: one.topic) == [
            Message(topic="chat.a", payload="kept", position=position),
            Message(topic="chat.b", payload="said"),
        ]
        assert messages.position == position


def test_in_a_transaction_a_message_waits_for_the_commit(db):
    with db.subscribe("t") as messages:
        with db.transaction() as tx:
            assert tx.publish("t", 1) is None
            tx.publish("t", 2)
            with pytest.raises(TimeoutError):
                messages.next(0)

        assert texts(messages, 2) == [1, 2]


@pytest.mark.parametrize("durable", [False, True], ids=["ephemeral", "durable"])
def test_what_is_rolled_back_was_never_published(db, durable):
    with db.subscribe("t") as messages:
        with pytest.raises(KeyError), db.transaction() as tx:
            tx.publish("t", "never", durable=durable)
            raise KeyError
        with db.transaction() as tx:
            tx.publish("t", "neither", durable=durable)
            tx.rollback()
        db.publish("t", "after", durable=durable)

        assert texts(messages, 1) == ["after"]
    with pytest.raises(TransactionError):
        tx.publish("t", 1)


@pytest.mark.parametrize("durable", [False, True], ids=["ephemeral", "durable"])
def test_a_mutation_that_fails_or_is_explained_publishes_nothing(db, durable):
    """In AQL, too, a message belongs to its operation."""
    db.define("notes", {"title": "String! @unique"})
    db["notes"].insert({"title": "taken"})
    publish = "publish(topic: $t, payload: 1, durable: $d) { position }"
    head = "mutation ($t: String!, $d: Boolean!)"
    values = {"t": "t", "d": durable}
    with db.subscribe("t") as messages:
        with pytest.raises(UniqueViolation):
            db.execute(
                f'{head} {{ {publish} insertInto(collection: "notes", data: {{title: "taken"}}) {{ id }} }}',
                values,
            )
        db.explain(f"{head} {{ {publish} }}", values)
        db.publish("t", "after", durable=durable)

        assert texts(messages, 1) == ["after"]


@pytest.mark.parametrize("durable", [False, True], ids=["ephemeral", "durable"])
def test_publishing_beside_the_own_transaction_is_refused(db, durable):
    with db.transaction(), pytest.raises(TransactionError) as refused:
        db.publish("t", 1, durable=durable)

    assert refused.value.hint == "use tx, the transaction of the block, instead of the database"


def test_documents_and_messages_commit_together(db):
    """A durable message has its place in the feed, between the changes of documents around it."""
    db.define("notes", {"title": "String!"})
    with db.listen("notes") as changes, db.subscribe("notes.*") as messages:
        with db.transaction() as tx:
            tx["notes"].insert({"title": "one"})
            position = tx.publish("notes.new", "one", durable=True)
            tx["notes"].insert({"title": "two"})

        message = messages.next(GUARD)
        around = [changes.next(GUARD) for _ in range(2)]

    assert message == Message(topic="notes.new", payload="one", position=position)
    numbers = [int(one.position.rpartition("-")[2]) for one in (around[0], message, around[1])]
    assert numbers == [1, 2, 3]
    assert [(one.new["title"], one.ends) for one in around] == [("one", False), ("two", True)]


# --- what is kept ---------------------------------------------------------------------------


def test_durable_messages_can_be_read_later(db, path, clock):
    """Whoever knows a position goes on after it, once each, also after a restart."""
    start = db.publish("chat.a", 0, durable=True)
    for n in range(1, 4):
        db.publish("chat.a", n, durable=True)
        db.publish("chat.a", "ephemeral")
        db.publish("other", n, durable=True)
    with db.subscribe("chat.*", since=start) as messages:
        assert texts(messages, 2) == [1, 2]
        position = messages.position
    db.close()

    with Aurora(path, clock=clock) as again, again.subscribe("chat.*", since=position) as messages:
        assert texts(messages, 1) == [3]
        again.publish("chat.b", 4, durable=True)
        again.publish("chat.b", 5)
        assert sorted(texts(messages, 2)) == [4, 5]


def test_what_the_feed_has_forgotten_is_told(path, clock):
    """History that was pruned gives a Reset, and then everything that is still there."""
    with Aurora(path, clock=clock, feed_retention=60) as db:
        start = db.publish("t", 1, durable=True)
        lost = db.publish("t", 2, durable=True)
        clock.advance(61)
        db.publish("t", 3, durable=True)
        db._engine.prune()

        with db.subscribe("t", since=start) as messages:
            assert messages.next(GUARD) == Reset("history", lost)
            assert texts(messages, 1) == [3]
            db.publish("t", 4, durable=True)
            assert texts(messages, 1) == [4]


def test_a_position_of_another_database_is_refused(db, tmp_path):
    with Aurora(tmp_path / "other.db") as other:
        position = other.publish("t", 1, durable=True)

    with pytest.raises(ValidationError, match="belongs to another database"):
        db.subscribe("t", since=position)


def test_ephemeral_messages_write_nothing(db):
    with db.subscribe("t") as messages:
        version = db._engine.data_version()
        db.publish("t", 1)
        with db.transaction() as tx:
            tx.publish("t", 2)

        assert texts(messages, 2) == [1, 2]
        assert db._engine.data_version() == version


# --- slow ones, and the end -----------------------------------------------------------------


def test_a_slow_subscriber_misses_the_oldest_and_knows_how_many(db, monkeypatch):
    monkeypatch.setattr(pubsub, "MOST", 10)
    with db.subscribe("t") as slow, db.subscribe("t") as other:
        for n in range(15):
            db.publish("t", n)
            assert texts(other, 1) == [n]

        assert texts(slow, 10) == list(range(5, 15))
        assert (slow.missed, other.missed) == (5, 0)


def test_what_waits_is_bounded_in_bytes_too(db, monkeypatch):
    monkeypatch.setattr(pubsub, "MOST_BYTES", 100)
    with db.subscribe("t") as slow:
        for n in range(5):
            db.publish("t", str(n) * 38)

        assert texts(slow, 2) == ["3" * 38, "4" * 38]
        assert slow.missed == 3


def test_a_closed_subscription_gets_nothing_more(db):
    messages = db.subscribe("t")
    db.publish("t", 1)
    messages.close()
    db.publish("t", 2)

    with pytest.raises(SubscriptionClosed):
        messages.next(0)
    assert list(messages) == []


def test_closing_the_database_ends_subscriptions(path):
    db = Aurora(path)
    messages = db.subscribe("**")
    db.publish("t", 1)
    assert len(sockets(path)) == 1
    db.close()

    assert list(messages) == []
    assert sockets(path) == []
    with pytest.raises(DatabaseClosed):
        db.publish("t", 1)


def test_the_socket_is_there_while_somebody_subscribes(db, path):
    assert sockets(path) == []
    one, two = db.subscribe("a"), db.subscribe("b.*")
    assert len(sockets(path)) == 1
    one.close()
    one.close()
    assert len(sockets(path)) == 1
    two.close()
    assert sockets(path) == []
    with db.subscribe("a") as three:
        db.publish("a", 1)
        assert texts(three, 1) == [1]


def test_a_subscription_that_nobody_holds_is_forgotten(db, path):
    """A program that forgets to close it goes on without it, and its socket goes, too."""
    db.subscribe("t")
    gc.collect()
    end = time.monotonic() + GUARD
    while sockets(path):
        assert time.monotonic() < end
        db.publish("t", 1, durable=True)


def test_a_database_in_memory_has_topics(clock):
    with Aurora(":memory:", clock=clock) as db, db.subscribe("a.*") as messages:
        db.publish("a.b", 1)
        db.publish("a.b", 2, durable=True)

        assert sorted(texts(messages, 2)) == [1, 2]


def test_who_may_only_read_still_subscribes_and_publishes_ephemerally(db, path):
    with Aurora(path, read_only=True) as reader, reader.subscribe("t") as messages:
        db.publish("t", 1)
        assert texts(messages, 1) == [1]
        db.publish("t", 2, durable=True)
        assert texts(messages, 1) == [2]
        with db.subscribe("t") as mine:
            reader.publish("t", 3)
            assert texts(mine, 1) == [3]


def test_tasks_publish_and_subscribe(path):
    async def main():
        async with AsyncAurora(path) as db:
            async with db.subscribe("t") as messages:
                await db.publish("t", 1)
                async with db.transaction() as tx:
                    await tx.publish("t", 2)
                await db.publish("t", 3)
                got = []
                async for message in messages:
                    got.append(message.payload)
                    if len(got) == 3:
                        break
            return got

    import asyncio

    assert asyncio.run(main()) == [1, 2, 3]


# --- other processes ------------------------------------------------------------------------


def test_another_process_gets_what_is_published_here(path, other):
    with Aurora(path) as db:
        db.publish("say.a", {"n": 1})
        assert other.stdout.readline() == "say.a {'n': 1} False\n"
        db.publish("say.b", 2, durable=True)
        assert other.stdout.readline() == "say.b 2 True\n"
        with db.transaction() as tx:
            tx.publish("say.c", "ü")
        assert other.stdout.readline() == "say.c ü False\n"
        db.publish("end", None)
        assert other.stdout.readline() == "3 0\n"


def test_a_burst_of_another_process_comes_whole_and_in_order(db, path):
    """A socket takes few datagrams at once; what finds it full waits, and is sent before the end."""
    with db.subscribe("**") as messages:
        process = subprocess.Popen([sys.executable, "-c", PUBLISHES, str(path), "5000"])
        got = []
        for message in messages:
            if message.topic == "end":
                break
            got.append(message.payload)
        assert process.wait(GUARD) == 0

        # The durable one takes another road.
        if "durable" in got:
            got.remove("durable")
        else:
            assert texts(messages, 1) == ["durable"]
        assert got == [*range(5000), "committed"]
        assert messages.missed == 0


def test_a_process_that_hangs_holds_up_nobody_and_learns_what_it_missed(path, other, monkeypatch):
    monkeypatch.setattr(routes, "MOST", 500)
    with Aurora(path) as db, db.subscribe("many") as here:
        db.publish("say.before", 1)
        assert other.stdout.readline() == "say.before 1 False\n"
        os.kill(other.pid, signal.SIGSTOP)
        for n in range(3_000):
            db.publish("many", n)
            assert texts(here, 1) == [n]
        os.kill(other.pid, signal.SIGCONT)
        db.publish("end", None)

        got, missed = map(int, other.stdout.readline().split())
        assert got + missed == 3_001
        assert got >= 500
        assert missed > 0
        assert here.missed == 0


def test_the_socket_of_a_killed_subscriber_is_removed(path, other):
    with Aurora(path) as db:
        db.publish("t", 1)
        assert len(sockets(path)) == 1
        other.kill()
        other.wait(GUARD)
        assert len(sockets(path)) == 1

        db.publish("t", 2)

        assert sockets(path) == []
        db.publish("t", 3)


def test_what_is_no_message_is_dropped(db, path):
    with db.subscribe("t") as messages:
        (name,) = sockets(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
            no_json = msgspec.msgpack.encode([[["t", "{"]], {}])
            for data in (b"", b"hello", b"\x92\x01\x02", b"\x92\x90\x80", no_json):
                stranger.sendto(data, str(folder_of(os.path.realpath(path)) / name))
        db.publish("t", 1)

        assert texts(messages, 1) == [1]


def test_without_sockets_messages_stay_in_the_process(path, monkeypatch):
    """Where the folder does not allow a socket, subscribers of this process get theirs all the same."""
    monkeypatch.setattr(doorbell, "LONGEST_PATH", 0)
    monkeypatch.setattr(doorbell, "SHORT", path.parent / "short")
    folder = folder_of(os.path.realpath(path))
    folder.mkdir(parents=True)
    # Others could remove what lies in it.
    folder.chmod(0o777)
    with Aurora(path) as db, db.subscribe("t") as messages:
        db.publish("t", 1)
        db.publish("t", 2, durable=True)

        assert sorted(texts(messages, 2)) == [1, 2]


def test_a_forked_child_opens_its_own(db, path):
    """The child's use of the parent's object is refused, and its end takes nothing from the parent."""
    with db.subscribe("t") as messages:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                try:
                    db.publish("t", "by the parent's object")
                except DatabaseClosed:
                    with Aurora(path) as own, own.subscribe("t") as mine:
                        own.publish("t", "from the child")
                        assert mine.next(GUARD).payload == "from the child"
                    status = 0
            finally:
                os._exit(status)
        assert os.waitpid(pid, 0)[1] == 0

        assert texts(messages, 1) == ["from the child"]
        db.publish("t", "from the parent")
        assert texts(messages, 1) == ["from the parent"]
        assert len(sockets(path)) == 1
