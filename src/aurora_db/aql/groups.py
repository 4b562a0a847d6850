"""`groupBy(…) { … }` → plan: what is grouped by, what each group shows, having and order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from aurora_db.aql import aggregates, plan, suggest, syntax, types
from aurora_db.aql.catalog import Type
from aurora_db.aql.conditions import stored
from aurora_db.aql.operands import ANY, Operands, type_of
from aurora_db.aql.orders import amount
from aurora_db.aql.selections import key_of
from aurora_db.aql.series import interval_of, zone_of
from aurora_db.aql.values import Scope
from aurora_db.aql.words import words
from aurora_db.base.errors import (
    AqlError,
    DuplicateArgument,
    MissingArgument,
    TypeMismatch,
    UnknownEnum,
    UnknownField,
    UnknownOperator,
    ValidationError,
)

ARGUMENTS: Final = {
    name: name
    for name in (
        "field", "fields", "expr", "interval", "timezone", "having", "orderBy", "limit", "offset",
    )
} | {"first": "limit", "skip": "offset"}  # fmt: skip
WORDS: Final = ("key", "count", "nodes", "aggregate")
OPERATORS: Final = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "notIn", "between", "isNull", "isNotNull")  # fmt: skip

#: Where a name of a group leads: ("count",), ("key",), ("stats", "avg").
Place = tuple[str, ...]
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
        names = _Names(by, outputs, scope, single=single)
        having = given.get("having")
        order = given.get("orderBy")
        return plan.Groups(
            key=key_of(field),
            by=by,
            outputs=outputs,
            single=single,
            interval=None if "interval" not in given else interval_of(given["interval"], scope),
            timezone=None if "timezone" not in given else zone_of(given["timezone"], scope),
            having=() if having is None else tuple(_Having(names, scope).conditions(having)),
            order=() if order is None else tuple(_Orders(names, scope).orders(order.value)),
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
        if not fields:
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


class _Names:
    """The names by which a group is compared and ordered, with their types."""

    def __init__(
        self,
        by: tuple[tuple[str, plan.Expression], ...],
        outputs: tuple[plan.Group, ...],
        scope: Scope,
        *,
        single: bool,
    ) -> None:
        self._scope = scope
        self.known: dict[str, tuple[Place, Type | None]] = {"count": (("count",), aggregates.INT)}
        self.keys: dict[str, Place] = {}
        if single:
            self.keys["key"] = ("key",)
        else:
            self.keys = {f"key.{name}": ("key", name) for name, _ in by}
        for output in outputs:
            if output.what == "count":
                self.known[output.key] = (("count",), aggregates.INT)
            for one in output.functions:
                place = (output.key, one.key)
                self.known[".".join(place)] = (place, aggregates.result_type(one))

    def find(self, name: str, at: syntax.Node, *, keys: bool) -> tuple[Place, Type | None]:
        """What a name means.

        Raises:
            UnknownField: the group has nothing of this name.
        """
        if name in self.known:
            return self.known[name]
        if keys and name in self.keys:
            return self.keys[name], None
        short = [full for full in self.known if full.rpartition(".")[2] == name]
        if len(short) == 1:
            return self.known[short[0]]
        names = [*self.known, *(self.keys if keys else ())]
        raise self._scope.fail(
            UnknownField, f"the group has no '{name}'", at.span,
            suggest.hint(name, names, f"it has {', '.join(names)}; select others in the group"),
        )  # fmt: skip

    def is_parent(self, name: str, *, keys: bool) -> bool:
        """Whether a name is the first part of others."""
        names = [*self.known, *(self.keys if keys else ())]
        return any(full.startswith(name + ".") for full in names) and name not in names


class _Having:
    """Resolves `having: {count: {gt: 1}, stats: {avg: {lt: 2}}}`: all of it must hold."""

    def __init__(self, names: _Names, scope: Scope) -> None:
        self._names = names
        self._scope = scope

    def conditions(self, entry: syntax.Entry) -> list[tuple[Place, str, plan.Value]]:
        return self._object(entry.value, "")

    def _object(self, value: syntax.Value, above: str) -> list[tuple[Place, str, plan.Value]]:
        if not isinstance(value, syntax.ObjectLiteral):
            raise self._scope.fail(
                TypeMismatch, "'having' is an object of conditions", value.span,
                "write having: {count: {gt: 1}}",
            )  # fmt: skip
        found: list[tuple[Place, str, plan.Value]] = []
        for entry in value.entries:
            name = above + entry.key.text
            if name in ("and", "or", "not"):
                raise self._scope.fail(
                    UnknownOperator, f"'having' has no '{name}'", entry.key.span,
                    "all of its conditions must hold; write them side by side",
                )  # fmt: skip
            if self._names.is_parent(name, keys=False):
                found += self._object(entry.value, name + ".")
            else:
                place, type = self._names.find(name, entry.key, keys=False)
                found += self._on(place, type, entry.value)
        return found

    def _on(
        self, place: Place, type: Type | None, value: syntax.Value
    ) -> list[tuple[Place, str, plan.Value]]:
        if not isinstance(value, syntax.ObjectLiteral):
            return [self._compare(place, type, "eq", value)]
        found: list[tuple[Place, str, plan.Value]] = []
        for entry in value.entries:
            op = entry.key.text
            if op not in OPERATORS:
                raise self._scope.fail(
                    UnknownOperator, f"no operator named '{op}' in 'having'", entry.key.span,
                    suggest.hint(op, OPERATORS, f"operators are {', '.join(OPERATORS)}"),
                )  # fmt: skip
            if op == "between":
                low, high = self._pair(entry.value)
                found.append(self._compare(place, type, "gte", low))
                found.append(self._compare(place, type, "lte", high))
            else:
                found.append(
                    self._compare(place, type, "nin" if op == "notIn" else op, entry.value)
                )
        return found

    def _pair(self, value: syntax.Value) -> tuple[syntax.Value, syntax.Value]:
        if isinstance(value, syntax.ListLiteral) and len(value.items) == 2:
            return value.items[0], value.items[1]
        raise self._scope.fail(TypeMismatch, "'between' takes a list of two values", value.span)

    def _compare(
        self, place: Place, type: Type | None, op: str, value: syntax.Value
    ) -> tuple[Place, str, plan.Value]:
        resolved = self._scope.value(value)
        if isinstance(resolved, plan.Constant):
            try:
                resolved = plan.Constant(having_value(place, type, op, resolved.value))
            except (AqlError, ValidationError) as error:
                kind = type_error(error)
                raise self._scope.fail(kind, error.message, value.span, error.hint) from None
        return place, op, resolved


def type_error(error: AqlError | ValidationError) -> type[AqlError]:
    """The class under which a refused value is reported at its place."""
    return type(error) if isinstance(error, AqlError) else TypeMismatch


def having_value(place: Place, type: Type | None, op: str, value: object) -> object:
    """The form in which a value of `having` is bound.

    Raises:
        TypeMismatch, UnknownEnum: it has another type than what it is compared with.
    """
    same = {"nin": "in", "isNotNull": "isNull"}.get(op, op)
    return stored(plan.Path(None, place, type), same, value)


class _Orders:
    """Resolves the `orderBy` of groups: key, count, or an alias in an aggregate."""

    def __init__(self, names: _Names, scope: Scope) -> None:
        self._names = names
        self._scope = scope

    def orders(self, value: syntax.Value) -> list[tuple[Place, bool]]:
        match value:
            case syntax.ListLiteral(items=items):
                return [one for item in items for one in self.orders(item)]
            case syntax.StringLiteral(value=name):
                return [self._by(name, value, None)]
            case syntax.Word(text=name):
                return [self._by(name, value, None)]
            case syntax.ObjectLiteral(entries=entries):
                named = {entry.key.text: entry for entry in entries}
                if "field" in named and set(named) <= {"field", "direction"}:
                    field = named["field"].value
                    if isinstance(field, (syntax.StringLiteral, syntax.Word)):
                        name = (
                            field.value if isinstance(field, syntax.StringLiteral) else field.text
                        )
                        direction = named.get("direction")
                        return [
                            self._by(name, field, None if direction is None else direction.value)
                        ]
                return self._object(entries, "")
            case _:
                raise self._scope.fail(
                    TypeMismatch, "orderBy of groups is a name, an object or a list of these",
                    value.span, "write orderBy: {count: DESC}",
                )  # fmt: skip

    def _object(self, entries: tuple[syntax.Entry, ...], above: str) -> list[tuple[Place, bool]]:
        found: list[tuple[Place, bool]] = []
        for entry in entries:
            name = above + entry.key.text
            inner = entry.value
            if isinstance(inner, syntax.ObjectLiteral) and self._names.is_parent(name, keys=True):
                found += self._object(inner.entries, name + ".")
            else:
                found.append(self._by(name, entry.key, inner))
        return found

    def _by(self, name: str, at: syntax.Node, direction: syntax.Value | None) -> tuple[Place, bool]:
        place, _ = self._names.find(name, at, keys=True)
        if direction is None:
            return place, False
        text = (
            direction.text
            if isinstance(direction, syntax.Word)
            else getattr(direction, "value", None)
        )
        if not isinstance(text, str) or text.upper() not in ("ASC", "DESC"):
            raise self._scope.fail(UnknownEnum, "expected ASC or DESC", direction.span)
        return place, text.upper() == "DESC"
