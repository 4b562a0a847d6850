"""What the parser refuses: where the caret stands, what was expected, what to type."""

from __future__ import annotations

import pytest

from aurora_db.aql.parser import parse
from aurora_db.aql.syntax import Document
from aurora_db.base.errors import (
    AqlError,
    AqlSyntaxError,
    DuplicateArgument,
    MissingArgument,
)


def refusal(text: str, error: type[AqlError] = AqlSyntaxError) -> AqlError:
    with pytest.raises(AqlError) as caught:
        parse(text)
    assert type(caught.value) is error
    return caught.value


def under_the_caret(text: str, error: AqlError) -> str:
    assert error.span is not None
    return text[error.span.start : error.span.end]


# --- refused by name ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "{ t { n: count } }",
        "{ t { n: sum(field: 1) } }",
        "{ t { n: count() } }",
        "{ n: users(limit: -1) }",
        "{ t { a: b c } }",
    ],
)
def test_an_alias_alone_is_no_computed_field(text: str):
    assert isinstance(parse(text), Document)


# --- refused as duplicates ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message", "at"),
    [
        ("{ t(a: 1, b: 2, a: 3) }", "the argument 'a' stands twice", "a: 3"),
        ('{ t(x: {a: 1, "a": 3}) }', "the key 'a' stands twice", '"a": 3'),
        ("{ t @include(if: 1, if: 3) }", "the argument 'if' stands twice", "if: 3"),
        ("query($a: Int, $a: ID) { t }", "the variable '$a' stands twice", "$a: ID"),
        ("define collection t { a: Int a: ID }", "the field 'a' stands twice", "a: ID"),
        ('define handler "x" { on: "a" on: "b" }', "'on' stands twice", 'on: "b"'),
    ],
)
def test_nothing_stands_twice(text: str, message: str, at: str):
    """The caret is under the second one."""
    error = refusal(text, DuplicateArgument)
    assert error.message == message
    assert error.span is not None
    assert error.span.start == text.index(at)


# --- refused as mistakes --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message", "caret"),
    [
        ("", "expected a query, a mutation or a definition, found end of text", ""),
        ("{ users { 5 } }",
         "expected a field or '}' to close the selection of 'users', found '5'", "5"),
        ("{ users } }", "expected a query, a mutation or a definition, found '}'", "}"),
        ("query Q users", "expected '{' to open the query 'Q', found 'users'", "users"),
        ("query Q", "expected '{' to open the query 'Q', found end of text", ""),
        ("{ t(a: ) }", "expected a value of 'a', found ')'", ")"),
        ("{ t(a 5) }", "expected ':' after the argument 'a', found '5'", "5"),
        ("{ t(a: {b 5}) }", "expected ':' after the key 'b', found '5'", "5"),
        ("{ t(a: [1 ) }", "expected a value or ']' to close the list of 'a', found ')'", ")"),
        ("{ t(a: $ 5) }", "expected the name of a variable after '$', found '5'", "5"),
        ("{ t(a: $b. 5) }", "expected a name after '$b.', found '5'", "5"),
        ("{ a: { b } }", "expected a field after the alias 'a', found '{'", "{"),
        ("{ t @ { a } }", "expected the name of a directive after '@', found '{'", "{"),
        ("query() { t }", "expected '$' and the name of a variable, found ')'", ")"),
        ("query($a Int) { t }", "expected ':' and a type after the variable '$a', found 'Int'",
         "Int"),
        ("query($a: 5) { t }", "expected the type of '$a', found '5'", "5"),
        ("query($a: Int = $b) { t }",
         "expected a constant as the default of '$a', found the variable '$b'", "$b"),
        ("mutation { a: 5 }", "expected a mutation after the alias 'a', found '5'", "5"),
        ("mutation { a: schema { } }", "a schema block takes no alias", "a: schema"),
        ("define collection { }", "expected the name of a collection, found '{'", "{"),
        ("define collection t { a: }", "expected the type of 'a', found '}'", "}"),
        ("define collection t { a: [Int }",
         "expected '!' or ']' to close the list type of 'a', found '}'", "}"),
        ("define collection t { a: Int(5) }", "the type 'Int' takes no values", "Int(5)"),
        ("define collection t { a: Enum() }", "'Enum' needs at least one word", "Enum()"),
        ("define collection t { a: [Int] = [$x] }",
         "expected a constant as the default of 'a', found the variable '$x'", "$x"),
        ("define collection t { @@index }", "expected '(' after '@@index', found '}'", "}"),
        ("define collection t if exists {}", "expected 'not' after 'if', found 'exists'", "exists"),
        ('schema { define handler "x" {} }',
         "expected 'collection' after 'define' in a schema block, found 'handler'", "handler"),
        ('define handler "x" { on: insert }',
         "expected an event in double quotes after 'on:', found 'insert'", "insert"),
        ('define handler "x" { on: [] }', "expected an event in 'on', found none", "[]"),
        ('define handler "x" { on: [a] }', "expected an event in double quotes in 'on'", "a"),
        ('define handler "x" { fields: [5] }', "expected the name of a field or ']' to close 'fields', found '5'", "5"),
        ('define handler "x" { where: $w }',
         "expected '{' and conditions after 'where:', found '$'", "$"),
        ('define handler "x" { action: {} }', "expected a mutation in the action, found none",
         "{}"),
        ('drop handler "x" if not', "expected 'exists' after 'if', found 'not'", "not"),
        ('{ a } "text"', 'expected a query, a mutation or a definition, found the string "text"',
         '"text"'),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_what_was_expected_and_found(text: str, message: str, caret: str):
    error = refusal(text)
    assert error.code == "syntax"
    assert error.message == message
    assert under_the_caret(text, error) == caret


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("qurey { a }", "did you mean 'query'?"),
        ("Mutation { a }", "did you mean 'mutation'?"),
        ("defin collection t {}", "did you mean 'define'?"),
        ("define colection t {}", "did you mean 'collection'?"),
        ("collection t {}", "write 'define collection'"),
        ("schema { collection t {} }", "write 'define collection'"),
        ('insertInto(collection: "t")', "write 'mutation { insertInto … }'"),
        ("{ t(limit = 5) }", "write ':' instead of '='"),
        ("{ t(where: {a = 5}) }", "write ':' instead of '='"),
        ("{ t @include(if = true) }", "write ':' instead of '='"),
        ("{ t(a: 'x') }", 'write "x"'),
        ("define handler x {}", "write 'define handler \"x\"'"),
        ("define collection t { name String }", "write 'name: String'"),
        ('define handler "x" { filds: [a] }', "did you mean 'fields'?"),
        ("// a comment\n{ t }", "a comment begins with '#'"),
        ("{ t -- a comment\n}", "a comment begins with '#'"),
        ("{ t { a } } }", "a brace before this one is closed twice"),
        ("{ t { price * 2 } }", "a computed field needs an alias, as 'total: price * qty'"),
    ],
)
def test_a_common_mistake_has_a_hint_of_what_to_type(text: str, hint: str):
    error = refusal(text)
    assert error.hint is not None
    assert error.hint == hint


