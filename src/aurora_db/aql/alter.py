"""`alter collection` → plan: what the collection becomes, and every reason why it may not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import assert_never

import msgspec

from aurora_db.aql import plan, relations, suggest, syntax, types, written
from aurora_db.aql.catalog import Catalog, Collection, Field, Index
from aurora_db.aql.define import Definitions, covered, refused
from aurora_db.aql.values import Scope
from aurora_db.base.errors import AccessDenied, UnknownCollection, UnknownField


def alterable(scope: Scope, catalog: Catalog, name: syntax.Name) -> Collection:
    """The collection of this name, whose definition may be changed.

    Raises:
        UnknownCollection: none has this name.
        AccessDenied: it is a system collection.
    """
    found = catalog.collections.get(name.text)
    if found is None:
        raise scope.fail(
            UnknownCollection,
            f"no collection named '{name.text}'",
            name.span,
            suggest.hint(name.text, catalog.collections, "define it first"),
        )
    if found.system:
        raise AccessDenied(f"the system collection '{name.text}' cannot be changed")
    return found


def alteration(
    scope: Scope, catalog: Catalog, node: syntax.CollectionAlteration
) -> plan.AlterCollection:
    """The plan of an `alter`, resolved against what exists.

    Raises:
        AqlError, SchemaError: an action is refused, with its place.
    """
    existing = alterable(scope, catalog, node.name)
    if not node.actions:
        raise refused(
            scope, "the alteration has no action", node.span, "write add, drop, rename or modify"
        )
    work = _Work(scope, catalog, existing)
    actions = tuple(work.action(action) for action in node.actions)
    made = work.collection()
    work.check(made, node.name)
    related = any(True for _ in relations_to(catalog, existing.name)) or any(
        field.relation is not None and field.relation.to == made.name for field in made.fields
    )
    return plan.AlterCollection(existing.name, actions, made, existing, related)


def relations_to(catalog: Catalog, name: str) -> Iterable[tuple[Collection, Field]]:
    """The fields, of any collection, whose relation leads to `name`."""
    for collection in catalog.collections.values():
        for field in collection.fields:
            if field.relation is not None and field.relation.to == name:
                yield collection, field


def sources(before: Collection, actions: Sequence[plan.AlterAction]) -> dict[str, str | None]:
    """For each field as it becomes, the field whose values it takes over; None for a new one."""
    found: dict[str, str | None] = {field.name: field.name for field in before.fields}
    for action in actions:
        match action:
            case plan.AddField(field=field):
                found[field.name] = None
            case plan.DropField(name=name):
                del found[name]
            case plan.RenameField(name=name, to=to):
                found[to] = found.pop(name)
            case plan.ModifyField() | plan.AddIndex() | plan.DropIndex():
                pass
            case _:
                assert_never(action)
    return found


def renames(before: Collection, actions: Sequence[plan.AlterAction]) -> dict[str, str]:
    """What fields are called afterwards, where that is another name."""
    pairs = sources(before, actions).items()
    return {old: new for new, old in pairs if old is not None and old != new}


def followers(catalog: Catalog, altered: plan.AlterCollection) -> list[Collection]:
    """Other collections as they become because a field that they refer to got another name."""
    changed = renames(altered.before, altered.actions)
    names = {
        collection.name: collection
        for collection, field in relations_to(catalog, altered.name)
        if field.relation is not None and field.relation.key in changed
    }
    names.pop(altered.name, None)
    return [_followed(one, altered.name, changed) for one in names.values()]


def _followed(collection: Collection, to: str, changed: Mapping[str, str]) -> Collection:
    fields: list[Field] = []
    for field in collection.fields:
        relation = field.relation
        if relation is not None and relation.to == to and relation.key in changed:
            relation = msgspec.structs.replace(relation, key=changed[relation.key])
            field = msgspec.structs.replace(field, relation=relation)  # noqa: PLW2901 - the same field
        fields.append(field)
    return msgspec.structs.replace(collection, fields=tuple(fields))


class _Work:
    """A collection while its actions are applied, one after the other."""

    def __init__(self, scope: Scope, catalog: Catalog, existing: Collection) -> None:
        self._scope = scope
        self._catalog = catalog
        self._existing = existing
        self._definitions = Definitions(scope, catalog)
        self._fields = {field.name: field for field in existing.fields}
        self._indexes = list(existing.indexes)
        self._actions: list[plan.AlterAction] = []

    def collection(self) -> Collection:
        """What has come of it."""
        made = msgspec.structs.replace(
            self._existing, fields=tuple(self._fields.values()), indexes=tuple(self._indexes)
        )
        return _followed(made, made.name, self._renamed)

    @property
    def _renamed(self) -> dict[str, str]:
        return renames(self._existing, self._actions)

    def action(self, node: syntax.AlterAction) -> plan.AlterAction:
        """Apply one action; what it means."""
        made = self._applied(node)
        self._actions.append(made)
        return made

    def _applied(self, node: syntax.AlterAction) -> plan.AlterAction:
        match node:
            case syntax.AddField():
                return self._add(node)
            case syntax.DropField():
                return self._drop(node)
            case syntax.RenameField():
                return self._rename(node)
            case syntax.ModifyField():
                return self._modify(node)
            case syntax.AddRule(rule=rule):
                index = self._definitions.index(rule, tuple(self._fields.values()), self._indexes)
                self._indexes.append(index)
                return plan.AddIndex(index)
            case syntax.DropRule(rule=rule):
                return self._drop_index(rule)
            case _:
                assert_never(node)

    def _add(self, node: syntax.AddField) -> plan.AlterAction:
        name = node.field.name
        if name.text in self._fields:
            raise refused(
                self._scope, f"the field '{name.text}' of '{self._existing.name}' exists already",
                name.span, f"write modify {name.text}: …",
            )  # fmt: skip
        field = self._definitions.field(node.field, self._fields)
        self._fields[field.name] = field
        return plan.AddField(field)

    def _drop(self, node: syntax.DropField) -> plan.AlterAction:
        name = self._known(node.name, "dropped")
        self._unindexed(name, node.name.span)
        del self._fields[name]
        return plan.DropField(name)

    def _unindexed(self, name: str, span: syntax.Span) -> None:
        for index in self._indexes:
            if name in index.fields:
                text = written.index(index)
                raise refused(self._scope, f"the field '{name}' is part of {text}", span, f"write drop {text} before it")  # fmt: skip

    def _rename(self, node: syntax.RenameField) -> plan.AlterAction:
        name, to = self._known(node.name, "renamed"), node.to.text
        if to in self._fields:
            raise refused(
                self._scope, f"the field '{to}' of '{self._existing.name}' exists already",
                node.to.span, "choose another name",
            )  # fmt: skip
        self._definitions.name(node.to, "field", [one for one in self._fields if one != name])
        self._fields = {
            (to if one == name else one): (
                msgspec.structs.replace(field, name=to) if one == name else field
            )
            for one, field in self._fields.items()
        }
        self._indexes = [
            Index(tuple(to if one == name else one for one in index.fields), index.unique)
            for index in self._indexes
        ]
        return plan.RenameField(name, to)

    def _modify(self, node: syntax.ModifyField) -> plan.AlterAction:
        name = self._known(node.field.name, "modified")
        field = self._definitions.field(node.field, [one for one in self._fields if one != name])
        if field.type.name in types.JSON_KINDS or field.computed is not None:
            self._unindexed(name, node.field.name.span)
        if (field.computed is None) != (self._fields[name].computed is None):
            raise refused(
                self._scope, f"a stored field does not become a computed one, nor the other way round: '{name}'",
                node.field.span, f"drop {name} and add it anew",
            )  # fmt: skip
        self._fields[name] = field
        return plan.ModifyField(field)

    def _drop_index(self, rule: syntax.TableRule) -> plan.AlterAction:
        index = self._definitions.named_index(rule)
        if index not in self._indexes:
            known = ", ".join(written.index(one) for one in self._indexes)
            raise refused(
                self._scope, f"'{self._existing.name}' has no {written.index(index)}", rule.span,
                f"it has {known or 'none'}",
            )  # fmt: skip
        self._indexes.remove(index)
        return plan.DropIndex(index)

    def _known(self, name: syntax.Name, verb: str) -> str:
        if name.text not in self._fields:
            raise self._scope.fail(
                UnknownField, f"no field named '{name.text}' in collection '{self._existing.name}'",
                name.span, suggest.hint(name.text, self._fields, f"write add {name.text}: … to make one"),
            )  # fmt: skip
        if name.text == "id":
            raise refused(
                self._scope, f"'id' cannot be {verb}", name.span, "define another collection"
            )
        return name.text

    def check(self, made: Collection, name: syntax.Name) -> None:
        """What holds for the whole only: indexes and the relations of others.

        Raises:
            SchemaError: something would break.
        """
        for index in made.indexes:
            field = made.field(index.fields[0])
            if len(index.fields) == 1 and field is not None and covered(field, index):
                raise refused(
                    self._scope, f"the field '{field.name}' would have two indexes", name.span,
                    f"write drop {written.index(index)}",
                )  # fmt: skip
        known = {**self._catalog.collections, made.name: made}
        now = self._renamed
        relations.check(self._scope, made, known, {one.name: name.span for one in made.fields})
        for other in {one.name: one for one, _ in relations_to(self._catalog, made.name)}.values():
            if other.name != made.name:
                places = {one.name: name.span for one in other.fields}
                relations.check(self._scope, _followed(other, made.name, now), known, places)
