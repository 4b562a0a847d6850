"""The feed and the event handlers, as triggers: they fire whatever program writes.

One trigger for each kind of write, made of pure SQL: first it writes the change, then the jobs
of the event handlers, whose `cause` names the change's position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, assert_never

import msgspec

from aurora_db.aql import plan
from aurora_db.aql.catalog import Collection
from aurora_db.base.codec import encode
from aurora_db.base.errors import Unsupported
from aurora_db.base.records import MAX_RETRIES, Priority
from aurora_db.sql import expressions
from aurora_db.sql.expressions import NOW, UUID7
from aurora_db.sql.statement import identifier, literal
from aurora_db.sql.where import needs_worker, where

E = TypeVar("E", bound=plan.Expression)

#: The revision after an update, also when another program left it alone.
NEXT_REV = "max(NEW._rev, OLD._rev + 1)"


def feed(collection: Collection, handlers: Sequence[plan.HandlerTrigger]) -> list[str]:
    """The statements that make the triggers of a collection and its event handlers."""
    table = identifier(collection.name)
    columns = ", ".join(identifier(name) for name in _columns(collection))
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
                body += [_job(handler, action) for action in handler.actions]
        if body:
            inner = ";\n    ".join(body)
            made.append(
                f"CREATE TRIGGER {_name(collection, op)} {event} ON {table} BEGIN\n    {inner};\nEND"
            )
    made.append(
        f"CREATE TRIGGER {_name(collection, 'rev')} AFTER UPDATE OF {columns} ON {table} WHEN NEW._rev <= OLD._rev BEGIN\n"
        f"    UPDATE {table} SET _rev = OLD._rev + 1 WHERE _n = NEW._n;\nEND"
    )
    return made


def drop(collection: Collection) -> list[str]:
    """The statements that remove them."""
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
        else image(collection, "NEW.", NEXT_REV if op == "update" else "NEW._rev")
    )
    row = "OLD." if op == "delete" else "NEW."
    return (
        "INSERT INTO _changes (collection, op, id, before, after, at)\n"
        f"    VALUES ({literal(collection.name)}, '{op}', {row}id, {before}, {after}, {NOW})"
    )


def image(collection: Collection, row: str, rev: str) -> str:
    """The whole document as JSON text."""
    pairs = [("id", f"json_quote({row}id)"), ("_rev", f"json_quote({rev})")]
    pairs += [
        (field.name, expressions.column_as_json(row + identifier(field.name), field.type))
        for field in collection.stored
        if field.name != "id"
    ]
    text = expressions.json_object(pairs)
    if not collection.flexible:
        return text
    opened = text.removesuffix(" || '}'")
    extra = f"json({row}_extra)"
    return f"{opened} || CASE WHEN coalesce({extra}, '{{}}') = '{{}}' THEN '}}' ELSE ',' || substr({extra}, 2) END"


# --- jobs of event handlers -----------------------------------------------------------------


def _job(handler: plan.HandlerTrigger, action: plan.HandlerEnqueue) -> str:
    options = dict(action.options)
    row = "OLD." if handler.op == "delete" else "NEW."
    values = {
        "id": UUID7,
        "type": _constant(options["type"]),
        "queue": _constant(options["queue"]) if "queue" in options else "'default'",
        "payload": _payload(options.get("payload", plan.Constant(None)), row),
        "priority": _priority(options.get("priority")),
        "max_retries": _constant(options["retries"]) if "retries" in options else str(MAX_RETRIES),
        "created_at": NOW,
        "timeout": _constant(options["timeout"]) if "timeout" in options else "NULL",
        "tags": _json(options["tags"]) if "tags" in options else "NULL",
        "backoff": _json(options["backoff"]) if "backoff" in options else "NULL",
        "cause": _cause(handler, row),
    }
    condition = _condition(handler)
    return (
        f"INSERT INTO _jobs ({', '.join(values)})\n"
        f"    SELECT {', '.join(values.values())}\n"
        f"     WHERE {condition}"
    )


def _condition(handler: plan.HandlerTrigger) -> str:
    if needs_worker(handler.where):
        raise Unsupported(
            f"the condition of event handler '{handler.name}' needs other documents, patterns or folded case, "
            "which triggers do not have; it is not supported by this version",
            hint="compare fields of the document itself",
        )
    text, _ = where(_rowed(handler.where, handler.op), trigger=True)
    if not handler.changed:
        return text
    names = [identifier(field.name) for field in handler.changed]
    changed = " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in names)
    return f"({changed}) AND ({text})"


def _rowed(condition: plan.Where, op: str) -> plan.Where:
    """On a delete there is no new row: every field is the old one's."""
    if op != "delete":
        return condition
    match condition:
        case plan.Compare(path=path, op=operator, value=value):
            return plan.Compare(_old(path), operator, value)
        case plan.Quantified(word=word, over=over, where=inner):
            # Paths of the inside begin at the element.
            return plan.Quantified(word, over if isinstance(over, plan.Link) else _old(over), inner)
        case plan.And(parts=parts):
            return plan.And(tuple(_rowed(part, op) for part in parts))
        case plan.Or(parts=parts):
            return plan.Or(tuple(_rowed(part, op) for part in parts))
        case plan.Not(part=part):
            return plan.Not(_rowed(part, op))
        case plan.WhereVariable():
            raise AssertionError("an event handler has no variables")
        case _:
            assert_never(condition)


