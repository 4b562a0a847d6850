"""Enqueueing jobs that are tied to others: unique ones, ones that wait, ones of a batch.

First the keys decide which are new; then these are inserted, BLOCKED while they wait; then their
edges are. All in the transaction of the caller.
"""

from __future__ import annotations

from collections.abc import Sequence

from aurora_db.base.records import Job
from aurora_db.jobs import flow, queue, unique
from aurora_db.jobs.request import Request
from aurora_db.store.port import Port


async def enqueue(port: Port, requests: Sequence[Request]) -> list[Job]:
    """The record of each job, or of the one that has its key; in order."""
    decided = await unique.conflicts(port, requests)
    new = flow.redirected(requests, decided)
    waits = await flow.waits(port, new)
    made = await queue.insert(port, new, waits)
    records = iter(await flow.connect(port, list(zip(new, made, strict=True))))
    return [next(records) if isinstance(one, Request) else one for one in decided]
