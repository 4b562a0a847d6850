"""Text → tokens with spans, by one compiled regular expression.

White space, commas and `#` comments vanish here. The limits of the language (size, nesting,
number of tokens) are kept here too, so that the parser never meets a text that could exhaust it.
Literals stay as typed; `string_value`, `int_value` and `float_value` read them.

Source: GraphQL specification, October 2021, section 2.1 (lexical tokens, block strings).
"""

from __future__ import annotations

import math
import re
import sys
from typing import Final, NamedTuple, NoReturn

from aurora_db.base.errors import AqlSyntaxError, Span

MAX_BYTES: Final = 1024 * 1024
MAX_NESTING: Final = 64
#: Tokens inside of a list are not counted: `data: [...]` may be long.
MAX_TOKENS: Final = 10_000
MIN_INT: Final = -(2**63)
MAX_INT: Final = 2**63 - 1

NAME: Final = "name"
INT: Final = "int"
FLOAT: Final = "float"
STRING: Final = "string"
BLOCK: Final = "block"
END: Final = "end"

#: Punctuation that occurs only in computed expressions.
OPERATORS: Final = frozenset("|&+-*/%<>?!.")


class Token(NamedTuple):
    """One token. `kind` is a constant of this module, or the punctuation itself."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def span(self) -> Span:
        """Where the token stands in its text."""
        return Span(self.start, self.end)


_GROUP_KINDS: Final = ("", NAME, "", STRING, INT, FLOAT, BLOCK, END, "malformed")
_PUNCTUATION: Final = 2
_MALFORMED: Final = 8
# Every repetition is possessive, and the last group takes any character: no backtracking.
_TOKEN: Final = re.compile(
    r"""
    (?: [ \t\r\n,\ufeff]++ | \#[^\r\n]*+ )*+
    (?: ([A-Za-z_][A-Za-z0-9_]*+)
      | ( \.\.\. | @@ | [{}()\[\]:=@$!.|&+*/%<>?] | -(?![0-9]) )
      | ( "(?!"") (?: [^"\\\x00-\x08\x0a-\x1f]++ | \\[^\r\n] )*+ " )
      | ( -?(?:0|[1-9][0-9]*+) (?![A-Za-z0-9_.]) )
      | ( -?(?:0|[1-9][0-9]*+) (?: \.[0-9]++ (?:[eE][+-]?[0-9]++)?+ | [eE][+-]?[0-9]++ )
          (?![A-Za-z0-9_.]) )
      | ( \""" (?: [^"\\]++ | \\\""" | \\ | "(?!"") )*+ \""" )
      | ( \Z )
      | ( . )
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_NUMBER_LIKE: Final = re.compile(r"-?[0-9][A-Za-z0-9_.]*+")
_STRING_START: Final = re.compile(r'"(?:[^"\\\x00-\x08\x0a-\x1f]++|\\[^\r\n])*+')
#: Single and typographic quotes, and the backtick.
_WRONG_QUOTES: Final = "'`\u2018\u2019\u201c\u201d"
_WRONGLY_QUOTED: Final = re.compile(f"[{_WRONG_QUOTES}]([^{_WRONG_QUOTES}\r\n]*+)[{_WRONG_QUOTES}]")
_ESCAPE: Final = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
    r"|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]+)\}|(.))",
    re.DOTALL,
)
_ESCAPED: Final = {
    '"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"
}  # fmt: skip
_CLOSES: Final = {"}": "{", ")": "(", "]": "["}


def tokenize(text: str) -> list[Token]:
    """The tokens of `text`; the last one is of kind `END`, and empty.

    Raises:
        AqlSyntaxError: a character or literal that AQL does not have, or a limit is passed.
    """
    _check_size(text)
    tokens: list[Token] = []
    limits = _Limits(text)
    for match in _TOKEN.finditer(text):
        group = match.lastindex or _MALFORMED
        start, end = match.span(group)
        word = match[group]
        if group == _PUNCTUATION:
            tokens.append(Token(word, word, start, end))
            if word in "{}()[]":
                limits.bracket(tokens)
        elif group == _MALFORMED:
            _refuse_character(text, start)
        else:
            tokens.append(Token(_GROUP_KINDS[group], word, start, end))
            if start == len(text):
                break
        if len(tokens) > limits.allowed:
            raise AqlSyntaxError(
                f"the text has more than {MAX_TOKENS} tokens",
                hint="give long data as variables, or as a list of values",
                source=text,
                span=Span(start, end),
            )
    return tokens


def int_value(text: str, token: Token) -> int:
    """The value of an `INT` token of `text`.

    Raises:
        AqlSyntaxError: it does not fit 64 bits.
    """
    # Python itself refuses to read thousands of digits.
    value = int(token.text) if len(token.text) <= 20 else MAX_INT + 1
    if MIN_INT <= value <= MAX_INT:
        return value
    raise AqlSyntaxError(
        f"{shorten(token.text)} is outside of the range of Int, {MIN_INT} to {MAX_INT}",
        hint="write a Float, as 1e20, or a string",
        source=text,
        span=token.span,
    )


def float_value(text: str, token: Token) -> float:
    """The value of a `FLOAT` token of `text`.

    Raises:
        AqlSyntaxError: it is not finite as a double.
    """
    value = float(token.text)
    if math.isfinite(value):
        return value
    largest = sys.float_info.max
    raise AqlSyntaxError(
        f"{shorten(token.text)} is outside of the range of Float, {-largest} to {largest}",
        source=text,
        span=token.span,
    )


def string_value(text: str, token: Token) -> str:
    """The value of a `STRING` or `BLOCK` token of `text`: escapes and indentation resolved.

    Raises:
        AqlSyntaxError: an escape that JSON and AQL do not have, or half of a surrogate pair.
    """
    if token.kind == BLOCK:
        return _block_value(token.text[3:-3])
    body = token.text[1:-1]
    if "\\" not in body:
        return body

    def replace(match: re.Match[str]) -> str:
        high, low, short, long, simple = match.groups()
        if high is not None:
            code = 0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00
        elif simple is not None:
            value = _ESCAPED.get(simple)
            if value is None:
                _refuse_escape(text, token.start + 1 + match.start(), simple)
            return value
        else:
            code = int(short or long, 16)
            if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
                start = token.start + 1 + match.start()
                _refuse_code_point(text, Span(start, start + len(match[0])))
        return chr(code)

    return _ESCAPE.sub(replace, body)


def shorten(text: str) -> str:
    """`text` cut to what a message can show."""
    return text if len(text) <= 40 else text[:39] + "…"


class _Limits:
    """Counts what the limits bound: nesting, and the tokens outside of lists."""

    __slots__ = ("_left", "_lists", "_opened", "_text", "allowed")

    def __init__(self, text: str) -> None:
        self._text = text
        self._opened: list[str] = []
        self._lists = 0
        self._left = 0
        #: How many tokens there may be by now.
        self.allowed = MAX_TOKENS

    def bracket(self, tokens: list[Token]) -> None:
        """Note that the last token opens or closes something."""
        token = tokens[-1]
        opening = _CLOSES.get(token.kind)
        if opening is None:
            self._open(token, len(tokens))
        # A bracket that closes another kind is the parser's to refuse.
        elif self._opened and self._opened[-1] == opening:
            self._opened.pop()
            if opening == "[":
                self._lists -= 1
                if self._lists == 0:
                    self.allowed = len(tokens) + self._left

    def _open(self, token: Token, count: int) -> None:
        self._opened.append(token.kind)
        if len(self._opened) > MAX_NESTING:
            raise AqlSyntaxError(
                f"brackets are nested more than {MAX_NESTING} deep",
                source=self._text,
                span=token.span,
            )
        if token.kind == "[":
            self._lists += 1
            if self._lists == 1:
                self._left = self.allowed - count
                self.allowed = sys.maxsize


def _check_size(text: str) -> None:
    try:
        size = len(text) if text.isascii() or len(text) > MAX_BYTES else len(text.encode())
    except UnicodeEncodeError as error:
        raise AqlSyntaxError(
            f"U+{ord(text[error.start]):04X} is half of a surrogate pair, not a character",
            source=text,
            span=Span(error.start, error.start + 1),
        ) from error
    if size > MAX_BYTES:
        raise AqlSyntaxError(
            "the text is longer than 1 MiB",
            hint="give long data as variables",
            source=text,
            span=Span(0, 1),
        )


def _block_value(raw: str) -> str:
    lines = re.split(r"\r\n|\n|\r", raw)
    indents = [len(line) - len(line.lstrip(" \t")) for line in lines[1:] if line.strip(" \t")]
    common = min(indents, default=0)
    lines[1:] = [line[common:] for line in lines[1:]]
    filled = [at for at, line in enumerate(lines) if line.strip(" \t")]
    kept = lines[filled[0] : filled[-1] + 1] if filled else []
    return "\n".join(kept).replace('\\"""', '"""')


def _refuse_character(text: str, start: int) -> NoReturn:
    number = _NUMBER_LIKE.match(text, start)
    if number is not None:
        _refuse_number(text, Span(start, number.end()))
    found = text[start]
    if found == '"':
        _refuse_string(text, start)
    if found in _WRONG_QUOTES:
        _refuse_quotes(text, start)
    hint: str | None = None
    if found == ";":
        hint = "leave it out: nothing stands between statements"
    elif found.isspace():
        hint = "write an ordinary space"
    elif found.isalpha():
        hint = "names are of the letters A to Z, digits and '_'"
    shown = f"'{found}'" if found.isprintable() else f"the character U+{ord(found):04X}"
    raise AqlSyntaxError(
        f"expected a name, a value or punctuation, found {shown}",
        hint=hint,
        source=text,
        span=Span(start, start + 1),
    )


def _refuse_quotes(text: str, start: int) -> NoReturn:
    quoted = _WRONGLY_QUOTED.match(text, start)
    end = quoted.end() if quoted else start + 1
    raise AqlSyntaxError(
        f"expected a string in double quotes, found {shorten(text[start:end])}",
        hint=f'write "{shorten(quoted[1])}"' if quoted else 'write "…"',
        source=text,
        span=Span(start, end),
    )


def _refuse_number(text: str, span: Span) -> NoReturn:
    found = text[span.start : span.end]
    whole = re.fullmatch(r"(-?)0+([1-9][0-9]*|0)", found)
    hint = "numbers are written as 5, -5, 0.5 or 1e9; a name begins with a letter or '_'"
    raise AqlSyntaxError(
        f"expected a number, found '{shorten(found)}'",
        hint=f"write {whole[1]}{shorten(whole[2])}" if whole else hint,
        source=text,
        span=span,
    )


def _refuse_string(text: str, start: int) -> NoReturn:
    if text.startswith('"""', start):
        line = text.count("\n", 0, start) + 1
        raise AqlSyntaxError(
            'expected \'"""\' to close the block string, found end of text',
            hint=f"it was opened on line {line}",
            source=text,
            span=Span(len(text), len(text)),
        )
    match = _STRING_START.match(text, start)
    end = match.end() if match else start + 1
    rest = text[end : end + 1]
    if rest in ("", "\n", "\r", "\\"):
        found = "end of line" if text[end : end + 2].strip("\\") else "end of text"
        raise AqlSyntaxError(
            f"expected '\"' to close the string, found {found}",
            hint='write \\n for a new line, or """ around a text of several lines',
            source=text,
            span=Span(start, end),
        )
    raise AqlSyntaxError(
        f"the control character U+{ord(rest):04X} must be escaped in a string",
        hint=f"write \\u{ord(rest):04x}",
        source=text,
        span=Span(end, end + 1),
    )


def _refuse_escape(text: str, start: int, escape: str) -> NoReturn:
    hint = "write \\\\ for a backslash"
    if escape == "u":
        hint = "write four hexadecimal digits, as \\u00e9, or braces, as \\u{1f600}"
    raise AqlSyntaxError(
        f"no escape '\\{escape}' in strings", hint=hint, source=text, span=Span(start, start + 2)
    )


def _refuse_code_point(text: str, span: Span) -> NoReturn:
    raise AqlSyntaxError(
        f"'{shorten(text[span.start : span.end])}' is not a character of Unicode",
        hint="write a whole surrogate pair, as \\ud83d\\ude00, or \\u{1f600}",
        source=text,
        span=span,
    )


__all__ = [
    "BLOCK",
    "END",
    "FLOAT",
    "INT",
    "MAX_BYTES",
    "MAX_INT",
    "MAX_NESTING",
    "MAX_TOKENS",
    "MIN_INT",
    "NAME",
    "OPERATORS",
    "STRING",
    "Token",
    "float_value",
    "int_value",
    "shorten",
    "string_value",
    "tokenize",
]
