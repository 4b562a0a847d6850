"""A mapping that forgets what was not used lately, bounded by entries and by bytes.

Two generations: what is asked for moves to the young one; when that is full it becomes the old one,
and what the old one still holds is forgotten. A hit in the young one costs one look-up and moves nothing.
The entry put last is always there, however large.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """At most `entries` entries of `size` bytes together, and the last one."""

    __slots__ = ("_entries", "_filled", "_old", "_size", "_young", "evictions", "hits", "misses")

    def __init__(self, entries: int, size: int) -> None:
        # Each generation may have half.
        self._entries = max(1, entries // 2)
        self._size = size // 2
        self._filled = 0
        self.hits = 0
        self.misses = 0
        self.evictions = 0
        self._young: dict[K, tuple[V, int]] = {}
        self._old: dict[K, tuple[V, int]] = {}

    def get(self, key: K) -> V | None:
        """The value kept for `key`, or None."""
        found = self._young.get(key)
        if found is not None:
            self.hits += 1
            return found[0]
        found = self._old.pop(key, None)
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        self.put(key, *found)
        return found[0]

    def put(self, key: K, value: V, size: int) -> None:
        """Keep a value of `size` bytes."""
        before = self._young.pop(key, None)
        if before is not None:
            self._filled -= before[1]
        if len(self._young) >= self._entries or self._filled + size > self._size:
            self.evictions += len(self._old)
            self._old, self._young, self._filled = self._young, {}, 0
        self._young[key] = (value, size)
        self._filled += size

    @property
    def size(self) -> int:
        """The bytes of all entries."""
        return self._filled + sum(size for _, size in self._old.values())

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def __repr__(self) -> str:
        return f"Recent({len(self)} entries)"


__all__ = ["Recent"]
