"""Expressions → plan: names resolved, types found, what cannot be right refused.

A computed field stands for its expression wherever it is named. How a name becomes a path is
not known here: `Conditions.path` does it, handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final, Protocol

import msgspec

from aurora_db.aql import plan, suggest, syntax, types
from aurora_db.aql.catalog import Collection, Field, Type
from aurora_db.aql.comparing import WrongValue
from aurora_db.aql.expression_types import calls, class_of, fitted, replaced, type_of, type_of_date
from aurora_db.aql.functions import KINDS, NAMES, NULL, TABLE, Function, unified
from aurora_db.aql.functions_time import UNITS, unit_of
from aurora_db.aql.parser_expressions import parse_expression, parse_template, placed
from aurora_db.aql.values import Scope
from aurora_db.base.errors import (
    AqlError,
    AqlSyntaxError,
    AuroraError,
    MissingArgument,
    SchemaError,
    Span,
    TypeMismatch,
    UnknownEnum,
    UnknownFunction,
)

_EQUALITY: Final = frozenset({"eq", "ne"})
_ORDER: Final = frozenset({"gt", "gte", "lt", "lte"})
#: Types of which a constant text is read.
_READ: Final = frozenset({"DateTime", "Date", "Time", "Uuid", "Enum"})
_SHORT_UNITS: Final = frozenset({"millisecond", "second", "minute", "hour"})


class Paths(Protocol):
    """Makes a path of a name: `Conditions`."""

    def path(self, name: str, at: syntax.Node) -> plan.Path:
        """The stored value that a name or a dotted path means."""
        ...


class Expressions:
    """Resolves the expressions over one collection.

    Args:
        scope: the text and the variables.
        collection: whose documents they are over.
        paths: what a name means there.
        sibling: what names mean in another collection (computed fields behind a relation).
        above: the computed fields that are being resolved.
    """

    def __init__(
        self,
        scope: Scope,
        collection: Collection,
        paths: Paths,
        sibling: Callable[[Collection, Scope], Paths],
        above: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self._scope = scope
        self._collection = collection
        self._paths = paths
        self._sibling = sibling
        self._above = above

    def of_text(self, text: str, span: Span) -> plan.Expression:
        """The expression that a text in quotes is; errors point at the text.

        Raises:
            AqlError: it is none, or is refused.
        """
        try:
            node = parse_expression(text)
        except AqlSyntaxError as error:
            raise self._scope.fail(AqlSyntaxError, error.message, span, error.hint) from None
        return self.of(placed(node, span))

    def of_value(self, value: syntax.Value, what: str) -> plan.Expression:
        """The expression of `expr: "…"` or `expr("…")`."""
        match value:
            case syntax.StringLiteral(value=text):
                return self.of_text(text, value.span)
            case syntax.ExpressionLiteral(expression=expression):
                return self.of(expression)
            case _:
                raise self._scope.fail(
                    TypeMismatch, f"{what} is an expression in quotes", value.span,
                    'write expr: "price * qty"',
                )  # fmt: skip

    def update_value(self, value: syntax.Value, field: Field | None) -> plan.Computation:
        """`expr("…")`, or what stands in `{expr: …}`, as the new value of a field.

        `field` is None for an undeclared field, which takes any value.

        Raises:
            TypeMismatch: the field has another type.
        """
        made = self.of_value(value, "expr")
        if field is not None:
            try:
                made = fitted(made, field.type, f"field '{field.name}'")
            except TypeMismatch as error:
                raise self._scope.fail(
                    TypeMismatch, error.message, value.span, error.hint
                ) from None
        return plan.Computation(made)

    def of(self, node: syntax.Expression) -> plan.Expression:
        """The plan of one expression."""
        match node:
            case (
                syntax.IntLiteral()
                | syntax.FloatLiteral()
                | syntax.StringLiteral()
                | syntax.BooleanLiteral()
            ):
                return plan.Constant(node.value)
            case syntax.NullLiteral():
                return plan.Constant(None)
            case syntax.VariableRef(name=name):
                return self._variable(node, name)
            case syntax.PathExpression(parts=parts):
                return self.expanded(self._paths.path(".".join(parts), node))
            case syntax.ListExpression(items=items):
                found = tuple(self.of(item) for item in items)
                item = unified([type_of(one) for one in found])
                return plan.Items(found, None if item is None else Type("List", item=item))
            case syntax.Template(parts=parts):
                return self._template(parts)
            case syntax.CallExpression():
                return self._call(node)

    def expanded(self, path: plan.Path) -> plan.Expression:
        """What a path means: a computed field is its expression."""
        if path.field is None or path.field.computed is None:
            return path
        collection = path.hops[-1].collection if path.hops else self._collection
        made = computed(self._scope, collection, path.field, self._sibling, self._above)
        if path.hops:
            hops = path.hops
            made = replaced(made, lambda one: msgspec.structs.replace(one, hops=hops + one.hops))
        if path.row:
            row = path.row
            made = replaced(made, lambda one: msgspec.structs.replace(one, row=row))
        if path.keys:
            return plan.Call("get", (made, plan.Constant(".".join(path.keys))))
        return made

    def _variable(self, node: syntax.VariableRef, name: str) -> plan.Expression:
        variable = self._scope.value(node)
        assert isinstance(variable, plan.Variable)
        declared = self._scope.declared.get(name)
        if declared is None or not declared.checked:
            return variable
        return msgspec.structs.replace(variable, type=declared.type)

    def _template(self, parts: Sequence[str | syntax.Expression]) -> plan.Expression:
        made = tuple(plan.Constant(one) if isinstance(one, str) else self.of(one) for one in parts)
        # A text that is exactly one value keeps its type, as in the action of an event handler.
        if len(made) == 1:
            return made[0]
        return plan.Call("template", made, Type("String"))

    # --- calls ------------------------------------------------------------------------------

    def _call(self, node: syntax.CallExpression) -> plan.Expression:
        name = node.function.text
        function = NAMES.get(name) or (TABLE.get(name) if node.written else None)
        if function is None:
            raise self._scope.fail(
                UnknownFunction, f"no function named '{name}'", node.function.span,
                suggest.hint(name, NAMES, "docs/aql/functions.md lists them all"),
            )  # fmt: skip
        self._counted(function, node)
        made = [self.of(one) for one in node.arguments]
        if function.name in _EQUALITY | _ORDER:
            return self._comparison(function, made, node)
        given = [type_of(one) for one in made]
        for place, type in enumerate(given):
            given[place] = self._checked(function, place, made[place], type, node)
        self._special(function, made, given, node)
        if function.name == "negate" and isinstance(made[0], plan.Constant):
            value = made[0].value
            return plan.Constant(None if value is None else -value)
        type = function.result(given)
        return plan.Call(function.name, tuple(made), None if type == NULL else type)

    def _counted(self, function: Function, node: syntax.CallExpression) -> None:
        count = len(node.arguments)
        if count < function.least:
            missing = function.parameter(count).name
            raise self._scope.fail(
                MissingArgument, f"'{function.name}' needs the argument '{missing}'",
                node.function.span, f"write {function.signature}",
            )  # fmt: skip
        if function.most is not None and count > function.most:
            raise self._scope.fail(
                TypeMismatch,
                f"'{function.name}' takes {function.most or 'no'} arguments, got {count}",
                node.arguments[function.most].span,
                f"write {function.signature}",
            )

    def _checked(
        self, function: Function, place: int, made: plan.Expression, type: Type | None,
        node: syntax.CallExpression,
    ) -> Type | None:  # fmt: skip
        """The type of an argument, which its parameter takes."""
        parameter = function.parameter(place)
        allowed = KINDS[parameter.kind]
        if type is None or type == NULL or allowed is None:
            return type
        if type.name not in allowed:
            shown = f"'{node.written}'" if node.written else f"'{function.name}'"
            raise self._scope.fail(
                TypeMismatch,
                f"{shown} takes a {parameter.kind}, got {types.type_name(type)}",
                node.arguments[place].span,
                None if node.written else f"write {function.signature}",
            )
        if parameter.kind == "date" and isinstance(made, plan.Constant):
            return type_of_date(made.value)
        return type

    def _special(
        self, function: Function, made: list[plan.Expression], given: list[Type | None],
        node: syntax.CallExpression,
    ) -> None:  # fmt: skip
        """What only some functions demand of their arguments."""
        if function.name == "add":
            self._sum(given, node)
        for place, parameter in enumerate(function.parameters):
            if place >= len(made):
                continue
            value = made[place].value if isinstance(made[place], plan.Constant) else None  # type: ignore[union-attr]
            if not isinstance(value, str):
                continue
            at = node.arguments[place].span
            if parameter.name == "unit":
                self._unit(value, given[0], at, function)
            elif parameter.name == "function" and value not in NAMES:
                raise self._scope.fail(
                    UnknownFunction, f"no function named '{value}'", at, suggest.hint(value, NAMES)
                )
            elif parameter.name == "direction" and value.upper() not in ("ASC", "DESC"):
                raise self._scope.fail(UnknownEnum, "expected ASC or DESC", at)
            elif parameter.name == "algorithm" and value != "sha256":
                raise self._scope.fail(
                    UnknownEnum, f"no hash named '{value}'", at, "there is sha256"
                )

    def _unit(self, value: str, date: Type | None, at: Span, function: Function) -> None:
        try:
            unit = unit_of(value)
        except WrongValue:
            raise self._scope.fail(
                UnknownEnum, f"no unit named '{value}'", at,
                suggest.hint(value, UNITS, f"units are {', '.join(UNITS)}"),
            ) from None  # fmt: skip
        if (
            function.name == "dateAdd"
            and date is not None
            and date.name == "Date"
            and unit in _SHORT_UNITS
        ):
            raise self._scope.fail(
                TypeMismatch, f"a Date has no {unit}", at, "use toDateTime of the day"
            )

    def _sum(self, given: list[Type | None], node: syntax.CallExpression) -> None:
        """`+` adds numbers or joins texts; there is no conversion between them."""
        kinds = {class_of(one) for one in given if one is not None and one != NULL}
        if kinds <= {"number"} or kinds <= {"text"}:
            return
        names = " and ".join("null" if one is None else types.type_name(one) for one in given)
        raise self._scope.fail(
            TypeMismatch, f"'+' adds numbers or joins texts, got {names}", node.function.span,
            'write a template: "${a} ${b}", or toString()',
        )  # fmt: skip

    def _comparison(
        self, function: Function, made: list[plan.Expression], node: syntax.CallExpression
    ) -> plan.Expression:
        nulls = [isinstance(one, plan.Constant) and one.value is None for one in made]
        if function.name in _EQUALITY and any(nulls):
            # `x == null` asks whether it is there; any other comparison with null is null.
            word = "isNull" if function.name == "eq" else "isNotNull"
            return plan.Call(word, (made[1 if nulls[0] else 0],), Type("Boolean"))
        one, other_type = type_of(made[0]), type_of(made[1])
        if self._reads(made[1], one, node.arguments[1].span, made, 1):
            other_type = one
        elif self._reads(made[0], other_type, node.arguments[0].span, made, 0):
            one = other_type
        if one is not None and other_type is not None and NULL not in (one, other_type):
            same = class_of(one) == class_of(other_type)
            ordered = function.name in _EQUALITY or one.name in types.ORDERED
            if not same or not ordered:
                raise self._scope.fail(
                    TypeMismatch,
                    f"{types.type_name(one)} cannot be compared with {types.type_name(other_type)}",
                    node.function.span,
                )
        return plan.Call(function.name, tuple(made), Type("Boolean"))

    def _reads(
        self, one: plan.Expression, type: Type | None, span: Span, made: list[plan.Expression], place: int
    ) -> bool:  # fmt: skip
        """Bring a constant into the stored form of what it is compared with, where it needs that."""
        if type is None or not isinstance(one, plan.Constant):
            return False
        readable = type.name in _READ and isinstance(one.value, str)
        if not readable and not (type.name == "ID" and isinstance(one.value, int)):
            return False
        try:
            made[place] = plan.Constant(types.store(type, one.value))
        except AuroraError as error:
            kind = type_of_error(error)
            raise self._scope.fail(kind, error.message, span, error.hint) from None
        return True


def type_of_error(error: AuroraError) -> type[AqlError]:
    """The class of AqlError that an error of a value becomes in a text."""
    return type(error) if isinstance(error, AqlError) else TypeMismatch


# --- computed fields ------------------------------------------------------------------------


@lru_cache(maxsize=1_000)
def parse_computed(text: str) -> syntax.Expression:
    """The expression or the template that the text of `@computed` is.

    Raises:
        AqlSyntaxError: it is neither.
    """
    try:
        node = parse_expression(text)
    except AqlSyntaxError as error:
        made = parse_template(text)
        if isinstance(made, syntax.StringLiteral):
            raise error from None
        return made
    # There are no variables here: `$name` is a hole of a template.
    return parse_template(text) if "$" in text and _has_variable(node) else node


def _has_variable(node: syntax.Expression) -> bool:
    match node:
        case syntax.VariableRef():
            return True
        case syntax.CallExpression(arguments=parts) | syntax.ListExpression(items=parts):
            return any(map(_has_variable, parts))
        case syntax.Template(parts=parts):
            return any(not isinstance(one, str) and _has_variable(one) for one in parts)
        case _:
            return False


def computed(
    outer: Scope,
    collection: Collection,
    field: Field,
    sibling: Callable[[Collection, Scope], Paths],
    above: tuple[tuple[str, str], ...] = (),
) -> plan.Expression:
    """The expression that a computed field of a collection stands for, of its declared type.

    `outer` knows what relations lead to.

    Raises:
        SchemaError: computed fields need each other in a circle.
        AqlError: the expression is refused. Without a place.
    """
    assert field.computed is not None
    here = (collection.name, field.name)
    if here in above:
        circle = " → ".join(name for _, name in (*above[above.index(here) :], here))
        raise SchemaError(f"computed fields need each other in a circle: {circle}")
    scope = Scope("", {})
    scope.collections = outer.collections
    resolver = Expressions(scope, collection, sibling(collection, scope), sibling, (*above, here))
    made = resolver.of(parse_computed(field.computed))
    return fitted(made, field.type, "it")


def check_computed(
    scope: Scope,
    collection: Collection,
    sibling: Callable[[Collection, Scope], Paths],
    spans: Mapping[str, Span] | None = None,
) -> None:
    """Refuse computed fields of a collection that cannot be; what an `alter` leaves is checked so, too.

    Args:
        scope: the text; its `collections` are all that will exist.
        collection: whose fields.
        sibling: what names mean in a collection: `Conditions`.
        spans: places of the expressions in the text.

    Raises:
        SchemaError: they need each other in a circle, or give another value at each reading.
        AqlError: an expression is refused.
    """
    for field in collection.fields:
        if field.computed is None:
            continue
        span = None if spans is None else spans.get(field.name)
        try:
            made = computed(scope, collection, field, sibling)
        except AqlError as error:
            message = f"the computed field '{field.name}' of '{collection.name}': {error.message}"
            raise scope.fail(type(error), message, span, error.hint) from None
        unsteady = sorted(name for name in calls(made) if not TABLE[name].deterministic)
        if unsteady:
            raise SchemaError(
                f"the computed field '{field.name}' calls {unsteady[0]}(), which differs at each reading",
                hint='store it: = "uuid"',
            )
