"""What a query asks for: outputs, order, limits, aggregates, and the results of bulk verbs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeGuard

from aurora_db.aql import plan, relations, suggest, syntax, types
from aurora_db.aql.catalog import Catalog, Collection, Type
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.directives import fields_of
from aurora_db.aql.names import LATER, OF_QUERIES, names_of
from aurora_db.aql.operators import name_of
from aurora_db.aql.orders import Orders, amount
from aurora_db.aql.values import Scope
from aurora_db.base.errors import (
    TypeMismatch,
    UnknownCollection,
    UnknownField,
)

#: Arguments of the documents that refer here, every spelling.
MANY: Final = {
    "where": "where", "filter": "where", "orderBy": "orderBy", "limit": "limit", "first": "limit",
    "offset": "offset", "skip": "offset", "via": "via",
}  # fmt: skip
LOOKUP: Final = {
    **{name: meant for name, meant in MANY.items() if name != "via"},
    "collection": "collection", "localField": "localField", "foreignField": "foreignField",
}  # fmt: skip


def key_of(selection: syntax.FieldSelection) -> str:
    """The key of a result: the alias, else the name."""
    return (selection.alias or selection.name).text


def _is_bare(
    selection: syntax.FieldSelection | syntax.Computed,
) -> TypeGuard[syntax.FieldSelection]:
    """Whether it is a name alone."""
    return (
        type(selection) is syntax.FieldSelection
        and selection.selection is None
        and selection.alias is None
        and not selection.arguments
    )


def everything(
    collection: Collection, catalog: Catalog | None = None
) -> tuple[plan.Output | plan.Computed, ...]:
    """All declared fields, without `_rev` and without those that are `@private`.

    `catalog` is for computed ones that go over relations.
    """
    return _everything(collection, Scope("", {}, catalog=catalog))


def _everything(collection: Collection, scope: Scope) -> tuple[plan.Output | plan.Computed, ...]:
    conditions = Conditions(collection, scope)
    declared = tuple(
        _shown(f.name, plan.Path(f, (), f.type), conditions)
        for f in collection.fields
        if not f.private
    )
    if not collection.flexible:
        return declared
    return (*declared, plan.Output("", plan.Path(None, ("",)), extra=True))


def _shown(key: str, path: plan.Path, conditions: Conditions) -> plan.Output | plan.Computed:
    if path.field is None or path.field.computed is None:
        return plan.Output(key, path)
    return plan.Computed(key, conditions.expressions().expanded(path))


def _key(scope: Scope, conditions: Conditions, entry: syntax.Entry) -> plan.Path:
    """A value that documents are looked up by."""
    path = conditions.path(
        relations.word(scope, entry), syntax.Name(entry.key.text, span=entry.value.span)
    )
    if path.field is not None and path.field.computed is not None:
        raise scope.fail(
            TypeMismatch,
            f"'{name_of(path)}' is computed, by which nothing can be looked up",
            entry.value.span,
            "use a stored field",
        )
    if path.type is not None and path.type.name in types.JSON_KINDS:
        raise scope.fail(
            TypeMismatch,
            f"'{name_of(path)}' is {types.type_name(path.type)}, by which nothing can be looked up",
            entry.value.span,
            "use a field of a plain type, or a path into it",
        )
    return path


class Selections:
    """Resolves selections on one collection; `synonyms` are other names of its fields."""

    def __init__(
        self, collection: Collection, scope: Scope, synonyms: Mapping[str, str] | None = None
    ) -> None:
        self._collection = collection
        self._scope = scope
        self._synonyms = synonyms or {}
        #: What a bare name shows; where it may be a synonym, that is looked up before.
        self._known = {} if synonyms else names_of(collection).outputs
        #: The search of the query, which `_score` and `_snippet` belong to.
        self.searched: plan.Search | None = None
        self._conditions = Conditions(collection, scope)

    def outputs(self, selection: Sequence[syntax.Selection] | None) -> tuple[plan.Selected, ...]:
        """The outputs of a selection; all stored fields when it is empty or absent."""
        if not selection:
            return _everything(self._collection, self._scope)
        fields = fields_of(self._scope, selection, self._collection.name)
        return tuple([self._output(one) for one in fields])

    def _output(self, selection: syntax.FieldSelection | syntax.Computed) -> plan.Selected:
        if _is_bare(selection):
            known = self._known.get(selection.name.text)
            if known is not None:
                return known
        if isinstance(selection, syntax.Computed):
            made = self._conditions.expressions().of(selection.expression)
            return plan.Computed(selection.alias.text, made)
        name = selection.name.text
        if name in ("_score", "_snippet"):
            return self._of_search(selection)
        related = self._related(self._synonyms.get(name, name), selection)
        if related is not None:
            return related
        if name in LATER:
            raise self._scope.unsupported(f"'{name}' is", selection.name.span)
        if name in OF_QUERIES:
            raise self._scope.fail(
                UnknownField, f"'{name}' stands in a query only", selection.name.span,
                f"select it in a query of its own: {{ {self._collection.name} {{ {name} … }} }}",
            )  # fmt: skip
        if selection.arguments:
            self._scope.arguments(f"the field '{name}'", selection.arguments, {})
        path = self._conditions.path(self._synonyms.get(name, name), selection.name)
        shown = _shown(key_of(selection), path, self._conditions)
        if selection.selection:
            if isinstance(shown, plan.Computed):
                raise self._scope.fail(
                    UnknownField, f"no fields to select in the computed field '{name}'", selection.span,
                    f"write part: {name}.part",
                )  # fmt: skip
            inner = self._inside(path, selection.selection)
            return plan.Output(key_of(selection), path, inner)
        return shown

    # --- other documents ---

    def _related(self, name: str, selection: syntax.FieldSelection) -> plan.One | plan.Many | None:
        """The selection on related documents; None where it is not one."""
        field = self._collection.field(name)
        if field is not None:
            hop = relations.hop(self._scope, field) if selection.selection else None
            if hop is None:
                return None
            self._scope.arguments(f"the relation '{name}'", selection.arguments, {})
            inner = Selections(hop.collection, self._scope)
            return plan.One(key_of(selection), hop, inner.outputs(selection.selection))
        if name == "lookup":
            return self._lookup(selection)
        via = next((one for one in selection.arguments if one.key.text == "via"), None)
        link = relations.back(self._scope, self._collection, name, via, selection.name.span)
        if link is None:
            return None
        owner = f"the relation '{name}'"
        return self._many(selection, link, self._scope.arguments(owner, selection.arguments, MANY))

    def _lookup(self, selection: syntax.FieldSelection) -> plan.Many:
        given = self._scope.arguments("lookup", selection.arguments, LOOKUP)
        named = {
            name: self._scope.needed("lookup", given, name, selection.name.span)
            for name in ("collection", "localField", "foreignField")
        }
        name = relations.word(self._scope, named["collection"])
        collection = self._scope.collections.get(name)
        if collection is None:
            raise self._scope.fail(
                UnknownCollection, f"no collection named '{name}'", named["collection"].value.span,
                suggest.hint(name, self._scope.collections),
            )  # fmt: skip
        theirs = Conditions(collection, self._scope)
        local = _key(self._scope, self._conditions, named["localField"])
        foreign = _key(self._scope, theirs, named["foreignField"])
        if not relations.comparable(local, foreign):
            mine, other = (
                "untyped" if one.type is None else types.type_name(one.type)
                for one in (local, foreign)
            )
            raise self._scope.fail(
                TypeMismatch,
                f"'{name_of(local)}' is {mine}, but '{name}.{name_of(foreign)}' is {other}",
                named["foreignField"].value.span,
            )  # fmt: skip
        return self._many(selection, plan.Link(collection, local, foreign), given)

    def _many(
        self, selection: syntax.FieldSelection, link: plan.Link, given: Mapping[str, syntax.Entry]
    ) -> plan.Many:
        inner = Selections(link.collection, self._scope)
        query = plan.Query(
            key=key_of(selection),
            collection=link.collection,
            outputs=inner.outputs(selection.selection),
            where=inner.where(given),
            order=Orders(link.collection, self._scope).order(given.get("orderBy")),
            limit=amount(self._scope, given.get("limit")),
            offset=amount(self._scope, given.get("offset")),
        )
        return plan.Many(query.key, link, query)

    def _of_search(self, selection: syntax.FieldSelection) -> plan.Score | plan.Snippet:
        scope, name = self._scope, selection.name.text
        if self.searched is None:
            raise scope.fail(
                UnknownField, f"'{name}' belongs to a search", selection.name.span,
                f'write {self._collection.name}(search: {{query: "words"}})',
            )  # fmt: skip
        if selection.selection is not None:
            raise scope.fail(UnknownField, f"'{name}' has no fields", selection.span)
        if name == "_score":
            scope.arguments(name, selection.arguments, {})
            return plan.Score(key_of(selection))
        given = scope.arguments(name, selection.arguments, {"field": "field"})
        entry = scope.needed(name, given, "field", selection.name.span)
        value = scope.shape(entry.value)
        wanted = getattr(value, "value", None) or getattr(value, "text", None)
        paths = {one.field.name: one for one in self.searched.fields if one.field is not None}
        if value is not None and wanted not in paths:
            raise scope.fail(
                UnknownField, f"the search does not look into '{wanted}'", entry.value.span,
                suggest.hint(str(wanted), paths, f"it looks into {', '.join(paths)}"),
            )  # fmt: skip
        return plan.Snippet(key_of(selection), paths.get(str(wanted), self.searched.fields[0]))

    def _inside(
        self, path: plan.Path, selection: Sequence[syntax.Selection]
    ) -> tuple[plan.Output, ...]:
        type = path.type
        if type is not None and type.name == "List" and type.item is not None:
            type = type.item
        known: dict[str, Type] = {}
        if type is not None and type.name == "Inline":
            known = {field.name: field.type for field in type.fields}
        fields = fields_of(self._scope, selection, None)
        return tuple([self._inner(path, type, known, one) for one in fields])

    def _inner(
        self,
        path: plan.Path,
        type: Type | None,
        known: Mapping[str, Type],
        selection: syntax.FieldSelection | syntax.Computed,
    ) -> plan.Output:
        """A part of an inline object, of each in a list of them, or of a JSON object.

        `type` is that of the object, `known` its fields.
        """
        if isinstance(selection, syntax.Computed):
            raise self._scope.unsupported("computed parts of objects are", selection.span)
        if selection.arguments:
            self._scope.arguments(f"the field '{selection.name.text}'", selection.arguments, {})
        # What is not declared, or lies in JSON, may be an object.
        if type is not None and type.name not in types.JSON_KINDS:
            found = types.type_name(type)
            raise self._scope.fail(
                UnknownField, f"{found} has no fields to select", selection.span,
                f"leave out {{ {selection.name.text} … }}",
            )  # fmt: skip
        name = selection.name.text
        below = None
        if type is not None and type.name == "Inline":
            if name not in known:
                raise self._scope.fail(
                    UnknownField, f"no field named '{name}' in '{types.type_name(type)}'", selection.name.span,
                    suggest.hint(name, known),
                )  # fmt: skip
            below = known[name]
        here = plan.Path(path.field, (*path.keys, name), below, path.row)
        parts = self._inside(here, selection.selection) if selection.selection else None
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
        keys: list[tuple[str, str]] = []
        nodes: tuple[plan.Selected, ...] = ()
        for one in fields_of(self._scope, root.selection, None):
            if isinstance(one, syntax.Computed):
                raise self._scope.fail(UnknownField, "a result has no computed fields", one.span)
            what = allowed.get(one.name.text)
            if what is None:
                raise self._scope.fail(
                    UnknownField, f"no field named '{one.name.text}' in the result of {root.name.text}", one.name.span,
                    suggest.hint(one.name.text, allowed, f"it has {', '.join(allowed)}"),
                )  # fmt: skip
            if what == "nodes":
                nodes = self.outputs(one.selection)
            keys.append((key_of(one), what))
        return plan.Affected(tuple(keys), nodes)