def _old(expression: E) -> E:
    """The same of the row before."""
    match expression:
        case plan.Path():
            return msgspec.structs.replace(expression, row="old")
        case plan.Call(arguments=arguments):
            return msgspec.structs.replace(expression, arguments=tuple(map(_old, arguments)))
        case plan.Items(items=items):
            return msgspec.structs.replace(expression, items=tuple(map(_old, items)))
        case _:
            return expression


def _cause(handler: plan.HandlerTrigger, row: str) -> str:
    name = literal(handler.collection.name)
    newest = f"SELECT seq FROM _changes WHERE collection = {name} ORDER BY seq DESC LIMIT 1"
    position = "NULL" if handler.collection.quiet else f"({newest})"
    rev = NEXT_REV if handler.op == "update" else f"{row}_rev"
    return (
        f"json_object('handler', {literal(handler.name)}, 'collection', {name}, 'id', {row}id, "
        f"'rev', {rev}, 'position', {position})"
    )


def _constant(value: plan.HandlerValue) -> str:
    assert isinstance(value, plan.Constant)
    return literal(value.value)


def _json(value: plan.HandlerValue) -> str:
    assert isinstance(value, plan.Constant)
    return literal(encode(value.value))


def _priority(value: plan.HandlerValue | None) -> str:
    if value is None:
        return "0"
    assert isinstance(value, plan.Constant)
    return str(Priority.of(value.value).value)


def _payload(value: plan.HandlerValue, row: str) -> str:
    """The value as an expression of JSON text."""
    match value:
        case plan.Constant():
            return literal(encode(value.value))
        case plan.Path():
            return expressions.as_json(value, _row_of(value, row))
        case plan.Template(parts=parts):
            texts = [
                literal(part)
                if isinstance(part, str)
                else expressions.as_text(part, _row_of(part, row))
                for part in parts
            ]
            return f"json_quote({' || '.join(texts)})"
        case plan.HandlerList(items=items):
            inner = " || ',' || ".join(f"({_payload(item, row)})" for item in items)
            return f"'[' || {inner} || ']'" if items else "'[]'"
        case plan.HandlerObject(items=pairs):
            return expressions.json_object([(key, _payload(one, row)) for key, one in pairs])
        case _:
            assert_never(value)


def _row_of(path: plan.Path, row: str) -> str:
    return "OLD." if path.row == "old" else row
