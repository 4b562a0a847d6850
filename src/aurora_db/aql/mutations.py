"""Mutations → plan: the verbs that write documents and jobs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aurora_db.aql import (
    changing,
    directives,
    elsewhere,
    inserting,
    plan,
    publishing,
    suggest,
    syntax,
)
from aurora_db.aql.catalog import Collection
from aurora_db.aql.directives import fields_of
from aurora_db.aql.expand import is_everything
from aurora_db.aql.job_mutations import JobMutations, counted_keys
from aurora_db.aql.results import shape_of
from aurora_db.aql.selections import Selections, everything, key_of
from aurora_db.aql.values import Scope
from aurora_db.base.errors import (
    AccessDenied,
    DuplicateAlias,
    MissingWhere,
    Span,
    TypeMismatch,
    UnknownEnum,
    UnknownField,
)

#: What an insert does where a unique value exists already.
CONFLICTS: Final = ("ERROR", "SKIP", "REPLACE")
FORMATS: Final = ("JSON", "CSV", "NDJSON", "PARQUET")
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
            self._scope.parts[part.key] = shape_of(part)
        return tuple(parts)

    def _part(self, node: syntax.MutationPart | syntax.Selection) -> plan.Part:
        match node:
            case syntax.SchemaBlock():
                return self._schema(node, "schema")
            case syntax.TransactionBlock():
                key = "transaction" if node.alias is None else node.alias.text
                outside = dict(self._scope.parts)
                parts = self.parts(node.parts)
                self._scope.parts = outside
                return plan.Transaction(key, parts)
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
            case "upsert":
                return self._upsert(node)
            case "import":
                return self._import(node)
            case "export":
                return self._export(node)
            case "enqueueJob" | "enqueueJobs" | "cancelJob" | "retryJob":
                return JobMutations(self._scope).part(node)
            case "publish":
                return publishing.resolve(self._scope, node)
            case _:
                pass
        known = (
            "insertInto", "insertMany", "update", "upsert", "deleteFrom", "import", "export", "enqueueJob",
            "enqueueJobs", "cancelJob", "retryJob", "publish", "transaction", "schema",
        )  # fmt: skip
        raise self._scope.fail(
            UnknownField, f"no mutation named '{name}'", node.name.span,
            elsewhere.mutation(name, self._scope.collections)
            or suggest.hint(name, known, f"mutations are {', '.join(known)}"),
        )  # fmt: skip

    def _target(self, node: syntax.FieldSelection, allowed: Mapping[str, str], *, system: bool = False) -> tuple[Collection, dict[str, syntax.Entry]]:  # fmt: skip
        verb = node.name.text
        given = self._scope.arguments(verb, node.arguments, {"collection": "collection", **allowed})
        entry = self._scope.needed(verb, given, "collection", node.name.span)
        value = entry.value
        name = value.text if isinstance(value, syntax.Word) else self._scope.text_of(entry)
        collection = self._collection(name, value.span)
        if collection.system and not system:
            hint = "use enqueueJob" if name == "_jobs" else "system collections are readable"
            raise AccessDenied(f"the system collection '{name}' cannot be written", hint=hint)
        return collection, given

    def _data(self, verb: str, given: Mapping[str, syntax.Entry], node: syntax.FieldSelection, collection: Collection) -> plan.Value:  # fmt: skip
        entry = self._scope.needed(verb, given, "data", node.name.span)
        value = entry.value
        if isinstance(value, syntax.VariableRef):
            return self._scope.value(value)
        if not isinstance(value, syntax.ObjectLiteral):
            raise self._scope.fail(TypeMismatch, f"'data' of {verb} holds objects", value.span)
        return changing.data(self._scope, collection, value)

    def _insert(self, node: syntax.FieldSelection) -> plan.Insert:
        collection, given = self._target(node, {"data": "data"})
        entry = self._scope.needed("insertInto", given, "data", node.name.span)
        data = inserting.document(self._scope, collection, entry, "insertInto")
        selections = Selections(collection, self._scope)
        outputs = (
            selections.outputs(node.selection) if node.selection else everything(collection)[:1]
        )
        return plan.Insert(key_of(node), collection, data, outputs)

    def _insert_many(self, node: syntax.FieldSelection) -> plan.InsertMany:
        collection, given = self._target(node, {"data": "data", "onConflict": "onConflict"})
        entry = self._scope.needed("insertMany", given, "data", node.name.span)
        data = inserting.documents(self._scope, collection, entry, "insertMany")
        return plan.InsertMany(
            key_of(node),
            collection,
            data,
            Selections(collection, self._scope).affected(node, COUNTED),
            self._word(given, "onConflict", CONFLICTS),
        )

    def _import(self, node: syntax.FieldSelection) -> plan.Import:
        collection, given = self._target(node, {"data": "data", "onConflict": "onConflict"})
        entry = self._scope.needed("import", given, "data", node.name.span)
        data = inserting.documents(self._scope, collection, entry, "import")
        result = Selections(collection, self._scope).affected(node, COUNTED)
        return plan.Import(
            key_of(node), collection, data, result, self._word(given, "onConflict", CONFLICTS)
        )

    def _export(self, node: syntax.FieldSelection) -> plan.Export:
        allowed = {"where": "where", "filter": "where", "format": "format", "path": "path"}
        collection, given = self._target(node, allowed, system=True)
        where = Selections(collection, self._scope).where(given)
        path = self._scope.value(given["path"].value) if "path" in given else None
        names = {"count": "count", "path": "path"} if "path" in given else {"count": "count", "data": "data"}  # fmt: skip
        return plan.Export(
            key_of(node), collection, where, self._word(given, "format", FORMATS), path,
            counted_keys(self._scope, node, names),
        )  # fmt: skip

    def _word(
        self, given: Mapping[str, syntax.Entry], name: str, words: tuple[str, ...]
    ) -> plan.Value | None:
        """An enum word, or a variable that holds one."""
        if name not in given:
            return None
        value = given[name].value
        resolved = self._scope.value(value)
        if isinstance(resolved, plan.Constant) and resolved.value not in words:
            raise self._scope.fail(
                UnknownEnum, f"'{name}' has no word {resolved.value!r}", value.span,
                suggest.hint(str(resolved.value), words, f"its words are {', '.join(words)}"),
            )  # fmt: skip
        return resolved

    def _if_rev(self, given: Mapping[str, syntax.Entry]) -> plan.Value | None:
        if "ifRev" not in given:
            return None
        value = given["ifRev"].value
        if not isinstance(value, (syntax.IntLiteral, syntax.VariableRef)):
            raise self._scope.fail(TypeMismatch, "'ifRev' is the number of a revision", value.span)
        return self._scope.value(value)

    def _update(self, node: syntax.FieldSelection) -> plan.Update:
        allowed = {
            "where": "where",
            "filter": "where",
            "id": "id",
            "data": "data",
            "set": "data",
            "all": "all",
            "ifRev": "ifRev",
        }
        collection, given = self._target(node, allowed)
        where = self._where(node, collection, given)
        data = self._data("update", given, node, collection)
        return plan.Update(
            key_of(node),
            collection,
            where,
            data,
            Selections(collection, self._scope).affected(node, AFFECTED),
            self._if_rev(given),
        )

    def _upsert(self, node: syntax.FieldSelection) -> plan.Upsert:
        allowed = {
            "where": "where", "filter": "where", "data": "data", "set": "data", "ifRev": "ifRev",
        }  # fmt: skip
        collection, given = self._target(node, allowed)
        entry = self._scope.needed("upsert", given, "where", node.name.span)
        where = self._scope.value(entry.value)
        changing.check_key(self._scope, collection, where, entry)
        data = self._data("upsert", given, node, collection)
        rev = self._if_rev(given)
        if not node.selection:
            outputs, created = everything(collection)[:1], ("_created",)
            return plan.Upsert(key_of(node), collection, where, data, outputs, created, (), rev)
        fields = fields_of(self._scope, node.selection, collection.name)
        stored = [one for one in fields if not _is_created(one)]
        outputs = Selections(collection, self._scope).outputs(stored) if stored else ()
        created = tuple(_key(one) for one in fields if _is_created(one))
        order = tuple(_key(one) for one in fields)
        return plan.Upsert(key_of(node), collection, where, data, outputs, created, order, rev)

    def _delete(self, node: syntax.FieldSelection) -> plan.Delete:
        allowed = {
            "where": "where", "filter": "where", "id": "id", "all": "all", "ifRev": "ifRev",
        }  # fmt: skip
        collection, given = self._target(node, allowed)
        where = self._where(node, collection, given)
        return plan.Delete(
            key_of(node),
            collection,
            where,
            Selections(collection, self._scope).affected(node, AFFECTED),
            self._if_rev(given),
        )

    def _where(
        self, node: syntax.FieldSelection, collection: Collection, given: Mapping[str, syntax.Entry]
    ) -> plan.Where:
        whole = "all" in given and self._is_true(given["all"])
        where = Selections(collection, self._scope).where(given)
        if not whole and "id" not in given and is_everything(where):
            raise self._scope.fail(
                MissingWhere, f"{node.name.text} without a condition would change every document of '{collection.name}'",
                node.name.span, "give where or id, or write all: true",
            )  # fmt: skip
        # What a variable says may be nothing: that is meant, then.
        return plan.And((where, plan.ALWAYS)) if whole else where

    def _is_true(self, entry: syntax.Entry) -> bool:
        """A Boolean that decides what is meant; true while its variable is not known yet."""
        value = self._scope.shape(entry.value)
        if value is None:
            return True
        if not isinstance(value, syntax.BooleanLiteral):
            raise self._scope.fail(
                TypeMismatch, f"'{entry.key.text}' is true or false", entry.value.span
            )
        return value.value


def _is_created(selection: syntax.FieldSelection | syntax.Computed) -> bool:
    return isinstance(selection, syntax.FieldSelection) and selection.name.text == "_created"


def _key(selection: syntax.FieldSelection | syntax.Computed) -> str:
    """The key of a result."""
    return (
        key_of(selection) if isinstance(selection, syntax.FieldSelection) else selection.alias.text
    )
