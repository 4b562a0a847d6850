"""Agreement with GraphQL: what AQL takes from it is read exactly as a GraphQL parser reads it.

The parser compared with is graphql-core. The scope is that of principle 3 of the language: queries,
mutations, subscriptions and fragments without computed fields, `{}`, `()`, keys in quotes, `$a.b`
and `expr(…)`. Both trees are brought into one plain form.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import graphql
import pytest
from graphql.language import ast
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aurora_db.aql import syntax
from aurora_db.aql.parser import parse
from aurora_db.base.errors import AqlError

calmly = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

# --- texts ----------------------------------------------------------------------------------

NAMES = st.sampled_from(
    [
        "users",
        "id",
        "a",
        "b1",
        "_x",
        "on",
        "query",
        "fragment",
        "type",
        "input",
        "if",
        "Int",
        "define",
    ]
)
FRAGMENT_NAMES = NAMES.filter(lambda name: name != "on")
WORDS = NAMES.filter(lambda name: name not in ("true", "false", "null")) | st.just("DESC")
#: What a block string may hold: quotes only where they do not end it.
BLOCKS = st.lists(
    st.sampled_from(["a", " ", "\n", "\t", "  b", '"', '\\"""', "\\", "\r\n", "é"])
).map(lambda parts: '"""' + "".join(parts).replace('""', '" "') + ' """')
ESCAPES = st.lists(
    st.sampled_from(
        [
            r"\n",
            r"\"",
            r"\\",
            r"\/",
            r"\b\f\r\t",
            r"\u00e9",
            r"\ud83d\ude00",
            r"\u{1F600}",
            "é",
            "x",
        ]
    )
).map(lambda parts: '"' + "".join(parts) + '"')
STRINGS = (
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8).map(
        lambda text: json.dumps(text, ensure_ascii=False)
    )
    | ESCAPES
    | BLOCKS
)
NUMBERS = (
    st.integers(-(2**63), 2**63 - 1).map(str)
    | st.floats(allow_nan=False, allow_infinity=False).map(lambda x: repr(x).replace("e+", "e"))
    | st.sampled_from(["0", "-0", "-0.0", "1E5", "1.5e-3", "0e1"])
)
SCALARS = STRINGS | NUMBERS | WORDS | st.sampled_from(["true", "false", "null"])


def joined(*parts: st.SearchStrategy[str], by: str = " ") -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(by.join)


def several(part: st.SearchStrategy[str], least: int = 0, most: int = 3) -> st.SearchStrategy[str]:
    between = st.sampled_from([" ", ",", "\n", " # , {\n "])
    return st.lists(part, min_size=least, max_size=most).flatmap(
        lambda parts: between.map(lambda one: one.join(parts))
    )


def around(opening: str, inner: st.SearchStrategy[str], closing: str) -> st.SearchStrategy[str]:
    return inner.map(lambda text: f"{opening}{text}{closing}")


