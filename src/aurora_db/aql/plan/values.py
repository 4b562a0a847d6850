"""Values: constants, variables, and expressions over the fields of a document."""

from __future__ import annotations

from typing import Any

import msgspec

from aurora_db.aql.catalog import Collection, Field, Type


class Constant(msgspec.Struct, frozen=True):
    """A value known now, as plain Python (dates as text)."""

    value: Any


class Variable(msgspec.Struct, frozen=True):
    """A value given at execution, already checked against its declared type.

    `path` is empty unless `$name.path` reads a result of an earlier part.
    `type` is the declared type; None where it is not checked or is a result's.
    """

    name: str
    path: tuple[str, ...] = ()
    type: Type | None = None


class ListValue(msgspec.Struct, frozen=True):
    """A list with variables somewhere inside (else it is a `Constant`)."""

    items: tuple[Value, ...]


class ObjectValue(msgspec.Struct, frozen=True):
    """An object with variables somewhere inside (else it is a `Constant`)."""

    items: tuple[tuple[str, Value], ...]


class Computation(msgspec.Struct, frozen=True):
    """`expr("…")` in the place of a value: computed for each document it is used on."""

    expression: Expression


Value = Constant | Variable | ListValue | ObjectValue | Computation


# --- expressions ----------------------------------------------------------------------------


class Hop(msgspec.Struct, frozen=True):
    """A step over a relation, from the document that has `field` to the one it refers to.

    `key` is the field of `collection` that `field` equals; there is at most one such document.
    """

    field: Field
    collection: Collection
    key: Field


class Link(msgspec.Struct, frozen=True):
    """The documents of another collection that belong to this one: a relation seen from its other side, or a lookup.

    Those whose `foreign` equals this document's `local`; of null there are none.
    """

    collection: Collection
    local: Path
    foreign: Path


class Path(msgspec.Struct, frozen=True):
    """A stored value: a declared field, or a path into it.

    `hops` lead over relations first; without a document at their end the value is null. `field` is
    the declared field there; None means an undeclared one of a flexible collection, whose name is
    then `keys[0]`, or, inside of `some every none` over a list of objects, a key of the element.
    `keys` go into the JSON. `type` is the type found at the end of the path; None means untyped.
    `row` is "" for the document, "old" for the image before (event handlers only).
    """

    field: Field | None
    keys: tuple[str, ...] = ()
    type: Type | None = None
    row: str = ""
    hops: tuple[Hop, ...] = ()


class Call(msgspec.Struct, frozen=True):
    """A function of the function table over expressions. Operators and templates are calls too.

    `type` is the type of the result where it is known now; None means untyped. A template is
    `template(part, …)`, which joins texts, null as nothing.
    """

    function: str
    arguments: tuple[Expression, ...]
    type: Type | None = None


class Items(msgspec.Struct, frozen=True):
    """A list of expressions."""

    items: tuple[Expression, ...]
    type: Type | None = None


Expression = Constant | Variable | Path | Call | Items
