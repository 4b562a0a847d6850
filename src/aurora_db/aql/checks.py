"""Whole documents against their schema: what their columns hold.

Compiled once for each collection, for inserts of many documents spend their time here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from aurora_db.aql import specials, suggest, types
from aurora_db.aql.catalog import Collection, Field
from aurora_db.base.codec import decode, encode
from aurora_db.base.errors import (
    DuplicateArgument,
    TypeMismatch,
    UnknownField,
    ValidationError,
)
from aurora_db.base.ids import new_id


class _Checker:
    """What is known of a collection before any document comes."""

    __slots__ = (
        "_collection", "_defaults", "_flexible", "_known", "_plain", "_required", "_slow", "_special",
        "_updated",
    )  # fmt: skip

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._flexible = collection.flexible
        self._known = {field.name: field for field in collection.stored}
        #: Fields whose value is what the column holds, by the Python type it must have.
        self._plain = {
            f.name: _PLAIN[f.type.name]
            for f in collection.stored
            if f.validate is None and f.type.name in _PLAIN
        }
        self._slow = {f.name: types.STORES[f.type.name](f.type) for f in collection.stored}
        #: Types with objects inside that have the present or a new UUID as a default.
        self._special = {f.name: f.type for f in collection.stored if specials.has_special(f.type)}
        self._updated = tuple(f for f in collection.fields if f.updated)
        self._required = tuple(f.name for f in collection.fields if f.required and f.name != "id")
        self._defaults = tuple(f for f in collection.fields if f.has_default)

    def check(
        self, document: Mapping[str, Any], now: dt.datetime, *, partial: bool
    ) -> dict[str, Any]:
        """The stored values by column."""
        plain = self._plain
        stored: dict[str, Any] = {}
        for name, value in document.items():
            if plain.get(name) is type(value):
                stored[name] = value
            else:
                self._one(name, value, stored, now)
        if "_sid" in document and "id" in document:
            raise DuplicateArgument("'id' and '_sid' are the same field", hint="write id only")
        if not partial:
            self._complete(stored, now)
        elif self._updated and stored:
            self._stamp(stored, now)
        if partial and "id" in stored:
            raise ValidationError(
                "field 'id' is never changed",
                hint="insert another document",
                field="id",
                rule="immutable",
            )
        for name in self._required:
            if stored.get(name) is None and (name in stored or not partial):
                raise ValidationError(f"field '{name}' is required", field=name, rule="required")
        extra = stored.get("_extra")
        if extra is not None and not partial:
            stored["_extra"] = encode(extra)
        return stored

    def _one(self, name: str, value: Any, stored: dict[str, Any], now: dt.datetime) -> None:
        field = self._known.get(name)
        if field is None:
            self._undeclared(name, value, stored, now)
            return
        if value is None:
            stored[field.name] = None
            return
        if name in self._special:
            value = specials.filled(field.type, value, lambda inner: special_default(inner, now))
        held = stored[field.name] = self._slow[field.name](value, f"field '{name}'")
        if field.validate is not None:
            _validate(field, held)

    def _undeclared(self, name: str, value: Any, stored: dict[str, Any], now: dt.datetime) -> None:
        if name == "_sid":
            self._one("id", value, stored, now)
            return
        if self._collection.field(name) is not None:
            raise ValidationError(
                f"field '{name}' is computed, so it cannot be written",
                hint="write the fields that it is made of",
                field=name,
                rule="computed",
                value=value,
            )
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeMismatch(f"the name of a field is a String, got {name!r}")
        if not self._flexible or name.startswith("_"):
            raise UnknownField(
                f"no field named '{name}' in collection '{self._collection.name}'",
                hint=suggest.hint(
                    name, self._known, "declare it, or define the collection @flexible"
                ),
            )
        stored.setdefault("_extra", {})[name] = value

    def _complete(self, stored: dict[str, Any], now: dt.datetime) -> None:
        if stored.get("id") is None:
            stored["id"] = new_id()
        for field in self._defaults:
            if field.name not in stored:
                stored[field.name] = default_of(field, now)
        if self._updated:
            self._stamp(stored, now)

    def _stamp(self, stored: dict[str, Any], now: dt.datetime) -> None:
        """Fields with `@updated` are the present, unless the write says otherwise."""
        for field in self._updated:
            if field.name not in stored:
                stored[field.name] = present(field, now)


def _validate(field: Field, held: Any) -> None:
    types.validate(field, field.name, decode(held) if field.type.name == "List" else held)


def column_value(field: Field, value: Any, now: dt.datetime) -> Any:
    """What the column of a field holds for a value that is not null.

    Raises:
        TypeMismatch, UnknownField, UnknownEnum, ValidationError: the value is refused.
    """
    if specials.has_special(field.type):
        value = specials.filled(field.type, value, lambda inner: special_default(inner, now))
    held = types.store(field.type, value, f"field '{field.name}'")
    if field.validate is not None:
        _validate(field, held)
    return held


def present(field: Field, now: dt.datetime) -> Any:
    """The present as the column of a date's type holds it."""
    value = {"DateTime": now, "Date": now.date(), "Time": now.time()}[field.type.name]
    return types.store(field.type, value)


def special_default(field: Field, now: dt.datetime) -> Any:
    """What "now" or "uuid" stands for in a field of its type."""
    return present(field, now) if field.type.name in types.DATES else new_id()


def default_of(field: Field, now: dt.datetime) -> Any:
    """What the column holds where a document says nothing of a field with a default."""
    if specials.is_special(field.type, field.default):
        return special_default(field, now)
    value = field.default
    if specials.has_special(field.type):
        value = specials.filled(field.type, value, lambda inner: special_default(inner, now))
    return types.store(field.type, value, f"the default of field '{field.name}'")


#: Types whose Python value goes into the column as it is.
_PLAIN: Final[Mapping[str, type]] = {"Int": int, "String": str}


def is_plain(field: Field, value: Any) -> bool:
    """Whether a value is plainly one of its field's, without a closer look."""
    return field.validate is None and _PLAIN.get(field.type.name) is type(value)


@lru_cache(maxsize=512)
def _checker(collection: Collection) -> _Checker:
    return _Checker(collection)


_by_identity: dict[int, tuple[Collection, _Checker]] = {}


def check_document(
    collection: Collection, document: Mapping[str, Any], *, now: dt.datetime, partial: bool = False
) -> dict[str, Any]:
    """Check a document against its schema; what its columns hold, by name.

    Defaults are applied and an id is made, unless `partial` (an update). The undeclared fields
    of a flexible collection come under `_extra`: JSON text, or in an update the values by name.

    Raises:
        TypeMismatch, UnknownField, UnknownEnum, ValidationError: the document is refused.
    """
    if not isinstance(document, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise types.mismatch(f"a document of '{collection.name}'", "Object", document)
    # Hashing a collection walks all its fields; its identity is known at once.
    kept = _by_identity.get(id(collection))
    if kept is None or kept[0] is not collection:
        if len(_by_identity) > 1_000:
            _by_identity.clear()
        kept = _by_identity[id(collection)] = (collection, _checker(collection))
    return kept[1].check(document, now, partial=partial)
