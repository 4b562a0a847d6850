"""The parser: every construct becomes its syntax, or is refused where and why it is wrong."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_db.aql.parser import parse
from aurora_db.aql.syntax import (
    BooleanLiteral,
    CollectionDefinition,
    Definition,
    Directive,
    Document,
    Entry,
    FieldDefinition,
    FieldSelection,
    FieldType,
    FloatLiteral,
    HandlerDefinition,
    HandlerDrop,
    IntLiteral,
    ListLiteral,
    Name,
    NullLiteral,
    ObjectLiteral,
    Operation,
    SchemaBlock,
    StringLiteral,
    TableRule,
    TransactionBlock,
    TypeRef,
    Value,
    VariableDefinition,
    VariableRef,
    Word,
)
from aurora_db.base.errors import (
    AqlError,
    AqlSyntaxError,
    DuplicateArgument,
    MissingArgument,
    Unsupported,
)

SEED = Path(__file__).parent.parent / "promises" / "seed-guide.aql"


def one(text: str) -> Definition:
    """The only definition of a text."""
    (definition,) = parse(text).definitions
    return definition


def value(text: str) -> Value:
    """The syntax of one value."""
    query = one("{ t(x: " + text + ") }")
    assert isinstance(query, Operation)
    (root,) = query.roots
    assert isinstance(root, FieldSelection)
    return root.arguments[0].value


def entry(key: str, of: Value) -> Entry:
    return Entry(Name(key), of)


def field(name: str, *, alias: str | None = None, of: tuple[FieldSelection, ...] | None = None):
    return FieldSelection(Name(name), None if alias is None else Name(alias), selection=of)


def refusal(text: str, error: type[AqlError] = AqlSyntaxError) -> AqlError:
    with pytest.raises(AqlError) as caught:
        parse(text)
    assert type(caught.value) is error
    return caught.value


def under_the_caret(text: str, error: AqlError) -> str:
    assert error.span is not None
    return text[error.span.start : error.span.end]


# --- operations -----------------------------------------------------------------------------


def test_the_seed_guide_parses_into_three_definitions():
    """The guide's AQL is read to the letter."""
    mutation, handler, query = parse(SEED.read_text()).definitions
    assert isinstance(mutation, Operation)
    assert mutation.kind == "mutation"
    assert isinstance(handler, HandlerDefinition)
    assert handler.name.value == "auto_thumbnail"
    assert isinstance(query, Operation)
    (jobs,) = query.roots
    assert jobs == FieldSelection(
        Name("_jobs"),
        arguments=(
            entry(
                "where",
                ObjectLiteral(
                    (entry("status", ObjectLiteral((entry("eq", StringLiteral("FAILED")),))),)
                ),
            ),
        ),
        selection=(field("id"), field("type"), field("error"), field("last_retry")),
    )


def test_a_bare_brace_is_a_query():
    assert one("{ users { id } }") == Operation(
        "query", None, (), (), (field("users", of=(field("id"),)),)
    )


def test_an_operation_keeps_its_name_variables_and_directives():
    """Everything that was typed is in the syntax, for `resolve` to judge."""
    text = """
    query Adults($min: Int = 18, $ids: [ID!]!, $where: UserFilter) @explain {
      adults: users(where: {age: {gte: $min}}, limit: 20) @include(if: $x) { id }
    }
    """
    assert one(text) == Operation(
        "query",
        Name("Adults"),
        (
            VariableDefinition("min", TypeRef("Int"), IntLiteral(18)),
            VariableDefinition("ids", TypeRef("", True, TypeRef("ID", True))),
            VariableDefinition("where", TypeRef("UserFilter")),
        ),
        (Directive(Name("explain")),),
        (
            FieldSelection(
                Name("users"),
                Name("adults"),
                (
                    entry(
                        "where",
                        ObjectLiteral(
                            (entry("age", ObjectLiteral((entry("gte", VariableRef("min")),))),)
                        ),
                    ),
                    entry("limit", IntLiteral(20)),
                ),
                (Directive(Name("include"), (entry("if", VariableRef("x")),)),),
                (field("id"),),
            ),
        ),
    )


