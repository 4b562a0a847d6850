"""Values by their keys: what is put is what is got, until its time is over, in every process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from aurora_db import AsyncAurora, Aurora, ReadOnly, TooLarge, ValidationError

GUARD = 60.0

COUNTS = """
import sys
from aurora_db import Aurora
with Aurora(sys.argv[1]) as db:
    for _ in range(200):
        db.kv.increment("visits")
    print(db.kv.add("leader", sys.argv[2]), flush=True)
"""


def rows(db):
    """The keys that have a row, whether their time is over or not."""
    return [one["key"] for one in db.execute("{ _kv(orderBy: {key: ASC}) { key } }")["_kv"]]


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1.5, 2**60, "", "ü€𝄞", [], {}, {"a": [1, {"b": None}]}, b"", b"\0\xff", b"{}"],
)
def test_what_is_put_is_what_is_got(db, path, value):
    """Anything that JSON has, and bytes as bytes, also after the file was closed."""
    db.kv.put("k", value)
    assert db.kv.get("k") == value
    assert type(db.kv.get("k")) is type(value)
    db.close()

    with Aurora(path) as again:
        assert again.kv.get("k") == value


def test_what_json_has_not_comes_back_as_json_says_it(db):
    db.kv.put("k", {"at": datetime(2026, 1, 1, tzinfo=UTC), "pair": (1, 2)})

    assert db.kv.get("k") == {"at": "2026-01-01T00:00:00Z", "pair": [1, 2]}
    db.kv.put("k", bytearray(b"ab"))
    assert db.kv.get("k") == b"ab"


def test_a_put_replaces_and_a_delete_removes(db):
    db.kv.put("k", 1)
    db.kv.put("k", b"2")
    assert db.kv.get("k") == b"2"
    assert db.kv.delete("k") is True
    assert db.kv.get("k") is None
    assert db.kv.delete("k") is False


def test_what_was_got_is_the_callers_own(db):
    db.kv.put("k", {"list": [1]})
    db.kv.get("k")["list"].append(2)

    assert db.kv.get("k") == {"list": [1]}


# --- time -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ttl", [10, 10.0, timedelta(seconds=10)])
def test_a_value_is_gone_when_its_time_is_over(db, clock, ttl):
    """To the moment, and before anybody has removed it."""
    db.kv.put("k", 1, ttl=ttl)
    clock.advance(9.999)
    assert db.kv.get("k") == 1

    clock.advance(0.001)

    assert db.kv.get("k") is None
    assert rows(db) == ["k"]
    assert db.kv.delete("k") is False


def test_a_put_sets_the_time_anew(db, clock):
    db.kv.put("k", 1, ttl=10)
    clock.advance(9)
    db.kv.put("k", 2, ttl=10)
    db.kv.put("stays", 1, ttl=10)
    db.kv.put("stays", 2)
    clock.advance(9)
    assert db.kv.get("k") == 2
    clock.advance(1)
    assert db.kv.get("k") is None
    assert db.kv.get("stays") == 2


def test_expiry_holds_after_the_file_was_closed(path, clock):
    with Aurora(path, clock=clock) as db:
        db.kv.put("k", 1, ttl=10)
    clock.advance(10)

    with Aurora(path, clock=clock) as db:
        assert db.kv.get("k") is None


def test_expired_rows_are_removed_along_with_puts(db, clock):
    """A few at a time, so that no put takes long."""
    for n in range(10):
        db.kv.put(f"old{n}", n, ttl=1)
    db.kv.put("kept", 1)
    clock.advance(1)
    db.kv.put("new1", 1)
    assert len(rows(db)) == 8
    db.kv.put("new2", 1)
    db.kv.increment("new3")

    assert rows(db) == ["kept", "new1", "new2", "new3"]


def test_expired_rows_are_removed_along_with_other_work(db, clock):
    """A program that puts nothing any more still gets rid of them while it writes documents."""
    db.define("notes", {"n": "Int"})
    for n in range(10):
        db.kv.put(f"old{n}", n, ttl=1)
    clock.advance(1)
    for n in range(600):
        db["notes"].insert({"n": n})

    assert rows(db) == []


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), timedelta(0), 1e12, True, "10"])
def test_a_time_that_is_none_is_refused(db, ttl):
    with pytest.raises(ValidationError) as refused:
        db.kv.put("k", 1, ttl=ttl)

    assert refused.value.field == "ttl"
    assert "leave it out for a value that stays" in (refused.value.hint or "")
    assert db.kv.get("k") is None


# --- one step -------------------------------------------------------------------------------


def test_only_one_of_several_adds(db, clock):
    """What holds a place for a time, such as a lock or a request that was seen."""
    assert db.kv.add("lock", "me", ttl=10) is True
    assert db.kv.add("lock", "you", ttl=10) is False
    assert db.kv.get("lock") == "me"
    clock.advance(10)
    assert db.kv.add("lock", "you") is True
    assert db.kv.get("lock") == "you"


def test_numbers_are_incremented(db, clock):
    assert db.kv.increment("n") == 1
    assert db.kv.increment("n", 4) == 5
    assert db.kv.increment("n", -0.5) == 4.5
    assert db.kv.get("n") == 4.5
    db.kv.put("n", 10, ttl=10)
    assert db.kv.increment("n") == 11
    clock.advance(10)
    assert db.kv.increment("n") == 1


def test_the_time_of_a_counter_begins_with_it(db, clock):
    """So many in a minute: what comes later in the minute does not make it longer."""
    assert db.kv.increment("calls", ttl=60) == 1
    clock.advance(59)
    assert db.kv.increment("calls", ttl=60) == 2
    clock.advance(1)
    assert db.kv.increment("calls", ttl=60) == 1


@pytest.mark.parametrize("value", ["1", None, True, [1], b"1"])
def test_what_is_no_number_is_not_incremented(db, value):
    db.kv.put("k", value)

    with pytest.raises(ValidationError, match="is no number"):
        db.kv.increment("k")
    assert db.kv.get("k") == value


@pytest.mark.parametrize("by", ["1", None, True, float("nan"), float("inf")])
def test_only_numbers_are_added(db, by):
    db.kv.put("k", 1)

    with pytest.raises(ValidationError):
        db.kv.increment("k", by)
    assert db.kv.get("k") == 1


def test_whole_numbers_have_no_end_and_fractions_do(db):
    db.kv.put("k", 2**63 - 1)
    assert db.kv.increment("k") == 2**63
    db.kv.put("k", 10**400)
    with pytest.raises(ValidationError):
        db.kv.increment("k", 0.5)
    assert db.kv.get("k") == 10**400
    db.kv.put("k", 1.7e308)
    with pytest.raises(ValidationError):
        db.kv.increment("k", 1.7e308)


# --- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "x" * 513, 7, None, b"k", "\ud800"])
def test_a_key_that_is_none_is_refused(db, key):
    for verb in (db.kv.get, db.kv.delete, db.kv.increment):
        with pytest.raises(ValidationError) as refused:
            verb(key)
        assert refused.value.field == "key"
    for verb in (db.kv.put, db.kv.add):
        with pytest.raises(ValidationError):
            verb(key, 1)


def test_keys_are_any_other_text(db):
    keys = ["a", "A", "a.b:c/d", "ü", " ", "a\0b", "x" * 512, "'; DROP TABLE _kv; --"]
    for n, key in enumerate(keys):
        db.kv.put(key, n)

    assert [db.kv.get(key) for key in keys] == list(range(8))


def test_a_value_without_a_json_form_is_refused(db):
    for value in (object(), float("nan"), [float("inf")], {"x": object()}):
        with pytest.raises(ValidationError):
            db.kv.put("k", value)
    assert db.kv.get("k") is None


def test_50_mebibytes_are_kept_and_one_byte_more_is_not(db):
    most = 50 * 1024 * 1024
    db.kv.put("k", bytes(most))
    assert len(db.kv.get("k")) == most
    with pytest.raises(TooLarge, match=r"has 52,428,801 bytes, at most 52,428,800 are kept"):
        db.kv.put("k", bytes(most + 1))
    # Two bytes each, and the two quotes.
    with pytest.raises(TooLarge):
        db.kv.add("other", "ü" * (most // 2))
    assert db.kv.get("other") is None


def test_who_may_only_read_gets_and_does_not_put(db, path, clock):
    db.kv.put("k", 1)
    with Aurora(path, read_only=True, clock=clock) as reader:
        assert reader.kv.get("k") == 1
        with pytest.raises(ReadOnly):
            reader.kv.put("k", 2)


# --- transactions, tasks, processes, AQL ----------------------------------------------------


def test_in_a_transaction_values_commit_with_documents(db):
    db.define("notes", {"title": "String!"})
    with pytest.raises(KeyError), db.transaction() as tx:
        tx["notes"].insert({"title": "never"})
        tx.kv.put("k", "never")
        assert tx.kv.get("k") == "never"
        assert db.kv.get("k") is None
        raise KeyError
    assert db.kv.get("k") is None

    with db.transaction() as tx:
        tx.kv.put("k", 1)
        assert tx.kv.increment("k") == 2
        assert tx.kv.add("k", 5) is False
        assert tx.kv.delete("none") is False
    assert db.kv.get("k") == 2


def test_tasks_put_and_get(path):
    async def main():
        async with AsyncAurora(path) as db:
            await db.kv.put("k", {"a": 1}, ttl=1000)
            await asyncio.gather(*(db.kv.increment("n") for _ in range(50)))
            added = await asyncio.gather(*(db.kv.add("one", n) for n in range(10)))
            async with db.transaction() as tx:
                await tx.kv.put("b", b"\0")
            got = [await db.kv.get(key) for key in ("k", "n", "b", "none")]
            return got, sum(added), await db.kv.delete("k")

    assert asyncio.run(main()) == ([{"a": 1}, 50, b"\0", None], 1, True)


def test_several_processes_share_the_values(db, path):
    """Each increment counts, and one of the adders has added."""
    others = [
        subprocess.Popen(
            [sys.executable, "-c", COUNTS, str(path), name], stdout=subprocess.PIPE, text=True
        )
        for name in "abc"
    ]
    for _ in range(200):
        db.kv.increment("visits")
    said = [other.communicate(timeout=GUARD)[0] for other in others]

    assert db.kv.get("visits") == 800
    assert sorted(said) == ["False\n", "False\n", "True\n"]
    assert db.kv.get("leader") == "abc"[said.index("True\n")]


def test_the_values_can_be_read_by_aql(db, clock):
    """Bytes are no JSON, so they show as null; what has expired shows until it is removed."""
    db.kv.put("a", {"x": 1}, ttl=60)
    db.kv.put("b", b"\0")

    found = db.execute("{ _kv(orderBy: {key: ASC}) { key value expires_at } }")

    assert found == {
        "_kv": [
            {"key": "a", "value": {"x": 1}, "expires_at": clock.now() + timedelta(seconds=60)},
            {"key": "b", "value": None, "expires_at": None},
        ]
    }


def test_keys_are_not_in_the_feed(db):
    with db.listen_all() as changes:
        db.kv.put("k", 1)
        db.kv.delete("k")
        db.enqueue_job("next", {})

        assert changes.next(GUARD).collection == "_jobs"
