"""Event handlers as users see them: also when another program writes."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from aurora_db import AqlError, Aurora, HandlerInvalid, UnknownField

SCHEMA = """schema { define collection products {
  name: String!  price: Float  stock: Int  live: Boolean  tags: [String]  box: Object  image_url: String
} }"""


@pytest.fixture
def shop(db):
    db.execute(SCHEMA)
    return db


def define(db, on, action, more=""):
    return db.execute(f'define handler "h" {{ on: {on} {more} action: {{ {action} }} }}')


def jobs(db):
    return db.execute("{ _jobs { type payload priority status cause } }")["_jobs"]


def test_another_program_fires_the_handler(shop, other_program):
    """An insert by the sqlite3 program enqueues a job with the document's values and types."""
    payload = '{id: "${id}", name: "${name}", price: "${price}", live: "${live}", tags: "${tags}", w: "${box.w}"}'
    define(shop, '"insert:products"', f'enqueueJob(type: "t", priority: HIGH, payload: {payload})')
    other_program(
        "INSERT INTO products (name, price, live, tags, box) VALUES ('it''s', 0.1, 1, '[\"a\"]', '{\"w\": 7}')"
    )
    (job,) = jobs(shop)
    product = shop.execute("{ products { id } }")["products"][0]["id"]
    assert job["payload"] == {
        "id": product,
        "name": "it's",
        "price": 0.1,
        "live": True,
        "tags": ["a"],
        "w": 7,
    }
    assert (job["priority"], job["status"]) == ("HIGH", "PENDING")
    assert (job["cause"]["handler"], job["cause"]["id"], job["cause"]["rev"]) == ("h", product, 1)


def test_conditions_and_changed_fields(shop):
    """`where` and `fields` limit which updates fire."""
    define(
        shop, '"update:products"',
        'enqueueJob(type: "low", payload: {was: "${old.stock}", now: "${stock}"})',
        more="fields: [stock] where: {stock: {lt: 5}}",
    )  # fmt: skip
    id = shop.insert_into("products", {"name": "x", "stock": 9})
    shop["products"].update(id, {"name": "y"})
    shop["products"].update(id, {"stock": 7})
    shop["products"].update(id, {"stock": 3})
    shop["products"].update(id, {"stock": 3})
    assert [job["payload"] for job in jobs(shop)] == [{"was": 7, "now": 3}]


def test_a_rolled_back_write_enqueues_nothing(shop):
    """Document and job are undone together."""
    define(shop, '"insert:products"', 'enqueueJob(type: "t")')
    with shop.transaction() as tx:
        tx["products"].insert({"name": "x"})
        tx.rollback()
    assert jobs(shop) == []


def test_several_events_and_actions(shop):
    """A list of events, two jobs each."""
    define(
        shop, '["insert:products", "delete:products"]',
        'a: enqueueJob(type: "a", payload: {e: $event}) b: enqueueJob(type: "b", payload: {text: "${name} gone"})',
    )  # fmt: skip
    id = shop.insert_into("products", {"name": "cup"})
    shop["products"].delete(id)
    assert [(job["type"], job["payload"]) for job in jobs(shop)] == [
        ("a", {"e": "insert"}),
        ("b", {"text": "cup gone"}),
        ("a", {"e": "delete"}),
        ("b", {"text": "cup gone"}),
    ]


def test_definitions_again(shop):
    """The same definition is unchanged, another is refused, `or replace` replaces, `drop` drops."""
    first = 'define handler "h" { on: "insert:products" action: { enqueueJob(type: "a") } }'
    other = 'define handler "h" { on: "insert:products" action: { enqueueJob(type: "b") } }'
    assert shop.execute(first)["status"] == "registered"
    assert shop.execute(first.replace("{ on", "{\n  on"))["status"] == "unchanged"
    with pytest.raises(HandlerInvalid):
        shop.execute(other)
    assert shop.execute(other.replace('"h" {', '"h" if not exists {', 1))["status"] == "unchanged"
    assert shop.execute(other.replace('"h" {', '"h" or replace {', 1))["status"] == "replaced"
    shop.insert_into("products", {"name": "x"})
    assert shop.execute('drop handler "h"')["status"] == "dropped"
    shop.insert_into("products", {"name": "y"})
    assert [job["type"] for job in jobs(shop)] == ["b"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('define handler "h" { on: "insert:products" action: { enqueueJob(type: "t", payload: {x: "${nam}"}) } }', UnknownField),
        ('define handler "h" { on: "insert:product" action: { enqueueJob(type: "t") } }', AqlError),
        ('define handler "h" { on: "inserted:products" action: { enqueueJob(type: "t") } }', AqlError),
        ('define handler "h" { on: "insert:products" action: { enqueueJob(payload: {}) } }', AqlError),
        ('define handler "h" { on: "insert:products" where: {nam: 1} action: { enqueueJob(type: "t") } }', UnknownField),
    ],
)  # fmt: skip
def test_a_wrong_definition_is_refused(shop, text, error):
    """Unknown fields, collections and events are refused when the handler is defined."""
    with pytest.raises(error):
        shop.execute(text)
    assert shop.execute("{ _handlers { name } }") == {"_handlers": []}
    shop.insert_into("products", {"name": "x"})
    assert jobs(shop) == []


def test_definitions_of_another_process_are_seen(shop, path):
    """Handlers, schedules and rules: whatever the other process defined is there at once."""
    texts = [
        'define handler "h" { on: "insert:products" action: { enqueueJob(type: "t") } }',
        'define schedule "s" { every: "5m" action: { enqueueJob(type: "t") } }',
        "define rules products { read: true }",
    ]
    program = "import sys; from aurora_db import Aurora; db = Aurora(sys.argv[1]); [db.execute(one) for one in sys.argv[2:]]; db.close()"  # fmt: skip
    subprocess.run([sys.executable, "-c", program, str(path), *texts], check=True, timeout=60)
    assert [shop.execute(one)["status"] for one in texts] == ["unchanged"] * 3
    assert shop.execute('drop schedule "s"')["status"] == "dropped"


def test_handlers_survive_a_reopen(path):
    """What was defined, disabled and counted is there when the file is opened again."""
    with Aurora(path) as db:
        db.execute(SCHEMA)
        define(db, '"insert:products"', 'enqueueJob(type: "t")')
        db.insert_into("products", {"name": "x"})
        db.execute('disable handler "h"')
    with Aurora(path) as db:
        db.insert_into("products", {"name": "y"})
        (handler,) = db.execute("{ _handlers { name enabled fired } }")["_handlers"]
        assert handler == {"name": "h", "enabled": False, "fired": 1}
        assert db.execute('enable handler "h"')["status"] == "enabled"
        db.insert_into("products", {"name": "z"})
        assert len(jobs(db)) == 2


def test_a_schedule_over_the_change_of_clocks(db, clock):
    """In the night when clocks go forward, what falls into the skipped hour is due right after it."""
    clock.advance(datetime(2026, 3, 28, 12, tzinfo=UTC) - clock.now())
    db.execute('define schedule "s" { cron: "30 2 * * *" timezone: "Europe/Paris" action: { enqueueJob(type: "t") } }')  # fmt: skip
    (schedule,) = db.execute("{ _schedules { next_at } }")["_schedules"]
    assert schedule["next_at"] == datetime(2026, 3, 29, 1, tzinfo=UTC)
