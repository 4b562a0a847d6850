"""What expressions give of an image, in the form and order that SQL has for it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from aurora_db.aql import plan
from aurora_db.aql.evaluate_expressions import evaluate, plain

#: A document as the feed has it: never to be changed.
Image = Mapping[str, Any]
#: Gives a value of an image: null, a number, a text, or JSON's lists and objects.
Read = Callable[[Image], Any]
#: What documents are sorted by.
Key = tuple[Any, ...]

#: No expression that is kept asks for the present.
_NEVER: Final = dt.datetime(1, 1, 1, tzinfo=dt.UTC)


class Unplaced(Exception):
    """A list or an object, which SQL sorts by its text: only the database knows the place."""


class Down:
    """A value whose order is turned round."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: Down) -> bool:
        return other.value < self.value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Down) and other.value == self.value

    def __hash__(self) -> int:
        return hash(self.value)


def reader(expression: plan.Expression, variables: Mapping[str, Any]) -> Read:
    """What reads the value of an expression that looks into no other document."""
    if not isinstance(expression, plan.Path):
        return lambda image: plain(evaluate(expression, image, variables, _NEVER))
    keys = expression.keys
    if expression.field is not None:
        keys = (expression.field.name, *keys)
    name, more = keys[0], keys[1:]
    if not more:
        return lambda image: image.get(name)

    def read(image: Image) -> Any:
        found: Any = image.get(name)
        for key in more:
            found = cast("Image", found).get(key) if isinstance(found, Mapping) else None
        return found

    return read


def sorter(order: Sequence[plan.Order], variables: Mapping[str, Any]) -> Callable[[Image], Key]:
    """What an order sorts by, without the key that ends it.

    The function raises Unplaced.
    """
    parts = [_part(one, variables) for one in order]
    if len(parts) == 1:
        only = parts[0]
        return lambda image: (only(image),)
    return lambda image: tuple([part(image) for part in parts])


def _part(order: plan.Order, variables: Mapping[str, Any]) -> Callable[[Image], Key]:
    read = reader(order.path, variables)
    descending = order.descending
    first = not descending if order.nulls_first is None else order.nulls_first
    null = (0,) if first else (2,)

    def part(image: Image) -> Key:
        value = read(image)
        if value is None:
            return null
        if isinstance(value, str):
            kind = 1
        elif isinstance(value, (int, float)):
            # Booleans are sorted as 0 and 1.
            kind = 0
        else:
            raise Unplaced
        return (1, Down((kind, value))) if descending else (1, (kind, value))

    return part
