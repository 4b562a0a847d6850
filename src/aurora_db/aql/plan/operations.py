"""A whole text: its operations, their variables and roots."""

from __future__ import annotations

from typing import Any

import msgspec

from aurora_db.aql.catalog import Collection, Type
from aurora_db.aql.plan.conditions import Where
from aurora_db.aql.plan.definitions import (
    BackfillHandler,
    ControlHandler,
    ControlSchedule,
    DefineHandler,
    DefineRules,
    DefineSchedule,
    DefineSchema,
    DropHandler,
    DropRules,
    DropSchedule,
    HandlerValue,
    Migrate,
)
from aurora_db.aql.plan.mutations import (
    CancelJobs,
    Delete,
    EnqueueJob,
    EnqueueJobs,
    Export,
    Import,
    Insert,
    InsertMany,
    Publish,
    RetryJobs,
    Update,
    Upsert,
)
from aurora_db.aql.plan.queries import Introspection, Query
from aurora_db.aql.plan.subscriptions import Subscription


class Transaction(msgspec.Struct, frozen=True):
    """`transaction { … }`: an object of its parts."""

    key: str
    parts: tuple[Part, ...]


Part = (
    Query
    | Subscription
    | Introspection
    | Insert
    | InsertMany
    | Update
    | Upsert
    | Delete
    | EnqueueJob
    | EnqueueJobs
    | CancelJobs
    | RetryJobs
    | Publish
    | Import
    | Export
    | Transaction
    | DefineSchema
    | DefineHandler
    | DropHandler
    | ControlHandler
    | BackfillHandler
    | DefineSchedule
    | DropSchedule
    | ControlSchedule
    | DefineRules
    | DropRules
    | Migrate
)


class Reaction(msgspec.Struct, frozen=True):
    """What a worker does for one event of a handler.

    `where` is asked first, of the images. `values` are pairs of a variable and what it holds, read
    from the images, for the `parts`, which run in order in one transaction.
    """

    name: str
    op: str
    collection: Collection
    where: Where
    values: tuple[tuple[str, HandlerValue], ...]
    parts: tuple[Part, ...]


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
    #: The number of the `$` of its declaration among the tokens of the text.
    token: int | None = None


class Access(msgspec.Struct, frozen=True):
    """`@auth` or `@require(role:)`: who may run an operation; `role` None means anybody known."""

    role: str | None = None


class Operation(msgspec.Struct, frozen=True):
    """One unit of execution and one result. `writes` tells that it needs the writer.

    A definition (`define …`, `schema …`) is an operation with one root whose result is not
    wrapped: `execute` returns the root's own result. `explain` adds `_explain` to the result.

    With `shaped` the operation depends on the values of the variables `shaping`: it was made to check
    the text, and is resolved once more with the values before it runs.
    """

    name: str | None
    kind: str
    variables: tuple[VariableDeclaration, ...]
    roots: tuple[Part, ...]
    writes: bool
    bare: bool = False
    explain: bool = False
    access: tuple[Access, ...] = ()
    shaped: bool = False
    shaping: tuple[str, ...] = ()


class Plan(msgspec.Struct, frozen=True):
    """A whole text, resolved against the catalog of `version`."""

    operations: tuple[Operation, ...]
    version: int
