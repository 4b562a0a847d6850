"""Text → syntax: the whole grammar, by recursive descent.

Constructs of the language that this version does not have are recognised and refused by name.
Words are not reserved: any of them may be the name of a field, an argument or an alias. Depth is
bounded by the limits of `tokens`, so no text can exhaust the stack.

`parser_operations`, `parser_schema` and `parser_values` hold the parts; here are documents and
event handlers.
"""

from __future__ import annotations

from typing import Final

import msgspec

from aurora_db.aql import parser_operations, parser_schema, parser_values
from aurora_db.aql.cursor import Cursor
from aurora_db.aql.syntax import (
    CollectionDefinition,
    Definition,
    Document,
    HandlerDefinition,
    HandlerDrop,
    MutationPart,
    ObjectLiteral,
    StringLiteral,
    Value,
    Word,
)
from aurora_db.aql.tokens import END, NAME, Token
from aurora_db.base.errors import AqlSyntaxError, MissingArgument

_LEADING: Final = (
    "query", "mutation", "subscription", "fragment", "schema", "define", "alter", "drop", "enable",
    "disable", "backfill", "run", "migrate", "migration",
)  # fmt: skip
_MUTATIONS: Final = (
    "insertInto", "insert", "insertMany", "update", "upsert", "deleteFrom", "delete", "enqueueJob",
    "enqueueJobs", "transaction",
)  # fmt: skip
_UNSUPPORTED: Final = {
    "subscription": "subscriptions are",
    "fragment": "fragments are",
    "migrate": "migrations are",
    "migration": "migrations are",
}
#: Words that begin a statement this version does not have, and what can follow them.
_CONTROLS: Final = {
    "alter": ("collection",),
    "enable": ("handler", "schedule"),
    "disable": ("handler", "schedule"),
    "backfill": ("handler",),
    "run": ("schedule",),
}
_HANDLER_PARTS: Final = ("on", "fields", "where", "action")


def parse(text: str) -> Document:
    """The syntax of a text: at least one definition, in the order written.

    Raises:
        AqlSyntaxError: the text is not AQL, or passes a limit; the message says what was expected.
        Unsupported: a construct of the language that this version does not have.
        DuplicateArgument: an argument, key, variable or field stands twice.
        MissingArgument: an event handler without `on` or `action`.
    """
    cursor = Cursor(text)
    definitions = [_definition(cursor)]
    while cursor.kind != END:
        definitions.append(_definition(cursor))
    return Document(tuple(definitions), span=cursor.since(definitions[0].span.start))


def _definition(cursor: Cursor) -> Definition:
    if cursor.kind == "{":
        return parser_operations.operation(cursor)
    word = cursor.token.text if cursor.kind == NAME else ""
    if word in ("query", "mutation"):
        return parser_operations.operation(cursor)
    if word == "define":
        return _define(cursor)
    if word == "schema":
        return parser_schema.schema_block(cursor)
    if word == "drop":
        return _drop(cursor)
    if word in _UNSUPPORTED:
        start = cursor.advance().start
        raise cursor.unsupported(_UNSUPPORTED[word], start)
    if word in _CONTROLS:
        first = cursor.advance()
        what = _one_of(cursor, word, _CONTROLS[word])
        raise cursor.unsupported(f"'{word} {what}' is", first.start)
    raise _not_a_definition(cursor)


def _not_a_definition(cursor: Cursor) -> AqlSyntaxError:
    hint = "a text is made of '{ … }', 'query', 'mutation', 'schema', 'define' and 'drop'"
    if cursor.kind == NAME:
        word = cursor.token.text
        if word in _MUTATIONS:
            hint = f"write 'mutation {{ {word} … }}'"
        elif word == "collection":
            hint = "write 'define collection'"
        else:
            hint = cursor.near(_LEADING) or hint
    elif cursor.kind == "}":
        hint = "a brace before this one is closed twice"
    elif cursor.kind != END:
        # "//" and "--" have their own hint.
        return cursor.expected("a query, a mutation or a definition")
    return cursor.expected("a query, a mutation or a definition", hint)


def _define(cursor: Cursor) -> CollectionDefinition | HandlerDefinition:
    start = cursor.advance().start
    what = _one_of(cursor, "define", parser_schema.DEFINABLE)
    if what == "collection":
        return parser_schema.collection(cursor, start)
    if what == "handler":
        return _handler(cursor, start)
    raise cursor.unsupported(f"'define {what}' is", start)


def _drop(cursor: Cursor) -> HandlerDrop:
    start = cursor.advance().start
    what = _one_of(cursor, "drop", parser_schema.DEFINABLE)
    if what != "handler":
        raise cursor.unsupported(f"'drop {what}' is", start)
    name = _quoted(cursor, "drop handler")
    if_exists = cursor.at_word("if")
    if if_exists:
        cursor.advance()
        cursor.expect_word("exists", "if")
    return HandlerDrop(name, if_exists, span=cursor.since(start))


