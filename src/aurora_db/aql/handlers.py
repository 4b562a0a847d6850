"""Event handlers: `define handler` → what its triggers do, and what the worker does after them.

The same code resolves a definition when it is typed and again when triggers are made anew. What
pure SQL can say is a trigger alone; else the trigger enqueues a job of type `_handler:<name>` that
carries both images, and a worker asks the condition and runs the actions, in one transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final, cast

from aurora_db.aql import handler_events, job_links, parser, plan, suggest, syntax
from aurora_db.aql.catalog import Catalog, Collection, Field, Handler, HandlerEvent, Type
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.handler_values import Lifted, Values, no_old_value
from aurora_db.aql.job_mutations import ARGUMENTS
from aurora_db.aql.job_options import job_option
from aurora_db.aql.mutations import Mutations
from aurora_db.aql.values import Scope, literal
from aurora_db.base.errors import (
    HandlerInvalid,
    Span,
    UnknownCollection,
    UnknownField,
)

#: Options of an `enqueueJob` that need our clock, where a trigger has the wall clock only, or more than
#: one statement.
BY_WORKER: Final = frozenset({"delay", "run_at", *job_links.NAMES})

_ID: Final = Field(name="id", type=Type(name="ID"), required=True)


def define(node: syntax.HandlerDefinition, text: str, catalog: Catalog) -> plan.DefineHandler:
    """The event handler that a definition means.

    Raises:
        AqlError, HandlerInvalid: the definition is refused.
    """
    scope = Scope(text, {}, catalog=catalog)
    events = handler_events.events(scope, node.on, catalog)
    _check_parts(scope, node, events)
    made = _triggers(scope, node, events, catalog)
    if not made:
        # An event of all collections before there is one: at least the text must be understood.
        _Event(scope, node, events[0], Collection(name="*", fields=(_ID,)), catalog).trigger()
    digest = hashlib.sha256(
        repr((node.on, node.fields, node.where, node.action)).encode()
    ).hexdigest()
    handler = Handler(
        name=node.name.value, on=events, text=text[node.span.start : node.span.end], digest=digest
    )
    return plan.DefineHandler(handler, made, node.if_not_exists, node.or_replace)


def triggers_of(
    handler: Handler, catalog: Catalog, collection: str | None = None
) -> tuple[plan.HandlerTrigger, ...]:
    """What the triggers of a stored event handler do, against the catalog of now.

    With `collection` those of one collection only: a handler of all has one for each.
    """
    scope, node = Scope(handler.text, {}, catalog=catalog), _node(handler)
    # Asked for all of them, the collections that it names must be there.
    events = handler_events.events(scope, node.on, catalog) if collection is None else handler.on
    return _triggers(scope, node, events, catalog, collection)


def _triggers(
    scope: Scope,
    node: syntax.HandlerDefinition,
    events: Iterable[HandlerEvent],
    catalog: Catalog,
    only: str | None = None,
) -> tuple[plan.HandlerTrigger, ...]:
    return tuple(
        _Event(scope, node, event, collection, catalog).trigger()
        for event in events
        for collection in handler_events.collections(event, catalog)
        if only is None or collection.name == only
    )


def reaction_of(handler: Handler, op: str, collection: str, catalog: Catalog) -> plan.Reaction:
    """What a worker does for one event of a stored handler, against the catalog of now.

    Raises:
        AqlError, HandlerInvalid: the handler does not fit the catalog, or not this event any more.
    """
    scope = Scope(handler.text, {}, catalog=catalog)
    node = _node(handler)
    for event in handler.on:
        if event.op != op:
            continue
        for one in handler_events.collections(event, catalog):
            if one.name == collection:
                return _Event(scope, node, event, one, catalog).reaction()
    raise HandlerInvalid(f"event handler '{handler.name}' does not wait for {op} of '{collection}'")


def control(node: syntax.HandlerControl, text: str) -> plan.ControlHandler | plan.BackfillHandler:
    """What `enable`, `disable` and `backfill` mean; whether the handler exists shows when it runs."""
    if node.verb == "backfill":
        return plan.BackfillHandler(node.name.value, text[node.span.start : node.span.end])
    return plan.ControlHandler(node.name.value, enabled=node.verb == "enable")


def _node(handler: Handler) -> syntax.HandlerDefinition:
    (node,) = parser.parse(handler.text).definitions
    return cast("syntax.HandlerDefinition", node)


def _check_parts(
    scope: Scope, node: syntax.HandlerDefinition, events: Iterable[HandlerEvent]
) -> None:
    if not node.name.value or len(node.name.value) > 200:
        raise scope.fail(
            HandlerInvalid, "the name of an event handler has 1 to 200 characters", node.name.span
        )
    if node.fields is not None and any(event.op != "update" for event in events):
        raise scope.fail(
            HandlerInvalid, "'fields' limits updates only", node.span, 'write on: "update:…"'
        )


def _no_old(scope: Scope, where: plan.Where, op: str, span: Span) -> None:
    match where:
        case plan.Compare(path=path):
            no_old_value(scope, path, op, span)
        case plan.Quantified(over=over, where=inner):
            if isinstance(over, plan.Path):
                no_old_value(scope, over, op, span)
            _no_old(scope, inner, op, span)
        case plan.And(parts=parts) | plan.Or(parts=parts):
            for part in parts:
                _no_old(scope, part, op, span)
        case plan.Not(part=part):
            _no_old(scope, part, op, span)
        case _:
            return


def _field(scope: Scope, collection: Collection, node: syntax.Value) -> Field:
    name = literal(node)
    field = collection.field(name) if isinstance(name, str) else None
    if field is not None and field.computed is not None:
        raise scope.fail(
            HandlerInvalid, f"the field '{name}' is computed, so no write changes it", node.span,
            "name the fields that it is made of",
        )  # fmt: skip
    if field is None:
        known = [one.name for one in collection.stored]
        raise scope.fail(
            UnknownField,
            f"no field named '{name}' in collection '{collection.name}'",
            node.span,
            suggest.hint(str(name), known),
        )
    return field


class _Event:
    """Resolves what a handler does for one event of one collection."""

    def __init__(
        self,
        scope: Scope,
        node: syntax.HandlerDefinition,
        event: HandlerEvent,
        collection: Collection,
        catalog: Catalog,
    ) -> None:
        self._scope = scope
        self._node = node
        self._event = event
        self._collection = collection
        self._catalog = catalog
        self._values = Values(scope, event.op, collection)
        self._type = handler_events.of_type(event)
        self._where = plan.ALWAYS
        if node.where is not None:
            self._where = Conditions(collection, scope, rows=True).where(node.where)
            _no_old(scope, self._where, event.op, node.where.span)

    def trigger(self) -> plan.HandlerTrigger:
        """What the trigger does; what is left to the worker is checked, too."""
        changed = tuple(
            _field(self._scope, self._collection, one) for one in self._node.fields or ()
        )
        actions: list[plan.HandlerEnqueue] = []
        for part in self._node.action:
            action = self._enqueue(part)
            if action is None:
                # It must be understood now, though it is resolved anew when it runs.
                self.reaction()
                break
            actions.append(action)
        worker = len(actions) < len(self._node.action)
        return plan.HandlerTrigger(
            name=self._node.name.value,
            op=self._event.op,
            collection=self._collection,
            where=plan.And((self._type, self._where)) if self._event.type else self._where,
            changed=changed,
            actions=() if worker else tuple(actions),
            worker=worker,
        )

    def _enqueue(self, node: syntax.MutationPart) -> plan.HandlerEnqueue | None:
        """An `enqueueJob` that a trigger can do; None where the worker must."""
        if not isinstance(node, syntax.FieldSelection) or node.name.text != "enqueueJob":
            return None
        scope = self._scope
        given = scope.arguments("enqueueJob", node.arguments, ARGUMENTS)
        scope.needed("enqueueJob", given, "type", node.name.span)
        options: list[tuple[str, plan.HandlerValue]] = []
        for name, entry in given.items():
            if name in BY_WORKER:
                return None
            value = self._values.value(entry.value)
            if name != "payload":
                if not _is_constant(entry.value):
                    return None
                value = cast("plan.Constant", job_option(scope, name, entry))
            options.append((name, value))
        return plan.HandlerEnqueue(tuple(options))

    # --- what the worker does ---------------------------------------------------------------

    def reaction(self) -> plan.Reaction:
        """The condition and the actions as the worker runs them."""
        lifted = Lifted(self._values)
        parts = tuple(lifted.part(part) for part in self._node.action)
        scope = Scope(self._scope.text, lifted.declared(), catalog=self._catalog)
        made = Mutations(scope, self._found, self._no_schema).parts(parts)
        if scope.shaped or scope.access:
            raise scope.fail(
                HandlerInvalid,
                "the actions of an event handler are the same for every document and caller",
                self._node.action[0].span,
                "use values of the document as values only",
            )
        return plan.Reaction(
            name=self._node.name.value,
            op=self._event.op,
            collection=self._collection,
            where=self._where,
            values=tuple(lifted.found.items()),
            parts=made,
        )

    def _found(self, name: str, span: Span) -> Collection:
        found = self._catalog.collections.get(name)
        if found is None:
            raise self._scope.fail(
                UnknownCollection,
                f"no collection named '{name}'",
                span,
                suggest.hint(name, self._catalog.collections),
            )
        return found

    def _no_schema(self, node: syntax.SchemaBlock, _key: str) -> plan.DefineSchema:
        raise self._scope.fail(
            HandlerInvalid, "an event handler changes documents and jobs, no schema", node.span
        )


def _is_constant(node: syntax.Value) -> bool:
    """Whether a value is the same for every document."""
    match node:
        case syntax.StringLiteral(value=text):
            return "${" not in text
        case syntax.ListLiteral(items=items):
            return all(_is_constant(item) for item in items)
        case syntax.ObjectLiteral(entries=entries):
            return all(_is_constant(one.value) for one in entries)
        case _:
            return not isinstance(node, (syntax.VariableRef, syntax.ExpressionLiteral))


__all__ = ["define", "job_option", "reaction_of", "triggers_of"]
