"""The jobs of event handlers as SQL: what triggers insert, what a backfill inserts, what a worker reads.

All three read a document through the rows `NEW` and `OLD`: in a trigger these are SQLite's own, in a
backfill `NEW` is the table, and for a worker both are made of the images that the job carries. So
a condition or a template has one text and one meaning.
"""

from __future__ import annotations

import re
from typing import Final, TypeVar, assert_never

import msgspec

from aurora_db.aql import plan
from aurora_db.aql.catalog import WORKER_TYPE, Collection
from aurora_db.base.codec import encode
from aurora_db.base.records import MAX_RETRIES, Priority
from aurora_db.sql import computed, expressions, forms
from aurora_db.sql.expressions import NOW, UUID7
from aurora_db.sql.images import NEXT_REV, columns_of, image
from aurora_db.sql.statement import Statement, identifier, literal
from aurora_db.sql.where import needs_worker, where

E = TypeVar("E", bound=plan.Expression)

#: Causes in a chain, at most: handlers that cause each other would never end.
DEEPEST: Final = 16

#: What causes this transaction's writes, always one row.
_CAUSING = (
    "(SELECT max(job) AS job, coalesce(max(depth), 0) AS depth, coalesce(max(chain), '') AS chain "
    "FROM _causing)"
)
#: The job whose end is the event.
_ENDED = (
    "(SELECT NEW.id AS job, coalesce(json_extract(NEW.cause, '$.depth'), 0) AS depth, "
    "coalesce(json_extract(NEW.cause, '$.chain'), json_extract(NEW.cause, '$.handler'), '') AS chain)"
)
_NOTHING = "(SELECT NULL AS job, 0 AS depth, '' AS chain)"


def statements(handler: plan.HandlerTrigger) -> list[str]:
    """What a trigger does for a handler: enqueue its jobs, and count that it fired."""
    if handler.collection.system:
        causing, position = _ENDED, "NULL"
    else:
        name = literal(handler.collection.name)
        newest = f"(SELECT seq FROM _changes WHERE collection = {name} ORDER BY seq DESC LIMIT 1)"
        causing, position = _CAUSING, "NULL" if handler.collection.quiet else newest
    condition = _condition(handler)
    made = [
        f"{_insert(handler, action, position)}\n      FROM {causing} AS _c\n     WHERE {condition}"
        for action in _actions(handler)
    ]
    return [*made, counted(handler.name, "changes() > 0", "1")]


def by_worker(handler: plan.HandlerTrigger) -> bool:
    """Whether a worker must do what the handler does: pure SQL cannot say it.

    Another program that writes runs our triggers, and has none of the functions that our connections
    register. What follows a relation is left to the worker, too: what counts is the document at its
    end by then.
    """
    return (
        handler.worker
        or needs_worker(handler.where)
        or any(_is_late(value) for action in handler.actions for _, value in action.options)
    )


def _is_late(value: plan.HandlerValue) -> bool:
    match value:
        case plan.Constant():
            return False
        case plan.Path() | plan.Call():
            return not computed.is_pure(value)
        case plan.Template(parts=parts):
            return any(not isinstance(one, str) and _is_late(one) for one in parts)
        case plan.HandlerList(items=items):
            return any(_is_late(item) for item in items)
        case plan.HandlerObject(items=pairs):
            return any(_is_late(one) for _, one in pairs)
        case _:
            assert_never(value)


def _asked(condition: plan.Where) -> plan.Where:
    """As much of a condition as a trigger can ask; the worker asks all of it again."""
    if not needs_worker(condition):
        return condition
    if isinstance(condition, plan.And):
        return plan.And(tuple(_asked(part) for part in condition.parts))
    return plan.ALWAYS


def counted(name: str, condition: str, by: str) -> str:
    """The statement that counts how often a handler has fired.

    `changes()` in a trigger tells of the statement before, which enqueued the job.
    """
    return (
        f"UPDATE _handlers SET fired = fired + {by}, last_at = {NOW} "
        f"WHERE {condition} AND name = {literal(name)}"
    )


def _actions(handler: plan.HandlerTrigger) -> tuple[plan.HandlerEnqueue | None, ...]:
    """The actions; None is the job that carries both images to the worker."""
    return (None,) if by_worker(handler) else handler.actions


