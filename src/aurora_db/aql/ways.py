"""Which documents of a query a change elsewhere touches: conditions that find them by the keys that changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from aurora_db.aql import plan, types
from aurora_db.aql.catalog import Type
from aurora_db.aql.reads import Step, Way

#: Values that are the same in an image and in a column.
_NUMBERS = frozenset({"Int", "Float"})


def is_keyed(way: Way) -> bool:
    """Whether the key of the document at the end of a way stands in its image, and those that lead there are found by it."""
    *before, last = way
    if any(isinstance(one, plan.Link) and one.foreign.hops for one in before):
        return False
    if isinstance(last, plan.Hop):
        one, other = last.field.type, last.key.type
    else:
        foreign = last.foreign
        if foreign.hops or foreign.field is None or foreign.type is None or last.local.type is None:
            return False
        if foreign.field.computed is not None:
            return False
        one, other = last.local.type, foreign.type
    if last.collection.system:
        # A change of a job says which one and no more.
        return last.collection.name == "_jobs" and _name(last) == "id"
    return _same(one, other)


def _same(one: Type, other: Type) -> bool:
    if one.name in types.JSON_KINDS or other.name in types.JSON_KINDS:
        return False
    names = {one.name, other.name}
    return len(names) == 1 or names <= types.TEXT or names <= _NUMBERS


def _name(step: Step) -> str:
    """The field that leads to the document of a step."""
    if isinstance(step, plan.Hop):
        return step.key.name
    return "" if step.foreign.field is None else step.foreign.field.name


def key(step: Step, image: Mapping[str, Any], id: str) -> Any:
    """The value that documents lead to this one by; None where none do."""
    name = _name(step)
    found: Any = id if name == "id" else image.get(name)
    for one in () if isinstance(step, plan.Hop) else step.foreign.keys:
        found = found.get(one) if isinstance(found, Mapping) else None
    return int(found) if isinstance(found, bool) else found


def leading(way: Way, keys: Sequence[Any]) -> plan.Where:
    """The condition of the documents from which a way now leads to a document with one of these keys."""
    *before, last = way
    hop = isinstance(last, plan.Hop)
    path = plan.Path(last.field, (), last.field.type) if hop else last.local
    where: plan.Where = plan.Compare(path, "in", plan.Constant(list(keys)))
    for step in reversed(before):
        if isinstance(step, plan.Hop):
            where = _over(step, where)
        else:
            where = plan.Quantified("some", step, where)
    return where


def _over(hop: plan.Hop, where: plan.Where) -> plan.Where:
    """A condition on the document that a relation leads to, as one on the document that has it."""
    match where:
        case plan.Compare(path=plan.Path() as path):
            led = msgspec.structs.replace(path, hops=(hop, *path.hops))
            return msgspec.structs.replace(where, path=led)
        case plan.Quantified(over=plan.Link() as link):
            local = msgspec.structs.replace(link.local, hops=(hop, *link.local.hops))
            return msgspec.structs.replace(where, over=msgspec.structs.replace(link, local=local))
        case _:
            raise AssertionError(f"never made here: {where}")
