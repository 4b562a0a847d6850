"""What is made of the feed's images equals what the query of the same selection gives."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st
from tests.models.asking import selections
from tests.models.worlds import worlds

from aurora_db import Aurora
from aurora_db.aql import parser, plan, resolve
from aurora_db.live import shaping

if TYPE_CHECKING:
    from tests.models.worlds import World

SHAPED = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    deadline=None,
)


@st.composite
def asked(draw: st.DrawFn) -> tuple[World, list[tuple[str, str]]]:
    """A world, and selections on its collections that look nowhere else."""
    world = draw(worlds())
    found: list[tuple[str, str]] = []
    for _ in range(draw(st.integers(1, 4))):
        one = draw(st.sampled_from(world.collections))
        parts = draw(selections(world, one, 0))
        found.append((one.name, " ".join(parts)))
    return world, found


def images(db: Aurora, name: str) -> list[dict[str, Any]]:
    """The images of the inserts of a collection, decoded as the feed's reader does."""
    changes = db.execute(
        '{ _changes(where: {collection: "%s"} orderBy: {seq: ASC}) { after } }' % name  # noqa: UP031
    )["_changes"]
    return [change["after"] for change in changes]


def shaped(db: Aurora, text: str) -> list[dict[str, Any]] | None:
    """The result of a query made from images alone; None where it looks elsewhere."""
    (operation,) = resolve.resolve(parser.parse(text), text, db._gate.catalog).operations
    (root,) = operation.roots
    assert isinstance(root, plan.Query)
    if not shaping.is_own(root.outputs):
        return None
    make = shaping.shape(root.outputs, root.collection, {}, db._engine.clock.now)
    return [make(image) for image in images(db, root.collection.name)]


def kinds(value: Any) -> Any:
    """A value with the classes of all that is in it: 1, 1.0 and True are three."""
    if isinstance(value, dict):
        return {key: kinds(one) for key, one in value.items()}
    if isinstance(value, list):
        return [kinds(one) for one in value]
    return type(value), value


@settings(SHAPED)
@given(asked())
def test_an_image_shows_what_the_query_shows(drawn: tuple[World, list[tuple[str, str]]]):
    """Whatever the schema, the documents and the selection."""
    world, found = drawn
    note(world.schema)
    note(repr(world.documents))
    some = False
    with Aurora(":memory:") as db:
        db.execute(world.schema)
        world.filled(db)
        for name, selection in found:
            text = f"{{ {name} {{ {selection} }} }}"
            note(text)
            made = shaped(db, text)
            if made is None:
                continue
            some = True
            wanted = db.execute(text)[name]
            assert kinds(made) == kinds(wanted)
            assert [list(one) for one in made] == [list(one) for one in wanted]
    assume(some)


def test_a_document_comes_from_its_image_as_get_gives_it(db: Aurora):
    """With dates, private fields left out, undeclared fields, and whole numbers that are Float."""
    db.execute("""
        schema { define collection flights @flexible {
            flown: DateTime  day: Date  at: Time  price: Float  seats: Int  open: Boolean
            legs: [{ on: Date  x: Any }]  secret: String @private  twice: Int @computed("seats * 2")
        } }
    """)
    db["flights"].insert({
        "id": "a", "flown": "2025-01-01T10:00:00Z", "day": "2025-01-02", "at": "10:11:12", "price": 1.0,
        "seats": 3, "open": True, "legs": [{"on": "2025-01-03", "x": 2.0}], "secret": "s", "free": {"y": [1.0]},
    })  # fmt: skip
    catalog = db._gate.catalog
    (image,) = images(db, "flights")

    make = shaping.documents(catalog.collections["flights"], catalog, db._engine.clock.now)
    made = make(image)

    assert kinds(made) == kinds({
        "id": "a", "flown": dt.datetime(2025, 1, 1, 10, tzinfo=dt.UTC), "day": dt.date(2025, 1, 2),
        "at": dt.time(10, 11, 12), "price": 1.0, "seats": 3, "open": True,
        "legs": [{"on": dt.date(2025, 1, 3), "x": 2.0}], "twice": 6, "free": {"y": [1.0]},
    })  # fmt: skip
    assert kinds(made) == kinds(db["flights"].get("a"))


def test_what_is_made_of_an_image_is_a_copy(db: Aurora):
    """Changing what one got changes nobody else's."""
    db.execute("schema { define collection notes @flexible { tags: [String] } }")
    db["notes"].insert({"tags": ["a"], "free": {"x": [1]}})
    catalog = db._gate.catalog
    (image,) = images(db, "notes")
    make = shaping.documents(catalog.collections["notes"], catalog, db._engine.clock.now)

    first = make(image)
    first["tags"].append("b")
    first["free"]["x"].append(2)

    assert make(image)["tags"] == ["a"]
    assert make(image)["free"] == {"x": [1]}