def maybe(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.just("") | part


def named(value: st.SearchStrategy[str], least: int = 0) -> st.SearchStrategy[str]:
    """`a: value` with different names."""
    return st.lists(NAMES, unique=True, min_size=least, max_size=3).flatmap(
        lambda names: (
            joined(*[value.map(f"{name}: {{}}".format) for name in names], by=" ,")
            if names
            else st.just("")
        )
    )


def values(leaves: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        leaves,
        lambda inner: around("[", several(inner), "]") | around("{", named(inner), "}"),
        max_leaves=6,
    )


VALUES = values(SCALARS | NAMES.map("${}".format))
CONSTANTS = values(SCALARS)
ARGUMENTS = around("(", named(VALUES, 1), ")")
DIRECTIVES = several(joined(NAMES.map("@{}".format), maybe(ARGUMENTS), by=""), most=2)
#: Those of a variable, whose arguments hold none.
FIXED = several(
    joined(NAMES.map("@{}".format), maybe(around("(", named(CONSTANTS, 1), ")")), by=""), most=1
)
FIELDS = joined(maybe(NAMES.map("{}:".format)), NAMES, maybe(ARGUMENTS), DIRECTIVES)


def _selection(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    part = (
        joined(FIELDS, maybe(inner))
        | joined(st.just("..."), FRAGMENT_NAMES, DIRECTIVES)
        | joined(st.just("..."), maybe(NAMES.map("on {}".format)), DIRECTIVES, inner)
    )
    return around("{", several(part, 1), "}")


SELECTIONS = st.recursive(around("{", several(FIELDS, 1), "}"), _selection, max_leaves=4)
TYPES = st.recursive(
    NAMES | NAMES.map("{}!".format),
    lambda inner: around("[", inner, "]") | around("[", inner, "]!"),
    max_leaves=2,
)
VARIABLES = st.lists(NAMES, unique=True, min_size=1, max_size=3).flatmap(
    lambda names: joined(
        *[
            joined(st.just(f"${name}:"), TYPES, maybe(CONSTANTS.map("= {}".format)), FIXED)
            for name in names
        ]
    ).map("({})".format)
)
OPERATIONS = SELECTIONS | joined(
    st.sampled_from(["query", "subscription"]),
    maybe(NAMES),
    maybe(VARIABLES),
    DIRECTIVES,
    SELECTIONS,
)
#: The roots of a mutation are fields: `schema {` and `transaction {` are AQL's own.
MUTATIONS = joined(
    st.just("mutation"), maybe(NAMES), maybe(VARIABLES), DIRECTIVES,
    around("{", several(joined(FIELDS, maybe(SELECTIONS)), 1), "}"),
)  # fmt: skip
FRAGMENTS = joined(
    st.just("fragment"), FRAGMENT_NAMES, st.just("on"), NAMES, DIRECTIVES, SELECTIONS
)
DOCUMENTS = several(OPERATIONS | MUTATIONS | FRAGMENTS, 1)

# --- one form for two trees -----------------------------------------------------------------


def ours(node: Any) -> Any:
    """A tree of AQL in plain lists."""
    match node:
        case None | str():
            return node
        case tuple():
            return [ours(one) for one in node]
        case syntax.Name(text=text):
            return text
        case syntax.IntLiteral(value=value) | syntax.FloatLiteral(value=value):
            return [type(value).__name__, repr(value)]
        case syntax.StringLiteral(value=value) | syntax.BooleanLiteral(value=value):
            return [type(value).__name__, value]
        case syntax.NullLiteral():
            return ["null"]
        case syntax.Word(text=text):
            return ["word", text]
        case syntax.VariableRef(name=name, path=()):
            return ["variable", name]
        case syntax.ListLiteral(items=items):
            return ["list", *map(ours, items)]
        case syntax.ObjectLiteral(entries=entries):
            return ["object", *map(ours, entries)]
        case syntax.Entry(key=key, value=value):
            return [ours(key), ours(value)]
        case syntax.Directive(name=name, arguments=arguments, positional=()):
            return ["directive", ours(name), ours(arguments)]
        case syntax.FieldSelection():
            inner = [] if node.selection is None else ours(node.selection)
            return [
                "field",
                *map(ours, (node.name, node.alias, node.arguments, node.directives)),
                inner,
            ]
        case syntax.FragmentSpread(name=name, directives=directives):
            return ["spread", ours(name), ours(directives)]
        case syntax.InlineFragment(on=on, directives=directives, selection=selection):
            return ["inline", ours(on), ours(directives), ours(selection)]
        case syntax.FragmentDefinition(
            name=name, on=on, directives=directives, selection=selection
        ):
            return ["fragment", ours(name), ours(on), ours(directives), ours(selection)]
        case syntax.TypeRef(name=name, required=required, item=item):
            return [name or ours(item), required]
        case syntax.VariableDefinition():
            return [node.name, *map(ours, (node.type, node.default, node.directives))]
        case syntax.Operation(kind=kind):
            return [kind, *map(ours, (node.name, node.variables, node.directives, node.roots))]
        case syntax.Document(definitions=definitions):
            return ours(definitions)
        case _:
            raise AssertionError(f"not of GraphQL: {node!r}")


def theirs(node: Any) -> Any:
    """A tree of graphql-core in the same plain lists."""
    match node:
        case None:
            return None
        case tuple() | list():
            return [theirs(one) for one in node]
        case ast.NameNode(value=text):
            return text
        case ast.IntValueNode(value=text):
            return ["int", repr(int(text))]
        case ast.FloatValueNode(value=text):
            return ["float", repr(float(text))]
        case ast.StringValueNode(value=text):
            return ["str", text]
        case ast.BooleanValueNode(value=value):
            return ["bool", value]
        case ast.NullValueNode():
            return ["null"]
        case ast.EnumValueNode(value=text):
            return ["word", text]
        case ast.VariableNode(name=name):
            return ["variable", theirs(name)]
        case ast.ListValueNode(values=items):
            return ["list", *map(theirs, items)]
        case ast.ObjectValueNode(fields=fields):
            return ["object", *map(theirs, fields)]
        case ast.ObjectFieldNode(name=name, value=value) | ast.ArgumentNode(name=name, value=value):
            return [theirs(name), theirs(value)]
        case ast.DirectiveNode(name=name, arguments=arguments):
            return ["directive", theirs(name), theirs(arguments or ())]
        case ast.FieldNode():
            inner = [] if node.selection_set is None else theirs(node.selection_set.selections)
            return [
                "field",
                *map(theirs, (node.name, node.alias, node.arguments or (), node.directives or ())),
                inner,
            ]
        case ast.FragmentSpreadNode(name=name, directives=directives):
            return ["spread", theirs(name), theirs(directives or ())]
        case ast.InlineFragmentNode(type_condition=on, directives=directives, selection_set=inner):
            return [
                "inline",
                theirs(on and on.name),
                theirs(directives or ()),
                theirs(inner.selections),
            ]
        case ast.FragmentDefinitionNode(name=name, type_condition=on, directives=directives):
            return [
                "fragment",
                theirs(name),
                theirs(on.name),
                theirs(directives or ()),
                theirs(node.selection_set.selections),
            ]
        case ast.NonNullTypeNode(type=inner):
            return [theirs(inner)[0], True]
        case ast.ListTypeNode(type=inner):
            return [theirs(inner), False]
        case ast.NamedTypeNode(name=name):
            return [theirs(name), False]
        case ast.VariableDefinitionNode():
            return [
                theirs(node.variable.name),
                *map(theirs, (node.type, node.default_value, node.directives or ())),
            ]
        case ast.OperationDefinitionNode(operation=kind):
            parts = (
                node.name,
                node.variable_definitions or (),
                node.directives or (),
                node.selection_set.selections,
            )
            return [kind.value, *map(theirs, parts)]
        case ast.DocumentNode(definitions=definitions):
            return theirs(definitions)
        case _:
            raise AssertionError(f"not executable: {node!r}")


# --- agreement ------------------------------------------------------------------------------


def agree(text: str) -> None:
    assert ours(parse(text)) == theirs(graphql.parse(text, no_location=True)), text


@calmly
@given(DOCUMENTS)
@example('{ a(x: """\n\n    one\n      two\n  \n""") }')
@example('{ a(x: """ a\n\tb\n  \tc""") }')
def test_both_read_the_same_tree(text: str):
    """Names, aliases, arguments, values, directives, selections, fragments, variables."""
    agree(text)


@calmly
@given(CONSTANTS)
@example('"""\r  a\r\n  b\r"""')
def test_both_read_the_same_value(text: str):
    """Numbers, escapes, the indentation of block strings, lists, objects."""
    agree("{ a(x: " + text + ") }")


@pytest.mark.parametrize(
    "text",
    [
        "query Q($a: Int! = 5 @d, $b: [ID!]!) @e(x: $a) { a: b(c: {d: [1, -2.5e3, $a, E]}) @f { g } }",
        "query($a: Int!=5) { a }",
        "{ a ...F @x ... on T { b } ... @skip(if: true) { c } } fragment F on T @y { d }",
        "subscription S { users(where: {a: null}) { id } }",
        "mutation { transaction schema { a } }".replace("{ a }", "(a: 1) { a }"),
        "\ufeff{ a # comment, {\r\n , b }",
    ],
)
def test_both_read_these(text: str):
    agree(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "}", "{ a", "{ a } }", "{ a(b) }", "{ a(b:) }", "{ a(: 1) }", "{ a { 1 } }", "query Q Q { a }",
        "{ a(b: 01) }", "{ a(b: 1.) }", "{ a(b: .5) }", "{ a(b: 1a) }", "{ a(b: +1) }", "{ a(b: - 1) }", "{ a(b: 1.e1) }",
        '{ a(b: "x) }', '{ a(b: "\\q") }', '{ a(b: "\\u12") }', '{ a(b: "\\ud83d") }', '{ a(b: "\\u{110000}") }',
        '{ a(b: """x) }', "{ a(b: 'x') }", "{ a(b: $) }", "{ a @ }", "{ ... }", "{ ...on }", "{ ... on { a } }",
        "fragment on on T { a }", "fragment F T { a }", "query ($a) { a }", "query ($a: ) { a }", "query ($a: [Int) { a }",
        "query ($a: Int = $b) { a }", "query ($a: Int!!) { a }", "mutation", "qurey { a }", "{ a: }", "{ a: b: c }",
        "{ a; b }", "{ é }", "{ a ? b }", "{ a(b: [1) }", "{ a(b: {c: 1]) }", "{ a(b: 1.5.2) }", "{ a(b: 0x1) }",
    ],
)  # fmt: skip
def test_both_refuse_these(text: str):
    with pytest.raises(graphql.GraphQLSyntaxError):
        graphql.parse(text)
    with pytest.raises(AqlError):
        parse(text)


#: What only AQL reads, and what only AQL refuses, by tokens.
BEYOND = frozenset((
    ("{", "}"), ("(", ")"), ("schema", "{"), ("transaction", "{"), ("expr", "("),
))  # fmt: skip


@calmly
@given(DOCUMENTS, st.data())
def test_a_damaged_text_is_read_by_both_or_by_none(text: str, data: st.DataObject):
    """But for what is AQL's own, both refuse the same texts."""
    words = [token for token in _tokens(text) if token]
    at = data.draw(st.integers(0, len(words) - 1))
    match data.draw(st.sampled_from(["delete", "double", "swap"])):
        case "delete":
            del words[at]
        case "double":
            words.insert(at, words[at])
        case _:
            other = data.draw(st.integers(0, len(words) - 1))
            words[at], words[other] = words[other], words[at]
    text = " ".join(words)
    got, wanted = (
        _read(parse, AqlError, text),
        _read(graphql.parse, graphql.GraphQLSyntaxError, text),
    )
    if _is_beyond(words, got):
        return
    assert (got is None) == (wanted is None), text
    if got is not None:
        assert ours(got) == theirs(wanted)


def _tokens(text: str) -> list[str]:
    lexer = graphql.Lexer(graphql.Source(text))
    found: list[str] = []
    while (token := lexer.advance()).kind != graphql.TokenKind.EOF:
        found.append(text[token.start : token.end])
    return found


def _read(parser: Any, refusal: type[Exception], text: str) -> Any:
    try:
        return parser(text)
    except refusal as error:
        # Both understand it; only AQL minds that something stands twice.
        return error if getattr(error, "code", "") == "duplicate_argument" else None


def _is_beyond(words: list[str], got: Any) -> bool:
    """Whether a text has what only one of the two languages has."""
    return (
        isinstance(got, AqlError)
        or any(pair in BEYOND for pair in itertools.pairwise(words))
        or re.search(r"Computed\(|positional=\([^)]", repr(got)) is not None
        or any(word[0] == '"' and following == ":" for word, following in itertools.pairwise(words))
        or words[0][0] == '"'
        or any(left == "}" and right[0] == '"' for left, right in itertools.pairwise(words))
    )
