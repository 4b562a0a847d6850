"""Whatever is asked and written: what a live query said last is what the query gives now."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st
from tests.live.following import Followed
from tests.models.asking import arguments, queries, selections
from tests.models.test_queries import close
from tests.models.worlds import _documents, worlds

from aurora_db import Aurora, AuroraError

if TYPE_CHECKING:
    from tests.models.worlds import World

#: Each of them follows several queries in a database of its own.
KEPT = settings(
    max_examples=max(20, settings.default.max_examples // 3),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    deadline=None,
)

Write = tuple[str, str, Any]


@st.composite
def writes(draw: st.DrawFn, world: World) -> list[list[Write]]:
    """Rounds of writes: a verb, a collection, and a document."""
    rounds: list[list[Write]] = []
    for _ in range(draw(st.integers(1, 4))):
        some: list[Write] = []
        for _ in range(draw(st.integers(1, 3))):
            one = draw(st.sampled_from(world.collections))
            verb = draw(st.sampled_from(["insert", "update", "update", "mark", "delete"]))
            made = draw(_documents(one, world.documents))
            some += [(verb, one.name, document) for document in made[:1]]
        rounds.append(some)
    return rounds


def written(db: Aurora, write: Write) -> None:
    """One write; what the schema refuses leaves all as it was."""
    verb, name, document = write
    with suppress(AuroraError):
        match verb:
            case "insert":
                db[name].insert(document)
            case "update":
                db[name].update(document["id"], {key: value for key, value in document.items() if key != "id"})  # fmt: skip
            case "mark":
                db.execute(f"mutation {{ update(collection: {name}, data: {{mark: 7}}, all: true) {{ affected }} }}")  # fmt: skip
            case _:
                db[name].delete(document["id"])


@st.composite
def lived(draw: st.DrawFn) -> tuple[World, list[str], list[list[Write]]]:
    """A world, queries about it, and what is written."""
    world = draw(worlds())
    asked = [
        f"{{ {head} {{ {selection} }} }}"
        for head, selection in draw(st.lists(queries(world), min_size=2, max_size=3))
    ]
    return world, asked, draw(writes(world))


@settings(KEPT)
@given(lived())
def test_a_live_result_is_what_the_query_gives(drawn: tuple[World, list[str], list[list[Write]]]):
    """With relations in both directions, lookups, orders, limits, aggregates and groups."""
    world, asked, rounds = drawn
    note(world.schema)
    note(repr(world.documents))
    with Aurora(":memory:") as db:
        db.execute(world.schema)
        world.filled(db)
        live: list[tuple[str, Followed, Any]] = []
        for text in asked:
            with suppress(AuroraError):
                db.execute(text)
                followed = Followed(db, text)
                live.append((text, followed, followed.take()))
                event(type(followed.root).__name__)
        for some in rounds:
            note(repr(some))
            for write in some:
                written(db, write)
            for n, (text, followed, known) in enumerate(live):
                note(f"{type(followed.root).__name__} {text}")
                said = followed.rest()
                newest = said[-1] if said else known
                live[n] = (text, followed, newest)
                (wanted,) = db.execute(text).values()
                assert close(newest, wanted)


@st.composite
def told(draw: st.DrawFn) -> tuple[World, list[tuple[str, str, str]], list[list[Write]]]:
    """A world, subscriptions to changes of it (collection, arguments, selection), and what is written."""
    world = draw(worlds())
    asked: list[tuple[str, str, str]] = []
    for _ in range(2):
        one = draw(st.sampled_from(world.collections))
        shown = " ".join(draw(selections(world, one))) or "id"
        asked.append((one.name, draw(arguments(world, one, 2)), shown))
    return world, asked, draw(writes(world))


def applied(known: dict[str, Any], events: list[dict[str, Any]]) -> None:
    """What a program makes of events."""
    for one in events:
        match one["mutation"]:
            case "READY":
                pass
            case "RESET":
                known.clear()
            case "DELETE" | "LEAVE":
                assert one["id"] in known
                assert close(one["old"], known.pop(one["id"]))
            case "INITIAL" | "INSERT" | "ENTER":
                assert one["id"] not in known
                known[one["id"]] = one["node"]
            case _:
                assert one["mutation"] == "UPDATE"
                assert close(one["old"], known[one["id"]])
                known[one["id"]] = one["node"]


@settings(KEPT)
@given(told())
def test_events_make_the_result_of_then_that_of_now(
    drawn: tuple[World, list[tuple[str, str, str]], list[list[Write]]],
):
    """Each event fits what was said before, and all of them together lead to what the query gives."""
    world, asked, rounds = drawn
    note(world.schema)
    note(repr(world.documents))
    with Aurora(":memory:") as db:
        db.execute(world.schema)
        world.filled(db)
        live: list[tuple[str, Followed, dict[str, Any]]] = []
        for name, given_, shown in asked:
            text = f"{{ {name}({given_}) {{ own: id node: id {shown} }} }}" if given_ else f"{{ {name} {{ own: id node: id {shown} }} }}"  # fmt: skip
            head = f"{name}({given_} initial: true)"
            try:
                db.execute(text)
            except AuroraError:
                continue
            followed = Followed(
                db,
                f"subscription {{ {head} {{ mutation id node {{ own: id node: id {shown} }} old {{ own: id node: id {shown} }} }} }}",
            )
            live.append((text, followed, {}))
            event(type(followed.root).__name__)
        for some in [[], *rounds]:
            note(repr(some))
            for write in some:
                written(db, write)
            for text, followed, known in live:
                note(f"{type(followed.root).__name__} {text}")
                applied(known, followed.rest())
                (wanted,) = db.execute(text).values()
                assert len(known) == len(wanted)
                assert all(close(known[one["own"]], one) for one in wanted)
