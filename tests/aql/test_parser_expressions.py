"""Expressions and templates: operators, precedence, pipes, holes, and what is refused."""

from __future__ import annotations

import pytest

from aurora_db.aql.parser import parse
from aurora_db.aql.parser_expressions import parse_expression, parse_template
from aurora_db.aql.syntax import (
    CallExpression,
    Computed,
    Expression,
    ExpressionLiteral,
    FieldSelection,
    ListExpression,
    Name,
    Operation,
    PathExpression,
    Selection,
    StringLiteral,
    Template,
    VariableRef,
)
from aurora_db.base.errors import AqlError, AqlSyntaxError


def written(made: Expression) -> str:
    """An expression in the form `add(a, multiply(b, 2))`."""
    match made:
        case CallExpression(function=function, arguments=arguments):
            return f"{function.text}({', '.join(map(written, arguments))})"
        case PathExpression(parts=parts):
            return ".".join(parts)
        case ListExpression(items=items):
            return f"[{', '.join(map(written, items))}]"
        case Template(parts=parts):
            return "".join(one if isinstance(one, str) else f"<{written(one)}>" for one in parts)
        case VariableRef(name=name):
            return f"${name}"
        case StringLiteral(value=value):
            return f"'{value}'"
        case _:
            return repr(getattr(made, "value", None))


def selected(text: str) -> list[Selection]:
    """The selections of a query."""
    (query,) = parse("{ " + text + " }").definitions
    assert isinstance(query, Operation)
    return list(query.roots)  # type: ignore[arg-type]


def refusal(text: str) -> AqlError:
    with pytest.raises(AqlSyntaxError) as caught:
        parse_expression(text)
    return caught.value


# --- operators ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        # one of each
        ("a", "a"),
        ("a.b.c", "a.b.c"),
        ("5", "5"),
        ("2.5", "2.5"),
        ('"x"', "'x'"),
        ("true", "True"),
        ("null", "None"),
        ("$min", "$min"),
        ("[a, 1 b + 1]", "[a, 1, add(b, 1)]"),
        ("now()", "now()"),
        ("round(price, 2)", "round(price, 2)"),
        ("a || b", "or(a, b)"),
        ("a && b", "and(a, b)"),
        ("a == b", "eq(a, b)"),
        ("a != b", "ne(a, b)"),
        ("a > b", "gt(a, b)"),
        ("a >= b", "gte(a, b)"),
        ("a < b", "lt(a, b)"),
        ("a <= b", "lte(a, b)"),
        ("a + b", "add(a, b)"),
        ("a - b", "subtract(a, b)"),
        ("a * b", "multiply(a, b)"),
        ("a / b", "divide(a, b)"),
        ("a % b", "mod(a, b)"),
        ("!a", "not(a)"),
        ("- a", "negate(a)"),
        ("a ? b : c", "if(a, b, c)"),
        ("a | upper", "upper(a)"),
        ("a | truncate(5)", "truncate(a, 5)"),
        # precedence, as in JavaScript
        ("a + b * c", "add(a, multiply(b, c))"),
        ("a * b + c", "add(multiply(a, b), c)"),
        ("(a + b) * c", "multiply(add(a, b), c)"),
        ("a - b - c", "subtract(subtract(a, b), c)"),
        ("a - (b - c)", "subtract(a, subtract(b, c))"),
        ("a / b * c % d", "mod(multiply(divide(a, b), c), d)"),
        ("a + b > c - d", "gt(add(a, b), subtract(c, d))"),
        ("a < b == c < d", "eq(lt(a, b), lt(c, d))"),
        ("a == b && c != d", "and(eq(a, b), ne(c, d))"),
        ("a || b && c", "or(a, and(b, c))"),
        ("a && b || c", "or(and(a, b), c)"),
        ("!a && b", "and(not(a), b)"),
        ("!a == b", "eq(not(a), b)"),
        ("- a * b", "multiply(negate(a), b)"),
        ("!!a", "not(not(a))"),
        ("!-a", "not(negate(a))"),
        ("a || b ? c : d", "if(or(a, b), c, d)"),
        ("a ? b : c ? d : e", "if(a, b, if(c, d, e))"),
        ("a ? b ? c : d : e", "if(a, if(b, c, d), e)"),
        # a row of && or || is one call
        ("a && b && c", "and(a, b, c)"),
        ("a || b || c || d", "or(a, b, c, d)"),
        ("a && (b && c) && d", "and(a, and(b, c), d)"),
        ("(a && b) && c", "and(and(a, b), c)"),
        ("a || b && c || d", "or(a, and(b, c), d)"),
        # pipes bind weakest
        ("a | trim | upper", "upper(trim(a))"),
        ("a + b | round(1)", "round(add(a, b), 1)"),
        ("a + (b | abs)", "add(a, abs(b))"),
        ("f(a | g, b)", "f(g(a), b)"),
        ("a ? b : c | f", "if(a, b, f(c))"),
        ("(a ? b : c) | f", "f(if(a, b, c))"),
        ("a || b | f", "f(or(a, b))"),
        # minus is an operator wherever an operand has ended
        ("a -5", "subtract(a, 5)"),
        ("a-5", "subtract(a, 5)"),
        ("a - -5", "subtract(a, -5)"),
        ("-5", "-5"),
        ("-5 - 5", "subtract(-5, 5)"),
        ("a * -5", "multiply(a, -5)"),
        ("2 -1.5e1", "subtract(2, 15.0)"),
        ("f(a -1)", "f(subtract(a, 1))"),
        ("[1 -1]", "[subtract(1, 1)]"),
        ("(a, -1)", "subtract(a, 1)"),
        # but for a comma among arguments or items
        ("f(a, -1)", "f(a, -1)"),
        ("f(a, - b)", "f(a, negate(b))"),
        ("f(c ? a : b, -1)", "f(if(c, a, b), -1)"),
        ("f((a, -1))", "f(subtract(a, 1))"),
        ("[1, -1, - 2]", "[1, -1, negate(2)]"),
        ("$a -5", "subtract($a, 5)"),
        ("(a) -5 -6", "subtract(subtract(a, 5), 6)"),
        ("-9223372036854775808", "-9223372036854775808"),
        # words are not reserved
        ("null.x", "null.x"),
        ("true(1)", "true(1)"),
        ("not(a) && and(b, or)", "and(not(a), and(b, or))"),
        # strings are templates
        ('"n: ${a + 1}" + b', "add(n: <add(a, 1)>, b)"),
    ],
)
def test_an_expression_has_the_precedence_of_javascript(text: str, tree: str):
    assert written(parse_expression(text)) == tree


