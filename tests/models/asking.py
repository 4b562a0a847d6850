"""Whole queries over a world: orders, limits, selections, relations, aggregates, groups."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from tests.models.wheres import expressions, literal, paths, wheres
from tests.models.worlds import UNTYPED

from aurora_db.aql import plan
from aurora_db.aql.types import ORDERED

if TYPE_CHECKING:
    from tests.models.worlds import Collection, Kind, World

PLAIN = ("number", "text", "word", "date", "boolean")


def has_order(group: str) -> bool:
    return group in (*PLAIN, "untyped")


@st.composite
def orders(draw: st.DrawFn, world: World, collection: Collection, hops: int = 1) -> str:
    """An order by paths, relations, computed fields and expressions."""
    known = [name for name, kind in paths(world, collection, hops) if has_order(kind.group)]
    found: list[str] = []
    for name in draw(st.lists(st.sampled_from(known), max_size=2, unique=True)):
        direction, nulls = draw(_directions())
        if not nulls and draw(st.booleans()):
            found.append(f"{{{json.dumps(name)}: {direction}}}")
        else:
            found.append(f"{{field: {json.dumps(name)} direction: {direction}{nulls}}}")
    if draw(st.integers(0, 3)) == 0:
        text, meant = draw(expressions(world, collection))
        type = None if isinstance(meant, plan.Constant) else meant.type
        if type is None or type.name in ORDERED:
            direction, nulls = draw(_directions())
            found.append(f"{{expr: {json.dumps(text)} direction: {direction}{nulls}}}")
    return "[" + " ".join(found) + "]"


def _directions() -> st.SearchStrategy[tuple[str, str]]:
    return st.tuples(
        st.sampled_from(["ASC", "DESC"]), st.sampled_from(["", " nulls: FIRST", " nulls: LAST"])
    )


@st.composite
def arguments(draw: st.DrawFn, world: World, collection: Collection, hops: int = 1) -> str:
    """Where, orderBy, limit and offset, each or not."""
    found: list[str] = []
    if draw(st.booleans()):
        found.append(f"where: {literal(draw(wheres(world, collection, hops)))}")
    if draw(st.booleans()):
        found.append(f"orderBy: {draw(orders(world, collection, hops))}")
    for name in ("limit", "offset"):
        if draw(st.integers(0, 2)) == 0:
            found.append(f"{name}: {draw(st.integers(0, 3))}")
    return " ".join(found)


def _within(arguments: str) -> str:
    return f"({arguments})" if arguments else ""


# --- selections -----------------------------------------------------------------------------


@st.composite
def selections(draw: st.DrawFn, world: World, collection: Collection, depth: int = 2) -> list[str]:
    """Parts of a selection, each with a key of its own; of none everything is shown."""
    found: list[str] = []
    for n in range(draw(st.integers(0, 5))):
        ways = [_field, _field, _computed] + [_one, _many, _lookup] * bool(depth)
        made = draw(draw(st.sampled_from(ways))(world, collection, depth))
        if made is not None:
            found.append(f"k{n}: {made}")
    return found


@st.composite
def _field(draw: st.DrawFn, _world: World, collection: Collection, _depth: int) -> str:
    known = [
        ("id", collection.id),
        *((one.name, one.kind) for one in (*collection.fields, *collection.computed)),
    ]
    known += [("free", UNTYPED)] * collection.flexible
    name, kind = draw(st.sampled_from(known))
    return name + draw(_parts(kind))  # fmt: skip


@st.composite
def _parts(draw: st.DrawFn, kind: Kind) -> str:
    """A selection inside of an object, or of each in a list."""
    item = kind.item if kind.item is not None else kind
    if (
        item.group in ("object", "json")
        and kind.group in ("object", "list")
        and draw(st.booleans())
    ):
        return " { x z: y }"
    if not item.parts or draw(st.booleans()):
        return ""
    name, part = draw(st.sampled_from(item.parts))
    return f" {{ p: {name}{draw(_parts(part))} }}"  # fmt: skip


@st.composite
def _computed(draw: st.DrawFn, world: World, collection: Collection, _depth: int) -> str:
    text, _ = draw(expressions(world, collection))
    return f"coalesce({text}, null)"


@st.composite
def _one(draw: st.DrawFn, world: World, collection: Collection, depth: int) -> str | None:
    links = [one for one in collection.fields if one.to is not None]
    if not links:
        return None
    link = draw(st.sampled_from(links))
    inner = draw(selections(world, world.collection(link.to or ""), depth - 1))
    return f"{link.name} {{ {' '.join(inner) or 'id'} }}"


@st.composite
def _many(draw: st.DrawFn, world: World, collection: Collection, depth: int) -> str | None:
    links = list(world.referring(collection.name))
    known = {one.name for one in collection.fields}
    links = [(other, field) for other, field in links if other.name not in known]
    if not links:
        return None
    other, field = draw(st.sampled_from(links))
    given = f"via: {field.name} {draw(arguments(world, other, 1))}"
    return f"{other.name}({given}) {{ {' '.join(draw(selections(world, other, depth - 1)))} }}"


@st.composite
def _lookup(draw: st.DrawFn, world: World, collection: Collection, depth: int) -> str | None:
    other = draw(st.sampled_from(world.collections))
    foreign, local = _keys(world, other, 0), _keys(world, collection, 1)
    pairs = [(a, b) for a, one in local for b, two in foreign if one.written == two.written]
    mine, theirs = draw(st.sampled_from(pairs))
    given = f'collection: "{other.name}" localField: "{mine}" foreignField: "{theirs}" {draw(arguments(world, other, 1))}'
    return f"lookup({given}) {{ {' '.join(draw(selections(world, other, depth - 1)))} }}"  # fmt: skip


def _keys(world: World, collection: Collection, hops: int) -> list[tuple[str, Kind]]:
    """Paths by which documents can be looked up."""
    computed = {one.name for each in world.collections for one in each.computed}
    found = paths(world, collection, hops)
    return [
        (name, kind)
        for name, kind in found
        if has_order(kind.group) and name.split(".")[-1] not in computed
    ]


# --- aggregates and groups ------------------------------------------------------------------


@st.composite
def aggregates(draw: st.DrawFn, world: World, collection: Collection) -> list[str]:
    """Functions of an aggregate, under the keys a0, a1, …"""
    found = ["a0: count"]
    known = list(paths(world, collection, 1))
    for function in draw(
        st.lists(
            st.sampled_from(["count", "sum", "avg", "min", "max", "countDistinct"]), max_size=4
        )
    ):
        groups = {
            "sum": ("number", "untyped"),
            "avg": ("number", "untyped"),
            "min": (*PLAIN, "untyped"),
            "max": (*PLAIN, "untyped"),
        }
        wanted = groups.get(function)
        fitting = [name for name, kind in known if wanted is None or kind.group in wanted]
        name = json.dumps(draw(st.sampled_from(fitting)))
        what = (
            f"field: {name}"
            if draw(st.integers(0, 3))
            else "expr: " + json.dumps(draw(st.sampled_from(["_rev * 2", "_rev / 4", "mark + 1"])))
        )
        found.append(f"a{len(found)}: {function}({what})")
    return found  # fmt: skip


@st.composite
def groups(draw: st.DrawFn, world: World, collection: Collection) -> str:
    """A groupBy with its arguments and selection."""
    known = [name for name, _ in paths(world, collection, 1)]
    given: list[str] = []
    match draw(st.integers(0, 3)):
        case 0:
            names = draw(st.lists(st.sampled_from(known), min_size=1, max_size=2, unique=True))
            given.append(f"fields: {json.dumps(names)}")
        case 1:
            text, _ = draw(expressions(world, collection))
            given.append(f"expr: {json.dumps(text)}")
        case _:
            given.append(f"field: {json.dumps(draw(st.sampled_from(known)))}")
    functions = draw(aggregates(world, collection))
    shown = (
        draw(st.sampled_from(["key count", "count", "key c: count"]))
        + f" stats: aggregate {{ {' '.join(functions)} }}"
    )
    if draw(st.booleans()):
        inner = " ".join(draw(selections(world, collection, 0))) or "id"
        shown += f" nodes{_within(draw(arguments(world, collection, 0)))} {{ {inner} }}"
    op, number = (
        draw(st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte"])),
        draw(st.integers(0, 2)),
    )
    given += draw(
        st.sampled_from(
            [
                [],
                [],
                [f"having: {{count: {{{op}: {number}}}}}"],
                [f"having: {{stats: {{a0: {{in: [1, {number}]}}}}}}"],
                [f"having: {{stats: {{a{len(functions) - 1}: {{isNull: false}}}}}}"],
            ]
        )
    )
    given += draw(
        st.sampled_from(
            [
                [],
                [],
                ["orderBy: {count: DESC}"],
                [f'orderBy: {{"stats.a{len(functions) - 1}": DESC}}'],
                ["orderBy: [{count: ASC}]"],
            ]
        )
    )
    given += draw(st.sampled_from([[], [], ["limit: 2"], ["offset: 1"]]))
    return f"groupBy({' '.join(given)}) {{ {shown} }}"  # fmt: skip


@st.composite
def queries(draw: st.DrawFn, world: World) -> tuple[str, str]:
    """The root of a query in two parts: what stands before its selection, and the selection."""
    collection = draw(st.sampled_from(world.collections))
    head = collection.name + _within(draw(arguments(world, collection, 2)))
    parts: list[Any] = []
    way = draw(st.integers(0, 4))
    if way in (0, 1, 2, 4):
        parts += draw(selections(world, collection))
    if way in (2, 3):
        parts.append(f"aggregate {{ {' '.join(draw(aggregates(world, collection)))} }}")
    if way in (3, 4):
        parts.append(draw(groups(world, collection)))
    return head, " ".join(parts)
