"""The schema lives in the table: another program is held to it, and can live with it."""

from __future__ import annotations

import re

import pytest

from aurora_db.aql.catalog import Index, Type, Validation

DAY = "2026-02-28"

ACCEPTED = {
    "text": ["", "it's", "naïve 🙂", None],
    "whole": [0, -(2**63), 2**63 - 1, None],
    "real": [0.5, 3, -1.7976931348623157e308, 5e-324, None],
    "truth": [0, 1, None],
    "key": ["1", "x" * 255, None],
    "uuid": ["0190c5a0-0000-7000-8000-0123456789ab", None],
    "moment": [DAY + "T23:59:59.999999Z", "0001-01-01T00:00:00.000000Z", None],
    "day": [DAY, "2024-02-29", "9999-12-31", None],
    "hour": ["00:00:00", "23:59:59.000001", "10:00:00+02:00", "10:00:00.000001-02:30", None],
    "any": ["1", '"a"', "[1]", '{"a": null}', None],
    "object": ["{}", '{"a": [1]}', None],
    "size": ["it's", 'a "word"', None],
    "list": ["[]", "[1, 2.5]", None],
    "box": ['{"a": 1}', None],
    "_extra": ['{"a": 1}', None],
}
REFUSED = {
    "whole": ["x", 1.5],
    "real": ["x", "9e999"],
    "truth": [2, -1],
    "key": ["", "x" * 256],
    "uuid": ["x", "0190C5A0-0000-7000-8000-0123456789AB"],
    "moment": ["now", DAY, DAY + "T24:00:00.000000Z", "2026-02-29T00:00:00.000000Z",
               "0000-01-01T00:00:00.000000Z", DAY + "T00:00:00Z", DAY + "T00:00:00.000000+00:00"],
    "day": ["2026-02-29", "2026-13-01", "0000-01-01", DAY + "Z"],
    "hour": ["24:00:00", "10:60:00", "10:00", "10:00:00x", "10:00:00.1"],
    "any": ["", "{", "nul"],
    "object": ["[]", "1", "{", "null"],
    "size": ["its", ""],
    "list": ["{}", "1", "[", "null"],
    "box": ["[]", "1", "{"],
    "_extra": ["[]", "{"],
}  # fmt: skip


def test_a_value_of_its_type_is_accepted_whoever_writes(world, every_type):
    """Every type takes its values, and null where nothing demands one."""
    world.define(every_type)
    pairs = [(name, value) for name, values in ACCEPTED.items() for value in values]
    for name, value in pairs:
        world.rows(f'INSERT INTO things ("{name}") VALUES (?)', (value,))
    world.other(*[(f'INSERT INTO things ("{name}") VALUES (?)', [value]) for name, value in pairs])

    assert world.rows("SELECT count(*) FROM things") == [(2 * len(pairs),)]


def test_a_value_of_another_type_is_refused_and_the_field_named(world, every_type):
    """A constraint's name says field and rule, so that the error can."""
    world.define(every_type)
    pairs = [(name, value) for name, values in REFUSED.items() for value in values]
    said = world.other_says(
        *[(f'INSERT INTO things ("{name}") VALUES (?)', [value]) for name, value in pairs]
    )

    for (name, value), (_, error) in zip(pairs, said, strict=True):
        assert error is not None, (name, value)
        assert re.search(rf"constraint failed: {name}: \w+|in \w+ column things\.{name}", error)
        with pytest.raises(Exception, match=f"{name}: |things.{name}"):
            world.rows(f'INSERT INTO things ("{name}") VALUES (?)', (value,))
    assert world.rows("SELECT count(*) FROM things") == [(0,)]


def test_an_infinite_float_is_refused(world, every_type):
    """JSON cannot write infinity, so a Float is finite."""
    world.define(every_type)

    said = world.other_says("INSERT INTO things (real) VALUES (9e999)")

    assert said[0][1] == "CHECK constraint failed: real: finite"


