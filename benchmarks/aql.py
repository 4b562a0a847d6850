"""The language: from a text to a plan, beside a GraphQL parser that only parses.

The floor is `graphql.parse` of graphql-core, on the same text or on the one that means the same.
"""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable

import graphql

from aurora_db.aql import resolve
from aurora_db.aql.parser import parse
from aurora_db.store.operations import Plans
from benchmarks.measure import Figure, database, median

SCHEMA = """schema {
  define collection users {
    name: String  email: String  age: Int  score: Float  tags: [String!]  addr: {city: String zip: String}
  }
  define collection orders {
    user: ID @relation(to: "users")  total: Float  status: Enum("OPEN", "PAID")
    items: [{sku: String qty: Int}]
  }
}"""

#: Ten lines as an application sends them: conditions, order, a page, nested parts.
FEED = """query Feed($city: String!, $min: Int = 18, $after: ID) {
  users(where: {and: [{age: {gte: $min, lt: 65}}, {addr: {city: {eq: $city}}}, {tags: {contains: "beta"}}]},
        orderBy: [{score: DESC}, {age: ASC}], first: 20, after: $after) {
    id name email score
    addr { city zip }
    orders(where: {total: {gt: 10.5}, status: {in: [OPEN, PAID]}}, first: 5) {
      id total items { sku qty }
    }
  }
}
"""
#: The same as our language says it: a cursor turns pages, whose documents are `nodes`.
PAGE = FEED.replace("after: $after) {", "after: $after) { nodes {").replace(
    "    }\n  }\n", "    }\n  } }\n"
)
#: One condition by a variable.
SMALL = "query ($n: Int!) { users(where: {age: $n}, limit: 10) { id name } }"
CALLS = 500


def timed(call: Callable[[], object], calls: int = CALLS) -> float:
    """Microseconds of the processor for one call, the collector at rest, the best of many rows."""
    rows = max(1, calls // 25)
    each = calls // rows
    timer = time.thread_time
    return median(
        lambda: min(timeit.repeat(call, timer=timer, number=each, repeat=rows)) / each * 1e6
    )


def parsed(text: str) -> float:
    """What graphql-core takes to parse the text, µs."""
    return timed(lambda: graphql.parse(text), CALLS // 5)


def figures() -> list[Figure]:
    """All of them."""
    with database() as db:
        db.execute(SCHEMA)
        catalog = db._gate.catalog
        plans = Plans(lambda *_: None)  # type: ignore[arg-type,return-value]

        def prepared(text: str) -> float:
            plans.prepare(text, catalog)
            return timed(lambda: plans.prepare(text, catalog), 20_000)

        def resolved(text: str) -> float:
            return timed(lambda: resolve.resolve(parse(text), text, catalog))

        feed, page, small = parsed(FEED), parsed(PAGE), parsed(SMALL)
        return [
            Figure("parse, 10 lines", "µs", feed, timed(lambda: parse(FEED)), 0.25),
            Figure("parse and resolve, 10 lines", "µs", page, resolved(PAGE), 0.25),
            Figure("plan kept from before, 10 lines", "µs", page, prepared(PAGE)),
            Figure("parse, 1 line", "µs", small, timed(lambda: parse(SMALL))),
            Figure("parse and resolve, 1 line", "µs", small, resolved(SMALL)),
        ]
