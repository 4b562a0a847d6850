"""The blocks of `db.batch()` and `db.flow()`: jobs are collected, and written together at the end.

Nothing is written before the end of the block, so what is refused there leaves nothing behind, and
a job of a flow may wait for one that is named further down.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, TypedDict, Unpack, cast

import msgspec

from aurora_db.aql import suggest
from aurora_db.base.clock import Clock
from aurora_db.base.errors import JobError, NotFound, ValidationError
from aurora_db.base.ids import new_id
from aurora_db.base.records import Job, Priority
from aurora_db.jobs import batches, circles, flow, queue
from aurora_db.jobs.handlers import Jobs
from aurora_db.jobs.request import Links, OnFailure, Request
from aurora_db.jobs.unique import Unique
from aurora_db.store.port import Port


class JobOptions(TypedDict, total=False):
    """The options of a job in a block, as of `enqueue_job`; `after` also takes what the block gave."""

    priority: Priority | int | str
    retries: int | None
    delay: float | timedelta | None
    run_at: datetime | None
    queue: str | None
    timeout: float | timedelta | None
    tags: Sequence[str]
    backoff: object
    unique: Unique | str | bool | None
    after: Sequence[str | PlannedJob | Job]
    on_dependency_failure: OnFailure


OPTIONS: Final = tuple(JobOptions.__annotations__)
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class PlannedJob:
    """A job of a block: its id is known, it is written when the block ends.

    Where a unique job was there already, `id` is that one's after the block.
    """

    __slots__ = ("id", "name", "type")

    def __init__(self, type: str, name: str | None = None) -> None:
        self.id = new_id()
        self.type = type
        self.name = name

    def __repr__(self) -> str:
        named = "" if self.name is None else f", name={self.name!r}"
        return f"PlannedJob({self.type!r}, id={self.id!r}{named})"


#: What a job of a block may wait for: a name or an id, a job of the block, or one that exists.
After = str | PlannedJob | Job


class BatchBlock:
    """The block of `db.batch()`: collects jobs, which are written together when it ends.

    Its verbs write nothing themselves; in an asynchronous program they are not awaited.
    """

    def __init__(
        self, jobs: Jobs, clock: Clock, name: str | None, callbacks: Mapping[str, object]
    ) -> None:
        if name is not None:
            _check_name(name)
        self.id = new_id()
        self.name = name
        self._jobs = jobs
        self._clock = clock
        self._callbacks = batches.callbacks(jobs, clock, self.id, callbacks)
        self._planned: list[PlannedJob] = []
        self._requests: list[Request] = []
        self._named: dict[str, PlannedJob] = {}
        self._written = False
        #: What a job waits for, as it was written down; by its number.
        self._after: dict[int, Sequence[After]] = {}

    def enqueue_job(
        self, type: str, payload: object = None, **options: Unpack[JobOptions]
    ) -> PlannedJob:
        """Add a job; options as of `db.enqueue_job`, and `after` takes what this returned, too.

        Raises:
            PayloadInvalid: the payload is not what the registered handler declares.
            ValidationError: an option is outside its range.
        """
        return self._add(type, payload, dict(options))

    def enqueue_jobs(
        self, type: str, payloads: Iterable[object], **options: Unpack[JobOptions]
    ) -> list[PlannedJob]:
        """Add one job for each payload; options as of `enqueue_job`."""
        return [self._add(type, payload, dict(options)) for payload in payloads]

    def _add(
        self, type: str, payload: object, options: dict[str, Any], name: str | None = None
    ) -> PlannedJob:
        if self._written:
            raise JobError(
                f"the block has ended, and '{type}' would never be enqueued",
                hint="add jobs inside of the block; later, db.enqueue_job(…, batch=batch.id)",
            )
        after = _checked(options)
        make: Any = self._jobs.request
        request: Request = make(self._clock, type, payload, **options)
        planned = PlannedJob(type, name)
        links = Links() if request.links is None else request.links
        links = Links(links.unique, (), links.on_failure, self.id, planned.id, name)
        if after:
            self._after[len(self._requests)] = after
        self._planned.append(planned)
        self._requests.append(msgspec.structs.replace(request, links=links))
        return planned

    async def write(self, port: Port) -> None:
        """Write the batch and its jobs, in the caller's transaction.

        Raises:
            ValidationError: a job waits for a name that no job has, or jobs for each other.
            NotFound: a job named in `after` does not exist.
        """
        self._written = True
        requests = self._wired()
        await batches.begin(port, self.id, self.name, self._callbacks)
        try:
            made = await queue.enqueue_many(port, requests)
        except NotFound:
            await batches.forget(port, self.id)
            raise
        for planned, job in zip(self._planned, made, strict=True):
            planned.id = job.id
        await flow.resolve(port)

    def _wired(self) -> list[Request]:
        """The requests, each with the ids of those that it waits for."""
        waits = {
            number: tuple(dict.fromkeys(self._id_of(number, one) for one in after))
            for number, after in self._after.items()
        }
        by_id = {self._planned[number].id: after for number, after in waits.items()}
        if found := circles.first(by_id):
            names = {one.id: one.name or one.type for one in self._planned}
            raise ValidationError(
                f"jobs wait for each other: {' → '.join(names[id] for id in found)}",
                hint="take one of them out of the 'after' of the next",
                field="after",
                rule="cycle",
            )
        requests = list(self._requests)
        for number, after in waits.items():
            links = requests[number].links
            assert links is not None
            links = msgspec.structs.replace(links, after=after)
            requests[number] = msgspec.structs.replace(requests[number], links=links)
        return requests

    def _id_of(self, number: int, wanted: After) -> str:
        """The id that a part of `after` means."""
        if not isinstance(wanted, str):
            return wanted.id
        if wanted in self._named:
            return self._named[wanted].id
        if _ID.fullmatch(wanted):
            return wanted
        waiting = self._planned[number]
        raise ValidationError(
            f"no job named '{wanted}', which '{waiting.name or waiting.type}' waits for",
            hint=suggest.hint(
                wanted, self._named, "name it by flow.job(name, type), or give an id"
            ),
            field="after",
            rule="name",
            value=wanted,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, id={self.id!r}, jobs={len(self._planned)})"


class FlowBlock(BatchBlock):
    """The block of `db.flow()`: a batch whose jobs have names, and wait for each other by them."""

    def job(
        self, name: str, type: str, payload: object = None, **options: Unpack[JobOptions]
    ) -> PlannedJob:
        """Add a job of this name to the flow.

        Args:
            name: what others call it in their `after`, also further up, and in `job.results()`.
            type: the job type.
            payload: anything with a JSON form.
            options: as of `db.enqueue_job`; `after` takes names of the flow, what this verb
                returned, and jobs that exist already or their ids.

        Raises:
            PayloadInvalid: the payload is not what the registered handler declares.
            ValidationError: an option is outside its range, or the name is taken.
        """
        _check_name(name)
        if name in self._named:
            raise ValidationError(
                f"the flow has a job named '{name}' already",
                hint="give each job a name of its own", field="name", rule="name", value=name,
            )  # fmt: skip
        planned = self._add(type, payload, dict(options), name)
        self._named[name] = planned
        return planned


def _checked(options: dict[str, Any]) -> Sequence[After]:
    """Take `after` out of the options of a job and name the others as a request does."""
    for name in options:
        if name not in OPTIONS:
            hint = suggest.hint(name, OPTIONS, f"options are {', '.join(OPTIONS)}")
            raise ValidationError(f"a job has no option '{name}'", hint=hint, field=name)
    after: object = options.pop("after", ())
    if not isinstance(after, (list, tuple, set, frozenset)) or not all(
        isinstance(one, (str, PlannedJob, Job)) for one in cast("Iterable[object]", after)
    ):
        raise _refused("after", after, "a list of names, jobs or ids")
    if "on_dependency_failure" in options:
        options["on_failure"] = options.pop("on_dependency_failure")
    if after:
        # Stands for those that are known when the block ends.
        options["after"] = ("later",)
    return tuple(cast("Iterable[After]", after))


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name:
        raise _refused("name", name, "a text that is not empty")


def _refused(name: str, value: object, wanted: str) -> ValidationError:
    return ValidationError(
        f"'{name}' is {wanted}, got {value!r}", field=name, rule=name, value=value
    )
