"""Cursors of pages: opaque texts that stand for a place in an order.

A cursor holds the values of the order's keys and a digest of the order, not the document, so that
it stays valid when its document is gone. It is no secret and is not trusted: its values are bound
as parameters.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from aurora_db.aql import plan
from aurora_db.aql.catalog import Collection
from aurora_db.aql.types import INT_MAX, INT_MIN
from aurora_db.base.codec import encode
from aurora_db.base.errors import TypeMismatch

#: What a value of a key may be, as the database stores it.
Scalar = str | int | float | None


def digest(collection: Collection, order: Sequence[plan.Order], search: plan.Search | None) -> str:
    """A short text that differs for another collection or another order."""
    found = [_spelled(one) for one in order]
    if search is not None and not found:
        found = ["_score"]
    spelled = "\0".join([collection.name, *found])
    return hashlib.blake2b(spelled.encode(), digest_size=6).hexdigest()


def _spelled(order: plan.Order) -> str:
    first = not order.descending if order.nulls_first is None else order.nulls_first
    return f"{_named(order.path)} {order.descending:d} {first:d}"


def _named(expression: plan.Expression) -> str:
    match expression:
        case plan.Path(field=field, keys=keys, hops=hops):
            first = () if field is None else (field.name,)
            return ".".join((*(hop.field.name for hop in hops), *first, *keys))
        case plan.Call(function=function, arguments=arguments):
            return f"{function}({','.join(map(_named, arguments))})"
        case plan.Items(items=items):
            return f"[{','.join(map(_named, items))}]"
        case plan.Constant(value=value):
            return encode(value)
        case plan.Variable(name=name):
            return f"${name}"


def written(order: str, values: Sequence[Scalar]) -> str:
    """The cursor of a place: an order's digest, and the values of its keys there."""
    text = binascii.b2a_base64(_ENCODER.encode((order, *values)), newline=False)
    return text.translate(_TO_URL, b"=").decode()


def read(cursor: object, order: str, count: int, argument: str) -> tuple[Scalar, ...]:
    """The values of a cursor, `count` of them.

    Raises:
        TypeMismatch: it is no cursor, or one of another order or collection.
    """
    values = checked(cursor, order, argument)
    if len(values) != count:
        raise _foreign(argument)
    return values


def checked(cursor: object, order: str | None, argument: str) -> tuple[Scalar, ...]:
    """The same where the number of values is not known, nor perhaps the order.

    Raises:
        TypeMismatch: it is no cursor, or one of another order or collection.
    """
    values = _decoded(cursor)
    if values is None:
        raise TypeMismatch(
            f"'{argument}' is not a cursor of a page",
            hint="give an endCursor or startCursor as it came, or null",
        )
    if order is not None and values[0] != order:
        raise _foreign(argument)
    return values[1:]


def _foreign(argument: str) -> TypeMismatch:
    return TypeMismatch(
        f"the cursor of '{argument}' belongs to another collection or another orderBy",
        hint="keep the orderBy while you turn pages, or begin again without a cursor",
    )


def _decoded(cursor: object) -> tuple[Scalar, ...] | None:
    if not isinstance(cursor, str):
        return None
    try:
        text = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return _DECODER.decode(binascii.a2b_base64(text.translate(_FROM_URL, b"+/"))) or None
    except (ValueError, msgspec.DecodeError):
        return None


_ENCODER: Final = msgspec.json.Encoder()
#: Numbers outside the range of Int are none that a database gave.
_Int = Annotated[int, msgspec.Meta(ge=INT_MIN, le=INT_MAX)]
_DECODER: Final = msgspec.json.Decoder(tuple[str | _Int | float | None, ...])
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_FROM_URL: Final = bytes.maketrans(b"-_", b"+/")
