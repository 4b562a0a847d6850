"""The behaviours that the documents of aurora-db 0.6 promise, by their number.

`aurora-db.md` beside this file says for each number which test shows it, or what it waits for.
"""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from aurora_db import (
    AqlSyntaxError,
    Aurora,
    F,
    SchemaError,
    TypeMismatch,
    UndefinedVariable,
    UniqueViolation,
    UnknownField,
    ValidationError,
)

UUID7 = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")


class User(msgspec.Struct):
    """What a program calls a document of `u`."""

    id: str
    name: str


def define(db, body, name="u", attributes=""):
    return db.execute(f"schema {{ define collection {name} {attributes} {{ {body} }} }}")


def ids(rows):
    return [row["id"] for row in rows]


# --- schema and identity --------------------------------------------------------------------


def test_01_define_insert_query(db):
    """A collection is defined, filled and read."""
    done = define(db, "name: String age: Int")
    db.execute('mutation { insertInto(collection: "u", data: {name: "Ada", age: 36}) { id } }')
    assert (done["operation"], done["status"], done["collections"]) == ("schema", "done", ["u"])
    assert db.execute("{ u { name age } }") == {"u": [{"name": "Ada", "age": 36}]}


def test_02_if_not_exists_twice(db):
    """Defining again with `if not exists` changes nothing."""
    text = "schema { define collection u if not exists { name: String } }"
    first = db.execute(text)
    second = db.execute(text)
    assert first["steps"] == [{"kind": "collection", "name": "u", "status": "created"}]
    assert second["steps"] == [{"kind": "collection", "name": "u", "status": "unchanged"}]


def test_03_commas_are_insignificant(db):
    """Commas between fields are white space, as in GraphQL."""
    define(db, "name: String, age: Int,")
    assert db.execute("{ u { name } }") == {"u": []}


def test_04_syntax_errors_have_a_place(db):
    """An unclosed brace is reported at the end, a wrong first word in line 1."""
    with pytest.raises(AqlSyntaxError) as unclosed:
        db.execute("query {\n  u {\n    name\n")
    with pytest.raises(AqlSyntaxError) as unknown:
        db.execute("qurey { u }")
    assert unclosed.value.line >= 3
    assert unclosed.value.column >= 1
    assert (unknown.value.line, unknown.value.column) == (1, 1)


def test_05_the_error_says_what_was_expected(db):
    """A word in a bad place is named, and what should stand there."""
    with pytest.raises(AqlSyntaxError, match="expected"):
        db.execute("schema { define collection u { name String } }")


def test_06_a_given_id_is_kept(db):
    """`_sid` is another name of `id`."""
    define(db, "name: String")
    db.insert_into("u", {"id": "u1", "name": "Ada"})
    assert db.execute("{ u { id _sid } }") == {"u": [{"id": "u1", "_sid": "u1"}]}
    assert db["u"].get("u1", as_=User) == User(id="u1", name="Ada")


def test_07_an_absent_id_is_a_uuid7(db):
    """Without an id the document gets a UUIDv7."""
    define(db, "name: String")
    id = db.insert_into("u", {"name": "Ada"})
    assert UUID7.match(id)
    assert db.execute("{ u { _sid } }") == {"u": [{"_sid": id}]}


def test_08_unique(db):
    """The second document with a unique value is refused."""
    define(db, "email: String @unique")
    db.insert_into("u", {"email": "a@x"})
    with pytest.raises(UniqueViolation, match="Unique constraint violation on field 'email'"):
        db.insert_into("u", {"email": "a@x"})
    assert db["u"].count() == 1


def test_09_unique_value_found_at_once(db):
    """A unique value is found by equality right after the insert."""
    define(db, "email: String @unique")
    db.insert_into("u", {"email": "a@x"})
    assert db.execute('{ u(where: {email: "a@x"}) { email } }') == {"u": [{"email": "a@x"}]}


