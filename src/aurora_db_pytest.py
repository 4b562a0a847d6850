"""The pytest plug-in of aurora_db: databases for tests, their clock in the test's hand.

It loads by itself where aurora_db is installed (entry point `pytest11`) and imports it only when a test
asks for a fixture. It is a module beside the package for that reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from aurora_db import AsyncAurora, Aurora, Jobs, ManualClock

MARKER = (
    "aurora(jobs=…, mode='inline', raises=True, **options): how the fixtures of aurora_db open their "
    "database: with which registry, when its jobs run, and with which options of AuroraConfig"
)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", MARKER)


@pytest.fixture
def aurora_jobs() -> Jobs:
    """The registry of job handlers of the fixtures' databases; override it to return your own."""
    from aurora_db import Jobs  # noqa: PLC0415 - only where a test asks for it

    return Jobs()


@pytest.fixture
def aurora_options() -> Mapping[str, Any]:
    """Options of `AuroraConfig` for the fixtures' databases; override it to return your own."""
    return {}


@pytest.fixture
def aurora_clock() -> ManualClock:
    """The clock of the fixtures' databases; it moves only when told."""
    from aurora_db import ManualClock  # noqa: PLC0415 - only where a test asks for it

    return ManualClock()


@pytest.fixture
def aurora(
    request: pytest.FixtureRequest,
    aurora_jobs: Jobs,
    aurora_options: Mapping[str, Any],
    aurora_clock: ManualClock,
) -> Iterator[Aurora]:
    """A database in memory with the registry `aurora_jobs`, closed at the end of the test."""
    from aurora_db import Aurora  # noqa: PLC0415 - only where a test asks for it

    wish = _Wish(request, aurora_jobs, aurora_options, aurora_clock)
    with Aurora(":memory:", jobs=wish.jobs, **wish.options) as db:
        wish.set_up(db)
        yield db


@pytest.fixture
def aurora_file(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    aurora_jobs: Jobs,
    aurora_options: Mapping[str, Any],
    aurora_clock: ManualClock,
) -> Iterator[Aurora]:
    """A database in the file `aurora.db` of `tmp_path`, which other processes can open, too."""
    from aurora_db import Aurora  # noqa: PLC0415 - only where a test asks for it

    wish = _Wish(request, aurora_jobs, aurora_options, aurora_clock)
    with Aurora(tmp_path / "aurora.db", jobs=wish.jobs, **wish.options) as db:
        wish.set_up(db)
        yield db


@pytest.fixture
def aurora_async(
    request: pytest.FixtureRequest,
    aurora_jobs: Jobs,
    aurora_options: Mapping[str, Any],
    aurora_clock: ManualClock,
) -> Iterator[AsyncAurora]:
    """An `AsyncAurora` in memory, for tests that are coroutines, whoever runs them."""
    # No coroutine itself: so it serves pytest-asyncio and anyio alike, and neither has to be there.
    from aurora_db import AsyncAurora  # noqa: PLC0415 - only where a test asks for it

    wish = _Wish(request, aurora_jobs, aurora_options, aurora_clock)
    db = AsyncAurora(":memory:", jobs=wish.jobs, **wish.options)
    try:
        wish.set_up(db)
        yield db
    finally:
        # `close` is a coroutine, and no event loop runs any more.
        db._close(30.0)  # pyright: ignore[reportPrivateUsage]


class _Wish:
    """What a test wants of its database: the marker before the fixtures, those before our defaults."""

    def __init__(
        self,
        request: pytest.FixtureRequest,
        jobs: Jobs,
        options: Mapping[str, Any],
        clock: ManualClock,
    ) -> None:
        said: dict[str, Any] = {}
        # The nearest one is last: of the function, after those of its class and its module.
        for marker in reversed(list(request.node.iter_markers("aurora"))):
            if marker.args:
                raise pytest.UsageError(
                    f"@pytest.mark.aurora takes keywords only, got {marker.args!r}"
                )
            said |= marker.kwargs
        self.jobs: Jobs = said.pop("jobs", jobs)
        self._mode: Any = said.pop("mode", "manual")
        self._raises: bool = said.pop("raises", False)
        # Without waiting for the disk: it survives a kill, and no test cuts the power.
        self.options: Any = {"clock": clock, "durability": "none", **options, **said}

    def set_up(self, db: Aurora | AsyncAurora) -> None:
        """Set the mode, where it is not the usual one."""
        if self._mode != "manual" or self._raises:
            db.jobs_testing.mode(self._mode, raises=self._raises)
