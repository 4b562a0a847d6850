"""The functions on numbers and truth, in Python. Int with Int stays Int; division gives a Float."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from aurora_db.aql.comparing import WrongValue, compare, equal, is_number, truth
from aurora_db.aql.functions_text import whole

#: Digits that rounding looks at, on either side of the point.
MOST_DIGITS: Final = 330


def number(value: Any) -> Any:
    """A value that must be an Int or a Float."""
    if not is_number(value):
        raise WrongValue
    return value


def add(one: Any, other: Any) -> Any:
    """The sum of two numbers, or two texts joined."""
    if isinstance(one, str) and isinstance(other, str):
        return one + other
    return number(one) + number(other)


def subtract(one: Any, other: Any) -> Any:
    """The difference."""
    return number(one) - number(other)


def multiply(one: Any, other: Any) -> Any:
    """The product."""
    return number(one) * number(other)


def divide(one: Any, other: Any) -> float:
    """The quotient, always a Float."""
    return float(number(one)) / float(number(other))


def mod(one: Any, other: Any) -> Any:
    """The remainder, with the sign of the first."""
    number(one)
    number(other)
    if isinstance(one, int) and isinstance(other, int):
        left = abs(one) % abs(other)
        return -left if one < 0 else left
    return math.fmod(one, other)


def negate(value: Any) -> Any:
    """The number with the other sign."""
    return -number(value)


def absolute(value: Any) -> Any:
    """Without its sign."""
    return abs(number(value))


def rounded(value: Any, decimals: Any = None) -> Any:
    """To the nearest, halves away from zero; without `decimals` an Int.

    A Float is rounded as it is written: 2.675 to two decimals is 2.68.
    """
    places = 0 if decimals is None else whole(decimals)
    if isinstance(number(value), int) and places >= 0:
        return value
    if abs(places) > MOST_DIGITS:
        return 0 * value if places < 0 else value
    exact = Decimal(value) if isinstance(value, int) else Decimal(repr(value))
    scaled = exact.scaleb(places, _context(exact, places))
    near = scaled.to_integral_value(ROUND_HALF_UP).scaleb(-places, _context(exact, places))
    return int(near) if decimals is None or isinstance(value, int) else float(near)


def _context(exact: Decimal, places: int) -> Any:
    from decimal import Context  # noqa: PLC0415

    return Context(prec=len(exact.as_tuple().digits) + abs(places) + MOST_DIGITS)


def floor(value: Any) -> int:
    """The greatest Int that is not above."""
    return math.floor(number(value))


def ceil(value: Any) -> int:
    """The least Int that is not below."""
    return math.ceil(number(value))


def power(base: Any, exponent: Any) -> Any:
    """`base` to the power of `exponent`; of Ints an Int where the exponent is not negative."""
    number(base)
    number(exponent)
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
        # Beyond 64 bits the result is null: no need to compute it.
        if abs(base) > 1 and exponent > 64:
            raise OverflowError
        return base**exponent
    return math.pow(base, exponent)


def square_root(value: Any) -> float:
    """The square root."""
    return math.sqrt(number(value))


def sign(value: Any) -> int:
    """-1, 0 or 1."""
    return (number(value) > 0) - (value < 0)


# --- logic ----------------------------------------------------------------------------------


def choose(condition: Any, yes: Any, no: Any = None) -> Any:
    """One of two values."""
    return yes if truth(condition) else no


def both(*values: Any) -> bool:
    """Whether all are true."""
    return all(map(truth, values))


def either(*values: Any) -> bool:
    """Whether one is true."""
    return any(map(truth, values))


def negation(value: Any) -> bool:
    """Whether it is not true."""
    return not truth(value)


def not_equal(one: Any, other: Any) -> bool:
    """Whether they differ."""
    return not equal(one, other)


def greater(one: Any, other: Any) -> bool:
    """Whether the first is greater."""
    return compare(one, other) > 0


def at_least(one: Any, other: Any) -> bool:
    """Whether the first is greater or equal."""
    return compare(one, other) >= 0


def less(one: Any, other: Any) -> bool:
    """Whether the first is less."""
    return compare(one, other) < 0


def at_most(one: Any, other: Any) -> bool:
    """Whether the first is less or equal."""
    return compare(one, other) <= 0


def is_null(value: Any) -> bool:
    """Whether it is null."""
    return value is None


def is_not_null(value: Any) -> bool:
    """Whether it is not null."""
    return value is not None


def coalesce(*values: Any) -> Any:
    """The first that is not null."""
    return next((one for one in values if one is not None), None)


def case(*values: Any) -> Any:
    """The value after the first condition that is true; else the last of an odd number."""
    for n in range(0, len(values) - 1, 2):
        if truth(values[n]):
            return values[n + 1]
    return values[-1] if len(values) % 2 else None
