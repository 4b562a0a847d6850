"""Conditions mean the same in SQL as in Python, and are true or false, never unknown."""

from __future__ import annotations

import json
import operator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora_db.aql import plan
from aurora_db.aql.catalog import Collection, Field, Type
from aurora_db.base.errors import TypeMismatch
from aurora_db.sql import lower
from aurora_db.sql.where import where

#: Names that are columns of `json_each` as well, or words of SQL.
FIELDS = {"value": "String", "key": "Int", "type": "Float", "select": "Boolean", "json": "List"}
TYPES = {"List": Type(name="List", item=Type(name="JSON"))}
C = Collection(
    name="each",
    flexible=True,
    fields=(
        Field(name="id", type=Type(name="ID")),
        *(Field(name=name, type=TYPES.get(type, Type(name=type))) for name, type in FIELDS.items()),
        Field(name="path", type=Type(name="JSON")),
    ),
)

ORDERS = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
TEXTS = st.text("aB'\"%_é\\", max_size=3)
SCALARS = st.none() | st.booleans() | st.sampled_from([0, 1, 0.5, 1.0, -0.0]) | TEXTS
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["k", "K"]), inner, max_size=2)
    ),
    max_leaves=4,
)
PLAIN = {
    "value": TEXTS,
    "key": st.integers(-2, 2),
    "type": st.sampled_from([-1.5, 0.0, 1.0]),
    "select": st.booleans(),
}
KEYS = ["free", "a b", 'q"', "é", "back\\slash"]
DOCUMENTS = st.fixed_dictionaries({
    **{name: st.none() | values for name, values in PLAIN.items()},
    "json": st.none() | st.lists(JSON, max_size=3),
    "path": JSON,
    "extra": st.dictionaries(st.sampled_from(KEYS), JSON, max_size=3),
})  # fmt: skip


# --- the meaning, in Python -----------------------------------------------------------------


