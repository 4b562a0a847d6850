"""What a worker does for an event handler that pure SQL cannot say, inside the job's transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from aurora_db.aql.catalog import Catalog, Handler
from aurora_db.base.codec import decode, encode
from aurora_db.base.errors import NotFound
from aurora_db.sql.statement import Statement
from aurora_db.store import causes
from aurora_db.store.port import Port
from aurora_db.store.scope import Runner, Scope

if TYPE_CHECKING:
    from aurora_db.aql import plan

#: Events of handlers whose reactions are kept.
KEPT = 256


class _Ready(msgspec.Struct, frozen=True):
    """A reaction, ready to run: what reads the images, and what runs the actions."""

    names: tuple[str, ...]
    statement: Statement
    runners: tuple[tuple[str, Runner], ...]


class Reactions:
    """Runs the conditions and actions of event handlers. `runner` makes the runner of a part."""

    def __init__(self, runner: Callable[[plan.Part], Runner]) -> None:
        self._runner = runner
        self._kept: dict[tuple[int, str, str, str], _Ready] = {}

    async def run(self, port: Port, name: str, job: str, payload: Mapping[str, Any]) -> Any:
        """React to the event in `payload`; the results of the actions, or None where none ran.

        Args:
            port: the transaction in which the job is completed.
            name: the handler's.
            job: the id of the job that runs it.
            payload: event, collection, and the images `node` and `old`.

        Raises:
            NotFound: the handler was dropped meanwhile.
            AuroraError: an action failed.
        """
        handler = port.catalog.handlers.get(name)
        if handler is None:
            raise NotFound(f"no event handler named '{name}'")
        ready = self._ready(handler, payload["event"], payload["collection"], port.catalog)
        images = [None if payload[one] is None else encode(payload[one]) for one in ("node", "old")]
        row = await port.row(ready.statement.text, images)
        if row is None or not row[0]:
            return None
        variables = {n: decode(text) for n, text in zip(ready.names, row[1:], strict=True)}
        newest = await causes.newest_job(port)
        scope = Scope(variables, {})
        for key, runner in ready.runners:
            scope.results[key] = await runner(port, scope)
        await causes.inherit(port, job, newest)
        return scope.results

    def _ready(self, handler: Handler, op: str, collection: str, catalog: Catalog) -> _Ready:
        key = (catalog.version, handler.name, op, collection)
        kept = self._kept.get(key)
        if kept is None:
            from aurora_db.aql import handlers  # noqa: PLC0415 - few handlers need a worker
            from aurora_db.sql import handler_jobs  # noqa: PLC0415 - the same

            reaction = handlers.reaction_of(handler, op, collection, catalog)
            kept = _Ready(
                names=tuple(name for name, _ in reaction.values),
                statement=handler_jobs.read(reaction),
                runners=tuple((part.key, self._runner(part)) for part in reaction.parts),
            )
            while len(self._kept) >= KEPT:
                self._kept.pop(next(iter(self._kept)), None)
            self._kept[key] = kept
        return kept
