"""What rests on a collection's definition, and would break when that changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import msgspec

from aurora_db.aql import handlers, parser, parser_expressions, plan, rules, schedules, syntax
from aurora_db.aql.catalog import Catalog, Collection, Field
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.expressions import computed
from aurora_db.aql.values import Scope
from aurora_db.base.errors import AuroraError


def broken(before: Catalog, after: Catalog) -> list[str]:
    """What is understood with the definitions of `before` and not with those of `after`.

    One sentence for each, naming it: event handlers, schedules, rules, computed fields.
    """
    return [
        *_handlers(before, after),
        *_schedules(before, after),
        *_rules(before, after),
        *_computed(before, after),
    ]


def _handlers(before: Catalog, after: Catalog) -> Iterator[str]:
    for name, handler in sorted(after.handlers.items()):
        what = f"the event handler '{name}'"
        understood = _worked(lambda one=handler: handlers.triggers_of(one, before))
        if understood is None:
            continue
        try:
            handlers.triggers_of(handler, after)
        except AuroraError as error:
            yield f"{what}: {error.message}"
            continue
        # A flexible collection understands any name, and would then find nothing.
        yield from (
            f"{what}: it reads '{field}' of '{collection}'"
            for collection, field in sorted(_read(understood))
            if _is_gone(after, collection, field)
        )
        yield from _missing(handler.text, what, before, after)


def _worked(resolve: Callable[[], Any]) -> Any:
    try:
        return resolve()
    except AuroraError:
        return None


def _read(triggers: Iterable[plan.HandlerTrigger]) -> set[tuple[str, str]]:
    """The declared fields that triggers read, by their collection."""
    found: set[tuple[str, str]] = set()
    for trigger in triggers:
        found.update(_fields((trigger.where, trigger.actions), trigger.collection.name))
    return found


def _fields(tree: object, collection: str) -> Iterator[tuple[str, str]]:
    """The declared fields in a tree of a plan about `collection`, relations followed."""
    match tree:
        case plan.Path():
            for hop in tree.hops:
                yield collection, hop.field.name
                collection = hop.collection.name
            if tree.field is not None:
                yield collection, tree.field.name
        case plan.Quantified(over=plan.Link() as link):
            yield from _fields(link.local, collection)
            yield from _fields((link.foreign, tree.where), link.collection.name)
        case tuple():
            for one in cast("tuple[object, ...]", tree):
                yield from _fields(one, collection)
        case msgspec.Struct() if not isinstance(tree, Collection):
            for name in tree.__struct_fields__:
                yield from _fields(getattr(tree, name), collection)
        case _:
            pass


def _is_gone(after: Catalog, collection: str, field: str) -> bool:
    known = after.collections.get(collection)
    # `_rev` is no declared field, and always there.
    return known is None or (known.field(field) is None and not field.startswith("_"))


def _nodes(tree: object) -> Iterator[object]:
    """Every node of a tree of records and tuples."""
    yield tree
    if isinstance(tree, tuple):
        for one in cast("tuple[object, ...]", tree):
            yield from _nodes(one)
    elif isinstance(tree, msgspec.Struct) and not isinstance(tree, Collection):
        for name in tree.__struct_fields__:
            yield from _nodes(getattr(tree, name))


def _missing(text: str, what: str, before: Catalog, after: Catalog) -> Iterator[str]:
    """Collections that a definition's actions name and that are gone."""
    for name in sorted(_named(text)):
        if name in before.collections and name not in after.collections:
            yield f"{what}: it writes to '{name}'"


def _named(text: str) -> set[str]:
    found: set[str] = set()
    for node in _nodes(parser.parse(text).definitions):
        if isinstance(node, syntax.Entry) and node.key.text == "collection":
            match node.value:
                case syntax.StringLiteral(value=name) | syntax.Word(text=name):
                    found.add(name)
                case _:
                    pass
    return found


def _schedules(before: Catalog, after: Catalog) -> Iterator[str]:
    for name, schedule in sorted(after.schedules.items()):
        what = f"the schedule '{name}'"
        understood = _worked(lambda one=schedule: schedules.actions_of(one, before))
        if understood is None:
            continue
        try:
            schedules.actions_of(schedule, after)
        except AuroraError as error:
            yield f"{what}: {error.message}"
            continue
        # A flexible collection understands any name, and would then find nothing.
        yield from (
            f"{what}: it reads '{field}' of '{collection}'"
            for collection, field in sorted(set(_read_by(understood)))
            if _is_gone(after, collection, field)
        )


def _read_by(parts: Iterable[plan.Part]) -> Iterator[tuple[str, str]]:
    """The declared fields that conditions of mutations read, by their collection."""
    for part in parts:
        match part:
            case plan.Transaction():
                yield from _read_by(part.parts)
            case plan.Update() | plan.Delete():
                yield from _fields((part.where,), part.collection.name)
            case _:
                pass


def _rules(before: Catalog, after: Catalog) -> Iterator[str]:
    for name, one in sorted(after.rules.items()):
        old, new = before.collections.get(name), after.collections.get(name)
        # The rules of a collection that goes say nothing of any other.
        if old is None or new is None:
            continue
        if _worked(lambda one=one, old=old: (rules.check(one, old, before),)) is None:
            continue
        try:
            rules.check(one, new, after)
        except AuroraError as error:
            yield f"the rules of '{name}': {error.message}"


def _computed(before: Catalog, after: Catalog) -> Iterator[str]:
    for name, collection in sorted(after.collections.items()):
        old = before.collections.get(name)
        if old is None:
            continue
        for field in collection.fields:
            # A new or a changed one has its place in the text.
            if field.computed is None or old.field(field.name) != field:
                continue
            what = f"the computed field '{name}.{field.name}'"
            if _worked(lambda one=field, old=old: _meaning(old, one, before)) is None:
                continue
            try:
                _meaning(collection, field, after)
            except AuroraError as error:
                yield f"{what}: {error.message}"
                continue
            # A flexible collection understands any name, and would then find nothing.
            for used in sorted(_used(field.computed)):
                if old.field(used) is not None and collection.field(used) is None:
                    yield f"{what}: it reads '{used}'"


def _meaning(collection: Collection, field: Field, catalog: Catalog) -> object:
    return computed(Scope("", {}, catalog=catalog), collection, field, Conditions)


def _used(computed: str) -> set[str]:
    """The first names of the paths in a template or an expression."""
    tree = _worked(lambda: parser_expressions.parse_template(computed))
    if not isinstance(tree, syntax.Template):
        tree = _worked(lambda: parser_expressions.parse_expression(computed))
    return {node.parts[0] for node in _nodes(tree) if isinstance(node, syntax.PathExpression)}
