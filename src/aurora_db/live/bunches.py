"""What is kept of documents that are added up together: all of them, or those of a group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aurora_db.aql import plan, types
from aurora_db.aql.aggregates import INT, result_type
from aurora_db.aql.catalog import Type
from aurora_db.aql.comparing import rank
from aurora_db.aql.evaluate import wanted
from aurora_db.aql.evaluate_expressions import plain
from aurora_db.aql.having import having_value
from aurora_db.aql.intervals import interval, zone
from aurora_db.aql.matching import holds
from aurora_db.aql.operands import type_of
from aurora_db.aql.values import value_of
from aurora_db.base.codec import instant
from aurora_db.live.totals import Total, is_counted, total
from aurora_db.live.values import Image, Read, reader

#: A function, and what reads the value it is of; None of a plain count.
Function = tuple[plan.Aggregate, Read | None]
#: What the names of a group mean: those of `having` and of its order.
Names = dict[tuple[str, ...], Any]


def read_by(
    functions: Iterable[plan.Aggregate], variables: Mapping[str, Any]
) -> tuple[Function, ...]:
    """The functions with what reads their values."""
    return tuple((one, None if one.of is None else reader(one.of, variables)) for one in functions)


class Bunch:
    """How many documents there are, and their functions."""

    __slots__ = ("_functions", "_totals", "count")

    def __init__(self, functions: Sequence[Function]) -> None:
        self._functions = functions
        self._totals: list[Total] = [total(one) for one, _ in functions]
        self.count = 0

    def add(self, image: Image, times: int) -> None:
        """A document comes so many times; goes, where that is negative."""
        self.count += times
        for (function, read), kept in zip(self._functions, self._totals, strict=True):
            if read is not None:
                value = read(image)
                if is_counted(function, value):
                    kept.add(value, times)

    def results(self) -> list[Any]:
        """The result of each function.

        Raises:
            Unsure: only SQL knows one.
        """
        return [
            self.count if read is None else _loaded(function, kept.result())
            for (function, read), kept in zip(self._functions, self._totals, strict=True)
        ]


def _loaded(function: plan.Aggregate, value: Any) -> Any:
    """A result as a query shows it: the smallest date is a date."""
    if value is None or function.function not in ("min", "max"):
        return value
    type = result_type(function)
    load = None if type is None else types.load(type)
    return value if load is None else load(value)


class Aggregated:
    """`aggregate { … }` over all that matches."""

    def __init__(self, part: plan.Aggregates, variables: Mapping[str, Any]) -> None:
        self._names = [one.key for one in part.functions]
        self._bunch = Bunch(read_by(part.functions, variables))

    def add(self, image: Image, times: int) -> None:
        """A document comes so many times; goes, where that is negative."""
        self._bunch.add(image, times)

    def result(self) -> Any:
        """The object of the part.

        Raises:
            Unsure: only SQL knows it.
        """
        return dict(zip(self._names, self._bunch.results(), strict=True))


class Grouped:
    """`groupBy(…) { … }` over all that matches."""

    def __init__(self, part: plan.Groups, variables: Mapping[str, Any]) -> None:
        self._part = part
        self._variables = variables
        self._places = [(one.key, each.key) for one in part.outputs for each in one.functions]
        self._types: dict[tuple[str, ...], Type | None] = {
            (one.key, each.key): result_type(each) for one in part.outputs for each in one.functions
        }
        self._functions = read_by(
            (each for one in part.outputs for each in one.functions), variables
        )
        self._keys = [_key(part, by, variables) for _, by in part.by]
        self._groups: dict[tuple[Any, ...], Bunch] = {}
        #: What the names of each group mean and its object, for those that have not changed since.
        self._known: dict[tuple[Any, ...], tuple[Names, dict[str, Any]]] = {}
        #: The keys in order; None where there are others now.
        self._sorted: list[tuple[Any, ...]] | None = None

    def add(self, image: Image, times: int) -> None:
        """A document comes into its group so many times; goes, where that is negative."""
        key = tuple([read(image) for read in self._keys])
        bunch = self._groups.get(key)
        if bunch is None:
            bunch = self._groups[key] = Bunch(self._functions)
            self._sorted = None
        bunch.add(image, times)
        self._known.pop(key, None)
        if not bunch.count:
            del self._groups[key]
            self._sorted = None

    def result(self) -> Any:
        """The list of the part; its objects are kept, so nobody changes them.

        Raises:
            Unsure: only SQL knows it.
        """
        part = self._part
        if self._sorted is None:
            self._sorted = sorted(self._groups, key=lambda key: [rank(plain(one)) for one in key])
        found = [self._known.get(key) or self._made(key) for key in self._sorted]
        for place, op, value in part.having:
            found = [one for one in found if self._has(one[0], place, op, value)]
        for place, descending in reversed(part.order):
            found.sort(key=lambda one, place=place: rank(plain(one[0][place])), reverse=descending)
        offset = _amount(part.offset, self._variables) or 0
        limit = _amount(part.limit, self._variables)
        cut = found[offset:] if limit is None else found[offset : offset + limit]
        return [shown for _, shown in cut]

    def _made(self, key: tuple[Any, ...]) -> tuple[Names, dict[str, Any]]:
        names = self._names(key, self._groups[key])
        made = self._known[key] = names, self._shown(names)
        return made

    def _names(self, key: tuple[Any, ...], bunch: Bunch) -> Names:
        """What each name of the group means."""
        part = self._part
        names: Names = {("count",): bunch.count}
        for value, (name, by) in zip(key, part.by, strict=True):
            names["key", name] = names["key",] = _shown_key(part, by, value)
        names.update(zip(self._places, bunch.results(), strict=True))
        return names

    def _has(
        self, names: Names, place: tuple[str, ...], op: str, value: plan.Value
    ) -> bool:  # fmt: skip
        """Whether one condition of `having` is true."""
        type = INT if place == ("count",) else self._types[place]
        known = value_of(value, self._variables)
        if not isinstance(value, plan.Constant):
            known = having_value(place, type, op, known)
        same = {"nin": "in", "isNotNull": "isNull"}.get(op, op)
        return holds(same, plain(names[place]), wanted(type, same, known)) == (same == op)

    def _shown(self, names: Names) -> dict[str, Any]:
        part = self._part
        shown: dict[str, Any] = {}
        for output in part.outputs:
            if output.what == "key":
                shown[output.key] = names["key",] if part.single else {name: names["key", name] for name, _ in part.by}  # fmt: skip
            elif output.what == "count":
                shown[output.key] = names["count",]
            else:
                shown[output.key] = {one.key: names[output.key, one.key] for one in output.functions}  # fmt: skip
        return shown


def _key(part: plan.Groups, by: plan.Expression, variables: Mapping[str, Any]) -> Read:
    read = reader(by, variables)
    if not _is_bucket(part, by):
        return read
    length, where = interval(part.interval or ""), zone(part.timezone or "UTC")

    def bucket(image: Image) -> Any:
        text = read(image)
        return None if text is None else length.start(instant(text), where)

    return bucket


def _is_bucket(part: plan.Groups, by: plan.Expression) -> bool:
    type = type_of(by)
    return part.interval is not None and type is not None and type.name == "DateTime"


def _shown_key(part: plan.Groups, by: plan.Expression, value: Any) -> Any:
    type = type_of(by)
    load = None if type is None or value is None or _is_bucket(part, by) else types.load(type)
    return value if load is None else load(value)


def _amount(value: plan.Value | None, variables: Mapping[str, Any]) -> int | None:
    return None if value is None else value_of(value, variables)
