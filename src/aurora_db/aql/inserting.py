"""The `data` of inserts in a text: what can be refused before anything runs, with its place."""

from __future__ import annotations

from typing import cast

from aurora_db.aql import changing, checks, plan, suggest, syntax
from aurora_db.aql.catalog import Collection, Field
from aurora_db.aql.changes import EPOCH
from aurora_db.aql.values import Scope
from aurora_db.base.errors import DuplicateArgument, TypeMismatch, UnknownField


def document(scope: Scope, collection: Collection, entry: syntax.Entry, verb: str) -> plan.Value:
    """The one document of `insertInto`.

    Raises:
        AqlError: with the place of a field that is not known or a constant that does not fit.
        ValidationError: a constant breaks a rule of its field.
    """
    if isinstance(entry.value, syntax.ListLiteral):
        raise scope.fail(
            TypeMismatch, f"'{entry.key.text}' of {verb} is one object, got a list", entry.value.span,
            "insertMany takes a list",
        )  # fmt: skip
    return _one(scope, collection, entry.value, verb)


def documents(scope: Scope, collection: Collection, entry: syntax.Entry, verb: str) -> plan.Value:
    """The documents of `insertMany` and `import`; errors as of `document`."""
    value = entry.value
    if isinstance(value, syntax.VariableRef):
        return scope.value(value)
    if not isinstance(value, syntax.ListLiteral):
        raise scope.fail(
            TypeMismatch, f"'{entry.key.text}' of {verb} is a list of objects", value.span,
            "write data: [{…}]",
        )  # fmt: skip
    parts = tuple(_one(scope, collection, item, verb) for item in value.items)
    if all(isinstance(part, plan.Constant) for part in parts):
        return plan.Constant([cast("plan.Constant", part).value for part in parts])
    return plan.ListValue(parts)


def _one(scope: Scope, collection: Collection, value: syntax.Value, verb: str) -> plan.Value:
    if isinstance(value, syntax.VariableRef):
        return scope.value(value)
    if not isinstance(value, syntax.ObjectLiteral):
        raise scope.fail(TypeMismatch, f"'data' of {verb} holds objects", value.span)
    known = {field.name: field for field in collection.fields}
    names = {entry.key.text for entry in value.entries}
    pairs: list[tuple[str, plan.Value]] = []
    constant = True
    for entry in value.entries:
        name = entry.key.text
        if name == "_sid" and "id" in names:
            raise scope.fail(
                DuplicateArgument,
                "'id' and '_sid' are the same field",
                entry.key.span,
                "write id only",
            )
        field = known.get("id" if name == "_sid" else name)
        if field is None and (not collection.flexible or name.startswith("_")):
            raise scope.fail(
                UnknownField, f"no field named '{name}' in collection '{collection.name}'", entry.key.span,
                suggest.hint(name, known, "declare it, or define the collection @flexible"),
            )  # fmt: skip
        held = scope.value(entry.value)
        pairs.append((name, held))
        if not isinstance(held, plan.Constant):
            constant = False
        elif field is not None:
            _fits(scope, field, held, entry.value)
    if constant:
        return plan.Constant({name: cast("plan.Constant", held).value for name, held in pairs})
    return plan.ObjectValue(tuple(pairs))


def _fits(scope: Scope, field: Field, held: plan.Constant, value: syntax.Value) -> None:
    """Refuse a constant that its field cannot hold; what is required is known at the end only."""
    constant = held.value
    if constant is None or field.computed is not None or checks.is_plain(field, constant):
        return
    changing.placed(
        scope,
        lambda: changing.culprit(field.type, value),
        lambda: checks.column_value(field, constant, EPOCH),
    )
