"""The behaviours that the documents of aurora-db 0.6 promise, by their number: keys and caches."""

from __future__ import annotations

import pytest

from aurora_db import TooLarge


def test_93_a_value_over_50_mb_is_refused(db):
    """Nothing of it is kept, and the value before stays."""
    db.kv.put("film", b"short")

    with pytest.raises(TooLarge) as refused:
        db.kv.put("film", bytes(50 * 1024 * 1024 + 1))

    assert refused.value.code == "too_large"
    assert db.kv.get("film") == b"short"


def test_94_expiry_cleared_and_prewarmed_caches(db, clock):
    """What has expired is gone; a cleared cache is read from the file; prewarming says how many it has read."""
    db.kv.put("session", {"user": "ada"}, ttl=60)
    clock.advance(59)
    assert db.kv.get("session") == {"user": "ada"}
    clock.advance(1)
    assert db.kv.get("session") is None

    db.define("users", {"name": "String!"})
    users = db["users"]
    ids = users.insert_many({"name": name} for name in ("ada", "bob", "eve"))
    assert db.prewarm_cache("users") == 3
    assert db.cache_stats().documents.items == 3
    db.clear_hot_cache()
    assert db.cache_stats().documents.items == 0
    assert [users.get(id)["name"] for id in ids] == ["ada", "bob", "eve"]
