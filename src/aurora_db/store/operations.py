"""Running plans: each root of an operation becomes a runner, made once and kept with the text.

A runner is a core verb over a `Port` that gives the root's own result. What a plan means for
jobs is not known on this floor: `enqueue` is handed in by the façade.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, assert_never

import msgspec

from aurora_db.aql import plan, resolve, system
from aurora_db.aql.catalog import Catalog, Collection
from aurora_db.base.errors import NotFound, TypeMismatch, UnusedVariable
from aurora_db.sql import lower
from aurora_db.store import catalog as definitions
from aurora_db.store import documents
from aurora_db.store.documents import Document
from aurora_db.store.port import Port

#: Texts whose plans are kept.
KEPT = 1_000


class Scope(msgspec.Struct):
    """What one execution knows: variables, and results of earlier parts by their key."""

    variables: Mapping[str, Any]
    results: dict[str, Any] = {}

    def value(self, value: plan.Value) -> Any:
        """The Python value that a plan's value has now."""
        return resolve.value_of(value, self.variables, self.results)


Runner = Callable[[Port, Scope], Awaitable[Any]]
Enqueue = Callable[[Port, Mapping[str, Any]], Awaitable[str]]


class Prepared(msgspec.Struct, frozen=True):
    """One operation, ready to run as often as wanted.

    `bounded`: short enough to run on an event loop. `single`: one statement, which needs no
    read transaction around it.
    """

    operation: plan.Operation
    runners: tuple[tuple[str, Runner], ...]
    bounded: bool
    single: bool

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

    def prepare(self, text: str, catalog: Catalog) -> tuple[Prepared, ...]:
        """The operations of `text`, resolved against `catalog`.

        Raises:
            AqlError: the text is refused; nothing ran.
        """
        kept = self._kept.get(text)
        if kept is not None and kept[0] == catalog.version:
            return kept[1]
        from aurora_db.aql import parser  # noqa: PLC0415 - programs without AQL texts do without

        meant = resolve.resolve(parser.parse(text), text, catalog)
        prepared = tuple(self._operation(operation) for operation in meant.operations)
        while len(self._kept) >= KEPT:
            self._kept.pop(next(iter(self._kept)), None)
        self._kept[text] = (catalog.version, prepared)
        return prepared

    def _operation(self, operation: plan.Operation) -> Prepared:
        lowered: list[lower.Lowered] = []
        runners = tuple((root.key, self._runner(root, lowered)) for root in operation.roots)
        simple = not operation.writes and len(lowered) == len(operation.roots)
        return Prepared(
            operation=operation,
            runners=runners,
            bounded=simple and all(one.bounded for one in lowered),
            single=simple and len(lowered) == 1,
        )

    def _runner(self, part: plan.Part, lowered: list[lower.Lowered]) -> Runner:
        match part:
            case plan.Query():
                return _query(part, lowered)
            case plan.Insert():
                return partial(_insert, part)
            case plan.InsertMany():
                return partial(_insert_many, part)
            case plan.Update():
                return partial(_update, part)
            case plan.Delete():
                return partial(_delete, part)
            case plan.EnqueueJob():
                return partial(_enqueue_job, part, self._enqueue)
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


# --- queries --------------------------------------------------------------------------------


def _query(query: plan.Query, lowered: list[lower.Lowered]) -> Runner:
    if lower.has_where_variable(query.where):
        return partial(_late_query, query)
    if query.aggregates:
        return partial(_with_aggregates, query)
    ready = lower.query(query)
    lowered.append(ready)
    return partial(_ready_query, ready)


async def _ready_query(ready: lower.Lowered, port: Port, scope: Scope) -> list[Document]:
    rows = await port.rows(ready.statement.text, ready.statement.bind(scope.variables))
    return list(map(ready.reader, rows))


async def _late_query(query: plan.Query, port: Port, scope: Scope) -> Any:
    known = msgspec.structs.replace(query, where=_expand(query.where, port.catalog, scope))
    return await _query(known, [])(port, scope)


async def _with_aggregates(query: plan.Query, port: Port, scope: Scope) -> Document:
    result: Document = {}
    if query.outputs:
        ready = lower.query(msgspec.structs.replace(query, aggregates=()))
        result["nodes"] = await _ready_query(ready, port, scope)
    statement = lower.aggregate(query)
    row = await port.row(statement.text, statement.bind(scope.variables))
    total = 0 if row is None else row[0]
    for key, counts in query.aggregates:
        result[key] = {count.key: total for count in counts}
    return result


