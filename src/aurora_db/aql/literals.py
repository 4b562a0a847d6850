"""The values of tokens that are numbers and strings: ranges, escapes, indentation.

Source: GraphQL specification, October 2021, section 2.9.4 (string values and block strings).
"""

from __future__ import annotations

import math
import re
import sys
from typing import Final, NoReturn

from aurora_db.aql.tokens import Tokens, shorten
from aurora_db.base.errors import AqlSyntaxError, Span

MIN_INT: Final = -(2**63)
MAX_INT: Final = 2**63 - 1

#: Digits of which any number fits an Int.
_SHORT: Final = 18
_INT: Final = re.compile(r"-?(?:0|[1-9][0-9]*+)")
_FLOAT: Final = re.compile(
    r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++(?:[eE][+-]?[0-9]++)?|[eE][+-]?[0-9]++)"
)
_ESCAPE: Final = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
    r"|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]+)\}|(.))",
    re.DOTALL,
)
_ESCAPED: Final = {
    '"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"
}  # fmt: skip


def number(tokens: Tokens, index: int) -> int | float:
    """The value of a token that is a number: an int of 64 bits, or a finite float.

    Raises:
        AqlSyntaxError: it is written wrongly, or outside of its range.
    """
    text = tokens.texts[index]
    if len(text) <= _SHORT and text.isdigit() and (text[0] != "0" or len(text) == 1):
        return int(text)
    if _INT.fullmatch(text):
        # Python itself refuses to read thousands of digits.
        value = int(text) if len(text) <= 20 else MAX_INT + 1
        if MIN_INT <= value <= MAX_INT:
            return value
        raise AqlSyntaxError(
            f"{shorten(text)} is outside of the range of Int, {MIN_INT} to {MAX_INT}",
            hint="write a Float, as 1e20, or a string",
            source=tokens.text,
            span=tokens.span(index),
        )
    if not _FLOAT.fullmatch(text):
        _refuse_number(tokens, index)
    real = float(text)
    if math.isfinite(real):
        return real
    largest = sys.float_info.max
    raise AqlSyntaxError(
        f"{shorten(text)} is outside of the range of Float, {-largest} to {largest}",
        source=tokens.text,
        span=tokens.span(index),
    )


def string(tokens: Tokens, index: int) -> str:
    """The value of a token that is a string or block string: escapes and indentation resolved.

    Raises:
        AqlSyntaxError: an escape that JSON and AQL do not have, or half of a surrogate pair.
    """
    written = tokens.texts[index]
    if written.startswith('"""'):
        return _block_value(written[3:-3])
    body = written[1:-1]
    if "\\" not in body:
        return body

    def replace(match: re.Match[str]) -> str:
        high, low, short, long, simple = match.groups()
        if high is not None:
            code = 0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00
        elif simple is not None:
            value = _ESCAPED.get(simple)
            if value is None:
                _refuse_escape(tokens.text, tokens.start(index) + 1 + match.start(), simple)
            return value
        else:
            # Digits beyond the six that any character needs are zeros, or wrong.
            code = int((short or long).lstrip("0")[:7] or "0", 16)
            if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
                start = tokens.start(index) + 1 + match.start()
                _refuse_code_point(tokens.text, Span(start, start + len(match[0])))
        return chr(code)

    return _ESCAPE.sub(replace, body)


def _block_value(raw: str) -> str:
    lines = re.split(r"\r\n|\n|\r", raw)
    indents = [len(line) - len(line.lstrip(" \t")) for line in lines[1:] if line.strip(" \t")]
    common = min(indents, default=0)
    lines[1:] = [line[common:] for line in lines[1:]]
    filled = [at for at, line in enumerate(lines) if line.strip(" \t")]
    kept = lines[filled[0] : filled[-1] + 1] if filled else []
    return "\n".join(kept).replace('\\"""', '"""')


def _refuse_number(tokens: Tokens, index: int) -> NoReturn:
    found = tokens.texts[index]
    whole = re.fullmatch(r"(-?)0+([1-9][0-9]*|0)", found)
    hint = "numbers are written as 5, -5, 0.5 or 1e9; a name begins with a letter or '_'"
    if re.fullmatch(r"[0-9]+(?:\.[0-9]+){2,}", found):
        # A version.
        hint = f'write "{shorten(found)}"'
    raise AqlSyntaxError(
        f"expected a number, found '{shorten(found)}'",
        hint=f"write {whole[1]}{shorten(whole[2])}" if whole else hint,
        source=tokens.text,
        span=tokens.span(index),
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


__all__ = ["MAX_INT", "MIN_INT", "number", "string"]
