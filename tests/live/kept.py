"""A query that is followed: fed with the changes of a real database, and what came of it put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from aurora_db.aql import expand, parser, plan, resolve
from aurora_db.aql.evaluate import Documents, compiled
from aurora_db.aql.interests import Interest
from aurora_db.live.keeping import can_keep
from aurora_db.live.shaping import shape
from aurora_db.live.tally import Tally
from aurora_db.live.window import Window
from aurora_db.store import changes
from aurora_db.store.queries import query_runner
from aurora_db.store.scope import Scope

if TYPE_CHECKING:
    from aurora_db import Aurora
    from aurora_db.store.port import Port

SCHEMA = """
define collection things @flexible {
    n: Int
    f: Float
    s: String
    b: Boolean
    at: DateTime
    free: Any
    box: { size: Int word: String }
    twice: Int @computed("n * 2")
}
"""

TEXTS = st.sampled_from(["", "a", "B", "b", "ä", "ab", "日"])
FLOATS = st.sampled_from([0.1, 0.2, 0.3, -0.1, 1.5, 2.0, -2.0, 1e16, -1e16, 1e-9, 3.0e300]) | st.floats(-10, 10)  # fmt: skip
DATES = st.sampled_from(["2024-02-29T00:00:00Z", "2024-02-29T10:20:30.5Z", "1969-12-31T23:59:59Z", "2025-07-01T00:00:00Z"])  # fmt: skip
LOOSE = st.sampled_from([1, 2, 1.5, "a", True, None, [1], {"x": 1}])
FIELDS = {
    "n": st.integers(-3, 3),
    "f": FLOATS,
    "s": TEXTS,
    "b": st.booleans(),
    "at": DATES,
    "free": LOOSE,
    "box": st.fixed_dictionaries({}, optional={"size": st.integers(0, 2), "word": TEXTS}),
    "loose": LOOSE,
}
NAMES = list("abcdefghijkl")

documents = st.fixed_dictionaries({}, optional={k: st.none() | v for k, v in FIELDS.items()})
writes = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(NAMES), documents),
    st.tuples(st.just("change"), st.sampled_from(NAMES), documents),
    st.tuples(st.just("remove"), st.sampled_from(NAMES), st.just({})),
    st.tuples(st.just("hear"), st.just(""), st.just({})),
    st.tuples(st.just("settle"), st.just(""), st.just({})),
    st.tuples(st.just("take"), st.just(""), st.just({})),
)
orders = st.lists(
    st.tuples(
        st.sampled_from(["n", "f", "s", "b", "at", "box.size", "loose", "id", "twice"]),
        st.sampled_from(["ASC", "DESC"]),
        st.sampled_from(["", " nulls: FIRST", " nulls: LAST"]),
    ),
    max_size=2,
    unique_by=lambda one: one[0],
).map(
    lambda found: "[" + " ".join(f'{{field: "{f}" direction: {d}{n}}}' for f, d, n in found) + "]"
)
wheres = st.sampled_from(
    [
        "{}", "{n: {gt: -1}}", "{s: {ne: null}}", "{b: true}", "{or: [{n: 1} {f: {lt: 0.25}}]}",
        "{loose: {isNull: false}}", '{not: {s: {in: ["a" "b"]}}}', "{twice: {gte: 0}}",
    ]
)  # fmt: skip


def write(db: Aurora, what: str, id: str, document: dict[str, Any]) -> None:
    """One change, if it can be."""
    match what:
        case "put" if db["things"].get(id) is None:
            db["things"].insert({"id": id, **document})
        case "put" | "change":
            db["things"].update(id, document)
        case "remove":
            db["things"].delete(id)
        case _:
            raise AssertionError(what)


def understood(db: Aurora, text: str) -> plan.Query:
    catalog = db._gate.catalog
    (operation,) = resolve.resolve(parser.parse(text), text, catalog).operations
    (root,) = operation.roots
    assert isinstance(root, plan.Query)
    return expand.expand_query(root, catalog, {})


class Followed:
    """A root and the position up to which it heard."""

    def __init__(self, db: Aurora, text: str, mode: str = "RESULTS") -> None:
        self.db = db
        self.text = text
        self.query = query = understood(db, text)
        assert can_keep(query)
        now = db._engine.clock.now
        test = compiled(query.where, Documents({}, {}, now()))
        interest = Interest(query.collection.name, query.where, test)
        shaped = shape(query.outputs, query.collection, {}, now)
        self.root: Window | Tally
        if query.parts:
            runner = query_runner(query, [])
            self.root = Tally(
                "things", query, interest, lambda port: runner(port, Scope({})),
                shape=shaped if query.outputs else None,
            )  # fmt: skip
        elif mode == "RESULTS":
            self.root = Window("things", query, interest, shape=shaped)
        else:
            self.root = Window("things", query, interest, tell=self.tell, initial=True)
        self.test = test
        self.seq = 0
        self.touched = False
        self.state: Any = None
        self.result: Any = None
        self.mode = mode
        self.here: dict[str, Any] = {}
        self.events: list[tuple[Any, ...]] = []

    def tell(
        self, mutation: str, id: Any, new: Any, old: Any, seq: int, reason: Any = None
    ) -> tuple[Any, ...]:
        return (mutation, id, new, old, seq, reason)

    def begin(self) -> list[Any]:
        """Start with the snapshot of now."""

        async def verb(port: Port) -> list[Any]:
            self.seq = await changes.end(port)
            return await self.root.begin(port, self.seq, None)

        items = self.db._engine.follow(verb)
        self.apply(items)
        return items

    async def _hear(self, port: Port) -> None:
        last = await changes.end(port)
        for change in await changes.after(port, self.seq, last, 1_000_000, ["things"]):
            before = change.old is not None and self.test(change.old)
            after = change.new is not None and self.test(change.new)
            if before or after:
                self.root.heard(change, before, after)
                self.touched = True
        self.seq = last

    def hear(self) -> None:
        """Hear of what was committed; it may be long until that is settled."""
        self.db._engine.follow(self._hear)

    def settle(self) -> None:
        """Hear of what was committed, and settle."""

        async def verb(port: Port) -> None:
            await self._hear(port)
            if self.touched:
                state = await self.root.settle(port, self.seq)
                self.state = self.state if state is None else state
            self.touched = False

        self.db._engine.follow(verb)

    def take(self) -> list[Any]:
        """Take what has come of it."""
        if self.state is None:
            return []
        items = self.root.news(self.state)
        self.state = None
        self.apply(items)
        return items

    def apply(self, items: list[Any]) -> None:
        """Put together what was said, and see that it can be."""
        if self.mode == "RESULTS":
            assert len(items) <= 1
            self.result = items[0] if items else self.result
            return
        for mutation, id, new, old, *_ in items:
            match mutation:
                case "RESET":
                    self.here = {}
                case "INITIAL" | "INSERT" | "ENTER":
                    assert id not in self.here
                    assert (old is None) == (mutation != "ENTER")
                    self.here[id] = new
                case "UPDATE":
                    assert self.here[id] == old != new
                    self.here[id] = new
                case "LEAVE" | "DELETE":
                    assert self.here.pop(id) == old
                    assert (new is None) == (mutation == "DELETE")
                case _:
                    assert mutation == "READY"

    def check(self) -> None:
        """What was put together is what the query gives."""
        wanted = self.db.execute(self.text)["things"]
        if self.mode == "RESULTS":
            assert same(self.result, wanted), (self.result, wanted)
            return
        now = {one["id"]: one["_rev"] for one in wanted}
        assert {id: image["_rev"] for id, image in self.here.items()} == now


def same(one: Any, other: Any) -> bool:
    """Equal to their types."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other
