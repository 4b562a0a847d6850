"""Documents as they are written in a text: literals that do not fit are refused at their place.

Only types, words of enums and names of fields, which no variable and no stored value changes. What is
required and what `@validate` says is checked when the document is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

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

#: Literals that are of their type at sight: most are.
_SURE: Final = {
    ("String", syntax.StringLiteral), ("Int", syntax.IntLiteral), ("Float", syntax.FloatLiteral),
    ("Float", syntax.IntLiteral), ("Boolean", syntax.BooleanLiteral), ("ID", syntax.StringLiteral),
    ("Any", syntax.StringLiteral), ("JSON", syntax.ObjectLiteral),
}  # fmt: skip


def check(scope: Scope, collection: Collection, document: syntax.ObjectLiteral) -> None:
    """Refuse what a document of `collection` cannot hold.

    Raises:
        UnknownField, TypeMismatch, UnknownEnum, DuplicateArgument: with the place of the name or the value.
    """
    known = {field.name: field for field in collection.fields}
    names = {entry.key.text for entry in document.entries}
    for entry in document.entries:
        name = entry.key.text
        if name == "_sid":
            if "id" in names:
                raise scope.fail(
                    DuplicateArgument, "'id' and '_sid' are the same field", entry.key.span,
                    "write id only",
                )  # fmt: skip
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


def _unknown(
    scope: Scope, entry: syntax.Entry, where: str, known: Mapping[str, Field], otherwise: str
) -> Exception:
    name = entry.key.text
    return scope.fail(
        UnknownField, f"no field named '{name}' in {where}", entry.key.span,
        suggest.hint(name, known, otherwise),
    )  # fmt: skip


def _value(scope: Scope, type: Type, value: syntax.Value, where: str) -> None:
    if (type.name, value.__class__) in _SURE:
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
        case syntax.VariableRef() | syntax.NullLiteral() | syntax.ExpressionLiteral():
            return
        case _:
            _plain(scope, type, value, where)


def _plain(scope: Scope, type: Type, value: syntax.Value, where: str) -> None:
    resolved = scope.value(value)
    if isinstance(resolved, plan.Constant):
        found = resolved.value
    elif type.name in ("JSON", "Any") or (
        type.name == "Object" and isinstance(resolved, plan.ObjectValue)
    ):
        return
    else:
        found = [] if isinstance(resolved, plan.ListValue) else {}
    try:
        types.store(type, found, where)
    except (TypeMismatch, UnknownEnum) as error:
        raise scope.fail(error.__class__, error.message, value.span, error.hint) from None
    except ValidationError:
        # Said when the document is written, as of variables.
        return
