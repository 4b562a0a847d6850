"""Patterns: the same answer as `re` gives, in bounded time."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aurora_db import Aurora, SecurityError
from aurora_db.aql.automaton import Automaton
from aurora_db.aql.folding import fold
from aurora_db.aql.pattern_parser import Reader
from aurora_db.aql.patterns import pattern_problem, search

ATOMS = ("a", "b", "é", ".", r"\d", r"\w", r"\s", r"\.", "[ab]", "[^a]", "[]a]", r"[\d-]", r"\b", r"\B", "^", "$", r"\x61", "{", "x{}")  # fmt: skip
patterns = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(
            inner, st.sampled_from(("*", "+", "?", "*?", "{2}", "{1,2}", "{,2}", "{1,}"))
        ).map(lambda pair: f"({pair[0]}){pair[1]}"),
        inner.map(lambda one: f"(?i:{one})"),
        inner.map(lambda one: f"(?ms:{one})"),
    ),
    max_leaves=7,
)


@given(patterns, st.text("abAB1é_ .\n{x", max_size=9))
def test_the_automaton_finds_what_re_finds(pattern: str, text: str):
    """It is the same language, only never slow."""
    # Python 3.14 corrected `re` there.
    assume(text or r"\B" not in pattern)
    assume(pattern_problem(pattern) is None)
    reader = Reader(pattern)
    automaton = Automaton(reader.read())
    wanted = re.search(reader.text, text) is not None
    assert automaton.search(text) == wanted
    assert search(pattern, text) == wanted


@pytest.mark.parametrize(
    "pattern",
    [r"(a+)+$", r"^(a|a)*$", r"(a|aa)+$", r"(.*a){12}$", r"^(\w+\s?)*$", r"(x+x+)+y", r"(.*)*b", r"([a-z]+)*\d"],
)  # fmt: skip
def test_a_pattern_that_explodes_elsewhere_takes_its_time_here(pattern: str):
    """Each of these would keep `re` busy for years on this text."""
    assert not search(pattern, "a" * 5_000 + "!\n!")


def test_a_text_of_many_words_is_searched_at_once():
    assert search(r".*@gmail\.com$", "x" * 200_000 + "@gmail.com")
    assert not search(r"\d+.*\d+.*z$", "1" * 200_000)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"(a)\1", "back-reference"), (r"(?=a)b", "look-around"), (r"a++", "possessive"),
        ("(", "not a regular expression"), ("a" * 1_001, "at most 1000"),
        ("(((a{40}){40}){40}){40}", "repetitions of more than 2000"), ("(?x) a", "the flag 'x'"),
    ],
)  # fmt: skip
def test_a_pattern_outside_of_the_subset_is_refused(pattern: str, why: str):
    """It is a SecurityError that says what is not allowed."""
    with pytest.raises(SecurityError, match=why):
        search(pattern, "a")


def test_a_text_too_long_for_a_large_pattern_is_refused():
    with pytest.raises(SecurityError, match="too long"):
        search("(a|b){300}$", "ab" * 100_000)


def test_the_end_is_the_end_of_the_text():
    """`$` does not look past a last line break, so a validated name holds none."""
    assert search("^[a-z]+$", "abc")
    assert not search("^[a-z]+$", "abc\n")
    assert search("(?m)^b$", "a\nb\nc")


def test_a_pattern_of_validate_that_explodes_elsewhere_takes_its_time_here(db: Aurora):
    db.execute('schema { define collection t { s: String @validate(pattern: "^(a+)+$") } }')
    db["t"].insert({"s": "a" * 1_000})
    with pytest.raises(ValueError, match="must match"):
        db["t"].insert({"s": "a" * 1_000 + "!"})


def test_folding_keeps_the_length_of_a_text():
    """One character for one: the sharp s stays one letter."""
    assert fold("ÄÖÜ ẞß Σσς K") == "äöü ßß σσσ k"
    assert fold("İI") == "İi"


@given(st.text())
def test_folding_twice_changes_nothing_more(text: str):
    assert len(fold(text)) == len(text)
    assert fold(fold(text)) == fold(text)
