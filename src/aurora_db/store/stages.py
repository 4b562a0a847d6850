"""Operations that are several transactions, one after the other: migrations and backfills.

They hand out one verb after the other; the façade runs each as a write of its own and gives back
what came of it. What was committed stays, whatever happens to a later one.
"""

from __future__ import annotations

from typing import Any, Protocol

from aurora_db.store.port import Verb


class Stages(Protocol):
    """One execution of such an operation."""

    def next(self) -> Verb[Any] | None:
        """The verb of the next transaction, or None at the end."""
        ...

    def take(self, result: Any) -> None:
        """What came of the last verb, which is committed."""
        ...

    def result(self) -> Any:
        """The result of the whole operation."""
        ...
