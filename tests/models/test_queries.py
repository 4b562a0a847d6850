"""The oracle: what SQL gives is what the plain evaluation of the same plan gives.

Hypothesis makes schemas, documents and queries. For where, orders, limits, aggregates, groups,
relations, quantifiers and computed fields the two results are equal; pages put together are the whole.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given, note
from hypothesis import strategies as st

from aurora_db import Aurora
from aurora_db.aql import evaluate_queries, expand, parser, plan, resolve
from aurora_db.aql.evaluate import Documents

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXTS = st.sampled_from(["", "a", "A", "ab", "Ab", "b", "ß", "SS", "é", "%", "_", '"', "日本"])
INTS = st.integers(-3, 3) | st.sampled_from([2**53 + 1, -(2**63), 2**63 - 1])
FLOATS = st.sampled_from([0.0, -1.5, 0.1, 0.30000000000000004, 1e300, 2.0])
DATES = st.sampled_from(["2024-02-29T00:00:00Z", "2025-01-01T12:30:00.5+02:00", "1999-12-31T23:59:59Z"])  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xy"), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip

#: Fields of the collection, their types, and the values they may have.
FIELDS: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "i": ("Int @indexed", INTS),
    "f": ("Float", FLOATS),
    "s": ("String @indexed", TEXTS),
    "b": ("Boolean", st.booleans()),
    "e": ('Enum("red", "blue")', st.sampled_from(["red", "blue"])),
    "d": ("DateTime", DATES),
    "l": ("[String!]", st.lists(TEXTS, max_size=3)),
    "n": ("[Int]", st.lists(st.none() | st.integers(-2, 2), max_size=3)),
    "o": ("{ x: Int y: String }", st.fixed_dictionaries({}, optional={"x": INTS, "y": TEXTS})),
    "os": ("[{ x: Int y: String }]", st.lists(st.fixed_dictionaries({}, optional={"x": st.integers(-2, 2), "y": TEXTS}), max_size=3)),
    "j": ("JSON", JSON),
}  # fmt: skip

SCHEMA = (
    "schema {\n  define collection teams { name: String rank: Int }\n"
    '  define collection t @flexible { team: ID @relation(to: "teams") boss: ID @relation(to: "t", onDelete: SET_NULL)\n'
    + "\n".join(f"    {name}: {type}" for name, (type, _) in FIELDS.items())
    + '\n    double: Int @computed("i * 2")\n    said: String @computed("${s}-${i}")\n  }\n}'
)
TEAMS = [{"id": "t1", "name": "ab", "rank": 1}, {"id": "t2", "name": None, "rank": None}]


@st.composite
def documents(draw: st.DrawFn) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for number in range(draw(st.integers(0, 7))):
        one: dict[str, Any] = {"id": f"d{number}"}
        for name, (_, values) in FIELDS.items():
            if draw(st.integers(0, 3)):
                one[name] = draw(st.none() | values)
        one["team"] = draw(st.sampled_from([None, "t1", "t2"]))
        one["boss"] = draw(st.sampled_from([None, *[f"d{n}" for n in range(number)]]))
        if draw(st.booleans()):
            one["free"] = draw(JSON)
        made.append(one)
    return made


def text(value: Any) -> str:
    """A value as AQL writes it."""
    if isinstance(value, dict):
        return "{" + " ".join(f"{json.dumps(k)}: {text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + " ".join(map(text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


ORDERED = ("gt", "gte", "lt", "lte")
TEXTUAL = ("startsWith", "endsWith", "contains", "ieq", "icontains", "istartsWith", "iendsWith")


@st.composite
def compares(draw: st.DrawFn, path: str, values: st.SearchStrategy[Any], kind: str) -> str:
    ops = ["eq", "ne", "in", "nin", "isNull"]
    if kind in ("number", "text", "date"):
        ops += [*ORDERED, "between"]
    if kind == "text":
        ops += TEXTUAL
    op = draw(st.sampled_from(ops))
    if op == "isNull":
        value: Any = draw(st.booleans())
    elif op in ("in", "nin"):
        value = draw(st.lists(st.none() | values, max_size=3))
    elif op == "between":
        value = [draw(values), draw(values)]
    elif op in ("eq", "ne"):
        value = draw(st.none() | values)
    else:
        value = draw(values)
    return f"{{{json.dumps(path)}: {{{op}: {text(value)}}}}}"


def leaves() -> st.SearchStrategy[str]:
    """A condition on one path."""
    numbers = INTS | FLOATS
    team = compares("team.rank", numbers, "number") | compares("team.name", TEXTS, "text")
    plain = st.one_of(
        compares("i", numbers, "number"),
        compares("f", numbers, "number"),
        compares("s", TEXTS, "text"),
        compares("b", st.booleans(), "other"),
        compares("e", st.sampled_from(["red", "blue"]), "other"),
        compares("d", DATES, "date"),
        compares("o.x", numbers, "number"),
        compares("o.y", TEXTS, "text"),
        compares("double", numbers, "number"),
        compares("said", TEXTS, "text"),
        compares("j", JSON, "other"),
        compares("j.x", JSON, "other"),
        compares("free", JSON.filter(lambda one: one is not None), "other"),
        compares("free.y", TEXTS, "text"),
        compares("boss.i", numbers, "number"),
        team,
    )
    lists = st.one_of(
        TEXTS.map(lambda one: f"{{l: {{contains: {text(one)}}}}}"),
        st.lists(TEXTS, max_size=2).map(lambda one: f"{{l: {{containsAny: {text(one)}}}}}"),
        st.lists(TEXTS, max_size=2).map(lambda one: f"{{l: {{containsAll: {text(one)}}}}}"),
        (st.none() | st.integers(-2, 2)).map(lambda one: f"{{n: {{contains: {text(one)}}}}}"),
        st.integers(0, 3).map(lambda one: f"{{l: {{size: {{gte: {one}}}}}}}"),
        st.integers(0, 3).map(lambda one: f"{{os: {{size: {one}}}}}"),
        st.tuples(
            st.sampled_from(["some", "every", "none"]),
            compares("x", INTS, "number") | compares("y", TEXTS, "text"),
        ).map(lambda pair: f"{{os: {{{pair[0]}: {pair[1]}}}}}"),
        st.sampled_from(["i > 0", "s == \\\"a\\\"", "b", "i * 2 + 1 < f", "length(l) > 1", "!b && i"]).map(
            lambda one: f'{{expr: "{one}"}}'
        ),
    )  # fmt: skip
    return plain | lists


def wheres() -> st.SearchStrategy[str]:
    """A condition of any depth."""
    return st.recursive(
        leaves(),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda parts: f"{{and: [{' '.join(parts)}]}}"),
            st.lists(inner, max_size=3).map(lambda parts: f"{{or: [{' '.join(parts)}]}}"),
            inner.map(lambda part: f"{{not: {part}}}"),
        ),
        max_leaves=5,
    )


ORDERS = st.lists(
    st.tuples(
        st.sampled_from(["i", "f", "s", "b", "e", "d", "o.x", "team.rank", "double", "id"]),
        st.sampled_from(["ASC", "DESC"]),
        st.sampled_from(["", " nulls: FIRST", " nulls: LAST"]),
    ),
    max_size=3,
    unique_by=lambda one: one[0],
).map(lambda keys: "[" + " ".join(f'{{field: "{a}" direction: {b}{c}}}' for a, b, c in keys) + "]")

SELECTION = """{ id i f s b e d l n o { y } os { x } j team { name } boss { id s } double
  up: s | uppercase  sum: i + f  whole: if(b, s, "no")  t(via: boss, orderBy: "s", limit: 2) { id } }"""
AGGREGATES = """aggregate { count a: count(field: "i") sum(field: "f") avg(field: "o.x") min(field: "s")
  max(field: "d") countDistinct(field: "e") least: min(field: "i") }"""


@st.composite
def queries(draw: st.DrawFn) -> str:
    arguments = [f"where: {draw(wheres())}"]
    if draw(st.booleans()):
        arguments.append(f"orderBy: {draw(ORDERS)}")
    if draw(st.booleans()):
        arguments.append(f"limit: {draw(st.integers(0, 4))}")
    if draw(st.booleans()):
        arguments.append(f"offset: {draw(st.integers(0, 4))}")
    key = draw(st.sampled_from(["s", "i", "b", "e", "team", "o.x"]))
    having = draw(st.sampled_from(["", " having: {count: {gt: 1}}", " orderBy: {count: DESC}"]))
    groups = f'groupBy(field: "{key}"{having}) {{ key count nodes(limit: 2) {{ id }} stats: aggregate {{ max(field: "i") }} }}'  # fmt: skip
    selection = draw(st.sampled_from([SELECTION, f"{{ id {AGGREGATES} }}", f"{{ {groups} }}"]))
    return f"{{ t({' '.join(arguments)}) {selection} }}"


def fresh(found: Sequence[dict[str, Any]]) -> Aurora:
    db = Aurora(":memory:")
    db.execute(SCHEMA)
    db["teams"].insert_many(TEAMS)
    db["t"].insert_many(found)
    return db


def stored(db: Aurora, name: str) -> list[dict[str, Any]]:
    return db.execute(f"{{ {name} }}")[name]


@given(found=documents(), query=queries())
def test_sql_and_the_plain_evaluation_agree(found: list[dict[str, Any]], query: str):
    """For any documents and any query the two results are equal."""
    with fresh(found) as db:
        got = db.execute(query)["t"]
        catalog = db._gate.catalog
        (operation,) = resolve.resolve(parser.parse(query), query, catalog).operations
        root = operation.roots[0]
        assert isinstance(root, plan.Query)
        root = expand.expand_query(root, catalog, {})
        # Computed fields are no part of what is stored.
        data = {name: stored(db, name) for name in ("t", "teams")}
        plain = Documents(data, {}, db._engine.clock.now())
        wanted = evaluate_queries.query(root, plain)
        note(query)
        assert close(got, wanted), f"\n{query}\nsql   {got}\nplain {wanted}"


def close(one: Any, other: Any) -> bool:
    """Equal; sums of Floats within the last digits, for they depend on the order."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or abs(one - other) <= 1e-9 * max(abs(one), abs(other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(close, one, other))
    return type(one) is type(other) and one == other


@given(found=documents(), order=ORDERS, where=wheres(), size=st.integers(1, 3))
def test_pages_put_together_are_the_whole(
    found: list[dict[str, Any]], order: str, where: str, size: int
):
    """Forwards and backwards, each document once, in order."""
    with fresh(found) as db:
        whole = [
            one["id"]
            for one in db.execute(f"{{ t(where: {where} orderBy: {order}) {{ id }} }}")["t"]
        ]
        forwards, backwards = [], []
        for seen, way, cursor, more in (
            (forwards, "first: $n after: $c", "endCursor", "hasNextPage"),
            (backwards, "last: $n before: $c", "startCursor", "hasPreviousPage"),
        ):
            text = f"query ($n: Int! $c: String) {{ t(where: {where} orderBy: {order} {way}) {{ edges {{ node {{ id }} }} pageInfo {{ {cursor} {more} }} }} }}"
            after = None
            while True:
                page = db.execute(text, {"n": size, "c": after})["t"]
                ids = [edge["node"]["id"] for edge in page["edges"]]
                seen[:] = [*seen, *ids] if seen is forwards else [*ids, *seen]
                after = page["pageInfo"][cursor]
                if not page["pageInfo"][more]:
                    break
        assert forwards == whole
        assert backwards == whole
