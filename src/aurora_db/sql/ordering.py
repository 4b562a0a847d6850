"""The total order of a query: its keys with what ends them, forwards and backwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from aurora_db.aql import plan
from aurora_db.aql.catalog import Collection
from aurora_db.aql.types import REV
from aurora_db.sql import operands, search
from aurora_db.sql.statement import identifier
from aurora_db.sql.where import Fragment


class Key(msgspec.Struct, frozen=True):
    """One key of an order: an expression and the way its values go. `nullable`: it may be null."""

    text: str
    params: tuple[Any, ...] = ()
    descending: bool = False
    nulls_first: bool = True
    nullable: bool = False

    def backwards(self) -> Key:
        """The same key of the opposite order."""
        return Key(self.text, self.params, not self.descending, not self.nulls_first, self.nullable)

    @property
    def order(self) -> str:
        """As it stands in ORDER BY. SQLite's own rule is nulls first ascending, last descending."""
        text = self.text + (" DESC" if self.descending else "")
        if not self.nullable or self.nulls_first != self.descending:
            return text
        return text + (" NULLS FIRST" if self.nulls_first else " NULLS LAST")


def has_unique_id(collection: Collection) -> bool:
    """Whether `id` tells the documents of a collection apart."""
    return not collection.system or collection.name in ("_jobs", "_workers")


def keys(query: plan.Query, order: Sequence[plan.Order]) -> tuple[Key, ...]:
    """The keys of a total order of a query's documents.

    `id` ends the ones given; without any they are by score where there is a search, and by
    insertion.
    """
    collection = query.collection
    row = operands.row_of(collection)
    found = [_key(one, row) for one in order]
    if found and has_unique_id(collection):
        return (*found, Key(row + identifier("id")))
    if query.search is not None and not found:
        found.append(Key(f"{search.FOUND}._score", (), descending=True))
    return (*found, Key(operands.place_of(collection)))


def _key(order: plan.Order, row: str) -> Key:
    text, params = operands.fragment(order.path, row)
    first = not order.descending if order.nulls_first is None else order.nulls_first
    return Key(text, params, order.descending, first, _nullable(order.path))


def _nullable(expression: plan.Expression) -> bool:
    match expression:
        case plan.Path(field=field, keys=(), hops=()) if field is not None:
            return not (field.required or field.name in ("id", REV.name))
        case _:
            return True


def by(found: Sequence[Key]) -> Fragment:
    """The list after ORDER BY."""
    return ", ".join(key.order for key in found), tuple(p for key in found for p in key.params)
