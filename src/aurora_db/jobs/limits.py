"""Limits: how many jobs may run at once, and how many may begin in a time, over all processes.

They stand in `_limits`, so that all processes go by the same ones; the newest word holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from aurora_db.base.codec import UNITS, decode, timestamp
from aurora_db.base.errors import ValidationError
from aurora_db.jobs import keys
from aurora_db.sql.statement import Batch
from aurora_db.store.port import Port

Scope = Literal["queue", "type"]

_RATE = re.compile(r"\s*(\d+)\s*/\s*(\d+(?:\.\d+)?)?\s*(ms|s|m|h|d)\s*")
_FIELD = re.compile(r"\$\{[^{}]+\}")


GET = "SELECT concurrency, rate_count, rate_period, key FROM _limits WHERE scope = :scope AND name = :name"
#: What a process knows of types before it says something of them.
OF_TYPES = (
    "SELECT name, concurrency, rate_count, rate_period, key FROM _limits WHERE scope = 'type'"
)
PUT = """
    INSERT INTO _limits (scope, name, concurrency, rate_count, rate_period, key)
    VALUES (:scope, :name, :concurrency, :count, :period, :key)
    ON CONFLICT DO UPDATE SET concurrency = excluded.concurrency, rate_count = excluded.rate_count,
                              rate_period = excluded.rate_period, key = excluded.key
"""
REMOVE = "DELETE FROM _limits WHERE scope = :scope AND name = :name"
#: What was counted by another key counts no more; running jobs are counted anew.
CLEAR_PLACES = "DELETE FROM _limit_places WHERE scope = :scope AND name = :name"
CLEAR_STARTS = "DELETE FROM _limit_starts WHERE scope = :scope AND name = :name"
RUNNING: Mapping[Scope, str] = {
    "type": "SELECT _n, attempt, payload FROM _jobs WHERE status = 'RUNNING' AND type = :name",
    "queue": "SELECT _n, attempt, payload FROM _jobs WHERE status = 'RUNNING' AND queue = :name",
}
PLACE = Batch.insert("_limit_places", ("scope", "name", "key", "n", "attempt"))
LOOK_AGAIN = "UPDATE _limit_waits SET due_at = :now WHERE scope = :scope AND name = :name"


class Limit(msgspec.Struct, frozen=True):
    """So many at once, and so many beginnings in `period` seconds; for each value of `key`."""

    concurrency: int | None = None
    count: int | None = None
    period: float | None = None
    key: str | None = None

    @property
    def rate(self) -> str | None:
        """The rate as it is written, such as "100/60s"."""
        return None if self.count is None else f"{self.count}/{self.period:g}s"


def limit(concurrency: int | None, rate: str | None, key: str | None = None) -> Limit | None:
    """The limit that these options mean; None when they ask for none.

    Raises:
        ValidationError: one is outside its range.
    """
    if concurrency is None and rate is None:
        if key is not None:
            raise alone(key)
        return None
    template(key)
    if concurrency is not None and (
        isinstance(concurrency, bool)
        or not isinstance(concurrency, int)  # pyright: ignore[reportUnnecessaryIsInstance]
        or concurrency < 1
    ):
        raise _refused("concurrency", concurrency, "a number of jobs from 1")
    if rate is None:
        return Limit(concurrency, key=key)
    found = _RATE.fullmatch(rate) if isinstance(rate, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]
    period = 0.0 if found is None else float(found[2] or 1) * UNITS[found[3]]
    if found is None or int(found[1]) < 1 or period <= 0:
        raise _refused("rate", rate, 'so many in a time, such as "100/1m"')
    return Limit(concurrency, int(found[1]), period, key)


def template(key: object) -> str | None:
    """The key of a limit, or None.

    Raises:
        ValidationError: it is no text, or names no field.
    """
    if key is None:
        return None
    if not isinstance(key, str) or not _FIELD.search(key):
        raise _refused(
            "key", key, 'a text that names a field of the payload, such as "${customer}"'
        )
    return key


def alone(key: object) -> ValidationError:
    """The error of a key that has nothing to count."""
    return _refused("key", key, "given together with 'concurrency' or 'rate'")


async def get(port: Port, scope: Scope, name: str) -> Limit | None:
    """The limit of a queue or a type, or None."""
    row = await port.row(GET, {"scope": scope, "name": name})
    return None if row is None else Limit(*row)


async def put(port: Port, scope: Scope, name: str, wanted: Limit | None) -> bool:
    """Give a queue or a type this limit, or none; whether that changed anything.

    Jobs that run already count in it. What began before counts in its rate if the period and the
    key stay the same.
    """
    before = await get(port, scope, name)
    if before == wanted:
        return False
    place = {"scope": scope, "name": name}
    if wanted is None:
        await port.change(REMOVE, place)
    else:
        await port.change(PUT, {
            **place, "concurrency": wanted.concurrency, "count": wanted.count, "period": wanted.period,
            "key": wanted.key,
        })  # fmt: skip
    await port.change(CLEAR_PLACES, place)
    if wanted is not None:
        rows = await port.rows(RUNNING[scope], {"name": name})
        await port.batch(PLACE, [(scope, name, value(wanted, row[2]), *row[:2]) for row in rows])
    if (
        before is None
        or wanted is None
        or (before.period, before.key) != (wanted.period, wanted.key)
    ):
        await port.change(CLEAR_STARTS, place)
    await port.change(LOOK_AGAIN, {**place, "now": timestamp(port.now())})
    port.touch("jobs")
    return True


def value(limit: Limit, payload: str) -> str:
    """The value of the limit's key in a payload of JSON text; "" without a key."""
    return "" if limit.key is None else keys.filled(limit.key, decode(payload))


async def differs(port: Port, wanted: Mapping[str, Limit | None]) -> bool:
    """Whether these types have other limits now."""
    known = {row[0]: Limit(*row[1:]) for row in await port.rows(OF_TYPES)}
    return any(known.get(type) != limit for type, limit in wanted.items())


async def declare(port: Port, wanted: Mapping[str, Limit | None]) -> None:
    """Give types the limits that their handlers have, or none."""
    for type, limit in wanted.items():
        await put(port, "type", type, limit)


def _refused(name: str, value: object, wanted: str) -> ValidationError:
    return ValidationError(
        f"'{name}' is {wanted}, got {value!r}", field=name, rule=name, value=value
    )
