"""What happens to a database that is followed: collections, documents, and steps of whoever writes.

A step is a list that JSON can carry, so that this process, another Aurora and the sqlite3 of the
standard library can do it. What is refused is refused: the model asks what is there afterwards.
"""

from __future__ import annotations

import json
from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st

from aurora_db import AuroraError
from aurora_db.store import changes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aurora_db import Aurora

SCHEMA = """schema {
  define collection teams { name: String @unique  n: Int  ok: Boolean }
  define collection people {
    name: String  n: Int @indexed  f: Float  ok: Boolean  at: DateTime  tags: [String]  box: JSON
    team: ID @relation(to: "teams", onDelete: CASCADE)  boss: ID @relation(to: "people", onDelete: SET_NULL)
  }
  define collection notes @flexible { text: String  n: Int  person: ID @relation(to: "people", onDelete: SET_NULL) }
  define collection marks { n: Int }
}"""
NAMES = ("teams", "people", "notes")
IDS = {
    "teams": ("t0", "t1", "t2"),
    "people": ("p0", "p1", "p2", "p3", "p4"),
    "notes": ("n0", "n1", "n2"),
}

TEXTS = st.sampled_from(["a", "b", "A", "ß", "", None])
INTS = st.integers(-1, 3) | st.none()
FLOATS = st.sampled_from([0.0, 0.5, 2.0, 1e300, None])
BOOLEANS = st.sampled_from([True, False, None])
DATES = st.sampled_from(["2024-02-29T00:00:00Z", "2025-01-01T12:30:00.5+02:00", "1999-12-31T23:59:59Z", None])  # fmt: skip
TAGS = st.none() | st.lists(st.sampled_from(["a", "b", "c"]), max_size=2)
BOXES = st.sampled_from([None, {}, {"x": 1}, {"x": True}, {"x": "1", "y": [1]}, [1, {"x": 2}], 1])

#: The fields of each collection, and what they may hold.
FIELDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "teams": {"name": TEXTS, "n": INTS, "ok": BOOLEANS},
    "people": {
        "name": TEXTS, "n": INTS, "f": FLOATS, "ok": BOOLEANS, "at": DATES, "tags": TAGS, "box": BOXES,
        "team": st.sampled_from([*IDS["teams"], None]), "boss": st.sampled_from([*IDS["people"], None]),
    },
    "notes": {"text": TEXTS, "n": INTS, "free": BOXES, "person": st.sampled_from([*IDS["people"], None])},
}  # fmt: skip


# --- conditions that both verbs and followers use -----------------------------------------------