def test_an_expression_knows_where_its_parts_stand():
    """A span covers the whole of a part, its parentheses included; an operator has its own."""
    text = "(a + b.c) * f(-5, x -5)"
    made = parse_expression(text)
    assert isinstance(made, CallExpression)
    added, called = made.arguments
    assert isinstance(added, CallExpression)
    assert isinstance(called, CallExpression)
    parted = called.arguments[1]
    assert isinstance(parted, CallExpression)
    nodes = [
        made,
        made.function,
        added,
        added.function,
        added.arguments[1],
        called,
        called.function,
    ]
    assert [text[slice(*node.span)] for node in nodes] == [
        text, "*", "a + b.c", "+", "b.c", "f(-5, x -5)", "f",
    ]  # fmt: skip


# --- in selections --------------------------------------------------------------------------


def test_a_computed_field_is_told_from_a_field_with_an_alias():
    text = """
    a: b  c: d(e: 1)  f: g()  h: now()  i: "x"  j: b | f  k: l(m)  n: -5  o: !p  q: [r]
    s: $t  u: v.w  x: y(z: 1) { a }  b1: c1 == d1  e1: 5  f1: g1() + 1  h1: (i1)  j1: k1(5)
    """
    kinds = {
        (one.alias.text if one.alias else ""): type(one)
        for one in selected(text)
        if isinstance(one, (Computed, FieldSelection))
    }
    assert [name for name, kind in kinds.items() if kind is FieldSelection] == ["a", "c", "f", "x"]
    assert len(kinds) == 18


def test_a_computed_field_ends_where_the_next_selection_begins():
    """No comma is needed between them."""
    made = selected("total: price * qty @include(if: $x) name label: ok ? yes : no id ...F")
    assert [type(one).__name__ for one in made] == [
        "Computed", "FieldSelection", "Computed", "FieldSelection", "FragmentSpread",
    ]  # fmt: skip
    total = made[0]
    assert isinstance(total, Computed)
    assert written(total.expression) == "multiply(price, qty)"
    assert total.directives[0].name == Name("include")


def test_an_expression_stands_in_the_place_of_a_value():
    (root,) = selected('t(x: expr("a + \\"b\\""))')
    assert isinstance(root, FieldSelection)
    made = root.arguments[0].value
    assert isinstance(made, ExpressionLiteral)
    assert made.text == 'a + "b"'
    assert written(made.expression) == "add(a, 'b')"


