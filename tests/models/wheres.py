"""Conditions on the documents of a world, of any depth; each can be written in several ways."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import strategies as st
from tests.aql import drawn
from tests.models.worlds import INT, JSON, OBJECTS, TEXTS, UNTYPED, Kind

from aurora_db import AuroraError
from aurora_db.aql import parser, resolve
from aurora_db.aql.catalog import Catalog
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.operators import OPERATORS
from aurora_db.aql.values import Scope
from aurora_db.base.errors import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.models.worlds import Collection, World

    from aurora_db.aql import plan


class Given(NamedTuple):
    """A value of a condition, and the type of a variable that holds it; None where only a literal may stand."""

    value: Any
    type: str | None


EMPTY = Catalog({}, {}, 0)
ORDERED = ("gt", "gte", "lt", "lte")
TEXTUAL = ("startsWith", "endsWith", "contains", "ieq", "icontains", "istartsWith", "iendsWith")
PATTERNS = st.sampled_from(["a", "^A", "é$", "[%_]", "^$", "a+", "(a|b)b", r"\d", ".", "^.?b"])
SCALAR = ("number", "text", "word", "date", "boolean", "untyped")


# --- ways of writing ------------------------------------------------------------------------


def literal(value: Any) -> str:
    """A condition or a value as AQL writes it."""
    match value:
        case Given():
            return literal(value.value)
        case dict():
            return "{" + " ".join(f"{json.dumps(k)}: {literal(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + " ".join(map(literal, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def plainly(value: Any) -> Any:
    """A condition as an object of Python, as a variable holds it."""
    match value:
        case Given():
            return value.value
        case dict():
            return {key: plainly(one) for key, one in value.items()}
        case list():
            return [plainly(one) for one in value]
        case _:
            return value


class Variables:
    """A condition with its values as variables: their declarations and values."""

    def __init__(self) -> None:
        self.declared: list[str] = []
        self.values: dict[str, Any] = {}

    def write(self, value: Any) -> str:
        match value:
            case Given(type=None):
                return literal(value.value)
            case Given():
                name = f"v{len(self.values)}"
                self.declared.append(f"${name}: {value.type}")
                self.values[name] = value.value
                return f"${name}"
            case dict():
                return (
                    "{"
                    + " ".join(f"{json.dumps(k)}: {self.write(v)}" for k, v in value.items())
                    + "}"
                )
            case list():
                return "[" + " ".join(map(self.write, value)) + "]"
            case _:
                return literal(value)  # fmt: skip

    @property
    def header(self) -> str:
        return f"query ({' '.join(self.declared)})" if self.declared else ""


# --- paths ----------------------------------------------------------------------------------


def paths(world: World, collection: Collection, hops: int = 2) -> Iterator[tuple[str, Kind]]:
    """Every path from a document, over at most so many relations."""
    yield "id", collection.id
    yield "_rev", INT
    for one in collection.computed:
        yield one.name, one.kind
    for one in collection.fields:
        yield from below(one.name, one.kind)
        if one.to is not None and hops:
            for name, kind in paths(world, world.collection(one.to), hops - 1):
                yield f"{one.name}.{name}", kind
    if collection.flexible:
        yield from below("free", UNTYPED)


def below(name: str, kind: Kind) -> Iterator[tuple[str, Kind]]:
    """A path and those into it."""
    yield name, kind
    for key, part in kind.parts:
        yield from below(f"{name}.{key}", part)
    if kind.group in ("json", "object", "untyped"):
        yield f"{name}.x", UNTYPED
        yield f"{name}.x.y", UNTYPED


def links(world: World, collection: Collection, hops: int = 1) -> Iterator[tuple[str, Collection]]:
    """Every path to documents that refer to one, where no relation must be named."""
    others = [one for one, _ in world.referring(collection.name)]
    for one in others:
        if others.count(one) == 1:
            yield one.name, one
    for one in collection.fields:
        if one.to is not None and hops:
            for name, other in links(world, world.collection(one.to), hops - 1):
                yield f"{one.name}.{name}", other


@lru_cache(maxsize=256)
def catalog(text: str) -> Catalog:
    """What a schema defines."""
    (operation,) = resolve.resolve(parser.parse(text), text, EMPTY).operations
    return resolve._after(EMPTY, operation.roots)


def accepted(world: World, collection: Collection, text: str) -> plan.Expression | None:
    """The expression that a text means; None where it is refused."""
    known = catalog(world.schema)
    scope = Scope("", {}, catalog=known)
    try:
        return (
            Conditions(known.collections[collection.name], scope)
            .expressions()
            .of_text(text, Span(0, 0))
        )
    except AuroraError:
        return None


def leaves(world: World, collection: Collection) -> dict[str, list[str]]:
    """Paths for each kind of parameter of the function table, with constants so that none is empty."""
    found = list(paths(world, collection, 1))

    def of(*wanted: str) -> list[str]:
        return [name for name, kind in found if kind.group in (*wanted, "untyped")]

    return {
        "any": [*(name for name, _ in found), "null"],
        "text": [*of("text", "word"), '"aB"', "null"],
        "number": [*of("number"), "2.5", "null"],
        "whole": [*(name for name, kind in found if kind.written == "Int"), "0", "2"],
        "list": [*of("list"), "[1, 2, null]"],
        "date": [*of("date"), '"2024-02-29"'],
        "time": [*of("date"), '"10:11:12"'],
        "object or list": [*of("list", "object", "inline"), "[]"],
    }


@st.composite
def expressions(
    draw: st.DrawFn, world: World, collection: Collection
) -> tuple[str, plan.Expression]:
    """An expression over the documents of a collection, with what it means."""
    text = draw(drawn.expressions(leaves(world, collection), "any", 2))
    meant = accepted(world, collection, text)
    if meant is None:
        text = draw(
            st.sampled_from(
                ["concat(id, id)", "_rev + 1", "id == id", "coalesce(mark, 7)", "length(id) > 2"]
            )
        )
        meant = accepted(world, collection, text)
    assert meant is not None, text
    return text, meant  # fmt: skip


# --- conditions -----------------------------------------------------------------------------


def _type(kind: Kind, value: Any) -> str:
    """The type of a variable for a value."""
    if kind.group == "number":
        return "Float" if isinstance(value, float) else "Int"
    if kind.group in ("text", "word"):
        return "Uuid" if kind.written == "Uuid" else "String"
    return kind.written if kind.group in ("date", "boolean") else "JSON"


def _types(kind: Kind, values: list[Any]) -> str:
    if kind.group == "number" and any(isinstance(one, float) for one in values):
        return "[Float]" if all(one is None or abs(one) < 2**53 for one in values) else "JSON"
    return f"[{_type(kind, values[0] if values else None)}]"


@st.composite
def operations(draw: st.DrawFn, kind: Kind) -> dict[str, Any]:
    """An operator with its value, for a path of a kind."""
    group, one = kind.group, kind.given
    scalar, text = group in SCALAR, group in ("text", "word", "untyped")
    ops = ["eq", "ne", "in", "nin", "notIn", "isNull", "isNotNull"]
    ops += [*ORDERED, "between"] * scalar + [*TEXTUAL, "matches"] * text
    ops += ["contains", "containsAny", "containsAll", "size"] * (group in ("list", "untyped"))
    ops += ["contains"] * (group in ("object", "inline", "json"))
    op = draw(st.sampled_from(ops))
    match op:
        case "isNull" | "isNotNull":
            return {op: Given(draw(st.booleans()), "Boolean")}
        case "eq" | "ne":
            value = draw(st.none() | one)
            return {op: Given(value, _type(kind, value))}
        case "in" | "nin" | "notIn":
            values = draw(st.lists(st.none() | one, max_size=3))
            return {op: Given(values, _types(kind, values))}
        case "between":
            values = [draw(one), draw(one)]
            return {op: Given(values, _types(kind, values))}
        case "size":
            return {op: draw(sizes())}
        case "matches":
            return {op: Given(draw(PATTERNS), "String")}
        case "containsAny" | "containsAll":
            values = draw(st.lists(_elements(kind), max_size=2))
            return {op: Given(values, "[JSON]")}
        case "contains" if not text or group == "untyped":
            return {op: Given(draw(_elements(kind)), "JSON")}
        case _ if op in TEXTUAL:
            return {op: Given(draw(TEXTS), "String")}
        case _:
            value = draw(one)
            return {op: Given(value, _type(kind, value))}


def _elements(kind: Kind) -> st.SearchStrategy[Any]:
    """What a value of a kind may contain."""
    match kind.group:
        case "list":
            assert kind.item is not None
            return kind.item.values
        case "object":
            return OBJECTS
        case "inline":
            return kind.values
        case _:
            return JSON


@st.composite
def sizes(draw: st.DrawFn) -> Any:
    """What is asked of a size: a number, or several operators."""
    number = st.integers(0, 3)
    if draw(st.booleans()):
        return Given(draw(number), "Int")
    found: dict[str, Any] = {}
    for op in draw(
        st.lists(
            st.sampled_from([*ORDERED, "eq", "ne", "in", "between"]),
            min_size=1,
            max_size=2,
            unique=True,
        )
    ):
        if op in ("in", "between"):
            found[op] = Given([draw(number), draw(number)], "[Int]")
        else:
            found[op] = Given(draw(number), "Int")
    return found  # fmt: skip


@st.composite
def _at(draw: st.DrawFn, path: str, condition: dict[str, Any]) -> dict[str, Any]:
    """A condition at a path, in one of its spellings."""
    nested = path.split(".")
    if len(condition) == 1 and "eq" in condition and draw(st.booleans()):
        value = condition["eq"].value
        if not isinstance(value, (dict, list)) and value is not None:
            return {path: condition["eq"]}
    if draw(st.booleans()) and not OPERATORS & set(nested[1:]):
        made: dict[str, Any] = condition
        for key in reversed(nested):
            made = {key: made}
        return made
    return {path: condition}


def compares(found: list[tuple[str, Kind]]) -> st.SearchStrategy[dict[str, Any]]:
    """A condition on one of several paths, with one or two operators."""

    def of(pair: tuple[str, Kind]) -> st.SearchStrategy[dict[str, Any]]:
        one = operations(pair[1])
        both = st.tuples(one, one).map(lambda two: {**two[0], **two[1]})
        return (one | one | both).flatmap(lambda made: _at(pair[0], made))

    return st.sampled_from(found).flatmap(of)


def _quantified(
    path: str, inner: st.SearchStrategy[dict[str, Any]]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(st.sampled_from(["some", "every", "none"]), inner).map(lambda two: {path: {two[0]: two[1]}})  # fmt: skip


def _elements_of(kind: Kind) -> list[tuple[str, Kind]]:
    """Paths into the elements of a list; none where they have no fields."""
    if kind.group in ("json", "untyped") or (kind.item and kind.item.group in ("json", "object")):
        return [*below("x", UNTYPED), ("y", UNTYPED)]
    return [] if kind.item is None else [pair for key, part in kind.item.parts for pair in below(key, part)]  # fmt: skip


def _combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(inner, max_size=3)
    return st.one_of(
        several.map(lambda parts: {"and": parts}), several.map(lambda parts: {"or": parts}),
        inner.map(lambda part: {"not": part}),
        st.tuples(inner, inner).map(lambda two: {**two[0], **two[1]}),
    )  # fmt: skip


def wheres(
    world: World, collection: Collection, hops: int = 2
) -> st.SearchStrategy[dict[str, Any]]:
    """A condition of any depth."""
    found = list(paths(world, collection, hops))
    options: list[Callable[[], st.SearchStrategy[dict[str, Any]]]] = [lambda: compares(found)] * 3
    elements = [(name, kinds) for name, kind in found if (kinds := _elements_of(kind))]
    for name, kinds in elements:
        inner = st.recursive(compares(kinds), _combined, max_leaves=2)
        options.append(lambda name=name, inner=inner: _quantified(name, inner))
    if hops:
        for name, other in links(world, collection):
            options.append(
                lambda name=name, other=other: _quantified(
                    name, st.deferred(lambda: wheres(world, other, 0))
                )
            )
    computed = expressions(world, collection).map(lambda pair: {"expr": Given(pair[0], None)})
    options.append(lambda: computed)
    leaf = st.sampled_from(options).flatmap(lambda make: make())
    return st.recursive(leaf, _combined, max_leaves=4)  # fmt: skip
