"""Explaining: an operation is run, and what its statements were and did is noted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from aurora_db.aql import printing
from aurora_db.base.errors import Unsupported
from aurora_db.base.records import Explanation
from aurora_db.sql.statement import Batch
from aurora_db.store.port import Params, Port, Row

if TYPE_CHECKING:
    from datetime import datetime

    from aurora_db.aql.catalog import Catalog
    from aurora_db.store.operations import Prepared
    from aurora_db.store.topics import Posted

_INDEX = re.compile(
    r"USING (?:AUTOMATIC |PARTIAL |COVERING )*(?:INDEX (\S+)|(INTEGER PRIMARY KEY))"
)


class Noting:
    """A port that notes each statement and how the engine goes about it."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self.statements: dict[str, list[str]] = {}
        self.rows_read = 0

    @property
    def catalog(self) -> Catalog:
        """The definitions as this transaction sees them."""
        return self._port.catalog

    @catalog.setter
    def catalog(self, catalog: Catalog) -> None:
        self._port.catalog = catalog

    def now(self) -> datetime:
        """The present instant of the operation."""
        return self._port.now()

    def touch(self, topic: str, urgency: int = 0) -> None:
        """Wake whoever waits for `topic` after the commit."""
        self._port.touch(topic, urgency)

    def post(self, message: Posted) -> None:
        """Hand a message on after the commit; what is explained is undone, so nobody gets it."""
        self._port.post(message)

    async def _note(self, sql: str, params: Params) -> None:
        if sql not in self.statements:
            steps = await self._port.rows("EXPLAIN QUERY PLAN " + sql, params)
            self.statements[sql] = [str(step[3]) for step in steps]

    async def rows(self, sql: str, params: Params = ()) -> list[Row]:
        """All rows of one statement."""
        await self._note(sql, params)
        found, scanned = await self._port.measured(sql, params)
        self.rows_read += max(len(found), scanned)
        return found

    async def row(self, sql: str, params: Params = ()) -> Row | None:
        """The first row of one statement, or None."""
        found = await self.rows(sql, params)
        return found[0] if found else None

    async def measured(self, sql: str, params: Params = ()) -> tuple[list[Row], int]:
        """All rows of one statement and how many it stepped over."""
        return await self._port.measured(sql, params)

    async def change(self, sql: str, params: Params = ()) -> int:
        """How many rows one statement changed itself."""
        await self._note(sql, params)
        return await self._port.change(sql, params)

    async def batch(self, statement: Batch, rows: Sequence[Sequence[Any]]) -> int:
        """How many rows one statement over many rows of parameters changed itself."""
        self.statements.setdefault(statement.text(), [])
        return await self._port.batch(statement, rows)

    async def many(self, sql: str, params: Iterable[Params]) -> list[Row]:
        """All rows of all runs of one statement."""
        self.statements.setdefault(sql, [])
        return await self._port.many(sql, params)

    async def script(self, sql: str) -> None:
        """Several statements without parameters."""
        self.statements.setdefault(sql, [])
        await self._port.script(sql)


async def noted(
    prepared: Prepared, port: Port, variables: Mapping[str, Any]
) -> tuple[Any, Explanation]:
    """Run an operation; its result and how it came about."""
    noting = Noting(port)
    start = perf_counter()
    result = await prepared.run(noting, variables)
    elapsed = perf_counter() - start
    return result, _explanation(prepared, noting, elapsed)


async def explain(prepared: Prepared, port: Port, variables: Mapping[str, Any]) -> Explanation:
    """How an operation runs; what it writes is undone.

    Raises:
        Unsupported: a definition is not explained.
    """
    if prepared.operation.kind not in ("query", "mutation") or prepared.operation.bare:
        raise Unsupported(
            "only queries and mutations are explained",
            hint="look at the schema: { __schema { … } }",
        )
    if not prepared.operation.writes:
        return (await noted(prepared, port, variables))[1]
    catalog = port.catalog
    await port.script("SAVEPOINT explained")
    try:
        return (await noted(prepared, port, variables))[1]
    finally:
        await port.script("ROLLBACK TO explained")
        await port.script("RELEASE explained")
        port.catalog = catalog


def _explanation(prepared: Prepared, noting: Noting, elapsed: float) -> Explanation:
    steps = [step for found in noting.statements.values() for step in found]
    used = [match for step in steps for match in _INDEX.finditer(step)]
    return Explanation(
        plan=printing.printed(prepared.operation.roots),
        sql=tuple(noting.statements),
        steps=tuple(steps),
        index=tuple(dict.fromkeys(match[1] or "PRIMARY KEY" for match in used)),
        rows_read=noting.rows_read,
        elapsed=elapsed,
    )


def shown(explanation: Explanation) -> dict[str, Any]:
    """What `@explain` adds to a result."""
    return {
        "plan": explanation.plan,
        "sql": list(explanation.sql),
        "index": list(explanation.index),
        "rowsRead": explanation.rows_read,
        "milliseconds": explanation.elapsed * 1_000,
    }
