"""Event handlers, schedules, rules and their controls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from aurora_db.aql import parser_operations, parser_schema, parser_values
from aurora_db.aql.cursor import Cursor
from aurora_db.aql.syntax import (
    Entry,
    HandlerControl,
    HandlerDefinition,
    MutationPart,
    ObjectLiteral,
    RulesDefinition,
    ScheduleControl,
    ScheduleDefinition,
    StringLiteral,
    Value,
    Word,
)
from aurora_db.aql.tokens import NAME, STRING
from aurora_db.base.errors import MissingArgument

_HANDLER_PARTS: Final = ("on", "fields", "where", "action")
_SCHEDULE_PARTS: Final = (
    "cron", "every", "timezone", "jitter", "catchUp", "overlap", "action",
)  # fmt: skip
_RULES: Final = ("read", "insert", "update", "delete")


# --- event handlers -------------------------------------------------------------------------


class _Parts(msgspec.Struct):
    """What has been read of an event handler."""

    on: tuple[StringLiteral, ...] | None = None
    fields: tuple[Value, ...] | None = None
    where: ObjectLiteral | None = None
    action: tuple[MutationPart, ...] | None = None


def handler(cursor: Cursor, start: int) -> HandlerDefinition:
    """`define handler …` after those two words, of which the first stands at `start`."""
    name = quoted(cursor, "define handler")
    if_not_exists, or_replace = _repetition(cursor)
    what = f"the handler '{name.value}'"
    if cursor.kind != "{":
        raise cursor.expected(f"'{{' to open {what}", cursor.near(("if", "or")))
    opener = cursor.advance()
    parts = _Parts()
    choice = ", ".join(f"'{part}'" for part in _HANDLER_PARTS)
    for _, part in _parts_of(cursor, _HANDLER_PARTS, choice, what):
        _handler_part(cursor, part, parts)
    cursor.close("}", opener, choice, what)
    if parts.on is None:
        raise _absent(cursor, what, "on", '"insert:products"', name)
    if parts.action is None:
        raise _absent(cursor, what, "action", "{ enqueueJob(…) }", name)
    return HandlerDefinition(
        name, parts.on, parts.fields, parts.where, parts.action, if_not_exists, or_replace,
        span=cursor.since(start),
    )  # fmt: skip


def _handler_part(cursor: Cursor, part: str, parts: _Parts) -> None:
    if part == "on":
        parts.on = _events(cursor)
    elif part == "fields":
        parts.fields = _fields(cursor)
    elif part == "where":
        if cursor.kind != "{":
            raise cursor.expected("'{' and conditions after 'where:'")
        parts.where = parser_values.object_(cursor, "where")
    else:
        parts.action = _action(cursor)


def _fields(cursor: Cursor) -> tuple[Value, ...]:
    opener = cursor.expect("[", "'[' and names of fields after 'fields:'")
    found: list[Value] = []
    while cursor.kind in (NAME, STRING):
        at = cursor.at
        if cursor.kind == STRING:
            found.append(parser_values.string(cursor))
        else:
            found.append(Word(cursor.word("a field"), span=cursor.span(at)))
    cursor.close("]", opener, "the name of a field", "'fields'")
    return tuple(found)


def _action(cursor: Cursor) -> tuple[MutationPart, ...]:
    if cursor.kind != "{":
        raise cursor.expected("'{' and a mutation after 'action:'")
    start = cursor.at
    made = parser_operations.mutation_set(cursor, "the action")
    if not made:
        raise cursor.error("expected a mutation in the action, found none", cursor.since(start))
    return made


def _events(cursor: Cursor) -> tuple[StringLiteral, ...]:
    if cursor.kind == STRING:
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


def quoted(cursor: Cursor, after: str) -> StringLiteral:
    """A name in double quotes, which must stand after `after`."""
    if cursor.kind == STRING:
        return parser_values.string(cursor)
    hint = f"write '{after} \"{cursor.text}\"'" if cursor.kind == NAME else None
    raise cursor.expected(f"a name in double quotes after '{after}'", hint)


# --- schedules, rules, controls -------------------------------------------------------------


def _repetition(cursor: Cursor) -> tuple[bool, bool]:
    """`if not exists` and `or replace`, of which one may stand here."""
    if_not_exists = parser_schema.if_not_exists(cursor)
    or_replace = not if_not_exists and cursor.at_word("or")
    if or_replace:
        cursor.advance()
        cursor.expect_word("replace", "or")
    return if_not_exists, or_replace


def schedule(cursor: Cursor, start: int) -> ScheduleDefinition:
    """`define schedule …` after those two words, of which the first stands at `start`."""
    name = quoted(cursor, "define schedule")
    if_not_exists, or_replace = _repetition(cursor)
    what = f"the schedule '{name.value}'"
    if cursor.kind != "{":
        raise cursor.expected(f"'{{' to open {what}", cursor.near(("if", "or")))
    opener = cursor.advance()
    parts: list[Entry] = []
    action: tuple[MutationPart, ...] | None = None
    choice = ", ".join(f"'{part}'" for part in _SCHEDULE_PARTS)
    for at, part in _parts_of(cursor, _SCHEDULE_PARTS, choice, what):
        if part == "action":
            action = _action(cursor)
        else:
            key = cursor.name_at(at)
            made = parser_values.value(cursor, part)
            parts.append(Entry(key, made, span=cursor.since(at)))
    cursor.close("}", opener, choice, what)
    if action is None:
        raise _absent(cursor, what, "action", "{ enqueueJob(…) }", name)
    return ScheduleDefinition(
        name, tuple(parts), action, if_not_exists, or_replace, span=cursor.since(start)
    )


def rules(cursor: Cursor, start: int) -> RulesDefinition:
    """`define rules …` after those two words, of which the first stands at `start`."""
    name = cursor.name("the name of a collection")
    what = f"the rules of '{name.text}'"
    if cursor.kind != "{":
        raise cursor.expected(f"'{{' to open {what}")
    opener = cursor.advance()
    found: list[Entry] = []
    choice = ", ".join(f"'{part}'" for part in _RULES)
    for at, part in _parts_of(cursor, _RULES, choice, what):
        if not (cursor.kind in ("{", STRING) or cursor.at_word("true") or cursor.at_word("false")):
            hint = 'write true, false, "authenticated" or {field: {eq: "$auth.id"}}'
            raise cursor.expected(f"a condition after '{part}:'", hint)
        key = cursor.name_at(at)
        made = parser_values.value(cursor, part)
        found.append(Entry(key, made, span=cursor.since(at)))
    cursor.close("}", opener, choice, what)
    return RulesDefinition(name, tuple(found), span=cursor.since(start))


def control(cursor: Cursor, word: int, what: str) -> HandlerControl | ScheduleControl:
    """`enable | disable | backfill | run` and `handler | schedule`, after these words."""
    verb = cursor.texts[word]
    name = quoted(cursor, f"{verb} {what}")
    if what == "schedule":
        return ScheduleControl(verb, name, span=cursor.since(word))
    where: ObjectLiteral | None = None
    if verb == "backfill" and cursor.at_word("where"):
        cursor.advance()
        if cursor.kind != "{":
            raise cursor.expected("'{' and conditions after 'where'")
        where = parser_values.object_(cursor, "where")
    return HandlerControl(verb, name, where, span=cursor.since(word))


def _parts_of(
    cursor: Cursor, known: tuple[str, ...], choice: str, what: str
) -> Iterator[tuple[int, str]]:
    """The words `known` with their tokens and colons, each once, as long as they come."""
    seen: set[str] = set()
    while cursor.kind == NAME:
        if cursor.text not in known:
            raise cursor.expected(f"{choice} or '}}' to close {what}", cursor.near(known))
        at = cursor.at
        part = cursor.word("a part")
        if part in seen:
            raise cursor.duplicate(f"'{part}'", cursor.span(at))
        seen.add(part)
        cursor.expect(":", f"':' after '{part}'")
        yield at, part


def _absent(
    cursor: Cursor, what: str, part: str, sample: str, name: StringLiteral
) -> MissingArgument:
    return MissingArgument(
        f"{what} has no '{part}'",
        hint=f"add '{part}: {sample}'",
        source=cursor.source,
        span=name.span,
    )


__all__ = ["control", "handler", "quoted", "rules", "schedule"]
