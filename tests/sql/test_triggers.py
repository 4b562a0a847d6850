"""The feed and the event handlers fire whoever writes, and tell exactly what was written."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora_db.aql import plan
from aurora_db.aql.catalog import Type
from aurora_db.sql import triggers

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
WHOLE = st.integers(-(2**63), 2**63 - 1)
REALS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | REALS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
MOMENTS = st.datetimes().map(lambda one: one.isoformat(timespec="microseconds") + "Z")

#: By field: what a document may hold.
VALUES = {
    "text": TEXTS,
    "whole": WHOLE,
    "real": REALS,
    "truth": st.booleans(),
    "key": st.uuids().map(str),
    "uuid": st.uuids().map(str),
    "moment": MOMENTS,
    "day": st.dates().map(str),
    "hour": st.times().map(str),
    "any": JSON.filter(lambda one: one is not None),
    "object": st.dictionaries(TEXTS, JSON, max_size=3),
    "mail": st.just("ada@example.org"),
    "size": st.sampled_from(["it's", 'a "word"', "plain"]),
    "list": st.lists(REALS, max_size=4),
    "box": st.fixed_dictionaries({"a": WHOLE, "b": TEXTS}),
}
DOCUMENTS = st.fixed_dictionaries({name: st.none() | one for name, one in VALUES.items()})
KEPT_AS_JSON = ("any", "object", "list", "box")


def columns(document):
    """What the columns hold for a document."""
    stored = {}
    for name, value in document.items():
        as_json = value is not None and name in KEPT_AS_JSON
        stored[name] = json.dumps(value) if as_json else value
    return stored


def insert(document):
    """The statement by which any program writes it."""
    names = ", ".join(f'"{name}"' for name in document)
    places = ", ".join("?" for _ in document)
    return f"INSERT INTO things ({names}) VALUES ({places})", list(columns(document).values())


def same(one, other):
    """Equal, and of equal types."""
    return one == other and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@given(before=DOCUMENTS, after=DOCUMENTS)
@settings(max_examples=40)
def test_images_tell_exactly_what_another_program_wrote(worlds, every_type, before, after):
    """Whatever the values, both images read back as the same document."""
    world = worlds()
    world.define(every_type)
    sets = ", ".join(f'"{name}" = ?' for name in after)
    world.other(
        insert({"id": "1", **before}),
        (f"UPDATE things SET {sets}", list(columns(after).values())),
        "DELETE FROM things",
    )

    old, new = {"id": "1", "_rev": 1, **before}, {"id": "1", "_rev": 2, **after}
    expected = [("insert", None, old), ("update", old, new), ("delete", new, None)]
    for (op, was, now), (known, old_image, new_image) in zip(
        world.changes("things"), expected, strict=True
    ):
        assert op == known
        assert same(was, old_image), (was, old_image)
        assert same(now, new_image), (now, new_image)


@given(value=REALS)
@settings(max_examples=200)
def test_a_float_in_an_image_is_the_float_that_was_written(worlds_once, value):
    """Every finite double survives, by our engine as by an older one (see the test above)."""
    worlds_once.rows("DELETE FROM _changes")
    worlds_once.rows("INSERT INTO things (real) VALUES (?)", (value,))

    assert worlds_once.changes("things")[0][2]["real"] == value


@pytest.fixture
def worlds_once(world, every_type):
    """One file for all examples of a property."""
    world.define(every_type)
    return world


def test_large_floats_survive_the_other_program(world, every_type):
    """Seventeen digits as SQLite 3.40 writes them miss these."""
    values = [-1.1661348785953643e294, 1.7976931348623157e308, 2.4694635813472997e-296, 5e-324, 0.1]
    world.define(every_type)
    world.other(*[("INSERT INTO things (real) VALUES (?)", [value]) for value in values])

    assert [image["real"] for _, _, image in world.changes("things")] == values


def test_undeclared_fields_are_part_of_the_image(world, every_type):
    """A flexible document is shown as one object, its nulls included."""
    world.define(every_type)
    world.other(("INSERT INTO things (id, _extra) VALUES ('1', ?)", ['{"a b": null, "n": 0.1}']))

    (_, _, image), *_ = world.changes("things")

    assert (image["a b"], image["n"], image["text"], "_extra" in image) == (None, 0.1, None, False)


@pytest.mark.parametrize("writer", ["us", "another program"])
def test_one_change_for_each_update_and_the_revision_grows(
    world, make_collection, make_field, writer
):
    """Whoever writes, and whatever they do to `_rev`."""
    world.define(make_collection("c", make_field("a", "Int"), make_field("b", "Int")))
    statements = [
        "INSERT INTO c (id, a) VALUES ('1', 1)",
        "UPDATE c SET a = 2",
        "UPDATE c SET a = 3, b = 3, _rev = _rev + 1",
        "UPDATE c SET a = 4, _rev = 1",
        "UPDATE c SET a = 4",
    ]
    if writer == "us":
        for statement in statements:
            world.rows(statement)
    else:
        world.other(*statements)

    found = world.changes("c")

    assert [op for op, _, _ in found] == ["insert", "update", "update", "update", "update"]
    assert [(image["_rev"], image["a"]) for _, _, image in found] == [
        (1, 1), (2, 2), (3, 3), (4, 4), (5, 4),
    ]  # fmt: skip
    assert [before["_rev"] for _, before, _ in found[1:]] == [1, 2, 3, 4]
    assert world.rows("SELECT _rev FROM c") == [(5,)]


def test_several_rows_are_several_changes(world, make_collection, make_field):
    """A statement over three rows makes three changes."""
    world.define(make_collection("c", make_field("a", "Int")))
    world.other("INSERT INTO c (a) VALUES (1), (2), (3)", "UPDATE c SET a = a + 1 WHERE a > 1")

    assert [(op, now["a"], now["_rev"]) for op, _, now in world.changes("c")] == [
        ("insert", 1, 1), ("insert", 2, 1), ("insert", 3, 1), ("update", 3, 2), ("update", 4, 2),
    ]  # fmt: skip


def test_a_wide_collection_has_its_feed(world, make_collection, make_field):
    """No limit on the arguments of a function bounds the number of fields."""
    names = [f"f{n}" for n in range(200)]
    world.define(make_collection("c", *(make_field(name, "Int") for name in names)))
    world.other("INSERT INTO c (f199) VALUES (7)", "UPDATE c SET f0 = 1")

    assert [(now["f0"], now["f199"]) for _, _, now in world.changes("c")] == [(None, 7), (1, 7)]


def test_triggers_can_be_made_anew(world, every_type):
    """Dropping removes every trigger of the collection, and only these."""
    world.define(every_type)
    for text in (*triggers.drop(every_type), *triggers.feed(every_type, [])):
        world.rows(text)
    world.other("INSERT INTO things DEFAULT VALUES")

    assert len(world.changes("things")) == 1
    for text in triggers.drop(every_type):
        world.rows(text)
    assert (
        world.rows("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name <> '_jobs'")
        == []
    )


# --- event handlers -------------------------------------------------------------------------


def path(collection, name, *keys, type=None, row=""):
    """A stored value of a collection."""
    found = collection.field(name)
    if found is None:
        return plan.Path(None, (name, *keys), type, row)
    return plan.Path(found, keys, type if keys else found.type, row)


NOTHING = plan.Constant(None)


def handler(collection, op="insert", payload=NOTHING, where=plan.ALWAYS, changed=(), name="h", **options):  # fmt: skip
    """One `enqueueJob` of type `work` on one event."""
    chosen = {"type": plan.Constant("work"), "payload": payload}
    chosen |= {key: plan.Constant(value) for key, value in options.items()}
    return plan.HandlerTrigger(
        name=name, op=op, collection=collection, where=where,
        changed=tuple(collection.field(one) for one in changed),
        actions=(plan.HandlerEnqueue(tuple(chosen.items())),),
    )  # fmt: skip


def payloads(world):
    """What the jobs were given, in their order."""
    return [json.loads(text) for (text,) in world.rows("SELECT payload FROM _jobs ORDER BY _n")]


def test_a_job_is_pending_and_names_its_cause(world, make_collection, make_field):
    """An insert by another program enqueues in the same transaction."""
    products = make_collection("products", make_field("name", "String"))
    world.define(
        products,
        [handler(products, name="it's", priority="HIGH", retries=5, queue="q", tags=["a"])],
    )
    world.other(
        "INSERT INTO products (id, name) VALUES ('p1', 'x')", "UPDATE products SET name = 'y'"
    )

    (job,) = world.rows(
        "SELECT id, type, status, run_at, priority, max_retries, queue, tags, payload, created_at FROM _jobs"
    )
    (cause,) = world.rows("SELECT cause FROM _jobs")
    (position,) = world.rows(
        "SELECT seq FROM _changes WHERE collection = 'products' AND op = 'insert'"
    )

    assert job[1:9] == ("work", "PENDING", None, 1, 5, "q", '["a"]', "null")
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", job[0]
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", job[9])
    assert json.loads(cause[0]) == {
        "handler": "it's", "collection": "products", "id": "p1", "rev": 1, "position": position[0],
        "depth": 1,
    }  # fmt: skip


def test_every_job_of_a_change_names_the_same_position(world, make_collection, make_field):
    """Jobs have changes of their own; the cause is the document's."""
    c = make_collection("c", make_field("a", "Int"))
    world.define(c, [handler(c, "update", name="one"), handler(c, "update", name="two")])
    world.other("INSERT INTO c (id) VALUES ('1')", "UPDATE c SET a = 1")

    (position,) = world.rows("SELECT seq FROM _changes WHERE op = 'update'")[0]
    causes = [json.loads(one) for (one,) in world.rows("SELECT cause FROM _jobs ORDER BY _n")]
    assert [(one["handler"], one["rev"], one["position"]) for one in causes] == [
        ("one", 2, position), ("two", 2, position),
    ]  # fmt: skip


