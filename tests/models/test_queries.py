"""The oracle: what SQL gives is what the plain evaluation of the same plan gives.

Hypothesis makes schemas, documents, conditions and queries. A condition finds the same documents
wherever and however it is written; a whole query gives the same result; pages put together are the
whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from tests.models.asking import orders, queries
from tests.models.wheres import Variables, literal, plainly, wheres
from tests.models.worlds import worlds

from aurora_db import Aurora, AuroraError
from aurora_db.aql import evaluate_queries, expand, parser, plan, resolve
from aurora_db.aql.conditions import resolve_where
from aurora_db.aql.evaluate import Documents, compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.models.worlds import World

#: Worlds of a test; each is asked several things.
MOST = min(settings.default.max_examples, 1_000)
ORACLE = settings(
    max_examples=MOST,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    deadline=None,
)


@st.composite
def asked(
    draw: st.DrawFn, make: Callable[[World], st.SearchStrategy[Any]], most: int
) -> tuple[World, list[Any]]:
    """A world and things to ask of it."""
    world = draw(worlds())
    return world, draw(st.lists(make(world), min_size=2, max_size=most))  # fmt: skip


def conditions(world: World) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """A collection and a condition on its documents."""
    return st.sampled_from(world.collections).flatmap(
        lambda one: st.tuples(st.just(one.name), wheres(world, one))
    )


@st.composite
def paged(draw: st.DrawFn, world: World) -> tuple[str, str, int]:
    """A query without its way of paging, and the size of a page."""
    one = draw(st.sampled_from(world.collections))
    where, order = draw(wheres(world, one)), draw(orders(world, one))
    return one.name, f"where: {literal(where)} orderBy: {order}", draw(st.integers(1, 3))


def fresh(world: World) -> Aurora:
    db = Aurora(":memory:")
    db.execute(world.schema)
    return db


def stored(db: Aurora, world: World) -> dict[str, list[dict[str, Any]]]:
    """All documents with their revisions; computed fields are no part of what is stored."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in world.collections:
        rows = db.execute(f"{{ {one.name} {{ _rev }} }}")[one.name]
        shown = db.execute(f"{{ {one.name} }}")[one.name]
        computed = {each.name for each in one.computed}
        found[one.name] = [
            {"_rev": rev["_rev"]} | {name: value for name, value in document.items() if name not in computed}
            for rev, document in zip(rows, shown, strict=True)
        ]  # fmt: skip
    return found


def images(db: Aurora, world: World) -> dict[str, list[dict[str, Any]]]:
    """The documents as the feed has them."""
    changes = db.execute("{ _changes(orderBy: {seq: ASC}) { collection after } }")["_changes"]
    return {
        one.name: [change["after"] for change in changes if change["collection"] == one.name]
        for one in world.collections
    }


def ids(db: Aurora, text: str, variables: dict[str, Any] | None = None) -> list[str]:
    (found,) = db.execute(text, variables).values()
    return [one["id"] for one in found]


def evaluated(db: Aurora, text: str, documents: Documents) -> Any:
    """The result of a query by plain evaluation."""
    catalog = db._gate.catalog
    (operation,) = resolve.resolve(parser.parse(text), text, catalog).operations
    (root,) = operation.roots
    assert isinstance(root, plan.Query)
    return {root.key: evaluate_queries.query(expand.expand_query(root, catalog, {}), documents)}


