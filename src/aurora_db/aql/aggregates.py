"""`aggregate { … }` → plan: which functions over what, and the types of their results."""

from __future__ import annotations

from typing import Final

from aurora_db.aql import plan, suggest, syntax
from aurora_db.aql.catalog import Type
from aurora_db.aql.operands import ANY, NUMBER, ORDERED, Operands, type_of, untyped
from aurora_db.aql.selections import key_of
from aurora_db.aql.values import Scope
from aurora_db.aql.words import words
from aurora_db.base.errors import MissingArgument, UnknownField

#: The functions, and what each asks of its values.
FUNCTIONS: Final = {
    "count": ANY, "sum": NUMBER, "avg": NUMBER, "min": ORDERED, "max": ORDERED, "countDistinct": ANY,
}  # fmt: skip

INT: Final = Type(name="Int")
FLOAT: Final = Type(name="Float")


def functions(
    selection: syntax.FieldSelection, operands: Operands, scope: Scope
) -> tuple[plan.Aggregate, ...]:
    """The functions that an `aggregate` selects.

    Raises:
        UnknownField: it selects nothing, or something else.
        TypeMismatch: a field has no values of the kind that its function takes.
    """
    scope.arguments("aggregate", selection.arguments, {})
    fields = words(scope, selection.selection)
    if not selection.selection:
        raise scope.fail(
            MissingArgument, "aggregate needs a selection", selection.name.span,
            "write aggregate { count }",
        )  # fmt: skip
    return tuple(_function(one, operands, scope) for one in fields)


def _function(selection: syntax.FieldSelection, operands: Operands, scope: Scope) -> plan.Aggregate:
    name = selection.name.text
    wants = FUNCTIONS.get(name)
    if wants is None:
        raise scope.fail(
            UnknownField, f"no aggregate named '{name}'", selection.name.span,
            suggest.hint(name, FUNCTIONS, f"aggregates are {', '.join(FUNCTIONS)}"),
        )  # fmt: skip
    if selection.selection:
        raise scope.fail(
            UnknownField, f"'{name}' is a value and has no fields", selection.selection[0].span
        )
    arguments = scope.arguments(name, selection.arguments, {"field": "field", "expr": "expr"})
    of = None
    if arguments or name != "count":
        _, of = operands.of(name, arguments, wants, selection.name)
    return plan.Aggregate(key_of(selection), name, of)


def result_type(aggregate: plan.Aggregate) -> Type | None:
    """The type of an aggregate's result; None where it is known from the values only."""
    match aggregate.function:
        case "count" | "countDistinct":
            return INT
        case "avg":
            return FLOAT
        case _:
            type = type_of(aggregate.of)
            return None if untyped(type) else type
