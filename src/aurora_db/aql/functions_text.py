"""The functions on texts, in Python. Arguments are what the table says, else `WrongValue`."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final, cast

from aurora_db.aql.comparing import WrongValue, equal, text_of

#: What `trim` takes off: the white space of Unicode.
SPACES: Final = "".join([chr(n) for n in range(0x3001) if chr(n).isspace()])
#: Characters of a padded text, at most.
WIDEST: Final = 1_000_000

_HOLE: Final = re.compile(r"\{\{|\}\}|\{(\d*)\}")


def text(value: Any) -> str:
    """A value that must be a text."""
    if not isinstance(value, str):
        raise WrongValue
    return value


def whole(value: Any) -> int:
    """A value that must be an Int."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise WrongValue
    return value


def concat(*parts: Any) -> str:
    """The texts of all parts, one after the other."""
    return "".join(map(text_of, parts))


def upper(value: Any) -> str:
    """In upper case."""
    return text(value).upper()


def lower(value: Any) -> str:
    """In lower case."""
    return text(value).lower()


def trim(value: Any) -> str:
    """Without white space at both ends."""
    return text(value).strip(SPACES)


def substring(value: Any, start: Any, length: Any = None) -> str:
    """`length` characters from place `start`, counted from 0, or from the end where negative."""
    found, first = text(value), whole(start)
    first = max(0, len(found) + first) if first < 0 else first
    return found[first:] if length is None else found[first : first + max(0, whole(length))]


def replace(value: Any, old: Any, new: Any) -> str:
    """With every `old` replaced; an empty `old` is nowhere."""
    found = text(value)
    return found.replace(text(old), text(new)) if text(old) else found


def length(value: Any) -> int:
    """Characters of a text, elements of a list."""
    if not isinstance(value, (str, list)):
        raise WrongValue
    return len(cast("str | list[Any]", value))


def split(value: Any, separator: Any) -> list[str]:
    """The parts between separators; an empty separator parts all characters."""
    return text(value).split(text(separator)) if text(separator) else list(text(value))


def join(values: Any, separator: Any = "") -> str:
    """The texts of the elements with a separator between them; nulls are left out."""
    if not isinstance(values, list):
        raise WrongValue
    found = [text_of(one) for one in cast("list[Any]", values) if one is not None]
    return text(separator).join(found)


def starts_with(value: Any, start: Any) -> bool:
    """Whether it begins so."""
    return text(value).startswith(text(start))


def ends_with(value: Any, end: Any) -> bool:
    """Whether it ends so."""
    return text(value).endswith(text(end))


def contains(value: Any, part: Any) -> bool:
    """Whether a text has this part, or a list this element."""
    if isinstance(value, list):
        return any(equal(one, part) for one in cast("list[Any]", value))
    return text(part) in text(value)


def truncate(value: Any, size: Any) -> str:
    """At most `size` characters; where something is cut, the last one is "…"."""
    found, most = text(value), max(0, whole(size))
    if len(found) <= most:
        return found
    return found[: most - 1] + "…" if most else ""


def pad_left(value: Any, size: Any, fill: Any = " ") -> str:
    """At least `size` characters, filled on the left."""
    found = text(value)
    return _filling(found, size, fill) + found


def pad_right(value: Any, size: Any, fill: Any = " ") -> str:
    """At least `size` characters, filled on the right."""
    found = text(value)
    return found + _filling(found, size, fill)


def _filling(found: str, size: Any, fill: Any) -> str:
    missing, pattern = whole(size) - len(found), text(fill)
    if missing <= 0 or not pattern:
        return ""
    if missing > WIDEST:
        raise WrongValue
    return (pattern * (missing // len(pattern) + 1))[:missing]


def format(pattern: Any, *values: Any) -> str:
    """The pattern with `{}` replaced by the values in turn, `{0}` by the first; `{{` is a brace."""
    turn = iter(range(len(values)))

    def hole(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        place = int(match[1]) if match[1] else next(turn, len(values))
        if place >= len(values):
            raise WrongValue
        return text_of(values[place])

    return _HOLE.sub(hole, text(pattern))


def slug(value: Any) -> str:
    """Lower-case letters and digits of ASCII with hyphens between: fit for an address."""
    plain = unicodedata.normalize("NFKD", text(value)).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
