"""Operations: queries, mutations and subscriptions, their variables, selections and fragments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aurora_db.aql import parser_expressions, parser_schema, parser_values
from aurora_db.aql.cursor import Cursor
from aurora_db.aql.syntax import (
    Computed,
    Entry,
    FieldSelection,
    FragmentDefinition,
    FragmentSpread,
    InlineFragment,
    MutationPart,
    Name,
    Operation,
    Selection,
    TransactionBlock,
    TypeRef,
    Value,
    VariableDefinition,
)
from aurora_db.aql.tokens import BLOCK, FLOAT, INT, NAME, OPERATORS, STRING, Token
from aurora_db.base.errors import Span

MAX_ROOTS: Final = 64

#: Tokens that begin an expression and no field.
_EXPRESSION_STARTS: Final = frozenset((STRING, BLOCK, INT, FLOAT, "$", "(", "[", "-", "!"))


def operation(cursor: Cursor) -> Operation:
    """An operation; the next token is its word, or the brace of a bare query."""
    start = cursor.token.start
    kind = "query" if cursor.kind == "{" else cursor.advance().text
    name = cursor.name("") if cursor.kind == NAME else None
    variables = _variables(cursor) if cursor.kind == "(" else ()
    directives = parser_values.directives(cursor)
    what = f"the {kind}" if name is None else f"the {kind} '{name.text}'"
    if cursor.kind != "{":
        raise cursor.expected(f"'{{' to open {what}")
    roots: tuple[MutationPart | Selection, ...]
    if kind == "mutation":
        roots = mutation_set(cursor, what)
    else:
        roots = _selection_set(cursor, what)
        _check_roots(cursor, roots)
    return Operation(kind, name, variables, directives, roots, span=cursor.since(start))


def mutation_set(cursor: Cursor, what: str) -> tuple[MutationPart, ...]:
    """`{ … }` of a mutation, a transaction or an action; the next token is the brace."""
    opener = cursor.advance()
    parts: list[MutationPart] = []
    while cursor.kind == NAME:
        parts.append(_mutation_part(cursor))
    cursor.close("}", opener, "a mutation", what)
    _check_roots(cursor, parts)
    return tuple(parts)


# --- variables ------------------------------------------------------------------------------


def _variables(cursor: Cursor) -> tuple[VariableDefinition, ...]:
    opener = cursor.advance()
    found: list[VariableDefinition] = []
    seen: set[str] = set()
    while cursor.kind == "$":
        found.append(_variable(cursor, seen))
    if not found:
        raise cursor.expected("'$' and the name of a variable")
    cursor.close(")", opener, "'$'", "the variables")
    return tuple(found)


def _variable(cursor: Cursor, seen: set[str]) -> VariableDefinition:
    start = cursor.advance().start
    name = cursor.expect(NAME, "the name of a variable after '$'").text
    if name in seen:
        raise cursor.duplicate(f"the variable '${name}'", cursor.since(start))
    seen.add(name)
    cursor.expect(":", f"':' and a type after the variable '${name}'")
    type_ = _type_ref(cursor, name)
    default: Value | None = None
    if cursor.skip("="):
        default = parser_values.constant(cursor, f"${name}")
    directives = parser_values.directives(cursor)
    return VariableDefinition(name, type_, default, directives, span=cursor.since(start))


def _type_ref(cursor: Cursor, of: str) -> TypeRef:
    start = cursor.token.start
    name = ""
    item: TypeRef | None = None
    if cursor.kind == "[":
        opener = cursor.advance()
        item = _type_ref(cursor, of)
        cursor.close("]", opener, "'!'", f"the list type of '${of}'")
    else:
        name = cursor.expect(NAME, f"the type of '${of}'").text
    required = cursor.skip("!")
    return TypeRef(name, required, item, span=cursor.since(start))


# --- parts of mutations ---------------------------------------------------------------------


def _mutation_part(cursor: Cursor) -> MutationPart:
    following = cursor.following(1).kind
    if following == "{" and cursor.at_word("schema"):
        return parser_schema.schema_block(cursor)
    if following == "{" and cursor.at_word("transaction"):
        return _transaction(cursor, None)
    first = cursor.advance()
    if not cursor.skip(":"):
        return _field(cursor, first, None)
    if cursor.kind == NAME and cursor.following(1).kind == "{":
        if cursor.at_word("transaction"):
            return _transaction(cursor, first)
        if cursor.at_word("schema"):
            raise cursor.error(
                "a schema block takes no alias",
                Span(first.start, cursor.token.end),
                "write 'schema { … }'",
            )
    if cursor.kind != NAME:
        raise cursor.expected(f"a mutation after the alias '{first.text}'")
    return _field(cursor, cursor.advance(), first)


def _transaction(cursor: Cursor, alias: Token | None) -> TransactionBlock:
    word = cursor.advance()
    start = word.start if alias is None else alias.start
    parts = mutation_set(cursor, "the transaction")
    return TransactionBlock(parts, _name_of(alias), span=cursor.since(start))


# --- selections -----------------------------------------------------------------------------


def fragment(cursor: Cursor) -> FragmentDefinition:
    """`fragment name on collection { … }`; the next token is the word."""
    start = cursor.advance().start
    if cursor.at_word("on"):
        raise cursor.expected("the name of the fragment before 'on'")
    name = cursor.name("the name of the fragment")
    cursor.expect_word("on", f"fragment {name.text}")
    on = cursor.name("the collection of the fragment after 'on'")
    directives = parser_values.directives(cursor)
    what = f"the fragment '{name.text}'"
    if cursor.kind != "{":
        raise cursor.expected(f"'{{' to open {what}")
    selection = _selection_set(cursor, what)
    return FragmentDefinition(name, on, directives, selection, span=cursor.since(start))


def _selection_set(cursor: Cursor, what: str) -> tuple[Selection, ...]:
    opener = cursor.advance()
    selections: list[Selection] = []
    while True:
        if cursor.kind == NAME:
            selections.append(_selection(cursor))
        elif cursor.kind == "...":
            selections.append(_spread(cursor))
        else:
            break
    # "--" and "//" are meant as comments, and have their own hint.
    if selections and cursor.kind in OPERATORS and cursor.following(1).kind not in ("-", "/"):
        hint = "a computed field needs an alias, as 'total: price * qty'"
        raise cursor.expected(f"a field or '}}' to close {what}", hint)
    cursor.close("}", opener, "a field", what)
    return tuple(selections)


def _spread(cursor: Cursor) -> FragmentSpread | InlineFragment:
    start = cursor.advance().start
    if cursor.kind == NAME and not cursor.at_word("on"):
        name = cursor.name("the name of a fragment after '...'")
        directives = parser_values.directives(cursor)
        return FragmentSpread(name, directives, span=cursor.since(start))
    on: Name | None = None
    if cursor.kind == NAME:
        cursor.advance()
        on = cursor.name("the collection of the inline fragment after 'on'")
    directives = parser_values.directives(cursor)
    if cursor.kind != "{":
        raise cursor.expected("'{' or the name of a fragment after '...'")
    selection = _selection_set(cursor, "the inline fragment")
    return InlineFragment(on, directives, selection, span=cursor.since(start))


def _selection(cursor: Cursor) -> Selection:
    if cursor.following(1).kind != ":":
        return _field(cursor, cursor.advance(), None)
    first = cursor.advance()
    cursor.advance()
    if _is_expression(cursor):
        made = parser_expressions.expression(cursor)
        directives = parser_values.directives(cursor)
        alias = Name(first.text, span=first.span)
        return Computed(alias, made, directives, span=cursor.since(first.start))
    if cursor.kind != NAME:
        raise cursor.expected(f"a field after the alias '{first.text}'")
    return _field(cursor, cursor.advance(), first)


def _field(cursor: Cursor, name: Token, alias: Token | None) -> FieldSelection:
    arguments: tuple[Entry, ...] = ()
    selection: tuple[Selection, ...] | None = None
    if cursor.kind == "(":
        arguments = parser_values.arguments(cursor, name.text)
    directives = parser_values.directives(cursor)
    if cursor.kind == "{":
        selection = _selection_set(cursor, f"the selection of '{name.text}'")
    start = name.start if alias is None else alias.start
    return FieldSelection(
        Name(name.text, span=name.span),
        _name_of(alias),
        arguments,
        directives,
        selection,
        span=cursor.since(start),
    )


def _is_expression(cursor: Cursor) -> bool:
    """Whether what follows an alias is an expression that is not a plain name."""
    if cursor.kind in _EXPRESSION_STARTS:
        return True
    if cursor.kind != NAME:
        return False
    following = cursor.following(1)
    kind = following.kind
    if kind == "(":
        return _is_call(cursor)
    if kind == "=":
        return cursor.following(2).kind == "="
    return kind in OPERATORS or (kind in (INT, FLOAT) and following.text[0] == "-")


def _is_call(cursor: Cursor) -> bool:
    """Whether the parenthesis after the next name opens the arguments of a function."""
    first, second = cursor.following(2), cursor.following(3)
    if first.kind == ")":
        # `now()` and `uuid()` compute; any other field may have an empty list of arguments.
        return cursor.token.text in ("now", "uuid")
    if first.kind != NAME:
        return True
    if second.kind == "=":
        return cursor.following(4).kind == "="
    return second.kind != ":"


def _name_of(token: Token | None) -> Name | None:
    return None if token is None else Name(token.text, span=token.span)


def _check_roots(cursor: Cursor, roots: Sequence[MutationPart | Selection]) -> None:
    if len(roots) > MAX_ROOTS:
        raise cursor.error(
            f"an operation has at most {MAX_ROOTS} roots, found {len(roots)}", roots[MAX_ROOTS].span
        )


__all__ = ["MAX_ROOTS", "fragment", "mutation_set", "operation"]
