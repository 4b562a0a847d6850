"""What the names of a collection mean, worked out once for all texts that use it.

Most names of a text are those of declared fields, and mean the same wherever they stand. What is not
here (relations, computed fields, paths, words of the language) is resolved each time, by its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec

from aurora_db.aql import plan, types
from aurora_db.aql.catalog import Collection, Field

#: Words that mean something else than a field of that name in a where.
JUNCTIONS: Final = frozenset({"and", "or", "not", "expr"})
#: Words of queries that this version does not have, in a selection.
LATER: Final = frozenset({"_explain", "_created"})
#: Words that stand in the selection of a query, not among the fields of a document.
OF_QUERIES: Final = frozenset({
    "aggregate", "groupBy", "downsample", "windowFunc", "edges", "nodes", "pageInfo", "totalCount",
})  # fmt: skip
#: Keys of an order that is spelled out.
SPELLED: Final = frozenset({"field", "expr", "direction", "nulls"})


class Names(msgspec.Struct, frozen=True):
    """The declared fields of one collection by name.

    `paths` has all of them; `compared` those that a condition may name, `outputs` those that are
    shown as they are stored, and `orders` those to order by, ascending and descending.
    """

    paths: Mapping[str, plan.Path]
    compared: Mapping[str, plan.Path]
    outputs: Mapping[str, plan.Output]
    orders: Mapping[str, tuple[plan.Order, plan.Order]]


@lru_cache(maxsize=512)
def names_of(collection: Collection) -> Names:
    """What the names of a collection mean."""
    paths = {field.name: _path(field) for field in collection.fields}
    if not collection.system:
        paths["_rev"] = _path(types.REV)
    # `_sid` is another name of the id.
    named_id = paths.get("id")
    if named_id is not None:
        paths["_sid"] = named_id
    stored = {
        name: path
        for name, path in paths.items()
        if path.field is not None and path.field.computed is None
    }
    return Names(
        paths=paths,
        compared={name: path for name, path in stored.items() if name not in JUNCTIONS},
        outputs={
            name: plan.Output(name, path)
            for name, path in stored.items()
            if name not in OF_QUERIES | LATER
        },
        orders={
            name: (plan.Order(path), plan.Order(path, descending=True))
            for name, path in stored.items()
            if name not in SPELLED and path.type is not None and path.type.name in types.ORDERED
        },
    )


def _path(field: Field) -> plan.Path:
    return plan.Path(field, (), field.type)
