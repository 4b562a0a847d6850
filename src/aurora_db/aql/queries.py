"""Whole queries → plan: conditions, order, limits, aggregates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aurora_db.aql import plan, search, syntax, types
from aurora_db.aql.catalog import Collection
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.directives import fields_of
from aurora_db.aql.selections import Selections, key_of
from aurora_db.aql.values import Scope
from aurora_db.base.errors import TypeMismatch, UnknownEnum, UnknownField

LATER_AGGREGATES: Final = frozenset({"sum", "avg", "min", "max", "countDistinct"})


class Queries:
    """Resolves a query of one collection."""

    def __init__(self, collection: Collection, scope: Scope) -> None:
        self._collection = collection
        self._scope = scope
        self._selections = Selections(collection, scope)
        self._conditions = Conditions(collection, scope)

    def query(
        self, root: syntax.FieldSelection, arguments: Mapping[str, syntax.Entry]
    ) -> plan.Query:
        """A root of a query operation."""
        found = arguments.get("search")
        searching = None if found is None else search.resolve(self._scope, found, self._collection)
        self._selections.searched = searching
        fields = fields_of(self._scope, root.selection or (), self._collection.name)
        parts = tuple(
            plan.Aggregates(key_of(one), self._counts(one))
            for one in fields
            if isinstance(one, syntax.FieldSelection) and one.name.text == "aggregate"
        )
        plain = tuple(
            one
            for one in fields
            if isinstance(one, syntax.Computed) or one.name.text != "aggregate"
        )
        outputs = self._selections.outputs(plain) if plain or not parts else ()
        return plan.Query(
            key=key_of(root),
            collection=self._collection,
            outputs=outputs,
            where=self._selections.where(arguments),
            order=self._order(arguments.get("orderBy")),
            limit=self._amount(arguments.get("limit")),
            offset=self._amount(arguments.get("offset")),
            search=searching,
            parts=parts,
        )

    def _counts(self, selection: syntax.FieldSelection) -> tuple[plan.Aggregate, ...]:
        self._scope.arguments("aggregate", selection.arguments, {})
        counts: list[plan.Aggregate] = []
        for one in fields_of(self._scope, selection.selection or (), None):
            if isinstance(one, syntax.Computed):
                raise self._scope.fail(UnknownField, "an aggregate is a function", one.span)
            name = one.name.text
            if name in LATER_AGGREGATES:
                raise self._scope.unsupported(f"the aggregate '{name}' is", one.name.span)
            if name != "count":
                raise self._scope.fail(
                    UnknownField,
                    f"no aggregate named '{name}'",
                    one.name.span,
                    "this version has count",
                )
            self._scope.arguments("count", one.arguments, {})
            counts.append(plan.Aggregate(key_of(one), "count"))
        if not counts:
            raise self._scope.fail(
                UnknownField,
                "aggregate needs a selection",
                selection.span,
                "write aggregate { count }",
            )
        return tuple(counts)

    def _amount(self, entry: syntax.Entry | None) -> plan.Value | None:
        if entry is None:
            return None
        value = self._scope.value(entry.value)
        if isinstance(value, plan.Constant):
            if value.value is None:
                return None
            amount = value.value
            if isinstance(amount, bool) or not isinstance(amount, int) or amount < 0:
                raise self._scope.fail(
                    TypeMismatch,
                    f"'{entry.key.text}' is a whole number from 0, got {amount!r}",
                    entry.value.span,
                )
        return value

    # --- order ------------------------------------------------------------------------------

    def _order(self, entry: syntax.Entry | None) -> tuple[plan.Order, ...]:
        if entry is None:
            return ()
        value = self._scope.shape(entry.value)
        if value is None or isinstance(value, syntax.NullLiteral):
            return ()
        items = value.items if isinstance(value, syntax.ListLiteral) else (value,)
        return tuple(order for item in items for order in self._orders(item))

    def _orders(self, item: syntax.Value) -> list[plan.Order]:
        match item:
            case syntax.StringLiteral(value=name):
                return [self._by(name, item, syntax.Word("ASC", span=item.span))]
            case syntax.Word(text=name):
                return [self._by(name, item, syntax.Word("ASC", span=item.span))]
            case syntax.ObjectLiteral(entries=entries):
                keys = {entry.key.text: entry for entry in entries}
                if (
                    "field" in keys
                    and set(keys) <= {"field", "direction", "nulls"}
                    and isinstance(keys["field"].value, (syntax.StringLiteral, syntax.Word))
                    and not self._is_direction(keys["field"].value)
                ):
                    return [self._spelled_out(keys)]
                if "expr" in keys:
                    raise self._scope.unsupported("ordering by an expression is", keys["expr"].span)
                return [self._by(one.key.text, one.key, one.value) for one in entries]
            case _:
                raise self._scope.fail(
                    TypeMismatch,
                    "orderBy is a field, an object or a list of these",
                    item.span,
                    "write orderBy: {age: DESC}",
                )

    @staticmethod
    def _is_direction(value: syntax.Value) -> bool:
        return isinstance(value, syntax.Word) and value.text.upper() in ("ASC", "DESC")

    def _spelled_out(self, keys: Mapping[str, syntax.Entry]) -> plan.Order:
        field = keys["field"].value
        name = field.value if isinstance(field, syntax.StringLiteral) else field.text  # type: ignore[union-attr]
        direction = keys["direction"].value if "direction" in keys else syntax.Word("ASC")
        nulls = None
        if "nulls" in keys:
            word = self._word(keys["nulls"].value, ("FIRST", "LAST"))
            nulls = word == "FIRST"
        return self._by(name, keys["field"], direction, nulls=nulls)

    def _by(
        self, name: str, at: syntax.Node, direction: syntax.Value, *, nulls: bool | None = None
    ) -> plan.Order:
        node = syntax.Name(name, span=at.value.span if isinstance(at, syntax.Entry) else at.span)
        path = self._conditions.path(name, node)
        if path.type is not None and path.type.name not in types.ORDERED and not path.keys:
            raise self._scope.fail(
                TypeMismatch,
                f"{types.type_name(path.type)} '{name}' has no order",
                node.span,
                "order by a path into it",
            )
        return plan.Order(path, self._word(direction, ("ASC", "DESC")) == "DESC", nulls)

    def _word(self, value: syntax.Value, words: tuple[str, ...]) -> str:
        known = self._scope.shape(value)
        if known is None:
            return words[0]
        value = known
        text = value.text if isinstance(value, syntax.Word) else getattr(value, "value", None)
        if isinstance(text, str) and text.upper() in words:
            return text.upper()
        raise self._scope.fail(UnknownEnum, f"expected {' or '.join(words)}", value.span)
