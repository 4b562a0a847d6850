"""What somebody asks for when enqueueing a job: its options, checked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, cast, get_args

import msgspec

from aurora_db.base.clock import Clock
from aurora_db.base.codec import encode, seconds, timestamp
from aurora_db.base.errors import ValidationError
from aurora_db.base.records import MAX_RETRIES, Priority
from aurora_db.jobs import timing
from aurora_db.jobs.unique import Given, Rule, rule_of

#: Attempts of a job, at most.
MOST_ATTEMPTS = 1_000_000_000
#: What becomes of a job when one that it waits for fails or is cancelled.
OnFailure = Literal["cancel", "run"]


#: Characters of a wrong value that are shown; the record of a job has many.
SHOWN = 80


class Links(msgspec.Struct, frozen=True, gc=False):
    """What ties a job to others: a key that it has alone, jobs that it waits for, its batch.

    `id` and `name` are those that the block of a batch or a flow gave it before it is written.
    """

    unique: Rule | None = None
    after: tuple[str, ...] = ()
    on_failure: OnFailure = "cancel"
    batch: str | None = None
    id: str | None = None
    name: str | None = None


class Request(msgspec.Struct, frozen=True, gc=False):
    """A job that shall be: checked, its payload JSON already."""

    type: str
    payload: str
    priority: Priority
    max_retries: int = MAX_RETRIES
    run_at: datetime | None = None
    queue: str = "default"
    tags: tuple[str, ...] = ()
    backoff: str | None = None
    timeout: float | None = None
    links: Links | None = None


def request(
    clock: Clock,
    type: str,
    payload: object = None,
    priority: Priority | int | str = Priority.NORMAL,
    retries: int | None = None,
    delay: float | timedelta | None = None,
    run_at: datetime | str | None = None,
    queue: str | None = None,
    timeout: float | timedelta | None = None,
    tags: Sequence[str] = (),
    backoff: object = None,
    unique: Given = None,
    after: Sequence[str] = (),
    on_failure: str = "cancel",
    batch: str | None = None,
) -> Request:
    """Check the options of a job.

    Raises:
        ValidationError: one is outside its range; the message names it.
    """
    if not isinstance(type, str) or not type:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _refused("type", type, "a text that is not empty")
    linked = unique is not None or after != () or on_failure != "cancel" or batch is not None
    if isinstance(priority, Priority) and (
        retries is delay is run_at is queue is timeout is backoff is None
        and tags == ()
        and not linked
    ):
        # As most are.
        return Request(type, encode(payload), priority)
    due = None if delay is None and run_at is None else _due(delay, run_at, clock)
    return Request(
        type,
        encode(payload),
        priority if isinstance(priority, Priority) else priority_of(priority),
        MAX_RETRIES if retries is None else attempts(retries),
        due,
        "default" if queue is None else queue_name(queue),
        _tags(tags) if tags or tags == "" else (),
        None if backoff is None else encode(timing.stored(timing.backoff(backoff))),
        None if timeout is None else limit(timeout),
        links(type, payload, unique, after, on_failure, batch) if linked else None,
    )


def links(
    type: str,
    payload: object,
    unique: Given,
    after: Sequence[str],
    on_failure: str,
    batch: str | None = None,
) -> Links | None:
    """What ties a job to others, checked; None when nothing does.

    Raises:
        ValidationError: an option is outside its range.
    """
    if on_failure not in get_args(OnFailure):
        raise _refused("on_dependency_failure", on_failure, 'one of "cancel" and "run"')
    if not isinstance(after, (list, tuple, set, frozenset)) or not all(
        isinstance(id, str) and id for id in cast("Iterable[object]", after)
    ):
        raise ValidationError(
            f"'after' is a list of ids of jobs, got {_short(after)}",
            hint="after=[job.id]", field="after", rule="after", value=after,
        )  # fmt: skip
    if on_failure != "cancel" and not after:
        raise _refused("on_dependency_failure", on_failure, "given together with 'after' only")
    if batch is not None and (not isinstance(batch, str) or not batch):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _refused("batch", batch, "the id of a batch")
    rule = rule_of(type, payload, unique)
    if rule is None and not after and batch is None:
        return None
    return Links(rule, tuple(dict.fromkeys(after)), cast("OnFailure", on_failure), batch)


def priority_of(value: int | str) -> Priority:
    """The priority that a number or a word means.

    Raises:
        ValidationError: it is none.
    """
    try:
        return Priority.of(value)
    except ValueError as error:
        raise ValidationError(str(error), field="priority", rule="priority", value=value) from None


def attempts(value: object) -> int:
    """A number of attempts in all.

    Raises:
        ValidationError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_ATTEMPTS:
        raise _refused("retries", value, f"a number of attempts from 1 to {MOST_ATTEMPTS:,}")
    return value


def queue_name(value: object) -> str:
    """The name of a queue.

    Raises:
        ValidationError: it is none.
    """
    if not isinstance(value, str) or not value:
        raise _refused("queue", value, "a name that is not empty")
    return value


def type_name(value: object) -> str:
    """A job type.

    Raises:
        ValidationError: it is none.
    """
    if not isinstance(value, str) or not value:
        raise _refused("type", value, "a text that is not empty")
    return value


def limit(value: object) -> float:
    """A timeout in seconds.

    Raises:
        ValidationError: it is no duration above 0.
    """
    if not _is_duration(value) or seconds(cast("float", value)) <= 0:
        raise _refused("timeout", value, "a duration in seconds above 0")
    return seconds(cast("float", value))


def _tags(tags: Any) -> tuple[str, ...]:
    listed = isinstance(tags, (list, tuple, set, frozenset))
    if not listed or not all(isinstance(tag, str) for tag in cast("Iterable[object]", tags)):
        raise _refused("tags", tags, "a list of texts")
    return tuple(tags)


def _due(
    delay: float | timedelta | None, run_at: datetime | str | None, clock: Clock
) -> datetime | None:
    if delay is not None and run_at is not None:
        raise _refused("delay", delay, "absent when 'run_at' is given")
    if isinstance(run_at, str):
        try:
            run_at = datetime.fromisoformat(run_at)
        except ValueError:
            raise _refused("run_at", run_at, "an instant such as '2026-01-01T00:00:00Z'") from None
    if run_at is not None:
        if not isinstance(cast("object", run_at), datetime):
            raise _refused("run_at", run_at, "an aware datetime, or its text")
        timestamp(run_at)
        return run_at
    if not _is_duration(delay):
        raise _refused("delay", delay, "a duration in seconds from 0")
    try:
        return clock.now() + timedelta(seconds=seconds(cast("float", delay)))
    except OverflowError:
        raise _refused("delay", delay, "a duration that the calendar has room for") from None


def _is_duration(value: object) -> bool:
    number = isinstance(value, (int, float, timedelta)) and not isinstance(value, bool)
    return number and 0 <= seconds(cast("float | timedelta", value)) < math.inf


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} …"


def _refused(name: str, value: object, wanted: str) -> ValidationError:
    return ValidationError(
        f"'{name}' is {wanted}, got {value!r}", field=name, rule=name, value=value
    )
