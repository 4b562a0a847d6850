"""What is read of a query that is kept in memory: images of its documents, as the feed has them."""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Sequence

from aurora_db.aql import plan
from aurora_db.aql.catalog import Collection
from aurora_db.aql.types import REV
from aurora_db.base.codec import encode
from aurora_db.sql import expressions, lower, operands
from aurora_db.sql.images import image
from aurora_db.sql.statement import Statement, identifier


def images(query: plan.Query, most: int | None) -> Statement:
    """Image and place of the first `most` documents in the query's order, before its limit and offset."""
    source, params = operands.source(query)
    terms, more = lower.orders(query)
    text = (
        f"SELECT {_image(query.collection)}, {_place(query.collection)} {source} ORDER BY {terms}"
    )
    if most is None:
        return Statement(text, (*params, *more))
    return Statement(f"{text} LIMIT ?", (*params, *more, most))


def pieces(query: plan.Query, names: Names[str] | None) -> Statement:
    """Images of these fields only, or whole ones, and how many documents have each.

    Of all that the query matches, in no order.
    """
    collection = query.collection
    source, params = operands.source(query)
    if names is None:
        return Statement(f"SELECT {_image(collection)}, 1 {source}", params)
    row = operands.row_of(collection)
    pairs = [
        (field.name, expressions.column_as_json(row + identifier(field.name), field.type))
        for field in (*collection.stored, REV)
        if field.name in names
    ]
    return Statement(
        f"SELECT {expressions.json_object(pairs)}, count(*) {source} GROUP BY 1", params
    )


def by_ids(collection: Collection, ids: Sequence[str]) -> Statement:
    """Id, place and image of the documents with these ids."""
    return _by_ids(collection, ids, f", {_image(collection)}")


def places(collection: Collection, ids: Sequence[str]) -> Statement:
    """Id and place of the documents with these ids."""
    return _by_ids(collection, ids, "")


def _by_ids(collection: Collection, ids: Sequence[str], more: str) -> Statement:
    row = operands.row_of(collection)
    return Statement(
        f"SELECT {row}id, {_place(collection)}{more} FROM {identifier(collection.name)} "
        f"WHERE {row}id IN (SELECT value FROM json_each(?))",
        (encode(list(ids)),),
    )


def _image(collection: Collection) -> str:
    row = operands.row_of(collection)
    return image(collection, row, row + "_rev")


def _place(collection: Collection) -> str:
    return operands.place_of(collection)