def _insert(handler: plan.HandlerTrigger, action: plan.HandlerEnqueue | None, position: str) -> str:
    row = _row(handler.op)
    late = f"_c.depth >= {DEEPEST}"
    values = {
        "id": UUID7,
        "status": f"CASE WHEN {late} THEN 'FAILED' ELSE 'PENDING' END",
        "finished_at": f"CASE WHEN {late} THEN {NOW} END",
        "error": f"CASE WHEN {late} THEN {_endless(handler)} END",
        "created_at": NOW,
        "cause": _cause(handler, row, position),
        **(_carrying(handler) if action is None else _options(action, row)),
    }
    return f"INSERT INTO _jobs ({', '.join(values)})\n    SELECT {', '.join(values.values())}"


def _carrying(handler: plan.HandlerTrigger) -> dict[str, str]:
    """The job of a worker: which event, and both images."""
    collection, op = handler.collection, handler.op
    node = (
        "'null'"
        if op == "delete"
        else image(collection, "NEW.", _rev(handler), stamped=op == "update")
    )
    old = "'null'" if op == "insert" else image(collection, "OLD.", _rev(handler, old=True))
    payload = expressions.json_object(
        [
            ("event", literal(encode(op))),
            ("collection", literal(encode(collection.name))),
            ("node", node),
            ("old", old),
        ]
    )
    return {"type": literal(WORKER_TYPE + handler.name), "payload": payload}


def _options(action: plan.HandlerEnqueue, row: str) -> dict[str, str]:
    options = dict(action.options)
    return {
        "type": _constant(options["type"]),
        "queue": _constant(options["queue"]) if "queue" in options else "'default'",
        "payload": payload(options.get("payload", plan.Constant(None)), row),
        "priority": _priority(options.get("priority")),
        "max_retries": _constant(options["retries"]) if "retries" in options else str(MAX_RETRIES),
        "timeout": _constant(options["timeout"]) if "timeout" in options else "NULL",
        "tags": _json(options["tags"]) if "tags" in options else "NULL",
        "backoff": _json(options["backoff"]) if "backoff" in options else "NULL",
    }


# --- conditions and causes ------------------------------------------------------------------


def _row(op: str) -> str:
    return "OLD." if op == "delete" else "NEW."


def _rev(handler: plan.HandlerTrigger, *, old: bool = False) -> str | None:
    """The revision of an image; jobs have none."""
    if handler.collection.system:
        return None
    if old or handler.op == "delete":
        return "OLD._rev"
    return NEXT_REV if handler.op == "update" else "NEW._rev"


def _condition(handler: plan.HandlerTrigger) -> str:
    text, _ = where(rowed(_asked(handler.where), handler.op), trigger=True)
    if not handler.changed:
        return text
    names = [identifier(field.name) for field in handler.changed]
    changed = " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in names)
    return f"({changed}) AND ({text})"


def rowed(condition: plan.Where, op: str) -> plan.Where:
    """On a delete there is no new row: every field is the old one's."""
    if op != "delete":
        return condition
    match condition:
        case plan.Compare(path=path):
            return msgspec.structs.replace(condition, path=_old(path))
        case plan.Quantified(over=over):
            # Paths of the inside begin at the element.
            if isinstance(over, plan.Link):
                link = msgspec.structs.replace(over, local=_old(over.local))
                return msgspec.structs.replace(condition, over=link)
            return msgspec.structs.replace(condition, over=_old(over))
        case plan.And(parts=parts):
            return plan.And(tuple(rowed(part, op) for part in parts))
        case plan.Or(parts=parts):
            return plan.Or(tuple(rowed(part, op) for part in parts))
        case plan.Not(part=part):
            return plan.Not(rowed(part, op))
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


def _cause(handler: plan.HandlerTrigger, row: str, position: str) -> str:
    rev = _rev(handler) or "NULL"
    name = literal(handler.name)
    base = (
        f"'handler', {name}, 'collection', {literal(handler.collection.name)}, 'id', {row}id, "
        f"'rev', {rev}, 'position', {position}, 'depth', _c.depth + 1"
    )
    return (
        f"CASE WHEN _c.job IS NULL THEN json_object({base}) "
        f"ELSE json_object({base}, 'job', _c.job, 'chain', {_chain(name)}) END"
    )


