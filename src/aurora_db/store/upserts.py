"""Upserts: update the document of a unique key, or insert it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, cast

from aurora_db.aql import plan
from aurora_db.aql.catalog import Collection
from aurora_db.aql.changes import resolve_changes
from aurora_db.aql.expand import GIVEN
from aurora_db.aql.upserts import equalities, inserted
from aurora_db.base.errors import TypeMismatch
from aurora_db.sql import lower
from aurora_db.store import documents, matching
from aurora_db.store.port import Port


async def upsert_one(
    port: Port,
    collection: Collection,
    where: Any,
    data: Mapping[str, Any],
    variables: Mapping[str, Any] = MappingProxyType({}),
    *,
    if_rev: Any = None,
) -> tuple[str, bool]:
    """Update the document of a unique key, or insert it; its id and whether it was inserted.

    The writer is ours from the look to the commit, in every process, so nobody comes between.

    Raises:
        MissingWhere: `where` is no equality on `id` or a unique key.
        Conflict: the document has another revision than `if_rev`; one that does not exist has 0.
    """
    key = equalities(collection, where)
    if not isinstance(cast("object", data), Mapping):
        raise TypeMismatch("a document is an object by field")
    given = {("id" if name == "_sid" else name): value for name, value in data.items()}
    if "id" in key and given.get("id") == key["id"]:
        del given["id"]
    id = given.pop("id", None) if not isinstance(given.get("id"), Mapping) else None
    changes = resolve_changes(collection, given, port.now(), port.catalog)
    condition = _keyed(collection, tuple(key))
    # A name that no variable can have.
    bound = {**variables, **{f"\0{name}": value for name, value in key.items()}}
    statement = lower.another_rev(collection, condition, -1)
    row = await port.row(statement.text, statement.bind(bound))
    current = 0 if row is None else row[1]
    if if_rev is not None and matching.revision(if_rev) != current:
        raise matching.conflict(collection, str(next(iter(key.values()))), if_rev, current)
    if row is None:
        begun = key if id is None else {**key, "id": id}
        document = inserted(changes, begun, variables, port.now())
        return (await documents.insert_many(port, collection.name, [document]))[0], True
    if id is not None and id != row[0]:
        resolve_changes(collection, {"id": id}, port.now())
    await matching.update_where(port, collection, condition, changes, bound)
    return row[0], False


@lru_cache(maxsize=512)
def _keyed(collection: Collection, names: tuple[str, ...]) -> lower.Condition:
    """The condition of a unique key; its values are bound by the names of the fields after a NUL."""
    fields = [field for name in names if (field := collection.field(name)) is not None]
    parts = tuple(
        plan.Compare(
            plan.Path(field, (), field.type), "eq", plan.Variable(f"\0{field.name}", (), GIVEN)
        )
        for field in fields
    )
    return lower.condition_of(collection, plan.And(parts))


async def upsert(port: Port, name: str, where: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """Update the document of a unique key, or insert it; its id. Errors as of `upsert_one`."""
    return (await upsert_one(port, documents.writable(port.catalog, name), where, data))[0]