def _one_of(cursor: Cursor, after: str, words: tuple[str, ...]) -> str:
    """Take one of `words`, which must stand after the word `after`."""
    if cursor.kind != NAME or cursor.token.text not in words:
        choice = " or ".join(f"'{word}'" for word in words)
        raise cursor.expected(f"{choice} after '{after}'", cursor.near(words))
    return cursor.advance().text


# --- event handlers -------------------------------------------------------------------------


class _Parts(msgspec.Struct):
    """What has been read of an event handler."""

    on: tuple[StringLiteral, ...] | None = None
    fields: tuple[Value, ...] | None = None
    where: ObjectLiteral | None = None
    action: tuple[MutationPart, ...] | None = None


def _handler(cursor: Cursor, start: int) -> HandlerDefinition:
    name = _quoted(cursor, "define handler")
    if_not_exists = parser_schema.if_not_exists(cursor)
    or_replace = not if_not_exists and cursor.at_word("or")
    if or_replace:
        cursor.advance()
        cursor.expect_word("replace", "or")
    if cursor.kind != "{":
        hint = cursor.near(("if", "or"))
        raise cursor.expected(f"'{{' to open the handler '{name.value}'", hint)
    parts = _handler_parts(cursor, f"the handler '{name.value}'")
    if parts.on is None or parts.action is None:
        absent = "on" if parts.on is None else "action"
        sample = '"insert:products"' if parts.on is None else "{ enqueueJob(…) }"
        raise MissingArgument(
            f"the handler '{name.value}' has no '{absent}'",
            hint=f"add '{absent}: {sample}'",
            source=cursor.source,
            span=name.span,
        )
    return HandlerDefinition(
        name,
        parts.on,
        parts.fields,
        parts.where,
        parts.action,
        if_not_exists,
        or_replace,
        span=cursor.since(start),
    )


def _handler_parts(cursor: Cursor, what: str) -> _Parts:
    opener = cursor.advance()
    parts = _Parts()
    seen: set[str] = set()
    choice = "'on', 'fields', 'where', 'action'"
    while cursor.kind == NAME:
        if cursor.token.text not in _HANDLER_PARTS:
            hint = cursor.near(_HANDLER_PARTS)
            raise cursor.expected(f"{choice} or '}}' to close {what}", hint)
        part = cursor.advance()
        if part.text in seen:
            raise cursor.duplicate(f"'{part.text}'", part.span)
        seen.add(part.text)
        cursor.expect(":", f"':' after '{part.text}'")
        _handler_part(cursor, part, parts)
    cursor.close("}", opener, choice, what)
    return parts


def _handler_part(cursor: Cursor, part: Token, parts: _Parts) -> None:
    if part.text == "on":
        parts.on = _events(cursor)
    elif part.text == "fields":
        if cursor.kind != "[":
            raise cursor.expected("'[' and names of fields after 'fields:'")
        named = parser_values.list_(cursor, "fields")
        for item in named.items:
            if not isinstance(item, (Word, StringLiteral)):
                raise cursor.error("expected the name of a field in 'fields'", item.span)
        parts.fields = named.items
    elif part.text == "where":
        if cursor.kind != "{":
            raise cursor.expected("'{' and conditions after 'where:'")
        parts.where = parser_values.object_(cursor, "where")
    else:
        if cursor.kind != "{":
            raise cursor.expected("'{' and a mutation after 'action:'")
        start = cursor.token.start
        parts.action = parser_operations.mutation_set(cursor, "the action")
        if not parts.action:
            raise cursor.error("expected a mutation in the action, found none", cursor.since(start))


def _events(cursor: Cursor) -> tuple[StringLiteral, ...]:
    if parser_values.at_string(cursor):
        return (parser_values.string(cursor),)
    hint = "write 'on: \"insert:products\"'"
    if cursor.kind != "[":
        raise cursor.expected("an event in double quotes after 'on:'", hint)
    listed = parser_values.list_(cursor, "on")
    events = tuple(item for item in listed.items if isinstance(item, StringLiteral))
    for item in listed.items:
        if not isinstance(item, StringLiteral):
            raise cursor.error("expected an event in double quotes in 'on'", item.span, hint)
    if not events:
        raise cursor.error("expected an event in 'on', found none", listed.span, hint)
    return events


def _quoted(cursor: Cursor, after: str) -> StringLiteral:
    if parser_values.at_string(cursor):
        return parser_values.string(cursor)
    hint = f"write '{after} \"{cursor.token.text}\"'" if cursor.kind == NAME else None
    raise cursor.expected(f"a name in double quotes after '{after}'", hint)


__all__ = ["parse"]
