"""Mutations → plan: the verbs that write documents and jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aurora_db.aql import directives, handlers, plan, suggest, syntax, system
from aurora_db.aql.catalog import Collection
from aurora_db.aql.selections import Selections, everything, key_of
from aurora_db.aql.values import Scope
from aurora_db.base.errors import (
    AccessDenied,
    DuplicateAlias,
    MissingWhere,
    Span,
    TypeMismatch,
    UnknownField,
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


class Mutations:
    """Resolves the parts of one mutation.

    Args:
        scope: the text and the variables.
        collection: finds a collection by name, or refuses it with its place.
        schema: resolves a `schema` block.
    """

    def __init__(
        self,
        scope: Scope,
        collection: Callable[[str, Span], Collection],
        schema: Callable[[syntax.SchemaBlock, str], plan.DefineSchema],
    ) -> None:
        self._scope = scope
        self._collection = collection
        self._schema = schema

    def parts(
        self, nodes: Sequence[syntax.MutationPart | syntax.Selection]
    ) -> tuple[plan.Part, ...]:
        """The parts in their order; each may read what earlier ones gave."""
        parts: list[plan.Part] = []
        for node in nodes:
            here = not isinstance(node, syntax.FieldSelection) or directives.kept(
                self._scope, node.directives
            )
            part = self._part(node)
            if not here:
                continue
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

    def _part(self, node: syntax.MutationPart | syntax.Selection) -> plan.Part:
        match node:
            case syntax.SchemaBlock():
                return self._schema(node, "schema")
            case syntax.TransactionBlock():
                key = "transaction" if node.alias is None else node.alias.text
                return plan.Transaction(key, self.parts(node.parts))
            case syntax.FieldSelection():
                return self._verb(node)
            case _:
                raise AssertionError("the parser lets no fragment into a mutation")

    def _verb(self, node: syntax.FieldSelection) -> plan.Part:
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
        where = Selections(collection, self._scope).where(given)
        # What a variable says may be nothing: that is meant, then.
        return plan.And((where, plan.ALWAYS)) if whole else where

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
