"""Following queries in tests: by the text of a query or a subscription."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from aurora_db import Timeout
from aurora_db.aql import parser, resolve
from aurora_db.aql.values import bind
from aurora_db.live import planning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aurora_db import Aurora
    from aurora_db.aql.catalog import Catalog

#: Seconds after which a test that waits has failed.
HANG = 30.0


class Followed:
    """One subscription, made of a text."""

    def __init__(
        self,
        db: Aurora,
        text: str,
        variables: Mapping[str, Any] | None = None,
        since: str | None = None,
    ) -> None:
        self._db = db
        self._text = text
        self._variables = variables
        several = len(self._operation(db._gate.catalog).roots) > 1
        self.subscription = db._subscribed(self._make, since, several=several)

    def _operation(self, catalog: Catalog) -> Any:
        syntax = parser.parse(self._text)
        return resolve.resolve_one(syntax, self._text, catalog, 0, self._variables or {})

    def _make(self, catalog: Catalog) -> Any:
        meant = self._operation(catalog)
        given = bind(meant, self._variables, self._text)
        return planning.roots(meant, given, catalog, self._db._feed, self._db._plans.runner)

    @property
    def root(self) -> Any:
        """What follows the first root."""
        return self.subscription._stream.roots[0]

    def take(self) -> Any:
        """The next item."""
        return self.subscription.next(timeout=HANG)

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
                found.append(self.subscription.next(timeout=0.001))
            except Timeout:
                position = self.subscription.position
                if position is not None and int(position.rpartition("-")[2]) >= wanted:
                    return found
                assert time.monotonic() < ends, "it did not come to the end"


async def _last(port: Any) -> int:
    row = await port.row("SELECT seq FROM sqlite_sequence WHERE name = '_changes'")
    return 0 if row is None else row[0]
