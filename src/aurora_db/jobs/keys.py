"""Keys worked out from payloads: "${customer}" is the value of the payload's `customer`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

from aurora_db.base.codec import encode, plain

_PART = re.compile(r"\$\{([^{}]*)\}")


@lru_cache(maxsize=256)
def _parts(template: str) -> tuple[str, ...]:
    """Texts and paths, by turns."""
    return tuple(_PART.split(template))


def filled(template: str, payload: object) -> str:
    """The text with the payload's values in it; what is absent is `null`."""
    parts = _parts(template)
    if len(parts) == 1:
        return template
    root: Any = plain(payload)
    made = [
        part if number % 2 == 0 else _text(_at(root, part)) for number, part in enumerate(parts)
    ]
    return "".join(made)


def _at(value: Any, path: str) -> Any:
    for name in path.strip().split("."):
        if not isinstance(value, Mapping):
            return None
        value = cast("Mapping[str, Any]", value).get(name)
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else encode(value)
