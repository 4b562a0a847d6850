"""`db.stream`: texts of AQL that are followed."""

from __future__ import annotations

import asyncio
import datetime as dt
import subprocess
import sys
from datetime import timedelta

import pytest

from aurora_db import (
    AqlError,
    AsyncAurora,
    Aurora,
    SubscriptionClosed,
    Timeout,
    Unsupported,
    ValidationError,
)

GUARD = 30.0
EVENTS = "subscription { t { mutation id position } }"


def made(db, *ids):
    """Insert documents, one transaction each."""
    for id in ids:
        db.insert_into("t", {"id": id})


def test_what_comes_of_a_text_is_the_users_own(db):
    """Whoever changes an item changes nothing that comes later, or that others get."""
    db.execute("define collection t { tags: [String]  at: DateTime }")
    one, other = (db.stream("subscription { t { node { tags at } old { tags } } }") for _ in "ab")
    live = db.stream("{ t { tags } more: t { tags } }")
    live.next(GUARD)
    made_at = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    id = db.insert_into("t", {"tags": ["a"], "at": made_at})
    first = one.next(GUARD)
    assert first == {"t": {"node": {"tags": ["a"], "at": made_at}, "old": None}}
    first["t"]["node"]["tags"].append("mine")
    item = live.next(GUARD)
    item["t"][0]["tags"].append("mine")
    item["more"].clear()
    db["t"].update(id, {"tags": ["a", "b"]})
    assert one.next(GUARD)["t"]["old"] == {"tags": ["a"]}
    assert other.next(GUARD)["t"]["node"]["tags"] == ["a"]
    assert live.next(GUARD) == {"t": [{"tags": ["a", "b"]}], "more": [{"tags": ["a", "b"]}]}


def test_variables_are_those_of_the_beginning(db):
    """Whoever changes a list or an object that was given changes no stream."""
    db.execute("define collection t { n: Int }")
    given = {"w": {"n": {"in": [1]}}, "ns": [1]}
    text = "($w: JSON) { t(where: $w) { %s } }"
    events = db.stream("subscription " + text % "id", {"w": given["w"]})
    live = db.stream("query ($ns: [Int]) { t(where: {n: {in: $ns}}) { n } }", {"ns": given["ns"]})
    assert live.next(GUARD) == {"t": []}
    given["w"]["n"]["in"].append(2)
    given["ns"].append(2)
    db.execute("define collection u { n: Int }")
    db.insert_into("t", {"id": "b", "n": 2})
    db.insert_into("t", {"id": "a", "n": 1})
    assert events.next(GUARD) == {"t": {"id": "a"}}
    assert live.next(GUARD) == {"t": [{"n": 1}]}


TWO = """subscription {
  top: t(orderBy: {n: DESC}, limit: 2) { mutation id position }
  all: t { mutation id position }
}"""


@pytest.mark.parametrize("taken", [1, 2, 3])
def test_who_stops_between_two_roots_loses_nothing(db, taken):
    """Roots advance together: where one has not said a change yet, the position stands before it."""
    db.execute("define collection t { n: Int }")
    for n, id in enumerate("abc"):
        db.insert_into("t", {"id": id, "n": n})
    with db.stream(TWO) as stream:
        db.insert_into("t", {"id": "d", "n": 9})
        first = [stream.next(GUARD) for _ in range(taken)]
        told = {stream.position, *(one["position"] for item in first for one in item.values())}
    wanted = {("all", "INSERT", "d"), ("top", "INSERT", "d"), ("top", "LEAVE", "b")}
    for since in told:
        said = heard(first)
        with db.stream(TWO, since=since) as stream:
            while not said >= wanted:
                said |= heard([stream.next(GUARD)])


def heard(items):
    """What items said: the root, what happened, and to whom."""
    return {(key, one["mutation"], one["id"]) for item in items for key, one in item.items()}


