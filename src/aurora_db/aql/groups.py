"""`groupBy(…) { … }` → plan: what is grouped by, what each group shows, having and order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from aurora_db.aql import aggregates, plan, suggest, syntax, types
from aurora_db.aql.catalog import Type
from aurora_db.aql.having import GroupOrders, Having, Names
from aurora_db.aql.operands import ANY, Operands, type_of
from aurora_db.aql.orders import amount
from aurora_db.aql.selections import key_of
from aurora_db.aql.series import interval_of, zone_of
from aurora_db.aql.values import Scope
from aurora_db.aql.words import words
from aurora_db.base.errors import (
    DuplicateArgument,
    MissingArgument,
    TypeMismatch,
    UnknownField,
)

ARGUMENTS: Final = {
    name: name
    for name in (
        "field", "fields", "expr", "interval", "timezone", "having", "orderBy", "limit", "offset",
    )
} | {"first": "limit", "skip": "offset"}  # fmt: skip
WORDS: Final = ("key", "count", "nodes", "aggregate")

Nodes = Callable[[syntax.FieldSelection], plan.Query]


class GroupBy:
    """Resolves one `groupBy`. `nodes` resolves the documents of a group."""

    def __init__(self, operands: Operands, scope: Scope, nodes: Nodes) -> None:
        self._operands = operands
        self._scope = scope
        self._nodes = nodes

    def part(self, field: syntax.FieldSelection) -> plan.Groups:
        """The plan of the part."""
        scope = self._scope
        given = scope.arguments("groupBy", field.arguments, ARGUMENTS)
        by, single = self._by(given, field)
        outputs = self._outputs(field)
        names = Names(by, outputs, scope, single=single)
        having = given.get("having")
        order = given.get("orderBy")
        return plan.Groups(
            key=key_of(field),
            by=by,
            outputs=outputs,
            single=single,
            interval=None if "interval" not in given else interval_of(given["interval"], scope),
            timezone=None if "timezone" not in given else zone_of(given["timezone"], scope),
            having=() if having is None else tuple(Having(names, scope).conditions(having)),
            order=() if order is None else tuple(GroupOrders(names, scope).orders(order.value)),
            limit=amount(scope, given.get("limit")),
            offset=amount(scope, given.get("offset")),
        )

    def _by(
        self, given: Mapping[str, syntax.Entry], field: syntax.FieldSelection
    ) -> tuple[tuple[tuple[str, plan.Expression], ...], bool]:
        scope = self._scope
        what = [name for name in ("field", "fields", "expr") if name in given]
        if len(what) > 1:
            raise scope.fail(
                DuplicateArgument, f"groupBy takes '{what[0]}' or '{what[1]}', not both",
                given[what[1]].key.span, 'several fields: fields: ["a", "b"]',
            )  # fmt: skip
        if not what:
            raise scope.fail(
                MissingArgument, "groupBy needs the argument 'field'", field.name.span,
                'write groupBy(field: "…") { key count }',
            )  # fmt: skip
        if what[0] == "fields":
            by = self._several(given)
            single = False
        else:
            name, one = self._operands.of("groupBy", given, ANY, field.name)
            by = ((name or "key", one),)
            single = True
        self._timed(given, by)
        return by, single

    def _several(
        self, given: Mapping[str, syntax.Entry]
    ) -> tuple[tuple[str, plan.Expression], ...]:
        entry = given["fields"]
        found = self._operands.fields(entry.value)
        names = [name for name, _ in found]
        for n, name in enumerate(names):
            if name in names[:n]:
                raise self._scope.fail(
                    DuplicateArgument, f"'{name}' is grouped by twice", entry.value.span
                )
        if not found:
            raise self._scope.fail(MissingArgument, "'fields' names no field", entry.value.span)
        return tuple(found)

    def _timed(
        self, given: Mapping[str, syntax.Entry], by: tuple[tuple[str, plan.Expression], ...]
    ) -> None:
        """Check `interval` and `timezone` against what is grouped by."""
        scope = self._scope
        if "interval" not in given:
            if "timezone" in given:
                raise scope.fail(
                    MissingArgument, "'timezone' belongs to an 'interval'", given["timezone"].key.span,
                    'write interval: "1d" beside it',
                )  # fmt: skip
            return
        times = [name for name, one in by if _is_time(type_of(one))]
        if len(times) != 1:
            found = "none of its fields is one" if not times else "two of its fields are"
            name, type = by[0][0], type_of(by[0][1])
            if len(by) == 1 and type is not None:
                found = f"'{name}' is {types.type_name(type)}"
            elif len(by) == 1:
                found = f"'{name}' is untyped"
            raise scope.fail(
                TypeMismatch, f"'interval' cuts one DateTime, and {found}", given["interval"].key.span
            )  # fmt: skip

    def _outputs(self, field: syntax.FieldSelection) -> tuple[plan.Group, ...]:
        scope = self._scope
        fields = words(scope, field.selection)
        if not field.selection:
            return (plan.Group("key", "key"), plan.Group("count", "count"))
        return tuple(self._output(one) for one in fields)

    def _output(self, field: syntax.FieldSelection) -> plan.Group:
        scope = self._scope
        name = field.name.text
        match name:
            case "aggregate":
                functions = aggregates.functions(field, self._operands, scope)
                return plan.Group(key_of(field), name, functions)
            case "nodes":
                return plan.Group(key_of(field), name, nodes=self._nodes(field))
            case "key" | "count":
                scope.arguments(name, field.arguments, {})
                if field.selection:
                    raise scope.fail(
                        UnknownField, f"'{name}' of a group is shown whole", field.selection[0].span
                    )
                return plan.Group(key_of(field), name)
            case _:
                raise scope.fail(
                    UnknownField, f"no field named '{name}' in a group", field.name.span,
                    suggest.hint(name, WORDS, "a group has key, count, nodes { … } and aggregate { … }"),
                )  # fmt: skip


def _is_time(type: Type | None) -> bool:
    return type is not None and type.name == "DateTime"
