"""Text → syntax: the whole grammar, by recursive descent.

Words are not reserved: any of them may be the name of a field, an argument or an alias. Depth is
bounded by the limits of `tokens`, so no text can exhaust the stack.

`parser_operations`, `parser_schema`, `parser_handlers`, `parser_migrations`, `parser_expressions` and
`parser_values` hold the parts; here are documents.
"""

from __future__ import annotations

from typing import Final

from aurora_db.aql import (
    elsewhere,
    parser_handlers,
    parser_migrations,
    parser_operations,
    parser_schema,
)
from aurora_db.aql.cursor import Cursor
from aurora_db.aql.syntax import CollectionAlteration, Definition, Document
from aurora_db.aql.tokens import END, NAME
from aurora_db.base.errors import AqlSyntaxError

_LEADING: Final = (
    "query", "mutation", "subscription", "fragment", "schema", "define", "alter", "drop", "enable",
    "disable", "backfill", "run", "migrate", "migration",
)  # fmt: skip
#: Words that control a handler or a schedule, and which of them.
_CONTROLS: Final = {
    "enable": ("handler", "schedule"),
    "disable": ("handler", "schedule"),
    "backfill": ("handler",),
    "run": ("schedule",),
}


def parse(text: str) -> Document:
    """The syntax of a text: at least one definition, in the order written.

    Raises:
        AqlSyntaxError: the text is not AQL, or passes a limit; the message says what was expected.
        DuplicateArgument: an argument, key, variable or field stands twice.
        MissingArgument: an event handler without `on` or `action`, a schedule without `action`.
    """
    cursor = Cursor(text)
    definitions = [_definition(cursor)]
    while cursor.kind != END:
        definitions.append(_definition(cursor))
    return Document(tuple(definitions), span=cursor.since(0))


def _definition(cursor: Cursor) -> Definition:
    if cursor.kind == "{":
        return parser_operations.operation(cursor)
    word = cursor.text if cursor.kind == NAME else ""
    match word:
        case "query" | "mutation" | "subscription":
            return parser_operations.operation(cursor)
        case "fragment":
            return parser_operations.fragment(cursor)
        case "schema":
            return parser_schema.schema_block(cursor)
        case "define":
            return parser_migrations.define(cursor)
        case "alter":
            return _alter(cursor)
        case "drop":
            return parser_migrations.drop(cursor)
        case "migrate" | "migration":
            return parser_migrations.block(cursor)
        case "enable" | "disable" | "backfill" | "run":
            first = cursor.advance()
            what = cursor.one_of(word, _CONTROLS[word])
            return parser_handlers.control(cursor, first, what)
        case _:
            raise _not_a_definition(cursor)


def _alter(cursor: Cursor) -> CollectionAlteration:
    start = cursor.advance()
    cursor.one_of("alter", ("collection",))
    return parser_schema.alteration(cursor, start)


def _not_a_definition(cursor: Cursor) -> AqlSyntaxError:
    hint = "a text is made of '{ … }', 'query', 'mutation', 'schema', 'define', 'alter' and 'drop'"
    if cursor.kind == NAME:
        word = cursor.text
        if word == "collection":
            hint = "write 'define collection'"
        else:
            hint = elsewhere.leading(word) or cursor.near(_LEADING) or hint
    elif cursor.kind == "}":
        hint = "a brace before this one is closed twice"
    elif cursor.kind != END:
        # "//" and "--" have their own hint.
        return cursor.expected("a query, a mutation or a definition")
    return cursor.expected("a query, a mutation or a definition", hint)


__all__ = ["parse"]
