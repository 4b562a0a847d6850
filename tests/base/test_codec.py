"""Python to JSON and back, and instants as text."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_db.base.codec import decode, encode, instant, plain, seconds, timestamp
from aurora_db.base.errors import ValidationError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@dataclass
class Point:
    x: int
    label: str


class Size(msgspec.Struct):
    w: int


@given(JSON)
def test_a_json_value_comes_back_as_it_was(value):
    """What is written is read."""
    assert decode(encode(value)) == value


def test_records_become_objects():
    """Dataclasses and structs are objects, also inside others."""
    assert plain({"p": Point(1, "a"), "s": [Size(2)]}) == {
        "p": {"x": 1, "label": "a"},
        "s": [{"w": 2}],
    }


@pytest.mark.parametrize("value", [float("nan"), {"a": [float("inf")]}, object(), {"f": print}])
def test_what_json_cannot_say_is_refused(value):
    """Not a number, infinity, and things without a JSON form are errors, never null."""
    with pytest.raises(ValidationError):
        encode(value)


@given(st.datetimes(timezones=st.just(UTC)))
def test_instants_come_back_and_sort_as_text(moment):
    """A timestamp has a fixed width and keeps every microsecond."""
    text = timestamp(moment)
    assert (len(text), instant(text)) == (27, moment)
    if moment < datetime(9999, 1, 1, tzinfo=UTC):
        assert timestamp(moment + timedelta(microseconds=1)) > text


def test_another_zone_is_converted_and_none_is_refused():
    """Text is UTC; a naive instant has no meaning."""
    paris = timezone(timedelta(hours=2))
    assert timestamp(datetime(2026, 7, 1, 2, tzinfo=paris)) == "2026-07-01T00:00:00.000000Z"
    with pytest.raises(ValidationError):
        timestamp(datetime(2026, 7, 1))


def test_durations():
    """Seconds or a timedelta."""
    assert (seconds(2), seconds(timedelta(minutes=1))) == (2.0, 60.0)
