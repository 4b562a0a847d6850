"""Subscriptions: queries that go on."""

from __future__ import annotations

import msgspec

from aurora_db.aql.plan.queries import Query, Selected
from aurora_db.aql.plan.values import Constant, Value


class EventKey(msgspec.Struct, frozen=True):
    """One key of an event; `word` is mutation, id, node, old, changed or position.

    `outputs` shape the document of node and old.
    """

    key: str
    word: str
    outputs: tuple[Selected, ...] = ()


class Subscription(msgspec.Struct, frozen=True):
    """One root of a subscription: a query, and how what comes of it is told.

    `mode` is CHANGES (an event for each change, of `keys`) or RESULTS (what the query gives, whole,
    whenever it differs). In CHANGES the query has no outputs of its own and no parts. `since` is a position,
    or null; `debounce` seconds, or null.
    """

    key: str
    query: Query
    mode: str = "CHANGES"
    keys: tuple[EventKey, ...] = ()
    initial: Value = Constant(False)
    since: Value = Constant(None)
    debounce: Value = Constant(None)
