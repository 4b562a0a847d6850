"""Regular expressions of `matches` and `@validate`: which are allowed, and searching with them.

The subset is that of RE2: no back-references, no look-around, no possessive quantifiers; and `$` is
the end of the text alone.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from aurora_db.base.errors import SecurityError

#: Constructs of regular expressions that a linear-time engine does not have.
NOT_REGULAR: Final = re.compile(r"\\[1-9]|\(\?(?:[=!<>(]|P=|P>)|[*+?}]\+")
LONGEST_PATTERN: Final = 1_000


def pattern_problem(pattern: Any) -> str | None:
    """Why a pattern is refused, or None."""
    if not isinstance(pattern, str):
        return "'pattern' is a regular expression in quotes"
    if len(pattern) > LONGEST_PATTERN:
        return f"'pattern' has at most {LONGEST_PATTERN} characters"
    if NOT_REGULAR.search(pattern):
        return "'pattern' uses a back-reference, a look-around or a possessive quantifier, which are not allowed"
    try:
        re.compile(pattern)
    except re.error as error:
        return f"'pattern' is not a regular expression: {error}"
    return None


def search(pattern: str, text: str) -> bool:
    """Whether the pattern is found in the text.

    Raises:
        SecurityError: the pattern is refused.
    """
    return compiled(pattern).search(text) is not None


@lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, made once.

    Raises:
        SecurityError: it is refused.
    """
    problem = pattern_problem(pattern)
    if problem is not None:
        raise SecurityError(problem)
    return re.compile(pattern)
