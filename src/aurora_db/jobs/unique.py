"""Unique jobs: at most one job of a key in given statuses, by the primary key of `_job_keys`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from aurora_db.base.codec import encode, seconds
from aurora_db.base.errors import ValidationError
from aurora_db.jobs import keys
from aurora_db.store.port import Port

if TYPE_CHECKING:
    from aurora_db.base.records import Job
    from aurora_db.jobs.request import Request

OnConflict = Literal["keep", "replace", "reschedule"]

#: The statuses of a job that has not ended.
WAITING = ("SCHEDULED", "BLOCKED", "PENDING", "RUNNING")


class Unique(msgspec.Struct, frozen=True, kw_only=True):
    """At most one job of a key at a time.

    Args:
        key: a text, which may have values of the payload in it: "${customer}"; the whole payload
            when absent. Keys of different job types never meet.
        period: seconds since the other job was enqueued, after which it does not count any more.
        statuses: those in which another job counts; all in which it has not ended unless said.
        on_conflict: "keep" the job that is there; "replace" its payload and options, unless it runs
            or has ended; "reschedule" it, as "replace" but with its time alone.
    """

    key: str | None = None
    period: float | timedelta | None = None
    statuses: Iterable[str] = WAITING
    on_conflict: OnConflict = "keep"


class Rule(msgspec.Struct, frozen=True, gc=False):
    """A `Unique` for one job: checked, its key worked out."""

    key: str
    period: float | None
    statuses: tuple[str, ...]
    on_conflict: OnConflict


def rule_of(type: str, payload: object, given: Unique | str | bool | None) -> Rule | None:
    """The rule for one job; None when nothing was asked for.

    Raises:
        ValidationError: it is outside its range; the message names the part.
    """
    match given:
        case None | False:
            return None
        case True:
            given = Unique()
        case str() if given:
            given = Unique(key=given)
        case Unique():
            pass
        case _:
            raise _refused("unique", given, "True, a key or a Unique")
    if given.on_conflict not in get_args(OnConflict):
        raise _refused("on_conflict", given.on_conflict, "keep, replace or reschedule")
    statuses = tuple(given.statuses)
    unknown = set(statuses) - {*WAITING, "COMPLETED", "FAILED", "CANCELLED"}
    if unknown or not statuses:
        raise _refused("statuses", sorted(unknown), "statuses of jobs")
    period = None if given.period is None else seconds(given.period)
    if period is not None and period <= 0:
        raise _refused("period", given.period, "a duration in seconds above 0")
    key = encode(payload) if given.key is None else keys.filled(given.key, payload)
    return Rule(f"{type}:{key}", period, statuses, given.on_conflict)


async def conflicts(port: Port, requests: Sequence[Request]) -> list[Request | Job]:
    """Each request, or the job that stands in its way, changed as the request wants."""
    del port
    return list(requests)


def _refused(name: str, value: Any, wanted: str) -> ValidationError:
    return ValidationError(
        f"'{name}' is {wanted}, got {value!r}", field=name, rule="unique", value=value
    )
