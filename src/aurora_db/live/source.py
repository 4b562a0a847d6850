"""What a subscription is made of: roots, and what each wants to hear of.

A root is one query (or one collection) that a subscription follows. There are two kinds. An *exact*
one says something for each change that touches it, by that change alone, so it can go on from any
position that the feed still has. The others keep a state: what they said last is compared with what is
now, and states in between may be merged.

A root is used by one thread at a time: by the tailer while its subscription is live, else by whoever
takes from the subscription. Only `said` and `news` run in the consumer's thread beside that: they touch
nothing of what `heard` and `settle` work on, but what was said last.
"""

from __future__ import annotations

from typing import Any, Protocol

from aurora_db.aql.interests import Interest
from aurora_db.store.changes import Changed
from aurora_db.store.port import Port


class Root(Protocol):
    """One query or collection that a subscription follows."""

    #: The key of its items in what a subscription of several roots says.
    key: str
    #: Whether each change speaks for itself; then `settle` and `news` are never called.
    exact: bool
    #: Whether it goes on after a position without `begin`: all that was heard since is its first state.
    resumes: bool
    interests: tuple[Interest, ...]
    #: What it was made from, compared after definitions have changed.
    signature: object

    async def begin(self, port: Port, seq: int, reset: str | None) -> list[Any]:
        """Take the state of this snapshot, whose newest change is `seq`; what is said first.

        With `reset` ("history" or "definition") it begins anew, and says so before.
        """
        ...

    def said(self, change: Changed, before: bool, after: bool) -> Any:
        """What a change says: whether the document matched before it, and does after it.

        Called when the user takes it, so what it gives is the user's own.
        """
        ...

    def heard(self, change: Changed, before: bool, after: bool) -> None:
        """Note a change that touches the root; more of the same transaction may follow."""
        ...

    async def settle(self, port: Port, seq: int) -> Any:
        """After everything heard, in the snapshot whose newest change is `seq`: the state, never changed again.

        None when nothing has come of what was heard. A root that looks at a system collection without
        changes is asked after every commit, whatever it has heard.
        """
        ...

    def news(self, state: Any) -> list[Any]:
        """What differs from the state said last, which this one is from now on."""
        ...
