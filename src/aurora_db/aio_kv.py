"""`db.kv`: small values by their keys, with real expiry. Written by hand.

`database_kv.py` is generated from this file by `tools/unasync.py`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from aurora_db.store import kv
from aurora_db.store.gate import AsyncGate, AsyncHeldGate

if TYPE_CHECKING:
    from aurora_db.config import Duration


class AsyncKeyValues:
    """Values by their keys, durable and shared by all processes.

    A key is a text of 1 to 512 characters; a value is bytes, or anything that has a JSON form, at most
    50 MiB. With `ttl` a value is gone so many seconds later, by the clock of the database.
    """

    def __init__(self, gate: AsyncGate | AsyncHeldGate) -> None:
        self._gate = gate

    async def put(self, key: str, value: Any, ttl: Duration | None = None) -> None:
        """Set the value of a key, whatever it was; without `ttl` it stays until it is deleted.

        Raises:
            ValidationError: the key, the value or the time is refused.
            TooLarge: the value has more than 50 MiB.
        """
        await self._gate.write(partial(kv.put, entry=kv.entry(key, value, ttl)))

    async def get(self, key: str) -> Any:
        """The value of a key; None where there is none, or its time is over.

        Raises:
            ValidationError: the key is refused.
        """
        found = await self._gate.read(
            partial(kv.get, key=kv.key_of(key)), bounded=True, single=True
        )
        return kv.value_of(found)

    async def delete(self, key: str) -> bool:
        """Remove a key; whether it had a value.

        Raises:
            ValidationError: the key is refused.
        """
        return await self._gate.write(partial(kv.delete, key=kv.key_of(key)))

    async def add(self, key: str, value: Any, ttl: Duration | None = None) -> bool:
        """Set the value of a key that has none; whether it did. Of several callers one does.

        Raises:
            ValidationError, TooLarge: as `put`.
        """
        return await self._gate.write(partial(kv.add, entry=kv.entry(key, value, ttl)))

    async def increment(self, key: str, by: float = 1, ttl: Duration | None = None) -> int | float:
        """Add `by` to the number of a key, in one step; the sum. A key without a value counts from 0.

        `ttl` counts from the first time: while the key has a number, its time stays as it is.

        Raises:
            ValidationError: the value is no number, or the key, `by` or the time is refused.
        """
        return await self._gate.write(partial(kv.increment, change=kv.step(key, by, ttl)))


class AsyncKeyed:
    """How a database and an open transaction reach values by keys."""

    _gate: AsyncGate | AsyncHeldGate

    @property
    def kv(self) -> AsyncKeyValues:
        """Small values by their keys, with real expiry."""
        return AsyncKeyValues(self._gate)
