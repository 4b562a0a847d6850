"""Pages: a place in an order as a condition, so that an index leads to what follows it.

A page reads in one direction, forwards or backwards, between at most two places. What a place
means depends on which of its values are null, so each such shape has a statement of its own; the
values are bound. Three forms keep the index in use:

- keys that all go one way and are not null are compared as one row value;
- else what is tested first is a range of the first key, and what decides among equals comes after;
- where nulls come at the end of the way, the range and the nulls are two halves of the statement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from aurora_db.aql import plan
from aurora_db.sql import operands, ordering
from aurora_db.sql.ordering import Key
from aurora_db.sql.shown import shown
from aurora_db.sql.statement import Bound, Statement
from aurora_db.sql.where import Fragment

#: Under these names the values of the two places and the limit stand beside the variables.
AFTER, BEFORE, LIMIT = "\0after", "\0before", "\0limit"
NEVER = "0"


class Shape(msgspec.Struct, frozen=True):
    """What the text of a page depends on: the direction, and which values of its places are null."""

    backward: bool = False
    after: tuple[bool, ...] | None = None
    before: tuple[bool, ...] | None = None


class Pages:
    """The statements of one query's pages, each made once."""

    def __init__(self, query: plan.Query) -> None:
        self._query = query
        collection = query.collection
        self._keys = ordering.keys(query, query.order)
        #: A place of insertion may be taken again when its document is gone: its id tells.
        inserted = not (query.order or query.search or collection.system)
        self._id = f'{operands.row_of(collection)}"id"' if inserted else None
        self.shown = shown(query.outputs, collection)
        self._made: dict[Shape, Statement] = {}
        #: Where the values of a row's cursor begin, and how many they are.
        self.width = len(self.shown.columns)
        self.values = len(self._keys) + (self._id is not None)

    def statement(self, shape: Shape) -> Statement:
        """The rows of a page in the direction it is read: outputs, then the values of the cursor."""
        known = self._made.get(shape)
        if known is None:
            known = self._made[shape] = self._statement(shape)
        return known

    def _statement(self, shape: Shape) -> Statement:
        keys = [key.backwards() for key in self._keys] if shape.backward else list(self._keys)
        arms = [self._arm(condition, keys) for condition in self._conditions(keys, shape)]
        text, params = arms[0]
        if len(arms) > 1:
            # The halves come one after the other; the second is not begun when the first is enough.
            text = " UNION ALL ".join(f"SELECT * FROM ({arm})" for arm, _ in arms)
            params = tuple(param for _, each in arms for param in each)
            text, params = f"{text} LIMIT ?", (*params, _bound(LIMIT))
        return Statement(text, params)

    def _arm(self, condition: Fragment, keys: Sequence[Key]) -> Fragment:
        cursor = [key.text for key in self._keys] + ([self._id] if self._id else [])
        columns = ", ".join([*self.shown.columns, *cursor])
        params = self.shown.params + tuple(p for key in self._keys for p in key.params)
        source, given = operands.source(self._query, condition)
        order, more = ordering.by(keys)
        text = f"SELECT {columns} {source} ORDER BY {order} LIMIT ?"
        return text, (*params, *given, *more, _bound(LIMIT))

    def _conditions(self, keys: Sequence[Key], shape: Shape) -> list[Fragment]:
        """What the rows of a page must fulfil, one condition for each half of the statement.

        There are two halves where the way leads from values to nulls, or from nulls to values.
        """
        after, before = (AFTER, shape.after), (BEFORE, shape.before)
        begin, end = (before, after) if shape.backward else (after, before)
        limit = None
        if end[1] is not None:
            limit = self._beyond([key.backwards() for key in keys], end[1], end[0])
        if begin[1] is None:
            return [_all(limit)]
        first, is_null = keys[0], begin[1][0]
        nulls = (f"{first.text} IS NULL", first.params)
        if is_null and first.nulls_first:
            near = _stepped(keys, begin[1], begin[0], 1, inclusive=False)
            others = (f"{first.text} IS NOT NULL", first.params)
            return [_all(nulls, near, limit), _all(others, limit)]
        if first.nullable and not first.nulls_first and not is_null:
            near = self._among(keys, begin[1], begin[0])
            return [_all(near, limit), _all(nulls, limit)]
        return [_all(self._beyond(keys, begin[1], begin[0]), limit)]

    def exists(self, name: str, nulls: tuple[bool, ...], *, backward: bool) -> Statement:
        """Whether there is a document at a place or beyond it, seen in a direction."""
        keys = [key.backwards() for key in self._keys] if backward else list(self._keys)
        condition = self._beyond(keys, nulls, name, inclusive=True)
        source, params = operands.source(self._query, condition)
        return Statement(f"SELECT EXISTS (SELECT 1 {source})", params)

    # --- places -----------------------------------------------------------------------------

    def _beyond(
        self, keys: Sequence[Key], nulls: tuple[bool, ...], name: str, *, inclusive: bool = False
    ) -> Fragment:
        """What comes after a place; `inclusive` also what stands at it."""
        if self._id is not None:
            return self._inserted(keys[0], name, inclusive=inclusive)
        if _uniform(keys, nulls):
            symbol = ("<" if keys[0].descending else ">") + ("=" if inclusive else "")
            texts = ", ".join(key.text for key in keys)
            params = tuple(p for key in keys for p in key.params)
            places = tuple(_bound(name, n) for n in range(len(keys)))
            marks = ", ".join("?" * len(keys))
            return f"({texts}) {symbol} ({marks})", (*params, *places)
        first = keys[0]
        if nulls[0] or (first.nullable and not first.nulls_first):
            return _stepped(keys, nulls, name, 0, inclusive=inclusive)
        return self._among(keys, nulls, name, inclusive=inclusive)

    def _among(
        self, keys: Sequence[Key], nulls: tuple[bool, ...], name: str, *, inclusive: bool = False
    ) -> Fragment:
        """The part of what comes after a place whose first value is not null."""
        first = keys[0]
        bare = Key(first.text, first.params, first.descending)
        stepped = _stepped([bare, *keys[1:]], nulls, name, 0, inclusive=inclusive)
        if len(keys) == 1:
            return stepped
        symbol = "<=" if first.descending else ">="
        return _all((f"{first.text} {symbol} ?", (*first.params, _bound(name, 0))), stepped)

    def _inserted(self, key: Key, name: str, *, inclusive: bool) -> Fragment:
        """The same by the order of insertion."""
        symbol = "<" if key.descending else ">"
        place, id = _bound(name, 0), _bound(name, 1)
        if inclusive == key.descending:
            # A later document at the same place, or the same document.
            same = "=" if inclusive else "<>"
            return (
                f"({key.text} {symbol}= ? AND ({key.text} <> ? OR {self._id} {same} ?))",
                (place, place, id),
            )
        return f"{key.text} {symbol}{'=' if inclusive else ''} ?", (place,)


