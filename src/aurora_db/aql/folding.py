"""Comparing without regard to case: Unicode simple folding, one character for one.

The length of a text never changes, so that places found in the folded text are places in the
text itself; therefore "ß" and "ss" stay different.
"""

from __future__ import annotations

from functools import lru_cache


def fold(text: str) -> str:
    """The text with each character folded.

    Source: Unicode, CaseFolding.txt, the mappings of status C and S.
    """
    if text.isascii():
        return text.lower()
    full = text.casefold()
    # Full folding only ever lengthens; of the same length it is the simple one.
    return full if len(full) == len(text) else "".join([_one(character) for character in text])


@lru_cache(maxsize=4_096)
def _one(character: str) -> str:
    full = character.casefold()
    if len(full) == 1:
        return full
    lower = character.lower()
    return lower if len(lower) == 1 else character