def test_an_empty_selection_differs_from_none():
    """`users {}` and `users` are both kept as typed."""
    assert one("{ users {} teams }") == Operation(
        "query", None, (), (), (field("users", of=()), field("teams"))
    )


def test_no_word_is_reserved():
    """Any keyword may be a name of anything."""
    text = """
    query query($query: query) { query: mutation(define: $query) { schema transaction: on fragment } }
    mutation { schema(a: 1) transaction(b: 2) define: drop }
    define collection collection if not exists { if: if define: query not: Enum(or) = or }
    { true: false null(null: null) }
    """
    query, mutation, collection, last = parse(text).definitions
    assert isinstance(query, Operation)
    assert query.name == Name("query")
    assert isinstance(mutation, Operation)
    assert [type(root) for root in mutation.roots] == [FieldSelection] * 3
    assert isinstance(collection, CollectionDefinition)
    assert [made.name.text for made in collection.fields] == ["if", "define", "not"]
    assert isinstance(last, Operation)
    assert last.roots[0] == field("false", alias="true")


def test_a_mutation_holds_fields_schema_blocks_and_transactions():
    text = """
    mutation M {
      schema { define collection t { a: Int } }
      both: transaction { a: insert(collection: "t") { id } transaction { delete } }
      $x: update
    }
    """.replace("$x", "u")
    mutation = one(text)
    assert isinstance(mutation, Operation)
    assert mutation.roots == (
        SchemaBlock(
            (CollectionDefinition(Name("t"), (FieldDefinition(Name("a"), FieldType("Int")),)),)
        ),
        TransactionBlock(
            (
                FieldSelection(
                    Name("insert"),
                    Name("a"),
                    (entry("collection", StringLiteral("t")),),
                    selection=(field("id"),),
                ),
                TransactionBlock((field("delete"),)),
            ),
            Name("both"),
        ),
        field("update", alias="u"),
    )


def test_several_operations_come_in_their_order():
    kinds = [type(made).__name__ for made in parse('{a} mutation {b} drop handler "c"').definitions]
    assert kinds == ["Operation", "Operation", "HandlerDrop"]


# --- values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("5", IntLiteral(5)),
        ("-0.5", FloatLiteral(-0.5)),
        (r'"a\n"', StringLiteral("a\n")),
        ('"""a"""', StringLiteral("a")),
        ("true", BooleanLiteral(True)),
        ("false", BooleanLiteral(False)),
        ("null", NullLiteral()),
        ("DESC", Word("DESC")),
        ("expr", Word("expr")),
        ("$a", VariableRef("a")),
        ("$a.b.c", VariableRef("a", ("b", "c"))),
        ("$_id", VariableRef("_id")),
        ("[1 2, [3]]", ListLiteral((IntLiteral(1), IntLiteral(2), ListLiteral((IntLiteral(3),))))),
        ("[]", ListLiteral(())),
        ("{}", ObjectLiteral(())),
        (
            '{a: 1 "b.c": {d: $e}}',
            ObjectLiteral(
                (
                    entry("a", IntLiteral(1)),
                    entry("b.c", ObjectLiteral((entry("d", VariableRef("e")),))),
                )
            ),
        ),
    ],
)
def test_a_value_keeps_its_kind(text: str, made: Value):
    assert value(text) == made
    assert type(value(text)) is type(made)


