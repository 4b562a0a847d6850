"""Whatever a verb is given, it does what it says or refuses with an error of ours, and changes nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aurora_db import Aurora
from aurora_db.base.errors import (
    AqlSyntaxError,
    AuroraError,
    TypeMismatch,
    UnknownCollection,
    ValidationError,
)


@pytest.fixture
def db() -> Iterator[Aurora]:
    with Aurora(":memory:") as opened:
        opened.define("t", {"s": "String", "i": "Int", "j": "JSON"})
        opened["t"].insert({"id": "1", "s": "a", "i": 1})
        yield opened


def _deep() -> list[Any]:
    made: list[Any] = []
    for _ in range(5_000):
        made = [made]
    return made


WILD: dict[str, Callable[[Aurora, Any], object]] = {
    "text": lambda db, _: db.execute(None),  # type: ignore[arg-type]
    "text that is a list": lambda db, _: db.execute([1]),  # type: ignore[arg-type,list-item]
    "variables": lambda db, _: db.execute("{ t { id } }", "a"),  # type: ignore[arg-type]
    "names of variables": lambda db, _: db.execute("{ t { id } }", {1: 2}),  # type: ignore[dict-item]
    "claims": lambda db, _: db.execute('query @require(role: "x") { t { id } }', auth=3),  # type: ignore[arg-type]
    "id": lambda db, _: db["t"].get([1]),  # type: ignore[arg-type]
    "document": lambda db, _: db["t"].upsert({"id": "1"}, None),  # type: ignore[arg-type]
    "key of an upsert": lambda db, _: db["t"].upsert({1: 2}, {}),  # type: ignore[dict-item]
    "fields": lambda db, _: db.define("u", None),  # type: ignore[arg-type]
    "nested value of a String": lambda db, deep: db["t"].insert({"s": deep}),
    "nested id": lambda db, deep: db["t"].insert({"id": deep}),
    "nested expression": lambda db, deep: db["t"].update("1", {"i": {"expr": deep}}),
    "nested revision": lambda db, deep: db["t"].update("1", {"i": 2}, if_rev=deep),
    "nested condition": lambda db, deep: db["t"].count({"s": {"not": deep}}),
    "expression": lambda db, _: db["t"].update("1", {"i": {"expr": range(3)}}),
    "order": lambda db, _: db.execute(
        "query ($o: Any) { t(orderBy: $o) { id } }", {"o": dt.datetime.now(dt.UTC)}
    ),
    "order of bytes": lambda db, _: db.execute(
        "query ($o: Any) { t(orderBy: [$o]) { id } }", {"o": b"s"}
    ),
    "instant": lambda db, _: db.enqueue_job("w", run_at=True),  # type: ignore[arg-type]
    "instant that is a time": lambda db, _: db.enqueue_job("w", run_at=dt.time(1, tzinfo=dt.UTC)),  # type: ignore[arg-type]
    "instant outside of UTC": lambda db, _: db.enqueue_job(
        "w", run_at=dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-14)))
    ),
    "delay": lambda db, _: db.enqueue_job("w", delay=10**400),
    "tags": lambda db, _: db.enqueue_job("w", tags=True),  # type: ignore[arg-type]
    "type of a job": lambda db, _: db.enqueue_job(["w"]),  # type: ignore[arg-type]
    "selected name": lambda db, _: db.query("t").select(None).all(),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("given", WILD)
def test_a_wild_value_is_refused_and_changes_nothing(db: Aurora, given: str) -> None:
    """A value of the wrong kind gives one of the documented errors and leaves all as it was."""
    with pytest.raises(AuroraError):
        WILD[given](db, _deep())
    assert db.execute("{ t { } _jobs { id } __schema { collections { name } } }") == {
        "t": [{"id": "1", "s": "a", "i": 1, "j": None}],
        "_jobs": [],
        "__schema": {"collections": [{"name": "t"}]},
    }


def test_the_errors_say_what_was_expected(db: Aurora) -> None:
    """The kind of the error tells what is wrong."""
    with pytest.raises(UnknownCollection, match="the name of a collection is a text"):
        db.collection(None)  # type: ignore[arg-type]
    with pytest.raises(TypeMismatch, match="a text of AQL is a str"):
        db.execute(b"{ t { id } }")  # type: ignore[arg-type]
    with pytest.raises(AqlSyntaxError, match="written as a text"):
        db["t"].update("1", {"i": {"expr": range(3)}})
    with pytest.raises(ValidationError, match="'tags' is a list of texts"):
        db.enqueue_job("w", tags="urgent")
