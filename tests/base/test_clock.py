"""The clock of tests moves only when told, and wakes whoever waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from aurora_db.base.clock import ManualClock, SystemClock
from aurora_db.base.ids import new_id


def test_it_stands_still_until_advanced():
    """Both readings move together."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    clock.advance(1.5)
    clock.advance(timedelta(minutes=1))
    assert clock.now() == datetime(2026, 1, 1, 0, 1, 1, 500_000, tzinfo=UTC)
    assert clock.monotonic() == 61.5


def test_a_jump_wakes():
    """Registered wakes are called after each advance, until they are taken back."""
    clock = ManualClock()
    heard: list[datetime] = []
    stop = clock.on_jump(lambda: heard.append(clock.now()))
    clock.advance(1)
    stop()
    clock.advance(1)
    assert heard == [datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)]


def test_time_does_not_run_backwards():
    """A negative step is refused."""
    with pytest.raises(ValueError, match="forward"):
        ManualClock().advance(-1)


def test_the_system_clock_is_aware():
    """Instants carry their zone."""
    assert SystemClock().now().tzinfo is UTC


def test_ids_ascend():
    """Each id is greater than the one before."""
    ids = [new_id() for _ in range(10_000)]
    assert ids == sorted(set(ids))
