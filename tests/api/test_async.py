"""The asynchronous façade has the same verbs, and producers share commits."""

from __future__ import annotations

import asyncio

import pytest

from aurora_db import AsyncAurora, JobContext, TransactionError, UniqueViolation


@pytest.fixture
def path(tmp_path):
    return tmp_path / "async.db"


SCHEMA = "schema { define collection u { name: String @unique n: Int } }"


def test_documents(path):
    """Insert, read, change, count and remove."""

    async def main() -> None:
        async with AsyncAurora(path) as db:
            await db.execute(SCHEMA)
            id = await db["u"].insert({"name": "ada", "n": 1})
            assert await db["u"].update(id, {"n": 2}) == 1
            assert (await db["u"].get(id))["n"] == 2
            assert await db.execute("{ u { name n } }") == {"u": [{"name": "ada", "n": 2}]}
            assert await db["u"].delete(id) == 1
            assert await db["u"].count() == 0

    asyncio.run(main())


def test_many_producers_share_commits_and_fail_alone(path):
    """Of 64 tasks, those with a taken name fail and the others are stored."""

    async def main() -> None:
        async with AsyncAurora(path) as db:
            await db.execute(SCHEMA)
            tasks = [db["u"].insert({"name": f"n{i % 48}", "n": i}) for i in range(64)]
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert sum(isinstance(one, UniqueViolation) for one in done) == 16
            assert sum(isinstance(one, str) for one in done) == 48
            assert await db["u"].count() == 48

    asyncio.run(main())


def test_a_transaction(path):
    """It commits at the end of its block, and not when the block raises."""

    async def main() -> None:
        async with AsyncAurora(path) as db:
            await db.execute(SCHEMA)
            async with db.transaction() as tx:
                await tx["u"].insert({"name": "ada"})
                with pytest.raises(TransactionError):
                    await db["u"].insert({"name": "self"})
            with pytest.raises(ZeroDivisionError):
                async with db.transaction() as tx:
                    await tx["u"].insert({"name": "bob"})
                    1 / 0  # noqa: B018 - the exception is the point
            assert await db.execute("{ u { name } }") == {"u": [{"name": "ada"}]}

    asyncio.run(main())


def test_a_transaction_and_other_tasks(path):
    """Writes of other tasks wait for the transaction and then happen."""

    async def main() -> None:
        async with AsyncAurora(path) as db:
            await db.execute(SCHEMA)
            async with db.transaction() as tx:
                other = asyncio.create_task(outside(db))
                await tx["u"].insert({"name": "ada"})
                await asyncio.sleep(0)
                assert not other.done()
            await other
            assert await db["u"].count() == 2

    async def outside(db: AsyncAurora) -> None:
        await db["u"].insert({"name": "bob"})

    asyncio.run(main())


def test_jobs(path):
    """An async handler completes with its effects; typed enqueue is awaited."""

    async def main() -> None:
        async with AsyncAurora(path, workers_enabled=True) as db:
            await db.execute(SCHEMA)

            @db.job("greet")
            async def greet(payload: dict, job: JobContext) -> None:
                await asyncio.sleep(0)
                async with job.completing() as tx:
                    await tx["u"].insert({"name": payload["name"]})
                    tx.result("hello")

            job = await db.enqueue_job("greet", {"name": "ada"})
            async with asyncio.timeout(30):
                while (await db.get_job(job.id)).finished_at is None:
                    await asyncio.sleep(0.005)
            assert (await db.get_job(job.id)).result == "hello"
            assert await db["u"].count() == 1

    asyncio.run(main())
