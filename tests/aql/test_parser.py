"""The parser: every construct becomes its syntax, and no text can break it."""

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


def refusal(text: str) -> AqlError:
    with pytest.raises(AqlSyntaxError) as caught:
        parse(text)
    return caught.value


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


# --- limits ---------------------------------------------------------------------------------


def test_an_operation_has_64_roots_at_most():
    assert parse("{" + "a " * 64 + "}")
    for text in ("{" + "a " * 65 + "}", "mutation {" + "a " * 65 + "}"):
        error = refusal(text)
        assert error.message == "an operation has at most 64 roots, found 65"
        assert error.span is not None
        assert error.span.start == text.rindex("a")


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
@pytest.mark.parametrize("depth", [60, 65, 1_000, 50_000])
def test_depth_never_exhausts_the_stack(opening: str, inner: str, closing: str, depth: int):
    """Below the limit depth is only a matter of grammar, above it a syntax error, quickly."""
    start = time.process_time()
    message = ""
    try:
        parse(opening + inner * depth + closing * depth)
    except AqlSyntaxError as error:
        message = error.message
    assert ("nested more than 64 deep" in message) == (depth > 64)
    assert time.process_time() - start < 2.0


@pytest.mark.parametrize(
    "text",
    [
        "{ a: " + "a + " * 4_000 + "a }",
        "{ a: " + "!" * 9_000 + "a }",
        "{ a: " + "- " * 9_000 + "a }",
        "{ a: " + "a | f " * 4_000 + "}",
        "{ a: " + "a ? b : " * 3_000 + "c }",
        "{ a: " + "a ? " * 5_000 + "c }",
        '{ t(x: expr("' + "a * " * 100_000 + 'a")) }',
        '{ a: "' + "${a + " * 100_000 + '" }',
        "{ a: f(" + "[" * 900 + "]" * 900 + ") }",
        "{ a: x && " + "y || z && " * 2_000 + "w }",
        "{ a { " + "... { " * 900 + "b" + " }" * 902,
        "{ a { " + "... on t @d { " * 60 + "b" + " }" * 62,
        "mutation { " + "transaction { " * 900 + " }" * 901,
        "{ a(x: " + "{b: [" * 900 + "]}" * 900 + ") }",
        "query (" + "$a: Int " * 3_000 + ") { t }",
        "{ t " + "@d " * 4_000 + "}",
        "define collection t { a: " + "{ b: [" * 900 + "Int" + "] }" * 900 + " }",
        'migrate { "1": { ' + "drop collection t " * 3_300 + "} }",
        "fragment F on t { a } " * 1_400,
        "{ a } " * 3_300,
        '{ a(x: """' + "\n  a" * 150_000 + '""") }',
        '{ a(x: "' + "\\u{1f600}" * 100_000 + '") }',
    ],
    ids=lambda text: text[:24],
)
def test_a_large_text_is_read_or_refused_quickly(text: str):
    """Whatever is long or deep; and what is read is shallow enough to be compared and shown."""
    start = time.process_time()
    try:
        made = parse(text)
    except AqlError as error:
        refused = str(error)
        assert len(refused) < 1_000
    else:
        assert made == parse(text)
        assert hash(made) == hash(parse(text))
        assert repr(made)
    assert time.process_time() - start < 10.0


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
    refused: AqlError | None = None
    try:
        assert parse(text).definitions
    except AqlError as error:
        refused = error
    if refused is not None:
        assert refused.span is not None
        assert 0 <= refused.span.start <= refused.span.end <= len(text)
        assert refused.line is not None
        assert refused.excerpt is not None


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
