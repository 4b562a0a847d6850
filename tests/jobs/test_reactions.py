"""Event handlers that a worker runs: their effects, their causes, their end."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from aurora_db import Aurora, Unique

GUARD = 60.0

SCHEMA = """schema {
  define collection orders { customer: String total: Float paid: Boolean tags: [String] box: Object at: DateTime }
  define collection log { text: String order: ID total: Float paid: Boolean tags: [String] box: Object at: DateTime }
}"""


def settled(db, count=1):
    """All jobs when so many have ended and none is left."""
    end = time.monotonic() + GUARD
    while True:
        jobs = db.execute("{ _jobs { id type status error result cause finished_at } }")["_jobs"]
        if len(jobs) >= count and all(job["finished_at"] is not None for job in jobs):
            return jobs
        assert time.monotonic() < end, f"the jobs did not end: {jobs}"
        time.sleep(0.002)


def test_the_actions_run_with_the_values_of_the_document(working):
    """Every type arrives as it was, in a process that registered nothing."""
    working.execute(SCHEMA)
    made = working.execute("""define handler "copy" {
      on: "insert:orders" where: { total: {gt: 1} }
      action: { insertInto(collection: "log", data: {
        text: "order of ${customer}: ${total}", order: $_id, total: "${total}", paid: "${paid}", tags: "${tags}",
        box: "${box}", at: "${at}"
      }) } }""")
    assert made["compiled"] == "WORKER"
    order = {
        "customer": "Ada", "total": 0.1 + 0.2 + 1, "paid": True, "tags": ["a", "b"], "box": {"w": [1, None]},
        "at": "2026-01-02T03:04:05.000006Z",
    }  # fmt: skip
    id = working.insert_into("orders", order)
    working.insert_into("orders", {"customer": "Bob", "total": 1.0})
    (job,) = settled(working)
    assert (job["type"], job["status"]) == ("_handler:copy", "COMPLETED")
    (copied,) = working.execute("{ log { text order total paid tags box at } }")["log"]
    assert copied.pop("text") == "order of Ada: 1.3"
    assert copied.pop("order") == id
    assert copied.pop("at").isoformat() == "2026-01-02T03:04:05.000006+00:00"
    assert copied == {name: order[name] for name in ("total", "paid", "tags", "box")}


def test_several_actions_are_one_transaction(working):
    """When the second action fails, the first one leaves nothing, and the job fails with its error."""
    working.execute("""schema {
      define collection orders { code: String }
      define collection log { code: String @unique }
    }""")
    working.execute("""define handler "both" { on: "insert:orders" action: {
      first: insertInto(collection: "log", data: {code: "${code} 1"}) { id }
      second: insertInto(collection: "log", data: {code: "x"}) { id }
    } }""")
    working.insert_into("log", {"code": "x"})
    working.insert_into("orders", {"code": "a"})
    end = time.monotonic() + GUARD
    while not working.execute("{ _job_errors { error } }")["_job_errors"]:
        assert time.monotonic() < end
        time.sleep(0.002)
    (error, *_) = working.execute("{ _job_errors { error } }")["_job_errors"]
    assert "Unique constraint violation on field 'code'" in error["error"]
    assert working["log"].count() == 1
    (job,) = working.execute("{ _jobs { status retries } }")["_jobs"]
    assert (job["status"], job["retries"]) == ("SCHEDULED", 1)


def test_updates_and_deletes_see_both_images(working):
    """`old.` is the document before; a delete has it alone."""
    working.execute(SCHEMA)
    working.execute("""define handler "moved" { on: ["update:orders", "delete:orders"]
      action: { insertInto(collection: "log", data: {text: "${old.customer} ${customer} ${_rev}"}) } }""")
    id = working.insert_into("orders", {"customer": "Ada"})
    working["orders"].update(id, {"customer": "Bob"})
    working["orders"].delete(id)
    settled(working, 2)
    texts = [one["text"] for one in working.execute("{ log { text } }")["log"]]
    assert texts == ["Ada Bob 2", "Bob Bob 2"]


def test_updates_and_deletes_are_actions(working):
    """Conditions of actions take values of the document, too."""
    working.execute(SCHEMA)
    working.execute("""define handler "keep" { on: "insert:orders" action: {
      update(collection: "log", where: {text: "${customer}"}, data: {total: "${total}"}) { affected }
      deleteFrom(collection: "log", where: {text: "gone ${customer}"}) { affected }
    } }""")
    working["log"].insert_many([{"text": "Ada"}, {"text": "Bob"}, {"text": "gone Ada"}])
    working.insert_into("orders", {"customer": "Ada", "total": 2.5})
    (job,) = settled(working)
    assert job["result"] == {"update": {"affected": 1}, "deleteFrom": {"affected": 1}}
    assert working.execute("{ log { text total } }")["log"] == [
        {"text": "Ada", "total": 2.5},
        {"text": "Bob", "total": None},
    ]


def test_a_delayed_job_of_a_handler(working):
    """The worker enqueues it by its own clock; the cause is the handler's."""
    working.execute(SCHEMA)
    working.execute("""define handler "remind" { on: "insert:orders"
      action: { enqueueJob(type: "mail", delay: "1h", payload: {o: $_id}) } }""")
    id = working.insert_into("orders", {"customer": "Ada"})
    end = time.monotonic() + GUARD
    while len(jobs := working.execute("{ _jobs { id type status payload cause run_at } }")["_jobs"]) < 2:  # fmt: skip
        assert time.monotonic() < end
        time.sleep(0.002)
    own, mail = jobs
    assert (mail["type"], mail["status"], mail["payload"]) == ("mail", "SCHEDULED", {"o": id})
    assert mail["run_at"] is not None
    assert mail["cause"]["handler"] == "remind"
    assert mail["cause"]["job"] == own["id"]
    assert mail["cause"]["depth"] == 1


