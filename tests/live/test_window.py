"""Windows that are kept in memory always show what the query gives."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from tests.live.kept import (
    SCHEMA,
    Followed,
    documents,
    orders,
    understood,
    wheres,
    write,
    writes,
)

from aurora_db import Aurora, Timeout
from aurora_db.live.keeping import can_keep
from aurora_db.store import changes

MODEL = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


@st.composite
def queries(draw: st.DrawFn) -> str:
    cut = "".join(
        f" {name}: {draw(st.integers(0, 4))}" for name in ("limit", "offset") if draw(st.booleans())
    )
    found = f"where: {draw(wheres)} orderBy: {draw(orders)}{cut}"
    return f"{{ things({found}) {{ id _rev n s loose twice }} }}"


def filled(db: Aurora, given: list[dict[str, Any]]) -> None:
    db.execute(SCHEMA)
    for n, document in enumerate(given):
        db["things"].insert({"id": "abcdefghijkl"[n], **document})


@settings(MODEL)
@given(
    queries(),
    st.lists(documents, max_size=6),
    st.lists(writes, max_size=30),
    st.sampled_from(["RESULTS", "CHANGES"]),
)
def test_a_window_shows_what_the_query_gives(
    text: str, first: list[dict[str, Any]], done: list[tuple[str, str, dict[str, Any]]], mode: str
):
    """However documents change, and however seldom somebody looks, what was said makes the result of now."""
    note(text)
    with Aurora(":memory:") as db:
        filled(db, first)
        followed = Followed(db, text, mode)
        followed.begin()
        followed.check()
        for what, id, document in done:
            if what == "hear":
                followed.hear()
                followed.take()
            elif what in ("settle", "take"):
                followed.settle()
                if what == "take":
                    followed.take()
                    followed.check()
            else:
                write(db, what, id, document)
        followed.settle()
        followed.take()
        followed.check()


@settings(MODEL)
@given(
    queries(),
    st.lists(documents, max_size=6),
    st.lists(writes, max_size=12),
    st.lists(writes, max_size=12),
)
def test_a_window_that_goes_on_after_a_position_tells_what_has_changed_since(
    text: str,
    first: list[dict[str, Any]],
    done: list[tuple[str, str, dict[str, Any]]],
    more: list[tuple[str, str, dict[str, Any]]],
):
    """Who had the documents of then has those of now after the events, or is told to begin anew."""
    note(text)
    with Aurora(":memory:") as db:
        filled(db, first)
        followed = Followed(db, text, "CHANGES")
        followed.begin()
        resumed = Followed(db, text, "CHANGES")
        resumed.here, resumed.seq = dict(followed.here), followed.seq
        for round in (done, more):
            for what, id, document in round:
                if what not in ("hear", "settle", "take"):
                    write(db, what, id, document)
            resumed.settle()
            resumed.take()
            resumed.check()


def shop(db: Aurora) -> None:
    db.execute(SCHEMA)
    db["things"].insert_many([{"id": id, "n": n} for n, id in enumerate("abcdef")])


def words(items: list[Any]) -> list[tuple[str, str]]:
    return [(item[0], item[1]) for item in items]


def test_a_document_that_slips_out_of_a_window_leaves_and_one_that_slips_in_enters():
    """The window shows the first two; who is pushed out leaves, and comes back when there is room."""
    with Aurora(":memory:") as db:
        shop(db)
        followed = Followed(db, "{ things(orderBy: {n: ASC} limit: 2) { id _rev } }", "CHANGES")
        followed.begin()
        db["things"].insert({"id": "x", "n": -1})
        followed.settle()
        assert words(followed.take()) == [("LEAVE", "b"), ("INSERT", "x")]
        db["things"].delete("x")
        followed.settle()
        assert words(followed.take()) == [("DELETE", "x"), ("ENTER", "b")]
        db["things"].update("f", {"n": -5})
        followed.settle()
        assert words(followed.take()) == [("LEAVE", "b"), ("ENTER", "f")]
        db["things"].update("f", {"n": -6})
        followed.settle()
        assert words(followed.take()) == [("UPDATE", "f")]


def test_events_that_were_not_taken_are_merged():
    """A document that came and went in between is not told; of one that changed twice the last state is."""
    with Aurora(":memory:") as db:
        shop(db)
        followed = Followed(db, "{ things(orderBy: {n: ASC} limit: 3) { id _rev } }", "CHANGES")
        followed.begin()
        for n in range(3):
            db["things"].insert({"id": "x", "n": -n})
            followed.settle()
            db["things"].update("a", {"n": -10 - n})
            followed.settle()
            db["things"].delete("x")
            followed.settle()
        (event,) = followed.take()
        assert event[0] == "UPDATE"
        assert (event[2]["n"], event[3]["n"]) == (-12, 0)


def test_a_document_that_left_and_was_deleted_is_told_as_deleted():
    """The feed is silent about a document that does not match any more; the event is right all the same."""
    with Aurora(":memory:") as db:
        shop(db)
        text = "{ things(where: {n: {lt: 8}} orderBy: {n: ASC} limit: 3) { id _rev } }"
        followed = Followed(db, text, "CHANGES")
        followed.begin()
        db["things"].update("a", {"n": 9})
        db["things"].delete("a")
        db["things"].update("b", {"n": 9})
        followed.settle()
        assert words(followed.take()) == [
            ("DELETE", "a"), ("LEAVE", "b"), ("ENTER", "d"), ("ENTER", "e"),
        ]  # fmt: skip


def test_what_was_heard_and_not_settled_is_not_lost_when_somebody_takes():
    """A state that is taken between the changes of a long transaction takes nothing from the next one."""
    with Aurora(":memory:") as db:
        shop(db)
        followed = Followed(db, "{ things(orderBy: {n: ASC} limit: 2) { id _rev } }", "CHANGES")
        followed.begin()
        db["things"].update("a", {"n": -1})
        followed.settle()
        db["things"].insert({"id": "x", "n": -5})
        followed.hear()
        assert words(followed.take()) == [("UPDATE", "a")]
        followed.settle()
        assert words(followed.take()) == [("LEAVE", "b"), ("INSERT", "x")]


def test_a_window_whose_reserve_runs_out_is_read_again():
    """Deleting the first ones again and again always shows those that follow."""
    with Aurora(":memory:") as db:
        db.execute(SCHEMA)
        db["things"].insert_many([{"id": f"{n:03}", "n": n} for n in range(200)])
        followed = Followed(db, "{ things(orderBy: {n: ASC} limit: 3 offset: 1) { id } }")
        followed.begin()
        for n in range(150):
            db["things"].delete(f"{n:03}")
            followed.settle()
            followed.take()
            assert followed.result == [{"id": f"{n + more:03}"} for more in (2, 3, 4)]


def test_more_changes_than_are_noted_are_read_again():
    """A mass update in one transaction is told whole."""
    with Aurora(":memory:") as db:
        db.execute(SCHEMA)
        db["things"].insert_many([{"id": f"{n:05}", "n": n} for n in range(12_000)])
        followed = Followed(db, "{ things(orderBy: {n: DESC} limit: 2) { id _rev } }", "CHANGES")
        followed.begin()
        db["things"].update({}, {"n": {"multiply": -1}}, all=True)
        followed.settle()
        assert words(followed.take()) == [
            ("LEAVE", "11999"), ("LEAVE", "11998"), ("ENTER", "00000"), ("ENTER", "00001"),
        ]  # fmt: skip
        followed.check()


def test_nothing_is_said_where_nothing_shown_differs():
    """A change of what the query does not select is no news."""
    with Aurora(":memory:") as db:
        shop(db)
        followed = Followed(db, "{ things(orderBy: {n: ASC} limit: 2) { id n } }")
        assert followed.begin() == [[{"id": "a", "n": 0}, {"id": "b", "n": 1}]]
        db["things"].update("a", {"s": "other"})
        db["things"].update("f", {"n": 100})
        followed.settle()
        assert followed.take() == []


def test_documents_of_another_program_stand_at_the_place_where_it_put_them(tmp_path):
    """Without an order documents are by insertion, which another program can decide."""
    import sqlite3

    with Aurora(tmp_path / "shop.db") as db:
        shop(db)
        followed = Followed(db, "{ things(limit: 3) { id } }")
        followed.begin()
        with sqlite3.connect(tmp_path / "shop.db") as other:
            other.execute("INSERT INTO things (_n, id) VALUES (-7, 'first')")
            other.execute("UPDATE things SET _n = 1000 WHERE id = 'a'")
        other.close()
        followed.settle()
        assert followed.take() == [[{"id": "first"}, {"id": "b"}, {"id": "c"}]]


@pytest.mark.parametrize(
    "text",
    [
        "{ _jobs { id } }",
        '{ things(where: {expr: "at < now()"}) { id } }',
        '{ things(orderBy: {expr: "uuid()"}) { id } }',
        "{ things { id parent { id } } }",
        "{ things(where: {parent: {n: 1}}) { id } }",
        '{ things(orderBy: "parent.n") { id } }',
    ],
)
def test_what_changes_without_its_documents_is_not_kept(text: str):
    """Queries that read the clock or other documents are run again."""
    with Aurora(":memory:") as db:
        db.execute(SCHEMA)
        db.execute('alter collection things { add parent: ID @relation(to: "things") }')
        assert not can_keep(understood(db, text))


# --- through the verbs ----------------------------------------------------------------------

GUARD = 30.0
BEST = """
    subscription ($since: String) {
      things(orderBy: {n: DESC} limit: 2, since: $since) { mutation id node { n } old { n } position }
    }
