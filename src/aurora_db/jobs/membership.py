"""The batch of a running job, as its handler sees it: it can grow while the job runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from aurora_db.base.records import Batch
from aurora_db.jobs import batches, queue
from aurora_db.jobs.handlers import Jobs
from aurora_db.jobs.queue import Claimed
from aurora_db.jobs.request import Request
from aurora_db.store.engine import Engine
from aurora_db.store.gate import AsyncGate, Gate
from aurora_db.store.port import Port

if TYPE_CHECKING:
    from aurora_db.jobs.context import Bench


class JobBatch:
    """The batch, or the flow, that a running job belongs to.

    The verbs that enqueue are awaited in asynchronous handlers. What they add is there when they
    return, also if the attempt fails later; add jobs inside `job.completing()` by
    `tx.enqueue_job(…, batch=job.batch.id)` to have them exactly once.
    """

    def __init__(self, id: str, engine: Engine, registry: Jobs, *, is_async: bool) -> None:
        self.id = id
        self._engine = engine
        self._registry = registry
        self._is_async = is_async

    def enqueue_job(self, type: str, payload: object = None, **options: Any) -> Any:
        """Add a job to the batch; options as of `db.enqueue_job`. Returns its record.

        Raises:
            JobError: the batch has finished, because this attempt has lost its job.
        """
        request = self._request(type, payload, options)
        return self._write(lambda port: queue.enqueue(port, request))

    def enqueue_jobs(self, type: str, payloads: Iterable[object], **options: Any) -> Any:
        """Add one job for each payload to the batch; options as of `db.enqueue_job`."""
        requests = [self._request(type, payload, options) for payload in payloads]
        return self._write(lambda port: queue.enqueue_many(port, requests))

    def get(self) -> Batch:
        """The batch as it is now."""
        found = self._engine.read(lambda port: batches.get(port, self.id), single=True)
        assert found is not None
        return found

    def _request(self, type: str, payload: object, options: dict[str, Any]) -> Request:
        given = dict(options)
        if "on_dependency_failure" in given:
            given["on_failure"] = given.pop("on_dependency_failure")
        make: Callable[..., Request] = self._registry.request
        return make(self._engine.clock, type, payload, **given, batch=self.id)

    def _write(self, verb: Callable[[Port], Any]) -> Any:
        gate = AsyncGate(self._engine) if self._is_async else Gate(self._engine)
        return gate.write(verb)

    def __repr__(self) -> str:
        return f"JobBatch({self.id!r})"


async def _id(port: Port, n: int) -> str | None:
    row = await port.row("SELECT batch FROM _jobs WHERE _n = ?", (n,))
    return None if row is None else row[0]


def of(bench: Bench, job: Claimed, *, is_async: bool) -> JobBatch | None:
    """The batch of a claimed job, or None."""
    id = bench.engine.read(lambda port: _id(port, job.n), single=True)
    return None if id is None else JobBatch(id, bench.engine, bench.registry, is_async=is_async)
