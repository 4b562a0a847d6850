"""A plan as text, for people: what `explain` shows. Nothing reads it back."""

from __future__ import annotations

from typing import Any

import msgspec

from aurora_db.aql import plan, types
from aurora_db.aql.catalog import Collection, Field, Type


def printed(node: object) -> str:
    """The plan as indented lines, one for each part that is not as by default."""
    return "\n".join(_lines(node, 0))


def _lines(node: object, depth: int) -> list[str]:
    short = _short(node)
    if short is not None:
        return ["  " * depth + short]
    if isinstance(node, tuple):
        return [line for one in node for line in _lines(one, depth)]
    assert isinstance(node, msgspec.Struct), type(node)
    simple: list[str] = []
    below: list[str] = []
    for field in msgspec.structs.fields(node):
        value = getattr(node, field.name)
        if field.default is not msgspec.NODEFAULT and value == field.default:
            continue
        short = _short(value)
        if short is not None:
            simple.append(f"{field.name}: {short}")
        elif value != ():
            below.append("  " * (depth + 1) + f"{field.name}:")
            below += _lines(value, depth + 2)
    return ["  " * depth + " ".join([type(node).__name__, *simple]), *below]


def _short(value: object) -> str | None:
    """The value in a few words, or None where it needs lines of its own."""
    match value:
        case None | bool() | int() | float() | str():
            return repr(value)
        case Collection() | Field():
            return value.name
        case Type():
            return types.type_name(value)
        case plan.Constant():
            return repr(value.value)
        case plan.Variable():
            return "$" + ".".join((value.name, *value.path))
        case plan.Path():
            return _path(value)
        case plan.Call():
            parts = [_short(one) for one in value.arguments]
            return None if None in parts else f"{value.function}({', '.join(map(str, parts))})"
        case plan.Compare():
            left, right = _short(value.path), _short(value.value)
            return None if left is None or right is None else f"{left} {value.op} {right}"
        case tuple():
            return _short_list(value)
        case _:
            return None


def _short_list(items: tuple[Any, ...]) -> str | None:
    if items and all(isinstance(one, (str, int)) for one in items):
        return ", ".join(map(str, items))
    return None


def _path(path: plan.Path) -> str:
    hops = [hop.field.name for hop in path.hops]
    first = [] if path.field is None else [path.field.name]
    row = [path.row] if path.row else []
    return ".".join([*row, *hops, *first, *path.keys])
