"""Pruning: delete jobs some time after their end, in small steps, by age and by status.

There is no index on the end of a job, for enqueueing would pay for it. A lap walks the jobs in the
order of enqueueing instead, so many at a time, and ends at the first one that is younger than
anything kept: what was enqueued after that cannot have ended before. What goes takes its errors,
steps and keys along. A job that has not ended is never touched, nor one whose end others wait
for, nor one that holds a unique key for a period that is not over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, cast

import msgspec

from aurora_db.base.codec import seconds, timestamp
from aurora_db.base.errors import ValidationError
from aurora_db.base.records import Status
from aurora_db.jobs.status import ENDED
from aurora_db.store.engine import Engine
from aurora_db.store.port import Port, Verb

#: How long jobs are kept after their end: one duration for all, or by status; None is for ever.
Retention = float | timedelta | Mapping[str, float | timedelta | None] | None

#: Seconds that ended jobs are kept unless said.
KEPT: Final = 7 * 86_400.0
#: Jobs that one step looks at, and deletes, at most.
LOOKED: Final = 2_000
DELETED: Final = 200
#: Seconds between two steps while much is to be deleted, and while the walk only goes on.
BUSY: Final = 0.1
WALKING: Final = 1.0
#: Seconds between two laps: a hundredth of what is kept, within these.
SOONEST: Final = 1.0
LATEST: Final = 3_600.0

#: The end before which a job may go, by its status; NULL where its status is kept for ever.
_CUT = "CASE status WHEN 'COMPLETED' THEN :COMPLETED WHEN 'FAILED' THEN :FAILED WHEN 'CANCELLED' THEN :CANCELLED END"
LOOK = f"""
    SELECT max(_n), created_at, json_group_array(_n ORDER BY _n) FILTER (WHERE finished_at <= {_CUT})
      FROM (SELECT _n, created_at, status, finished_at FROM _jobs WHERE _n > :after ORDER BY _n LIMIT {LOOKED})
"""
#: The conditions are asked once more: between look and deletion it may have been revived.
DELETE = f"""
    DELETE FROM _jobs
     WHERE _n IN (SELECT value FROM json_each(:numbers)) AND finished_at <= {_CUT}
       AND NOT EXISTS (SELECT 1 FROM _job_dependencies AS d WHERE d.job_id = _jobs.id)
       AND NOT EXISTS (SELECT 1 FROM _job_keys AS k, json_each(k.statuses) AS s
                        WHERE k.job_id = _jobs.id AND k.until > :now AND s.value = _jobs.status)
"""
#: Batches go as the worst of their jobs.
DELETE_BATCHES = f"""
    DELETE FROM _batches
     WHERE id IN (SELECT id FROM _batches WHERE id > :after ORDER BY id LIMIT {LOOKED})
       AND finished_at <= CASE WHEN failed > 0 THEN :FAILED WHEN cancelled > 0 THEN :CANCELLED ELSE :COMPLETED END
