"""Series → SQL: documents in buckets of time, and functions over the documents around each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from aurora_db.aql import plan, types
from aurora_db.aql.catalog import Type
from aurora_db.aql.intervals import Interval, interval, zone
from aurora_db.aql.operands import untyped
from aurora_db.aql.series import (
    result_type,
)
from aurora_db.aql.values import value_of
from aurora_db.base.errors import TooLarge, TypeMismatch, ValidationError
from aurora_db.sql import aggregates, lower, operands, ordering
from aurora_db.sql.buckets import bucket
from aurora_db.sql.shown import Shown, shown
from aurora_db.sql.statement import Bound, Statement
from aurora_db.sql.where import Fragment

#: Buckets in one result at most, the filled ones included.
MOST: Final = 100_000


class Downsampled(msgspec.Struct, frozen=True):
    """A `downsample`: rows of bucket, count and value, and what fills the gaps."""

    statement: Statement
    keys: tuple[tuple[str, str], ...]
    start: operands.Load
    load: operands.Load | None
    interval: Interval
    zone: dt.tzinfo
    fill: str

    def read(self, rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        """The entries in order of time, the gaps filled as `fill` says.

        Raises:
            TooLarge: filling would make more than `MOST` entries.
        """
        entries: list[dict[str, Any]] = []
        expected: dt.datetime | None = None
        value: Any = None
        for found, count, stored, *_ in rows:
            start = self.start(found)
            while expected is not None and expected < start:
                self._refuse(entries)
                entries.append(self._entry(expected, 0, value if self.fill == "PREVIOUS" else None))
                expected = self.interval.end(expected, self.zone)
            value = aggregates.loaded(self.load, stored)
            entries.append(self._entry(start, count, value))
            if self.fill != "NONE":
                expected = self.interval.end(start, self.zone)
        return entries

    def _entry(self, start: dt.datetime, count: int, value: Any) -> dict[str, Any]:
        known = {"timestamp": start, "count": count, "value": value}
        return {key: known[what] for key, what in self.keys}

    def _refuse(self, entries: Sequence[object]) -> None:
        if len(entries) >= MOST:
            raise TooLarge(
                f"filling the gaps would make more than {MOST:,} entries",
                hint="take a longer interval, or limit the time by where",
            )


def downsampled(query: plan.Query, part: plan.Downsample) -> Downsampled:
    """The statement of one `downsample`."""
    length, place = interval(part.interval), part.timezone or "UTC"
    row = operands.row_of(query.collection)
    time = operands.fragment(part.time, row)
    (text, params), start = bucket(time, length, place)
    value, load = _sampled(query, part)
    columns = f"{text} AS _k, count(*), {', '.join(value[0])}"
    present, more = operands.source(query, (f"{time[0]} IS NOT NULL", time[1]))
    return Downsampled(
        Statement(
            f"SELECT {columns} {present} GROUP BY _k ORDER BY _k",
            (*params, *value[1], *more),
        ),
        part.keys, start, load, length, zone(place), part.fill,
    )  # fmt: skip


def _sampled(
    query: plan.Query, part: plan.Downsample
) -> tuple[tuple[list[str], tuple[Any, ...]], operands.Load | None]:
    """The columns of the value, the first one counts, and what makes Python of it."""
    row, word = operands.row_of(query.collection), part.aggregation
    if part.value is None or word not in ("first", "last"):
        one = aggregates.column(plan.Aggregate("", word, part.value), row)
        return ([one.text], one.params), one.load
    (text, params), load = operands.key(part.value, row)
    time, more = operands.fragment(part.time, row)
    # A bare column takes its value from the document that has the smallest or largest other one;
    # the place of insertion decides among documents of one instant.
    edge = "min" if word == "first" else "max"
    moment = f"{time} || printf('%020d', {operands.place_of(query.collection)})"
    picked = f"{edge}(CASE WHEN {text} IS NOT NULL THEN {moment} END)"
    return ([text, picked], (*params, *params, *more)), load


# --- windowFunc -----------------------------------------------------------------------------


class Windowed(msgspec.Struct, frozen=True):
    """A `windowFunc`: one row for each document in order, what it shows, then the value."""

    statement: Statement
    shown: Shown
    key: str
    place: int
    load: operands.Load | None
    whole: bool

    def put(self, document: dict[str, Any], value: Any) -> dict[str, Any]:
        """The document with the value in its place.

        Raises:
            ValidationError: the value left the range of its type.
        """
        if self.whole and isinstance(value, float):
            raise ValidationError(f"'{self.key}' is outside the range of Int", rule="range")
        made = aggregates.loaded(self.load, aggregates.finite(value))
        if self.place == len(self.shown.columns):
            document[self.key] = made
            return document
        pairs = list(document.items())
        pairs.insert(self.place, (self.key, made))
        return dict(pairs)


def windowed(query: plan.Query, part: plan.Window) -> Windowed:
    """The statement of one `windowFunc`, over all that match; the query's limit cuts its list."""
    inner = ordering.by(ordering.keys(query, part.order or query.order))
    outer = ordering.by(ordering.keys(query, query.order or part.order))
    (text, params), type = _function(query, part, inner)
    each = shown(part.outputs, query.collection)
    source, more = operands.source(query)
    params = (*each.params, *params, *more, *outer[1])
    text = f"SELECT {', '.join((*each.columns, text))} {source} ORDER BY {outer[0]}"
    if query.limit is not None or query.offset is not None:
        text += " LIMIT ? OFFSET ?"
        params += (lower.amount(query.limit, -1), lower.amount(query.offset, 0))
    return Windowed(
        Statement(text, params), each, part.value_key, part.value_place, types.load(type),
        whole=type.name == "Int",
    )  # fmt: skip


