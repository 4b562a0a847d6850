"""Following queries in tests: streams by the text of a query or a subscription."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from aurora_db.aql import parser, resolve
from aurora_db.aql.values import bind
from aurora_db.live import planning, subscription
from aurora_db.live.subscription import BEHIND, NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aurora_db import Aurora
    from aurora_db.aql.catalog import Catalog

#: Seconds after which a test that waits has failed.
HANG = 30.0


class Followed:
    """One stream, taken from by hand."""

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
        several = len(self.operation(db._gate.catalog).roots) > 1
        self.stream = subscription.opened(db._feed, self.make, since, several=several)

    def operation(self, catalog: Catalog) -> Any:
        syntax = parser.parse(self._text)
        return resolve.resolve_one(syntax, self._text, catalog, 0, self._variables or {})

    def make(self, catalog: Catalog) -> Any:
        meant = self.operation(catalog)
        given = bind(meant, self._variables, self._text)
        return planning.roots(meant, given, catalog, self._db._feed, self._db._plans.runner)

    def take(self) -> Any:
        """The next item, waited for."""
        ends = time.monotonic() + HANG
        while True:
            item = self.stream.take()
            if item is BEHIND:
                self._db._engine.follow(self.stream.catch_up)
            elif item is not NOTHING:
                return item
            else:
                assert time.monotonic() < ends, "nothing came"
                time.sleep(0.002)

    def some(self, count: int) -> list[Any]:
        """The next items."""
        return [self.take() for _ in range(count)]

    def rest(self, until: Any = None) -> list[Any]:
        """Everything up to what is committed now."""
        del until
        ends = time.monotonic() + HANG
        wanted = self._db._engine.read(_last)
        found: list[Any] = []
        while True:
            item = self.stream.take()
            if item is BEHIND:
                self._db._engine.follow(self.stream.catch_up)
            elif item is not NOTHING:
                found.append(item)
            else:
                position = self.stream.position
                if position is not None and int(position.rpartition("-")[2]) >= wanted and not self.stream.unsettled:  # fmt: skip
                    return found
                assert time.monotonic() < ends, "it did not come to the end"
                time.sleep(0.002)


async def _last(port: Any) -> int:
    row = await port.row("SELECT seq FROM sqlite_sequence WHERE name = '_changes'")
    return 0 if row is None else row[0]
