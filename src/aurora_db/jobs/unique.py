"""Unique jobs, what is asked for: at most one job of a type and key in given statuses.

Here the options are checked and the key of a job is worked out of its payload; `conflicts.py` looks
who has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, Literal, cast, get_args

import msgspec

from aurora_db.base.codec import decode, encode, seconds
from aurora_db.base.errors import ValidationError
from aurora_db.base.records import Status
from aurora_db.jobs import keys
from aurora_db.jobs.status import WAITING

OnConflict = Literal["keep", "replace", "reschedule"]

#: Keys that are longer are kept as their hash, for every look compares them.
LONGEST: Final = 200
#: Seconds of a period, at most: a hundred years.
_LONGEST_PERIOD: Final = 3_155_760_000.0


class Unique(msgspec.Struct, frozen=True, kw_only=True):
    """At most one job of a type and key at a time.

    Args:
        key: a text, which may have values of the payload in it: "${customer}"; the whole payload
            when absent. Keys of different job types never meet.
        period: seconds since the job was enqueued, after which it does not count any more.
        statuses: those in which the job counts; unless said, all in which it has not ended, and
            with a `period` COMPLETED too.
        on_conflict: "keep" the job that is there; "replace" its payload and options, unless it runs
            or has ended; "reschedule" it, as "replace" but with its time alone.
    """

    key: str | None = None
    period: float | timedelta | None = None
    statuses: Iterable[str] | None = None
    on_conflict: OnConflict = "keep"


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """A `Unique` that was checked; many jobs share it."""

    key: str | None
    period: float | None
    statuses: tuple[str, ...]
    on_conflict: OnConflict


#: What the options of a job may say; False is for a job whose type says otherwise.
Given = Unique | Wanted | str | bool | None


class Rule(msgspec.Struct, frozen=True, gc=False):
    """A `Unique` for one job: checked, its key worked out."""

    key: str
    period: float | None
    statuses: tuple[str, ...]
    on_conflict: OnConflict


# --- checking -------------------------------------------------------------------------------


def checked(given: Given) -> Wanted | Literal[False] | None:
    """What somebody asked for, checked; nothing stays nothing.

    Raises:
        ValidationError: it is outside its range; the message names the part.
    """
    match given:
        case None | False | Wanted():
            return given
        case True:
            wanted = Unique()
        case str():
            wanted = Unique(key=given)
        case Unique():
            wanted = given
        case _:
            raise _refused("unique", given, "True, a key or a Unique")
    if wanted.key is not None:
        _check_key(wanted.key)
    if wanted.on_conflict not in get_args(OnConflict):
        raise _refused("on_conflict", wanted.on_conflict, "keep, replace or reschedule")
    period = _period(wanted.period)
    statuses = _statuses(wanted.statuses, period is not None)
    return Wanted(wanted.key, period, statuses, wanted.on_conflict)


def _check_key(key: object) -> None:
    if not isinstance(key, str) or not key:
        raise _refused("key", key, "a text that is not empty")
    problem = keys.problem(key)
    if problem is not None:
        raise ValidationError(
            f"the key '{key}' {problem}", hint='write "${customer}" for a value of the payload',
            field="key", rule="unique", value=key,
        )  # fmt: skip


def _period(given: object) -> float | None:
    if given is None:
        return None
    if isinstance(given, (int, float, timedelta)) and not isinstance(given, bool):
        period = seconds(given)
        if 0 < period <= _LONGEST_PERIOD:
            return period
    raise _refused("period", given, "a duration in seconds above 0")


def _statuses(given: object, periodic: bool) -> tuple[str, ...]:
    if given is None:
        return (*WAITING, "COMPLETED") if periodic else WAITING
    known = tuple(Status)
    listed = isinstance(given, Iterable) and not isinstance(given, (str, Mapping))
    statuses = tuple(cast("Iterable[Any]", given)) if listed else ()
    if not statuses or any(one not in known for one in statuses):
        raise _refused("statuses", given, f"a list of {', '.join(known)}")
    # In one order, so that equal rules are equal.
    return tuple(one.value for one in known if one in statuses)


def rule_of(type: str, payload: object, given: Given) -> Rule | None:
    """The rule for one job; None when nothing was asked for.

    Raises:
        ValidationError: it is outside its range; the message names the part.
    """
    wanted = checked(given)
    if not wanted:
        return None
    template = wanted.key
    try:
        if template is None:
            # Two payloads are the same whatever order their keys have.
            key = msgspec.json.encode(decode(encode(payload)), order="deterministic").decode()
        else:
            key = keys.filled(template, payload, strict=True)
    except KeyError as error:
        raise ValidationError(
            f"the key '{template}' of a unique '{type}' needs '{error.args[0]}', which its payload has not",
            hint="all jobs without it would have one key; put it into the payload, null if need be",
            field="key", rule="unique", value=template,
        ) from None  # fmt: skip
    if not key:
        raise _refused("key", template, "not empty when it is filled in")
    return Rule(_short(key), wanted.period, wanted.statuses, wanted.on_conflict)


def _short(key: str) -> str:
    """The key, or its hash where it is long, or has what no text of SQL can have."""
    if len(key) <= LONGEST and "\0" not in key:
        return key
    import hashlib  # noqa: PLC0415 - few keys are long

    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def _refused(name: str, value: Any, wanted: str) -> ValidationError:
    return ValidationError(
        f"'{name}' is {wanted}, got {value!r}", field=name, rule="unique", value=value
    )
