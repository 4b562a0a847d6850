"""Related documents: how many statements, which snapshot, which index; and what deletes cause."""

from __future__ import annotations

import threading

import pytest

from aurora_db import Aurora, ForeignKeyViolation

SCHEMA = """schema {
  define collection users { name: String age: Int team: ID @relation(to: "teams", onDelete: CASCADE) }
  define collection teams { name: String @indexed org: ID @relation(to: "orgs") }
  define collection orgs { name: String }
  define collection orders { buyer: ID @relation(to: "users", onDelete: SET_NULL) total: Int }
}"""
NESTED = """{ users { name team { name org { name } users(orderBy: {age: DESC}, limit: 2) { name } }
    orders(where: {total: {gte: 0}}) { total } same: lookup(collection: "users", localField: "age", foreignField: "age", limit: 1) { id } } }"""


@pytest.fixture
def shop(db):
    db.execute(SCHEMA)
    return db


def fill(db, count):
    db["orgs"].insert_many([{"id": "o1", "name": "Org"}])
    db["teams"].insert_many([{"id": f"t{n}", "name": f"team {n}", "org": "o1"} for n in range(5)])
    db["users"].insert_many(
        [
            {"id": f"u{n}", "name": f"user {n}", "age": n % 9, "team": f"t{n % 5}"}
            for n in range(count)
        ]
    )
    db["orders"].insert_many([{"buyer": f"u{n}", "total": n} for n in range(count)])


def statements(db, text):
    """The statements that a read runs on the connection of this thread, with their parameters."""
    db.execute(text)
    seen = []
    connection = db._engine._reader().connection

    def trace(_cursor, sql, params):
        seen.append((sql, params))
        return True

    connection.exec_trace = trace
    try:
        db.execute(text)
    finally:
        connection.exec_trace = None
    return [(sql, params) for sql, params in seen if sql.startswith("SELECT")]


def plan_of(db, text):
    """How SQLite goes about each statement of a read."""
    connection = db._engine._reader().connection
    steps = []
    for sql, params in statements(db, text):
        steps += [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", params)]
    return steps


def test_the_number_of_statements_does_not_grow_with_the_parents(path, tmp_path):
    """One statement for the parents and one for each nest, for ten parents as for ten thousand."""
    counted = []
    for n, count in enumerate((10, 10_000)):
        with Aurora(tmp_path / f"{n}.db", durability="none", hot_cache_size_mb=0) as db:
            db.execute(SCHEMA)
            fill(db, count)
            counted.append(len(statements(db, NESTED)))
    assert counted == [6, 6]


def test_each_parent_gets_documents_of_its_own(shop):
    """Changing one document of a result changes no other, though their relation is the same."""
    fill(shop, 10)
    users = shop.execute("{ users { team { name org { name } } } }")["users"]
    users[0]["team"]["org"]["name"] = "mine"
    assert users[5]["team"] == {"name": "team 0", "org": {"name": "Org"}}


def test_parents_and_their_documents_are_of_one_instant(shop):
    """While another thread moves a user from team to team, every result shows it in one."""
    fill(shop, 1)
    stop = threading.Event()

    def move():
        n = 0
        while not stop.is_set():
            n += 1
            shop["users"].update("u0", {"team": f"t{n % 5}", "name": f"team {n % 5}"})

    mover = threading.Thread(target=move)
    shop["users"].update("u0", {"team": "t0", "name": "team 0"})
    mover.start()
    try:
        for _ in range(200):
            (user,) = shop.execute("{ users { name team { name users { id } } } }")["users"]
            assert user["name"] == user["team"]["name"]
            assert user["team"]["users"] == [{"id": "u0"}]
    finally:
        stop.set()
        mover.join()


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ('{ users(where: {team: "t1"}) { id } }', "users USING INDEX users:team (team=?)"),
        ('{ users(where: {team: {in: ["t1", "t2"]}}) { id } }', "users USING INDEX users:team (team=?)"),
        ('{ users(where: {team: {id: "t1"}}) { id } }', "users USING INDEX users:team (team=?)"),
        ('{ users(where: {team: {name: "x"}}) { id } }', "users USING INDEX users:team (team=?)"),
        ('{ users(where: {team: {name: "x"}}) { id } }', "_in0 USING INDEX teams:name (name=?)"),
        ('{ users(where: {team: {name: {gt: "x"}}}) { id } }', "_in0 EXISTS USING INDEX sqlite_autoindex_teams_1 (id=?)"),
        ('{ users(where: {not: {team: {org: {name: "x"}}}}) { id } }', "_in0 USING INDEX sqlite_autoindex_teams_1 (id=?)"),
        ('{ teams(where: {users: {some: {id: "u1"}}}) { id } }', "teams USING COVERING INDEX sqlite_autoindex_teams_1 (id=?)"),
        ("{ teams(where: {users: {none: {age: 3}}}) { id } }", "_in0 USING INDEX users:team (team=?)"),
        ('{ teams(where: {name: {gt: "x"}}, orderBy: name) { id } }', "teams USING INDEX teams:name (name>?)"),
        ('{ teams(where: {name: {between: ["a", "b"]}}) { id } }', "teams USING INDEX teams:name (name>? AND name<?)"),
        ('{ teams(where: {name: {startsWith: "x"}}) { id } }', "teams USING INDEX teams:name (name>? AND name<?)"),
        ("{ users { team { name } } }", "teams USING INDEX sqlite_autoindex_teams_1 (id=?)"),
        ("{ teams { users { name } } }", "users USING INDEX users:team (team=?)"),
        ("{ teams { users(orderBy: {age: DESC}, limit: 2) { name } } }", "users USING INDEX users:team (team=?)"),
    ],
)  # fmt: skip
def test_the_index_is_used(shop, text, index):
    """Equality, lists and ranges, and each step over a relation, go by an index."""
    fill(shop, 10)
    steps = plan_of(shop, text)
    assert any(step.startswith(f"SEARCH {index}") for step in steps), steps


