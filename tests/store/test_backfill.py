"""Backfills: bounded batches, what comes meanwhile, and a process that is killed."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from aurora_db import AsyncAurora, Aurora

GUARD = 60.0
HANDLER = (
    'define handler "h" { on: "insert:t" action: { enqueueJob(type: "w", payload: {id: $_id}) } }'
)


def enqueued(db):
    """The ids that jobs carry, in the order of enqueueing."""
    return [one["payload"]["id"] for one in db.execute("{ _jobs { payload } }")["_jobs"]]


@pytest.fixture
def filled(db):
    db.execute("schema { define collection t { a: Int } }")
    ids = db["t"].insert_many({"a": n} for n in range(1234))
    db.execute(HANDLER)
    return db, ids


def test_more_documents_than_a_batch_has(filled):
    """Each document is enqueued for once, in the order of insertion."""
    db, ids = filled
    assert db.execute('backfill handler "h"')["enqueued"] == 1234
    assert enqueued(db) == ids
    assert db.execute("{ _handlers { fired } }") == {"_handlers": [{"fired": 1234}]}


def test_again_means_again(filled):
    """A backfill that has ended begins anew when it is asked for again."""
    db, ids = filled
    db.execute('backfill handler "h" where { a: { lt: 3 } }')
    db.execute('backfill handler "h" where { a: { lt: 3 } }')
    assert enqueued(db) == ids[:3] * 2


def test_a_worker_handler_gets_the_image(db):
    """As if the document were inserted now."""
    db.execute("schema { define collection t { a: Int } }")
    db.insert_into("t", {"id": "x", "a": 1})
    db["t"].update("x", {"a": 2})
    db.execute('define handler "h" { on: ["insert:t", "delete:t"] action: { insertInto(collection: "t", data: {a: "${a}"}) } }')  # fmt: skip
    assert db.execute('backfill handler "h"')["enqueued"] == 1
    assert db.execute("{ _jobs { type payload } }")["_jobs"] == [{
        "type": "_handler:h",
        "payload": {"event": "insert", "collection": "t", "node": {"id": "x", "_rev": 2, "a": 2}, "old": None},
    }]  # fmt: skip


def test_several_collections(db):
    """A handler of all collections is backfilled in each of them."""
    db.execute("schema { define collection a { x: Int } define collection b { x: Int } }")
    db.insert_into("b", {"id": "b1", "x": 1})
    db.insert_into("a", {"id": "a1", "x": 1})
    db.execute('define handler "h" { on: "insert:*" action: { enqueueJob(type: "w", payload: {id: $_id}) } }')  # fmt: skip
    assert db.execute('backfill handler "h" where { x: 1 }')["enqueued"] == 2
    assert enqueued(db) == ["a1", "b1"]


def test_inside_a_transaction(filled):
    """It is undone with it."""
    db, _ids = filled
    with db.transaction() as tx:
        assert tx.execute('backfill handler "h"')["enqueued"] == 1234
        tx.rollback()
    assert enqueued(db) == []


async def test_from_a_task(path):
    """The asynchronous façade does the same."""
    async with AsyncAurora(path) as db:
        await db.execute("schema { define collection t { a: Int } }")
        await db.collection("t").insert_many({"a": n} for n in range(700))
        await db.execute(HANDLER)
        assert (await db.execute('backfill handler "h"'))["enqueued"] == 700


PROGRAM = """
import sys
from aurora_db import Aurora
with Aurora(sys.argv[1]) as db:
    print(db.execute('backfill handler "h"'), flush=True)
"""


@pytest.mark.crash
def test_a_killed_backfill_goes_on_where_it_was(path):
    """No document is enqueued for twice or never, and what is inserted meanwhile counts once."""
    with Aurora(path) as db:
        db.execute("schema { define collection t { a: Int } }")
        ids = db["t"].insert_many({"a": n} for n in range(30_000))
        db.execute(HANDLER)
        program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(path)], stdout=subprocess.PIPE, text=True
        )
        end = time.monotonic() + GUARD
        while db.execute("{ _jobs { aggregate { count } } }")["_jobs"]["aggregate"]["count"] < 1000:
            assert time.monotonic() < end
            time.sleep(0.001)
        program.kill()
        assert program.communicate()[0] == ""
        before = db.execute("{ _jobs { aggregate { count } } }")["_jobs"]["aggregate"]["count"]
        assert 1000 <= before < 30_000
        assert before % 500 == 0
        ids.append(db.insert_into("t", {"a": -1}))
        assert db.execute('backfill handler "h"')["enqueued"] == 30_000
        assert sorted(enqueued(db)) == sorted(ids)