def test_a_handler_that_causes_itself_is_stopped(working):
    """A chain of more than 16 causes fails its last job, with the chain in its error."""
    working.execute("schema { define collection a { n: Int } define collection b { n: Int } }")
    working.execute('define handler "ping" { on: "insert:a" action: { insertInto(collection: "b", data: {n: "${n}"}) } }')  # fmt: skip
    working.execute('define handler "pong" { on: "insert:b" action: { insertInto(collection: "a", data: {n: "${n}"}) } }')  # fmt: skip
    working.insert_into("a", {"n": 1})
    jobs = settled(working, 17)
    assert [job["status"] for job in jobs] == ["COMPLETED"] * 16 + ["FAILED"]
    assert [job["cause"]["depth"] for job in jobs] == list(range(1, 18))
    last = jobs[-1]["error"]
    assert last.startswith(
        "event handlers cause each other, more than 16 in a chain: ping → pong → ping"
    )
    assert last.count("ping") == 9
    counted = working.execute("{ _handlers { name fired failed } }")["_handlers"]
    assert counted == [
        {"name": "ping", "fired": 9, "failed": 1},
        {"name": "pong", "fired": 8, "failed": 0},
    ]


def test_a_job_that_ends_enqueues_itself_no_more_than_so_often(working):
    """The guard holds for ends of jobs, and a handler of theirs runs at once."""
    working.execute(
        'define handler "again" { on: "job_completed:t" action: { enqueueJob(type: "t") } }'
    )
    ran = []
    working.job("t")(lambda _payload: ran.append(1))
    working.enqueue_job("t")
    jobs = settled(working, 18)
    assert len(ran) == 17
    assert [job["status"] for job in jobs] == ["COMPLETED"] * 17 + ["FAILED"]
    assert jobs[-1]["error"].endswith("again → again")


def test_failed_and_cancelled_jobs_are_events(working):
    """Fields are those of the job; handlers count what they fired and what failed of it."""
    from aurora_db import Cancel, Fail

    working.execute('define handler "f" { on: "job_failed:bad" action: { enqueueJob(type: "tell", payload: {id: $_id, why: "${error}", p: "${priority}", e: $event}) } }')  # fmt: skip
    working.execute('define handler "c" { on: "job_cancelled" action: { enqueueJob(type: "tell", payload: {type: $_type}) } }')  # fmt: skip
    told = []
    working.job("tell")(told.append)

    @working.job("bad")
    def bad(payload):
        raise (Fail("no way") if payload == 1 else Cancel("enough"))

    failed = working.enqueue_job("bad", 1, "HIGH")
    working.enqueue_job("bad", 2)
    settled(working, 4)
    assert sorted(told, key=len) == [
        {"type": "bad"},
        {"id": failed.id, "why": "no way", "p": "HIGH", "e": "job_failed"},
    ]
    counted = working.execute("{ _handlers { name fired failed } }")["_handlers"]
    assert counted == [
        {"name": "f", "fired": 1, "failed": 0},
        {"name": "c", "fired": 1, "failed": 0},
    ]


