"""What became of one attempt, in words that fit through a pipe.

How a handler ended is found out where it ran, in this process or in a child; what follows from it
for the job is decided by the worker, which knows the retry policy and the time.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """How an attempt ended."""

    #: In a child: the handler was found and is called now.
    BEGUN = "begun"
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


class Outcome(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How an attempt ended. `result` is JSON, `delay` in seconds; `error` of DIED says how."""

    kind: Kind
    result: str | None = None
    error: str | None = None
    traceback: str | None = None
    delay: float | None = None


#: A handler that returned nothing, as most do.
RETURNED = Outcome(Kind.RETURNED)
COMPLETED = Outcome(Kind.COMPLETED)
BEGUN = Outcome(Kind.BEGUN)
LOST = Outcome(Kind.LOST)
