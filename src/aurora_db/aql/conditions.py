"""Where-objects → plan conditions, from AQL and from Python alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from aurora_db.aql import elsewhere, plan, relations, suggest, syntax, types
from aurora_db.aql.catalog import Catalog, Collection, Field, Type
from aurora_db.aql.expression_types import as_condition, as_value
from aurora_db.aql.expressions import Expressions
from aurora_db.aql.names import names_of
from aurora_db.aql.operators import (
    COMPARED,
    COUNTED,
    OPERATORS,
    QUANTIFIERS,
    SIZE,
    applies,
    name_of,
    same,
    stored,
)
from aurora_db.aql.tokens import MAX_NESTING
from aurora_db.aql.values import Scope, literal, syntax_of
from aurora_db.base.errors import (
    AqlError,
    AqlSyntaxError,
    Span,
    TypeMismatch,
    UnknownField,
    UnknownOperator,
    ValidationError,
)

ID: Final = Field(name="id", type=Type(name="ID"))
#: Comparisons of one operation: each has up to four parameters, and a statement 32,766 at most.
MOST: Final = 8_000


_LITERALS: Final = (syntax.IntLiteral, syntax.StringLiteral)


class Conditions:
    """Resolves the conditions on one collection, or on the elements of the list `over`.

    `rows` allows `old.` (event handlers).
    """

    def __init__(
        self,
        collection: Collection,
        scope: Scope,
        *,
        rows: bool = False,
        over: plan.Path | None = None,
    ) -> None:
        self._collection = collection
        self._scope = scope
        self._rows = rows
        self._over = over
        #: Of the documents themselves; the elements of a list have no names of their own.
        self._names = names_of(collection) if over is None else None

    def where(self, value: syntax.Value) -> plan.Where:
        """The condition of a where-object, or of a variable that holds one."""
        if isinstance(value, syntax.VariableRef):
            self._scope.value(value)
            return plan.WhereVariable(value.name, self._collection, self._over)
        if not isinstance(value, syntax.ObjectLiteral):
            raise self._scope.fail(
                TypeMismatch,
                "a where is an object of conditions",
                value.span,
                "write {field: {eq: value}}",
            )
        return plan.And(tuple([self._entry(entry) for entry in value.entries]))

    def _entry(self, entry: syntax.Entry) -> plan.Where:
        name = entry.key.text
        if self._names is not None:
            # A declared field wins over everything but the words below.
            path = self._names.compared.get(name)
            if path is not None:
                return self._on(path, entry.value)
        if name in ("and", "or"):
            items = _items(entry.value)
            return _junction(name, tuple(self.where(item) for item in items))
        if name == "not":
            return plan.Not(self.where(entry.value))
        if name == "expr":
            made = self.expressions().of_value(entry.value, "expr")
            return plan.Compare(as_condition(made), "eq", plan.Constant(True))
        found = self._target(name, entry)
        if isinstance(found, plan.Link):
            return self._linked(found, entry)
        return self._on(found, entry.value)

    def expressions(self) -> Expressions:
        """What resolves expressions over the same documents."""
        return Expressions(self._scope, self._collection, self, Conditions)

    # --- paths ------------------------------------------------------------------------------

    def path(self, name: str, at: syntax.Node) -> plan.Path:
        """The stored value that a name or a dotted path means."""
        if self._names is not None:
            known = self._names.paths.get(name)
            if known is not None:
                return known
        if "." not in name:
            return self._first(name, "", at)
        row = ""
        if self._rows and name.startswith("old."):
            row, name = "old", name[4:]
        first, *keys = name.split(".")
        path = self._first(first, row, at)
        for key in keys:
            path = self._below(path, key, at)
        return path

    def _target(self, name: str, entry: syntax.Entry) -> plan.Path | plan.Link:
        """The same, or the documents that refer to this one."""
        head, _, last = name.rpartition(".")
        if head and not (self._rows and head == "old"):
            link = self._link_below(self.path(head, entry), last, entry)
        elif self._over is None:
            link = self._link(self._collection, last, entry, ())
        else:
            link = None
        return self.path(name, entry) if link is None else link

    def _first(self, name: str, row: str, at: syntax.Node) -> plan.Path:
        if self._over is None:
            return self._field(self._collection, name, row, (), at)
        item = None if self._over.type is None else self._over.type.item
        known = {} if item is None else {one.name: one.type for one in item.fields}
        if item is None or item.name != "Inline":
            return plan.Path(None, (name,), None)
        if name not in known:
            raise self._unknown(name, f"'{name_of(self._over)}'", known, at)
        return plan.Path(None, (name,), known[name])

    def _field(
        self,
        collection: Collection,
        name: str,
        row: str,
        hops: tuple[plan.Hop, ...],
        at: syntax.Node,
    ) -> plan.Path:
        if name == "_sid":
            name = "id"
        is_rev = name == "_rev" and not collection.system
        field = types.REV if is_rev else collection.field(name)
        if field is not None:
            return plan.Path(field, (), field.type, row, hops)
        if collection.flexible and not name.startswith("_"):
            return plan.Path(None, (name,), None, row, hops)
        known = [one.name for one in collection.fields]
        raise self._unknown(name, f"collection '{collection.name}'", known, at)

    def _unknown(self, name: str, where: str, known: Any, at: syntax.Node) -> AqlError:
        return self._scope.fail(
            UnknownField, f"no field named '{name}' in {where}", _span(at),
            suggest.hint(name, known, elsewhere.field(name)),
        )  # fmt: skip

    def _below(self, path: plan.Path, key: str, at: syntax.Node) -> plan.Path:
        if path.field is not None and not path.keys:
            hop = relations.hop(self._scope, path.field)
            if hop is not None:
                return self._field(hop.collection, key, path.row, (*path.hops, hop), at)
        type = self._type_below(path, key, at)
        return plan.Path(path.field, (*path.keys, key), type, path.row, path.hops)

    def _type_below(self, path: plan.Path, key: str, at: syntax.Node) -> Type | None:
        type = path.type
        if type is None or type.name in ("JSON", "Object", "Any"):
            return None
        if type.name == "Inline":
            known = {field.name: field.type for field in type.fields}
            if key in known:
                return known[key]
            raise self._unknown(key, f"'{name_of(path)}'", known, at)
        hint = elsewhere.operator(key) or suggest.hint(
            key, OPERATORS, f"operators are {', '.join(sorted(OPERATORS))}"
        )
        if type.name == "List":
            hint = f"say which elements: {{some: {{{key}: …}}}}"
        raise self._scope.fail(
            UnknownOperator, f"no operator named '{key}' for {types.type_name(type)} '{name_of(path)}'",
            _span(at), hint,
        )  # fmt: skip

    # --- on one path ------------------------------------------------------------------------

    def _on(self, path: plan.Path | plan.Call, value: syntax.Value) -> plan.Where:
        if (
            isinstance(path, plan.Path)
            and path.field is not None
            and path.field.computed is not None
        ):
            path = as_value(self.expressions().expanded(path))
        if type(value) is not syntax.ObjectLiteral:
            return self._compare(path, "eq", value)
        return plan.And(tuple([self._applied(path, entry) for entry in value.entries]))

    def _applied(self, path: plan.Path | plan.Call, entry: syntax.Entry) -> plan.Where:
        name, value = entry.key.text, entry.value
        if isinstance(path, plan.Call) and path.function == SIZE and name not in COUNTED:
            raise self._scope.fail(
                UnknownOperator, f"no operator named '{name}' for 'size'", entry.key.span,
                suggest.hint(name, COUNTED, f"operators are {', '.join(sorted(COUNTED))}"),
            )  # fmt: skip
        if name in COMPARED and name != "between":
            return self._compare(path, name, value, entry)
        match name:
            case "and" | "or":
                return _junction(name, tuple(self._on(path, item) for item in _items(value)))
            case "not":
                return plan.Not(self._on(path, value))
            case "isNotNull":
                return plan.Not(self._compare(path, "isNull", value, entry))
            case "nin" | "notIn":
                return plan.Not(self._compare(path, "in", value, entry))
            case "between":
                return self._between(path, value, entry)
            case _:
                if isinstance(path, plan.Call):
                    return self._into_computed(path, name, entry)
                return self._into(path, name, entry)

    def _into(self, path: plan.Path, name: str, entry: syntax.Entry) -> plan.Where:
        """`size`, a quantifier, or a name below the path."""
        if name == "size":
            self._refuse_unless_list(path, name, entry)
            return self._on(plan.Call(SIZE, (path,), types.INT), entry.value)
        if name in QUANTIFIERS:
            self._refuse_unless_list(path, name, entry)
            inner = Conditions(self._collection, self._scope, over=path)
            return plan.Quantified(name, path, inner.where(entry.value))
        head, _, last = name.rpartition(".")
        above = path
        for key in head.split(".") if head else ():
            above = self._below(above, key, entry)
        link = self._link_below(above, last, entry)
        if link is not None:
            return self._linked(link, entry)
        return self._on(self._below(above, last, entry), entry.value)

    def _into_computed(self, call: plan.Call, name: str, entry: syntax.Entry) -> plan.Where:
        """`size` of a computed list, or a name below a computed object."""
        type = call.type
        if name == "size" and (type is None or type.name in types.JSON_KINDS):
            return self._on(plan.Call("length", (call,), types.INT), entry.value)
        if name in OPERATORS or (type is not None and type.name not in types.JSON_KINDS):
            raise self._scope.fail(
                UnknownOperator, f"no operator named '{name}' for a computed value", entry.key.span,
                suggest.hint(name, OPERATORS, f"operators are {', '.join(sorted(OPERATORS))}"),
            )  # fmt: skip
        return self._on(plan.Call("get", (call, plan.Constant(name))), entry.value)

    def _refuse_unless_list(self, path: plan.Path, op: str, entry: syntax.Entry) -> None:
        type = path.type
        if type is None or type.name in ("JSON", "Any"):
            return
        hint = None
        if type.name == "List" and type.item is not None:
            if op == "size" or type.item.name in types.JSON_KINDS:
                return
            hint = "of plain values say: contains, containsAny or containsAll"
        elif type.name == "Inline" and any(one.name == op for one in type.fields):
            hint = f'the field is written as a path: "{name_of(path)}.{op}"'
        raise self._not_for(op, path, entry.key.span, hint)

    def _not_for(
        self, op: str, path: plan.Path | plan.Call, span: Span, hint: str | None = None
    ) -> AqlError:
        shown = "this value" if path.type is None else types.type_name(path.type)
        return self._scope.fail(
            UnknownOperator,
            f"the operator '{op}' does not apply to {shown} '{name_of(path)}'",
            span,
            hint,
        )

    # --- documents that refer here ----------------------------------------------------------

    def _link_below(self, path: plan.Path, name: str, entry: syntax.Entry) -> plan.Link | None:
        if path.field is None or path.keys or path.row:
            return None
        hop = relations.hop(self._scope, path.field)
        if hop is None:
            return None
        return self._link(hop.collection, name, entry, (*path.hops, hop))

    def _link(
        self, collection: Collection, name: str, entry: syntax.Entry, hops: tuple[plan.Hop, ...]
    ) -> plan.Link | None:
        if collection.field(name) is not None:
            return None
        via = None
        if isinstance(entry.value, syntax.ObjectLiteral):
            via = next((one for one in entry.value.entries if one.key.text == "via"), None)
        return relations.back(self._scope, collection, name, via, entry.key.span, hops)

    def _linked(self, link: plan.Link, entry: syntax.Entry) -> plan.Where:
        name = link.collection.name
        value = entry.value
        inner = Conditions(link.collection, self._scope)
        parts: list[plan.Where] = []
        for one in value.entries if isinstance(value, syntax.ObjectLiteral) else ():
            if one.key.text in QUANTIFIERS:
                parts.append(plan.Quantified(one.key.text, link, inner.where(one.value)))
            elif one.key.text != "via":
                raise self._scope.fail(
                    UnknownOperator, f"no operator named '{one.key.text}' for the documents of '{name}' that refer here",
                    one.key.span, suggest.hint(one.key.text, QUANTIFIERS, f"write {name}: {{some: {{{one.key.text}: …}}}}"),
                )  # fmt: skip
        if not parts:
            raise self._scope.fail(
                TypeMismatch, f"'{name}' are the documents that refer here; say which of them", value.span,
                f"write {name}: {{some: {{…}}}}, every or none",
            )  # fmt: skip
        return plan.And(tuple(parts))

    # --- comparisons ------------------------------------------------------------------------

    def _between(
        self, path: plan.Path | plan.Call, value: syntax.Value, at: syntax.Entry
    ) -> plan.Where:
        if not isinstance(value, syntax.ListLiteral):
            return self._compare(path, "between", value, at)
        if len(value.items) != 2:
            raise self._scope.fail(
                TypeMismatch, f"'between' of '{name_of(path)}' is a list of two values, got {len(value.items)}",
                value.span, "write between: [lowest, highest]",
            )  # fmt: skip
        low, high = value.items
        path = _compared(path)
        if not (path.type is None or applies(path.type, "between")):
            raise self._not_for("between", path, at.key.span)
        return plan.And((self._compare(path, "gte", low), self._compare(path, "lte", high)))

    def _compare(
        self,
        path: plan.Path | plan.Call,
        op: str,
        value: syntax.Value,
        at: syntax.Entry | None = None,
    ) -> plan.Where:
        scope = self._scope
        scope.comparisons += 1
        if scope.comparisons > MOST:
            raise scope.fail(
                AqlSyntaxError, f"more than {MOST} conditions in one operation", value.span,
                "write a list of values: {field: {in: [...]}}",
            )  # fmt: skip
        if isinstance(value, _LITERALS) and same(path.type, op, value.value):
            # Most comparisons are with a literal of the field's type.
            return plan.Compare(path, op, plan.Constant(value.value))
        path = _compared(path)
        if path.type is not None and not applies(path.type, op):
            raise self._not_for(op, path, value.span if at is None else at.key.span)
        if (
            isinstance(path, plan.Call)
            and path.type is not None
            and path.type.name in types.JSON_KINDS
        ):
            path = plan.Call(path.function, path.arguments)
        if isinstance(value, syntax.ExpressionLiteral):
            raise self._scope.fail(
                TypeMismatch, f"'{op}' compares with a value, not with an expression", value.span,
                'write where: {expr: "…"}',
            )  # fmt: skip
        resolved = self._scope.value(value)
        if isinstance(value, syntax.NullLiteral) and op in ("eq", "ne"):
            missing = plan.Compare(path, "isNull", plan.Constant(True))
            return missing if op == "eq" else plan.Not(missing)
        if isinstance(resolved, plan.Constant):
            try:
                resolved = plan.Constant(stored(path, op, resolved.value))
            except (AqlError, ValidationError) as error:
                kind = type(error) if isinstance(error, AqlError) else TypeMismatch
                raise self._scope.fail(kind, error.message, value.span, error.hint) from None
        return plan.Compare(path, op, resolved)


def _compared(path: plan.Path | plan.Call) -> plan.Path | plan.Call:
    """The path of a comparison: where any value may stand, it is compared as an untyped one."""
    if isinstance(path, plan.Call) or path.type is None or path.type.name not in ("JSON", "Any"):
        return path
    return plan.Path(path.field, path.keys, None, path.row, path.hops)


def _span(at: syntax.Node) -> Span:
    return at.key.span if isinstance(at, syntax.Entry) else at.span


def _items(value: syntax.Value) -> tuple[syntax.Value, ...]:
    return value.items if isinstance(value, syntax.ListLiteral) else (value,)


def _junction(word: str, parts: tuple[plan.Where, ...]) -> plan.Where:
    return plan.And(parts) if word == "and" else plan.Or(parts)


def _refuse_deep(where: object) -> None:
    """The limit to the nesting of a text holds for objects of Python too.

    Raises:
        AqlSyntaxError: it is exceeded.
    """
    level: list[object] = [where]
    for _ in range(MAX_NESTING):
        level = [
            inner
            for one in level
            for inner in (one.values() if isinstance(one, Mapping) else cast("list[object]", one))
            if isinstance(inner, (Mapping, list, tuple))
        ]
        if not level:
            return
    raise AqlSyntaxError(f"a where is nested more than {MAX_NESTING} deep")


def resolve_where(
    collection: Collection,
    where: Mapping[str, Any],
    catalog: Catalog | None = None,
    over: plan.Path | None = None,
) -> plan.Where:
    """The condition of a where-object made of Python values.

    Raises:
        AqlError: as for the same object in a text, without a place.
    """
    if not isinstance(where, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeMismatch(f"a where is an object of conditions, got {where!r}")
    _refuse_deep(where)
    scope = Scope("", {}, catalog=catalog)
    return Conditions(collection, scope, over=over).where(
        cast("syntax.ObjectLiteral", syntax_of(where))
    )


__all__ = ["Conditions", "literal", "resolve_where", "stored"]
