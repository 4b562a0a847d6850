"""The writer beside event loops: what is committed is told, whoever else waits."""

from __future__ import annotations

import asyncio
import threading

import apsw
import pytest

from aurora_db import AsyncAurora, Jobs


def test_what_is_committed_is_told_while_the_next_commit_waits(tmp_path):
    """Another program holds the file: tasks whose jobs are stored go on, the others wait."""
    path = tmp_path / "shop.db"

    async def main() -> None:
        async with AsyncAurora(path) as db:
            await db.enqueue_job("noop")
            other = apsw.Connection(str(path))
            held = threading.Event()

            def hold(_urgency: int) -> None:
                # After the first commit of many, before the next one.
                if not held.is_set():
                    held.set()
                    other.execute("BEGIN IMMEDIATE")

            stop = db._engine.listen("jobs", hold)
            # More than one transaction takes.
            tasks = [asyncio.ensure_future(db.enqueue_job("noop")) for _ in range(900)]
            await asyncio.wait_for(tasks[0], 10)
            assert held.is_set()
            assert not tasks[-1].done()
            stored = other.execute("SELECT count(*) FROM _jobs").get
            assert stored < 901
            other.execute("ROLLBACK")
            await asyncio.wait_for(asyncio.gather(*tasks), 30)
            stop()
            assert other.execute("SELECT count(*) FROM _jobs").get == 901
            other.close()

    asyncio.run(main())


def test_a_lone_write_beside_many_is_committed(tmp_path):
    """A write that waits for company does not wait for what never comes."""

    async def main() -> None:
        async with AsyncAurora(tmp_path / "shop.db") as db:
            many = [asyncio.ensure_future(db.enqueue_job("noop")) for _ in range(600)]
            await asyncio.wait_for(asyncio.gather(*many), 30)
            await asyncio.wait_for(db.enqueue_job("noop"), 10)
            assert (await db.execute("{ _jobs(limit: 1000) { id } }"))["_jobs"][-1]["id"]

    asyncio.run(main())


def test_tasks_without_end_leave_the_writer_to_threads(tmp_path):
    """While producers never pause, workers settle their jobs and a transaction gets its turn."""
    ran = threading.Event()
    jobs = Jobs()
    jobs.job("urgent")(lambda: ran.set())  # noqa: PLW0108 - a function of no parameters

    async def main() -> None:
        async with AsyncAurora(tmp_path / "shop.db", workers_enabled=True, jobs=jobs) as db:
            over = False

            async def produce() -> None:
                while not over:
                    await db.enqueue_job("nobody")

            producers = [asyncio.ensure_future(produce()) for _ in range(700)]
            wanted = await db.enqueue_job("urgent")
            assert await asyncio.to_thread(ran.wait, 30)
            async with asyncio.timeout(30):
                while (found := await db.get_job(wanted.id)) is None or found.status != "COMPLETED":
                    await asyncio.sleep(0)
                async with db.transaction() as tx:
                    await tx.enqueue_job("nobody")
            over = True
            await asyncio.wait_for(asyncio.gather(*producers), 30)

    asyncio.run(main())


def test_a_loop_that_ended_holds_nobody_up(tmp_path):
    """Tasks left behind by one event loop do not keep those of the next one from their commit."""
    path = tmp_path / "shop.db"
    db = asyncio.run(_opened(path))

    async def left_behind() -> None:
        await db.enqueue_job("noop")
        asyncio.ensure_future(db.enqueue_job("noop"))  # noqa: RUF006 - nobody waits for it

    async def next_one() -> None:
        await asyncio.wait_for(db.enqueue_job("noop"), 10)
        await db.close()

    asyncio.run(left_behind())
    asyncio.run(next_one())


async def _opened(path) -> AsyncAurora:
    return AsyncAurora(path)


async def test_a_task_cancelled_while_it_waits_for_a_transaction_lets_it_go(path):
    """Its turn comes when nobody is there any more; others go on at once, not after a deadline."""
    async with AsyncAurora(path) as db:
        await db.execute("schema { define collection notes { text: String } }")

        async def late() -> None:
            async with db.transaction():
                raise AssertionError("it was cancelled")

        async with db.transaction():
            task = asyncio.create_task(late())
            # Until its thread waits for the writer.
            while not db._engine._writer._blocked:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        async with asyncio.timeout(5):
            await db.insert_into("notes", {"text": "after"})


async def test_transactions_of_many_tasks_wait_for_each_other(path):
    """None is taken for the one before it, whichever thread waited for it."""
    async with AsyncAurora(path, durability="none") as db:
        await db.execute("schema { define collection notes { n: Int! } }")

        async def note(n: int) -> None:
            async with db.transaction() as tx:
                await tx["notes"].insert({"n": n})

        for _ in range(20):
            await asyncio.gather(*(note(n) for n in range(20)))
        assert await db["notes"].count() == 400
