"""Running plans: each root of an operation becomes a runner, made once and kept with the text.

A runner is a core verb over a `Port` that gives the root's own result. What a plan means for
jobs is not known on this floor: `enqueue` is handed in by the façade.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, assert_never

import msgspec

from aurora_db.aql import parser, plan, resolve
from aurora_db.aql.catalog import Catalog
from aurora_db.base.codec import encode
from aurora_db.base.errors import NotFound, UnusedVariable
from aurora_db.sql import lower
from aurora_db.store import catalog as definitions
from aurora_db.store import explain, mutations, queries
from aurora_db.store.documents import Document
from aurora_db.store.port import Port
from aurora_db.store.scope import Enqueue, Runner, Scope

#: Texts whose plans are kept.
KEPT = 1_000


class Prepared(msgspec.Struct, frozen=True):
    """One operation, ready to run as often as wanted.

    `bounded`: short enough to run on an event loop. `single`: one statement, which needs no
    read transaction around it.
    """

    operation: plan.Operation
    runners: tuple[tuple[str, Runner], ...]
    bounded: bool
    single: bool

    async def execute(self, port: Port, variables: Mapping[str, Any]) -> Any:
        """The result of the operation, with `_explain` where it asks for that."""
        if not self.operation.explain:
            return await self.run(port, variables)
        result, how = await explain.noted(self, port, variables)
        return {**result, "_explain": explain.shown(how)}

    async def run(self, port: Port, variables: Mapping[str, Any]) -> Any:
        """The result of the operation: an object of its roots, or the one root's own."""
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

    def __init__(self, enqueue: Enqueue) -> None:
        self._enqueue = enqueue
        self._kept: dict[str, tuple[int, tuple[Prepared, ...]]] = {}
        self._shaped: dict[tuple[str, int, str], tuple[int, Prepared]] = {}

    def prepare(self, text: str, catalog: Catalog) -> tuple[Prepared, ...]:
        """The operations of `text`, resolved against `catalog`.

        Raises:
            AqlError: the text is refused; nothing ran.
        """
        kept = self._kept.get(text)
        if kept is not None and kept[0] == catalog.version:
            return kept[1]
        meant = resolve.resolve(parser.parse(text), text, catalog)
        prepared = tuple(self._operation(operation) for operation in meant.operations)
        while len(self._kept) >= KEPT:
            self._kept.pop(next(iter(self._kept)), None)
        self._kept[text] = (catalog.version, prepared)
        return prepared

    def ready(
        self, text: str, index: int, catalog: Catalog, variables: Mapping[str, Any]
    ) -> Prepared:
        """One operation of `text` as it runs with these values of its variables.

        Raises:
            AqlError: a value does not fit its place.
        """
        kept = self._kept.get(text)
        if kept is None:
            self.prepare(text, catalog)
            kept = self._kept[text]
        version, prepared = kept
        checked = prepared[index]
        operation = checked.operation
        if version == catalog.version and not operation.shaped:
            return checked
        shaping = {name: variables.get(name) for name in operation.shaping}
        key = (text, index, encode(shaping))
        shaped = self._shaped.get(key)
        if shaped is not None and shaped[0] == catalog.version:
            return shaped[1]
        known = variables if operation.shaped else None
        made = self._operation(resolve.resolve_one(parser.parse(text), text, catalog, index, known))
        while len(self._shaped) >= KEPT:
            self._shaped.pop(next(iter(self._shaped)), None)
        self._shaped[key] = (catalog.version, made)
        return made

    def _operation(self, operation: plan.Operation) -> Prepared:
        lowered: list[lower.Lowered] = []
        runners = tuple((root.key, self._runner(root, lowered)) for root in operation.roots)
        simple = not operation.writes and len(lowered) == len(operation.roots)
        return Prepared(
            operation=operation,
            runners=runners,
            bounded=simple and all(one.bounded for one in lowered),
            single=simple and len(lowered) == 1 and lowered[0].alone,
        )

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
            case plan.EnqueueJob():
                return partial(mutations.enqueue_job, part, self._enqueue)
            case plan.Transaction():
                parts = tuple((inner.key, self._runner(inner, [])) for inner in part.parts)
                return partial(_transaction, parts)
            case plan.DefineSchema():
                return partial(_define_schema, part)
            case plan.DefineHandler():
                return partial(_define_handler, part)
            case plan.DropHandler():
                return partial(_drop_handler, part)
            case _:
                assert_never(part)


async def _transaction(parts: tuple[tuple[str, Runner], ...], port: Port, scope: Scope) -> Document:
    results: Document = {}
    for key, runner in parts:
        results[key] = scope.results[key] = await runner(port, scope)
    return results


# --- definitions ----------------------------------------------------------------------------


async def _define_schema(part: plan.DefineSchema, port: Port, _scope: Scope) -> Document:
    steps = await definitions.define_collections(port, part.statements)
    return {
        "operation": "schema",
        "collections": [
            one.collection.name for one in part.statements if isinstance(one, plan.DefineCollection)
        ],
        "status": "done",
        "steps": steps,
    }


async def _define_handler(part: plan.DefineHandler, port: Port, _scope: Scope) -> Document:
    return await definitions.define_handler(port, part)


async def _drop_handler(part: plan.DropHandler, port: Port, _scope: Scope) -> Document:
    return await definitions.drop_handler(port, part)


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
    operations: Sequence[Prepared], given: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """The checked variables of each operation, defaults applied, before anything runs.

    Raises:
        UndefinedVariable, UnusedVariable, TypeMismatch: a variable is missing, unknown or of
            another type than declared.
    """
    given = given or {}
    if len(operations) == 1:
        return [resolve.bind_variables(operations[0].operation, given)]
    known = {one.name for each in operations for one in each.operation.variables}
    unused = sorted(set(given) - known)
    if unused:
        raise UnusedVariable(f"no operation of the text declares the variable '${unused[0]}'")
    bound: list[dict[str, Any]] = []
    for each in operations:
        own = {one.name for one in each.operation.variables}
        mine = {name: value for name, value in given.items() if name in own}
        bound.append(resolve.bind_variables(each.operation, mine))
    return bound


async def look(port: Port) -> None:
    """Read anything, so that definitions of other processes are noticed."""
    await port.row("SELECT 1 FROM _settings LIMIT 1")
