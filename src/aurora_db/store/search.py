"""Running searches: what was typed becomes the expression that the statements of the query match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aurora_db.aql import plan
from aurora_db.aql import search as language
from aurora_db.aql.catalog import Collection
from aurora_db.base.codec import encode
from aurora_db.sql import search as sql
from aurora_db.store.port import Port
from aurora_db.store.scope import Scope

#: An expression that finds nothing.
NOTHING = '""'


async def begun(query: plan.Query, port: Port, scope: Scope) -> Scope:
    """The scope with what the statements of a searching query are given beside its variables.

    Raises:
        TypeMismatch: a value of the search is of another type.
    """
    search = query.search
    if search is None:
        return scope
    wanted = language.wanted(search, scope.value)
    units = language.units(wanted.text)
    others = await _others(
        port, query.collection, language.fuzzy_words(units, wanted.edits), wanted
    )
    names = [path.field.name for path in search.fields if path.field is not None]
    match = language.expression(units, names, others)
    given: Mapping[str, Any] = {
        **scope.variables,
        sql.MATCH: NOTHING if match is None else match,
        sql.LEAST: wanted.min_score or 0.0,
    }
    return Scope(given, scope.results)


async def _others(
    port: Port, collection: Collection, words: Sequence[str], wanted: language.Wanted
) -> dict[str, list[str]]:
    """For each word those of the index that it may stand for."""
    if not words:
        return {}
    shortest = min(map(len, words)) - wanted.edits
    longest = max(map(len, words)) + wanted.edits
    rows = await port.rows(sql.words(collection), (shortest, longest))
    known = [(row[0], row[1]) for row in rows]
    return {word: language.nearest(word, known, wanted.edits) for word in words}


async def snippets(
    port: Port, collection: Collection, path: plan.Path, scope: Scope, numbers: Sequence[int]
) -> dict[int, str]:
    """The snippets of a field, by the `_n` of its document."""
    assert path.field is not None
    text = sql.snippets(collection, path.field.name)
    rows = await port.rows(text, (scope.variables[sql.MATCH], encode(numbers)))
    return {row[0]: row[1] for row in rows}


async def put_snippets(
    query: plan.Query, documents: Sequence[dict[str, Any]], port: Port, scope: Scope
) -> None:
    """Put the snippets that a query shows into its documents, in the place of their `_n`."""
    for output in query.outputs:
        if isinstance(output, plan.Snippet):
            numbers = [document[output.key] for document in documents]
            made = await snippets(port, query.collection, output.path, scope, numbers)
            for document in documents:
                document[output.key] = made.get(document[output.key])
