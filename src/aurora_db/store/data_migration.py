"""`migrate data`: an update of many documents, with their fields and constants as values.

A field that is set to another field is converted and checked document by document, as an update
by hand would; everything else is the statement of an update.
"""

from __future__ import annotations

from aurora_db.aql import checks, plan
from aurora_db.aql.catalog import Collection
from aurora_db.base.errors import AuroraError
from aurora_db.sql import lower
from aurora_db.sql.statement import identifier
from aurora_db.store import documents, matching, mutations
from aurora_db.store.port import Port
from aurora_db.store.scope import Scope


async def run(port: Port, update: plan.Update) -> None:
    """Run one `set`.

    Raises:
        TypeMismatch, ValidationError, UniqueViolation: a value does not fit a document.
    """
    match update.data:
        case plan.ObjectValue(items=((name, plan.Computation(expression=plan.Path() as path)),)):
            await _copy(port, update, name, path)
        case _:
            await mutations.update(update, mutations.Target(update), port, Scope({}))


async def _copy(port: Port, update: plan.Update, name: str, path: plan.Path) -> None:
    collection = update.collection
    id_path = plan.Path(collection.fields[0], (), collection.fields[0].type)
    outputs = (plan.Output("id", id_path), plan.Output("value", path))
    query = plan.Query(key="", collection=collection, outputs=outputs, where=update.where)
    ready = lower.query(query)
    rows = await port.rows(ready.statement.text, ready.statement.bind({}))
    found = list(map(ready.reader, rows))
    if name not in {field.name for field in collection.fields}:
        # An undeclared field has no column: one statement each.
        for one in found:
            where = plan.Compare(id_path, "eq", plan.Constant(one["id"]))
            await matching.update_where(port, collection, where, {name: one["value"]})
        return
    changed = [
        (_stored(port, collection, name, one["id"], one["value"]), one["id"]) for one in found
    ]
    if changed:
        text = (
            f"UPDATE {identifier(collection.name)} SET {identifier(name)} = ?, _rev = _rev + 1 "
            "WHERE id = ?"
        )
        await port.many(text, changed)
        documents.touch_handlers(port, collection)


def _stored(port: Port, collection: Collection, name: str, id: str, value: object) -> object:
    try:
        return checks.check_document(collection, {name: value}, now=port.now(), partial=True)[name]
    except AuroraError as error:
        error.message = f"{error.message} (document '{id}')"
        raise