def test_history_that_is_lost_is_a_reset_with_a_new_snapshot(path, clock):
    """Whoever goes on after a position that the feed has forgotten is told, and gets what matches now."""
    with Aurora(path, clock=clock) as db:
        db.execute("define collection t { n: Int }")
        made(db, "a")
        with db.stream(EVENTS) as stream:
            made(db, "b")
            position = stream.next(GUARD)["t"]["position"]
        made(db, "c")
    # Triggers write the time of the machine into the feed.
    clock.advance(timedelta(days=36_500))
    with Aurora(path, clock=clock) as db:
        stream = db.stream("subscription { t { mutation id } }", since=position)
        said = [stream.next(GUARD)["t"] for _ in range(5)]
        assert said == [
            {"mutation": "RESET", "id": None},
            {"mutation": "INITIAL", "id": "a"},
            {"mutation": "INITIAL", "id": "b"},
            {"mutation": "INITIAL", "id": "c"},
            {"mutation": "READY", "id": None},
        ]


def test_nothing_new_is_progress(db, clock):
    """An idle subscription is told how far it is, so that its position does not age."""
    db.execute("define collection t { n: Int }  define collection u { n: Int }")
    stream = db.stream(EVENTS)
    with pytest.raises(Timeout):
        stream.next(0.01)
    before = stream.position
    quiet = db.stream("subscription { t { id } }")
    db.insert_into("u", {"n": 1})
    clock.advance(timedelta(seconds=11))
    said = stream.next(GUARD)
    assert said == {"t": {"mutation": "PROGRESS", "id": None, "position": stream.position}}
    assert stream.position != before
    # Who does not select what tells an event from another gets none.
    with pytest.raises(Timeout):
        quiet.next(0.01)


def test_definitions_of_another_process_are_known(path):
    """A text may name what another process has just defined."""
    with Aurora(path) as db:
        db.execute("{ __schema { collections { name } } }")
        subprocess.run(
            [sys.executable, "-c", f"from aurora_db import Aurora; Aurora({str(path)!r}).execute('define collection t {{ n: Int }}')"],
            check=True, timeout=60,
        )  # fmt: skip
        stream = db.stream(EVENTS)
        made(db, "a")
        assert stream.next(GUARD)["t"]["id"] == "a"


def test_a_text_that_is_refused_after_a_definition_ends_the_stream_with_that_error(db):
    """When its field is dropped, who follows it is told why nothing comes any more."""
    db.execute("define collection t { n: Int  s: String }")
    stream = db.stream("subscription { t(where: {s: 1}) { id } }".replace("1", '"x"'))
    db.execute("alter collection t { drop s }")
    with pytest.raises(AqlError) as refused:
        stream.next(GUARD)
    assert refused.value.code == "unknown_field"


def test_a_closed_stream_ends_its_loop(db):
    """Iterating ends, `next` says why."""
    db.execute("define collection t { n: Int }")
    stream = db.stream("{ t { id } }")
    stream.close()
    assert list(stream) == []
    with pytest.raises(SubscriptionClosed):
        stream.next(GUARD)


def test_a_text_is_followed_by_tasks_alike(path):
    """The same with `async`."""

    async def main():
        async with AsyncAurora(path) as db:
            await db.execute("define collection t { n: Int }")
            async with db.stream("subscription { t { id } }") as stream:
                await db.insert_into("t", {"id": "a"})
                async for item in stream:
                    return item
        return None

    assert asyncio.run(asyncio.wait_for(main(), GUARD)) == {"t": {"id": "a"}}


