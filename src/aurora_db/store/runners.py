"""What runs a plan: each root of an operation becomes a runner, a core verb over a `Port`.

What a plan means for jobs is not known on this floor: the verbs on jobs are handed in by the façade.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar, assert_never

from aurora_db.aql import plan, publishing, resolve, syntax
from aurora_db.base.errors import Unsupported
from aurora_db.sql import lower
from aurora_db.store import (
    event_handlers,
    exclusive,
    job_mutations,
    migrations,
    mutations,
    queries,
    rules,
    schedules,
    schema,
    transfer,
)
from aurora_db.store.backfill import Backfill
from aurora_db.store.documents import Document
from aurora_db.store.operations import Prepared
from aurora_db.store.port import Port
from aurora_db.store.scope import JobVerbs, Runner, Scope
from aurora_db.store.stages import Stages

T = TypeVar("T")


class Runners:
    """Makes operations ready to run; `jobs` are the verbs on jobs."""

    def __init__(self, jobs: JobVerbs) -> None:
        self._jobs = jobs

    def operation(self, operation: plan.Operation) -> Prepared:
        """An operation, ready to run."""
        # Directives may leave nothing of an operation.
        stages = self._stages(operation.roots[0]) if operation.roots else None
        if stages is not None:
            return Prepared(operation, (), bounded=False, single=False, stages=stages)
        lowered: list[lower.Lowered] = []
        runners = tuple((root.key, self._runner(root, lowered)) for root in operation.roots)
        simple = not operation.writes and len(lowered) == len(operation.roots)
        return Prepared(
            operation=operation,
            runners=runners,
            bounded=simple and all(one.bounded for one in lowered),
            single=simple and len(lowered) == 1 and lowered[0].alone,
            exclusive=exclusive.is_exclusive(operation),
        )

    def _stages(self, part: plan.Part) -> Callable[[], Stages] | None:
        """What makes the stages of an operation that is several transactions."""
        match part:
            case plan.Migrate():
                return partial(self.migration, part)
            case plan.BackfillHandler():
                return partial(Backfill, part)
            case _:
                return None

    def migration(self, block: plan.Migrate) -> migrations.Migration:
        """The stages of a migration."""
        return migrations.Migration(block.versions, self._definition, dry_run=block.dry_run)

    async def _definition(self, port: Port, text: str, node: syntax.Definition) -> Any:
        """Resolve one definition against what the transaction sees, and run it."""
        (operation,) = resolve.resolve(syntax.Document((node,)), text, port.catalog).operations
        return await self.operation(operation).run(port, {})

    def runner(self, part: plan.Part) -> Runner:
        """What runs one part of a mutation."""
        return self._runner(part, [])

    def _runner(self, part: plan.Part, lowered: list[lower.Lowered]) -> Runner:
        match part:
            case plan.Query():
                return queries.query_runner(part, lowered)
            case plan.Insert():
                return partial(mutations.insert, part)
            case plan.InsertMany():
                return partial(mutations.insert_many, part)
            case plan.Update():
                return partial(mutations.update, part, mutations.Target(part))
            case plan.Delete():
                return partial(mutations.delete, part, mutations.Target(part))
            case plan.Upsert():
                return partial(mutations.upsert, part)
            case plan.Import():
                return partial(mutations.insert_many, part)
            case plan.Export():
                return partial(transfer.export, part)
            case plan.EnqueueJob():
                return partial(job_mutations.enqueue_job, part, self._jobs)
            case plan.EnqueueJobs():
                return partial(job_mutations.enqueue_jobs, part, self._jobs)
            case plan.CancelJobs() | plan.RetryJobs():
                return partial(job_mutations.change_jobs, part, self._jobs)
            case plan.Publish():
                return partial(_publish, part)
            case plan.Transaction():
                parts = tuple((inner.key, self._runner(inner, [])) for inner in part.parts)
                return partial(_transaction, parts)
            case plan.DefineSchema():
                return partial(schema.run, part)
            case plan.Introspection():
                return partial(schema.introspection, part)
            case plan.DefineHandler():
                return partial(_defined, event_handlers.define_handler, part)
            case plan.DropHandler():
                return partial(_defined, event_handlers.drop_handler, part)
            case plan.ControlHandler():
                return partial(_defined, event_handlers.control_handler, part)
            case plan.DefineSchedule():
                return partial(_defined, schedules.define_schedule, part)
            case plan.DropSchedule():
                return partial(_defined, schedules.drop_schedule, part)
            case plan.ControlSchedule():
                return partial(schedules.control_schedule, part, self.runner)
            case plan.DefineRules():
                return partial(_defined, rules.define_rules, part)
            case plan.DropRules():
                return partial(_defined, rules.drop_rules, part)
            case plan.Subscription():
                return partial(_no_subscription, part)
            case plan.Migrate() | plan.BackfillHandler():
                raise AssertionError("what is several transactions is alone, and has stages")
            case _:
                assert_never(part)


async def _transaction(parts: tuple[tuple[str, Runner], ...], port: Port, scope: Scope) -> Document:
    results: Document = {}
    inner = scope.inner()
    for key, runner in parts:
        results[key] = inner.results[key] = await runner(port, inner)
    return results


async def _publish(part: plan.Publish, port: Port, scope: Scope) -> Document:
    from aurora_db.store import topics  # noqa: PLC0415 - few programs publish

    topic, durable = publishing.given(scope.value(part.topic), scope.value(part.durable))
    position = await topics.publish(port, topic, scope.value(part.payload), durable)
    return {key: position for key, _ in part.keys}


# --- definitions ----------------------------------------------------------------------------


async def _defined(
    verb: Callable[[Port, T], Awaitable[Document]], part: T, port: Port, _scope: Scope
) -> Document:
    return await verb(port, part)


async def _no_subscription(part: plan.Subscription, _port: Port, _scope: Scope) -> Document:
    """Refuse to run what has no end."""
    raise Unsupported(
        f"the subscription '{part.key}' goes on: it is followed, not executed",
        hint="db.stream(text) follows it",
    )
