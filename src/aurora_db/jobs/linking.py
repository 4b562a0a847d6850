"""Enqueueing jobs that are tied to others: unique ones, ones that wait, ones of a batch.

First the keys decide which are new; then these are inserted, BLOCKED while they wait; then their
keys and their edges are. All in the transaction of the caller.
"""

from __future__ import annotations

from collections.abc import Sequence

from aurora_db.base.records import Job
from aurora_db.jobs import conflicts, flow, queue
from aurora_db.jobs.request import Request
from aurora_db.store.port import Port


async def enqueue(port: Port, requests: Sequence[Request]) -> list[Job]:
    """The record of each job, or of the one that has its key; in order."""
    waits = await flow.waits(port, requests)
    decided = await conflicts.decide(port, requests, waits)
    if instead := flow.instead(requests, decided.places, decided.new):
        decided.new = flow.redirected(decided.new, instead)
        decided.waits = await flow.waits(port, decided.new)
    made = await queue.insert(port, decided.new, decided.waits)
    await conflicts.hold(port, decided, made)
    made = await flow.connect(port, list(zip(decided.new, made, strict=True)))
    return decided.records(made)