def alike(one, other):
    """Equal as JSON: true is not 1, 1 is 1.0."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[k], other[k]) for k in one)
    return (type(one) in (int, float) and type(other) in (int, float) and one == other) or (
        type(one) is type(other) and one == other
    )  # fmt: skip


def means(op, found, value):
    """What a comparison says of a value, or of None where there is none."""
    match op:
        case "eq":
            return alike(found, value)
        case "ne":
            return not alike(found, value)
        case "in":
            return any(alike(found, one) for one in value)
        case "isNull":
            return (found is None) == value
        case "contains":
            return contains(found, value)
        case "startsWith" | "endsWith":
            return isinstance(found, str) and getattr(found, op.lower())(value)
        case _:
            classes = [(bool,), (int, float), (str,)]
            for kinds in classes:
                if type(found) in kinds and type(value) in kinds:
                    return ORDERS[op](found, value)
            return False


def contains(found, value):
    if isinstance(found, str):
        return isinstance(value, str) and value in found
    if isinstance(found, list):
        return any(alike(one, value) for one in found)
    if isinstance(found, dict) and isinstance(value, dict):
        return all(key in found and alike(found[key], value[key]) for key in value)
    return False


# --- conditions with their meaning ----------------------------------------------------------


@st.composite
def on_plain(draw):
    """A comparison of a declared field of a plain type."""
    name = draw(st.sampled_from(list(PLAIN)))
    ops = ["eq", "ne", "gt", "gte", "lt", "lte", "in", "isNull"]
    op = draw(
        st.sampled_from([*ops, "contains", "startsWith", "endsWith"] if name == "value" else ops)
    )
    one = PLAIN[name] if op in ("contains", "startsWith", "endsWith") else st.none() | PLAIN[name]
    value = draw({"in": st.lists(one, max_size=3), "isNull": st.booleans()}.get(op, one))
    path = plan.Path(C.field(name), (), C.field(name).type)

    def stored(given):
        return int(given) if isinstance(given, bool) and name == "select" else given

    known = [stored(v) for v in value] if op == "in" else value if op == "isNull" else stored(value)
    return plan.Compare(path, op, plan.Constant(known)), lambda d: means(op, d[name], value)


@st.composite
def on_json(draw):
    """A comparison of a place in JSON: a declared list or JSON, a path into it, an undeclared field."""
    ops = [
        "eq",
        "ne",
        "gt",
        "gte",
        "lt",
        "lte",
        "in",
        "isNull",
        "contains",
        "startsWith",
        "endsWith",
    ]
    where_ = draw(st.sampled_from(["json", "path", "path.k", "extra", "extra.k"]))
    if where_ in ("json", "path"):
        ops = ["eq", "ne", "in", "isNull", "contains"]
    op = draw(st.sampled_from(ops))
    texts = op in ("startsWith", "endsWith")
    value = draw(
        {"in": st.lists(JSON, max_size=2), "isNull": st.booleans()}.get(
            op, TEXTS if texts else JSON
        )
    )
    first = draw(st.sampled_from(KEYS))

    def found(document):
        if where_ in ("json", "path"):
            return document[where_]
        inner = document["path"] if where_ == "path.k" else document["extra"].get(first)
        if where_ == "extra":
            return inner
        return inner.get("k") if isinstance(inner, dict) else None

    if where_ in ("json", "path"):
        path = plan.Path(C.field(where_), (), C.field(where_).type)
        known = (
            [json.dumps(v) for v in value]
            if op == "in"
            else value
            if op == "isNull"
            else json.dumps(value)
        )
    else:
        keys = {"path.k": ("k",), "extra": (first,), "extra.k": (first, "k")}[where_]
        path = plan.Path(C.field("path") if where_ == "path.k" else None, keys, None)
        known = value
    as_variable = op != "isNull" and path.type is None and draw(st.booleans())
    given_ = plan.Variable("v") if as_variable else plan.Constant(known)
    return (plan.Compare(path, op, given_), value if as_variable else None), lambda d: means(
        op, found(d), value
    )


COMPARES = on_plain() | on_json()


def build(tree, variables):
    """A tree of drawn conditions as a plan's; each variable gets a name of its own."""
    kind, parts = tree
    if kind == "leaf":
        condition, meaning = parts
        if isinstance(condition, tuple):
            condition, value = condition
            if isinstance(condition.value, plan.Variable):
                name = f"v{len(variables)}"
                variables[name] = value
                condition = plan.Compare(condition.path, condition.op, plan.Variable(name))
        return condition, meaning
    made = [build(part, variables) for part in parts]
    nodes, meanings = [node for node, _ in made], [meaning for _, meaning in made]
    match kind:
        case "and":
            return plan.And(tuple(nodes)), lambda d: all(m(d) for m in meanings)
        case "or":
            return plan.Or(tuple(nodes)), lambda d: any(m(d) for m in meanings)
        case _:
            return plan.Not(nodes[0]), lambda d: not meanings[0](d)


TREES = st.recursive(
    st.tuples(st.just("leaf"), COMPARES),
    lambda inner: (
        st.tuples(st.just("not"), st.lists(inner, min_size=1, max_size=1))
        | st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, max_size=3))
    ),
    max_leaves=4,
)


def insert(world, document):
    world.rows(
        'INSERT INTO "each" (value, key, type, "select", json, path, _extra) VALUES (?, ?, ?, ?, ?, ?, ?)',
        [*(document[name] for name in PLAIN), *(json.dumps(document[name]) if document[name] is not None else None
          for name in ("json", "path")), json.dumps(document["extra"], ensure_ascii=False)],
    )  # fmt: skip


@pytest.fixture
def each(world):
    """The collection of these tests, made once."""
    world.define(C)
    return world


@given(documents=st.lists(DOCUMENTS, min_size=1, max_size=4), tree=TREES)
@settings(max_examples=400)
def test_a_condition_means_in_sql_what_it_means_in_python(each, documents, tree):
    """Any condition finds exactly the documents for which it is true."""
    each.rows('DELETE FROM "each"')
    for document in documents:
        insert(each, document)
    variables = {}
    condition, meaning = build(tree, variables)
    text, params = where(condition, row='"each".')
    bound = lower.Statement(text, params).bind(variables)

    found = each.rows(f'SELECT _n, ({text}) IS TRUE FROM "each" ORDER BY _n', bound)

    assert [bool(true) for _, true in found] == [bool(meaning(one)) for one in documents]


