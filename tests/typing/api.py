"""Uses the public surface as a user's type checker sees it. Checked by pyright, never run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_type

from aurora_db import (
    Added,
    AsyncAurora,
    AsyncSubscription,
    Aurora,
    AuroraConfig,
    Change,
    F,
    ImportReport,
    Job,
    JobContext,
    JobHandler,
    Jobs,
    KeyValues,
    ManualClock,
    Message,
    Modified,
    Priority,
    Removed,
    Reset,
    Subscription,
    TopicSubscription,
)
from aurora_db.testing import DrainResult


@dataclass
class Thumbnail:
    path: str


jobs = Jobs()


@jobs.job("resize", retries=5)
def resize(payload: Thumbnail, job: JobContext) -> dict[str, int]:
    with job.completing() as tx:
        assert_type(tx["thumbnails"].insert({"path": payload.path}), str)
        tx.result({"bytes": 5})
    return {"bytes": 5}


class Processor(JobHandler):
    async def handle(self, job: JobContext) -> None:
        async with job.completing() as tx:
            await tx["thumbnails"].insert({"path": job.payload["path"]})


def blocking() -> None:
    with Aurora.with_config(AuroraConfig(path="a.db", workers_enabled=True), jobs=jobs) as db:
        assert_type(db.insert_into("u", {"n": 1}), str)
        assert_type(db["u"].insert_many([{"n": 1}]), list[str])
        assert_type(db["u"].get("x"), dict[str, Any] | None)
        assert_type(db["u"].get("x", as_=Thumbnail), Thumbnail | None)
        assert_type(db["u"].upsert({"id": "x"}, {"n": {"increment": 1}}), str)
        assert_type(db.import_file("u", "u.csv"), ImportReport)
        assert_type(db.export_file("u", "u.csv"), int)
        assert_type(db.cancel_job("x"), bool)
        assert_type(db.wait_job("x", timeout=5), Any)
        assert_type(db.enqueue_job("resize", {"path": "x"}, Priority.HIGH), Job)
        db.workers.register_handler("resize", Processor())
        with db.transaction() as tx:
            assert_type(tx["u"].count(), int)


def told(db: Aurora) -> None:
    assert_type(db.publish("chat.room1", {"text": "hello"}, durable=True), str | None)
    with db.subscribe("chat.*", since="x") as messages:
        assert_type(messages, TopicSubscription)
        assert_type(messages.next(timeout=1), Message | Reset)
        assert_type(messages.missed, int)
        for message in messages:
            assert_type(message, Message | Reset)
    assert_type(db.kv, KeyValues)
    assert_type(db.kv.put("k", b"v", ttl=60), None)
    assert_type(db.kv.get("k"), Any)
    assert_type(db.kv.delete("k"), bool)
    assert_type(db.kv.add("k", 1), bool)
    assert_type(db.kv.increment("k"), int | float)
    with db.transaction() as tx:
        tx.publish("chat.room1", None)
        tx.kv.put("k", 1)


async def told_async(db: AsyncAurora) -> None:
    assert_type(await db.publish("chat.room1", 1), str | None)
    async with db.subscribe("chat.*") as messages:
        async for message in messages:
            assert_type(message, Message | Reset)
    assert_type(await db.kv.add("k", 1), bool)


def tested(db: Aurora) -> None:
    testing = db.jobs_testing
    assert_type(testing.drain(resize, raises=True), DrainResult)
    assert_type(testing.drain("resize", with_scheduled=True).completed, int)
    assert_type(testing.assert_enqueued(resize, payload={"path": "x"}, within=60), list[Job])
    assert_type(testing.clock, ManualClock)
    assert_type(testing.perform(resize, Thumbnail("x"), attempt=2), Any)
    with testing.mode("inline"), testing.crash_at("after_claim"):
        testing.refute_enqueued()


async def tested_async(db: AsyncAurora) -> None:
    assert_type(await db.jobs_testing.drain(), DrainResult)
    assert_type(await db.jobs_testing.perform("resize"), Any)


async def asynchronous() -> None:
    async with AsyncAurora("a.db") as db:
        assert_type(await db.insert_into("u", {"n": 1}), str)
        assert_type(await db.enqueue_jobs("resize", [{"path": "x"}]), list[Job])
        async with db.transaction() as tx:
            assert_type(await tx["u"].count(), int)


def followed(db: Aurora) -> None:
    orders = db.query("orders").filter(F.status == "open").debounce(0.05).throttle(1)
    with orders.watch(initial=False, since=None, fields=["status"]) as watch:
        for update in watch:
            match update:
                case Added(doc) | Removed(doc):
                    assert_type(doc, dict[str, Any])
                case Modified(old, new):
                    assert_type((old, new), tuple[dict[str, Any], dict[str, Any]])
                case Reset(reason):
                    assert_type(reason, str)
        assert_type(watch.position, str | None)
    with orders.watch(as_=Thumbnail) as records:
        match records.next(timeout=5):
            case Added(thumbnail) | Modified(_, thumbnail):
                assert_type(thumbnail, Thumbnail)
            case _:
                pass
    assert_type(orders.live(), Subscription[list[dict[str, Any]]])
    assert_type(orders.live(as_=Thumbnail).next(), list[Thumbnail])
    with db.listen("orders", where={"status": "open"}) as listener:
        for change in listener:
            assert_type(change, Change | Reset)
    assert_type(db.listen_all(), Subscription[Change | Reset])
    assert_type(db.stream("{ orders { id } }").next(timeout=0.5), dict[str, Any])
    with db.group(orders=orders, users=db.query("users")) as group:
        assert_type(group.next()["orders"], list[dict[str, Any]])
        group.close()


async def followed_async(db: AsyncAurora) -> None:
    orders = db.query("orders")
    async with orders.watch() as watch:
        async for update in watch:
            if isinstance(update, Added):
                assert_type(update.doc, dict[str, Any])
    assert_type(await orders.live(as_=Thumbnail).next(timeout=1), list[Thumbnail])
    assert_type(db.listen("orders"), AsyncSubscription[Change | Reset])
    async for item in db.group(orders=orders):
        assert_type(item, dict[str, list[dict[str, Any]]])
