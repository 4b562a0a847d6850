"""One attempt: decode the payload, call the handler, turn what happened into a settlement.

Whatever a handler raises, `SystemExit` and a recursion without end included, fails the attempt
and never the worker. `perform` finds out what happened, also in a child process; `settle` says what
follows for the job.
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
from typing import assert_never

from aurora_db.base.codec import decode, storable
from aurora_db.base.errors import AuroraError, LeaseLost, PayloadInvalid
from aurora_db.jobs import outcome as outcomes
from aurora_db.jobs import queue, timing, upkeep
from aurora_db.jobs.attempt import Attempt, Fate
from aurora_db.jobs.context import Bench, JobContext
from aurora_db.jobs.handlers import (
    Cancel,
    Fail,
    Handler,
    Instruction,
    Retry,
    Snooze,
    check_payload,
)
from aurora_db.jobs.outcome import Kind, Outcome
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
    """Run a sync handler in this thread; None when the job is settled already, or lost."""
    return settle(bench, attempt, perform(bench, attempt))


async def run_async(bench: Bench, attempt: Attempt) -> Settlement | None:
    """Run an async handler on the current event loop, in a task of its own."""
    return settle(bench, attempt, await perform_async(bench, attempt))


# --- what happened ---------------------------------------------------------------------------


def perform(bench: Bench, attempt: Attempt) -> Outcome:
    """Call a sync handler, and tell how it ended."""
    handler, job = attempt.handler, attempt.job
    context: JobContext | None = None
    causes.CURRENT.set(job.id)
    try:
        payload = decode(job.payload)
        if handler.takes_job:
            context = JobContext(bench, attempt, payload)
        result = handler.call(*_arguments(handler, context, payload))
        return _returned(context, result)
    except BaseException as error:  # noqa: BLE001 - the border between the handler and the worker
        return _raised(bench, job, context, error)
    finally:
        causes.CURRENT.set(None)


async def perform_async(bench: Bench, attempt: Attempt) -> Outcome:
    """Await an async handler, and tell how it ended."""
    handler, job = attempt.handler, attempt.job
    context: JobContext | None = None
    causes.CURRENT.set(job.id)
    try:
        payload = decode(job.payload)
        if handler.takes_job:
            context = JobContext(bench, attempt, payload)
        result = await handler.call(*_arguments(handler, context, payload))
        return _returned(context, result)
    except BaseException as error:  # noqa: BLE001 - the border between the handler and the worker
        return _raised(bench, job, context, error)


def _arguments(handler: Handler, context: JobContext | None, payload: object) -> list[object]:
    arguments: list[object] = []
    if handler.takes_payload:
        arguments.append(check_payload(handler, payload))
    if context is not None:
        arguments.append(context)
    return arguments


def _returned(context: JobContext | None, result: object) -> Outcome:
    if context is not None:
        if context.completed:
            return outcomes.COMPLETED
        if context.sleeps_until is not None:
            # The handler caught what was to leave it; it sleeps all the same.
            return Outcome(Kind.SNOOZE, until=context.sleeps_until)
    text = outcomes.as_json("the handler's result", result)
    return outcomes.RETURNED if text is None else Outcome(Kind.RETURNED, text)


def _raised(
    bench: Bench, job: Claimed, context: JobContext | None, error: BaseException
) -> Outcome:
    if context is not None and context.completed:
        _keep(bench, job, error)
        return outcomes.COMPLETED
    return raised(error)


def raised(error: BaseException) -> Outcome:
    """How an attempt ended whose handler raised `error`."""
    try:
        error = _instruction(error)
        match error:
            case LeaseLost():
                return Outcome(Kind.LOST, error=words(error), traceback=trace(error))
            case Snooze(delay=delay, until=until):
                return Outcome(Kind.SNOOZE, delay=delay, until=until)
            case Cancel():
                return Outcome(Kind.CANCEL, error=_short(str(error)))
            case Fail() | PayloadInvalid():
                return Outcome(Kind.FAIL, error=words(error), traceback=trace(error))
            case Retry(delay=delay) if delay is not None:
                return Outcome(Kind.RETRY, None, words(error), trace(error), delay)
            case _:
                return Outcome(Kind.ERROR, error=words(error), traceback=trace(error))
    except Exception as second:  # noqa: BLE001 - a delay that is no number
        second.__context__ = error
        return Outcome(Kind.FAIL, error=words(second), traceback=trace(second))


def _instruction(error: BaseException) -> BaseException:
    """The instruction that left a group of tasks, where nothing but instructions did; else `error`."""
    if isinstance(error, BaseExceptionGroup):
        told, rest = error.split(Instruction)
        if told is not None and rest is None:
            return _instruction(told.exceptions[0])
    return error


def _keep(bench: Bench, job: Claimed, error: BaseException) -> None:
    try:
        bench.engine.write(
            partial(queue.keep_error, job=job, error=words(error), traceback=trace(error))
        )
    except AuroraError:
        logger.exception(
            "an exception after the completion could not be kept", extra={"job": job.id}
        )


# --- what follows ----------------------------------------------------------------------------


def settle(bench: Bench, attempt: Attempt, outcome: Outcome) -> Settlement | None:
    """The settlement of an attempt; None when the job is settled already, or lost."""
    job = attempt.job
    if outcome.kind is Kind.COMPLETED:
        attempt.completed = True
        return None
    if attempt.fate is not None:
        return _fated(bench, attempt, outcome)
    if outcome.kind is Kind.RETURNED:
        return Settlement(job, queue.COMPLETE, outcome.result)
    return _settled(bench, attempt, outcome)


def _settled(bench: Bench, attempt: Attempt, outcome: Outcome) -> Settlement | None:
    job = attempt.job
    now = bench.engine.clock.now()
    match outcome.kind:
        case Kind.RETURNED | Kind.COMPLETED:
            return Settlement(job, queue.COMPLETE, outcome.result)
        case Kind.SNOOZE:
            return Settlement(
                job, queue.SNOOZE, run_at=outcome.until or _after(now, outcome.delay or 0.0)
            )
        case Kind.CANCEL:
            return Settlement(job, queue.CANCEL, error=outcome.error)
        case Kind.DIED:
            return _crashed(job, outcome)
        case Kind.FAIL:
            return _failed(job, queue.FAIL, outcome)
        case Kind.RETRY | Kind.ERROR | Kind.LOST:
            # An attempt that says it lost its job, and has not, has failed; else this changes nothing.
            return _retried(attempt.handler, job, outcome, now)
        case _:
            assert_never(outcome.kind)


def _retried(handler: Handler, job: Claimed, outcome: Outcome, now: datetime) -> Settlement:
    failures = job.retries + 1
    if failures >= job.max_retries:
        return _failed(job, queue.FAIL, outcome)
    try:
        delay = outcome.delay
        run_at = _after(now, wait(handler, job, failures) if delay is None else delay)
    except Exception as error:
        # A retry policy of the user's that cannot be used.
        logger.exception("the back-off of a job could not be used", extra={"job": job.id})
        both = f"{outcome.traceback or ''}\n{trace(error)}"[-TRACEBACK:]
        return Settlement(job, queue.FAIL, error=words(error), traceback=both)
    return _failed(job, queue.RETRY, outcome, run_at)


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
    job: Claimed, statement: Batch, outcome: Outcome, run_at: datetime | None = None
) -> Settlement:
    traceback = outcome.traceback or ""
    return Settlement(job, statement, error=outcome.error, traceback=traceback, run_at=run_at)


def _crashed(job: Claimed, outcome: Outcome) -> Settlement:
    """Its process died: counted, and given up at the third time."""
    if job.crashes + 1 >= upkeep.MOST_CRASHES:
        error = f"{upkeep.POISON} ({outcome.error})"
        return Settlement(job, queue.POISONED, error=error, traceback="")
    error = f"worker died running this ({outcome.error})"
    return Settlement(job, queue.CRASHED, error=error, traceback="")


def _fated(bench: Bench, attempt: Attempt, outcome: Outcome) -> Settlement | None:
    """The settlement of an attempt that was told to end, by why it was."""
    assert attempt.fate is not None
    match attempt.fate:
        case Fate.LOST:
            return None
        case Fate.STOP:
            if outcome.kind in (Kind.ERROR, Kind.DIED, Kind.LOST):
                return Settlement(attempt.job, queue.RELEASE)
            # It came to its own end after all.
            return _settled(bench, attempt, outcome)
        case Fate.TIMEOUT:
            seconds = limit(attempt.handler, attempt.job)
            late = Outcome(
                Kind.ERROR,
                error=f"Timeout: the attempt took longer than {seconds:g} s",
                traceback=outcome.traceback,
            )
            return _settled(bench, attempt, late)
        case _:
            assert_never(attempt.fate)


def given_up(bench: Bench, attempt: Attempt) -> Settlement | None:
    """The settlement of an attempt that was told to end, and still runs."""
    return _fated(bench, attempt, Outcome(Kind.ERROR, traceback=_stack(attempt)))


def _stack(attempt: Attempt) -> str:
    """Where the thread of an attempt is now."""
    frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage] - documented for this
    frame = frames.get(attempt.thread.ident or 0)
    if frame is None:
        return ""
    lines = "".join(traceback.format_stack(frame))[-TRACEBACK:]
    return f"Stack of the handler's thread when its time was over:\n{lines}"


# --- errors as text --------------------------------------------------------------------------


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
    text = storable(text.rstrip("\n"))
    return text if len(text) <= ERROR else text[:ERROR] + " …"


def trace(error: BaseException) -> str:
    """The traceback as text, its end if it is very long."""
    parts = [
        _short(part) + "\n" * part.endswith("\n") for part in traceback.format_exception(error)
    ]
    return "".join(parts)[-TRACEBACK:]
