"""What is meant: the contract between language and SQL. Immutable and printable.

Names are resolved, types are known, values are constants or variables. A plan is enough by
itself to produce SQL; after it exists a failure is a bug of ours or of the data.
"""

from __future__ import annotations

from typing import Any

import msgspec

from aurora_db.aql.catalog import Collection, Field, Handler, Type

# --- values ---------------------------------------------------------------------------------


class Constant(msgspec.Struct, frozen=True):
    """A value known now, as plain Python (dates as text)."""

    value: Any


class Variable(msgspec.Struct, frozen=True):
    """A value given at execution, already checked against its declared type.

    `path` is empty unless `$name.path` reads a result of an earlier part.
    """

    name: str
    path: tuple[str, ...] = ()


class ListValue(msgspec.Struct, frozen=True):
    """A list with variables somewhere inside (else it is a `Constant`)."""

    items: tuple[Value, ...]


class ObjectValue(msgspec.Struct, frozen=True):
    """An object with variables somewhere inside (else it is a `Constant`)."""

    items: tuple[tuple[str, Value], ...]


Value = Constant | Variable | ListValue | ObjectValue


# --- conditions -----------------------------------------------------------------------------


class Path(msgspec.Struct, frozen=True):
    """A stored value: a declared field, or a path into it.

    `field` is the declared field; None means an undeclared one of a flexible collection, whose
    name is then `keys[0]`. `keys` go into the JSON. `type` is the type found at the end of the
    path; None means untyped.
    `row` is "" for the document, "old" for the image before (event handlers only).
    """

    field: Field | None
    keys: tuple[str, ...] = ()
    type: Type | None = None
    row: str = ""


class Compare(msgspec.Struct, frozen=True):
    """`path op value`; `op` is one of eq ne gt gte lt lte in nin contains startsWith endsWith isNull.

    `isNull` takes a boolean; `in` and `nin` a list. Values of constants are already in the
    stored form of the path's type (`types.store`); variables are converted when bound.
    """

    path: Path
    op: str
    value: Value


class And(msgspec.Struct, frozen=True):
    """All hold; of nothing: true."""

    parts: tuple[Where, ...]


class Or(msgspec.Struct, frozen=True):
    """One holds; of nothing: false."""

    parts: tuple[Where, ...]


class Not(msgspec.Struct, frozen=True):
    """Exact complement."""

    part: Where


class WhereVariable(msgspec.Struct, frozen=True):
    """A whole `where: $w`, known at execution: resolved then against `collection`."""

    name: str
    collection: Collection


Where = Compare | And | Or | Not | WhereVariable

ALWAYS = And(())


# --- queries --------------------------------------------------------------------------------


class Output(msgspec.Struct, frozen=True):
    """One key of a result and where it comes from.

    `path.field` None with `path.keys == ()` never occurs; `_rev` is a Path over the pseudo field
    `types.REV`. `extra=True` merges all undeclared fields of a flexible document here.
    `selection` shapes an inline object (or list of them); empty means all of it.
    """

    key: str
    path: Path
    selection: tuple[Output, ...] = ()
    extra: bool = False


class Order(msgspec.Struct, frozen=True):
    """One key of an order."""

    path: Path
    descending: bool = False
    nulls_first: bool | None = None


class Count(msgspec.Struct, frozen=True):
    """`count` inside `aggregate`."""

    key: str


class Query(msgspec.Struct, frozen=True):
    """Documents of a collection.

    Without `aggregates` the result is a list. With them and no outputs it is
    `{aggregate_key: {…}}`; with both, `{"nodes": [...], aggregate_key: {...}}`.
    `id` ends every `order`, so that it is total; no order given means by insertion (`_n`).
    """

    key: str
    collection: Collection
    outputs: tuple[Output, ...]
    where: Where = ALWAYS
    order: tuple[Order, ...] = ()
    limit: Value | None = None
    offset: Value | None = None
    #: (key of the aggregate object, its counts), as `{total: aggregate {count}}` may be aliased.
    aggregates: tuple[tuple[str, tuple[Count, ...]], ...] = ()


# --- mutations ------------------------------------------------------------------------------


class Insert(msgspec.Struct, frozen=True):
    """One document; result: its outputs."""

    key: str
    collection: Collection
    data: Value
    outputs: tuple[Output, ...]


