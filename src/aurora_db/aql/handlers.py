"""Event handlers: `define handler` → what its triggers do.

The same code resolves a definition when it is typed and again when triggers are made anew.
"""

from __future__ import annotations

import re
from typing import Any, Final, cast

from aurora_db.aql import plan, suggest, syntax
from aurora_db.aql.catalog import Catalog, Collection, Field, Handler, HandlerEvent
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.values import Scope, literal
from aurora_db.base.errors import (
    AccessDenied,
    AqlError,
    HandlerInvalid,
    Span,
    TypeMismatch,
    UndefinedVariable,
    UnknownCollection,
    UnknownEnum,
    UnknownField,
)
from aurora_db.base.records import Priority

OPS: Final = ("insert", "update", "delete")
LATER_EVENTS: Final = ("job_completed", "job_failed", "job_cancelled")
EVENT: Final = re.compile(r"(?P<op>\w+)\s*[:\s]\s*(?P<collection>\S+)")
HOLE: Final = re.compile(r"\$\{\s*(?P<path>[^}]*?)\s*\}")
DURATION: Final = re.compile(r"(?P<amount>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m|h|d|w)")
UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}

#: Options of an `enqueueJob` that a trigger can carry.
TRIGGERED: Final = {
    "type": "type", "jobType": "type", "payload": "payload", "priority": "priority", "retries": "retries",
    "maxRetries": "retries", "queue": "queue", "timeout": "timeout", "tags": "tags", "backoff": "backoff",
}  # fmt: skip
LATER_OPTIONS: Final = ("unique", "after", "delay", "runAt", "scheduledAt")


def define(node: syntax.HandlerDefinition, text: str, catalog: Catalog) -> plan.DefineHandler:
    """The event handler that a definition means.

    Raises:
        AqlError, HandlerInvalid: the definition is refused.
    """
    scope = Scope(text, {})
    events = tuple(_event(scope, one, catalog) for one in node.on)
    if len(set(events)) != len(events):
        raise scope.fail(AqlError, "an event stands twice in 'on'", node.span)
    made = _triggers(scope, node, events, catalog)
    import hashlib  # noqa: PLC0415 - for definitions only

    digest = hashlib.sha256(
        repr((node.on, node.fields, node.where, node.action)).encode()
    ).hexdigest()
    handler = Handler(
        name=node.name.value, on=events, text=text[node.span.start : node.span.end], digest=digest
    )
    return plan.DefineHandler(handler, made, node.if_not_exists, node.or_replace)


def triggers_of(handler: Handler, catalog: Catalog) -> tuple[plan.HandlerTrigger, ...]:
    """What the triggers of a stored event handler do, against the catalog of now."""
    from aurora_db.aql import parser  # noqa: PLC0415 - programs without AQL texts do without

    (node,) = parser.parse(handler.text).definitions
    return define(cast("syntax.HandlerDefinition", node), handler.text, catalog).triggers


def _event(scope: Scope, node: syntax.StringLiteral, catalog: Catalog) -> HandlerEvent:
    found = EVENT.fullmatch(node.value.strip())
    if found is None:
        raise scope.fail(
            HandlerSyntax, f"'{node.value}' is no event", node.span, 'write on: "insert:products"'
        )
    op, name = found["op"], found["collection"]
    if op in LATER_EVENTS or name == "*":
        raise scope.unsupported(f"the event '{node.value}' is", node.span)
    if op not in OPS:
        raise scope.fail(
            UnknownEnum,
            f"no event named '{op}'",
            node.span,
            suggest.hint(op, OPS, f"events are {', '.join(OPS)}"),
        )
    collection = catalog.collections.get(name)
    if collection is None:
        raise scope.fail(
            UnknownCollection, f"no collection named '{name}'", node.span,
            suggest.hint(name, catalog.collections, f"define it first: schema {{ define collection {name} {{ … }} }}"),
        )  # fmt: skip
    if collection.system:
        raise AccessDenied(f"no event handler can wait for the system collection '{name}'")
    return HandlerEvent(op, name)


