"""Events of one collection: each change by itself says what comes of it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from tests.live.following import Followed

from aurora_db.live.matched import Matched

if TYPE_CHECKING:
    from collections.abc import Callable

    from aurora_db import Aurora

ADULTS = """
    subscription ($initial: Boolean) {
        users(where: {age: {gte: 18}} initial: $initial) {
            mutation id node { name } old { name } changed
        }
    }
"""


def people(db: Aurora) -> None:
    """A collection with one who is of age and one who is not."""
    db.execute("schema { define collection users { name: String  age: Int  born: Date } }")
    db["users"].insert({"id": "a", "name": "Ada", "age": 36})
    db["users"].insert({"id": "b", "name": "Bob", "age": 7})


def event(mutation: str, id: str | None, node: Any, old: Any, *changed: str) -> dict[str, Any]:
    return {"mutation": mutation, "id": id, "node": node, "old": old, "changed": list(changed)}


def test_each_change_has_the_event_that_it_makes(db: Aurora):
    """INSERT, UPDATE, ENTER, LEAVE, DELETE; what matches neither before nor after is not told."""
    people(db)
    live = Followed(db, ADULTS)

    db["users"].insert({"id": "c", "name": "Cy", "age": 20})
    db["users"].insert({"id": "d", "name": "Di", "age": 2})
    db["users"].update("a", {"name": "Ann"})
    db["users"].update("b", {"age": 18})
    db["users"].update("c", {"age": 17, "name": "Cyd"})
    db["users"].delete("d")
    db["users"].delete("a")

    assert isinstance(live.root, Matched)
    assert live.rest() == [
        event("INSERT", "c", {"name": "Cy"}, None),
        event("UPDATE", "a", {"name": "Ann"}, {"name": "Ada"}, "name"),
        event("ENTER", "b", {"name": "Bob"}, {"name": "Bob"}, "age"),
        event("LEAVE", "c", {"name": "Cyd"}, {"name": "Cy"}, "name", "age"),
        event("DELETE", "a", None, {"name": "Ann"}),
    ]


def test_it_begins_with_what_matches_where_that_is_asked_for(db: Aurora):
    """INITIAL for each document, then READY."""
    people(db)
    db["users"].insert({"id": "c", "name": "Cy", "age": 20})

    live = Followed(db, ADULTS, {"initial": True})

    assert live.rest() == [
        event("INITIAL", "a", {"name": "Ada"}, None),
        event("INITIAL", "c", {"name": "Cy"}, None),
        event("READY", None, None, None),
    ]


def test_a_position_comes_with_what_is_whole(db: Aurora):
    """INITIAL has none, READY and each change have the one to go on after them."""
    people(db)
    text = "subscription { users(initial: true) { mutation id position } }"
    live = Followed(db, text)

    first = live.some(3)
    db["users"].update("a", {"age": 1})
    update = live.take()
    db["users"].update("b", {"age": 2})
    again = Followed(
        db, "subscription { users { mutation id position } }", since=update["position"]
    )

    assert [one["position"] is None for one in first] == [True, True, False]
    assert update["mutation"] == "UPDATE"
    assert again.take() == live.take()


def test_an_event_shows_values_of_python(db: Aurora):
    """Dates are dates, in node and in old, under the keys that were asked for."""
    people(db)
    live = Followed(db, "subscription { users { what: mutation node { day: born } old { born } } }")

    db["users"].update("a", {"born": "1815-12-10"})
    db["users"].update("a", {"born": "1815-12-11"})

    assert live.some(2) == [
        {"what": "UPDATE", "node": {"day": dt.date(1815, 12, 10)}, "old": {"born": None}},
        {"what": "UPDATE", "node": {"day": dt.date(1815, 12, 11)}, "old": {"born": dt.date(1815, 12, 10)}},
    ]  # fmt: skip


def test_two_nodes_of_an_event_are_shown_each_in_its_way(db: Aurora):
    """An alias gives the same document with other fields."""
    people(db)
    live = Followed(db, "subscription { users(initial: true) { a: node { id } b: node { name } } }")

    assert live.some(2) == [
        {"a": {"id": "a"}, "b": {"name": "Ada"}},
        {"a": {"id": "b"}, "b": {"name": "Bob"}},
    ]


def test_a_condition_is_taken_from_variables(db: Aurora):
    """A value, or a whole where-object."""
    people(db)
    by_value = Followed(
        db, "subscription ($n: Int) { users(where: {age: {gt: $n}}) { id } }", {"n": 30}
    )
    by_object = Followed(
        db, "subscription ($w: JSON) { users(where: $w) { id } }", {"w": {"name": "Bob"}}
    )

    db["users"].update("a", {"age": 37})
    db["users"].update("b", {"age": 8})

    assert isinstance(by_object.root, Matched)
    assert by_value.rest() == [{"id": "a"}]
    assert by_object.rest() == [{"id": "b"}]


def test_what_another_program_writes_is_told_too(db: Aurora, other_program: Callable[[str], None]):
    """Also a document that gets another id."""
    people(db)
    live = Followed(db, "subscription { users { mutation id old { id } changed } }")

    other_program("UPDATE users SET id = 'z' WHERE id = 'b'; DELETE FROM users WHERE id = 'a';")

    assert live.some(2) == [
        {"mutation": "UPDATE", "id": "z", "old": {"id": "b"}, "changed": ["id"]},
        {"mutation": "DELETE", "id": "a", "old": {"id": "a"}, "changed": []},
    ]


def test_now_in_an_event_is_the_time_of_the_change(db: Aurora):
    """Whenever it is taken, and taken again: the change alone says what is shown."""
    people(db)
    text = "subscription { users { position node { when: now() } } }"
    live = Followed(db, text)
    before = live.stream.position

    db["users"].update("a", {"age": 1})
    first = live.take()
    again = Followed(db, text, since=before).take()

    assert first == again
    assert isinstance(first["node"]["when"], dt.datetime)


def test_changing_an_event_changes_nobody_elses(db: Aurora):
    """Each subscriber gets a copy of its own."""
    db.execute("schema { define collection notes { tags: [String] } }")
    db["notes"].insert({"id": "n", "tags": ["a"]})
    text = "subscription { notes { node { tags } old { tags } } }"
    one, other = Followed(db, text), Followed(db, text)

    db["notes"].update("n", {"tags": ["a", "b"]})
    mine = one.take()
    mine["node"]["tags"].append("c")
    mine["old"]["tags"].clear()

    assert other.take() == {"node": {"tags": ["a", "b"]}, "old": {"tags": ["a"]}}
