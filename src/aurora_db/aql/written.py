"""Definitions as they are written in AQL: for messages, hints and tools."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aurora_db.aql.catalog import Collection, Field, Index, Relation, Type, Validation

_RULES: Final = (
    ("min", "min"), ("max", "max"), ("minLength", "min_length"), ("maxLength", "max_length"),
    ("pattern", "pattern"), ("format", "format"), ("enum", "enum"), ("minItems", "min_items"),
    ("maxItems", "max_items"),
)  # fmt: skip
_FLAGS: Final = ("primary", "unique", "indexed", "search", "private", "updated")


def field_type(type: Type, *, required: bool = False) -> str:
    """The type of a field, `[String!]!`, with defaults and rules of inline objects."""
    match type.name:
        case "List":
            assert type.item is not None
            text = f"[{field_type(type.item, required=type.item.required)}]"
        case "Inline":
            text = "{ " + " ".join(field(one) for one in type.fields) + " }"
        case "Enum":
            text = f"Enum({', '.join(value(word) for word in type.words)})"
        case name:
            text = name
    return text + ("!" if required else "")


def field(one: Field) -> str:
    """The definition of a field, `age: Int! = 18 @indexed @validate(min: 0)`."""
    # What every id is needs no word.
    bare = one.primary
    parts = [f"{one.name}: {field_type(one.type, required=one.required and not bare)}"]
    if one.has_default:
        parts.append(f"= {value(one.default)}")
    # An id is primary and a relation has an index, whether that is said or not.
    unsaid = ("primary" if bare else "", "indexed" if one.relation is not None else "")
    parts += [f"@{flag}" for flag in _FLAGS if getattr(one, flag) and flag not in unsaid]
    if one.validate is not None:
        parts.append(f"@validate({_validation(one.validate)})")
    if one.relation is not None:
        parts.append(f"@relation({_relation(one.relation)})")
    if one.computed is not None:
        parts.append(f"@computed({value(one.computed)})")
    return " ".join(parts)


def index(one: Index) -> str:
    """`@@index(fields: [a, b])`, or `@@unique`."""
    return f"@@{'unique' if one.unique else 'index'}(fields: [{', '.join(one.fields)}])"


def collection(one: Collection) -> str:
    """The whole definition of a collection, on several lines."""
    flags = "".join(f" @{flag}" for flag in ("flexible", "quiet") if getattr(one, flag))
    inner = [*map(field, one.fields), *map(index, one.indexes)]
    return (
        f"define collection {one.name}{flags} {{\n" + "".join(f"  {part}\n" for part in inner) + "}"
    )


def value(given: Any) -> str:
    """A constant: keys of objects are names where they can be."""
    match given:
        case Mapping():
            pairs = (f"{_key(str(key))}: {value(one)}" for key, one in given.items())
            return "{" + ", ".join(pairs) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(value, given)) + "]"
        case _:
            return json.dumps(given, ensure_ascii=False)


def _key(name: str) -> str:
    plain = name.isascii() and name.isidentifier()
    return name if plain else json.dumps(name, ensure_ascii=False)


def _validation(rules: Validation) -> str:
    given = ((name, getattr(rules, attribute)) for name, attribute in _RULES)
    return ", ".join(f"{name}: {value(one)}" for name, one in given if one is not None)


def _relation(relation: Relation) -> str:
    parts = [f"to: {value(relation.to)}"]
    if relation.key != "id":
        parts.append(f"key: {value(relation.key)}")
    if relation.on_delete != "RESTRICT":
        parts.append(f"onDelete: {relation.on_delete}")
    return ", ".join(parts)


# --- what differs ---------------------------------------------------------------------------


def same(one: Collection, other: Collection) -> bool:
    """Whether two definitions mean the same; the order of fields and indexes means nothing."""
    return not differences(one, other)


def differences(existing: Collection, wanted: Collection) -> list[str]:
    """In words, what a new definition would change."""
    before, after = _by_name(existing), _by_name(wanted)
    parts = [f"field '{name}' is new" for name in after if name not in before]
    parts += [f"field '{name}' is missing" for name in before if name not in after]
    parts += [
        f"field '{name}' is '{field(before[name])}', not '{field(after[name])}'"
        for name in after
        if name in before and before[name] != after[name]
    ]
    parts += [f"{index(one)} is new" for one in _beyond(wanted, existing)]
    parts += [f"{index(one)} is missing" for one in _beyond(existing, wanted)]
    parts += [
        f"'@{flag}' differs"
        for flag in ("flexible", "quiet")
        if getattr(existing, flag) != getattr(wanted, flag)
    ]
    return parts


def alteration(existing: Collection, wanted: Collection) -> str | None:
    """The `alter` that makes `wanted` of `existing`; None where no `alter` does."""
    if existing.flexible != wanted.flexible or existing.quiet != wanted.quiet:
        return None
    before, after = _by_name(existing), _by_name(wanted)
    if before["id"] != after["id"]:
        return None
    actions = [f"drop {index(one)}" for one in _beyond(existing, wanted)]
    for name, one in after.items():
        if name not in before:
            actions.append(f"add {field(one)}")
        elif before[name] != one:
            actions.append(f"modify {field(one)}")
    actions += [f"drop {name}" for name in before if name not in after]
    actions += [f"add {index(one)}" for one in _beyond(wanted, existing)]
    return f"alter collection {wanted.name} {{ {'  '.join(actions)} }}"


def _by_name(one: Collection) -> dict[str, Field]:
    return {each.name: each for each in one.fields}


def _beyond(one: Collection, other: Collection) -> Iterable[Index]:
    return [each for each in one.indexes if each not in other.indexes]
