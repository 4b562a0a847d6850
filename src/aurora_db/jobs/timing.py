"""Retry policies: when a failed job may run again.

A policy is a pure function from the number of failures to a delay. Nothing here reads a
clock or touches the database; the queue adds the delay to *its* clock and keeps `run_at`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

import msgspec

from aurora_db.base.codec import seconds
from aurora_db.base.errors import ValidationError

#: A policy written in Python; for a job type only, for a function has no form in the table.
Policy = Callable[[int], float]


class Exponential(msgspec.Struct, frozen=True):
    """`base * 2**(failures - 1)` seconds, at most `cap`, 10 % either way.

    The jitter keeps jobs that failed together from returning together.

    Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    base: float = 5.0
    cap: float = 3600.0

    def delay(self, failures: int, *, rng: Callable[[], float] = random.random) -> float:
        """Seconds before the next attempt; `failures` counts from 1, `rng` gives [0, 1)."""
        _check_failures(failures)
        # Beyond 2**60 every cap is reached.
        plain = min(self.cap, self.base * 2.0 ** min(failures - 1, 60))
        return plain * (0.9 + 0.2 * rng())


class Linear(msgspec.Struct, frozen=True):
    """`step * failures` seconds, at most `cap`."""

    step: float
    cap: float = 3600.0

    def delay(self, failures: int, *, rng: Callable[[], float] = random.random) -> float:
        """Seconds before the next attempt."""
        del rng
        _check_failures(failures)
        return min(self.cap, self.step * failures)


class Delays(msgspec.Struct, frozen=True):
    """The delays one after the other, the last one again and again."""

    seconds: tuple[float, ...]

    def delay(self, failures: int, *, rng: Callable[[], float] = random.random) -> float:
        """Seconds before the next attempt."""
        del rng
        _check_failures(failures)
        return self.seconds[min(failures, len(self.seconds)) - 1]


Backoff = Exponential | Linear | Delays

DEFAULT = Exponential()


def _check_failures(failures: int) -> None:
    if failures < 1:
        raise ValueError(f"failures count from 1, not {failures}")


def backoff(value: object) -> Backoff:
    """The policy that a user wrote: seconds, a list of them, or an object with its kind.

    `{"kind": "exponential", "base": 5, "cap": 3600}`, `{"kind": "linear", "step": 2}`.

    Raises:
        ValidationError: it is none of these.
    """
    match value:
        case Exponential() | Linear() | Delays():
            return value
        case bool():
            pass
        case int() | float() | timedelta():
            return Delays((_duration(value),))
        case list() | tuple() if value:
            items = cast("Sequence[object]", value)
            return Delays(tuple(_duration(item) for item in items))
        case Mapping():
            return _from_object(dict(cast("Mapping[str, Any]", value)))
        case _:
            pass
    raise _refused(value)


def _from_object(value: dict[str, Any]) -> Backoff:
    kind = value.pop("kind", None)
    allowed = {"exponential": ("base", "cap"), "linear": ("step", "cap")}.get(cast("str", kind))
    if allowed is None or not set(value) <= set(allowed):
        raise _refused({"kind": kind, **value})
    numbers = {name: _duration(one) for name, one in value.items()}
    if kind == "exponential":
        return Exponential(**numbers)
    if "step" not in numbers:
        raise _refused({"kind": kind, **value})
    return Linear(**numbers)


def _duration(value: object) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float, timedelta))
        or not 0 <= seconds(value) < math.inf
    ):
        raise _refused(value)
    return seconds(value)


def _refused(value: object) -> ValidationError:
    return ValidationError(
        f"{value!r} is not a back-off",
        hint='give seconds from 0, a list of them, or {"kind": "exponential", "base": 5, "cap": 3600}',
        field="backoff",
        rule="backoff",
        value=value,
    )


def stored(policy: Backoff) -> list[float] | dict[str, float | str]:
    """The JSON form that `backoff` reads."""
    match policy:
        case Delays(seconds=delays):
            return list(delays)
        case Linear(step=step, cap=cap):
            return {"kind": "linear", "step": step, "cap": cap}
        case Exponential(base=base, cap=cap):
            return {"kind": "exponential", "base": base, "cap": cap}
