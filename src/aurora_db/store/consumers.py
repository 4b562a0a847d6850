"""Durable consumers: who reads the feed at its own pace, and how far it has come.

A consumer has a name and a position, which it acknowledges itself, in a transaction of its choice. What
it has not read is kept beyond its time, up to a cap; then it is lost, visibly. Whoever opened it last
has it: what another one acknowledges is refused, so that two at once never count the same change twice.
"""

from __future__ import annotations

from typing import Any

from aurora_db.aql import suggest
from aurora_db.base.changes import Consumer
from aurora_db.base.codec import instant, timestamp
from aurora_db.base.errors import NotFound, SubscriptionClosed, ValidationError
from aurora_db.store import changes, positions
from aurora_db.store.port import Port

#: Where a new one begins stays where a known one is.
TAKE = """
    INSERT INTO _consumers (name, position, owner, created_at, seen_at)
    VALUES (:name, :position, :owner, :now, :now)
        ON CONFLICT (name) DO UPDATE SET owner = :owner, seen_at = :now
    RETURNING position
"""
ACKNOWLEDGE = """
    UPDATE _consumers
       SET position = :position, seen_at = :now,
           lost = CASE WHEN :position < :forgotten THEN lost ELSE 0 END
     WHERE name = :name AND owner = :owner AND position <= :position
"""
FIND = "SELECT position FROM _consumers WHERE name = ?"
LIST = "SELECT name, position, lost, created_at, seen_at FROM _consumers ORDER BY name"
FORGET = "DELETE FROM _consumers WHERE name = ? RETURNING name"


def checked(name: object) -> str:
    """The name of a consumer.

    Raises:
        ValidationError: it is none.
    """
    if isinstance(name, str) and 0 < len(name) <= 200 and name.isprintable():
        return name
    raise ValidationError(
        f"{name!r} is no name of a consumer",
        hint='a text of up to 200 characters, such as consumer="mailer"', field="consumer", rule="consumer", value=name,
    )  # fmt: skip


async def find(port: Port, name: str) -> int | None:
    """The position of a consumer; None where nobody has this name."""
    row = await port.row(FIND, (name,))
    return None if row is None else row[0]


async def take(port: Port, name: str, owner: str, position: int) -> int:
    """Have a consumer from here on, made at `position` where it is new; its position."""
    row = await port.row(
        TAKE, {"name": name, "owner": owner, "position": position, "now": timestamp(port.now())}
    )
    assert row is not None, "an upsert returns its row"
    return row[0]


async def acknowledge(port: Port, name: str, owner: str, position: int) -> None:
    """Note that everything up to `position` was read, if the transaction commits.

    Raises:
        SubscriptionClosed: another one has it now, or it was forgotten.
    """
    forgotten, _ = await changes.bounds(port)
    done = await port.change(
        ACKNOWLEDGE,
        {"name": name, "owner": owner, "position": position, "forgotten": forgotten, "now": timestamp(port.now())},
    )  # fmt: skip
    if not done:
        raise SubscriptionClosed(
            f"the consumer '{name}' was opened by another subscription, or was forgotten",
            hint="one subscription of a consumer at a time; open it again to take it back",
        )


async def listed(port: Port) -> list[Consumer]:
    """All consumers, by name."""
    database = await changes.database_id(port)
    _, last = await changes.bounds(port)
    return [
        Consumer(
            name=name,
            position=positions.token(database, position),
            behind=max(0, last - position),
            lost=bool(lost),
            created_at=instant(created_at),
            seen_at=None if seen_at is None else instant(seen_at),
        )
        for name, position, lost, created_at, seen_at in await port.rows(LIST)
    ]


async def forget(port: Port, name: Any) -> None:
    """Remove a consumer; it pins nothing any more.

    Raises:
        NotFound: nobody has this name.
    """
    if await port.row(FORGET, (checked(name),)) is None:
        known = [row[0] for row in await port.rows(LIST)]
        raise NotFound(
            f"no consumer named '{name}'",
            hint=suggest.hint(name, known) or "db.consumers() lists them",
        )
