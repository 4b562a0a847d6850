"""Text → tokens, by one compiled regular expression that runs over the text once.

White space, commas and `#` comments vanish here. The limits of the language (size, nesting,
number of tokens) are kept here too, so that the parser never meets a text that could exhaust it.
Tokens are two lists, of texts and of kinds; where they stand is looked up when an error asks.
A character or literal that AQL does not have is a token that no rule of the grammar takes; `fault`
says what is wrong with it. `literals` reads numbers and strings.

Source: GraphQL specification, October 2021, section 2.1 (lexical tokens, block strings).
"""

from __future__ import annotations

import re
from typing import Final, NoReturn, cast

from aurora_db.base.errors import AqlSyntaxError, Span

MAX_BYTES: Final = 1024 * 1024
#: Brackets within brackets. An expression may be as deep, see `parser_expressions`.
MAX_NESTING: Final = 64
#: Tokens inside of a list are not counted: `data: [...]` may be long.
MAX_TOKENS: Final = 10_000

#: Kinds of tokens. Punctuation is its own kind, and so is what is no token of AQL.
NAME: Final = "name"
NUMBER: Final = "number"
STRING: Final = "string"
END: Final = "end"

#: Punctuation that occurs only in computed expressions.
OPERATORS: Final = frozenset((
    "|", "||", "&", "&&", "+", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!=", "?", "!", ".",
))  # fmt: skip
PUNCTUATION: Final = OPERATORS | frozenset(
    ("...", "@@", "@", "{", "}", "(", ")", "[", "]", ":", "=", "$")
)

