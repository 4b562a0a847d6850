"""Keys worked out from payloads: "${customer}" is the value of the payload's `customer`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

from aurora_db.base.codec import encode, plain

_PART = re.compile(r"\$\{([^{}]*)\}")


class Filled(str):
    """A key that is not to be filled in: its values stand in it already."""

    __slots__ = ()


@lru_cache(maxsize=256)
def _parts(template: str) -> tuple[str, ...]:
    """Texts and paths, by turns."""
    return tuple(_PART.split(template))


def is_template(text: str) -> bool:
    """Whether values of a payload have their places in the text."""
    return not isinstance(text, Filled) and len(_parts(text)) > 1


def problem(template: str) -> str | None:
    """What is wrong with a template, or None."""
    if isinstance(template, Filled):
        return None
    parts = _parts(template)
    if any("${" in text for text in parts[::2]):
        return "has a '${' without its '}'"
    if any(not all(path.strip().split(".")) for path in parts[1::2]):
        return "has a '${}' that names nothing"
    return None


def filled(template: str, payload: object, *, strict: bool = False) -> str:
    """The text with the payload's values in it; what is absent is `null`.

    Raises:
        KeyError: with `strict`, something is absent; its argument is the path.
    """
    if not is_template(template):
        return str(template)
    made = [
        part if number % 2 == 0 else _text(_at(payload, part.strip(), strict))
        for number, part in enumerate(_parts(template))
    ]
    return "".join(made)


def _at(value: Any, path: str, strict: bool) -> Any:
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            # A record, or keys that are no texts: as its JSON has them.
            value = plain(value)
        if not isinstance(value, Mapping) or name not in value:
            if strict:
                raise KeyError(path)
            return None
        value = cast("Mapping[str, Any]", value)[name]
    return value


def _text(value: Any) -> str:
    if not isinstance(value, (str, int, float, bool, type(None))):
        value = plain(value)
    return value if isinstance(value, str) else encode(value)
