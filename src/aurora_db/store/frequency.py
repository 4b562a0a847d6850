"""How often a key was asked for lately: a Count-Min sketch, small whatever the keys are.

Each key counts in one byte of every row; the least of its bytes is the estimate, which is never too
low and now and then too high. When as many were counted as say something of the present, all bytes
are halved, so that what was wanted yesterday does not keep out what is wanted today.

Source: Cormode and Muthukrishnan, "An Improved Data Stream Summary: The Count-Min Sketch and its
Applications", 2005; its use here: Einziger, Friedman and Manes, "TinyLFU", 2017.
"""

from __future__ import annotations

from typing import Final

#: The most that a byte counts to: more would say nothing of who is wanted more *lately*.
MOST: Final = 15
#: Places of a row for each entry that is kept.
PLACES: Final = 8
#: Counted keys for each entry, after which all counts are halved: with 10, as in the paper, a Zipf trace
#: loses two points of its hit ratio.
SAMPLE: Final = 20
#: Places of a row in the beginning.
FEWEST: Final = 1024

_HALVED: Final = bytes(n // 2 for n in range(256))


class Sketch:
    """Estimates for any number of keys, given as their hashes."""

    __slots__ = ("_counted", "_first", "_mask", "_sample", "_second")

    def __init__(self) -> None:
        self._first = bytearray(FEWEST)
        self._second = bytearray(FEWEST)
        self._mask = FEWEST - 1
        self._counted = 0
        self._sample = FEWEST // PLACES * SAMPLE

    def add(self, hashed: int, times: int = 1) -> None:
        """Count a key."""
        row, place = self._first, hashed & self._mask
        count = row[place] + times
        row[place] = min(MOST, count)
        row, place = self._second, (hashed * _ODD >> 31) & self._mask
        count = row[place] + times
        row[place] = min(MOST, count)
        self._counted += times
        if self._counted >= self._sample:
            self._first = self._first.translate(_HALVED)
            self._second = self._second.translate(_HALVED)
            self._counted //= 2

    def estimate(self, hashed: int) -> int:
        """How often a key was counted lately, 0 to MOST."""
        first = self._first[hashed & self._mask]
        second = self._second[(hashed * _ODD >> 31) & self._mask]
        return first if first < second else second  # noqa: FURB136 - half of the time of `min`

    def fit(self, entries: int) -> None:
        """Be large enough for so many entries; what is known stays."""
        while self._mask + 1 < entries * PLACES:
            # A place is a hash modulo the size: in twice the size each key has either of two, alike.
            self._first = self._first * 2
            self._second = self._second * 2
            self._mask = 2 * self._mask + 1
        self._sample = max(self._sample, entries * SAMPLE)

    @property
    def size(self) -> int:
        """Its bytes."""
        return 2 * (self._mask + 1)

    def __repr__(self) -> str:
        return f"Sketch({self._mask + 1} places)"


#: Spreads a hash over the second row otherwise than over the first.
_ODD: Final = 0x9E3779B97F4A7C15

__all__ = ["Sketch"]
