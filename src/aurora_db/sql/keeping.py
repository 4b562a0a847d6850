"""What is read of a query that is kept in memory: images of its documents as the feed has them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from aurora_db.aql import plan
from aurora_db.aql.catalog import Collection
from aurora_db.base.codec import encode
from aurora_db.sql import lower, operands
from aurora_db.sql.images import image
from aurora_db.sql.statement import Statement, identifier


def images(query: plan.Query, most: int | None) -> Statement:
    """Image and place of the first `most` documents of the query's order, before limit and offset."""
    collection = query.collection
    row = operands.row_of(collection)
    source, params = operands.source(query)
    terms, more = lower.orders(query)
    text = f"SELECT {image(collection, row, row + '_rev')}, {operands.place_of(collection)} {source} ORDER BY {terms}"
    if most is None:
        return Statement(text, (*params, *more))
    return Statement(f"{text} LIMIT ?", (*params, *more, most))


def parts_of(query: plan.Query, names: Sequence[str] | None) -> Statement:
    """Images with these fields only, or whole ones, and how many documents have each.

    All of what the query matches, in no order.
    """
    collection = query.collection
    row = operands.row_of(collection)
    source, params = operands.source(query)
    if names is None:
        return Statement(f"SELECT {image(collection, row, row + '_rev')}, 1 {source}", params)
    fields = tuple(field for field in collection.fields if field.name in names)
    # Whatever is not named is nowhere in the image, `id` excepted.
    few = image(replace(collection, fields=fields, flexible=False), row, None)
    if "id" not in names:
        few = few.replace(f"(json_quote({row}id))", "('null')", 1)
    return Statement(f"SELECT {few}, count(*) {source} GROUP BY 1", params)


def of_ids(collection: Collection, ids: Sequence[str]) -> Statement:
    """Id, place and image of the documents with these ids."""
    row = operands.row_of(collection)
    return Statement(
        f"SELECT {row}id, {operands.place_of(collection)}, {image(collection, row, row + '_rev')} "
        f"FROM {identifier(collection.name)} WHERE {row}id IN (SELECT value FROM json_each(?))",
        (encode(list(ids)),),
    )


def places(collection: Collection, ids: Sequence[str]) -> Statement:
    """Id and place of the documents with these ids."""
    row = operands.row_of(collection)
    return Statement(
        f"SELECT {row}id, {operands.place_of(collection)} "
        f"FROM {identifier(collection.name)} WHERE {row}id IN (SELECT value FROM json_each(?))",
        (encode(list(ids)),),
    )
