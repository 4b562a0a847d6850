"""Conditions: what a where means. Two-valued: every one is true or false."""

from __future__ import annotations

import msgspec

from aurora_db.aql.catalog import Collection
from aurora_db.aql.plan.values import Call, Link, Path, Value


class Compare(msgspec.Struct, frozen=True):
    """`path op value`.

    `op` is one of eq ne gt gte lt lte in contains containsAny containsAll startsWith endsWith ieq
    icontains istartsWith iendsWith matches isNull. Synonyms and what others can say (`nin`, `between`,
    `isNotNull`, `size`) are resolved into these: `size: {gte: 2}` compares the call `size(path)`, the
    length of a list and null of anything else. Only a `between` whose list is one variable stays.

    `isNull` takes a boolean; `in containsAny containsAll` a list, `between` one of two values. Values of constants are already in
    the stored form of the type (`types.store`); variables are converted when bound. `path` is a
    `Call` for computed fields and `expr:`, whose truth is compared with true.
    """

    path: Path | Call
    op: str
    value: Value


class And(msgspec.Struct, frozen=True):
    """All hold; of nothing: true."""

    parts: tuple[Where, ...]


class Or(msgspec.Struct, frozen=True):
    """One holds; of nothing: false."""

    parts: tuple[Where, ...]


class Not(msgspec.Struct, frozen=True):
    """Exact complement."""

    part: Where


class Quantified(msgspec.Struct, frozen=True):
    """`some`, `every` or `none` of a list of objects, or of the documents of a link, match `where`.

    Paths in `where` begin at the element: for a list, `field` is None and `keys` lead into it. A missing
    list counts as empty.
    """

    word: str
    over: Path | Link
    where: Where


class WhereVariable(msgspec.Struct, frozen=True):
    """A whole `where: $w`, known at execution: resolved then against `collection`.

    `over` is the list whose elements it is about, inside of `some every none`.
    """

    name: str
    collection: Collection
    over: Path | None = None


Where = Compare | And | Or | Not | Quantified | WhereVariable

ALWAYS = And(())
