"""SQL text and its parameters, and the one door for identifiers and values.

Values never enter the text: they travel beside it as parameters. Identifiers enter through
`identifier` only. The texts of triggers cannot have parameters; they use `literal`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Bound:
    """A parameter that is known at execution: takes the variables, gives the stored value."""

    read: Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Statement:
    """Text with `?` places and one parameter for each, a constant or a `Bound`."""

    text: str
    params: tuple[Any, ...] = ()

    def bind(self, variables: Mapping[str, Any]) -> tuple[Any, ...]:
        """The parameters for one execution."""
        return tuple([p.read(variables) if type(p) is Bound else p for p in self.params])


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
