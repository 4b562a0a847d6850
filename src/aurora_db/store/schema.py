"""Running a `schema` block, and reading what exists."""

from __future__ import annotations

from typing import Any, assert_never

from aurora_db.aql import introspect, plan
from aurora_db.sql import lower
from aurora_db.store import alter, tables
from aurora_db.store.port import Port
from aurora_db.store.scope import Scope


async def run(part: plan.DefineSchema, port: Port, _scope: Scope) -> dict[str, Any]:
    """Run the statements of a block in their order; its result.

    Raises:
        SchemaError: a statement is refused by what is stored.
    """
    steps: list[dict[str, str]] = []
    names: list[str] = []
    for statement in part.statements:
        name, status = await _step(port, statement)
        steps.append({"kind": "collection", "name": name, "status": status})
        if name not in names:
            names.append(name)
    return {"operation": "schema", "collections": names, "status": "done", "steps": steps}


async def _step(port: Port, statement: plan.SchemaStatement) -> tuple[str, str]:
    match statement:
        case plan.DefineCollection(collection=collection):
            return collection.name, await tables.define_collection(port, statement)
        case plan.AlterCollection(name=name):
            return name, await alter.alter_collection(port, statement)
        case plan.DropCollection(name=name):
            return name, await alter.drop_collection(port, statement)
        case _:
            assert_never(statement)


async def introspection(part: plan.Introspection, port: Port, _scope: Scope) -> dict[str, Any]:
    """The catalog as this transaction sees it, with the number of documents where it is asked for."""
    counted: dict[str, int] = {}
    if introspect.counts(part):
        for collection in port.catalog.collections.values():
            if not collection.system:
                text, params = lower.count(collection, plan.ALWAYS)
                row = await port.row(text, params)
                counted[collection.name] = 0 if row is None else row[0]
    return introspect.shown(part, port.catalog, counted)
