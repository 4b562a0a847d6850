"""Rows → documents: a function compiled for each query, so that a row is made in one pass."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from types import CodeType
from typing import Any, cast

from aurora_db.aql import types
from aurora_db.aql.expression_types import type_of
from aurora_db.aql.plan import Computed, Many, One, Output, Selected
from aurora_db.base.codec import decode

Document = dict[str, Any]
#: Makes a document of a row; with nested selections, also of what gives the related documents of each.
Reader = Callable[..., Document]


def compiled(outputs: Sequence[Selected]) -> Reader:
    """The function from a row, one column for each output, to a document.

    With nested selections it takes besides, in their order, what gives the related documents of
    the value in their column.

    Keys stand in the generated code as constants written by `repr`; nothing of the user's is
    ever run.
    """
    names: dict[str, Any] = {"decode": decode}
    parts: list[str] = []
    nested = 0
    for n, output in enumerate(outputs):
        if isinstance(output, (One, Many)):
            parts.append(f"{output.key!r}: m[{nested}](r[{n}])")
            nested += 1
            continue
        if not isinstance(output, (Output, Computed)):
            parts.append(f"{output.key!r}: r[{n}]")
            continue
        if isinstance(output, Output) and output.extra:
            parts.append(f"**(decode(r[{n}]) if r[{n}] is not None else {{}})")
            continue
        load = _load(output) if isinstance(output, Output) else _computed(output)
        if load is None:
            parts.append(f"{output.key!r}: r[{n}]")
        else:
            names[f"f{n}"] = load
            parts.append(f"{output.key!r}: None if r[{n}] is None else f{n}(r[{n}])")
    source = ("lambda r, m: {" if nested else "lambda r: {") + ", ".join(parts) + "}"
    return cast("Reader", eval(_code(source), names))  # noqa: S307 - constants and our own functions only


@functools.lru_cache(maxsize=1_000)
def _code(source: str) -> CodeType:
    """The compiled function of this text: queries that differ by values share it."""
    return compile(source, "<reader>", "eval")


def _computed(output: Computed) -> Callable[[Any], Any] | None:
    type = type_of(output.expression)
    # What is known at run time only comes as JSON.
    return decode if type is None else types.load(type)


def _load(output: Output) -> Callable[[Any], Any] | None:
    path = output.path
    if output.selection is not None:
        shaped = shape(output.selection, len(path.keys))
        return lambda text: shaped(decode(text))
    if path.keys:
        # The column is JSON text of the part.
        inner = None if path.type is None else types.revive(path.type)
        return decode if inner is None else lambda text: inner(decode(text))
    return None if path.type is None else types.load(path.type)


def shape(selection: Sequence[Output], depth: int) -> Callable[[Any], Any]:
    """What shapes an inline object, or each in a list of them; anything else is null. `depth` is how many keys lead to it."""
    keys = [(one.key, one.path.keys[depth], _part(one, depth)) for one in selection]

    def shaped(value: Any) -> Any:
        if isinstance(value, list):
            return [shaped(item) for item in cast("list[Any]", value)]
        if not isinstance(value, Mapping):
            return None
        found = cast("Mapping[str, Any]", value)
        return {
            key: found.get(name) if inner is None else shape_or_none(inner, found.get(name))
            for key, name, inner in keys
        }

    return shaped


def _part(output: Output, depth: int) -> Callable[[Any], Any] | None:
    if output.selection is not None:
        return shape(output.selection, depth + 1)
    return None if output.path.type is None else types.revive(output.path.type)


def shape_or_none(shape: Callable[[Any], Any], value: Any) -> Any:
    """A shaped value; null stays null."""
    return None if value is None else shape(value)
