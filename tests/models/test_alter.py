"""Random schemas, documents and alterations beside a model of dictionaries.

What the database holds is what the model holds, after each step, after a reopen, and in the feed read
from its beginning; and the standard library's sqlite3 still meets the constraints.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aurora_db import Aurora, SchemaError

TYPES = ("Int", "Float", "String", "Boolean", "ID", "JSON", "[Int]", "[Float]")
NAMES = tuple("abcdef")
#: What a field of a type gets by default, as written and as stored.
DEFAULTS = {
    "Int": ("7", 7), "Float": ("0.5", 0.5), "String": ('"s"', "s"), "Boolean": ("true", True),
    "ID": ('"k"', "k"), "JSON": ("{x: 1}", {"x": 1}), "[Int]": ("[1]", [1]), "[Float]": ("[0.5]", [0.5]),
}  # fmt: skip

whole = st.integers(-5, 5)
real = st.one_of(whole.map(float), st.sampled_from((0.5, -2.25, 1e300)))
text = st.sampled_from(("a", "b", "3", "true", "x y"))
plain = st.one_of(whole, real, text, st.booleans(), st.lists(whole, max_size=2))
VALUES = {
    "Int": whole, "Float": real, "String": text, "Boolean": st.booleans(), "ID": text, "JSON": plain,
    "[Int]": st.lists(st.one_of(whole, st.none()), max_size=3), "[Float]": st.lists(real, max_size=3),
}  # fmt: skip

OTHER = """
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
said = []
for sql in json.loads(sys.argv[2]):
    try:
        db.execute(sql)
        said.append(None)
    except sqlite3.IntegrityError as error:
        said.append(str(error))
