"""Steps of a job: what one has finished is not done again, whatever happens to the attempt.

The result of a step is stored under its name, fenced by attempt and worker like every settlement. A
step that takes a transaction has its writes and its result in one commit; another one is done outside,
and its result is stored after it. A sleep is a step that is finished when its time has come. Nothing
is demanded of the code between the steps: names decide, not the order.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from aurora_db.base.codec import decode, instant, seconds, timestamp
from aurora_db.base.errors import JobError, ValidationError
from aurora_db.jobs import crash, outcome, queue
from aurora_db.jobs.queue import Claimed
from aurora_db.store.held import Held
from aurora_db.store.port import Port, finish

if TYPE_CHECKING:
    from aurora_db.jobs.context import Bench

FINISHED = "SELECT name, result, sleep_until FROM _job_steps WHERE job_id = ?"
#: Only while the attempt is the job's.
STORE = """
    INSERT INTO _job_steps (job_id, name, result, sleep_until, attempt, at)
    SELECT id, :name, :result, :sleep_until, attempt, :now FROM _jobs
     WHERE _n = :n AND attempt = :attempt AND worker = :worker AND status = 'RUNNING'
"""

#: The stored result and end of a step; the second is of a sleep.
Stored = tuple[str | None, str | None]
Positional = Sequence[object]
Named = Mapping[str, object]


class Steps:
    """The steps of one attempt."""

    def __init__(self, bench: Bench, job: Claimed) -> None:
        self._bench = bench
        self._job = job
        self._used: set[str] = set()
        #: Those finished by attempts before; the first one has none.
        self._finished: Mapping[str, Stored] | None = {} if job.attempt == 1 else None

    # --- in handlers of both kinds ----------------------------------------------------------

    def run(self, name: str, call: Callable[..., Any], args: Positional, named: Named) -> Any:
        """Do a step in a sync handler, or give the result that it had."""
        if inspect.iscoroutinefunction(call):
            raise _is_async(name)
        stored = self._begin(name, call)
        if stored is not None:
            return _value(stored[0])
        try:
            if _takes_transaction(call):
                return self._inside(name, partial(call, *args, **named))
            self._check()
            result = call(*args, **named)
            if inspect.iscoroutine(result):
                result.close()
                raise _is_async(name)
            return self._store(name, result)
        except BaseException:
            self._used.discard(name)
            raise

    async def run_async(
        self, name: str, call: Callable[..., Any], args: Positional, named: Named
    ) -> Any:
        """The same in an async handler; a plain function without a transaction gets a thread."""
        import asyncio  # noqa: PLC0415 - sync handlers do without

        stored = self._begin(name, call)
        if stored is not None:
            return _value(stored[0])
        try:
            if _takes_transaction(call):
                return await self._inside_async(name, call, partial(call, *args, **named))
            self._check()
            if inspect.iscoroutinefunction(call):
                result = await call(*args, **named)
            else:
                result = await asyncio.to_thread(call, *args, **named)
                if inspect.isawaitable(result):
                    result = await result
            text = _as_json(name, result)
            await self._submit(partial(self._write, name=name, result=text))
            return self._given(text)
        except BaseException:
            self._used.discard(name)
            raise

    def sleep(self, name: str, duration: float | timedelta) -> datetime | None:
        """Note when a sleep ends, the first time; when that is still to come, the instant."""
        new, until = self._begin_sleep(name, duration)
        if new:
            self._bench.engine.write(partial(self._write, name=name, until=timestamp(until)))
        return self._ahead(until)

    async def sleep_async(self, name: str, duration: float | timedelta) -> datetime | None:
        """The same in an async handler."""
        new, until = self._begin_sleep(name, duration)
        if new:
            await self._submit(partial(self._write, name=name, until=timestamp(until)))
        return self._ahead(until)

    # --- what was finished ------------------------------------------------------------------

    def _begin(self, name: str, call: object) -> Stored | None:
        if not callable(call):
            raise JobError(
                f"step '{name}' has no function to call, but {call!r}",
                hint='give the function and its arguments: job.step("charge", charge, order)',
            )
        stored = self._claim_name(name)
        if stored is not None and stored[1] is not None:
            raise JobError(
                f"'{name}' was a sleep of this job",
                hint="a step and a sleep of one job have different names",
            )
        return stored

    def _begin_sleep(self, name: str, duration: float | timedelta) -> tuple[bool, datetime]:
        """Whether it is new, and when it ends."""
        wanted = _end(name, duration, self._bench.engine.clock.now())
        stored = self._claim_name(name)
        if stored is None:
            return True, wanted
        if stored[1] is None:
            raise JobError(
                f"'{name}' was a step of this job",
                hint="a step and a sleep of one job have different names",
            )
        return False, instant(stored[1])

    def _claim_name(self, name: object) -> Stored | None:
        """Take a name for this attempt; what is stored under it."""
        if not isinstance(name, str) or not name:
            raise JobError(
                f"the name of a step is a text, got {name!r}",
                hint='job.step("charge", charge, order)',
            )
        if name in self._used:
            raise JobError(
                f"step '{name}' was done in this attempt already, and its result would be given again",
                hint='give each step a name of its own, in a loop such as f"resize {n}"',
            )
        self._used.add(name)
        if self._finished is None:
            rows = self._bench.engine.read(self._read, single=True)
            self._finished = {found: (result, until) for found, result, until in rows}
        return self._finished.get(name)

    async def _read(self, port: Port) -> list[tuple[Any, ...]]:
        return await port.rows(FINISHED, (self._job.id,))

    def _ahead(self, until: datetime) -> datetime | None:
        return until if until > self._bench.engine.clock.now() else None

    # --- what is new ------------------------------------------------------------------------

    def _check(self) -> None:
        """Do nothing outside for a job that has gone to another worker."""
        if not self._bench.engine.read(partial(queue.holds, job=self._job), single=True):
            raise queue.lease_lost(self._job)

    async def _write(
        self, port: Port, name: str, result: str | None = None, until: str | None = None
    ) -> None:
        changed = await port.change(STORE, {
            "name": name, "result": result, "sleep_until": until, "now": timestamp(port.now()),
            "n": self._job.n, "attempt": self._job.attempt, "worker": self._job.worker,
        })  # fmt: skip
        if not changed:
            raise queue.lease_lost(self._job)

    def _store(self, name: str, result: object) -> Any:
        text = _as_json(name, result)
        self._bench.engine.write(partial(self._write, name=name, result=text))
        return self._given(text)

    async def _submit(self, verb: Callable[[Port], Any]) -> None:
        import asyncio  # noqa: PLC0415 - sync handlers do without

        await self._bench.engine.submit(verb, asyncio.get_running_loop())

    def _inside(self, name: str, call: Callable[..., Any]) -> Any:
        with self._bench.engine.transaction() as held:
            if not finish(queue.holds(held.port, self._job)):
                raise queue.lease_lost(self._job)
            result = call(tx=self._bench.make_transaction(held, None))
            if inspect.iscoroutine(result):
                result.close()
                raise _is_async(name)
            text = _as_json(name, result)
            _check_open(name, held)
            finish(self._write(held.port, name, text))
        return self._given(text)

    async def _inside_async(
        self, name: str, function: Callable[..., Any], call: Callable[..., Any]
    ) -> Any:
        async with self._bench.engine.transaction_async() as held:
            if not await queue.holds(held.port, self._job):
                raise queue.lease_lost(self._job)
            if inspect.iscoroutinefunction(function):
                result = await call(tx=self._bench.make_async_transaction(held, None))
            else:
                # A statement does not suspend, neither here nor there; a thread would gain nothing.
                result = call(tx=self._bench.make_transaction(held, None))
            text = _as_json(name, result)
            _check_open(name, held)
            await self._write(held.port, name, text)
        return self._given(text)

    def _given(self, text: str | None) -> Any:
        """What the step gives, now that it is committed."""
        if crash.hook is not None:
            crash.hook("between_steps", self._bench.engine)
        return _value(text)


def _end(name: str, duration: object, now: datetime) -> datetime:
    """When a sleep ends that begins now."""
    number = isinstance(duration, (int, float, timedelta)) and not isinstance(duration, bool)
    length = seconds(cast("float", duration)) if number else math.nan
    try:
        if length >= 0:
            return now + timedelta(seconds=length)
    except OverflowError:
        # Longer than the calendar goes.
        pass
    raise ValidationError(
        f"sleep '{name}' takes a number of seconds from 0, got {duration!r}",
        hint='job.sleep("cool-down", 3600)',
        rule="range",
        value=duration,
    )


def _takes_transaction(call: Callable[..., Any]) -> bool:
    try:
        parameter = inspect.signature(call).parameters.get("tx")
    except ValueError:
        # Built in, and nothing is known of it.
        return False
    return parameter is not None and parameter.kind in {
        parameter.POSITIONAL_OR_KEYWORD,
        parameter.KEYWORD_ONLY,
    }


def _check_open(name: str, held: Held) -> None:
    if not held.open:
        raise JobError(
            f"step '{name}' rolled its transaction back, so it is not finished",
            hint="raise an exception to fail the attempt, or return without having written",
        )


def _as_json(name: str, result: object) -> str | None:
    hint = "return JSON types, or nothing; an id or a path instead of the thing"
    return outcome.as_json(f"the result of step '{name}'", result, hint)


def _value(text: str | None) -> Any:
    """What the step gives, the first time as in a replay: its result as JSON has it."""
    return None if text is None else decode(text)


def _is_async(name: str) -> JobError:
    return JobError(
        f"the function of step '{name}' is async, and the handler is not",
        hint="make the handler async, and write await job.step(…)",
    )
