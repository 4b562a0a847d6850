"""Syntax + catalog → plan: what a text means, and every "no such …" error.

A text is understood whole or refused whole. Definitions count for what follows them in the same
text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aurora_db.aql import handlers, plan, suggest, syntax, system
from aurora_db.aql.catalog import Catalog, Collection
from aurora_db.aql.conditions import resolve_where
from aurora_db.aql.define import Definitions
from aurora_db.aql.selections import Selections, everything, key_of, refuse_directives, unique_keys
from aurora_db.aql.values import Scope, bind, declare, value_of
from aurora_db.base.errors import (
    AccessDenied,
    AqlError,
    DuplicateAlias,
    MissingWhere,
    Span,
    TypeMismatch,
    UnknownCollection,
    UnknownField,
)

bind_variables = bind

QUERY_ARGUMENTS: Final = {
    "where": "where", "filter": "where", "id": "id", "orderBy": "orderBy", "limit": "limit", "first": "limit",
    "offset": "offset", "skip": "offset",
}  # fmt: skip
LATER_QUERY: Final = (
    "after",
    "last",
    "before",
    "search",
    "via",
    "mode",
    "since",
    "initial",
    "debounce",
)
LATER_MUTATIONS: Final = frozenset(
    {"upsert", "enqueueJobs", "cancelJob", "retryJob", "publish", "import", "export"}
)

JOB_ARGUMENTS: Final = {
    "type": "type", "jobType": "type", "payload": "payload", "priority": "priority", "retries": "retries",
    "maxRetries": "retries", "runAt": "run_at", "scheduledAt": "run_at", "delay": "delay", "queue": "queue",
    "timeout": "timeout", "tags": "tags", "backoff": "backoff",
}  # fmt: skip
LATER_JOB: Final = ("unique", "after")
JOB_SYNONYMS: Final = {"jobId": "id", "job_id": "id", "job_type": "type", "jobType": "type"}

COUNTED: Final = {"count": "count", "ids": "ids", "nodes": "nodes"}
AFFECTED: Final = {
    "affected": "affected",
    "affectedCount": "affected",
    "ids": "ids",
    "nodes": "nodes",
}


def resolve(document: syntax.Document, text: str, catalog: Catalog) -> plan.Plan:
    """The plan of a text against `catalog`.

    Raises:
        AqlError: the text is refused, with its place.
        SchemaError: a definition in it is refused.
    """
    known = catalog
    operations: list[plan.Operation] = []
    names: set[str] = set()
    for definition in document.definitions:
        operation = _Resolver(text, known).definition(definition)
        if operation.name is not None:
            if operation.name in names:
                raise DuplicateAlias(
                    f"two operations are named '{operation.name}'",
                    source=text,
                    span=definition.span,
                )
            names.add(operation.name)
        operations.append(operation)
        known = _after(known, operation.roots)
    return plan.Plan(tuple(operations), catalog.version)


def _after(catalog: Catalog, roots: tuple[plan.Part, ...]) -> Catalog:
    """The catalog with what an operation defines, for the operations after it."""
    made = {
        one.collection.name: one.collection
        for root in roots
        if isinstance(root, plan.DefineSchema)
        for one in root.definitions
        if not (one.if_not_exists and one.collection.name in catalog.collections)
    }
    if not made:
        return catalog
    return Catalog({**catalog.collections, **made}, catalog.handlers, catalog.version)


def collection_named(name: str, catalog: Catalog | None) -> Collection:
    """The collection of this name; without a catalog, of the system's.

    Raises:
        UnknownCollection: there is none.
    """
    known: Mapping[str, Collection] = system.SYSTEM if catalog is None else catalog.collections
    found = known.get(name)
    if found is None:
        raise UnknownCollection(f"no collection named '{name}'", hint=_define_hint(name, known))
    return found


def _define_hint(name: str, known: Mapping[str, Collection]) -> str:
    found = suggest.hint(name, known)
    return found or f"define it: schema {{ define collection {name} {{ … }} }}"


class _Resolver:
    """Resolves the definitions of one text, one at a time."""

    def __init__(self, text: str, catalog: Catalog) -> None:
        self._text = text
        self._catalog = catalog
        self._scope = Scope(text, {})

    def definition(self, node: syntax.Definition) -> plan.Operation:
        match node:
            case syntax.Operation():
                return self._operation(node)
            case syntax.SchemaBlock():
                return _bare("schema", self._schema(node, "schema"))
            case syntax.CollectionDefinition():
                return _bare(
                    "schema", self._schema(syntax.SchemaBlock((node,), span=node.span), "schema")
                )
            case syntax.HandlerDefinition():
                return _bare("handler", handlers.define(node, self._text, self._catalog))
            case syntax.HandlerDrop():
                return _bare("handler", plan.DropHandler(node.name.value, node.if_exists))

    # --- operations -------------------------------------------------------------------------

    def _operation(self, node: syntax.Operation) -> plan.Operation:
        declared = declare(node.variables, self._text)
        self._scope = Scope(self._text, declared)
        refuse_directives(self._scope, node.directives)
        if node.kind == "query":
            roots: tuple[plan.Part, ...] = tuple(self._query(one) for one in node.roots)
            unique_keys(self._scope, node.roots, [root.key for root in roots])
        elif node.kind == "mutation":
            roots = self._parts(node.roots)
        else:
            raise self._scope.unsupported("subscriptions are", node.span)
        self._scope.finish(node)
        only = roots[0] if len(roots) == 1 else None
        return plan.Operation(
            name=None if node.name is None else node.name.text,
            kind=node.kind,
            variables=tuple(declared.values()),
            roots=roots,
            writes=node.kind == "mutation",
            # `mutation { schema { … } }` is another spelling of `schema { … }`.
            bare=isinstance(only, plan.DefineSchema),
        )

    def _collection(self, name: str, span: Span) -> Collection:
        found = self._catalog.collections.get(name)
        if found is None:
            raise self._scope.fail(
                UnknownCollection,
                f"no collection named '{name}'",
                span,
                _define_hint(name, self._catalog.collections),
            )
        return found

    def _query(self, root: syntax.MutationPart) -> plan.Query:
        if not isinstance(root, syntax.FieldSelection):
            raise self._scope.fail(AqlError, "a query reads; write this in a mutation", root.span)
        name = root.name.text
        if name == "__schema":
            raise self._scope.unsupported("introspection is", root.name.span)
        refuse_directives(self._scope, root.directives)
        collection = self._collection(name, root.name.span)
        arguments = self._scope.arguments(
            f"the collection '{name}'", root.arguments, QUERY_ARGUMENTS, LATER_QUERY
        )
        return Selections(collection, self._scope).query(root, arguments)

    # --- mutations --------------------------------------------------------------------------

    def _parts(self, nodes: tuple[syntax.MutationPart, ...]) -> tuple[plan.Part, ...]:
        parts: list[plan.Part] = []
        for node in nodes:
            part = self._part(node)
            if part.key in {one.key for one in parts}:
                raise self._scope.fail(
                    DuplicateAlias,
                    f"two results would have the key '{part.key}'",
                    node.span,
                    f"give one an alias: other: {part.key}",
                )
            parts.append(part)
            self._scope.parts.add(part.key)
        return tuple(parts)

    def _part(self, node: syntax.MutationPart) -> plan.Part:
        match node:
            case syntax.SchemaBlock():
                return self._schema(node, "schema")
            case syntax.TransactionBlock():
                key = "transaction" if node.alias is None else node.alias.text
                return plan.Transaction(key, self._parts(node.parts))
            case syntax.FieldSelection():
                return self._verb(node)

    def _verb(self, node: syntax.FieldSelection) -> plan.Part:
        refuse_directives(self._scope, node.directives)
        name = node.name.text
        match name:
            case "insertInto" | "insert":
                return self._insert(node)
            case "insertMany":
                return self._insert_many(node)
            case "update":
                return self._update(node)
            case "deleteFrom" | "delete":
                return self._delete(node)
            case "enqueueJob":
                return self._enqueue(node)
            case _:
                pass
        if name in LATER_MUTATIONS:
            raise self._scope.unsupported(f"'{name}' is", node.name.span)
        known = (
            "insertInto",
            "insertMany",
            "update",
            "deleteFrom",
            "enqueueJob",
            "transaction",
            "schema",
        )
        raise self._scope.fail(
            UnknownField, f"no mutation named '{name}'", node.name.span,
            suggest.hint(name, known, f"mutations are {', '.join(known)}"),
        )  # fmt: skip

    def _target(self, node: syntax.FieldSelection, allowed: Mapping[str, str], absent: tuple[str, ...] = ()) -> tuple[Collection, dict[str, syntax.Entry]]:  # fmt: skip
        verb = node.name.text
        given = self._scope.arguments(
            verb, node.arguments, {"collection": "collection", **allowed}, absent
        )
        entry = self._scope.needed(verb, given, "collection", node.name.span)
        value = entry.value
        name = value.text if isinstance(value, syntax.Word) else self._scope.text_of(entry)
        collection = self._collection(name, value.span)
        if collection.system:
            hint = "use enqueueJob" if name == "_jobs" else "system collections are readable"
            raise AccessDenied(f"the system collection '{name}' cannot be written", hint=hint)
        return collection, given

    def _data(self, verb: str, given: Mapping[str, syntax.Entry], node: syntax.FieldSelection, collection: Collection) -> plan.Value:  # fmt: skip
        entry = self._scope.needed(verb, given, "data", node.name.span)
        value = entry.value
        items = value.items if isinstance(value, syntax.ListLiteral) else (value,)
        for item in items:
            if isinstance(item, syntax.ObjectLiteral):
                self._known_fields(item, collection, updating=verb == "update")
            elif not isinstance(item, syntax.VariableRef):
                raise self._scope.fail(TypeMismatch, f"'data' of {verb} holds objects", item.span)
        return self._scope.value(value)

    def _known_fields(
        self, value: syntax.ObjectLiteral, collection: Collection, *, updating: bool
    ) -> None:
        known = {field.name: field for field in collection.fields}
        for entry in value.entries:
            name = entry.key.text
            field = known.get("id" if name == "_sid" else name)
            if "." in name:
                raise self._scope.unsupported("setting a path inside an object is", entry.key.span)
            if field is None and (not collection.flexible or name.startswith("_")):
                raise self._scope.fail(
                    UnknownField, f"no field named '{name}' in collection '{collection.name}'", entry.key.span,
                    suggest.hint(name, known, "declare it, or define the collection @flexible"),
                )  # fmt: skip
            if updating:
                self._no_operator(
                    entry, field is None or field.type.name in ("Object", "JSON", "Any")
                )

    def _no_operator(self, entry: syntax.Entry, holds_objects: bool) -> None:
        if not isinstance(entry.value, syntax.ObjectLiteral) or len(entry.value.entries) != 1:
            return
        word = entry.value.entries[0].key.text
        always = {"unset", "expr", "setOnInsert", "set"}
        others = {
            "increment",
            "decrement",
            "multiply",
            "min",
            "max",
            "push",
            "pushAll",
            "pull",
            "addToSet",
            "removeAt",
        }
        if word in always or (word in others and not holds_objects):
            raise self._scope.unsupported(
                f"the update operator '{word}' is", entry.value.entries[0].key.span
            )

    def _insert(self, node: syntax.FieldSelection) -> plan.Insert:
        collection, given = self._target(node, {"data": "data"})
        data = self._data("insertInto", given, node, collection)
        selections = Selections(collection, self._scope)
        outputs = (
            selections.outputs(node.selection) if node.selection else everything(collection)[:1]
        )
        return plan.Insert(key_of(node), collection, data, outputs)

    def _insert_many(self, node: syntax.FieldSelection) -> plan.InsertMany:
        collection, given = self._target(node, {"data": "data"}, ("onConflict",))
        data = self._data("insertMany", given, node, collection)
        return plan.InsertMany(
            key_of(node),
            collection,
            data,
            Selections(collection, self._scope).affected(node, COUNTED),
        )

    def _update(self, node: syntax.FieldSelection) -> plan.Update:
        allowed = {
            "where": "where",
            "filter": "where",
            "id": "id",
            "data": "data",
            "set": "data",
            "all": "all",
        }
        collection, given = self._target(node, allowed, ("ifRev",))
        where = self._where(node, collection, given)
        data = self._data("update", given, node, collection)
        return plan.Update(
            key_of(node),
            collection,
            where,
            data,
            Selections(collection, self._scope).affected(node, AFFECTED),
        )

    def _delete(self, node: syntax.FieldSelection) -> plan.Delete:
        allowed = {"where": "where", "filter": "where", "id": "id", "all": "all"}
        collection, given = self._target(node, allowed, ("ifRev",))
        where = self._where(node, collection, given)
        return plan.Delete(
            key_of(node),
            collection,
            where,
            Selections(collection, self._scope).affected(node, AFFECTED),
        )

    def _where(
        self, node: syntax.FieldSelection, collection: Collection, given: Mapping[str, syntax.Entry]
    ) -> plan.Where:
        whole = "all" in given and given["all"].value == syntax.BooleanLiteral(True)
        if "all" in given and not isinstance(given["all"].value, syntax.BooleanLiteral):
            raise self._scope.fail(TypeMismatch, "'all' is true or false", given["all"].value.span)
        entry = given.get("where")
        empty = (
            entry is not None
            and isinstance(entry.value, syntax.ObjectLiteral)
            and not entry.value.entries
        )
        if not whole and "id" not in given and (entry is None or empty):
            raise self._scope.fail(
                MissingWhere, f"{node.name.text} without a condition would change every document of '{collection.name}'",
                node.name.span, "give where or id, or write all: true",
            )  # fmt: skip
        return Selections(collection, self._scope).where(given)

    def _enqueue(self, node: syntax.FieldSelection) -> plan.EnqueueJob:
        given = self._scope.arguments("enqueueJob", node.arguments, JOB_ARGUMENTS, LATER_JOB)
        self._scope.needed("enqueueJob", given, "type", node.name.span)
        options: list[tuple[str, plan.Value]] = []
        for name, entry in given.items():
            options.append((name, handlers.job_option(self._scope, name, entry)))
        jobs = system.SYSTEM["_jobs"]
        selections = Selections(jobs, self._scope, JOB_SYNONYMS)
        id = plan.Output("jobId", plan.Path(jobs.fields[0], (), jobs.fields[0].type))
        outputs = selections.outputs(node.selection) if node.selection else (id,)
        return plan.EnqueueJob(key_of(node), tuple(options), outputs)

    # --- definitions ------------------------------------------------------------------------

    def _schema(self, node: syntax.SchemaBlock, key: str) -> plan.DefineSchema:
        definitions: list[plan.DefineCollection] = []
        names: list[str] = []
        for statement in node.statements:
            if statement.name.text in names:
                raise self._scope.fail(
                    DuplicateAlias,
                    f"the collection '{statement.name.text}' is defined twice here",
                    statement.name.span,
                )
            collection = Definitions(self._scope, self._catalog).collection(statement, names)
            names.append(collection.name)
            definitions.append(plan.DefineCollection(collection, statement.if_not_exists))
        return plan.DefineSchema(key, tuple(definitions))


def _bare(kind: str, root: plan.Part) -> plan.Operation:
    return plan.Operation(name=None, kind=kind, variables=(), roots=(root,), writes=True, bare=True)


__all__ = ["bind_variables", "collection_named", "resolve", "resolve_where", "value_of"]
