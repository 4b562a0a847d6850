"""Running the mutations of jobs. What a job is, is known one floor above: its verbs are handed in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aurora_db.aql import job_links, job_options, plan, system
from aurora_db.aql.expand import expand_for_write
from aurora_db.base.errors import TypeMismatch
from aurora_db.sql import lower
from aurora_db.store import queries
from aurora_db.store.documents import Document
from aurora_db.store.mutations import affected
from aurora_db.store.port import Port
from aurora_db.store.scope import JobVerbs, Scope


async def enqueue_job(part: plan.EnqueueJob, jobs: JobVerbs, port: Port, scope: Scope) -> Document:
    """Put a job into the queue; it by the outputs."""
    (job,) = await jobs.enqueue(port, [_options(part, scope)])
    outputs, bindings = part.outputs, scope.bindings
    (found,) = await queries.by_ids(port, system.SYSTEM["_jobs"], outputs, [job.id], bindings)
    if not part.conflicts:
        return found
    found.update(dict.fromkeys(part.conflicts, job.conflict))
    return {key: found[key] for key in part.order}


async def enqueue_jobs(
    part: plan.EnqueueJobs, jobs: JobVerbs, port: Port, scope: Scope
) -> Document:
    """Put one job for each payload into the queue."""
    payloads = scope.value(part.payloads)
    if not isinstance(payloads, (list, tuple)):
        raise TypeMismatch(f"'payloads' is a list, got {payloads!r}")
    options = _options(part, scope)
    made = await jobs.enqueue(port, [{**options, "payload": payload} for payload in payloads])
    values: dict[str, Any] = {
        "count": len(made),
        "jobIds": [job.id for job in made],
        "conflicts": sum(job.conflict for job in made),
    }
    return {key: values[what] for key, what in part.keys}


def _options(part: plan.EnqueueJob | plan.EnqueueJobs, scope: Scope) -> Mapping[str, Any]:
    values = ((name, scope.value(value)) for name, value in part.options)
    # An option that an absent variable leaves empty is not given.
    return {
        name: (job_links if name in job_links.NAMES else job_options).given(name, value)
        for name, value in values
        if value is not None or name in ("type", "payload")
    }


async def change_jobs(
    part: plan.CancelJobs | plan.RetryJobs, jobs: JobVerbs, port: Port, scope: Scope
) -> Document:
    """Cancel or retry the jobs that match, those of them that can be."""
    where = expand_for_write(part.where, port.catalog, scope.bindings)
    statement = lower.ids(system.SYSTEM["_jobs"], where)
    rows = await port.rows(statement.text, statement.bind(scope.bindings))
    verb = jobs.cancel if isinstance(part, plan.CancelJobs) else jobs.retry
    return affected(part.result, await verb(port, [row[0] for row in rows]), [])
