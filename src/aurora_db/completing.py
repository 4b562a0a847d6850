"""What the façades hand to lower floors: transactions for job handlers.

A blocking database may run an async handler and the other way round, so both kinds of
transaction are made here; the façades are imported when one is needed, for they import this room.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from aurora_db.base.errors import TransactionError
from aurora_db.jobs.handlers import Jobs
from aurora_db.store.engine import Engine
from aurora_db.store.held import Held
from aurora_db.store.operations import Plans

if TYPE_CHECKING:
    from aurora_db.aio import AsyncTransaction
    from aurora_db.database import Transaction


def transaction(
    engine: Engine,
    plans: Plans,
    jobs: Jobs,
    held: Held,
    set_result: Callable[[object], None] | None,
) -> Transaction:
    """The blocking face of an open transaction, for `with job.completing() as tx` and for steps."""
    from aurora_db.database import Transaction  # noqa: PLC0415 - the façades import this room

    return Transaction(engine, held, plans, jobs, set_result)


def async_transaction(
    engine: Engine,
    plans: Plans,
    jobs: Jobs,
    held: Held,
    set_result: Callable[[object], None] | None,
) -> AsyncTransaction:
    """The asynchronous face of an open transaction, for `async with job.completing() as tx` and steps."""
    from aurora_db.aio import AsyncTransaction  # noqa: PLC0415 - the façades import this room

    return AsyncTransaction(engine, held, plans, jobs, set_result)


def set_result(setter: Callable[[object], None] | None, value: object) -> None:
    """Keep the result of the job that a transaction completes.

    Raises:
        TransactionError: the transaction completes no job.
    """
    if setter is None:
        raise TransactionError(
            "only the transaction of a job has a result", hint="use `with job.completing() as tx`"
        )
    setter(value)