def test_failures_of_its_jobs_are_counted(working):
    """`failed` is how many jobs of the handler failed for good."""
    from aurora_db import Fail

    working.execute(SCHEMA)
    working.execute(
        'define handler "h" { on: "insert:orders" action: { enqueueJob(type: "bad") } }'
    )

    @working.job("bad")
    def bad(_payload):
        raise Fail("no")

    working.insert_into("orders", {})
    settled(working)
    (counted,) = working.execute("{ _handlers { fired failed last_at } }")["_handlers"]
    assert (counted["fired"], counted["failed"]) == (1, 1)
    assert counted["last_at"] is not None


def test_without_workers_it_waits(db, path):
    """A process with workers disabled only enqueues; one that opens the file later does the work."""
    db.execute(SCHEMA)
    db.execute('define handler "h" { on: "insert:orders" action: { insertInto(collection: "log", data: {text: "${customer}"}) } }')  # fmt: skip
    db.insert_into("orders", {"customer": "Ada"})
    assert db.execute("{ _jobs { status } }") == {"_jobs": [{"status": "PENDING"}]}
    with Aurora(path, workers_enabled=True) as other:
        settled(other)
    assert db.execute("{ log { text } }") == {"log": [{"text": "Ada"}]}


def test_a_handler_that_another_process_defined_is_run(working, path):
    """The workers see it with the first read or write after."""
    working.execute(SCHEMA)
    text = """define handler "h" { on: "insert:orders"
      action: { insertInto(collection: "log", data: {text: "${customer}"}) } }"""
    program = "import sys; from aurora_db import Aurora; db = Aurora(sys.argv[1]); db.execute(sys.argv[2]); db.insert_into('orders', {'customer': 'Ada'}); db.close()"  # fmt: skip
    subprocess.run([sys.executable, "-c", program, str(path), text], check=True, timeout=GUARD)
    settled(working)
    assert working.execute("{ log { text } }") == {"log": [{"text": "Ada"}]}


def test_a_replaced_handler_runs_what_waits(db, path):
    """Jobs of the definition before are run by the one that took its place."""
    db.execute(SCHEMA)
    db.execute('define handler "h" { on: "insert:orders" action: { insertInto(collection: "log", data: {text: "old"}) } }')  # fmt: skip
    db.insert_into("orders", {"customer": "Ada"})
    made = db.execute('define handler "h" or replace { on: "insert:orders" action: { enqueueJob(type: "new", payload: {c: $_customer}) } }')  # fmt: skip
    assert made["compiled"] == "TRIGGER"
    with Aurora(path, workers_enabled=True) as other:
        seen = []
        other.job("new")(seen.append)
        settled(other, 2)
    assert seen == [{"c": "Ada"}]
    assert db["log"].count() == 0


def test_a_dropped_handler_does_nothing_more(working, path):
    """What waits for it is cancelled."""
    working.execute(SCHEMA)
    working.workers.stop()
    working.execute('define handler "h" { on: "insert:orders" action: { insertInto(collection: "log", data: {text: "x"}) } }')  # fmt: skip
    working.insert_into("orders", {})
    working.execute('drop handler "h"')
    working.workers.start()
    (job,) = settled(working)
    assert job["status"] == "CANCELLED"
    assert working["log"].count() == 0


def test_writes_in_a_completing_block_continue_the_chain(working):
    """A job handler of Python's that feeds its own event handler is stopped as well."""
    working.execute("schema { define collection a { n: Int } }")
    working.execute('define handler "h" { on: "insert:a" action: { enqueueJob(type: "t") } }')

    @working.job("t")
    def again(job):
        with job.completing() as tx:
            tx["a"].insert({"n": 1})

    working.insert_into("a", {"n": 0})
    jobs = settled(working, 17)
    assert [job["status"] for job in jobs] == ["COMPLETED"] * 16 + ["FAILED"]