class Affected(msgspec.Struct, frozen=True):
    """Result of a bulk verb: pairs of (key, what), `what` being count, affected, ids or nodes."""

    keys: tuple[tuple[str, str], ...]
    nodes: tuple[Output, ...] = ()


class InsertMany(msgspec.Struct, frozen=True):
    """Several documents in one statement each, one result."""

    key: str
    collection: Collection
    data: Value
    result: Affected


class Update(msgspec.Struct, frozen=True):
    """Merge `data` into every document that matches."""

    key: str
    collection: Collection
    where: Where
    data: Value
    result: Affected


class Delete(msgspec.Struct, frozen=True):
    """Remove every document that matches; nodes as they were."""

    key: str
    collection: Collection
    where: Where
    result: Affected


class EnqueueJob(msgspec.Struct, frozen=True):
    """Put a job into the queue; `options` are named as `Aurora.enqueue_job`'s keywords.

    Keys: type, payload, priority, retries, run_at, delay, queue, timeout, tags, backoff.
    `outputs` select fields of `_jobs`.
    """

    key: str
    options: tuple[tuple[str, Value], ...]
    outputs: tuple[Output, ...]


class Transaction(msgspec.Struct, frozen=True):
    """`transaction { … }`: an object of its parts."""

    key: str
    parts: tuple[Part, ...]


class DefineCollection(msgspec.Struct, frozen=True):
    """A collection as it shall be."""

    collection: Collection
    if_not_exists: bool = False


class DefineSchema(msgspec.Struct, frozen=True):
    """A `schema` block; result: `{operation, collections, status, steps}`."""

    key: str
    definitions: tuple[DefineCollection, ...]


# --- event handlers -------------------------------------------------------------------------


class Template(msgspec.Struct, frozen=True):
    """Text with holes: plain texts and paths in turn."""

    parts: tuple[str | Path, ...]


class HandlerList(msgspec.Struct, frozen=True):
    """A list that holds templates."""

    items: tuple[HandlerValue, ...]


class HandlerObject(msgspec.Struct, frozen=True):
    """An object that holds templates."""

    items: tuple[tuple[str, HandlerValue], ...]


#: A value of an action: a constant, a path that keeps its type, a template, or a nest of them.
HandlerValue = Constant | Path | Template | HandlerList | HandlerObject


class HandlerEnqueue(msgspec.Struct, frozen=True):
    """An `enqueueJob` of an action; options named as `EnqueueJob`'s."""

    options: tuple[tuple[str, HandlerValue], ...]


class HandlerTrigger(msgspec.Struct, frozen=True):
    """What one event of a handler does: one of these for each (op, collection) it waits for.

    `changed` names fields of which one must differ (update only; empty means any).
    """

    name: str
    op: str
    collection: Collection
    where: Where
    changed: tuple[Field, ...]
    actions: tuple[HandlerEnqueue, ...]


class DefineHandler(msgspec.Struct, frozen=True):
    """An event handler as it shall be."""

    handler: Handler
    triggers: tuple[HandlerTrigger, ...]
    if_not_exists: bool = False
    or_replace: bool = False
    key: str = ""


class DropHandler(msgspec.Struct, frozen=True):
    """Remove an event handler."""

    name: str
    if_exists: bool = False
    key: str = ""


Part = (
    Query
    | Insert
    | InsertMany
    | Update
    | Delete
    | EnqueueJob
    | Transaction
    | DefineSchema
    | DefineHandler
    | DropHandler
)


class VariableDeclaration(msgspec.Struct, frozen=True):
    """A declared variable: name, type, and its default if it has one."""

    name: str
    type: Type
    required: bool
    has_default: bool = False
    default: Any = None
    #: How the type was written, for messages: `String!`.
    written: str = ""
    #: False where the variable holds a whole `where` or `data` object (a type named *Filter, *Input or JSON).
    checked: bool = True


class Operation(msgspec.Struct, frozen=True):
    """One unit of execution and one result. `writes` tells that it needs the writer.

    A definition (`define …`, `schema …`) is an operation with one root whose result is not
    wrapped: `execute` returns the root's own result.
    """

    name: str | None
    kind: str
    variables: tuple[VariableDeclaration, ...]
    roots: tuple[Part, ...]
    writes: bool
    bare: bool = False


class Plan(msgspec.Struct, frozen=True):
    """A whole text, resolved against the catalog of `version`."""

    operations: tuple[Operation, ...]
    version: int