"""


def said(stream: Any, count: int) -> list[tuple[Any, ...]]:
    """The next events, short."""
    items = [stream.next(timeout=GUARD)["things"] for _ in range(count)]
    return [
        (one["mutation"], one["id"], *(each and each["n"] for each in (one["node"], one["old"])))
        for one in items
    ]


def test_a_window_goes_on_after_a_position_without_beginning_anew(db):
    """What changed while nobody followed is told as the difference between then and now."""
    shop(db)
    with db.stream(BEST) as stream:
        db["things"].insert({"id": "x", "n": 10})
        assert said(stream, 2) == [("LEAVE", "e", 4, 4), ("INSERT", "x", 10, None)]
        position = stream.position

    db["things"].delete("x")
    db["things"].update("f", {"n": 6})
    db["things"].update("a", {"n": 20})

    with db.stream(BEST, since=position) as stream:
        assert said(stream, 3) == [
            ("DELETE", "x", None, 10), ("ENTER", "a", 20, 0), ("UPDATE", "f", 6, 5),
        ]  # fmt: skip


def test_positions_between_the_events_of_one_look_lose_nothing(db):
    """Whoever goes on after the first of several events is told the others."""
    shop(db)
    with db.stream(BEST) as stream:
        db["things"].insert({"id": "x", "n": 10})
        first, second = (stream.next(timeout=GUARD)["things"] for _ in range(2))
        last = stream.position

    with db.stream(BEST, since=first["position"]) as stream:
        assert said(stream, 2) == [("LEAVE", "e", 4, 4), ("INSERT", "x", 10, None)]
    assert second["position"] == last


def test_a_window_by_insertion_begins_anew(db):
    """Where a deleted document stood is known to nobody: RESET, and what is shown now."""
    shop(db)
    text = "subscription ($since: String) { things(limit: 2, since: $since) { mutation id } }"
    with db.stream(text) as stream:
        db["things"].delete("a")
        assert [stream.next(timeout=GUARD)["things"]["id"] for _ in range(2)] == ["a", "c"]
        position = stream.position

    db["things"].delete("b")

    with db.stream(text, since=position) as stream:
        events = [tuple(stream.next(timeout=GUARD)["things"].values()) for _ in range(4)]
    assert events == [("RESET", None), ("INITIAL", "c"), ("INITIAL", "d"), ("READY", None)]


def test_a_list_that_goes_on_is_silent_until_something_has_changed(db):
    """The list of then is known; the next one comes when a document has changed since."""
    shop(db)
    text = "{ things(orderBy: {n: DESC} limit: 1) { id } }"
    with db.stream(text) as stream:
        assert stream.next(timeout=GUARD) == {"things": [{"id": "f"}]}
        position = stream.position

    with db.stream(text, since=position) as stream:
        db["things"].update("a", {"n": 9})
        assert stream.next(timeout=GUARD) == {"things": [{"id": "a"}]}


def test_what_users_get_is_their_own(db):
    """Changing a list that was given changes nothing that is kept."""
    shop(db)
    db["things"].update("f", {"box": {"size": 1}})
    with db.stream("{ things(orderBy: {n: DESC} limit: 2) { id box } }") as stream:
        stream.next(timeout=GUARD)["things"][0]["box"]["size"] = 100
        db["things"].update("e", {"box": {"size": 2}})
        assert stream.next(timeout=GUARD) == {
            "things": [{"id": "f", "box": {"size": 1}}, {"id": "e", "box": {"size": 2}}]
        }


def test_who_takes_while_others_write_knows_what_there_is(db):
    """Taken at any moment of a busy day, the events fit each other and make the window of the end."""
    shop(db)
    text = "subscription { things(orderBy: {n: ASC} limit: 4 offset: 1 initial: true) { mutation id node { _rev } old { _rev } position } }"

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(300):
            id, n = chance.choice("abcdefghijkl"), chance.randrange(20)
            match chance.randrange(3):
                case 0:
                    db["things"].delete(id)
                case 1:
                    db["things"].update(id, {"n": n})
                case _:
                    db["things"].insert_many([{"id": id, "n": n}], on_conflict="skip")
        db["things"].insert({"id": f"end{seed}", "n": -1})

    here: dict[str, Any] = {}
    with db.stream(text) as stream:
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(2)]
        for one in threads:
            one.start()
        while any(one.is_alive() for one in threads):
            follow(here, stream)
        for one in threads:
            one.join(GUARD)
        last = db._engine.read(changes.end, single=True)
        while int(stream.position.rpartition("-")[2]) < last:
            follow(here, stream)
    wanted = db.execute("{ things(orderBy: {n: ASC} limit: 4 offset: 1) { id _rev } }")["things"]
    assert here == {one["id"]: one["_rev"] for one in wanted}


def follow(here: dict[str, Any], stream: Any) -> None:
    """Apply what comes next, if anything does soon."""
    try:
        event = stream.next(timeout=0.05)["things"]
    except Timeout:
        return
    id, new, old = event["id"], event["node"], event["old"]
    match event["mutation"]:
        case "INITIAL" | "INSERT" | "ENTER":
            assert id not in here
        case "UPDATE" | "LEAVE" | "DELETE":
            assert here.pop(id) == old["_rev"]
        case _:
            assert event["mutation"] == "READY"
    if event["mutation"] in ("INITIAL", "INSERT", "ENTER", "UPDATE"):
        here[id] = new["_rev"]
