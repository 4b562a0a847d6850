"""Tokens: what a text is made of, and what is refused before anything is parsed."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_db.aql import literals
from aurora_db.aql.tokens import END, STRING, fault, is_number, tokenize
from aurora_db.base.errors import AqlError, AqlSyntaxError, Span


def kinds(text: str) -> list[str]:
    """The kinds of the tokens of a text, up to the first end."""
    found = tokenize(text).kinds
    return found[: found.index(END) + 1]


def string(text: str) -> str:
    """The value of a text that is one string."""
    found = tokenize(text)
    assert kinds(text) == [STRING, END]
    return literals.string(found, 0)


def number(text: str) -> int | float:
    return literals.number(tokenize(text), 0)


def refusal(text: str) -> AqlSyntaxError:
    """The first thing that is wrong with a text."""
    with pytest.raises(AqlSyntaxError) as caught:
        read(text)
    return caught.value


def read(text: str) -> None:
    """Read every token of a text, and every value of one."""
    found = tokenize(text)
    for index, kind in enumerate(found.kinds):
        wrong = fault(found, index)
        if wrong is not None:
            raise wrong
        if kind == STRING:
            literals.string(found, index)
        elif is_number(kind):
            literals.number(found, index)


def under_the_caret(text: str, error: AqlError) -> str:
    assert error.span is not None
    return text[error.span.start : error.span.end]


def test_a_text_becomes_tokens_with_their_places():
    """Each token says what it is, how it was typed and where it stands."""
    text = "users(id: 5)"
    found = tokenize(text)
    count = len(kinds(text))
    assert found.texts[:count] == ["users", "(", "id", ":", "5", ")", ""]
    assert kinds(text) == ["name", "(", "name", ":", "number", ")", "end"]
    assert [(found.start(at), found.end(at)) for at in range(count)] == [
        (0, 5), (5, 6), (6, 8), (8, 9), (10, 11), (11, 12), (12, 12),
    ]  # fmt: skip


def test_commas_white_space_and_comments_are_insignificant():
    """Only tokens matter, not what stands between them."""
    assert kinds("\ufeffa,,b # c, {\r\n\t,d") == ["name", "name", "name", "end"]
    assert kinds("") == ["end"]
    assert kinds(" # only a comment") == ["end"]


def test_all_punctuation_is_told_apart():
    """Three dots, two at signs and the operators of expressions are tokens of their own."""
    text = "... @@ @ . { } ( ) [ ] : = $ ! | & + - * / % < > ? || && == != <= >="
    assert kinds(text) == [*text.split(), "end"]
    assert kinds("a||b>=c") == ["name", "||", "name", ">=", "name", "end"]


def test_a_token_can_be_parted():
    """`Int!=5` is a type and a default, `a -5` in an expression a subtraction."""
    found = tokenize("Int!=5")
    assert found.part(1) == Span(3, 4)
    assert (found.texts[1], found.kinds[1], found.start(1)) == ("=", "=", 4)
    found = tokenize("a -5")
    assert found.part(1) == Span(2, 3)
    assert (found.texts[1], found.kinds[1], found.start(1)) == ("5", "number", 3)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("-7", -7),
        ("9223372036854775807", 9223372036854775807),
        ("-9223372036854775808", -9223372036854775808),
    ],
)
def test_an_int_has_64_bits(text: str, value: int):
    assert number(text) == value
    assert isinstance(number(text), int)


@pytest.mark.parametrize(
    "text", ["9223372036854775808", "-9223372036854775809", "1" + 30 * "0", "9" * 9000]
)
def test_an_int_outside_of_64_bits_is_refused_with_the_range(text: str):
    """The message says what fits."""
    with pytest.raises(AqlSyntaxError) as caught:
        number(text)
    assert "-9223372036854775808 to 9223372036854775807" in caught.value.message
    assert under_the_caret(text, caught.value) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.5", 0.5), ("-1.25", -1.25), ("1e3", 1000.0), ("2.5E-1", 0.25), ("1e+2", 100.0)],
)
def test_a_float_is_a_double(text: str, value: float):
    assert number(text) == value
    assert isinstance(number(text), float)


def test_a_float_must_be_finite():
    """Infinity cannot be written by a large exponent."""
    with pytest.raises(AqlSyntaxError, match="1e999 is outside of the range of Float"):
        number("1e999")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("05", "write 5"),
        ("-007", "write -7"),
        ("00", "write 0"),
        ("1.", "numbers are written as 5, -5, 0.5 or 1e9; a name begins with a letter or '_'"),
        ("5users", "numbers are written as 5, -5, 0.5 or 1e9; a name begins with a letter or '_'"),
    ],
)
def test_a_bad_number_is_refused_with_the_right_one(text: str, hint: str):
    error = refusal(text)
    assert error.message == f"expected a number, found '{text}'"
    assert error.hint == hint
    assert under_the_caret(text, error) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('""', ""),
        ('"a b"', "a b"),
        ('"tab\there"', "tab\there"),
        (r'"\" \\ \/ \b \f \n \r \t"', '" \\ / \b \f \n \r \t'),
        (r'"\u00e9"', "é"),
        (r'"\ud83d\ude00"', "😀"),
        (r'"\u{1f600} \u{41}"', "😀 A"),
        ('"# no comment, no comma"', "# no comment, no comma"),
    ],
)
def test_a_string_has_the_escapes_of_json_and_braces(text: str, value: str):
    assert string(text) == value


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_string_of_json_is_a_string(value: str):
    """What a JSON library writes, with or without ASCII only, is read as the same text."""
    assert string(json.dumps(value)) == value
    assert string(json.dumps(value, ensure_ascii=False)) == value


@pytest.mark.parametrize(
    ("text", "message", "caret"),
    [
        (r'"a\q"', r"no escape '\q' in strings", r"\q"),
        (r'"a\u12"', r"no escape '\u' in strings", r"\u"),
        (r'"a\ud83d"', r"'\ud83d' is not a character of Unicode", r"\ud83d"),
        (r'"a\ude00"', r"'\ude00' is not a character of Unicode", r"\ude00"),
        (r'"\u{110000}"', r"'\u{110000}' is not a character of Unicode", r"\u{110000}"),
        ('"a\x01"', "the control character U+0001 must be escaped in a string", "\x01"),
        ('{ "a', "expected '\"' to close the string, found end of text", '"a'),
        ('{ "a\n}', "expected '\"' to close the string, found end of line", '"a'),
        ('{ "a\\\n}', "expected '\"' to close the string, found end of line", '"a'),
        ('{ "a\\', "expected '\"' to close the string, found end of text", '"a'),
    ],
)
def test_a_bad_string_is_refused_at_its_fault(text: str, message: str, caret: str):
    error = refusal(text)
    assert error.message == message
    assert under_the_caret(text, error) == caret


def test_a_block_string_loses_its_common_indentation():
    """Blank lines around and the indentation of the code are not part of the text."""
    text = '"""\n      Hello,\n        "World"!\n\n      \\""" bye\n   \n"""'
    assert string(text) == 'Hello,\n  "World"!\n\n""" bye'
    assert string('"""one line"""') == "one line"
    assert string('""""""') == ""


