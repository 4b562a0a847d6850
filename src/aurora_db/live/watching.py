"""What `watch` and `live` give: the events and results of a subscription as users get them.

One place makes records of events, so that a watcher says what an AQL subscription of the same query says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from aurora_db.base.changes import Added, Modified, Removed, Reset
from aurora_db.live.waking import NOTHING

if TYPE_CHECKING:
    from aurora_db.live.roots import Make
    from aurora_db.live.source import Root
    from aurora_db.store.port import Port

#: Makes what the user asked for of one document.
Shape = Callable[[Any], Any]


class Watched:
    """Makes a record of an event; NOTHING of one that the watcher does not tell.

    Args:
        fields: updates that change none of them are left out, unless they are empty.
        shape: makes what the user asked for of a document.
    """

    def __init__(self, fields: frozenset[str], shape: Shape | None) -> None:
        self._fields = fields
        self._shape = shape
        #: Gives why the subscription began anew the last time.
        self.reason: Callable[[], str | None] = lambda: None

    def __call__(self, event: Mapping[str, Any]) -> Any:
        """The record, or NOTHING."""
        match event["mutation"]:
            case "INITIAL" | "INSERT" | "ENTER":
                return Added(self._document(event["node"]))
            case "UPDATE":
                if self._fields and self._fields.isdisjoint(event["changed"]):
                    return NOTHING
                return Modified(self._document(event["old"]), self._document(event["node"]))
            case "LEAVE" | "DELETE":
                return Removed(self._document(event["old"]))
            case "RESET":
                return Reset(self.reason() or "history")
            case _:
                return NOTHING

    def silent(self, event: Mapping[str, Any]) -> bool:
        """Whether it tells no watcher anything, whatever has come before: the end of a snapshot."""
        return event["mutation"] == "READY"

    def _document(self, document: Any) -> Any:
        return document if self._shape is None else self._shape(document)


class Unmarked:
    """A root that does not mark the end of its snapshot: with the last document of it the user has all of it."""

    def __init__(self, root: Root) -> None:
        self._root = root
        # Asked of each change; the rest is looked up.
        self.exact, self.said, self.heard = root.exact, root.said, root.heard

    async def begin(self, port: Port, seq: int, reset: str | None) -> list[Any]:
        """What is said first, without READY."""
        said = await self._root.begin(port, seq, reset)
        return [event for event in said if event["mutation"] != "READY"]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._root, name)


def unmarked(make: Make) -> Make:
    """Makes the same roots, which do not mark the ends of their snapshots."""
    return lambda catalog: [cast("Root", Unmarked(root)) for root in make(catalog)]


class Listed:
    """Makes of a result the list that the user asked for.

    Args:
        shape: makes what the user asked for of a document.
    """

    def __init__(self, shape: Shape | None) -> None:
        self._shape = shape

    def __call__(self, result: Any) -> Any:
        """The list."""
        return result if self._shape is None else [self._shape(one) for one in result]
