"""Aggregates that are kept: values come and go, and the result is the one that SQL would give.

What floats are added up to depends on the order in SQL, so the exact sum is kept, and how far SQL's may be
from it: where both could be rounded to different floats, the result is `Unsure` and asked of the database.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from typing import Any, Final, Protocol

from aurora_db.aql import plan, types
from aurora_db.aql.aggregates import result_type
from aurora_db.aql.comparing import is_number
from aurora_db.aql.operands import type_of, untyped

#: Floats are kept as multiples of the smallest one, 2 to the power of -1074.
SCALE: Final = 1074
ONE: Final = 1 << SCALE
#: Below it, an Int is added to floats as the float that equals it.
EXACT: Final = 2**52


class Unsure(Exception):
    """Only the database knows the result."""


class Total(Protocol):
    """One function over the values of one expression."""

    def add(self, value: Any, times: int) -> None:
        """A value, not null, comes so many times; goes, where that is negative."""
        ...

    def result(self) -> Any:
        """As SQL gives it.

        Raises:
            Unsure: only SQL knows.
        """
        ...


class Count:
    """How many values there are."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    def add(self, value: Any, times: int) -> None:
        """One more, whatever it is."""
        del value
        self._count += times

    def result(self) -> int:
        """Their number."""
        return self._count


class Distinct:
    """How many different values there are."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[Any, int] = {}

    def add(self, value: Any, times: int) -> None:
        """Count it by its value."""
        left = self._counts.get(value, 0) + times
        if left:
            self._counts[value] = left
        else:
            del self._counts[value]

    def result(self) -> int:
        """Their number."""
        return len(self._counts)


class Extreme:
    """The smallest or the largest value, from all that there are, in order."""

    __slots__ = ("_counts", "_place", "_values")

    def __init__(self, place: int) -> None:
        #: 0 of the smallest, -1 of the largest.
        self._place = place
        self._counts: dict[tuple[Any, bool], int] = {}
        self._values: list[tuple[Any, bool]] = []

    def add(self, value: Any, times: int) -> None:
        """1 and 1.0 are counted apart, for the result may be either."""
        key = (value, isinstance(value, float))
        had = self._counts.get(key, 0)
        if had + times:
            self._counts[key] = had + times
            if not had:
                insort(self._values, key)
        else:
            del self._counts[key]
            del self._values[bisect_left(self._values, key)]

    def result(self) -> Any:
        """Null where there is none."""
        if not self._values:
            return None
        value, is_float = self._values[self._place]
        if (value, not is_float) in self._counts:
            raise Unsure
        return value


class Sum:
    """The sum, or with `mean` the mean."""

    __slots__ = (
        "_far",
        "_floats",
        "_ints",
        "_mean",
        "_scaled",
        "_spread",
        "_sum",
        "_wild",
        "_zero",
    )

    def __init__(self, zero: float, *, mean: bool) -> None:
        self._zero = zero
        self._mean = mean
        self._ints = 0
        self._sum = 0
        self._far = 0
        self._floats = 0
        self._scaled = 0
        self._spread = 0
        self._wild = 0

    def add(self, value: Any, times: int) -> None:
        """Both its exact value and its size count."""
        if isinstance(value, int):
            if not types.INT_MIN <= value <= types.INT_MAX:
                # SQL reads it as a float.
                self._wild += times
                return
            self._ints += times
            self._sum += value * times
            self._far += abs(value) * times
        elif not math.isfinite(value):
            self._wild += times
        else:
            self._floats += times
            above, below = value.as_integer_ratio()
            scaled = (above << (SCALE + 1 - below.bit_length())) * times
            self._scaled += scaled
            self._spread += scaled if value >= 0 else -scaled

    def result(self) -> Any:
        """Null is the mean of nothing."""
        count = self._ints + self._floats
        if self._wild:
            raise Unsure
        if not count:
            return None if self._mean else self._zero
        total = self._float() if self._floats else self._int()
        return total / count if self._mean else total

    def _int(self) -> int:
        # On the way SQL leaves the range where all of one sign come first.
        if self._far > types.INT_MAX:
            raise Unsure
        return self._sum

    def _float(self) -> float:
        """What SQLite's compensated summation gives, in whatever order.

        With u of 2**-53 and n values, each step loses at most u times the spread, which is the sum of
        their sizes; the losses are added up apart, which loses at most n u of them: so before its last
        rounding it is n² u² times the spread from the sum at most, and twice that is allowed for here.

        Source: Neumaier, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", 1974.
        """
        if self._far >= EXACT:
            raise Unsure
        count = self._ints + self._floats
        exact = self._scaled + (self._sum << SCALE)
        spread = self._spread + (self._far << SCALE)
        if spread.bit_length() > SCALE + 1023:
            # SQL may leave the range of floats on the way.
            raise Unsure
        away = -((-2 * spread * count * count) >> 106)
        low, high = (exact - away) / ONE, (exact + away) / ONE
        if low != high:
            raise Unsure
        return low + 0.0


def total(function: plan.Aggregate) -> Total:
    """What keeps a function of values; its expression is none of a plain count."""
    match function.function:
        case "count":
            return Count()
        case "countDistinct":
            return Distinct()
        case "min" | "max":
            return Extreme(0 if function.function == "min" else -1)
        case name:
            type = result_type(function)
            is_float = type is not None and type.name == "Float"
            return Sum(0.0 if is_float else 0, mean=name == "avg")


def is_counted(function: plan.Aggregate, value: Any) -> bool:
    """Whether a value counts: of untyped ones numbers only, but for a count."""
    if value is None:
        return False
    if function.function in ("count", "countDistinct"):
        return True
    return not untyped(type_of(function.of)) or is_number(value)
