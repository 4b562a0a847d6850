"""The registry of job handlers: which Python does which job type, and with which payload.

A handler is looked at once, when it is registered (`signature.py`).
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, Protocol, TypeVar

import msgspec

from aurora_db.base.clock import Clock
from aurora_db.base.codec import plain, seconds
from aurora_db.base.errors import JobError, PayloadInvalid, ValidationError
from aurora_db.base.records import Priority
from aurora_db.jobs import limits, timing
from aurora_db.jobs import request as requests
from aurora_db.jobs.limits import Limit
from aurora_db.jobs.request import Request
from aurora_db.jobs.unique import Given, Unique

if TYPE_CHECKING:
    from aurora_db.jobs.importing import Reference

#: How many of the missed times of a schedule count, and whether its jobs may run beside each other.
CatchUp = Literal["NONE", "ONE", "ALL"]
Overlap = Literal["ALLOW", "SKIP"]

#: Seconds that a handler may ask to wait at most, some three hundred years.
LONGEST = 1e10

P = ParamSpec("P")
R = TypeVar("R")


class Instruction(BaseException):
    """What a handler raises to say what shall become of its job.

    No `Exception`, as asyncio's `CancelledError` is none: an `except Exception` of the handler, or of
    a library between, is for failures and would swallow it.
    """


class Retry(Instruction):
    """Raise in a handler: this attempt failed, the next one comes after `delay` seconds."""

    def __init__(
        self,
        delay: float | timedelta | None = None,
        reason: str = "the handler asked for a retry",
    ) -> None:
        super().__init__(reason)
        self.delay = None if delay is None else _seconds("Retry", delay)


class Snooze(Instruction):
    """Raise in a handler: run the job again after `delay` seconds; counts as no failure."""

    def __init__(self, delay: float | timedelta) -> None:
        self.delay = _seconds("Snooze", delay)
        super().__init__(f"snoozed for {self.delay:g} s")
        #: The exact end, where it is known: that of `job.sleep`.
        self.until: datetime | None = None


class Cancel(Instruction):
    """Raise in a handler: end the job as CANCELLED, with the reason."""

    def __init__(self, reason: str = "cancelled by its handler") -> None:
        super().__init__(reason)


class Fail(Instruction):
    """Raise in a handler: end the job as FAILED now, whatever attempts are left."""

    def __init__(self, reason: str = "failed for good") -> None:
        super().__init__(reason)


def _seconds(kind: str, delay: float | timedelta) -> float:
    """What a handler asks to wait, in seconds.

    Raises:
        ValidationError: it is no duration from 0.
    """
    number = isinstance(delay, (int, float, timedelta)) and not isinstance(delay, bool)  # pyright: ignore[reportUnnecessaryIsInstance]
    wanted = seconds(delay) if number else math.nan
    if 0 <= wanted <= LONGEST:
        return wanted
    raise ValidationError(
        f"{kind} takes a number of seconds from 0, got {delay!r}",
        hint=f"raise {kind}(60)", field="delay", rule="range", value=delay,
    )  # fmt: skip


class JobHandler:
    """A job handler as an object: override `handle`, as `def` or as `async def`."""

    def handle(self, job: Any) -> Any:
        """Do one job; what it returns is the result.

        Args:
            job: the `JobContext` of this attempt, with its `payload`.
        """
        raise JobError(
            f"'{type(self).__name__}' does not say how to handle a job",
            hint="override `handle(self, job)`, as def or async def",
        )


class Handler(msgspec.Struct, frozen=True):
    """What a worker must know of a registered handler."""

    type: str
    call: Callable[..., Any]
    is_async: bool
    takes_payload: bool
    takes_job: bool
    convert: Callable[[Any], Any] | None
    retries: int | None = None
    queue: str | None = None
    backoff: timing.Backoff | None = None
    policy: timing.Policy | None = None
    timeout: float | None = None
    #: In a child process, for work that needs a processor of its own; where it is found there.
    process: bool = False
    reference: Reference | None = None
    limit: Limit | None = None
    unique: Given = None


class Enqueues(Protocol):
    """What a registered job asks of a database; both façades have it."""

    @property
    def enqueue_job(self) -> Callable[..., Any]:
        """The verb that puts a job into the queue."""
        ...


class RegisteredJob(Generic[P, R]):
    """A function that is also a job: call it as before, or `enqueue` it."""

    def __init__(self, registry: Jobs, handler: Handler, function: Callable[P, R]) -> None:
        self._registry = registry
        self._function = function
        self.type = handler.type
        self.__name__ = getattr(function, "__name__", handler.type)
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself; nothing is enqueued."""
        return self._function(*args, **kwargs)

    def enqueue(self, payload: object = None, **options: Any) -> Any:
        """Put a job of this type into the queue; options as of `enqueue_job`.

        Returns the record of the job; of an `AsyncAurora`, await it.

        Raises:
            JobError: no database, or several, use this registry.
        """
        return self._registry.database().enqueue_job(self.type, payload, **options)

    @property
    def registry(self) -> Jobs:
        """The registry that it is in."""
        return self._registry

    def __repr__(self) -> str:
        return f"RegisteredJob({self.type!r})"