def test_every_node_knows_its_place():
    """A span covers the node from its first to its last character."""
    text = '{ a: t(x: {k: [1, "two"]}, y: $v.w) @d(e: 1) { id } }'
    query = one(text)
    assert isinstance(query, Operation)
    root = query.roots[0]
    assert isinstance(root, FieldSelection)
    x, y = root.arguments
    assert isinstance(x.value, ObjectLiteral)
    nodes = [query, root, root.name, x, x.value, x.value.entries[0].value, y.value]
    assert [text[node.span.start : node.span.end] for node in nodes] == [
        text,
        text[2:-2],
        "t",
        'x: {k: [1, "two"]}',
        '{k: [1, "two"]}',
        '[1, "two"]',
        "$v.w",
    ]
    assert text[slice(*root.directives[0].span)] == "@d(e: 1)"


# --- definitions ----------------------------------------------------------------------------


def test_a_collection_keeps_fields_rules_and_directives():
    text = """
    define collection users @quiet if not exists @flexible {
      id: Uuid! @primary
      name: String! @validate(minLength: 3, pattern: "^a"),
      role: Enum("admin", member) = "member"
      tags: [String!]! = []
      address: { city: String! zip: Int }
      full: String @computed("${first}")
      @@unique(fields: [name, role])
    }
    """
    assert one(text) == CollectionDefinition(
        Name("users"),
        (
            FieldDefinition(
                Name("id"), FieldType("Uuid", True), None, (Directive(Name("primary")),)
            ),
            FieldDefinition(
                Name("name"),
                FieldType("String", True),
                None,
                (
                    Directive(
                        Name("validate"),
                        (entry("minLength", IntLiteral(3)), entry("pattern", StringLiteral("^a"))),
                    ),
                ),
            ),
            FieldDefinition(
                Name("role"),
                FieldType("Enum", words=(StringLiteral("admin"), Word("member"))),
                StringLiteral("member"),
            ),
            FieldDefinition(
                Name("tags"), FieldType("", True, item=FieldType("String", True)), ListLiteral(())
            ),
            FieldDefinition(
                Name("address"),
                FieldType(
                    "",
                    fields=(
                        FieldDefinition(Name("city"), FieldType("String", True)),
                        FieldDefinition(Name("zip"), FieldType("Int")),
                    ),
                ),
            ),
            FieldDefinition(
                Name("full"),
                FieldType("String"),
                None,
                (Directive(Name("computed"), (), (StringLiteral("${first}"),)),),
            ),
        ),
        (TableRule(Name("unique"), (entry("fields", ListLiteral((Word("name"), Word("role")))),)),),
        (Directive(Name("quiet")), Directive(Name("flexible"))),
        if_not_exists=True,
    )


def test_a_schema_block_stands_alone_or_in_a_mutation():
    block = "schema { define collection a {} define collection b { x: Int } }"
    alone = one(block)
    assert isinstance(alone, SchemaBlock)
    assert [made.name.text for made in alone.statements] == ["a", "b"]
    within = one("mutation { " + block + " }")
    assert isinstance(within, Operation)
    assert within.roots == (alone,)


def test_a_handler_keeps_its_parts():
    text = """
    define handler "thumb" or replace {
      on: ["insert:products", "update:products"]
      fields: [image_url]
      where: { image_url: { isNull: false } }
      action: { enqueueJob(type: "t", payload: { id: $_id, path: "${image_url}" }) }
    }
    """
    handler = one(text)
    assert handler == HandlerDefinition(
        StringLiteral("thumb"),
        (StringLiteral("insert:products"), StringLiteral("update:products")),
        (Word("image_url"),),
        ObjectLiteral(
            (entry("image_url", ObjectLiteral((entry("isNull", BooleanLiteral(False)),))),)
        ),
        (
            FieldSelection(
                Name("enqueueJob"),
                None,
                (
                    entry("type", StringLiteral("t")),
                    entry(
                        "payload",
                        ObjectLiteral(
                            (
                                entry("id", VariableRef("_id")),
                                entry("path", StringLiteral("${image_url}")),
                            )
                        ),
                    ),
                ),
            ),
        ),
        or_replace=True,
    )
    assert text[slice(*handler.span)] == text.strip()


