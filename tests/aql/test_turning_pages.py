"""Turning pages of random documents in random orders: nothing twice, nothing left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_db import TypeMismatch

SCHEMA = """schema { define collection p @flexible {
  a: Int @indexed  b: String  c: Float  d: Boolean  r: Int! @indexed  box: { n: Int }
  @@index(fields: [a, r])
} }"""
FIELDS = ("a", "b", "c", "d", "r", "box.n", "free")

documents = st.lists(
    st.fixed_dictionaries(
        {
            "a": st.none() | st.integers(0, 3),
            "b": st.none() | st.sampled_from(["", "x", "X", "é", "xx"]),
            "c": st.none() | st.sampled_from([0.0, 0.1, 0.30000000000000004, -1e300, 2.0]),
            "d": st.none() | st.booleans(),
            "r": st.integers(0, 2),
            "box": st.none() | st.fixed_dictionaries({"n": st.none() | st.integers(0, 2)}),
            "free": st.none() | st.integers(0, 2) | st.sampled_from(["0", "y"]),
        }
    ),
    max_size=14,
)
keys = st.tuples(
    st.sampled_from(FIELDS), st.sampled_from(["ASC", "DESC"]), st.sampled_from([None, "FIRST", "LAST"])
)  # fmt: skip
orders = st.lists(keys, max_size=3, unique_by=lambda key: key[0])


def place(document, field):
    """What a path leads to."""
    for name in field.split("."):
        document = None if document is None else document.get(name)
    return document


def rank(value):
    """Numbers before texts; false before true."""
    return (isinstance(value, str), value)


def in_order(documents, order):
    """The documents sorted as an order says, by Python."""
    found = sorted(documents, key=lambda one: one["id"]) if order else list(documents)
    for field, direction, nulls in reversed(order):
        known = [one for one in found if place(one, field) is not None]
        empty = [one for one in found if place(one, field) is None]
        # A stable sort keeps equals in their order, also backwards.
        known.sort(key=lambda one, f=field: rank(place(one, f)), reverse=direction == "DESC")
        first = nulls == "FIRST" if nulls else direction == "ASC"
        found = empty + known if first else known + empty
    return [one["id"] for one in found]


def fill(db, documents):
    """The stored documents with their ids, in order of insertion; ids come in no order."""
    db.execute('mutation { deleteFrom(collection: "p", all: true) { affected } }')
    made = [{**one, "id": f"{n * 7 % 13:02}-{n}"} for n, one in enumerate(documents)]
    db["p"].insert_many(made)
    return made


def spelled(order):
    """An order as AQL takes it from a variable."""
    return [
        {"field": field, "direction": direction, **({"nulls": nulls} if nulls else {})}
        for field, direction, nulls in order
    ]


PAGE = """query ($o: Any, $first: Int, $last: Int, $after: String, $before: String) {
  p(orderBy: $o, first: $first, last: $last, after: $after, before: $before) {
    edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount
  }
}"""


def page(db, order, **given):
    """One page."""
    return db.execute(PAGE, {"o": spelled(order), **given})["p"]


def ids(page):
    return [edge["node"]["id"] for edge in page["edges"]]


@given(documents=documents, order=orders, size=st.integers(1, 5))
def test_pages_forwards_are_the_whole(db, documents, order, size):
    """Page by page from the first, each document comes once and in order."""
    db.execute(SCHEMA)
    expected = in_order(fill(db, documents), order)
    seen, cursor = [], None
    while True:
        now = page(db, order, first=size, after=cursor)
        assert now["totalCount"] == len(expected)
        assert now["pageInfo"]["hasPreviousPage"] is bool(seen)
        seen += ids(now)
        assert now["pageInfo"]["hasNextPage"] is (len(seen) < len(expected))
        if not now["pageInfo"]["hasNextPage"]:
            break
        cursor = now["pageInfo"]["endCursor"]
        assert len(now["edges"]) == size
    assert seen == expected


@given(documents=documents, order=orders, size=st.integers(1, 5))
def test_pages_backwards_are_the_whole(db, documents, order, size):
    """Page by page from the last, each document comes once; a page is in the order of the whole."""
    db.execute(SCHEMA)
    expected = in_order(fill(db, documents), order)
    seen, cursor = [], None
    while True:
        now = page(db, order, last=size, before=cursor)
        assert now["pageInfo"]["hasNextPage"] is bool(seen)
        seen = ids(now) + seen
        assert now["pageInfo"]["hasPreviousPage"] is (len(seen) < len(expected))
        if not now["pageInfo"]["hasPreviousPage"]:
            break
        cursor = now["pageInfo"]["startCursor"]
    assert seen == expected


@given(documents=documents, order=orders, places=st.tuples(st.integers(0, 13), st.integers(0, 13)))
def test_between_two_cursors(db, documents, order, places):
    """After one document and before another stands what is between them."""
    db.execute(SCHEMA)
    expected = in_order(fill(db, documents), order)
    edges = page(db, order)["edges"]
    low, high = min(places), max(places)
    if high >= len(edges):
        return
    between = expected[low + 1 : high]
    after, before = edges[low]["cursor"], edges[high]["cursor"]
    assert ids(page(db, order, after=after, before=before)) == between
    forward = page(db, order, after=after, before=before, first=2)
    assert ids(forward) == between[:2]
    assert forward["pageInfo"]["hasNextPage"] is (len(between) > 2)
    backward = page(db, order, after=after, before=before, last=2)
    assert ids(backward) == between[-2:]
    assert backward["pageInfo"]["hasPreviousPage"] is (len(between) > 2)
    assert backward["pageInfo"]["hasNextPage"] is True


@given(
    documents=documents,
    more=documents,
    order=orders,
    size=st.integers(1, 4),
    gone=st.lists(st.integers(0, 13), max_size=6),
)
def test_what_is_untouched_comes_once_while_others_write(db, documents, more, order, size, gone):
    """Documents that come and go between pages do not move the others."""
    db.execute(SCHEMA)
    made = fill(db, documents)
    taken = {made[n]["id"] for n in gone if n < len(made)}
    untouched = [one for one in in_order(made, order) if one not in taken]
    added = [{**one, "id": f"{n * 5 % 13:02}-new{n}"} for n, one in enumerate(more)]
    seen, cursor = [], None
    while True:
        now = page(db, order, first=size, after=cursor)
        seen += ids(now)
        cursor = now["pageInfo"]["endCursor"]
        if not now["pageInfo"]["hasNextPage"]:
            break
        if taken:
            db["p"].delete(taken.pop())
        if added:
            db["p"].insert(added.pop())
    assert [one for one in seen if one in untouched] == untouched
    assert len(seen) == len(set(seen))


@given(
    text=st.text(max_size=40) | st.sampled_from(["W10", "WyJ4Il0", "bnVsbA", "WzEsMl0", "W3RydWVd"])
)
def test_what_is_no_cursor_is_refused(db, text):
    """Whatever is given as a cursor, it is one or is refused as none."""
    db.execute(SCHEMA)
    with pytest.raises(TypeMismatch, match="cursor"):
        page(db, [("a", "ASC", None)], first=1, after=text)


def test_the_number_of_statements_does_not_depend_on_the_data(db):
    """A page, its two ends, its total, all aggregates, groups and their documents: each is one statement."""
    db.execute(SCHEMA)
    text = """query ($after: String) { p(first: 2, after: $after) {
      edges { node { id } } pageInfo { hasPreviousPage hasNextPage } totalCount
      one: aggregate { count } two: aggregate { sum(field: "r") }
      groupBy(field: "b") { key nodes(limit: 1) { id } }
    } }"""
    fill(db, [{"r": 1}] * 2)
    after = page(db, [], first=1)["pageInfo"]["endCursor"]
    few = len(db.explain(text, {"after": after}).sql)
    fill(db, [{"r": n % 3, "b": str(n)} for n in range(500)])
    assert (few, len(db.explain(text, {"after": after}).sql)) == (6, 6)
