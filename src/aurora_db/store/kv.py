"""Values by their keys: put, get, delete, and the two that must be one step: add and increment.

A value whose time is over is nobody's any more at once; its row is removed a little later, a few
rows at a time, along with other writes. Keys are not in the feed.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final, cast

import msgspec

from aurora_db.base.codec import decode, encode, seconds, timestamp
from aurora_db.base.errors import TooLarge, ValidationError
from aurora_db.store.port import Port, Row

#: Characters of a key, at most.
LONGEST: Final = 512
#: Bytes of a value as it is stored, at most: 50 MiB.
LARGEST: Final = 50 * 1024 * 1024
#: Days that a value may have to live, at most.
DAYS: Final = 36_525
#: Rows that are removed along with one write, and along with other work.
FEW: Final = 4
STEP: Final = 100

PUT = """
    INSERT INTO _kv (key, value, content, expires_at) VALUES (:key, :value, :content, :expires_at)
    ON CONFLICT (key) DO UPDATE
       SET value = excluded.value, content = excluded.content, expires_at = excluded.expires_at
"""
ADD = PUT + " WHERE _kv.expires_at <= :now"
GET = """
    SELECT value, content, expires_at FROM _kv
     WHERE key = :key AND (expires_at IS NULL OR expires_at > :now)
"""
DELETE = "DELETE FROM _kv WHERE key = :key RETURNING expires_at IS NULL OR expires_at > :now"
FORGET = """
    DELETE FROM _kv WHERE key IN
           (SELECT key FROM _kv WHERE expires_at <= :now ORDER BY expires_at LIMIT :step)
"""


class Entry(msgspec.Struct, frozen=True):
    """A value to be stored: JSON text or bytes; `ttl` is its time to live."""

    key: str
    value: str | None
    content: bytes | None
    ttl: dt.timedelta | None

    def row(self, now: dt.datetime) -> dict[str, Any]:
        """The parameters of its row."""
        return {
            "key": self.key,
            "value": self.value,
            "content": self.content,
            "expires_at": None if self.ttl is None else timestamp(now + self.ttl),
        }


class Step(msgspec.Struct, frozen=True):
    """What is added to the number of a key."""

    key: str
    by: int | float
    ttl: dt.timedelta | None


# --- what callers give ----------------------------------------------------------------------


def key_of(key: object) -> str:
    """A key, checked.

    Raises:
        ValidationError: it is none.
    """
    if not isinstance(key, str):
        raise _refused(
            f"a key is a text, not {type(key).__name__}", "give it as str(key)", "key", key
        )
    if not 1 <= len(key) <= LONGEST:
        raise _refused(
            f"a key has 1 to {LONGEST} characters, not {len(key)}",
            "use a digest of what is longer", "key", key,
        )  # fmt: skip
    if not key.isascii():
        try:
            key.encode()
        except UnicodeEncodeError:
            raise _refused(
                f"the key {key!r} has half a character", "give whole characters", "key", key
            ) from None
    return key


def entry(key: object, value: object, ttl: object) -> Entry:
    """A value to be stored, checked.

    Raises:
        ValidationError: the key, the value or the time is refused.
        TooLarge: the value is larger than 50 MiB.
    """
    checked, lives = key_of(key), _ttl(ttl)
    if isinstance(value, (bytes, bytearray, memoryview)):
        content = bytes(cast("bytes", value))
        _check_size(checked, len(content))
        return Entry(checked, None, content, lives)
    text = encode(value)
    _check_size(checked, len(text) if text.isascii() else len(text.encode()))
    return Entry(checked, text, None, lives)


def step(key: object, by: object, ttl: object) -> Step:
    """What is added to the number of a key, checked.

    Raises:
        ValidationError: something of it is refused.
    """
    checked = key_of(key)
    if isinstance(by, bool) or not isinstance(by, (int, float)):
        raise _refused(
            f"a number can be added, not {type(by).__name__}", "give 'by' as a number", "by", by
        )
    return Step(checked, by, _ttl(ttl))


def value_of(row: Row | None) -> Any:
    """What `get` has found, as Python."""
    if row is None:
        return None
    return row[1] if row[0] is None else decode(row[0])


# --- the verbs ------------------------------------------------------------------------------


async def put(port: Port, entry: Entry) -> None:
    """Set the value of a key."""
    await forget(port, FEW)
    await port.change(PUT, entry.row(port.now()))


async def add(port: Port, entry: Entry) -> bool:
    """Set the value of a key that has none; whether it did."""
    await forget(port, FEW)
    now = port.now()
    return await port.change(ADD, {**entry.row(now), "now": timestamp(now)}) > 0


async def get(port: Port, key: str) -> Row | None:
    """What is stored for a key: JSON text or bytes, and until when; None where there is nothing."""
    return await port.row(GET, {"key": key, "now": timestamp(port.now())})


async def delete(port: Port, key: str) -> bool:
    """Remove a key; whether it had a value."""
    row = await port.row(DELETE, {"key": key, "now": timestamp(port.now())})
    return row is not None and bool(row[0])


async def increment(port: Port, change: Step) -> int | float:
    """Add to the number of a key; the sum. The transaction makes the read and the write one step.

    Raises:
        ValidationError: the value is no number, or the sum is none.
    """
    await forget(port, FEW)
    found = await get(port, change.key)
    before = 0 if found is None else value_of(found)
    if isinstance(before, bool) or not isinstance(before, (int, float)):
        raise _refused(
            f"the value of '{change.key}' is no number, so nothing can be added to it",
            "put a number there first", "key", change.key,
        )  # fmt: skip
    try:
        total = before + change.by
    except OverflowError:
        raise _refused(
            "a number so large cannot be added to one with a fraction",
            "give both as whole numbers", "by", change.by,
        ) from None  # fmt: skip
    row = Entry(change.key, encode(total), None, change.ttl).row(port.now())
    if found is not None:
        row["expires_at"] = found[2]
    await port.change(PUT, row)
    return total


async def forget(port: Port, most: int = STEP) -> None:
    """Remove values whose time is over, at most so many."""
    await port.change(FORGET, {"now": timestamp(port.now()), "step": most})


def _ttl(ttl: object) -> dt.timedelta | None:
    if ttl is None:
        return None
    if isinstance(ttl, bool) or not isinstance(ttl, (int, float, dt.timedelta)):
        raise _refused(
            f"'ttl' is seconds or a timedelta, not {type(ttl).__name__}",
            "leave it out for a value that stays", "ttl", ttl,
        )  # fmt: skip
    lives = seconds(ttl)
    if not 0 < lives <= DAYS * 86_400:
        raise _refused(
            f"'ttl' is above 0 and at most {DAYS:,} days, not {ttl!r}",
            "leave it out for a value that stays, and delete what shall go now", "ttl", ttl,
        )  # fmt: skip
    return dt.timedelta(seconds=lives)


def _check_size(key: str, size: int) -> None:
    if size > LARGEST:
        raise TooLarge(
            f"the value for '{key}' has {size:,} bytes, at most {LARGEST:,} are kept",
            hint="write it into a file and put its path",
        )


def _refused(message: str, hint: str, field: str, value: object) -> ValidationError:
    return ValidationError(message, hint=hint, field=field, rule=field, value=value)
