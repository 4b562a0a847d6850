"""Definitions of collections: `schema { … }` and `define collection`."""

from __future__ import annotations

from typing import Final

from aurora_db.aql import parser_values
from aurora_db.aql.cursor import Cursor
from aurora_db.aql.syntax import (
    CollectionDefinition,
    FieldDefinition,
    FieldType,
    Name,
    SchemaBlock,
    TableRule,
    Value,
)
from aurora_db.aql.tokens import NAME, Token

#: What `define` and `drop` can be followed by.
DEFINABLE: Final = ("collection", "handler", "schedule", "rules")


def schema_block(cursor: Cursor) -> SchemaBlock:
    """`schema { … }`; the next token is the word."""
    start = cursor.advance().start
    opener = cursor.expect("{", "'{' after 'schema'")
    statements: list[CollectionDefinition] = []
    while cursor.kind == NAME:
        statements.append(_statement(cursor))
    cursor.close("}", opener, "'define', 'alter', 'drop'", "the schema block")
    return SchemaBlock(tuple(statements), span=cursor.since(start))


def collection(cursor: Cursor, start: int) -> CollectionDefinition:
    """`define collection …` after those two words, of which the first stands at `start`."""
    name = cursor.name("the name of a collection")
    before = parser_values.directives(cursor)
    lenient = if_not_exists(cursor)
    directives = before + parser_values.directives(cursor)
    what = f"the collection '{name.text}'"
    if cursor.kind != "{":
        raise cursor.expected(f"'{{' to open {what}", cursor.near(("if",)))
    opener = cursor.advance()
    fields: list[FieldDefinition] = []
    rules: list[TableRule] = []
    seen: set[str] = set()
    while True:
        if cursor.kind == NAME:
            fields.append(_field(cursor, seen))
        elif cursor.kind == "@@":
            rules.append(_rule(cursor))
        else:
            break
    cursor.close("}", opener, "a field", what)
    return CollectionDefinition(
        name, tuple(fields), tuple(rules), directives, lenient, span=cursor.since(start)
    )


def if_not_exists(cursor: Cursor) -> bool:
    """`if not exists`, where it stands."""
    if not cursor.at_word("if"):
        return False
    cursor.advance()
    cursor.expect_word("not", "if")
    cursor.expect_word("exists", "if not")
    return True


def _statement(cursor: Cursor) -> CollectionDefinition:
    word = cursor.token.text
    if word not in ("define", "alter", "drop"):
        hint = cursor.near(("define", "alter", "drop"))
        if word == "collection":
            hint = "write 'define collection'"
        raise cursor.expected("'define', 'alter', 'drop' or '}' in the schema block", hint)
    first = cursor.advance()
    if word != "drop" and cursor.kind == NAME and cursor.token.text in DEFINABLE[1:]:
        hint = f"write '{word} {cursor.token.text}' outside of the schema block"
        raise cursor.expected(f"'collection' after '{word}' in a schema block", hint)
    if word == "drop":
        return _drop(cursor, first)
    cursor.expect_word("collection", word)
    if word == "alter":
        raise cursor.unsupported("'alter collection' is", first.start)
    return collection(cursor, first.start)


def _drop(cursor: Cursor, first: Token) -> CollectionDefinition:
    what = cursor.token.text
    if cursor.kind != NAME or what not in DEFINABLE:
        raise cursor.expected("'collection' after 'drop'", cursor.near(DEFINABLE))
    cursor.advance()
    if what == "handler":
        raise cursor.unsupported(
            "'drop handler' in a schema block is",
            first.start,
            "write it outside of the schema block",
        )
    raise cursor.unsupported(f"'drop {what}' is", first.start)


def _rule(cursor: Cursor) -> TableRule:
    start = cursor.advance().start
    name = cursor.name("the name of a rule after '@@'")
    if cursor.kind != "(":
        raise cursor.expected(f"'(' after '@@{name.text}'", f"write '@@{name.text}(fields: [a])'")
    arguments = parser_values.arguments(cursor, f"@@{name.text}")
    return TableRule(name, arguments, span=cursor.since(start))


def _field(cursor: Cursor, seen: set[str]) -> FieldDefinition:
    token = cursor.advance()
    text = token.text
    if text in seen:
        raise cursor.duplicate(f"the field '{text}'", token.span)
    seen.add(text)
    if cursor.kind != ":":
        hint = f"write '{text}: {cursor.token.text}'" if cursor.kind == NAME else None
        raise cursor.expected(f"':' and a type after the field '{text}'", hint)
    cursor.advance()
    type_ = _type(cursor, text)
    default: Value | None = None
    if cursor.skip("="):
        default = parser_values.constant(cursor, text)
    directives = parser_values.directives(cursor)
    name = Name(text, span=token.span)
    return FieldDefinition(name, type_, default, directives, span=cursor.since(token.start))


def _type(cursor: Cursor, of: str) -> FieldType:
    start = cursor.token.start
    name = ""
    words: tuple[Value, ...] = ()
    item: FieldType | None = None
    fields: tuple[FieldDefinition, ...] | None = None
    if cursor.kind == NAME:
        name = cursor.advance().text
        if cursor.kind == "(":
            words = _words(cursor, name, start)
    elif cursor.kind == "[":
        opener = cursor.advance()
        item = _type(cursor, of)
        cursor.close("]", opener, "'!'", f"the list type of '{of}'")
    elif cursor.kind == "{":
        fields = _inline(cursor, of)
    else:
        raise cursor.expected(f"the type of '{of}'")
    required = cursor.skip("!")
    return FieldType(name, required, words, item, fields, span=cursor.since(start))


def _words(cursor: Cursor, name: str, start: int) -> tuple[Value, ...]:
    opener = cursor.advance()
    words = parser_values.values(cursor, ")", opener, f"the type '{name}'", name)
    if name.lower() != "enum":
        raise cursor.error(
            f"the type '{name}' takes no values", cursor.since(start), "only 'Enum(…)' does"
        )
    if not words:
        raise cursor.error("'Enum' needs at least one word", cursor.since(start))
    return words


def _inline(cursor: Cursor, of: str) -> tuple[FieldDefinition, ...]:
    opener = cursor.advance()
    fields: list[FieldDefinition] = []
    seen: set[str] = set()
    while cursor.kind == NAME:
        fields.append(_field(cursor, seen))
    cursor.close("}", opener, "a field", f"the object type of '{of}'")
    return tuple(fields)


__all__ = ["DEFINABLE", "collection", "if_not_exists", "schema_block"]
