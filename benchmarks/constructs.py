"""Constructs of the language beside SQL written by hand, on the same tables in the same run.

Each row is one construct: what a programmer would write with APSW and a loop that makes the same
result, and our text through `execute`. Both are prepared before; the file is warm. Add a row as a
`Construct`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import apsw

from aurora_db import Aurora
from benchmarks.measure import Figure, beside, database

COUNT = 20_000
GOAL = 1.5
CITIES = ("Accra", "Cork", "Hanoi", "Lisbon", "Oslo", "Perth", "Quito", "Turin")
START = datetime(2026, 1, 1, tzinfo=UTC)

SCHEMA = """schema { define collection metrics {
  n: Int! @indexed  rank: Int @indexed  city: String @indexed  v: Float  at: DateTime @indexed
} }"""

Params = dict[str, Any]
Hand = Callable[[apsw.Connection, Params], Any]


@dataclass(frozen=True)
class Construct:
    """One row: our text with its variables, and the same by hand."""

    name: str
    text: str
    params: Callable[[Aurora], Params]
    hand: Hand


def filled(db: Aurora) -> None:
    """The collection of this benchmark."""
    db.execute(SCHEMA)
    db["metrics"].insert_many(
        {
            "id": f"m{i:06}", "n": i * 7919 % COUNT, "rank": None if i % 10 == 0 else i % 1_000,
            "city": CITIES[i * 31 % 8], "v": (i * 2654435761 % 10_007) / 16,
            "at": START + timedelta(seconds=37 * i),
        }
        for i in range(COUNT)
    )  # fmt: skip


def rows(connection: apsw.Connection, sql: str, params: Any = ()) -> list[tuple[Any, ...]]:
    """All rows of a statement."""
    return connection.execute(sql, params).fetchall()


# --- pages ----------------------------------------------------------------------------------

PAGE = """query ($c: String) { metrics(first: 20, after: $c, orderBy: {%s}) {
  edges { node { id n city v } } pageInfo { hasNextPage endCursor }
} }"""


def after(order: str) -> Callable[[Aurora], Params]:
    """The cursor in the middle of an order."""
    text = "query { metrics(first: 9000, orderBy: {%s}) { pageInfo { endCursor } } }"

    def params(db: Aurora) -> Params:
        return {"c": db.execute(text % order)["metrics"]["pageInfo"]["endCursor"]}

    return params


def by_hand(sql: str, place: str, keys: int) -> Hand:
    """A page by hand: one document more than wanted, the cursor opaque JSON as ours."""
    known: list[str] = []

    def run(connection: apsw.Connection, _params: Params) -> Any:
        if not known:
            known.append(opaque(rows(connection, place)[0]))
        found = rows(connection, sql, json.loads(base64.urlsafe_b64decode(known[0])))
        more = len(found) > 20
        edges = [{"node": {"id": r[0], "n": r[1], "city": r[2], "v": r[3]}} for r in found[:20]]
        page = {"hasNextPage": more, "endCursor": opaque(found[19][-keys:])}
        return {"edges": edges, "pageInfo": page}

    return run


def opaque(values: tuple[Any, ...]) -> str:
    """A cursor of values."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


ONE_KEY = by_hand(
    "SELECT id, n, city, v, n, id FROM metrics WHERE (n, id) > (?, ?) ORDER BY n, id LIMIT 21",
    "SELECT n, id FROM metrics ORDER BY n, id LIMIT 1 OFFSET 8999", 2,
)  # fmt: skip
#: Nulls come last: a range of the index, then its nulls. One condition for both would sort them all.
DESCENDING = by_hand(
    "SELECT * FROM (SELECT id, n, city, v, rank, id FROM metrics "
    "WHERE rank <= ?1 AND (rank < ?1 OR id > ?2) ORDER BY rank DESC, id LIMIT 21) "
    "UNION ALL SELECT * FROM (SELECT id, n, city, v, rank, id FROM metrics "
    "WHERE rank IS NULL ORDER BY id LIMIT 21) LIMIT 21",
    "SELECT rank, id FROM metrics ORDER BY rank DESC, id LIMIT 1 OFFSET 8999", 2,
)  # fmt: skip

# --- parts ----------------------------------------------------------------------------------


def aggregate(connection: apsw.Connection, _params: Params) -> Any:
    """One row as an object."""
    sql = "SELECT count(*), sum(n), avg(v), min(at), max(city) FROM metrics WHERE n > 100"
    (r,) = rows(connection, sql)
    return {
        "count": r[0],
        "sum": r[1],
        "avg": r[2],
        "min": datetime.fromisoformat(r[3]),
        "max": r[4],
    }