@pytest.mark.crash
def test_killed_workers_react_exactly_once(path):
    """Workers are killed in the middle again and again; each order has its one line in the log."""
    work = "import sys; from aurora_db import Aurora; Aurora(sys.argv[1], workers_enabled=True, worker_threads=2).workers.run()"  # fmt: skip
    with Aurora(path) as db:
        db.execute(SCHEMA)
        db.execute('define handler "h" { on: "insert:orders" action: { insertInto(collection: "log", data: {order: $_id}) } }')  # fmt: skip
        ids = db["orders"].insert_many({"customer": str(n)} for n in range(600))
        for goal in (50, 200, 350):
            worker = subprocess.Popen([sys.executable, "-c", work, str(path)])
            end = time.monotonic() + GUARD
            while db["log"].count() < goal:
                assert time.monotonic() < end
                time.sleep(0.001)
            worker.kill()
            worker.wait()
    with Aurora(path, workers_enabled=True) as db:
        settled(db, 600)
        logged = [one["order"] for one in db.execute("{ log { order } }")["log"]]
        assert sorted(logged) == sorted(ids)
        assert db.execute('{ _jobs(where: {status: {ne: "COMPLETED"}}) { id } }') == {"_jobs": []}


@pytest.mark.parametrize("form", ["insert", "transaction", "async", "execute"])
def test_whatever_a_job_handler_writes_continues_the_chain(working, form):
    """Also by the database itself, by a transaction, and from async handlers: the loop is stopped."""
    working.execute("schema { define collection a { n: Int } }")
    working.execute('define handler "h" { on: "insert:a" action: { enqueueJob(type: "t") } }')

    def again(_payload):
        if form == "insert":
            working["a"].insert({"n": 1})
        elif form == "execute":
            working.execute('mutation { insertInto(collection: "a", data: {n: 1}) { id } }')
        else:
            with working.transaction() as tx:
                tx["a"].insert({"n": 1})

    async def again_async(_payload):
        again(_payload)

    working.job("t", retries=1)(again_async if form == "async" else again)
    working.insert_into("a", {"n": 0})
    jobs = settled(working, 17)
    assert [job["status"] for job in jobs] == ["COMPLETED"] * 16 + ["FAILED"]
    assert "more than 16 in a chain" in jobs[-1]["error"]
    working.insert_into("a", {"n": 0})
    assert settled(working, 34)[17]["cause"]["depth"] == 1


def test_templates_compute_and_follow_relations(working):
    """What needs functions of ours or other documents is computed by the worker."""
    working.execute("""schema {
      define collection teams { name: String }
      define collection people { name: String team: ID @relation(to: "teams") }
      define collection log { text: String }
    }""")
    made = working.execute("""define handler "h" { on: ["insert:people", "delete:people"]
      where: { team: { name: { istartsWith: "ÄR" } } }
      action: { insertInto(collection: "log", data: { text: "${upper(name)} of ${team.name}" }) } }""")
    assert made["compiled"] == "WORKER"
    working["teams"].insert_many([{"id": "a", "name": "ärzte"}, {"id": "b", "name": "others"}])
    working["people"].insert_many(
        [{"id": "1", "name": "zoë", "team": "a"}, {"name": "x", "team": "b"}]
    )
    settled(working, 2)
    assert working.execute("{ log { text } }") == {"log": [{"text": "ZOË of ärzte"}]}
    working["people"].delete("1")
    settled(working, 3)
    assert working["log"].count() == 2


def test_fields_named_true_and_false_are_read_from_the_images(working):
    """The engine has names of its own for such columns of a query."""
    working.execute("""schema {
      define collection d { true: Int false: String } define collection log { text: String }
    }
    define handler "h" {
      on: "update:d" where: { true: { gt: 1 }, false: { icontains: "NEW.\\"true\\"" } }
      action: { insertInto(collection: "log", data: { text: "${old.false}, NEW.\\"false\\"" }) }
    }""")
    id = working.insert_into("d", {"true": 1, "false": "was"})
    working.execute(
        'mutation ($id: ID!, $d: DInput!) { update(collection: "d", id: $id, data: $d) { affected } }',
        {"id": id, "d": {"true": 2, "false": 'x new."TRUE"'}},
    )
    settled(working)
    assert working.execute("{ log { text } }") == {"log": [{"text": 'was, NEW."false"'}]}


def enqueued(db, type, count):
    """The jobs of a type when there are so many and every handler is done."""
    end = time.monotonic() + GUARD
    while True:
        jobs = db.execute(
            "{ _jobs { id type status payload unique_key after run_at cause result } }"
        )["_jobs"]
        found = [job for job in jobs if job["type"] == type]
        done = all(job["status"] == "COMPLETED" for job in jobs if job["type"][0] == "_")
        if len(found) >= count and done:
            return found
        assert time.monotonic() < end, f"no {count} jobs of '{type}': {jobs}"
        time.sleep(0.002)


