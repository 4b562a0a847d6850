"""How a query is kept live, and how one sees it: by changes alone, by keys, or asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aurora_db import Unsupported

if TYPE_CHECKING:
    from aurora_db import Aurora, Explanation

SHOP = """
    schema {
        define collection users { name: String  age: Int }
        define collection orders @flexible {
            total: Float  at: DateTime  buyer: ID @relation(to: "users")
            body: String @search  tags: [String]  any: JSON
        }
        define collection logs @quiet { text: String }
    }
"""

INCREMENTAL = [
    "subscription { orders { mutation node } }",
    "subscription { orders(where: {total: {gt: 1}} orderBy: {total: DESC} limit: 3) { mutation id } }",
    "{ orders(where: {any: {x: 1}}) { total } }",
    "{ orders(orderBy: {total: DESC} limit: 10 offset: 2) { total tags } }",
    "{ orders { aggregate { n: count s: sum(field: total) } } }",
    '{ orders { groupBy(field: "buyer") { key count } } }',
]
BY_KEY = [
    "{ orders { buyer { name } } }",
    '{ orders(orderBy: {total: ASC} where: {buyer: {name: "Ada"}}) { total } }',
    "{ users { orders(limit: 3 orderBy: {total: DESC}) { total } } }",
    "{ users(where: {orders: {some: {total: {gt: 3}}}}) { name } }",
    "subscription { orders { mutation node { buyer { name } } } }",
    '{ users { lookup(collection: "orders" localField: "id" foreignField: "buyer") { total } } }',
    "{ orders { who: concat(buyer.name, body) } }",
    "{ _jobs { status } }",
    'subscription { _jobs(where: {status: "FAILED"}) { mutation id } }',
]
RE_RUN = [
    ("{ orders(limit: 3) { buyer { name } } }", "one document that goes lets another in"),
    ('{ orders(search: {query: "red"}) { total } }', "a search ranks all documents anew"),
    ("{ orders(first: 2) { nodes { total } } }", "it is a page"),
    ('{ orders(where: {expr: "at < now()"}) { total } }', "now() and uuid() change without a change"),
    ('{ orders { groupBy(field: "buyer.name") { key count } } }', "it counts or groups by more than one document tells"),
    ('{ users { lookup(collection: "orders" localField: "name" foreignField: "free") { total } } }', "a document that it looks into cannot be traced back by a key"),
    ("{ orders(orderBy: {free: ASC}) { buyer { name } } }", "it is sorted by values of any type"),
    ("{ _workers { id } }", "'_workers' has no feed, so it is run again after every commit"),
]  # fmt: skip


@pytest.fixture
def shop(db: Aurora) -> Aurora:
    """Collections with a relation, a search index, and one without a feed."""
    db.execute(SHOP)
    return db


@pytest.mark.parametrize("text", INCREMENTAL)
def test_a_query_of_one_collection_is_kept_by_its_changes(shop: Aurora, text: str):
    """With a condition, an order, limits, aggregates and groups."""
    assert shop.explain(text).live == "incremental"


@pytest.mark.parametrize("text", BY_KEY)
def test_a_query_over_relations_is_kept_by_key(shop: Aurora, text: str):
    """In both directions, as a lookup, in conditions and expressions; jobs by their id."""
    assert shop.explain(text).live == "by key"


@pytest.mark.parametrize(("text", "why"), RE_RUN)
def test_what_cannot_be_kept_is_run_again(shop: Aurora, text: str, why: str):
    """With the reason."""
    explained = shop.explain(text)
    assert (explained.live, explained.live_why) == ("re-run", why)


def test_an_explanation_names_what_is_watched(shop: Aurora):
    """Fields by collection; none are named where any change is told."""
    over = shop.explain("{ orders(where: {buyer: {age: {gt: 3}}}) { total } }")
    all_changes = shop.explain("subscription { users { mutation } }")

    assert over.watches == {"orders": ("buyer", "id", "total"), "users": ("age", "id")}
    assert all_changes.watches == {"users": ()}


def test_several_roots_are_explained_each(shop: Aurora):
    """The dearest way is that of all, for they advance together."""
    explained = shop.explain("{ a: users { name } b: orders { buyer { name } } }")

    assert explained.live == "by key"
    assert explained.live_why == (
        "a: incremental, it is kept in memory, and a change moves it; "
        "b: by key, a change in 'users' has those documents read again that lead there"
    )
    assert explained.watches == {
        "users": ("id", "name"),
        "orders": ("buyer", "id"),
    }


def test_a_subscription_is_explained_with_its_snapshot(shop: Aurora):
    """The statements that its beginning runs, and their indexes."""
    shop["users"].insert({"id": "u", "name": "Ada"})
    explained = shop.explain(
        "subscription ($id: ID) { users(where: {id: $id}) { mutation node { name } } }", {"id": "u"}
    )

    assert explained.live == "incremental"
    assert explained.rows_read == 1
    assert len(explained.sql) == 1
    assert explained.index != ()


def test_what_is_not_followed_says_why(shop: Aurora):
    """A mutation has no way; a quiet collection is a reason; a subscription to it is refused."""
    quiet: Explanation = shop.explain("{ logs { text } }")
    assert quiet.live is None
    assert "'logs' is @quiet" in quiet.live_why

    written = shop.explain('mutation { insertInto(collection: "users", data: {name: "x"}) { id } }')
    assert (written.live, written.live_why, written.watches) == (None, "", {})

    schema = shop.explain("{ __schema { collections { name } } }")
    assert (schema.live, schema.live_why) == (None, "only queries of collections are followed")

    with pytest.raises(Unsupported, match="'logs' is @quiet"):
        shop.explain("subscription { logs { mutation } }")


def test_a_where_object_as_a_variable_decides_the_way(shop: Aurora):
    """The same text is kept by changes alone, or by key."""
    text = "query ($w: JSON) { orders(where: $w) { total } }"

    assert shop.explain(text, {"w": {"total": 1.0}}).live == "incremental"
    assert shop.explain(text, {"w": {"buyer": {"name": "Ada"}}}).live == "by key"
