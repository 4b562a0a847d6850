"""Operations: queries and mutations, their variables and selections."""

from __future__ import annotations

from typing import Final

from aurora_db.aql import parser_schema, parser_values
from aurora_db.aql.cursor import Cursor
from aurora_db.aql.syntax import (
    Entry,
    FieldSelection,
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
from aurora_db.base.errors import Span, Unsupported

MAX_ROOTS: Final = 64

#: Tokens that begin an expression and no field.
_EXPRESSION_STARTS: Final = frozenset((STRING, BLOCK, INT, FLOAT, "$", "(", "[", "-", "!"))
#: Functions of expressions: `x: upper(name)` is a computed field, `x: users(…)` is none.
_FUNCTIONS: Final = frozenset((
    "concat", "uppercase", "upper", "lowercase", "lower", "trim", "substring", "replace", "length",
    "len", "split", "join", "startsWith", "endsWith", "contains", "truncate", "padLeft",
    "padRight", "format", "slug", "add", "subtract", "multiply", "divide", "mod", "abs", "round",
    "floor", "ceil", "min", "max", "pow", "sqrt", "sign", "if", "and", "or", "not", "eq", "ne",
    "gt", "gte", "lt", "lte", "isNull", "isNotNull", "coalesce", "case", "first", "last", "count",
    "sum", "avg", "pluck", "filter", "map", "sort", "unique", "slice", "now", "dateAdd",
    "dateDiff", "year", "month", "day", "hour", "minute", "second", "weekday", "formatDate",
    "startOf", "toString", "toInt", "toFloat", "toBoolean", "toDateTime", "toJSON", "uuid", "hash",
    "get",
))  # fmt: skip
#: Functions that are called without an argument.
_BARE_FUNCTIONS: Final = frozenset(("now", "uuid"))


def operation(cursor: Cursor) -> Operation:
    """A query or mutation; the next token is its word, or the brace of a bare query."""
    start = cursor.token.start
    kind = "query" if cursor.kind == "{" else cursor.advance().text
    name = cursor.name("") if cursor.kind == NAME else None
    variables = _variables(cursor) if cursor.kind == "(" else ()
    directives = parser_values.directives(cursor)
    what = f"the {kind}" if name is None else f"the {kind} '{name.text}'"
    if cursor.kind != "{":
        raise cursor.expected(f"'{{' to open {what}")
    roots: tuple[MutationPart, ...]
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
    if cursor.kind == "...":
        raise _fragment(cursor)
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
    if cursor.kind == "@":
        at = cursor.token.start
        parser_values.directives(cursor)
        raise cursor.unsupported("directives of variables are", at)
    return VariableDefinition(name, type_, default, span=cursor.since(start))


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


def _selection_set(cursor: Cursor, what: str) -> tuple[Selection, ...]:
    opener = cursor.advance()
    selections: list[Selection] = []
    while cursor.kind == NAME:
        selections.append(_selection(cursor))
    if cursor.kind == "...":
        raise _fragment(cursor)
    # "--" and "//" are meant as comments, and have their own hint.
    if selections and cursor.kind in OPERATORS and cursor.following(1).kind not in ("-", "/"):
        hint = "a computed field needs an alias, as 'total: price * qty'"
        raise cursor.expected(f"a field or '}}' to close {what}", hint)
    cursor.close("}", opener, "a field", what)
    return tuple(selections)


def _selection(cursor: Cursor) -> Selection:
    first = cursor.advance()
    if cursor.kind != ":":
        return _field(cursor, first, None)
    cursor.advance()
    kind = str(cursor.kind)
    if kind in _EXPRESSION_STARTS:
        cursor.advance()
        raise _computed(cursor, first)
    if kind != NAME:
        raise cursor.expected(f"a field after the alias '{first.text}'")
    name = cursor.advance()
    if _goes_on(cursor) or (cursor.kind == "(" and _is_call(cursor, name.text)):
        raise _computed(cursor, first)
    selected = _field(cursor, name, first)
    if selected.selection is None and _goes_on(cursor):
        raise _computed(cursor, first)
    return selected


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


def _goes_on(cursor: Cursor) -> bool:
    """Whether an aliased name is the beginning of an expression."""
    kind = cursor.kind
    if kind == "=":
        return cursor.following(1).kind == "="
    return kind in OPERATORS or (kind in (INT, FLOAT) and cursor.token.text[0] == "-")


def _is_call(cursor: Cursor, name: str) -> bool:
    """Whether the parenthesis that comes next opens the arguments of a function."""
    if name not in _FUNCTIONS:
        return False
    if cursor.following(1).kind == ")":
        return name in _BARE_FUNCTIONS
    return cursor.following(1).kind != NAME or cursor.following(2).kind not in (":", "=")


def _computed(cursor: Cursor, alias: Token) -> Unsupported:
    return cursor.unsupported("computed fields are", alias.start)


def _fragment(cursor: Cursor) -> Unsupported:
    start = cursor.advance().start
    inline = cursor.kind != NAME or cursor.token.text == "on"
    if cursor.kind == NAME:
        cursor.advance()
    return cursor.unsupported("inline fragments are" if inline else "fragments are", start)


def _name_of(token: Token | None) -> Name | None:
    return None if token is None else Name(token.text, span=token.span)


def _check_roots(cursor: Cursor, roots: tuple[MutationPart, ...] | list[MutationPart]) -> None:
    if len(roots) > MAX_ROOTS:
        raise cursor.error(
            f"an operation has at most {MAX_ROOTS} roots, found {len(roots)}", roots[MAX_ROOTS].span
        )


__all__ = ["MAX_ROOTS", "mutation_set", "operation"]
