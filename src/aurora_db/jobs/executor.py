"""One attempt: decode the payload, call the handler, turn what happened into a settlement.

Whatever a handler raises, `SystemExit` and a recursion without end included, fails the attempt
and never the worker.
"""

from __future__ import annotations

import json
import logging
import random
import sys
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import msgspec

from aurora_db.base.codec import decode, encode
from aurora_db.base.errors import AuroraError, LeaseLost, PayloadInvalid, Timeout, ValidationError
from aurora_db.jobs import queue, timing
from aurora_db.jobs.context import Attempt, Bench, JobContext
from aurora_db.jobs.handlers import (
    Cancel,
    Fail,
    Handler,
    Instruction,
    Retry,
    Snooze,
    check_payload,
)
from aurora_db.jobs.queue import Claimed, Settlement
from aurora_db.sql.statement import Batch
from aurora_db.store import causes

logger = logging.getLogger("aurora_db.jobs")

#: Seconds that an attempt may take, unless the job or its type says otherwise.
TIMEOUT = 300.0
#: Characters of a traceback that are kept: the end tells most.
TRACEBACK = 20_000
#: Characters of an error that are kept: the beginning tells most.
ERROR = 2_000


def limit(handler: Handler, job: Claimed) -> float:
    """Seconds that an attempt may take."""
    if job.timeout is not None:
        return job.timeout
    return TIMEOUT if handler.timeout is None else handler.timeout


def run(bench: Bench, attempt: Attempt) -> Settlement | None:
    """Run a sync handler; None when the job was completed by its own transaction, or lost."""
    handler, job = attempt.handler, attempt.job
    context: JobContext | None = None
    causes.CURRENT.set(job.id)
    try:
        payload = decode(job.payload)
        if handler.takes_job:
            context = JobContext(bench, attempt, payload)
        result = handler.call(*_arguments(handler, context, payload))
        return _returned(context, job, result)
    except BaseException as error:  # noqa: BLE001 - the border between the handler and the worker
        return _raised(bench, handler, job, context, error)
    finally:
        causes.CURRENT.set(None)


async def run_async(bench: Bench, attempt: Attempt) -> Settlement | None:
    """Run an async handler on the current event loop, in a task of its own."""
    handler, job = attempt.handler, attempt.job
    context: JobContext | None = None
    causes.CURRENT.set(job.id)
    try:
        payload = decode(job.payload)
        if handler.takes_job:
            context = JobContext(bench, attempt, payload)
        result = await handler.call(*_arguments(handler, context, payload))
        if attempt.late and (context is None or not context.completed):
            return overdue(bench, attempt)
        return _returned(context, job, result)
    except BaseException as error:  # noqa: BLE001 - the border between the handler and the worker
        if attempt.late and (context is None or not context.completed):
            return overdue(bench, attempt, error)
        return _raised(bench, handler, job, context, error)


def overdue(
    bench: Bench, attempt: Attempt, error: BaseException | None = None
) -> Settlement | None:
    """The settlement of an attempt whose time is over; its traceback shows where it was.

    `error` is what the handler raised when it was cancelled; None while it still runs.
    """
    late = Timeout(f"the attempt took longer than {limit(attempt.handler, attempt.job):g} s")
    settlement = _raised(bench, attempt.handler, attempt.job, None, late)
    if settlement is None or settlement.traceback is None:
        return settlement
    where = trace(error) if error is not None else _stack(attempt)
    return msgspec.structs.replace(settlement, traceback=where + settlement.traceback)


def _stack(attempt: Attempt) -> str:
    """Where the thread of an attempt is now."""
    frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage] - documented for this
    frame = frames.get(attempt.thread.ident or 0)
    if frame is None:
        return ""
    lines = "".join(traceback.format_stack(frame))[-TRACEBACK:]
    return f"Stack of the handler's thread when its time was over:\n{lines}"


def _arguments(handler: Handler, context: JobContext | None, payload: object) -> list[object]:
    arguments: list[object] = []
    if handler.takes_payload:
        arguments.append(check_payload(handler, payload))
    if context is not None:
        arguments.append(context)
    return arguments


