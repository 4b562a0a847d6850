"""Python ⇄ JSON, and instants ⇄ text.

`encode` writes what the wire and the file carry; `decode` reads it back as plain Python.
Instants are text of fixed width, `YYYY-MM-DDTHH:MM:SS.ffffffZ`, so that they sort as text.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import msgspec

from aurora_db.base.errors import TypeMismatch, ValidationError

T = TypeVar("T")


def timestamp(instant: dt.datetime) -> str:
    """The text of an aware instant, UTC, always with six digits of microseconds.

    Raises:
        ValidationError: the instant is naive, or outside the years 1 to 9999.
    """
    if getattr(instant, "tzinfo", None) is None:
        raise ValidationError(
            "a DateTime needs a time zone", hint="use datetime.now(UTC)", rule="type", value=instant
        )
    if instant.tzinfo is not dt.UTC:
        try:
            instant = instant.astimezone(dt.UTC)
        except OverflowError:
            raise ValidationError(
                f"{instant.isoformat()} lies outside the years 1 to 9999 of UTC",
                rule="type", value=instant,
            ) from None  # fmt: skip
    # Ten times faster than `isoformat`; a whole second comes without its digits.
    text: str = msgspec.to_builtins(instant)
    return text if len(text) == 27 else text[:19] + ".000000Z"


def instant(text: str) -> dt.datetime:
    """The aware UTC instant of a text that `timestamp` wrote."""
    return dt.datetime.fromisoformat(text)


#: Seconds of the units that durations are written in.
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def seconds(value: float | dt.timedelta) -> float:
    """A duration in seconds, given as a number or a `timedelta`."""
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def storable(text: str) -> str:
    """`text` with what UTF-8 cannot write spelled out: file names may have such characters."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def encode(value: object) -> str:
    """The JSON text of `value`.

    Datetimes, dates, times, UUIDs, dataclasses, `msgspec.Struct` and pydantic models are
    accepted besides what JSON knows.

    Raises:
        ValidationError: something in `value` has no JSON form, or is NaN or infinite.
    """
    try:
        text = _ENCODER.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValidationError(f"cannot be written as JSON: {error}", rule="json") from error
    # msgspec writes NaN and infinity as null: a value would be lost silently.
    if b"null" in text:
        _refuse_not_finite(value)
    return text.decode()


def decode(text: str | bytes) -> Any:
    """The plain Python value of a JSON text."""
    return _DECODER.decode(text)


def _hook(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    raise TypeError(f"a value of type '{type(value).__name__}' has no JSON form")


def _refuse_not_finite(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValidationError(f"{value} is not a JSON number", rule="json", value=value)
    if isinstance(value, Mapping):
        for item in value.values():
            _refuse_not_finite(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            _refuse_not_finite(item)


def plain(value: object) -> Any:
    """`value` as the plain JSON types that `decode(encode(value))` would give."""
    return decode(encode(value))


def own(value: Any) -> Any:
    """A copy of JSON values, so that nobody changes what others hold."""
    if isinstance(value, dict):
        return {key: own(one) for key, one in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [own(one) for one in cast("list[Any]", value)]
    return value


def convert(document: Any, type: type[T]) -> T:
    """`document` as a record: a dataclass, a `msgspec.Struct` or a TypedDict.

    Raises:
        TypeMismatch: it is no such record.
    """
    try:
        return msgspec.convert(document, type)
    except msgspec.ValidationError as error:
        raise TypeMismatch(f"the document is no '{type.__name__}': {error}") from error


_ENCODER = msgspec.json.Encoder(enc_hook=_hook)
_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder()

__all__ = ["convert", "decode", "encode", "instant", "own", "plain", "seconds", "timestamp"]
