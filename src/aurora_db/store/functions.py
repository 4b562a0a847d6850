"""The SQL functions that every connection of ours has. Their names begin with `aurora_`.

Stored definitions (tables, triggers) use none of them, for another program could then not write.
What they need is imported when one is first called, so that opening a database stays quick.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import msgspec

from aurora_db.base.ids import new_id

#: Calls that are kept ready: a function and the forms of its arguments.
MOST_READY: Final = 1_000


def matches(text: Any, pattern: Any) -> int | None:
    """Whether a text matches a pattern; null of null, false of what is no text.

    Raises:
        SecurityError: the pattern is refused.
    """
    from aurora_db.aql.patterns import search  # noqa: PLC0415

    if text is None or pattern is None:
        return None
    return int(isinstance(text, str) and search(pattern, text))


def fold(text: Any) -> Any:
    """A text without its differences of case; anything else as it is."""
    from aurora_db.aql.folding import fold as folded  # noqa: PLC0415

    return folded(text) if isinstance(text, str) else text


def call(name: str, shape: str, *arguments: Any) -> Any:
    """A function of the function table over values in the forms that `shape` names.

    `shape` has a letter for each argument and, after ">", one for the result: "n" a number or a text,
    "f" a Float, "b" a Boolean as 0 or 1, "j" JSON text.
    """
    ready = _READY.get((name, shape))
    if ready is None:
        from aurora_db.aql import functions  # noqa: PLC0415

        if len(_READY) >= MOST_READY:
            _READY.clear()
        function = functions.TABLE[name]
        forms, _, form = shape.partition(">")
        readers = tuple([_READERS[one] for one in forms])
        ready = _READY[name, shape] = (partial(functions.call, function), readers, form)
    run, readers, form = ready
    values = [read(value) for read, value in zip(readers, arguments, strict=False)]
    found = run(values)
    if found is None:
        return None
    if form == "j":
        return _JSON.encode(found).decode()
    return float(found) if form == "f" else found


def compare(op: str, form: str, value: Any, wanted: str) -> int:
    """Whether an operator of a where holds between a value in a form and one in JSON."""
    from aurora_db.aql.matching import holds  # noqa: PLC0415

    return int(holds(op, _READERS[form](value), _read_json(wanted)))


def whole(value: Any) -> Any:
    """An Int as it is; what left its range is null."""
    return value if isinstance(value, int) else None


def finite(value: Any) -> Any:
    """A finite Float as it is; what left its range is null."""
    return value + 0.0 if isinstance(value, float) and math.isfinite(value) else None


def register(connection: Any) -> None:
    """Give a connection the functions."""
    add = connection.create_scalar_function
    add("aurora_matches", matches, 2, deterministic=True)
    add("aurora_fold", fold, 1, deterministic=True)
    add("aurora_call", call, -1, deterministic=True)
    add("aurora_compare", compare, 4, deterministic=True)
    add("aurora_whole", whole, 1, deterministic=True)
    add("aurora_finite", finite, 1, deterministic=True)
    add("aurora_uuid", new_id, 0)


def register_now(connection: Any, now: Callable[[], str]) -> None:
    """Give a connection `aurora_now()`: the text of the instant of its present operation."""
    connection.create_scalar_function("aurora_now", now, 0, deterministic=True)


def _same(value: Any) -> Any:
    return value


def _read_boolean(value: Any) -> bool | None:
    return None if value is None else bool(value)


def _read_json(value: Any) -> Any:
    return None if value is None else _decode(value)


_JSON: Final = msgspec.json.Encoder()
_decode: Final = msgspec.json.Decoder[Any]().decode
_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "n": _same,
    "b": _read_boolean,
    "j": _read_json,
}
#: What a call needs, by the function and the forms.
_READY: Final[dict[tuple[str, str], tuple[Any, tuple[Callable[[Any], Any], ...], str]]] = {}
