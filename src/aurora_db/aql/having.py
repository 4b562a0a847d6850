"""What `having` and `orderBy` of groups say: names of a group's values → their places."""

from __future__ import annotations

from typing import Final

from aurora_db.aql import aggregates, plan, suggest, syntax
from aurora_db.aql.catalog import Type
from aurora_db.aql.conditions import stored
from aurora_db.aql.values import Scope
from aurora_db.base.errors import (
    AqlError,
    TypeMismatch,
    UnknownEnum,
    UnknownField,
    UnknownOperator,
    ValidationError,
)

OPERATORS: Final = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "notIn", "between", "isNull", "isNotNull")  # fmt: skip

#: Where a name of a group leads: ("count",), ("key",), ("stats", "avg").
Place = tuple[str, ...]


class Names:
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


class Having:
    """Resolves `having: {count: {gt: 1}, stats: {avg: {lt: 2}}}`: all of it must hold."""

    def __init__(self, names: Names, scope: Scope) -> None:
        self._names = names
        self._scope = scope

    def conditions(self, entry: syntax.Entry) -> list[tuple[Place, str, plan.Value]]:
        """Places with operators and values.

        Raises:
            UnknownField, UnknownOperator, TypeMismatch: a condition is refused.
        """
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


class GroupOrders:
    """Resolves the `orderBy` of groups: key, count, or an alias in an aggregate."""

    def __init__(self, names: Names, scope: Scope) -> None:
        self._names = names
        self._scope = scope

    def orders(self, value: syntax.Value) -> list[tuple[Place, bool]]:
        """Places, each with whether it goes down.

        Raises:
            UnknownField, UnknownEnum, TypeMismatch: a key is refused.
        """
        match self._scope.shape(value):
            case None | syntax.NullLiteral():
                return []
            case syntax.ListLiteral(items=items):
                return [one for item in items for one in self.orders(item)]
            case syntax.StringLiteral(value=name) | syntax.Word(text=name):
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
        direction = None if direction is None else self._scope.shape(direction)
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
