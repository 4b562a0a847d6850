"""Any where finds what a small Python oracle says, over relations and lists too; `not` is the complement."""

from __future__ import annotations

import operator
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora_db import Aurora

SCHEMA = """schema {
  define collection people @flexible {
    name: String @indexed  n: Int @indexed  f: Float  ok: Boolean  tags: [String]  nums: [Int]
    lines: [{ q: Int s: String }]  box: { a: Int b: String }  any: JSON
    team: ID @relation(to: "teams")  boss: ID @relation(to: "people")
  }
  define collection teams { name: String @indexed  big: Int  org: ID @relation(to: "orgs") }
  define collection orgs { name: String }
}"""

ORDERS = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
TEXTS = st.text("aAéÉ%_\"'", max_size=3)
INTS = st.integers(-2, 2)
FLOATS = st.sampled_from([-1.5, 0.0, 1.0, 2.0])
SCALARS = st.none() | st.booleans() | INTS | st.sampled_from([0.5, 1.0]) | TEXTS
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["k", "l"]), inner, max_size=2)
    ),
    max_leaves=4,
)
LINES = st.lists(st.fixed_dictionaries({"q": st.none() | INTS, "s": st.none() | TEXTS}), max_size=2)
VALUES = {
    "name": TEXTS, "n": INTS, "f": FLOATS, "ok": st.booleans(), "tags": st.lists(TEXTS, max_size=3),
    "nums": st.lists(st.none() | INTS, max_size=3), "lines": LINES,
    "box": st.fixed_dictionaries({"a": st.none() | INTS, "b": st.none() | TEXTS}), "any": JSON, "free": JSON,
}  # fmt: skip
PERSON = st.fixed_dictionaries(
    {name: st.none() | value for name, value in VALUES.items()}
    | {"team": st.none() | st.sampled_from(["t0", "t1"]), "boss": st.none() | st.just("p0")}
)
TEAM = st.fixed_dictionaries(
    {"name": st.none() | TEXTS, "big": st.none() | INTS, "org": st.none() | st.just("o0")}
)
WORLDS = st.fixed_dictionaries({
    "orgs": st.lists(st.fixed_dictionaries({"name": st.none() | TEXTS}), min_size=1, max_size=1),
    "teams": st.lists(TEAM, min_size=2, max_size=2),
    "people": st.lists(PERSON, min_size=1, max_size=4),
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
    numbers = (int, float)
    return (
        one == other
        if type(one) in numbers and type(other) in numbers
        else type(one) is type(other) and one == other
    )


def folded(text):
    return "".join(c.casefold() if len(c.casefold()) == 1 else c for c in text)


def ordered(op, found, value):
    for kinds in ((bool,), (int, float), (str,)):
        if type(found) in kinds and type(value) in kinds:
            return ORDERS[op](found, value)
    return False


def on_text(op, found, value):
    if not isinstance(found, str):
        return False
    if op == "matches":
        return re.search(value, found) is not None
    if op.startswith("i"):
        found, value, op = folded(found), folded(value), op[1:].lower()
    match op.lower():
        case "eq":
            return found == value
        case "contains":
            return value in found
        case "startswith":
            return found.startswith(value)
        case _:
            return found.endswith(value)


def contains(found, value):
    if isinstance(found, str):
        return isinstance(value, str) and value in found
    if isinstance(found, list):
        return any(alike(one, value) for one in found)
    if isinstance(found, dict) and isinstance(value, dict):
        return all(key in found and alike(found[key], value[key]) for key in value)
    return False


def means(op, found, value):
    """What an operator says of a value, or of None where there is none."""
    has = isinstance(found, list)
    match op:
        case "eq":
            return alike(found, value)
        case "ne":
            return not alike(found, value)
        case "in":
            return any(alike(found, one) for one in value)
        case "nin" | "notIn":
            return not any(alike(found, one) for one in value)
        case "between":
            return ordered("gte", found, value[0]) and ordered("lte", found, value[1])
        case "isNull":
            return (found is None) == value
        case "isNotNull":
            return (found is not None) == value
        case "contains":
            return contains(found, value)
        case "containsAny":
            return has and any(contains(found, one) for one in value)
        case "containsAll":
            return has and all(contains(found, one) for one in value)
        case "size":
            return all(means(o, len(found) if has else None, v) for o, v in value.items())
        case _ if op in ORDERS:
            return ordered(op, found, value)
        case _:
            return on_text(op, found, value)


# --- wheres with their meaning --------------------------------------------------------------

TEXT_OPS = ["startsWith", "endsWith", "contains", "ieq", "icontains", "istartsWith", "iendsWith"]
PATTERNS = st.sampled_from(["a", "^A", "é$", "[%_]", "^$", "a+"])
SIZES = st.dictionaries(
    st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte"]), st.integers(0, 3), max_size=2
)


def operands(kind):
    """Pairs of operator and value for a kind of field."""
    one = {"text": TEXTS, "int": INTS | FLOATS, "bool": st.booleans(), "any": SCALARS}[kind]
    null = st.none() | one
    pairs = [st.tuples(st.sampled_from(["eq", "ne"]), null)]
    pairs.append(st.tuples(st.sampled_from(["in", "nin", "notIn"]), st.lists(null, max_size=3)))
    pairs.append(st.tuples(st.sampled_from(["isNull", "isNotNull"]), st.booleans()))
    pairs.append(st.tuples(st.sampled_from(sorted(ORDERS)), one))
    pairs.append(st.tuples(st.just("between"), st.lists(one, min_size=2, max_size=2)))
    if kind in ("text", "any"):
        pairs.append(st.tuples(st.sampled_from(TEXT_OPS), TEXTS))
        pairs.append(st.tuples(st.just("matches"), PATTERNS))
    return st.one_of(pairs)


def listed(item):
    several = st.lists(item, max_size=2)
    return st.one_of(
        st.tuples(st.just("contains"), item),
        st.tuples(st.sampled_from(["containsAny", "containsAll"]), several),
        st.tuples(st.just("size"), SIZES),
        st.tuples(st.sampled_from(["isNull", "isNotNull"]), st.booleans()),
    )


FREE = operands("any") | st.one_of(
    st.tuples(st.sampled_from(["eq", "ne", "contains"]), JSON),
    st.tuples(st.sampled_from(["containsAny", "containsAll"]), st.lists(SCALARS, max_size=2)),
    st.tuples(st.just("size"), SIZES),
)


def leaf(name, pairs, *, dotted=False):
    """A where of one field, with its meaning for a document; `dotted` leads into an object."""
    keys = name.split(".")

    def made(pair):
        op, value = pair

        def holds(document, _world):
            found = document
            for key in keys:
                found = found.get(key) if isinstance(found, dict) else None
            return means(op, found, value)

        where = {op: value}
        for key in [name] if dotted else reversed(keys):
            where = {key: where}
        return where, holds

    return pairs.map(made)


def combined(inner):
    """and, or, not, and siblings of what `inner` makes."""

    def several(parts):
        word, made = parts
        wheres, meanings = [w for w, _ in made], [m for _, m in made]
        if word == "not":
            return {"not": {"and": wheres}}, lambda d, w: not all(m(d, w) for m in meanings)
        every = all if word == "and" else any
        return {word: wheres}, lambda d, w: every(m(d, w) for m in meanings)

    return st.tuples(st.sampled_from(["and", "or", "not"]), st.lists(inner, max_size=3)).map(
        several
    )


def through(field, collection, inner):
    """The same of the document that a relation leads to; without one, of nothing."""

    def made(pair):
        where, holds = pair
        return {field: where}, lambda d, w: holds(w[collection].get(d.get(field), {}), w)

    return inner.map(made)


def quantified(name, elements, inner):
    """some, every, none of the elements that a function gives."""

    def made(pair):
        word, (where, holds) = pair

        def means_it(document, world):
            said = [holds(one, world) for one in elements(document, world)]
            return {"some": any(said), "every": all(said), "none": not any(said)}[word]

        return {name: {word: where}}, means_it

    return st.tuples(st.sampled_from(["some", "every", "none"]), inner).map(made)


def tree(leaves):
    return st.recursive(leaves, combined, max_leaves=3)


def objects(field):
    """The elements of a list; what is no object has no fields."""

    def elements(document, _world):
        found = document.get(field)
        return (
            [one if isinstance(one, dict) else {} for one in found]
            if isinstance(found, list)
            else []
        )

    return elements


def referring(collection, field):
    """The documents of a collection that refer to this one."""

    def elements(document, world):
        id = document.get("id")
        return [one for one in world[collection].values() if id is not None and one[field] == id]

    return elements


ORGS = tree(leaf("name", operands("text")))
TEAM_LEAVES = leaf("name", operands("text")) | leaf("big", operands("int"))
TEAMS = tree(TEAM_LEAVES | through("org", "orgs", ORGS))
LINE = tree(leaf("q", operands("int")) | leaf("s", operands("text")))
LEAVES = st.one_of(
    leaf("name", operands("text")), leaf("n", operands("int")), leaf("f", operands("int")), leaf("ok", operands("bool")),
    leaf("tags", listed(TEXTS)), leaf("nums", listed(st.none() | INTS)), leaf("box.a", operands("int")),
    leaf("box.b", operands("text"), dotted=True), leaf("any", FREE), leaf("free", FREE), leaf("free.k", FREE),
    leaf("any.k", operands("any"), dotted=True),
    quantified("lines", objects("lines"), LINE), quantified("free", objects("free"), leaf("k", FREE)),
    quantified("any", objects("any"), tree(leaf("k", operands("any")))),
    through("team", "teams", TEAMS), through("boss", "people", leaf("name", operands("text")) | through("team", "teams", TEAMS)),
)  # fmt: skip
PEOPLE = tree(LEAVES | quantified("people", referring("people", "boss"), tree(LEAVES)))
TEAMS_OF_PEOPLE = tree(
    TEAM_LEAVES | quantified("people", referring("people", "team"), tree(LEAVES))
)


# --- the tests ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def memory():
    with Aurora(":memory:") as db:
        db.execute(SCHEMA)
        yield db


def filled(db, drawn):
    """The world as documents by id, stored."""
    world = {
        name: {f"{name[0]}{n}": {"id": f"{name[0]}{n}", **one} for n, one in enumerate(drawn[name])}
        for name in ("orgs", "teams", "people")
    }
    for name in ("people", "teams", "orgs"):
        db[name].delete({}, all=True)
    for name, documents in world.items():
        db[name].insert_many(
            [{k: v for k, v in one.items() if v is not None} for one in documents.values()]
        )
    return world


def found(db, collection, where, text="$w"):
    query = f"query ($w: JSON) {{ {collection}(where: {text}) {{ id }} }}"
    return [row["id"] for row in db.execute(query, {"w": where})[collection]]


@pytest.mark.parametrize(("collection", "wheres"), [("people", PEOPLE), ("teams", TEAMS_OF_PEOPLE)])
def test_a_where_means_what_the_oracle_says(memory, collection, wheres):
    """Exactly the documents for which it is true; and `not` finds exactly the others."""

    @given(drawn=WORLDS, condition=wheres)
    @settings(max_examples=min(settings.default.max_examples * 2, 1_000))
    def check(drawn, condition):
        world = filled(memory, drawn)
        where, holds = condition
        wanted = [id for id, one in world[collection].items() if holds(one, world)]
        others = [id for id in world[collection] if id not in wanted]
        assert found(memory, collection, where) == wanted
        assert found(memory, collection, where, "{not: $w}") == others
        assert found(memory, collection, where, "{not: {not: $w}}") == wanted

    check()


@given(drawn=WORLDS, name=st.none() | TEXTS, path=st.sampled_from(["name", "team.name", "team.org.name", "boss.name", "free", "any.k"]))  # fmt: skip
@settings(max_examples=min(settings.default.max_examples, 1_000))
def test_ne_is_exactly_not_eq(memory, drawn, name, path):
    """For a constant, for a variable, for null, over relations and into JSON."""
    world = filled(memory, drawn)
    variable = "query ($v: String) {{ people(where: {{{path!r}: {{{op}: $v}}}}) {{ id }} }}"
    asked = [variable.format(path=path, op=op).replace("'", '"') for op in ("eq", "ne")]
    eq, ne = ([row["id"] for row in memory.execute(text, {"v": name})["people"]] for text in asked)

    assert sorted(eq + ne) == sorted(world["people"])
    assert eq == found(memory, "people", {path: {"eq": name}})
    assert (
        ne
        == found(memory, "people", {path: {"ne": name}})
        == found(memory, "people", {"not": {path: name}})
    )
