"""Relay pages → plan: `edges nodes pageInfo totalCount` and the arguments that turn pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aurora_db.aql import page_cursors, plan, suggest, syntax
from aurora_db.aql.selections import key_of
from aurora_db.aql.values import Scope
from aurora_db.aql.words import words
from aurora_db.base.errors import (
    AqlError,
    DuplicateAlias,
    TypeMismatch,
    UnknownArgument,
    UnknownField,
)

#: The words of a page, and what may be selected in each.
WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "edges": ("cursor", "node"),
    "nodes": (),
    "pageInfo": ("hasNextPage", "hasPreviousPage", "startCursor", "endCursor"),
    "totalCount": (),
}
ARGUMENTS: Final = ("after", "last", "before")

Fields = tuple[syntax.FieldSelection, ...]


class Pages:
    """Resolves the words of a page: `fields` are all words in the selection of one query."""

    def __init__(self, scope: Scope, fields: Sequence[syntax.FieldSelection]) -> None:
        self._scope = scope
        self._fields = fields
        self._inner = [self._words(one) for one in fields]

    def keys(self) -> tuple[plan.PageKey, ...]:
        """The keys of the page's object; other words are the places of the query's parts."""
        return tuple(
            plan.PageKey(
                key_of(field),
                field.name.text if field.name.text in WORDS else "part",
                tuple((key_of(one), one.name.text) for one in inner),
            )
            for field, inner in zip(self._fields, self._inner, strict=True)
        )

    def _words(self, field: syntax.FieldSelection) -> Fields:
        """What is selected inside of `edges` or `pageInfo`."""
        name = field.name.text
        if name not in WORDS:
            return ()
        self._scope.arguments(name, field.arguments, {})
        known = WORDS[name]
        if name == "totalCount" and field.selection:
            raise self._scope.fail(
                UnknownField, "totalCount is a number and has no fields", field.selection[0].span
            )
        if not known:
            return ()
        inner = words(self._scope, field.selection)
        if not field.selection:
            raise self._scope.fail(
                UnknownField, f"{name} needs a selection", field.name.span,
                f"write {name} {{ {' '.join(known)} }}",
            )  # fmt: skip
        for one in inner:
            self._check(name, one)
        return inner

    def _check(self, name: str, one: syntax.FieldSelection) -> None:
        known = WORDS[name]
        if one.name.text not in known:
            raise self._scope.fail(
                UnknownField, f"no field named '{one.name.text}' in {name}", one.name.span,
                suggest.hint(one.name.text, known, _inner_hint(name, known)),
            )  # fmt: skip
        self._scope.arguments(one.name.text, one.arguments, {})
        if one.selection and one.name.text != "node":
            raise self._scope.fail(
                UnknownField,
                f"'{one.name.text}' is a value and has no fields",
                one.selection[0].span,
            )

    def nodes(self) -> tuple[syntax.Selection, ...] | None:
        """The selection of the page's documents; None where none are shown.

        Raises:
            DuplicateAlias: two places would show documents, each in a way of its own.
        """
        found = [one for one in self._fields if one.name.text == "nodes"]
        found += [one for inner in self._inner for one in inner if one.name.text == "node"]
        if len(found) > 1:
            raise self._scope.fail(
                DuplicateAlias, "a page shows its documents once", found[1].name.span,
                "leave one of edges { node } and nodes",
            )  # fmt: skip
        return (found[0].selection or ()) if found else None

    def page(
        self,
        arguments: Mapping[str, syntax.Entry],
        amounts: Mapping[str, plan.Value | None],
        order: Callable[[], str],
    ) -> plan.Page:
        """The page; `order` gives the digest of its order."""
        if "offset" in arguments:
            raise self._scope.fail(
                UnknownArgument, "a page has no offset", arguments["offset"].key.span,
                "give the endCursor of the page before: after: $cursor",
            )  # fmt: skip
        first, last = amounts["limit"], amounts["last"]
        if isinstance(first, plan.Constant) and isinstance(last, plan.Constant):
            raise self._scope.fail(
                TypeMismatch, "a page is taken from one end: first or last, not both",
                arguments["last"].key.span, "leave one of them",
            )  # fmt: skip
        after, before = (self._cursor(arguments.get(word), order) for word in ("after", "before"))
        return plan.Page(self.keys(), first=first, last=last, after=after, before=before)

    def _cursor(self, entry: syntax.Entry | None, order: Callable[[], str]) -> plan.Value | None:
        if entry is None:
            return None
        value = self._scope.value(entry.value)
        if not isinstance(value, plan.Constant):
            return value
        if value.value is None:
            return None
        try:
            page_cursors.checked(
                value.value,
                None if self._scope.shaped and self._scope.known is None else order(),
                entry.key.text,
            )
        except AqlError as error:
            raise self._scope.fail(
                type(error), error.message, entry.value.span, error.hint
            ) from None
        return value


def refuse(scope: Scope, arguments: Mapping[str, syntax.Entry]) -> None:
    """Refuse the arguments of a page where none is selected."""
    for name in ARGUMENTS:
        if name in arguments:
            raise scope.fail(
                UnknownArgument, f"'{name}' turns pages, and this query is a list",
                arguments[name].key.span, "select edges { node { … } } pageInfo { endCursor }",
            )  # fmt: skip


def _inner_hint(name: str, words: tuple[str, ...]) -> str:
    if name == "edges":
        return "select it in the node: edges { node { … } }"
    return f"it has {', '.join(words)}"
