"""What a query asks for: outputs, order, limits, aggregates, and the results of bulk verbs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from aurora_db.aql import plan, suggest, syntax, types
from aurora_db.aql.catalog import Collection
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.values import Scope
from aurora_db.base.errors import (
    DuplicateAlias,
    TypeMismatch,
    UnknownDirective,
    UnknownEnum,
    UnknownField,
)

#: Words of queries that this version does not have, in a selection.
LATER: Final = frozenset({
    "groupBy", "edges", "nodes", "pageInfo", "totalCount", "lookup", "downsample", "windowFunc",
    "_score", "_snippet", "_explain", "_created",
})  # fmt: skip
LATER_AGGREGATES: Final = frozenset({"sum", "avg", "min", "max", "countDistinct"})
LATER_DIRECTIVES: Final = frozenset({"include", "skip", "explain", "defer", "auth", "require"})


def key_of(selection: syntax.FieldSelection) -> str:
    """The key of a result: the alias, else the name."""
    return (selection.alias or selection.name).text


def refuse_directives(scope: Scope, directives: Iterable[syntax.Directive]) -> None:
    """No directive stands here in this version."""
    for directive in directives:
        name = directive.name.text
        if name in LATER_DIRECTIVES:
            raise scope.unsupported(f"the directive '@{name}' is", directive.span)
        raise scope.fail(
            UnknownDirective,
            f"no directive named '@{name}' here",
            directive.span,
            suggest.hint(name, LATER_DIRECTIVES),
        )


def unique_keys(scope: Scope, selections: Iterable[syntax.Node], keys: Iterable[str]) -> None:
    """Refuse two results under one key."""
    seen: set[str] = set()
    for selection, key in zip(selections, keys, strict=True):
        if key in seen:
            raise scope.fail(
                DuplicateAlias,
                f"two results would have the key '{key}'",
                selection.span,
                f"give one an alias: other: {key}",
            )
        seen.add(key)


def everything(collection: Collection) -> tuple[plan.Output, ...]:
    """All stored fields, without `_rev`."""
    declared = tuple(plan.Output(f.name, plan.Path(f, (), f.type)) for f in collection.fields)
    if not collection.flexible:
        return declared
    return (*declared, plan.Output("", plan.Path(None, ("",)), extra=True))


class Selections:
    """Resolves selections on one collection; `synonyms` are other names of its fields."""

    def __init__(
        self, collection: Collection, scope: Scope, synonyms: Mapping[str, str] | None = None
    ) -> None:
        self._collection = collection
        self._scope = scope
        self._synonyms = dict(synonyms or {})
        self._conditions = Conditions(collection, scope)

    def outputs(
        self, selection: tuple[syntax.FieldSelection, ...] | None
    ) -> tuple[plan.Output, ...]:
        """The outputs of a selection; all stored fields when it is empty or absent."""
        if not selection:
            return everything(self._collection)
        fields = list(selection)
        unique_keys(self._scope, fields, [key_of(one) for one in fields])
        return tuple(self._output(one) for one in fields)

    def _output(self, selection: syntax.FieldSelection) -> plan.Output:
        name = selection.name.text
        refuse_directives(self._scope, selection.directives)
        if name in LATER:
            raise self._scope.unsupported(f"'{name}' is", selection.name.span)
        if name == "aggregate":
            raise self._scope.fail(
                UnknownField, "'aggregate' stands in a query only", selection.name.span
            )
        self._scope.arguments(f"the field '{name}'", selection.arguments, {})
        path = self._conditions.path(self._synonyms.get(name, name), selection.name)
        inner: tuple[plan.Output, ...] = ()
        if selection.selection:
            inner = tuple(self._inner(path, one) for one in selection.selection)
            unique_keys(self._scope, selection.selection, [one.key for one in inner])
        return plan.Output(key_of(selection), path, inner)

    def _inner(self, path: plan.Path, selection: syntax.FieldSelection) -> plan.Output:
        """A part of an inline object, of each in a list of them, or of a JSON object."""
        refuse_directives(self._scope, selection.directives)
        self._scope.arguments(f"the field '{selection.name.text}'", selection.arguments, {})
        type = path.type
        if type is not None and type.name == "List" and type.item is not None:
            type = type.item
        if type is None or type.name not in types.JSON_KINDS:
            found = "this value" if type is None else types.type_name(type)
            raise self._scope.fail(UnknownField, f"{found} has no fields to select", selection.span)
        name = selection.name.text
        below = None
        if type.name == "Inline":
            known = {field.name: field.type for field in type.fields}
            if name not in known:
                raise self._scope.fail(
                    UnknownField, f"no field named '{name}' in '{types.type_name(type)}'", selection.name.span,
                    suggest.hint(name, known),
                )  # fmt: skip
            below = known[name]
        here = plan.Path(path.field, (*path.keys, name), below, path.row)
        parts = tuple(self._inner(here, one) for one in selection.selection or ())
        return plan.Output(key_of(selection), here, parts)

    # --- whole queries ----------------------------------------------------------------------

    def query(
        self, root: syntax.FieldSelection, arguments: Mapping[str, syntax.Entry]
    ) -> plan.Query:
        """A root of a query operation."""
        fields = list(root.selection or ())
        unique_keys(self._scope, fields, [key_of(one) for one in fields])
        aggregates = tuple(
            (key_of(one), self._counts(one)) for one in fields if one.name.text == "aggregate"
        )
        plain = tuple(one for one in fields if one.name.text != "aggregate")
        outputs = self.outputs(plain) if plain or not aggregates else ()
        return plan.Query(
            key=key_of(root),
            collection=self._collection,
            outputs=outputs,
            where=self.where(arguments),
            order=self._order(arguments.get("orderBy")),
            limit=self._amount(arguments.get("limit")),
            offset=self._amount(arguments.get("offset")),
            aggregates=aggregates,
        )

    def where(self, arguments: Mapping[str, syntax.Entry]) -> plan.Where:
        """The condition of `where` and `id` together."""
        parts: list[plan.Where] = []
        if "where" in arguments:
            parts.append(self._conditions.where(arguments["where"].value))
        if "id" in arguments:
            entry = arguments["id"]
            name = syntax.Entry(
                syntax.Name("id", span=entry.key.span), entry.value, span=entry.span
            )
            parts.append(self._conditions.where(syntax.ObjectLiteral((name,))))
        return parts[0] if len(parts) == 1 else plan.And(tuple(parts))

    def _counts(self, selection: syntax.FieldSelection) -> tuple[plan.Count, ...]:
        refuse_directives(self._scope, selection.directives)
        self._scope.arguments("aggregate", selection.arguments, {})
        counts: list[plan.Count] = []
        fields = list(selection.selection or ())
        for one in fields:
            name = one.name.text
            if name in LATER_AGGREGATES:
                raise self._scope.unsupported(f"the aggregate '{name}' is", one.name.span)
            if name != "count":
                raise self._scope.fail(
                    UnknownField,
                    f"no aggregate named '{name}'",
                    one.name.span,
                    "this version has count",
                )
            self._scope.arguments("count", one.arguments, {})
            counts.append(plan.Count(key_of(one)))
        if not counts:
            raise self._scope.fail(
                UnknownField,
                "aggregate needs a selection",
                selection.span,
                "write aggregate { count }",
            )
        unique_keys(self._scope, fields, [one.key for one in counts])
        return tuple(counts)

    def _amount(self, entry: syntax.Entry | None) -> plan.Value | None:
        if entry is None:
            return None
        value = self._scope.value(entry.value)
        if isinstance(value, plan.Constant):
            if value.value is None:
                return None
            amount = value.value
            if isinstance(amount, bool) or not isinstance(amount, int) or amount < 0:
                raise self._scope.fail(
                    TypeMismatch,
                    f"'{entry.key.text}' is a whole number from 0, got {amount!r}",
                    entry.value.span,
                )
        return value

    # --- order ------------------------------------------------------------------------------

    def _order(self, entry: syntax.Entry | None) -> tuple[plan.Order, ...]:
        if entry is None:
            return ()
        value = entry.value
        items = value.items if isinstance(value, syntax.ListLiteral) else (value,)
        return tuple(order for item in items for order in self._orders(item))

    def _orders(self, item: syntax.Value) -> list[plan.Order]:
        match item:
            case syntax.StringLiteral(value=name):
                return [self._by(name, item, syntax.Word("ASC", span=item.span))]
            case syntax.Word(text=name):
                return [self._by(name, item, syntax.Word("ASC", span=item.span))]
            case syntax.ObjectLiteral(entries=entries):
                keys = {entry.key.text: entry for entry in entries}
                if (
                    "field" in keys
                    and set(keys) <= {"field", "direction", "nulls"}
                    and isinstance(keys["field"].value, (syntax.StringLiteral, syntax.Word))
                    and not self._is_direction(keys["field"].value)
                ):
                    return [self._spelled_out(keys)]
                if "expr" in keys:
                    raise self._scope.unsupported("ordering by an expression is", keys["expr"].span)
                return [self._by(one.key.text, one.key, one.value) for one in entries]
            case syntax.VariableRef():
                raise self._scope.unsupported("a variable for the whole orderBy is", item.span)
            case _:
                raise self._scope.fail(
                    TypeMismatch,
                    "orderBy is a field, an object or a list of these",
                    item.span,
                    "write orderBy: {age: DESC}",
                )

    @staticmethod
    def _is_direction(value: syntax.Value) -> bool:
        return isinstance(value, syntax.Word) and value.text.upper() in ("ASC", "DESC")

    def _spelled_out(self, keys: Mapping[str, syntax.Entry]) -> plan.Order:
        field = keys["field"].value
        name = field.value if isinstance(field, syntax.StringLiteral) else field.text  # type: ignore[union-attr]
        direction = keys["direction"].value if "direction" in keys else syntax.Word("ASC")
        nulls = None
        if "nulls" in keys:
            word = self._word(keys["nulls"].value, ("FIRST", "LAST"))
            nulls = word == "FIRST"
        return self._by(name, keys["field"], direction, nulls=nulls)

    def _by(
        self, name: str, at: syntax.Node, direction: syntax.Value, *, nulls: bool | None = None
    ) -> plan.Order:
        node = syntax.Name(name, span=at.value.span if isinstance(at, syntax.Entry) else at.span)
        path = self._conditions.path(name, node)
        if path.type is not None and path.type.name not in types.ORDERED and not path.keys:
            raise self._scope.fail(
                TypeMismatch,
                f"{types.type_name(path.type)} '{name}' has no order",
                node.span,
                "order by a path into it",
            )
        return plan.Order(path, self._word(direction, ("ASC", "DESC")) == "DESC", nulls)

    def _word(self, value: syntax.Value, words: tuple[str, ...]) -> str:
        text = value.text if isinstance(value, syntax.Word) else getattr(value, "value", None)
        if isinstance(text, str) and text.upper() in words:
            return text.upper()
        raise self._scope.fail(UnknownEnum, f"expected {' or '.join(words)}", value.span)

    # --- bulk verbs -------------------------------------------------------------------------

    def affected(self, root: syntax.FieldSelection, allowed: Mapping[str, str]) -> plan.Affected:
        """The result of a bulk verb; `allowed` maps names to count, affected, ids or nodes."""
        if not root.selection:
            first = next(iter(allowed.items()))
            return plan.Affected((first, ("ids", "ids")))
        fields = list(root.selection)
        unique_keys(self._scope, fields, [key_of(one) for one in fields])
        keys: list[tuple[str, str]] = []
        nodes: tuple[plan.Output, ...] = ()
        for one in fields:
            what = allowed.get(one.name.text)
            if what is None:
                raise self._scope.fail(
                    UnknownField, f"no field named '{one.name.text}' in the result of {root.name.text}", one.name.span,
                    suggest.hint(one.name.text, allowed, f"it has {', '.join(allowed)}"),
                )  # fmt: skip
            refuse_directives(self._scope, one.directives)
            if what == "nodes":
                nodes = self.outputs(one.selection)
            keys.append((key_of(one), what))
        return plan.Affected(tuple(keys), nodes)
