"""Regular expressions of `matches` and `@validate`: which are allowed, and searching with them.

The subset is that of RE2: no back-references, no look-around, no possessive quantifiers; `$` is the end
of the text alone. Searching takes time that grows with the text, never exponentially: what `re`, which
backtracks, could take long for is run by an automaton.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from aurora_db.aql.automaton import Automaton
from aurora_db.aql.pattern_parser import Choice, Edge, One, Reader, Refused, Repeat, Sequence, Tree
from aurora_db.base.errors import SecurityError

#: Constructs of regular expressions that a linear-time engine does not have.
NOT_REGULAR: Final = re.compile(r"\\[1-9]|\(\?(?:[=!<>(]|P=|P>)|[*+?}]\+")
LONGEST_PATTERN: Final = 1_000
#: Ways that `re` may try, at most.
MOST_WAYS: Final = 1_000_000
#: Steps of the automaton times characters of the text, at most: some seconds.
MOST_WORK: Final = 50_000_000


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
        _made(pattern)
    except (re.error, OverflowError) as error:
        return f"'pattern' is not a regular expression: {error}"
    except (Refused, RecursionError) as error:
        return f"'pattern' uses {error}, which is not allowed"
    return None


def search(pattern: str, text: str) -> bool:
    """Whether the pattern is found in the text.

    Raises:
        SecurityError: the pattern is refused, or the text is too long for it.
    """
    return _compiled(pattern).search(text)


class Pattern:
    """One pattern of the subset: `re` while it cannot take long, else an automaton."""

    def __init__(self, pattern: str) -> None:
        reader = Reader(pattern)
        tree = reader.read()
        self._re = re.compile(reader.text)
        self._automaton = Automaton(tree)
        open_ended = _open_ended(tree)
        #: Characters of a text for which `re` tries at most `MOST_WAYS` ways.
        self._short = -1 if open_ended is None else int(MOST_WAYS ** (1 / (open_ended + 1)))

    def search(self, text: str) -> bool:
        """Whether it is found in the text."""
        # In an empty text `re` finds no `\B` before Python 3.14, and does from then on.
        if 0 < len(text) <= self._short:
            return self._re.search(text) is not None
        if len(text) * self._automaton.size > MOST_WORK:
            raise SecurityError(
                f"a text of {len(text)} characters is too long for a pattern of this size",
                hint="use a shorter pattern, or @search for words in long texts",
            )
        return self._automaton.search(text)


@lru_cache(maxsize=256)
def _made(pattern: str) -> Pattern:
    return Pattern(pattern)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Pattern:
    problem = pattern_problem(pattern)
    if problem is not None:
        raise SecurityError(problem)
    return _made(pattern)


def _open_ended(tree: Tree) -> int | None:
    """How many parts may have several lengths; None where such parts are inside of one another."""
    match tree:
        case One() | Edge():
            return 0
        case Sequence(parts=parts) | Choice(parts=parts):
            found = [_open_ended(part) for part in parts]
            return None if None in found else sum(one for one in found if one is not None)
        case Repeat(part=part, least=least, most=most):
            inner = _open_ended(part)
            if inner is None or (inner and most != 1) or (most != 1 and _has_choice(part)):
                return None
            return inner if least == most else inner + 1


def _has_choice(tree: Tree) -> bool:
    match tree:
        case Choice():
            return True
        case Sequence(parts=parts):
            return any(map(_has_choice, parts))
        case Repeat(part=part):
            return _has_choice(part)
        case One() | Edge():
            return False
