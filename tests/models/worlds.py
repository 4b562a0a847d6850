"""Worlds of the oracle: schemas with fields of any type, and documents that fit them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXTS = st.sampled_from(
    ["", "a", "A", "ab", "Ab", "b", "ß", "SS", "é", "É", "%", "_", '"', "日本", "a%b"]
)
INTS = st.integers(-3, 3) | st.sampled_from([2**53 + 1, -(2**63), 2**63 - 1])
FLOATS = st.sampled_from([0.0, -1.5, 0.1, 0.30000000000000004, 1e300, 2.0, 9007199254740992.0])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("xy"), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
OBJECTS = st.dictionaries(st.sampled_from("xy"), JSON, max_size=2)
UUIDS = ["0189a1b2-0000-7000-8000-00000000000a", "7d444840-9dc0-11d1-b245-5ffdce74fad2", "ffffffff-ffff-4fff-bfff-ffffffffffff"]  # fmt: skip


class Kind(NamedTuple):
    """A type: as it is written, what it can do, and its values.

    `group` is number, text, word, date, boolean, json, object, list or inline; `given` are values that it
    is compared with.
    """

    written: str
    group: str
    values: st.SearchStrategy[Any]
    given: st.SearchStrategy[Any]
    item: Kind | None = None
    parts: tuple[tuple[str, Kind], ...] = ()


def _kind(written: str, group: str, values: list[Any] | st.SearchStrategy[Any], more: Any = None):
    known = st.sampled_from(values) if isinstance(values, list) else values
    return Kind(written, group, known, known if more is None else known | more)


INT, FLOAT = _kind("Int", "number", INTS, FLOATS), _kind("Float", "number", FLOATS, INTS)
STRING, ID = _kind("String", "text", TEXTS), _kind("ID", "text", ["a", "B", "1", "ab"])
UUID = _kind("Uuid", "word", UUIDS, st.sampled_from(UUIDS).map(str.upper))
DATETIME = _kind("DateTime", "date", ["2024-02-29T00:00:00Z", "2025-01-01T12:30:00.5+02:00", "1999-12-31T23:59:59Z", "2025-01-01T10:30:00.5Z"])  # fmt: skip
#: Two spellings of one value.
SAME = {"2025-01-01T12:30:00.5+02:00": "2025-01-01T10:30:00.5Z"}
UNTYPED = _kind("JSON", "untyped", JSON)
SCALARS = [
    INT, FLOAT, STRING, ID, UUID, DATETIME, _kind("Boolean", "boolean", st.booleans()),
    _kind("Date", "date", ["2024-02-29", "1999-12-31", "2025-01-01"]),
    _kind("Time", "date", ["10:11:12", "10:11:12.5", "00:00:00"]),
    _kind("Email", "text", ["a@example.com", "B@example.org"], TEXTS),
    _kind("URL", "text", ["https://a.example/", "http://b.example/?q=%25"], TEXTS),
    _kind("PhoneNumber", "text", ["+4930123456", "+15550100000"], TEXTS),
    _kind('Enum("red", "blue")', "word", ["red", "blue"]),
]  # fmt: skip
LOOSE = [
    _kind("JSON", "json", JSON),
    _kind("Any", "json", JSON),
    _kind("Object", "object", OBJECTS),
]


def _list(item: Kind, required: bool) -> Kind:
    elements = st.none() | item.values
    if required:
        elements = item.values.filter(lambda value: value is not None)
    lists = st.lists(elements, max_size=3)
    return Kind(f"[{item.written}{'!' if required else ''}]", "list", lists, lists, item)


def _inline(parts: dict[str, Kind]) -> Kind:
    optional = {name: st.none() | one.values for name, one in parts.items()}
    objects = st.fixed_dictionaries({}, optional=optional)
    written = " ".join(f"{name}: {one.written}" for name, one in parts.items())
    return Kind(f"{{ {written} }}", "inline", objects, objects, None, tuple(parts.items()))


def kinds(depth: int = 2) -> st.SearchStrategy[Kind]:
    """Any type; lists and objects at most `depth` deep."""
    plain = st.sampled_from(SCALARS)
    if depth == 0:
        return plain
    inner = kinds(depth - 1)
    return st.one_of(
        plain, plain, st.sampled_from(LOOSE),
        st.builds(_list, inner | st.sampled_from(LOOSE), st.booleans()),
        st.dictionaries(st.sampled_from(["x", "y", "size", "b1"]), inner, min_size=1, max_size=3).map(_inline),
    )  # fmt: skip


class Field(NamedTuple):
    """One field of a collection; a relation leads to `to`, to its field `key`."""

    name: str
    kind: Kind
    flags: str = ""
    to: str | None = None
    key: str = "id"

    @property
    def distinct(self) -> bool:
        return "@unique" in self.flags

    @property
    def required(self) -> bool:
        return self.flags.startswith("!")


class Computed(NamedTuple):
    """A computed field: its type, and its expression."""

    name: str
    kind: Kind
    text: str


class Collection(NamedTuple):
    """What a collection has, beside `id` and the field `mark`."""

    name: str
    id: Kind
    fields: tuple[Field, ...]
    computed: tuple[Computed, ...]
    flexible: bool

    def written(self) -> str:
        lines = [f"id: {self.id.written}! @primary"]
        for one in self.fields:
            way = (
                ""
                if one.to is None
                else f'@relation(to: "{one.to}", key: "{one.key}", onDelete: SET_NULL)'
            )
            lines.append(f"{one.name}: {one.kind.written}{one.flags} {way}")
        lines += [
            f"{one.name}: {one.kind.written} @computed({json.dumps(one.text)})"
            for one in self.computed
        ]
        head = f"define collection {self.name}{' @flexible' if self.flexible else ''}"
        return f"{head} {{\n    " + "\n    ".join(lines) + "\n    mark: Int\n  }"  # fmt: skip


class World(NamedTuple):
    """Collections, those that others refer to first, and their documents."""

    collections: tuple[Collection, ...]
    documents: dict[str, list[dict[str, Any]]]

    @property
    def schema(self) -> str:
        return "schema {\n  " + "\n  ".join(one.written() for one in self.collections) + "\n}"

    def collection(self, name: str) -> Collection:
        return next(one for one in self.collections if one.name == name)

    def referring(self, name: str) -> Iterator[tuple[Collection, Field]]:
        """The relations that lead to a collection."""
        for one in self.collections:
            yield from ((one, field) for field in one.fields if field.to == name)

    def filled(self, db: Any) -> None:
        """Insert the documents."""
        for one in self.collections:
            db[one.name].insert_many(self.documents[one.name])


NAMES = ["name", "size", "kind", "order", "n", "some", "Group", "box", "key"]
FLAGS = st.sampled_from(["", "", "", "!", " @indexed", " @indexed", " @unique", "! @indexed"])


@st.composite
def _collection(draw: st.DrawFn, name: str, known: list[Collection]) -> Collection:
    id = draw(st.sampled_from([ID, ID, UUID]))
    fields: list[Field] = []
    for one in draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=6, unique=True)):
        kind = draw(kinds())
        plain = kind.group in ("number", "text", "word", "date")
        flags = draw(FLAGS) if plain else draw(st.sampled_from(["", "", "!"]))
        fields.append(Field(one, kind, flags))
    itself = Collection(name, id, tuple(fields), (), False)
    targets = [(one, "id", one.id) for one in (*known, itself)]
    targets += [(one, f.name, f.kind) for one in known for f in one.fields if f.distinct and f.kind.written != "Float"]  # fmt: skip
    for link in draw(st.sampled_from([[], ["to1"], ["to1"], ["to1", "to2"]])):
        to, key, kind = draw(st.sampled_from(targets))
        fields.append(Field(link, kind, draw(st.sampled_from(["", " @indexed"])), to.name, key))
    computed = draw(_computed(fields)) if draw(st.booleans()) else ()
    return Collection(name, id, tuple(fields), computed, draw(st.booleans()))


@st.composite
def _computed(draw: st.DrawFn, fields: list[Field]) -> tuple[Computed, ...]:
    numbers = [one for one in fields if one.kind.group == "number"]
    found: list[Computed] = []
    for one in numbers[:1]:
        text = draw(st.sampled_from(["{0} * 2", "{0} + 1", "-{0}", "if({0} > 0, {0}, null)"]))
        found.append(Computed("double", one.kind, text.format(one.name)))
    texts = [one for one in fields if one.kind.written == "String"]
    for one in texts[:1]:
        text = draw(st.sampled_from(["${{{0}}}-${{id}}", "{0} | uppercase", 'coalesce({0}, "no")', "concat({0}, {0})"]))  # fmt: skip
        found.append(Computed("said", STRING, text.format(one.name)))
    return tuple(found)


@st.composite
def _documents(draw: st.DrawFn, collection: Collection, made: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:  # fmt: skip
    ids = UUIDS if collection.id is UUID else ["d0", "d1", "d2", "d10", "D3"]
    found: list[dict[str, Any]] = []
    seen: dict[str, list[Any]] = {}
    for id in draw(st.permutations(ids))[: draw(st.integers(0, len(ids)))]:
        one: dict[str, Any] = {"id": id}
        for field in collection.fields:
            if field.to is not None:
                others = found if field.to == collection.name else made[field.to]
                one[field.name] = draw(
                    st.sampled_from([None, *[other.get(field.key) for other in others]])
                )
            elif field.required:
                one[field.name] = draw(field.kind.values.filter(lambda value: value is not None))
            elif draw(st.integers(0, 3)):
                one[field.name] = draw(st.none() | field.kind.values)
            if field.distinct:
                same = one.get(field.name)
                same = SAME.get(same, same)
                if same in seen.setdefault(field.name, []):
                    one[field.name] = None
                seen[field.name].append(same)
        if collection.flexible and draw(st.booleans()):
            one["free"] = draw(JSON)
        found.append(one)
    return found


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """One to three collections with their documents."""
    collections: list[Collection] = []
    documents: dict[str, list[dict[str, Any]]] = {}
    for name in ["orgs", "teams", "people"][: draw(st.integers(1, 3))]:
        one = draw(_collection(name, collections))
        collections.append(one)
        documents[name] = draw(_documents(one, documents))
    return World(tuple(collections), documents)