def test_what_cannot_be_followed_says_what_to_do(db):
    """A mutation is executed, a subscription streamed."""
    db.execute("define collection t { n: Int }")
    with pytest.raises(Unsupported) as refused:
        db.stream('mutation { insertInto(collection: "t", data: {n: 1}) { id } }')
    assert refused.value.hint == "db.execute(text) runs it"
    with pytest.raises(Unsupported) as refused:
        db.execute(EVENTS)
    assert refused.value.hint == "db.stream(text) follows it"
    with pytest.raises(ValidationError):
        db.stream(EVENTS, since="elsewhere-7")
    assert db.execute("{ t { n } }") == {"t": []}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("subscription { users { name } }", "write node { name }, or mode: RESULTS"),
        ("subscription { users { ...F } } fragment F on users { name }", "write node { ...F }, or mode: RESULTS"),
        ("subscription { users { ... on users { name } } }", "write node { ... on users { … } }, or mode: RESULTS"),
        ("subscription { users { aggregate { count } } }", "write mode: RESULTS, which gives aggregate whenever it differs"),
        ("subscription { users { mutatoin } }", "did you mean 'mutation'?"),
        ("subscription { users { whatever } }", "its keys are mutation, id, node, old, changed, position"),
        # MongoDB's change streams, Supabase, RethinkDB, Prisma
        ("subscription { users { fullDocument } }", "write node"),
        ("subscription { users { operationType } }", "write mutation"),
        ("subscription { users { resumeToken } }", "write position"),
        ("subscription { users { new_val } }", "write node"),
        ("subscription { users { old_record } }", "write old"),
        ("subscription { users { previousValues } }", "write old"),
        ("subscription { users { updatedFields } }", "write changed"),
        # Apollo, Amplify, Hasura
        ("subscription { userAdded { id } }", "write subscription { users { mutation node { … } } }"),
        ("subscription { onCreateUser { id } }", "write subscription { users { mutation node { … } } }"),
        ("subscription { users_stream(batch_size: 10) { id } }", "write subscription { users { mutation node { … } } }"),
        ("subscription { users(where: {age: {_gt: 3}}) { id } }", "did you mean 'gt'?"),
        ("subscription { insertInto { id } }", "a mutation runs by db.execute: mutation { insertInto(…) }"),
        # SurrealDB and others
        ("LIVE SELECT * FROM users", "write subscription { users(where: {age: {gt: 18}}) { mutation id node } }"),
        ("watch users", "write subscription { users(where: {age: {gt: 18}}) { mutation id node } }"),
        # what does not fit together
        ("subscription { users(initial: true, mode: RESULTS) { name } }", "leave it out"),
        ('subscription { users(after: "x") { id } }', "write mode: RESULTS, or since: for what comes after a position"),
        ("subscription { users(mode: RESULT) { name } }", "did you mean 'RESULTS'?"),
        ("subscription { users(mode: 1) { name } }", "write mode: CHANGES or RESULTS"),
        ('subscription { users(searh: "x") { id } }', "did you mean 'search'?"),
        ("{ users(mode: RESULTS) { name } }", "it is of subscriptions: subscription { users(mode: …) { … } }"),
        ("subscription @explain { users { id } }", "db.explain(text) tells how it is kept"),
        ("subscription { quiet { id } }", "define it without @quiet"),
        ("{ quiet { n } }", "define it without @quiet"),
        ("query @explain { users { name } }", "db.explain(text) tells how"),
        ("{ __schema { collections { name } } }", "db.execute(text) reads them"),
        ("subscription { __schema { collections { name } } }", "write subscription { users { mutation id node } }"),
        ("subscription A { users { id } } query B { users { name } }", "choose one by operation="),
    ],
)  # fmt: skip
def test_habits_of_others_are_answered(db, text, hint):
    """Whoever types what another system has reads what to type here."""
    db.execute("schema { define collection users { name: String  age: Int }  define collection quiet @quiet { n: Int } }")  # fmt: skip
    with pytest.raises(Exception, match=r".") as refused:
        db.stream(text)
    assert refused.value.hint == hint


def test_a_handler_publishes(working):
    """An action of an event handler may be a message, with values of the document."""
    working.execute("define collection t { room: String  text: String }")
    defined = working.execute("""define handler "h" { on: "insert:t"
      action: { publish(topic: "chat.${room}", payload: {text: "${text}"}, durable: true) } }""")
    assert defined["compiled"] == "WORKER"
    with working.subscribe("chat.*") as messages:
        working.insert_into("t", {"id": "a", "room": "red", "text": "hello"})
        message = messages.next(GUARD)
    assert (message.topic, message.payload) == ("chat.red", {"text": "hello"})
    assert message.position is not None
