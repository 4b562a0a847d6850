"""Cells of a CSV file ⇄ values. Pure; a file has only texts, a field has a type.

An empty cell is null. In a column that is no text, NA, NaN and null are null too, unless other words
are given; those then count in every column.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any, Final, cast

from aurora_db.aql import types
from aurora_db.aql.catalog import Type
from aurora_db.base.codec import decode, encode, timestamp

NULLS: Final = frozenset({"NA", "NaN", "null"})
BOOLEANS: Final = {"true": True, "false": False, "1": True, "0": False}

Converter = Callable[[str], Any]


def converter(name: str, type: Type | None, null_values: Iterable[str] | None) -> Converter:
    """What makes a value of a cell in the column of `name`; it raises TypeMismatch."""
    kind = "String" if type is None else type.name
    if null_values is not None:
        nulls = frozenset(("", *null_values))
    else:
        nulls = frozenset(("",)) if kind in types.TEXT else frozenset(("", *NULLS))
    read = _READERS.get(kind)

    def convert(cell: str) -> Any:
        if cell in nulls:
            return None
        if read is None:
            return cell
        try:
            return read(cell)
        except ValueError:
            raise types.mismatch(f"field '{name}'", cast("Type", type), cell) from None

    return convert


def _int(cell: str) -> int | float:
    if "_" in cell:
        raise ValueError(cell)
    try:
        return int(cell)
    except ValueError:
        # 517.0 is a whole number; what has a fraction is refused by the field's type.
        return float(cell)


def _float(cell: str) -> float:
    if "_" in cell:
        raise ValueError(cell)
    return float(cell)


def _boolean(cell: str) -> bool:
    found = BOOLEANS.get(cell.lower())
    if found is None:
        raise ValueError(cell)
    return found


def _json(cell: str) -> Any:
    return decode(cell)


_READERS: Final[dict[str, Converter]] = {
    "Int": _int, "Float": _float, "Boolean": _boolean, "JSON": _json, "Any": _json, "Object": _json,
    "List": _json, "Inline": _json,
}  # fmt: skip


class Guess:
    """The type that a whole column fits: Int, Float, Boolean, else String."""

    _ORDER: Final = ("Int", "Float", "Boolean")

    def __init__(self, null_values: Iterable[str] | None) -> None:
        self._nulls = frozenset(("", *(NULLS if null_values is None else null_values)))
        self._fits = list(self._ORDER)

    def see(self, cell: str) -> None:
        """Take one more cell into account."""
        if cell in self._nulls or not self._fits:
            return
        self._fits = [kind for kind in self._fits if self._is(kind, cell)]

    @staticmethod
    def _is(kind: str, cell: str) -> bool:
        match kind:
            case "Int":
                digits = cell.removeprefix("-")
                # A number with leading zeros is a code, such as a postal one.
                plain = (
                    digits.isascii() and digits.isdigit() and (digits == "0" or digits[0] != "0")
                )
                return plain and types.INT_MIN <= int(cell) <= types.INT_MAX
            case "Float":
                return _looks_like_float(cell)
            case _:
                return cell.lower() in ("true", "false")

    def type(self) -> Type:
        """The type found; of a column without values one in which all of them are null."""
        return Type(name=self._fits[0] if self._fits else "String")


def _looks_like_float(cell: str) -> bool:
    digits = cell.removeprefix("-")
    if not digits[:1].isdigit() or (digits[0] == "0" and digits[1:2].isdigit()):
        return False
    try:
        return abs(_float(cell)) != float("inf")
    except ValueError:
        return False


def cell_of(value: Any) -> str:
    """The cell that a value is written as."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case dt.datetime():
            return timestamp(value)
        case dt.date() | dt.time():
            return value.isoformat()
        case float():
            return repr(value)
        case int():
            return str(value)
        case _:
            return encode(value)


__all__ = ["Converter", "Guess", "cell_of", "converter"]