class Jobs:
    """A registry of job handlers; may be filled before a database is open.

    `Aurora("shop.db", jobs=jobs)` uses it. A type is registered once.
    """

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        #: The definitions of scheduled functions, by name.
        self.planned: dict[str, str] = {}
        self._databases: weakref.WeakSet[Any] = weakref.WeakSet()
        #: Databases come and go, a registry in a module stays.
        self._heard: list[weakref.WeakMethod[Callable[[], None]]] = []

    def job(
        self,
        type: str,
        *,
        retries: int | None = None,
        queue: str | None = None,
        timeout: float | timedelta | None = None,
        backoff: object = None,
        concurrency: int | None = None,
        rate: str | None = None,
        key: str | None = None,
        process: bool = False,
        unique: Unique | str | bool | None = None,
    ) -> Callable[[Callable[P, R]], RegisteredJob[P, R]]:
        """Decorator: register a function as the handler of `type`.

        Args:
            type: the job type.
            retries: attempts in all of jobs enqueued by this process, from 1.
            queue: the queue of jobs enqueued by this process.
            timeout: seconds that an attempt may take, 300 unless said; then it has failed. An
                async handler is cancelled, a child process terminated, and killed after a grace; a
                thread cannot be ended: its slot is given to others, and what it still does is
                fenced off.
            backoff: seconds, a list of them, a policy, or a function from the number of
                failures to seconds.
            concurrency: how many jobs of this type may run at once, in all processes together.
            rate: how many may begin in a time, such as "100/1m", in all processes together.
            key: makes both limits count for each value by itself: "${customer}" of the payload.
            process: run it in a child process: for work that needs a processor of its own, or
                may have to be ended by force. The function is a def at the top of a module.
            unique: what `unique` of `enqueue_job` is for jobs enqueued by this process.

        Raises:
            JobError: the type has a handler, or the function cannot be one.
            ValidationError: an option is outside its range.
        """
        from aurora_db.jobs import signature  # noqa: PLC0415 - who only enqueues does without

        if callable(type):
            raise JobError(
                "a job handler is registered for a job type",
                hint=f'write @db.job("{getattr(type, "__name__", "mail")}"), with the type in parentheses',
            )
        requests.type_name(type)

        def register(function: Callable[P, R]) -> RegisteredJob[P, R]:
            handler = signature.look_at(
                type, function, retries=retries, queue=queue, timeout=timeout, backoff=backoff,
                process=process, limit=limits.limit(concurrency, rate, key), unique=unique,
            )  # fmt: skip
            self._add(handler)
            return RegisteredJob(self, handler, function)

        return register

    def schedule(
        self,
        cron: str | None = None,
        *,
        every: float | timedelta | None = None,
        timezone: str | None = None,
        catch_up: CatchUp = "ONE",
        overlap: Overlap = "ALLOW",
        jitter: float | timedelta | None = None,
        name: str | None = None,
        payload: object = None,
        priority: Priority | int | str = Priority.NORMAL,
        retries: int | None = None,
        queue: str | None = None,
        timeout: float | timedelta | None = None,
        backoff: object = None,
        process: bool = False,
    ) -> Callable[[Callable[P, R]], RegisteredJob[P, R]]:
        """Decorator: run a function at times, as a job of the type `name`.

        The schedule is kept in each database that this registry is used with, as if by `define
        schedule "name" or replace`; so it stays when the code is gone, until `drop schedule "name"`.
        Processes with workers fire it. The function takes nothing, `(job)`, or what `payload` gives.

        Args:
            cron: minute, hour, day, month and weekday, such as "0 3 * * *"; or `every`.
            every: seconds between two times, 1 at least.
            timezone: that of `cron`, such as "Europe/Paris"; UTC unless said.
            catch_up: after a time in which nothing ran: NONE, ONE or ALL of the missed times.
            overlap: while the job of the last time has not ended: ALLOW another one, or SKIP.
            jitter: seconds that it fires later at most, the same in all processes.
            name: of schedule and job type; the function's own unless said.
            payload: what each job is given.
            priority: of each job.
            retries: attempts in all of each job, from 1.
            queue: the queue of each job.
            timeout: as of `job`.
            backoff: as of `job`.
            process: as of `job`.

        Raises:
            ScheduleInvalid: the times cannot be used.
            JobError: the type has a handler, or the function cannot be one.
            PayloadInvalid: the payload is not what the function declares.
            ValidationError: an option is outside its range.
        """
        from aurora_db.jobs import planned, signature  # noqa: PLC0415 - few programs have schedules

        times = planned.Times(cron, every, timezone, catch_up, overlap, jitter)

        def register(function: Callable[P, R]) -> RegisteredJob[P, R]:
            type = getattr(function, "__name__", "") if name is None else name
            handler = signature.look_at(
                type, function, retries=retries, queue=queue, timeout=timeout, backoff=backoff,
                process=process,
            )  # fmt: skip
            self._add(handler, planned.definition(handler, times, payload, priority))
            return RegisteredJob(self, handler, function)

        return register

    def register(self, type: str, handler: JobHandler | Callable[..., Any]) -> None:
        """Register an object with `handle(job)`, or a function, as the handler of `type`.

        Raises:
            JobError: the type has a handler, or this cannot be one.
        """
        from aurora_db.jobs import signature  # noqa: PLC0415 - who only enqueues does without

        self._add(signature.look_at_object(type, handler))

    def _add(self, handler: Handler, schedule: str | None = None) -> None:
        if handler.type in self._handlers:
            raise JobError(
                f"job type '{handler.type}' has a handler already", hint="register each type once"
            )
        self._handlers[handler.type] = handler
        if schedule is not None:
            self.planned[handler.type] = schedule
        for listener in list(self._heard):
            heard = listener()
            if heard is not None:
                heard()

    def find(self, type: str) -> Handler | None:
        """The handler of a type, or None."""
        return self._handlers.get(type)

    def types(self) -> tuple[str, ...]:
        """The registered types."""
        return tuple(self._handlers)

    def limits(self) -> dict[str, Limit | None]:
        """The limit that each registered type has, or None."""
        return {type: handler.limit for type, handler in self._handlers.items()}

    def on_register(self, heard: Callable[[], None]) -> None:
        """Call the method `heard` after each registration, as long as its object lives."""
        self._heard = [one for one in self._heard if one() is not None]
        self._heard.append(weakref.WeakMethod(heard))

    def attach(self, database: Enqueues) -> None:
        """Remember a database for `RegisteredJob.enqueue`."""
        self._databases.add(database)

    def detach(self, database: Enqueues) -> None:
        """Forget a database that was closed. Twice is no error."""
        self._databases.discard(database)

    def databases(self) -> list[Enqueues]:
        """The open databases that use this registry."""
        return list(self._databases)

    def database(self) -> Enqueues:
        """The one database that uses this registry.

        Raises:
            JobError: none does, or several do.
        """
        known = self.databases()
        if len(known) != 1:
            found = "no database uses" if not known else f"{len(known)} databases use"
            raise JobError(
                f"{found} this registry",
                hint="call db.enqueue_job(type, payload) of the one you mean",
            )
        return known[0]

    def request(
        self,
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
        """The checked request for a job; what is not said comes from the registered type.

        Raises:
            PayloadInvalid: the payload is not what the handler declares.
            ValidationError: an option is outside its range.
        """
        # What is no text is refused by the check of the request.
        known = isinstance(type, str)  # pyright: ignore[reportUnnecessaryIsInstance]
        handler = self._handlers.get(type) if known else None
        if handler is not None:
            if handler.convert is not None:
                check_payload(handler, plain(payload))
            retries = handler.retries if retries is None else retries
            queue = handler.queue if queue is None else queue
            backoff = handler.backoff if backoff is None else backoff
            unique = handler.unique if unique is None else unique
        return requests.request(
            clock, type, payload, priority, retries, delay, run_at, queue, timeout, tags, backoff,
            unique, after, on_failure, batch,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"Jobs({sorted(self._handlers)})"


def check_payload(handler: Handler, payload: object) -> Any:
    """The payload as the handler wants it.

    Raises:
        PayloadInvalid: it does not match; the message names the field.
    """
    if handler.convert is None:
        return payload
    try:
        return handler.convert(payload)
    except Exception as error:
        # A model of the user's may raise anything.
        raise PayloadInvalid(
            f"the payload of '{handler.type}' does not match its type: {error}",
            hint="enqueue what the handler's annotation says",
        ) from error