@cache
def wheres(name: str, hops: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """A condition on documents of a collection."""
    number = st.integers(-1, 3)
    some = [
        st.builds(lambda op, n: {"n": {op: n}}, st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte"]), number),
        st.builds(lambda low, more: {"n": {"gte": low, "lt": low + more}}, number, st.integers(0, 2)),
        st.builds(lambda ns: {"n": {"in": ns}}, st.lists(INTS, max_size=2)),
        st.just({"n": {"isNull": True}}), st.builds(lambda at: {"id": at}, st.sampled_from(IDS[name])),
        st.builds(lambda ids: {"id": {"in": ids}}, st.lists(st.sampled_from(IDS[name]), max_size=3)),
        st.just({}), st.just({"expr": "n * 2 > 2"}),
    ]  # fmt: skip
    if name in ("teams", "people"):
        some += [
            st.just({"ok": True}), st.just({"not": {"ok": True}}), st.just({"name": {"istartsWith": "A"}}),
            st.builds(lambda one: {"name": one}, TEXTS), st.just({"name": {"startsWith": "a"}}),
        ]  # fmt: skip
    if name == "people":
        some += [
            st.builds(lambda one: {"f": {"gte": one}}, st.sampled_from([0.0, 0.5, 2])),
            st.builds(lambda one: {"tags": {"contains": one}}, st.sampled_from("ab")),
            st.just({"tags": {"size": {"gte": 1}}}), st.just({"box": {"x": 1}}), st.just({"box.x": True}),
            st.builds(lambda one: {"team": one}, st.sampled_from([*IDS["teams"], None])),
            st.just({"at": {"gte": "2025-01-01T00:00:00Z"}}),
        ]  # fmt: skip
        if hops:
            some += [
                st.just({"team.ok": True}), st.just({"team": {"name": "a"}}), st.just({"boss.n": {"gt": 0}}),
                st.just({"notes": {"some": {"n": {"gt": 0}}}}),
            ]  # fmt: skip
    if name == "notes":
        some += [st.just({"free": {"x": 1}}), st.just({"free": {"isNull": True}}), st.just({"text": "a"})]  # fmt: skip
        if hops:
            some += [st.just({"person.n": {"gte": 1}}), st.just({"person": {"team": {"ok": True}}})]
    one = st.one_of(some)
    several = st.lists(one, min_size=1, max_size=2)
    return one | several.map(lambda parts: {"and": parts}) | several.map(lambda parts: {"or": parts})  # fmt: skip


# --- steps --------------------------------------------------------------------------------------


@cache
def documents(name: str, *, id: bool = True, least: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    """A document, whole or in parts."""
    fields = dict(FIELDS[name])
    made = st.fixed_dictionaries({}, optional=fields)
    if least:
        made = made.filter(lambda one: len(one) >= least)
    if not id:
        return made
    return st.builds(lambda at, one: {"id": at, **one}, st.sampled_from(IDS[name]), made)


NAME = st.sampled_from(["people", "people", "people", "teams", "notes"])


def _with(make: Callable[[str], st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    return NAME.flatmap(make)


def _target(name: str) -> st.SearchStrategy[Any]:
    return st.sampled_from(IDS[name]) | wheres(name, hops=False)


@cache
def writes() -> st.SearchStrategy[list[Any]]:
    """One verb on documents."""
    return st.one_of(
        _with(lambda name: documents(name).map(lambda one: ["insert", name, one])),
        _with(lambda name: documents(name).map(lambda one: ["insert", name, one])),
        _with(lambda name: st.lists(documents(name), min_size=1, max_size=4, unique_by=lambda one: one["id"]).flatmap(
            lambda some: st.sampled_from(["error", "skip", "replace"]).map(lambda way: ["many", name, some, way]))),
        _with(lambda name: st.builds(lambda at, data: ["update", name, at, data], _target(name), documents(name, id=False, least=1))),
        _with(lambda name: st.builds(lambda at, n: ["update", name, at, {"n": {"increment": n}}], _target(name), st.integers(-1, 1))),
        _with(lambda name: documents(name).map(lambda one: ["upsert", name, {"id": one["id"]}, one])),
        _with(lambda name: _target(name).map(lambda at: ["delete", name, at])),
        st.sampled_from(IDS["teams"]).map(lambda at: ["delete", "teams", at]),
        st.builds(lambda a, b: ["execute", (f'mutation {{ one: update(collection: "people", where: {{id: "{a}"}}, data: {{n: 2, ok: true}}) {{ ids }}'
                  f' two: update(collection: "people", where: {{id: "{b}"}}, data: {{ok: false}}) {{ ids }} }}')], st.sampled_from(IDS["people"]), st.sampled_from(IDS["people"])),
    )  # fmt: skip


@cache
def transactions() -> st.SearchStrategy[list[Any]]:
    """Several verbs that commit together, or not at all."""
    return st.builds(
        lambda some, commit: ["transaction", some, commit],
        st.lists(writes(), min_size=1, max_size=3), st.booleans(),
    )  # fmt: skip


@cache
def imports() -> st.SearchStrategy[list[Any]]:
    """A file of documents."""
    return _with(
        lambda name: st.builds(
            lambda some, way: ["import", name, some, way],
            st.lists(documents(name), min_size=1, max_size=4),
            st.sampled_from(["error", "skip", "replace"]),
        )
    )


@cache
def foreign() -> st.SearchStrategy[list[Any]]:
    """Statements of a program that is no Aurora, in one transaction; the last says whether it commits."""
    person, team = st.sampled_from(IDS["people"]), st.sampled_from(IDS["teams"])
    one = st.one_of(
        st.builds(lambda n, at: ["UPDATE people SET n = ? WHERE id = ?", [n, at]], INTS, person),
        st.builds(lambda n: ["UPDATE people SET n = n + 1 WHERE n > ?", [n]], st.integers(-1, 2)),
        st.builds(lambda ok, at: ["UPDATE teams SET ok = ?, n = 1 WHERE id = ?", [ok, at]], st.sampled_from([0, 1, None]), team),
        st.builds(lambda at, n, name: ["INSERT INTO people (id, n, name) VALUES (?, ?, ?)", [at, n, name]], person, INTS, TEXTS),
        st.builds(lambda at, n: ["INSERT INTO people (id, n) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET n = excluded.n", [at, n]], person, INTS),
        st.builds(lambda at, tags: ["UPDATE people SET tags = ? WHERE id = ?", [json.dumps(tags), at]], person, st.lists(st.sampled_from("ab"), max_size=2)),
        st.builds(lambda at: ["DELETE FROM people WHERE id = ?", [at]], person),
        st.builds(lambda at: ["DELETE FROM notes WHERE id = ?", [at]], st.sampled_from(IDS["notes"])),
        st.builds(lambda at: ["UPDATE notes SET text = 'a' WHERE id = ?", [at]], st.sampled_from(IDS["notes"])),
    )  # fmt: skip
    return st.builds(
        lambda some, commit: ["foreign", some, commit],
        st.lists(one, min_size=1, max_size=3), st.sampled_from([True, True, False]),
    )  # fmt: skip


ALTERATIONS = (
    "alter collection people { add level: Int = 1 }", "alter collection people { drop level }",
    "alter collection people { rename name to called }", "alter collection people { rename called to name }",
    "alter collection people { modify n: Float }", "alter collection people { modify n: Int }",
    "alter collection teams { add level: Int }", "alter collection teams { drop ok }",
    "alter collection teams { add ok: Boolean }", "alter collection notes { drop n }",
    "alter collection notes { add n: Int = 2 }", "alter collection people { drop f }",
    "alter collection people { add f: Float }", "alter collection people { modify f: Int }",
)  # fmt: skip


class Step(NamedTuple):
    """What happens, and who does it: here, aurora or sqlite; then, whether the followers are asked."""

    by: str
    what: list[Any]
    asked: bool


KINDS = st.sampled_from([
    *["write"] * 9, *["transaction"] * 3, *["kill"] * 3, "foreign", "foreign", "alter", "alter", "import", "prune", "take",
])  # fmt: skip
WRITERS = st.sampled_from(["here"] * 5 + ["aurora"] * 2)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """One step."""
    asked = draw(st.integers(0, 2)) > 0
    by = draw(WRITERS)
    match draw(KINDS):
        case "write":
            return Step(by, draw(writes()), asked)
        case "transaction":
            return Step(by, draw(transactions()), asked)
        case "import":
            return Step(by, draw(imports()), asked)
        case "foreign":
            return Step("sqlite", draw(foreign()), asked)
        case "prune":
            return Step("here", ["prune"], asked)
        case "alter":
            return Step(by, ["execute", draw(st.sampled_from(ALTERATIONS))], asked)
        case "take":
            return Step("here", ["take", draw(st.integers(1, 3))], False)
        case _:
            return Step("here", ["kill"], asked)


class Undone(Exception):
    """Ends a transaction."""


def do(db: Aurora, what: list[Any], folder: Path) -> str | None:
    """Do a step by Aurora; the code of the error when it is refused."""
    try:
        match what:
            case ["transaction", some, commit]:
                try:
                    with db.transaction() as tx:
                        for one in some:
                            _write(tx, one)
                        if not commit:
                            raise Undone
                except Undone:
                    return None
            case ["import", name, some, way]:
                file = folder / "import.json"
                file.write_text(json.dumps(some))
                db.import_file(name, file, on_conflict=way)
            case ["prune"]:
                while db._engine.write(partial(changes.prune, retention=timedelta(days=-1))):
                    pass
            case _:
                _write(db, what)
    except AuroraError as error:
        return error.code
    return None


def _write(db: Any, what: list[Any]) -> None:
    match what:
        case ["insert", name, document]:
            db[name].insert(document)
        case ["many", name, some, way]:
            db[name].insert_many(some, on_conflict=way)
        case ["update", name, target, data]:
            db[name].update(target, data, all=True)
        case ["upsert", name, where, document]:
            db[name].upsert(where, document)
        case ["delete", name, target]:
            db[name].delete(target, all=True)
        case ["execute", text]:
            db.execute(text)
        case _:
            raise AssertionError(what)
