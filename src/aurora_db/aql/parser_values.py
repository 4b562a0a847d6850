"""Values, arguments and directives: what stands in any place of the language."""

from __future__ import annotations

from typing import Final

from aurora_db.aql import parser_expressions, tokens
from aurora_db.aql.cursor import Cursor
from aurora_db.aql.syntax import (
    BooleanLiteral,
    Directive,
    Entry,
    ExpressionLiteral,
    FloatLiteral,
    IntLiteral,
    ListLiteral,
    Name,
    NullLiteral,
    ObjectLiteral,
    StringLiteral,
    Value,
    VariableRef,
    Word,
)
from aurora_db.aql.tokens import BLOCK, FLOAT, INT, NAME, STRING, Token

_STRINGS: Final = frozenset((STRING, BLOCK))
_STARTS: Final = frozenset((STRING, BLOCK, NAME, INT, FLOAT, "$", "[", "{"))


def value(cursor: Cursor, of: str) -> Value:
    """Any value; `of` says whose, for the error."""
    kind = cursor.kind
    if kind in _STRINGS:
        return string(cursor)
    if kind == NAME:
        return _word(cursor)
    if kind == INT:
        token = cursor.advance()
        return IntLiteral(tokens.int_value(cursor.source, token), span=token.span)
    if kind == "$":
        return _variable(cursor)
    if kind == "{":
        return object_(cursor, of)
    if kind == "[":
        return list_(cursor, of)
    if kind == FLOAT:
        token = cursor.advance()
        return FloatLiteral(tokens.float_value(cursor.source, token), span=token.span)
    raise cursor.expected(f"a value of '{of}'")


def constant(cursor: Cursor, of: str) -> Value:
    """A value without variables in it, as a default is."""
    made = value(cursor, of)
    variable = _first_variable(made)
    if variable is not None:
        raise cursor.error(
            f"expected a constant as the default of '{of}', found the variable '${variable.name}'",
            variable.span,
        )
    return made


def string(cursor: Cursor) -> StringLiteral:
    """A string or block string; the next token is one."""
    token = cursor.advance()
    return StringLiteral(tokens.string_value(cursor.source, token), span=token.span)


def at_string(cursor: Cursor) -> bool:
    """Whether a string or block string comes next."""
    return cursor.kind in _STRINGS


def values(cursor: Cursor, closing: str, opener: Token, what: str, of: str) -> tuple[Value, ...]:
    """Values up to the bracket `closing`, which is taken too."""
    items: list[Value] = []
    while cursor.kind in _STARTS:
        items.append(value(cursor, of))
    cursor.close(closing, opener, "a value", what)
    return tuple(items)


def list_(cursor: Cursor, of: str) -> ListLiteral:
    """`[a, b]`; the next token is the bracket."""
    opener = cursor.advance()
    items = values(cursor, "]", opener, f"the list of '{of}'", of)
    return ListLiteral(items, span=cursor.since(opener.start))


def object_(cursor: Cursor, of: str) -> ObjectLiteral:
    """`{a: 1, "b.c": 2}`; the next token is the brace."""
    opener = cursor.advance()
    entries: list[Entry] = []
    seen: set[str] = set()
    while cursor.kind == NAME or cursor.kind in _STRINGS:
        if cursor.kind == NAME:
            token = cursor.advance()
            key = Name(token.text, span=token.span)
        else:
            quoted = string(cursor)
            key = Name(quoted.value, span=quoted.span)
        entries.append(_entry(cursor, key, seen, "key"))
    cursor.close("}", opener, "a key", f"the object of '{of}'")
    return ObjectLiteral(tuple(entries), span=cursor.since(opener.start))


def arguments(cursor: Cursor, owner: str) -> tuple[Entry, ...]:
    """`(name: value, …)`; the next token is the parenthesis."""
    opener = cursor.advance()
    entries: list[Entry] = []
    seen: set[str] = set()
    while cursor.kind == NAME:
        token = cursor.advance()
        entries.append(_entry(cursor, Name(token.text, span=token.span), seen, "argument"))
    cursor.close(")", opener, "an argument", f"the arguments of '{owner}'")
    return tuple(entries)


