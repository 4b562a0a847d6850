"""The hot cache: what is kept, what is dropped, and what a caller gets."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from aurora_db import AsyncAurora, Aurora, DatabaseClosed, UnknownCollection, ValidationError

SCHEMA = """schema {
    define collection teams { id: ID!  name: String }
    define collection users {
        id: ID!  name: String  age: Int @indexed  tags: [String]  home: Object  born: DateTime
        team: ID @relation(to: "teams", onDelete: SET_NULL)
    }
    define collection hidden @quiet { id: ID!  name: String }
    define collection labelled {
        id: ID!  team: ID @relation(to: "teams")  label: String @computed("team.name")
    }
    define collection aged { id: ID!  born: DateTime  age: Int @computed("dateDiff(now(), born, \\"days\\")") }
}"""
ADULTS = "query ($age: Int) { users(where: {age: {gte: $age}}, orderBy: {name: ASC}) { name age } }"


@pytest.fixture
def shop(path):
    """A database with two users in a team."""
    with Aurora(path, durability="none", poll_interval=1000) as db:
        db.execute(SCHEMA)
        db["teams"].insert({"id": "t1", "name": "red"})
        db["users"].insert_many([
            {"id": "u1", "name": "Ada", "age": 36, "tags": ["a"], "home": {"city": "Oslo"}, "team": "t1"},
            {"id": "u2", "name": "Ben", "age": 17},
        ])  # fmt: skip
        yield db


@pytest.fixture
def beside(shop, path):
    """The same file opened once more: for caches the same as another process."""
    with Aurora(path, durability="none", poll_interval=1000) as db:
        yield db


def hits(db):
    """Hits of documents and of results so far."""
    stats = db.cache_stats()
    return stats.documents.hits, stats.results.hits


def warm(read, times=4):
    """The same read until it comes from memory; what it gave last."""
    return [read() for _ in range(times)][-1]


# --- documents ------------------------------------------------------------------------------


def test_a_document_that_was_read_is_in_memory(shop):
    warm(lambda: shop["users"].get("u1"))
    before = hits(shop)[0]
    assert shop["users"].get("u1")["name"] == "Ada"
    assert hits(shop)[0] == before + 1


def test_a_caller_changes_nobody_elses_copy(shop):
    """What a caller does to a document, also deep inside, nobody else sees."""
    mine = warm(lambda: shop["users"].get("u1"))
    mine["name"] = "Eve"
    mine["tags"].append("b")
    mine["home"]["city"] = "Rome"
    mine["home"]["streets"] = [1]
    theirs = shop["users"].get("u1")
    assert (theirs["name"], theirs["tags"], theirs["home"]) == ("Ada", ["a"], {"city": "Oslo"})


@pytest.mark.parametrize("write", [
    lambda db: db["users"].update("u1", {"age": 37}),
    lambda db: db["users"].update({"name": "Ada"}, {"age": 37}),
    lambda db: db["users"].upsert({"id": "u1"}, {"age": 37}),
    lambda db: db.execute('mutation { update(collection: "users", where: {id: "u1"}, data: {age: 37}) { affected } }'),
    lambda db: db["users"].insert_many([{"id": "u1", "name": "Ada", "age": 37}], on_conflict="replace"),
    lambda db: db["users"].delete("u1"),
    lambda db: db["teams"].delete("t1"),
    lambda db: db.execute("schema { alter collection users { drop age } }"),
    lambda db: db.execute("schema { alter collection users { rename age to years } }"),
])  # fmt: skip
@pytest.mark.parametrize("own", [True, False])
def test_every_write_is_seen_at_once(shop, beside, own, write):
    """By the database that writes, and by another one."""
    before = warm(lambda: shop["users"].get("u1"))
    write(shop if own else beside)
    after = shop["users"].get("u1")
    assert after != before
    assert [shop["users"].get("u1") for _ in range(3)] == [after] * 3
    assert [beside["users"].get("u1") for _ in range(3)] == [after] * 3


def test_what_is_rolled_back_is_never_seen(shop):
    """Inside the transaction its own writes are seen, outside and afterwards nothing of them."""
    warm(lambda: shop["users"].get("u1"))
    seen = []

    def look():
        seen.append(shop["users"].get("u1")["age"])

    with shop.transaction() as tx:
        tx["users"].update("u1", {"age": 99})
        assert [tx["users"].get("u1")["age"] for _ in range(3)] == [99] * 3
        other = threading.Thread(target=look)
        other.start()
        other.join(30)
        tx.rollback()
    look()
    assert seen == [36, 36]


def test_what_was_not_there_is_found_when_it_is(shop):
    assert [shop["users"].get("u3") for _ in range(4)] == [None] * 4
    shop["users"].insert({"id": "u3", "name": "Cid"})
    assert shop["users"].get("u3")["name"] == "Cid"


def test_unrelated_writes_drop_nothing(shop):
    """After writes of other documents the document comes from memory again."""
    warm(lambda: shop["users"].get("u1"))
    shop["users"].update("u2", {"age": 18})
    shop["teams"].insert({"id": "t2", "name": "blue"})
    before = hits(shop)[0]
    assert warm(lambda: shop["users"].get("u1"), 3)["age"] == 36
    # The first look after a commit goes to the file.
    assert hits(shop)[0] == before + 2


@pytest.mark.parametrize("name", ["hidden", "labelled", "aged"])
def test_what_may_change_without_a_change_of_its_own_is_not_kept(shop, beside, name):
    """Quiet collections have no changes; a computed field may show another document, or the time."""
    shop[name].insert({"id": "x"})
    shop[name].update(
        "x",
        {"team": "t1"}
        if name == "labelled"
        else {"born": None}
        if name == "aged"
        else {"name": "one"},
    )
    warm(lambda: shop[name].get("x"))
    assert shop.cache_stats().documents.items == 0
    if name == "labelled":
        beside["teams"].update("t1", {"name": "green"})
        assert shop[name].get("x")["label"] == "green"


def test_jobs_are_not_kept(shop):
    id = shop.enqueue_job("send", {}).id
    warm(lambda: shop["_jobs"].get(id))
    warm(lambda: shop.execute("{ _jobs { id status } }"))
    assert (shop.cache_stats().documents.items, shop.cache_stats().results.items) == (0, 0)


# --- other programs -------------------------------------------------------------------------


def test_fresh_sees_what_another_program_committed(shop, other_program):
    """Without it that is seen within the poll interval; afterwards memory has it too."""
    warm(lambda: shop["users"].get("u1"))
    warm(lambda: shop.execute(ADULTS, {"age": 36}))
    other_program("UPDATE users SET age = 40 WHERE id = 'u1'")
    assert shop["users"].get("u1", fresh=True)["age"] == 40
    assert shop["users"].get("u1")["age"] == 40
    other_program("UPDATE users SET age = 41 WHERE id = 'u1'")
    assert shop.execute(ADULTS, {"age": 36}, fresh=True) == {"users": [{"name": "Ada", "age": 41}]}
    assert shop["users"].get("u1")["age"] == 41


@pytest.mark.parametrize("verb", ["all", "first", "one", "count", "exists", "aggregate", "pages"])
def test_fresh_is_an_option_of_every_reading_verb_of_the_builder(shop, other_program, verb):
    query = shop.query("users").filter({"age": {"gte": 20}})

    def read(**options):
        run = getattr(query, verb)
        arguments = {"aggregate": ("count",), "pages": (10,)}.get(verb, ())
        got = run(*arguments, **options)
        return list(got) if verb == "pages" else got

    before = warm(read)
    other_program(
        "UPDATE users SET age = 40, name = 'Zoe' WHERE age < 20; DELETE FROM users WHERE id = 'u1'"
    )
    if verb in ("all", "first", "one", "pages"):
        assert read(fresh=True) != before
    else:
        other_program("DELETE FROM users")
        assert read(fresh=True) in (0, False, {"count": 0})


def test_other_programs_are_seen_within_the_poll_interval(path, other_program):
    with Aurora(path, poll_interval=0.001) as db:
        db.execute(SCHEMA)
        db["users"].insert({"id": "u1", "age": 1})
        warm(lambda: db["users"].get("u1"))
        other_program("UPDATE users SET age = 2, id = 'u9' WHERE id = 'u1'")
        assert db["users"].get("u1") is None
        assert db["users"].get("u9")["age"] == 2


def test_a_result_named_fresh_is_refused(shop):
    with pytest.raises(ValidationError, match="'fresh' is true or false"):
        shop.query("users").aggregate(fresh=("sum", "age"))


# --- results --------------------------------------------------------------------------------


def test_a_query_that_is_repeated_is_answered_from_memory(shop):
    """It is kept when it was asked for twice, for its values alone."""
    for age in (18, 30):
        warm(lambda age=age: shop.execute(ADULTS, {"age": age}), 2)
    before = hits(shop)[1]
    assert shop.execute(ADULTS, {"age": 18}) == {"users": [{"name": "Ada", "age": 36}]}
    assert shop.execute(ADULTS, {"age": 10})["users"][1]["name"] == "Ben"
    assert hits(shop)[1] == before + 1


def test_a_caller_changes_nobody_elses_result(shop):
    text = '{ users(where: {id: {eq: "u1"}}) { name tags home team { name } } }'
    mine = [shop.execute(text) for _ in range(4)]
    for one in mine:
        one["users"][0]["tags"].append("x")
        one["users"][0]["team"]["name"] = "x"
        one["users"].append({})
    expected = {
        "users": [{"name": "Ada", "tags": ["a"], "home": {"city": "Oslo"}, "team": {"name": "red"}}]
    }
    assert shop.execute(text) == expected


MATRIX = [
    # what is asked, a write that touches it, one that does not
    ("{ users(where: {age: {gte: 18}}) { name } }", ("u2", {"age": 18}), ("u2", {"name": "Bob"})),
    ("{ users(where: {age: {gte: 18}}) { name } }", ("u1", {"name": "Eva"}), ("u1", {"tags": []})),
    ("{ users(orderBy: {age: DESC}, limit: 1) { name } }", ("u2", {"age": 90}), ("u2", {"tags": ["x"]})),
    ('{ users { aggregate { sum(field: "age") } } }', ("u2", {"age": 90}), ("u2", {"name": "x"})),
    ('{ users { groupBy(field: "name") { key count } } }', ("u2", {"name": "x"}), ("u2", {"age": 2})),
    ("{ users { team { name } } }", ("t1", {"name": "blue"}), ("u1", {"age": 2})),
    ('{ users(where: {team: {name: {eq: "red"}}}) { name } }', ("t1", {"name": "blue"}), ("u1", {"age": 2})),
    ("{ teams { users { name } } }", ("u1", {"name": "x"}), ("u1", {"tags": []})),
    ("{ users(first: 1) { edges { node { name } } totalCount } }", ("u1", {"name": "x"}), ("u1", {"age": 2})),
    ("{ a: users { name } b: teams { name } }", ("t1", {"name": "x"}), ("u1", {"age": 2})),
]  # fmt: skip


@pytest.mark.parametrize(("text", "touching", "other"), MATRIX)
@pytest.mark.parametrize("own", [True, False])
def test_a_result_is_dropped_by_what_touches_it_and_by_nothing_else(
    shop, beside, own, text, touching, other
):
    writer = shop if own else beside

    def update(id, changes):
        writer["teams" if id.startswith("t") else "users"].update(id, changes)

    before = warm(lambda: shop.execute(text))
    update(*other)
    counted = hits(shop)[1]
    assert shop.execute(text) == before
    assert hits(shop)[1] == counted + 1
    update(*touching)
    after = shop.execute(text)
    assert after != before
    assert after == shop.execute(text, fresh=True) == beside.execute(text)
    assert hits(shop)[1] <= counted + 2


@pytest.mark.parametrize("text", [
    "{ users { name now: now() } }",
    "{ users { key: uuid() } }",
    '{ users(where: {expr: "born < now()"}) { name } }',
    "{ hidden { name } }",
    "{ aged { age } }",
    "{ _changes { seq } }",
    "{ __schema { collections { name } } }",
    "query @explain { users { name } }",
])  # fmt: skip
def test_a_result_that_no_change_tells_of_is_never_kept(shop, text):
    warm(lambda: shop.execute(text))
    assert shop.cache_stats().results.items == 0


def test_a_where_in_a_variable_is_kept_by_what_it_says(shop):
    text = "query ($w: usersFilter) { users(where: $w) { name } }"
    where = {"team": {"name": {"eq": "red"}}}
    assert warm(lambda: shop.execute(text, {"w": where})) == {"users": [{"name": "Ada"}]}
    assert hits(shop)[1] >= 1
    shop["teams"].update("t1", {"name": "blue"})
    assert shop.execute(text, {"w": where}) == {"users": []}


def test_a_definition_forgets_results(shop, beside):
    """A field that another process adds is there at once where all fields are shown."""
    text = "{ teams }"
    assert warm(lambda: shop.execute(text)) == {"teams": [{"id": "t1", "name": "red"}]}
    beside.execute("schema { alter collection teams { add size: Int = 3 } }")
    assert shop.execute(text) == {"teams": [{"id": "t1", "name": "red", "size": 3}]}


def test_who_may_ask_is_asked_each_time(shop):
    """A result in memory is no way round `@require`."""
    from aurora_db import AccessDenied

    text = 'query @require(role: "boss") { users { name } }'
    warm(lambda: shop.execute(text, auth={"role": "boss"}))
    with pytest.raises(AccessDenied):
        shop.execute(text, auth={"role": "clerk"})


def test_results_of_a_transaction_are_its_own(shop):
    text = "{ users { aggregate { count } } }"
    warm(lambda: shop.execute(text))
    with shop.transaction() as tx:
        tx["users"].insert({"id": "u3"})
        assert [tx.execute(text)["users"]["aggregate"]["count"] for _ in range(3)] == [3] * 3
        tx.rollback()
    assert shop.execute(text)["users"]["aggregate"]["count"] == 2


def test_many_changes_at_once_forget_everything(shop):
    """Reading thousands of changes would cost more than reading what is wanted again."""
    warm(lambda: shop["users"].get("u1"))
    warm(lambda: shop.execute(ADULTS, {"age": 18}))
    shop["teams"].insert_many([{"name": f"team {n}"} for n in range(3_000)])
    assert warm(lambda: shop["users"].get("u1"), 2)["age"] == 36
    assert shop.cache_stats().results.items == 0
    assert warm(lambda: shop.execute(ADULTS, {"age": 18}))["users"][0]["age"] == 36


# --- care -----------------------------------------------------------------------------------


def test_what_was_forgotten_comes_from_the_file(shop):
    warm(lambda: shop["users"].get("u1"))
    warm(lambda: shop.execute(ADULTS, {"age": 18}))
    shop.clear_hot_cache()
    stats = shop.cache_stats()
    assert (
        stats.documents.items,
        stats.documents.bytes,
        stats.results.items,
        stats.results.bytes,
    ) == (0, 0, 0, 0)
    before = hits(shop)
    assert shop["users"].get("u1")["age"] == 36
    assert shop.execute(ADULTS, {"age": 18})["users"] == [{"name": "Ada", "age": 36}]
    assert hits(shop) == before


def test_prewarming_says_how_many_it_loaded(shop):
    shop["users"].insert_many([{"name": f"user {n}", "age": n} for n in range(2_000)])
    assert shop.prewarm_cache("users") == 2_002
    before = hits(shop)[0]
    assert shop["users"].get("u1")["name"] == "Ada"
    assert hits(shop)[0] == before + 1
    assert shop.prewarm_cache("users") == 2_002
    assert shop.cache_stats().documents.items == 2_002


def test_prewarming_stops_where_the_cache_is_full(path):
    with Aurora(path, durability="none", hot_cache_size_mb=0.25) as db:
        db.execute("define collection notes { text: String }")
        ids = db["notes"].insert_many([{"text": "x" * 1_000} for _ in range(1_000)])
        loaded = db.prewarm_cache("notes")
        assert 100 < loaded < 260
        stats = db.cache_stats()
        assert stats.documents.items == loaded
        assert stats.documents.bytes <= stats.size == 262_144
        # The newest are there.
        assert db["notes"].get(ids[-1])["text"] == "x" * 1_000
        assert db.cache_stats().documents.hits == 1


@pytest.mark.parametrize(
    ("name", "error"),
    [("nothing", UnknownCollection), ("hidden", ValidationError), ("_jobs", ValidationError)],
)
def test_what_cannot_be_prewarmed_says_so(shop, name, error):
    with pytest.raises(error):
        shop.prewarm_cache(name)


def test_without_a_size_nothing_is_kept(path):
    with Aurora(path, hot_cache_size_mb=0) as db:
        db.execute(SCHEMA)
        db["users"].insert({"id": "u1"})
        warm(lambda: db["users"].get("u1", fresh=True))
        warm(lambda: db.execute(ADULTS, {"age": 1}, fresh=True))
        stats = db.cache_stats()
        assert (stats.size, stats.documents.items, stats.results.misses) == (0, 0, 0)
        db.clear_hot_cache()
        with pytest.raises(ValidationError, match="hot_cache_size_mb=0"):
            db.prewarm_cache("users")


@pytest.mark.parametrize("size", [-1, "64", True, float("inf"), float("nan")])
def test_a_size_is_a_number_of_mib(path, size):
    with pytest.raises(ValueError, match="'hot_cache_size_mb' is a number of MiB from 0"):
        Aurora(path, hot_cache_size_mb=size)


def test_the_size_is_never_passed(path):
    """Whatever is read, what is kept has its place; what is wanted often stays when others pass by."""
    with Aurora(path, durability="none", hot_cache_size_mb=0.5) as db:
        db.execute("define collection notes { n: Int @indexed  text: String }")
        ids = db["notes"].insert_many([{"n": n, "text": "x" * 500} for n in range(3_000)])
        often = ids[:50]
        for turn in range(6):
            for id in often:
                db["notes"].get(id)
            for id in ids[50 + turn * 400 : 450 + turn * 400]:
                db["notes"].get(id)
            db.execute(
                "query ($n: Int) { notes(where: {n: {lt: $n}}) { text } }", {"n": turn % 2 + 2}
            )
            assert db.cache_stats().documents.bytes + db.cache_stats().results.bytes <= 524_288
        assert db.cache_stats().documents.evictions > 1_000
        before = hits(db)[0]
        for id in often:
            db["notes"].get(id)
        assert hits(db)[0] - before >= 45


def test_stats_count_plans_too(shop):
    plans = shop.cache_stats().plans
    warm(lambda: shop.execute("{ teams { id } }"))
    after = shop.cache_stats().plans
    assert (after.items, after.misses) == (plans.items + 1, plans.misses + 1)
    assert after.hits > plans.hits
    assert shop.cache_stats().documents.ratio == 0.0
    warm(lambda: shop["users"].get("u1"), 4)
    assert shop.cache_stats().documents.ratio == 0.75


def test_a_closed_database_serves_nothing(path):
    db = Aurora(path)
    db.execute(SCHEMA)
    db["users"].insert({"id": "u1"})
    users = db["users"]
    warm(lambda: users.get("u1"))
    db.close()
    for refused in (
        lambda: users.get("u1"),
        db.cache_stats,
        db.clear_hot_cache,
        lambda: db.prewarm_cache("users"),
    ):
        with pytest.raises(DatabaseClosed):
            refused()


FORKS = """
import os, sys
from aurora_db import Aurora, DatabaseClosed
db = Aurora(sys.argv[1])
users = db["users"]
for _ in range(4):
    users.get("u1")
