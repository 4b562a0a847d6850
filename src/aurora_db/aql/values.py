"""Syntax values → plan values → Python values, and the variables of an operation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, cast

import msgspec

from aurora_db.aql import plan, suggest, syntax, tokens, types
from aurora_db.aql.catalog import Catalog, Collection, Type
from aurora_db.aql.results import Shape, missing
from aurora_db.base.errors import (
    AqlError,
    DuplicateArgument,
    MissingArgument,
    Span,
    TypeMismatch,
    UndefinedVariable,
    UnknownArgument,
    UnknownField,
    UnknownType,
    Unsupported,
    UnusedVariable,
)

_PLAIN: Final = (
    syntax.StringLiteral, syntax.IntLiteral, syntax.FloatLiteral, syntax.BooleanLiteral,
)  # fmt: skip


class Scope:
    """The text, the variables and the fragments of one operation while it is resolved.

    `known` are the values of its variables, where it is resolved for them alone.
    """

    def __init__(
        self,
        text: str,
        declared: Mapping[str, plan.VariableDeclaration],
        fragments: Mapping[str, syntax.FragmentDefinition] = MappingProxyType({}),
        known: Mapping[str, Any] | None = None,
        catalog: Catalog | None = None,
    ) -> None:
        self.text = text
        self.declared = declared
        self.fragments = fragments
        self.known = known
        #: What relations lead to.
        self.collections: Mapping[str, Collection] = {} if catalog is None else catalog.collections
        #: How many conditions there are so far.
        self.comparisons = 0
        self.used: set[str] = set()
        self.used_fragments: set[str] = set()
        #: Earlier parts of the mutation, by their key, which `$key.field` may read: what is
        #: known of their results.
        self.parts: dict[str, Shape | None] = {}
        #: Who may run the operation.
        self.access: list[plan.Access] = []
        #: Variables that decide what the plan is, beside what it is given.
        self.shaping: set[str] = set()
        #: Whether the plan depends on more than the text.
        self.shaped = False

    def shape(self, value: syntax.Value) -> syntax.Value | None:
        """A value in a place that decides what the plan is: an order, the name of a field, a word.

        A variable there becomes its value; None while the values are not known yet, for then the
        text is only checked.
        """
        if not isinstance(value, syntax.VariableRef):
            return value
        self.value(value)
        if value.path or value.name not in self.declared:
            raise self.fail(
                UndefinedVariable, "a result of an earlier part cannot stand here", value.span
            )
        self.shaping.add(value.name)
        self.shaped = True
        if self.known is None:
            return None
        given = self.known.get(value.name)
        made = syntax_of(given)
        if isinstance(made, syntax.StringLiteral) and not isinstance(given, str):
            raise self.fail(TypeMismatch, f"expected a text, got {given!r}", value.span)
        return msgspec.structs.replace(made, span=value.span)

    def fail(
        self, kind: type[AqlError], message: str, span: Span | None, hint: str | None = None
    ) -> AqlError:
        """An error that points into the text."""
        if not self.text or span is None:
            return kind(message, hint=hint)
        return kind(message, hint=hint, source=self.text, span=span)

    def unsupported(self, construct: str, span: Span | None) -> AqlError:
        """The refusal of a construct that this version does not have."""
        return self.fail(Unsupported, f"{construct} not supported by this version", span)

    def fail_unsupported(self, message: str, span: Span | None, hint: str) -> AqlError:
        """The refusal of a construct, with its reason."""
        return self.fail(Unsupported, message, span, hint)

    def value(self, value: syntax.Value) -> plan.Value:
        """The plan's value; a variable counts as used."""
        if isinstance(value, _PLAIN):
            # Most values are, and `match` would try everything else before.
            return plan.Constant(value.value)
        match value:
            case syntax.VariableRef(name=name, path=path):
                return self._variable(value, name, path)
            case syntax.ListLiteral(items=items):
                parts = tuple([self.value(item) for item in items])
                if all(isinstance(part, plan.Constant) for part in parts):
                    return plan.Constant([cast("plan.Constant", part).value for part in parts])
                return plan.ListValue(parts)
            case syntax.ObjectLiteral(entries=entries):
                pairs = tuple((entry.key.text, self.value(entry.value)) for entry in entries)
                if all(isinstance(one, plan.Constant) for _, one in pairs):
                    return plan.Constant(
                        {name: cast("plan.Constant", one).value for name, one in pairs}
                    )
                return plan.ObjectValue(pairs)
            case syntax.ExpressionLiteral():
                raise self.fail(
                    TypeMismatch, "an expression cannot stand here", value.span,
                    "expressions are values in the data of an update",
                )  # fmt: skip
            case _:
                return plan.Constant(literal(value))

    def _variable(
        self, value: syntax.VariableRef, name: str, path: tuple[str, ...]
    ) -> plan.Variable:
        if name in self.declared:
            if path:
                raise self.unsupported("paths into variables are", value.span)
            self.used.add(name)
        elif name in self.parts:
            self._result(value, name, path)
        else:
            known = [*self.declared, *self.parts]
            raise self.fail(
                UndefinedVariable,
                f"the variable '${name}' is not declared",
                value.span,
                suggest.hint(name, known, f"declare it: query (${name}: String!)"),
            )
        declaration = self.declared.get(name)
        known = declaration is not None and declaration.checked
        return plan.Variable(name, path, declaration.type if declaration and known else None)

    def _result(self, value: syntax.VariableRef, name: str, path: tuple[str, ...]) -> None:
        """Refuse a path that the result of an earlier part cannot have."""
        found = missing(self.parts[name], path) if path else ("", list(self.parts[name] or ()))
        if found is None:
            return
        step, known = found
        hint = f"write ${name}.{known[0]}" if known else "it is a value without fields"
        raise self.fail(
            UnknownField,
            f"the result of '{name}' has no field '{step}'"
            if path
            else f"'${name}' is a whole result; one of its fields is a value",
            value.span,
            suggest.hint(step, known, f"it has {', '.join(known)}" if path and known else hint),
        )

    def finish(self, operation: syntax.Operation) -> None:
        """Refuse declared variables that nothing uses."""
        for variable in operation.variables:
            if variable.name not in self.used:
                raise self.fail(
                    UnusedVariable,
                    f"the variable '${variable.name}' is never used",
                    _named(variable),
                    "remove its declaration",
                )

    def arguments(
        self,
        owner: str,
        given: Sequence[syntax.Entry],
        allowed: Mapping[str, str],
        absent: Iterable[str] = (),
    ) -> dict[str, syntax.Entry]:
        """Arguments by their canonical name; `allowed` maps every spelling to it.

        `absent` are arguments of the language that this version does not have.
        """
        found: dict[str, syntax.Entry] = {}
        if not given:
            return found
        missing = frozenset(absent)
        for entry in given:
            name = entry.key.text
            if name in missing:
                raise self.unsupported(f"the argument '{name}' of {owner} is", entry.key.span)
            canonical = allowed.get(name)
            if canonical is None:
                known = ", ".join(sorted(allowed)) or "none"
                raise self.fail(
                    UnknownArgument, f"{owner} has no argument '{name}'", entry.key.span,
                    suggest.hint(name, allowed, f"its arguments are {known}"),
                )  # fmt: skip
            if canonical in found:
                raise self.fail(
                    DuplicateArgument, f"the argument '{canonical}' is given twice", entry.key.span
                )
            found[canonical] = entry
        return found

    def needed(
        self, owner: str, arguments: Mapping[str, syntax.Entry], name: str, span: Span
    ) -> syntax.Entry:
        """An argument that must be there."""
        entry = arguments.get(name)
        if entry is None:
            raise self.fail(MissingArgument, f"{owner} needs the argument '{name}'", span)
        return entry

    def text_of(self, entry: syntax.Entry) -> str:
        """The constant text of an argument."""
        if isinstance(entry.value, (syntax.StringLiteral,)):
            return entry.value.value
        raise self.fail(
            TypeMismatch, f"'{entry.key.text}' is a String written in quotes", entry.value.span
        )