class HandlerSyntax(AqlError):
    """A part of an event handler cannot be read."""

    code = "handler_invalid"


def _triggers(
    scope: Scope, node: syntax.HandlerDefinition, events: tuple[HandlerEvent, ...], catalog: Catalog
) -> tuple[plan.HandlerTrigger, ...]:
    if not node.action:
        raise scope.fail(
            HandlerSyntax,
            "the event handler has no action",
            node.span,
            "write action: { enqueueJob(…) }",
        )
    if node.fields is not None and any(event.op != "update" for event in events):
        raise scope.fail(
            HandlerSyntax, "'fields' limits updates only", node.span, 'write on: "update:…"'
        )
    made: list[plan.HandlerTrigger] = []
    for event in events:
        collection = catalog.collections[event.collection]
        reader = _Action(scope, event.op, collection)
        where = plan.ALWAYS
        if node.where is not None:
            where = Conditions(collection, scope, rows=True).where(node.where)
            _no_old(scope, where, event.op, node.where.span)
        made.append(
            plan.HandlerTrigger(
                name=node.name.value,
                op=event.op,
                collection=collection,
                where=where,
                changed=tuple(_field(scope, collection, one) for one in node.fields or ()),
                actions=tuple(reader.enqueue(part) for part in node.action),
            )
        )
    return tuple(made)


def _no_old(scope: Scope, where: plan.Where, op: str, span: Span) -> None:
    match where:
        case plan.Compare(path=path):
            if path.row == "old" and op == "insert":
                raise scope.fail(
                    HandlerSyntax, "an insert has no values before it", span, "leave out 'old.'"
                )
        case plan.And(parts=parts) | plan.Or(parts=parts):
            for part in parts:
                _no_old(scope, part, op, span)
        case plan.Not(part=part):
            _no_old(scope, part, op, span)
        case plan.WhereVariable():
            raise AssertionError("an event handler has no variables")


def _field(scope: Scope, collection: Collection, node: syntax.Value) -> Field:
    name = literal(node)
    field = collection.field(name) if isinstance(name, str) else None
    if field is None:
        known = [one.name for one in collection.fields]
        raise scope.fail(
            UnknownField,
            f"no field named '{name}' in collection '{collection.name}'",
            node.span,
            suggest.hint(str(name), known),
        )
    return field


