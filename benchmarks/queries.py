"""Queries beside SQL written by hand, on the same tables in the same run.

Each row is one construct: what a programmer would write with APSW and a loop that makes the same
result, in one snapshot where it takes several statements, and our text through `execute`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import apsw

from aurora_db import Aurora
from benchmarks.measure import CITIES, Figure, beside, database

USERS, TEAMS, ORDERS = 4_000, 40, 16_000
PLAIN, NESTED = 1.5, 2.0

SCHEMA = """schema {
  define collection teams { name: String!  rank: Int }
  define collection users {
    name: String!  age: Int @indexed  score: Float @indexed  city: String  tags: [String!]
    addr: {city: String zip: String}  bio: String @search  team: ID @relation(to: "teams")
    label: String @computed("${name} of ${city}")  older: Int @computed("age + 1")
  }
  define collection orders {
    user: ID! @relation(to: "users")  total: Float  status: Enum("OPEN", "PAID")
    items: [{sku: String qty: Int}]
  }
}"""

Row = tuple[Any, ...]
Params = dict[str, Any]
Hand = Callable[[apsw.Connection, Params], Any]


def filled(db: Aurora) -> None:
    """The collections of this benchmark."""
    db.execute(SCHEMA)
    db["teams"].insert_many(
        {"id": f"t{i:02}", "name": f"team {i}", "rank": i % 7} for i in range(TEAMS)
    )
    db["users"].insert_many(
        {
            "id": f"u{i:04}", "name": f"user {i}", "age": i * 7919 % 80, "score": (i * 7907 % USERS) / 4,
            "city": CITIES[i % 8], "tags": ["alpha", "beta" if i % 40 == 0 else "gamma"],
            "addr": {"city": CITIES[i * 3 % 8], "zip": f"{i:05}"}, "team": f"t{i % TEAMS:02}",
            "bio": f"a person who likes {'chess' if i % 100 == 0 else 'walking'} and number {i}",
        }
        for i in range(USERS)
    )  # fmt: skip
    db["orders"].insert_many(
        {
            "id": f"o{i:05}", "user": f"u{i % USERS:04}", "total": (i * 7919 % 1_000) / 10,
            "status": "OPEN" if i % 3 else "PAID", "items": [{"sku": f"s{i % 500}", "qty": i % 5}],
        }
        for i in range(ORDERS)
    )  # fmt: skip


def rows(connection: apsw.Connection, sql: str, params: Any = ()) -> list[Row]:
    """All rows of a statement."""
    return connection.execute(sql, params).fetchall()


def simple(sql: str, *names: str) -> Hand:
    """One statement with the values of the variables in their order."""
    shown = [name for name in names if name != "name"]
    if "name" in names and len(shown) == 1:
        return lambda c, p: [{"id": r[0], "name": r[1]} for r in rows(c, sql, tuple(p.values()))]
    return lambda c, p: [dict(zip(names, r, strict=True)) for r in rows(c, sql, tuple(p.values()))]


def snapshot(run: Hand) -> Hand:
    """Several statements that see the same."""

    def made(connection: apsw.Connection, params: Params) -> Any:
        connection.execute("BEGIN")
        try:
            return run(connection, params)
        finally:
            connection.execute("COMMIT")

    return made


FEW = "SELECT id, name FROM users WHERE {} ORDER BY _n LIMIT 20"
ALL = "SELECT id, name FROM users WHERE {} ORDER BY _n"


def listed(name: str, text: str, params: Params, sql: str) -> tuple[str, str, Params, Hand, float]:
    """A row for users with id and name."""
    return name, text, params, simple(sql, "id", "name"), PLAIN


def users(where: str, kind: str, more: str = ", limit: 20") -> str:
    """Our text for users with id and name; `kind` declares the variables."""
    return f"query ({kind}) {{ users(where: {where}{more}) {{ id name }} }}"


def teams_of(connection: apsw.Connection, params: Params) -> Any:
    """Users with their team, by a join."""
    sql = (
        "SELECT u.id, u.name, t.id, t.name FROM users AS u LEFT JOIN teams AS t ON t.id = u.team "
        "WHERE u.age = ? ORDER BY u._n LIMIT ?"
    )
    return [
        {"id": r[0], "name": r[1], "team": None if r[2] is None else {"id": r[2], "name": r[3]}}
        for r in rows(connection, sql, (params["a"], params["n"]))
    ]


def orders_of(limit: int | None = None, *, items: bool = False) -> Hand:
    """Users, and the orders of all of them by a second statement."""

    def run(connection: apsw.Connection, params: Params) -> Any:
        found = rows(
            connection,
            "SELECT id, name FROM users WHERE age = ? ORDER BY _n LIMIT ?",
            (params["a"], params["n"]),
        )
        made = {r[0]: {"id": r[0], "name": r[1], "orders": []} for r in found}
        marks = ",".join("?" * len(made))
        shown = "id, total, items" if items else "id, total"
        if limit is None:
            sql = f"SELECT user, {shown} FROM orders WHERE user IN ({marks}) ORDER BY user, _n"
        else:
            sql = (
                f"SELECT user, {shown} FROM (SELECT *, row_number() OVER (PARTITION BY user ORDER BY _n) AS r "
                f"FROM orders WHERE user IN ({marks})) WHERE r <= {limit} ORDER BY user, r"
            )
        for r in rows(connection, sql, tuple(made)):
            order = {"id": r[1], "total": r[2]}
            if items:
                order["items"] = json.loads(r[3])
            made[r[0]]["orders"].append(order)
        return list(made.values())

    return snapshot(run)


def searched(connection: apsw.Connection, _params: Params) -> Any:
    """The documents that the index finds, the best first."""
    sql = (
        'SELECT u.id, u.name FROM "_search:users" AS f JOIN users AS u ON u._n = f.rowid '
        'WHERE "_search:users" MATCH ? ORDER BY bm25("_search:users"), u._n LIMIT 20'
    )
    return [{"id": r[0], "name": r[1]} for r in rows(connection, sql, ('"chess"',))]


def shown(connection: apsw.Connection, params: Params) -> Any:
    """Documents with lists and objects."""
    sql = "SELECT id, tags, addr FROM users WHERE age = ? ORDER BY _n LIMIT 20"
    return [
        {"id": r[0], "tags": json.loads(r[1]), "addr": json.loads(r[2])}
        for r in rows(connection, sql, (params["a"],))
    ]


NEST = "query ($a: Int!, $n: Int!) { users(where: {age: $a}, limit: $n) { id name %s } }"
TWENTY, FIVE, ONE = {"a": 7, "n": 20}, {"a": 7, "n": 5}, {"a": 7, "n": 1}

CONSTRUCTS: tuple[tuple[str, str, Params, Hand, float], ...] = (
    listed("eq, indexed", users("{age: $a}", "$a: Int!"), {"a": 7}, FEW.format("age = ?")),
    ("in, indexed", users("{age: {in: $a}}", "$a: [Int!]!"), {"a": [7, 8, 9]},
     lambda c, p: [{"id": r[0], "name": r[1]} for r in rows(c, FEW.format("age IN (?, ?, ?)"), tuple(p["a"]))], PLAIN),
    listed("range, indexed", users("{score: {gte: $a, lt: $b}}", "$a: Float!, $b: Float!"), {"a": 100.0, "b": 105.0}, FEW.format("score >= ? AND score < ?")),
    listed("eq, scan", users("{city: $c}", "$c: String!", ""), {"c": "Oslo"}, ALL.format("city = ?")),
    listed("startsWith, scan", users("{name: {startsWith: $c}}", "$c: String!", ""), {"c": "user 39"}, ALL.format("substr(name, 1, length(?1)) = ?1")),
    listed("contains in a text, scan", users("{bio: {contains: $c}}", "$c: String!", ""), {"c": "chess"}, ALL.format("instr(bio, ?) > 0")),
    listed("or of two fields, scan", users("{or: [{city: $c}, {age: $a}]}", "$c: String!, $a: Int!", ""), {"c": "Oslo", "a": 7}, ALL.format("city = ? OR age = ?")),
    listed("not, scan", users("{not: {city: $c}}", "$c: String!", ""), {"c": "Oslo"}, ALL.format("(city = ?) IS NOT TRUE")),
    listed("contains in a list, scan", users("{tags: {contains: $c}}", "$c: String!", ""), {"c": "beta"}, ALL.format("EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?)")),
    listed("path into an object, scan", users("{addr: {city: $c}}", "$c: String!", ""), {"c": "Oslo"}, ALL.format("addr ->> '$.city' = ?")),
    ("some of a list of objects, scan", "query ($c: String!) { orders(where: {items: {some: {sku: $c}}}) { id total } }", {"c": "s7"},
     simple("SELECT id, total FROM orders WHERE EXISTS (SELECT 1 FROM json_each(items) AS j WHERE j.value ->> '$.sku' = ?) ORDER BY _n", "id", "total"), PLAIN),
    ("path over a relation", "query ($a: Int!) { orders(where: {user: {age: $a}}, limit: 20) { id total } }", {"a": 7},
     simple("SELECT id, total FROM orders WHERE user IN (SELECT id FROM users WHERE age = ?) ORDER BY _n LIMIT 20", "id", "total"), PLAIN),
    listed("some of the documents that refer here", users("{age: $a, orders: {some: {total: {gt: $t}}}}", "$a: Int!, $t: Float!"), {"a": 7, "t": 90.0},
           FEW.format("age = ? AND EXISTS (SELECT 1 FROM orders AS o WHERE o.user = users.id AND o.total > ?)")),
    listed("order by an indexed field", "query { users(orderBy: {score: DESC}, limit: 20) { id name } }", {}, "SELECT id, name FROM users ORDER BY score DESC, id LIMIT 20"),
    listed("order by two fields, scan", "query { users(orderBy: [{city: ASC}, {score: DESC}], limit: 20) { id name } }", {}, "SELECT id, name FROM users ORDER BY city, score DESC, id LIMIT 20"),
    listed("order over a relation, scan", "query { users(orderBy: {team: {rank: ASC}}, limit: 20) { id name } }", {}, "SELECT id, name FROM users ORDER BY (SELECT rank FROM teams WHERE teams.id = users.team), id LIMIT 20"),
    listed("offset", "query { users(orderBy: {score: ASC}, offset: 1000, limit: 20) { id name } }", {}, "SELECT id, name FROM users ORDER BY score, id LIMIT 20 OFFSET 1000"),
    ("lists and objects shown", "query ($a: Int!) { users(where: {age: $a}, limit: 20) { id tags addr { city zip } } }", {"a": 7}, shown, PLAIN),
    ("computed field, typed", "query ($a: Int!) { users(where: {age: $a}, limit: 20) { id older } }", {"a": 7},
     simple("SELECT id, age + 1 FROM users WHERE age = ? ORDER BY _n LIMIT 20", "id", "older"), PLAIN),
    ("computed field, template", "query ($a: Int!) { users(where: {age: $a}, limit: 20) { id label } }", {"a": 7},
     simple("SELECT id, coalesce(name, '') || ' of ' || coalesce(city, '') FROM users WHERE age = ? ORDER BY _n LIMIT 20", "id", "label"), PLAIN),
    listed("where by an expression, scan", users('{expr: "age * 2 > score"}', "$n: Int!", ", limit: $n"), {"n": 200}, ALL.format("age * 2 > score") + " LIMIT ?"),
    ("search", 'query { users(search: {query: "chess"}, limit: 20) { id name } }', {}, searched, PLAIN),
    ("to-one, 20 parents", NEST % "team { id name }", TWENTY, teams_of, NESTED),
    ("to-one, 1 parent", NEST % "team { id name }", ONE, teams_of, NESTED),
    ("to-many, 20 parents", NEST % "orders { id total }", TWENTY, orders_of(), NESTED),
    ("to-many, 5 parents", NEST % "orders { id total }", FIVE, orders_of(), NESTED),
    ("to-many, 1 parent", NEST % "orders { id total }", ONE, orders_of(), NESTED),
    ("to-many, 2 of each, 20 parents", NEST % "orders(limit: 2) { id total }", TWENTY, orders_of(2), NESTED),
    ("to-many with a list in each", NEST % "orders { id total items { sku qty } }", TWENTY, orders_of(items=True), NESTED),
    ("lookup, 20 parents", NEST % 'orders: lookup(collection: "orders", localField: "id", foreignField: "user") { id total }', TWENTY, orders_of(), NESTED),
)  # fmt: skip


def figures() -> list[Figure]:
    """Each construct beside its hand-written form."""
    with database() as db:
        filled(db)
        connection = apsw.Connection(db.config.path.__fspath__())
        connection.execute("PRAGMA cache_size = -65536")
        try:
            made: list[Figure] = []
            for name, text, params, hand, goal in CONSTRUCTS:
                by_hand, ours = (
                    hand(connection, params),
                    next(iter(db.execute(text, params).values())),
                )
                if by_hand != ours:
                    raise AssertionError(
                        f"'{name}' is not the same job: {by_hand!r:.300} and {ours!r:.300}"
                    )
                made.append(
                    beside(
                        name,
                        partial(hand, connection, params),
                        partial(db.execute, text, params),
                        goal,
                    )
                )
            return made
        finally:
            connection.close()
