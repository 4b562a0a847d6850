"""Definitions: collections, event handlers, schedules, rules, migrations."""

from __future__ import annotations

import msgspec

from aurora_db.aql.catalog import Collection, Field, Handler, Index, Rules, Schedule
from aurora_db.aql.plan.conditions import Where
from aurora_db.aql.plan.values import Call, Constant, Path

# --- collections ----------------------------------------------------------------------------


class DefineCollection(msgspec.Struct, frozen=True):
    """A collection as it shall be."""

    collection: Collection
    if_not_exists: bool = False


class AddField(msgspec.Struct, frozen=True):
    """A new field; documents that exist get its default."""

    field: Field


class DropField(msgspec.Struct, frozen=True):
    """A field and its data go."""

    name: str


class RenameField(msgspec.Struct, frozen=True):
    """A field gets another name; data, indexes and relations stay."""

    name: str
    to: str


class ModifyField(msgspec.Struct, frozen=True):
    """A field as it shall be; what is stored is converted, or all is refused."""

    field: Field


class AddIndex(msgspec.Struct, frozen=True):
    """`add @@index(…)` or `@@unique`."""

    index: Index


class DropIndex(msgspec.Struct, frozen=True):
    """`drop @@index(…)` or `@@unique`."""

    index: Index


AlterAction = AddField | DropField | RenameField | ModifyField | AddIndex | DropIndex


class AlterCollection(msgspec.Struct, frozen=True):
    """Changes of a collection, one after the other; `collection` is what comes of them.

    `before` is what it was. `related` tells that a relation leads to it, which must be looked away
    from while its table is made anew.
    """

    name: str
    actions: tuple[AlterAction, ...]
    collection: Collection
    before: Collection
    related: bool = False


class DropCollection(msgspec.Struct, frozen=True):
    """A collection and its documents go. `related`: one of its relations leads to itself."""

    name: str
    if_exists: bool = False
    related: bool = False


SchemaStatement = DefineCollection | AlterCollection | DropCollection


class DefineSchema(msgspec.Struct, frozen=True):
    """A `schema` block; result: `{operation, collections, status, steps}`."""

    key: str
    statements: tuple[SchemaStatement, ...]


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


#: A value of an action: a constant, a path or a computation, which keep their type, a template, or a
#: nest of them.
HandlerValue = Constant | Path | Call | Template | HandlerList | HandlerObject


class HandlerEnqueue(msgspec.Struct, frozen=True):
    """An `enqueueJob` of an action; options named as `EnqueueJob`'s."""

    options: tuple[tuple[str, HandlerValue], ...]


class HandlerTrigger(msgspec.Struct, frozen=True):
    """What one event of a handler does: one of these for each (op, collection) it waits for.

    `changed` names fields of which one must differ (update only; empty means any). With `worker` there
    are no actions: the trigger enqueues a job of type `_handler:<name>` with both images, and the
    worker does what the `Reaction` of the event says.
    """

    name: str
    op: str
    collection: Collection
    where: Where
    changed: tuple[Field, ...]
    actions: tuple[HandlerEnqueue, ...]
    worker: bool = False


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


class ControlHandler(msgspec.Struct, frozen=True):
    """Enable or disable an event handler."""

    name: str
    enabled: bool
    key: str = ""


class BackfillHandler(msgspec.Struct, frozen=True):
    """Let an event handler act on the documents that exist and match, as if just inserted.

    `text` is the statement as typed: its conditions are resolved when it runs, once for each
    collection that the handler of then waits for.
    """

    name: str
    text: str
    key: str = ""


# --- schedules and rules --------------------------------------------------------------------


class DefineSchedule(msgspec.Struct, frozen=True):
    """A schedule as it shall be."""

    schedule: Schedule
    if_not_exists: bool = False
    or_replace: bool = False
    key: str = ""


class DropSchedule(msgspec.Struct, frozen=True):
    """Remove a schedule."""

    name: str
    if_exists: bool = False
    key: str = ""


class ControlSchedule(msgspec.Struct, frozen=True):
    """`verb` is enable, disable or run."""

    name: str
    verb: str
    key: str = ""


class DefineRules(msgspec.Struct, frozen=True):
    """The rules of a collection as they shall be."""

    rules: Rules
    key: str = ""


class DropRules(msgspec.Struct, frozen=True):
    """Remove the rules of a collection."""

    collection: str
    if_exists: bool = False
    key: str = ""


# --- migrations -----------------------------------------------------------------------------


class MigrateVersion(msgspec.Struct, frozen=True):
    """One version: its steps as typed, resolved only when it runs, and their checksum.

    `source` is the whole text that it stands in, which errors point into; `file` names it where it
    was read from one.
    """

    name: str
    text: str
    checksum: str
    source: str
    file: str | None = None


class Migrate(msgspec.Struct, frozen=True):
    """A `migrate` block. Later versions are resolved against what earlier ones made."""

    key: str
    versions: tuple[MigrateVersion, ...]
    dry_run: bool = False