def test_a_handler_may_be_defined_once_and_dropped():
    text = 'define handler "x" if not exists { on: "insert:t" action: { enqueueJob } }'
    handler = one(text)
    assert isinstance(handler, HandlerDefinition)
    assert (handler.if_not_exists, handler.or_replace) == (True, False)
    assert one('drop handler "x"') == HandlerDrop(StringLiteral("x"))
    assert one('drop handler "x" if exists') == HandlerDrop(StringLiteral("x"), if_exists=True)


# --- refused by name ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "subject", "caret"),
    [
        ("subscription { users { id } }", "subscriptions are", "subscription"),
        ("fragment F on users { id }", "fragments are", "fragment"),
        ("{ users { ...F } }", "fragments are", "...F"),
        ("{ users { id ... on users { id } } }", "inline fragments are", "... on"),
        ("{ users { ... @include(if: true) { id } } }", "inline fragments are", "..."),
        ("mutation { ...F }", "fragments are", "...F"),
        ('{ users { full: "${a} ${b}" } }', "computed fields are", 'full: "${a} ${b}"'),
        ("{ users { t: price * qty } }", "computed fields are", "t: price"),
        ("{ users { t: price -1 } }", "computed fields are", "t: price"),
        ("{ users { t: name | uppercase } }", "computed fields are", "t: name"),
        ("{ users { t: a == b } }", "computed fields are", "t: a"),
        ("{ users { t: a != b } }", "computed fields are", "t: a"),
        ("{ users { t: a.b } }", "computed fields are", "t: a"),
        ("{ users { t: !a } }", "computed fields are", "t: !"),
        ("{ users { t: 5 } }", "computed fields are", "t: 5"),
        ("{ users { t: $x } }", "computed fields are", "t: $"),
        ('{ users { t: if(gt(a, 0), "x", "y") } }', "computed fields are", "t: if"),
        ("{ users { t: round(price, 2) } }", "computed fields are", "t: round"),
        ("{ users { t: now() } }", "computed fields are", "t: now"),
        ("{ users { t: price(a: 1) * 2 } }", "computed fields are", "t: price(a: 1)"),
        ('{ users(where: {a: expr("b > 1")}) }', "'expr(…)' is", "expr"),
        ("alter collection users { drop a }", "'alter collection' is", "alter collection"),
        ("schema { alter collection t {} }", "'alter collection' is", "alter collection"),
        ("drop collection users if exists", "'drop collection' is", "drop collection"),
        ("schema { drop collection t }", "'drop collection' is", "drop collection"),
        ('schema { drop handler "x" }', "'drop handler' in a schema block is", "drop handler"),
        ('define schedule "x" {}', "'define schedule' is", "define schedule"),
        ('drop schedule "x"', "'drop schedule' is", "drop schedule"),
        ("define rules users {}", "'define rules' is", "define rules"),
        ("drop rules users", "'drop rules' is", "drop rules"),
        ('enable handler "x"', "'enable handler' is", "enable handler"),
        ('disable schedule "x"', "'disable schedule' is", "disable schedule"),
        ('backfill handler "x" where {}', "'backfill handler' is", "backfill handler"),
        ('run schedule "x"', "'run schedule' is", "run schedule"),
        ('migrate { "v1": {} }', "migrations are", "migrate"),
        ("migration {}", "migrations are", "migration"),
        ("query($a: Int @x) { t }", "directives of variables are", "@x"),
    ],
)
def test_what_is_not_there_yet_is_refused_by_its_name(text: str, subject: str, caret: str):
    """A construct of the language is never taken for a mistake, nor ignored."""
    error = refusal(text, Unsupported)
    assert error.code == "unsupported"
    assert error.message == f"{subject} not supported by this version"
    assert under_the_caret(text, error) == caret


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
        ('define handler "x" { fields: [5] }', "expected the name of a field in 'fields'", "5"),
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
    assert error.excerpt == "1 | selct * from users\n    ^^^^^"