def directives(cursor: Cursor) -> tuple[Directive, ...]:
    """As many `@name(…)` as come next."""
    if cursor.kind != "@":
        return ()
    found: list[Directive] = []
    while cursor.kind == "@":
        start = cursor.advance().start
        name = cursor.name("the name of a directive after '@'")
        named: tuple[Entry, ...] = ()
        positional: tuple[Value, ...] = ()
        if cursor.kind == "(":
            named, positional = _directive_arguments(cursor, name.text)
        found.append(Directive(name, named, positional, span=cursor.since(start)))
    return tuple(found)


def _directive_arguments(
    cursor: Cursor, directive: str
) -> tuple[tuple[Entry, ...], tuple[Value, ...]]:
    opener = cursor.advance()
    entries: list[Entry] = []
    positional: list[Value] = []
    seen: set[str] = set()
    while cursor.kind in _STARTS:
        if cursor.kind == NAME and cursor.following(1).kind in (":", "="):
            token = cursor.advance()
            entries.append(_entry(cursor, Name(token.text, span=token.span), seen, "argument"))
        else:
            positional.append(value(cursor, directive))
    cursor.close(")", opener, "an argument", f"the arguments of '@{directive}'")
    return tuple(entries), tuple(positional)


def _entry(cursor: Cursor, key: Name, seen: set[str], kind: str) -> Entry:
    text = key.text
    if text in seen:
        raise cursor.duplicate(f"the {kind} '{tokens.shorten(text)}'", key.span)
    seen.add(text)
    if cursor.kind != ":":
        raise cursor.expected(f"':' after the {kind} '{tokens.shorten(text)}'")
    cursor.advance()
    made = value(cursor, text)
    return Entry(key, made, span=cursor.since(key.span.start))


def _word(cursor: Cursor) -> Value:
    token = cursor.advance()
    text = token.text
    if text in {"true", "false"}:
        return BooleanLiteral(text == "true", span=token.span)
    if text == "null":
        return NullLiteral(span=token.span)
    if text == "expr" and cursor.kind == "(":
        return _expression(cursor, token)
    return Word(text, span=token.span)


def _expression(cursor: Cursor, word: Token) -> ExpressionLiteral:
    opener = cursor.advance()
    if cursor.kind not in _STRINGS:
        raise cursor.expected("an expression in double quotes in 'expr(…)'", 'write expr("a + b")')
    quoted = cursor.advance()
    text = tokens.string_value(cursor.source, quoted)
    made = parser_expressions.inside(cursor, quoted, parser_expressions.parse_expression)
    cursor.close(")", opener, "one string", "'expr('")
    made = parser_expressions.placed(made, quoted.span)
    return ExpressionLiteral(text, made, span=cursor.since(word.start))


def _variable(cursor: Cursor) -> VariableRef:
    start = cursor.advance().start
    name = cursor.expect(NAME, "the name of a variable after '$'").text
    path: list[str] = []
    while cursor.kind == ".":
        cursor.advance()
        path.append(cursor.expect(NAME, f"a name after '${name}.'").text)
    return VariableRef(name, tuple(path), span=cursor.since(start))


def _first_variable(made: Value) -> VariableRef | None:
    inner: tuple[Value, ...] = ()
    if isinstance(made, VariableRef):
        return made
    if isinstance(made, ListLiteral):
        inner = made.items
    elif isinstance(made, ObjectLiteral):
        inner = tuple(entry.value for entry in made.entries)
    return next((found for item in inner if (found := _first_variable(item))), None)


__all__ = [
    "arguments",
    "at_string",
    "constant",
    "directives",
    "list_",
    "object_",
    "string",
    "value",
    "values",
]
