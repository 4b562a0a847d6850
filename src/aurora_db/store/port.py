"""How the core talks to a database: one open transaction, seven verbs.

Core verbs are written once as `async def verb(port, …)` and await nothing but the port. A port
of SQLite never suspends, so `finish` runs such a coroutine to its end on the first `send`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from aurora_db.aql.catalog import Catalog
from aurora_db.sql.statement import Batch

if TYPE_CHECKING:
    from aurora_db.store.topics import Posted

T = TypeVar("T")

Params = Sequence[Any] | Mapping[str, Any]
Row = tuple[Any, ...]


class Port(Protocol):
    """One open transaction of one connection. Positional `?` or named `:name` parameters."""

    @property
    def catalog(self) -> Catalog:
        """The definitions as this transaction sees them."""
        ...

    @catalog.setter
    def catalog(self, catalog: Catalog) -> None:
        """Definitions made in this transaction; others see them when it commits."""
        ...

    def now(self) -> datetime:
        """The present instant of the injected clock, the same for the whole operation."""
        ...

    async def rows(self, sql: str, params: Params = ()) -> list[Row]:
        """Run one statement, return all its rows."""
        ...

    async def row(self, sql: str, params: Params = ()) -> Row | None:
        """Run one statement, return its first row, or None."""
        ...

    async def measured(self, sql: str, params: Params = ()) -> tuple[list[Row], int]:
        """Run one statement, return all its rows and how many rows its scans stepped over."""
        ...

    async def change(self, sql: str, params: Params = ()) -> int:
        """Run one statement, return how many rows it changed itself (triggers not counted)."""
        ...

    async def batch(self, statement: Batch, rows: Sequence[Sequence[Any]]) -> int:
        """Run one statement over many rows of parameters, return how many rows it changed."""
        ...

    async def many(self, sql: str, params: Iterable[Params]) -> list[Row]:
        """Run one statement once for each parameters, return all rows of all runs."""
        ...

    async def script(self, sql: str) -> None:
        """Run several statements without parameters (definitions)."""
        ...

    def touch(self, topic: str, urgency: int = 0) -> None:
        """After the commit wake whoever waits for `topic` ("jobs"); `urgency` is a priority."""
        ...

    def post(self, message: Posted) -> None:
        """After the commit hand an ephemeral message to its subscribers; never after a rollback."""
        ...


#: A core verb waiting for its transaction; a factory, so that it can be run again.
Verb = Callable[[Port], Coroutine[Any, Any, T]]


def finish(verb: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends; return its result."""
    try:
        verb.send(None)
    except StopIteration as stop:
        return stop.value
    verb.close()
    raise RuntimeError("a core verb awaited something that is not the port")