def _chain(name: str) -> str:
    return f"CASE _c.chain WHEN '' THEN {name} ELSE _c.chain || ' → ' || {name} END"


def _endless(handler: plan.HandlerTrigger) -> str:
    told = f"event handlers cause each other, more than {DEEPEST} in a chain: "
    return f"{literal(told)} || {_chain(literal(handler.name))}"


# --- values ---------------------------------------------------------------------------------


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


def payload(value: plan.HandlerValue, row: str) -> str:
    """The value as an expression of JSON text."""
    match value:
        case plan.Constant():
            return literal(encode(value.value))
        case plan.Path():
            return expressions.as_json(value, _row_of(value, row))
        case plan.Call():
            said = computed.value(_old(value) if row == "OLD." else value, None, trigger=True)
            return f"coalesce({forms.to_json(said).text}, 'null')"
        case plan.Template(parts=parts):
            texts = [
                literal(part)
                if isinstance(part, str)
                else expressions.as_text(part, _row_of(part, row))
                for part in parts
            ]
            return f"json_quote({' || '.join(texts)})"
        case plan.HandlerList(items=items):
            inner = " || ',' || ".join(f"({payload(item, row)})" for item in items)
            return f"'[' || {inner} || ']'" if items else "'[]'"
        case plan.HandlerObject(items=pairs):
            return expressions.json_object([(key, payload(one, row)) for key, one in pairs])
        case _:
            assert_never(value)


def _row_of(path: plan.Path, row: str) -> str:
    return "OLD." if path.row == "old" else row


# --- backfills and workers ------------------------------------------------------------------


def span(collection: Collection) -> str:
    """The text that tells how far a batch goes: after a place, up to another, so many documents."""
    return (
        "SELECT max(_n) FROM (SELECT _n FROM "
        f"{identifier(collection.name)} WHERE _n > ? AND _n <= ? ORDER BY _n LIMIT ?)"
    )


def newest(collection: Collection) -> str:
    """The text that tells the place of the newest document."""
    return f"SELECT coalesce(max(_n), 0) FROM {identifier(collection.name)}"


def backfill(handler: plan.HandlerTrigger, condition: plan.Where) -> list[Statement]:
    """The statements that enqueue for the documents after a place up to another, both `?`.

    One for each action; the first one changes as many rows as documents match.
    """
    own = _condition(handler)
    text, params = where(condition, row="NEW.")
    table = identifier(handler.collection.name)
    return [
        Statement(
            f"{_insert(handler, action, 'NULL')}\n      FROM {table} AS NEW, {_NOTHING} AS _c\n"
            f"     WHERE NEW._n > ? AND NEW._n <= ? AND ({own}) AND ({text}) ORDER BY NEW._n",
            params,
        )
        for action in _actions(handler)
    ]


def read(reaction: plan.Reaction) -> Statement:
    """The statement that asks the condition and reads the values, as JSON, of two images.

    Its parameters are the image after and the image before, JSON or null.
    """
    collection, op = reaction.collection, reaction.op
    condition, _ = where(rowed(reaction.where, op), trigger=True)
    values = [f"({payload(value, _row(op))})" for _, value in reaction.values]
    columns = _renamed(", ".join([f"(({condition}) IS TRUE)", *values]), collection)
    return Statement(
        f"SELECT {columns} FROM (SELECT {columns_of(collection, '?1')}) AS NEW, "
        f"(SELECT {columns_of(collection, '?2')}) AS OLD"
    )


_TOKEN: Final = re.compile(r"""'(?:[^']|'')*'|(?P<row>NEW|OLD)\."(?P<name>(?:[^"]|"")*)\"""")


def _renamed(text: str, collection: Collection) -> str:
    """The text with the names that the engine gives columns of a query called `true` and `false`."""
    places = {
        field.name: f"column{number}"
        for number, field in enumerate(collection.stored, 1)
        if field.name.lower() in ("true", "false")
    }
    if not places:
        return text
    return _TOKEN.sub(
        lambda found: (
            f"{found['row']}.{places[found['name']]}" if found["name"] in places else found[0]
        ),
        text,
    )
