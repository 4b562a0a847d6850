"""Flows: jobs that wait until others have ended, by the rows of `_job_dependencies`.

Triggers note the ends, whoever brings them about; what follows is done here, for all of them at
once: `resolve` is called at the end of every transaction in which jobs have ended, and by the
pump for the ends that other programs wrote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from aurora_db.base.codec import encode, timestamp
from aurora_db.base.errors import NotFound, ValidationError
from aurora_db.base.records import Job, Status
from aurora_db.jobs import circles
from aurora_db.jobs.request import Request
from aurora_db.jobs.status import ENDED
from aurora_db.store.port import Port

UNRESOLVED = """
    SELECT EXISTS (SELECT 1 FROM _job_dependencies WHERE outcome IS NOT NULL),
           EXISTS (SELECT 1 FROM _batches WHERE due = 1)
"""
#: All that are cancelled by policy, with those that wait for them: a level would be a statement each.
CANCEL = """
    WITH RECURSIVE doomed (waiting, job_id, outcome) AS (
        SELECT edge.waiting, edge.job_id, edge.outcome
          FROM _job_dependencies AS edge JOIN _jobs AS job ON job.id = edge.waiting
         WHERE edge.outcome IS NOT NULL AND edge.outcome <> 'COMPLETED'
           AND job.status = 'BLOCKED' AND job.on_dependency_failure = 'cancel'
        UNION
        SELECT edge.waiting, edge.job_id, 'CANCELLED'
          FROM doomed CROSS JOIN _job_dependencies AS edge ON edge.job_id = doomed.waiting
          JOIN _jobs AS job ON job.id = edge.waiting
         WHERE job.status = 'BLOCKED' AND job.on_dependency_failure = 'cancel'
    )
    UPDATE _jobs SET status = 'CANCELLED', finished_at = :now, error = why.error
      FROM (SELECT one.waiting,
                   CASE WHEN ended.id IS NULL THEN 'waited for the job ' || one.job_id || ', which was deleted'
                        ELSE 'waited for the job ''' || coalesce(member.name, ended.type) || ''' (' || one.job_id
                             || '), which ' || CASE one.outcome WHEN 'FAILED' THEN 'failed' ELSE 'was cancelled' END
                   END AS error
              FROM (SELECT waiting, min(job_id) AS job_id, outcome FROM doomed GROUP BY waiting) AS one
              LEFT JOIN _jobs AS ended ON ended.id = one.job_id
              LEFT JOIN _batch_jobs AS member ON member.batch = ended.batch AND member.job_id = ended.id) AS why
     WHERE _jobs.id = why.waiting
"""
#: Count down; whoever waits for nothing any more is free, or waits for its own time.
FREE = """
    UPDATE _jobs
       SET depends_on = max(0, depends_on - ended.count),
           status = CASE WHEN status <> 'BLOCKED' OR depends_on > ended.count THEN status
                         WHEN run_at > :now THEN 'SCHEDULED' ELSE 'PENDING' END
      FROM (SELECT waiting, count(*) AS count FROM _job_dependencies WHERE outcome IS NOT NULL GROUP BY waiting) AS ended
     WHERE _jobs.id = ended.waiting
    RETURNING status, priority
"""
DONE = "DELETE FROM _job_dependencies WHERE outcome IS NOT NULL"

STATUSES = "SELECT id, status FROM _jobs WHERE id IN (SELECT value FROM json_each(?))"
#: Whoever is ended when the other is enqueued is taken care of like whoever ends later.
CONNECT = """
    INSERT INTO _job_dependencies (job_id, waiting, outcome)
    SELECT one.id, job.id, CASE WHEN one.finished_at IS NOT NULL THEN one.status END
      FROM json_each(:ids) AS given CROSS JOIN _jobs AS job ON job.id = given.value
     CROSS JOIN json_each(job.after) AS named CROSS JOIN _jobs AS one ON one.id = named.value
     WHERE one.finished_at IS NULL OR (one.status <> 'COMPLETED' AND job.on_dependency_failure = 'cancel')
"""
LOST = "SELECT waiting FROM _job_dependencies WHERE outcome IS NOT NULL"
#: What ended jobs wait for when they run once more: what has not completed, or runs once more itself.
AGAIN = """
      FROM json_each(:ids) AS given CROSS JOIN _jobs AS job ON job.id = given.value
     CROSS JOIN json_each(job.after) AS named CROSS JOIN _jobs AS one ON one.id = named.value
     WHERE job.finished_at IS NOT NULL
       AND (one.finished_at IS NULL
            OR (one.status <> 'COMPLETED' AND job.on_dependency_failure = 'cancel')
            OR one.id IN (SELECT value FROM json_each(:ids)))
"""
WAITED = """
    SELECT 1 FROM _jobs
     WHERE id IN (SELECT value FROM json_each(:ids)) AND after IS NOT NULL AND finished_at IS NOT NULL LIMIT 1
"""
COUNT = f"""
    UPDATE _jobs SET depends_on = waits.count
      FROM (SELECT job.id AS id, count(*) AS count {AGAIN} GROUP BY job.id) AS waits WHERE _jobs.id = waits.id
"""
RECONNECT = f"""
    INSERT INTO _job_dependencies (job_id, waiting) SELECT one.id, job.id {AGAIN}
        ON CONFLICT (job_id, waiting) DO NOTHING
"""

OF_JOB = "SELECT after, batch FROM _jobs WHERE _n = ?"
NAMES = """
    SELECT job_id, name FROM _batch_jobs
     WHERE batch = :batch AND job_id IN (SELECT value FROM json_each(:ids)) AND name IS NOT NULL
"""


# --- enqueue --------------------------------------------------------------------------------


def instead(
    requests: Sequence[Request], places: Sequence[int | Job], new: Sequence[Request]
) -> dict[str, str]:
    """Which job stands for a job of a block that is not new: the one that has its unique key.

    Args:
        requests: the jobs asked for.
        places: for each of them its number among the new ones, or the job that was there.
        new: those that will be.
    """
    found: dict[str, str] = {}
    for wanted, place in zip(requests, places, strict=True):
        mine = None if wanted.links is None else wanted.links.id
        if mine is None:
            continue
        if isinstance(place, Job):
            found[mine] = place.id
        elif (links := new[place].links) is not None and links.id not in (None, mine):
            found[mine] = links.id
    return found


def redirected(requests: Sequence[Request], instead: Mapping[str, str]) -> list[Request]:
    """These jobs, each waiting for the jobs that stand for those that it named.

    Raises:
        ValidationError: they would wait for each other.
    """
    made = [_waiting_for(one, instead) for one in requests]
    ties = [one.links for one in made if one.links is not None and one.links.after]
    circle = circles.first({one.id: one.after for one in ties if one.id is not None})
    if circle is not None:
        raise ValidationError(
            "jobs with one unique key are one job, and so they wait for each other",
            hint="give them keys of their own", field="after", rule="cycle",
        )  # fmt: skip
    return made


def _waiting_for(wanted: Request, instead: Mapping[str, str]) -> Request:
    links = wanted.links
    if links is None or instead.keys().isdisjoint(links.after):
        return wanted
    after = tuple(dict.fromkeys(instead.get(id, id) for id in links.after))
    return msgspec.structs.replace(wanted, links=msgspec.structs.replace(links, after=after))


async def waits(port: Port, requests: Sequence[Request]) -> list[int]:
    """How many jobs each of these has to wait for; what is ended already does not count.

    Raises:
        NotFound: a job named in `after`, or a batch, does not exist.
        JobError: a batch has finished.
    """
    links = [one.links for one in requests if one.links is not None]
    joined = {one.batch for one in links if one.batch is not None}
    if joined:
        from aurora_db.jobs import batches  # noqa: PLC0415 - most jobs stand alone

        await batches.check_open(port, joined)
    named = {id for one in links for id in one.after}
    if not named:
        return [0] * len(requests)
    known = dict(await port.rows(STATUSES, (encode(sorted(named)),)))
    known.update({one.id: Status.BLOCKED for one in links if one.id is not None})
    for id in named:
        if id not in known:
            raise NotFound(
                f"no job with the id '{id}', which 'after' names",
                hint="its id is what enqueue_job returned",
            )
    return [_left(one, known) for one in requests]


def _left(wanted: Request, known: dict[str, str]) -> int:
    links = wanted.links
    if links is None:
        return 0
    over = ("COMPLETED",) if links.on_failure == "cancel" else ENDED
    return sum(known[id] not in over for id in links.after)


async def connect(port: Port, made: Sequence[tuple[Request, Job]]) -> list[Job]:
    """Tie new jobs to those that they wait for, and to their batches; their records as they are then.

    One that waits for a job that failed already is cancelled here.
    """
    members = [
        (one.links.batch, job.id, one.links.name)
        for one, job in made
        if one.links is not None and one.links.batch is not None
    ]
    if members:
        from aurora_db.jobs import batches  # noqa: PLC0415 - most jobs stand alone

        await batches.join(port, members)
    records = [job for _, job in made]
    waiting = [job.id for job in records if job.depends_on]
    if not waiting:
        return records
    await port.change(CONNECT, {"ids": encode(waiting)})
    if await port.row(LOST) is None:
        return records
    from aurora_db.jobs import queue  # noqa: PLC0415 - it imports this room

    await resolve(port)
    now = await queue.get_many(port, waiting)
    return [now.get(job.id, job) for job in records]


# --- the ends -------------------------------------------------------------------------------


async def unresolved(port: Port) -> bool:
    """Whether jobs have ended from which something follows that is not done."""
    return await port.row(UNRESOLVED) != (0, 0)


async def resolve(port: Port) -> int:
    """Free the jobs whose last dependency has ended, or cancel them; tell batches of their ends.

    Called at the end of every transaction in which jobs have ended. Returns how many jobs changed.
    """
    found = await port.row(UNRESOLVED)
    if found == (0, 0):
        return 0
    from aurora_db.jobs import batches  # noqa: PLC0415 - most jobs stand alone

    changed = 0
    if found is not None and found[0]:
        now = {"now": timestamp(port.now())}
        changed = await port.change(CANCEL, now)
        if changed:
            port.touch("ended")
            if port.catalog.handlers_of("_jobs"):
                # Their end may have enqueued others.
                port.touch("jobs")
        freed = [row for row in await port.rows(FREE, now) if row[0] in ("PENDING", "SCHEDULED")]
        await port.change(DONE)
        if freed:
            port.touch("jobs", max(priority for _, priority in freed))
        changed += len(freed)
    await batches.tell(port)
    return changed


async def wait_again(port: Port, ids: Sequence[str]) -> None:
    """Tie those of these jobs that have ended to what they wait for in another run."""
    given = {"ids": encode(list(ids))}
    if await port.row(WAITED, given) is None:
        return
    # What ended before counts for the run before.
    await resolve(port)
    await port.change(COUNT, given)
    await port.change(RECONNECT, given)


# --- what a handler sees --------------------------------------------------------------------


async def dependencies(port: Port, n: int) -> dict[str, Job]:
    """The jobs that a job waited for, by their names in its flow, or else by id."""
    row = await port.row(OF_JOB, (n,))
    if row is None or row[0] is None:
        return {}
    from aurora_db.jobs import queue  # noqa: PLC0415 - it imports this room

    ids: list[str] = msgspec.json.decode(row[0])
    names = dict(await port.rows(NAMES, {"batch": row[1], "ids": row[0]}))
    jobs = await queue.get_many(port, ids)
    return {names.get(id, id): jobs[id] for id in ids if id in jobs}
