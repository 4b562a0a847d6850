"""Dates come back as Python's own, wherever they stand in a document."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from aurora_db import Aurora

NOON = datetime(2026, 1, 3, 12, 0, tzinfo=UTC)
TRIP: dict[str, Any] = {
    "seen": [NOON, None],
    "stay": {"since": date(2026, 1, 2), "deep": {"at": NOON, "note": None}},
    "legs": [{"on": date(2026, 1, 4), "n": 1, "at": time(9, 30)}, {"on": None, "n": 2, "at": None}],
}


@pytest.fixture
def trip(db: Aurora) -> str:
    db.execute("""schema { define collection trips {
      seen: [DateTime]
      stay: { since: Date  deep: { at: DateTime  note: String } }
      legs: [{ on: Date  n: Int  at: Time }]
    } }""")
    return db["trips"].insert(TRIP)


def test_by_id(db: Aurora, trip: str) -> None:
    found = db["trips"].get(trip)
    assert found is not None
    assert {name: found[name] for name in TRIP} == TRIP


def test_selected_whole_and_in_parts(db: Aurora, trip: str) -> None:
    del trip
    assert db.execute("{ trips { seen stay legs } }") == {"trips": [TRIP]}
    parts = "{ trips { seen stay { since deep { at note } } legs { on n at } } }"
    assert db.execute(parts) == {"trips": [TRIP]}