@given(document=DOCUMENTS)
@settings(max_examples=30)
def test_a_path_alone_keeps_its_type(worlds, every_type, document):
    """`"${field}"` gives the field's value, whatever program wrote it."""
    world = worlds()
    payload = plan.HandlerObject(tuple((name, path(every_type, name)) for name in VALUES))
    world.define(every_type, [handler(every_type, payload=payload)])
    world.other(insert(document))

    (found,) = payloads(world)
    assert same(found, document), (found, document)


def test_templates_put_values_into_text(world, every_type):
    """Null is nothing, a Boolean its word, a Float as it is written, JSON its text."""
    names = ("text", "whole", "real", "truth", "any", "list", "mail")
    parts = [one for name in names for one in (f"'{name}': ", path(every_type, name), "; ")]
    world.define(every_type, [handler(every_type, payload=plan.Template(tuple(parts)))])
    world.other(
        insert({"text": 'it\'s "q"', "whole": 3, "real": 3.0, "truth": True, "any": {"a": 1}}),
        insert({"real": 0.1, "truth": False, "list": [1.5]}),
        insert({"real": 0.1 + 0.2}),
    )

    assert payloads(world) == [
        "'text': it's \"q\"; 'whole': 3; 'real': 3.0; 'truth': true; 'any': {\"a\": 1}; 'list': ; 'mail': ; ",
        "'text': ; 'whole': ; 'real': 0.1; 'truth': false; 'any': ; 'list': [1.5]; 'mail': ; ",
        "'text': ; 'whole': ; 'real': 0.300000000000000044; 'truth': ; 'any': ; 'list': ; 'mail': ; ",
    ]


