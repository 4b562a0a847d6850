"""The `where` of an upsert: equalities on `id` or a unique key, which makes it race-free. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from aurora_db.aql import plan, suggest
from aurora_db.aql.catalog import Collection
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
    for written, value in cast("Mapping[str, Any]", where).items():
        name = "id" if written == "_sid" else written
        if collection.field(name) is None:
            _refuse_name(collection, name)
        if isinstance(value, Mapping):
            given = cast("Mapping[str, Any]", value)
            if list(given) != ["eq"]:
                raise _refused(collection, f"'{name}' is compared otherwise")
            value = given["eq"]  # noqa: PLW2901 - the value behind its operator
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
