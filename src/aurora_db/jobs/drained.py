"""What a drain did: counted while it goes on, and told at its end."""

from __future__ import annotations

import msgspec

from aurora_db.base.errors import JobError, ValidationError
from aurora_db.base.records import Status
from aurora_db.jobs import queue
from aurora_db.jobs.queue import Settlement
from aurora_db.jobs.solo import failure

#: Attempts after which a drain without a limit is taken for endless.
ENDLESS = 10_000


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt that failed."""

    job_id: str
    type: str
    attempt: int
    error: str
    traceback: str | None = None


class DrainResult(msgspec.Struct, frozen=True, kw_only=True):
    """How many attempts ended how.

    `retried` failed and will be tried again, `failed` failed for good; `lost` belonged to somebody
    else when they ended. `rescued` are jobs of dead workers that were given back at the beginning.
    `pending` are the jobs that could run now and did not, by type: nobody handles it here, or the
    drain was limited.
    """

    completed: int = 0
    failed: int = 0
    retried: int = 0
    snoozed: int = 0
    cancelled: int = 0
    lost: int = 0
    rescued: int = 0
    errors: tuple[Failure, ...] = ()
    pending: dict[str, int] = msgspec.field(default_factory=dict[str, int])

    @property
    def attempts(self) -> int:
        """How many attempts ran."""
        ended = self.completed + self.failed + self.retried + self.snoozed
        return ended + self.cancelled + self.lost

    def __repr__(self) -> str:
        names = ("completed", "failed", "retried", "snoozed", "cancelled", "lost", "rescued")
        said = [f"{name}={getattr(self, name)}" for name in names if getattr(self, name)]
        if self.errors:
            said.append(f"errors={[f'{one.type}: {one.error}' for one in self.errors]}")
        if self.pending:
            said.append(f"pending={self.pending}")
        return f"DrainResult({', '.join(said)})"


class Tally:
    """Counts the attempts of one drain.

    Args:
        limit: attempts at most.
        raises: raise what makes an attempt fail.
    """

    def __init__(self, limit: int | None, *, raises: bool) -> None:
        given: object = limit
        number = isinstance(given, int) and not isinstance(given, bool) and given >= 0
        if given is not None and not number:
            raise ValidationError(
                f"'limit' is a number of attempts from 0, got {given!r}",
                field="limit", rule="limit", value=given,
            )  # fmt: skip
        self.rescued = 0
        self.pending: dict[str, int] = {}
        self._limit = limit
        self._raises = raises
        self._counts: dict[str, int] = {}
        self._errors: list[Failure] = []
        self._attempts = 0

    def goes_on(self) -> bool:
        """Whether another attempt may begin.

        Raises:
            JobError: there is no limit, and there seems to be no end.
        """
        if self._limit is not None:
            return self._attempts < self._limit
        if self._attempts >= ENDLESS:
            raise JobError(
                f"the queue is not empty after {ENDLESS:,} attempts",
                hint="a job enqueues itself, or never ends; give drain(limit=…)",
            )
        return True

    def settled_itself(self, *, completed: bool) -> None:
        """An attempt that needed no settlement: its own transaction completed it, or it was lost."""
        self._count("completed" if completed else "lost")

    def settled(self, settlement: Settlement, raised: BaseException | None, *, held: bool) -> None:
        """An attempt was settled, unless its job was no longer its own.

        Raises:
            BaseException: `raises` is set and the attempt failed: what its handler raised.
        """
        if not held:
            self._count("lost")
            return
        statement = settlement.statement
        fails = statement is queue.FAIL or statement is queue.RETRY
        self._count(_word(settlement))
        if not fails:
            return
        job = settlement.job
        self._errors.append(Failure(
            job_id=job.id, type=job.type, attempt=job.attempt, error=settlement.error or "",
            traceback=settlement.traceback,
        ))  # fmt: skip
        if self._raises:
            raise failure(raised, settlement)

    def _count(self, word: str) -> None:
        self._counts[word] = self._counts.get(word, 0) + 1
        self._attempts += 1

    def result(self) -> DrainResult:
        """What was counted."""
        return DrainResult(
            **self._counts, rescued=self.rescued, errors=tuple(self._errors), pending=self.pending
        )


def _word(settlement: Settlement) -> str:
    if settlement.statement is queue.RETRY:
        return "retried"
    match queue.LEAVES[settlement.statement]:
        case Status.COMPLETED:
            return "completed"
        case Status.FAILED:
            return "failed"
        case Status.CANCELLED:
            return "cancelled"
        case _:
            return "snoozed"
