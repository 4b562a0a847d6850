"""What the two façades of `db.jobs_testing` share: expectations, modes, the clock and crash points."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Literal, cast, get_args

import msgspec

from aurora_db.aql import suggest
from aurora_db.base.clock import ManualClock
from aurora_db.base.codec import decode, plain
from aurora_db.base.errors import JobError, UnknownJobType, ValidationError
from aurora_db.base.records import Job, Priority
from aurora_db.jobs import crash, expecting, queue, reactions
from aurora_db.jobs import request as requests
from aurora_db.jobs.crash import Armed, Crashed
from aurora_db.jobs.drained import Tally
from aurora_db.jobs.handlers import Handler, JobHandler, Jobs, RegisteredJob, check_payload
from aurora_db.jobs.queue import Settlement
from aurora_db.jobs.request import Request
from aurora_db.jobs.solo import failure
from aurora_db.store.engine import Engine

#: When jobs run: when the test drains, or as soon as they are committed.
ModeName = Literal["manual", "inline"]
#: A job type, or the function that is registered for it.
JobType = str | RegisteredJob[..., Any]


class Mode:
    """The mode that was set; as a context manager it sets the one before at its end."""

    def __init__(self, back: Callable[[], None]) -> None:
        self._back = back

    def __enter__(self) -> None:
        """The mode holds since it was set."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._back()


