"""Documents as they are written in a text: literals that do not fit are refused at their place.

Only types, words of enums and names of fields, which no variable and no stored value changes. What is
required and what `@validate` says is checked when the document is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from aurora_db.aql import plan, suggest, syntax, types
from aurora_db.aql.catalog import Collection, Field, Type
from aurora_db.aql.values import Scope
from aurora_db.base.errors import (
    DuplicateArgument,
    TypeMismatch,
    UnknownEnum,
    UnknownField,
    ValidationError,
)

_TEXT: Final = frozenset({syntax.StringLiteral})
_WHOLE: Final = frozenset({syntax.IntLiteral})
#: Literals that are of their type at sight, by type: most are.
_SURE: Final[Mapping[str, frozenset[type]]] = {
    "String": _TEXT, "ID": _TEXT | _WHOLE, "Email": _TEXT, "URL": _TEXT, "PhoneNumber": _TEXT,
    "Int": _WHOLE, "Float": _WHOLE | {syntax.FloatLiteral}, "Boolean": frozenset({syntax.BooleanLiteral}),
}  # fmt: skip
#: Literals that are checked when the document is written, as variables are.
_LATE: Final = frozenset({syntax.VariableRef, syntax.NullLiteral, syntax.ExpressionLiteral})

#: Fields by name, and literals that need no look, of collections that were met.
_Known = tuple[Mapping[str, Field], Mapping[str, frozenset[type]]]
_known: dict[int, tuple[Collection, _Known]] = {}
KEPT: Final = 1_000


def _of(collection: Collection) -> _Known:
    # Hashing a collection walks all its fields; its identity is known at once.
    kept = _known.get(id(collection))
    if kept is None or kept[0] is not collection:
        if len(_known) >= KEPT:
            _known.clear()
        fields = {field.name: field for field in collection.fields}
        sure = {
            field.name: _LATE | _SURE.get(field.type.name, frozenset())
            for field in collection.stored
        }
        kept = _known[id(collection)] = (collection, (fields, sure))
    return kept[1]


def check(scope: Scope, collection: Collection, document: syntax.ObjectLiteral) -> None:
    """Refuse what a document of `collection` cannot hold.

    Raises:
        UnknownField, TypeMismatch, UnknownEnum, DuplicateArgument: with the place of the name or
            the value.
    """
    known, sure = _of(collection)
    for entry in document.entries:
        name = entry.key.text
        if entry.value.__class__ in sure.get(name, ()):
            continue
        if name == "_sid":
            _refuse_both(scope, document, entry)
            name = "id"
        field = known.get(name)
        if field is not None:
            if field.computed is None:
                _value(scope, field.type, entry.value, f"field '{field.name}'")
        elif not collection.flexible or name.startswith("_"):
            raise _unknown(
                scope, entry, f"collection '{collection.name}'", known,
                "declare it, or define the collection @flexible",
            )  # fmt: skip


def _refuse_both(scope: Scope, document: syntax.ObjectLiteral, entry: syntax.Entry) -> None:
    if any(one.key.text == "id" for one in document.entries):
        raise scope.fail(
            DuplicateArgument, "'id' and '_sid' are the same field", entry.key.span, "write id only"
        )


def _unknown(
    scope: Scope, entry: syntax.Entry, where: str, known: Mapping[str, Field], otherwise: str
) -> Exception:
    name = entry.key.text
    return scope.fail(
        UnknownField, f"no field named '{name}' in {where}", entry.key.span,
        suggest.hint(name, known, otherwise),
    )  # fmt: skip


def _value(scope: Scope, type: Type, value: syntax.Value, where: str) -> None:
    if value.__class__ in _LATE or value.__class__ in _SURE.get(type.name, ()):
        return
    match value:
        case syntax.ListLiteral(items=items) if type.name == "List":
            item = cast("Type", type.item)
            for number, one in enumerate(items):
                _value(scope, item, one, f"{where}[{number}]")
        case syntax.ObjectLiteral(entries=entries) if type.name == "Inline":
            known = {field.name: field for field in type.fields}
            for entry in entries:
                field = known.get(entry.key.text)
                if field is None:
                    raise _unknown(scope, entry, where, known, f"it has {', '.join(known)}")
                _value(scope, field.type, entry.value, f"{where}.{field.name}")
        case _:
            _plain(scope, type, value, where)


def _plain(scope: Scope, type: Type, value: syntax.Value, where: str) -> None:
    if type.name in ("JSON", "Any") or (
        type.name == "Object" and isinstance(value, syntax.ObjectLiteral)
    ):
        return
    resolved = scope.value(value)
    found: Any = [] if isinstance(value, syntax.ListLiteral) else {}
    if isinstance(resolved, plan.Constant):
        found = resolved.value
    try:
        types.store(type, found, where)
    except (TypeMismatch, UnknownEnum) as error:
        raise scope.fail(error.__class__, error.message, value.span, error.hint) from None
    except ValidationError:
        # Said when the document is written, as of variables.
        return
