"""Which root follows which query: by changes alone where that can be, else by asking again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from aurora_db.aql import plan
from aurora_db.aql.catalog import Catalog, Collection
from aurora_db.aql.evaluate import Documents, compiled
from aurora_db.aql.expand import expand_query, valued
from aurora_db.aql.reads import reads
from aurora_db.aql.subscriptions import wanted
from aurora_db.base.errors import Unsupported
from aurora_db.live import shaping
from aurora_db.live.choosing import BY_KEY, INCREMENTAL, how
from aurora_db.live.events import Events, Shaped
from aurora_db.live.keyed import Touched
from aurora_db.live.matched import Matched
from aurora_db.live.rerun import Asked, Kept, Rerun
from aurora_db.live.snapshots import Run, Snapshots
from aurora_db.live.source import Interest, Root
from aurora_db.store import positions
from aurora_db.store.port import Port
from aurora_db.store.scope import Scope

if TYPE_CHECKING:
    from aurora_db.live.feed import Feed


def roots(
    operation: plan.Operation,
    variables: Mapping[str, Any],
    catalog: Catalog,
    feed: Feed,
    run: Run,
) -> Sequence[Root]:
    """What follows each root of a subscription, or of a query, which is followed in RESULTS mode.

    Args:
        operation: resolved against `catalog`.
        variables: checked.
        catalog: the definitions of now.
        feed: names positions.
        run: gives what runs a query.

    Raises:
        Unsupported: a root cannot be followed.
        AqlError: the value of a variable does not fit its place.
    """
    made: list[Root] = []
    for part in operation.roots:
        match part:
            case plan.Subscription():
                subscription = part
            case plan.Query():
                subscription = plan.Subscription(part.key, part, "RESULTS")
            case _:
                raise Unsupported(
                    f"'{part.key}' cannot be followed" if hasattr(part, "key") else "it cannot be followed",
                    hint="follow queries of collections",
                )  # fmt: skip
        made.append(_Planning(subscription, variables, catalog, feed, run).root())
    return made


class _Planning:
    """One root."""

    def __init__(
        self,
        subscription: plan.Subscription,
        variables: Mapping[str, Any],
        catalog: Catalog,
        feed: Feed,
        run: Run,
    ) -> None:
        self._subscription = expanded(subscription, catalog, variables)
        # With what a whole where-object of a variable leads to.
        self._signature = (self._subscription, dict(variables))
        self._variables = variables
        self._feed = feed
        self._run = run
        self._initial = wanted(subscription, variables).initial
        self._how = how(self._subscription)

    @property
    def _query(self) -> plan.Query:
        return self._subscription.query

    def root(self) -> Root:
        if self._subscription.mode == "CHANGES":
            return self._changes()
        return self._results()

    def _changes(self) -> Root:
        token = partial(positions.token, self._feed.database)
        found, subscription = self._how, self._subscription
        if found.exact:
            return Matched(
                subscription, self._interest(), self._variables, self._run, token,
                initial=self._initial, signature=self._signature,
            )  # fmt: skip
        events = Events(subscription, token)
        if found.word == INCREMENTAL:
            from aurora_db.live.window import Window  # noqa: PLC0415 - what has no limit does without

            now = self._feed.engine.clock.now
            tell = Shaped(events, subscription, self._variables, now)
            return Window(
                subscription.key, self._query, self._interest(), variables=self._variables, tell=tell,
                initial=self._initial, signature=self._signature,
            )  # fmt: skip
        snapshots = Snapshots(self._query, events.selections, self._variables, self._run)
        return Kept(self._asked(), snapshots, self._touched(), events, initial=self._initial)

    def _results(self) -> Root:
        query, variables = self._query, self._variables
        word = self._how.word
        if word == INCREMENTAL:
            return self._incremental()
        if word == BY_KEY:
            snapshots = Snapshots(query, [query.outputs], variables, self._run, sorts=True)
            return Kept(self._asked(), snapshots, self._touched(), None)
        return Rerun(self._asked(), query, variables, self._run)

    def _incremental(self) -> Root:
        query, variables, key = self._query, self._variables, self._subscription.key
        shape = None
        if query.outputs or not query.parts:
            now = self._feed.engine.clock.now
            shape = shaping.shape(query.outputs, query.collection, variables, now)
        if not query.parts:
            from aurora_db.live.window import Window  # noqa: PLC0415 - few programs need both

            return Window(
                key, query, self._interest(), variables=variables, shape=shape, signature=self._signature
            )  # fmt: skip
        from aurora_db.live.tally import Tally  # noqa: PLC0415 - as above

        runner = self._run(query)

        async def whole(port: Port) -> Any:
            return await runner(port, Scope(variables))

        return Tally(
            key, query, self._interest(), whole, variables=variables, shape=shape, signature=self._signature
        )  # fmt: skip

    def _touched(self) -> Touched | None:
        if self._how.word != BY_KEY:
            return None
        return Touched(self._query, self._how.reads.ways, self._run)

    # --- interests --------------------------------------------------------------------------

    def _interest(self) -> Interest:
        """What matches, in the collection of the query."""
        collection, where = self._query.collection, self._query.where
        if where == plan.ALWAYS:
            return Interest(collection.name)
        known = valued(where, self._variables)
        documents = Documents({}, self._variables, self._feed.engine.clock.now())
        return Interest(collection.name, known, compiled(known, documents))

    def _asked(self) -> Asked:
        found = self._how
        interests = tuple(map(self._watched, found.reads.collections))
        return Asked(self._subscription.key, interests, found.restless, self._signature)

    def _watched(self, collection: Collection) -> Interest:
        """What is wanted of one of the collections that the query looks into."""
        if collection.system:
            # The feed has the status of jobs, and of the others nothing.
            return Interest(collection.name)
        found = self._how.reads
        fields = found.fields[collection.name] or frozenset()
        if collection.name == self._query.collection.name and self._is_own_where():
            one = self._interest()
            return Interest(one.collection, one.where, one.test, fields)
        return Interest(collection.name, fields=fields)

    def _is_own_where(self) -> bool:
        """Whether only documents that match have a say, and a document tells by itself whether it does."""
        query = self._query
        ends = {way[-1].collection.name for way in self._how.reads.ways}
        where = reads(msgspec.structs.replace(query, outputs=(), order=(), parts=()))
        return (
            query.collection.name not in ends
            and query.search is None
            and not where.ways
            and not where.volatile
        )


def expanded(
    subscription: plan.Subscription, catalog: Catalog, variables: Mapping[str, Any]
) -> plan.Subscription:
    """A root with every where of it known, those of what is shown included."""
    query = subscription.query
    keys: list[plan.EventKey] = []
    for one in subscription.keys:
        shown = expand_query(
            msgspec.structs.replace(query, where=plan.ALWAYS, outputs=one.outputs), catalog, variables
        )  # fmt: skip
        keys.append(msgspec.structs.replace(one, outputs=shown.outputs))
    known = expand_query(query, catalog, variables)
    return msgspec.structs.replace(subscription, query=known, keys=tuple(keys))
