"""The matcher finds whom a change touches: exactly those whom asking everybody finds."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from tests.models.test_queries import asked, fresh, images
from tests.models.wheres import plainly, wheres

from aurora_db.aql.conditions import resolve_where
from aurora_db.aql.evaluate import Documents, compiled
from aurora_db.aql.interests import Interest, Matcher, matches
from aurora_db.aql.matching import holds
from aurora_db.aql.ranges import Ranges, point, span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.models.worlds import World

MOST = min(settings.default.max_examples, 1_000)


class Image(NamedTuple):
    """A change, as the feed has it."""

    collection: str
    op: str
    old: dict[str, Any] | None
    new: dict[str, Any] | None


def change(collection: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> Image:
    op = "insert" if old is None else "delete" if new is None else "update"
    return Image(collection, op, old, new)


def wanted(world: World) -> st.SearchStrategy[tuple[str | None, dict[str, Any], frozenset[str]]]:
    """What somebody wants to hear of: a collection or all, a condition, fields."""
    fields = st.frozensets(st.sampled_from(["mark", "n", "name", "id", "box"]), max_size=2)
    some = st.sampled_from(world.collections).flatmap(
        lambda one: st.tuples(st.just(one.name), wheres(world, one), st.just(frozenset()) | fields)
    )
    return some | st.tuples(st.none(), st.just({}), st.just(frozenset()) | fields)


def everybody(interests: Mapping[Any, list[Interest]], one: Image) -> dict[Any, tuple[bool, bool]]:
    """Whom a change touches, by asking all."""
    found: dict[Any, tuple[bool, bool]] = {}
    for owner, some in interests.items():
        said = [matches(each, one) for each in some if each.collection in (None, one.collection)]
        before, after = any(b for b, _ in said), any(a for _, a in said)
        if before or after:
            found[owner] = (before, after)
    return found


@settings(
    max_examples=MOST,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    deadline=None,
)
@given(asked(wanted, 10), st.randoms(use_true_random=False))
def test_the_matcher_finds_whom_asking_everybody_finds(
    drawn: tuple[World, list[tuple[str | None, dict[str, Any], frozenset[str]]]],
    dice: random.Random,
):
    """Whatever the conditions and documents are, each owner is told once, with what matched before and after."""
    world, found = drawn
    note(world.schema)
    note(repr(world.documents))
    with fresh(world) as db:
        world.filled(db)
        catalog, known = db._gate.catalog, images(db, world)
        documents = Documents(known, {}, db._engine.clock.now())
        matcher, interests = Matcher(), dict[Any, list[Interest]]()
        for n, (name, where, fields) in enumerate(found):
            note(f"{name} {where} {fields}")
            interest = Interest(None, fields=fields)
            if name is not None:
                meant = resolve_where(catalog.collections[name], plainly(where), catalog)
                interest = Interest(name, meant, compiled(meant, documents), fields)
            owner = n // 2 if dice.random() < 0.3 else (n, "own")
            interests.setdefault(owner, []).append(interest)
            matcher.add(owner, interest)
        changes = [
            change(name, old, new)
            for name, some in known.items()
            for at in some
            for old, new in ((None, at), (at, None), (dice.choice(some), at))
        ]
        for one in changes:
            told = matcher.touched(one)
            assert len({owner for owner, *_ in told}) == len(told), "once"
            assert {owner: (b, a) for owner, b, a in told} == everybody(interests, one), one
        while interests:
            gone = dice.choice(list(interests))
            del interests[gone]
            matcher.remove(gone)
            for one in changes[:3]:
                told = matcher.touched(one)
                assert {owner: (b, a) for owner, b, a in told} == everybody(interests, one), one
        assert matcher.collections == ()


# --- what is filed where --------------------------------------------------------------------

SCHEMA = """schema { define collection people @flexible {
  name: String  n: Int  f: Float  ok: Boolean  tags: [String]  box: { city: String }  at: DateTime
} }"""


class Counted:
    """How many conditions were asked."""

    def __init__(self, test: Callable[[Any], bool]) -> None:
        self.test = test
        self.times = 0

    def __call__(self, document: Any) -> bool:
        self.times += 1
        return self.test(document)


def filed(db: Any, found: list[dict[str, Any]]) -> tuple[Matcher, list[Counted]]:
    """A matcher in which each condition has an owner, its number."""
    catalog, matcher, tests = db._engine.catalog, Matcher(), list[Counted]()
    for n, where in enumerate(found):
        meant = resolve_where(catalog.collections["people"], where, catalog)
        test = Counted(compiled(meant, Documents({}, {}, db._engine.clock.now())))
        tests.append(test)
        matcher.add(n, Interest("people", meant, test))
    return matcher, tests


@pytest.mark.parametrize(
    ("where", "document"),
    [
        (lambda n: {"n": n}, {"n": 7}), (lambda n: {"n": {"in": [n, -n - 1]}}, {"n": 7}),
        (lambda n: {"f": n + 0.5}, {"f": 7.5}), (lambda n: {"name": f"p{n}"}, {"name": "p7"}),
        (lambda n: {"n": {"gte": 10 * n, "lt": 10 * n + 10}}, {"n": 75}),
        (lambda n: {"n": {"between": [10 * n, 10 * n + 9]}}, {"n": 75}),
        (lambda n: {"name": {"startsWith": f"p{n:03}"}}, {"name": "p007-x"}),
        (lambda n: {"at": {"gte": f"{2000 + n}-01-01T00:00:00Z", "lt": f"{2001 + n}-01-01T00:00:00Z"}}, {"at": "2007-05-05T00:00:00.000000Z"}),
        (lambda n: {"tags": {"contains": f"t{n}"}}, {"tags": ["t7", "z"]}),
        (lambda n: {"tags": {"containsAny": [f"t{n}", f"u{n}"]}}, {"tags": ["u7", "z"]}),
        (lambda n: {"box": {"city": f"c{n}"}}, {"box": {"city": "c7"}}),
        (lambda n: {"ok": True, "n": n, "name": {"icontains": "a"}}, {"ok": True, "n": 7, "name": "Ada"}),
        (lambda n: {"or": [{"n": n}, {"and": [{"name": f"p{n}"}, {"ok": True}]}]}, {"n": 1000, "name": "p7", "ok": True}),
        (lambda n: {"free": n}, {"free": 7}), (lambda n: {"free": f"{n}"}, {"free": "7"}),
    ],
)  # fmt: skip
def test_a_change_asks_only_whom_it_can_touch(db, where, document):
    """Of two hundred conditions, at most the one that the values of the document lead to."""
    db.execute(SCHEMA)
    matcher, tests = filed(db, [where(n) for n in range(200)])
    told = matcher.touched(change("people", None, {"id": "a", **document}))
    assert told == [(7, False, True)]
    assert {n for n, test in enumerate(tests) if test.times} <= {7}
    assert matcher.touched(change("others", None, {"id": "a", **document})) == []


def test_what_being_found_says_already_is_not_asked(db):
    """An equality, a range, and either of them need no look at the document."""
    db.execute(SCHEMA)
    known = [{"n": 1}, {"n": {"gte": 0, "lt": 2}}, {"or": [{"n": 1}, {"name": {"startsWith": "a"}}]}, {"n": 1, "name": "ada"}]  # fmt: skip
    matcher, tests = filed(db, known)
    told = matcher.touched(change("people", {"n": 2, "name": "ada"}, {"n": 1, "name": "ada"}))
    assert told == [(0, False, True), (1, False, True), (2, True, True), (3, False, True)]
    assert [bool(test.times) for test in tests] == [False, False, False, True]


def test_a_condition_that_many_share_is_not_where_they_are_found(db):
    """Of several equalities each interest is filed under one that few others have."""
    db.execute(SCHEMA)
    matcher, tests = filed(db, [{"n": 1, "name": f"p{n}"} for n in range(200)])
    assert matcher.touched(change("people", None, {"n": 1, "name": "p7"})) == [(7, False, True)]
    assert sum(test.times for test in tests) <= 2


def test_values_of_other_kinds_are_not_taken_for_one_another(db):
    """1 is 1.0, and neither is true nor "1"."""
    db.execute(SCHEMA)
    matcher, _ = filed(db, [{"free": 1}, {"free": True}, {"free": "1"}, {"free": None}, {"free": {"gt": 0}}, {"free": {"lt": "a"}}])  # fmt: skip

    def told(value: Any) -> list[int]:
        return sorted(owner for owner, *_ in matcher.touched(change("people", None, {"free": value})))  # fmt: skip

    assert told(1) == told(1.0) == [0, 4]
    assert told(True) == [1]
    assert told("1") == [2, 5]
    assert told(None) == [3]
    assert told([1]) == told({"x": 1}) == []


def test_a_change_of_a_collection_that_nobody_watches_is_not_decoded():
    """And one of a collection that is watched whole is not either."""

    class Closed:
        collection, op = "people", "update"

        @property
        def old(self) -> Any:
            raise AssertionError("decoded")

        new = old

    matcher = Matcher()
    matcher.add("a", Interest("others"))
    assert matcher.touched(Closed()) == []
    matcher.add("b", Interest("people"))
    matcher.add("c", Interest(None))
    assert matcher.touched(Closed()) == [("b", True, True), ("c", True, True)]


def test_a_field_that_turns_from_1_to_true_has_changed():
    """An update is heard by those who watch the field."""
    matcher = Matcher()
    matcher.add("a", Interest("people", fields=frozenset({"free"})))
    assert matcher.touched(change("people", {"free": 1}, {"free": True})) == [("a", True, True)]
    assert matcher.touched(change("people", {"free": 1, "n": 1}, {"free": 1.0, "n": 2})) == []


# --- ranges ---------------------------------------------------------------------------------

VALUES = st.integers(-4, 4) | st.sampled_from([0.5, -1.5, "", "a", "ab", "b", "\U0010ffff", "\U0010ffffa", True, False, None, 2**60, float(2**60)])  # fmt: skip


@settings(max_examples=MOST)
@given(
    st.lists(st.tuples(st.sampled_from(["gt", "gte", "lt", "lte", "startsWith"]), VALUES, st.sampled_from(["gt", "gte", "lt", "lte"]), VALUES), max_size=30),
    st.lists(VALUES, max_size=8), st.randoms(use_true_random=False),
)  # fmt: skip
def test_ranges_hold_what_their_two_conditions_say(asked, values, dice):
    """After anything was filed and taken out again, in any order."""
    ranges, known = Ranges(), dict[int, Any]()
    for n, (op, value, other, end) in enumerate(asked):
        one, two = span(op, value), span(other, end)
        if one and two and (low := max(one[0], two[0])) < (high := min(one[1], two[1])):
            ranges.add(low, high, n)
            known[n] = (op, value, other, end, low, high)
        if known and dice.random() < 0.3:
            gone = dice.choice(list(known))
            ranges.remove(*known.pop(gone)[4:], gone)
    for value in values:
        found: dict[int, None] = {}
        at = point(value)
        if at is not None:
            ranges.find(at, found)
        assert found.keys() == {n for n, (op, a, other, b, *_) in known.items() if holds(op, value, a) and holds(other, value, b)}  # fmt: skip
    assert len(ranges) == len({one[4:] for one in known.values()})