if os.fork() == 0:
    for read in (lambda: users.get("u1"), lambda: users.get("u1"), db.clear_hot_cache):
        try:
            read()
            os._exit(1)
        except DatabaseClosed:
            pass
    with Aurora(sys.argv[1]) as mine:
        mine["users"].update("u1", {"age": 2})
        os._exit(0 if mine["users"].get("u1")["age"] == 2 else 2)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
assert users.get("u1")["age"] == 2
db.close()
"""


def test_a_forked_child_has_a_cache_of_its_own(path):
    with Aurora(path) as db:
        db.execute(SCHEMA)
        db["users"].insert({"id": "u1", "age": 1})
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS, str(path)], check=True, timeout=60)


def test_tasks_are_answered_from_memory_too(path):
    async def story():
        async with AsyncAurora(path) as db:
            await db.execute(SCHEMA)
            await db["users"].insert({"id": "u1", "name": "Ada", "age": 36})
            for _ in range(4):
                await db["users"].get("u1")
                await db.execute(ADULTS, {"age": 18})
            assert hits(db)[0] >= 2
            assert hits(db)[1] >= 2
            await db["users"].update("u1", {"age": 37})
            assert (await db["users"].get("u1"))["age"] == 37
            assert (await db.execute(ADULTS, {"age": 18}))["users"][0]["age"] == 37
            assert await db.prewarm_cache("users") == 1

    asyncio.run(story())


def test_threads_that_read_and_write_see_their_own_writes(path):
    """What a thread has written, it reads; what is kept agrees with the file at the end."""
    with Aurora(path, durability="none", hot_cache_size_mb=0.05) as db:
        db.execute(SCHEMA)
        db["users"].insert_many([{"id": f"u{n}", "age": 0} for n in range(40)])
        wrong = []

        def work(k):
            users = db["users"]
            for n in range(150):
                mine = f"u{k * 10 + n % 10}"
                users.update(mine, {"age": n})
                if users.get(mine)["age"] != n:
                    wrong.append(mine)
                for m in range(0, 40, 3):
                    users.get(f"u{m}")

        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert wrong == []
        for n in range(40):
            assert warm(lambda n=n: db["users"].get(f"u{n}"))["age"] == 140 + n % 10
        assert db.cache_stats().documents.bytes <= db.cache_stats().size
