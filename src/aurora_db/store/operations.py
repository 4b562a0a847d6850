"""Running plans: each root of an operation becomes a runner, made once and kept with the text.

A runner is a core verb over a `Port` that gives the root's own result. What a plan means for
jobs is not known on this floor: the verbs on jobs are handed in by the façade.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar, assert_never, cast

import msgspec

from aurora_db.aql import plan, resolve, syntax
from aurora_db.aql.catalog import Catalog
from aurora_db.base.codec import encode
from aurora_db.base.errors import NotFound, TypeMismatch, UnusedVariable
from aurora_db.sql import lower
from aurora_db.store import (
    event_handlers,
    exclusive,
    explain,
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
from aurora_db.store.port import Port
from aurora_db.store.recent import Recent
from aurora_db.store.scope import JobVerbs, Runner, Scope
from aurora_db.store.stages import Stages

T = TypeVar("T")

#: Texts whose plans are kept, and their characters together: a plan is some ten times its text.
KEPT = 1_000
KEPT_SIZE = 4 * 1024 * 1024


class Prepared(msgspec.Struct, frozen=True):
    """One operation, ready to run as often as wanted.

    `bounded`: short enough to run on an event loop. `single`: one statement, which needs no
    read transaction around it. `exclusive`: it runs alone, with foreign keys off. `stages`: it is
    several transactions, and has no runners.
    """

    operation: plan.Operation
    runners: tuple[tuple[str, Runner], ...]
    bounded: bool
    single: bool
    exclusive: bool = False
    stages: Callable[[], Stages] | None = None

    async def execute(self, port: Port, variables: Mapping[str, Any]) -> Any:
        """The result of the operation, with `_explain` where it asks for that."""
        if not self.operation.explain:
            return await self.run(port, variables)
        result, how = await explain.noted(self, port, variables)
        return {**result, "_explain": explain.shown(how)}

    async def run(self, port: Port, variables: Mapping[str, Any]) -> Any:
        """The result of the operation: an object of its roots, or the one root's own."""
        if self.stages is not None:
            return await _at_once(self.stages(), port)
        scope = Scope(variables)
        results: Document = {}
        for key, runner in self.runners:
            result = await runner(port, scope)
            if self.operation.bare:
                return result
            results[key] = scope.results[key] = result
        return results


class Plans:
    """Texts and what they mean, by exact text; an entry dies with its catalog version."""

    def __init__(self, jobs: JobVerbs) -> None:
        self._jobs = jobs
        self._kept: Recent[str, tuple[int, tuple[Prepared, ...]]] = Recent(KEPT, KEPT_SIZE)
        self._shaped: Recent[tuple[str, int, str], tuple[int, Prepared]] = Recent(KEPT, KEPT_SIZE)

    def prepare(self, text: str, catalog: Catalog) -> tuple[Prepared, ...]:
        """The operations of `text`, resolved against `catalog`.

        Raises:
            AqlError: the text is refused; nothing ran.
        """
        if not isinstance(cast("object", text), str):
            raise TypeMismatch("a text of AQL is a str")
        kept = self._kept.get(text)
        if kept is not None and kept[0] == catalog.version:
            return kept[1]
        from aurora_db.aql import parser  # noqa: PLC0415 - programs without AQL texts do without

        meant = resolve.resolve(parser.parse(text), text, catalog)
        prepared = tuple(self._operation(operation) for operation in meant.operations)
        self._kept.put(text, (catalog.version, prepared), len(text))
        return prepared

    def ready(
        self, text: str, index: int, catalog: Catalog, variables: Mapping[str, Any]
    ) -> Prepared:
        """One operation of `text` as it runs with these values of its variables.

        Raises:
            AqlError: a value does not fit its place.
        """
        kept = self._kept.get(text)
        version, prepared = kept or (catalog.version, self.prepare(text, catalog))
        checked = prepared[index]
        operation = checked.operation
        if version == catalog.version and not operation.shaped:
            return checked
        shaping = {name: variables.get(name) for name in operation.shaping}
        key = (text, index, encode(shaping))
        shaped = self._shaped.get(key)
        if shaped is not None and shaped[0] == catalog.version:
            return shaped[1]
        from aurora_db.aql import parser  # noqa: PLC0415 - as above

        known = variables if operation.shaped else None
        made = self._operation(resolve.resolve_one(parser.parse(text), text, catalog, index, known))
        self._shaped.put(key, (catalog.version, made), len(text) + len(key[2]))
        return made

    def check(
        self, text: str, wanted: Sequence[tuple[int, Prepared]], bound: Sequence[Mapping[str, Any]], catalog: Catalog
    ) -> None:  # fmt: skip
        """Refuse what no place of the operations can have, of those before any definition.

        Raises:
            AqlError: a value does not fit its place.
        """
        for (index, one), values in zip(wanted, bound, strict=True):
            roots = one.operation.roots
            if one.operation.bare or any(isinstance(root, plan.DefineSchema) for root in roots):
                return
            self.ready(text, index, catalog, values)

    def _operation(self, operation: plan.Operation) -> Prepared:
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
        return await self._operation(operation).run(port, {})

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
                return partial(mutations.update, part)
            case plan.Delete():
                return partial(mutations.delete, part)
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
            case plan.Migrate() | plan.BackfillHandler():
                raise AssertionError("what is several transactions is alone, and has stages")
            case _:
                assert_never(part)


