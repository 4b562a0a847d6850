"""Expressions of the plan: their static types, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from aurora_db.aql import plan, types
from aurora_db.aql.catalog import Type
from aurora_db.aql.comparing import WrongValue
from aurora_db.aql.functions import NULL, UNTYPED, unified
from aurora_db.aql.functions_time import moment
from aurora_db.base.errors import TypeMismatch


def type_of(expression: plan.Expression) -> Type | None:
    """The static type of an expression; None where it is known at run time only."""
    match expression:
        case plan.Constant(value=value):
            return _type_of_value(value)
        case _:
            type = expression.type
            if type is None or type.name in UNTYPED:
                return None
            return Type("String") if type.name == "Priority" else type


def _type_of_value(value: Any) -> Type | None:
    match value:
        case None:
            return NULL
        case bool():
            return Type("Boolean")
        case int():
            return Type("Int")
        case float():
            return Type("Float")
        case str():
            return Type("String")
        case list():
            item = unified([_type_of_value(one) for one in value])
            return None if item is None else Type("List", item=item)
        case _:
            return Type("Object")


def type_of_date(value: Any) -> Type:
    """The type of a constant text in the place of a date."""
    try:
        moment(value)
    except (WrongValue, ValueError):
        return Type("String")
    return Type("Date") if len(value) == 10 else Type("DateTime")


def class_of(type: Type) -> str:
    """Types of one class can be compared."""
    if type.name in ("Int", "Float"):
        return "number"
    if type.name in types.TEXT:
        return "text"
    return "object" if type.name in ("Object", "Inline") else type.name


def fitted(expression: plan.Expression, type: Type, what: str) -> plan.Expression:
    """The expression as a value of `type`; what is known at run time only and does not fit is null.

    Raises:
        TypeMismatch: it has another type. Without a place.
    """
    found = type_of(expression)
    if found in (NULL, type) or type.name in UNTYPED:
        return expression
    if found is not None:
        if type.name == "Float" and found.name == "Int":
            return plan.Call("toFloat", (expression,), type)
        if type.name == "String" and found.name in types.TEXT:
            return expression
        if class_of(found) != class_of(type) or (type.name == "Int" and found.name == "Float"):
            raise TypeMismatch(
                f"{what} is {types.type_name(type)}, but its expression gives {types.type_name(found)}",
                hint="use floor() or round()" if found.name == "Float" else None,
            )
    wanted = plan.Constant(msgspec.json.encode(type).decode())
    return plan.Call("typed", (expression, wanted), type)


def replaced(
    expression: plan.Expression, change: Callable[[plan.Path], plan.Expression]
) -> plan.Expression:
    """The expression with every path changed."""
    match expression:
        case plan.Path():
            return change(expression)
        case plan.Call(arguments=arguments):
            made = tuple(replaced(one, change) for one in arguments)
            return msgspec.structs.replace(expression, arguments=made)
        case plan.Items(items=items):
            made = tuple(replaced(one, change) for one in items)
            return msgspec.structs.replace(expression, items=made)
        case plan.Constant() | plan.Variable():
            return expression


def calls(expression: plan.Expression) -> set[str]:
    """The names of all functions that an expression calls."""
    match expression:
        case plan.Call(function=name, arguments=parts):
            return {name}.union(*map(calls, parts))
        case plan.Items(items=parts):
            return set[str]().union(*map(calls, parts))
        case _:
            return set()


def as_value(expression: plan.Expression) -> plan.Path | plan.Call:
    """The expression as what a comparison compares."""
    if isinstance(expression, (plan.Path, plan.Call)):
        return expression
    return plan.Call("coalesce", (expression,), type_of(expression))


def as_condition(expression: plan.Expression) -> plan.Call:
    """The truth of the expression."""
    if isinstance(expression, plan.Call) and expression.type == Type("Boolean"):
        return expression
    return plan.Call("and", (expression,), Type("Boolean"))