def test_paths_go_into_json(world, every_type):
    """Alone they keep their type, in a text they are written; what is missing is null."""
    keys = ("t", "n", "r", "o", "missing", 'a"b', "c\\d", "é'")
    paths = [path(every_type, "any", "x", key) for key in keys]
    text = plan.Template(tuple(one for each in paths for one in (each, "|")))
    payload = plan.HandlerList(
        (*paths, text, path(every_type, "free", "y"), plan.Constant({"c": [None]}))
    )
    world.define(every_type, [handler(every_type, payload=payload)])
    inner = {"t": True, "n": None, "r": 0.1, "o": {"z": [1]}, 'a"b': 1.5, "c\\d": "s", "é'": {}}
    world.other((
        "INSERT INTO things (any, _extra) VALUES (?, ?)",
        [json.dumps({"x": inner}, ensure_ascii=False), '{"free": {"y": false}}'],
    ))  # fmt: skip

    assert payloads(world) == [[
        True, None, 0.1, {"z": [1]}, None, 1.5, "s", {},
        'true||0.1|{"z":[1]}||1.5|s|{}|', False, {"c": [None]},
    ]]  # fmt: skip


def test_constants_of_a_payload_are_written_as_they_are(world, make_collection):
    """Quotes, control characters and nests of constants."""
    c = make_collection("c")
    value = {"it's": ['"', "\\", "\0", "\n", 1.5, True, None, {}], "": []}
    nest = plan.HandlerObject(
        (("k\"'", plan.Constant(value)), ("e", plan.HandlerObject(())), ("l", plan.HandlerList(())))
    )
    world.define(c, [handler(c, payload=nest)])
    world.other("INSERT INTO c DEFAULT VALUES")

    assert payloads(world) == [{"k\"'": value, "e": {}, "l": []}]


