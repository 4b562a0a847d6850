"""Syntax + catalog → plan: what a text means, and every "no such …" error.

A text is understood whole or refused whole. Definitions count for what follows them in the same
text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aurora_db.aql import (
    directives,
    elsewhere,
    handlers,
    introspect,
    migrations,
    plan,
    queries,
    rules,
    schedules,
    schema,
    subscriptions,
    syntax,
    system,
)
from aurora_db.aql.catalog import Catalog, Collection
from aurora_db.aql.conditions import resolve_where
from aurora_db.aql.mutations import Mutations
from aurora_db.aql.values import Scope, declare
from aurora_db.base.errors import (
    DuplicateAlias,
    Span,
    UnknownArgument,
    UnknownCollection,
    UnknownField,
    UnknownFragment,
)

#: What to type where a name is no collection, with the collections that there are.
Hint = Callable[[str, Iterable[str]], str | None]


def resolve(document: syntax.Document, text: str, catalog: Catalog) -> plan.Plan:
    """The plan of a text against `catalog`.

    Raises:
        AqlError: the text is refused, with its place.
        SchemaError: a definition in it is refused.
    """
    fragments = _fragments(document, text)
    used: set[str] = set()
    seen = catalog
    operations: list[plan.Operation] = []
    names: set[str] = set()
    for definition in document.definitions:
        if isinstance(definition, syntax.FragmentDefinition):
            continue
        resolver = _Resolver(text, seen, fragments, None)
        operation = resolver.definition(definition)
        used |= resolver.used_fragments
        if operation.name is not None:
            if operation.name in names:
                raise DuplicateAlias(
                    f"two operations are named '{operation.name}'",
                    source=text,
                    span=_name_of(definition),
                )
            names.add(operation.name)
        operations.append(operation)
        seen = _after(seen, operation.roots)
    _all_used(fragments, used, text, seen)
    return plan.Plan(tuple(operations), catalog.version)


def resolve_one(
    document: syntax.Document,
    text: str,
    catalog: Catalog,
    index: int,
    known: Mapping[str, Any] | None,
) -> plan.Operation:
    """One operation of a text that was resolved before, alone, against the catalog of now.

    What stood before it in the text has run, so its definitions are in `catalog`. With `known` it is
    resolved for these values of its variables.
    """
    fragments = _fragments(document, text)
    wanted = [one for one in document.definitions if not isinstance(one, syntax.FragmentDefinition)]
    return _Resolver(text, catalog, fragments, known).definition(wanted[index])


def _name_of(definition: syntax.Definition) -> Span:
    """Where the name of an operation stands."""
    if isinstance(definition, syntax.Operation) and definition.name is not None:
        return definition.name.span
    return definition.span


def _fragments(document: syntax.Document, text: str) -> dict[str, syntax.FragmentDefinition]:
    found: dict[str, syntax.FragmentDefinition] = {}
    scope = Scope(text, {})
    for one in document.definitions:
        if not isinstance(one, syntax.FragmentDefinition):
            continue
        if one.name.text in found:
            raise scope.fail(
                DuplicateAlias, f"two fragments are named '{one.name.text}'", one.name.span
            )
        directives.refuse(scope, one.directives, "on a fragment's definition")
        found[one.name.text] = one
    return found


def _all_used(
    fragments: Mapping[str, syntax.FragmentDefinition],
    used: set[str],
    text: str,
    catalog: Catalog,
) -> None:
    for name, one in fragments.items():
        if name not in used:
            directives.refuse_unknown(Scope(text, {}, catalog=catalog), one.on)
            raise UnknownFragment(
                f"the fragment '{name}' is never used",
                hint=f"write ...{name} in a selection, or remove it",
                source=text,
                span=one.name.span,
            )


def _after(catalog: Catalog, roots: tuple[plan.Part, ...]) -> Catalog:
    """The catalog with what an operation defines, for the operations after it."""
    return schema.after_parts(catalog, roots)


class _Resolver:
    """Resolves the definitions of one text, one at a time."""

    def __init__(
        self,
        text: str,
        catalog: Catalog,
        fragments: Mapping[str, syntax.FragmentDefinition],
        known: Mapping[str, Any] | None,
    ) -> None:
        self._text = text
        self._catalog = catalog
        self._fragments = fragments
        self._known = known
        self._scope = Scope(text, {}, catalog=catalog)

    @property
    def used_fragments(self) -> set[str]:
        """Fragments that the definition used, directly or not."""
        return self._scope.used_fragments

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
                raise AssertionError("a fragment is no operation")
            case syntax.MigrationBlock():
                return _bare("migration", migrations.block(node, self._text))
            case syntax.HandlerControl():
                return _bare("handler", handlers.control(node, self._text))
            case syntax.ScheduleDefinition():
                return _bare("schedule", schedules.define(node, self._text, self._catalog))
            case syntax.ScheduleDrop():
                return _bare("schedule", plan.DropSchedule(node.name.value, node.if_exists))
            case syntax.ScheduleControl():
                return _bare("schedule", plan.ControlSchedule(node.name.value, node.verb))
            case syntax.RulesDefinition():
                return _bare("rules", rules.define(node, self._text, self._catalog))
            case syntax.RulesDrop():
                return _bare("rules", plan.DropRules(node.collection.text, node.if_exists))

    # --- operations -------------------------------------------------------------------------

    def _operation(self, node: syntax.Operation) -> plan.Operation:
        declared = declare(node.variables, self._text)
        self._scope = Scope(self._text, declared, self._fragments, self._known, self._catalog)
        for variable in node.variables:
            directives.refuse(self._scope, variable.directives, "on a variable")
        explain = directives.of_operation(self._scope, node.directives)
        if node.kind == "query":
            fields = directives.fields_of(self._scope, node.roots, "Query")
            roots: tuple[plan.Part, ...] = tuple([self._query(one) for one in fields])
        elif node.kind == "mutation":
            roots = Mutations(self._scope, self._collection, self._schema).parts(node.roots)
        else:
            directives.refuse_explain(self._scope, node.directives)
            fields = directives.fields_of(self._scope, node.roots, "Subscription")
            roots = tuple([self._subscription(one) for one in fields])
        if self._known is None:
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
            explain=explain,
            access=tuple(self._scope.access),
            shaped=self._scope.shaped,
            shaping=tuple(sorted(self._scope.shaping)),
        )

    def _collection(self, name: str, span: Span, hint: Hint = elsewhere.root) -> Collection:
        found = self._catalog.collections.get(name)
        if found is None:
            raise self._scope.fail(
                UnknownCollection,
                f"no collection named '{name}'",
                span,
                hint(name, self._catalog.collections)
                or system.define_hint(name, self._catalog.collections),
            )
        return found

    def _query(self, root: directives.Field) -> plan.Query | plan.Introspection:
        if isinstance(root, syntax.Computed):
            raise self._scope.fail(
                UnknownField,
                "a root of a query is a collection",
                root.span,
                "write { users { name } }",
            )
        name = root.name.text
        if name == "__schema":
            return introspect.introspection(self._scope, root)
        collection = self._collection(name, root.name.span)
        self._refuse_elsewhere(root)
        arguments = self._scope.arguments(
            f"the collection '{name}'", root.arguments, queries.ARGUMENTS
        )
        return queries.Queries(collection, self._scope).query(root, arguments)

    def _refuse_elsewhere(self, root: syntax.FieldSelection) -> None:
        """Refuse arguments in a query that stand in other places of the language."""
        for entry in root.arguments:
            hint = elsewhere.argument(entry.key.text, root.name.text)
            if hint is not None:
                raise self._scope.fail(
                    UnknownArgument, f"a query has no argument '{entry.key.text}'", entry.key.span, hint
                )  # fmt: skip

    def _subscription(self, root: directives.Field) -> plan.Subscription:
        if isinstance(root, syntax.Computed) or root.name.text == "__schema":
            raise self._scope.fail(
                UnknownField,
                "a root of a subscription is a collection",
                root.span,
                "write subscription { users { mutation id node } }",
            )
        collection = self._collection(root.name.text, root.name.span, elsewhere.subscribed)
        return subscriptions.Subscriptions(collection, self._scope).root(root)

    # --- definitions ------------------------------------------------------------------------

    def _schema(self, node: syntax.SchemaBlock, key: str) -> plan.DefineSchema:
        made = schema.Schemas(self._scope, self._catalog).block(node, key)
        # Later parts of the same mutation may use what it defines.
        self._catalog = schema.after_parts(self._catalog, (made,))
        self._scope.collections = self._catalog.collections
        return made


def _bare(kind: str, root: plan.Part) -> plan.Operation:
    return plan.Operation(name=None, kind=kind, variables=(), roots=(root,), writes=True, bare=True)


__all__ = ["resolve", "resolve_one", "resolve_where"]
