"""Records of the feed and of live queries, as users get them. Frozen."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

Document = dict[str, Any]
#: A document, or the record that one was asked for as.
D = TypeVar("D")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One committed change of one document, by whatever program.

    `position` is the token to go on after it. `op` is "insert", "update" or "delete"; `old` is the
    document before (None for an insert), `new` after (None for a delete), both with all fields.
    `changed` names the fields that differ, only for an update. `ends` is False while more
    changes of the same transaction follow. Changes of `_jobs` carry the status only.
    """

    position: str
    collection: str
    op: str
    id: str
    old: Document | None
    new: Document | None
    at: datetime
    changed: tuple[str, ...] = ()
    ends: bool = True


class Added(msgspec.Struct, Generic[D], frozen=True):
    """A document that matches now and did not before."""

    doc: D


class Modified(msgspec.Struct, Generic[D], frozen=True):
    """A document that matched and matches still; `old` is how it was."""

    old: D
    new: D


class Removed(msgspec.Struct, Generic[D], frozen=True):
    """A document that matched and does not any more, or is gone; as it was when it matched."""

    doc: D


class Reset(msgspec.Struct, frozen=True):
    """What was said before counts no more: `reason` is "history" or "definition".

    "history": the feed has forgotten changes that were not read yet. "definition": a collection
    of the query was altered. What matches now follows; of a plain feed, changes after `position`,
    which is None for others.
    """

    reason: str
    position: str | None = None


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """Who reads the feed at its own pace under a name that lasts.

    `position` is the token up to which it has acknowledged, `behind` how many changes the feed has had
    since, of all collections. `lost` tells that the feed has forgotten some that it had not read; it
    gets a `Reset`. `seen_at` is when it was opened or acknowledged last.
    """

    name: str
    position: str
    behind: int
    lost: bool
    created_at: datetime
    seen_at: datetime | None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody published: `position` is None unless it was published durably."""

    topic: str
    payload: Any
    position: str | None = None
