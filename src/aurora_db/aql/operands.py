"""What an aggregate or a series is computed of: the argument `field:`, and whether its type fits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aurora_db.aql import expressions, plan, suggest, syntax, types
from aurora_db.aql.catalog import Type
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.functions import NULL
from aurora_db.aql.values import Scope
from aurora_db.base.errors import DuplicateArgument, MissingArgument, TypeMismatch, UnknownEnum

NUMBERS: Final = frozenset({"Int", "Float"})
#: Types whose values may be anything: only the numbers among them are aggregated.
ANYTHING: Final = frozenset({"JSON", "Any"})

#: What a function asks of its values.
NUMBER, ORDERED, ANY = "numbers", "values that have an order", "any values"


def untyped(type: Type | None) -> bool:
    """Whether values of any type may stand there."""
    return type is None or type == NULL or type.name in ANYTHING


def type_of(expression: plan.Expression | None) -> Type | None:
    """The type of an expression where it is known now."""
    if expression is None or isinstance(expression, plan.Path):
        return None if expression is None else expression.type
    return expressions.type_of(expression)


class Operands:
    """Resolves the fields that the arguments of a part name."""

    def __init__(self, conditions: Conditions, scope: Scope) -> None:
        self._conditions = conditions
        self._scope = scope

    def field(self, value: syntax.Value) -> tuple[str, plan.Expression]:
        """A field or a path, as written and as meant; null while its variable is not known."""
        match self._scope.shape(value):
            case None:
                return "", plan.Constant(None)
            case syntax.StringLiteral(value=name):
                pass
            case syntax.Word(text=name):
                pass
            case _:
                raise self._scope.fail(
                    TypeMismatch, "a field is named by a String", value.span,
                    'write it in quotes: "total"',
                )  # fmt: skip
        path = self._conditions.path(name, syntax.Name(name, span=value.span))
        return name, self._conditions.expressions().expanded(path)

    def fields(self, value: syntax.Value) -> list[tuple[str, plan.Expression]]:
        """One field, or a list of them."""
        known = self._scope.shape(value)
        if known is None:
            return [("", plan.Constant(None))]
        value = known
        items = value.items if isinstance(value, syntax.ListLiteral) else (value,)
        return [self.field(item) for item in items]

    def of(
        self, owner: str, arguments: Mapping[str, syntax.Entry], wants: str, at: syntax.Node
    ) -> tuple[str, plan.Expression]:
        """What the argument `field` or `expr` says, its type checked; an expression has no name.

        Raises:
            MissingArgument: neither is there.
            TypeMismatch: the type has no such values.
        """
        if "expr" in arguments:
            return self._computed(owner, arguments, wants)
        if "field" not in arguments:
            raise self._scope.fail(
                MissingArgument, f"{owner} needs the argument 'field'", at.span,
                f'write {owner}(field: "…")',
            )  # fmt: skip
        value = arguments["field"].value
        name, path = self.field(value)
        self.check(owner, name, type_of(path), wants, value)
        return name, path

    def _computed(
        self, owner: str, arguments: Mapping[str, syntax.Entry], wants: str
    ) -> tuple[str, plan.Expression]:
        entry = arguments["expr"]
        if "field" in arguments:
            raise self._scope.fail(
                DuplicateArgument, f"{owner} takes 'field' or 'expr', not both", entry.key.span
            )
        made = self._conditions.expressions().of_value(entry.value, "expr")
        self.check(owner, "", type_of(made), wants, entry.value)
        return "", made

    def check(self, owner: str, name: str, type: Type | None, wants: str, at: syntax.Node) -> None:
        """Refuse a type that `owner` cannot work with."""
        if type is None or untyped(type) or wants == ANY:
            return
        if type.name not in (NUMBERS if wants == NUMBER else types.ORDERED):
            shown = f"'{name}'" if name else "this"
            found = types.type_name(type)
            raise self._scope.fail(
                TypeMismatch, f"{owner} takes {wants}, {shown} is {found}", at.span
            )

    def word(self, entry: syntax.Entry, words: tuple[str, ...]) -> str | None:
        """An enum word, or the same in quotes, whatever its case; None while its variable is not known.

        Raises:
            UnknownEnum: it is none of `words`.
        """
        value = self._scope.shape(entry.value)
        if value is None:
            return None
        text = value.text if isinstance(value, syntax.Word) else getattr(value, "value", None)
        if isinstance(text, str):
            for word in words:
                if text.casefold() == word.casefold():
                    return word
        shown = f"'{text}'" if isinstance(text, str) else "this"
        raise self._scope.fail(
            UnknownEnum, f"'{entry.key.text}' has no word {shown}", value.span,
            suggest.hint(str(text), words, f"its words are {', '.join(words)}"),
        )  # fmt: skip
