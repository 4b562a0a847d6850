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
from aurora_db.aql.mutations import Mutations
from aurora_db.aql.queries import Queries
from aurora_db.aql.selections import refuse_directives, unique_keys
from aurora_db.aql.values import Scope, bind, declare, value_of
from aurora_db.base.errors import (
    AqlError,
    DuplicateAlias,
    Span,
    UnknownCollection,
)

bind_variables = bind

QUERY_ARGUMENTS: Final = {
    "where": "where", "filter": "where", "id": "id", "orderBy": "orderBy", "limit": "limit", "first": "limit",
    "offset": "offset", "skip": "offset", "after": "after", "last": "last", "before": "before",
}  # fmt: skip
LATER_QUERY: Final = (
    "search",
    "via",
    "mode",
    "since",
    "initial",
    "debounce",
)


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
        for one in root.statements
        if isinstance(one, plan.DefineCollection)
        and not (one.if_not_exists and one.collection.name in catalog.collections)
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
            case syntax.CollectionAlteration() | syntax.CollectionDrop():
                return _bare(
                    "schema", self._schema(syntax.SchemaBlock((node,), span=node.span), "schema")
                )
            case syntax.FragmentDefinition():
                raise self._scope.unsupported("fragments are", node.span)
            case syntax.MigrationBlock():
                raise self._scope.unsupported("migrations are", node.span)
            case (
                syntax.HandlerControl()
                | syntax.ScheduleDefinition()
                | syntax.ScheduleDrop()
                | syntax.ScheduleControl()
                | syntax.RulesDefinition()
                | syntax.RulesDrop()
            ):
                raise self._scope.unsupported("this definition is", node.span)

    # --- operations -------------------------------------------------------------------------

    def _operation(self, node: syntax.Operation) -> plan.Operation:
        declared = declare(node.variables, self._text)
        self._scope = Scope(self._text, declared)
        refuse_directives(self._scope, node.directives)
        if node.kind == "query":
            roots: tuple[plan.Part, ...] = tuple(self._query(one) for one in node.roots)
            unique_keys(self._scope, node.roots, [root.key for root in roots])
        elif node.kind == "mutation":
            roots = Mutations(self._scope, self._collection, self._schema).parts(node.roots)
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

    def _query(self, root: syntax.MutationPart | syntax.Selection) -> plan.Query:
        if isinstance(root, (syntax.FragmentSpread, syntax.InlineFragment)):
            raise self._scope.unsupported("fragments are", root.span)
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
        return Queries(collection, self._scope).query(root, arguments)

    # --- definitions ------------------------------------------------------------------------

    def _schema(self, node: syntax.SchemaBlock, key: str) -> plan.DefineSchema:
        definitions: list[plan.SchemaStatement] = []
        names: list[str] = []
        for statement in node.statements:
            if not isinstance(statement, syntax.CollectionDefinition):
                raise self._scope.unsupported("altering and dropping are", statement.span)
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
