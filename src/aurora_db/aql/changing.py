"""The `data` of update and upsert in a text: what can be refused before anything runs, with its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from aurora_db.aql import changes, plan, syntax, types, upserts
from aurora_db.aql.catalog import Collection, Type
from aurora_db.aql.values import Scope, literal
from aurora_db.base.errors import AqlError, Span, TypeMismatch, ValidationError

T = TypeVar("T")


def data(scope: Scope, collection: Collection, node: syntax.ObjectLiteral) -> plan.Value:
    """The changes of a text; unknown fields and operators, and constants that do not fit, are refused.

    Raises:
        AqlError: with the place of what is refused.
        ValidationError: a constant breaks a rule of its field.
    """
    pairs: list[tuple[str, plan.Value]] = []
    for entry in node.entries:
        name = entry.key.text
        path = placed(
            scope,
            lambda entry=entry: entry.key.span,
            lambda name=name: changes.path_of(collection, name),
        )
        value = entry.value
        span, op = value.span, "set"
        if isinstance(value, syntax.ObjectLiteral):
            words = dict.fromkeys(one.key.text for one in value.entries)
            first = value.entries[0].key.span if value.entries else span
            op, _ = placed(
                scope,
                lambda first=first: first,
                lambda path=path, words=words: changes.operation(path, words),
            )
            if op != "set" or words == {"set": None}:
                span = value.entries[0].value.span
        if op == "expr" and isinstance(value, syntax.ObjectLiteral):
            value = value.entries[0].value
        if op == "expr" or isinstance(value, syntax.ExpressionLiteral):
            pairs.append((name, changes.computation(scope, collection, path, value)))
            continue
        resolved = scope.value(value)
        pairs.append((name, resolved))
        if isinstance(resolved, plan.Constant) and not _is_id(path):
            constant = resolved.value
            placed(
                scope,
                lambda span=span, path=path, value=value: _place(path, value, span),
                lambda name=name, constant=constant: changes.change_of(collection, name, constant),
            )
    if all(isinstance(one, plan.Constant) for _, one in pairs):
        return plan.Constant({name: cast("plan.Constant", one).value for name, one in pairs})
    return plan.ObjectValue(tuple(pairs))


def _is_id(path: plan.Path) -> bool:
    return path.field is not None and path.field.name == "id"


def check_key(scope: Scope, collection: Collection, where: plan.Value, entry: syntax.Entry) -> None:
    """Refuse a where that is no unique key, if it is known now."""
    known = upserts.known_of(where)
    if known is upserts.UNKNOWN:
        return
    if not isinstance(known, dict):
        raise scope.fail(TypeMismatch, "a where is an object of equalities", entry.value.span)
    placed(scope, lambda: entry.value.span, lambda: upserts.equalities(collection, known))


def placed(scope: Scope, place: Callable[[], Span], verb: Callable[[], T]) -> T:
    """What `verb` gives; its error points at what `place` finds."""
    try:
        return verb()
    except AqlError as error:
        raise scope.fail(type(error), error.message, place(), error.hint) from None


def _place(path: plan.Path, value: syntax.Value, span: Span) -> Span:
    """Where the fault in a value of `data` is: inside of it, where it is set as it is."""
    return span if path.type is None or value.span != span else culprit(path.type, value)


def culprit(type: Type, value: syntax.Value) -> Span:
    """The innermost part of a literal that its type refuses."""
    match value:
        case syntax.ListLiteral(items=items) if type.name == "List" and type.item is not None:
            for item in items:
                if _refuses(type.item, item):
                    return culprit(type.item, item)
        case syntax.ObjectLiteral(entries=entries) if type.name == "Inline":
            known = {field.name: field.type for field in type.fields}
            for entry in entries:
                if entry.key.text not in known:
                    return entry.key.span
                if _refuses(known[entry.key.text], entry.value):
                    return culprit(known[entry.key.text], entry.value)
        case _:
            pass
    return value.span


def _refuses(type: Type, value: syntax.Value) -> bool:
    if isinstance(value, (syntax.NullLiteral, syntax.VariableRef)):
        return False
    try:
        types.deep(type, literal(value), "")
    except AqlError:
        return True
    except ValidationError:
        pass
    return False
