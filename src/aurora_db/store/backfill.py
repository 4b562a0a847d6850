"""`backfill handler`: enqueue for the documents that exist, in bounded batches.

Each batch is a transaction of one statement for each action, over a range of documents in the order
of insertion; with it is kept how far it has come, so that a process that was killed goes on where it
was when the same backfill is asked for again. Documents inserted since it began are left out: they
have fired the handler themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from aurora_db.aql import handlers, parser, plan, syntax
from aurora_db.aql.catalog import Catalog, Collection
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.values import Scope
from aurora_db.base.errors import HandlerInvalid
from aurora_db.sql import handler_jobs
from aurora_db.store.event_handlers import known
from aurora_db.store.port import Port, Verb

#: Documents in one transaction.
BATCH = 500

READ = "SELECT backfill FROM _handlers WHERE name = ?"
KEEP = "UPDATE _handlers SET backfill = ? WHERE name = ?"


class _Progress(msgspec.Struct):
    """How far a backfill has come: `until` and `after` are places in the collections, by name."""

    of: str
    until: dict[str, int]
    after: dict[str, int]
    enqueued: int = 0
    done: bool = False


class Backfill:
    """One execution of a `backfill handler`, as stages."""

    def __init__(self, part: plan.BackfillHandler) -> None:
        self._part = part
        self._progress: _Progress | None = None

    def next(self) -> Verb[Any] | None:
        """The next batch."""
        if self._progress is not None and self._progress.done:
            return None
        return self._batch

    def take(self, result: _Progress) -> None:
        """A batch is committed."""
        self._progress = result

    def result(self) -> dict[str, Any]:
        """`{name, status, enqueued}`; batches before a kill are counted, too."""
        enqueued = 0 if self._progress is None else self._progress.enqueued
        return {"name": self._part.name, "status": "backfilled", "enqueued": enqueued}

    async def _batch(self, port: Port) -> _Progress:
        handler = known(port, self._part.name)
        targets = check(self._part, port.catalog)
        progress = await self._begin(port, handler.digest, [one for one, _ in targets])
        for trigger, condition in targets:
            name = trigger.collection.name
            after = progress.after.get(name, 0)
            if after >= progress.until[name]:
                continue
            row = await port.row(
                handler_jobs.span(trigger.collection), (after, progress.until[name], BATCH)
            )
            upto = None if row is None else row[0]
            if upto is not None:
                progress.enqueued += await _enqueue(port, trigger, condition, (after, upto))
            progress.after[name] = progress.until[name] if upto is None else upto
            break
        progress.done = all(progress.after.get(n, 0) >= last for n, last in progress.until.items())
        kept = None if progress.done else msgspec.json.encode(progress).decode()
        await port.change(KEEP, (kept, handler.name))
        return progress

    async def _begin(
        self, port: Port, digest: str, targets: Sequence[plan.HandlerTrigger]
    ) -> _Progress:
        """Where this backfill is; another definition or condition begins anew."""
        row = await port.row(READ, (self._part.name,))
        of = f"{digest} {self._part.text}"
        if row is not None and row[0] is not None:
            progress = msgspec.json.decode(row[0], type=_Progress)
            if progress.of == of:
                return progress
        until: dict[str, int] = {}
        for trigger in targets:
            newest = await port.row(handler_jobs.newest(trigger.collection))
            until[trigger.collection.name] = 0 if newest is None else newest[0]
        return _Progress(of=of, until=until, after={})


async def _enqueue(
    port: Port, trigger: plan.HandlerTrigger, condition: plan.Where, places: tuple[int, int]
) -> int:
    """Enqueue for the documents between two places; how many jobs."""
    made: list[int] = []
    for statement in handler_jobs.backfill(trigger, condition):
        made.append(await port.change(statement.text, (*places, *statement.bind({}))))
    if made[0]:
        await port.change(handler_jobs.counted(trigger.name, "1", "?"), (made[0],))
        port.touch("jobs")
    return sum(made)


def check(
    part: plan.BackfillHandler, catalog: Catalog
) -> list[tuple[plan.HandlerTrigger, plan.Where]]:
    """What is backfilled: each insert event of the handler, and the condition on its documents.

    Raises:
        HandlerInvalid: the handler waits for no insert.
        AqlError: the condition does not fit the collection.
    """
    handler = catalog.handlers.get(part.name)
    if handler is None:
        return []
    inserts = [one for one in handlers.triggers_of(handler, catalog) if one.op == "insert"]
    if not any(event.op == "insert" for event in handler.on):
        raise HandlerInvalid(
            f"event handler '{part.name}' waits for no insert, and a backfill acts as if the documents were just inserted",
            hint='add "insert:…" to its events',
        )
    (node,) = parser.parse(part.text).definitions
    where = cast("syntax.HandlerControl", node).where
    return [(one, _condition(one.collection, where, part.text, catalog)) for one in inserts]


def _condition(
    collection: Collection, where: syntax.ObjectLiteral | None, text: str, catalog: Catalog
) -> plan.Where:
    if where is None:
        return plan.ALWAYS
    return Conditions(collection, Scope(text, {}, catalog=catalog)).where(where)
