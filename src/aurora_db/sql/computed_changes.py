"""`expr` in the data of an update: what the expression gives, in the form of its place."""

from __future__ import annotations

from typing import Any

from aurora_db.aql.changes import Change

Fragment = tuple[str, list[Any]]


def column(change: Change, row: str) -> Fragment:
    """The value for a whole column."""
    raise AssertionError(f"no expression reaches this far yet: {change} {row}")


def part(change: Change, row: str) -> Fragment:
    """The JSON text for a place in JSON."""
    raise AssertionError(f"no expression reaches this far yet: {change} {row}")
