"""Definitions in text: alterations, drops, schedules, rules, controls, migrations."""

from __future__ import annotations

import pytest

from aurora_db.aql.parser import parse
from aurora_db.aql.syntax import (
    AddField,
    AddRule,
    BooleanLiteral,
    CollectionAlteration,
    CollectionDrop,
    DataMigration,
    DataSet,
    Definition,
    Directive,
    DropField,
    DropRule,
    Entry,
    ExpressionLiteral,
    FieldDefinition,
    FieldSelection,
    FieldType,
    FloatLiteral,
    FragmentDefinition,
    FragmentSpread,
    HandlerControl,
    HandlerDefinition,
    InlineFragment,
    IntLiteral,
    ListLiteral,
    MigrationBlock,
    ModifyField,
    Name,
    ObjectLiteral,
    Operation,
    RenameField,
    RulesDefinition,
    RulesDrop,
    ScheduleControl,
    ScheduleDefinition,
    ScheduleDrop,
    SchemaBlock,
    StringLiteral,
    TableRule,
    TypeRef,
    Value,
    VariableDefinition,
    Word,
)
from aurora_db.base.errors import AqlError, AqlSyntaxError, DuplicateArgument, MissingArgument


def one(text: str) -> Definition:
    """The only definition of a text."""
    (definition,) = parse(text).definitions
    return definition


def entry(key: str, of: Value) -> Entry:
    return Entry(Name(key), of)


def fields(text: str) -> ListLiteral:
    return ListLiteral(tuple(Word(name) for name in text.split()))


# --- alter and drop -------------------------------------------------------------------------


def test_an_alteration_keeps_its_actions_in_order():
    text = """
    alter collection users {
      add plan: String = "free" @indexed
      add @@index(fields: [team, age])
      drop old
      drop @@unique(fields: [a])
      rename a to b
      modify age: Float!
    }
    """
    assert one(text) == CollectionAlteration(
        Name("users"),
        (
            AddField(
                FieldDefinition(
                    Name("plan"),
                    FieldType("String"),
                    StringLiteral("free"),
                    (Directive(Name("indexed")),),
                )
            ),
            AddRule(TableRule(Name("index"), (entry("fields", fields("team age")),))),
            DropField(Name("old")),
            DropRule(TableRule(Name("unique"), (entry("fields", fields("a")),))),
            RenameField(Name("a"), Name("b")),
            ModifyField(FieldDefinition(Name("age"), FieldType("Float", True))),
        ),
    )


def test_words_of_actions_may_be_names_of_fields():
    made = one("alter collection t { drop drop rename to to to add add: Int modify modify: Int }")
    assert isinstance(made, CollectionAlteration)
    assert made.actions == (
        DropField(Name("drop")),
        RenameField(Name("to"), Name("to")),
        AddField(FieldDefinition(Name("add"), FieldType("Int"))),
        ModifyField(FieldDefinition(Name("modify"), FieldType("Int"))),
    )


def test_a_schema_block_alters_and_drops():
    made = one(
        "schema { define collection a {} alter collection b { drop x } drop collection c if exists }"
    )
    assert isinstance(made, SchemaBlock)
    assert made.statements[1:] == (
        CollectionAlteration(Name("b"), (DropField(Name("x")),)),
        CollectionDrop(Name("c"), if_exists=True),
    )


def test_a_required_type_may_touch_its_default():
    made = one("define collection t { a: Int!=5 b: [Int!]!=[] }")
    assert getattr(made, "fields", None) == (
        FieldDefinition(Name("a"), FieldType("Int", True), IntLiteral(5)),
        FieldDefinition(
            Name("b"), FieldType("", True, item=FieldType("Int", True)), ListLiteral(())
        ),
    )


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("drop collection t", CollectionDrop(Name("t"))),
        ('drop schedule "s" if exists', ScheduleDrop(StringLiteral("s"), if_exists=True)),
        ("drop rules t", RulesDrop(Name("t"))),
        ("drop rules t if exists", RulesDrop(Name("t"), if_exists=True)),
        ('enable handler "h"', HandlerControl("enable", StringLiteral("h"))),
        ('disable handler "h"', HandlerControl("disable", StringLiteral("h"))),
        ('backfill handler "h"', HandlerControl("backfill", StringLiteral("h"))),
        (
            'backfill handler "h" where {a: 1}',
            HandlerControl(
                "backfill", StringLiteral("h"), ObjectLiteral((entry("a", IntLiteral(1)),))
            ),
        ),
        ('enable schedule "s"', ScheduleControl("enable", StringLiteral("s"))),
        ('disable schedule "s"', ScheduleControl("disable", StringLiteral("s"))),
        ('run schedule "s"', ScheduleControl("run", StringLiteral("s"))),
    ],
)
def test_drops_and_controls(text: str, made: Definition):
    assert one(text) == made
    assert text[slice(*one(text).span)] == text


# --- schedules, rules, handlers -------------------------------------------------------------