def _expand(where: plan.Where, catalog: Catalog, scope: Scope) -> plan.Where:
    """`where` with every `where: $variable` replaced by what the variable says."""
    match where:
        case plan.WhereVariable(name=name, collection=collection):
            given = scope.variables.get(name)
            if given is None:
                return plan.ALWAYS
            if not isinstance(given, Mapping):
                raise TypeMismatch(f"variable '${name}' is a where-object, got {given!r}")
            return resolve.resolve_where(collection, given, catalog)
        case plan.And(parts=parts):
            return plan.And(tuple(_expand(part, catalog, scope) for part in parts))
        case plan.Or(parts=parts):
            return plan.Or(tuple(_expand(part, catalog, scope) for part in parts))
        case plan.Not(part=part):
            return plan.Not(_expand(part, catalog, scope))
        case plan.Compare():
            return where
        case _:
            assert_never(where)


async def _by_ids(
    port: Port, collection: Collection, outputs: tuple[plan.Output, ...], ids: Sequence[str]
) -> list[Document]:
    """The documents of these ids in the order of the ids."""
    id_path = plan.Path(field=collection.fields[0], type=collection.fields[0].type)
    marker = plan.Output(key="\0id", path=id_path)
    query = plan.Query(
        key="",
        collection=collection,
        outputs=(*outputs, marker),
        where=plan.Compare(id_path, "in", plan.Constant(list(ids))),
    )
    ready = lower.query(query)
    rows = await port.rows(ready.statement.text, ready.statement.bind({}))
    found = {document.pop("\0id"): document for document in map(ready.reader, rows)}
    return [found[id] for id in ids if id in found]


# --- mutations ------------------------------------------------------------------------------


def _as_document(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeMismatch(f"{what} is an object, got {value!r}")
    return value


async def _insert(part: plan.Insert, port: Port, scope: Scope) -> Document:
    document = _as_document(scope.value(part.data), "'data'")
    ids = await documents.insert_many(port, part.collection.name, [document])
    return (await _by_ids(port, part.collection, part.outputs, ids))[0]


async def _insert_many(part: plan.InsertMany, port: Port, scope: Scope) -> Document:
    given = scope.value(part.data)
    if not isinstance(given, (list, tuple)):
        raise TypeMismatch(f"'data' is a list of objects, got {given!r}")
    rows = [_as_document(one, "each element of 'data'") for one in given]
    ids = await documents.insert_many(port, part.collection.name, rows)
    nodes = await _nodes(port, part.collection, part.result, ids)
    return _affected(part.result, ids, nodes)


async def _update(part: plan.Update, port: Port, scope: Scope) -> Document:
    changes = _as_document(scope.value(part.data), "'data'")
    where = _expand(part.where, port.catalog, scope)
    ids = await documents.update_where(port, part.collection, where, changes, scope.variables)
    nodes = await _nodes(port, part.collection, part.result, ids)
    return _affected(part.result, ids, nodes)


async def _delete(part: plan.Delete, port: Port, scope: Scope) -> Document:
    where = _expand(part.where, port.catalog, scope)
    nodes: list[Document] = []
    if part.result.nodes:
        before = plan.Query(
            key="", collection=part.collection, outputs=part.result.nodes, where=where
        )
        nodes = await _ready_query(lower.query(before), port, scope)
    statement = lower.delete(part.collection, where)
    rows = await port.rows(statement.text, statement.bind(scope.variables))
    if rows:
        documents.touch_handlers(port, part.collection)
    return _affected(part.result, [row[0] for row in rows], nodes)


async def _nodes(
    port: Port, collection: Collection, result: plan.Affected, ids: Sequence[str]
) -> list[Document]:
    if not result.nodes:
        return []
    return await _by_ids(port, collection, result.nodes, ids)


def _affected(result: plan.Affected, ids: list[str], nodes: list[Document]) -> Document:
    values: dict[str, Any] = {"count": len(ids), "affected": len(ids), "ids": ids, "nodes": nodes}
    return {key: values[what] for key, what in result.keys}


async def _enqueue_job(
    part: plan.EnqueueJob, enqueue: Enqueue, port: Port, scope: Scope
) -> Document:
    options = {name: scope.value(value) for name, value in part.options}
    id = await enqueue(port, options)
    return (await _by_ids(port, system.SYSTEM["_jobs"], part.outputs, [id]))[0]


async def _transaction(parts: tuple[tuple[str, Runner], ...], port: Port, scope: Scope) -> Document:
    results: Document = {}
    for key, runner in parts:
        results[key] = scope.results[key] = await runner(port, scope)
    return results


# --- definitions ----------------------------------------------------------------------------


async def _define_schema(part: plan.DefineSchema, port: Port, _scope: Scope) -> Document:
    steps = await definitions.define_collections(port, part.definitions)
    return {
        "operation": "schema",
        "collections": [one.collection.name for one in part.definitions],
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