@pytest.mark.parametrize(
    ("rule", "type", "options", "good", "bad"),
    [
        ("min", "Int", {"min": -1}, -1, -2),
        ("max", "Float", {"max": 1.5}, 1.5, 1.6),
        ("minLength", "String", {"min_length": 2}, "éé", "é"),
        ("maxLength", "String", {"max_length": 2}, "éé", "ééé"),
        ("enum", "String", {"enum": ("it's", "b")}, "it's", "its"),
        ("minItems", "List", {"min_items": 1}, "[0]", "[]"),
        ("maxItems", "List", {"max_items": 1}, "[0]", "[0, 0]"),
    ],
)
def test_a_rule_of_validate_is_a_constraint(
    world, make_collection, make_field, rule, type, options, good, bad
):
    """What SQL can check of @validate binds every program."""
    kind = Type(name=type, item=Type(name="Int")) if type == "List" else type
    world.define(make_collection("c", make_field("f", kind, validate=Validation(**options))))

    said = world.other_says(
        ("INSERT INTO c (f) VALUES (?)", [good]),
        ("INSERT INTO c (f) VALUES (?)", [bad]),
        ("INSERT INTO c (f) VALUES (NULL)", []),
    )

    assert [error for _, error in said] == [None, f"CHECK constraint failed: f: {rule}", None]


def test_defaults_hold_for_another_program(world, make_collection, make_field):
    """A row that names no column is a whole document."""
    world.define(make_collection(
        "c",
        make_field("text", "String", has_default=True, default="it's"),
        make_field("below", "Int", has_default=True, default=-5),
        make_field("real", "Float", has_default=True, default=2),
        make_field("truth", "Boolean", has_default=True, default=True),
        make_field("list", Type(name="List", item=Type(name="String")), has_default=True, default=["it's"]),
        make_field("at", "DateTime", has_default=True, default="now"),
        make_field("since", "DateTime", has_default=True, default="2026-01-01T02:00:00+02:00"),
        make_field("day", "Date", has_default=True, default="now"),
        make_field("hour", "Time", has_default=True, default="now"),
        make_field("token", "Uuid", has_default=True, default="uuid"),
        make_field("nothing", "String", has_default=True, default=None),
        make_field("needed", "Int", required=True, has_default=True, default=1),
    ))  # fmt: skip
    world.other("INSERT INTO c DEFAULT VALUES", "INSERT INTO c DEFAULT VALUES")

    (first, second) = world.rows("SELECT * FROM c")
    names = [row[1] for row in world.rows("PRAGMA table_info(c)")]
    document = dict(zip(names, first, strict=True))

    fixed = ("_n", "_rev", "text", "below", "real", "truth", "list", "since", "nothing", "needed")
    assert [document[name] for name in fixed] == [
        1, 1, "it's", -5, 2.0, 1, '["it\'s"]', "2026-01-01T00:00:00.000000Z", None, 1,
    ]  # fmt: skip
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", document["id"]
    )
    assert first[1] != second[1]


def test_required_and_unique_bind_another_program(world, make_collection, make_field):
    """`!`, @unique and @@unique are constraints of the table."""
    world.define(make_collection(
        "c",
        make_field("a", "Int", required=True), make_field("b", "Int", unique=True), make_field("d", "Int", indexed=True),
        indexes=(Index(fields=("a", "d"), unique=True), Index(fields=("d", "b"))),
    ))  # fmt: skip

    said = world.other_says(
        "INSERT INTO c (b) VALUES (1)",
        "INSERT INTO c (a, b, d) VALUES (1, 1, 1)",
        "INSERT INTO c (a, b) VALUES (2, 1)",
        "INSERT INTO c (a, b, d) VALUES (1, 2, 1)",
    )

    assert [error for _, error in said] == [
        "NOT NULL constraint failed: c.a",
        None,
        "UNIQUE constraint failed: c.b",
        "UNIQUE constraint failed: c.a, c.d",
    ]
