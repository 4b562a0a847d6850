"""What one execution of an operation knows, and what runs its parts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from aurora_db.aql import plan, resolve
from aurora_db.store.port import Port


class Scope(msgspec.Struct):
    """What one execution knows: variables, and results of earlier parts by their key."""

    variables: Mapping[str, Any]
    results: dict[str, Any] = {}

    def value(self, value: plan.Value) -> Any:
        """The Python value that a plan's value has now."""
        return resolve.value_of(value, self.variables, self.results)


Runner = Callable[[Port, Scope], Awaitable[Any]]
Enqueue = Callable[[Port, Mapping[str, Any]], Awaitable[str]]