def literal(value: syntax.Value) -> Any:
    """The Python value of a literal without variables."""
    match value:
        case (
            syntax.IntLiteral()
            | syntax.FloatLiteral()
            | syntax.StringLiteral()
            | syntax.BooleanLiteral()
        ):
            return value.value
        case syntax.NullLiteral():
            return None
        case syntax.Word(text=text):
            return text
        case syntax.ListLiteral(items=items):
            return [literal(item) for item in items]
        case syntax.ObjectLiteral(entries=entries):
            return {entry.key.text: literal(entry.value) for entry in entries}
        case syntax.VariableRef(name=name):
            raise UndefinedVariable(f"the variable '${name}' cannot stand here")
        case syntax.ExpressionLiteral(text=text):
            raise TypeMismatch(f"the expression '{text}' cannot stand here")


def syntax_of(value: Any) -> syntax.Value:
    """The syntax that would mean a Python value; what has no literal becomes a hidden constant.

    Raises:
        TypeMismatch: it is bytes, or nested too deeply.
    """
    try:
        return _syntax_of(value)
    except RecursionError:
        raise TypeMismatch("the value is nested too deeply") from None


def _syntax_of(value: Any) -> syntax.Value:
    match value:
        case bool():
            return syntax.BooleanLiteral(value)
        case int():
            return syntax.IntLiteral(value)
        case float():
            return syntax.FloatLiteral(value)
        case None:
            return syntax.NullLiteral()
        case str():
            return syntax.StringLiteral(value)
        case Mapping():
            pairs = cast("Mapping[str, Any]", value)
            return syntax.ObjectLiteral(
                tuple(syntax.Entry(syntax.Name(str(k)), _syntax_of(v)) for k, v in pairs.items())
            )
        case list() | tuple() | set() | frozenset():
            return syntax.ListLiteral(
                tuple(_syntax_of(one) for one in cast("Iterable[Any]", value))
            )
        case bytes() | bytearray() | memoryview():
            raise TypeMismatch(
                "bytes are no value of AQL", hint="write them as text, base64 or hex"
            )
        case _:
            # Dates and UUIDs: the type of the field reads them.
            return syntax.StringLiteral(cast("str", value))


