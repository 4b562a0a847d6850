"""Inserting documents → statement."""

from __future__ import annotations

from collections.abc import Sequence

from aurora_db.aql.catalog import Collection
from aurora_db.sql.statement import Batch, identifier


def insert(collection: Collection, names: Sequence[str], on_conflict: str = "ERROR") -> Batch:
    """The statement that inserts documents with these columns.

    On a conflict of a unique value: ERROR, SKIP the new document, or REPLACE the old one, which keeps
    its id and gets its next revision. With SKIP and REPLACE it returns the ids of what it wrote.
    """
    if on_conflict == "ERROR":
        return Batch.insert(collection.name, names)
    ending = " ON CONFLICT DO NOTHING RETURNING id"
    if on_conflict == "REPLACE":
        sets = [
            f"{identifier(name)} = excluded.{identifier(name)}" for name in names if name != "id"
        ]
        row = identifier(collection.name) + "."
        ending = (
            f" ON CONFLICT DO UPDATE SET {', '.join([*sets, f'_rev = {row}_rev + 1'])} RETURNING id"
        )
    return Batch.insert(collection.name, names, ending)


def exists(collection: Collection, fields: Sequence[str]) -> str:
    """The text that asks whether a document has these values of some fields."""
    same = " AND ".join(f"{identifier(field)} = ?" for field in fields)
    return f"SELECT 1 FROM {identifier(collection.name)} WHERE {same} LIMIT 1"
