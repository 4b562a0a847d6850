"""What became of one attempt, in words that fit through a pipe.

How a handler ended is found out where it ran, in this process or in a child; what follows from it
for the job is decided by the worker, which knows the retry policy and the time.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from aurora_db.base.codec import encode
from aurora_db.base.errors import ValidationError


class Kind(StrEnum):
    """How an attempt ended."""

    RETURNED = "returned"
    #: By the handler's own `job.completing()`, whatever came after it.
    COMPLETED = "completed"
    #: The handler raised `LeaseLost`.
    LOST = "lost"
    SNOOZE = "snooze"
    RETRY = "retry"
    CANCEL = "cancel"
    FAIL = "fail"
    #: The handler raised anything else.
    ERROR = "error"
    #: The process of the handler died.
    DIED = "died"


class Outcome(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """How an attempt ended.

    `result` is JSON; `delay` in seconds, unless the exact end `until` is known; `error` of DIED says how.
    """

    kind: Kind
    result: str | None = None
    error: str | None = None
    traceback: str | None = None
    delay: float | None = None
    until: datetime | None = None


def as_json(what: str, result: object, hint: str = "return JSON types, or nothing") -> str | None:
    """The JSON of a result; None of nothing.

    Raises:
        ValidationError: it has no JSON form; `what` says whose result it is.
    """
    if result is None:
        return None
    try:
        return encode(result)
    except ValidationError as error:
        raise ValidationError(f"{what} {error.message}", hint=hint, rule="json") from error


#: A handler that returned nothing, as most do.
RETURNED = Outcome(Kind.RETURNED)
COMPLETED = Outcome(Kind.COMPLETED)