def test_an_unclosed_block_string_says_where_it_was_opened():
    error = refusal('{\n  a(x: """one\ntwo\n')
    assert error.message == 'expected \'"""\' to close the block string, found end of text'
    assert error.hint == "it was opened on line 2"
    assert error.line == 4


@pytest.mark.parametrize(
    ("text", "found"), [("a 'x y' b", "'x y'"), ("`x`", "`x`"), ("“x”", "“x”"), ("a 'x", "'")]
)
def test_other_quotes_are_refused_with_the_double_ones(text: str, found: str):
    error = refusal(text)
    assert error.message == f"expected a string in double quotes, found {found}"
    assert error.hint is not None
    assert error.hint.startswith('write "')
    assert under_the_caret(text, error) == found


@pytest.mark.parametrize(
    ("text", "found", "hint"),
    [
        ("a; b", "';'", "leave it out: nothing stands between statements"),
        ("a\u00a0b", "the character U+00A0", "write an ordinary space"),
        ("é", "'é'", "names are of the letters A to Z, digits and '_'"),
        ("a ~", "'~'", None),
        ("\x00", "the character U+0000", None),
    ],
)
def test_a_foreign_character_is_refused(text: str, found: str, hint: str | None):
    error = refusal(text)
    assert error.message == f"expected a name, a value or punctuation, found {found}"
    assert error.hint == hint


