"""Values in the actions of an event handler: templates, `$_id`, `$_field` and `$event`."""

from __future__ import annotations

import re
from typing import Final, cast

import msgspec

from aurora_db.aql import parser_expressions, plan, syntax
from aurora_db.aql.catalog import Collection, Type
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.values import Scope, literal
from aurora_db.base.errors import AqlSyntaxError, HandlerInvalid, Span, UndefinedVariable

#: What stands in a hole without being computed.
PLAIN: Final = re.compile(r"\w+(?:\.\w+)*")
HOLE: Final = re.compile(r"\$\{\s*(?P<path>[^}]*?)\s*\}")


class Values:
    """Resolves the values of one event: those of `collection`, of which `op` happened."""

    def __init__(self, scope: Scope, op: str, collection: Collection) -> None:
        self._scope = scope
        self._op = op
        self._paths = Conditions(collection, scope, rows=True)

    def value(self, node: syntax.Value) -> plan.HandlerValue:
        """A value with its templates."""
        match node:
            case syntax.StringLiteral(value=text):
                return self._template(text, node)
            case syntax.VariableRef():
                return self._variable(node)
            case syntax.ListLiteral(items=items):
                return plan.HandlerList(tuple(self.value(item) for item in items))
            case syntax.ObjectLiteral(entries=entries):
                return plan.HandlerObject(
                    tuple((one.key.text, self.value(one.value)) for one in entries)
                )
            case _:
                return plan.Constant(literal(node))

    def _variable(self, node: syntax.VariableRef) -> plan.HandlerValue:
        if node.name == "event":
            return plan.Constant(self._op)
        if not is_own(node):
            raise self._scope.fail(
                UndefinedVariable, f"no variable named '${node.name}' in an event handler", node.span,
                "write $_id, $_field for a field, or $event",
            )  # fmt: skip
        return self._path(".".join((node.name[1:], *node.path)), node)

    def _template(self, text: str, node: syntax.StringLiteral) -> plan.HandlerValue:
        if any(not PLAIN.fullmatch(hole["path"]) for hole in HOLE.finditer(text)):
            return self._computed(text, node)
        parts: list[str | plan.Path] = []
        end = 0
        for hole in HOLE.finditer(text):
            if hole.start() > end:
                parts.append(text[end : hole.start()])
            found = self._path(hole["path"], node)
            if isinstance(found, plan.Call):
                return self._computed(text, node)
            parts.append(found)
            end = hole.end()
        if end < len(text):
            if "${" in text[end:]:
                raise self._scope.fail(HandlerInvalid, "a '${' without its '}'", node.span)
            parts.append(text[end:])
        if not any(isinstance(part, plan.Path) for part in parts):
            return plan.Constant(text)
        if len(parts) == 1:
            return cast("plan.Path", parts[0])
        return plan.Template(tuple(parts))

    def _computed(self, text: str, node: syntax.StringLiteral) -> plan.HandlerValue:
        """A template with expressions in it."""
        try:
            parsed = parser_expressions.parse_template(text)
        except AqlSyntaxError as error:
            raise self._scope.fail(AqlSyntaxError, error.message, node.span, error.hint) from None
        made = self._paths.expressions().of(parser_expressions.placed(parsed, node.span))
        no_old_value(self._scope, made, self._op, node.span)
        if isinstance(made, (plan.Variable, plan.Items)):
            raise self._scope.fail(HandlerInvalid, f"'{text}' is no value of a document", node.span)
        return made

    def _path(self, name: str, node: syntax.Node) -> plan.Path | plan.Call:
        if name.startswith("old.") and self._op == "insert":
            raise self._scope.fail(
                HandlerInvalid, "an insert has no values before it", node.span, "leave out 'old.'"
            )
        path = self._paths.path(name, node)
        made = self._paths.expressions().expanded(path)
        assert isinstance(made, (plan.Path, plan.Call)), "a computed field is a path or a call"
        return made


def no_old_value(scope: Scope, expression: plan.Expression, op: str, span: Span) -> None:
    """Refuse `old.` in what an insert gives.

    Raises:
        AqlError: an insert has no values before it.
    """
    match expression:
        case plan.Path(row="old") if op == "insert":
            raise scope.fail(
                HandlerInvalid, "an insert has no values before it", span, "leave out 'old.'"
            )
        case plan.Call(arguments=parts) | plan.Items(items=parts):
            for one in parts:
                no_old_value(scope, one, op, span)
        case _:
            return


def is_own(node: syntax.VariableRef) -> bool:
    """Whether a variable is one of event handlers; others name results of earlier actions."""
    return node.name == "event" or (node.name.startswith("_") and node.name != "_")


class Lifted:
    """Lifts what a document gives out of mutations, so that these are resolved as any others.

    Each template and each variable of the handler becomes a declared variable, whose value the worker
    reads from the images.
    """

    def __init__(self, values: Values) -> None:
        self._values = values
        self.found: dict[str, plan.HandlerValue] = {}

    def part(self, node: syntax.MutationPart) -> syntax.MutationPart:
        """A mutation with variables in the places of its templates."""
        match node:
            case syntax.FieldSelection(arguments=arguments):
                lifted = tuple(self._entry(one) for one in arguments)
                return msgspec.structs.replace(node, arguments=lifted)
            case syntax.TransactionBlock(parts=parts):
                return msgspec.structs.replace(node, parts=tuple(self.part(one) for one in parts))
            case syntax.SchemaBlock():
                return node

    def _entry(self, entry: syntax.Entry) -> syntax.Entry:
        return msgspec.structs.replace(entry, value=self._value(entry.value))

    def _value(self, node: syntax.Value) -> syntax.Value:
        match node:
            case syntax.ListLiteral(items=items):
                return msgspec.structs.replace(node, items=tuple(self._value(one) for one in items))
            case syntax.ObjectLiteral(entries=entries):
                lifted = tuple(self._entry(one) for one in entries)
                return msgspec.structs.replace(node, entries=lifted)
            case syntax.StringLiteral():
                value = self._values.value(node)
                return node if isinstance(value, plan.Constant) else self._variable(node, value)
            case syntax.VariableRef() if is_own(node):
                return self._variable(node, self._values.value(node))
            case _:
                return node

    def _variable(self, node: syntax.Value, value: plan.HandlerValue) -> syntax.VariableRef:
        name = f"_{len(self.found)}"
        self.found[name] = value
        return syntax.VariableRef(name, span=node.span)

    def declared(self) -> dict[str, plan.VariableDeclaration]:
        """The variables as an operation declares them."""
        return {
            name: plan.VariableDeclaration(
                name=name, type=_type_of(value), required=False, written="", checked=False
            )
            for name, value in self.found.items()
        }


def _type_of(value: plan.HandlerValue) -> Type:
    match value:
        case plan.Path(type=type) | plan.Call(type=type) if type is not None:
            return type
        case plan.Template() | plan.Constant():
            return Type(name="String")
        case _:
            return Type(name="Any")
