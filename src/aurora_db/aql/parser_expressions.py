"""Expressions and templates: computed fields, `expr`, `@computed`.

Precedence is that of JavaScript. Inside an expression `-` is always an operator, so a number that
the tokenizer read with its sign is parted again where an operand has ended.

An expression in a string is a text of its own; its errors point at the string it stands in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeVar, cast

import msgspec

from aurora_db.aql import tokens
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
from aurora_db.aql.tokens import BLOCK, END, FLOAT, INT, NAME, STRING, Token
from aurora_db.base.errors import AqlSyntaxError, Span

T = TypeVar("T")
N = TypeVar("N", bound=Expression)

#: Levels of operators of two operands, the weakest first; and the function each stands for.
_LEVELS: Final[tuple[dict[str, str], ...]] = (
    {"||": "or"},
    {"&&": "and"},
    {"==": "eq", "!=": "ne"},
    {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"},
    {"+": "add", "-": "subtract"},
    {"*": "multiply", "/": "divide", "%": "mod"},
)
_SUM: Final = 4
_DOUBLED: Final = frozenset(("||", "&&", "==", "!=", ">=", "<="))
_STRINGS: Final = frozenset((STRING, BLOCK))
_NUMBERS: Final = frozenset((INT, FLOAT))
_PLAIN_NAME: Final = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")


def expression(cursor: Cursor) -> Expression:
    """The expression that begins with the next token."""
    made = _ternary(cursor)
    while cursor.kind == "|" and _operator(cursor) == "|":
        made = _pipe(cursor, made)
    return made


def parse_expression(text: str) -> Expression:
    """The expression that the whole of `text` is.

    Raises:
        AqlSyntaxError: it is none; the place is one in `text`.
    """
    cursor = Cursor(text)
    made = expression(cursor)
    if cursor.kind != END:
        raise cursor.expected("an operator or the end of the expression")
    return made


def parse_template(text: str) -> StringLiteral | Template:
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
            made = parse_expression(text[hole + 2 : end])
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
    token = cursor.advance()
    return placed(inside(cursor, token, parse_template), token.span)


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


def inside(cursor: Cursor, token: Token, parse: Callable[[str], T]) -> T:
    """What `parse` makes of the string that `token` is; errors point at the token."""
    # Places in the inner text are none of the outer one.
    try:
        return parse(tokens.string_value(cursor.source, token))
    except AqlSyntaxError as error:
        if error.span is None:
            raise
        raise cursor.error(error.message, token.span, error.hint) from None


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


# --- operators ------------------------------------------------------------------------------


def _operator(cursor: Cursor) -> str:
    """The operator that comes next, of one or two characters that stand together; else ""."""
    kind = cursor.kind
    following = cursor.following(1)
    if kind + following.kind in _DOUBLED and following.start == cursor.token.end:
        return kind + following.kind
    return kind if kind not in ("&", "=") else ""


def _take(cursor: Cursor, operator: str) -> Span:
    first = cursor.advance()
    last = cursor.advance() if len(operator) == 2 else first
    return Span(first.start, last.end)


def _pipe(cursor: Cursor, value: Expression) -> Expression:
    cursor.advance()
    name = cursor.name("the name of a function after '|'")
    arguments = _arguments(cursor, name.text) if cursor.kind == "(" else ()
    return CallExpression(
        name, (value, *arguments), span=Span(value.span.start, cursor.since(0).end)
    )


def _ternary(cursor: Cursor) -> Expression:
    condition = _level(cursor, 0)
    if cursor.kind != "?":
        return condition
    at = cursor.advance()
    yes = expression(cursor)
    cursor.expect(":", "':' and the other value after '?'")
    no = expression(cursor)
    return CallExpression(
        Name("if", span=at.span), (condition, yes, no), "?", span=Span(condition.span.start, no.span.end)
    )  # fmt: skip


def _level(cursor: Cursor, level: int) -> Expression:
    if level == len(_LEVELS):
        return _unary(cursor)
    left = _level(cursor, level + 1)
    known = _LEVELS[level]
    while True:
        if level == _SUM and cursor.kind in _NUMBERS and cursor.token.text[0] == "-":
            cursor.split_sign()
        operator = _operator(cursor)
        if operator not in known:
            return left
        at = _take(cursor, operator)
        right = _level(cursor, level + 1)
        span = Span(left.span.start, right.span.end)
        left = CallExpression(Name(known[operator], span=at), (left, right), operator, span=span)


def _unary(cursor: Cursor) -> Expression:
    if cursor.kind not in ("!", "-"):
        return _primary(cursor)
    at = cursor.advance()
    operand = _unary(cursor)
    name = Name("not" if at.kind == "!" else "negate", span=at.span)
    return CallExpression(name, (operand,), at.kind, span=Span(at.start, operand.span.end))


def _primary(cursor: Cursor) -> Expression:
    kind = cursor.kind
    if kind == NAME:
        return _named(cursor)
    if kind in _STRINGS:
        return template(cursor)
    if kind == INT:
        token = cursor.advance()
        return IntLiteral(tokens.int_value(cursor.source, token), span=token.span)
    if kind == FLOAT:
        token = cursor.advance()
        return FloatLiteral(tokens.float_value(cursor.source, token), span=token.span)
    if kind == "$":
        start = cursor.advance().start
        name = cursor.expect(NAME, "the name of a variable after '$'").text
        return VariableRef(name, span=cursor.since(start))
    if kind == "(":
        opener = cursor.advance()
        made = expression(cursor)
        cursor.close(")", opener, "an operator", "the parenthesis")
        return made
    if kind == "[":
        opener = cursor.advance()
        items: list[Expression] = []
        while cursor.kind not in ("]", END):
            items.append(expression(cursor))
        cursor.close("]", opener, "a value", "the list")
        return ListExpression(tuple(items), span=cursor.since(opener.start))
    raise cursor.expected("a value in the expression")


def _named(cursor: Cursor) -> Expression:
    token = cursor.advance()
    text = token.text
    if cursor.kind == "(":
        arguments = _arguments(cursor, text)
        name = Name(text, span=token.span)
        return CallExpression(name, arguments, span=cursor.since(token.start))
    if text in ("true", "false"):
        return BooleanLiteral(text == "true", span=token.span)
    if text == "null":
        return NullLiteral(span=token.span)
    parts = [text]
    while cursor.kind == ".":
        cursor.advance()
        parts.append(cursor.expect(NAME, f"a name after '{text}.'").text)
    return PathExpression(tuple(parts), span=cursor.since(token.start))


def _arguments(cursor: Cursor, function: str) -> tuple[Expression, ...]:
    opener = cursor.advance()
    items: list[Expression] = []
    while cursor.kind not in (")", END):
        items.append(expression(cursor))
    cursor.close(")", opener, "an argument", f"the arguments of '{function}'")
    return tuple(items)


__all__ = ["expression", "inside", "parse_expression", "parse_template", "placed", "template"]
