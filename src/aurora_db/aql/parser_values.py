"""Values, arguments and directives: what stands in any place of the language."""

from __future__ import annotations

from typing import Final

from aurora_db.aql import literals, parser_expressions, tokens
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
from aurora_db.aql.tokens import NAME, NUMBER, STRING
from aurora_db.base.errors import Span

_STARTS: Final = frozenset((STRING, NAME, NUMBER, "$", "[", "{"))


def value(cursor: Cursor, of: str) -> Value:
    """Any value; `of` says whose, for the error."""
    at = cursor.at
    kind = cursor.kinds[at]
    if kind == "{":
        return object_(cursor, of)
    if kind == "$":
        return _variable(cursor)
    if kind == NAME:
        return _word(cursor)
    if kind == STRING:
        return string(cursor)
    if kind == "[":
        return list_(cursor, of)
    if kind == NUMBER or tokens.is_number(kind):
        cursor.at = at + 1
        read = literals.number(cursor.tokens, at)
        span = Span(at, at, cursor.tokens)
        return (
            FloatLiteral(read, span=span)
            if type(read) is float
            else IntLiteral(int(read), span=span)
        )
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
    at = cursor.at
    return StringLiteral(cursor.string(), span=Span(at, at, cursor.tokens))


def values(cursor: Cursor, closing: str, opener: int, what: str, of: str) -> tuple[Value, ...]:
    """Values of `what` of `of`, up to the bracket `closing`, which is taken too."""
    items: list[Value] = []
    kinds = cursor.kinds
    while (kind := kinds[cursor.at]) != closing:
        if kind not in _STARTS and not tokens.is_number(kind):
            break
        items.append(value(cursor, of))
    if kind != closing:
        raise cursor.unclosed(closing, opener, "a value", f"{what} '{of}'")
    cursor.at += 1
    return tuple(items)


def list_(cursor: Cursor, of: str) -> ListLiteral:
    """`[a, b]`; the next token is the bracket."""
    opener = cursor.advance()
    items = values(cursor, "]", opener, "the list of", of)
    return ListLiteral(items, span=cursor.since(opener))


def object_(cursor: Cursor, of: str) -> ObjectLiteral:
    """`{a: 1, "b.c": 2}`; the next token is the brace."""
    kinds, texts, places = cursor.kinds, cursor.texts, cursor.tokens
    opener = cursor.at
    at = cursor.at = opener + 1
    entries: list[Entry] = []
    while (kind := kinds[at]) != "}":
        if kind == NAME:
            cursor.at = at + 1
            key = Name(texts[at], span=Span(at, at, places))
        elif kind == STRING:
            key = Name(cursor.string(), span=Span(at, at, places))
        else:
            break
        if kinds[at + 1] != ":":
            raise cursor.expected(f"':' after the key '{tokens.shorten(key.text)}'")
        cursor.at = at + 2
        made = value(cursor, key.text)
        entries.append(Entry(key, made, span=Span(at, cursor.at - 1, places)))
        at = cursor.at
    if kind != "}":
        raise cursor.unclosed("}", opener, "a key", f"the object of '{of}'")
    cursor.at += 1
    if len(entries) > 1:
        _check_duplicates(cursor, entries, "key")
    return ObjectLiteral(tuple(entries), span=Span(opener, cursor.at - 1, places))


def arguments(cursor: Cursor, owner: str) -> tuple[Entry, ...]:
    """`(name: value, …)`; the next token is the parenthesis."""
    kinds = cursor.kinds
    opener = cursor.advance()
    entries: list[Entry] = []
    while (kind := kinds[cursor.at]) == NAME:
        entries.append(_argument(cursor))
    if kind != ")":
        raise cursor.unclosed(")", opener, "an argument", f"the arguments of '{owner}'")
    cursor.at += 1
    if len(entries) > 1:
        _check_duplicates(cursor, entries, "argument")
    return tuple(entries)


def directives(cursor: Cursor) -> tuple[Directive, ...]:
    """As many `@name(…)` as come next."""
    if cursor.kinds[cursor.at] != "@":
        return ()
    found: list[Directive] = []
    while cursor.kind == "@":
        start = cursor.advance()
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
    while (kind := cursor.kind) in _STARTS or tokens.is_number(kind):
        if kind == NAME and cursor.kinds[cursor.at + 1] in (":", "="):
            entries.append(_argument(cursor))
        else:
            positional.append(value(cursor, directive))
    cursor.close(")", opener, "an argument", f"the arguments of '@{directive}'")
    _check_duplicates(cursor, entries, "argument")
    return tuple(entries), tuple(positional)


def _argument(cursor: Cursor) -> Entry:
    at = cursor.at
    text = cursor.texts[at]
    cursor.at = at + 1
    if cursor.kinds[at + 1] != ":":
        raise cursor.expected(f"':' after the argument '{text}'")
    cursor.at = at + 2
    made = value(cursor, text)
    places = cursor.tokens
    return Entry(Name(text, span=Span(at, at, places)), made, span=Span(at, cursor.at - 1, places))


def _check_duplicates(cursor: Cursor, entries: list[Entry], kind: str) -> None:
    """Refuse what stands twice."""
    seen = {entry.key.text for entry in entries}
    if len(seen) == len(entries):
        return
    for entry in entries:
        text = entry.key.text
        if text not in seen:
            raise cursor.duplicate(f"the {kind} '{tokens.shorten(text)}'", entry.key.span)
        seen.remove(text)


def _word(cursor: Cursor) -> Value:
    at = cursor.at
    text = cursor.texts[at]
    cursor.at = at + 1
    span = Span(at, at, cursor.tokens)
    if text in {"true", "false"}:
        return BooleanLiteral(text == "true", span=span)
    if text == "null":
        return NullLiteral(span=span)
    if text == "expr" and cursor.kind == "(":
        return _expression(cursor, at)
    return Word(text, span=span)


def _expression(cursor: Cursor, word: int) -> ExpressionLiteral:
    opener = cursor.advance()
    if cursor.kind != STRING:
        raise cursor.expected("an expression in double quotes in 'expr(…)'", 'write expr("a + b")')
    text, made = parser_expressions.expression_inside(cursor)
    cursor.close(")", opener, "one string", "'expr('")
    return ExpressionLiteral(text, made, span=cursor.since(word))


def _variable(cursor: Cursor) -> VariableRef:
    start = cursor.advance()
    name = cursor.word("the name of a variable after '$'")
    if cursor.kinds[cursor.at] != ".":
        return VariableRef(name, span=Span(start, start + 1, cursor.tokens))
    path: list[str] = []
    while cursor.skip("."):
        path.append(cursor.word(f"a name after '${name}.'"))
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
    "constant",
    "directives",
    "list_",
    "object_",
    "string",
    "value",
    "values",
]