def test_a_schedule_keeps_its_parts():
    text = """
    define schedule "nightly" or replace {
      cron: "0 3 * * *" timezone: "Europe/Paris", catchUp: ONE overlap: SKIP
      action: { enqueueJob(type: "report") }
    }
    """
    assert one(text) == ScheduleDefinition(
        StringLiteral("nightly"),
        (
            entry("cron", StringLiteral("0 3 * * *")),
            entry("timezone", StringLiteral("Europe/Paris")),
            entry("catchUp", Word("ONE")),
            entry("overlap", Word("SKIP")),
        ),
        (FieldSelection(Name("enqueueJob"), None, (entry("type", StringLiteral("report")),)),),
        or_replace=True,
    )


def test_rules_keep_conditions_booleans_and_words():
    made = one(
        'define rules users { read: {id: {eq: "$auth.id"}} insert: true delete: "authenticated" }'
    )
    assert made == RulesDefinition(
        Name("users"),
        (
            entry(
                "read",
                ObjectLiteral(
                    (entry("id", ObjectLiteral((entry("eq", StringLiteral("$auth.id")),))),)
                ),
            ),
            entry("insert", BooleanLiteral(True)),
            entry("delete", StringLiteral("authenticated")),
        ),
    )


def test_a_handler_may_name_its_fields_in_quotes_or_by_any_word():
    made = one('define handler "h" { on: "update:t" fields: [a "b.c" null] action: { x } }')
    assert isinstance(made, HandlerDefinition)
    assert made.fields == (Word("a"), StringLiteral("b.c"), Word("null"))


# --- migrations -----------------------------------------------------------------------------


def test_a_migration_keeps_its_versions_and_their_steps():
    text = """
    migrate {
      dryRun: true
      "v1.1.0": { alter collection users { add role: String } drop collection old if exists }
      1.2: { migrate data in users { set role = "vip" where { spent: 5 } set total = expr("a * 2") set a = b } }
      3: { define rules users { read: true } }
      v4: {}
    }
    """
    made = one(text)
    assert isinstance(made, MigrationBlock)
    assert made.dry_run is True
    assert [version.name.text for version in made.versions] == ["v1.1.0", "1.2", "3", "v4"]
    assert [type(step).__name__ for step in made.versions[0].steps] == [
        "CollectionAlteration", "CollectionDrop",
    ]  # fmt: skip
    (data,) = made.versions[1].steps
    assert isinstance(data, DataMigration)
    role, total, copied = data.sets
    assert role == DataSet(
        Name("role"), StringLiteral("vip"), ObjectLiteral((entry("spent", IntLiteral(5)),))
    )
    assert isinstance(total.value, ExpressionLiteral)
    assert copied == DataSet(Name("a"), Word("b"))


def test_a_version_may_be_called_dry_run():
    """Only a boolean makes it the option."""
    made = one("migration { dryRun: { drop collection a } }")
    assert isinstance(made, MigrationBlock)
    assert made.dry_run is False
    assert made.versions[0].name == Name("dryRun")


# --- operations -----------------------------------------------------------------------------


def test_fragments_keep_their_collection_and_directives():
    text = """
    query { users { ...F @include(if: $x) ... on users @skip(if: true) { a } ... { b } ...on1 } }
    fragment F on users @d { c }
    """
    query, fragment = parse(text).definitions
    assert isinstance(query, Operation)
    (users,) = query.roots
    assert isinstance(users, FieldSelection)
    assert users.selection is not None
    spread, on, plain, named = users.selection
    assert isinstance(spread, FragmentSpread)
    assert (spread.name, spread.directives[0].name) == (Name("F"), Name("include"))
    assert isinstance(on, InlineFragment)
    assert (on.on, on.directives[0].name) == (Name("users"), Name("skip"))
    assert plain == InlineFragment(None, (), (FieldSelection(Name("b")),))
    assert named == FragmentSpread(Name("on1"))
    assert fragment == FragmentDefinition(
        Name("F"), Name("users"), (Directive(Name("d")),), (FieldSelection(Name("c")),)
    )


def test_a_subscription_is_an_operation_of_several_roots():
    made = one('subscription S { users(mode: RESULTS, debounce: "50ms") { node { id } } _jobs }')
    assert isinstance(made, Operation)
    assert (made.kind, made.name) == ("subscription", Name("S"))
    assert len(made.roots) == 2


def test_a_variable_keeps_its_directives_and_default():
    made = one("query ($a: Float! = -1.5 @d(x: 1) @e) { t }")
    assert isinstance(made, Operation)
    assert made.variables == (
        VariableDefinition(
            "a",
            TypeRef("Float", True),
            FloatLiteral(-1.5),
            (Directive(Name("d"), (entry("x", IntLiteral(1)),)), Directive(Name("e"))),
        ),
    )


def test_a_directive_may_have_arguments_without_names():
    """As `@computed("…")` has."""
    made = one('{ t @d("x", -5, y: [1], null) }')
    assert isinstance(made, Operation)
    directive = made.roots[0].directives[0]  # type: ignore[union-attr]
    assert directive.arguments == (entry("y", ListLiteral((IntLiteral(1),))),)
    assert [type(value).__name__ for value in directive.positional] == [
        "StringLiteral", "IntLiteral", "NullLiteral",
    ]  # fmt: skip


