"""What a worker must know of a job handler, found by looking at it once.

Whether it is async, whether it takes the payload, the job, or both, and which type its payload
has. A room of its own, for a process that only enqueues needs none of this.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, cast

import msgspec

from aurora_db.base.errors import JobError
from aurora_db.jobs import importing, timing
from aurora_db.jobs import request as requests
from aurora_db.jobs.handlers import Handler, JobHandler
from aurora_db.jobs.limits import Limit
from aurora_db.jobs.unique import Unique, checked


def look_at_object(type: str, handler: JobHandler | Callable[..., Any]) -> Handler:
    """What a worker must know of an object with `handle(job)`, or of a function.

    Raises:
        JobError: it cannot be a handler.
    """
    requests.type_name(type)
    if inspect.isclass(handler):
        raise JobError(
            f"'{handler.__name__}' is a class", hint=f"register an object: {handler.__name__}()"
        )
    handle = getattr(handler, "handle", None)
    if handle is None:
        return look_at(type, cast("Callable[..., Any]", handler))
    return Handler(
        type=type,
        call=handle,
        is_async=inspect.iscoroutinefunction(handle),
        takes_payload=False,
        takes_job=True,
        convert=None,
    )


def look_at(
    type: str,
    function: Callable[..., Any],
    *,
    retries: int | None = None,
    queue: str | None = None,
    timeout: float | timedelta | None = None,
    backoff: object = None,
    process: bool = False,
    limit: Limit | None = None,
    unique: Unique | str | bool | None = None,
) -> Handler:
    """What a worker must know of `function`.

    Raises:
        JobError: it cannot be a handler.
    """
    if not callable(function):
        raise JobError(
            f"the handler of '{type}' is not a function", hint="decorate a def or async def"
        )
    parameters = [
        one
        for one in inspect.signature(function).parameters.values()
        if one.default is one.empty or _is_job(one)
    ]
    if any(one.kind not in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters):
        raise _wrong_shape(type)
    takes_job = bool(parameters) and _is_job(parameters[-1])
    rest = parameters[:-1] if takes_job else parameters
    if len(rest) > 1:
        raise _wrong_shape(type)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise JobError(
            f"the handler of '{type}' is a generator, and nobody would run its body",
            hint="leave out the yield, and return what is the result",
        )
    is_async = inspect.iscoroutinefunction(function)
    if process and is_async:
        raise JobError(
            f"the handler of '{type}' is async, and a child process has no event loop",
            hint="write it as def, with asyncio.run inside if it must be; or leave out process=True",
        )
    policy = cast("timing.Policy", backoff) if callable(backoff) else None
    return Handler(
        type=type,
        call=function,
        is_async=is_async,
        takes_payload=bool(rest),
        takes_job=takes_job,
        convert=_converter(function, rest[0], type) if rest else None,
        retries=None if retries is None else requests.attempts(retries),
        queue=None if queue is None else requests.queue_name(queue),
        backoff=None if backoff is None or policy is not None else timing.backoff(backoff),
        policy=policy,
        timeout=None if timeout is None else requests.limit(timeout),
        process=process,
        reference=importing.refer(type, function) if process else None,
        limit=limit,
        unique=checked(unique),
    )


def _is_job(parameter: inspect.Parameter) -> bool:
    annotation = parameter.annotation
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return parameter.name == "job" or name.rpartition(".")[2] == "JobContext"


def _wrong_shape(type: str) -> JobError:
    return JobError(
        f"the handler of '{type}' takes parameters that a worker cannot give",
        hint="write def handler(payload), def handler(payload, job) or def handler(job)",
    )


def _converter(
    function: Callable[..., Any], parameter: inspect.Parameter, type: str
) -> Callable[[Any], Any] | None:
    annotation: Any = parameter.annotation
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, getattr(function, "__globals__", {}))  # noqa: S307 - the handler's own annotation
        except NameError as error:
            raise JobError(
                f"the payload type of '{type}' is not known: {error}",
                hint="define or import the type at the top of the module",
            ) from error
    if annotation in (parameter.empty, Any, object, dict, Mapping):
        return None
    validate = getattr(annotation, "model_validate", None)
    if validate is not None:
        return cast("Callable[[Any], Any]", validate)
    try:
        msgspec.json.Decoder(annotation)
    except TypeError as error:
        raise JobError(
            f"the payload type of '{type}' cannot be checked: {error}",
            hint="use dict, a dataclass, a TypedDict, a msgspec.Struct or a pydantic model",
        ) from error
    return lambda value: msgspec.convert(value, annotation)
