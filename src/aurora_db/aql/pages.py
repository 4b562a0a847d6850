"""Relay pages → plan: `edges nodes pageInfo totalCount` and the arguments that turn pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from aurora_db.aql import page_cursors, plan, suggest, syntax
from aurora_db.aql.selections import key_of, refuse_directives, unique_keys
from aurora_db.aql.values import Scope
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
    """Resolves the words of a page in the selection of one query."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def keys(self, fields: Sequence[syntax.FieldSelection]) -> tuple[plan.PageKey, ...]:
        """The keys of the page's object; other words are the places of the query's parts."""
        return tuple(self._key(one) for one in fields)

    def _key(self, field: syntax.FieldSelection) -> plan.PageKey:
        name = field.name.text
        if name not in WORDS:
            return plan.PageKey(key_of(field), "part")
        refuse_directives(self._scope, field.directives)
        self._scope.arguments(name, field.arguments, {})
        if name == "totalCount" and field.selection:
            raise self._scope.fail(
                UnknownField, "totalCount is a number and has no fields", field.selection[0].span
            )
        return plan.PageKey(key_of(field), name, self._inside(field, WORDS[name]))

    def _inside(
        self, field: syntax.FieldSelection, words: tuple[str, ...]
    ) -> tuple[tuple[str, str], ...]:
        if not words:
            return ()
        name = field.name.text
        inner = list(field.selection or ())
        if not inner:
            raise self._scope.fail(
                UnknownField, f"{name} needs a selection", field.name.span,
                f"write {name} {{ {' '.join(words)} }}",
            )  # fmt: skip
        unique_keys(self._scope, inner, [key_of(one) for one in inner])
        for one in inner:
            if one.name.text not in words:
                raise self._scope.fail(
                    UnknownField, f"no field named '{one.name.text}' in {name}", one.name.span,
                    suggest.hint(one.name.text, words, _inner_hint(name, words)),
                )  # fmt: skip
            refuse_directives(self._scope, one.directives)
            self._scope.arguments(one.name.text, one.arguments, {})
            if one.selection and one.name.text != "node":
                raise self._scope.fail(
                    UnknownField, f"'{one.name.text}' is a value and has no fields",
                    one.selection[0].span,
                )  # fmt: skip
        return tuple((key_of(one), one.name.text) for one in inner)

    def nodes(self, fields: Sequence[syntax.FieldSelection]) -> Fields | None:
        """The selection of the page's documents; None where none are shown.

        Raises:
            DuplicateAlias: two places would show documents, each in a way of its own.
        """
        found: list[syntax.FieldSelection] = []
        for field in fields:
            if field.name.text == "nodes":
                found.append(field)
            if field.name.text == "edges":
                found += [one for one in field.selection or () if one.name.text == "node"]
        if len(found) > 1:
            raise self._scope.fail(
                DuplicateAlias, "a page shows its documents once", found[1].name.span,
                "leave one of edges { node } and nodes",
            )  # fmt: skip
        return tuple(found[0].selection or ()) if found else None

    def page(
        self,
        keys: tuple[plan.PageKey, ...],
        arguments: Mapping[str, syntax.Entry],
        amounts: Mapping[str, plan.Value | None],
        order: str | None,
    ) -> plan.Page:
        """The page; `order` is the digest of its order where that is known now."""
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
        return plan.Page(keys, first=first, last=last, after=after, before=before)

    def _cursor(self, entry: syntax.Entry | None, order: str | None) -> plan.Value | None:
        if entry is None:
            return None
        value = self._scope.value(entry.value)
        if not isinstance(value, plan.Constant):
            return value
        if value.value is None:
            return None
        try:
            page_cursors.checked(value.value, order, entry.key.text)
        except AqlError as error:
            raise self._scope.fail(
                type(error), error.message, entry.value.span, error.hint
            ) from None
        return value

    def refuse(self, arguments: Mapping[str, syntax.Entry]) -> None:
        """Refuse the arguments of a page where none is selected."""
        for name in ARGUMENTS:
            if name in arguments:
                raise self._scope.fail(
                    UnknownArgument, f"'{name}' turns pages, and this query is a list",
                    arguments[name].key.span, "select edges { node { … } } pageInfo { endCursor }",
                )  # fmt: skip


def _inner_hint(name: str, words: tuple[str, ...]) -> str:
    if name == "edges":
        return "select it in the node: edges { node { … } }"
    return f"it has {', '.join(words)}"