def groups(connection: apsw.Connection, _params: Params) -> Any:
    """Keys with counts and averages."""
    sql = "SELECT city, count(*), avg(v) FROM metrics GROUP BY city ORDER BY city"
    return [{"key": r[0], "count": r[1], "stats": {"avg": r[2]}} for r in rows(connection, sql)]


def nodes(connection: apsw.Connection, _params: Params) -> Any:
    """Groups, and the first three documents of each by a window."""
    found = {
        r[0]: {"key": r[0], "nodes": []}
        for r in rows(connection, "SELECT city FROM metrics GROUP BY city ORDER BY city")
    }
    sql = (
        "SELECT city, id, v FROM (SELECT city, id, v, row_number() OVER "
        "(PARTITION BY city ORDER BY v DESC, id) AS r FROM metrics) WHERE r <= 3 ORDER BY r"
    )
    for city, id, v in rows(connection, sql):
        found[city]["nodes"].append({"id": id, "v": v})
    return list(found.values())


def days(connection: apsw.Connection, _params: Params) -> Any:
    """Days of the text of an instant."""
    sql = "SELECT substr(at, 1, 10), count(*) FROM metrics GROUP BY 1 ORDER BY 1"
    return [
        {"key": datetime.fromisoformat(r[0] + "T00:00:00+00:00"), "count": r[1]}
        for r in rows(connection, sql)
    ]


def downsample(connection: apsw.Connection, _params: Params) -> Any:
    """Quarters of an hour by the number of their seconds."""
    sql = (
        "SELECT unixepoch(at) / 900 * 900, count(*), avg(v) FROM metrics "
        "WHERE at IS NOT NULL GROUP BY 1 ORDER BY 1"
    )
    return [
        {"timestamp": datetime.fromtimestamp(r[0], UTC), "count": r[1], "v": r[2]}
        for r in rows(connection, sql)
    ]


def rolling(connection: apsw.Connection, _params: Params) -> Any:
    """A mean over seven documents."""
    sql = (
        "SELECT id, avg(v) OVER (ORDER BY at, id ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) "
        "FROM metrics ORDER BY at, id"
    )
    return [{"id": r[0], "value": r[1]} for r in rows(connection, sql)]


def nothing(_db: Aurora) -> Params:
    """No variables."""
    return {}


CONSTRUCTS = (
    Construct("page of 20, one key", PAGE % "n: ASC", after("n: ASC"), ONE_KEY),
    Construct("page of 20, nulls, descending", PAGE % "rank: DESC", after("rank: DESC"), DESCENDING),
    Construct(
        "five aggregates",
        '{ metrics(where: {n: {gt: 100}}) { aggregate { count sum(field: "n") avg(field: "v") min(field: "at") max(field: "city") } } }',
        nothing, aggregate,
    ),
    Construct(
        "groups with averages",
        '{ metrics { groupBy(field: "city") { key count stats: aggregate { avg(field: "v") } } } }',
        nothing, groups,
    ),
    Construct(
        "groups with 3 documents each",
        '{ metrics { groupBy(field: "city") { key nodes(limit: 3, orderBy: {v: DESC}) { id v } } } }',
        nothing, nodes,
    ),
    Construct(
        "groups of a day", '{ metrics { groupBy(field: "at", interval: "1d") { key count } } }', nothing, days
    ),
    Construct(
        "downsample to 15 minutes", '{ metrics { downsample(interval: "15m", field: "v") } }', nothing, downsample
    ),
    Construct(
        "rolling mean of 7",
        '{ metrics(orderBy: {at: ASC}) { windowFunc(field: "v", function: rollingAvg, windowSize: 7) } }',
        nothing, rolling,
    ),
)  # fmt: skip


@contextmanager
def both() -> Iterator[tuple[Aurora, apsw.Connection]]:
    """A filled database, and a connection of its own to the same file."""
    with database() as db:
        filled(db)
        connection = apsw.Connection(db.config.path.__fspath__())
        connection.execute("PRAGMA cache_size = -65536")
        try:
            yield db, connection
        finally:
            connection.close()


def figures() -> list[Figure]:
    """Each construct beside its hand-written form."""
    with both() as (db, connection):
        made: list[Figure] = []
        for one in CONSTRUCTS:
            params = one.params(db)
            hand = partial(one.hand, connection, params)
            made.append(beside(one.name, hand, partial(db.execute, one.text, params), GOAL))
        return made