async def _at_once(stages: Stages, port: Port) -> Any:
    """All stages in one transaction, for who asks how an operation runs."""
    verb = stages.next()
    while verb is not None:
        stages.take(await verb(port))
        verb = stages.next()
    return stages.result()


async def _transaction(parts: tuple[tuple[str, Runner], ...], port: Port, scope: Scope) -> Document:
    results: Document = {}
    inner = scope.inner()
    for key, runner in parts:
        results[key] = inner.results[key] = await runner(port, inner)
    return results


# --- definitions ----------------------------------------------------------------------------


async def _defined(
    verb: Callable[[Port, T], Awaitable[Document]], part: T, port: Port, _scope: Scope
) -> Document:
    return await verb(port, part)


# --- texts ----------------------------------------------------------------------------------


def chosen(prepared: Sequence[Prepared], name: str | None) -> Sequence[tuple[int, Prepared]]:
    """The operations to run with their places: all in order, or the one called `name`.

    Raises:
        NotFound: no operation of the text has this name.
    """
    if name is None:
        return tuple(enumerate(prepared))
    for index, one in enumerate(prepared):
        if one.operation.name == name:
            return ((index, one),)
    names = ", ".join(f"'{one.operation.name}'" for one in prepared if one.operation.name)
    raise NotFound(
        f"no operation named '{name}' in the text", hint=f"it has {names or 'no named one'}"
    )


def only(
    ready: Sequence[tuple[int, Prepared, Mapping[str, Any]]],
) -> tuple[int, Prepared, Mapping[str, Any]]:
    """The one operation of a text.

    Raises:
        NotFound: there are several.
    """
    if len(ready) != 1:
        raise NotFound(
            f"the text has {len(ready)} operations, one is explained at a time",
            hint="choose one by operation=",
        )
    return ready[0]


def variables_of(
    operations: Sequence[Prepared], given: Mapping[str, Any] | None, text: str | None = None
) -> list[dict[str, Any]]:
    """The checked variables of each operation of `text`, defaults applied, before anything runs.

    Raises:
        UndefinedVariable, UnusedVariable, TypeMismatch: a variable is missing, unknown or of
            another type than declared.
    """
    if len(operations) == 1:
        return [resolve.bind_variables(operations[0].operation, given, text)]
    given = resolve.named_variables(given)
    known = {one.name for each in operations for one in each.operation.variables}
    unused = sorted(set(given) - known)
    if unused:
        raise UnusedVariable(f"no operation of the text declares the variable '${unused[0]}'")
    bound: list[dict[str, Any]] = []
    for each in operations:
        own = {one.name for one in each.operation.variables}
        mine = {name: value for name, value in given.items() if name in own}
        bound.append(resolve.bind_variables(each.operation, mine, text))
    return bound


async def look(port: Port) -> None:
    """Read anything, so that definitions of other processes are noticed."""
    await port.row("SELECT 1 FROM _settings LIMIT 1")
