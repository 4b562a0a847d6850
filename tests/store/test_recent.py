"""What is kept of the plans of texts: bounded, and what is used stays."""

from __future__ import annotations

from aurora_db.store.recent import Recent


def test_what_is_used_stays_and_what_is_not_is_forgotten():
    """A text that is run again and again outlives any number of others."""
    recent: Recent[str, int] = Recent(10, 1_000)
    recent.put("hot", 1, 10)
    for n in range(1_000):
        recent.put(f"cold {n}", n, 10)
        assert recent.get("hot") == 1
    assert recent.get("cold 0") is None
    assert len(recent) <= 10


def test_bytes_bound_it_as_well():
    recent: Recent[int, int] = Recent(1_000, 1_000)
    for n in range(100):
        recent.put(n, n, 100)
    assert len(recent) <= 10
    assert recent.get(99) == 99


def test_the_last_one_is_there_however_large():
    """An operation is prepared and then looked up again when it runs."""
    recent: Recent[str, str] = Recent(10, 100)
    recent.put("a", "small", 1)
    recent.put("b", "huge", 1_000_000)
    assert recent.get("b") == "huge"
    recent.put("c", "small", 1)
    assert recent.get("c") == "small"


def test_putting_again_replaces():
    recent: Recent[str, int] = Recent(4, 100)
    for n in range(50):
        recent.put("a", n, 40)
    assert recent.get("a") == 49
    assert len(recent) == 1