class _Action:
    """Resolves the actions of one event."""

    def __init__(self, scope: Scope, op: str, collection: Collection) -> None:
        self._scope = scope
        self._op = op
        self._collection = collection
        self._paths = Conditions(collection, scope, rows=True)

    def enqueue(self, node: syntax.MutationPart) -> plan.HandlerEnqueue:
        scope = self._scope
        if not isinstance(node, syntax.FieldSelection) or node.name.text != "enqueueJob":
            raise scope.unsupported("an action other than enqueueJob is", node.span)
        given = scope.arguments("enqueueJob", node.arguments, TRIGGERED, LATER_OPTIONS)
        scope.needed("enqueueJob", given, "type", node.name.span)
        options: list[tuple[str, plan.HandlerValue]] = []
        for name, entry in given.items():
            if name == "payload":
                options.append((name, self.value(entry.value)))
                continue
            value = job_option(scope, name, entry)
            if not isinstance(value, plan.Constant):
                raise scope.unsupported(f"a variable '{name}' in an action is", entry.value.span)
            options.append((name, value))
        return plan.HandlerEnqueue(tuple(options))

    def value(self, node: syntax.Value) -> plan.HandlerValue:
        """A value of the payload, with its templates."""
        match node:
            case syntax.StringLiteral(value=text):
                return self._template(text, node)
            case syntax.VariableRef():
                return self._variable(node)
            case syntax.ListLiteral(items=items):
                return plan.HandlerList(tuple(self.value(item) for item in items))
            case syntax.ObjectLiteral(entries=entries):
                return plan.HandlerObject(
                    tuple((one.key.text, self.value(one.value)) for one in entries)
                )
            case _:
                return plan.Constant(literal(node))

    def _variable(self, node: syntax.VariableRef) -> plan.HandlerValue:
        if node.name == "event":
            return plan.Constant(self._op)
        if not node.name.startswith("_") or node.name == "_":
            raise self._scope.fail(
                UndefinedVariable, f"no variable named '${node.name}' in an event handler", node.span,
                "write $_id, $_field for a field, or $event",
            )  # fmt: skip
        return self._path(".".join((node.name[1:], *node.path)), node)

    def _template(self, text: str, node: syntax.StringLiteral) -> plan.HandlerValue:
        parts: list[str | plan.Path] = []
        end = 0
        for hole in HOLE.finditer(text):
            if hole.start() > end:
                parts.append(text[end : hole.start()])
            parts.append(self._path(hole["path"], node))
            end = hole.end()
        if end < len(text):
            if "${" in text[end:]:
                raise self._scope.fail(HandlerSyntax, "a '${' without its '}'", node.span)
            parts.append(text[end:])
        if not any(isinstance(part, plan.Path) for part in parts):
            return plan.Constant(text)
        if len(parts) == 1:
            return cast("plan.Path", parts[0])
        return plan.Template(tuple(parts))

    def _path(self, name: str, node: syntax.Node) -> plan.Path:
        if not re.fullmatch(r"\w+(?:\.\w+)*", name):
            raise self._scope.unsupported(f"the expression '{name}' in a template is", node.span)
        if name.startswith("old.") and self._op == "insert":
            raise self._scope.fail(
                HandlerSyntax, "an insert has no values before it", node.span, "leave out 'old.'"
            )
        return self._paths.path(name, node)


def job_option(scope: Scope, name: str, entry: syntax.Entry) -> plan.Value:
    """One option of `enqueueJob`; constants are checked where they stand."""
    value = entry.value
    if (
        name == "priority"
        and isinstance(value, syntax.Word)
        and value.text not in Priority.__members__
    ):
        words = tuple(Priority.__members__)
        raise scope.fail(
            UnknownEnum, f"no priority named '{value.text}'", value.span,
            suggest.hint(value.text, words, f"priorities are {', '.join(words)}"),
        )  # fmt: skip
    resolved = scope.value(value)
    if not isinstance(resolved, plan.Constant):
        return resolved
    problem = _option_problem(name, resolved.value)
    if problem is not None:
        raise scope.fail(TypeMismatch, f"'{entry.key.text}' is {problem}", value.span)
    if name in ("delay", "timeout"):
        return plan.Constant(_seconds(resolved.value))
    return resolved


def _option_problem(name: str, value: Any) -> str | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    texts = isinstance(value, str) and bool(value)
    match name:
        case "type" | "queue":
            return None if texts else "a text that is not empty"
        case "retries":
            return None if whole and int(value) >= 1 else "a number of attempts from 1"
        case "delay":
            return (
                None
                if _seconds(value) is not None
                else 'a duration such as "10m", or seconds from 0'
            )
        case "timeout":
            return None if _seconds(value) else 'a duration such as "10m", or seconds above 0'
        case "run_at":
            return None if texts else 'an instant such as "2026-01-01T00:00:00Z"'
        case "tags":
            known = isinstance(value, list) and all(isinstance(one, str) for one in value)
            return None if known else "a list of texts"
        case "priority":
            return (
                None
                if value in Priority.__members__ or value in list(Priority)
                else f"one of {', '.join(Priority.__members__)}"
            )
        case _:
            return None


def _seconds(value: Any) -> float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) if value >= 0 else None
    found = DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    return None if found is None else float(found["amount"]) * UNITS[found["unit"]]


__all__ = ["HandlerInvalid", "define", "job_option", "triggers_of"]
