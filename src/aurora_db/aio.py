"""AsyncAurora: the façade, one to three lines a verb. Written by hand.

`database.py` is generated from this file by `tools/unasync.py`; a verb added here appears there.
Nothing is decided here: a verb picks the core verb, the gate runs it in a transaction.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, Unpack

from aurora_db import completing
from aurora_db.aio_cache import AsyncAnswers, AsyncCaches
from aurora_db.aio_care import AsyncJobCare
from aurora_db.aio_collection import AsyncCollection
from aurora_db.aio_files import AsyncFiles
from aurora_db.aio_jobs import AsyncJobCalls
from aurora_db.aio_kv import AsyncKeyed
from aurora_db.aio_live import AsyncLive
from aurora_db.aio_query import AsyncQuery
from aurora_db.aio_topics import AsyncPublish, AsyncTopics
from aurora_db.aql import access
from aurora_db.aql.builder import Chain
from aurora_db.base.codec import seconds
from aurora_db.base.errors import AqlError, UnknownCollection
from aurora_db.base.records import Explanation, MigrationResult, Priority, Problem
from aurora_db.config import AuroraConfig, Duration, Options
from aurora_db.jobs import pruning
from aurora_db.jobs import verbs as job_verbs
from aurora_db.jobs.endings import Endings
from aurora_db.jobs.handlers import CatchUp, Jobs, Overlap, RegisteredJob
from aurora_db.jobs.unique import Unique
from aurora_db.jobs.worker import Workers
from aurora_db.live.feed import Feed
from aurora_db.store import check as checking
from aurora_db.store import documents, operations
from aurora_db.store.documents import Document
from aurora_db.store.engine import Engine
from aurora_db.store.firing import Firing
from aurora_db.store.gate import AsyncGate, AsyncHeldGate
from aurora_db.store.held import Held
from aurora_db.store.operations import Plans, Prepared
from aurora_db.store.port import Port, Verb
from aurora_db.store.reactions import Reactions
from aurora_db.store.rebuilding import NeedsExclusive
from aurora_db.store.stages import Stages

if TYPE_CHECKING:
    from aurora_db.aio_testing import AsyncJobsTesting

P = ParamSpec("P")
R = TypeVar("R")


class _AsyncVerbs(AsyncAnswers, AsyncFiles, AsyncJobCalls, AsyncJobCare, AsyncKeyed, AsyncPublish):
    """The verbs that a database and an open transaction share."""

    def __init__(
        self, engine: Engine, gate: AsyncGate | AsyncHeldGate, plans: Plans, jobs: Jobs
    ) -> None:
        self._engine = engine
        self._gate = gate
        self._plans = plans
        self._jobs = jobs

    async def execute(
        self,
        text: str,
        variables: Mapping[str, Any] | None = None,
        *,
        operation: str | None = None,
        auth: Mapping[str, Any] | None = None,
        fresh: bool = False,
    ) -> Any:
        """Run a text of AQL.

        Returns the object of its roots, `{"users": [{"name": "Ada"}]}`; a definition gives its
        own result, and a text of several operations a list with one result each, unless
        `operation` picks one by name.

        Args:
            text: one or several operations or definitions.
            variables: values for the declared variables, by name without the dollar.
            operation: the name of the one operation to run.
            auth: claims of the caller, which `@auth` and `@require(role:)` look at: `role`, or
                a list of `roles`.
            fresh: see also what programs that are not Aurora committed within `poll_interval`.

        Raises:
            AqlError: the text is refused as a whole; nothing ran.
            Unauthenticated, AccessDenied: `auth` lacks what the text demands; nothing ran.
            AuroraError: an operation failed; it left nothing behind, earlier ones stand.
        """
        ready = await self._ready(text, variables, operation, auth)
        if len(ready) == 1:
            return await self._run(text, *ready[0], auth, fresh=fresh)
        return [await self._run(text, *each, auth) for each in ready]

    async def explain(
        self, text: str, variables: Mapping[str, Any] | None = None, *, operation: str | None = None
    ) -> Explanation:
        """Run a text of one operation and tell how; what it writes is undone.

        Raises:
            AqlError: the text is refused.
            NotFound: the text has several operations, and none was chosen.
        """
        from aurora_db.live import explaining  # noqa: PLC0415 - few programs ask

        ready = await self._ready(text, variables, operation, None)
        index, one, values = operations.only(ready)

        async def verb(port: Port) -> Any:
            return await explaining.explain(
                self._plans.ready(text, index, port.catalog, values), port, values
            )

        if one.operation.writes:
            return await self._gate.write(verb)
        return await self._gate.read(verb)

    async def _ready(
        self,
        text: str,
        variables: Mapping[str, Any] | None,
        operation: str | None,
        auth: Mapping[str, Any] | None,
    ) -> list[tuple[int, Prepared, Mapping[str, Any]]]:
        prepared = await self._prepare(text)
        if operation is None and len(prepared) == 1:
            # Most texts: nothing to choose, no variables to share out.
            only = prepared[0]
            values = operations.bind(only.operation, variables, text)
            if not only.operation.shaped:
                access.check(only.operation.access, auth)
                return [(0, only, values)]
            return [(0, self._plans.ready(text, 0, self._gate.catalog, values), values)]
        wanted = operations.chosen(prepared, operation)
        bound = operations.variables_of([one for _, one in wanted], variables, text)
        for _, one in wanted:
            # What depends on values is asked when it runs, when all before it has run.
            if not one.operation.shaped:
                access.check(one.operation.access, auth)
        if len(wanted) == 1:
            index, values = wanted[0][0], bound[0]
            return [(index, self._plans.ready(text, index, self._gate.catalog, values), values)]
        self._plans.check(text, wanted, bound, self._gate.catalog)
        return [(index, one, values) for (index, one), values in zip(wanted, bound, strict=True)]

    async def _prepare(self, text: str) -> Sequence[Prepared]:
        before = self._gate.catalog
        try:
            return self._plans.prepare(text, before)
        except AqlError:
            # Another process may have defined what is missing here.
            await self._gate.read(operations.look)
            if self._gate.catalog.version == before.version:
                raise
            return self._plans.prepare(text, self._gate.catalog)

    async def _run(
        self,
        text: str,
        index: int,
        one: Prepared,
        variables: Mapping[str, Any],
        auth: Mapping[str, Any] | None,
        *,
        fresh: bool | None = None,
    ) -> Any:
        async def verb(port: Port) -> Any:
            ready = self._plans.ready(text, index, port.catalog, variables)
            access.check(ready.operation.access, auth)
            return await ready.execute(port, variables)

        if one.stages is not None:
            return await self._stages(one.stages())
        if one.operation.writes:
            return await self._write(verb, alone=one.exclusive)
        access.check(one.operation.access, auth)
        return await self._answer(verb, text, index, one, variables, fresh=fresh)

    async def _write(self, verb: Verb[R], *, alone: bool = False) -> R:
        """Run a writing verb; what must run alone, as shows sometimes only when it runs, does."""
        if not alone:
            try:
                return await self._gate.write(verb)
            except NeedsExclusive:
                pass
        from aurora_db.store import exclusive  # noqa: PLC0415 - few programs change their collections

        return await self._gate.write(exclusive.checked(verb), exclusive=True)

    async def _stages(self, stages: Stages) -> Any:
        """Run an operation of several transactions, one after the other."""
        while (verb := stages.next()) is not None:
            stages.take(await self._write(verb))
        return stages.result()

    async def define(
        self,
        name: str,
        fields: Mapping[str, str],
        rules: Iterable[str] = (),
        *,
        flexible: bool = False,
    ) -> Document:
        """Define a collection: `db.define("notes", {"title": "String! @unique"}, ["@@index(…)"])`.

        `fields` says by name what stands in AQL after the colon; `flexible` keeps undeclared ones.
        Returns the result of the definition; the same again changes nothing.

        Raises:
            SchemaError: it is refused, or another one exists; then the hint is the `alter`.
            AqlError: a part of it is not understood.
        """
        from aurora_db.aql import spelling  # noqa: PLC0415 - few programs define so

        return await self.execute(spelling.definition(name, fields, rules, flexible=flexible))

    def collection(self, name: str) -> AsyncCollection:
        """The collection of this name.

        Raises:
            UnknownCollection: it is not defined.
        """
        self._known(name)
        return AsyncCollection(self._gate, name, self._engine.clock.now)

    def _known(self, name: str) -> None:
        """Refuse a name that is no collection."""
        try:
            documents.readable(self._gate.catalog, name)
        except UnknownCollection:
            # Another process may have defined it; the look is short enough for an event loop.
            self._engine.read(operations.look)
            documents.readable(self._gate.catalog, name)

    def __getitem__(self, name: str) -> AsyncCollection:
        return self.collection(name)

    def query(self, name: str) -> AsyncQuery:
        """Documents of the collection `name`, described step by step: see `AsyncQuery`.

        Raises:
            UnknownCollection: it is not defined.
        """
        self._known(name)
        return AsyncQuery(self, Chain(name))

    async def insert_into(self, name: str, document: Mapping[str, Any]) -> str:
        """Insert one document into the collection `name`; returns its id."""
        return await self.collection(name).insert(document)


class AsyncTransaction(_AsyncVerbs):
    """An open transaction: the verbs of the database, committed together at its end."""

    def __init__(
        self,
        engine: Engine,
        held: Held,
        plans: Plans,
        jobs: Jobs,
        set_result: Callable[[object], None] | None = None,
    ) -> None:
        super().__init__(engine, AsyncHeldGate(held), plans, jobs)
        self._held = held
        self._set_result = set_result

    @property
    def gate(self) -> AsyncGate | AsyncHeldGate:
        """What runs verbs in this transaction: for acknowledging, see `AsyncSubscription.ack`."""
        return self._gate

    async def rollback(self) -> None:
        """Undo everything; the block may go on, but no verb of this transaction works any more."""
        self._held.rollback()

    def result(self, value: object) -> None:
        """Set the result of the job that this transaction completes.

        Raises:
            TransactionError: the transaction does not come from `job.completing()`.
        """
        completing.set_result(self._set_result, value)


class AsyncAurora(_AsyncVerbs, AsyncCaches, AsyncLive, AsyncTopics):
    """One open database.

    `AsyncAurora("shop.db")` opens or makes the file; close it by `close()` or by an
    `async with` block. Options are the keywords of `AuroraConfig`.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, jobs: Jobs | None = None, **options: Unpack[Options]
    ) -> None:
        self._open(AuroraConfig.of(path, options), jobs)

    @classmethod
    def with_config(cls, config: AuroraConfig, *, jobs: Jobs | None = None) -> Self:
        """Open the database that `config` describes."""
        self = cls.__new__(cls)
        self._open(config, jobs)
        return self

    def _open(self, config: AuroraConfig, jobs: Jobs | None) -> None:
        self.config = config
        registry = Jobs() if jobs is None else jobs
        engine = Engine.open(
            os.fspath(config.path),
            durability=config.durability,
            read_only=config.read_only,
            clock=config.clock,
            feed_retention=config.feed_retention,
        )
        self._heat(engine, config)
        plans = Plans(job_verbs.for_texts(registry, engine.clock))
        super().__init__(engine, AsyncGate(engine), plans, registry)
        self._workers = Workers(
            engine,
            registry,
            threads=config.worker_threads,
            queues=config.worker_queues,
            enabled=config.workers_enabled,
            poll_interval=seconds(config.poll_interval),
            shutdown_timeout=seconds(config.shutdown_timeout),
            kept=pruning.kept(config.job_retention),
            bench=completing.bench(engine, plans, registry),
            react=Reactions(plans.runner).run,
            fire=Firing(plans.runner).step,
        )
        self._endings = Endings(engine, seconds(config.poll_interval))
        self._feed = Feed(engine, seconds(config.poll_interval))
        self._testing: AsyncJobsTesting | None = None
        registry.attach(self)

    @property
    def workers(self) -> Workers:
        """The workers of this process; also callable, so that `db.workers()` is the same."""
        return self._workers

    @property
    def jobs_testing(self) -> AsyncJobsTesting:
        """Jobs in tests: run them when the test says so, expect them, let workers die.

        Raises:
            JobError: workers of this database run.
        """
        self._workers.refuse_running()
        if self._testing is None:
            from aurora_db.aio_testing import AsyncJobsTesting  # noqa: PLC0415 - only tests need it

            assert isinstance(self._gate, AsyncGate), "only a transaction has another one"
            self._testing = AsyncJobsTesting(self._engine, self._gate, self._jobs, self._workers)
        return self._testing

    def job(
        self,
        type: str,
        *,
        retries: int | None = None,
        queue: str | None = None,
        timeout: Duration | None = None,
        backoff: object = None,
        concurrency: int | None = None,
        rate: str | None = None,
        key: str | None = None,
        process: bool = False,
        unique: Unique | str | bool | None = None,
    ) -> Callable[[Callable[P, R]], RegisteredJob[P, R]]:
        """Decorator: register a function as the job handler of `type`.

        With workers enabled, the first one registered starts them; otherwise this process only
        enqueues. See `Jobs.job` for the arguments.
        """
        return self._jobs.job(
            type, retries=retries, queue=queue, timeout=timeout, backoff=backoff,
            concurrency=concurrency, rate=rate, key=key, process=process, unique=unique,
        )  # fmt: skip

    def schedule(
        self,
        cron: str | None = None,
        *,
        every: Duration | None = None,
        timezone: str | None = None,
        catch_up: CatchUp = "ONE",
        overlap: Overlap = "ALLOW",
        jitter: Duration | None = None,
        name: str | None = None,
        payload: object = None,
        priority: Priority | int | str = Priority.NORMAL,
        retries: int | None = None,
        queue: str | None = None,
        timeout: Duration | None = None,
        backoff: object = None,
        process: bool = False,
    ) -> Callable[[Callable[P, R]], RegisteredJob[P, R]]:
        """Decorator: run a function at times, as a job: `@db.schedule("0 3 * * *")`.

        The schedule is kept in the database; processes with workers enabled fire it. See
        `Jobs.schedule` for the arguments.
        """
        return self._jobs.schedule(
            cron, every=every, timezone=timezone, catch_up=catch_up, overlap=overlap,
            jitter=jitter, name=name, payload=payload, priority=priority, retries=retries,
            queue=queue, timeout=timeout, backoff=backoff, process=process,
        )  # fmt: skip

    async def wait_job(self, id: str, timeout: Duration | None = None) -> Any:  # noqa: ASYNC109
        """The result of a job when it has completed, in this process or in another one.

        Args:
            id: what `enqueue_job` returned as `job.id`.
            timeout: seconds to wait at most; without it, as long as it takes.

        Raises:
            JobFailed, JobCancelled: it ended so; `error.job` is its record.
            Timeout: (a `TimeoutError`) it has not ended yet; it is not touched.
            NotFound: there is no such job, or it was deleted meanwhile.
            TransactionError: this thread or task has a transaction open, whose end nobody would see.
        """
        return await self._endings.wait_async(id, timeout)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncTransaction]:
        """A block whose writes commit together, or not at all when it ends by an exception.

        It holds the writer: keep it short. Past its deadline of 10 seconds the next statement
        and the commit fail.

        Raises:
            TransactionError: a transaction is open in this thread or task already.
            Timeout: the block outlived its deadline.
        """
        async with self._engine.transaction_async() as held:
            yield AsyncTransaction(self._engine, held, self._plans, self._jobs)
        if self._testing is not None:
            await self._testing.committed()

    async def check(self) -> list[Problem]:
        """Read the whole file; what is damaged or breaks a constraint, nothing when all is well."""
        return await self._gate.read(checking.check)

    async def migrate(
        self, source: str | os.PathLike[str], *, dry_run: bool = False
    ) -> list[MigrationResult]:
        """Apply the versions that are not applied yet, each in one transaction; a record for each.

        Args:
            source: the text of a `migrate` block, or a folder of `*.aql` files in natural order.
            dry_run: run all of them in one transaction and undo it.

        Raises:
            MigrationError: an applied version has another text now, or one comes too late.
            AuroraError: a step failed; its version left nothing behind, earlier ones stand.
        """
        from aurora_db.store import migration_files  # noqa: PLC0415 - few programs migrate

        gather = partial(migration_files.gather, source, dry_run=dry_run)
        stages = self._plans.migration(await AsyncGate(self._engine).offload(gather))
        await self._stages(stages)
        return stages.results

    async def close(self, timeout: Duration | None = None) -> None:  # noqa: ASYNC109
        """Stop taking jobs, wait for the running ones, close the file. Twice is no error.

        Args:
            timeout: seconds to wait for running jobs; `shutdown_timeout` when absent. What is
                unfinished then goes back into the queue.
        """
        wait = self.config.shutdown_timeout if timeout is None else timeout
        await AsyncGate(self._engine).offload(partial(self._close, seconds(wait)))

    def _close(self, wait: float) -> None:
        self._workers.close(wait)
        self._endings.close()
        self._feed.close()
        self._engine.close()
        self._jobs.detach(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({os.fspath(self.config.path)!r})"
