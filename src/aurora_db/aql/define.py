"""Schema definitions → catalog records, everything about them checked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from aurora_db.aql import relations, search, specials, suggest, syntax, types
from aurora_db.aql.catalog import Catalog, Collection, Field, Index, Type, Validation
from aurora_db.aql.formats import FORMATS
from aurora_db.aql.patterns import pattern_problem
from aurora_db.aql.values import Scope, literal
from aurora_db.base.errors import (
    AqlError,
    AuroraError,
    SchemaError,
    Span,
    TypeMismatch,
    UnknownArgument,
    UnknownDirective,
    UnknownType,
)

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
#: Words of queries, which no field may have as its name.
RESERVED: Final = frozenset({
    "and", "or", "not", "aggregate", "groupBy", "edges", "nodes", "pageInfo", "totalCount", "lookup",
    "downsample", "windowFunc",
})  # fmt: skip
#: Directives of a field without arguments, by the attribute of its record.
FLAGS: Final = ("primary", "unique", "indexed", "search", "private", "updated")
#: What stands for "now" and "uuid" inside an object while its default is checked.
SAMPLES: Final = {
    "DateTime": "2000-01-01T00:00:00Z", "Date": "2000-01-01", "Time": "00:00:00",
    **dict.fromkeys(("ID", "Uuid"), "00000000-0000-7000-8000-000000000000"),
}  # fmt: skip
RULES: Final = {
    "min": "min", "max": "max", "minLength": "min_length", "maxLength": "max_length", "pattern": "pattern",
    "format": "format", "enum": "enum", "minItems": "min_items", "maxItems": "max_items",
}  # fmt: skip


def refused(scope: Scope, message: str, span: Span, hint: str | None = None) -> AqlError:
    """A refused definition, with its place."""
    return scope.fail(SchemaError, message, span, hint)


class Definitions:
    """Resolves `define collection` against what exists."""

    def __init__(self, scope: Scope, catalog: Catalog) -> None:
        self._scope = scope
        self._catalog = catalog

    def collection(self, node: syntax.CollectionDefinition, beside: Iterable[str]) -> Collection:
        """The collection as it shall be; `beside` are others of the same block."""
        name = node.name.text
        self.name(node.name, "collection", [*self._catalog.collections, *beside])
        flags = self._flags(node.directives, ("flexible", "quiet"), "a collection")
        fields: list[Field] = []
        for field in node.fields:
            # Every collection has an id, declared or not.
            beside = [one.name for one in fields if one.name != "id"]
            fields.append(self.field(field, [*beside, *_identities(field, fields)]))
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
            indexes=self.indexes(node.rules, (first, *others)),
        )

    def _flags(
        self, directives: Sequence[syntax.Directive], known: Sequence[str], what: str
    ) -> set[str]:
        """The words of directives that take no arguments."""
        flags: set[str] = set()
        for directive in directives:
            word = directive.name.text
            if word not in known:
                all_known = " and ".join(f"@{one}" for one in known)
                raise self._scope.fail(
                    UnknownDirective, f"no directive named '@{word}' on {what}", directive.span,
                    suggest.hint(word, known, f"{what} has {all_known}"),
                )  # fmt: skip
            self._plain_directive(directive)
            if word in flags:
                raise refused(self._scope, f"'@{word}' stands twice", directive.span)
            flags.add(word)
        return flags

    def _plain_directive(self, directive: syntax.Directive) -> None:
        word = directive.name.text
        self._scope.arguments(f"@{word}", directive.arguments, {})
        if directive.positional:
            raise self._scope.fail(
                UnknownArgument, f"'@{word}' takes no values", directive.positional[0].span,
                f"write @{word}",
            )  # fmt: skip

    def name(self, name: syntax.Name, what: str, known: Iterable[str]) -> None:
        """Refuse a name that a collection or field beside the `known` ones cannot have."""
        text = name.text
        if text.startswith("_"):
            raise refused(self._scope, f"the {what} name '{text}' begins with an underscore, which is reserved", name.span, f"call it '{text.lstrip('_')}'")  # fmt: skip
        if what == "collection" and text.casefold().startswith("sqlite_"):
            raise refused(self._scope, f"the collection name '{text}' begins with 'sqlite_', which the engine keeps for itself", name.span)  # fmt: skip
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
        if what == "field" and text != "id":
            # Every document has one, declared or not.
            known = (*known, "id")
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
        """One field of a collection."""
        self.name(node.name, "field", beside)
        name = node.name.text
        made = self._directed(
            node, Field(name=name, type=self._type(node.type), required=node.type.required)
        )
        if made.primary and name != "id":
            raise refused(
                self._scope, f"only 'id' is @primary, not '{name}'", node.span, "write @unique"
            )
        if (made.unique or made.indexed) and made.type.name in types.JSON_KINDS:
            raise refused(
                self._scope, f"the field '{name}' of type {types.type_name(made.type)} cannot be unique or indexed", node.span,
                "give it a scalar type",
            )  # fmt: skip
        if made.search and not search.searchable(made):
            raise refused(
                self._scope, f"the field '{name}' of type {types.type_name(made.type)} cannot be searched", node.span,
                "@search is for texts and lists of texts",
            )  # fmt: skip
        if made.relation is not None:
            # The way back over a relation, and each delete of what it leads to, goes by its index.
            made = msgspec.structs.replace(made, indexed=True)
        if name == "id":
            made = self._identity(node, made)
        if made.updated and (made.type.name not in types.DATES or node.default is not None):
            raise refused(
                self._scope, f"'@updated' is for a DateTime, Date or Time without a default, not for '{name}'", node.span,
                f"write {name}: DateTime @updated",
            )  # fmt: skip
        return made if node.default is None else self._with_default(made, node.default)

    def _directed(self, node: syntax.FieldDefinition, field: Field) -> Field:
        """The field with what its directives say."""
        changes: dict[str, Any] = {}
        for directive in node.directives:
            word = directive.name.text
            if word in changes:
                raise refused(self._scope, f"'@{word}' stands twice", directive.span)
            if word == "validate":
                changes[word] = self._validate(directive, field.type)
            elif word == "computed":
                changes[word] = self._computed(directive, node)
            elif word == "relation":
                changes[word] = relations.relation(self._scope, directive)
            elif word in FLAGS:
                self._plain_directive(directive)
                changes[word] = True
            else:
                known = (*FLAGS, "validate", "relation", "computed")
                raise self._scope.fail(
                    UnknownDirective,
                    f"no directive named '@{word}' on a field",
                    directive.span,
                    suggest.hint(word, known),
                )
        return msgspec.structs.replace(field, **changes)

    def _identity(self, node: syntax.FieldDefinition, field: Field) -> Field:
        """The `id`: always required, unique and the primary key, whether that is said or not."""
        if field.type.name not in ("ID", "Uuid", "String"):
            raise refused(
                self._scope,
                f"'id' is ID, Uuid or String, not {types.type_name(field.type)}",
                node.type.span,
            )
        if field.private:
            raise refused(self._scope, "'id' cannot be @private", node.span)
        if node.default is not None and literal(node.default) != "uuid":
            raise refused(
                self._scope, "'id' has no default but a new UUID", node.default.span, "leave it out"
            )
        return msgspec.structs.replace(
            field, required=True, primary=True, unique=False, indexed=False
        )

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
        where = f"the default of '{field.name}'"
        if value is None and field.required:
            raise self._scope.fail(
                TypeMismatch, f"{where} is null, but the field is required", node.span
            )
        if field.name == "id":
            return field
        if not specials.is_special(field.type, value) and value is not None:
            try:
                sample = specials.filled(field.type, value, lambda inner: SAMPLES[inner.type.name])
                plain = types.deep(field.type, sample, where)
                if field.validate is not None:
                    types.validate(field, field.name, plain)
            except AuroraError as error:
                kind = type(error) if isinstance(error, AqlError) else SchemaError
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
                fields.append(self._inner(field, [one.name for one in fields]))
            return Type(name="Inline", fields=tuple(fields))
        named = types.named(node.name)
        if named is None:
            raise self._scope.fail(
                UnknownType, f"no type named '{node.name}'", node.span,
                suggest.hint(node.name, types.NAMES, f"types are {', '.join(types.NAMES)}"),
            )  # fmt: skip
        return self._enum(node) if named.name == "Enum" else self._plain(named, node)

    def _inner(self, node: syntax.FieldDefinition, beside: Iterable[str]) -> Field:
        """A field of an inline object, which knows no directive but `@validate`."""
        for directive in node.directives:
            if directive.name.text != "validate":
                raise refused(
                    self._scope,
                    f"'@{directive.name.text}' cannot stand inside an object",
                    directive.span,
                )
        self.name(node.name, "field", beside)
        field = Field(name=node.name.text, type=self._type(node.type), required=node.type.required)
        made = self._directed(node, field)
        return made if node.default is None else self._with_default(made, node.default)

    def _plain(self, type: Type, node: syntax.FieldType) -> Type:
        if node.words:
            raise refused(
                self._scope,
                f"the type {node.name} takes no words",
                node.span,
                'Enum("a", "b") does',
            )
        return type

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
        if directive.positional:
            raise self._scope.fail(
                UnknownArgument, "the rules of '@validate' have names", directive.positional[0].span,
                "write @validate(min: 0)",
            )  # fmt: skip
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
        for low, high in (("min", "max"), ("minLength", "maxLength"), ("minItems", "maxItems")):
            if low in given and high in given and values[RULES[low]] > values[RULES[high]]:
                raise refused(
                    self._scope, f"'{low}' is above '{high}': nothing would pass", given[low].span
                )
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
            return None if value in FORMATS else f"'format' is one of {', '.join(FORMATS)}"
        if name == "enum":
            texts = (
                isinstance(value, list)
                and bool(value)
                and all(isinstance(one, str) for one in value)
            )
            return None if texts else "'enum' is a list of texts"
        return pattern_problem(value)

    def indexes(
        self, rules: Iterable[syntax.TableRule], fields: Sequence[Field]
    ) -> tuple[Index, ...]:
        """The `@@index` and `@@unique` of a collection with these fields."""
        made: list[Index] = []
        for rule in rules:
            made.append(self.index(rule, fields, made))
        return tuple(made)

    def index(
        self, rule: syntax.TableRule, fields: Sequence[Field], beside: Sequence[Index]
    ) -> Index:
        """One of them, which none of those `beside` is."""
        wanted = self.named_index(rule)
        by_name = {field.name: field for field in fields}
        for name in wanted.fields:
            field = by_name.get(name)
            if field is None:
                raise refused(
                    self._scope,
                    f"@@{rule.name.text} names '{name}', which is no field",
                    rule.span,
                    suggest.hint(name, by_name),
                )
            if field.type.name in types.JSON_KINDS or field.computed is not None:
                kind = "computed" if field.computed is not None else types.type_name(field.type)
                raise refused(
                    self._scope, f"the field '{name}' is {kind} and cannot be part of an index", rule.span
                )  # fmt: skip
        single = by_name[wanted.fields[0]] if len(wanted.fields) == 1 else None
        if wanted in beside or (single is not None and covered(single, wanted)):
            names = ", ".join(wanted.fields)
            raise refused(
                self._scope,
                f"there is an index over {names} already",
                rule.span,
                "leave this one out",
            )
        return wanted

    def named_index(self, rule: syntax.TableRule) -> Index:
        """What a rule says, whether its fields exist or not."""
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
        if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
            raise refused(self._scope, f"'fields' of @@{word} is a list of fields", entry.span)
        if len(set(names)) != len(names):
            raise refused(self._scope, f"@@{word} names a field twice", entry.span)
        return Index(fields=tuple(names), unique=word == "unique")


def _identities(node: syntax.FieldDefinition, fields: Sequence[Field]) -> tuple[str, ...]:
    """The name `id`, where the field beside it is another one or the second of this name."""
    first = node.name.text == "id" and all(one.name != "id" for one in fields)
    return () if first else ("id",)


def covered(field: Field, index: Index) -> bool:
    """Whether the field's own directives make this index."""
    if field.primary or field.unique:
        return True
    return field.indexed and not index.unique