@pytest.mark.parametrize(
    ("text", "message", "opened"),
    [
        ("query {\n  users {\n    id\n", "expected '}' to close the selection of 'users'", 2),
        ("query {\n  users {\n    id\n  }\n", "expected '}' to close the query", 1),
        ("mutation M {\n  a\n", "expected '}' to close the mutation 'M'", 1),
        ("mutation { transaction {\n a }", "expected '}' to close the mutation", 1),
        ("{ t(\n  a: 1", "expected ')' to close the arguments of 't'", 1),
        ("{ t(a: [\n1,\n2", "expected ']' to close the list of 'a'", 1),
        ("{ t(\na: {\nb: 1", "expected '}' to close the object of 'a'", 2),
        ("schema {\n\ndefine collection t { a: Int }", "expected '}' to close the schema block", 1),
        ("\ndefine collection t {\n a: Int", "expected '}' to close the collection 't'", 2),
        ('define handler "x" {\n on: "a"\n', "expected '}' to close the handler 'x'", 1),
    ],
)
def test_an_unclosed_bracket_is_told_at_the_end_with_its_beginning(
    text: str, message: str, opened: int
):
    """The line is the last one or beyond it; the hint leads back to the bracket."""
    error = refusal(text)
    assert error.message == f"{message}, found end of text"
    assert error.line is not None
    assert error.line >= text.count("\n") + 1
    assert error.hint is not None
    assert error.hint.endswith(f"was opened on line {opened}")


def test_an_unknown_first_word_is_told_on_line_one():
    error = refusal("selct * from users\nwhere a = 1")
    assert (error.line, error.column) == (1, 1)
    assert error.excerpt is not None
    assert error.excerpt.startswith("1 | selct * from users\n")
    assert error.excerpt.endswith(" ^^^^^")


def test_a_handler_needs_an_event_and_an_action():
    error = refusal('define handler "x" { action: { enqueueJob } }', MissingArgument)
    assert error.message == "the handler 'x' has no 'on'"
    assert error.hint == "add 'on: \"insert:products\"'"
    error = refusal('define handler "x" { on: "insert:t" }', MissingArgument)
    assert error.message == "the handler 'x' has no 'action'"
