"""Selections in which words of the language stand, not the fields of a document."""

from __future__ import annotations

from collections.abc import Iterable

from aurora_db.aql import syntax
from aurora_db.aql.selections import key_of, unique_keys
from aurora_db.aql.values import Scope
from aurora_db.base.errors import UnknownField


def words(
    scope: Scope, selection: Iterable[syntax.Selection] | None
) -> list[syntax.FieldSelection]:
    """The words of a selection, under keys that differ.

    Raises:
        UnknownField: something in it is computed.
        DuplicateAlias: two have one key.
    """
    found: list[syntax.FieldSelection] = []
    for one in selection or ():
        match one:
            case syntax.FieldSelection():
                found.append(one)
            case syntax.FragmentSpread() | syntax.InlineFragment():
                raise scope.unsupported("fragments are", one.span)
            case syntax.Computed():
                raise scope.fail(
                    UnknownField, "nothing is computed here", one.span,
                    "compute it among the fields of the documents",
                )  # fmt: skip
    unique_keys(scope, found, [key_of(one) for one in found])
    return found
