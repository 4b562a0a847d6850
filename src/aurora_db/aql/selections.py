"""What a query asks for: outputs, order, limits, aggregates, and the results of bulk verbs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from aurora_db.aql import plan, suggest, syntax, types
from aurora_db.aql.catalog import Collection
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.values import Scope
from aurora_db.base.errors import (
    DuplicateAlias,
    UnknownDirective,
    UnknownField,
)

#: Words of queries that this version does not have, in a selection.
LATER: Final = frozenset({
    "lookup", "_score", "_snippet", "_explain", "_created",
})  # fmt: skip
#: Words that stand in the selection of a query, not among the fields of a document.
OF_QUERIES: Final = frozenset({
    "aggregate", "groupBy", "downsample", "windowFunc", "edges", "nodes", "pageInfo", "totalCount",
})  # fmt: skip
LATER_DIRECTIVES: Final = frozenset({"include", "skip", "explain", "defer", "auth", "require"})


def key_of(selection: syntax.FieldSelection) -> str:
    """The key of a result: the alias, else the name."""
    return (selection.alias or selection.name).text


def refuse_directives(scope: Scope, directives: Iterable[syntax.Directive]) -> None:
    """No directive stands here in this version."""
    for directive in directives:
        name = directive.name.text
        if name in LATER_DIRECTIVES:
            raise scope.unsupported(f"the directive '@{name}' is", directive.span)
        raise scope.fail(
            UnknownDirective,
            f"no directive named '@{name}' here",
            directive.span,
            suggest.hint(name, LATER_DIRECTIVES),
        )


def unique_keys(scope: Scope, selections: Iterable[syntax.Node], keys: Iterable[str]) -> None:
    """Refuse two results under one key."""
    seen: set[str] = set()
    for selection, key in zip(selections, keys, strict=True):
        if key in seen:
            raise scope.fail(
                DuplicateAlias,
                f"two results would have the key '{key}'",
                selection.span,
                f"give one an alias: other: {key}",
            )
        seen.add(key)


def everything(collection: Collection) -> tuple[plan.Output, ...]:
    """All stored fields, without `_rev`."""
    declared = tuple(plan.Output(f.name, plan.Path(f, (), f.type)) for f in collection.fields)
    if not collection.flexible:
        return declared
    return (*declared, plan.Output("", plan.Path(None, ("",)), extra=True))


class Selections:
    """Resolves selections on one collection; `synonyms` are other names of its fields."""

    def __init__(
        self, collection: Collection, scope: Scope, synonyms: Mapping[str, str] | None = None
    ) -> None:
        self._collection = collection
        self._scope = scope
        self._synonyms = dict(synonyms or {})
        self._conditions = Conditions(collection, scope)

    def outputs(
        self, selection: tuple[syntax.FieldSelection, ...] | None
    ) -> tuple[plan.Output, ...]:
        """The outputs of a selection; all stored fields when it is empty or absent."""
        if not selection:
            return everything(self._collection)
        fields = list(selection)
        unique_keys(self._scope, fields, [key_of(one) for one in fields])
        return tuple(self._output(one) for one in fields)

    def _output(self, selection: syntax.FieldSelection) -> plan.Output:
        name = selection.name.text
        refuse_directives(self._scope, selection.directives)
        if name in LATER:
            raise self._scope.unsupported(f"'{name}' is", selection.name.span)
        if name in OF_QUERIES:
            raise self._scope.fail(
                UnknownField, f"'{name}' stands in a query only", selection.name.span
            )
        self._scope.arguments(f"the field '{name}'", selection.arguments, {})
        path = self._conditions.path(self._synonyms.get(name, name), selection.name)
        inner: tuple[plan.Output, ...] = ()
        if selection.selection:
            inner = tuple(self._inner(path, one) for one in selection.selection)
            unique_keys(self._scope, selection.selection, [one.key for one in inner])
        return plan.Output(key_of(selection), path, inner)

    def _inner(self, path: plan.Path, selection: syntax.FieldSelection) -> plan.Output:
        """A part of an inline object, of each in a list of them, or of a JSON object."""
        refuse_directives(self._scope, selection.directives)
        self._scope.arguments(f"the field '{selection.name.text}'", selection.arguments, {})
        type = path.type
        if type is not None and type.name == "List" and type.item is not None:
            type = type.item
        if type is None or type.name not in types.JSON_KINDS:
            found = "this value" if type is None else types.type_name(type)
            raise self._scope.fail(UnknownField, f"{found} has no fields to select", selection.span)
        name = selection.name.text
        below = None
        if type.name == "Inline":
            known = {field.name: field.type for field in type.fields}
            if name not in known:
                raise self._scope.fail(
                    UnknownField, f"no field named '{name}' in '{types.type_name(type)}'", selection.name.span,
                    suggest.hint(name, known),
                )  # fmt: skip
            below = known[name]
        here = plan.Path(path.field, (*path.keys, name), below, path.row)
        parts = tuple(self._inner(here, one) for one in selection.selection or ())
        return plan.Output(key_of(selection), here, parts)

    # --- conditions ---

    def where(self, arguments: Mapping[str, syntax.Entry]) -> plan.Where:
        """The condition of `where` and `id` together."""
        parts: list[plan.Where] = []
        if "where" in arguments:
            parts.append(self._conditions.where(arguments["where"].value))
        if "id" in arguments:
            entry = arguments["id"]
            name = syntax.Entry(
                syntax.Name("id", span=entry.key.span), entry.value, span=entry.span
            )
            parts.append(self._conditions.where(syntax.ObjectLiteral((name,))))
        return parts[0] if len(parts) == 1 else plan.And(tuple(parts))

    # --- bulk verbs -------------------------------------------------------------------------

    def affected(self, root: syntax.FieldSelection, allowed: Mapping[str, str]) -> plan.Affected:
        """The result of a bulk verb; `allowed` maps names to count, affected, ids or nodes."""
        if not root.selection:
            first = next(iter(allowed.items()))
            return plan.Affected((first, ("ids", "ids")))
        fields = list(root.selection)
        unique_keys(self._scope, fields, [key_of(one) for one in fields])
        keys: list[tuple[str, str]] = []
        nodes: tuple[plan.Output, ...] = ()
        for one in fields:
            what = allowed.get(one.name.text)
            if what is None:
                raise self._scope.fail(
                    UnknownField, f"no field named '{one.name.text}' in the result of {root.name.text}", one.name.span,
                    suggest.hint(one.name.text, allowed, f"it has {', '.join(allowed)}"),
                )  # fmt: skip
            refuse_directives(self._scope, one.directives)
            if what == "nodes":
                nodes = self.outputs(one.selection)
            keys.append((key_of(one), what))
        return plan.Affected(tuple(keys), nodes)
