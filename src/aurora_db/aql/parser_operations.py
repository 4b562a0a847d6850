"""Operations: queries, mutations and subscriptions, their variables, selections and fragments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aurora_db.aql import parser_expressions, parser_schema, parser_values
from aurora_db.aql.cursor import Cursor
from aurora_db.aql.syntax import (
    Computed,
    Directive,
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
from aurora_db.aql.tokens import NAME, NUMBER, OPERATORS, STRING, is_number
from aurora_db.base.errors import Span

MAX_ROOTS: Final = 64

#: Tokens that begin an expression and no field.
_EXPRESSION_STARTS: Final = frozenset((STRING, NUMBER, "$", "(", "[", "-", "!"))
#: Tokens after which the name before them was a field, and all of it.
_AFTER_NAME: Final = frozenset((NAME, "}", "..."))


def operation(cursor: Cursor) -> Operation:
    """An operation; the next token is its word, or the brace of a bare query."""
    start = cursor.at
    kind = "query" if cursor.kind == "{" else cursor.word("an operation")
    name = cursor.name("the name of the operation") if cursor.kind == NAME else None
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
    start = cursor.advance()
    name = cursor.word("the name of a variable after '$'")
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
    start = cursor.at
    name = ""
    item: TypeRef | None = None
    if cursor.kind == "[":
        opener = cursor.advance()
        item = _type_ref(cursor, of)
        cursor.close("]", opener, "'!'", f"the list type of '${of}'")
    else:
        name = cursor.word(f"the type of '${of}'")
    required = cursor.skip_required()
    return TypeRef(name, required, item, span=cursor.since(start))


# --- parts of mutations ---------------------------------------------------------------------


def _mutation_part(cursor: Cursor) -> MutationPart:
    first = cursor.at
    following = cursor.kinds[first + 1]
    if following == "{" and cursor.at_word("schema"):
        return parser_schema.schema_block(cursor)
    if following == "{" and cursor.at_word("transaction"):
        return _transaction(cursor, None)
    if following != ":":
        return _field(cursor, None)
    cursor.at = first + 2
    alias = cursor.name_at(first)
    if cursor.kinds[cursor.at + 1] == "{":
        if cursor.at_word("transaction"):
            return _transaction(cursor, first)
        if cursor.at_word("schema"):
            raise cursor.error(
                "a schema block takes no alias",
                Span(first, cursor.at, cursor.tokens),
                "write 'schema { … }'",
            )
    if cursor.kind != NAME:
        raise cursor.expected(f"a mutation after the alias '{alias.text}'")
    return _field(cursor, first)


def _transaction(cursor: Cursor, alias: int | None) -> TransactionBlock:
    word = cursor.advance()
    parts = mutation_set(cursor, "the transaction")
    if alias is None:
        return TransactionBlock(parts, span=cursor.since(word))
    return TransactionBlock(parts, cursor.name_at(alias), span=cursor.since(alias))


# --- selections -----------------------------------------------------------------------------


def fragment(cursor: Cursor) -> FragmentDefinition:
    """`fragment name on collection { … }`; the next token is the word."""
    start = cursor.advance()
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
    kinds, texts, places = cursor.kinds, cursor.texts, cursor.tokens
    opener = cursor.advance()
    selections: list[Selection] = []
    while (kind := kinds[at := cursor.at]) != "}":
        if kind == NAME and kinds[at + 1] in _AFTER_NAME:
            # By far the most: a name alone.
            cursor.at = at + 1
            span = Span(at, at, places)
            selections.append(FieldSelection(Name(texts[at], span=span), span=span))
        elif kind == NAME:
            selections.append(_selection(cursor))
        elif kind == "...":
            selections.append(_spread(cursor))
        else:
            break
    if kind == "}":
        cursor.at += 1
        return tuple(selections)
    if selections and kind in OPERATORS:
        hint = "a computed field needs an alias, as 'total: price * qty'"
        raise cursor.expected(f"a field or '}}' to close {what}", hint)
    raise cursor.unclosed("}", opener, "a field", what)


def _spread(cursor: Cursor) -> FragmentSpread | InlineFragment:
    start = cursor.advance()
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
    at = cursor.at
    if cursor.kinds[at + 1] != ":":
        return _field(cursor, None)
    cursor.at = at + 2
    if _is_expression(cursor):
        made = parser_expressions.expression(cursor)
        directives = parser_values.directives(cursor)
        return Computed(cursor.name_at(at), made, directives, span=cursor.since(at))
    if cursor.kind != NAME:
        raise cursor.expected(f"a field after the alias '{cursor.texts[at]}'")
    return _field(cursor, at)


def _field(cursor: Cursor, alias: int | None) -> FieldSelection:
    """A field; the next token is its name, `alias` the token of its alias."""
    kinds = cursor.kinds
    at = cursor.at
    text = cursor.texts[at]
    cursor.at = at + 1
    arguments: tuple[Entry, ...] = ()
    directives: tuple[Directive, ...] = ()
    selection: tuple[Selection, ...] | None = None
    if kinds[cursor.at] == "(":
        arguments = parser_values.arguments(cursor, text)
    if kinds[cursor.at] == "@":
        directives = parser_values.directives(cursor)
    if kinds[cursor.at] == "{":
        selection = _selection_set(cursor, f"the selection of '{text}'")
    return FieldSelection(
        Name(text, span=Span(at, at, cursor.tokens)),
        None if alias is None else cursor.name_at(alias),
        arguments,
        directives,
        selection,
        span=cursor.since(at if alias is None else alias),
    )


def _is_expression(cursor: Cursor) -> bool:
    """Whether what follows an alias is an expression that is not a plain name."""
    kind = cursor.kind
    if kind in _EXPRESSION_STARTS or is_number(kind):
        return True
    if kind != NAME:
        return False
    following = cursor.kinds[cursor.at + 1]
    if following == "(":
        return _is_call(cursor)
    # `a -5` is a subtraction.
    return following in OPERATORS or (following[:1] == "-" and is_number(following))


def _is_call(cursor: Cursor) -> bool:
    """Whether the parenthesis after the next name opens the arguments of a function."""
    at, kinds = cursor.at, cursor.kinds
    if kinds[at + 2] == ")":
        # `now()` and `uuid()` compute; any other field may have an empty list of arguments.
        return cursor.text in ("now", "uuid") or kinds[at + 3] in OPERATORS
    return kinds[at + 2] != NAME or kinds[at + 3] != ":"


def _check_roots(cursor: Cursor, roots: Sequence[MutationPart | Selection]) -> None:
    if len(roots) > MAX_ROOTS:
        raise cursor.error(
            f"an operation has at most {MAX_ROOTS} roots, found {len(roots)}", roots[MAX_ROOTS].span
        )


__all__ = ["MAX_ROOTS", "fragment", "mutation_set", "operation"]
