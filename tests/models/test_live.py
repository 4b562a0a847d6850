"""What subscriptions say, applied to what they said first, is always what the query gives.

Documents, writes and live queries are random; who writes is this process, another Aurora, or the sqlite3
of the standard library. History is pruned, collections are altered, subscriptions are closed and
go on, some are slow. Nothing is lost, nothing comes twice, nothing goes back.
"""

from __future__ import annotations

import itertools
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from tests.models.asking import arguments, queries, selections
from tests.models.live_followers import KINDS, Events, Follower, Results, end, followers
from tests.models.live_programs import Program
from tests.models.live_world import SCHEMA, Step, do, documents, steps
from tests.models.worlds import worlds

from aurora_db import Aurora, AuroraError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.models.worlds import Collection, World

MOST = settings.default.max_examples
MODEL = settings(
    max_examples=MOST * 7 // 2 if MOST < 1_000 else MOST,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
    deadline=None,
)  # fmt: skip


@pytest.fixture(scope="module")
def programs() -> Iterator[dict[str, Program]]:
    """The other programs, kept for all examples."""
    made = {kind: Program(kind) for kind in ("aurora", "sqlite")}
    yield made
    for one in made.values():
        one.end()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for each example, with a database of the schema."""
    folder = tmp_path_factory.mktemp("live")
    with Aurora(folder / "live.db") as db:
        db.execute(SCHEMA)

    def made() -> Iterator[Path]:
        for n in itertools.count():
            one = folder / str(n)
            one.mkdir()
            shutil.copy(folder / "live.db", one)
            yield one
            shutil.rmtree(one, ignore_errors=True)

    return made()


class Stage:
    """An open database, who writes and who follows."""

    def __init__(self, folder: Path, programs: dict[str, Program]) -> None:
        self.folder = folder
        self.path = folder / "live.db"
        self.db = Aurora(self.path, durability="none", poll_interval=0.002)
        self._programs = programs
        self._opened: set[str] = set()
        self.followers: list[Follower] = []

    def step(self, step: Step) -> None:
        match step.what:
            case ["take", count]:
                for one in self.followers:
                    one.some(count)
            case ["kill"]:
                for one in self.followers:
                    one.killed()
            case _ if step.by == "here":
                note(f"  {do(self.db, step.what, self.folder)}")
            case _:
                program = self._programs[step.by]
                if step.by not in self._opened:
                    self._opened.add(step.by)
                    program.tell("open", str(self.path))
                note(f"  {program.tell('do', step.what)}")
        if step.what[0] == "execute" and step.what[1].startswith("alter"):
            for one in self.followers:
                one.altered()
        if step.what == ["prune"]:
            for one in self.followers:
                one.pruned()
        if step.asked:
            self.ask()

    def ask(self, *, all: bool = False) -> None:
        """Followers take what there is, and are compared."""
        # Definitions may have changed without a change of documents: this one comes after them.
        self.db["marks"].insert({})
        last = end(self.db)
        for one in list(self.followers):
            if all or not one.lazy:
                one.reach(last)
                if not one.check():
                    one.close()
                    self.followers.remove(one)

    def close(self) -> None:
        for one in self._opened:
            self._programs[one].tell("close")
        self.db.close()


@settings(MODEL)
@given(
    first=st.lists(documents("people"), max_size=4, unique_by=lambda one: one["id"]),
    drawn=st.lists(followers(), min_size=1, max_size=6),
    history=st.lists(steps(), min_size=1, max_size=20),
)
def test_what_was_said_is_always_what_there_is(
    first: list[dict[str, Any]],
    drawn: list[tuple[str, tuple[Any, ...], dict[str, bool]]],
    history: list[Step],
    programs: dict[str, Program],
    folders: Iterator[Path],
):
    """Whoever writes what, each follower knows from what it was told what a query would say."""
    stage = Stage(next(folders), programs)
    try:
        for one in first:
            do(stage.db, ["insert", "people", one], stage.folder)
        for kind, what, how in drawn:
            note(f"{kind} {what} {how}")
            try:
                stage.followers.append(KINDS[kind][0](stage.db, *what, **how))
            except AuroraError as error:
                raise AssertionError(f"refused: {error!r}") from error
        for step in history:
            note(f"{step}")
            stage.step(step)
        stage.ask(all=True)
    finally:
        stage.close()


# --- any query over any world -------------------------------------------------------------------


class Drawn(NamedTuple):
    """A query of documents over a world."""

    name: str
    given: str
    selection: str

    @property
    def shown(self) -> str:
        """The selection of a query that has the ids, too."""
        return f"id {self.selection}" if self.selection else ""

    def head(self, *more: str) -> str:
        """The collection with its arguments."""
        given = " ".join((self.given, *more)).strip()
        return self.name + (f"({given})" if given else "")


@st.composite
def changing(draw: st.DrawFn) -> tuple[World, list[Any], list[tuple[Any, ...]]]:
    """A world, what is asked of it, and how it comes to be: inserts, with updates and deletes in between."""
    world = draw(worlds())
    asked: list[Any] = []
    for whole in draw(st.lists(st.booleans(), min_size=1, max_size=3)):
        if whole:
            head, selection = draw(queries(world))
            asked.append(f"{{ {head} {{ {selection} }} }}" if selection else f"{{ {head} }}")
        else:
            one = draw(st.sampled_from(world.collections))
            shown = " ".join(draw(selections(world, one)))
            asked.append(Drawn(one.name, draw(arguments(world, one, 2)), shown))
    steps: list[tuple[Any, ...]] = []
    known: list[tuple[Collection, str]] = []
    for collection in world.collections:
        for document in world.documents[collection.name]:
            steps.append(("insert", collection.name, document))
            known.append((collection, document["id"]))
            if draw(st.booleans()):
                steps.append(draw(_touched(world, draw(st.sampled_from(known)))))
    while known and draw(st.integers(0, 3)):
        steps.append(draw(_touched(world, draw(st.sampled_from(known)))))
    return world, asked, steps


@st.composite
def _touched(draw: st.DrawFn, world: World, at: tuple[Collection, str]) -> tuple[Any, ...]:
    """An update of a document, or its end."""
    collection, id = at
    if draw(st.integers(0, 5)) == 0:
        return ("delete", collection.name, id)
    field = draw(st.sampled_from(collection.fields))
    value = None if draw(st.integers(0, 3)) == 0 else draw(field.kind.values)
    if field.to is not None:
        others = world.documents[field.to]
        value = draw(st.sampled_from([None, *[one.get(field.key) for one in others]]))
    return ("update", collection.name, id, {field.name: value})


@settings(MODEL, max_examples=MOST)
@given(drawn=changing())
def test_any_query_over_any_world_can_be_followed(
    drawn: tuple[World, list[Any], list[tuple[Any, ...]]],
):
    """Whatever the schema and the query are, what was said is what the query gives after each write."""
    world, asked, steps = drawn
    note(world.schema)
    with Aurora(":memory:") as db:
        db.execute(world.schema)
        db.execute("define collection marks { n: Int }")
        followers: list[Follower] = []
        for one in asked:
            note(f"{one}")
            kind: Any = Events if isinstance(one, Drawn) else Results
            followers.append(kind(db, one, small=False, lazy=False))
        for n, step in enumerate(steps):
            note(f"{step}")
            with suppress(AuroraError):
                getattr(db[step[1]], step[0])(*step[2:])
            for one in followers:
                one.told()
            if n % 3 == 0 or n == len(steps) - 1:
                db["marks"].insert({})
                last = end(db)
                for one in list(followers):
                    one.reach(last)
                    if not one.check():
                        followers.remove(one)
