"""Results of queries that are asked for repeatedly: under which key, of what they were made, and what touches them.

A result is kept when it is asked for the second time, and dropped by a change that live queries would
hear of: one of a document that matches before it or after it, if the documents tell by themselves whether
they match; else any change of a field that the query reads, in any of the collections that it looks into.
Never kept are results that change though no document does (`now()`, `uuid()`), and those of
collections whose changes the feed does not have whole (system collections and `@quiet` ones).
"""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Callable, Hashable, Mapping, Sequence
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from aurora_db.aql import plan
from aurora_db.aql.interests import Interest, Matcher
from aurora_db.base.codec import encode
from aurora_db.base.errors import AuroraError
from aurora_db.store.changes import Changed
from aurora_db.store.keeping import Entry
from aurora_db.store.recent import Recent

if TYPE_CHECKING:
    from aurora_db.aql.catalog import Catalog
    from aurora_db.store.port import Row

#: Keys that were asked for once, and their characters together.
SEEN: Final = 4_000
SEEN_SIZE: Final = 4 * 1024 * 1024
#: Bytes of an entry beside its result and its key: what it is found by when something changes, too.
AROUND: Final = 2_000

#: What a result is made of beside lists and objects; none of it can be changed.
_PLAIN: Final = frozenset({
    str, int, float, bool, type(None), bytes, dt.datetime, dt.date, dt.time, dt.timedelta,
    decimal.Decimal, uuid.UUID,
})  # fmt: skip

Key = tuple[str, int, str]


class Asked:
    """What was asked for: found as the caller's own copy, or to be read and remembered."""

    __slots__ = ("found", "key", "mark", "result", "variables")

    def __init__(self, key: Key, variables: Mapping[str, Any]) -> None:
        self.key = key
        self.variables = variables
        self.found = False
        self.result: Any = None
        #: What held when the reading began; None where it is not to be remembered.
        self.mark: int | None = None


class Results:
    """Results by text, place in it and values of variables."""

    def __init__(self) -> None:
        self.entries: dict[Key, Entry] = {}
        self.misses = 0
        self._matcher = Matcher()
        self._seen: Recent[Hashable, bool] = Recent(SEEN, SEEN_SIZE)

    def key(self, text: str, index: int, variables: Mapping[str, Any]) -> Key | None:
        """What a result is known by; None where the variables have no JSON form."""
        if not variables:
            return text, index, ""
        try:
            return text, index, encode(variables)
        except AuroraError:
            return None

    def is_repeated(self, key: Key) -> bool:
        """Whether it was asked for before, and might be kept."""
        return self._seen.get(key) is True

    def asked(self, key: Key, variables: Mapping[str, Any], mark: int | None) -> Asked:
        """The result of a key, or what remembers it; `mark` holds now."""
        asked = Asked(key, variables)
        entry = self.entries.get(key)
        value = None if entry is None else entry.value
        if entry is not None and value is not None:
            entry.hits += 1
            asked.found, asked.result = True, entry.copy(value)
            return asked
        self.misses += 1
        seen = self._seen.get(key)
        if seen:
            asked.mark = mark
        elif seen is None:
            self._seen.put(key, True, len(key[0]) + len(key[2]))
        return asked

    def refuse(self, key: Key) -> None:
        """Never keep it, by these definitions."""
        self._seen.put(key, False, len(key[0]) + len(key[2]))

    def entry(
        self, asked: Asked, result: Any, operation: plan.Operation, catalog: Catalog, now: Callable[[], dt.datetime]
    ) -> Entry | None:  # fmt: skip
        """An entry with a copy of a result; None where it cannot be kept."""
        interests = interests_of(operation, asked.variables, catalog, now)
        try:
            size = None if interests is None else measured(result)
        except TypeError:
            size = None
        if interests is None or size is None:
            self.refuse(asked.key)
            return None
        copy = _flat if _is_flat(result) else copied
        size += AROUND + getsizeof(asked.key[0]) + getsizeof(asked.key[2])
        return Entry(None, asked.key, hash(asked.key), copy(result), copy, size, reads=interests)

    def put(self, entry: Entry) -> None:
        """Keep an entry."""
        self.entries[entry.key] = entry
        for interest in entry.reads:
            self._matcher.add(entry.key, interest)

    def forget(self, key: Key) -> None:
        """It is kept no more."""
        if self.entries.pop(key, None) is not None:
            self._matcher.remove(key)

    @property
    def collections(self) -> Sequence[str]:
        """The collections whose changes may touch what is kept."""
        return self._matcher.collections or ()

    def touched(self, rows: Sequence[Row]) -> list[Entry]:
        """What changes touch, forgotten here."""
        found: list[Entry] = []
        for row in rows:
            for key, _, _ in self._matcher.touched(Changed(row)):
                found.append(self.entries[key])
                self.forget(key)
        return found

    def clear(self, *, defined: bool) -> None:
        """Forget all of them; where something was `defined`, also what cannot be kept."""
        self.entries.clear()
        self._matcher = Matcher()
        if defined:
            self._seen = Recent(SEEN, SEEN_SIZE)


