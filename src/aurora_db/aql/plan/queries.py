"""Queries: what is read, in which order, in which shape."""

from __future__ import annotations

import msgspec

from aurora_db.aql.catalog import Collection
from aurora_db.aql.plan.conditions import ALWAYS, Where
from aurora_db.aql.plan.values import (
    Call,
    Constant,
    Expression,
    Hop,
    Items,
    Link,
    Path,
    Value,
    Variable,
)

# --- selections -----------------------------------------------------------------------------


class Output(msgspec.Struct, frozen=True):
    """One key of a result and the stored value that it shows.

    `_rev` is a Path over the pseudo field `types.REV`. `extra=True` merges all undeclared fields
    of a flexible document here. `selection` shapes an inline object (or list of them); None means
    all of it.
    """

    key: str
    path: Path
    selection: tuple[Output, ...] | None = None
    extra: bool = False


class Computed(msgspec.Struct, frozen=True):
    """One key of a result and the expression that it shows; `private` ones never come unasked."""

    key: str
    expression: Call | Constant | Variable | Items | Path


class One(msgspec.Struct, frozen=True):
    """The document that a relation refers to: an object or null."""

    key: str
    hop: Hop
    outputs: tuple[Selected, ...]


class Many(msgspec.Struct, frozen=True):
    """The documents of a link, a list: a relation from its other side, or a lookup.

    `query` says which, in which order and how many for each parent.
    """

    key: str
    link: Link
    query: Query


class Score(msgspec.Struct, frozen=True):
    """`_score` of a search: in (0, 1], 1 for the best match."""

    key: str


class Snippet(msgspec.Struct, frozen=True):
    """`_snippet(field: "body")` of a search: a part of the text around the words found."""

    key: str
    path: Path


Selected = Output | Computed | One | Many | Score | Snippet


# --- parts of a query -----------------------------------------------------------------------


class Order(msgspec.Struct, frozen=True):
    """One key of an order."""

    path: Expression
    descending: bool = False
    nulls_first: bool | None = None


class Search(msgspec.Struct, frozen=True):
    """Full-text search in `fields`. `query`, `fuzzy` (edits, 0 to 2) and `min_score` may be variables."""

    query: Value
    fields: tuple[Path, ...]
    fuzzy: Value | None = None
    min_score: Value | None = None


class PageKey(msgspec.Struct, frozen=True):
    """One key of a page: `what` is edges, nodes, pageInfo, totalCount or part; `parts` are keys inside of it.

    Parts of edges: (key, "cursor" | "node"); of pageInfo: (key, "hasNextPage" | …). `part` is the
    place of the query's part with this key.
    """

    key: str
    what: str
    parts: tuple[tuple[str, str], ...] = ()


class Page(msgspec.Struct, frozen=True):
    """A Relay page: the result of the query is an object of `keys`; nodes show the query's outputs."""

    keys: tuple[PageKey, ...]
    first: Value | None = None
    last: Value | None = None
    after: Value | None = None
    before: Value | None = None


class Aggregate(msgspec.Struct, frozen=True):
    """One key of an aggregate; `function` is count sum avg min max countDistinct.

    `of` is None for a plain count.
    """

    key: str
    function: str
    of: Expression | None = None


class Aggregates(msgspec.Struct, frozen=True):
    """`aggregate { … }`: an object over the whole filtered set."""

    key: str
    functions: tuple[Aggregate, ...]


class Group(msgspec.Struct, frozen=True):
    """One key of a group's object: `what` is key, count, nodes or aggregate.

    `functions` are those of an aggregate; `nodes` has outputs, order and limits of the documents.
    """

    key: str
    what: str
    functions: tuple[Aggregate, ...] = ()
    nodes: Query | None = None


class Groups(msgspec.Struct, frozen=True):
    """`groupBy(…) { … }`: a list of objects, one for each distinct key.

    `by` are pairs of a name and what is grouped by; with `single` the key is the one value, else an object.
    `interval` cuts a DateTime ("1d", "2h", "month"), in `timezone`. `having` compares names of
    `outputs` (count, or an alias inside of an aggregate) and `order` orders by them: pairs of
    (path such as ("count",) or ("stats", "avg"), descending). Aliases are resolved there: the key
    is ("key",), or ("key", name) of several, the count ("count",).
    """

    key: str
    by: tuple[tuple[str, Expression], ...]
    outputs: tuple[Group, ...]
    single: bool = True
    interval: str | None = None
    timezone: str | None = None
    having: tuple[tuple[tuple[str, ...], str, Value], ...] = ()
    order: tuple[tuple[tuple[str, ...], bool], ...] = ()
    limit: Value | None = None
    offset: Value | None = None


class Downsample(msgspec.Struct, frozen=True):
    """`downsample(…)`: a list of objects, one for each interval.

    `keys` are pairs of a key and what it shows: timestamp, count or value. `aggregation` is avg sum
    min max count first last, `fill` NONE NULL PREVIOUS; without a `value` documents are counted.
    """

    key: str
    time: Path
    interval: str
    value: Expression | None
    keys: tuple[tuple[str, str], ...]
    aggregation: str = "avg"
    fill: str = "NONE"
    timezone: str | None = None


class Window(msgspec.Struct, frozen=True):
    """`windowFunc(…)`: a list with one object for each document, `outputs` and the value.

    The value stands under `value_key`, before the output of the number `value_place`. `function` is rollingAvg rollingSum rollingMin rollingMax rowNumber lag lead delta; `size` is
    rows of a rolling window, or the distance of lag and lead.
    """

    key: str
    function: str
    of: Expression | None
    outputs: tuple[Selected, ...] = ()
    value_key: str = "value"
    value_place: int = 0
    size: Value | None = None
    partition: tuple[Expression, ...] = ()
    order: tuple[Order, ...] = ()


QueryPart = Aggregates | Groups | Downsample | Window


class Query(msgspec.Struct, frozen=True):
    """Documents of a collection.

    Without `parts` and `page` the result is a list. With parts and no outputs it is an object of the
    parts' keys; with both, `{"nodes": [...], part_key: …}`. With a page it is the page's object.
    `id` ends every `order`, so that it is total; no order given means by insertion (`_n`), and a
    search without one by score.
    """

    key: str
    collection: Collection
    outputs: tuple[Selected, ...]
    where: Where = ALWAYS
    order: tuple[Order, ...] = ()
    limit: Value | None = None
    offset: Value | None = None
    search: Search | None = None
    page: Page | None = None
    parts: tuple[QueryPart, ...] = ()


class Introspection(msgspec.Struct, frozen=True):
    """`__schema { … }`: the catalog as an object. `selection` are nested pairs of key and what it shows.

    Each entry is (key, name, entries below).
    """

    key: str
    selection: tuple[tuple[str, str, tuple[object, ...]], ...]
