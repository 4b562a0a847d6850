"""The fixtures that every test may use."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from aurora_db.base.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from aurora_db import Aurora

settings.register_profile(
    "ci",
    derandomize=True,
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.register_profile(
    "long",
    max_examples=3_000,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

OTHER_PROGRAM = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.executescript(sys.argv[2]); db.close()"


@pytest.fixture
def clock() -> ManualClock:
    """A clock that moves only when told."""
    return ManualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that does not exist yet."""
    return tmp_path / "test.db"


@pytest.fixture(params=["sqlite"])
def db(request: pytest.FixtureRequest, path: Path, clock: ManualClock) -> Iterator[Aurora]:
    """An open database on every engine, its clock in the test's hand."""
    from aurora_db import Aurora

    assert request.param == "sqlite"
    with Aurora(path, clock=clock) as opened:
        yield opened


@pytest.fixture
def working(path: Path) -> Iterator[Aurora]:
    """A database with workers, on the machine's clock."""
    from aurora_db import Aurora

    with Aurora(path, workers_enabled=True, worker_threads=2) as opened:
        yield opened


@pytest.fixture
def other_program(path: Path) -> Callable[[str], None]:
    """Runs SQL on the file by the standard library's sqlite3, in a process of its own."""

    def run(sql: str) -> None:
        subprocess.run(
            [sys.executable, "-c", OTHER_PROGRAM, str(path), sql], check=True, timeout=60
        )

    return run


class Held:
    """A claimed job, to be settled by hand."""

    def __init__(self, db: Aurora, claimed: Any) -> None:
        self._db = db
        self._claimed = claimed
        self.id: str = claimed.id
        self.type: str = claimed.type
        self.attempt: int = claimed.attempt

    @property
    def payload(self) -> Any:
        from aurora_db.base.codec import decode

        return decode(self._claimed.payload)

    def _settle(self, settlement: Any) -> None:
        from aurora_db import LeaseLost
        from aurora_db.jobs import queue

        if self._db._engine.write(partial(queue.settle, settlements=[settlement])):
            raise LeaseLost("the job is not this attempt's any more")

    def complete(self, result: str | None = None) -> None:
        from aurora_db.jobs import queue

        self._settle(queue.Settlement(self._claimed, queue.COMPLETE, result=result))

    def fail(self, error: BaseException) -> None:
        from aurora_db.jobs import executor, signature
        from aurora_db.jobs.attempt import Attempt
        from aurora_db.jobs.context import Bench

        bench = Bench(self._db._engine, lambda *_: None, lambda *_: None, self._db._jobs)
        handler = signature.look_at(self.type, lambda payload: payload)
        attempt = Attempt(self._claimed, handler, 0, 0.0)
        settlement = executor.settle(bench, attempt, executor.raised(error))
        assert settlement is not None
        self._settle(settlement)


@pytest.fixture
def claim_one() -> Callable[..., Held | None]:
    """Claims the next job of any type as a worker would, staging what is due and expired."""

    def claim(db: Aurora, worker: str = "w1") -> Held | None:
        from aurora_db.jobs import claims, upkeep

        async def verb(port: Any) -> list[Any]:
            await upkeep.stage(port)
            await upkeep.rescue_expired(port)
            types = [row[0] for row in await port.rows("SELECT DISTINCT type FROM _jobs")]
            return await claims.claim(port, worker, types, 1)

        claimed = db._engine.write(verb)
        return Held(db, claimed[0]) if claimed else None

    return claim
