"""`db.stream`: a text of AQL that is followed: one subscription, or one query as a live query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from aurora_db.aql import access, plan, subscriptions
from aurora_db.base.codec import own
from aurora_db.base.errors import NotFound, TypeMismatch
from aurora_db.live import planning
from aurora_db.live.events import Events
from aurora_db.live.holding import hold
from aurora_db.store import operations, positions

if TYPE_CHECKING:
    from aurora_db.aql.catalog import Catalog
    from aurora_db.live.feed import Feed
    from aurora_db.live.holding import Hold
    from aurora_db.live.source import Root
    from aurora_db.live.subscription import Progress
    from aurora_db.store.operations import Plans
    from aurora_db.store.port import Port


class Followed:
    """A text, the values of its variables, and who follows it.

    Args:
        plans: what texts mean.
        text: one subscription or query; of several operations, `operation` names it.
        variables: the values of its variables.
        auth: claims of the caller.

    Raises:
        AqlError: the text is refused.
        NotFound: it has several operations, and none was chosen.
        Unauthenticated, AccessDenied: `auth` lacks what the text demands.
    """

    def __init__(
        self,
        feed: Feed,
        plans: Plans,
        text: str,
        variables: Mapping[str, Any] | None,
        operation: str | None,
        auth: Mapping[str, Any] | None,
    ) -> None:
        self._feed = feed
        self._plans = plans
        self._text = text
        self._auth = auth
        # By the definitions of now: another process may have made what is missing here.
        catalog = feed.engine.follow(_catalog)
        prepared = plans.prepare(text, catalog)
        wanted = operations.chosen(prepared, operation)
        if len(wanted) != 1:
            raise NotFound(
                f"the text has {len(wanted)} operations, one is followed at a time",
                hint="choose one by operation=",
            )
        self._index, one = wanted[0]
        (values,) = operations.variables_of([one], variables, text)
        # Their own: the user may change a list or an object later.
        self._values: Mapping[str, Any] = own(values)
        self._operation = self._meant(catalog)

    def _meant(self, catalog: Catalog) -> plan.Operation:
        """What the text means by these definitions: an operation of subscriptions."""
        one = self._plans.ready(self._text, self._index, catalog, self._values).operation
        access.check(one.access, self._auth)
        return subscriptions.followed(one)

    @property
    def is_query(self) -> bool:
        """Whether it is a query, each item of which is the whole object of its results."""
        return self._operation.kind == "query"

    @property
    def _roots(self) -> Sequence[plan.Subscription]:
        return subscriptions.roots_of(self._operation)

    def since(self, given: str | None) -> str | None:
        """The position to go on after: of the verb or of the text.

        Raises:
            TypeMismatch: they differ.
        """
        said = subscriptions.since_of(self._roots, self._values)
        if given is not None and said is not None and given != said:
            raise TypeMismatch(
                f"'since' is {given!r} for the verb and {said!r} in the text",
                hint="give it in one place",
            )
        return said if given is None else given

    def hold(self) -> Hold | None:
        """What holds back what it says."""
        return hold(subscriptions.debounce_of(self._roots, self._values), 0.0)

    def progress(self) -> Progress | None:
        """Makes the events that tell how far an idle subscription is; None where no root has such.

        They are told from others by `mutation`: a root that does not select it has none.
        """
        token = partial(positions.token, self._feed.database)
        told = [
            (root.key, Events(root, token))
            for root in self._roots
            if root.mode == "CHANGES" and any(one.word == "mutation" for one in root.keys)
        ]
        if not told:
            return None
        return lambda position: {key: events.event("PROGRESS", position) for key, events in told}

    def make(self, catalog: Catalog) -> Sequence[Root]:
        """Its roots by these definitions."""
        operation = self._meant(catalog)
        return planning.roots(operation, self._values, catalog, self._feed, self._plans.runner)


class Whole:
    """What a live query of several roots says: all of its results, whichever of them came."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def __call__(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """The whole object; what came before is copied, for the user may have changed it."""
        shown = {**own(self._known), **item}
        self._known = own(shown)
        return shown


async def _catalog(port: Port) -> Catalog:
    await operations.look(port)
    return port.catalog
