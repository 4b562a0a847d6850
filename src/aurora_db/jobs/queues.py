"""Queues: pause and resume them, say what holds for them, look at them.

What is said stands in `_queues` and `_limits`, so that it holds for all processes at once; the bell of
the commit tells them. A queue needs no declaration: it is there when a job names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from aurora_db.base.codec import instant, seconds, timestamp
from aurora_db.base.errors import ValidationError
from aurora_db.base.records import Priority, QueueState
from aurora_db.jobs import limits
from aurora_db.jobs.limits import Limit
from aurora_db.store.port import Port

#: Rings louder than any job: claimed jobs that have not begun wait for the next look.
LOUD = Priority.CRITICAL + 1

PAUSE = """
    INSERT INTO _queues (name, paused_at) VALUES (:queue, :now)
    ON CONFLICT DO UPDATE SET paused_at = excluded.paused_at WHERE paused_at IS NULL
"""
RESUME = "UPDATE _queues SET paused_at = NULL WHERE name = :queue AND paused_at IS NOT NULL"
#: Parked jobs of a paused queue leave their place at a limit to others, and come back to it.
LOOK_AGAIN = "UPDATE _limit_waits SET due_at = :now"
AGE = """
    INSERT INTO _queues (name, aging) VALUES (:queue, :aging) ON CONFLICT DO UPDATE SET aging = excluded.aging
"""
#: A queue of which nothing is said does not stand there.
CLEAN = "DELETE FROM _queues WHERE name = :queue AND paused_at IS NULL AND aging IS NULL"

#: How many wait, and the first of them, from the index alone.
PENDING = "SELECT queue, count(*), min(_n) FROM _jobs WHERE status = 'PENDING' GROUP BY type, queue"
RUNNING = "SELECT queue, count(*) FROM _jobs WHERE status = 'RUNNING' GROUP BY queue"
PARKED = "SELECT queue, count(*), min(n) FROM _limit_parked JOIN _jobs ON _n = n GROUP BY queue"
SAID = "SELECT name, paused_at, aging FROM _queues"
LIMITED = (
    "SELECT name, concurrency, rate_count, rate_period, key FROM _limits WHERE scope = 'queue'"
)
CREATED = "SELECT created_at FROM _jobs WHERE _n = :n"


class Said(msgspec.Struct, frozen=True):
    """What somebody says of a queue; what is absent stays as it is, None clears."""

    limit: Mapping[str, Any] = {}
    aging: float | msgspec.UnsetType | None = msgspec.UNSET


def said(options: Mapping[str, Any]) -> Said:
    """What these options say, checked: `concurrency`, `rate`, `key` and `aging`.

    Raises:
        ValidationError: one is outside its range.
    """
    limit: dict[str, Any] = {}
    if "concurrency" in options:
        limit["concurrency"] = options["concurrency"]
        limits.limit(options["concurrency"], None)
    if "rate" in options:
        rate = limits.limit(None, options["rate"])
        limit["count"] = None if rate is None else rate.count
        limit["period"] = None if rate is None else rate.period
    if "key" in options:
        limit["key"] = limits.template(options["key"])
    aging = options.get("aging", msgspec.UNSET)
    return Said(limit, aging if aging in (None, msgspec.UNSET) else _aging(aging))


def _aging(value: object) -> float:
    if (
        isinstance(value, (int, float, timedelta))
        and not isinstance(value, bool)
        and 0 < seconds(value) <= LONGEST
    ):
        return seconds(value)
    raise ValidationError(
        f"'aging' is a duration in seconds above 0, got {value!r}", field="aging", rule="aging", value=value
    )  # fmt: skip


#: Seconds; a century.
LONGEST = 36_525 * 86_400.0


def named(queue: object) -> str:
    """The name of a queue.

    Raises:
        ValidationError: it is none.
    """
    if isinstance(queue, str) and queue:
        return queue
    raise ValidationError(
        f"'queue' is a name that is not empty, got {queue!r}", field="queue", rule="queue", value=queue
    )  # fmt: skip


async def pause(port: Port, queue: str) -> bool:
    """Claim nothing more from this queue, in any process; False when it was paused already."""
    changed = await port.change(PAUSE, {"queue": queue, "now": timestamp(port.now())})
    if changed:
        await port.change(LOOK_AGAIN, {"now": timestamp(port.now())})
        port.touch("jobs", LOUD)
    return changed > 0


async def resume(port: Port, queue: str) -> bool:
    """Claim from this queue again; False when it was not paused."""
    changed = await port.change(RESUME, {"queue": queue})
    if changed:
        await port.change(CLEAN, {"queue": queue})
        await port.change(LOOK_AGAIN, {"now": timestamp(port.now())})
        port.touch("jobs")
    return changed > 0


async def configure(port: Port, queue: str, wanted: Said) -> None:
    """Change what holds for this queue.

    Raises:
        ValidationError: what is left is a key without concurrency and rate.
    """
    if wanted.limit:
        before = await limits.get(port, "queue", queue) or Limit()
        made = msgspec.structs.replace(before, **wanted.limit)
        if made.concurrency is None and made.count is None:
            if wanted.limit.get("key") is not None:
                raise limits.alone(made.key)
            made = None
        await limits.put(port, "queue", queue, made)
    if wanted.aging is not msgspec.UNSET:
        await port.change(AGE, {"queue": queue, "aging": wanted.aging})
        await port.change(CLEAN, {"queue": queue})


async def states(port: Port) -> list[QueueState]:
    """Every queue that has waiting or running jobs, or of which something was said; by name."""
    pending: dict[str, int] = {}
    first: dict[str, int] = {}
    for queue, count, n in await port.rows(PENDING):
        pending[queue] = pending.get(queue, 0) + count
        first[queue] = min(n, first.get(queue, n))
    blocked: dict[str, int] = {}
    for queue, count, n in await port.rows(PARKED):
        blocked[queue] = count
        first[queue] = min(n, first.get(queue, n))
    running: dict[str, int] = dict(await port.rows(RUNNING))
    told = {row[0]: row[1:] for row in await port.rows(SAID)}
    limited = {row[0]: Limit(*row[1:]) for row in await port.rows(LIMITED)}
    made: list[QueueState] = []
    for name in sorted({*first, *running, *told, *limited}):
        paused_at, aging = told.get(name, (None, None))
        limit = limited.get(name, Limit())
        row = await port.row(CREATED, {"n": first[name]}) if name in first else None
        made.append(QueueState(
            name=name, pending=pending.get(name, 0), blocked=blocked.get(name, 0), running=running.get(name, 0),
            paused_at=None if paused_at is None else instant(paused_at),
            concurrency=limit.concurrency, rate=limit.rate, key=limit.key, aging=aging,
            oldest_at=None if row is None else instant(row[0]),
        ))  # fmt: skip
    return made