def test_a_condition_chooses_the_documents(world, every_type):
    """Constants stand in the trigger as literals, quotes and all; 3.40 runs every operator."""

    def compare(name, op, value, *keys, type=None):
        return plan.Compare(path(every_type, name, *keys, type=type), op, plan.Constant(value))

    world.define(every_type, [
        handler(every_type, payload=plan.Constant(n), where=where) for n, where in enumerate([
            compare("text", "eq", "it's"),
            plan.Not(compare("text", "in", ["it's", None])),
            compare("whole", "gte", -3),
            compare("text", "contains", "'"),
            compare("text", "startsWith", "it"),
            compare("text", "endsWith", "'s"),
            compare("list", "contains", "1"),
            compare("box", "eq", "x'y", "b", type=Type(name="String")),
            compare("any", "eq", True, 'a"b'),
            compare("any", "contains", '{"k": [1]}'),
            plan.Not(plan.Or((compare("free", "eq", "v"), compare("real", "isNull", value=False)))),
            compare("truth", "ne", 1),
            compare("text", "eq", "a\0'b"),
        ])
    ])  # fmt: skip
    world.other(
        insert({"text": "a\0'b"}),
        insert({"text": "it's", "whole": -3, "list": [2, 1.0], "box": {"b": "x'y", "a": 0}, "truth": True}),
        insert({"any": {'a"b': True, "k": [1]}, "real": 1.5}),
        ("INSERT INTO things (text, _extra) VALUES ('x', ?)", ['{"free": "v"}']),
    )  # fmt: skip

    assert payloads(world) == [1, 3, 10, 11, 12, 0, 2, 3, 4, 5, 6, 7, 10, 8, 9, 11, 1, 11]


def test_an_update_handler_asks_what_changed(world, make_collection, make_field):
    """A column that is named and keeps its value has not changed; `old` is the value before."""
    c = make_collection("c", make_field("a", "Int"), make_field("b", "Int"))
    grown = plan.Compare(path(c, "a", row="old"), "lt", plan.Constant(10))
    payload = plan.HandlerList((path(c, "a", row="old"), path(c, "a")))
    world.define(c, [handler(c, "update", payload, grown, changed=("a",))])
    world.other(
        "INSERT INTO c (a, b) VALUES (1, 1)",
        "UPDATE c SET a = 1, b = 2",
        "UPDATE c SET b = 3",
        "UPDATE c SET a = 10",
        "UPDATE c SET a = 11",
    )

    assert payloads(world) == [[1, 10]]


def test_a_delete_handler_sees_the_document_as_it_was(world, make_collection, make_field):
    """On a delete every field is the old one's."""
    c = make_collection("c", make_field("a", "Int"))
    where = plan.Not(plan.Compare(path(c, "a"), "eq", plan.Constant(2)))
    world.define(c, [handler(c, "delete", plan.HandlerList((path(c, "id"), path(c, "a"))), where)])
    world.other("INSERT INTO c (id, a) VALUES ('x', 1), ('y', 2)", "DELETE FROM c")

    assert payloads(world) == [["x", 1]]


def test_a_quiet_collection_has_no_feed_and_its_handlers_fire(world, make_collection, make_field):
    """`@quiet` spares the changes, not the jobs."""
    c = make_collection("c", make_field("a", "Int"), quiet=True)
    world.define(c, [handler(c, payload=path(c, "a"))])
    world.other("INSERT INTO c (a) VALUES (1)", "UPDATE c SET a = 2", "DELETE FROM c")

    assert (payloads(world), world.changes("c")) == ([1], [])
    ((cause,),) = world.rows("SELECT cause FROM _jobs")
    assert json.loads(cause)["position"] is None


def test_a_rollback_takes_jobs_and_changes_with_it(world, make_collection):
    """What was not committed did not happen."""
    c = make_collection("c")
    world.define(c, [handler(c)])
    world.other("BEGIN", "INSERT INTO c DEFAULT VALUES", "ROLLBACK")

    assert (payloads(world), world.changes("c")) == ([], [])
