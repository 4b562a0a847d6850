"""The operators of a where: their names, the types they apply to, the values they take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, cast

from aurora_db.aql import plan, suggest, types
from aurora_db.aql.catalog import Type
from aurora_db.aql.patterns import pattern_problem
from aurora_db.base.codec import encode
from aurora_db.base.errors import SecurityError, TypeMismatch, UnknownField

ORDERED_OPS: Final = frozenset({"gt", "gte", "lt", "lte", "between"})
TEXT_OPS: Final = frozenset({
    "startsWith", "endsWith", "ieq", "icontains", "istartsWith", "iendsWith", "matches",
})  # fmt: skip
LIST_OPS: Final = frozenset({"containsAny", "containsAll"})
#: Operators that a plan's `Compare` has.
COMPARED: Final = frozenset(
    {"eq", "ne", "in", "contains", "isNull", *ORDERED_OPS, *TEXT_OPS, *LIST_OPS}
)
QUANTIFIERS: Final = ("some", "every", "none")
#: Every operator that may stand at a field.
OPERATORS: Final = frozenset(
    {*COMPARED, *QUANTIFIERS, "isNotNull", "nin", "notIn", "size", "and", "or", "not"}
)
#: Operators of `size`.
COUNTED: Final = frozenset(
    {"eq", "ne", "gt", "gte", "lt", "lte", "between", "in", "nin", "notIn", "and", "or", "not"}
)

#: The function of which `size` is a comparison: the length of a list, null of anything else.
SIZE: Final = "size"


def applies(type: Type, op: str) -> bool:
    """Whether an operator of a comparison applies to values of a type."""
    name = type.name
    if op in ORDERED_OPS:
        return name in types.ORDERED
    if op in TEXT_OPS:
        return name in types.TEXT
    if op in LIST_OPS:
        return name == "List"
    if op == "contains":
        return name in types.TEXT or name in types.JSON_KINDS
    return True


def name_of(path: plan.Path | plan.Call) -> str:
    """How a path is written."""
    if isinstance(path, plan.Call):
        inner = path.arguments[0] if path.arguments else None
        return f"{path.function}({name_of(inner) if isinstance(inner, (plan.Path, plan.Call)) else '…'})"
    hops = tuple(hop.field.name for hop in path.hops)
    first = (path.field.name,) if path.field is not None else ()
    return ".".join((*hops, *first, *path.keys))


def stored(path: plan.Path | plan.Call, op: str, value: Any) -> Any:
    """The form in which a value of a comparison is bound: of the path's type, or as it is.

    Raises:
        TypeMismatch, UnknownEnum, UnknownField: the value has another type than the path.
        SecurityError: the pattern of `matches` is refused.
    """
    where = f"'{name_of(path)}'"
    type = path.type
    if op == "isNull":
        if not isinstance(value, bool):
            raise types.mismatch(f"'isNull' of {where}", "Boolean", value)
        return value
    if op == "in":
        return [_one(type, one, where) for one in _listed(op, value, where)]
    if op == "between":
        ends = [_one(type, one, where) for one in _listed(op, value, where)]
        if len(ends) != 2:
            raise TypeMismatch(f"'between' of {where} is a list of two values, got {len(ends)}")
        return ends
    if op in LIST_OPS:
        return [_element(type, one, where) for one in _listed(op, value, where)]
    if op == "contains" and type is not None and type.name in types.JSON_KINDS:
        return _element(type, value, where)
    if op in TEXT_OPS or (op == "contains" and type is not None):
        return _text(op, value, where)
    if type is not None and type.name == "List" and isinstance(value, (str, int, float)):
        error = types.mismatch(where, type, value)
        error.hint = "ask for an element: {contains: …}"
        raise error
    return _one(type, value, where)


def _listed(op: str, value: Any, where: str) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        error = types.mismatch(f"'{op}' of {where}", "a list", value)
        error.hint = f"write {op}: […]"
        raise error
    return list(cast("list[Any]", value))


def _text(op: str, value: Any, where: str) -> str | None:
    if not isinstance(value, str) and value is not None:
        raise types.mismatch(f"'{op}' of {where}", "String", value)
    if op == "matches" and value is not None:
        problem = pattern_problem(value)
        if problem is not None:
            raise SecurityError(problem.replace("'pattern'", f"the pattern of {where}", 1))
    return value


def _element(type: Type | None, value: Any, where: str) -> Any:
    """What a list shall contain, or some keys and values of an object, as JSON text."""
    if type is None:
        return value
    if type.name == "List" and type.item is not None and value is not None:
        return encode(types.deep(type.item, value, where))
    if type.name in ("Object", "Inline"):
        if not isinstance(value, Mapping):
            raise types.mismatch(f"'contains' of {where}", "Object", value)
        if type.name == "Inline":
            return encode(_subset(type, cast("Mapping[str, Any]", value), where))
    return encode(value)


def _subset(type: Type, value: Mapping[str, Any], where: str) -> dict[str, Any]:
    known = {field.name: field.type for field in type.fields}
    for name in value:
        if name not in known:
            raise UnknownField(
                f"no field named '{name}' in {where}", hint=suggest.hint(name, known)
            )
    return {name: types.deep(known[name], one, f"{where}.{name}") for name, one in value.items()}


_NUMBERS: Final = frozenset({"Int", "Float"})
#: Operators that compare with one value as it is.
_BY_VALUE: Final = frozenset({"eq", "ne", "gt", "gte", "lt", "lte"})


def same(type: Type | None, op: str, value: Any) -> bool:
    """Whether the operator applies and `stored` gives such a value as it is, told at a glance."""
    if type is None:
        return False
    if op in _BY_VALUE:
        return _is_same(type, value)
    if op == "in" and value.__class__ is list:
        return all(_is_same(type, one) for one in cast("list[Any]", value))
    return False


def _is_same(type: Type, value: Any) -> bool:
    kind = value.__class__
    if kind is int:
        return type.name in _NUMBERS and types.INT_MIN <= value <= types.INT_MAX
    if kind is str:
        return type.name in _ANY_TEXT and value.isascii()
    return kind is float and type.name in _NUMBERS and math.isfinite(value)


#: Types whose values are compared as any text, for no other text equals them.
_ANY_TEXT: Final = frozenset({"String", "ID", "Email", "URL", "PhoneNumber"})


def _one(type: Type | None, value: Any, where: str) -> Any:
    if value is None:
        return None
    if type is None:
        return value
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and type.name in ("Int", "Float"):
        # 10 equals 10.0, and nothing equals 10.5: comparing by value needs no conversion.
        return types.store(types.FLOAT if isinstance(value, float) else types.INT, value, where)
    if type.name == "Enum" and value in type.words:
        return value
    if isinstance(value, str) and type.name in _ANY_TEXT:
        return types.store(types.STRING, value, where)
    return types.store(type, value, where)
