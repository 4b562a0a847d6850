"""A query of one collection that is kept in memory: its documents in order, cut by limit and offset."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from aurora_db.aql import plan
from aurora_db.live.source import Interest
from aurora_db.store.changes import Changed
from aurora_db.store.port import Port

#: A document as the feed has it: never to be changed.
Image = Mapping[str, Any]
#: Makes of an image what the user gets: a value of his own.
Shape = Callable[[Image], Any]


class Tell(Protocol):
    """Makes the item of one event of CHANGES mode."""

    def __call__(
        self,
        mutation: str,
        id: str | None,
        new: Image | None,
        old: Image | None,
        seq: int,
        reason: str | None = None,
    ) -> Any:
        """`mutation` is INITIAL READY INSERT UPDATE ENTER LEAVE DELETE or RESET.

        `seq` is the number to make the position of; `reason` that of a RESET; `id` and both images are None
        of READY and RESET.
        """
        ...


class Window:
    """The root of a query without parts for which `keeping.can_keep` is true. In RESULTS mode without `tell`.

    Args:
        key: of its items.
        query: of one collection, its where expanded; its outputs are shown by `shape` alone.
        interest: in its collection, with the query's where as `where` and `test`, and no `fields`.
        variables: those of the operation, checked.
        shape: makes a document of the result of an image (RESULTS mode).
        tell: makes an event (CHANGES mode).
        initial: whether CHANGES begin with INITIAL events and READY.
        signature: what is compared after definitions have changed; the query and its variables by default.
    """

    exact = False

    def __init__(
        self,
        key: str,
        query: plan.Query,
        interest: Interest,
        *,
        now: Callable[[], dt.datetime],
        variables: Mapping[str, Any] = {},
        shape: Shape | None = None,
        tell: Tell | None = None,
        initial: bool = False,
        signature: object = None,
    ) -> None:
        self.key = key
        self.interests = (interest,)
        self.signature = signature

    async def begin(self, port: Port, seq: int, reset: str | None) -> list[Any]: ...

    def said(self, change: Changed, before: bool, after: bool) -> Any: ...

    def heard(self, change: Changed, before: bool, after: bool) -> None: ...

    async def settle(self, port: Port, seq: int) -> Any: ...

    def news(self, state: Any) -> list[Any]: ...