def test_10_update_keeps_its_own_unique_value(tmp_path):
    """A document may be written with the unique value it has, also after a reopen."""
    with Aurora(tmp_path / "a.db") as db:
        define(db, "email: String @unique n: Int")
        id = db.insert_into("u", {"email": "a@x", "n": 1})
        assert db["u"].update(id, {"email": "a@x", "n": 2}) == 1
    with Aurora(tmp_path / "a.db") as db:
        assert db["u"].update(id, {"email": "a@x", "n": 3}) == 1
        assert db["u"].get(id)["n"] == 3


@pytest.mark.parametrize("directive", ["@unique", "@indexed"])
def test_12_any_has_no_index(db, directive):
    """A field of type Any can be neither unique nor indexed."""
    with pytest.raises(SchemaError):
        define(db, f"x: Any {directive}")


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"name": "x", "age": "old"}, TypeMismatch),
        ({"name": "x", "nope": 1}, UnknownField),
        ({}, ValidationError),
        ({"name": "x", "tags": ["a", 1]}, TypeMismatch),
        ({"name": "x", "box": {"h": 1}}, ValidationError),
        ({"name": "x", "box": {"w": "wide", "h": 1}}, TypeMismatch),
    ],
)
def test_13_the_schema_is_checked(db, document, error):
    """Wrong types, unknown and missing fields are refused, also inside objects and lists."""
    define(db, "name: String! age: Int tags: [String!] box: { w: Int! h: Int }")
    with pytest.raises(error):
        db.insert_into("u", document)
    assert db["u"].count() == 0


def test_15_email(db):
    """An Email is checked."""
    define(db, "email: Email")
    with pytest.raises(ValidationError, match="email"):
        db.insert_into("u", {"email": "x"})


def test_16_default_now(db, clock):
    """`"now"` stores the present."""
    define(db, 'name: String created_at: DateTime = "now"')
    db.insert_into("u", {"name": "Ada"})
    assert db.execute("{ u { created_at } }")["u"] == [{"created_at": clock.now()}]


# --- filters and ordering -------------------------------------------------------------------


@pytest.fixture
def players(db):
    define(db, "name: String! level: Int score: Float")
    rows = [("ann", 1, 85.5), ("bob", 5, 92.0), ("charlie", 3, 88.0), ("dora", 1, 40.0)]
    db["u"].insert_many([{"name": n, "level": lv, "score": s} for n, lv, s in rows])
    return db


def test_17_or(players):
    """`or` with an order."""
    text = "{ u(where: {or: [{level: {gte: 3}}, {score: {gt: 90}}]}, orderBy: {score: DESC}) { name } }"
    assert players.execute(text) == {"u": [{"name": "bob"}, {"name": "charlie"}]}


def test_18_contains(db):
    """`contains` is membership in a list and substring of a string."""
    define(db, "name: String tags: [String]")
    db.insert_into("u", {"id": "a", "name": "red car", "tags": ["red", "fast"]})
    db.insert_into("u", {"id": "b", "name": "blue car", "tags": ["blue"]})
    assert db.execute('{ u(where: {tags: {contains: "red"}}) { id } }') == {"u": [{"id": "a"}]}
    assert db.execute('{ u(where: {name: {contains: "lue"}}) { id } }') == {"u": [{"id": "b"}]}


def test_19_starts_and_ends(db):
    """`startsWith` and `endsWith`."""
    define(db, "plan: String")
    db["u"].insert_many([{"plan": "eu-standard"}, {"plan": "us-premium"}])
    assert len(db.execute('{ u(where: {plan: {endsWith: "standard"}}) }')["u"]) == 1
    assert len(db.execute('{ u(where: {plan: {startsWith: "us"}}) }')["u"]) == 1


def test_22_missing_values(db):
    """`ne` matches what is missing; `eq` and `gt` do not; `isNull` does."""
    define(db, "n: Int")
    db["u"].insert_many(
        [{"id": "one", "n": 1}, {"id": "two", "n": 2}, {"id": "null", "n": None}, {"id": "none"}]
    )
    found = lambda where: ids(db.execute(f"{{ u(where: {{n: {where}}}) {{ id }} }}")["u"])
    assert found("{ne: 1}") == ["two", "null", "none"]
    assert found("{eq: 1}") == ["one"]
    assert found("{gt: 1}") == ["two"]
    assert found("{isNull: true}") == ["null", "none"]
    assert found("{isNull: false}") == ["one", "two"]


