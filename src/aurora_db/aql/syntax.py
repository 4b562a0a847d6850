"""What was typed: the first tree. Every node keeps its span; trees compare without spans.

Constructs of the language that this version does not have are refused by the parser and have no
node. Nothing here is checked against a catalog. Values are typed literals, not Python values, so
that an error can still point at them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from aurora_db.base.errors import Span

NOWHERE = Span(0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Root of every syntax node."""

    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A name in any place."""

    text: str


# --- values ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IntLiteral(Node):
    """A 64-bit integer."""

    value: int


@dataclass(frozen=True, slots=True)
class FloatLiteral(Node):
    """A finite double."""

    value: float


@dataclass(frozen=True, slots=True)
class StringLiteral(Node):
    """A string; `value` after escapes and, for blocks, after GraphQL's indentation rule."""

    value: str


@dataclass(frozen=True, slots=True)
class BooleanLiteral(Node):
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True, slots=True)
class NullLiteral(Node):
    """`null`."""


@dataclass(frozen=True, slots=True)
class Word(Node):
    """An enum word: a name in the place of a value."""

    text: str


@dataclass(frozen=True, slots=True)
class VariableRef(Node):
    """`$name` or `$name.path`."""

    name: str
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListLiteral(Node):
    """`[a, b]`."""

    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Entry(Node):
    """One `key: value` of an object or of arguments."""

    key: Name
    value: Value


@dataclass(frozen=True, slots=True)
class ObjectLiteral(Node):
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


@dataclass(frozen=True, slots=True)
class Directive(Node):
    """`@name(arguments)`."""

    name: Name
    arguments: tuple[Entry, ...] = ()
    #: Arguments without a name, as in `@computed("…")`.
    positional: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldSelection(Node):
    """`alias: name(arguments) @directives { selection }`; `selection` is None when absent."""

    name: Name
    alias: Name | None = None
    arguments: tuple[Entry, ...] = ()
    directives: tuple[Directive, ...] = ()
    selection: tuple[Selection, ...] | None = None


@dataclass(frozen=True, slots=True)
class SchemaBlock(Node):
    """`schema { … }`, as a definition or inside a mutation."""

    statements: tuple[CollectionDefinition, ...]


@dataclass(frozen=True, slots=True)
class TransactionBlock(Node):
    """`alias: transaction { … }` inside a mutation."""

    parts: tuple[MutationPart, ...]
    alias: Name | None = None


Selection = FieldSelection
MutationPart = FieldSelection | SchemaBlock | TransactionBlock


@dataclass(frozen=True, slots=True)
class TypeRef(Node):
    """The type of a variable: `Int!`, `[ID!]!`. `item` is set for lists, then `name` is ""."""

    name: str
    required: bool = False
    item: TypeRef | None = None


@dataclass(frozen=True, slots=True)
class VariableDefinition(Node):
    """`$name: Type = default`."""

    name: str
    type: TypeRef
    default: Value | None = None


@dataclass(frozen=True, slots=True)
class Operation(Node):
    """A query or mutation. `kind` is the word; roots as written."""

    kind: str
    name: Name | None
    variables: tuple[VariableDefinition, ...]
    directives: tuple[Directive, ...]
    roots: tuple[MutationPart, ...]


# --- definitions ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FieldType(Node):
    """The type of a field.

    `name` as typed, "" for lists and inline objects; `words` the enum's; `item` of a list;
    `fields` of an inline object.
    """

    name: str
    required: bool = False
    words: tuple[Value, ...] = ()
    item: FieldType | None = None
    fields: tuple[FieldDefinition, ...] | None = None


@dataclass(frozen=True, slots=True)
class FieldDefinition(Node):
    """`name: Type = default @directives`."""

    name: Name
    type: FieldType
    default: Value | None = None
    directives: tuple[Directive, ...] = ()


@dataclass(frozen=True, slots=True)
class TableRule(Node):
    """`@@index(fields: […])`."""

    name: Name
    arguments: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class CollectionDefinition(Node):
    """`define collection name @directives if not exists { fields, rules }`."""

    name: Name
    fields: tuple[FieldDefinition, ...]
    rules: tuple[TableRule, ...] = ()
    directives: tuple[Directive, ...] = ()
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class HandlerDefinition(Node):
    """`define handler "name" { on, fields, where, action }`; parts absent are None."""

    name: StringLiteral
    on: tuple[StringLiteral, ...]
    fields: tuple[Value, ...] | None
    where: ObjectLiteral | None
    action: tuple[MutationPart, ...]
    if_not_exists: bool = False
    or_replace: bool = False


@dataclass(frozen=True, slots=True)
class HandlerDrop(Node):
    """`drop handler "name" if exists`."""

    name: StringLiteral
    if_exists: bool = False


Definition = Operation | SchemaBlock | CollectionDefinition | HandlerDefinition | HandlerDrop


@dataclass(frozen=True, slots=True)
class Document(Node):
    """A whole text: at least one definition, in the order written."""

    definitions: tuple[Definition, ...]
