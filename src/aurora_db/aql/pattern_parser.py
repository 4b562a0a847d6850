r"""Patterns → trees: what `re` accepts and an automaton can run.

What one character may be (`[a-z]`, `\d`, `.`) stays text for `re`, which knows it best; the tree is
about what follows what. A pattern comes here after `re` has compiled it, so it is well formed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

Test = Callable[[str], bool]


class One(msgspec.Struct, frozen=True):
    """One character that passes a test."""

    test: Test


class Edge(msgspec.Struct, frozen=True):
    """A place between characters: "start", "end", "line start", "line end", "word", "inside"."""

    kind: str


class Sequence(msgspec.Struct, frozen=True):
    """One after the other."""

    parts: tuple[Tree, ...]


class Choice(msgspec.Struct, frozen=True):
    """One of several."""

    parts: tuple[Tree, ...]


class Repeat(msgspec.Struct, frozen=True):
    """So many times; `most` None means without limit."""

    part: Tree
    least: int
    most: int | None


Tree = One | Edge | Sequence | Choice | Repeat


class Refused(Exception):
    """The pattern has something that no automaton can do; the message says what."""


_QUANTIFIER: Final = re.compile(r"\*|\+|\?|\{(\d*)(,?)(\d*)\}")
_CLASS: Final = re.compile(r"\[\^?\]?(?:[^\]\\]|\\.)*\]", re.DOTALL)
_GROUP: Final = re.compile(r"\(\?(?:P<\w+>|([a-zA-Z]*)(?:-([a-zA-Z]+))?([:)]))")
_ESCAPE: Final = re.compile(
    r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|0[0-7]{0,2}|.)", re.DOTALL
)
_EDGES: Final = {r"\A": "start", r"\Z": "end", r"\b": "word", r"\B": "inside"}
_FLAGS: Final = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}


class Reader:
    """Reads one pattern. `text` becomes the same pattern for `re`, where `$` is the end alone."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._written: list[str] = []
        self._tests: dict[tuple[str, int], Test] = {}

    @property
    def text(self) -> str:
        """The pattern for `re`."""
        return "".join(self._written)

    def read(self) -> Tree:
        """The tree of the whole pattern.

        Raises:
            Refused: it has a construct that is not of the subset.
        """
        return self._choice(re.RegexFlag(0))

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _take(self, text: str) -> str:
        self._at += len(text)
        self._written.append(text)
        return text

    def _choice(self, flags: re.RegexFlag) -> Tree:
        parts = [self._sequence(flags)]
        while self._peek() == "|":
            self._take("|")
            parts.append(self._sequence(flags))
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _sequence(self, flags: re.RegexFlag) -> Tree:
        parts: list[Tree] = []
        while self._peek() not in ("", "|", ")"):
            leading = re.match(r"\(\?([a-zA-Z]+)\)", self._pattern[self._at :])
            if leading is not None:
                # Flags of the whole pattern: `re` allows them at its beginning only.
                self._take(leading[0])
                flags |= _flags(leading[1])
                continue
            parts.append(self._repeated(flags))
        return Sequence(tuple(parts))

    def _repeated(self, flags: re.RegexFlag) -> Tree:
        part = self._atom(flags)
        found = _QUANTIFIER.match(self._pattern, self._at)
        if found is None or found[0] == "{}":
            return part
        self._take(found[0])
        if self._peek() == "?":
            # Lazy or not, the same texts match.
            self._take("?")
        word = found[0][0]
        if word != "{":
            return Repeat(part, int(word == "+"), 1 if word == "?" else None)
        least = int(found[1] or 0)
        most = least if not found[2] else int(found[3]) if found[3] else None
        return Repeat(part, least, most)

    def _atom(self, flags: re.RegexFlag) -> Tree:
        match self._peek():
            case "(":
                return self._group(flags)
            case "[":
                found = _CLASS.match(self._pattern, self._at)
                assert found is not None
                return self._one(self._take(found[0]), flags)
            case "^":
                self._take("^")
                return Edge("line start" if flags & re.MULTILINE else "start")
            case "$":
                self._at += 1
                self._written.append("$" if flags & re.MULTILINE else r"\Z")
                return Edge("line end" if flags & re.MULTILINE else "end")
            case "\\":
                found = _ESCAPE.match(self._pattern, self._at)
                assert found is not None
                text = self._take(found[0])
                return Edge(_EDGES[text]) if text in _EDGES else self._one(text, flags)
            case character:
                return self._one(self._take(character), flags)

    def _group(self, flags: re.RegexFlag) -> Tree:
        if not self._pattern.startswith("(?", self._at):
            self._take("(")
        else:
            found = _GROUP.match(self._pattern, self._at)
            if found is None:
                raise Refused(f"'{self._pattern[self._at : self._at + 4]}…'")
            self._take(found[0])
            flags = (flags | _flags(found[1] or "")) & ~_flags(found[2] or "")
        made = self._choice(flags)
        self._take(")")
        return made

    def _one(self, text: str, flags: re.RegexFlag) -> Tree:
        key = (text, int(flags))
        if key not in self._tests:
            fits = re.compile(text, flags).fullmatch
            self._tests[key] = lambda character: fits(character) is not None
        return One(self._tests[key])


def _flags(letters: str) -> re.RegexFlag:
    made = re.RegexFlag(0)
    for letter in letters:
        if letter not in _FLAGS:
            raise Refused(f"the flag '{letter}'")
        made |= _FLAGS[letter]
    return made
