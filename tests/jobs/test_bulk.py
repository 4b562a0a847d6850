"""Retrying and cancelling many: those that match, each once, in transactions that end soon."""

from __future__ import annotations

import asyncio
import threading

import pytest

from aurora_db import AqlError, AsyncAurora, Aurora, F, MissingWhere, UnknownField


@pytest.fixture
def mixed(db, claim_one):
    """One job of each kind of end, by name, and one that waits."""
    jobs = {}
    jobs["done"] = db.enqueue_job("mail", {"to": "ada"})
    claim_one(db).complete()
    jobs["failed"] = db.enqueue_job("mail", {"to": "bob"}, retries=1)
    claim_one(db).fail(ValueError("no"))
    jobs["cancelled"] = db.enqueue_job("mail", {"to": "cyd"})
    db.cancel_job(jobs["cancelled"].id)
    jobs["waiting"] = db.enqueue_job("mail", {"to": "dan"}, delay=60)
    return {name: job.id for name, job in jobs.items()}


def statuses(db, jobs):
    return {name: str(db.get_job(id).status) for name, id in jobs.items()}


BEFORE = {
    "done": "COMPLETED",
    "failed": "FAILED",
    "cancelled": "CANCELLED",
    "waiting": "SCHEDULED",
}


def test_retrying_many_takes_the_failed_ones(db, mixed):
    """What had completed does not run again, unless it was asked for."""
    assert db.retry_jobs(F.type == "mail") == 1
    assert statuses(db, mixed) == {**BEFORE, "failed": "PENDING"}


@pytest.mark.parametrize(
    ("where", "named"),
    [
        (F.status == "CANCELLED", "cancelled"),
        ({"status": "COMPLETED"}, "done"),
        ({"or": [F.status == "COMPLETED"], "type": "mail"}, "done"),
        ({"not": {"status": {"in": ["COMPLETED", "FAILED"]}}}, "cancelled"),
        ({"expr": 'status == "CANCELLED"'}, "cancelled"),
    ],
)
def test_a_condition_that_names_a_status_means_it(db, mixed, where, named):
    """Wherever in the condition it stands."""
    assert db.retry_jobs(where) == 1
    assert statuses(db, mixed) == {**BEFORE, named: "PENDING"}


def test_cancelling_many_takes_what_has_not_ended(db, mixed):
    """By the payload, here."""
    assert db.cancel_jobs(F.payload.to.in_(["ada", "bob", "dan"])) == 1
    assert statuses(db, mixed) == {**BEFORE, "waiting": "CANCELLED"}
    assert db.cancel_jobs({"type": "mail"}) == 0


@pytest.mark.parametrize("where", [{}, {"and": []}, {"and": [{}, {"and": []}]}])
def test_a_condition_of_nothing_must_be_meant(db, mixed, where):
    """It would change every job."""
    for verb in (db.retry_jobs, db.cancel_jobs):
        with pytest.raises(MissingWhere, match="every job"):
            verb(where)
    assert statuses(db, mixed) == BEFORE
    assert db.retry_jobs(where, all=True) == 1
    assert db.cancel_jobs(where, all=True) == 2


@pytest.mark.parametrize(
    ("where", "kind"),
    [({"typ": "mail"}, UnknownField), ({"status": {"is": "FAILED"}}, AqlError), ("mail", AqlError)],
)
def test_a_wrong_condition_changes_nothing(db, mixed, where, kind):
    """It is refused as in any query."""
    with pytest.raises(kind):
        db.retry_jobs(where)
    assert statuses(db, mixed) == BEFORE


def test_ten_thousand_change_while_others_write(path):
    """Other writers come in between the parts."""
    with Aurora(path) as db:
        db.execute("schema { define collection notes { n: Int } }")
        db.enqueue_jobs("mail", [{"n": n} for n in range(10_000)])
        over = threading.Event()
        between: list[int] = []

        def write():
            n = 0
            while not over.is_set():
                db.insert_into("notes", {"n": n})
                waiting = db.query("_jobs").filter(F.status == "PENDING").count()
                between.append(waiting)
                n += 1

        writer = threading.Thread(target=write)
        writer.start()
        assert db.cancel_jobs({"type": "mail"}) == 10_000
        over.set()
        writer.join()
        assert any(0 < waiting < 10_000 for waiting in between)
        assert db.retry_jobs({"status": "CANCELLED", "payload.n": {"lt": 2_500}}) == 2_500


def test_in_a_transaction_all_of_it_is_one(db, mixed):
    """Rolled back together."""
    with db.transaction() as tx:
        assert tx.retry_jobs({"type": "mail"}) == 1
        assert tx.cancel_jobs({"type": "mail"}) == 2
        tx.rollback()
    assert statuses(db, mixed) == BEFORE


def test_the_asynchronous_verbs(path):
    """The same, awaited."""

    async def main():
        async with AsyncAurora(path) as db:
            await db.enqueue_jobs("mail", [{}, {}])
            cancelled = await db.cancel_jobs(F.type == "mail")
            return cancelled, await db.retry_jobs(F.status == "CANCELLED")

    assert asyncio.run(main()) == (2, 2)


def test_all_is_said_without_a_condition(db, mixed):
    """`all=True` alone; nothing alone is refused."""
    for verb in (db.retry_jobs, db.cancel_jobs):
        with pytest.raises(MissingWhere):
            verb()
    assert db.retry_jobs(all=True) == 1
    assert statuses(db, mixed)["failed"] == "PENDING"
    assert db.cancel_jobs(all=True) == 2
