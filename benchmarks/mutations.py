"""Mutations by text with variables beside statements written by hand, on the same tables.

The tables have the same triggers, so both write the feed. What is measured is the processor's time of
one transaction: the disk takes as long for both.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

import apsw

from aurora_db.base.ids import new_id
from benchmarks.measure import Figure, beside, database

COUNT, MANY, GOAL = 10_000, 500, 1.5

SCHEMA = """schema { define collection notes {
  title: String!  n: Int @indexed  slug: String @unique  tags: [String!]  hits: Int
} }"""
INSERT = "INSERT INTO notes (id, title, n, slug, tags, hits) VALUES (?, ?, ?, ?, ?, ?)"
SET = "UPDATE notes SET title = ?, _rev = _rev + 1 WHERE id = ?"
PUSH = "UPDATE notes SET tags = json_insert(coalesce(tags, '[]'), '$[#]', ?), hits = coalesce(hits, 0) + 1, _rev = _rev + 1 WHERE id = ?"
UPSERT = "INSERT INTO notes (id, title, slug) VALUES (?, ?, ?) ON CONFLICT (slug) DO UPDATE SET title = excluded.title, _rev = notes._rev + 1"
ENQUEUE = "INSERT INTO _jobs (id, type, payload, status, created_at) VALUES (?, 'noop', ?, 'PENDING', strftime('%Y-%m-%dT%H:%M:%f000Z', 'now'))"

Write = Callable[[int], object]


def in_one(connection: apsw.Connection, *statements: tuple[str, Any]) -> None:
    """Statements in one transaction that writes from its beginning."""
    connection.execute("BEGIN IMMEDIATE")
    for sql, params in statements:
        connection.execute(sql, params).fetchall()
    connection.execute("COMMIT")


def note(i: int, who: str) -> dict[str, Any]:
    """One document."""
    return {"title": f"note {i}", "n": i, "slug": f"{who}-{i}", "tags": ["a", "b"], "hits": 0}


def row(i: int, who: str) -> tuple[Any, ...]:
    """The same as columns."""
    one = note(i, who)
    return (new_id(), one["title"], one["n"], one["slug"], json.dumps(one["tags"]), 0)


def many(connection: apsw.Connection, i: int) -> None:
    """Rows in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(INSERT, [row(i * MANY + j, "hands") for j in range(MANY)])
    connection.execute("COMMIT")


def pairs(
    run: Callable[..., Any], c: apsw.Connection, ids: list[str]
) -> Iterator[tuple[str, Write, Write]]:
    """Each construct: by hand, and ours; both get a number that grows."""
    yield (
        "insert",
        lambda i: in_one(c, (INSERT, row(i, "hand"))),
        lambda i: run(
            'mutation ($d: NoteInput!) { insertInto(collection: "notes", data: $d) { id } }',
            {"d": note(i, "ours")},
        ),
    )
    yield (
        f"insertMany, {MANY}",
        lambda i: many(c, i),
        lambda i: run(
            'mutation ($d: [NoteInput!]!) { insertMany(collection: "notes", data: $d) { count } }',
            {"d": [note(i * MANY + j, "many") for j in range(MANY)]},
        ),
    )
    yield (
        "update by id",
        lambda i: in_one(c, (SET, (f"t{i}", ids[i % COUNT]))),
        lambda i: run(
            'mutation ($i: ID!, $t: String!) { update(collection: "notes", where: {id: $i}, set: {title: $t}) { affected } }',
            {"i": ids[i % COUNT], "t": f"t{i}"},
        ),
    )
    yield (
        "update by operators",
        lambda i: in_one(c, (PUSH, ("x", ids[i % COUNT]))),
        lambda i: run(
            'mutation ($i: ID!, $t: String!) { update(collection: "notes", where: {id: $i}, set: {tags: {push: $t}, hits: {increment: 1}}) { affected } }',
            {"i": ids[-i % COUNT], "t": "x"},
        ),
    )
    yield (
        "upsert by a unique key",
        lambda i: in_one(c, (UPSERT, (new_id(), f"t{i}", f"up-{i % 100}"))),
        lambda i: run(
            'mutation ($s: String!, $t: String!) { upsert(collection: "notes", where: {slug: $s}, data: {title: $t}) { id } }',
            {"s": f"up-{i % 100}", "t": f"t{i}"},
        ),
    )
    yield (
        "delete by id",
        lambda i: in_one(c, ("DELETE FROM notes WHERE id = ?", (ids[i % COUNT],))),
        lambda i: run(
            'mutation ($i: ID!) { delete(collection: "notes", where: {id: $i}) { affected } }',
            {"i": ids[-i % COUNT]},
        ),
    )
    yield (
        "enqueueJob",
        lambda i: in_one(c, (ENQUEUE, (new_id(), json.dumps({"n": i})))),
        lambda i: run(
            'mutation ($n: Int!) { enqueueJob(type: "noop", payload: {n: $n}) { id } }', {"n": i}
        ),
    )


def figures() -> list[Figure]:
    """Each construct beside its hand-written form."""
    with database() as db:
        db.execute(SCHEMA)
        ids = db["notes"].insert_many(note(i, "first") for i in range(COUNT))
        connection = apsw.Connection(db.config.path.__fspath__())
        for pragma in ("cache_size = -65536", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        try:
            made: list[Figure] = []
            for name, hand, ours in pairs(db.execute, connection, ids):
                numbers = count()
                made.append(
                    beside(name, partial(_next, hand, numbers), partial(_next, ours, numbers), GOAL)
                )
            return made
        finally:
            connection.close()


def _next(write: Write, numbers: Iterator[int]) -> None:
    write(next(numbers))
