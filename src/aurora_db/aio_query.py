"""The fluent builder over a database or a transaction: chains, and verbs that run them.

`database_query.py` is generated from this file by `tools/unasync.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, overload

import msgspec

from aurora_db.aio_live import AsyncLive
from aurora_db.aql.builder import Chain, Condition, checked_name
from aurora_db.base.codec import seconds
from aurora_db.base.errors import MissingDependency, NotFound, TransactionError, ValidationError
from aurora_db.live.holding import hold

if TYPE_CHECKING:
    from aurora_db.aio_live import AsyncSubscription
    from aurora_db.base.changes import Added, Document, Modified, Removed, Reset
    from aurora_db.base.records import Explanation
    from aurora_db.config import Duration

T = TypeVar("T")


class AsyncExecutes(Protocol):
    """What runs a text of AQL: a database or an open transaction."""

    async def execute(
        self, text: str, variables: Mapping[str, Any] | None = None, *, fresh: bool = False
    ) -> Any:
        """The result of the text."""
        ...

    async def explain(self, text: str, variables: Mapping[str, Any] | None = None) -> Explanation:
        """How the text runs."""
        ...


class AsyncQuery:
    """Documents of one collection, described step by step; made by `db.query(name)`.

    Each step gives a new query and leaves the old one as it was. Nothing runs before a verb.
    """

    def __init__(self, verbs: AsyncExecutes, chain: Chain) -> None:
        self._verbs = verbs
        self._chain = chain

    def _with(self, **changes: Any) -> AsyncQuery:
        return AsyncQuery(self._verbs, msgspec.structs.replace(self._chain, **changes))

    # --- steps ------------------------------------------------------------------------------

    def filter(self, *conditions: Condition | Mapping[str, Any]) -> AsyncQuery:
        """Only documents that match all conditions: `F.age >= 18`, or where-objects of AQL."""
        return AsyncQuery(self._verbs, self._chain.filtered(conditions))

    def order_by(self, *keys: str) -> AsyncQuery:
        """In this order instead of that of insertion: names or paths, `-` before one for descending."""
        for key in keys:
            checked_name(key.removeprefix("-"), "a field")
        return self._with(order=keys)

    def limit(self, count: int) -> AsyncQuery:
        """At most so many documents, from 0."""
        return self._with(limit=_amount("limit", count))

    def offset(self, count: int) -> AsyncQuery:
        """Without the first ones, so many from 0."""
        return self._with(offset=_amount("offset", count))

    def select(self, *fields: str, **computed: str) -> AsyncQuery:
        """Only these fields, paths as "address.city" or "team.name"; `total="price * qty"` is computed."""
        for name in (*fields, *computed):
            checked_name(name, "a field")
        return self._with(fields=fields, computed=tuple(computed.items()))

    def debounce(self, duration: Duration) -> AsyncQuery:
        """For `watch` and `live`: say nothing until nothing came for so many seconds, then each document's last state.

        What came first waits ten times as long at most.
        """
        return self._with(debounce=_held("debounce", duration))

    def throttle(self, duration: Duration) -> AsyncQuery:
        """For `watch` and `live`: so many seconds at least between what is said and the next; last states, too."""
        return self._with(throttle=_held("throttle", duration))

    @property
    def aql(self) -> str:
        """The text that the query runs."""
        return self._chain.query()[0]

    # --- verbs ------------------------------------------------------------------------------

    async def all(self, *, as_: type[T] | None = None, fresh: bool = False) -> list[Any]:
        """The documents, as dicts or as records of the type `as_`.

        With `fresh`, here as in the other verbs, also what another program than Aurora has committed
        within the last `poll_interval` is seen.
        """
        found = (await self._once.execute(*self._chain.query(), fresh=fresh))["found"]
        return found if as_ is None else [_converted(one, as_) for one in found]

    async def first(self, *, as_: type[T] | None = None, fresh: bool = False) -> Any:
        """The first document, or None."""
        found = await self.limit(1).all(as_=as_, fresh=fresh)
        return found[0] if found else None

    async def one(self, *, as_: type[T] | None = None, fresh: bool = False) -> Any:
        """The only document.

        Raises:
            NotFound: none matches, or several do.
        """
        found = await self.limit(2).all(as_=as_, fresh=fresh)
        if len(found) != 1:
            count = "no document matches" if not found else "several documents match"
            raise NotFound(
                f"{count} in '{self._chain.collection}' where one is wanted",
                hint="use first(), which may give None",
            )
        return found[0]

    async def count(self, *, fresh: bool = False) -> int:
        """How many documents match, whatever the limit and offset."""
        text, variables = self._chain.query(" { aggregate { count } }", order=False, limits=False)
        found = (await self._once.execute(text, variables, fresh=fresh))["found"]
        return found["aggregate"]["count"]

    async def exists(self, *, fresh: bool = False) -> bool:
        """Whether a document matches."""
        text, variables = self._with(limit=1, offset=None).query_of(" { id }")
        return bool((await self._once.execute(text, variables, fresh=fresh))["found"])

    async def aggregate(
        self, *functions: str, fresh: bool = False, **named: tuple[str, str] | str
    ) -> dict[str, Any]:
        """Numbers over all that match: `aggregate("count", total=("sum", "price"))`.

        Functions are count sum avg min max countDistinct; each but count needs a field.
        """
        if not isinstance(cast("object", fresh), bool):
            raise ValidationError(
                "'fresh' is true or false, and no name of a result",
                hint="use another name",
                rule="fresh",
            )
        parts = [checked_name(one, "a function") for one in functions]
        for key, said in named.items():
            function, field = (said, None) if isinstance(said, str) else said
            given = "" if field is None else f'(field: "{checked_name(field, "a field")}")'
            parts.append(f"{checked_name(key, 'a result')}: {checked_name(function, 'a function')}{given}")  # fmt: skip
        selection = f" {{ aggregate {{ {' '.join(parts)} }} }}"
        text, variables = self._chain.query(selection, order=False, limits=False)
        found = (await self._once.execute(text, variables, fresh=fresh))["found"]
        return found["aggregate"]

    async def update(self, changes: Mapping[str, Any], *, all: bool = False) -> int:
        """Merge `changes`, which may hold update operators, into all that match; how many those were.

        Raises:
            MissingWhere: the query has no filter, and `all=True` was not said.
        """
        return await self._change("update", {"data": dict(changes)}, all=all)

    async def delete(self, *, all: bool = False) -> int:
        """Remove all that match; returns how many.

        Raises:
            MissingWhere: the query has no filter, and `all=True` was not said.
        """
        return await self._change("deleteFrom", {}, all=all)

    async def _change(self, verb: str, more: Mapping[str, Any], *, all: bool) -> int:
        chain = self._chain
        if chain.limit is not None or chain.offset is not None or chain.order:
            raise ValidationError(
                f"{verb} of a query with an order or a limit would change another set than it shows",
                hint="filter by ids: F.id.in_(ids)",
                rule="limit",
            )
        text, variables = chain.mutation(verb, {**more, "all": True} if all else more)
        return (await self._once.execute(text, variables))["done"]["affected"]

    @property
    def _once(self) -> AsyncExecutes:
        """Who runs a verb that gives one answer."""
        for name in ("debounce", "throttle"):
            if getattr(self._chain, name):
                raise ValidationError(
                    f"'{name}' is for watch() and live(); this verb gives one answer",
                    hint="leave it out", rule=name,
                )  # fmt: skip
        return self._verbs

    async def explain(self) -> Explanation:
        """How the query runs: plan, SQL, indexes, rows read."""
        return await self._once.explain(*self._chain.query())

    async def pages(
        self, size: int, *, as_: type[T] | None = None, fresh: bool = False
    ) -> AsyncIterator[list[Any]]:
        """The documents in lists of `size`, each read when it is wanted, none twice.

        Pages follow the order by the keys of the last document, so that what is written meanwhile
        neither repeats nor hides others.

        Raises:
            ValidationError: the query has a limit or an offset, or `size` is below 1.
        """
        if self._chain.limit is not None or self._chain.offset is not None or size == 0:
            raise ValidationError(
                "pages have a size from 1, and no limit or offset",
                hint="leave them out",
                rule="size",
            )
        after: str | None = None
        inner = self._chain.selection()
        shown = f" {{ edges {{ node{inner} }} pageInfo {{ hasNextPage endCursor }} }}"
        while True:
            text, variables = self._chain.page(_amount("size", size), after, shown)
            found = (await self._once.execute(text, variables, fresh=fresh))["found"]
            nodes = [edge["node"] for edge in found["edges"]]
            if nodes:
                yield nodes if as_ is None else [_converted(one, as_) for one in nodes]
            if not found["pageInfo"]["hasNextPage"]:
                return
            after = found["pageInfo"]["endCursor"]

    # --- what goes on -----------------------------------------------------------------------

    @overload
    def watch(
        self,
        *,
        initial: bool = ...,
        since: str | None = ...,
        fields: Iterable[str] | None = ...,
        as_: None = ...,
    ) -> AsyncSubscription[Added[Document] | Modified[Document] | Removed[Document] | Reset]: ...

    @overload
    def watch(
        self,
        *,
        initial: bool = ...,
        since: str | None = ...,
        fields: Iterable[str] | None = ...,
        as_: type[T],
    ) -> AsyncSubscription[Added[T] | Modified[T] | Removed[T] | Reset]: ...

    def watch(
        self,
        *,
        initial: bool = True,
        since: str | None = None,
        fields: Iterable[str] | None = None,
        as_: type[Any] | None = None,
    ) -> AsyncSubscription[Any]:
        """What begins to match, is changed while it matches, and ends to match, in the order of commits.

        With a limit, an offset or an order what is shown counts: a document that slips into the limit is
        Added, one that slips out is Removed.

        Args:
            initial: whether what matches now comes first, as Added.
            since: go on after this position of an earlier watcher, instead of beginning with what matches now.
            fields: leave out updates that change none of these fields.
            as_: give documents as records of this type, instead of as dicts.

        Raises:
            TransactionError: the query is one of an open transaction.
            UnknownField: `fields` names one that the collection does not have.
            ValidationError: `since` is no position of this database.
        """
        from aurora_db.live import listening, watching  # noqa: PLC0415 - few programs follow queries

        db = self._lasting("watch")
        wanted = fields if fields is None or isinstance(fields, str) else tuple(fields)
        names = listening.fields_of(db.definition(self._chain.collection), wanted)
        records = watching.Watched(names, None if as_ is None else partial(_converted, kind=as_))
        begin = "true" if initial and since is None else "false"
        made = db.follow({"found": self._chain}, f"CHANGES initial: {begin}", since, records)
        records.reason = lambda: made.reason
        return made

    @overload
    def live(self, *, as_: None = ...) -> AsyncSubscription[list[Document]]: ...

    @overload
    def live(self, *, as_: type[T]) -> AsyncSubscription[list[T]]: ...

    def live(self, *, as_: type[Any] | None = None) -> AsyncSubscription[Any]:
        """What `all` gives, at first at once, then whenever it differs; states in between may be left out.

        Args:
            as_: give documents as records of this type, instead of as dicts.

        Raises:
            TransactionError: the query is one of an open transaction.
        """
        from aurora_db.live import watching  # noqa: PLC0415 - few programs follow queries

        lists = watching.Listed(None if as_ is None else partial(_converted, kind=as_))
        return self._lasting("live").follow({"found": self._chain}, "RESULTS", None, lists)

    def chain_of(self, db: object) -> Chain:
        """What it describes, where it is a query of this database.

        Raises:
            ValidationError: it is of another one, or of a transaction.
        """
        if self._verbs is not db:
            raise ValidationError(
                f"{self!r} is no query of this database",
                hint='db.group(orders=db.query("orders"))', rule="group",
            )  # fmt: skip
        return self._chain

    def _lasting(self, verb: str) -> AsyncLive:
        if not isinstance(self._verbs, AsyncLive):
            raise TransactionError(
                f"{verb}() goes on after a transaction, which sees only itself",
                hint=f'outside of it: db.query("{self._chain.collection}").{verb}()',
            )
        return self._verbs

    def query_of(self, selection: str) -> tuple[str, dict[str, Any]]:
        """The text with another selection, and its variables."""
        return self._chain.query(selection)

    # --- tables -----------------------------------------------------------------------------

    async def to_arrow(self) -> Any:
        """The documents as a `pyarrow.Table`.

        Raises:
            MissingDependency: pyarrow is not installed.
        """
        library = _imported("pyarrow")
        return library.Table.from_pylist(await self.all())

    async def to_pandas(self) -> Any:
        """The documents as a `pandas.DataFrame`.

        Raises:
            MissingDependency: pandas is not installed.
        """
        library = _imported("pandas")
        return library.DataFrame.from_records(await self.all())

    async def to_polars(self) -> Any:
        """The documents as a `polars.DataFrame`.

        Raises:
            MissingDependency: polars is not installed.
        """
        library = _imported("polars")
        return library.from_dicts(await self.all())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.aql!r})"


def _amount(what: str, count: int) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValidationError(f"'{what}' is a whole number from 0, got {count!r}", rule=what)
    return count


def _held(what: str, duration: Duration) -> float:
    length = seconds(duration)
    hold(**{what: length})
    return length


def _converted(document: Mapping[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise ValidationError(
            f"the document is no {kind.__name__}: {error}", rule="as_", value=document
        ) from error


def _imported(name: str) -> Any:
    from importlib import import_module  # noqa: PLC0415 - only where a table is wanted

    try:
        return import_module(name)
    except ImportError as error:
        raise MissingDependency(
            f"this needs the package '{name}', which is not installed", hint=f"pip install {name}"
        ) from error
