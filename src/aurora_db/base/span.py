"""A range of characters in a text, for errors to point at.

Most places of a text are never asked for. So a parser counts in tokens, and where a token begins
and ends is looked up when somebody wants to know.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import msgspec


class Places(Protocol):
    """What knows where the tokens of a text begin and end."""

    def start(self, index: int) -> int:
        """Where the token begins, in characters."""
        ...

    def end(self, index: int) -> int:
        """Where the token ends, exclusive."""
        ...


class Span(msgspec.Struct, frozen=True, gc=False, eq=False):
    """From `start` to `end`, exclusive, in characters of a text.

    `first` and `last` are these two numbers, or the first and the last token of `places`.
    """

    first: int
    last: int
    places: Places | None = None

    @property
    def start(self) -> int:
        """Where it begins."""
        return self.first if self.places is None else self.places.start(self.first)

    @property
    def end(self) -> int:
        """Where it ends, exclusive."""
        return self.last if self.places is None else self.places.end(self.last)

    def counted(self) -> Span:
        """The same in characters, without the text behind it."""
        return self if self.places is None else Span(self.start, self.end)

    def __iter__(self) -> Iterator[int]:
        return iter((self.start, self.end))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Span) and (self.start, self.end) == (other.start, other.end)

    def __hash__(self) -> int:
        return hash((self.start, self.end))

    def __repr__(self) -> str:
        return f"Span({self.start}, {self.end})"


__all__ = ["Places", "Span"]
