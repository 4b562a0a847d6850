"""What the façades hand to lower floors: transactions for job handlers, in workers and their children.

A blocking database may run an async handler and the other way round, so both kinds of
transaction are made here; the façades are imported when one is needed, for they import this room.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from aurora_db.base.errors import TransactionError
from aurora_db.jobs.context import Bench
from aurora_db.jobs.handlers import Jobs
from aurora_db.store.engine import Engine
from aurora_db.store.held import Held
from aurora_db.store.operations import Plans

if TYPE_CHECKING:
    from aurora_db.aio import AsyncAurora, AsyncTransaction
    from aurora_db.config import Durability
    from aurora_db.database import Aurora, Transaction


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


def bench(engine: Engine, plans: Plans, jobs: Jobs) -> Bench:
    """What the attempts of a worker share."""
    return Bench(
        engine,
        partial(transaction, engine, plans, jobs),
        partial(async_transaction, engine, plans, jobs),
        jobs,
        bench_in_child,
    )


def bench_in_child(
    path: str, durability: str, retention: float, jobs: Jobs
) -> tuple[Bench, Callable[[], None]]:
    """The same in a child process of that worker, and how to close it.

    That is the database that the imported module has opened for its handlers, if it is this one;
    else another is opened, so that `handler.enqueue` works as in the parent.
    """
    from aurora_db.config import AuroraConfig  # noqa: PLC0415 - children only
    from aurora_db.database import Aurora  # noqa: PLC0415 - the façades import this room

    for known in jobs.databases():
        theirs = cast("Aurora | AsyncAurora", known).workers.bench
        if theirs.engine.path == path:
            # The module that opened it closes it.
            return theirs, lambda: None
    config = AuroraConfig(
        path=path, durability=cast("Durability", durability), feed_retention=retention
    )
    opened = Aurora.with_config(config, jobs=jobs)
    return opened.workers.bench, opened.close


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