def test_values_never_stand_in_the_statement(shop):
    """What looks like SQL is a value."""
    fill(shop, 1)
    for value in ("x' OR 1 --", '"; DROP TABLE users; --'):
        text = "query ($v: String) { users(where: {team: {name: $v}}) { id team { users(where: {name: $v}) { id } } } }"
        assert shop.execute(text, {"v": value}) == {"users": []}
        assert (
            shop["users"].count({"or": [{"name": value}, {"team": {"name": {"contains": value}}}]})
            == 0
        )


# --- foreign keys ---------------------------------------------------------------------------


def test_the_error_names_field_and_value_in_every_verb(shop):
    """Insert, insert many, update, delete, and within a transaction."""
    fill(shop, 3)
    refused = [
        (lambda: shop.insert_into("users", {"team": "t9"}), "team", "t9"),
        (lambda: shop["orders"].insert_many([{"total": 1}, {"buyer": "u9"}]), "buyer", "u9"),
        (lambda: shop["users"].update("u1", {"team": "t8"}), "team", "t8"),
        (lambda: shop["orgs"].delete("o1"), "org", "o1"),
        (lambda: shop["orgs"].delete({}, all=True), "org", "o1"),
    ]
    for verb, field, value in refused:
        with pytest.raises(ForeignKeyViolation, match="Foreign key violation") as error:
            verb()
        assert (error.value.fields, error.value.value) == ((field,), value)
    with pytest.raises(ForeignKeyViolation, match="'team' of 'users'"), shop.transaction() as tx:
        tx.insert_into("users", {"team": "t7"})
    assert [shop[name].count() for name in ("orgs", "teams", "users", "orders")] == [1, 5, 3, 3]


def test_one_refused_insert_of_many_threads_fails_alone(shop):
    """Writers whose inserts are committed together are not blamed for each other's relation."""
    fill(shop, 1)
    failed = []

    def insert(n):
        try:
            shop.insert_into("users", {"id": f"x{n}", "team": "t0" if n % 2 else f"no{n}"})
        except ForeignKeyViolation as error:
            failed.append((f"x{n}", error.value))

    threads = [threading.Thread(target=insert, args=(n,)) for n in range(20)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert sorted(failed) == sorted((f"x{n}", f"no{n}") for n in range(0, 20, 2))
    assert shop["users"].count({"id": {"startsWith": "x"}}) == 10


def test_deleting_both_sides_in_one_statement_is_no_violation(shop):
    """RESTRICT looks at what is left, so a chain of documents can go at once."""
    shop.execute("schema { define collection steps { after: ID @relation(to: steps) } }")
    shop["steps"].insert_many([{"id": "a"}, {"id": "b", "after": "a"}, {"id": "c", "after": "b"}])
    with pytest.raises(ForeignKeyViolation):
        shop["steps"].delete("a")
    assert shop["steps"].delete({}, all=True) == 3


def test_a_cascade_is_in_the_feed_and_fires_event_handlers(shop):
    """What a delete causes over relations is a change like any other."""
    fill(shop, 6)
    shop.execute(
        'define handler "gone" { on: "delete:users" action: { enqueueJob(type: "bye", payload: {id: "${id}"}) } }'
    )
    shop.execute(
        'define handler "lost" { on: "update:orders" where: {buyer: {isNull: true}} action: { enqueueJob(type: "lost", payload: {n: "${total}"}) } }'
    )

    assert shop["teams"].delete("t0") == 1

    changes = shop.execute(
        '{ _changes(where: {op: {ne: "insert"}, collection: {ne: "_jobs"}}) { op collection id } }'
    )["_changes"]
    assert sorted((c["op"], c["collection"], c["id"]) for c in changes if c["collection"] != "orders") == [
        ("delete", "teams", "t0"), ("delete", "users", "u0"), ("delete", "users", "u5"),
    ]  # fmt: skip
    assert [c["op"] for c in changes if c["collection"] == "orders"] == ["update", "update"]
    jobs = shop.execute("{ _jobs(orderBy: type) { type payload } }")["_jobs"]
    assert sorted((job["type"], str(job["payload"])) for job in jobs) == [
        ("bye", "{'id': 'u0'}"), ("bye", "{'id': 'u5'}"), ("lost", "{'n': 0}"), ("lost", "{'n': 5}"),
    ]  # fmt: skip


def test_a_relation_that_another_program_broke_reads_as_null(shop, other_program):
    """The sqlite3 program does not look at foreign keys; such a relation leads to no document."""
    fill(shop, 1)
    other_program("UPDATE users SET team = 'nowhere'")
    assert shop.execute("{ users { team { name } id: team } }") == {
        "users": [{"team": None, "id": "nowhere"}]
    }
    assert shop["users"].count({"team": {"name": {"isNull": True}}}) == 1
    assert shop["users"].count({"team": {"name": None}}) == 1
    assert shop["users"].count({"team": {"name": {"ne": "team 0"}}}) == 1
    assert shop["users"].count({"team": {"name": {"in": [None]}}}) == 1
