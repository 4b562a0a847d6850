"""The nearest name, for hints."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, whatever its case, or None."""
    import difflib  # noqa: PLC0415 - for errors only

    by_fold = {one.casefold(): one for one in known}
    folded = name.casefold().removeprefix("$")
    # `inc` is the beginning of `increment`, though `min` has more of its letters.
    longer = [one for one in by_fold if len(folded) > 2 and one.startswith(folded)]
    found = longer[:1] if len(longer) == 1 else difflib.get_close_matches(folded, by_fold, 1, 0.6)
    return by_fold[found[0]] if found else None


def hint(name: str, known: Iterable[str], otherwise: str | None = None) -> str | None:
    """A question for the nearest name, or `otherwise`."""
    found = nearest(name, known)
    return otherwise if found is None else f"did you mean '{found}'?"
