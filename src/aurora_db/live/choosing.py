"""The three ways to keep a query live: by changes alone, by the keys that changed, or by asking again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from aurora_db.aql import plan, reads, ways
from aurora_db.aql.operands import type_of, untyped
from aurora_db.aql.types import JSON_KINDS
from aurora_db.base.errors import AqlError, Unsupported
from aurora_db.live.keeping import can_keep

INCREMENTAL: Final = "incremental"
BY_KEY: Final = "by key"
RE_RUN: Final = "re-run"


class How(msgspec.Struct, frozen=True):
    """How a query is kept live, why so, and what it looks into.

    `exact` tells that each change says by itself what comes of it. `restless`: something that it
    looks into has no feed, so that it is asked again after every commit.
    """

    word: str
    why: str
    reads: reads.Reads
    exact: bool = False
    restless: bool = False


def how(root: plan.Query | plan.Subscription) -> How:
    """How a query is kept, or a root of a subscription; its wheres are expanded.

    Raises:
        Unsupported: it cannot be, for that reason.
    """
    query = _shown(root)
    found = reads.reads(query)
    for one in found.collections:
        if one.quiet:
            raise quiet(one.name)
    changes = isinstance(root, plan.Subscription) and root.mode == "CHANGES"
    if changes and _is_alone(query, found):
        return How(INCREMENTAL, "each change tells by itself what comes of it", found, exact=True)
    if can_keep(query):
        return How(INCREMENTAL, "it is kept in memory, and a change moves it", found)
    silent = [one.name for one in found.collections if one.system and one.name != "_jobs"]
    if silent:
        why = f"'{silent[0]}' has no feed, so it is run again after every commit"
        return How(RE_RUN, why, found, restless=True)
    reason = _not_by_key(query, found, changes=changes)
    if reason is None:
        return How(BY_KEY, _what(found), found)
    return How(RE_RUN, reason, found)


def quiet(name: str) -> AqlError:
    """The refusal of a live query over a collection whose changes are kept nowhere."""
    return Unsupported(
        f"the collection '{name}' is @quiet: its changes are not in the feed, so nothing can be followed",
        hint=f"alter it: alter collection {name} {{ … }} without @quiet",
    )


def _shown(root: plan.Query | plan.Subscription) -> plan.Query:
    """The query with all that is shown of its documents."""
    if isinstance(root, plan.Query):
        return root
    keys = tuple(output for one in root.keys for output in one.outputs)
    return msgspec.structs.replace(root.query, outputs=(*root.query.outputs, *keys))


def _is_alone(query: plan.Query, found: reads.Reads) -> bool:
    """Whether an event can be made of a change alone."""
    if query.collection.system or found.ways:
        return False
    if query.limit is not None or query.offset is not None or query.search is not None:
        return False
    where = msgspec.structs.replace(query, outputs=(), order=())
    return not reads.reads(where).volatile


def _not_by_key(query: plan.Query, found: reads.Reads, *, changes: bool) -> str | None:
    """Why touched documents cannot be read one by one; None where they can."""
    reasons = (
        (query.search is not None, "a search ranks all documents anew"),
        (query.page is not None, "it is a page"),
        (bool(query.parts), "it counts or groups by more than one document tells"),
        (query.limit is not None or query.offset is not None, "one document that goes lets another in"),
        (found.volatile, "now() and uuid() change without a change"),
        (not all(map(ways.is_keyed, found.ways)), "a document that it looks into cannot be traced back by a key"),
        (not changes and not _is_sorted(query.order), "it is sorted by values of any type"),
    )  # fmt: skip
    return next((why for holds, why in reasons if holds), None)


def _is_sorted(order: Sequence[plan.Order]) -> bool:
    types = [type_of(one.path) for one in order]
    return all(one is not None and not untyped(one) and one.name not in JSON_KINDS for one in types)


def _what(found: reads.Reads) -> str:
    if not found.ways:
        return "documents that changed are read again"
    names = dict.fromkeys(way[-1].collection.name for way in found.ways)
    listed = ", ".join(f"'{name}'" for name in names)
    return f"a change in {listed} has those documents read again that lead there"