# --- refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message", "caret", "hint"),
    [
        ("alter t { }", "expected 'collection' after 'alter', found 't'", "t", None),
        ("alter colection t { }", "expected 'collection' after 'alter', found 'colection'", "colection",
         "did you mean 'collection'?"),
        ("alter collection t { ad x: Int }",
         "expected 'add', 'drop', 'rename', 'modify' or '}' to close the alteration of 't', found 'ad'",
         "ad", "did you mean 'add'?"),
        ("alter collection t { rename a b }", "expected 'to' after 'rename a', found 'b'", "b", None),
        ("alter collection t { add x }", "expected ':' and a type after the field 'x', found '}'", "}", None),
        ("alter collection t { drop 5 }", "expected the name of a field after 'drop', found '5'", "5", None),
        ('drop "t"', "expected 'collection', 'handler', 'schedule' or 'rules' after 'drop', found the string \"t\"",
         '"t"', None),
        ("drop handler h", "expected a name in double quotes after 'drop handler', found 'h'", "h",
         "write 'drop handler \"h\"'"),
        ('run handler "h"', "expected 'schedule' after 'run', found 'handler'", "handler", None),
        ('enable "h"', "expected 'handler' or 'schedule' after 'enable', found the string \"h\"", '"h"', None),
        ('backfill handler "h" where $w', "expected '{' and conditions after 'where', found '$'", "$", None),
        ('define schedule "s" { crom: "x" }',
         ("expected 'cron', 'every', 'timezone', 'jitter', 'catchUp', 'overlap', 'action' or '}' to close the "
          "schedule 's', found 'crom'"), "crom", "did you mean 'cron'?"),
        ("define rules t { read: 5 }", "expected a condition after 'read:', found '5'", "5",
         'write true, false, "authenticated" or {field: {eq: "$auth.id"}}'),
        ("define rules t { reed: true }",
         "expected 'read', 'insert', 'update', 'delete' or '}' to close the rules of 't', found 'reed'", "reed",
         "did you mean 'read'?"),
        ("migrate { dryRun: 1 }", "expected 'true' or 'false' after 'dryRun:', found '1'", "1", None),
        ('migrate { "v1" { } }', "expected ':' after the version 'v1', found '{'", "{", None),
        ('migrate { "v1": { defin collection t {} } }',
         "expected 'define', 'alter', 'drop' or 'migrate data' in the version, found 'defin'", "defin",
         "did you mean 'define'?"),
        ("migrate { 1.2.3: {} }", "expected a number, found '1.2.3'", "1.2.3", 'write "1.2.3"'),
        ("migrate { a: { migrate data in t { set x } } }", "expected '=' and a value after 'set x', found '}'", "}", None),
        ("migrate { a: { migrate data on t { } } }", "expected 'in' after 'migrate data', found 'on'", "on", None),
        ("fragment on on t { a }", "expected the name of the fragment before 'on', found 'on'", "on", None),
        ("fragment F t { a }", "expected 'on' after 'fragment F', found 't'", "t", None),
        ("{ ... }", "expected '{' or the name of a fragment after '...', found '}'", "}", None),
        ("{ ... on }", "expected the collection of the inline fragment after 'on', found '}'", "}", None),
        ("{ a { total: price * } }", "expected a value in the expression, found '}'", "}", None),
        ("{ a { price * qty } }", "expected a field or '}' to close the selection of 'a', found '*'", "*",
         "a computed field needs an alias, as 'total: price * qty'"),
        ("{ a { b } ;", "expected a name, a value or punctuation, found ';'", ";",
         "leave it out: nothing stands between statements"),
        ("{ a(x: 5a) }", "expected a number, found '5a'", "5a",
         "numbers are written as 5, -5, 0.5 or 1e9; a name begins with a letter or '_'"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_definition_is_told(text: str, message: str, caret: str, hint: str | None):
    with pytest.raises(AqlSyntaxError) as caught:
        parse(text)
    error = caught.value
    assert error.message == message
    assert error.span is not None
    assert text[slice(*error.span)] == caret
    assert error.hint == hint


@pytest.mark.parametrize(
    ("text", "message", "kind"),
    [
        ('define schedule "s" { every: "5m" }', "the schedule 's' has no 'action'", MissingArgument),
        ('define schedule "s" { every: "5m" every: "6m" action: { a } }', "'every' stands twice", DuplicateArgument),
        ("define rules t { read: true read: false }", "'read' stands twice", DuplicateArgument),
        ('migrate { "1": {} 1: {} }', "the version '1' stands twice", DuplicateArgument),
    ],
)  # fmt: skip
def test_a_definition_with_a_part_too_many_or_too_few_is_refused(
    text: str, message: str, kind: type[AqlError]
):
    with pytest.raises(kind) as caught:
        parse(text)
    assert caught.value.message == message


def test_the_first_mistake_in_reading_order_is_the_one_told():
    """Also where a later character is no character of AQL."""
    with pytest.raises(AqlSyntaxError) as caught:
        parse("{ a(b c) } ; '")
    assert caught.value.message == "expected ':' after the argument 'b', found 'c'"