class Rehearsal:
    """Expectations, modes, the clock and crash points."""

    def __init__(self, engine: Engine, registry: Jobs) -> None:
        self._engine = engine
        self._registry = registry
        self._mode: ModeName = "manual"
        self._raises = False

    # --- time and modes ---------------------------------------------------------------------

    @property
    def clock(self) -> ManualClock:
        """The clock of the database, in the test's hand: `clock.advance(3600)`.

        Raises:
            JobError: the database goes by the machine's clock.
        """
        clock = self._engine.clock
        if not isinstance(clock, ManualClock):
            raise JobError(
                "the database goes by the machine's clock, which a test cannot move",
                hint="open it with clock=ManualClock(), as the fixture `aurora` does",
            )
        return clock

    def mode(self, mode: ModeName, *, raises: bool = False) -> Mode:
        """When jobs run. "manual": by `drain`. "inline": as soon as they are committed.

        Inline, the verb that enqueues returns when everything that is due has run, also what the
        jobs enqueued; in a transaction, when that is committed, and not at all when it is rolled
        back. It holds from now on, or as a context manager until its end.

        Args:
            mode: "manual" or "inline".
            raises: inline, the verb raises what makes a job fail.

        Raises:
            ValidationError: there is no such mode.
        """
        if mode not in get_args(ModeName):
            raise ValidationError(
                f'\'mode\' is "manual" or "inline", got {mode!r}',
                hint=suggest.hint(str(mode), get_args(ModeName)),
                field="mode",
                rule="mode",
                value=mode,
            )
        before, raised = self._mode, self._raises
        self._switch(mode, raises=raises)
        return Mode(lambda: self._switch(before, raises=raised))

    def _switch(self, mode: ModeName, *, raises: bool) -> None:
        self._mode, self._raises = mode, raises
        self._set_inline(mode == "inline")

    def _set_inline(self, inline: bool) -> None:
        """Tell the façade whether jobs run as soon as they are committed."""
        del inline

    def inline_tally(self) -> Tally:
        """What counts the attempts of inline jobs."""
        return Tally(None, raises=self._raises)

    def skip_to(self, due: datetime | None) -> bool:
        """Move the clock on to an instant; False where there is none."""
        if due is None:
            return False
        clock = self.clock
        clock.advance(max(timedelta(0), due - clock.now()))
        return True

    # --- crash points -----------------------------------------------------------------------

    @contextmanager
    def crash_at(self, point: str, *, nth: int = 1) -> Iterator[None]:
        """The worker that comes to this point in the block dies there, and so ends the block.

        The database is as after SIGKILL: what was not committed is gone, the job stays claimed by
        the dead. The next `drain` is another worker, which rescues it. The points are those of
        `aurora_db.testing.POINTS`.

        Args:
            point: the name of the point.
            nth: how many times the point is reached before it counts, the last one included.

        Raises:
            ValidationError: there is no such point, or `nth` is not from 1.
            AssertionError: the block ended, and no worker came to the point.
        """
        __tracebackhide__ = True
        if nth < 1:
            raise ValidationError(
                f"'nth' is a number from 1, got {nth!r}", field="nth", rule="nth", value=nth
            )
        armed = Armed(point, self._engine, nth)
        before, crash.hook = crash.hook, armed
        try:
            yield
        except Crashed:
            if not armed.fired:
                raise
        finally:
            crash.hook = before
            armed.gone()
        if not armed.fired:
            raise AssertionError(f"no worker came to the crash point '{point}' in the block")

    # --- expectations -----------------------------------------------------------------------

    def all_enqueued(
        self,
        type: JobType | None = None,
        *,
        payload: Any = msgspec.UNSET,
        queue: str | None = None,
        priority: Priority | int | str | None = None,
        tags: Sequence[str] = (),
        run_at: datetime | None = None,
        within: float | timedelta | None = None,
    ) -> list[Job]:
        """The jobs that wait and are as said, in the order of enqueueing; see `assert_enqueued`."""
        wish = expecting.wanted(type, payload, queue, priority, tags, run_at, within)
        now = self._engine.clock.now()
        return expecting.matching(wish, expecting.waiting(self._engine), now)

    def assert_enqueued(
        self,
        type: JobType | None = None,
        *,
        payload: Any = msgspec.UNSET,
        queue: str | None = None,
        priority: Priority | int | str | None = None,
        tags: Sequence[str] = (),
        run_at: datetime | None = None,
        within: float | timedelta | None = None,
        count: int | None = None,
    ) -> list[Job]:
        """Jobs that are as said wait to run; returns them, in the order of enqueueing.

        Args:
            type: the job type, or the registered function.
            payload: a part of the payload: objects may have more fields, all else is equal.
            queue: the queue.
            priority: the priority.
            tags: tags that it has, among others.
            run_at: the instant of the first attempt.
            within: seconds within which it is due; with `run_at`, how far it may be from that.
            count: how many there are; at least one unless said.

        Raises:
            AssertionError: there are none, or not so many; the message lists what is enqueued.
            ValidationError: no job can be as said.
        """
        __tracebackhide__ = True
        wish = expecting.wanted(type, payload, queue, priority, tags, run_at, within)
        now, jobs = self._engine.clock.now(), expecting.waiting(self._engine)
        found = expecting.matching(wish, jobs, now)
        if count is not None and len(found) != count:
            raise AssertionError(
                expecting.counted(wish, self._engine, jobs, now, len(found), count)
            )
        if count is None and not found:
            raise AssertionError(expecting.lacking(wish, self._engine, jobs, now))
        return found

    def refute_enqueued(
        self,
        type: JobType | None = None,
        *,
        payload: Any = msgspec.UNSET,
        queue: str | None = None,
        priority: Priority | int | str | None = None,
        tags: Sequence[str] = (),
        run_at: datetime | None = None,
        within: float | timedelta | None = None,
    ) -> None:
        """No job that is as said waits to run; see `assert_enqueued`.

        Raises:
            AssertionError: there is one; the message lists them.
            ValidationError: no job can be as said.
        """
        __tracebackhide__ = True
        wish = expecting.wanted(type, payload, queue, priority, tags, run_at, within)
        now = self._engine.clock.now()
        found = expecting.matching(wish, expecting.waiting(self._engine), now)
        if found:
            raise AssertionError(expecting.unwanted(wish, found, now))

    # --- handlers ---------------------------------------------------------------------------

    def types_of(self, type: JobType | None) -> tuple[str, ...] | None:
        """The types that a drain is about; None for all.

        Raises:
            UnknownJobType: no handler of this type is registered here.
        """
        if type is None:
            return None
        name = type.type if isinstance(type, RegisteredJob) else type
        known = reactions.types(self._registry, self._engine.catalog)
        if name not in known:
            raise _unknown(name, known)
        return (name,)

    def handler_of(self, handler: JobType | JobHandler | Callable[..., Any]) -> Handler:
        """What is known of a handler, registered or not.

        Raises:
            UnknownJobType: no handler of this type is registered here.
            JobError: it cannot be a handler.
        """
        from aurora_db.jobs import signature  # noqa: PLC0415 - as in the registry

        if isinstance(handler, RegisteredJob):
            handler = cast("RegisteredJob[..., Any]", handler).type
        if isinstance(handler, str):
            found = self._registry.find(handler)
            if found is None:
                raise _unknown(handler, self._registry.types())
            return found
        if inspect.isclass(handler) or isinstance(handler, JobHandler):
            name = getattr(handler, "__name__", type(handler).__name__)
        else:
            name = getattr(handler, "__name__", "handler")
        return signature.look_at_object(name, handler)

    def request_of(
        self,
        handler: Handler,
        payload: object,
        priority: Priority | int | str | None,
        retries: int | None,
        queue: str | None,
        timeout: float | timedelta | None,
        tags: Sequence[str],
    ) -> Request:
        """The job that an attempt pretends to be.

        Raises:
            PayloadInvalid: the payload is not what the handler declares.
            ValidationError: an option is outside its range.
        """
        if handler.takes_payload and handler.convert is not None:
            check_payload(handler, plain(payload))
        return requests.request(
            self._engine.clock, handler.type, payload,
            Priority.NORMAL if priority is None else priority,
            handler.retries if retries is None else retries, None, None,
            handler.queue if queue is None else queue, timeout, tags,
        )  # fmt: skip

    @staticmethod
    def check_numbers(attempt: int, failures: int) -> None:
        """Refuse numbers that no attempt has.

        Raises:
            ValidationError: one is out of its range.
        """
        for name, value, least in (("attempt", attempt, 1), ("failures", failures, 0)):
            if value < least:
                raise ValidationError(
                    f"'{name}' is a number from {least}, got {value!r}",
                    field=name,
                    rule=name,
                    value=value,
                )

    @staticmethod
    def returned(settlement: Settlement, raised: BaseException | None) -> Any:
        """The result of an attempt as it would be kept.

        Raises:
            BaseException: the attempt did not complete: what its handler raised.
        """
        if settlement.statement is not queue.COMPLETE:
            raise failure(raised, settlement)
        return None if settlement.result is None else decode(settlement.result)


def _unknown(type: str, known: Sequence[str]) -> UnknownJobType:
    names = ", ".join(f"'{one}'" for one in known) or "none"
    return UnknownJobType(
        f"no handler is registered for the job type '{type}'",
        hint=suggest.hint(type, known, f"registered here: {names}"),
    )
