"""Collections are changed with their documents: for every program, in one piece, or not at all."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from aurora_db import (
    AsyncAurora,
    Aurora,
    SchemaError,
    TransactionError,
    UnknownCollection,
    UnknownField,
    ValidationError,
)

OTHER = """
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA foreign_keys = ON")
said = []
for sql in json.loads(sys.argv[2]):
    try:
        said.append([list(row) for row in db.execute(sql)])
    except sqlite3.Error as error:
        said.append(str(error))
db.close()
print(json.dumps(said))
"""


@pytest.fixture
def other_says(path):
    """Runs SQL by the standard library's sqlite3 in a process of its own; rows or the error."""

    def run(*statements):
        done = subprocess.run(
            [sys.executable, "-c", OTHER, str(path), json.dumps(statements)],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return json.loads(done.stdout)

    return run


def test_a_refusal_names_the_first_twenty_documents(db):
    """Who cannot be converted is listed by id, and nothing has changed."""
    db.define("t", {"a": "Float"})
    db["t"].insert_many([{"id": f"d{n:02}", "a": n + 0.5} for n in range(25)])
    with pytest.raises(SchemaError, match=r"25 documents.*and 5 more") as refused:
        db.execute("alter collection t { modify a: Int }")
    assert refused.value.ids == tuple(f"d{n:02}" for n in range(20))
    assert db["t"].get("d00") == {"id": "d00", "a": 0.5}


def test_a_difference_comes_with_the_alter_that_makes_it(db):
    """The hint of a refused definition is the text to type; typed, it makes the definition true."""
    db.define("t", {"a": "Int", "b": "String @indexed", "old": "Int"}, ["@@index(fields: [a, b])"])
    wanted = 'define collection t { a: Float! = 1.5 @validate(min: 0)  b: String  c: [String!]! = ["x"]  @@unique(fields: [a, b]) }'
    with pytest.raises(SchemaError) as refused:
        db.execute(wanted)
    assert refused.value.hint == (
        "alter collection t { drop @@index(fields: [a, b])  modify a: Float! = 1.5 @validate(min: 0)  "
        'modify b: String  add c: [String!]! = ["x"]  drop old  add @@unique(fields: [a, b]) }'
    )
    db.execute(refused.value.hint)
    assert db.execute(wanted)["steps"][0]["status"] == "unchanged"


def test_another_program_obeys_the_changed_schema(db, other_says):
    """Constraints, defaults, indexes and the feed are those of the collection as it became."""
    db.define("teams", {"name": "String"})
    db.define("t", {"a": "Int", "b": "String", "team": 'ID @relation(to: "teams")'})
    db["t"].insert({"id": "x", "a": 1, "b": "q"})
    db.execute(
        "alter collection t { rename a to n  modify n: Float! = 0 @validate(max: 9)  modify b: String @unique }"
    )
    db.execute("alter collection teams { add size: Int! = 3 }")

    said = other_says(
        "INSERT INTO t (id, b) VALUES ('y', 'r')",
        "INSERT INTO t (b) VALUES ('q')",
        "INSERT INTO t (n) VALUES (10)",
        "INSERT INTO t (n) VALUES (NULL)",
        "INSERT INTO t (team) VALUES ('nobody')",
        "UPDATE t SET n = 2 WHERE id = 'x'",
        "SELECT id, n, b, _rev FROM t ORDER BY _n",
    )

    assert said == [
        [],
        "UNIQUE constraint failed: t.b",
        "CHECK constraint failed: n: max",
        "NOT NULL constraint failed: t.n",
        "FOREIGN KEY constraint failed",
        [],
        [["x", 2.0, "q", 3], ["y", 0.0, "r", 1]],
    ]
    changes = db.execute('{ _changes(where: {collection: "t", id: "x"}) { op after } }')["_changes"]
    assert [(one["op"], one["after"]["_rev"]) for one in changes] == [
        ("insert", 1), ("update", 2), ("update", 3),
    ]  # fmt: skip
    assert changes[2]["after"] == {"id": "x", "_rev": 3, "n": 2.0, "b": "q", "team": None}


def test_updated_is_set_by_another_program_too(db, clock, other_says):
    """A field with `@updated` moves with each of its writes, in one change, unless it says otherwise."""
    db.define("t", {"n": "Int", "at": "DateTime @updated", "day": "Date @updated"})
    db["t"].insert({"id": "x", "n": 1})

    said = other_says(
        "UPDATE t SET n = 2 WHERE id = 'x'",
        "SELECT at > strftime('%Y-%m-%dT%H:%M:%S', 'now', '-1 hour'), day >= date('now', '-1 day'), _rev FROM t",
        "UPDATE t SET at = '2001-01-01T00:00:00.000000Z' WHERE id = 'x'",
        "SELECT at, _rev FROM t",
        "INSERT INTO t (id) VALUES ('y')",
        "SELECT at > '2002', day > '2002', _rev FROM t WHERE id = 'y'",
    )

    assert said[1] == [[1, 1, 2]]
    assert said[3] == [["2001-01-01T00:00:00.000000Z", 3]]
    assert said[5] == [[1, 1, 1]]
    stored = {row["id"]: row for row in db.execute("{ t { id at day _rev n } }")["t"]}
    changes = db.execute("{ _changes { id op after } }")["_changes"]
    assert [(one["id"], one["op"]) for one in changes] == [
        ("x", "insert"), ("x", "update"), ("x", "update"), ("y", "insert"),
    ]  # fmt: skip
    assert changes[1]["after"]["_rev"] == 2
    assert changes[2]["after"]["at"] == "2001-01-01T00:00:00.000000Z"
    assert changes[3]["after"]["at"] == stored["y"]["at"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    # The same instant twice is ours, and stays.
    db["t"].update("x", {"n": 3})
    db["t"].update("x", {"n": 4})
    assert db.execute('{ t(id: "x") { at _rev } }')["t"] == [{"at": clock.now(), "_rev": 5}]


def test_another_process_notices_an_alteration(path):
    """A database that is open elsewhere reads and writes by the new definition at once."""
    with Aurora(path) as one, Aurora(path) as other:
        one.define("t", {"a": "Int"})
        assert other.execute("{ t { a } }") == {"t": []}
        other["t"].insert({"id": "x", "a": 1})
        one.execute('alter collection t { rename a to b  add c: String = "c" }')
        other["t"].insert({"id": "y", "b": 2})
        assert other.execute("{ t }") == {
            "t": [{"id": "x", "b": 1, "c": "c"}, {"id": "y", "b": 2, "c": "c"}]
        }
        one.execute("alter collection t { drop b }")
        with pytest.raises(UnknownField):
            other.execute("{ t { b } }")
        # A rule that no column shows.
        one.execute('alter collection t { modify c: String = "c" @validate(pattern: "^c") }')
        with pytest.raises(ValidationError):
            other["t"].insert({"c": "x"})
        one.execute("drop collection t")
        with pytest.raises(UnknownCollection):
            other["t"].insert({"c": "c"})
        assert other.execute("{ _collections { name } }") == {"_collections": []}


def test_inside_a_transaction(db):
    """What no relation leads to is changed there, and undone with it; the rest is refused."""
    db.define("teams", {"name": "String"})
    db.define("t", {"a": "Int", "team": 'ID @relation(to: "teams")'})
    db["t"].insert({"id": "x", "a": 1})
    with db.transaction() as tx:
        tx.execute("alter collection t { rename a to b  modify b: Float }")
        assert tx.execute("{ t { b } }") == {"t": [{"b": 1.0}]}
        tx.rollback()
    assert db.execute("{ t { a } }") == {"t": [{"a": 1}]}
    with db.transaction() as tx:
        tx.execute("alter collection teams { add note: String }")
        with pytest.raises(TransactionError) as refused:
            tx.execute("alter collection teams { modify name: String! }")
    assert refused.value.hint
    db.execute("alter collection teams { modify name: String!  drop note }")
    assert db["t"].get("x") == {"id": "x", "a": 1, "team": None}


def test_foreign_keys_are_on_again_whatever_happened(db):
    """After an alteration that ran without them, and after one that failed."""
    db.define("teams", {"size": "Int"})
    db.define("t", {"team": 'ID @relation(to: "teams", onDelete: CASCADE)'})
    db["teams"].insert_many([{"id": "red", "size": 1}, {"id": "blue", "size": None}])
    db["t"].insert_many([{"team": "red"}, {"team": "blue"}])
    with pytest.raises(SchemaError):
        db.execute("alter collection teams { modify size: Int! }")
    assert db["teams"].delete("blue") == 1
    assert db["t"].count() == 1
    db.execute("alter collection teams { modify size: Int! }")
    assert db["teams"].delete("red") == 1
    assert db["t"].count() == 0


def test_what_another_program_broke_before_is_no_hindrance(db, other_program):
    """A relation that leads nowhere since long does not stop an alteration elsewhere."""
    db.define("teams", {"size": "Int"})
    db.define("t", {"team": 'ID @relation(to: "teams")', "n": "Int"})
    other_program("INSERT INTO t (id, team) VALUES ('x', 'nobody')")
    db.execute("alter collection teams { add name: String! = 'n' }".replace("'", '"'))
    assert db["teams"].count() == 0


def test_subscribers_of_the_feed_see_one_operation(db):
    """The changes of an alteration stand together."""
    db.define("t", {"a": "Int"})
    db["t"].insert_many([{"a": n} for n in range(3)])
    db.execute("alter collection t { add b: Int = 1 }")
    rows = db.execute("{ _changes { seq op } }")["_changes"]
    assert [row["op"] for row in rows] == ["insert"] * 3 + ["update"] * 3
    operations = subprocess.run(
        [sys.executable, "-c", OTHER, str(db.config.path), json.dumps(["SELECT first, last FROM _operations"])],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert json.loads(operations.stdout) == [[[1, 3], [4, 6]]]


async def test_by_tasks(path):
    """Tasks write while one of them changes what others relate to; nothing is lost."""
    import asyncio

    async with AsyncAurora(path) as db:
        await db.define("teams", {"name": "String"})
        await db.define("t", {"n": "Int", "team": 'ID @relation(to: "teams")'})
        await db["teams"].insert({"id": "red"})

        async def write(n):
            await db["t"].insert({"n": n, "team": "red"})

        texts = ["add a: Int = 1", "rename a to b", "modify b: Float", "drop b"]

        async def change():
            for text in texts:
                await db.execute(f"alter collection teams {{ {text} }}")

        await asyncio.gather(change(), *(write(n) for n in range(50)))
        assert await db["t"].count() == 50
        assert await db.execute("{ teams }") == {"teams": [{"id": "red", "name": None}]}
        result = await db.define("more", {"n": "Int"})
        assert result["steps"][0]["status"] == "created"