"""
LAST_BATCH = (
    f"SELECT max(id) FROM (SELECT id FROM _batches WHERE id > :after ORDER BY id LIMIT {LOOKED})"
)


def kept(retention: Retention) -> Mapping[Status, float]:
    """For how many seconds jobs are kept after their end, by status; absent is for ever.

    A status that a mapping leaves out is kept as long as by default.

    Raises:
        ValueError: a duration is below 0, or a status is none in which jobs have ended.
    """
    if retention is None:
        return {}
    if not isinstance(retention, Mapping):
        return dict.fromkeys(ENDED, _duration(retention))
    found: dict[Status, float] = dict.fromkeys(ENDED, KEPT)
    for word, given in retention.items():
        (status,) = ended([word])
        if given is None:
            del found[status]
        else:
            found[status] = _duration(given)
    return found


def ended(statuses: Iterable[object]) -> tuple[Status, ...]:
    """The statuses that these words mean.

    Raises:
        ValidationError: one is none in which jobs have ended.
    """
    found: list[Status] = []
    for word in statuses:
        if word not in tuple(ENDED):
            raise ValidationError(
                f"only jobs that have ended are pruned, and {word!r} is no such status",
                hint=f"they are {', '.join(ENDED)}",
                field="status",
                rule="status",
                value=word,
            )
        found.append(Status(cast("str", word)))
    return tuple(found)


def _duration(value: float | timedelta) -> float:
    number = isinstance(value, (int, float, timedelta)) and not isinstance(value, bool)  # pyright: ignore[reportUnnecessaryIsInstance]
    if not number or not 0 <= seconds(value) < math.inf:
        raise ValidationError(
            f"jobs are kept for a duration from 0, in seconds or as a timedelta, not {value!r}",
            hint="None keeps them for ever",
            field="older_than",
            rule="duration",
            value=value,
        )
    return seconds(value)


class _Cuts(msgspec.Struct, frozen=True):
    """The ends before which jobs may go, as parameters; `newest` is the latest of them."""

    params: dict[str, str | None]
    newest: str


def _cuts(now: datetime, kept: Mapping[Status, float]) -> _Cuts:
    params: dict[str, str | None] = {status.value: None for status in ENDED}
    for status, age in kept.items():
        params[status.value] = timestamp(_before(now, age))
    return _Cuts(params, max(text for text in params.values() if text is not None))


def _before(now: datetime, age: float) -> datetime:
    try:
        return now - timedelta(seconds=age)
    except OverflowError:
        return datetime.min.replace(tzinfo=now.tzinfo)


class _Seen(msgspec.Struct, frozen=True):
    """What one look found: how far it went, what may go, and whether the lap is over."""

    upto: int
    due: Sequence[int]
    over: bool


async def _look(port: Port, kept: Mapping[Status, float], after: int) -> _Seen:
    cuts = _cuts(port.now(), kept)
    row = await port.row(LOOK, {**cuts.params, "after": after})
    if row is None or row[0] is None:
        return _Seen(after, (), over=True)
    due: list[int] = msgspec.json.decode(row[2], type=list[int])
    if len(due) > DELETED:
        return _Seen(due[DELETED - 1], due[:DELETED], over=False)
    return _Seen(row[0], due, over=row[1] > cuts.newest)


async def _delete(port: Port, kept: Mapping[Status, float], numbers: Sequence[int]) -> int:
    params = {**_cuts(port.now(), kept).params, "now": timestamp(port.now())}
    return await port.change(DELETE, {**params, "numbers": msgspec.json.encode(numbers).decode()})


async def _delete_batches(port: Port, kept: Mapping[Status, float], after: str) -> str | None:
    """Delete old batches among the next ones; up to which one this looked, None at the end."""
    row = await port.row(LAST_BATCH, {"after": after})
    if row is None or row[0] is None:
        return None
    await port.change(DELETE_BATCHES, {**_cuts(port.now(), kept).params, "after": after})
    return row[0]


# --- by itself ------------------------------------------------------------------------------


class Pruner:
    """Prunes by itself, a step at a time; one for the pump of a process.

    Args:
        kept: seconds by status, as of `kept`; not empty.
    """

    def __init__(self, engine: Engine, kept: Mapping[Status, float]) -> None:
        self.pruned = 0
        self._engine = engine
        self._kept = kept
        self._after = 0
        self._batch: str | None = None
        self._lap = min(LATEST, max(SOONEST, min(kept.values()) / 100))

    def step(self) -> float:
        """Take one step; returns after how many seconds the next one is due."""
        engine = self._engine
        if self._batch is not None:
            return self._step_batches(self._batch)
        seen = engine.read(partial(_look, kept=self._kept, after=self._after), single=True)
        if seen.due:
            # If power is lost, they go another time.
            self.pruned += engine.write(
                partial(_delete, kept=self._kept, numbers=seen.due), durable=False
            )
        self._after = seen.upto
        if seen.over:
            self._after, self._batch = 0, ""
        return BUSY if len(seen.due) == DELETED else WALKING

    def _step_batches(self, after: str) -> float:
        look = partial(_any_batch, after=after)
        if not self._engine.read(look, single=True):
            self._batch = None
            return self._lap
        step = partial(_delete_batches, kept=self._kept, after=after)
        self._batch = self._engine.write(step, durable=False)
        return WALKING if self._batch is not None else self._lap


async def _any_batch(port: Port, after: str) -> bool:
    row = await port.row(LAST_BATCH, {"after": after})
    return row is not None and row[0] is not None


# --- by hand --------------------------------------------------------------------------------


class ByHand:
    """One `prune_jobs`, as stages: each step is a transaction of its own.

    Raises:
        ValidationError: a status is none in which jobs have ended, or the age is no duration.
    """

    def __init__(self, status: str | Iterable[str] | None, older_than: float | timedelta) -> None:
        words = ENDED if status is None else ended([status] if isinstance(status, str) else status)
        self._kept = dict.fromkeys(words, _duration(older_than))
        self._after: int | None = 0 if words else None
        self._pruned = 0

    def next(self) -> Verb[Any] | None:
        """The next step."""
        return None if self._after is None else partial(self._step, after=self._after)

    def take(self, result: tuple[int, int | None]) -> None:
        """A step is committed."""
        deleted, self._after = result
        self._pruned += deleted

    def result(self) -> int:
        """How many jobs went."""
        return self._pruned

    async def _step(self, port: Port, after: int) -> tuple[int, int | None]:
        seen = await _look(port, self._kept, after)
        deleted = await _delete(port, self._kept, seen.due) if seen.due else 0
        return deleted, None if seen.over else seen.upto
