"""Related documents of one parent: the same as beside other parents, though the statement is another."""

from __future__ import annotations

from typing import Any

import pytest

SCHEMA = """schema {
  define collection teams { name: String! @unique }
  define collection users { name: String  team: ID @relation(to: "teams") }
  define collection orders { user: ID @relation(to: "users")  total: Int }
}"""


@pytest.fixture
def shop(db: Any) -> Any:
    """Three users, of whom the first has three orders, the second one, the third none."""
    db.execute(SCHEMA)
    db["teams"].insert({"id": "t", "name": "blue"})
    db["users"].insert_many([{"id": "a", "name": "Ada", "team": "t"}, {"id": "b"}, {"id": "c"}])
    db["orders"].insert_many(
        {"id": id, "user": user, "total": total}
        for id, user, total in (("1", "a", 30), ("2", "b", 5), ("3", "a", 10), ("4", "a", 20))
    )
    return db


def user(db: Any, id: str, part: str) -> Any:
    """What a query of one user shows beside the id."""
    found = db.execute(f"query ($i: ID!) {{ users(where: {{id: $i}}) {{ id {part} }} }}", {"i": id})
    return found["users"]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("orders { id }", {"a": ["1", "3", "4"], "b": ["2"], "c": []}),
        ("orders(limit: 2) { id }", {"a": ["1", "3"], "b": ["2"], "c": []}),
        ("orders(limit: 1, offset: 1) { id }", {"a": ["3"], "b": [], "c": []}),
        ("orders(offset: 1) { id }", {"a": ["3", "4"], "b": [], "c": []}),
        ("orders(orderBy: {total: DESC}) { id }", {"a": ["1", "4", "3"], "b": ["2"], "c": []}),
        ("orders(orderBy: {total: ASC}, limit: 2) { id }", {"a": ["3", "4"], "b": ["2"], "c": []}),
        ("orders(where: {total: {gt: 10}}) { id }", {"a": ["1", "4"], "b": [], "c": []}),
        ("orders(limit: 0) { id }", {"a": [], "b": [], "c": []}),
    ],
)
def test_one_parent_shows_the_documents_it_shows_among_others(
    shop: Any, part: str, expected: dict[str, list[str]]
) -> None:
    """A user's orders are the same whether I ask for that user or for all of them."""
    every = shop.execute(f"{{ users {{ id {part} }} }}")["users"]

    assert {one["id"]: [order["id"] for order in one["orders"]] for one in every} == expected
    for id, ids in expected.items():
        (one,) = user(shop, id, part)
        assert [order["id"] for order in one["orders"]] == ids


def test_one_parent_shows_the_document_it_refers_to(shop: Any) -> None:
    """A user shows the team, or null without one."""
    assert user(shop, "a", "team { name }") == [{"id": "a", "team": {"name": "blue"}}]
    assert user(shop, "b", "team { name }") == [{"id": "b", "team": None}]


def test_nests_of_one_parent_go_on(shop: Any) -> None:
    """From an order to its user, that one's team and all orders."""
    found = shop.execute(
        'query { orders(where: {id: "3"}) { user { name team { name } orders(limit: 1) { id } } } }'
    )

    assert found == {
        "orders": [{"user": {"name": "Ada", "team": {"name": "blue"}, "orders": [{"id": "1"}]}}]
    }