def _function(query: plan.Query, part: plan.Window, order: Fragment) -> tuple[Fragment, Type]:
    """The column of the function, and the type that says how its value is read."""
    row = operands.row_of(query.collection)
    over, over_params = _over(part, row, order)
    type = result_type(part, part.function)
    any_value = Type(name="Float") if untyped(type) else type
    assert any_value is not None
    if part.of is None:
        return (f"row_number() OVER ({over})", over_params), any_value
    text, params = operands.numbers(part.of, row)
    size = _size(part)
    match part.function:
        case "lag" | "lead":
            (text, params), _ = operands.whole(part.of, row)
            read = Type(name="JSON") if untyped(type) else any_value
            return (
                f"{part.function}({text}, ?) OVER ({over})",
                (*params, size, *over_params),
            ), read
        case "delta":
            return (
                f"{text} - lag({text}, ?) OVER ({over})",
                (*params, *params, size, *over_params),
            ), any_value
        case _:
            name = part.function.removeprefix("rolling").lower()
            frame = f"{over} ROWS BETWEEN ? PRECEDING AND CURRENT ROW"
            call = f"{name}({text}) OVER ({frame})"
            if name == "sum":
                call = f"coalesce({call}, {'0.0' if any_value.name == 'Float' and not untyped(type) else '0'})"
            return (call, (*params, *over_params, _less_one(size))), any_value


def _over(part: plan.Window, row: str, order: Fragment) -> Fragment:
    keys = [operands.key(one, row)[0] for one in part.partition]
    text = f"ORDER BY {order[0]}"
    if keys:
        text = f"PARTITION BY {', '.join(one for one, _ in keys)} {text}"
    return text, (*(p for _, each in keys for p in each), *order[1])


def _size(part: plan.Window) -> Any:
    size = part.size
    if size is None:
        return 1
    if isinstance(size, plan.Constant):
        return size.value

    def read(variables: Mapping[str, Any]) -> int:
        value = value_of(size, variables)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise TypeMismatch(f"'windowSize' is a whole number from 1, got {value!r}")
        return value

    return Bound(read)


def _less_one(size: Any) -> Any:
    if isinstance(size, Bound):
        return Bound(lambda variables: size.read(variables) - 1)
    return size - 1