def value_of(
    value: plan.Value, variables: Mapping[str, Any], results: Mapping[str, Any] | None = None
) -> Any:
    """The Python value that a plan's value has with these variables and earlier results."""
    match value:
        case plan.Constant(value=constant):
            return constant
        case plan.Variable(name=name, path=()):
            return variables.get(name)
        case plan.Variable(name=name, path=path):
            return _at((results or {}).get(name), path)
        case plan.ListValue(items=items):
            return [value_of(item, variables, results) for item in items]
        case plan.ObjectValue(items=pairs):
            return {name: value_of(one, variables, results) for name, one in pairs}
        case plan.Computation():
            # Computed for each document, by the statement.
            return value


def _at(found: Any, path: tuple[str, ...]) -> Any:
    """What stands at a path of a result; of a list, what stands there in each element."""
    for n, key in enumerate(path):
        if isinstance(found, (list, tuple)):
            return [_at(one, path[n:]) for one in cast("Iterable[Any]", found)]
        found = cast("Any", found).get(key) if isinstance(found, Mapping) else None
    return found


# --- variables ------------------------------------------------------------------------------


def declare(
    definitions: Iterable[syntax.VariableDefinition], text: str
) -> dict[str, plan.VariableDeclaration]:
    """The declared variables by name, their defaults checked.

    Raises:
        DuplicateArgument, UnknownType, TypeMismatch: a declaration is wrong.
    """
    declared: dict[str, plan.VariableDeclaration] = {}
    for one in definitions:
        if one.name in declared:
            raise DuplicateArgument(
                f"the variable '${one.name}' is declared twice", source=text, span=_named(one)
            )
        type, checked = _type_of(one.type, text)
        default = None
        if one.default is not None:
            default = literal(one.default)
            if default is None and one.type.required:
                raise TypeMismatch(
                    f"the variable '${one.name}' is {written(one.type)}, its default cannot be null",
                    source=text, span=one.default.span,
                )  # fmt: skip
            if checked and default is not None:
                try:
                    types.deep(type, default, f"the default of '${one.name}'")
                except AqlError as error:
                    raise TypeMismatch(error.message, source=text, span=one.default.span) from None
        declared[one.name] = plan.VariableDeclaration(
            name=one.name, type=type, required=one.type.required, has_default=one.default is not None,
            default=default, written=written(one.type), checked=checked,
            token=one.span.first,
        )  # fmt: skip
    return declared


