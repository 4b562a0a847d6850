"""The root of a subscription to changes whose query is about one document at a time.

Each change speaks for itself: by its images it is known whether the document matched before and does
now, and what is shown of it. So it can go on from any position, and keeps nothing in memory.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from aurora_db.aql import plan
from aurora_db.base.codec import instant
from aurora_db.live.events import Events, Shaped, Token
from aurora_db.live.snapshots import Run, Snapshots
from aurora_db.live.source import Interest
from aurora_db.store.changes import Changed
from aurora_db.store.port import Port


class Matched:
    """An exact root of AQL events.

    Args:
        subscription: in CHANGES mode, its where expanded.
        interest: in its collection, with the where of the query.
        variables: those of the operation, checked.
        initial: whether it begins with what matches.
        signature: what is compared after definitions have changed.
    """

    exact = True
    resumes = True

    def __init__(
        self,
        subscription: plan.Subscription,
        interest: Interest,
        variables: Mapping[str, Any],
        run: Run,
        token: Token,
        *,
        initial: bool,
        signature: object,
    ) -> None:
        self.key = subscription.key
        self.interests = (interest,)
        self.signature = signature
        self._initial = initial
        self._events = Events(subscription, token)
        self._shaped = Shaped(self._events, subscription, variables, self._present)
        self._snapshots = Snapshots(subscription.query, self._events.selections, variables, run)
        self._at = ""

    def _present(self) -> dt.datetime:
        # The change alone tells what is shown, whenever it is taken.
        return instant(self._at)

    async def begin(self, port: Port, seq: int, reset: str | None) -> list[Any]:
        """INITIAL for each document that matches, then READY, where that is wanted; after a RESET always."""
        if reset is None and not self._initial:
            return []
        return opening(self._events, await self._snapshots.all(port), seq, reset)

    def said(self, change: Changed, before: bool, after: bool) -> Any:
        """INSERT, UPDATE, ENTER, LEAVE or DELETE."""
        self._at = change.at
        match change.op:
            case "insert":
                mutation = "INSERT"
            case "delete":
                mutation = "DELETE"
            case _ if before and after:
                mutation = "UPDATE"
            case _:
                mutation = "ENTER" if after else "LEAVE"
        return self._shaped(mutation, change.id, change.new, change.old, change.seq)

    def heard(self, change: Changed, before: bool, after: bool) -> None:
        """Never called: it is exact."""

    async def settle(self, port: Port, seq: int) -> Any:
        """Never called: it is exact."""

    def news(self, state: Any) -> list[Any]:
        """Never called: it is exact."""
        del state
        return []


def opening(events: Events, rows: Mapping[str, Any], seq: int, reset: str | None) -> list[Any]:
    """The events of a snapshot: only the last one has a position, for with it the snapshot is whole."""
    said = [] if reset is None else [events.event("RESET", None)]
    said += [events.event("INITIAL", None, id, row.nodes) for id, row in rows.items()]
    return [*said, events.event("READY", events.token(seq))]
