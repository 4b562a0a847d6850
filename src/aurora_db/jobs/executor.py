"""One attempt: decode the payload, call the handler, turn what happened into a settlement.

Whatever a handler raises, `SystemExit` and a recursion without end included, fails the attempt
and never the worker.
"""

from __future__ import annotations

import json
import logging
import random
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from aurora_db.base.codec import decode, encode
from aurora_db.base.errors import AuroraError, LeaseLost, PayloadInvalid
from aurora_db.jobs import queue, timing
from aurora_db.jobs.context import Bench, JobContext
from aurora_db.jobs.handlers import Cancel, Fail, Handler, Retry, Snooze, check_payload
from aurora_db.jobs.queue import Claimed, Settlement
from aurora_db.sql.statement import Batch

logger = logging.getLogger("aurora_db.jobs")

#: Characters of a traceback that are kept: the end tells most.
TRACEBACK = 20_000


def run(bench: Bench, handler: Handler, job: Claimed) -> Settlement | None:
    """Run a sync handler; None when the job was completed by its own transaction, or lost."""
    context: JobContext | None = None
    try:
        payload = decode(job.payload)
        context = JobContext(bench, job, payload)
        result = handler.call(*_arguments(handler, context, payload))
        return _returned(context, job, result)
    except BaseException as error:  # noqa: BLE001 - the border between the handler and the worker
        return _raised(bench, handler, job, context, error)


async def run_async(bench: Bench, handler: Handler, job: Claimed) -> Settlement | None:
    """Run an async handler on the current event loop."""
    context: JobContext | None = None
    try:
        payload = decode(job.payload)
        context = JobContext(bench, job, payload)
        result = await handler.call(*_arguments(handler, context, payload))
        return _returned(context, job, result)
    except BaseException as error:  # noqa: BLE001 - the border between the handler and the worker
        return _raised(bench, handler, job, context, error)


def _arguments(handler: Handler, context: JobContext, payload: object) -> list[object]:
    arguments: list[object] = []
    if handler.takes_payload:
        arguments.append(check_payload(handler, payload))
    if handler.takes_job:
        arguments.append(context)
    return arguments


def _returned(context: JobContext, job: Claimed, result: object) -> Settlement | None:
    if context.completed:
        return None
    return Settlement(job, queue.COMPLETE, result=None if result is None else encode(result))


def _raised(
    bench: Bench, handler: Handler, job: Claimed, context: JobContext | None, error: BaseException
) -> Settlement | None:
    if context is not None and context.completed:
        _keep(bench, job, error)
        return None
    now = bench.engine.clock.now()
    match error:
        case LeaseLost():
            logger.warning("job lost its lease", extra={"job": job.id, "attempt": job.attempt})
            return None
        case Snooze(delay=delay):
            return Settlement(job, queue.SNOOZE, run_at=_after(now, delay))
        case Cancel():
            return Settlement(job, queue.CANCEL, error=str(error))
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
        return error.message if isinstance(error, AuroraError) else str(error)
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a user's __str__
        text = "(its message cannot be shown)"
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def trace(error: BaseException) -> str:
    """The traceback as text, its end if it is very long."""
    return "".join(traceback.format_exception(error))[-TRACEBACK:]


def _keep(bench: Bench, job: Claimed, error: BaseException) -> None:
    try:
        bench.engine.write(
            partial(queue.keep_error, job=job, error=words(error), traceback=trace(error))
        )
    except AuroraError:
        logger.exception(
            "an exception after the completion could not be kept", extra={"job": job.id}
        )