def _named(one: syntax.VariableDefinition) -> Span:
    """Where `$name` of a declaration stands."""
    return Span(one.span.first, one.span.first + 1, one.span.places)


def _place(one: plan.VariableDeclaration, text: str | None) -> Span | None:
    """Where `$name` of a declaration stands in the text that it was read from."""
    if text is None or one.token is None:
        return None
    return tokens.tokenize(text).span(one.token, one.token + 1)


def written(type: syntax.TypeRef) -> str:
    """A variable's type as it was written."""
    inner = f"[{written(type.item)}]" if type.item is not None else type.name
    return inner + ("!" if type.required else "")


def _type_of(ref: syntax.TypeRef, text: str) -> tuple[Type, bool]:
    if ref.item is not None:
        item, checked = _type_of(ref.item, text)
        return Type(
            name="List", item=Type(name=item.name, required=ref.item.required, item=item.item)
        ), checked
    named = types.named(ref.name)
    if named is not None and named.name != "Enum":
        return named, True
    if ref.name.endswith(("Filter", "Input", "OrderBy", "Enum")):
        return Type(name="Any"), False
    known = [one for one in types.NAMES if one != "Enum"]
    raise UnknownType(
        f"no type named '{ref.name}'", hint=suggest.hint(ref.name, known, f"types are {', '.join(known)}"),
        source=text, span=ref.span,
    )  # fmt: skip


def named(given: object) -> dict[str, Any]:
    """What was given for the variables, by their names.

    Raises:
        TypeMismatch: it is no object with texts as its keys.
    """
    if not given:
        return {}
    if not isinstance(given, Mapping):
        raise TypeMismatch('variables are an object by name: {"min": 18}')
    found = dict(cast("Mapping[str, Any]", given))
    if not all(isinstance(name, str) for name in cast("dict[object, Any]", found)):
        raise TypeMismatch("the name of a variable is a text")
    return found


def bind(
    operation: plan.Operation, given: Mapping[str, Any] | None, text: str | None = None
) -> dict[str, Any]:
    """The values of an operation's variables, checked, defaults applied; errors point into `text`.

    Raises:
        UndefinedVariable: a required one is missing; named with its type.
        UnusedVariable: a given one is not declared.
        TypeMismatch: one has another type.
    """
    if given is None:
        given = {}
    elif given.__class__ is not dict:
        given = named(given)
    bound: dict[str, Any] = {}
    found = 0
    for one in operation.variables:
        if one.name not in given:
            if one.has_default:
                bound[one.name] = one.default
            elif one.required:
                raise _missing(one, text)
            else:
                bound[one.name] = None
            continue
        found += 1
        value = given[one.name]
        if value is None and one.required:
            raise TypeMismatch(
                f"the variable '${one.name}' is {one.written}, got null",
                source=text,
                span=_place(one, text),
            )
        if one.checked and value is not None and not types.fits(one.type, value):
            _check(one, value, text)
        bound[one.name] = value
    if found < len(given):
        declared = [one.name for one in operation.variables]
        name = min(map(str, given.keys() - declared))
        raise UnusedVariable(
            f"the operation declares no variable '${name}'",
            hint=suggest.hint(name, declared, _declared(name, declared)),
        )
    return bound


def _missing(one: plan.VariableDeclaration, text: str | None) -> UndefinedVariable:
    error = UndefinedVariable(
        f"the variable '${one.name}: {one.written}' was not given",
        hint=f'pass {{"{one.name}": …}}', source=text, span=_place(one, text),
    )  # fmt: skip
    error.declared = True
    return error


def _check(one: plan.VariableDeclaration, value: Any, text: str | None) -> None:
    try:
        types.store(one.type, value, f"the variable '${one.name}'")
    except AqlError as error:
        raise error.__class__(
            error.message, hint=error.hint, source=text, span=_place(one, text)
        ) from None


def _declared(given: str, names: list[str]) -> str:
    """The hint that tells which variables there are."""
    if not names:
        return f"it declares none: query (${given}: String) {{ … }}"
    return f"it declares {', '.join(f'${name}' for name in names)}"
