"""Whole queries → plan: conditions, order, limits, aggregates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aurora_db.aql import plan, search, syntax
from aurora_db.aql.catalog import Collection
from aurora_db.aql.directives import fields_of
from aurora_db.aql.orders import Orders, amount
from aurora_db.aql.selections import Selections, key_of
from aurora_db.aql.values import Scope
from aurora_db.base.errors import UnknownField

LATER_AGGREGATES: Final = frozenset({"sum", "avg", "min", "max", "countDistinct"})


class Queries:
    """Resolves a query of one collection."""

    def __init__(self, collection: Collection, scope: Scope) -> None:
        self._collection = collection
        self._scope = scope
        self._selections = Selections(collection, scope)
        self._orders = Orders(collection, scope)

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
            order=self._orders.order(arguments.get("orderBy")),
            limit=amount(self._scope, arguments.get("limit")),
            offset=amount(self._scope, arguments.get("offset")),
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
