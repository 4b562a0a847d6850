"""What holds for every test of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aurora_db import Aurora
from aurora_db.jobs.status import TRANSITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAYS = {(status, target) for status, events in TRANSITIONS.items() for target in events.values()}
CHANGES = """
    SELECT DISTINCT before ->> 'status', after ->> 'status' FROM _changes
     WHERE collection = '_jobs' AND op = 'update'
"""


@pytest.fixture(autouse=True)
def jobs_go_by_the_table(request: pytest.FixtureRequest, path: Path) -> Iterator[None]:
    """After the test: no job has changed its status but by a way of the table of transitions.

    Other programs write what they like.
    """
    yield
    if path.is_file() and "other_program" not in request.fixturenames:
        with Aurora(path, feed_retention=3_000_000_000.0) as db:
            made = set(db._engine.read(lambda port: port.rows(CHANGES)))
        assert made - WAYS == set()
