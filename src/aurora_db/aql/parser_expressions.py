"""Expressions and templates: computed fields, `expr`, `@computed`.

Precedence is that of JavaScript. Inside an expression `-` is always an operator, so a number that
the tokenizer read with its sign is parted again where an operand has ended. Commas mean nothing
but before a `-` among arguments or items: `round(x, -1)` has two, as everybody would read it.

An expression is a tree of at most `MAX_DEPTH` levels, so that whoever walks over it may recurse. A
row of `&&` or of `||` is one level, a row of other operators or pipes one for each.

An expression in a string is a text of its own; its errors point at the string it stands in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar, cast

import msgspec

from aurora_db.aql import literals, tokens
from aurora_db.aql.cursor import Cursor
from aurora_db.aql.syntax import (
    BooleanLiteral,
    CallExpression,
    Expression,
    FloatLiteral,
    IntLiteral,
    ListExpression,
    Name,
    NullLiteral,
    PathExpression,
    StringLiteral,
    Template,
    VariableRef,
)
from aurora_db.aql.tokens import END, MAX_NESTING, NAME, STRING
from aurora_db.base.errors import AqlError, AqlSyntaxError, Span

T = TypeVar("T")
N = TypeVar("N", bound=Expression)

#: Levels of an expression's tree.
MAX_DEPTH: Final = MAX_NESTING
#: Operators of two operands: how strongly each binds, and the function it stands for.
_BINARY: Final[dict[str, tuple[int, str]]] = {
    "||": (1, "or"),
    "&&": (2, "and"),
    "==": (3, "eq"), "!=": (3, "ne"),
    ">": (4, "gt"), ">=": (4, "gte"), "<": (4, "lt"), "<=": (4, "lte"),
    "+": (5, "add"), "-": (5, "subtract"),
    "*": (6, "multiply"), "/": (6, "divide"), "%": (6, "mod"),
}  # fmt: skip
#: Up to this strength a row is one call of all its operands.
_LOGICAL: Final = 2
_NONE: Final = (0, "")
_UNARY: Final = {"!": "not", "-": "negate"}
_PLAIN_NAME: Final = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")


def expression(cursor: Cursor) -> Expression:
    """The expression that begins with the next token."""
    outermost = cursor.depth
    cursor.depth += 1
    if cursor.depth > MAX_DEPTH:
        raise _too_deep(cursor, cursor.span(cursor.at))
    first = cursor.at
    made = _ternary(cursor)
    while cursor.kind == "|":
        made = _pipe(cursor, made, first)
    cursor.depth = outermost
    if outermost == 0:
        _check_depth(cursor, made)
    return made


def parse_expression(text: str, depth: int = 0) -> Expression:
    """The expression that the whole of `text` is; `depth` is that of what it stands in.

    Raises:
        AqlSyntaxError: it is none; the place is one in `text`.
    """
    cursor = Cursor(text, depth)
    made = expression(cursor)
    if cursor.kind != END:
        raise cursor.expected("an operator or the end of the expression", cursor.operator_hint())
    return made


def parse_template(text: str, depth: int = 0) -> StringLiteral | Template:
    """The template that `text` is: `${expression}` and `$name` are holes.

    Raises:
        AqlSyntaxError: a hole is not closed, or holds no expression.
    """
    parts: list[str | Expression] = []
    plain: list[str] = []
    at = 0
    while (hole := text.find("$", at)) >= 0:
        named = _PLAIN_NAME.match(text, hole)
        if named is None and not text.startswith("${", hole):
            plain.append(text[at : hole + 1])
            at = hole + 1
            continue
        plain.append(text[at:hole])
        if named is not None:
            made: Expression = PathExpression((named[1],), span=Span(hole, named.end()))
            at = named.end()
        else:
            end = _hole_end(text, hole + 2)
            made = parse_expression(text[hole + 2 : end], depth)
            at = end + 1
        if "".join(plain):
            parts.append("".join(plain))
        parts.append(made)
        plain.clear()
    plain.append(text[at:])
    if "".join(plain):
        parts.append("".join(plain))
    if all(isinstance(part, str) for part in parts):
        return StringLiteral(text)
    return Template(tuple(parts))


def template(cursor: Cursor) -> StringLiteral | Template:
    """The next token, a string, as a template; its errors point at it."""
    at = cursor.at
    _, made = _inside(cursor, parse_template)
    return placed(made, cursor.span(at))


def expression_inside(cursor: Cursor) -> tuple[str, Expression]:
    """The next token, a string, and the expression that it holds; errors point at the string."""
    at = cursor.at
    text, made = _inside(cursor, parse_expression)
    return text, placed(made, cursor.span(at))


def placed(node: N, span: Span) -> N:
    """The expression with `span` as the place of each part: the string that it stands in."""
    match node:
        case Template(parts=parts):
            made: Expression = Template(
                tuple(one if isinstance(one, str) else placed(one, span) for one in parts)
            )
        case CallExpression(function=function, arguments=arguments, written=written):
            name = Name(function.text, span=span)
            made = CallExpression(name, tuple(placed(one, span) for one in arguments), written)
        case ListExpression(items=items):
            made = ListExpression(tuple(placed(one, span) for one in items))
        case _:
            made = node
    return cast("N", msgspec.structs.replace(made, span=span))


def _inside(cursor: Cursor, parse: Callable[[str, int], T]) -> tuple[str, T]:
    """The next token, a string, and what `parse` makes of it."""
    at = cursor.at
    text = cursor.string()
    # Places in the inner text are none of the outer one.
    try:
        return text, parse(text, cursor.depth)
    except AqlSyntaxError as error:
        raise cursor.error(error.message, cursor.span(at), error.hint) from None


def _hole_end(text: str, start: int) -> int:
    """Where the brace stands that closes a hole; braces in strings do not count."""
    quoted, at = False, start
    while at < len(text):
        character = text[at]
        if quoted:
            if character == "\\":
                at += 1
            elif character == '"':
                quoted = False
        elif character == '"':
            quoted = True
        elif character == "}":
            return at
        at += 1
    raise AqlSyntaxError(
        "expected '}' to close the '${' of the template",
        hint="write ${name}",
        source=text,
        span=Span(start - 2, start),
    )


# --- depth ----------------------------------------------------------------------------------


def _check_depth(cursor: Cursor, made: Expression) -> None:
    """Refuse a tree of too many levels. It is not known to be shallow yet: no recursion here."""
    level: list[Expression] = [made]
    for _ in range(MAX_DEPTH):
        below: list[Expression] = []
        for node in level:
            match node:
                case CallExpression(arguments=parts) | ListExpression(items=parts):
                    below += parts
                case Template(parts=parts):
                    below += [part for part in parts if not isinstance(part, str)]
                case _:
                    pass
        if not below:
            return
        level = below
    raise _too_deep(cursor, made.span)


def _too_deep(cursor: Cursor, span: Span) -> AqlError:
    return cursor.error(
        f"an expression has more than {MAX_DEPTH} levels",
        span,
        "make a part of it a computed field, or part a long row by parentheses",
    )


# --- operators ------------------------------------------------------------------------------


def _pipe(cursor: Cursor, value: Expression, first: int) -> Expression:
    cursor.advance()
    name = cursor.name("the name of a function after '|'")
    arguments = _arguments(cursor, name.text) if cursor.kind == "(" else ()
    return CallExpression(name, (value, *arguments), span=cursor.since(first))


def _ternary(cursor: Cursor) -> Expression:
    first = cursor.at
    condition = _binary(cursor, 1)
    if cursor.kind != "?":
        return condition
    at = cursor.advance()
    yes = expression(cursor)
    cursor.expect(":", "':' and the other value after '?'")
    no = expression(cursor)
    name = Name("if", span=cursor.span(at))
    return CallExpression(name, (condition, yes, no), "?", span=cursor.since(first))


def _binary(cursor: Cursor, weakest: int) -> Expression:
    """Operands joined by operators that bind at least as strongly as `weakest`."""
    first = cursor.at
    left = _unary(cursor)
    row: list[Expression] = []
    last = 0
    while True:
        at = cursor.at
        kind = cursor.kinds[at]
        signed = kind[0] == "-" and len(kind) > 1
        operator = "-" if signed else kind
        strength, function = _BINARY.get(operator, _NONE)
        if strength < weakest or (operator == "-" and cursor.in_items and cursor.after_comma()):
            return left
        name = Name(function, span=cursor.tokens.part(at) if signed else cursor.span(at))
        cursor.at = at if signed else at + 1
        right = _binary(cursor, strength + 1)
        # What is in a row of its own operator is one call: nothing else can stand between.
        if strength == last <= _LOGICAL:
            row.append(right)
        else:
            row, last = [left, right], strength
        left = CallExpression(name, tuple(row), operator, span=cursor.since(first))


def _unary(cursor: Cursor) -> Expression:
    first = cursor.at
    while cursor.kinds[cursor.at] in _UNARY:
        cursor.at += 1
    last = cursor.at
    made = _primary(cursor)
    for at in range(last - 1, first - 1, -1):
        operator = cursor.kinds[at]
        name = Name(_UNARY[operator], span=cursor.span(at))
        made = CallExpression(name, (made,), operator, span=cursor.since(at))
    return made


def _primary(cursor: Cursor) -> Expression:
    at = cursor.at
    kind = cursor.kinds[at]
    if kind == NAME:
        return _named(cursor)
    if kind == STRING:
        return template(cursor)
    if tokens.is_number(kind):
        cursor.at = at + 1
        read = literals.number(cursor.tokens, at)
        span = cursor.span(at)
        return (
            IntLiteral(read, span=span) if isinstance(read, int) else FloatLiteral(read, span=span)
        )
    if kind == "$":
        cursor.at = at + 1
        name = cursor.word("the name of a variable after '$'")
        return VariableRef(name, span=cursor.since(at))
    if kind == "(":
        cursor.at = at + 1
        around, cursor.in_items = cursor.in_items, False
        made = expression(cursor)
        cursor.in_items = around
        cursor.close(")", at, "an operator", "the parenthesis")
        return made
    if kind == "[":
        cursor.at = at + 1
        items = _items(cursor, "]")
        cursor.close("]", at, "a value", "the list")
        return ListExpression(items, span=cursor.since(at))
    raise cursor.expected("a value in the expression", cursor.operator_hint())


def _named(cursor: Cursor) -> Expression:
    at = cursor.advance()
    text = cursor.texts[at]
    if cursor.kind == "(":
        arguments = _arguments(cursor, text)
        return CallExpression(cursor.name_at(at), arguments, span=cursor.since(at))
    if cursor.kind != ".":
        if text in ("true", "false"):
            return BooleanLiteral(text == "true", span=cursor.span(at))
        if text == "null":
            return NullLiteral(span=cursor.span(at))
    parts = [text]
    while cursor.skip("."):
        parts.append(cursor.word(f"a name after '{text}.'"))
    return PathExpression(tuple(parts), span=cursor.since(at))


def _arguments(cursor: Cursor, function: str) -> tuple[Expression, ...]:
    opener = cursor.advance()
    items = _items(cursor, ")")
    cursor.close(")", opener, "an argument", f"the arguments of '{function}'")
    return items


def _items(cursor: Cursor, closing: str) -> tuple[Expression, ...]:
    """Expressions up to the bracket that closes them."""
    around, cursor.in_items = cursor.in_items, True
    items: list[Expression] = []
    while cursor.kind not in (closing, END):
        items.append(expression(cursor))
    cursor.in_items = around
    return tuple(items)


__all__ = [
    "MAX_DEPTH",
    "expression",
    "expression_inside",
    "parse_expression",
    "parse_template",
    "placed",
    "template",
]
