"""Rules as they are stored: beside the definition of their collection, with which they go."""

from __future__ import annotations

from typing import Any

import msgspec

from aurora_db.aql import plan
from aurora_db.base.errors import NotFound
from aurora_db.store.catalog import become, renumber
from aurora_db.store.port import Port

KEEP_RULES = "UPDATE _collections SET rules = ? WHERE name = ?"


async def define_rules(port: Port, wanted: plan.DefineRules) -> dict[str, Any]:
    """Set the rules of a collection in the place of those it had."""
    rules = wanted.rules
    existing = port.catalog.rules.get(rules.collection)
    if existing is not None and existing.digest == rules.digest:
        return {"collection": rules.collection, "status": "unchanged"}
    await port.change(KEEP_RULES, (msgspec.json.encode(rules).decode(), rules.collection))
    await renumber(port)
    await become(port, rules={**port.catalog.rules, rules.collection: rules})
    status = "registered" if existing is None else "replaced"
    return {"collection": rules.collection, "status": status}


async def drop_rules(port: Port, wanted: plan.DropRules) -> dict[str, Any]:
    """Remove the rules of a collection, which closes it to all but admin tokens.

    Raises:
        NotFound: it has none, and `if exists` was not said.
    """
    if wanted.collection not in port.catalog.rules:
        if wanted.if_exists:
            return {"collection": wanted.collection, "status": "unchanged"}
        raise NotFound(
            f"the collection '{wanted.collection}' has no rules", hint="write `if exists`"
        )
    await port.change(KEEP_RULES, (None, wanted.collection))
    others = {n: one for n, one in port.catalog.rules.items() if n != wanted.collection}
    await renumber(port)
    await become(port, rules=others)
    return {"collection": wanted.collection, "status": "dropped"}
