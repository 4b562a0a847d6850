"""`group`: several live queries that move together."""

from __future__ import annotations

import threading

import pytest

from aurora_db import AsyncAurora, Aurora, F, Timeout, ValidationError

#: Seconds after which a test has hung.
GUARD = 30

SCHEMA = (
    "schema { define collection accounts { balance: Int } define collection moves { amount: Int } }"
)


@pytest.fixture
def bank(db):
    """Two accounts that have 100 together."""
    db.execute(SCHEMA)
    db["accounts"].insert_many([{"id": "a", "balance": 100}, {"id": "b", "balance": 0}])
    return db


def test_each_item_has_all_lists(bank):
    """At first at once, then whenever one of them differs."""
    accounts = bank.query("accounts").order_by("id").select("id", "balance")
    rich = bank.query("accounts").filter(F.balance >= 100).select("id")
    with bank.group(
        accounts=accounts, rich=rich, moves=bank.query("moves").select("amount")
    ) as group:
        assert group.next(timeout=GUARD) == {
            "accounts": [{"id": "a", "balance": 100}, {"id": "b", "balance": 0}],
            "rich": [{"id": "a"}],
            "moves": [],
        }
        bank["moves"].insert({"amount": 5})
        assert group.next(timeout=GUARD) == {
            "accounts": [{"id": "a", "balance": 100}, {"id": "b", "balance": 0}],
            "rich": [{"id": "a"}],
            "moves": [{"amount": 5}],
        }


def test_no_item_shows_half_a_transaction(bank):
    """Whatever is between two items, the lists of one item are of one instant."""
    accounts = bank.query("accounts").select("id", "balance")
    with bank.group(accounts=accounts, moves=bank.query("moves").select("amount")) as group:

        def move():
            for _ in range(50):
                with bank.transaction() as tx:
                    tx["accounts"].update("a", {"balance": {"decrement": 1}})
                    tx["accounts"].update("b", {"balance": {"increment": 1}})
                    tx["moves"].insert({"amount": 1})

        thread = threading.Thread(target=move)
        thread.start()
        seen = []
        for item in group:
            balances = {one["id"]: one["balance"] for one in item["accounts"]}
            seen.append((balances["a"], balances["b"], len(item["moves"])))
            if len(item["moves"]) == 50:
                break
        thread.join(GUARD)
        assert seen == [(100 - n, n, n) for _, n, _ in seen]
        assert seen[0] == (100, 0, 0)


def test_what_a_user_changes_is_the_users_own(bank):
    """A list that did not differ comes again as it is, not as the user made it."""
    with bank.group(
        accounts=bank.query("accounts").select("id"), moves=bank.query("moves")
    ) as group:
        first = group.next(timeout=GUARD)
        first["accounts"][0].clear()
        first["accounts"].clear()
        bank["moves"].insert({"id": "m", "amount": 5})
        assert [one["id"] for one in group.next(timeout=GUARD)["accounts"]] == ["a", "b"]


def test_what_holds_one_back_holds_all_back(bank, clock):
    """They move together, so the longest debounce counts."""
    accounts = bank.query("accounts").select("balance").debounce(2)
    with bank.group(accounts=accounts, moves=bank.query("moves").select("amount")) as group:
        assert group.next(timeout=GUARD)["moves"] == []
        with bank.transaction() as tx:
            tx["moves"].insert({"amount": 5})
            tx["accounts"].update("a", {"balance": 95})
        assert any(_advanced(group, clock) for _ in range(1_000))


def _advanced(group, clock):
    """Whether the item with both came, a moment later by the clock."""
    try:
        item = group.next(timeout=0.01)
    except Timeout:
        clock.advance(0.5)
        return False
    assert item == {"accounts": [{"balance": 95}, {"balance": 0}], "moves": [{"amount": 5}]}
    return True


def test_what_is_no_group_is_refused(bank, tmp_path):
    """No query, one of another database, one of a transaction, a name that is none."""
    with pytest.raises(ValidationError, match="a group has a query at least"):
        bank.group()
    with Aurora(tmp_path / "other.db") as other:
        other.execute(SCHEMA)
        with pytest.raises(ValidationError, match="is no query of this database"):
            bank.group(moves=other.query("moves"))
    with bank.transaction() as tx, pytest.raises(ValidationError, match="is no query of this"):
        bank.group(moves=tx.query("moves"))
    with pytest.raises(ValidationError, match="is no name of a group"):
        bank.group(**{"my moves": bank.query("moves")})


async def test_tasks_group_too(path):
    """The same, awaited."""
    async with AsyncAurora(path) as db:
        await db.execute(SCHEMA)
        async with db.group(
            accounts=db.query("accounts"), moves=db.query("moves").select("amount")
        ) as group:
            assert await group.next(timeout=GUARD) == {"accounts": [], "moves": []}
            await db["moves"].insert({"amount": 1})
            async for item in group:
                assert item == {"accounts": [], "moves": [{"amount": 1}]}
                break