def test_a_unique_job_of_a_handler(working):
    """Its key is made of the document; what stands in the document is no template."""
    working.execute(SCHEMA)
    working.execute("""define handler "sync" { on: ["insert:orders", "update:orders"] action: {
      enqueueJob(type: "sync", payload: {c: "${customer}", t: "${total}"}, delay: "1h",
                 unique: {key: "c-${customer}", onConflict: REPLACE}) { conflict unique_key } } }""")
    ids = [
        working.insert_into("orders", {"customer": name, "total": total})
        for name, total in (("Ada", 1.0), ("Bob", 2.0), ("Ada", 3.0), ("${t}", 4.0))
    ]
    working["orders"].update(ids[1], {"total": 5.0})
    jobs = enqueued(working, "sync", 3)
    assert {job["unique_key"]: job["payload"]["t"] for job in jobs} == {
        "c-Ada": 3.0, "c-Bob": 5.0, "c-${t}": 4.0,
    }  # fmt: skip
    assert {job["status"] for job in jobs} == {"SCHEDULED"}
    told = [job["result"]["enqueueJob"] for job in enqueued(working, "_handler:sync", 5)]
    assert sorted(one["conflict"] for one in told) == [False, False, False, True, True]


def test_a_handler_debounces(working):
    """Each change puts the one job off; its key keeps the type of a number."""
    working.execute("schema { define collection n { k: Int v: Int } }")
    working.execute("""define handler "h" { on: ["insert:n", "update:n"] action: {
      enqueueJob(type: "index", delay: "1h", unique: {key: $_k, onConflict: RESCHEDULE}, payload: "${v}") } }""")
    id = working.insert_into("n", {"k": 7, "v": 1})
    (first,) = enqueued(working, "index", 1)
    assert (first["unique_key"], first["payload"]) == ("7", 1)
    working["n"].update(id, {"v": 2})
    enqueued(working, "_handler:h", 2)
    (second,) = enqueued(working, "index", 1)
    assert (second["id"], second["payload"]) == (first["id"], 1)
    assert second["run_at"] > first["run_at"]


def test_a_handler_names_the_time(working):
    """`runAt` and `delay` are made of the document; without the field the job is due at once."""
    working.execute(SCHEMA)
    working.execute("""define handler "at" { on: "insert:orders" action: {
      a: enqueueJob(type: "at", runAt: "${at}", payload: $_customer)
      b: enqueueJob(type: "late", delay: "${total}h") } }""")
    working.insert_into("orders", {"customer": "Ada", "at": "2999-01-02T03:04:05Z", "total": 2.0})
    (job,) = enqueued(working, "at", 1)
    assert job["run_at"].isoformat() == "2999-01-02T03:04:05+00:00"
    (job,) = enqueued(working, "late", 1)
    assert job["status"] == "SCHEDULED"
    working.insert_into("orders", {"customer": "Bob", "total": 0.5})
    jobs = enqueued(working, "at", 2)
    assert [(one["payload"], one["status"]) for one in jobs] == [
        ("Ada", "SCHEDULED"),
        ("Bob", "PENDING"),
    ]


def test_actions_of_a_handler_wait_for_each_other(working):
    """`after` takes the id of an earlier action, or of the job that ended."""
    working.execute(SCHEMA)
    working.execute("""define handler "two" { on: "insert:orders" action: {
      one: enqueueJob(type: "one") { id }
      two: enqueueJob(type: "two", after: [$one.id]) } }""")
    working.execute("""define handler "ended" { on: "job_completed:load" action: {
      enqueueJob(type: "three", after: ["${id}"], onDependencyFailure: RUN) } }""")
    working.insert_into("orders", {"customer": "Ada"})
    (one,) = enqueued(working, "one", 1)
    (two,) = enqueued(working, "two", 1)
    assert two["after"] == [one["id"]]
    working.job("load")(lambda _: None)
    load = working.enqueue_job("load")
    (three,) = enqueued(working, "three", 1)
    assert three["after"] == [load.id]