def close(one: Any, other: Any) -> bool:
    """Equal; sums of Floats within the last digits, for they depend on the order."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or abs(one - other) <= 1e-9 * max(abs(one), abs(other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(close, one, other))
    return type(one) is type(other) and one == other


# --- conditions -----------------------------------------------------------------------------


@settings(ORACLE)
@given(asked(conditions, 4))
def test_a_condition_finds_the_same_documents_however_it_is_written(
    drawn: tuple[World, list[tuple[str, dict[str, Any]]]],
):
    """By SQL and by plain evaluation, of documents and of the feed; with values, variables, or as one."""
    world, found = drawn
    note(world.schema)
    note(repr(world.documents))
    with fresh(world) as db:
        world.filled(db)
        catalog, now = db._gate.catalog, db._engine.clock.now()
        sources = [Documents(one(db, world), {}, now) for one in (stored, images)]
        for name, where in found:
            text = literal(where)
            note(f"{name} {text}")
            wanted = ids(db, f"{{ {name}(where: {text}) {{ id }} }}")
            for documents in sources:
                test = compiled(
                    resolve_where(catalog.collections[name], plainly(where), catalog), documents
                )
                plain = [one["id"] for one in documents.all(name) if test(one)]
                assert plain == wanted, "plain evaluation"
            others = ids(db, f"{{ {name}(where: {{not: {text}}}) {{ id }} }}")
            every = [one["id"] for one in sources[0].all(name)]
            assert others == [one for one in every if one not in wanted], "not is the complement"
            with_variables = Variables()
            text = with_variables.write(where)
            note(with_variables.header)
            note(repr(with_variables.values))
            assert (
                ids(
                    db,
                    f"{with_variables.header} {{ {name}(where: {text}) {{ id }} }}",
                    with_variables.values,
                )
                == wanted
            ), "variables"
            whole = {"w": plainly(where)}
            assert ids(db, f"query ($w: JSON) {{ {name}(where: $w) {{ id }} }}", whole) == wanted, (
                "where: $w"
            )
            assert ids(db, f"query ($w: JSON) {{ {name}(where: {{not: {{not: $w}}}}) {{ id }} }}", whole) == wanted, "not not $w"  # fmt: skip


@settings(ORACLE, max_examples=MOST // 2)
@given(asked(conditions, 3))
def test_a_write_and_an_event_handler_mean_the_same_documents(
    drawn: tuple[World, list[tuple[str, dict[str, Any]]]],
):
    """Update and delete affect what the query finds, and handlers fire for it."""
    world, found = drawn
    note(world.schema)
    note(repr(world.documents))
    with fresh(world) as db:
        fires: list[bool] = []
        for n, (name, where) in enumerate(found):
            note(f"{name} {literal(where)}")
            action = f'enqueueJob(type: "h{n}", payload: {{id: "${{id}}"}})'
            made = db.execute(
                f'define handler "h{n}" {{ on: "insert:{name}" where: {literal(where)} action: {{ {action} }} }}'
            )
            fires.append(made["compiled"] == "TRIGGER")
        world.filled(db)
        jobs = db.execute("{ _jobs { type payload } }")["_jobs"]
        for n, (name, where) in enumerate(found):
            fired = [one["payload"]["id"] for one in jobs if one["type"] == f"h{n}"]
            if fires[n]:
                assert sorted(fired) == sorted(
                    ids(db, f"{{ {name}(where: {literal(where)}) {{ id }} }}")
                ), f"handler {n}"
        for name, where in found:
            for verb in (
                f'update(collection: "{name}", data: {{mark: 1}}',
                f'deleteFrom(collection: "{name}"',
            ):
                wanted = ids(db, f"{{ {name}(where: {literal(where)}) {{ id }} }}")
                assert affected(db, f"{verb}, where: {literal(where)}") == sorted(wanted), verb  # fmt: skip


def affected(db: Aurora, text: str) -> list[str]:
    """The ids that a verb says it changed; a condition that says nothing is meant."""
    return sorted(db.execute(f"mutation {{ m: {text}, all: true) {{ ids }} }}")["m"]["ids"])


# --- whole queries --------------------------------------------------------------------------


def outcome(run: Callable[[], Any]) -> Any:
    """A result, or the code of the error."""
    try:
        return run()
    except AuroraError as error:
        return error.code


@settings(ORACLE)
@given(asked(queries, 4))
def test_sql_and_the_plain_evaluation_agree(drawn: tuple[World, list[tuple[str, str]]]):
    """For any documents and any query the two results are equal."""
    world, found = drawn
    note(world.schema)
    note(repr(world.documents))
    with fresh(world) as db:
        world.filled(db)
        documents = Documents(stored(db, world), {}, db._engine.clock.now())
        for head, selection in found:
            text = f"{{ {head} {{ {selection} }} }}"
            note(text)
            got = outcome(lambda text=text: db.execute(text))
            wanted = outcome(lambda text=text: evaluated(db, text, documents))
            assert close(got, wanted), f"\nsql   {got}\nplain {wanted}"
            assert got == "validation" or not isinstance(got, str), "only a sum can be too large"
            if not isinstance(got, str) and selection:
                assert db.execute(spread(world, head, selection)) == got, "fragments"


def spread(world: World, head: str, selection: str) -> str:
    """The same query with its selection in fragments, and what is left out or put in by variables."""
    name = head.partition("(")[0]
    ways = f"... on {name} @include(if: $yes) {{ ...Below ... @skip(if: $yes) {{ left: id }} }}"
    return f"query ($yes: Boolean = true) {{ {head} {{ {ways} }} }} fragment Below on {name} {{ {selection} }}"


@settings(ORACLE, max_examples=MOST // 2)
@given(asked(paged, 2))
def test_pages_put_together_are_the_whole(drawn: tuple[World, list[tuple[str, str, int]]]):
    """Forwards and backwards, each document once, in order."""
    world, found = drawn
    note(world.schema)
    note(repr(world.documents))
    with fresh(world) as db:
        world.filled(db)
        for name, arguments, size in found:
            note(f"{name} {arguments} {size}")
            whole = ids(db, f"{{ {name}({arguments}) {{ id }} }}")
            forwards = [
                id
                for page in pages(
                    db, name, arguments, size, ("first", "after", "endCursor", "hasNextPage")
                )
                for id in page
            ]
            assert forwards == whole
            backwards = list(
                pages(
                    db, name, arguments, size, ("last", "before", "startCursor", "hasPreviousPage")
                )
            )
            assert [id for page in reversed(backwards) for id in page] == whole  # fmt: skip


def pages(db: Aurora, name: str, arguments: str, size: int, way: tuple[str, str, str, str]) -> Iterator[list[str]]:  # fmt: skip
    number, beside, cursor, more = way
    text = f"query ($n: Int! $c: String) {{ {name}({arguments} {number}: $n {beside}: $c) {{ edges {{ node {{ id }} }} pageInfo {{ {cursor} {more} }} }} }}"
    at = None
    while True:
        page = db.execute(text, {"n": size, "c": at})[name]
        yield [edge["node"]["id"] for edge in page["edges"]]
        at = page["pageInfo"][cursor]
        if not page["pageInfo"][more]:
            return
