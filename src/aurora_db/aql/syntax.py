"""What was typed: the first tree. Every node keeps its span; trees compare without spans.

Every construct of the grammar has its node. Nothing here is checked against a catalog. Values are
typed literals, not Python values, so that an error can still point at them.
"""

from __future__ import annotations

import msgspec

from aurora_db.base.errors import Span

NOWHERE = Span(0, 0)


class Node(msgspec.Struct, frozen=True, kw_only=True, eq=False, gc=False):
    """Root of every syntax node. Trees have no cycles, so the collector need not look at them."""

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


class Name(Node, frozen=True, gc=False):
    """A name in any place."""

    text: str


# --- values ---------------------------------------------------------------------------------


class IntLiteral(Node, frozen=True, gc=False):
    """A 64-bit integer."""

    value: int


class FloatLiteral(Node, frozen=True, gc=False):
    """A finite double."""

    value: float


class StringLiteral(Node, frozen=True, gc=False):
    """A string; `value` after escapes and, for blocks, after GraphQL's indentation rule."""

    value: str


class BooleanLiteral(Node, frozen=True, gc=False):
    """`true` or `false`."""

    value: bool


class NullLiteral(Node, frozen=True, gc=False):
    """`null`."""


class Word(Node, frozen=True, gc=False):
    """An enum word: a name in the place of a value."""

    text: str


class VariableRef(Node, frozen=True, gc=False):
    """`$name` or `$name.path`."""

    name: str
    path: tuple[str, ...] = ()


class ListLiteral(Node, frozen=True, gc=False):
    """`[a, b]`."""

    items: tuple[Value, ...]


class ExpressionLiteral(Node, frozen=True, gc=False):
    """`expr("price * qty")` in the place of a value; `text` as written inside."""

    text: str
    expression: Expression


class Entry(Node, frozen=True, gc=False):
    """One `key: value` of an object or of arguments."""

    key: Name
    value: Value


class ObjectLiteral(Node, frozen=True, gc=False):
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
    | ExpressionLiteral
)

# --- expressions ----------------------------------------------------------------------------


class PathExpression(Node, frozen=True, gc=False):
    """`name` or `a.b`: a stored value of the document."""

    parts: tuple[str, ...]


class CallExpression(Node, frozen=True, gc=False):
    """A function of arguments.

    Operators and pipes are calls too: `a + b` is `add(a, b)`, `x | f(a)` is `f(x, a)`, `c ? a : b`
    is `if(c, a, b)`, `-x` is `negate(x)`. A row `a && b && c` is one `and(a, b, c)`, and so for `||`;
    every other operator has two operands. `function.text` is the function's name, its span that of
    the operator; `written` is the operator as typed, empty for calls and pipes.
    """

    function: Name
    arguments: tuple[Expression, ...]
    written: str = ""


class ListExpression(Node, frozen=True, gc=False):
    """`[a, b + 1]`."""

    items: tuple[Expression, ...]


class Template(Node, frozen=True, gc=False):
    """`"text ${expression} $name"`: texts and expressions in turn."""

    parts: tuple[str | Expression, ...]


Expression = (
    IntLiteral
    | FloatLiteral
    | StringLiteral
    | BooleanLiteral
    | NullLiteral
    | VariableRef
    | PathExpression
    | CallExpression
    | ListExpression
    | Template
)


# --- operations -----------------------------------------------------------------------------


class Directive(Node, frozen=True, gc=False):
    """`@name(arguments)`."""

    name: Name
    arguments: tuple[Entry, ...] = ()
    #: Arguments without a name, as in `@computed("…")`.
    positional: tuple[Value, ...] = ()


class FieldSelection(Node, frozen=True, gc=False):
    """`alias: name(arguments) @directives { selection }`; `selection` is None when absent."""

    name: Name
    alias: Name | None = None
    arguments: tuple[Entry, ...] = ()
    directives: tuple[Directive, ...] = ()
    selection: tuple[Selection, ...] | None = None


class SchemaBlock(Node, frozen=True, gc=False):
    """`schema { … }`, as a definition or inside a mutation."""

    statements: tuple[SchemaStatement, ...]


class TransactionBlock(Node, frozen=True, gc=False):
    """`alias: transaction { … }` inside a mutation."""

    parts: tuple[MutationPart, ...]
    alias: Name | None = None


class Computed(Node, frozen=True, gc=False):
    """`alias: "text ${a}"`, `alias: price * qty`, `alias: name | uppercase`."""

    alias: Name
    expression: Expression
    directives: tuple[Directive, ...] = ()


class FragmentSpread(Node, frozen=True, gc=False):
    """`...name`."""

    name: Name
    directives: tuple[Directive, ...] = ()


class InlineFragment(Node, frozen=True, gc=False):
    """`... on collection { … }`; `on` is None where it is not said."""

    on: Name | None
    directives: tuple[Directive, ...]
    selection: tuple[Selection, ...]


class FragmentDefinition(Node, frozen=True, gc=False):
    """`fragment name on collection { … }`."""

    name: Name
    on: Name
    directives: tuple[Directive, ...]
    selection: tuple[Selection, ...]


Selection = FieldSelection | Computed | FragmentSpread | InlineFragment
MutationPart = FieldSelection | SchemaBlock | TransactionBlock


class TypeRef(Node, frozen=True, gc=False):
    """The type of a variable: `Int!`, `[ID!]!`. `item` is set for lists, then `name` is ""."""

    name: str
    required: bool = False
    item: TypeRef | None = None


class VariableDefinition(Node, frozen=True, gc=False):
    """`$name: Type = default`."""

    name: str
    type: TypeRef
    default: Value | None = None
    directives: tuple[Directive, ...] = ()


