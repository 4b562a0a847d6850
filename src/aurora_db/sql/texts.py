"""Comparisons of texts → SQL: parts, beginnings, ends, whatever case, patterns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from aurora_db.aql import plan
from aurora_db.aql.folding import fold

Fragment = tuple[str, tuple[Any, ...]]
#: The right side of the comparison in a form.
Given = Callable[[Callable[[Any], Any]], Fragment]

_FOLDED: Final = {"icontains": "contains", "istartsWith": "startsWith", "iendsWith": "endsWith"}


def compare(condition: plan.Compare, left: str, given: Given) -> Fragment:
    """The comparison of a text by `contains` or an operator of texts; null where it is none."""
    op = condition.op
    if op == "matches":
        right, params = given(_same)
        return f"aurora_matches({left}, {right})", params
    if op == "ieq":
        right, params = given(_fold)
        return f"aurora_fold({left}) = {right}", params
    form = _fold if op in _FOLDED else _same
    right, params = given(form)
    if op in _FOLDED:
        left = f"aurora_fold({left})"
    match _FOLDED.get(op, op):
        case "contains":
            return f"instr({left}, {right}) > 0", params
        case "endsWith":
            start = f"max(1, length({left}) - length({right}) + 1)"
            return f"substr({left}, {start}) = {right}", params + params
        case _:
            text = f"substr({left}, 1, length({right})) = {right}"
            if op == "startsWith" and params and _is_indexed(condition.path):
                # The range is what an index can lead to.
                high, more = given(_after)
                return (
                    f"({left} >= {right} AND {left} < {high} AND {text})",
                    params + more + params + params,
                )
            return text, params + params


def _is_indexed(path: plan.Path | plan.Call) -> bool:
    if isinstance(path, plan.Call) or path.keys or path.hops or path.field is None:
        return False
    return path.field.indexed or path.field.unique or path.field.name == "id"


def _after(text: Any) -> Any:
    """The lowest value above every text that begins with this one; a BLOB is above all texts."""
    if text is None:
        return None
    while text:
        code = ord(text[-1]) + 1
        if code <= 0x10FFFF:
            return text[:-1] + chr(0xE000 if code == 0xD800 else code)
        text = text[:-1]
    return b""


def _fold(text: Any) -> Any:
    return None if text is None else fold(text)


def _same(value: Any) -> Any:
    return value