def test_23_numbers_and_uuids_compare_by_value(db):
    """10 equals 10.0; a Uuid equals its text."""
    define(db, "n: Int k: Uuid")
    db.insert_into("u", {"n": 10, "k": "0190C0DE-0000-7000-8000-000000000001"})
    for where in (
        "{n: {eq: 10.0}}",
        "{n: {in: [10.0]}}",
        '{k: "0190c0de-0000-7000-8000-000000000001"}',
    ):
        assert len(db.execute(f"{{ u(where: {where}) {{ n }} }}")["u"]) == 1


def test_24_order_and_limit(db):
    """The three largest of 3 1 4 1 5 9 2 6."""
    define(db, "n: Int")
    db["u"].insert_many([{"n": n} for n in (3, 1, 4, 1, 5, 9, 2, 6)])
    text = '{ u(orderBy: {field: "n", direction: DESC}, limit: 3) { n } }'
    assert db.execute(text) == {"u": [{"n": 9}, {"n": 6}, {"n": 5}]}


def test_25_two_orders(db):
    """The second key orders what the first leaves equal."""
    define(db, "s: Int n: Int")
    db["u"].insert_many([{"s": 1, "n": 2}, {"s": 2, "n": 2}, {"s": 2, "n": 1}])
    text = '{ u(orderBy: [{field: "s", direction: DESC}, {field: "n", direction: ASC}]) { s n } }'
    assert db.execute(text)["u"] == [{"s": 2, "n": 1}, {"s": 2, "n": 2}, {"s": 1, "n": 2}]


def test_26_or_keeps_its_siblings(players):
    """What stands beside `or` holds as well."""
    text = "{ u(where: {level: {eq: 1}, or: [{score: {gt: 80}}, {score: {lt: 10}}]}) { name } }"
    assert players.execute(text) == {"u": [{"name": "ann"}]}


def test_28_paths_into_objects(db):
    """A path matches inside an object."""
    define(db, "meta: Object")
    db["u"].insert_many(
        [
            {"id": "a", "meta": {"author": "ada", "visits": 150}},
            {"id": "b", "meta": {"author": "bob"}},
        ]
    )
    assert ids(db.execute('{ u(where: {"meta.author": {eq: "ada"}}) { id } }')["u"]) == ["a"]
    assert ids(db.execute("{ u(where: {meta: {visits: {gt: 100}}}) { id } }")["u"]) == ["a"]
    assert ids(db.query("u").filter(F["meta.author"] == "ada").all()) == ["a"]
    assert ids(db.query("u").filter(F["meta.visits"] > 100).all()) == ["a"]


# --- variables ------------------------------------------------------------------------------


def test_49_a_required_variable(players):
    """A missing required variable is named with its type."""
    text = "query ($name: String!) { u(where: {name: $name}) { level } }"
    with pytest.raises(UndefinedVariable, match=r"name.*String!"):
        players.execute(text)
    assert players.execute(text, {"name": "bob"}) == {"u": [{"level": 5}]}


def test_50_a_default(db):
    """A default is used when the variable is missing."""
    define(db, "n: Int")
    db["u"].insert_many([{"n": n} for n in range(20)])
    text = "query ($limit: Int = 10) { u(limit: $limit) { n } }"
    assert len(db.execute(text)["u"]) == 10
    assert len(db.execute(text, {"limit": 3})["u"]) == 3


def test_51_one_text_two_values(players):
    """A kept plan gives each call its own result."""
    text = "query ($n: String) { u(where: {name: $n}) { level } }"
    assert players.execute(text, {"n": "bob"}) == {"u": [{"level": 5}]}
    assert players.execute(text, {"n": "ann"}) == {"u": [{"level": 1}]}


