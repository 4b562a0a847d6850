"""What keeps the queue going: stage what is due, renew leases, rescue the jobs of the dead."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from aurora_db.base.codec import instant, timestamp
from aurora_db.jobs import flow, meters
from aurora_db.jobs.queue import LEASE
from aurora_db.store.port import Port, Row

#: Seconds without a sign of life, after which a worker that runs nothing is forgotten.
SILENCE: Final = 2 * LEASE
#: Runs that end with the death of their process, before the job is given up.
MOST_CRASHES = 3
#: The error of such a job.
POISON = f"worker died {MOST_CRASHES} times running this"
#: What is kept of each such run.
DIED = "worker died running this ({})"
GONE = DIED.format("its process is gone")
SILENT_LEASE = DIED.format("it did not renew its lease")

STAGE = """
    UPDATE _jobs SET status = 'PENDING'
     WHERE _n IN (SELECT _n FROM _jobs WHERE status = 'SCHEDULED' AND run_at <= :now ORDER BY run_at LIMIT 1000)
    RETURNING priority
"""
#: A scheduled job, a schedule, or a rate that has room again.
NEXT_DUE = """
    SELECT min(run_at) FROM (SELECT min(run_at) AS run_at FROM _jobs WHERE status = 'SCHEDULED'
                              UNION ALL SELECT min(next_at) FROM _schedules WHERE next_at IS NOT NULL
                              UNION ALL SELECT min(due_at) FROM _limit_waits WHERE due_at IS NOT NULL)
"""

RENEW = "UPDATE _jobs SET lease_until = :lease WHERE worker = :worker AND status = 'RUNNING'"
BEAT = "UPDATE _workers SET heartbeat_at = :now, types = :types WHERE id = :worker"

REGISTER = """
    INSERT INTO _workers (id, host, pid, threads, types, queues, started_at, heartbeat_at)
    VALUES (:worker, :host, :pid, :threads, :types, :queues, :now, :now)
"""
SCALE = "UPDATE _workers SET threads = :threads WHERE id = :worker"
UNREGISTER = "DELETE FROM _workers WHERE id = :worker"
OTHERS = "SELECT id, host FROM _workers WHERE id <> :worker"

#: A job whose process died while it ran: counted, and given up at the third time.
CRASHED = """
    UPDATE _jobs
       SET crashes = crashes + 1, lease_until = NULL,
           status = CASE WHEN crashes + 1 >= :most THEN 'FAILED' ELSE 'PENDING' END,
           finished_at = CASE WHEN crashes + 1 >= :most THEN :now END,
           error = CASE WHEN crashes + 1 >= :most THEN :poison ELSE error END
     WHERE worker = :worker AND status = 'RUNNING' AND _n IN (SELECT value FROM json_each(:begun))
    RETURNING _n
"""
KEEP_CRASHED = """
    INSERT INTO _job_errors (job_id, attempt, at, error, worker)
    SELECT id, attempt, :now, :error, worker FROM _jobs
     WHERE worker = :worker AND status = 'RUNNING' AND _n IN (SELECT value FROM json_each(:begun))
"""
#: A job that was claimed and not begun goes back uncounted.
GIVE_BACK = """
    UPDATE _jobs SET status = 'PENDING', lease_until = NULL, started_at = NULL
     WHERE worker = :worker AND status = 'RUNNING'
    RETURNING _n
"""
#: Nobody renewed the lease: the process hangs, or was on another machine.
EXPIRED = """
    UPDATE _jobs
       SET crashes = crashes + 1, lease_until = NULL,
           status = CASE WHEN crashes + 1 >= :most THEN 'FAILED' ELSE 'PENDING' END,
           finished_at = CASE WHEN crashes + 1 >= :most THEN :now END,
           error = CASE WHEN crashes + 1 >= :most THEN :poison ELSE error END
     WHERE status = 'RUNNING' AND lease_until < :now
    RETURNING _n
"""
KEEP_EXPIRED = """
    INSERT INTO _job_errors (job_id, attempt, at, error, worker)
    SELECT id, attempt, :now, :error, worker FROM _jobs WHERE status = 'RUNNING' AND lease_until < :now
"""
#: Of workers on this machine it is known which jobs had begun.
GIVE_BACK_EXPIRED = """
    UPDATE _jobs SET status = 'PENDING', lease_until = NULL, started_at = NULL
     WHERE status = 'RUNNING' AND lease_until < :now
       AND worker IN (SELECT value FROM json_each(:known)) AND _n NOT IN (SELECT value FROM json_each(:begun))
    RETURNING _n
"""
HOLDERS = "SELECT DISTINCT worker FROM _jobs WHERE status = 'RUNNING' AND lease_until < :now"
SILENT = "DELETE FROM _workers WHERE heartbeat_at < :before AND id NOT IN (SELECT worker FROM _jobs WHERE status = 'RUNNING')"

#: Which of these attempts have lost their job. One that was completed by its own transaction has not,
#: though its handler may still run.
LOST = """
    SELECT m.value ->> 0, m.value ->> 1 FROM json_each(:attempts) AS m
     WHERE NOT EXISTS (SELECT 1 FROM _jobs
                        WHERE _n = m.value ->> 0 AND attempt = m.value ->> 1 AND worker = :worker
                          AND +status IN ('RUNNING', 'COMPLETED'))