_STRING: Final = r'"(?!"")(?:[^"\\\x00-\x08\x0a-\x1f]++|\\[^\r\n])*+"'
_BLOCK: Final = r'"""(?:[^"\\]++|\\"""|\\|"(?!""))*+"""'
# The order of the alternatives is that of their frequency. Every repetition is possessive, and something always matches: no backtracking. A quote that is
# not closed takes the rest of the text. The empty match is the end.
_TOKEN: Final = re.compile(
    rf"""
    [ \t\r\n,\ufeff]*+ (?: \#[^\r\n]*+ [ \t\r\n,\ufeff]*+ )*+
    ( [A-Za-z_][A-Za-z0-9_]*+
    | [{{}}()\[\]:$] | \.\.\. | @@ | [=!<>]= | \|\| | && | [=@!.|&+*/%<>?]
    | {_STRING} | {_BLOCK} | ".*+
    | -?[0-9] (?: [eE][+-](?=[0-9]) | [A-Za-z0-9_.] )*+
    | .?
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_CLOSED: Final = re.compile(f"{_STRING}|{_BLOCK}")
_KINDS: Final = {
    **dict.fromkeys("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_", NAME),
    **dict.fromkeys("0123456789", NUMBER),
    '"': STRING,
}
#: More than the parser ever looks ahead.
_ENDS: Final = 6
_OPENS: Final = {"{": "}", "(": ")", "[": "]"}


class Tokens:
    """The tokens of a text; after the last one come some of kind `END`, with the text ""."""

    __slots__ = ("_ends", "kinds", "text", "texts")

    def __init__(self, text: str, texts: list[str], kinds: list[str]) -> None:
        self.text = text
        self.texts = texts
        self.kinds = kinds
        self._ends: list[int] | None = None

    def start(self, index: int) -> int:
        """Where a token begins, in characters."""
        return self.end(index) - len(self.texts[index])

    def end(self, index: int) -> int:
        """Where a token ends, in characters."""
        if self._ends is None:
            self._ends = [match.end() for match in _TOKEN.finditer(self.text)]
        return self._ends[min(index, len(self._ends) - 1)]

    def span(self, first: int, last: int | None = None) -> Span:
        """The place of a token, or of all from `first` to `last`."""
        return Span(first, first if last is None else last, self)

    def part(self, index: int) -> Span:
        """Take the first character off a token that turned out to be two; returns its place."""
        start = self.start(index)
        rest = self.texts[index][1:]
        self.texts[index] = rest
        self.kinds[index] = _KINDS.get(rest[0], rest)
        return Span(start, start + 1)

    def __repr__(self) -> str:
        return f"Tokens({len(self.texts) - _ENDS} tokens)"


def tokenize(text: str) -> Tokens:
    """The tokens of `text`.

    Raises:
        AqlSyntaxError: a limit is passed, or the text cannot be written as UTF-8.
    """
    _check_size(text)
    texts: list[str] = _TOKEN.findall(text)
    while texts and not texts[-1]:
        texts.pop()
    known = _KINDS.get
    kinds = [known(one[0], one) for one in texts]
    if texts and texts[-1][0] == '"' and not _CLOSED.fullmatch(texts[-1]):
        # It holds all the rest: no kind of its own, so that nothing takes it.
        kinds[-1] = texts[-1]
    tokens = Tokens(text, texts, kinds)
    brackets = text.count("{") + text.count("(") + text.count("[")
    if brackets > MAX_NESTING or len(texts) >= MAX_TOKENS:
        _check_limits(tokens)
    texts += [""] * _ENDS
    kinds += [END] * _ENDS
    return tokens


def is_number(kind: str) -> bool:
    """Whether a token of this kind is a number, which may have a sign."""
    return kind == NUMBER or (kind[0] == "-" and len(kind) > 1)


def shorten(text: str) -> str:
    """`text` cut to what a message can show."""
    return text if len(text) <= 40 else text[:39] + "…"


def _check_limits(tokens: Tokens) -> None:
    """Refuse what is nested too deep, or too long outside of lists."""
    closing: list[str] = []
    lists, counted = 0, 1
    for index, kind in enumerate(tokens.kinds):
        counted += not lists
        if kind in _OPENS:
            closing.append(_OPENS[kind])
            lists += kind == "["
            if len(closing) > MAX_NESTING:
                message = f"brackets are nested more than {MAX_NESTING} deep"
                raise AqlSyntaxError(message, source=tokens.text, span=tokens.span(index))
        # A bracket that closes another kind is the parser's to refuse.
        elif closing and kind == closing[-1]:
            closing.pop()
            lists -= kind == "]"
        if counted > MAX_TOKENS:
            raise AqlSyntaxError(
                f"the text has more than {MAX_TOKENS} tokens",
                hint="give long data as variables, or as a list of values",
                source=tokens.text,
                span=tokens.span(index),
            )


def _check_size(text: str) -> None:
    if not isinstance(cast("object", text), str):
        raise AqlSyntaxError("what stands here is written as a text")
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


# --- what is no token -----------------------------------------------------------------------

_STRING_START: Final = re.compile(r'"(?:[^"\\\x00-\x08\x0a-\x1f]++|\\[^\r\n])*+')
#: Single and typographic quotes, and the backtick.
_WRONG_QUOTES: Final = "'`\u2018\u2019\u201c\u201d"
_WRONGLY_QUOTED: Final = re.compile(f"[{_WRONG_QUOTES}]([^{_WRONG_QUOTES}\r\n]*+)[{_WRONG_QUOTES}]")


def fault(tokens: Tokens, index: int) -> AqlSyntaxError | None:
    """What is wrong with a token that AQL does not have; None for one that it has."""
    kind = tokens.kinds[index]
    if kind in PUNCTUATION or kind in (NAME, STRING, END) or is_number(kind):
        return None
    try:
        _refuse_character(tokens.text, tokens.start(index))
    except AqlSyntaxError as error:
        return error


def _refuse_character(text: str, start: int) -> NoReturn:
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


__all__ = [
    "END",
    "MAX_BYTES",
    "MAX_NESTING",
    "MAX_TOKENS",
    "NAME",
    "NUMBER",
    "OPERATORS",
    "PUNCTUATION",
    "STRING",
    "Tokens",
    "fault",
    "is_number",
    "shorten",
    "tokenize",
]