def _uniform(keys: Sequence[Key], nulls: tuple[bool, ...]) -> bool:
    """Whether the keys compare as one row value: all one way, without a null at or after the place."""
    return (
        len({key.descending for key in keys}) == 1
        and not any(nulls)
        and all(key.nulls_first or not key.nullable for key in keys)
    )


def _stepped(
    keys: Sequence[Key], nulls: tuple[bool, ...], name: str, n: int, *, inclusive: bool
) -> Fragment:
    """Beyond in this key, or equal in it and beyond in the ones after it."""
    key = keys[n]
    last = n == len(keys) - 1
    further = _further(key, name, n, is_null=nulls[n], inclusive=inclusive and last)
    if last:
        return further
    same = f"{key.text} IS NULL" if nulls[n] else f"{key.text} = ?"
    params = (*key.params, *(() if nulls[n] else (_bound(name, n),)))
    text, more = _stepped(keys, nulls, name, n + 1, inclusive=inclusive)
    if further[0] == NEVER:
        return f"({same} AND {text})", (*params, *more)
    return f"({further[0]} OR ({same} AND {text}))", (*further[1], *params, *more)


def _further(key: Key, name: str, n: int, *, is_null: bool, inclusive: bool) -> Fragment:
    if is_null:
        return (f"{key.text} IS NOT NULL", key.params) if key.nulls_first else (NEVER, ())
    symbol = ("<" if key.descending else ">") + ("=" if inclusive else "")
    text, params = f"{key.text} {symbol} ?", (*key.params, _bound(name, n))
    if key.nullable and not key.nulls_first:
        return f"({text} OR {key.text} IS NULL)", (*params, *key.params)
    return text, params


def _all(*conditions: Fragment | None) -> Fragment:
    known = [one for one in conditions if one is not None]
    return " AND ".join(text for text, _ in known), tuple(p for _, each in known for p in each)


def _bound(name: str, n: int | None = None) -> Bound:
    def read(variables: Mapping[str, Any]) -> Any:
        found = variables[name]
        return found if n is None else found[n]

    return Bound(read)