def test_half_of_a_surrogate_pair_is_no_text():
    """It could never be written as UTF-8."""
    assert refusal("{ a\ud800 }").message == ("U+D800 is half of a surrogate pair, not a character")


def test_brackets_nest_64_deep_and_no_deeper():
    assert len(kinds("{" * 64)) == 65
    error = refusal("{" * 64 + "[")
    assert error.message == "brackets are nested more than 64 deep"
    assert error.column == 65


def test_a_text_has_10000_tokens_outside_of_lists():
    """A long list of values is data, everything else is a program."""
    assert len(kinds("a " * 9_999)) == 10_000
    assert refusal("a " * 10_000 + "b").message == "the text has more than 10000 tokens"
    assert len(kinds("[" + "{a: 1} " * 20_000 + "]" + "a " * 9_000)) == 109_003
    assert refusal("[" + "1 " * 20_000 + "]" + "a " * 10_000).message == (
        "the text has more than 10000 tokens"
    )


def test_a_text_has_at_most_1_mib():
    """Measured as UTF-8."""
    limit = 1024 * 1024
    assert kinds("#" + "a" * (limit - 1)) == ["end"]
    assert refusal("#" + "a" * limit).message == "the text is longer than 1 MiB"
    assert refusal("#" + "é" * (limit // 2)).message == "the text is longer than 1 MiB"


@pytest.mark.parametrize(
    "text",
    [
        "{" * 1_000_000,
        "a " * 500_000,
        " " * 1_000_000 + "'",
        "# c\n" * 250_000 + "~",
        '"' + "\\a" * 500_000,
        '"""' + '\\"' * 500_000,
        "-" * 1_000_000,
        "1" * 1_000_000,
        "[" + "." * 1_000_000,
        "1." * 500_000,
        '"' + "a" * 1_000_000,
        '"""' + '\\"""' * 250_000,
        "'" * 1_000_000,
        "1e+" * 300_000,
    ],
    ids=lambda text: text[:8],
)
def test_a_hostile_text_is_refused_quickly(text: str):
    """No pattern backtracks: a megabyte takes a fraction of a second at worst."""
    start = time.process_time()
    with contextlib.suppress(AqlSyntaxError):
        read(text)
    assert time.process_time() - start < 5.0


@given(st.text(st.characters(), max_size=60) | st.text('"\\ud8{}[]()#.-10e,n\n =!|&', max_size=60))
def test_any_text_has_tokens_that_cover_it_or_is_refused(text: str):
    """Tokens are in order and as typed; what is between them is insignificant."""
    try:
        found = tokenize(text)
    except AqlSyntaxError:
        return
    count = len(kinds(text))
    places = [(found.start(at), found.end(at)) for at in range(count)]
    assert places[-1] == (len(text), len(text))
    assert [text[start:end] for start, end in places] == found.texts[:count]
    gaps = [text[left:right] for (_, left), (right, _) in itertools.pairwise([(0, 0), *places])]
    for gap in gaps:
        assert all(
            not line.strip(" \t,\ufeff") for line in re.sub("#[^\r\n]*", "", gap).splitlines()
        )
