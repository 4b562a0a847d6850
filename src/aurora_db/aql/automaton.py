"""Searching with a pattern in time that grows with the text alone, whatever the pattern.

The tree becomes a program of steps; a state is the set of steps that the text so far can have led to.
States and their successors are made when a text first needs them, and kept.

Source: Thompson, "Regular Expression Search Algorithm", 1968; Cox, "Regular Expression Matching
Can Be Simple And Fast", 2007.
"""

from __future__ import annotations

from typing import Final

import msgspec

from aurora_db.aql.pattern_parser import Choice, Edge, One, Refused, Repeat, Sequence, Test, Tree

#: Steps of a program, at most.
MOST_STEPS: Final = 2_000
#: States that are kept; then all are forgotten.
MOST_STATES: Final = 2_000
#: Characters of a state's known successors.
MOST_KNOWN: Final = 512

_START, _NEWLINE, _WORD, _OTHER, _END = range(5)


class _Step(msgspec.Struct):
    """One step: a test of a character, an edge, or a fork to `to`; the last one has none of them."""

    test: Test | None = None
    edge: str = ""
    to: tuple[int, ...] = ()


class _State:
    """Steps to be taken after a character of a kind; what follows each next character."""

    __slots__ = ("before", "known", "steps")

    def __init__(self, steps: frozenset[int], before: int) -> None:
        self.steps = steps
        self.before = before
        #: None means that the pattern is found.
        self.known: dict[str, _State | None] = {}


class Automaton:
    """One pattern, ready to search.

    Raises:
        Refused: it has too many steps, as counted repetitions of repetitions make.
    """

    def __init__(self, tree: Tree) -> None:
        self._steps: list[_Step] = []
        self._compile(tree)
        self._add(_Step())
        self._states: dict[tuple[frozenset[int], int], _State] = {}

    @property
    def size(self) -> int:
        """How many steps the program has."""
        return len(self._steps)

    def search(self, text: str) -> bool:
        """Whether the pattern is found anywhere in the text."""
        state = self._state(frozenset(), _START)
        for character in text:
            try:
                found = state.known[character]
            except KeyError:
                found = self._successor(state, character)
            if found is None:
                return True
            state = found
        return self._last in self._reached(state, _END)

    # --- states -----------------------------------------------------------------------------

    @property
    def _last(self) -> int:
        return len(self._steps) - 1

    def _state(self, steps: frozenset[int], before: int) -> _State:
        key = (steps, before)
        state = self._states.get(key)
        if state is None:
            if len(self._states) >= MOST_STATES:
                # Another thread may still go from an old one: they stay right, only unshared.
                self._states = {}
            state = self._states[key] = _State(steps, before)
        return state

    def _successor(self, state: _State, character: str) -> _State | None:
        kind = _kind(character)
        reached = self._reached(state, kind)
        found: _State | None = None
        if self._last not in reached:
            steps = self._steps
            after = [n + 1 for n in reached if (test := steps[n].test) and test(character)]
            found = self._state(frozenset(after), kind)
        if len(state.known) < MOST_KNOWN:
            state.known[character] = found
        return found

    def _reached(self, state: _State, after: int) -> set[int]:
        """The steps that stand at a test or at the end; the search may begin here, too."""
        waiting = [0, *state.steps]
        seen: set[int] = set()
        while waiting:
            n = waiting.pop()
            if n in seen:
                continue
            seen.add(n)
            step = self._steps[n]
            if step.to:
                waiting.extend(step.to)
            elif step.edge and _holds(step.edge, state.before, after):
                waiting.append(n + 1)
        return seen

    # --- the program ------------------------------------------------------------------------

    def _add(self, step: _Step) -> int:
        if len(self._steps) >= MOST_STEPS:
            raise Refused("repetitions of more than 2000 steps")
        self._steps.append(step)
        return len(self._steps) - 1

    def _compile(self, tree: Tree) -> None:
        match tree:
            case One(test=test):
                self._add(_Step(test=test))
            case Edge(kind=kind):
                self._add(_Step(edge=kind))
            case Sequence(parts=parts):
                for part in parts:
                    self._compile(part)
            case Choice(parts=parts):
                self._choose(parts)
            case Repeat(part=part, least=least, most=most):
                for _ in range(least):
                    self._compile(part)
                if most is None:
                    self._loop(part)
                else:
                    self._maybe(part, most - least)

    def _choose(self, parts: tuple[Tree, ...]) -> None:
        ends: list[int] = []
        fork = self._add(_Step())
        begins: list[int] = []
        for part in parts:
            begins.append(len(self._steps))
            self._compile(part)
            ends.append(self._add(_Step()))
        self._steps[fork].to = tuple(begins)
        for end in ends:
            self._steps[end].to = (len(self._steps),)

    def _loop(self, part: Tree) -> None:
        fork = self._add(_Step())
        self._compile(part)
        back = self._add(_Step(to=(fork,)))
        self._steps[fork].to = (fork + 1, back + 1)

    def _maybe(self, part: Tree, times: int) -> None:
        forks: list[int] = []
        for _ in range(times):
            forks.append(self._add(_Step()))
            self._compile(part)
        for fork in forks:
            self._steps[fork].to = (fork + 1, len(self._steps))


def _kind(character: str) -> int:
    if character == "\n":
        return _NEWLINE
    return _WORD if character.isalnum() or character == "_" else _OTHER


def _holds(edge: str, before: int, after: int) -> bool:
    match edge:
        case "start":
            return before == _START
        case "end":
            return after == _END
        case "line start":
            return before in (_START, _NEWLINE)
        case "line end":
            return after in (_NEWLINE, _END)
        case _:
            return ((before == _WORD) != (after == _WORD)) == (edge == "word")
