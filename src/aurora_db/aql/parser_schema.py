"""Definitions of collections: `schema { … }`, `define`, `alter` and `drop collection`."""

from __future__ import annotations

from typing import Final

from aurora_db.aql import parser_values
from aurora_db.aql.cursor import Cursor
from aurora_db.aql.syntax import (
    AddField,
    AddRule,
    AlterAction,
    CollectionAlteration,
    CollectionDefinition,
    CollectionDrop,
    DropField,
    DropRule,
    FieldDefinition,
    FieldType,
    ModifyField,
    RenameField,
    SchemaBlock,
    SchemaStatement,
    TableRule,
    Value,
)
from aurora_db.aql.tokens import NAME

#: What `define` and `drop` can be followed by.
DEFINABLE: Final = ("collection", "handler", "schedule", "rules")
_ACTIONS: Final = ("add", "drop", "rename", "modify")


def schema_block(cursor: Cursor) -> SchemaBlock:
    """`schema { … }`; the next token is the word."""
    start = cursor.advance()
    opener = cursor.expect("{", "'{' after 'schema'")
    statements: list[SchemaStatement] = []
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


def _statement(cursor: Cursor) -> SchemaStatement:
    word = cursor.text
    if word not in ("define", "alter", "drop"):
        hint = cursor.near(("define", "alter", "drop"))
        if word == "collection":
            hint = "write 'define collection'"
        raise cursor.expected("'define', 'alter', 'drop' or '}' in the schema block", hint)
    first = cursor.advance()
    if cursor.kind == NAME and cursor.text in DEFINABLE[1:]:
        hint = f"write '{word} {cursor.text}' outside of the schema block"
        raise cursor.expected(f"'collection' after '{word}' in a schema block", hint)
    cursor.expect_word("collection", word)
    if word == "alter":
        return alteration(cursor, first)
    if word == "drop":
        return drop(cursor, first)
    return collection(cursor, first)


def drop(cursor: Cursor, start: int) -> CollectionDrop:
    """`drop collection …` after those two words, of which the first stands at `start`."""
    name = cursor.name("the name of a collection")
    return CollectionDrop(name, if_exists(cursor), span=cursor.since(start))


def if_exists(cursor: Cursor) -> bool:
    """`if exists`, where it stands."""
    if not cursor.at_word("if"):
        return False
    cursor.advance()
    cursor.expect_word("exists", "if")
    return True


def alteration(cursor: Cursor, start: int) -> CollectionAlteration:
    """`alter collection …` after those two words, of which the first stands at `start`."""
    name = cursor.name("the name of a collection")
    what = f"the alteration of '{name.text}'"
    if cursor.kind != "{":
        raise cursor.expected(f"'{{' to open {what}")
    opener = cursor.advance()
    actions: list[AlterAction] = []
    choice = "'add', 'drop', 'rename', 'modify'"
    while cursor.kind == NAME:
        if cursor.text not in _ACTIONS:
            raise cursor.expected(f"{choice} or '}}' to close {what}", cursor.near(_ACTIONS))
        actions.append(_action(cursor))
    cursor.close("}", opener, choice, what)
    return CollectionAlteration(name, tuple(actions), span=cursor.since(start))


def _action(cursor: Cursor) -> AlterAction:
    start = cursor.at
    word = cursor.word("an action")
    if word in ("add", "drop") and cursor.kind == "@@":
        rule = _rule(cursor)
        made = AddRule if word == "add" else DropRule
        return made(rule, span=cursor.since(start))
    if cursor.kind != NAME:
        raise cursor.expected(f"the name of a field after '{word}'")
    if word == "add":
        return AddField(_field(cursor, set()), span=cursor.since(start))
    if word == "modify":
        return ModifyField(_field(cursor, set()), span=cursor.since(start))
    name = cursor.name("the name of a field")
    if word == "drop":
        return DropField(name, span=cursor.since(start))
    cursor.expect_word("to", f"rename {name.text}")
    to = cursor.name("the new name of the field after 'to'")
    return RenameField(name, to, span=cursor.since(start))


def _rule(cursor: Cursor) -> TableRule:
    start = cursor.advance()
    name = cursor.name("the name of a rule after '@@'")
    if cursor.kind != "(":
        raise cursor.expected(f"'(' after '@@{name.text}'", f"write '@@{name.text}(fields: [a])'")
    arguments = parser_values.arguments(cursor, f"@@{name.text}")
    return TableRule(name, arguments, span=cursor.since(start))


def _field(cursor: Cursor, seen: set[str]) -> FieldDefinition:
    start = cursor.at
    name = cursor.name("a field")
    text = name.text
    if text in seen:
        raise cursor.duplicate(f"the field '{text}'", name.span)
    seen.add(text)
    if cursor.kind != ":":
        hint = f"write '{text}: {cursor.text}'" if cursor.kind == NAME else None
        raise cursor.expected(f"':' and a type after the field '{text}'", hint)
    cursor.advance()
    type_ = _type(cursor, text)
    default: Value | None = None
    if cursor.skip("="):
        default = parser_values.constant(cursor, text)
    directives = parser_values.directives(cursor)
    return FieldDefinition(name, type_, default, directives, span=cursor.since(start))


def _type(cursor: Cursor, of: str) -> FieldType:
    start = cursor.at
    name = ""
    words: tuple[Value, ...] = ()
    item: FieldType | None = None
    fields: tuple[FieldDefinition, ...] | None = None
    if cursor.kind == NAME:
        name = cursor.word("a type")
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
    required = cursor.skip_required()
    return FieldType(name, required, words, item, fields, span=cursor.since(start))


def _words(cursor: Cursor, name: str, start: int) -> tuple[Value, ...]:
    opener = cursor.advance()
    words = parser_values.values(cursor, ")", opener, "the type", name)
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


__all__ = [
    "DEFINABLE",
    "alteration",
    "collection",
    "drop",
    "if_exists",
    "if_not_exists",
    "schema_block",
]
