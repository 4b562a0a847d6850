"""The verbs that write documents, from Python: operators, upsert, revisions, conflicts, records."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TypedDict

import msgspec
import pytest

from aurora_db import (
    AsyncAurora,
    Conflict,
    MissingWhere,
    NotFound,
    TypeMismatch,
    UniqueViolation,
    UnknownEnum,
    UnknownOperator,
    ValidationError,
)

SCHEMA = """schema { define collection users {
    email: String @unique  visits: Int  tags: [String!]  address: { city: String zip: String }  at: DateTime
} }"""


@pytest.fixture
def users(db):
    db.execute(SCHEMA)
    return db["users"]


def test_operators_mean_the_same_from_python(users):
    """A dict with an operator is an operator, a dotted key is a path."""
    id = users.insert({"visits": 1, "address": {"city": "Rom"}})
    changes = {"visits": {"increment": 2}, "tags": {"push": "a"}, "address.zip": "1"}
    assert users.update(id, changes) == 1
    assert users.get(id) == {
        "id": id, "email": None, "visits": 3, "tags": ["a"], "address": {"city": "Rom", "zip": "1"}, "at": None,
    }  # fmt: skip
    with pytest.raises(UnknownOperator, match="no operator named 'incremnt' for Int 'visits'"):
        users.update(id, {"visits": {"incremnt": 1}})


def test_a_value_is_computed_by_the_statement(users):
    """`expr` sees the document as it was; where an upsert inserts, what it inserts."""
    id = users.insert({"visits": 4, "email": "a@x"})
    users.update(
        id, {"visits": {"increment": 1}, "address.city": {"expr": "email + toString(visits)"}}
    )
    assert users.get(id)["visits"] == 5
    assert users.get(id)["address"] == {"city": "a@x4"}
    new = users.upsert(
        {"email": "b@x"}, {"visits": {"increment": 2}, "address.city": {"expr": "email"}}
    )
    assert users.get(new)["address"] == {"city": "b@x"}
    with pytest.raises(TypeMismatch, match="'visits'"):
        users.update(id, {"visits": {"expr": "email"}})


def test_one_update_is_one_change_in_the_feed(db, users):
    """Operators, paths and values of one update are one statement and one revision."""
    id = users.insert({"visits": 1})
    users.update(id, {"visits": {"increment": 1}, "tags": {"push": "a"}, "address.city": "x"})
    changes = db.execute("{ _changes(orderBy: {seq: ASC}) { op before after } }")["_changes"]
    assert [change["op"] for change in changes] == ["insert", "update"]
    assert changes[1]["before"]["visits"] == 1
    assert changes[1]["after"]["visits"] == 2
    assert changes[1]["after"]["_rev"] == 2


def test_a_revision_is_demanded(users):
    """Whoever writes what another one has changed meanwhile is told the revision now."""
    id = users.insert({"visits": 1})
    users.update(id, {"visits": 2}, if_rev=1)
    with pytest.raises(Conflict) as refused:
        users.update(id, {"visits": 3}, if_rev=1)
    assert (refused.value.current, refused.value.code, refused.value.retryable) == (
        2,
        "conflict",
        True,
    )
    with pytest.raises(Conflict):
        users.delete(id, if_rev=1)
    assert users.get(id)["visits"] == 2
    assert users.delete(id, if_rev=2) == 1


def test_upsert_inserts_once(users):
    """The second upsert finds what the first one made."""
    first = users.upsert({"email": "a@x"}, {"visits": {"increment": 1}})
    second = users.upsert({"email": "a@x"}, {"visits": {"increment": 1}})
    assert first == second
    assert users.get(first)["visits"] == 2
    assert users.get(first)["email"] == "a@x"
    with pytest.raises(MissingWhere, match="'id' or 'email'") as refused:
        users.upsert({"visits": 2}, {"tags": []})
    assert "@unique" in refused.value.hint


def test_conflicts_of_many(users):
    """Error, skip and replace; what is not written has no id in the result."""
    users.insert_many([{"id": "a", "email": "a@x", "visits": 1}])
    with pytest.raises(UniqueViolation):
        users.insert_many([{"id": "b"}, {"id": "a"}])
    assert users.insert_many([{"id": "b"}, {"id": "a"}], on_conflict="skip") == ["b"]
    again = ({"id": id, "email": "a@x", "visits": 9} for id in ["z"])
    assert users.insert_many(again, on_conflict="replace") == ["a"]
    assert users.get("a")["visits"] == 9
    with pytest.raises(UnknownEnum, match="IGNORE"):
        users.insert_many([], on_conflict="IGNORE")


def test_replacing_many_keeps_count(users):
    """More documents than one statement takes, half of them there already."""
    users.insert_many([{"id": str(n), "visits": 0} for n in range(0, 2_000, 2)])
    rows = [{"id": str(n), "visits": 1} for n in range(2_000)]
    assert users.insert_many(rows, on_conflict="skip") == [str(n) for n in range(1, 2_000, 2)]
    assert users.insert_many(rows, on_conflict="replace") == [str(n) for n in range(2_000)]
    assert users.count({"visits": 1}) == 2_000


@dataclasses.dataclass
class Person:
    id: str
    visits: int | None
    at: dt.datetime | None


class Struct(msgspec.Struct):
    email: str | None


class Typed(TypedDict):
    id: str
    tags: list[str] | None


def test_a_document_as_a_record(users):
    """`as_` gives dataclasses, structs and typed dicts."""
    at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    id = users.insert({"visits": 3, "at": at, "tags": ["a"]})
    assert users.get(id, as_=Person) == Person(id, 3, at)
    assert users.get(id, as_=Struct) == Struct(None)
    assert users.get(id, as_=Typed)["tags"] == ["a"]
    assert users.get("nobody", as_=Person) is None
    users.update(id, {"visits": None})

    class Strict(msgspec.Struct):
        visits: int

    with pytest.raises(TypeMismatch, match="Strict"):
        users.get(id, as_=Strict)


def test_the_verbs_of_a_transaction(db, users):
    """Upsert, operators and revisions in one transaction, undone together."""
    with pytest.raises(ZeroDivisionError), db.transaction() as tx:
        tx["users"].upsert({"email": "a@x"}, {"visits": 1})
        tx["users"].update({"email": "a@x"}, {"visits": {"multiply": 5}}, if_rev=1)
        assert tx.execute("{ users { visits } }") == {"users": [{"visits": 5}]}
        raise ZeroDivisionError
    assert users.count() == 0


async def test_the_asynchronous_verbs(tmp_path):
    """The same verbs, awaited."""
    async with AsyncAurora(tmp_path / "a.db") as db:
        await db.execute(SCHEMA)
        users = db["users"]
        id = await users.upsert({"email": "a@x"}, {"visits": {"increment": 1}})
        assert await users.update(id, {"visits": {"increment": 1}}, if_rev=1) == 1
        assert (await users.get(id, as_=Person)).visits == 2
        assert await users.delete(id, if_rev=2) == 1
        job = await db.enqueue_job("a")
        assert await db.cancel_job(job.id) is True
        assert await db.retry_job(job.id) is True


def test_a_number_leaves_its_range(users):
    """An overflow says so, and nothing is written."""
    id = users.insert({"visits": 2**63 - 1})
    with pytest.raises(ValidationError, match="would leave the range of Int") as refused:
        users.update(id, {"visits": {"increment": 1}})
    assert refused.value.rule == "range"


def test_a_path_that_leads_nowhere_says_so(db):
    """The message names the path, not only the column."""
    db.execute("schema { define collection t { j: JSON } }")
    id = db["t"].insert({"j": 5})
    with pytest.raises(ValidationError, match=r"'j\.a' cannot be changed"):
        db["t"].update(id, {"j.a": 1})


# --- jobs -----------------------------------------------------------------------------------


def test_a_job_is_cancelled_and_runs_again(db):
    """Cancel ends what has not ended, retry begins what has."""
    db.job("a")(lambda: "done")
    testing = db.jobs_testing
    job = db.enqueue_job("a")
    assert db.retry_job(job.id) is False
    assert db.cancel_job(job.id) is True
    assert db.cancel_job(job.id) is False
    assert testing.drain().attempts == 0
    assert db.retry_job(job.id) is True
    assert testing.drain().completed == 1
    assert db.get_job(job.id).result == "done"
    assert db.cancel_job(job.id) is False
    assert db.retry_job(job.id) is True
    assert db.get_job(job.id).result is None
    assert testing.drain().completed == 1
    assert db.get_job(job.id).attempt == 2
    with pytest.raises(NotFound):
        db.cancel_job("none")


def test_an_attempt_loses_a_job_that_is_cancelled(db, claim_one):
    """What a cancelled attempt did at its end is not kept."""
    from aurora_db import LeaseLost

    job = db.enqueue_job("a")
    running = claim_one(db)
    assert db.cancel_job(job.id) is True
    with pytest.raises(LeaseLost):
        running.complete('"late"')
    now = db.get_job(job.id)
    assert (now.status, now.result, now.lease_until) == ("CANCELLED", None, None)


def test_a_failed_job_has_all_its_attempts_again(db):
    """Retrying counts failures from the beginning; the old ones stay in `_job_errors`."""

    @db.job("a")
    def fails():
        raise ValueError("no")

    job = db.enqueue_job("a", retries=1)
    assert db.jobs_testing.drain().failed == 1
    assert db.get_job(job.id).status == "FAILED"
    assert db.retry_job(job.id) is True
    now = db.get_job(job.id)
    assert (now.status, now.retries, now.error, now.finished_at) == ("PENDING", 0, None, None)
    assert len(db.execute("{ _job_errors { job_id } }")["_job_errors"]) == 1