def test_ends_of_jobs_cause_unique_jobs(working):
    """Completed, failed and cancelled jobs; the key is made of the job that ended."""
    for event in ("completed", "failed", "cancelled"):
        working.execute(f"""define handler "{event}" {{ on: "job_{event}:work" action: {{
          enqueueJob(type: "tell", delay: "1h", unique: "{event}-${{payload.c}}", payload: $_status) }} }}""")

    @working.job("work", retries=1)
    def work(payload: dict) -> None:
        if payload["fail"]:
            raise ValueError("no")

    for customer in (1, 1, 2):
        working.enqueue_job("work", {"c": customer, "fail": False})
        working.enqueue_job("work", {"c": customer, "fail": True})
        working.cancel_job(working.enqueue_job("work", {"c": customer}, delay=3_600).id)
    for event in ("completed", "failed", "cancelled"):
        enqueued(working, f"_handler:{event}", 3)
    assert {job["unique_key"]: job["payload"] for job in enqueued(working, "tell", 6)} == {
        "completed-1": "COMPLETED", "completed-2": "COMPLETED", "failed-1": "FAILED", "failed-2": "FAILED",
        "cancelled-1": "CANCELLED", "cancelled-2": "CANCELLED",
    }  # fmt: skip
    counted = working.execute("{ _handlers { name fired failed last_at } }")["_handlers"]
    assert [(one["name"], one["fired"], one["failed"]) for one in counted] == [
        ("completed", 3, 0), ("failed", 3, 0), ("cancelled", 3, 0),
    ]  # fmt: skip
    assert all(one["last_at"] is not None for one in counted)


def test_a_loop_through_a_worker_and_unique_jobs_is_stopped(working):
    """A job that its own end enqueues again stops, with the chain in the error."""
    working.job("again")(lambda _: None)
    working.execute("""define handler "loop" { on: "job_completed:again" action: {
      enqueueJob(type: "again", unique: true, payload: "${payload}") } }""")
    working.enqueue_job("again", 1)
    end = time.monotonic() + GUARD
    while not (failed := working.execute('{ _jobs(where: {status: "FAILED"}) { type error } }')["_jobs"]):  # fmt: skip
        assert time.monotonic() < end
        time.sleep(0.002)
    assert failed[0]["type"] == "_handler:loop"
    assert failed[0]["error"].startswith(
        "event handlers cause each other, more than 16 in a chain: loop → loop → loop"
    )


def test_a_backfill_of_a_handler_with_unique_jobs(working):
    """Documents that exist give one job for each key."""
    working.execute(SCHEMA)
    working["orders"].insert_many([{"customer": f"c{n % 3}"} for n in range(30)])
    working.execute("""define handler "sync" { on: "insert:orders" action: {
      enqueueJob(type: "sync", unique: "${customer}") } }""")
    told = working.execute('backfill handler "sync"')
    assert told == {"name": "sync", "status": "backfilled", "enqueued": 30}
    enqueued(working, "_handler:sync", 30)
    jobs = enqueued(working, "sync", 3)
    assert sorted(job["unique_key"] for job in jobs) == ["c0", "c1", "c2"]


@pytest.mark.parametrize("form", ["one", "many", "transaction", "unique", "execute"])
def test_a_job_between_continues_the_chain(working, form):
    """A job handler that enqueues the job which feeds the event handler is stopped as well."""
    working.execute("schema { define collection a { n: Int } }")
    working.execute('define handler "h" { on: "insert:a" action: { enqueueJob(type: "t") } }')

    @working.job("t")
    def first(_payload):
        match form:
            case "one":
                working.enqueue_job("u")
            case "many":
                working.enqueue_jobs("u", [1])
            case "unique":
                working.enqueue_job("u", unique=Unique(key="k", statuses=["PENDING"]))
            case "execute":
                working.execute('mutation { enqueueJob(type: "u") }')
            case _:
                with working.transaction() as tx:
                    tx.enqueue_job("u")

    @working.job("u")
    def second(_payload):
        working["a"].insert({"n": 1})

    working.insert_into("a", {"n": 0})
    jobs = settled(working, 33)
    assert [job["type"] for job in jobs] == ["t", "u"] * 16 + ["t"]
    assert [job["status"] for job in jobs] == ["COMPLETED"] * 32 + ["FAILED"]
    assert "more than 16 in a chain: h → h → h" in jobs[-1]["error"]
    assert jobs[1]["cause"] == {"job": jobs[0]["id"], "depth": 1, "chain": "h"}
