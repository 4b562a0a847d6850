"""Whole queries → plan: conditions, order, limits, pages and parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from aurora_db.aql import aggregates, page_cursors, plan, syntax, types
from aurora_db.aql.catalog import Collection
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.groups import GroupBy
from aurora_db.aql.operands import Operands
from aurora_db.aql.pages import WORDS, Pages
from aurora_db.aql.selections import Selections, key_of, refuse_directives, unique_keys
from aurora_db.aql.series import Series
from aurora_db.aql.values import Scope
from aurora_db.base.errors import TypeMismatch, UnknownEnum, UnknownField

NODES_ARGUMENTS: Final = {
    "where": "where", "filter": "where", "orderBy": "orderBy", "limit": "limit", "first": "limit",
    "offset": "offset", "skip": "offset",
}  # fmt: skip
#: Words of a selection that compute something of all documents that match.
PARTS: Final = frozenset({"aggregate", "groupBy", "downsample", "windowFunc"})


class Queries:
    """Resolves a query of one collection."""

    def __init__(self, collection: Collection, scope: Scope) -> None:
        self._collection = collection
        self._scope = scope
        self._selections = Selections(collection, scope)
        self._conditions = Conditions(collection, scope)
        self._operands = Operands(self._conditions, scope)

    def query(
        self, root: syntax.FieldSelection, arguments: Mapping[str, syntax.Entry]
    ) -> plan.Query:
        """A root of a query operation."""
        fields = list(root.selection or ())
        unique_keys(self._scope, fields, [key_of(one) for one in fields])
        words = [one for one in fields if one.name.text in WORDS or one.name.text in PARTS]
        parts = tuple(self._part(one) for one in words if one.name.text in PARTS)
        plain: tuple[syntax.FieldSelection, ...] | None = tuple(
            one for one in fields if one not in words
        )
        order = self._order(arguments.get("orderBy"))
        page = None
        if len(words) > len(parts):
            page = self._page(words, plain, arguments, order)
            plain = Pages(self._scope).nodes(words)
        else:
            Pages(self._scope).refuse(arguments)
        shown = page is not None and plain is not None
        outputs = self._selections.outputs(plain) if plain or shown or not words else ()
        return plan.Query(
            key=key_of(root),
            collection=self._collection,
            outputs=outputs,
            where=self._selections.where(arguments),
            order=order,
            limit=None if page else self._amount(arguments.get("limit")),
            offset=None if page else self._amount(arguments.get("offset")),
            page=page,
            parts=parts,
        )

    def _page(
        self,
        words: Sequence[syntax.FieldSelection],
        plain: tuple[syntax.FieldSelection, ...],
        arguments: Mapping[str, syntax.Entry],
        order: tuple[plan.Order, ...],
    ) -> plan.Page:
        pages = Pages(self._scope)
        if plain:
            raise self._scope.fail(
                UnknownField, f"'{plain[0].name.text}' stands in the nodes of a page", plain[0].name.span,
                "select it in edges { node { … } }",
            )  # fmt: skip
        amounts = {name: self._amount(arguments.get(name)) for name in ("limit", "last")}
        digest = page_cursors.digest(self._collection.name, order)
        return pages.page(pages.keys(words), arguments, amounts, digest)

    def _part(self, field: syntax.FieldSelection) -> plan.QueryPart:
        series = Series(self._collection, self._scope, self._conditions, self._selections)
        match field.name.text:
            case "aggregate":
                functions = aggregates.functions(field, self._operands, self._scope)
                return plan.Aggregates(key_of(field), functions)
            case "groupBy":
                return GroupBy(self._operands, self._scope, self._nodes, self._amount).part(field)
            case "downsample":
                return series.downsample(field)
            case _:
                return series.window(field, self._amount, self._order)

    def _nodes(self, field: syntax.FieldSelection) -> plan.Query:
        """The documents of a group."""
        refuse_directives(self._scope, field.directives)
        given = self._scope.arguments("nodes", field.arguments, NODES_ARGUMENTS)
        return plan.Query(
            key=key_of(field),
            collection=self._collection,
            outputs=self._selections.outputs(field.selection),
            where=self._selections.where(given),
            order=self._order(given.get("orderBy")),
            limit=self._amount(given.get("limit")),
            offset=self._amount(given.get("offset")),
        )

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
        value = entry.value
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
            case syntax.VariableRef():
                raise self._scope.unsupported("a variable for the whole orderBy is", item.span)
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
        text = value.text if isinstance(value, syntax.Word) else getattr(value, "value", None)
        if isinstance(text, str) and text.upper() in words:
            return text.upper()
        raise self._scope.fail(UnknownEnum, f"expected {' or '.join(words)}", value.span)
