"""Whole queries → plan: conditions, order, limits, pages and parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from aurora_db.aql import aggregates, directives, page_cursors, pages, plan, search, syntax
from aurora_db.aql.catalog import Collection
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.directives import fields_of
from aurora_db.aql.groups import GroupBy
from aurora_db.aql.operands import Operands
from aurora_db.aql.orders import Orders, amount
from aurora_db.aql.selections import Selections, key_of
from aurora_db.aql.series import Series
from aurora_db.aql.values import Scope
from aurora_db.base.errors import DuplicateAlias, UnknownField

ARGUMENTS: Final = {
    "where": "where", "filter": "where", "id": "id", "orderBy": "orderBy", "limit": "limit", "first": "limit",
    "offset": "offset", "skip": "offset", "after": "after", "last": "last", "before": "before",
    "search": "search",
}  # fmt: skip
NODES_ARGUMENTS: Final = {
    "where": "where", "filter": "where", "orderBy": "orderBy", "limit": "limit", "first": "limit",
    "offset": "offset", "skip": "offset",
}  # fmt: skip
#: Words of a selection that compute something of all documents that match.
PARTS: Final = frozenset({"aggregate", "groupBy", "downsample", "windowFunc"})
WORDS: Final = PARTS | frozenset(pages.WORDS)


class Queries:
    """Resolves a query of one collection."""

    def __init__(self, collection: Collection, scope: Scope) -> None:
        self._collection = collection
        self._scope = scope
        self._selections = Selections(collection, scope)
        self._orders = Orders(collection, scope)

    @property
    def _operands(self) -> Operands:
        return Operands(Conditions(self._collection, self._scope), self._scope)

    def query(
        self, root: syntax.FieldSelection, arguments: Mapping[str, syntax.Entry]
    ) -> plan.Query:
        """A root of a query operation."""
        found = arguments.get("search")
        searching = None if found is None else search.resolve(self._scope, found, self._collection)
        self._selections.searched = searching
        fields = fields_of(self._scope, root.selection or (), self._collection.name)
        named = [
            one
            for one in fields
            if isinstance(one, syntax.FieldSelection) and one.name.text in WORDS
        ]
        plain = tuple([one for one in fields if one not in named]) if named else fields
        parts = tuple([self._part(one) for one in named if one.name.text in PARTS])
        where = self._selections.where(arguments)
        order = self._orders.order(arguments.get("orderBy"))
        outputs: tuple[plan.Selected, ...] = ()
        page = limit = offset = None
        pages_only = not fields and directives.names_any(self._scope, root.selection or (), WORDS)
        if len(parts) < len(named) or pages_only:
            digest = partial(page_cursors.digest, self._collection, order, searching)
            outputs, page = self._page(digest, named, plain, arguments)
        else:
            pages.refuse(self._scope, arguments)
            self._refuse_nodes(named, plain)
            # Everything where nothing is written, not where all is skipped.
            if plain or not (named or root.selection):
                outputs = self._selections.outputs(plain)
            limit = amount(self._scope, arguments.get("limit"))
            offset = amount(self._scope, arguments.get("offset"))
        return plan.Query(
            key_of(root), self._collection, outputs, where, order, limit, offset,
            search=searching, parts=parts, page=page,
        )  # fmt: skip

    def _page(
        self,
        digest: Callable[[], str],
        words: list[syntax.FieldSelection],
        plain: tuple[syntax.FieldSelection | syntax.Computed, ...],
        arguments: Mapping[str, syntax.Entry],
    ) -> tuple[tuple[plan.Selected, ...], plan.Page]:
        if plain:
            raise self._scope.fail(
                UnknownField, f"'{_key(plain[0])}' stands in the nodes of a page", plain[0].span,
                "select it in edges { node { … } }",
            )  # fmt: skip
        page = pages.Pages(self._scope, words)
        nodes = page.nodes()
        amounts = {name: amount(self._scope, arguments.get(name)) for name in ("limit", "last")}
        outputs = () if nodes is None else self._selections.outputs(nodes)
        return outputs, page.page(arguments, amounts, digest)

    def _refuse_nodes(
        self,
        words: list[syntax.FieldSelection],
        plain: tuple[syntax.FieldSelection | syntax.Computed, ...],
    ) -> None:
        """The documents beside parts stand under `nodes`."""
        for word in words:
            if plain and key_of(word) == "nodes":
                raise self._scope.fail(
                    DuplicateAlias, "two results would have the key 'nodes'", word.span,
                    "the fields beside it stand under 'nodes'; give it another alias",
                )  # fmt: skip

    def _part(self, field: syntax.FieldSelection) -> plan.QueryPart:
        series = Series(self._collection, self._scope, self._operands)
        match field.name.text:
            case "aggregate":
                functions = aggregates.functions(field, self._operands, self._scope)
                return plan.Aggregates(key_of(field), functions)
            case "groupBy":
                return GroupBy(self._operands, self._scope, self._nodes).part(field)
            case "downsample":
                return series.downsample(field)
            case _:
                return series.window(field)

    def _nodes(self, field: syntax.FieldSelection) -> plan.Query:
        """The documents of a group."""
        given = self._scope.arguments("nodes", field.arguments, NODES_ARGUMENTS)
        selections = Selections(self._collection, self._scope)
        return plan.Query(
            key=key_of(field),
            collection=self._collection,
            outputs=selections.outputs(field.selection),
            where=selections.where(given),
            order=self._orders.order(given.get("orderBy")),
            limit=amount(self._scope, given.get("limit")),
            offset=amount(self._scope, given.get("offset")),
        )


def _key(field: syntax.FieldSelection | syntax.Computed) -> str:
    return field.alias.text if isinstance(field, syntax.Computed) else key_of(field)