db.close()
print(json.dumps(said))
"""


class No(Exception):
    """The value has no form in the other type."""


def converted(value: Any, to: str) -> Any:
    """What a value becomes, by the table of types: no way between texts and numbers."""
    if value is None:
        return None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    match to:
        case "Int" if number and float(value).is_integer() and abs(value) < 2**63:
            return int(value)
        case "Float" if number:
            return float(value)
        case "String" if isinstance(value, str):
            return value
        case "Boolean" if isinstance(value, bool):
            return value
        case "ID" if isinstance(value, str):
            return value
        case "ID" if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        case "JSON":
            return value
        case "[Int]" | "[Float]" if isinstance(value, list):
            return [converted(one, to[1:-1]) for one in value]
        case _:
            raise No


class Model:
    """Fields by name (type, required, has default) and documents by id."""

    def __init__(self) -> None:
        self.fields: dict[str, tuple[str, bool, bool]] = {}
        self.documents: dict[str, dict[str, Any]] = {}

    def written(self, name: str) -> str:
        """The definition of a field."""
        kind, required, default = self.fields[name]
        return (
            f"{name}: {kind}{'!' if required else ''}{f' = {DEFAULTS[kind][0]}' if default else ''}"
        )

    def default(self, name: str) -> Any:
        """What an absent field becomes."""
        kind, _, default = self.fields[name]
        return DEFAULTS[kind][1] if default else None


def draw_field(data: st.DataObject) -> tuple[str, bool, bool]:
    """A type, whether it is required, whether it has a default."""
    return data.draw(st.tuples(st.sampled_from(TYPES), st.booleans(), st.booleans()))


def insert(db: Aurora, model: Model, data: st.DataObject) -> None:
    """A document of the schema as it is."""
    id = f"d{len(model.documents)}"
    document: dict[str, Any] = {"id": id}
    for name, (kind, required, default) in model.fields.items():
        if (required and not default) or data.draw(st.booleans()):
            document[name] = data.draw(VALUES[kind])
    db["t"].insert(document)
    stored = {name: document.get(name, model.default(name)) for name in model.fields}
    model.documents[id] = {"id": id, **stored}


def change(db: Aurora, model: Model, data: st.DataObject) -> None:
    """One action; both sides make it, or both refuse it."""
    free = [name for name in NAMES if name not in model.fields]
    verbs = ["modify", "drop", "rename"] if model.fields else []
    verb = data.draw(st.sampled_from([*verbs, *(["add"] if free else [])]))
    before = (dict(model.fields), {id: dict(one) for id, one in model.documents.items()})
    name = data.draw(st.sampled_from(free if verb == "add" else list(model.fields)))
    action = f"{verb} {name}"
    possible = True
    if verb == "add":
        model.fields[name] = draw_field(data)
        possible = _filled(model, name)
        action = f"add {model.written(name)}"
    elif verb == "drop":
        del model.fields[name]
        for one in model.documents.values():
            del one[name]
    elif verb == "rename":
        if not free:
            return
        to = data.draw(st.sampled_from(free))
        model.fields = {to if one == name else one: kind for one, kind in model.fields.items()}
        for one in model.documents.values():
            one[to] = one.pop(name)
        action = f"rename {name} to {to}"
    else:
        model.fields[name] = draw_field(data)
        possible = _modified(model, name)
        action = f"modify {model.written(name)}"
    try:
        db.execute(f"alter collection t {{ {action} }}")
    except SchemaError:
        assert not possible, action
        model.fields, model.documents = before
    else:
        assert possible, action


def _filled(model: Model, name: str) -> bool:
    for one in model.documents.values():
        one[name] = model.default(name)
    required = model.fields[name][1]
    return not required or all(one[name] is not None for one in model.documents.values())


def _modified(model: Model, name: str) -> bool:
    kind, required, _ = model.fields[name]
    try:
        for one in model.documents.values():
            one[name] = converted(one[name], kind)
            if one[name] is None and required:
                one[name] = model.default(name)
    except No:
        return False
    return not required or all(one[name] is not None for one in model.documents.values())


def exactly(document: dict[str, Any]) -> dict[str, str]:
    """A document whose numbers and Booleans are not confused."""
    return {name: repr(value) for name, value in document.items()}


def compare(db: Aurora, model: Model) -> None:
    """The collection, and the feed read from its beginning."""
    found = db.execute("{ t }")["t"]
    assert [exactly(one) for one in found] == [
        exactly({name: one[name] for name in ("id", *model.fields)})
        for one in model.documents.values()
    ]
    revs = {one["id"]: one["_rev"] for one in db.execute("{ t { id _rev } }")["t"]}
    last: dict[str, Any] = {}
    for one in db.execute("{ _changes { id before after } }")["_changes"]:
        assert (last.get(one["id"]) or {}).get("_rev") == (one["before"] or {}).get("_rev")
        last[one["id"]] = one["after"]
    known = {
        id: exactly({name: v for name, v in {**one, "_rev": revs[id]}.items() if v is not None})
        for id, one in model.documents.items()
    }
    assert {id: exactly({n: v for n, v in one.items() if v is not None}) for id, one in last.items()} == known  # fmt: skip


@given(data=st.data())
def test_alterations_do_to_documents_what_a_model_does(data, tmp_path_factory):
    """Whatever is altered in whatever order, documents are what they should be, everywhere."""
    path = tmp_path_factory.mktemp("alter") / "a.db"
    model = Model()
    for name in data.draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True)):
        model.fields[name] = draw_field(data)
    with Aurora(path, durability="none") as db:
        db.execute(f"define collection t {{ {' '.join(map(model.written, model.fields))} }}")
        for step in data.draw(st.lists(st.sampled_from((insert, change)), max_size=8)):
            step(db, model, data)
            compare(db, model)
    with Aurora(path, durability="none") as db:
        compare(db, model)
        obeyed(path, model)
        compare(db, model)


def obeyed(path: Any, model: Model) -> None:
    """The other program can put neither nothing where something must be, nor a wrong type."""
    wanted: dict[str, str] = {}
    for name, (kind, required, _) in model.fields.items():
        if required:
            wanted[f"INSERT INTO t (id, {name}) VALUES ('z', NULL)"] = "NOT NULL constraint failed"
        if kind in ("Int", "Float", "Boolean"):
            wanted[f"INSERT INTO t (id, {name}) VALUES ('z', 'text')"] = "cannot store TEXT value"
        elif kind.startswith("["):
            wanted[f"""INSERT INTO t (id, {name}) VALUES ('z', '{{"a": 1}}')"""] = (
                "constraint failed"
            )
    if model.documents:
        wanted[f"INSERT INTO t (id) VALUES ('{next(iter(model.documents))}')"] = "constraint failed"
    done = subprocess.run(
        [sys.executable, "-c", OTHER, str(path), json.dumps(list(wanted))],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    for sql, said, part in zip(wanted, json.loads(done.stdout), wanted.values(), strict=True):
        assert said is not None, sql
        assert "constraint failed" in said or part in said, (sql, said)
