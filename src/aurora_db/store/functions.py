"""The SQL functions that every connection of ours has. Their names begin with `aurora_`.

Stored definitions (tables, triggers) use none of them, for another program could then not write.
What they need is imported when one is first called, so that opening a database stays quick.
"""

from __future__ import annotations

from typing import Any


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


def register(connection: Any) -> None:
    """Give a connection the functions."""
    add = connection.create_scalar_function
    add("aurora_matches", matches, 2, deterministic=True)
    add("aurora_fold", fold, 1, deterministic=True)