class Operation(Node, frozen=True, gc=False):
    """A query, mutation or subscription. `kind` is the word; roots as written.

    The roots of a mutation are mutation parts, those of the others selections.
    """

    kind: str
    name: Name | None
    variables: tuple[VariableDefinition, ...]
    directives: tuple[Directive, ...]
    roots: tuple[MutationPart | Selection, ...]


# --- definitions ----------------------------------------------------------------------------


class FieldType(Node, frozen=True, gc=False):
    """The type of a field.

    `name` as typed, "" for lists and inline objects; `words` the enum's; `item` of a list;
    `fields` of an inline object.
    """

    name: str
    required: bool = False
    words: tuple[Value, ...] = ()
    item: FieldType | None = None
    fields: tuple[FieldDefinition, ...] | None = None


class FieldDefinition(Node, frozen=True, gc=False):
    """`name: Type = default @directives`."""

    name: Name
    type: FieldType
    default: Value | None = None
    directives: tuple[Directive, ...] = ()


class TableRule(Node, frozen=True, gc=False):
    """`@@index(fields: […])`."""

    name: Name
    arguments: tuple[Entry, ...]


class CollectionDefinition(Node, frozen=True, gc=False):
    """`define collection name @directives if not exists { fields, rules }`."""

    name: Name
    fields: tuple[FieldDefinition, ...]
    rules: tuple[TableRule, ...] = ()
    directives: tuple[Directive, ...] = ()
    if_not_exists: bool = False


class HandlerDefinition(Node, frozen=True, gc=False):
    """`define handler "name" { on, fields, where, action }`; parts absent are None."""

    name: StringLiteral
    on: tuple[StringLiteral, ...]
    fields: tuple[Value, ...] | None
    where: ObjectLiteral | None
    action: tuple[MutationPart, ...]
    if_not_exists: bool = False
    or_replace: bool = False


class HandlerDrop(Node, frozen=True, gc=False):
    """`drop handler "name" if exists`."""

    name: StringLiteral
    if_exists: bool = False


class AddField(Node, frozen=True, gc=False):
    """`add name: Type …` of an `alter`."""

    field: FieldDefinition


class DropField(Node, frozen=True, gc=False):
    """`drop name`."""

    name: Name


class RenameField(Node, frozen=True, gc=False):
    """`rename a to b`."""

    name: Name
    to: Name


class ModifyField(Node, frozen=True, gc=False):
    """`modify name: Type …`: the field as it shall be."""

    field: FieldDefinition


class AddRule(Node, frozen=True, gc=False):
    """`add @@index(…)`."""

    rule: TableRule


class DropRule(Node, frozen=True, gc=False):
    """`drop @@index(…)`."""

    rule: TableRule


AlterAction = AddField | DropField | RenameField | ModifyField | AddRule | DropRule


class CollectionAlteration(Node, frozen=True, gc=False):
    """`alter collection name { … }`."""

    name: Name
    actions: tuple[AlterAction, ...]


class CollectionDrop(Node, frozen=True, gc=False):
    """`drop collection name if exists`."""

    name: Name
    if_exists: bool = False


SchemaStatement = CollectionDefinition | CollectionAlteration | CollectionDrop


class HandlerControl(Node, frozen=True, gc=False):
    """`enable | disable | backfill handler "name"`; `where` for a backfill only."""

    verb: str
    name: StringLiteral
    where: ObjectLiteral | None = None


class ScheduleDefinition(Node, frozen=True, gc=False):
    """`define schedule "name" { … }`; `parts` are all but the action, each once."""

    name: StringLiteral
    parts: tuple[Entry, ...]
    action: tuple[MutationPart, ...]
    if_not_exists: bool = False
    or_replace: bool = False


class ScheduleDrop(Node, frozen=True, gc=False):
    """`drop schedule "name" if exists`."""

    name: StringLiteral
    if_exists: bool = False


class ScheduleControl(Node, frozen=True, gc=False):
    """`enable | disable | run schedule "name"`."""

    verb: str
    name: StringLiteral


class RulesDefinition(Node, frozen=True, gc=False):
    """`define rules name { read: … }`; each value an object, a boolean or a string."""

    collection: Name
    rules: tuple[Entry, ...]


class RulesDrop(Node, frozen=True, gc=False):
    """`drop rules name if exists`."""

    collection: Name
    if_exists: bool = False


class DataSet(Node, frozen=True, gc=False):
    """`set field = value where {…}`; a bare name is a `Word` and means a field."""

    field: Name
    value: Value
    where: ObjectLiteral | None = None


class DataMigration(Node, frozen=True, gc=False):
    """`migrate data in name { set … }`."""

    collection: Name
    sets: tuple[DataSet, ...]


DefineStatement = CollectionDefinition | HandlerDefinition | ScheduleDefinition | RulesDefinition
DropStatement = CollectionDrop | HandlerDrop | ScheduleDrop | RulesDrop
MigrationStep = DefineStatement | CollectionAlteration | DropStatement | DataMigration


class MigrationVersion(Node, frozen=True, gc=False):
    """`"v1": { … }`; `name.text` is the version as a text whatever literal it was."""

    name: Name
    steps: tuple[MigrationStep, ...]


class MigrationBlock(Node, frozen=True, gc=False):
    """`migrate { dryRun: true "v1": { … } }`."""

    versions: tuple[MigrationVersion, ...]
    dry_run: bool = False


Definition = (
    Operation
    | FragmentDefinition
    | SchemaBlock
    | DefineStatement
    | CollectionAlteration
    | DropStatement
    | HandlerControl
    | ScheduleControl
    | MigrationBlock
)


class Document(Node, frozen=True, gc=False):
    """A whole text: at least one definition, in the order written."""

    definitions: tuple[Definition, ...]
