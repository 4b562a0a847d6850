"""Durable consumers: a stream that goes on after what its consumer has acknowledged."""

from __future__ import annotations

from functools import partial

from aurora_db.base.errors import ReadOnly, ValidationError
from aurora_db.base.ids import new_id
from aurora_db.live.feed import Feed
from aurora_db.live.roots import Make
from aurora_db.live.subscription import Stream
from aurora_db.store import consumers
from aurora_db.store.port import Port, Verb


class Held:
    """A durable consumer in the hand of one subscription.

    It is taken with the first item, in a transaction: from then on whoever had it before is refused.
    """

    def __init__(self, stream: Stream, name: str) -> None:
        self.stream = stream
        self.name = name
        #: Whether it is had.
        self.taken = False
        self._owner = new_id()
        self._acknowledged = -1

    async def take(self, port: Port) -> int:
        """Have it from here on; the position that it has reached."""
        return await consumers.take(port, self.name, self._owner, self.stream.seq or 0)

    def have(self, position: int) -> None:
        """It was taken, and goes on after `position`."""
        if not self.taken:
            self.taken = True
            self.stream.rewind(position)

    def acknowledge(self) -> Verb[None] | None:
        """What notes the position of the stream; None where nothing has been taken yet."""
        seq = self.stream.seq
        if not self.taken or seq is None:
            return None
        return partial(consumers.acknowledge, name=self.name, owner=self._owner, position=seq)

    def __repr__(self) -> str:
        return f"Held({self.name!r}, taken={self.taken})"


def held(feed: Feed, make: Make, name: object, since: str | None) -> Held:
    """A consumer and its stream, which begins where the consumer is, or now.

    Raises:
        ValidationError: the name is none, or a position is given too.
        ReadOnly: nothing can be noted in this database.
    """
    checked = consumers.checked(name)
    if since is not None:
        raise ValidationError(
            f"the consumer '{checked}' goes on after what it has acknowledged, so 'since' has no meaning",
            hint="leave one of the two out", field="since", rule="since", value=since,
        )  # fmt: skip
    if feed.engine.read_only:
        raise ReadOnly(
            "a durable consumer is kept in the database, which was opened with read_only=True",
            hint="keep the position yourself and pass it as since",
        )
    position = feed.engine.read(partial(consumers.find, name=checked), single=True)
    stream = Stream(feed, make, several=False, since=position, plain=True)
    return Held(stream.opened(), checked)
