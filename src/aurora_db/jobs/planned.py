"""Schedules that are written in Python: a function with its times, kept in the database as any other.

What is kept is the text of a `define schedule` that enqueues a job of the function's type. It is written
when a database is opened with the function registered, or the function is registered with it open.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any, Final, cast

import msgspec

from aurora_db.aql import parser, plan, resolve, schedules, suggest, syntax
from aurora_db.aql.catalog import Catalog
from aurora_db.base.codec import encode, plain, seconds
from aurora_db.base.errors import AqlError, JobError, ScheduleInvalid, ValidationError
from aurora_db.base.records import Priority
from aurora_db.jobs import request as requests
from aurora_db.jobs.handlers import Handler, Jobs, check_payload
from aurora_db.store import schedules as stored
from aurora_db.store.engine import Engine
from aurora_db.store.port import Port

#: For an action that enqueues, nothing has to be defined.
_NOTHING: Final = Catalog({}, {}, 0)
_WORDS: Final = {"catch_up": schedules.CATCH_UP, "overlap": schedules.OVERLAP}


class Times(msgspec.Struct, frozen=True):
    """When a function shall run, as it was given to the decorator."""

    cron: str | None
    every: float | timedelta | None
    timezone: str | None
    catch_up: str
    overlap: str
    jitter: float | timedelta | None


def definition(
    handler: Handler, times: Times, payload: object, priority: Priority | int | str
) -> str:
    """The text that keeps a schedule for a job handler; the name of both is the job type.

    Raises:
        ScheduleInvalid, ValidationError: the times, or an option, cannot be used.
        PayloadInvalid: the payload is not what the handler declares.
        JobError: the handler takes a payload and none is given, or the other way round.
    """
    _check_payload(handler, payload)
    lines = [f"  {name}: {value}" for name, value in _parts(times)]
    options: dict[str, Any] = {"type": handler.type}
    if payload is not None:
        options["payload"] = plain(payload)
    known = requests.priority_of(priority)
    if handler.retries is not None:
        options["retries"] = handler.retries
    if handler.queue is not None:
        options["queue"] = handler.queue
    given = [f"{name}: {encode(value)}" for name, value in options.items()]
    if known is not Priority.NORMAL:
        given.append(f"priority: {known.name}")
    lines.append(f"  action: {{ enqueueJob({', '.join(given)}) }}")
    text = "\n".join([f"define schedule {encode(handler.type)} or replace {{", *lines, "}"])
    try:
        (node,) = parser.parse(text).definitions
        schedules.define(cast("syntax.ScheduleDefinition", node), text, _NOTHING)
    except AqlError as error:
        # The place in a text that nobody wrote says nothing.
        raise ScheduleInvalid(error.message, hint=error.hint) from None
    return text


def keep(engine: Engine, registry: Jobs) -> None:
    """Define what is registered and not yet in the database; another definition is replaced.

    One that somebody disabled stays disabled. A database that cannot be written is left as it is.
    """
    if engine.read_only:
        return
    for text in registry.planned.values():
        wanted = _resolved(text, engine.catalog)
        known = engine.catalog.schedules.get(wanted.schedule.name)
        if known is None or known.digest != wanted.schedule.digest:
            engine.write(partial(_define, text=text))


async def _define(port: Port, text: str) -> None:
    wanted = _resolved(text, port.catalog)
    known = port.catalog.schedules.get(wanted.schedule.name)
    if known is not None:
        schedule = msgspec.structs.replace(wanted.schedule, enabled=known.enabled)
        wanted = msgspec.structs.replace(wanted, schedule=schedule)
    await stored.define_schedule(port, wanted)


def _resolved(text: str, catalog: Catalog) -> plan.DefineSchedule:
    (operation,) = resolve.resolve(parser.parse(text), text, catalog).operations
    return cast("plan.DefineSchedule", operation.roots[0])


def _parts(times: Times) -> list[tuple[str, str]]:
    """What stands in the definition, without what it means anyway."""
    parts: list[tuple[str, str]] = []
    if times.cron is not None:
        parts.append(("cron", encode(times.cron)))
    if times.every is not None:
        parts.append(("every", _amount("every", times.every)))
    if times.timezone is not None:
        parts.append(("timezone", encode(times.timezone)))
    for name, word, written in (
        ("catch_up", times.catch_up, "catchUp"), ("overlap", times.overlap, "overlap"),
    ):  # fmt: skip
        if word not in _WORDS[name]:
            words = ", ".join(_WORDS[name])
            raise ValidationError(
                f"'{name}' is one of {words}, got {word!r}",
                hint=suggest.hint(str(word).upper(), _WORDS[name]), field=name, rule=name, value=word,
            )  # fmt: skip
        parts.append((written, word))
    if times.jitter is not None:
        parts.append(("jitter", _amount("jitter", times.jitter)))
    return parts


def _amount(name: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float, timedelta)):
        raise ValidationError(
            f"'{name}' is a duration in seconds, got {value!r}", field=name, rule=name, value=value
        )
    return encode(seconds(value))


def _check_payload(handler: Handler, payload: object) -> None:
    if handler.takes_payload and payload is None:
        raise JobError(
            f"the scheduled function '{handler.type}' takes a payload, and none is given",
            hint="give payload=…, or write a function without parameters",
        )
    if payload is not None and not (handler.takes_payload or handler.takes_job):
        raise JobError(
            f"the scheduled function '{handler.type}' takes no payload, and one is given",
            hint="give it a parameter, or leave payload= out",
        )
    if handler.takes_payload:
        check_payload(handler, plain(payload))