def _returned(context: JobContext | None, job: Claimed, result: object) -> Settlement | None:
    if context is not None:
        if context.completed:
            return None
        if context.sleeps_until is not None:
            # The handler caught what was to leave it; it sleeps all the same.
            return Settlement(job, queue.SNOOZE, run_at=context.sleeps_until)
    return Settlement(job, queue.COMPLETE, None if result is None else _as_json(result))


def _as_json(result: object) -> str:
    try:
        return encode(result)
    except ValidationError as error:
        raise ValidationError(
            f"the handler's result {error.message}",
            hint="return JSON types, or nothing",
            rule="json",
        ) from error


def _raised(
    bench: Bench, handler: Handler, job: Claimed, context: JobContext | None, error: BaseException
) -> Settlement | None:
    if context is not None and context.completed:
        _keep(bench, job, error)
        return None
    try:
        return _settled(bench, handler, job, _instruction(error))
    except Exception as second:
        # A retry policy or a delay of the user's that cannot be used.
        logger.exception("the back-off of a job could not be used", extra={"job": job.id})
        second.__context__ = error
        return _failed(job, queue.FAIL, second)


def _instruction(error: BaseException) -> BaseException:
    """The instruction that left a group of tasks, where nothing but instructions did; else `error`."""
    if isinstance(error, BaseExceptionGroup):
        told, rest = error.split(Instruction)
        if told is not None and rest is None:
            return _instruction(told.exceptions[0])
    return error


def _settled(
    bench: Bench, handler: Handler, job: Claimed, error: BaseException
) -> Settlement | None:
    now = bench.engine.clock.now()
    match error:
        case LeaseLost():
            logger.warning("job lost its lease", extra={"job": job.id, "attempt": job.attempt})
            return None
        case Snooze(delay=delay, until=until):
            return Settlement(job, queue.SNOOZE, run_at=until or _after(now, delay))
        case Cancel():
            return Settlement(job, queue.CANCEL, error=_short(str(error)))
        case Fail() | PayloadInvalid():
            return _failed(job, queue.FAIL, error)
        case _:
            pass
    failures = job.retries + 1
    if failures >= job.max_retries:
        return _failed(job, queue.FAIL, error)
    delay = (
        error.delay
        if isinstance(error, Retry) and error.delay is not None
        else wait(handler, job, failures)
    )
    return _failed(job, queue.RETRY, error, run_at=_after(now, delay))


def wait(
    handler: Handler, job: Claimed, failures: int, *, rng: Callable[[], float] = random.random
) -> float:
    """Seconds before the attempt after `failures` failures: the job's policy, else its type's."""
    if job.backoff is not None:
        return timing.backoff(json.loads(job.backoff)).delay(failures, rng=rng)
    if handler.policy is not None:
        return max(0.0, float(handler.policy(failures)))
    return (handler.backoff or timing.DEFAULT).delay(failures, rng=rng)


def _after(now: datetime, delay: float) -> datetime:
    return now + timedelta(seconds=max(0.0, delay))


def _failed(
    job: Claimed, statement: Batch, error: BaseException, *, run_at: datetime | None = None
) -> Settlement:
    return Settlement(job, statement, error=words(error), traceback=trace(error), run_at=run_at)


def words(error: BaseException) -> str:
    """`ValueError: message`; our own instructions and errors by their message alone."""
    if isinstance(error, (Fail, Retry, PayloadInvalid)):
        return _short(error.message if isinstance(error, AuroraError) else str(error))
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a user's __str__
        text = "(its message cannot be shown)"
    name = type(error).__name__
    return _short(f"{name}: {text}" if text else name)


def _short(text: str) -> str:
    text = text.rstrip("\n")
    return text if len(text) <= ERROR else text[:ERROR] + " …"


def trace(error: BaseException) -> str:
    """The traceback as text, its end if it is very long."""
    parts = [
        _short(part) + "\n" * part.endswith("\n") for part in traceback.format_exception(error)
    ]
    return "".join(parts)[-TRACEBACK:]


def _keep(bench: Bench, job: Claimed, error: BaseException) -> None:
    try:
        bench.engine.write(
            partial(queue.keep_error, job=job, error=words(error), traceback=trace(error))
        )
    except AuroraError:
        logger.exception(
            "an exception after the completion could not be kept", extra={"job": job.id}
        )