# --- templates ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", "''"),
        ("plain", "'plain'"),
        ("${a}", "<a>"),
        ("$a", "<a>"),
        ("a ${b} c $d.", "a <b> c <d>."),
        ("$a.b", "<a>.b"),
        ("${a.b}", "<a.b>"),
        ("${a}${b}", "<a><b>"),
        ("5 $ and $5", "'5 $ and $5'"),
        ("${price * qty | round(2)} €", "<round(multiply(price, qty), 2)> €"),
        ('${"}" + a}', "<add('}', a)>"),
        (r'${"\"}" + a}', "<add('\"}', a)>"),
        ('${"in ${a}"}', "<in <a>>"),
        ("${ a ? b : c }", "<if(a, b, c)>"),
    ],
)
def test_a_template_is_texts_and_holes(text: str, parts: str):
    assert written(parse_template(text)) == parts


# --- refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "expected a value in the expression, found end of text", None),
        ("a +", "expected a value in the expression, found end of text", None),
        ("a b", "expected an operator or the end of the expression, found 'b'", None),
        ("a = b", "expected an operator or the end of the expression, found '='", "write '=='"),
        ("a & b", "expected an operator or the end of the expression, found '&'", "write '&&'"),
        ("a and b", "expected an operator or the end of the expression, found 'and'", "write '&&'"),
        ("a or b", "expected an operator or the end of the expression, found 'or'", "write '||'"),
        ("a <> b", "expected a value in the expression, found '>'", "write '!=' instead of '<>'"),
        ("a === b", "expected a value in the expression, found '='", "write '=='"),
        ("(a", "expected ')' to close the parenthesis, found end of text", "'(' was opened on line 1"),
        ("f(a", "expected ')' to close the arguments of 'f', found end of text", "'(' was opened on line 1"),
        ("[a", "expected ']' to close the list, found end of text", "'[' was opened on line 1"),
        ("a ? b", "expected ':' and the other value after '?', found end of text", None),
        ("a | 5", "expected the name of a function after '|', found '5'", None),
        ("a. 5", "expected a name after 'a.', found '5'", None),
        ("a ^ b", "expected a name, a value or punctuation, found '^'", None),
        ("{a: 1}", "expected a value in the expression, found '{'", None),
        ("a 'b'", "expected a string in double quotes, found 'b'", 'write "b"'),
        ("a + 05", "expected a number, found '05'", "write 5"),
    ],
)  # fmt: skip
def test_a_bad_expression_is_told_with_what_was_expected(text: str, message: str, hint: str | None):
    error = refusal(text)
    assert error.message == message
    assert error.hint == hint


def test_an_error_in_a_string_points_at_the_string():
    """Places in the inner text are none of the outer one."""
    for text, at in [
        ('{ t { a: "x ${b +} y" } }', '"x ${b +} y"'),
        ('{ t(where: {expr: expr("a +")}) }', '"a +"'),
        ('{ t { a: f("${") } }', '"${"'),
    ]:
        with pytest.raises(AqlSyntaxError) as caught:
            parse(text)
        assert caught.value.span is not None
        assert text[slice(*caught.value.span)] == at


def test_a_hole_that_is_not_closed_is_refused():
    with pytest.raises(AqlSyntaxError) as caught:
        parse_template("a ${b")
    assert caught.value.message == "expected '}' to close the '${' of the template"
    assert caught.value.hint == "write ${name}"


# --- depth ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opening", "inner", "closing"),
    [("(", "a", ")"), ("f(", "a", ")"), ("[", "a", "]"), ("!", "a", ""), ("- ", "a", ""), ("", "a", " + a"), ("", "a", " - 1"),
     ("", "a", " | f"), ("a ? b : ", "a", ""), ("a ? ", "b", " : c"), ("", "a", " == a"), ("a + (", "a", ")"),
     ("", "a", " -1")],
)  # fmt: skip
def test_an_expression_is_at_most_64_levels_deep(opening: str, inner: str, closing: str):
    """Whatever makes it deep: whoever walks over it may recurse."""
    assert parse_expression(opening * 60 + inner + closing * 60)
    for depth in (65, 900, 9_000):
        error = refusal(opening * depth + inner + closing * depth)
        assert error.message in (
            "an expression has more than 64 levels",
            "brackets are nested more than 64 deep",
            "the text has more than 10000 tokens",
        )


def test_a_row_of_conditions_is_one_level():
    """Programs write long ones."""
    made = parse_expression(" || ".join(f"a == {n}" for n in range(2_000)))
    assert isinstance(made, CallExpression)
    assert len(made.arguments) == 2_000


def test_strings_within_strings_count_as_levels():
    """A template in a template in a template: each has its expression."""
    text = "a"
    with pytest.raises(AqlSyntaxError) as caught:
        for _ in range(16):
            text = (
                '"${' + "f(" * 6 + text.replace("\\", "\\\\").replace('"', '\\"') + ")" * 6 + '}"'
            )
            parse_expression(text)
    assert caught.value.message == "an expression has more than 64 levels"
