"""Reading the documents of a collection into the cache before anybody asks for them, the newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aurora_db.base.errors import ValidationError
from aurora_db.sql.statement import identifier
from aurora_db.store import documents
from aurora_db.store.port import Port, Row

if TYPE_CHECKING:
    from aurora_db.sql.lower import Lowered
    from aurora_db.store.cache import HotCache
    from aurora_db.store.engine import Engine

#: Documents read in one snapshot.
PAGE: Final = 500


class Prewarming:
    """One collection's."""

    def __init__(self, cache: HotCache, engine: Engine, name: str) -> None:
        self._cache = cache
        self._engine = engine
        self._name = name
        self._before: int | None = None

    def run(self) -> int:
        """How many documents are kept now.

        Raises:
            UnknownCollection: it is not defined.
            ValidationError: its documents are never kept.
        """
        loaded = 0
        while True:
            mark = self._cache.begun()
            if mark is None:
                # Another thread catches up at this moment.
                continue
            ready, rows = self._engine.read(self._page)
            kept = self._cache.settle(self._name, rows, ready, mark)
            if kept is None:
                # Something was committed meanwhile: once more.
                continue
            loaded += kept
            if kept < len(rows) or len(rows) < PAGE:
                return loaded
            self._before = rows[-1][0]

    async def _page(self, port: Port) -> tuple[Lowered, list[tuple[int, str, Row]]]:
        collection = documents.readable(port.catalog, self._name)
        if not self._cache.keeps(collection, port.catalog):
            raise ValidationError(
                f"documents of '{self._name}' are never kept in memory: not every change of them shows in the feed",
                hint="leave it out", rule="collection", value=self._name,
            )  # fmt: skip
        ready = documents.getting(collection, port.catalog)
        text = ready.statement.text.removesuffix(" WHERE id = ?").removeprefix("SELECT ")
        where = "" if self._before is None else " WHERE _n < ?"
        params = (*ready.statement.params, *(() if self._before is None else (self._before,)), PAGE)
        rows = await port.rows(
            f"SELECT _n, {identifier('id')}, {text}{where} ORDER BY _n DESC LIMIT ?", params
        )
        return ready, [(row[0], row[1], row[2:]) for row in rows]
