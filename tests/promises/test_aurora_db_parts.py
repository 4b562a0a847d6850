"""The behaviours that the documents of aurora-db 0.6 promise, by their number: pages, aggregates, groups."""

from __future__ import annotations

import pytest

from aurora_db import TypeMismatch


def define(db, body, name="items"):
    return db.execute(f"schema {{ define collection {name} {{ {body} }} }}")


@pytest.fixture
def items(db):
    """Five items whose values are in no order."""
    define(db, "value: Int")
    db["items"].insert_many([{"id": f"i{n}", "value": n} for n in (5, 1, 4, 2, 3)])
    return db


@pytest.fixture
def sales(db):
    """Six sales of two categories."""
    define(db, "category: String price: Float amount: Int name: String")
    rows = [
        ("Furniture", 150.0, 50), ("Furniture", 300.0, 100), ("Tools", 900.0, 30),
        ("Tools", 750.0, 200), ("Tools", 1000.0, 50), ("Tools", 50.0, 75),
    ]  # fmt: skip
    db["items"].insert_many(
        [
            {"id": f"s{n}", "category": c, "price": p, "amount": a, "name": f"{c} {n}"}
            for n, (c, p, a) in enumerate(rows)
        ]
    )
    return db


def test_27_limit_and_offset(db):
    """Documents 11 to 20 after ordering; past the end there is nothing."""
    define(db, "n: Int")
    db["items"].insert_many([{"n": n} for n in range(30, 0, -1)])
    found = db.execute("{ items(orderBy: {n: ASC}, limit: 10, offset: 10) { n } }")
    assert [one["n"] for one in found["items"]] == list(range(11, 21))
    assert db.execute("{ items(limit: 10, offset: 30) { n } }") == {"items": []}


def test_30_a_page(items):
    """Two of five: one result, two edges, and there are more."""
    found = items.execute(
        "{ items(first: 2) { edges { cursor node { value } } pageInfo { hasNextPage endCursor } } }"
    )
    assert [edge["node"]["value"] for edge in found["items"]["edges"]] == [5, 1]
    assert found["items"]["pageInfo"]["hasNextPage"] is True
    assert found["items"]["pageInfo"]["endCursor"] == found["items"]["edges"][1]["cursor"]


def test_31_the_next_page(items):
    """After the end of a page come the next values, none repeated."""
    text = """query ($after: String) { items(first: 2, after: $after, orderBy: {value: ASC}) {
        edges { node { value } } pageInfo { endCursor }
    } }"""
    first = items.execute(text)["items"]
    second = items.execute(text, {"after": first["pageInfo"]["endCursor"]})["items"]
    assert [edge["node"]["value"] for edge in first["edges"]] == [1, 2]
    assert [edge["node"]["value"] for edge in second["edges"]] == [3, 4]


def test_a_cursor_outlives_its_document_and_keeps_its_order(items):
    """The document of a cursor may go; another order refuses the cursor."""
    first = items.execute(
        "{ items(first: 2, orderBy: {value: ASC}) { pageInfo { endCursor } } }"
    )["items"]["pageInfo"]["endCursor"]  # fmt: skip
    items["items"].delete("i2")
    text = "query ($c: String) {{ items(first: 2, after: $c, orderBy: {{value: {}}}) {{ nodes {{ value }} }} }}"
    found = items.execute(text.format("ASC"), {"c": first})
    assert found == {"items": {"nodes": [{"value": 3}, {"value": 4}]}}
    with pytest.raises(TypeMismatch, match="another orderBy"):
        items.execute(text.format("DESC"), {"c": first})


def test_what_is_inserted_after_the_last_page_comes_next(items):
    """A cursor by insertion goes on where it stopped, also when its document went away."""
    text = (
        "query ($c: String) { items(first: 9, after: $c) { nodes { id } pageInfo { endCursor } } }"
    )
    end = items.execute(text)["items"]["pageInfo"]["endCursor"]
    items["items"].delete("i3")
    items["items"].insert({"id": "i9", "value": 9})
    assert items.execute(text, {"c": end})["items"]["nodes"] == [{"id": "i9"}]


def test_32_thousands_page_by_page(db):
    """Each document is seen once, and the last page says that it is the last."""
    define(db, "n: Int")
    db["items"].insert_many([{"n": n % 7} for n in range(3_000)])
    text = """query ($after: String) { items(first: 100, after: $after, orderBy: {n: DESC}) {
        edges { node { id } } pageInfo { hasNextPage endCursor }
    } }"""
    seen, after, pages = [], None, 0
    while True:
        page = db.execute(text, {"after": after})["items"]
        seen += [edge["node"]["id"] for edge in page["edges"]]
        pages += 1
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert (pages, len(seen), len(set(seen))) == (30, 3_000, 3_000)


def test_33_count_by_an_alias(sales):
    """The aggregate beside an alias, in one object."""
    assert sales.execute("{ items { total: aggregate { count } } }") == {
        "items": {"total": {"count": 6}}
    }


def test_34_sum_and_average(sales):
    """The sum of Ints is an Int, the average a Float."""
    found = sales.execute('{ items { aggregate { sum(field: "amount") avg(field: "price") } } }')
    assert found == {"items": {"aggregate": {"sum": 505, "avg": 525.0}}}
    assert isinstance(found["items"]["aggregate"]["sum"], int)


def test_35_min_and_max_of_what_matches(sales):
    """The smallest and the largest of the filtered documents."""
    assert sales.execute("""{
        items(where: {category: "Furniture"}) { aggregate { min(field: "price") max(field: "price") } }
    }""") == {"items": {"aggregate": {"min": 150.0, "max": 300.0}}}


def test_36_over_no_documents(sales):
    """The count of nothing is 0, its average null."""
    assert sales.execute("""{
        items(where: {category: "Toys"}) { aggregate { count avg(field: "price") } }
    }""") == {"items": {"aggregate": {"count": 0, "avg": None}}}


def test_37_groups_with_counts(db):
    """A, A and B are two groups."""
    define(db, "category: String")
    db["items"].insert_many([{"category": c} for c in "AAB"])
    assert db.execute('{ items { groupBy(field: "category") { key count } } }') == {
        "items": {"groupBy": [{"key": "A", "count": 2}, {"key": "B", "count": 1}]}
    }


def test_38_groups_with_averages_and_documents(sales):
    """Each group has its own values, and its documents show the chosen fields only."""
    found = sales.execute("""{ items { groupBy(field: "category") {
        key  avg: aggregate { avg(field: "price") }  nodes(limit: 1) { name }
    } } }""")
    assert found == {
        "items": {
            "groupBy": [
                {"key": "Furniture", "avg": {"avg": 225.0}, "nodes": [{"name": "Furniture 0"}]},
                {"key": "Tools", "avg": {"avg": 675.0}, "nodes": [{"name": "Tools 2"}]},
            ]
        }
    }
