"""Selections in which words of the language stand, not the fields of a document."""

from __future__ import annotations

from collections.abc import Sequence

from aurora_db.aql import syntax
from aurora_db.aql.directives import fields_of
from aurora_db.aql.values import Scope
from aurora_db.base.errors import UnknownField


def words(
    scope: Scope, selection: Sequence[syntax.Selection] | None
) -> tuple[syntax.FieldSelection, ...]:
    """The words of a selection, those that are skipped left out.

    Raises:
        UnknownField: something in it is computed.
        DuplicateAlias: two have one key.
    """
    found: list[syntax.FieldSelection] = []
    for one in fields_of(scope, selection or (), None):
        if isinstance(one, syntax.Computed):
            raise scope.fail(
                UnknownField, "nothing is computed here", one.span,
                "compute it among the fields of the documents",
            )  # fmt: skip
        found.append(one)
    return tuple(found)
