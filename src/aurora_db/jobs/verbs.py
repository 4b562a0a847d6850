"""Cancel and retry: a person's verbs on jobs, each one guarded statement by the table of transitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from aurora_db.base.clock import Clock
from aurora_db.base.codec import encode, timestamp
from aurora_db.base.errors import NotFound, UniqueViolation
from aurora_db.base.records import Job
from aurora_db.jobs import conflicts, flow, meters, queue
from aurora_db.jobs.handlers import Jobs
from aurora_db.jobs.keys import Filled
from aurora_db.jobs.status import TRANSITIONS, Event
from aurora_db.jobs.unique import Unique, checked
from aurora_db.sql.statement import literal
from aurora_db.store.port import Port
from aurora_db.store.scope import JobVerbs


def _from(event: Event) -> str:
    """The statuses that an event may happen in, as a list of SQL."""
    return ", ".join(literal(status.value) for status, ways in TRANSITIONS.items() if event in ways)


#: A running attempt loses its job with that: its fence finds the job no longer RUNNING.
CANCEL = f"""
    UPDATE _jobs SET status = 'CANCELLED', finished_at = :now, lease_until = NULL
     WHERE id IN (SELECT value FROM json_each(:ids)) AND status IN ({_from(Event.CANCEL)})
    RETURNING id, priority, _n
"""
#: Whoever runs one of these must be told.
ANY_RUNNING = """
    SELECT 1 FROM _jobs WHERE id IN (SELECT value FROM json_each(:ids)) AND +status = 'RUNNING' LIMIT 1
"""
#: A new run from the first attempt on, without the traces of the one before but its errors.
REVIVE = f"""
    UPDATE _jobs
       SET status = CASE WHEN depends_on > 0 THEN 'BLOCKED' ELSE 'PENDING' END, finished_at = NULL,
           started_at = NULL, run_at = NULL, retries = 0, crashes = 0, error = NULL, result = NULL, progress = NULL, progress_note = NULL, worker = NULL
     WHERE id IN (SELECT value FROM json_each(:ids)) AND status IN ({_from(Event.REVIVE)})
    RETURNING id, priority
"""
#: A job that had completed does all its steps again; one that had not goes on after those that it did.
FORGET_STEPS = """
    DELETE FROM _job_steps
     WHERE job_id IN (SELECT id FROM _jobs
                       WHERE id IN (SELECT value FROM json_each(:ids)) AND status = 'COMPLETED')
"""


async def cancel(port: Port, ids: Sequence[str]) -> list[str]:
    """Cancel those of these jobs that have not ended; their ids, in the order given.

    One that runs has lost its job with that, so nothing of how it ends is kept; its worker is told,
    and ends it.
    """
    wanted = encode(list(ids))
    if await port.row(ANY_RUNNING, {"ids": wanted}) is not None:
        port.touch("cancels")
    rows = await port.rows(CANCEL, {"ids": wanted, "now": timestamp(port.now())})
    if rows:
        port.touch("ended")
        if await meters.end(port, [row[2] for row in rows]) or port.catalog.handlers_of("_jobs"):
            # A limit has room, or their end has enqueued others.
            port.touch("jobs")
        await flow.resolve(port)
    return _changed(ids, rows)


async def retry(port: Port, ids: Sequence[str]) -> list[str]:
    """Let those of these jobs that have ended run once more; their ids, in the order given.

    One that was to wait for others waits again for those that have not completed. One whose unique key
    another job has by now stays as it is. The steps that a FAILED or CANCELLED one has finished stay
    finished; a COMPLETED one begins anew.
    """
    refused = await conflicts.regain(port, ids)
    ids = [id for id in ids if id not in refused]
    await flow.wait_again(port, ids)
    await port.change(FORGET_STEPS, {"ids": encode(ids)})
    rows = await port.rows(REVIVE, {"ids": encode(ids)})
    if rows:
        port.touch("jobs", max(row[1] for row in rows))
    return _changed(ids, rows)


def _changed(ids: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> list[str]:
    found = {row[0] for row in rows}
    return [id for id in ids if id in found]


async def cancel_one(port: Port, id: str) -> bool:
    """Cancel the job of this id; False when it had ended already.

    Raises:
        NotFound: there is no such job.
    """
    return bool(await cancel(port, [await _known(port, id)]))


async def retry_one(port: Port, id: str) -> bool:
    """Let the job of this id run once more; False when it has not ended yet.

    Raises:
        NotFound: there is no such job.
        UniqueViolation: another job has its unique key by now.
    """
    if await retry(port, [await _known(port, id)]):
        return True
    other = (await conflicts.regain(port, [id])).get(id)
    if other is not None:
        error = UniqueViolation(
            f"job '{id}' cannot run again: job '{other.id}' has its key '{other.unique_key}' by now",
            hint="wait for the end of that one, or cancel it first", fields=("unique_key",),
        )  # fmt: skip
        error.tell((other.unique_key,))
        raise error
    return False


async def _known(port: Port, id: str) -> str:
    if await queue.get(port, id) is None:
        raise NotFound(f"no job with the id '{id}'", hint="its id is what enqueue_job returned")
    return id


def for_texts(jobs: Jobs, clock: Clock) -> JobVerbs:
    """The verbs behind AQL's mutations of jobs."""

    async def enqueue(port: Port, options: Sequence[Mapping[str, Any]]) -> list[Job]:
        make: Callable[..., Any] = jobs.request
        ties = _tied(options[0]) if options else {}
        return await queue.enqueue_many(port, [make(clock, **{**one, **ties}) for one in options])

    return JobVerbs(enqueue, cancel, retry)


def _tied(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the options that tie a job to others, as Python says them: checked once for many jobs."""
    from aurora_db.aql import job_links  # noqa: PLC0415 - a program without AQL does without

    made = {name: options[name] for name in job_links.NAMES if name in options}
    if "on_failure" in made:
        made["on_failure"] = made["on_failure"].lower()
    match made.get("unique"):
        case str() as key:
            made["unique"] = checked(_key(key))
        case Mapping() as parts:
            parts = cast("Mapping[str, Any]", parts)
            made["unique"] = checked(
                Unique(
                    key=None if parts.get("key") is None else _key(parts["key"]),
                    period=parts.get("period"),
                    statuses=parts.get("statuses"),
                    on_conflict=parts.get("onConflict", "KEEP").lower(),
                )
            )
        case _:
            pass
    return made


def _key(key: str) -> str:
    """Only a key that stands in the text is filled in; values are taken as they are."""
    from aurora_db.aql import job_links  # noqa: PLC0415 - as above

    return str(key) if isinstance(key, job_links.Template) else Filled(key)


__all__ = ["cancel", "cancel_one", "for_texts", "retry", "retry_one"]
