"""Where-objects → plan conditions, from AQL and from Python alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from aurora_db.aql import plan, suggest, syntax, types
from aurora_db.aql.catalog import Collection, Field, Type
from aurora_db.aql.values import Scope, literal, syntax_of
from aurora_db.base.errors import (
    AqlError,
    TypeMismatch,
    UnknownField,
    UnknownOperator,
    ValidationError,
)

OPERATORS: Final = frozenset({
    "eq", "ne", "gt", "gte", "lt", "lte", "in", "contains", "startsWith", "endsWith", "isNull", "isNotNull",
})  # fmt: skip
#: Operators of the language that this version does not have.
LATER: Final = frozenset({
    "between", "nin", "notIn", "containsAny", "containsAll", "ieq", "icontains", "istartsWith", "iendsWith",
    "matches", "size", "some", "every", "none", "expr",
})  # fmt: skip
ORDERED_OPS: Final = frozenset({"gt", "gte", "lt", "lte"})
TEXT_OPS: Final = frozenset({"startsWith", "endsWith"})

ID: Final = Field(name="id", type=Type(name="ID"))


class Conditions:
    """Resolves the conditions on one collection. `rows` allows `old.` (event handlers)."""

    def __init__(self, collection: Collection, scope: Scope, *, rows: bool = False) -> None:
        self._collection = collection
        self._scope = scope
        self._rows = rows

    def where(self, value: syntax.Value) -> plan.Where:
        """The condition of a where-object, or of a variable that holds one."""
        if isinstance(value, syntax.VariableRef):
            self._scope.value(value)
            return plan.WhereVariable(value.name, self._collection)
        if not isinstance(value, syntax.ObjectLiteral):
            raise self._scope.fail(
                TypeMismatch,
                "a where is an object of conditions",
                value.span,
                "write {field: {eq: value}}",
            )
        return plan.And(tuple(self._entry(entry, None) for entry in value.entries))

    def _entry(self, entry: syntax.Entry, above: plan.Path | None) -> plan.Where:
        name = entry.key.text
        if above is None and name in ("and", "or"):
            return self._junction(name, entry.value)
        if above is None and name == "not":
            return plan.Not(self.where(entry.value))
        if above is None and name == "expr":
            raise self._scope.unsupported("computed conditions are", entry.key.span)
        path = self.path(name, entry) if above is None else self._below(above, name, entry)
        return self._on(path, entry.value, name)

    def _junction(self, word: str, value: syntax.Value) -> plan.Where:
        items = value.items if isinstance(value, syntax.ListLiteral) else (value,)
        parts = tuple(self.where(item) for item in items)
        return plan.And(parts) if word == "and" else plan.Or(parts)

    def path(self, name: str, at: syntax.Node) -> plan.Path:
        """The stored value that a name or a dotted path means."""
        row = ""
        if self._rows and name.startswith("old."):
            row, name = "old", name[4:]
        first, *keys = name.split(".")
        if first == "_sid":
            first = "id"
        field = (
            types.REV
            if first == "_rev" and not self._collection.system
            else self._collection.field(first)
        )
        span = at.key.span if isinstance(at, syntax.Entry) else at.span
        if field is None:
            if self._collection.flexible and not first.startswith("_"):
                return plan.Path(None, (first, *keys), None, row)
            known = [one.name for one in self._collection.fields]
            raise self._scope.fail(
                UnknownField, f"no field named '{first}' in collection '{self._collection.name}'", span,
                suggest.hint(first, known),
            )  # fmt: skip
        path = plan.Path(field, (), field.type, row)
        for key in keys:
            path = self._below(path, key, at)
        return path

    def _below(self, path: plan.Path, key: str, at: syntax.Node) -> plan.Path:
        below = path
        for part in key.split("."):
            below = plan.Path(
                below.field, (*below.keys, part), self._type_below(below, part, at), below.row
            )
        return below

    def _type_below(self, path: plan.Path, key: str, at: syntax.Node) -> Type | None:
        type = path.type
        if type is None or type.name in ("JSON", "Object", "Any"):
            return None
        span = at.key.span if isinstance(at, syntax.Entry) else at.span
        if type.name == "Inline":
            known = {field.name: field.type for field in type.fields}
            if key in known:
                return known[key]
            raise self._scope.fail(
                UnknownField,
                f"no field named '{key}' in '{_name(path)}'",
                span,
                suggest.hint(key, known),
            )
        if key in LATER:
            raise self._scope.unsupported(f"the operator '{key}' is", span)
        raise self._scope.fail(
            UnknownOperator, f"no operator named '{key}' for {types.type_name(type)} '{_name(path)}'", span,
            suggest.hint(key, OPERATORS, f"operators are {', '.join(sorted(OPERATORS))}"),
        )  # fmt: skip

    # --- on one path ------------------------------------------------------------------------

    def _on(self, path: plan.Path, value: syntax.Value, written: str) -> plan.Where:
        if not isinstance(value, syntax.ObjectLiteral):
            return self._compare(path, "eq", value)
        parts: list[plan.Where] = []
        for entry in value.entries:
            name = entry.key.text
            if name in OPERATORS:
                parts.append(self._compare(path, name, entry.value, entry))
            elif name == "not":
                parts.append(plan.Not(self._on(path, entry.value, written)))
            elif name in LATER and not self._has_key(path, name):
                raise self._scope.unsupported(f"the operator '{name}' is", entry.key.span)
            else:
                parts.append(self._entry(entry, path))
        return plan.And(tuple(parts))

    @staticmethod
    def _has_key(path: plan.Path, name: str) -> bool:
        return (
            path.type is not None
            and path.type.name == "Inline"
            and any(f.name == name for f in path.type.fields)
        )

    def _compare(
        self, path: plan.Path, op: str, value: syntax.Value, at: syntax.Entry | None = None
    ) -> plan.Where:
        span = value.span if at is None else at.key.span
        if op == "isNotNull":
            return plan.Not(self._compare(path, "isNull", value, at))
        self._fits(path, op, span)
        resolved = self._scope.value(value)
        if op == "eq" and isinstance(value, syntax.NullLiteral):
            return plan.Compare(path, "isNull", plan.Constant(True))
        if op == "ne" and isinstance(value, syntax.NullLiteral):
            return plan.Not(plan.Compare(path, "isNull", plan.Constant(True)))
        if isinstance(resolved, plan.Constant):
            try:
                resolved = plan.Constant(stored(path, op, resolved.value))
            except (AqlError, ValidationError) as error:
                kind = type(error) if isinstance(error, AqlError) else TypeMismatch
                raise self._scope.fail(kind, error.message, value.span, error.hint) from None
        return plan.Compare(path, op, resolved)

    def _fits(self, path: plan.Path, op: str, span: Any) -> None:
        type = path.type
        if type is None:
            return
        wrong = (
            (op in ORDERED_OPS and type.name not in types.ORDERED)
            or (op in TEXT_OPS and type.name not in types.TEXT)
            or (op == "contains" and type.name not in types.TEXT | types.JSON_KINDS)
        )
        if wrong:
            raise self._scope.fail(
                UnknownOperator,
                f"the operator '{op}' does not apply to {types.type_name(type)} '{_name(path)}'",
                span,
            )


def _name(path: plan.Path) -> str:
    first = (path.field.name,) if path.field is not None else ()
    return ".".join((*first, *path.keys))


def stored(path: plan.Path, op: str, value: Any) -> Any:
    """The form in which a value of a comparison is bound: of the path's type, or as it is.

    Raises:
        TypeMismatch, UnknownEnum: the value has another type than the path.
    """
    where = f"'{_name(path)}'"
    if op == "isNull":
        if not isinstance(value, bool):
            raise types.mismatch(f"'isNull' of {where}", "Boolean", value)
        return value
    if op == "in":
        if not isinstance(value, (list, tuple)):
            raise types.mismatch(f"'in' of {where}", "list", value)
        return [_one(path.type, one, where) for one in cast("list[Any]", value)]
    if op == "contains" and path.type is not None and path.type.name in types.JSON_KINDS:
        item = path.type.item if path.type.name == "List" else None
        if item is not None and value is not None:
            value = types.deep(item, value, where)
        return types.encode(value)
    if op in TEXT_OPS or (op == "contains" and path.type is not None):
        if not isinstance(value, str) and value is not None:
            raise types.mismatch(f"'{op}' of {where}", "String", value)
        return value
    return _one(path.type, value, where)


def _one(type: Type | None, value: Any, where: str) -> Any:
    if value is None:
        return None
    if type is None:
        return value
    if type.name == "Int" and isinstance(value, float):
        # 10 equals 10.0, and nothing equals 10.5: comparing by value needs no conversion.
        return types.store(Type(name="Float"), value, where)
    return types.store(type, value, where)


def resolve_where(
    collection: Collection, where: Mapping[str, Any], _catalog: object = None
) -> plan.Where:
    """The condition of a where-object made of Python values.

    Raises:
        AqlError: as for the same object in a text, without a place.
    """
    if not isinstance(where, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeMismatch(f"a where is an object of conditions, got {where!r}")
    return Conditions(collection, Scope("", {})).where(syntax_of(where))


__all__ = ["Conditions", "literal", "resolve_where", "stored"]
