"""The catalogue: products, their thumbnails, and the event handler that joins them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from aurora_db import Aurora

SCHEMA = """
schema {
  define collection products if not exists {
    name: String!
    image_url: String!
    added_at: DateTime = "now"
  }
  define collection thumbnails if not exists {
    product: ID! @indexed
    size: Int! @validate(min: 1)
    path: String!
    width: Int!
    height: Int!
    @@unique(fields: [product, size])
  }
}

define handler "auto_thumbnail" if not exists {
    on: "insert:products"
    action: {
        enqueueJob(
            type: "process_image"
            payload: { product_id: "${id}", path: "${image_url}" }
            retries: 3
            backoff: [0.3]
        )
    }
}
"""


def make(db: Aurora) -> None:
    """Define what the catalogue needs; a second time changes nothing."""
    db.execute(SCHEMA)


def add(db: Aurora, pictures: Iterable[Path]) -> list[str]:
    """Put a product for each picture into the catalogue; their jobs commit with them."""
    return db["products"].insert_many({"name": one.stem, "image_url": str(one)} for one in pictures)
