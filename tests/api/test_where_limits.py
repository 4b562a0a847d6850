"""How large a where may be, and what becomes of a larger one."""

from __future__ import annotations

import pytest

from aurora_db import AqlSyntaxError


@pytest.fixture
def numbers(db):
    db.execute("schema { define collection t { n: Int @indexed } }")
    db["t"].insert_many([{"id": str(n), "n": n} for n in range(50)])
    return db


@pytest.mark.parametrize("word", ["or", "and"])
def test_thousands_of_conditions_are_understood(numbers, word):
    """A statement may be 1,000 deep only; the conditions stand in groups."""
    parts = [{"n": {"eq": n}} for n in range(5_000)]
    assert numbers["t"].count({word: parts}) == (50 if word == "or" else 0)
    assert numbers["t"].count({"not": {word: parts}}) == (0 if word == "or" else 50)
    assert numbers["t"].count({"n": {"in": list(range(100_000))}}) == 50


def test_more_are_refused(numbers):
    """In a text and as Python, with the hint to write a list of values."""
    with pytest.raises(AqlSyntaxError, match="more than 8000 conditions") as refused:
        numbers["t"].count({"or": [{"n": n} for n in range(8_001)]})
    assert refused.value.hint == "write a list of values: {field: {in: [...]}}"
    parts = " ".join(f"{{n: {n}}}" for n in range(8_001))
    with pytest.raises(AqlSyntaxError, match="more than 8000 conditions"):
        numbers.execute(f"{{ t(where: {{or: [{parts}]}}) {{ id }} }}")


def test_nesting_has_a_limit(numbers):
    """As in a text; a where made by a loop is refused, not followed without end."""
    where = {"n": 1}
    for _ in range(60):
        where = {"not": where}
    assert numbers["t"].count(where) == 1
    for _ in range(2_000):
        where = {"and": [where]}
    with pytest.raises(AqlSyntaxError, match="nested more than 64 deep"):
        numbers["t"].count(where)
