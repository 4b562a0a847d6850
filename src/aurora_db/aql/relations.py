"""Relations: `@relation` of a field, the way over it in both directions, and lookups.

A declared field wins over documents that refer here from a collection of the same name; those win
over an undeclared field of a flexible collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from aurora_db.aql import plan, suggest, syntax, types
from aurora_db.aql.catalog import Collection, Field, Relation
from aurora_db.aql.values import Scope, literal
from aurora_db.base.errors import (
    MissingArgument,
    SchemaError,
    Span,
    TypeMismatch,
    UnknownArgument,
    UnknownCollection,
    UnknownEnum,
    UnknownField,
)

ARGUMENTS: Final = {"to": "to", "collection": "to", "key": "key", "field": "key", "onDelete": "on_delete"}  # fmt: skip
ON_DELETE: Final = ("RESTRICT", "CASCADE", "SET_NULL")
#: Types whose stored texts can be the same.
_IDS: Final = frozenset({"ID", "Uuid", "String"})


# --- definition -----------------------------------------------------------------------------


def relation(scope: Scope, directive: syntax.Directive) -> Relation:
    """What `@relation(to, key, onDelete)` says; whether it can be so, `check` tells later."""
    given = scope.arguments("@relation", directive.arguments, ARGUMENTS)
    if directive.positional:
        raise scope.fail(
            UnknownArgument, "@relation takes its arguments by name", directive.span,
            'write @relation(to: "teams")',
        )  # fmt: skip
    scope.needed("@relation", given, "to", directive.span)
    words = {name: word(scope, entry) for name, entry in given.items()}
    action = words.get("on_delete", "RESTRICT").upper()
    if action not in ON_DELETE:
        raise scope.fail(
            UnknownEnum, f"no action named '{words['on_delete']}'", given["on_delete"].value.span,
            suggest.hint(action, ON_DELETE, f"actions are {', '.join(ON_DELETE)}"),
        )  # fmt: skip
    key = words.get("key", "id")
    return Relation(to=words["to"], key="id" if key == "_sid" else key, on_delete=action)


def word(scope: Scope, entry: syntax.Entry) -> str:
    """A name as an argument, in quotes or bare."""
    value: Any = None
    if isinstance(entry.value, (syntax.StringLiteral, syntax.Word)):
        value = literal(entry.value)
    if not isinstance(value, str) or not value:
        raise scope.fail(TypeMismatch, f"'{entry.key.text}' is a name in quotes", entry.value.span)
    return value


def check(
    scope: Scope,
    collection: Collection,
    known: Mapping[str, Collection],
    spans: Mapping[str, Span] | None = None,
) -> None:
    """Refuse relations of a collection that cannot be.

    Args:
        scope: the text.
        collection: whose relations.
        known: every collection that will exist, `collection` itself included.
        spans: places of the fields in the text.

    Raises:
        UnknownCollection: a relation leads nowhere.
        SchemaError: it leads to a field that is not unique, or of another type.
    """
    for field in collection.fields:
        if field.relation is not None:
            span = None if spans is None else spans.get(field.name)
            _check(scope, field, field.relation, known, span)


def _check(
    scope: Scope,
    field: Field,
    relation: Relation,
    known: Mapping[str, Collection],
    span: Span | None,
) -> None:
    to = known.get(relation.to)
    if to is None:
        raise scope.fail(
            UnknownCollection,
            f"the relation '{field.name}' leads to '{relation.to}', which is no collection", span,
            suggest.hint(relation.to, known, f"define it: define collection {relation.to} {{ … }}"),
        )  # fmt: skip
    key = to.field(relation.key)
    if to.system:
        problem, hint = (
            f"leads to the system collection '{to.name}'",
            "keep the id in a plain field",
        )
    elif key is None:
        problem = f"leads to '{to.name}.{relation.key}', which is no field"
        hint = suggest.hint(relation.key, [one.name for one in to.fields])
    elif not _is_unique(to, key):
        problem = f"leads to '{to.name}.{key.name}', which is not unique"
        hint = f"declare it so: {key.name}: {types.type_name(key.type)} @unique"
    elif not _same(field, key):
        problem = f"is {types.type_name(field.type)}, but '{to.name}.{key.name}' is {types.type_name(key.type)}"
        hint = f"write {field.name}: {types.type_name(key.type)}"
    elif relation.on_delete == "SET_NULL" and field.required:
        problem, hint = (
            "is required, so SET_NULL cannot be",
            "leave out the '!', or write RESTRICT or CASCADE",
        )
    else:
        return
    raise scope.fail(SchemaError, f"the relation '{field.name}' {problem}", span, hint)


def _is_unique(collection: Collection, field: Field) -> bool:
    alone = any(one.unique and one.fields == (field.name,) for one in collection.indexes)
    return field.name == "id" or field.unique or alone


def _same(field: Field, key: Field) -> bool:
    return field.type.name == key.type.name or {field.type.name, key.type.name} <= _IDS


# --- ways -----------------------------------------------------------------------------------


def hop(scope: Scope, field: Field) -> plan.Hop | None:
    """The step over the relation of a field; None where it has none."""
    if field.relation is None:
        return None
    to = scope.collections.get(field.relation.to)
    key = None if to is None else to.field(field.relation.key)
    return None if to is None or key is None else plan.Hop(field, to, key)


def back(
    scope: Scope,
    collection: Collection,
    name: str,
    via: syntax.Entry | None,
    span: Span,
    hops: tuple[plan.Hop, ...] = (),
) -> plan.Link | None:
    """The documents of the collection `name` that refer to one of `collection`.

    None where `name` is no collection with a relation to it. `via` names the relation where it has
    several.

    Raises:
        MissingArgument: there are several, and `via` is not given.
        UnknownField: `via` names none of them.
    """
    other = scope.collections.get(name)
    if other is None:
        return None
    fields = _leading(other).get(collection.name)
    if fields is None:
        return None
    field = _chosen(scope, collection, other, fields, via, span)
    assert field.relation is not None
    key = collection.field(field.relation.key)
    assert key is not None, "the schema was checked"
    return plan.Link(
        other, plan.Path(key, (), key.type, hops=hops), plan.Path(field, (), field.type)
    )


@lru_cache(maxsize=512)
def _leading(collection: Collection) -> Mapping[str, Mapping[str, Field]]:
    """The relations of a collection by the one that they lead to, and by their names."""
    found: dict[str, dict[str, Field]] = {}
    for field in collection.fields:
        if field.relation is not None:
            found.setdefault(field.relation.to, {})[field.name] = field
    return found


def _chosen(
    scope: Scope,
    collection: Collection,
    other: Collection,
    fields: Mapping[str, Field],
    via: syntax.Entry | None,
    span: Span,
) -> Field:
    if via is not None:
        name = word(scope, via)
        if name not in fields:
            raise scope.fail(
                UnknownField, f"'{name}' is no relation of '{other.name}' to '{collection.name}'", via.value.span,
                suggest.hint(name, fields, f"there is {', '.join(fields)}"),
            )  # fmt: skip
        return fields[name]
    if len(fields) > 1:
        names = ", ".join(f"'{name}'" for name in fields)
        raise scope.fail(
            MissingArgument, f"several relations of '{other.name}' lead to '{collection.name}': {names}", span,
            f"say which one: via: {next(iter(fields))}",
        )  # fmt: skip
    return next(iter(fields.values()))


def comparable(one: plan.Path, other: plan.Path) -> bool:
    """Whether documents can be linked by values at two places; untyped ones are texts and numbers."""
    if one.type is None or other.type is None:
        typed = one.type or other.type
        return typed is None or typed.name != "Boolean"
    names = {one.type.name, other.type.name}
    return len(names) == 1 or names <= types.TEXT or names == {"Int", "Float"}
