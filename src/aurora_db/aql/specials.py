"""The defaults "now" and "uuid": words that become a value when a document is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from aurora_db.aql.catalog import Field, Type
from aurora_db.aql.types import DATES


def is_special(type: Type, default: Any) -> bool:
    """Whether a default is the word for the present, or for a new UUID."""
    if default == "now":
        return type.name in DATES
    return default == "uuid" and type.name in ("ID", "Uuid")


def has_special(type: Type) -> bool:
    """Whether an inline object in it has "now" or "uuid" as a default."""
    if type.name == "List":
        return has_special(cast("Type", type.item))
    return any(
        (field.has_default and is_special(field.type, field.default)) or has_special(field.type)
        for field in type.fields
    )


def filled(type: Type, value: Any, special: Callable[[Field], Any]) -> Any:
    """`value` with these defaults in its inline objects, made by `special`."""
    if type.name == "List" and isinstance(value, (list, tuple)):
        item = cast("Type", type.item)
        return [filled(item, one, special) for one in cast("list[Any]", value)]
    if type.name != "Inline" or not isinstance(value, Mapping):
        return value
    result = dict(cast("Mapping[str, Any]", value))
    for field in type.fields:
        if field.name in result:
            result[field.name] = filled(field.type, result[field.name], special)
        elif field.has_default and is_special(field.type, field.default):
            result[field.name] = special(field)
    return result
