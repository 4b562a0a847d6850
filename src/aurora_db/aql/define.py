"""Schema definitions → catalog records, everything about them checked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from aurora_db.aql import relations, search, suggest, syntax, types
from aurora_db.aql.catalog import Catalog, Collection, Field, Index, Relation, Type, Validation
from aurora_db.aql.patterns import pattern_problem
from aurora_db.aql.values import Scope, literal
from aurora_db.base.errors import (
    AqlError,
    AuroraError,
    SchemaError,
    Span,
    TypeMismatch,
    UnknownDirective,
    UnknownType,
)

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
#: Words of queries, which no field may have as its name.
RESERVED: Final = frozenset({
    "and", "or", "not", "aggregate", "groupBy", "edges", "nodes", "pageInfo", "totalCount", "lookup",
    "downsample", "windowFunc",
})  # fmt: skip
LATER_DIRECTIVES: Final = frozenset({"private", "updated"})
RULES: Final = {
    "min": "min", "max": "max", "minLength": "min_length", "maxLength": "max_length", "pattern": "pattern",
    "format": "format", "enum": "enum", "minItems": "min_items", "maxItems": "max_items",
}  # fmt: skip


def refused(scope: Scope, message: str, span: Span, hint: str | None = None) -> SchemaError:
    """A refused definition, with its place in the message."""
    shown = AqlError(message, hint=hint, source=scope.text, span=span)
    excerpt = "" if shown.excerpt is None else "\n  " + shown.excerpt.replace("\n", "\n  ")
    return SchemaError(message + (f" (line {shown.line})" if excerpt else ""), hint=hint)


class Definitions:
    """Resolves `define collection` against what exists."""

    def __init__(self, scope: Scope, catalog: Catalog) -> None:
        self._scope = scope
        self._catalog = catalog

    def collection(self, node: syntax.CollectionDefinition, beside: Iterable[str]) -> Collection:
        """The collection as it shall be; `beside` are others of the same block."""
        name = node.name.text
        self._name(node.name, "collection", [*self._catalog.collections, *beside])
        flags = {directive.name.text: directive for directive in node.directives}
        for word, directive in flags.items():
            if word not in ("flexible", "quiet"):
                raise self._scope.fail(
                    UnknownDirective, f"no directive named '@{word}' on a collection", directive.span,
                    suggest.hint(word, ("flexible", "quiet"), "collections have @flexible and @quiet"),
                )  # fmt: skip
        fields: list[Field] = []
        for field in node.fields:
            fields.append(self.field(field, [one.name for one in fields]))
        own = next((field for field in fields if field.name == "id"), None)
        first = (
            Field(name="id", type=Type(name="ID"), required=True, primary=True)
            if own is None
            else own
        )
        others = tuple(field for field in fields if field.name != "id")
        return Collection(
            name=name,
            fields=(first, *others),
            flexible="flexible" in flags,
            quiet="quiet" in flags,
            indexes=tuple(
                self._index(rule, {first.name, *(f.name for f in others)}) for rule in node.rules
            ),
        )

    def _name(self, name: syntax.Name, what: str, known: Iterable[str]) -> None:
        text = name.text
        if text.startswith("_"):
            raise refused(self._scope, f"the {what} name '{text}' begins with an underscore, which is reserved", name.span, f"call it '{text.lstrip('_')}'")  # fmt: skip
        if not NAME.fullmatch(text):
            raise refused(
                self._scope,
                f"the {what} name '{text[:70]}' is longer than 63 characters",
                name.span,
            )
        if what == "field" and text in RESERVED:
            raise refused(
                self._scope,
                f"the field name '{text}' is a word of queries",
                name.span,
                f"call it '{text}_'",
            )
        for one in known:
            if one != text and one.casefold() == text.casefold():
                raise refused(
                    self._scope,
                    f"the {what} names '{one}' and '{text}' differ only by case",
                    name.span,
                )
            if one == text and what == "field":
                raise refused(self._scope, f"the field '{text}' is defined twice", name.span)

    def field(self, node: syntax.FieldDefinition, beside: Iterable[str]) -> Field:
        """One field."""
        self._name(node.name, "field", beside)
        name = node.name.text
        type = self._type(node.type)
        flags: dict[str, bool] = {}
        validate: Validation | None = None
        relation: Relation | None = None
        computed: str | None = None
        for directive in node.directives:
            word = directive.name.text
            if word in LATER_DIRECTIVES:
                raise self._scope.unsupported(f"the directive '@{word}' is", directive.span)
            if word == "validate":
                validate = self._validate(directive, type)
            elif word == "computed":
                computed = self._computed(directive, node)
            elif word == "relation":
                relation = relations.relation(self._scope, directive)
            elif word in ("primary", "unique", "indexed", "search"):
                self._scope.arguments(f"@{word}", directive.arguments, {})
                flags[word] = True
            else:
                known = (
                    "primary", "unique", "indexed", "search", "validate", "relation", "computed", *LATER_DIRECTIVES,
                )  # fmt: skip
                raise self._scope.fail(
                    UnknownDirective,
                    f"no directive named '@{word}' on a field",
                    directive.span,
                    suggest.hint(word, known),
                )
        if flags.get("primary") and name != "id":
            raise refused(
                self._scope, f"only 'id' is @primary, not '{name}'", node.span, "write @unique"
            )
        if name == "id" and type.name not in ("ID", "Uuid", "String"):
            raise refused(
                self._scope,
                f"'id' is ID, Uuid or String, not {types.type_name(type)}",
                node.type.span,
            )
        if (flags.get("unique") or flags.get("indexed")) and type.name in types.JSON_KINDS:
            raise refused(
                self._scope, f"the field '{name}' of type {types.type_name(type)} cannot be unique or indexed", node.span,
                "give it a scalar type",
            )  # fmt: skip
        made = Field(
            name=name, type=type, required=node.type.required or name == "id", primary=name == "id",
            unique=flags.get("unique", False) and name != "id",
            # The way back over a relation, and each delete of what it leads to, goes by its index.
            indexed=(flags.get("indexed", False) or relation is not None) and name != "id", validate=validate,
            relation=relation, search=flags.get("search", False), computed=computed,
        )  # fmt: skip
        if made.search and not search.searchable(made):
            raise refused(
                self._scope, f"the field '{name}' of type {types.type_name(type)} cannot be searched", node.span,
                "@search is for texts and lists of texts",
            )  # fmt: skip
        return made if node.default is None else self._with_default(made, node.default)

    def _computed(self, directive: syntax.Directive, node: syntax.FieldDefinition) -> str:
        """The text of `@computed("…")`; what it means is checked when all fields are known."""
        scope, name = self._scope, node.name.text
        scope.arguments("@computed", directive.arguments, {})
        values = directive.positional
        if len(values) != 1 or not isinstance(values[0], syntax.StringLiteral):
            raise refused(
                scope, "@computed takes an expression in quotes", directive.span,
                'write @computed("price * qty")',
            )  # fmt: skip
        others = [
            one.name.text for one in node.directives if one.name.text not in ("computed", "private")
        ]
        wrong = (
            "is 'id', which is stored" if name == "id"
            else "has a default" if node.default is not None
            else "is required, but its value may be null" if node.type.required
            else f"has @{others[0]}, which is for stored fields" if others
            else None
        )  # fmt: skip
        if wrong is not None:
            raise refused(scope, f"the computed field '{name}' {wrong}", node.span)
        return values[0].value

    def _with_default(self, field: Field, node: syntax.Value) -> Field:
        value = literal(node)
        special = (value == "now" and field.type.name in ("DateTime", "Date", "Time")) or (
            value == "uuid" and field.type.name in ("ID", "Uuid")
        )
        where = f"the default of '{field.name}'"
        if value is None and field.required:
            raise self._scope.fail(
                TypeMismatch, f"{where} is null, but the field is required", node.span
            )
        if not special and value is not None:
            try:
                types.deep(field.type, value, where)
                if field.validate is not None:
                    types.validate(field, field.name, value)
            except AuroraError as error:
                kind = type(error) if isinstance(error, AqlError) else TypeMismatch
                raise self._scope.fail(kind, error.message, node.span, error.hint) from None
        return msgspec.structs.replace(field, has_default=True, default=value)

    # --- types ------------------------------------------------------------------------------

    def _type(self, node: syntax.FieldType) -> Type:
        if node.item is not None:
            item = self._type(node.item)
            return Type(name="List", item=Type(name=item.name, required=node.item.required, item=item.item, fields=item.fields, words=item.words))  # fmt: skip
        if node.fields is not None:
            fields: list[Field] = []
            for field in node.fields:
                for directive in field.directives:
                    if directive.name.text != "validate":
                        raise refused(
                            self._scope,
                            f"'@{directive.name.text}' cannot stand inside an object",
                            directive.span,
                        )
                fields.append(self.field(field, [one.name for one in fields]))
            return Type(name="Inline", fields=tuple(fields))
        name = types.ALIASES.get(node.name.lower())
        if name is None:
            raise self._scope.fail(
                UnknownType, f"no type named '{node.name}'", node.span,
                suggest.hint(node.name, types.NAMES, f"types are {', '.join(types.NAMES)}"),
            )  # fmt: skip
        return self._enum(node) if name == "Enum" else self._plain(name, node)

    def _plain(self, name: str, node: syntax.FieldType) -> Type:
        if node.words:
            raise refused(
                self._scope, f"the type {name} takes no words", node.span, 'Enum("a", "b") does'
            )
        return Type(name=name)

    def _enum(self, node: syntax.FieldType) -> Type:
        words = [literal(word) for word in node.words]
        if not words or not all(isinstance(word, str) and word for word in words):
            raise refused(
                self._scope, "an Enum needs its words as texts", node.span, 'write Enum("a", "b")'
            )
        if len(set(words)) != len(words):
            raise refused(self._scope, "an Enum has each word once", node.span)
        return Type(name="Enum", words=tuple(words))

    # --- rules ------------------------------------------------------------------------------

    def _validate(self, directive: syntax.Directive, type: Type) -> Validation:
        given = self._scope.arguments(
            "@validate", directive.arguments, {name: name for name in RULES}
        )
        if not given:
            raise refused(
                self._scope, "@validate without a rule", directive.span, "write @validate(min: 0)"
            )
        values: dict[str, Any] = {}
        for name, entry in given.items():
            value = literal(entry.value)
            problem = self._rule(name, value, type)
            if problem is not None:
                raise refused(self._scope, problem, entry.span)
            values[RULES[name]] = tuple(value) if name == "enum" else value
        return Validation(**values)

    def _rule(self, name: str, value: Any, type: Type) -> str | None:
        """What is wrong with a rule, or None."""
        element = type.item if type.name == "List" and type.item is not None else type
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        if name in ("minItems", "maxItems"):
            return (
                None if whole and type.name == "List" else f"'{name}' is a number from 0, on a list"
            )
        if name in ("min", "max"):
            return (
                None
                if number and element.name in ("Int", "Float")
                else f"'{name}' is a number, on Int or Float"
            )
        if element.name not in types.TEXT:
            return f"'{name}' applies to texts, not to {types.type_name(element)}"
        if name in ("minLength", "maxLength"):
            return None if whole else f"'{name}' is a number from 0"
        if name == "format":
            return (
                None if value in types.FORMATS else f"'format' is one of {', '.join(types.FORMATS)}"
            )
        if name == "enum":
            texts = (
                isinstance(value, list)
                and bool(value)
                and all(isinstance(one, str) for one in value)
            )
            return None if texts else "'enum' is a list of texts"
        return pattern_problem(value)

    def _index(self, rule: syntax.TableRule, known: set[str]) -> Index:
        word = rule.name.text
        if word not in ("index", "unique"):
            raise self._scope.fail(
                UnknownDirective,
                f"no rule named '@@{word}'",
                rule.span,
                "rules are @@index and @@unique",
            )
        given = self._scope.arguments(f"@@{word}", rule.arguments, {"fields": "fields"})
        entry = self._scope.needed(f"@@{word}", given, "fields", rule.span)
        names = literal(entry.value)
        if not isinstance(names, list) or not names:
            raise refused(self._scope, f"'fields' of @@{word} is a list of fields", entry.span)
        for name in names:
            if name not in known:
                raise refused(
                    self._scope,
                    f"@@{word} names '{name}', which is no field",
                    entry.span,
                    suggest.hint(str(name), known),
                )
        return Index(fields=tuple(names), unique=word == "unique")