def test_a_handler_needs_an_event_and_an_action():
    error = refusal('define handler "x" { action: { enqueueJob } }', MissingArgument)
    assert error.message == "the handler 'x' has no 'on'"
    assert error.hint == "add 'on: \"insert:products\"'"
    error = refusal('define handler "x" { on: "insert:t" }', MissingArgument)
    assert error.message == "the handler 'x' has no 'action'"


# --- limits ---------------------------------------------------------------------------------


def test_an_operation_has_64_roots_at_most():
    assert parse("{" + "a " * 64 + "}")
    for text in ("{" + "a " * 65 + "}", "mutation {" + "a " * 65 + "}"):
        error = refusal(text)
        assert error.message == "an operation has at most 64 roots, found 65"
        assert under_the_caret(text, error) == "a"


@pytest.mark.parametrize(
    ("opening", "inner", "closing"),
    [
        ("{ a ", "{ a ", "}"),
        ("{ t(x: ", "[", "]"),
        ("{ t(x: ", "{a: ", "}"),
        ("mutation ", "{ transaction ", "}"),
        ("define collection t { a: ", "[", "]"),
        ("define collection t { a: ", "{ a: ", "}"),
        ("query($a: ", "[", "]"),
    ],
)
@pytest.mark.parametrize("depth", [60, 65, 1_000, 100_000])
def test_depth_never_exhausts_the_stack(opening: str, inner: str, closing: str, depth: int):
    """Below the limit depth is fine, above it a syntax error, quickly."""
    start = time.process_time()
    with pytest.raises(AqlSyntaxError) as caught:
        parse(opening + inner * depth + closing * depth + "~")
    assert ("nested more than 64 deep" in caught.value.message) == (depth > 64)
    assert time.process_time() - start < 2.0


def test_sixty_levels_of_a_value_are_read():
    made = value("[" * 60 + "1" + "]" * 60)
    for _ in range(60):
        assert isinstance(made, ListLiteral)
        (made,) = made.items
    assert made == IntLiteral(1)


def test_a_long_list_of_documents_is_read():
    """Ten thousand documents in one text are data, not tokens of a program."""
    made = value("[" + '{name: "ada", age: 36} ' * 10_000 + "]")
    assert isinstance(made, ListLiteral)
    assert len(made.items) == 10_000


# --- any text -------------------------------------------------------------------------------

WORDS = [
    "query", "mutation", "schema", "define", "collection", "handler", "drop", "alter", "if", "not",
    "exists", "or", "replace", "on", "fields", "where", "action", "transaction", "users", "id",
    "Int", "Enum", "true", "null", "expr", "count", "now", "{", "}", "{", "}", "(", ")", "[", "]",
    ":", ":", "=", "!", "@", "@@", "$", ".", "...", "|", "+", "-", "5", "-1", "2.5", '"x"',
    '"${a}"', '"""b"""', "#c\n", ",", "'", "\\", "\n",
]  # fmt: skip


def parses_or_is_refused(text: str) -> None:
    try:
        made = parse(text)
    except AqlError as error:
        assert error.span is not None
        assert 0 <= error.span.start <= error.span.end <= len(text)
        assert error.line is not None
        assert error.excerpt is not None
        assert str(error)
    else:
        assert made.definitions
        assert parse(text) == made


@given(st.text(st.characters()))
def test_any_text_parses_or_is_refused_as_aql(text: str):
    """No other exception ever leaves the parser, whatever is thrown at it."""
    parses_or_is_refused(text)


@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_any_row_of_words_parses_or_is_refused_as_aql(words: list[str]):
    parses_or_is_refused(" ".join(words))


@given(st.data())
def test_any_damage_to_the_seed_guide_parses_or_is_refused_as_aql(data: st.DataObject):
    """A piece taken out of a good text, or put into it."""
    text = SEED.read_text()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 30)))
    parses_or_is_refused(text[:start] + data.draw(st.sampled_from(["", *WORDS])) + text[end:])
