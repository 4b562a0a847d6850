"""Messages that wait for their commit: undone with their savepoint, their operation, their transaction."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from aurora_db import AsyncAurora, UniqueViolation
from aurora_db.store import topics

GUARD = 30.0


def said(messages):
    """What has arrived until now."""
    got = []
    while True:
        try:
            got.append(messages.next(0).payload)
        except TimeoutError:
            return got


@pytest.mark.parametrize("before", [[], ["before"]])
def test_a_savepoint_that_is_undone_takes_its_messages_along(db, before):
    async def verb(port):
        for payload in before:
            await topics.publish(port, "t", payload, durable=False)
        await port.script("SAVEPOINT outer")
        await topics.publish(port, "t", "outer", durable=False)
        await port.script("SAVEPOINT inner")
        await topics.publish(port, "t", "never", durable=False)
        await port.script("ROLLBACK TO inner")
        await topics.publish(port, "t", "inner", durable=False)
        await port.script("RELEASE inner")
        await port.script("RELEASE outer")
        await port.script("SAVEPOINT outer")
        await topics.publish(port, "t", "never", durable=False)
        await port.script("ROLLBACK TO outer")
        await port.script("RELEASE outer")

    with db.subscribe("t") as messages:
        db._engine.write(verb)

        assert said(messages) == [*before, "outer", "inner"]


def test_a_savepoint_undone_as_a_whole_leaves_no_mark(db):
    """The same name again begins where it is set again."""

    async def verb(port):
        await port.script("SAVEPOINT all_of_it")
        await topics.publish(port, "t", "never", durable=False)
        await port.script("SAVEPOINT action")
        await port.script("ROLLBACK TO all_of_it")
        await port.script("SAVEPOINT action")
        await topics.publish(port, "t", "neither", durable=False)
        await port.script("ROLLBACK TO action")
        await port.script("RELEASE action")
        await port.script("RELEASE all_of_it")
        await topics.publish(port, "t", "after", durable=False)

    with db.subscribe("t") as messages:
        db._engine.write(verb)

        assert said(messages) == ["after"]


@pytest.mark.parametrize("durable", [False, True], ids=["ephemeral", "durable"])
def test_of_a_group_only_what_failed_is_silent(path, durable):
    """Operations of several tasks share a commit; one that fails undoes its own messages."""

    async def publish_and_fail(port, n):
        await topics.publish(port, "t", n, durable=durable)
        if n % 3 == 0:
            raise UniqueViolation("as it happens")
        return n

    async def main():
        async with AsyncAurora(path) as db, db.subscribe("t") as messages:
            ended = await asyncio.gather(
                *(db._gate.write(partial(publish_and_fail, n=n)) for n in range(30)),
                return_exceptions=True,
            )
            wanted = [n for n in range(30) if n % 3]
            got = [(await messages.next(GUARD)).payload for _ in wanted]
            with pytest.raises(TimeoutError):
                await messages.next(0)
            return [one for one in ended if isinstance(one, int)] == wanted == got

    assert asyncio.run(main())


def test_an_operation_that_fails_alone_says_nothing_later(db):
    """Its messages are not left over for the next commit."""

    async def fails(port):
        await topics.publish(port, "t", "never", durable=False)
        raise UniqueViolation("as it happens")

    with db.subscribe("t") as messages:
        with pytest.raises(UniqueViolation):
            db._engine.write(fails)
        db.kv.put("k", 1)
        with db.transaction() as tx:
            tx.kv.put("k", 2)

        assert said(messages) == []
