"""`orderBy` and the number of documents → plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from aurora_db.aql import elsewhere, plan, suggest, syntax, types
from aurora_db.aql.catalog import Collection
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.names import names_of
from aurora_db.aql.values import Scope
from aurora_db.base.errors import TypeMismatch, UnknownArgument, UnknownEnum, UnknownField

DIRECTIONS: Final = ("ASC", "DESC")
#: The keys of an order that is spelled out.
SPELLED: Final = ("field", "expr", "direction", "nulls")


class Orders:
    """Resolves the orders of documents of one collection."""

    def __init__(self, collection: Collection, scope: Scope) -> None:
        self._collection = collection
        self._scope = scope
        self._known = names_of(collection).orders
        self._conditions = Conditions(collection, scope)

    def order(self, entry: syntax.Entry | None) -> tuple[plan.Order, ...]:
        """The keys of an order, the first one first; none without an entry."""
        if entry is None:
            return ()
        value = self._scope.shape(entry.value)
        if value is None or isinstance(value, syntax.NullLiteral):
            return ()
        items = value.items if isinstance(value, syntax.ListLiteral) else (value,)
        found: list[plan.Order] = []
        for item in items:
            plain = self._plain(item)
            found += self._orders(item) if plain is None else (plain,)
        return tuple(found)

    def _plain(self, item: syntax.Value) -> plan.Order | None:
        """The order `{field: DESC}`, as most are."""
        if type(item) is not syntax.ObjectLiteral or len(item.entries) != 1:
            return None
        entry = item.entries[0]
        known = self._known.get(entry.key.text)
        if known is None or type(entry.value) is not syntax.Word:
            return None
        match entry.value.text:
            case "ASC":
                return known[0]
            case "DESC":
                return known[1]
            case _:
                return None

    def _orders(self, given: syntax.Value | None) -> list[plan.Order]:
        item = None if given is None else self._scope.shape(given)
        if item is None or isinstance(item, syntax.NullLiteral):
            return []
        match item:
            case syntax.StringLiteral(value=name):
                return [self._by(name, item, syntax.Word("ASC", span=item.span))]
            case syntax.Word(text=name):
                return [self._by(name, item, syntax.Word("ASC", span=item.span))]
            case syntax.ObjectLiteral(entries=entries):
                keys = {entry.key.text: entry for entry in entries}
                if self._is_spelled_out(keys):
                    return [self._spelled_out(keys)]
                return [one for entry in entries for one in self._below(entry.key.text, entry)]
            case _:
                raise self._scope.fail(
                    TypeMismatch,
                    "orderBy is a field, an object or a list of these",
                    item.span,
                    "write orderBy: {age: DESC}",
                )

    def _below(self, name: str, entry: syntax.Entry) -> list[plan.Order]:
        """`name: DESC`, or `name: {part: DESC}` for a path."""
        if not isinstance(entry.value, syntax.ObjectLiteral):
            return [self._by(name, entry.key, entry.value)]
        inner = entry.value.entries
        return [one for part in inner for one in self._below(f"{name}.{part.key.text}", part)]

    def _is_spelled_out(self, keys: Mapping[str, syntax.Entry]) -> bool:
        if "expr" in keys:
            return True
        entry = keys.get("field")
        if entry is None:
            return False
        named = isinstance(entry.value, (syntax.StringLiteral, syntax.Word))
        return named and not (
            isinstance(entry.value, syntax.Word) and entry.value.text.upper() in DIRECTIONS
        )

    def _spelled_out(self, keys: Mapping[str, syntax.Entry]) -> plan.Order:
        for name, entry in keys.items():
            if name not in SPELLED:
                raise self._scope.fail(
                    UnknownArgument, f"an order has no '{name}'", entry.key.span,
                    suggest.hint(name, SPELLED, f"it has {', '.join(SPELLED)}"),
                )  # fmt: skip
        direction = keys["direction"].value if "direction" in keys else syntax.Word("ASC")
        nulls = None
        if "nulls" in keys:
            nulls = self._word(keys["nulls"].value, ("FIRST", "LAST")) == "FIRST"
        if "expr" in keys:
            entry = keys["expr"]
            if "field" in keys:
                raise self._scope.fail(
                    TypeMismatch, "an order is by a field or by an expression", entry.key.span
                )
            made = self._conditions.expressions().of_value(entry.value, "expr")
            return self._of(made, entry.value, direction, "the expression", nulls=nulls)
        field = cast("syntax.StringLiteral | syntax.Word", keys["field"].value)
        name = field.value if isinstance(field, syntax.StringLiteral) else field.text
        return self._by(name, field, direction, nulls=nulls)

    def _by(
        self, name: str, at: syntax.Node, direction: syntax.Value, *, nulls: bool | None = None
    ) -> plan.Order:
        meant = elsewhere.order(name)
        if meant is not None:
            raise self._scope.fail(UnknownField, f"no field named '{name}'", at.span, meant)
        path = self._conditions.path(name, syntax.Name(name, span=at.span))
        made = self._conditions.expressions().expanded(path)
        return self._of(made, at, direction, f"'{name}'", nulls=nulls)

    def _of(
        self, made: plan.Expression, at: syntax.Node, direction: syntax.Value, shown: str, *, nulls: bool | None
    ) -> plan.Order:  # fmt: skip
        type = None if isinstance(made, plan.Constant) else made.type
        if type is not None and type.name not in types.ORDERED:
            raise self._scope.fail(
                TypeMismatch,
                f"{types.type_name(type)} {shown} has no order",
                at.span,
                "order by a path into it",
            )
        return plan.Order(made, self._word(direction, DIRECTIONS) == "DESC", nulls)

    def _word(self, value: syntax.Value, words: tuple[str, ...]) -> str:
        known = self._scope.shape(value)
        if known is None:
            return words[0]
        text = known.text if isinstance(known, syntax.Word) else getattr(known, "value", None)
        if isinstance(text, str) and text.upper() in words:
            return text.upper()
        raise self._scope.fail(
            UnknownEnum, f"expected {' or '.join(words)}", value.span, f"write {' or '.join(words)}"
        )


def amount(scope: Scope, entry: syntax.Entry | None) -> plan.Value | None:
    """A limit or an offset; a null one is none."""
    if entry is None:
        return None
    value = scope.value(entry.value)
    if isinstance(value, plan.Constant):
        if value.value is None:
            return None
        number = value.value
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise scope.fail(
                TypeMismatch,
                f"'{entry.key.text}' is a whole number from 0, got {number!r}",
                entry.value.span,
            )
    return value
