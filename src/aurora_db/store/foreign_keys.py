"""Which relation a refused statement broke: SQLite says only that one of them was.

The statement runs once more inside a savepoint, its foreign keys looked at later; what it changed
is compared with the catalog, and all of it is undone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

import apsw

from aurora_db.aql.catalog import Catalog, Collection, Field, Relation
from aurora_db.base.codec import encode
from aurora_db.base.errors import ForeignKeyViolation
from aurora_db.sql.statement import identifier

FAILED: Final = "FOREIGN KEY constraint failed"
#: Changed documents that are looked at, at most.
MOST: Final = 100_000


class _Changed:
    """What a statement changed: rows by their number, and rows as they were."""

    def __init__(self) -> None:
        self.written: defaultdict[str, list[int]] = defaultdict(list)
        self.gone: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
        self._seen = 0

    def __call__(self, change: Any) -> None:
        self._seen += 1
        if self._seen > MOST:
            return
        if change.op != "INSERT":
            self.gone[change.table_name].append(change.old)
        if change.op != "DELETE":
            self.written[change.table_name].append(change.rowid_new)


def explain(
    connection: apsw.Connection, catalog: Catalog, again: Callable[[], object]
) -> ForeignKeyViolation:
    """The error of a statement that broke a relation; `again` runs it. Nothing remains of it."""
    execute: Callable[..., Any] = connection.execute
    changed = _Changed()
    execute("SAVEPOINT why")
    try:
        execute("PRAGMA defer_foreign_keys = ON")
        connection.preupdate_hook(changed)
        try:
            again()
        finally:
            connection.preupdate_hook(None)
        found = _missing(execute, catalog, changed) or _referred(execute, catalog, changed)
    except apsw.Error:
        found = None
    finally:
        execute("ROLLBACK TO why")
        execute("RELEASE why")
        execute("PRAGMA defer_foreign_keys = OFF")
    return found or ForeignKeyViolation("Foreign key violation: a relation would lead nowhere")


def _missing(
    execute: Callable[..., Any], catalog: Catalog, changed: _Changed
) -> ForeignKeyViolation | None:
    """A written document whose relation leads nowhere."""
    for table, numbers in changed.written.items():
        for collection, field, relation in _relations(catalog):
            if collection.name != table:
                continue
            rows = execute(
                f"{_dangling(collection, field, relation)} AND c._n IN (SELECT value FROM json_each(?)) LIMIT 1",
                (encode(numbers),),
            ).fetchall()
            if rows:
                return _violation(
                    collection, field, rows[0][0],
                    f"no document of '{relation.to}' has {relation.key} {rows[0][0]!r}",
                    f"insert it into '{relation.to}' first",
                )  # fmt: skip
    return None


def _referred(
    execute: Callable[..., Any], catalog: Catalog, changed: _Changed
) -> ForeignKeyViolation | None:
    """A document that is gone, or has another key now, while others refer to it."""
    for table, rows in changed.gone.items():
        columns = [name for (name,) in execute("SELECT name FROM pragma_table_info(?)", (table,))]
        for collection, field, relation in _relations(catalog):
            if relation.to != table:
                continue
            place = columns.index(relation.key)
            keys = encode([row[place] for row in rows])
            found = execute(
                f"{_dangling(collection, field, relation)} "
                f"AND c.{identifier(field.name)} IN (SELECT value FROM json_each(?)) LIMIT 1",
                (keys,),
            ).fetchall()
            if found:
                return _violation(
                    collection, field, found[0][0],
                    f"it refers to the document of '{table}' with {relation.key} {found[0][0]!r}",
                    f"delete or change the documents of '{collection.name}' first, or declare onDelete: CASCADE or SET_NULL",
                )  # fmt: skip
    return None


def _relations(catalog: Catalog) -> list[tuple[Collection, Field, Relation]]:
    return [
        (collection, field, field.relation)
        for collection in catalog.collections.values()
        for field in collection.fields
        if field.relation is not None
    ]


def _dangling(collection: Collection, field: Field, relation: Relation) -> str:
    name = identifier(field.name)
    parent = f"SELECT 1 FROM {identifier(relation.to)} AS p WHERE p.{identifier(relation.key)} = c.{name}"
    return (
        f"SELECT c.{name} FROM {identifier(collection.name)} AS c "
        f"WHERE c.{name} IS NOT NULL AND NOT EXISTS ({parent})"
    )


def _violation(
    collection: Collection, field: Field, value: object, reason: str, hint: str
) -> ForeignKeyViolation:
    return ForeignKeyViolation(
        f"Foreign key violation on field '{field.name}' of '{collection.name}': {reason}",
        hint=hint,
        fields=(field.name,),
        value=value,
    )
