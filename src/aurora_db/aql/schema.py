"""A `schema` block → plan, and what exists after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

from aurora_db.aql import alter, dependents, plan, relations, syntax, written
from aurora_db.aql.catalog import Catalog, Collection, Handler
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.define import Definitions, refused
from aurora_db.aql.expressions import check_computed
from aurora_db.aql.values import Scope
from aurora_db.base.errors import AqlError, DuplicateAlias


def with_collections(catalog: Catalog, changes: Mapping[str, Collection | None]) -> Catalog:
    """The catalog with these collections as they become; None where one goes."""
    known = {**catalog.collections, **changes}
    collections = {name: one for name, one in known.items() if one is not None}
    # Rules go with their collection.
    rules = {name: one for name, one in catalog.rules.items() if name in collections}
    return Catalog(collections, catalog.handlers, catalog.version, catalog.schedules, rules)


def after(catalog: Catalog, statement: plan.SchemaStatement) -> Catalog:
    """The catalog as a statement leaves it."""
    match statement:
        case plan.DefineCollection(collection=made):
            kept = made.name in catalog.collections
            return catalog if kept else with_collections(catalog, {made.name: made})
        case plan.AlterCollection(collection=made):
            others = {one.name: one for one in alter.followers(catalog, statement)}
            return with_collections(catalog, {made.name: made, **others})
        case plan.DropCollection(name=name):
            return with_collections(catalog, {name: None})
        case _:
            assert_never(statement)


def after_parts(catalog: Catalog, parts: tuple[plan.Part, ...]) -> Catalog:
    """The catalog as the definitions among these parts leave it."""
    for part in parts:
        match part:
            case plan.Transaction(parts=inner):
                catalog = after_parts(catalog, inner)
            case plan.DefineSchema(statements=statements):
                for statement in statements:
                    catalog = after(catalog, statement)
            case plan.DefineHandler(handler=one):
                if part.if_not_exists and one.name in catalog.handlers:
                    continue
                catalog = _with_handlers(catalog, {one.name: one})
            case plan.DropHandler(name=name):
                catalog = _with_handlers(catalog, {name: None})
            case _:
                pass
    return catalog


def _with_handlers(catalog: Catalog, changes: Mapping[str, Handler | None]) -> Catalog:
    known = {**catalog.handlers, **changes}
    return Catalog(
        catalog.collections, {name: one for name, one in known.items() if one is not None},
        catalog.version, catalog.schedules, catalog.rules,
    )  # fmt: skip


class Schemas:
    """Resolves the statements of one block, each against what those before it left."""

    def __init__(self, scope: Scope, catalog: Catalog) -> None:
        self._scope = scope
        self._catalog = catalog
        self._made: set[str] = set()

    def block(self, node: syntax.SchemaBlock, key: str) -> plan.DefineSchema:
        """The plan of the block.

        Raises:
            AqlError, SchemaError: a statement is refused, with its place.
        """
        statements: list[plan.SchemaStatement] = []
        for one in node.statements:
            made = self._statement(one)
            statements.append(made)
            self._catalog = after(self._catalog, made)
        self._check_relations(node, statements)
        return plan.DefineSchema(key, tuple(statements))

    def _statement(self, node: syntax.SchemaStatement) -> plan.SchemaStatement:
        match node:
            case syntax.CollectionDefinition():
                return self._define(node)
            case syntax.CollectionAlteration():
                made = alter.alteration(self._scope, self._catalog, node)
                self._unbroken(made, node.name, "change")
                fields = [
                    one.field
                    for one in node.actions
                    if isinstance(one, (syntax.AddField, syntax.ModifyField))
                ]
                self._check_computed(made.collection, after(self._catalog, made), fields)
                return made
            case syntax.CollectionDrop():
                return self._drop(node)
            case _:
                assert_never(node)

    def _check_relations(
        self, node: syntax.SchemaBlock, made: Sequence[plan.SchemaStatement]
    ) -> None:
        """Relations may lead to what stands later in the block, so they are checked at its end."""
        for one, statement in zip(node.statements, made, strict=True):
            if not isinstance(one, syntax.CollectionDefinition):
                continue
            assert isinstance(statement, plan.DefineCollection)
            known = self._catalog.collections
            if known.get(one.name.text) == statement.collection:
                spans = {field.name.text: field.span for field in one.fields}
                relations.check(self._scope, statement.collection, known, spans)
                self._check_computed(statement.collection, self._catalog, one.fields)

    def _check_computed(
        self, made: Collection, catalog: Catalog, fields: Sequence[syntax.FieldDefinition]
    ) -> None:
        scope = Scope(self._scope.text, {}, catalog=catalog)
        spans = {
            field.name.text: one.positional[0].span
            for field in fields
            for one in field.directives
            if one.name.text == "computed" and one.positional
        }
        check_computed(scope, made, Conditions, spans)

    def _define(self, node: syntax.CollectionDefinition) -> plan.DefineCollection:
        name = node.name.text
        if name in self._made:
            raise self._scope.fail(
                DuplicateAlias, f"the collection '{name}' is defined twice here", node.name.span
            )
        made = Definitions(self._scope, self._catalog).collection(node, self._made)
        self._made.add(name)
        existing = self._catalog.collections.get(name)
        if existing is not None and not node.if_not_exists and not written.same(existing, made):
            raise different(self._scope, existing, made, node)
        return plan.DefineCollection(made, node.if_not_exists)

    def _drop(self, node: syntax.CollectionDrop) -> plan.DropCollection:
        name = node.name.text
        if name not in self._catalog.collections and node.if_exists:
            return plan.DropCollection(name, if_exists=True)
        alter.alterable(self._scope, self._catalog, node.name)
        related = False
        for other, field in alter.relations_to(self._catalog, name):
            if other.name != name:
                raise refused(
                    self._scope, f"the relation '{other.name}.{field.name}' leads to '{name}'", node.name.span,
                    f"write alter collection {other.name} {{ drop {field.name} }} before it",
                )  # fmt: skip
            related = True
        made = plan.DropCollection(name, node.if_exists, related)
        self._unbroken(made, node.name, "drop")
        self._made.discard(name)
        return made

    def _unbroken(self, made: plan.SchemaStatement, name: syntax.Name, verb: str) -> None:
        problems = dependents.broken(self._catalog, after(self._catalog, made))
        if problems:
            raise refused(
                self._scope, f"to {verb} '{name.text}' would break {'; '.join(problems)}", name.span,
                "change or drop what rests on it before",
            )  # fmt: skip


def different(
    scope: Scope, existing: Collection, wanted: Collection, node: syntax.CollectionDefinition
) -> AqlError:
    """The refusal of a definition that differs from what exists."""
    change = written.alteration(existing, wanted)
    return refused(
        scope, f"collection '{existing.name}' exists and differs: {', '.join(written.differences(existing, wanted))}",
        node.name.span, change or "write `if not exists` to keep it as it is",
    )  # fmt: skip
