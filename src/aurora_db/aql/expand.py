"""Conditions whose shape comes from variables → conditions whose shape is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, assert_never, cast

import msgspec

from aurora_db.aql import plan
from aurora_db.aql.catalog import Catalog, Type
from aurora_db.aql.conditions import resolve_where
from aurora_db.aql.operators import stored
from aurora_db.aql.values import value_of
from aurora_db.base.errors import MissingWhere, TypeMismatch

#: The type of a variable that is not null.
GIVEN: Final = Type(name="Any", required=True)


def expand(
    where: plan.Where, catalog: Catalog, variables: Mapping[str, Any], *, inside: bool = False
) -> plan.Where:
    """`where` with every `where: $variable` replaced by what the variable says.

    A whole where that is null says nothing and matches all; `inside` of a condition null is refused.

    Raises:
        AqlError: the variable holds no where-object, or one that is refused.
    """
    match where:
        case plan.WhereVariable():
            return _said(where, catalog, variables, inside=inside)
        case plan.And(parts=parts):
            return plan.And(_parts(parts, catalog, variables, inside=inside))
        case plan.Or(parts=parts):
            return plan.Or(_parts(parts, catalog, variables, inside=True))
        case plan.Not(part=part):
            return plan.Not(expand(part, catalog, variables, inside=True))
        case plan.Quantified(where=inner):
            known = expand(inner, catalog, variables, inside=True)
            return msgspec.structs.replace(where, where=known)
        case plan.Compare():
            return _known(where, variables)
        case _:
            assert_never(where)


def expand_query(query: plan.Query, catalog: Catalog, variables: Mapping[str, Any]) -> plan.Query:
    """A query with every where of it known, those of nested selections included."""
    return _changed(query, lambda where: expand(where, catalog, variables))


def assume_given(query: plan.Query) -> tuple[plan.Query, frozenset[str]]:
    """A query whose comparisons over relations take their variables as not null, and the names of those."""
    names: set[str] = set()

    def given(where: plan.Where) -> plan.Where:
        match where:
            case plan.And(parts=parts):
                return plan.And(tuple(map(given, parts)))
            case plan.Or(parts=parts):
                return plan.Or(tuple(map(given, parts)))
            case plan.Not(part=part):
                return plan.Not(given(part))
            case plan.Quantified(where=inner):
                return msgspec.structs.replace(where, where=given(inner))
            case plan.Compare(path=plan.Path(hops=(_, *_)), op="eq" | "ne" | "in", value=plan.Variable(path=()) as value):  # fmt: skip
                names.add(value.name)
                return plan.Compare(where.path, where.op, plan.Variable(value.name, (), GIVEN))
            case _:
                return where

    return _changed(query, given), frozenset(names)


def _changed(query: plan.Query, change: Callable[[plan.Where], plan.Where]) -> plan.Query:
    return msgspec.structs.replace(
        query,
        where=change(query.where),
        outputs=tuple(_output(one, change) for one in query.outputs),
        parts=tuple(_part(one, change) for one in query.parts),
    )


def _part(part: plan.QueryPart, change: Callable[[plan.Where], plan.Where]) -> plan.QueryPart:
    match part:
        case plan.Groups(outputs=groups):
            known = tuple(
                one
                if one.nodes is None
                else msgspec.structs.replace(one, nodes=_changed(one.nodes, change))
                for one in groups
            )
            return msgspec.structs.replace(part, outputs=known)
        case plan.Window(outputs=outputs):
            shown = tuple(_output(one, change) for one in outputs)
            return msgspec.structs.replace(part, outputs=shown)
        case _:
            return part


def _output(output: plan.Selected, change: Callable[[plan.Where], plan.Where]) -> plan.Selected:
    match output:
        case plan.One(outputs=outputs):
            known = tuple(_output(one, change) for one in outputs)
            return msgspec.structs.replace(output, outputs=known)
        case plan.Many(query=query):
            return msgspec.structs.replace(output, query=_changed(query, change))
        case _:
            return output


def expand_for_write(
    where: plan.Where, catalog: Catalog, variables: Mapping[str, Any]
) -> plan.Where:
    """The same for an update or a delete, which a variable must not turn on everything.

    Raises:
        MissingWhere: nothing is left of the condition.
    """
    known = expand(where, catalog, variables)
    if is_everything(known) and not _says_all(where):
        raise MissingWhere(
            "the variable holds no condition, so every document would be changed",
            hint="write all: true if that is meant",
        )
    return known


def is_everything(where: plan.Where) -> bool:
    """Whether it is a condition that has nothing in it."""
    return isinstance(where, plan.And) and all(map(is_everything, where.parts))


def _says_all(where: plan.Where) -> bool:
    return isinstance(where, plan.And) and (not where.parts or any(map(is_everything, where.parts)))


def _said(
    where: plan.WhereVariable, catalog: Catalog, variables: Mapping[str, Any], *, inside: bool
) -> plan.Where:
    given = variables.get(where.name)
    if given is None and not inside:
        return plan.ALWAYS
    return _resolved(where, given, catalog)


def _resolved(where: plan.WhereVariable, given: object, catalog: Catalog) -> plan.Where:
    if not isinstance(given, Mapping):
        raise TypeMismatch(
            f"the variable '${where.name}' is a where-object, got {given!r}",
            hint="give {} to match all",
        )
    return resolve_where(where.collection, cast("Mapping[str, Any]", given), catalog, where.over)


def _parts(
    parts: tuple[plan.Where, ...], catalog: Catalog, variables: Mapping[str, Any], *, inside: bool
) -> tuple[plan.Where, ...]:
    """The parts of `and` or `or`; a variable may hold the list of them."""
    made: list[plan.Where] = []
    for part in parts:
        given = variables.get(part.name) if isinstance(part, plan.WhereVariable) else None
        if isinstance(part, plan.WhereVariable) and isinstance(given, (list, tuple)):
            made += [_resolved(part, one, catalog) for one in cast("list[Any]", given)]
        else:
            made.append(expand(part, catalog, variables, inside=inside))
    return tuple(made)


def _known(where: plan.Compare, variables: Mapping[str, Any]) -> plan.Compare:
    """A comparison over a relation with its value, for null needs another statement."""
    path = where.path
    late = isinstance(path, plan.Path) and path.hops and where.op in ("eq", "ne", "in", "isNull")
    if not late or isinstance(where.value, plan.Constant):
        return where
    value = stored(path, where.op, value_of(where.value, variables, variables))
    return plan.Compare(path, where.op, plan.Constant(value))


def valued(where: plan.Where, variables: Mapping[str, Any]) -> plan.Where:
    """An expanded where with the values of variables in their place, so that it means the same without them.

    Those inside of expressions stay.

    Raises:
        AqlError: a value does not fit its place.
    """
    match where:
        case plan.And(parts=parts):
            return plan.And(tuple(valued(part, variables) for part in parts))
        case plan.Or(parts=parts):
            return plan.Or(tuple(valued(part, variables) for part in parts))
        case plan.Not(part=part):
            return plan.Not(valued(part, variables))
        case plan.Quantified(where=inner):
            return msgspec.structs.replace(where, where=valued(inner, variables))
        case plan.Compare(value=plan.Constant() | plan.Computation()):
            return where
        case plan.Compare(path=path, op=op, value=value):
            known = stored(path, op, value_of(value, variables, variables))
            return plan.Compare(path, op, plan.Constant(known))
        case plan.WhereVariable():
            raise AssertionError("a where variable is expanded before")
        case _:
            assert_never(where)