# --- what a result is made of ---------------------------------------------------------------


def interests_of(
    operation: plan.Operation,
    variables: Mapping[str, Any],
    catalog: Catalog,
    now: Callable[[], dt.datetime],
) -> tuple[Interest, ...] | None:
    """Which changes touch the result of an operation; None where the feed does not tell all of them."""
    made: list[Interest] = []
    for root in operation.roots:
        if not isinstance(root, plan.Query):
            return None
        some = _interests(root, variables, catalog, now)
        if some is None:
            return None
        made += some
    return tuple(made)


def _interests(
    query: plan.Query,
    variables: Mapping[str, Any],
    catalog: Catalog,
    now: Callable[[], dt.datetime],
) -> list[Interest] | None:
    from aurora_db.aql.evaluate import Documents, compiled  # noqa: PLC0415 - with the first one kept
    from aurora_db.aql.expand import expand_query, valued  # noqa: PLC0415 - the same
    from aurora_db.aql.reads import reads  # noqa: PLC0415 - the same

    known = expand_query(query, catalog, variables)
    found = reads(known)
    if found.volatile or any(one.system or one.quiet for one in found.collections):
        return None
    made = {
        one.name: Interest(one.name, fields=found.fields[one.name] or frozenset())
        for one in found.collections
    }
    name = known.collection.name
    where = reads(msgspec.structs.replace(known, outputs=(), order=(), parts=()))
    linked = {way[-1].collection.name for way in found.ways}
    if (
        known.where != plan.ALWAYS
        and known.search is None
        and name not in linked
        and not where.ways
    ):
        condition = valued(known.where, variables)
        test = compiled(condition, Documents({}, variables, now()))
        made[name] = Interest(name, condition, test, made[name].fields)
    return list(made.values())


# --- copies ---------------------------------------------------------------------------------


def measured(value: Any) -> int:
    """The bytes of a result.

    Raises:
        TypeError: something in it is of a type that might be changed.
    """
    kind = value.__class__
    size = getsizeof(value)
    if kind is dict:
        for key, one in cast("dict[str, Any]", value).items():
            # Keys are shared by all documents of a query.
            del key
            size += measured(one)
    elif kind is list:
        for one in cast("list[Any]", value):
            size += measured(one)
    elif kind not in _PLAIN:
        raise TypeError(kind)
    return size


def copied(value: Any) -> Any:
    """A copy of a result, which shares with it what cannot be changed."""
    if value.__class__ is dict:
        return {
            key: copied(one) if one.__class__ is dict or one.__class__ is list else one
            for key, one in value.items()
        }
    if value.__class__ is list:
        return [
            copied(one) if one.__class__ is dict or one.__class__ is list else one for one in value
        ]
    return value


def _flat(value: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The same for lists of objects that have nothing in them that can be changed: most results."""
    return {key: [one.copy() for one in some] for key, some in value.items()}


def _is_flat(value: Any) -> bool:
    return value.__class__ is dict and all(
        some.__class__ is list
        and all(
            one.__class__ is dict
            and not any(inner.__class__ in (dict, list) for inner in one.values())
            for one in some
        )
        for some in value.values()
    )


__all__ = ["Asked", "Results", "copied", "interests_of", "measured"]
