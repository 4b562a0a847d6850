"""What an event handler waits for: the texts of `on`."""

from __future__ import annotations

import re
from typing import Final

from aurora_db.aql import plan, suggest, syntax, system
from aurora_db.aql.catalog import Catalog, Collection, HandlerEvent
from aurora_db.aql.values import Scope
from aurora_db.base.errors import (
    AccessDenied,
    AqlError,
    HandlerInvalid,
    UnknownCollection,
    UnknownEnum,
)

#: Writes of documents.
OPS: Final = ("insert", "update", "delete")
#: Ends of jobs, and the status that each is.
JOB_OPS: Final = {
    "job_completed": "COMPLETED",
    "job_failed": "FAILED",
    "job_cancelled": "CANCELLED",
}
EVENT: Final = re.compile(r"(?P<op>\w+)(?:\s*[:\s]\s*(?P<name>\S+))?\s*:?")

_JOBS: Final = system.SYSTEM["_jobs"]


def events(
    scope: Scope, nodes: tuple[syntax.StringLiteral, ...], catalog: Catalog
) -> tuple[HandlerEvent, ...]:
    """The events of `on`, in order.

    Raises:
        AqlError: one is no event, or stands twice.
        AccessDenied: it is about a system collection.
    """
    found: list[HandlerEvent] = []
    for node in nodes:
        event = _event(scope, node, catalog)
        twice = event in found or any(
            one.op == event.op and "*" in (one.collection, event.collection) for one in found
        )
        if twice:
            raise scope.fail(
                HandlerInvalid,
                f"the event '{event.written}' stands twice in 'on'",
                node.span,
                "an event of all collections includes that of one",
            )
        found.append(event)
    return tuple(found)


def _event(scope: Scope, node: syntax.StringLiteral, catalog: Catalog) -> HandlerEvent:
    found = EVENT.fullmatch(node.value.strip())
    if found is None:
        raise _no_event(scope, node)
    op, name = found["op"], found["name"]
    if op in JOB_OPS:
        return HandlerEvent(op, "_jobs", None if name in (None, "*") else name)
    if op not in OPS:
        known = (*OPS, *JOB_OPS)
        raise scope.fail(
            UnknownEnum,
            f"no event named '{op}'",
            node.span,
            suggest.hint(op, known, f"events are {', '.join(known)}"),
        )
    if name is None:
        raise _no_event(scope, node)
    if name == "*":
        return HandlerEvent(op, "*")
    collection = catalog.collections.get(name)
    if collection is None:
        raise scope.fail(
            UnknownCollection, f"no collection named '{name}'", node.span,
            suggest.hint(name, catalog.collections, f"define it first: schema {{ define collection {name} {{ … }} }}"),
        )  # fmt: skip
    if collection.system:
        hint = 'write on: "job_completed:type"' if name == "_jobs" else None
        raise AccessDenied(
            f"no event handler can wait for the system collection '{name}'", hint=hint
        )
    return HandlerEvent(op, name)


def _no_event(scope: Scope, node: syntax.StringLiteral) -> AqlError:
    return scope.fail(
        HandlerInvalid, f"'{node.value}' is no event", node.span, 'write on: "insert:products"'
    )


def collections(event: HandlerEvent, catalog: Catalog) -> tuple[Collection, ...]:
    """The collections whose writes are the event, by name."""
    if event.collection == "_jobs":
        return (_JOBS,)
    known = catalog.collections.values()
    return tuple(sorted((one for one in known if event.concerns(one.name)), key=lambda c: c.name))


def of_type(event: HandlerEvent) -> plan.Where:
    """The condition on the type of the job."""
    if event.type is None:
        return plan.ALWAYS
    field = _JOBS.field("type")
    assert field is not None
    return plan.Compare(plan.Path(field, (), field.type), "eq", plan.Constant(event.type))
