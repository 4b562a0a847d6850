"""Which queries over one collection are kept in memory, by the changes of the feed alone.

The rest is left to be run again: what looks into other collections or reads the clock, searches, pages and
series, documents of groups, and what is grouped or counted by values whose type is not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import msgspec

from aurora_db.aql import plan
from aurora_db.aql.catalog import Collection, Field, Type
from aurora_db.aql.operands import type_of, untyped
from aurora_db.aql.types import JSON_KINDS

#: Functions whose result changes though no document does.
_VOLATILE = frozenset({"now", "uuid"})


def can_keep(query: plan.Query) -> bool:
    """Whether `window.Window` (a query without parts) or `tally.Tally` (one with them) keeps it.

    Its where holds no whole where-object as a variable any more.
    """
    if query.collection.system or query.search is not None or query.page is not None:
        return False
    if not all(map(_stays, _nodes(query))):
        return False
    return all(map(_is_sorted, query.order)) and all(map(_is_kept, query.parts))


def _nodes(node: Any) -> Iterator[Any]:
    """All nodes of a plan; definitions are none."""
    if isinstance(node, tuple):
        for one in cast("tuple[Any, ...]", node):
            yield from _nodes(one)
    elif isinstance(node, msgspec.Struct) and not isinstance(node, (Collection, Field, Type)):
        yield node
        for name in node.__struct_fields__:
            yield from _nodes(getattr(node, name))


def _stays(node: Any) -> bool:
    """Whether it is about the document alone and changes only with it."""
    match node:
        case plan.Hop() | plan.Link() | plan.WhereVariable():
            return False
        case plan.Call(function=function):
            return function not in _VOLATILE
        case _:
            return True


def _is_sorted(order: plan.Order) -> bool:
    """Whether the place of its values is known: a whole column of JSON is sorted by its text."""
    type = type_of(order.path)
    if isinstance(order.path, plan.Path) and order.path.keys:
        return True
    return type is not None and not untyped(type) and type.name not in JSON_KINDS


def _is_kept(part: plan.QueryPart) -> bool:
    match part:
        case plan.Aggregates(functions=functions):
            return all(map(_is_counted, functions))
        case plan.Groups():
            if any(one.nodes is not None for one in part.outputs):
                return False
            functions = [each for one in part.outputs for each in one.functions]
            return all(map(_is_counted, functions)) and all(_is_scalar(by) for _, by in part.by)
        case plan.Downsample() | plan.Window():
            return False


def _is_counted(function: plan.Aggregate) -> bool:
    """Untyped values are told apart by their JSON text, which an image may have in another way."""
    of = function.of
    return of is None or function.function != "countDistinct" or _is_scalar(of)


def _is_scalar(expression: plan.Expression) -> bool:
    type = type_of(expression)
    return type is not None and not untyped(type) and type.name not in JSON_KINDS
