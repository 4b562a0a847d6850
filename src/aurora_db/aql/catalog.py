"""What exists: collections, fields and event handlers, as data.

A catalog is immutable; a definition makes a new one. The records are stored as JSON by
`store/catalog.py`, so a field added here needs a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import msgspec

#: What the job type of an event handler that a worker runs begins with.
WORKER_TYPE: Final = "_handler:"


class Validation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The arguments of `@validate`; None means not limited. On a list: of each element."""

    min: int | float | None = None
    max: int | float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    format: str | None = None
    enum: tuple[str, ...] | None = None
    min_items: int | None = None
    max_items: int | None = None


class Type(msgspec.Struct, frozen=True, omit_defaults=True):
    """The type of a field.

    `name` is one of `types.NAMES` (String Int Float Boolean ID Uuid DateTime Date Time JSON
    Object Any Email URL PhoneNumber Enum), "List" (with `item`) or "Inline" (an inline object,
    with `fields`). `required` (`!`) matters for elements of lists; for a field it is the
    field's own.
    """

    name: str
    required: bool = False
    item: Type | None = None
    fields: tuple[Field, ...] = ()
    words: tuple[str, ...] = ()


class Relation(msgspec.Struct, frozen=True, omit_defaults=True):
    """`@relation(to, key, onDelete)`: a foreign key. `on_delete` is RESTRICT, CASCADE or SET_NULL."""

    to: str
    key: str = "id"
    on_delete: str = "RESTRICT"


class Field(msgspec.Struct, frozen=True, omit_defaults=True):
    """One declared field.

    `default` holds a JSON value; `has_default` tells a default of null from none. The words
    "now" and "uuid" are kept as they are and replaced at insert.
    """

    name: str
    type: Type
    required: bool = False
    has_default: bool = False
    default: Any = None
    primary: bool = False
    unique: bool = False
    indexed: bool = False
    validate: Validation | None = None
    relation: Relation | None = None
    #: `@search`: part of the collection's full-text index.
    search: bool = False
    #: `@private`: never shown unless it is asked for by name, and never over the network.
    private: bool = False
    #: `@updated`: set to now by each write of the document.
    updated: bool = False
    #: `@computed("…")`: the template or expression as typed; such a field has no column.
    computed: str | None = None

    def __hash__(self) -> int:
        # A default may be a list or an object, which have no hash.
        return hash((self.name, self.type, self.required))


class Index(msgspec.Struct, frozen=True, omit_defaults=True):
    """A `@@index` or `@@unique` over several fields."""

    fields: tuple[str, ...]
    unique: bool = False


class Collection(msgspec.Struct, frozen=True, omit_defaults=True):
    """A named set of documents.

    `fields` always has `id` first (declared or not) and never `_rev`. `system` collections
    (names with a leading underscore) are readable only.
    """

    name: str
    fields: tuple[Field, ...]
    flexible: bool = False
    quiet: bool = False
    system: bool = False
    indexes: tuple[Index, ...] = ()

    def __hash__(self) -> int:
        # Each insert looks its statement up by it: walking all fields would cost more than the check.
        return hash((self.name, len(self.fields)))

    @property
    def stored(self) -> tuple[Field, ...]:
        """The fields that have a column: all but computed ones."""
        return tuple([field for field in self.fields if field.computed is None])

    def field(self, name: str) -> Field | None:
        """The declared field of this name, or None."""
        # A loop is twice as fast as `next` over a generator, and every name of a query passes here.
        for field in self.fields:
            if field.name == name:
                return field
        return None


class HandlerEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an event handler waits for.

    `op` is insert, update or delete of a collection, "*" being all of them, those defined later
    included; or job_completed, job_failed or job_cancelled of `_jobs`, `type` being the job type or
    None for any.
    """

    op: str
    collection: str
    type: str | None = None

    @property
    def written(self) -> str:
        """As it is written in `on`."""
        if self.collection != "_jobs":
            return f"{self.op}:{self.collection}"
        return self.op if self.type is None else f"{self.op}:{self.type}"

    def concerns(self, collection: str) -> bool:
        """Whether writes of this collection may be the event; `*` leaves the system's out."""
        if self.collection == "*":
            return not collection.startswith("_")
        return self.collection == collection


class Handler(msgspec.Struct, frozen=True, omit_defaults=True):
    """A `define handler`, kept as its canonical parts.

    `text` is the definition as typed; it is resolved again when triggers are made anew.
    `digest` compares two definitions regardless of white space. `compiled` is TRIGGER or WORKER;
    `by_worker` tells that jobs of type `_handler:<name>` may exist, also from a definition before.
    """

    name: str
    on: tuple[HandlerEvent, ...]
    text: str
    digest: str
    enabled: bool = True
    compiled: str = "TRIGGER"
    by_worker: bool = False


class Schedule(msgspec.Struct, frozen=True, omit_defaults=True):
    """A `define schedule`: `cron` with `timezone`, or `every` in seconds.

    `text` is the definition as typed, `digest` compares two of them regardless of white space.
    From `anchor` on `every` is counted: the time of the definition.
    """

    name: str
    text: str
    digest: str
    cron: str | None = None
    every: float | None = None
    timezone: str = "UTC"
    catch_up: str = "ONE"
    overlap: str = "ALLOW"
    jitter: float = 0.0
    enabled: bool = True
    anchor: datetime | None = None

    @property
    def times(self) -> tuple[object, ...]:
        """What says when it is due."""
        return (self.cron, self.timezone, self.every, self.jitter)


class Rules(msgspec.Struct, frozen=True, omit_defaults=True):
    """`define rules`: who may do what with a collection over the network.

    Each is a where-object of AQL, a boolean or "authenticated"; None where nothing is said, which
    closes it to all but admin tokens.
    """

    collection: str
    text: str
    digest: str
    read: Any = None
    insert: Any = None
    update: Any = None
    delete: Any = None


class Catalog:
    """All definitions at one version. Immutable."""

    __slots__ = ("collections", "handlers", "rules", "schedules", "version")

    def __init__(
        self,
        collections: Mapping[str, Collection],
        handlers: Mapping[str, Handler],
        version: int,
        schedules: Mapping[str, Schedule] = MappingProxyType({}),
        rules: Mapping[str, Rules] = MappingProxyType({}),
    ) -> None:
        self.collections: Mapping[str, Collection] = MappingProxyType(dict(collections))
        self.handlers: Mapping[str, Handler] = MappingProxyType(dict(handlers))
        self.schedules: Mapping[str, Schedule] = MappingProxyType(dict(schedules))
        #: By the name of their collection.
        self.rules: Mapping[str, Rules] = MappingProxyType(dict(rules))
        #: Grows with every definition; a plan made for another version is made anew.
        self.version = version

    def handlers_of(self, collection: str) -> tuple[Handler, ...]:
        """The enabled event handlers that wait for changes of `collection`, by name."""
        return tuple(
            handler
            for _, handler in sorted(self.handlers.items())
            if handler.enabled and any(event.concerns(collection) for event in handler.on)
        )

    def reached_by_delete(self, name: str) -> frozenset[str]:
        """The collections whose documents a delete in the collection `name` may change, itself included."""
        reached = {name}
        while True:
            more = {
                collection.name
                for collection in self.collections.values()
                for field in collection.fields
                if field.relation is not None
                and field.relation.on_delete != "RESTRICT"
                and field.relation.to in reached
            } - reached
            if not more:
                return frozenset(reached)
            reached |= more

    def __repr__(self) -> str:
        return f"Catalog({sorted(self.collections)}, version={self.version})"
