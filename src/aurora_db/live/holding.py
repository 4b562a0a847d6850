"""Debounce and throttle: how long what was heard is held back, and how several changes become one.

Pure: times are given, in seconds of a clock that never runs backwards. Of each document the last
state wins; documents come in the order of their first change.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aurora_db.base.errors import ValidationError
from aurora_db.store.changes import Changed

#: How often the debounce may begin anew: so many times its seconds after the first change it ends.
MOST: Final = 10

#: A change that waits to be taken: its root, the change, whether its document matched before and after.
Heard = tuple[int, Changed, bool, bool]


class Hold:
    """How long what was heard waits until it is said.

    Args:
        debounce: seconds without a change after which it is said; at the latest `MOST` times as many
            after the first one.
        throttle: seconds between what is said and the next.
    """

    def __init__(self, debounce: float = 0.0, throttle: float = 0.0) -> None:
        self.debounce = debounce
        self.throttle = throttle
        self._first: float | None = None
        self._last = 0.0
        self._said: float | None = None

    def came(self, now: float) -> None:
        """Something was heard."""
        if self._first is None:
            self._first = now
        self._last = now

    def waits(self, now: float) -> float | None:
        """Seconds until what was heard may be said; None where nothing was."""
        if self._first is None:
            return None
        ends = min(self._last + self.debounce, self._first + MOST * self.debounce)
        if self._said is not None:
            ends = max(ends, self._said + self.throttle)
        return max(0.0, ends - now)

    def said(self, now: float) -> None:
        """All that was heard is said."""
        self._first, self._said = None, now

    def __repr__(self) -> str:
        return f"Hold(debounce={self.debounce}, throttle={self.throttle})"


def hold(debounce: float = 0.0, throttle: float = 0.0) -> Hold | None:
    """What holds back; None where nothing does.

    Raises:
        ValidationError: a duration is negative or no number.
    """
    for name, value in (("debounce", debounce), ("throttle", throttle)):
        if not 0 <= value < float("inf"):
            raise ValidationError(
                f"'{name}' is a duration of 0 seconds or more, got {value!r}",
                hint=f"{name}(0.05)", field=name, rule=name, value=value,
            )  # fmt: skip
    return Hold(debounce, throttle) if debounce or throttle else None


def merged(heard: Iterable[Heard], start: int, end: int) -> dict[int, list[Heard]]:
    """The same by root, with one change for each document; none where it leaves all as it was.

    Whoever applies it to what the subscription said before has what all of them would have given:
    INSERT then UPDATE is an INSERT of the new state, INSERT then DELETE is nothing, LEAVE then ENTER
    an UPDATE. They stand after `start`, and only the last of the longest list after `end`: whoever goes
    on in the middle gets them again.
    """
    known: dict[tuple[int, str, str], Heard] = {}
    for one in heard:
        n, change, before, after = one
        first = known.get((n, change.collection, change.id), one)
        known[n, change.collection, change.id] = (
            n,
            first[1].joined(change, start),
            first[2],
            after,
        )
    found: dict[int, list[Heard]] = {}
    for one in known.values():
        if one[2] or one[3]:
            found.setdefault(one[0], []).append(one)
    most = max(map(len, found.values()), default=0)
    for of_root in found.values():
        if len(of_root) == most:
            n, change, before, after = of_root[-1]
            of_root[-1] = (n, change.joined(change, end), before, after)
    return found
