"""The feed and the event handlers, as triggers: they fire whatever program writes.

One trigger for each kind of write, made of pure SQL: first it writes the change, then the jobs
of the event handlers, whose `cause` names the change's position.
"""

from __future__ import annotations

from collections.abc import Sequence

from aurora_db.aql import plan
from aurora_db.aql.catalog import Collection, Field
from aurora_db.aql.handler_events import JOB_OPS
from aurora_db.sql import handler_jobs
from aurora_db.sql.expressions import NOW
from aurora_db.sql.images import NEXT_REV, image, stamp
from aurora_db.sql.statement import identifier, literal


def feed(collection: Collection, handlers: Sequence[plan.HandlerTrigger]) -> list[str]:
    """The statements that make the triggers of a collection and its event handlers."""
    table = identifier(collection.name)
    columns = ", ".join(identifier(name) for name in _columns(collection))
    stamped = [field for field in collection.fields if field.updated]
    made: list[str] = []
    events = {
        "insert": "AFTER INSERT",
        "update": f"AFTER UPDATE OF {columns}",
        "delete": "AFTER DELETE",
    }
    for op, event in events.items():
        body = [] if collection.quiet else [_change(collection, op)]
        for handler in handlers:
            if handler.op == op:
                body += handler_jobs.statements(handler)
        if body:
            inner = ";\n    ".join(body)
            when = " WHEN NEW._rev >= 0" if op == "update" and stamped else ""
            made.append(
                f"CREATE TRIGGER {_name(collection, op)} {event} ON {table}{when} BEGIN\n    {inner};\nEND"
            )
    made.append(_rev_trigger(collection, columns, stamped))
    return made


def _rev_trigger(collection: Collection, columns: str, stamped: Sequence[Field]) -> str:
    """Counts the revision, and sets fields with `@updated`, where another program left them alone.

    The feed's trigger fires when a field with `@updated` is named, as it is here: a revision below
    zero tells it to look away, until the second statement, which names no field.
    """
    table = identifier(collection.name)
    begun = f"CREATE TRIGGER {_name(collection, 'rev')} AFTER UPDATE OF {columns} ON {table}"
    counted = f"UPDATE {table} SET _rev = OLD._rev + 1 WHERE _n = NEW._n"
    if not stamped:
        return f"{begun} WHEN NEW._rev <= OLD._rev BEGIN\n    {counted};\nEND"
    sets = ", ".join(f"{identifier(f.name)} = {stamp(f, 'NEW.')}" for f in stamped)
    return (
        f"{begun} WHEN NEW._rev <= OLD._rev AND NEW._rev >= 0 BEGIN\n"
        f"    UPDATE {table} SET {sets}, _rev = -1 WHERE _n = NEW._n;\n    {counted};\nEND"
    )


def of_jobs(handlers: Sequence[plan.HandlerTrigger]) -> list[str]:
    """The statements that make the triggers of the handlers that wait for ends of jobs."""
    made: list[str] = []
    for op, status in JOB_OPS.items():
        body = [
            text
            for handler in handlers
            if handler.op == op
            for text in handler_jobs.statements(handler)
        ]
        if body:
            inner = ";\n    ".join(body)
            made.append(
                f"CREATE TRIGGER {_ends(op)} AFTER UPDATE OF status ON _jobs\n"
                f"    WHEN NEW.status = '{status}' AND OLD.status <> '{status}' BEGIN\n    {inner};\nEND"
            )
    return made


def drop_of_jobs() -> list[str]:
    """The statements that remove them."""
    return [f"DROP TRIGGER IF EXISTS {_ends(op)}" for op in JOB_OPS]


def _ends(op: str) -> str:
    return identifier(f"_on:{op}")


def drop(collection: Collection) -> list[str]:
    """The statements that remove the triggers of a collection."""
    return [
        f"DROP TRIGGER IF EXISTS {_name(collection, op)}"
        for op in ("insert", "update", "delete", "rev")
    ]


def _name(collection: Collection, op: str) -> str:
    return identifier(f"_feed:{collection.name}:{op}")


def _columns(collection: Collection) -> list[str]:
    names = ["_n", *(field.name for field in collection.stored)]
    return [*names, "_extra"] if collection.flexible else names


# --- changes --------------------------------------------------------------------------------


def _change(collection: Collection, op: str) -> str:
    before = "NULL" if op == "insert" else image(collection, "OLD.", "OLD._rev")
    after = (
        "NULL"
        if op == "delete"
        else image(
            collection, "NEW.", NEXT_REV if op == "update" else "NEW._rev", stamped=op == "update"
        )
    )
    row = "OLD." if op == "delete" else "NEW."
    return (
        "INSERT INTO _changes (collection, op, id, before, after, at)\n"
        f"    VALUES ({literal(collection.name)}, '{op}', {row}id, {before}, {after}, {NOW})"
    )
