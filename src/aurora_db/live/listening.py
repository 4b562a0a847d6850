"""`db.listen`: every change of a collection, or of all, as a record."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from aurora_db.aql import plan, suggest, system
from aurora_db.aql.catalog import Catalog, Collection
from aurora_db.aql.conditions import resolve_where
from aurora_db.aql.evaluate import Documents, compiled
from aurora_db.aql.types import REV
from aurora_db.base.changes import Change, Reset
from aurora_db.base.codec import instant, own
from aurora_db.base.errors import TypeMismatch, UnknownField, Unsupported
from aurora_db.live import shaping
from aurora_db.live.source import Interest, Root
from aurora_db.store import positions
from aurora_db.store.changes import Changed
from aurora_db.store.port import Port

if TYPE_CHECKING:
    from aurora_db.live.feed import Feed
    from aurora_db.live.roots import Make

#: The only field of a change of `_jobs`.
JOBS = "_jobs"
STATUS = "status"

#: Makes of an image what users get.
Shape = Callable[[Mapping[str, Any]], dict[str, Any]]


class Listened:
    """The root of a listener: it says changes as they are."""

    exact = True
    resumes = True

    def __init__(
        self,
        key: str,
        interest: Interest,
        token: Callable[[int], str],
        shape: Callable[[str], Shape],
    ) -> None:
        self.key = key
        self.interests = (interest,)
        #: It says what was, so other definitions are no reason to begin anew.
        self.signature: object = None
        self._token = token
        self._shape = shape

    async def begin(self, port: Port, seq: int, reset: str | None) -> list[Any]:
        """Nothing is said first; what the feed has forgotten is."""
        del port
        return [] if reset is None else [Reset(reset, self._token(seq))]

    def said(self, change: Changed, before: bool, after: bool) -> Any:
        """The change as a record."""
        del before, after
        shape = self._shape(change.collection)
        return Change(
            position=self._token(change.seq),
            collection=change.collection,
            op=change.op,
            id=change.id,
            old=None if change.old is None else shape(change.old),
            new=None if change.new is None else shape(change.new),
            at=instant(change.at),
            changed=changed(change),
            ends=not change.goes_on,
        )

    def heard(self, change: Changed, before: bool, after: bool) -> None:
        """Never called: it is exact."""

    async def settle(self, port: Port, seq: int) -> Any:
        """Never called: it is exact."""

    def news(self, state: Any) -> list[Any]:
        """Never called: it is exact."""
        del state
        return []


def listener(
    feed: Feed, name: str | None, where: Mapping[str, Any] | None, fields: Iterable[str] | None
) -> Make:
    """What makes the root of a listener.

    It raises, when it is called:
        UnknownCollection, UnknownField, AqlError: the condition or a field is refused.
        Unsupported: the collection has no changes, or the condition looks at other documents.
    """
    token = partial(positions.token, feed.database)
    now = feed.engine.clock.now
    # Once: an iterator gives its names only once.
    named = fields if fields is None or isinstance(fields, str) else tuple(fields)

    def make(catalog: Catalog) -> Sequence[Root]:
        shapes: dict[str, Shape] = {}

        def shape(of: str) -> Shape:
            made = shapes.get(of)
            if made is None:
                made = shapes[of] = whole(catalog, of, now)
            return made

        if name is None:
            return (Listened("*", Interest(None), token, shape),)
        collection = heard(system.collection_named(name, catalog))
        interest = _interest(collection, catalog, where, named, now)
        return (Listened(name, interest, token, shape),)

    return make


def heard(collection: Collection) -> Collection:
    """The collection, whose changes are in the feed.

    Raises:
        Unsupported: they are not.
    """
    if collection.quiet:
        raise Unsupported(
            f"the collection '{collection.name}' is @quiet, so its writes are not in the feed",
            hint=f"define it without @quiet: schema {{ alter collection {collection.name} {{ … }} }}",
        )
    if collection.system and collection.name != JOBS:
        raise Unsupported(
            f"the changes of the system collection '{collection.name}' are not in the feed",
            hint=f'follow a query: db.stream("subscription {{ {collection.name} {{ … }} }}")',
        )
    return collection


def _interest(
    collection: Collection,
    catalog: Catalog,
    where: Mapping[str, Any] | None,
    fields: Sequence[str] | None,
    now: Callable[[], dt.datetime],
) -> Interest:
    names = fields_of(collection, fields)
    if where is None:
        return Interest(collection.name, fields=names)
    condition = resolve_where(collection, where, catalog)
    _refuse_elsewhere(collection, condition)
    test = compiled(condition, _Alone(now))
    return Interest(collection.name, condition, test, names)


class _Alone(Documents):
    """A document by itself; the present is that of each question."""

    def __init__(self, now: Callable[[], dt.datetime]) -> None:
        self._present = now
        super().__init__({}, {}, now())

    @property
    def now(self) -> dt.datetime:
        """The present instant."""
        return self._present()

    @now.setter
    def now(self, now: dt.datetime) -> None:
        del now


def fields_of(collection: Collection, fields: Sequence[str] | None) -> frozenset[str]:
    """The fields one of which an update must change to be said; none where all are.

    Raises:
        TypeMismatch: they are no names, or there are none.
        UnknownField: the collection has no such field.
    """
    if fields is None:
        return frozenset()
    if isinstance(fields, str) or not fields:
        raise TypeMismatch(
            f"'fields' is a list of the fields whose changes are said, got {fields!r}",
            hint='fields=["status"]',
        )
    known = [field.name for field in collection.stored]
    if collection.name == JOBS:
        known = [STATUS]
    for name in fields:
        if not isinstance(cast("object", name), str):
            raise TypeMismatch(
                f"the name of a field is a text, got {name!r}", hint='fields=["status"]'
            )
        if name in known or (
            collection.flexible and collection.field(name) is None and name != REV.name
        ):
            continue
        raise UnknownField(
            f"no field named '{name}' in the changes of collection '{collection.name}'",
            hint=_field_hint(collection, name, known),
        )
    return frozenset(fields)


def _field_hint(collection: Collection, name: str, known: Sequence[str]) -> str:
    field = collection.field(name)
    if field is not None and field.computed is not None:
        return f"'{name}' is computed; name the fields that it is computed from"
    if name == REV.name:
        return "every update changes the revision; leave 'fields' out"
    if "." in name and name.partition(".")[0] in known:
        return f"name the whole field: '{name.partition('.')[0]}'"
    return suggest.hint(name, known) or f"its fields are {', '.join(known)}"


def _refuse_elsewhere(collection: Collection, where: plan.Where) -> None:
    """Refuse a condition that a change does not tell by itself."""
    paths = list(_paths(where))
    if any(isinstance(path, plan.Link) or path.hops for path in paths):
        raise Unsupported(
            "the condition looks at other documents, whose changes would change what is said",
            hint=f'follow the query: db.stream("subscription {{ {collection.name}(where: {{…}}) {{ … }} }}")',
        )
    names = {path.field.name for path in paths if isinstance(path, plan.Path) and path.field}
    if collection.name == JOBS and names - {STATUS}:
        raise Unsupported(
            "changes of '_jobs' have the status only",
            hint='compare the status, or follow the query: db.stream("subscription { _jobs(where: {…}) { … } }")',
        )


def _paths(node: object) -> Iterable[plan.Path | plan.Link]:
    """The paths of a condition."""
    match node:
        case plan.Path() | plan.Link():
            yield node
        case (
            plan.And(parts=parts)
            | plan.Or(parts=parts)
            | plan.Call(arguments=parts)
            | plan.Items(items=parts)
        ):
            for part in parts:
                yield from _paths(part)
        case plan.Not(part=part):
            yield from _paths(part)
        case plan.Compare(path=path, value=value):
            yield from _paths(path)
            yield from _paths(value)
        case plan.Quantified(over=over, where=where):
            yield from _paths(over)
            # A field inside begins at the element.
            yield from (path for path in _paths(where) if isinstance(path, plan.Link) or path.hops)
        case plan.Computation(expression=expression):
            yield from _paths(expression)
        case _:
            return


def whole(catalog: Catalog, name: str, now: Callable[[], dt.datetime]) -> Shape:
    """What makes the documents of a change, with values of Python; of the user's own.

    Images of before an alter may have other values than the fields of now: those stay as they are.
    """
    collection = catalog.collections.get(name)
    if collection is None or collection.system:
        return own
    shape = shaping.documents(collection, catalog, now)

    def shaped(image: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return shape(image)
        except (ValueError, TypeError, KeyError, AttributeError):
            return own(image)

    return shaped


def changed(change: Changed) -> tuple[str, ...]:
    """The names of the fields that an update changed; `_rev`, which counts updates, is none."""
    return differing(change.old, change.new)


def differing(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The names of the fields that two images of a document differ in, `_rev` left out; of one image none."""
    if old is None or new is None:
        return ()
    names = dict.fromkeys((*new, *old))
    return tuple(name for name in names if name != REV.name and old.get(name) != new.get(name))
