"""Positions in the feed as users hold them: opaque texts that name their database, too."""

from __future__ import annotations

from aurora_db.base.errors import ValidationError


def token(database: str, seq: int) -> str:
    """The position after change number `seq` of a database."""
    return f"{database}-{seq}"


def number(database: str, token: object) -> int:
    """The number of the change that a position stands after.

    Raises:
        ValidationError: it is no position, or one of another database.
    """
    if isinstance(token, str):
        name, dash, digits = token.rpartition("-")
        if dash and digits.isascii() and digits.isdigit() and len(digits) < 20:
            if name == database:
                return int(digits)
            raise ValidationError(
                f"the position {token!r} belongs to another database",
                hint="leave 'since' out, and what matches now comes first", field="since", rule="since", value=token,
            )  # fmt: skip
    raise ValidationError(
        f"{token!r} is no position of the feed",
        hint="give what subscription.position or change.position said", field="since", rule="since", value=token,
    )  # fmt: skip
