"""The full-text index of a collection: an FTS5 table over its fields, kept by triggers.

It has no copy of the texts: it reads them from the collection. The triggers are pure SQL, so the
index is right whatever program writes.

Source: SQLite, "FTS5 Extension", section 4.4.3, external content tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aurora_db.aql import plan
from aurora_db.aql.catalog import Collection
from aurora_db.sql.statement import Bound, identifier, literal

#: The alias under which a search stands in a statement: `_n` and `_score` of what it found.
FOUND = "_found"
#: The variable under which the runner hands in the expression of the index.
MATCH = "\0match"
LEAST = "\0least"

Fragment = tuple[str, tuple[Any, ...]]


def index_of(collection: Collection) -> str:
    """The name of the index, as an identifier."""
    return identifier(f"_search:{collection.name}")


def words_of(collection: Collection) -> str:
    """The name of the table of its words, as an identifier."""
    return identifier(f"_words:{collection.name}")


def columns(collection: Collection) -> list[str]:
    """The fields in the index."""
    return [field.name for field in collection.fields if field.search]


def create(collection: Collection) -> list[str]:
    """The statements that make the index and its triggers; none without searchable fields."""
    names = columns(collection)
    if not names:
        return []
    index, table = index_of(collection), identifier(collection.name)
    listed = ", ".join(identifier(name) for name in names)
    new = ", ".join(f"NEW.{identifier(name)}" for name in names)
    old = ", ".join(f"OLD.{identifier(name)}" for name in names)
    put = f"INSERT INTO {index} (rowid, {listed}) VALUES (NEW._n, {new})"
    take = f"INSERT INTO {index} ({index}, rowid, {listed}) VALUES ('delete', OLD._n, {old})"
    trigger = f"CREATE TRIGGER {{}} AFTER {{}} ON {table} BEGIN\n    {{}};\nEND"
    words = literal(f"_search:{collection.name}")
    options = (
        f"content = {literal(collection.name)}, content_rowid = '_n', "
        "tokenize = 'unicode61 remove_diacritics 2'"
    )
    return [
        f"CREATE VIRTUAL TABLE {index} USING fts5 ({listed}, {options})",
        f"CREATE VIRTUAL TABLE {words_of(collection)} USING fts5vocab ({words}, 'row')",
        trigger.format(_trigger(collection, "insert"), "INSERT", put),
        trigger.format(_trigger(collection, "delete"), "DELETE", take),
        trigger.format(
            _trigger(collection, "update"), f"UPDATE OF _n, {listed}", f"{take};\n    {put}"
        ),
    ]


def fill(collection: Collection) -> list[str]:
    """The statements that read all documents into the index anew."""
    index = index_of(collection)
    if not columns(collection):
        return []
    return [f"INSERT INTO {index} ({index}) VALUES ('rebuild')"]


def drop(collection: Collection) -> list[str]:
    """The statements that remove the index and its triggers."""
    if not columns(collection):
        return []
    return [
        *(f"DROP TRIGGER IF EXISTS {_trigger(collection, op)}" for op in ("insert", "delete", "update")),
        f"DROP TABLE IF EXISTS {words_of(collection)}",
        f"DROP TABLE IF EXISTS {index_of(collection)}",
    ]  # fmt: skip


def _trigger(collection: Collection, op: str) -> str:
    return identifier(f"_search:{collection.name}:{op}")


# --- queries --------------------------------------------------------------------------------


def source(query: plan.Query) -> Fragment:
    """What stands after FROM: the collection, joined to what the search found.

    The score is relative to the best match of the search, so it lies in (0, 1].
    """
    table = identifier(query.collection.name)
    if query.search is None:
        return table, ()
    index = index_of(query.collection)
    found = (
        "SELECT _n, _raw / min(_raw) OVER () AS _score FROM "
        f"(SELECT rowid AS _n, bm25({index}) AS _raw FROM {index} WHERE {index} MATCH ?)"
    )
    return (
        f"{table} JOIN ({found}) AS {FOUND} ON {FOUND}._n = {table}._n AND {FOUND}._score >= ?",
        (Bound(_of(MATCH)), Bound(_of(LEAST))),
    )


def _of(name: str) -> Any:
    def read(variables: Mapping[str, Any]) -> Any:
        return variables[name]

    return read


def snippets(collection: Collection, field: str) -> str:
    """The text that gives pairs of a document's `_n` and its snippet; takes the expression, then the `_n`s as JSON."""
    index = index_of(collection)
    at = columns(collection).index(field)
    return (
        f"SELECT rowid, snippet({index}, {at}, '<mark>', '</mark>', '…', 16) FROM {index} "
        f"WHERE {index} MATCH ? AND rowid IN (SELECT value FROM json_each(?))"
    )


def words(collection: Collection) -> str:
    """The text that reads words of the index with the number of their documents, of lengths between two."""
    return f"SELECT term, doc FROM {words_of(collection)} WHERE length(term) BETWEEN ? AND ?"
