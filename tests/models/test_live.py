"""What subscriptions say, applied to what they said first, is always what the query gives.

Documents, writes and live queries are random; who writes is this process, another Aurora, or the sqlite3
of the standard library. History is pruned, collections are altered, subscriptions are closed and
go on, some are slow. Nothing is lost, nothing comes twice, nothing goes back.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from tests.models.live_followers import KINDS, Follower, end, followers
from tests.models.live_programs import Program
from tests.models.live_world import SCHEMA, Step, do, documents, steps

from aurora_db import Aurora, AuroraError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST = settings.default.max_examples
MODEL = settings(
    max_examples=MOST * 5 if MOST < 1_000 else MOST,
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
    """A folder for each example."""
    folder = tmp_path_factory.mktemp("live")
    return (made for n in itertools.count() if (made := folder / str(n)) and made.mkdir() is None)


class Stage:
    """An open database, who writes and who follows."""

    def __init__(self, folder: Path, programs: dict[str, Program]) -> None:
        self.folder = folder
        self.path = folder / "live.db"
        self.db = Aurora(self.path, durability="none", poll_interval=0.002)
        self.db.execute(SCHEMA)
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
    drawn=st.lists(followers(), min_size=1, max_size=5),
    history=st.lists(steps(), min_size=1, max_size=12),
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