# --- by example -----------------------------------------------------------------------------

#: Values that are easily taken for one another.
ALMOST = [
    None, True, False, 0, 1, 1.0, 0.5, 2**53 + 1, "", "1", "true", "null", "[]", "a", "A", [], [1], [1.0], [True],
    [[1]], ["1"], [1, "a"], ["a", 1], [None], {}, {"k": 1}, {"k": True}, {"k": None}, {"k": 1, "l": [1]},
    {"l": [1.0], "k": 1}, {"k": {"k": 1}},
]  # fmt: skip


EQUAL = ("eq", "ne", "in", "contains")
FORMS = [
    *((op, form) for op in (*EQUAL, *ORDERS) for form in ("constant", "variable")),
    *((op, "declared") for op in EQUAL),
]


@pytest.mark.parametrize(("op", "given_as"), FORMS)
def test_no_two_values_are_confused(each, op, given_as):
    """True is not 1, "1" is not 1, 1 is 1.0, and the order of keys does not matter."""
    for value in ALMOST:
        extra = {} if value is None else {"free": value}
        insert(each, dict.fromkeys(PLAIN) | {"json": None, "path": value, "extra": extra})
    declared = plan.Path(C.field("path"), (), C.field("path").type)
    path = declared if given_as == "declared" else plan.Path(None, ("free",), None)
    for value in ALMOST:
        wanted = [value] if op == "in" else value
        if given_as == "declared":
            text = json.dumps(value)
            condition = plan.Compare(path, op, plan.Constant([text] if op == "in" else text))
        elif given_as == "constant":
            condition = plan.Compare(path, op, plan.Constant(wanted))
        else:
            condition = plan.Compare(path, op, plan.Variable("v"))
        statement = lower.ids(C, condition)
        text = statement.text.replace("SELECT id", "SELECT _n")
        found = [n - 1 for (n,) in each.rows(text, statement.bind({"v": wanted}))]
        opposite = lower.count(C, plan.Not(condition))
        params = lower.Statement(*opposite).bind({"v": wanted})

        assert found == [n for n, one in enumerate(ALMOST) if means(op, one, wanted)], value
        assert each.rows(opposite[0], params) == [(len(ALMOST) - len(found),)], value


def test_equality_and_lists_of_values_use_the_index(each):
    """The forms are those that SQLite finds an index for; null included."""
    each.rows('CREATE INDEX by_value ON "each" (value)')
    path = plan.Path(C.field("value"), (), C.field("value").type)
    for op, value in (("eq", "x"), ("eq", None), ("in", ["x", "y"]), ("isNull", True), ("gt", "x")):
        text, params = where(plan.Compare(path, op, plan.Constant(value)), row='"each".')
        (step, *_) = each.rows(f'EXPLAIN QUERY PLAN SELECT 1 FROM "each" WHERE {text}', params)
        assert "USING INDEX by_value" in step[3] or "USING COVERING INDEX by_value" in step[3], op


def test_of_nothing_and_is_true_and_or_is_false():
    """`{}` matches all, `or: []` none."""
    assert where(plan.And(())) == ("1", ())
    assert where(plan.Or(())) == ("0", ())


def test_a_variable_is_converted_when_it_is_bound(each):
    """Its type is that of the path, and another one is refused then."""
    path = plan.Path(C.field("select"), (), C.field("select").type)
    statement = lower.Statement(*where(plan.Compare(path, "eq", plan.Variable("v")), row='"each".'))

    assert statement.bind({"v": True}) == (1,)
    assert statement.bind({"v": None}) == (None,)
    with pytest.raises(TypeMismatch, match="'select' is Boolean, got Int 1"):
        statement.bind({"v": 1})


def test_a_where_variable_must_be_expanded_before():
    """What it says is not known when a statement is made."""
    late = plan.Not(plan.And((plan.WhereVariable("w", C),)))

    assert lower.has_where_variable(late)
    with pytest.raises(AssertionError, match="expanded before"):
        where(late)
