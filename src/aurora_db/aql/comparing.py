"""Values at run time: their text, truth, equality and order, as expressions mean them.

A value is null, a Boolean, an Int of 64 bits, a finite Float, a text, a list or an object. Dates are
their stored text. Numbers are equal by value; a Boolean is no number; texts are ordered by code point.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

from aurora_db.aql.types import INT_MAX, INT_MIN
from aurora_db.base.codec import encode


class WrongValue(Exception):
    """A value of another type than the function takes: the result is null."""


def number_text(value: float) -> str:
    """The text of a Float that reads back as the same one, always with a point."""
    short = f"{value:.15g}"
    if float(short) != value:
        short = repr(value)
    mantissa, sign, exponent = short.partition("e")
    return (mantissa if "." in mantissa else mantissa + ".0") + sign + exponent


def text_of(value: Any) -> str:
    """The value as a part of a longer text; null as nothing."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int():
            return str(value)
        case float():
            return number_text(value)
        case _:
            return encode(value)


def truth(value: Any) -> bool:
    """Whether a value counts as true: all but false, null, 0, "" and []."""
    return value == {} or bool(value)


def is_number(value: Any) -> bool:
    """Whether it is an Int or a Float."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def equal(one: Any, other: Any) -> bool:
    """Whether two values are equal, to their depth; values of different kinds are not."""
    match one:
        case bool() | None:
            return one is other
        case int() | float():
            return is_number(other) and one == other
        case str():
            return isinstance(other, str) and one == other
        case list():
            return (
                isinstance(other, list)
                and len(cast("list[Any]", one)) == len(cast("list[Any]", other))
                and all(map(equal, cast("list[Any]", one), cast("list[Any]", other)))
            )
        case _:
            return (
                isinstance(other, Mapping)
                and one.keys() == cast("Mapping[str, Any]", other).keys()
                and all(equal(value, other[key]) for key, value in one.items())
            )


def compare(one: Any, other: Any) -> int:
    """Below, at or above 0 as `one` is less than, equal to or greater than `other`.

    Raises:
        WrongValue: the two have no order.
    """
    same: bool = (
        (is_number(one) and is_number(other))
        or (isinstance(one, str) and isinstance(other, str))
        or (isinstance(one, bool) and isinstance(other, bool))
    )
    if not same:
        raise WrongValue
    left, right = cast("Any", one), cast("Any", other)
    return (left > right) - (left < right)


def rank(value: Any) -> tuple[int, Any]:
    """A key that sorts values of any kind: null, Booleans, numbers, texts, then the rest by JSON."""
    match value:
        case None:
            return (0, 0)
        case bool():
            return (1, value)
        case int() | float():
            return (2, value)
        case str():
            return (3, value)
        case _:
            return (4, encode(value))


def kept(value: Any) -> Any:
    """A result as it may be kept: out of the range of Int or not finite is null."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if INT_MIN <= value <= INT_MAX else None
    if isinstance(value, float):
        # Adding 0.0 takes the sign from a zero, as SQL does.
        return value + 0.0 if math.isfinite(value) else None
    return value
