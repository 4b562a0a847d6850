"""SQL text and its parameters, and the one door for identifiers and values.

Values never enter the text: they travel beside it as parameters. Identifiers enter through
`identifier` only. The texts of triggers cannot have parameters; they use `literal`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import msgspec

#: Rows in one statement at most, and characters of its text: longer texts are not kept prepared.
MOST_ROWS: Final = 512
MOST_TEXT: Final = 15_000


class Bound(msgspec.Struct, frozen=True):
    """A parameter that is known at execution: takes the variables, gives the stored value."""

    read: Callable[[Mapping[str, Any]], Any]


class Statement(msgspec.Struct, frozen=True):
    """Text with `?` places and one parameter for each, a constant or a `Bound`."""

    text: str
    params: tuple[Any, ...] = ()

    def bind(self, variables: Mapping[str, Any]) -> tuple[Any, ...]:
        """The parameters for one execution."""
        return tuple([p.read(variables) if type(p) is Bound else p for p in self.params])


class Batch:
    """One statement over many rows of parameters: `head (?,…),(?,…) tail`.

    The driver gives the interpreter's lock back for each step of a statement and then waits for
    it beside busy threads; a statement a row would wait for each row. Lengths are powers of two,
    so that few texts are prepared; what is missing is filled with rows of NULL, which the
    statement must pass over.

    Args:
        head: the text up to and with VALUES.
        width: parameters of a row.
        tail: the text after the rows.
    """

    __slots__ = ("_head", "_most", "_row", "_tail", "_texts", "_width")

    def __init__(self, head: str, width: int, tail: str) -> None:
        self._width = width
        self._head = head
        self._tail = tail
        self._row = "(" + ",".join("?" * width) + ")"
        room = max(1, MOST_TEXT // (len(self._row) + 1))
        self._most = min(MOST_ROWS, 1 << (room.bit_length() - 1))
        self._texts: dict[int, str] = {}

    @classmethod
    def insert(cls, table: str, columns: Sequence[str], ending: str = "") -> Batch:
        """Inserts rows of these columns; the first one is never NULL. `ending` may be ON CONFLICT."""
        names = ", ".join(identifier(name) for name in columns)
        head = f"INSERT INTO {identifier(table)} ({names}) SELECT * FROM (VALUES "
        return cls(head, len(columns), ") WHERE column1 IS NOT NULL" + ending)

    @property
    def most(self) -> int:
        """Rows of one statement, at most."""
        return self._most

    def text(self, rows: int = 1) -> str:
        """The statement for so many rows."""
        known = self._texts.get(rows)
        if known is None:
            known = f"{self._head}{','.join([self._row] * rows)}{self._tail}"
            self._texts[rows] = known
        return known

    def pieces(self, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[str, list[Any]]]:
        """Texts with their parameters that cover all rows, in order."""
        for start in range(0, len(rows), self._most):
            piece = rows[start : start + self._most]
            size = 1 << (len(piece) - 1).bit_length()
            params = list(chain.from_iterable(piece))
            if size > len(piece):
                params.extend([None] * (self._width * (size - len(piece))))
            yield self.text(size), params

    def __repr__(self) -> str:
        return f"Batch({self.text()!r})"


def identifier(name: str) -> str:
    """`name` quoted as an identifier, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str | float | bool | None) -> str:
    """`value` as SQL text; for the stored schema (defaults, checks, triggers) only."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, (int, float)):
        return repr(value)
    quoted = "'" + value.replace("'", "''") + "'"
    # A NUL character would end the text of the statement.
    return quoted if "\0" not in value else "(" + quoted.replace("\0", "' || char(0) || '") + ")"
