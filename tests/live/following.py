"""Following queries in tests: by the text of a query or a subscription of one root."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from aurora_db import Timeout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aurora_db import Aurora

#: Seconds after which a test that waits has failed.
HANG = 30.0


class Followed:
    """One stream of one root."""

    def __init__(
        self,
        db: Aurora,
        text: str,
        variables: Mapping[str, Any] | None = None,
        since: str | None = None,
    ) -> None:
        self._db = db
        self.stream = db.stream(text, variables, since=since)

    @property
    def root(self) -> Any:
        """What follows the root."""
        return self.stream._stream.roots[0]

    def take(self) -> Any:
        """The next item."""
        return self._only(self.stream.next(timeout=HANG))

    def _only(self, item: dict[str, Any]) -> Any:
        (said,) = item.values()
        return said

    def some(self, count: int) -> list[Any]:
        """The next items."""
        return [self.take() for _ in range(count)]

    def rest(self) -> list[Any]:
        """Every item up to what is committed now."""
        ends = time.monotonic() + HANG
        wanted = self._db._engine.read(_last)
        found: list[Any] = []
        while True:
            try:
                found.append(self._only(self.stream.next(timeout=0.001)))
            except Timeout:
                position = self.stream.position
                if position is not None and int(position.rpartition("-")[2]) >= wanted:
                    return found
                assert time.monotonic() < ends, "it did not come to the end"


async def _last(port: Any) -> int:
    row = await port.row("SELECT seq FROM sqlite_sequence WHERE name = '_changes'")
    return 0 if row is None else row[0]
