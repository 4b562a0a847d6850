"""Upserts: which document is meant, and what is inserted where there is none. Pure.

The `where` is equalities on `id` or a unique key, which makes an upsert free of races.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from aurora_db.aql import plan, suggest
from aurora_db.aql.catalog import Collection
from aurora_db.aql.changes import Change, written
from aurora_db.aql.evaluate_expressions import evaluate
from aurora_db.base.errors import MissingWhere, TypeMismatch, UnknownField


class _Unknown:
    """A value that is known at execution."""


UNKNOWN: Final = _Unknown()


def known_of(value: plan.Value) -> Any:
    """`value` with `UNKNOWN` in the place of what is known at execution."""
    match value:
        case plan.Constant(value=constant):
            return constant
        case plan.ObjectValue(items=pairs):
            return {name: known_of(one) for name, one in pairs}
        case _:
            return UNKNOWN


def equalities(collection: Collection, where: Any) -> dict[str, Any]:
    """The values by field that a where-object demands.

    Raises:
        MissingWhere: it is something else than equalities, or names no unique key.
        UnknownField: the collection has no such field.
        TypeMismatch: it is no object, or a value is null, which is no key.
    """
    if not isinstance(where, Mapping):
        raise TypeMismatch(f"the where of an upsert is an object of equalities, got {where!r}")
    found: dict[str, Any] = {}
    for given, value in cast("Mapping[str, Any]", where).items():
        if not isinstance(cast("object", given), str):
            raise TypeMismatch(f"the name of a field is a text, got {given!r}")
        name = "id" if given == "_sid" else given
        if collection.field(name) is None:
            _refuse_name(collection, name)
        if isinstance(value, Mapping):
            compared = cast("Mapping[str, Any]", value)
            if list(compared) != ["eq"]:
                raise _refused(collection, f"'{name}' is compared otherwise")
            value = compared["eq"]  # noqa: PLW2901 - the value behind its operator
        if value is None:
            raise TypeMismatch(f"'{name}' is null, which is no key", hint="insert instead")
        found[name] = value
    if not any(key <= found.keys() for key in keys_of(collection)):
        names = ", ".join(f"'{name}'" for name in found) or "nothing"
        raise _refused(collection, f"it compares {names}")
    return found


def keys_of(collection: Collection) -> list[frozenset[str]]:
    """The sets of fields that at most one document has the values of."""
    single = [frozenset((field.name,)) for field in collection.fields if field.unique]
    several = [frozenset(index.fields) for index in collection.indexes if index.unique]
    return [frozenset(("id",)), *single, *several]


def _refuse_name(collection: Collection, name: str) -> None:
    if name in ("and", "or", "not", "expr") or "." in name:
        raise _refused(collection, f"it has '{name}'")
    known = [field.name for field in collection.fields]
    if collection.flexible and not name.startswith("_"):
        raise _refused(collection, f"'{name}' is not declared")
    raise UnknownField(
        f"no field named '{name}' in collection '{collection.name}'",
        hint=suggest.hint(name, known),
    )


def _refused(collection: Collection, why: str) -> MissingWhere:
    keys = [" and ".join(f"'{name}'" for name in sorted(key)) for key in keys_of(collection)]
    return MissingWhere(
        f"the where of an upsert is equalities on {' or '.join(keys)}; {why}",
        hint="declare the field @unique, or several together @@unique(fields: […])",
    )


# --- inserting ------------------------------------------------------------------------------


def inserted(
    changes: Sequence[Change],
    equalities: Mapping[str, Any],
    variables: Mapping[str, Any],
    now: dt.datetime,
) -> dict[str, Any]:
    """The document that an upsert inserts: operators count from 0 and [], expressions see the others."""
    plain = [change for change in changes if change.op not in ("unset", "expr")]
    document = _placed(dict(equalities), [(change, _begun(change)) for change in plain])
    computed = [
        (change, evaluate(change.value, document, variables, now))
        for change in changes
        if change.op == "expr"
    ]
    return _placed(document, computed)


def _placed(document: dict[str, Any], values: Sequence[tuple[Change, Any]]) -> dict[str, Any]:
    for change, value in values:
        first, *rest = written(change.path).split(".") if not change.whole else [change.column]
        place = document
        for key in rest:
            below = place.get(first)
            inner = dict(below) if isinstance(below, Mapping) else {}
            place[first] = inner
            place, first = inner, key
        place[first] = value
    return document


def _begun(change: Change) -> Any:
    operand = change.value
    match change.op:
        case "set" | "setOnInsert":
            return change.given
        case "increment":
            return operand
        case "min":
            return min(0, operand)
        case "max":
            return max(0, operand)
        case "decrement":
            return -operand
        case "multiply":
            return 0
        case "push" | "addToSet":
            return [change.given]
        case "pushAll":
            return list(change.given)
        case "pull" | "removeAt":
            return []
        case _:
            raise AssertionError(f"no operator begins so: {change.op}")
