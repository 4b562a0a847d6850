"""Limits: how many jobs may run at once, and how many may begin in a time, over all processes."""

from __future__ import annotations

import re

import msgspec

from aurora_db.base.errors import ValidationError

_RATE = re.compile(r"\s*(\d+)\s*/\s*(\d+(?:\.\d+)?)?\s*(ms|s|m|h|d)\s*")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Limit(msgspec.Struct, frozen=True):
    """So many at once, and so many beginnings in `period` seconds; for each value of `key`."""

    concurrency: int | None = None
    count: int | None = None
    period: float | None = None
    key: str | None = None


def limit(concurrency: int | None, rate: str | None, key: str | None = None) -> Limit | None:
    """The limit that these options mean; None when they ask for none.

    Raises:
        ValidationError: one is outside its range.
    """
    if concurrency is None and rate is None:
        if key is not None:
            raise _refused("key", key, "given together with 'concurrency' or 'rate'")
        return None
    if concurrency is not None and (
        isinstance(concurrency, bool)
        or not isinstance(concurrency, int)  # pyright: ignore[reportUnnecessaryIsInstance]
        or concurrency < 1
    ):
        raise _refused("concurrency", concurrency, "a number of jobs from 1")
    if rate is None:
        return Limit(concurrency, key=key)
    found = _RATE.fullmatch(rate) if isinstance(rate, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]
    period = 0.0 if found is None else float(found[2] or 1) * _UNITS[found[3]]
    if found is None or int(found[1]) < 1 or period <= 0:
        raise _refused("rate", rate, 'so many in a time, such as "100/1m"')
    return Limit(concurrency, int(found[1]), period, key)


def _refused(name: str, value: object, wanted: str) -> ValidationError:
    return ValidationError(
        f"'{name}' is {wanted}, got {value!r}", field=name, rule=name, value=value
    )
