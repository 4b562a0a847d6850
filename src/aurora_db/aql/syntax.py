"""What was typed: the first tree. Every node keeps its span; trees compare without spans.

Constructs of the language that this version does not have are refused by the parser and have no
node. Nothing here is checked against a catalog. Values are typed literals, not Python values, so
that an error can still point at them.
"""

from __future__ import annotations

import msgspec

from aurora_db.base.errors import Span

NOWHERE = Span(0, 0)


class Node(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Root of every syntax node."""

    span: Span = NOWHERE

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Node)
            and type(self) is type(other)
            and self._parts() == other._parts()
        )

    def __hash__(self) -> int:
        return hash((type(self), self._parts()))

    def _parts(self) -> tuple[object, ...]:
        """Everything but the span."""
        return tuple([getattr(self, name) for name in self.__struct_fields__ if name != "span"])

    def __repr__(self) -> str:
        names = [name for name in self.__struct_fields__ if name != "span"]
        return f"{type(self).__name__}({', '.join(f'{n}={getattr(self, n)!r}' for n in names)})"


class Name(Node, frozen=True):
    """A name in any place."""

    text: str


# --- values ---------------------------------------------------------------------------------


class IntLiteral(Node, frozen=True):
    """A 64-bit integer."""

    value: int


class FloatLiteral(Node, frozen=True):
    """A finite double."""

    value: float


class StringLiteral(Node, frozen=True):
    """A string; `value` after escapes and, for blocks, after GraphQL's indentation rule."""

    value: str


class BooleanLiteral(Node, frozen=True):
    """`true` or `false`."""

    value: bool


class NullLiteral(Node, frozen=True):
    """`null`."""


class Word(Node, frozen=True):
    """An enum word: a name in the place of a value."""

    text: str


class VariableRef(Node, frozen=True):
    """`$name` or `$name.path`."""

    name: str
    path: tuple[str, ...] = ()


class ListLiteral(Node, frozen=True):
    """`[a, b]`."""

    items: tuple[Value, ...]


class Entry(Node, frozen=True):
    """One `key: value` of an object or of arguments."""

    key: Name
    value: Value


class ObjectLiteral(Node, frozen=True):
    """`{a: 1, "b.c": 2}`; duplicate keys are refused by the parser."""

    entries: tuple[Entry, ...]


Value = (
    IntLiteral
    | FloatLiteral
    | StringLiteral
    | BooleanLiteral
    | NullLiteral
    | Word
    | VariableRef
    | ListLiteral
    | ObjectLiteral
)


# --- operations -----------------------------------------------------------------------------


class Directive(Node, frozen=True):
    """`@name(arguments)`."""

    name: Name
    arguments: tuple[Entry, ...] = ()
    #: Arguments without a name, as in `@computed("…")`.
    positional: tuple[Value, ...] = ()


class FieldSelection(Node, frozen=True):
    """`alias: name(arguments) @directives { selection }`; `selection` is None when absent."""

    name: Name
    alias: Name | None = None
    arguments: tuple[Entry, ...] = ()
    directives: tuple[Directive, ...] = ()
    selection: tuple[Selection, ...] | None = None


class SchemaBlock(Node, frozen=True):
    """`schema { … }`, as a definition or inside a mutation."""

    statements: tuple[CollectionDefinition, ...]


class TransactionBlock(Node, frozen=True):
    """`alias: transaction { … }` inside a mutation."""

    parts: tuple[MutationPart, ...]
    alias: Name | None = None


Selection = FieldSelection
MutationPart = FieldSelection | SchemaBlock | TransactionBlock


class TypeRef(Node, frozen=True):
    """The type of a variable: `Int!`, `[ID!]!`. `item` is set for lists, then `name` is ""."""

    name: str
    required: bool = False
    item: TypeRef | None = None


class VariableDefinition(Node, frozen=True):
    """`$name: Type = default`."""

    name: str
    type: TypeRef
    default: Value | None = None


class Operation(Node, frozen=True):
    """A query or mutation. `kind` is the word; roots as written."""

    kind: str
    name: Name | None
    variables: tuple[VariableDefinition, ...]
    directives: tuple[Directive, ...]
    roots: tuple[MutationPart, ...]


# --- definitions ----------------------------------------------------------------------------


class FieldType(Node, frozen=True):
    """The type of a field.

    `name` as typed, "" for lists and inline objects; `words` the enum's; `item` of a list;
    `fields` of an inline object.
    """

    name: str
    required: bool = False
    words: tuple[Value, ...] = ()
    item: FieldType | None = None
    fields: tuple[FieldDefinition, ...] | None = None


class FieldDefinition(Node, frozen=True):
    """`name: Type = default @directives`."""

    name: Name
    type: FieldType
    default: Value | None = None
    directives: tuple[Directive, ...] = ()


class TableRule(Node, frozen=True):
    """`@@index(fields: […])`."""

    name: Name
    arguments: tuple[Entry, ...]


class CollectionDefinition(Node, frozen=True):
    """`define collection name @directives if not exists { fields, rules }`."""

    name: Name
    fields: tuple[FieldDefinition, ...]
    rules: tuple[TableRule, ...] = ()
    directives: tuple[Directive, ...] = ()
    if_not_exists: bool = False


class HandlerDefinition(Node, frozen=True):
    """`define handler "name" { on, fields, where, action }`; parts absent are None."""

    name: StringLiteral
    on: tuple[StringLiteral, ...]
    fields: tuple[Value, ...] | None
    where: ObjectLiteral | None
    action: tuple[MutationPart, ...]
    if_not_exists: bool = False
    or_replace: bool = False


class HandlerDrop(Node, frozen=True):
    """`drop handler "name" if exists`."""

    name: StringLiteral
    if_exists: bool = False


Definition = Operation | SchemaBlock | CollectionDefinition | HandlerDefinition | HandlerDrop


class Document(Node, frozen=True):
    """A whole text: at least one definition, in the order written."""

    definitions: tuple[Definition, ...]