"""

COUNT = "SELECT status, count(*) FROM _jobs GROUP BY status"


def host() -> str:
    """The name of this machine."""
    return socket.gethostname()


async def stage(port: Port) -> int:
    """Make due jobs pending; returns how many."""
    rows = await port.rows(STAGE, {"now": timestamp(port.now())})
    if rows:
        port.touch("jobs", max(row[0] for row in rows))
    return len(rows)


async def next_due(port: Port) -> datetime | None:
    """When the next scheduled job or schedule is due, or the next that a rate holds back; or None."""
    row = await port.row(NEXT_DUE)
    return None if row is None or row[0] is None else instant(row[0])


async def register(
    port: Port, worker: str, threads: int, types: Sequence[str], queues: Sequence[str] | None = None
) -> None:
    """Say that this worker exists; without `queues` it serves all."""
    await port.change(REGISTER, {
        "worker": worker, "host": host(), "pid": os.getpid(), "threads": threads,
        "types": json.dumps(list(types)), "now": timestamp(port.now()),
        "queues": None if queues is None else json.dumps(list(queues)),
    })  # fmt: skip


async def beat(port: Port, worker: str, types: Sequence[str]) -> bool:
    """Renew the leases of all jobs of a worker, in one statement; False when it is not known any more."""
    now = port.now()
    lease = timestamp(now + timedelta(seconds=LEASE))
    await port.change(RENEW, {"worker": worker, "lease": lease})
    known = await port.change(
        BEAT, {"worker": worker, "now": timestamp(now), "types": json.dumps(list(types))}
    )
    await port.change(SILENT, {"before": timestamp(now - timedelta(seconds=SILENCE))})
    return known > 0


async def scale(port: Port, worker: str, threads: int) -> None:
    """Say that this worker has so many threads now."""
    await port.change(SCALE, {"worker": worker, "threads": threads})


async def leave(port: Port, worker: str) -> int:
    """A worker ends: what it still holds goes back uncounted. Returns how many jobs."""
    rows = await port.rows(GIVE_BACK, {"worker": worker})
    await port.change(UNREGISTER, {"worker": worker})
    await meters.give_back(port, [row[0] for row in rows])
    if rows:
        port.touch("jobs")
    return len(rows)


async def others(port: Port, worker: str) -> list[str]:
    """The other workers of this machine."""
    rows = await port.rows(OTHERS, {"worker": worker})
    here = host()
    return [id for id, machine in rows if machine == here]


async def rescue(port: Port, worker: str, begun: Collection[int]) -> int:
    """Give back the jobs of a dead worker; those in `begun` count a crash. Returns how many."""
    now = timestamp(port.now())
    who = {"worker": worker, "now": now, "begun": json.dumps(sorted(begun))}
    await port.change(KEEP_CRASHED, {**who, "error": GONE})
    crashed = await port.rows(CRASHED, {**who, "most": MOST_CRASHES, "poison": POISON})
    back = await port.rows(GIVE_BACK, {"worker": worker})
    await port.change(UNREGISTER, {"worker": worker})
    await meters.give_back(port, [row[0] for row in (*crashed, *back)])
    port.touch("jobs")
    # The third death is an end.
    port.touch("ended")
    await flow.resolve(port)
    return len(crashed) + len(back)


async def rescue_expired(
    port: Port, boards: Mapping[str, Collection[int]] = MappingProxyType({})
) -> int:
    """Give back the jobs whose lease nobody renewed. Returns how many.

    Args:
        port: a transaction.
        boards: what workers run whose board can be read: jobs of theirs that are not there had not
            begun, and count no crash.
    """
    now = timestamp(port.now())
    back: list[Row] = []
    if boards:
        begun = [n for numbers in boards.values() for n in numbers]
        back = await port.rows(GIVE_BACK_EXPIRED, {
            "now": now, "known": json.dumps(list(boards)), "begun": json.dumps(begun),
        })  # fmt: skip
    await port.change(KEEP_EXPIRED, {"now": now, "error": SILENT_LEASE})
    rows = await port.rows(EXPIRED, {"now": now, "most": MOST_CRASHES, "poison": POISON})
    if rows or back:
        await meters.give_back(port, [row[0] for row in (*rows, *back)])
        port.touch("jobs")
        port.touch("ended")
        # Whoever held them may go on by now.
        port.touch("cancels")
        await flow.resolve(port)
    return len(rows) + len(back)


async def expired(port: Port) -> list[str]:
    """The workers that hold jobs by a lease that has ended."""
    return [row[0] for row in await port.rows(HOLDERS, {"now": timestamp(port.now())})]


async def lost(
    port: Port, worker: str, attempts: Sequence[tuple[int, int]]
) -> set[tuple[int, int]]:
    """Those of these attempts whose job was cancelled or belongs to others; number and attempt."""
    rows = await port.rows(LOST, {"worker": worker, "attempts": json.dumps(attempts)})
    return {(n, attempt) for n, attempt in rows}


async def count(port: Port) -> dict[str, Any]:
    """How many jobs have each status."""
    return dict(await port.rows(COUNT))
