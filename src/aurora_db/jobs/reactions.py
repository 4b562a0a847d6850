"""The built-in job handler of event handlers that a worker runs: job types `_handler:<name>`.

Everything that the actions write commits together with the completion of the job, fenced like any
`job.completing()`: so an event has its effects exactly once, whatever crashes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from aurora_db.aql.catalog import WORKER_TYPE, Catalog
from aurora_db.base.errors import NotFound
from aurora_db.jobs.context import JobContext
from aurora_db.jobs.handlers import Cancel, Handler, Jobs
from aurora_db.store.port import Port, finish

#: The core verb that reacts: port, name of the handler, id of the job, payload → result.
React = Callable[[Port, str, str, Mapping[str, Any]], Awaitable[Any]]

#: The core verb that fires schedules: some of those that are due; whether others are left.
Fire = Callable[[Port], Coroutine[Any, Any, bool]]


def types(registry: Jobs, catalog: Catalog) -> tuple[str, ...]:
    """The job types that a process can run: those registered, and those of event handlers."""
    own = [WORKER_TYPE + name for name, handler in catalog.handlers.items() if handler.by_worker]
    return (*registry.types(), *own) if own else registry.types()


def finder(registry: Jobs, react: React) -> Callable[[str], Handler | None]:
    """What finds the handler of a job type, the built-in one included."""

    def call(job: JobContext) -> None:
        completing = job.completing()
        with completing as tx:
            name = job.type.removeprefix(WORKER_TYPE)
            try:
                tx.result(finish(_awaited(react(completing.port, name, job.id, job.payload))))
            except NotFound as error:
                if name not in completing.port.catalog.handlers:
                    raise Cancel(f"the event handler '{name}' was dropped") from error
                raise

    def find(type: str) -> Handler | None:
        found = registry.find(type)
        if found is None and type.startswith(WORKER_TYPE):
            return Handler(
                type=type, call=call, is_async=False, takes_payload=False, takes_job=True,
                convert=None,
            )  # fmt: skip
        return found

    return find


async def _awaited(verb: Awaitable[Any]) -> Any:
    return await verb
