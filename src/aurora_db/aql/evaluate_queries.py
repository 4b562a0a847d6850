"""Whole queries over plain Python documents: the same result as their SQL.

For everything but searches, cursors and series. Slow and simple on purpose: the SQL of a query is
tested against it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, assert_never, cast

from aurora_db.aql import plan, types
from aurora_db.aql.catalog import Type
from aurora_db.aql.comparing import is_number, rank
from aurora_db.aql.evaluate import Documents, compiled
from aurora_db.aql.evaluate_expressions import Document, evaluate, plain
from aurora_db.aql.matching import holds
from aurora_db.aql.types import REV
from aurora_db.aql.values import value_of
from aurora_db.base.errors import Unsupported, ValidationError


def query(query: plan.Query, documents: Documents) -> Any:
    """The result of a query.

    Raises:
        Unsupported: a search, a page or a series.
    """
    if query.search is not None or query.page is not None:
        raise Unsupported("searches and pages are not evaluated over plain documents")
    found = _matching(query, documents, documents.all(query.collection.name))
    nodes = [_shaped(query.outputs, one, documents) for one in _cut(query, found, documents)]
    if not query.parts:
        return nodes
    result: dict[str, Any] = {"nodes": nodes} if query.outputs else {}
    for part in query.parts:
        match part:
            case plan.Aggregates():
                result[part.key] = _aggregates(part.functions, found, documents)
            case plan.Groups():
                result[part.key] = _groups(part, found, documents)
            case plan.Downsample() | plan.Window():
                raise Unsupported("series are not evaluated over plain documents")
            case _:
                assert_never(part)
    return result


def _matching(query: plan.Query, documents: Documents, among: Iterable[Document]) -> list[Document]:
    """What matches, in order."""
    found = list(filter(compiled(query.where, documents), among))
    if query.order:
        found.sort(key=lambda one: plain(one["id"]))
    for order in reversed(query.order):
        found = _sorted(order, found, documents)
    return found


def _sorted(order: plan.Order, found: Sequence[Document], documents: Documents) -> list[Document]:
    values = [(documents.value(order.path, one), one) for one in found]
    nulls = [one for value, one in values if value is None]
    others = [(value, one) for value, one in values if value is not None]
    # Stable also when reversed: equal ones keep their order.
    others.sort(key=lambda pair: rank(pair[0]), reverse=order.descending)
    first = not order.descending if order.nulls_first is None else order.nulls_first
    known = [one for _, one in others]
    return [*nulls, *known] if first else [*known, *nulls]


def _cut(query: plan.Query, found: Sequence[Document], documents: Documents) -> Sequence[Document]:
    offset = _amount(query.offset, documents) or 0
    limit = _amount(query.limit, documents)
    return found[offset:] if limit is None else found[offset : offset + limit]


def _amount(value: plan.Value | None, documents: Documents) -> int | None:
    return None if value is None else value_of(value, documents.variables)


# --- selections -----------------------------------------------------------------------------


def _shaped(
    outputs: Iterable[plan.Selected], document: Document, documents: Documents
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for output in outputs:
        match output:
            case plan.Output(extra=True):
                known = {REV.name, *(one.path.field.name for one in outputs if isinstance(one, plan.Output) and one.path.field)}  # fmt: skip
                result |= {key: value for key, value in document.items() if key not in known}
            case plan.Output():
                result[output.key] = _output(output, document)
            case plan.Computed():
                result[output.key] = evaluate(
                    output.expression, document, documents.variables, documents.now, documents.follow
                )  # fmt: skip
            case plan.One(hop=hop, outputs=inner):
                one = documents.follow(hop, document)
                result[output.key] = None if one is None else _shaped(inner, one, documents)
            case plan.Many(link=link, query=below):
                found = _matching(below, documents, documents.linked(link, document))
                cut = _cut(below, found, documents)
                result[output.key] = [_shaped(below.outputs, one, documents) for one in cut]
            case plan.Score() | plan.Snippet():
                raise Unsupported("searches are not evaluated over plain documents")
            case _:
                assert_never(output)
    return result


def _output(output: plan.Output, document: Document) -> Any:
    path = output.path
    keys = path.keys if path.field is None else (path.field.name, *path.keys)
    found: Any = document
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return _selected(output.selection, found, len(path.keys)) if output.selection else found


def _selected(selection: Sequence[plan.Output], value: Any, depth: int) -> Any:
    if isinstance(value, list):
        return [_selected(selection, one, depth) for one in cast("list[Any]", value)]
    if not isinstance(value, Mapping):
        return None
    found = cast("Mapping[str, Any]", value)
    result: dict[str, Any] = {}
    for one in selection:
        part = found.get(one.path.keys[depth])
        result[one.key] = _selected(one.selection, part, depth + 1) if one.selection else part
    return result


# --- aggregates -----------------------------------------------------------------------------


def _aggregates(
    functions: Iterable[plan.Aggregate], found: Sequence[Document], documents: Documents
) -> dict[str, Any]:
    return {one.key: _aggregate(one, found, documents) for one in functions}


def _aggregate(function: plan.Aggregate, found: Sequence[Document], documents: Documents) -> Any:
    of = function.of
    if of is None:
        return len(found)
    values = [value for value in (documents.value(of, one) for one in found) if value is not None]
    if function.function == "count":
        return len(values)
    if function.function == "countDistinct":
        return len({rank(value) for value in values})
    type = None if isinstance(of, plan.Constant) else of.type
    if type is None or type.name in types.JSON_KINDS:
        values = [value for value in values if is_number(value)]
    return _revived(type, _FUNCTIONS[function.function](type, values), function.function)


def _revived(type: Type | None, value: Any, function: str) -> Any:
    revive = None if type is None or function not in ("min", "max") else types.revive(type)
    return value if revive is None else revive(value)


def _sum(type: Type | None, values: Sequence[Any]) -> Any:
    whole = all(isinstance(value, int) for value in values)
    if type is not None and type.name == "Float":
        return math.fsum(values) if values else 0.0
    total = sum(values) if whole else math.fsum(values)
    if whole and not types.INT_MIN <= total <= types.INT_MAX:
        raise ValidationError("a sum is outside the range of Int", rule="range")
    return total


def _average(_type: Type | None, values: Sequence[Any]) -> Any:
    return math.fsum(values) / len(values) if values else None


_FUNCTIONS: Final[Mapping[str, Callable[[Type | None, Sequence[Any]], Any]]] = {
    "sum": _sum,
    "avg": _average,
    "min": lambda _type, values: min(values, key=rank, default=None),
    "max": lambda _type, values: max(values, key=rank, default=None),
}

# --- groups ---------------------------------------------------------------------------------


def _groups(
    part: plan.Groups, found: Sequence[Document], documents: Documents
) -> list[dict[str, Any]]:
    if part.interval is not None:
        raise Unsupported("intervals are not evaluated over plain documents")
    groups: dict[tuple[Any, ...], list[Document]] = {}
    for one in found:
        key = tuple(rank(documents.value(by, one)) for _, by in part.by)
        groups.setdefault(key, []).append(one)
    made = [_Group(part, members, documents) for _, members in sorted(groups.items())]
    for path, op, value in part.having:
        wanted = value_of(value, documents.variables)
        made = [one for one in made if holds(op, one.at(path), wanted)]
    for path, descending in reversed(part.order):
        made.sort(key=lambda one, path=path: rank(one.at(path)), reverse=descending)
    offset = _amount(part.offset, documents) or 0
    limit = _amount(part.limit, documents)
    cut = made[offset:] if limit is None else made[offset : offset + limit]
    return [one.shown() for one in cut]


class _Group:
    """One group: its members, and what is shown of them."""

    def __init__(
        self, part: plan.Groups, members: Sequence[Document], documents: Documents
    ) -> None:
        self._part = part
        self._members = members
        self._documents = documents

    def at(self, path: tuple[str, ...]) -> Any:
        """What a name of `having` and `orderBy` means for the group, plain."""
        match path:
            case ("count",):
                return len(self._members)
            case ("key",):
                return self._documents.value(self._part.by[0][1], self._members[0])
            case ("key", name):
                return self._documents.value(dict(self._part.by)[name], self._members[0])
            case (key, name):
                group = next(one for one in self._part.outputs if one.key == key)
                function = next(one for one in group.functions if one.key == name)
                return plain(_aggregate(function, self._members, self._documents))
            case _:
                raise AssertionError(f"no such place in a group: {path}")

    def shown(self) -> dict[str, Any]:
        """The object of the group."""
        return {one.key: self._shown(one) for one in self._part.outputs}

    def _shown(self, output: plan.Group) -> Any:
        match output.what:
            case "key":
                keys = {name: self._key(by) for name, by in self._part.by}
                return next(iter(keys.values())) if self._part.single else keys
            case "count":
                return len(self._members)
            case "aggregate":
                return _aggregates(output.functions, self._members, self._documents)
            case _:
                below = cast("plan.Query", output.nodes)
                found = _matching(below, self._documents, self._members)
                cut = _cut(below, found, self._documents)
                return [_shaped(below.outputs, one, self._documents) for one in cut]

    def _key(self, by: plan.Expression) -> Any:
        documents = self._documents
        return evaluate(by, self._members[0], documents.variables, documents.now, documents.follow)
