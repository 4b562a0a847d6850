"""Flows: jobs that wait until others have ended, by the edges of `_job_dependencies`."""

from __future__ import annotations

from collections.abc import Sequence

from aurora_db.base.records import Job
from aurora_db.jobs.request import Request
from aurora_db.store.port import Port


async def waits(port: Port, requests: Sequence[Request]) -> list[int]:
    """How many jobs each of these has to wait for; what is ended already does not count.

    Raises:
        NotFound: a job named in `after` does not exist.
    """
    del port
    return [0 for _ in requests]


async def connect(port: Port, made: Sequence[tuple[Request, Job]]) -> None:
    """Write the edges of new jobs, and count them in their batches."""


async def resolve(port: Port) -> int:
    """Free the jobs whose last dependency has ended, or cancel them; returns how many changed.

    Called at the end of every transaction in which jobs have ended.
    """
    del port
    return 0
