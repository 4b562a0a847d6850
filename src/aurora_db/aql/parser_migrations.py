"""What `define` and `drop` stand before, and migrations, which are made of these."""

from __future__ import annotations

from aurora_db.aql import literals, parser_handlers, parser_schema, parser_values
from aurora_db.aql.cursor import Cursor
from aurora_db.aql.syntax import (
    DataMigration,
    DataSet,
    DefineStatement,
    DropStatement,
    HandlerDrop,
    MigrationBlock,
    MigrationStep,
    MigrationVersion,
    Name,
    ObjectLiteral,
    RulesDrop,
    ScheduleDrop,
)
from aurora_db.aql.tokens import NAME, STRING, is_number


def define(cursor: Cursor) -> DefineStatement:
    """`define …`; the next token is the word."""
    start = cursor.advance()
    match cursor.one_of("define", parser_schema.DEFINABLE):
        case "collection":
            return parser_schema.collection(cursor, start)
        case "handler":
            return parser_handlers.handler(cursor, start)
        case "schedule":
            return parser_handlers.schedule(cursor, start)
        case _:
            return parser_handlers.rules(cursor, start)


def drop(cursor: Cursor) -> DropStatement:
    """`drop …`; the next token is the word."""
    start = cursor.advance()
    match cursor.one_of("drop", parser_schema.DEFINABLE):
        case "collection":
            return parser_schema.drop(cursor, start)
        case "rules":
            name = cursor.name("the name of a collection")
            return RulesDrop(name, parser_schema.if_exists(cursor), span=cursor.since(start))
        case "handler":
            quoted = parser_handlers.quoted(cursor, "drop handler")
            return HandlerDrop(quoted, parser_schema.if_exists(cursor), span=cursor.since(start))
        case _:
            quoted = parser_handlers.quoted(cursor, "drop schedule")
            return ScheduleDrop(quoted, parser_schema.if_exists(cursor), span=cursor.since(start))


def block(cursor: Cursor) -> MigrationBlock:
    """`migrate { … }`; the next token is the word."""
    word = cursor.advance()
    opener = cursor.expect("{", f"'{{' after '{cursor.texts[word]}'")
    dry_run = False
    if cursor.at_word("dryRun") and cursor.kinds[cursor.at + 2] != "{":
        cursor.advance()
        cursor.expect(":", "':' after 'dryRun'")
        dry_run = cursor.one_of("dryRun:", ("true", "false")) == "true"
    versions: list[MigrationVersion] = []
    seen: set[str] = set()
    while cursor.kind in (NAME, STRING) or is_number(cursor.kind):
        version = _version(cursor)
        if version.name.text in seen:
            raise cursor.duplicate(f"the version '{version.name.text}'", version.name.span)
        seen.add(version.name.text)
        versions.append(version)
    cursor.close("}", opener, "a version", "the migration")
    return MigrationBlock(tuple(versions), dry_run, span=cursor.since(word))


def _version(cursor: Cursor) -> MigrationVersion:
    start = cursor.at
    if cursor.kind == STRING:
        name = Name(cursor.string(), span=cursor.span(start))
    else:
        name = cursor.name_at(cursor.advance())
        if name.text[0] in "-0123456789":
            literals.number(cursor.tokens, start)
    cursor.expect(":", f"':' after the version '{name.text}'")
    what = f"the version '{name.text}'"
    if cursor.kind != "{":
        raise cursor.expected(f"'{{' to open {what}")
    opener = cursor.advance()
    steps: list[MigrationStep] = []
    while cursor.kind == NAME:
        steps.append(_step(cursor))
    cursor.close("}", opener, "'define', 'alter', 'drop', 'migrate data'", what)
    return MigrationVersion(name, tuple(steps), span=cursor.since(start))


def _step(cursor: Cursor) -> MigrationStep:
    known = ("define", "alter", "drop", "migrate")
    word = cursor.text
    if word == "define":
        return define(cursor)
    if word == "drop":
        return drop(cursor)
    if word == "alter":
        start = cursor.advance()
        cursor.one_of("alter", ("collection",))
        return parser_schema.alteration(cursor, start)
    if word == "migrate":
        return _data(cursor)
    choice = "'define', 'alter', 'drop' or 'migrate data'"
    raise cursor.expected(f"{choice} in the version", cursor.near(known))


def _data(cursor: Cursor) -> DataMigration:
    start = cursor.advance()
    cursor.expect_word("data", "migrate")
    cursor.expect_word("in", "migrate data")
    collection = cursor.name("the name of a collection")
    what = f"the migration of '{collection.text}'"
    opener = cursor.expect("{", f"'{{' to open {what}")
    sets: list[DataSet] = []
    while cursor.kind == NAME:
        sets.append(_set(cursor))
    cursor.close("}", opener, "'set'", what)
    return DataMigration(collection, tuple(sets), span=cursor.since(start))


def _set(cursor: Cursor) -> DataSet:
    if not cursor.at_word("set"):
        raise cursor.expected("'set' and a field", cursor.near(("set",)))
    start = cursor.advance()
    field = cursor.name("the name of a field after 'set'")
    cursor.expect("=", f"'=' and a value after 'set {field.text}'")
    value = parser_values.value(cursor, field.text)
    where: ObjectLiteral | None = None
    if cursor.at_word("where"):
        cursor.advance()
        if cursor.kind != "{":
            raise cursor.expected("'{' and conditions after 'where'")
        where = parser_values.object_(cursor, "where")
    return DataSet(field, value, where, span=cursor.since(start))


__all__ = ["block", "define", "drop"]