def test_52_a_variable_of_a_wrong_type(db):
    """A text for a Boolean is refused."""
    define(db, "ok: Boolean")
    with pytest.raises(TypeMismatch):
        db.execute("query ($b: Boolean!) { u(where: {ok: $b}) { ok } }", {"b": "yes"})


def test_53_variables_in_data(db):
    """One variable twice, one as the whole data, one nested."""
    define(db, "a: String b: String box: Object")
    text = """mutation ($x: String!, $d: JSON!) {
      one: insertInto(collection: "u", data: {a: $x, b: $x, box: {deep: {x: $x}}}) { a b box }
      two: insertInto(collection: "u", data: $d) { a }
    }"""
    assert db.execute(text, {"x": "hi", "d": {"a": "whole"}}) == {
        "one": {"a": "hi", "b": "hi", "box": {"deep": {"x": "hi"}}},
        "two": {"a": "whole"},
    }


# --- handlers -------------------------------------------------------------------------------


def handler(db, on, payload):
    return db.execute(
        f'define handler "h" {{ on: "{on}:u" action: {{ enqueueJob(type: "t", payload: {payload}) }} }}'
    )


def payloads(db):
    return [row["payload"] for row in db.execute("{ _jobs { payload } }")["_jobs"]]


def test_74_insert_fires(db):
    """The handler is registered and an insert fires it once."""
    define(db, "name: String")
    assert handler(db, "insert", "{u: $_id}")["status"] == "registered"
    id = db.insert_into("u", {"name": "Ada"})
    assert payloads(db) == [{"u": id}]


@pytest.mark.parametrize("on", ["update", "delete"])
def test_75_update_and_delete_fire(db, on):
    """So do updates and deletes; a delete still has its id."""
    define(db, "name: String")
    handler(db, on, "{u: $_id}")
    id = db.insert_into("u", {"name": "Ada"})
    assert payloads(db) == []
    if on == "update":
        db["u"].update(id, {"name": "Bob"})
    else:
        db["u"].delete(id)
    assert payloads(db) == [{"u": id}]


def test_76_fields_are_carried(db):
    """`$_field` carries the value, `"${field}"` too, with its type."""
    define(db, "customer_id: String total: Int")
    handler(db, "insert", '{c: $_customer_id, t: "${total}", text: "total ${total}"}')
    db.insert_into("u", {"customer_id": "c9", "total": 5})
    assert payloads(db) == [{"c": "c9", "t": 5, "text": "total 5"}]


def test_77_the_job_has_the_id(db):
    """The job of the handler carries the document's id."""
    define(db, "name: String")
    handler(db, "insert", "{u: $_id}")
    id = db.execute('mutation { insertInto(collection: "u", data: {name: "x"}) { id } }')[
        "insertInto"
    ]["id"]
    assert payloads(db) == [{"u": id}]


# --- workers --------------------------------------------------------------------------------


def test_83_a_registered_handler_runs(working):
    """It runs soon, with its payload, at low priority too."""
    seen = []
    ran = threading.Event()

    @working.job("mail")
    def mail(payload):
        seen.append(payload)
        ran.set()

    working.enqueue_job("mail", {"to": "ada"}, "LOW")
    assert ran.wait(30)
    assert seen == [{"to": "ada"}]


def test_84_a_future_job_waits(db, clock, claim_one):
    """It cannot be claimed before its time."""
    db.enqueue_job("mail", {}, run_at=datetime(2026, 1, 1, 1, tzinfo=UTC))
    assert claim_one(db) is None
    clock.advance(timedelta(hours=1, seconds=1))
    assert claim_one(db).type == "mail"


def test_86_priorities(db, claim_one):
    """CRITICAL before HIGH before NORMAL before LOW, whatever the order of enqueueing."""
    for word in ("LOW", "NORMAL", "CRITICAL", "HIGH"):
        db.enqueue_job("mail", {"p": word}, word)
    order = [claim_one(db, worker=f"w{n}").payload["p"] for n in range(4)]
    assert order == ["CRITICAL", "HIGH", "NORMAL", "LOW"]
