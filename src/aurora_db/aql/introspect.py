"""`__schema { … }`: what exists, as a result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast

from aurora_db.aql import plan, suggest, syntax, types
from aurora_db.aql.catalog import Catalog, Collection, Field, Handler, Relation
from aurora_db.aql.directives import fields_of
from aurora_db.aql.selections import key_of
from aurora_db.aql.values import Scope
from aurora_db.base.errors import UnknownField

#: What can be selected at each level, and the level below it; "" for a value.
LEVELS: Final[Mapping[str, Mapping[str, str]]] = {
    "__schema": {"collections": "collections"},
    "collections": {"name": "", "fields": "fields", "handlers": "handlers", "count": ""},
    "fields": {
        "name": "", "type": "", "required": "", "unique": "", "indexed": "", "default": "",
        "relation": "relation",
    },
    "relation": {"to": "", "key": "", "onDelete": ""},
    "handlers": {"name": "", "on": ""},
}  # fmt: skip

#: Nested triples of key, name and what is below.
Shape = tuple[tuple[str, str, tuple[object, ...]], ...]


def introspection(scope: Scope, root: syntax.FieldSelection) -> plan.Introspection:
    """The plan of a `__schema` root; without a selection everything.

    Raises:
        UnknownField, UnknownArgument, UnknownDirective, DuplicateAlias: with its place.
    """
    scope.arguments("__schema", root.arguments, {})
    return plan.Introspection(key_of(root), _shape(scope, "__schema", root.selection))


def _shape(scope: Scope, level: str, selection: Sequence[syntax.Selection] | None) -> Shape:
    known = LEVELS[level]
    if not selection:
        return tuple(
            (name, name, _shape(scope, below, None) if below else ())
            for name, below in known.items()
        )
    made: list[tuple[str, str, tuple[object, ...]]] = []
    for one in fields_of(scope, selection, None):
        if isinstance(one, syntax.Computed):
            raise scope.fail(UnknownField, f"{level} has no computed fields", one.span)
        name = one.name.text
        if name not in known:
            raise scope.fail(
                UnknownField, f"no field named '{name}' in {level}", one.name.span,
                suggest.hint(name, known, f"it has {', '.join(known)}"),
            )  # fmt: skip
        scope.arguments(f"the field '{name}'", one.arguments, {})
        if one.selection and not known[name]:
            raise scope.fail(UnknownField, f"'{name}' has no fields to select", one.span)
        below = _shape(scope, known[name], one.selection) if known[name] else ()
        made.append((key_of(one), name, below))
    return tuple(made)


def counts(part: plan.Introspection) -> bool:
    """Whether it asks how many documents there are."""
    return any(name == "count" for _, _, below in part.selection for _, name, _ in _triples(below))


def _triples(below: tuple[object, ...]) -> Shape:
    return cast("Shape", below)


def shown(part: plan.Introspection, catalog: Catalog, counted: Mapping[str, int]) -> dict[str, Any]:
    """The result: the collections of users by name; `counted` are their documents."""
    collections = [one for _, one in sorted(catalog.collections.items()) if not one.system]

    def collection(one: Collection, name: str, below: Shape) -> Any:
        match name:
            case "fields":
                return _each(below, one.fields, _field)
            case "handlers":
                waiting = [h for _, h in sorted(catalog.handlers.items()) if _waits(h, one.name)]
                return _each(below, waiting, _handler)
            case "count":
                return counted.get(one.name, 0)
            case _:
                return one.name

    return {
        key: _each(_triples(below), collections, collection) for key, _, below in part.selection
    }


def _each(
    shape: Shape, items: Iterable[Any], show: Callable[[Any, str, Shape], Any]
) -> list[dict[str, Any]]:
    return [{key: show(one, name, _triples(below)) for key, name, below in shape} for one in items]


def _waits(handler: Handler, collection: str) -> bool:
    return any(event.collection in (collection, "*") for event in handler.on)


def _handler(one: Handler, name: str, _below: Shape) -> Any:
    if name == "name":
        return one.name
    events = [f"{event.op}:{event.collection}" for event in one.on]
    return events[0] if len(events) == 1 else events


def _field(one: Field, name: str, below: Shape) -> Any:
    match name:
        case "type":
            return types.type_name(one.type)
        case "required":
            return one.required
        case "unique":
            return one.unique or one.primary
        case "indexed":
            return one.indexed or one.unique or one.primary
        case "default":
            return one.default
        case "relation":
            return None if one.relation is None else _each(below, [one.relation], _relation)[0]
        case _:
            return one.name


def _relation(one: Relation, name: str, _below: Shape) -> Any:
    return {"to": one.to, "key": one.key, "onDelete": one.on_delete}[name]
