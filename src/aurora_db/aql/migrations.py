"""Migrations: `migrate { "v1": { … } }` → versions with their checksums; and which is older.

A version is kept as it was typed and resolved step by step when it runs, for its steps see what
earlier ones made.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Final, cast

from aurora_db.aql import parser, plan, suggest, syntax, tokens
from aurora_db.aql.catalog import Catalog, Collection
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.mutations import Mutations
from aurora_db.aql.values import Scope
from aurora_db.base.errors import AccessDenied, AqlError, Span, UnknownCollection, UnknownField

#: Versions with an order of their own: `v1.2.0`, `3`, `0004_add_plan`, `2026-01-31`.
NUMBERED: Final = re.compile(r"[vV]?(\d+(?:[._-]\d+)*)(.*)", re.DOTALL)
_BLOCK: Final = ("migrate", "migration")


def block(node: syntax.MigrationBlock, text: str) -> plan.Migrate:
    """The versions of a block, in the order written."""
    versions = tuple(_version(one, text, None) for one in node.versions)
    return plan.Migrate("", versions, dry_run=node.dry_run)


def file(text: str, name: str, version: str) -> tuple[tuple[plan.MigrateVersion, ...], bool]:
    """The versions of a file: those of its `migrate` block, else its steps are one version.

    The second is whether the block is a dry run.

    Args:
        text: what the file holds.
        name: the file, for messages.
        version: what the one version is called where there is no block.

    Raises:
        AqlSyntaxError: the text is no migration.
    """
    first = tokens.tokenize(text).texts[:2]
    if not (first and first[0] in _BLOCK and first[1:] == ["{"]):
        # On the first line, so that the numbers of lines stay.
        text = f"migrate {{ {tokens_of(version)}: {{ {text}\n}} }}"
    versions: list[plan.MigrateVersion] = []
    dry_run = False
    for node in parser.parse(text).definitions:
        if not isinstance(node, syntax.MigrationBlock):
            raise AqlError("beside a `migrate` block stands another one, or nothing", source=text, span=node.span)  # fmt: skip
        versions += [_version(one, text, name) for one in node.versions]
        dry_run = dry_run or node.dry_run
    return tuple(versions), dry_run


def tokens_of(text: str) -> str:
    """A text as a String of AQL."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _version(node: syntax.MigrationVersion, text: str, file: str | None) -> plan.MigrateVersion:
    steps = text[node.steps[0].span.start : node.steps[-1].span.end] if node.steps else ""
    return plan.MigrateVersion(node.name.text, steps, checksum(steps), text, file)


def checksum(text: str) -> str:
    """A digest of what is meant to be typed: white space, commas and comments do not matter."""
    typed = "\0".join(filter(None, tokens.tokenize(text).texts))
    return hashlib.sha256(typed.encode()).hexdigest()


def steps(version: plan.MigrateVersion) -> tuple[syntax.MigrationStep, ...]:
    """The steps of a version, their spans in its source."""
    for definition in parser.parse(version.source).definitions:
        if isinstance(definition, syntax.MigrationBlock):
            for one in definition.versions:
                if one.name.text == version.name:
                    return one.steps
    raise AssertionError("a version stands in its source")


def is_older(one: str, other: str) -> bool:
    """Whether a version comes before another by its numbers; names without have no order."""
    first, second = NUMBERED.fullmatch(one), NUMBERED.fullmatch(other)
    if first is None or second is None:
        return False
    return _key(first) < _key(second)


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts names with numbers in them as people do: 2 before 10."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def _key(found: re.Match[str]) -> tuple[list[int], str]:
    numbers = [int(part) for part in re.split(r"[._-]", found[1])]
    while len(numbers) > 1 and numbers[-1] == 0:
        # 1.2 is 1.2.0.
        numbers.pop()
    return numbers, found[2]


# --- migrate data ---------------------------------------------------------------------------


def data(node: syntax.DataMigration, text: str, catalog: Catalog) -> tuple[plan.Update, ...]:
    """The updates that `migrate data` means, one for each `set`, in order.

    A field set to another field is a computation.

    Raises:
        AqlError: a name or a value does not fit the collection.
    """
    scope = Scope(text, {}, catalog=catalog)
    collection = _collection(scope, node.collection, catalog)
    return tuple(_update(scope, collection, one, catalog) for one in node.sets)


def _collection(scope: Scope, name: syntax.Name, catalog: Catalog) -> Collection:
    found = catalog.collections.get(name.text)
    if found is None:
        raise scope.fail(
            UnknownCollection,
            f"no collection named '{name.text}'",
            name.span,
            suggest.hint(name.text, catalog.collections),
        )
    if found.system:
        raise AccessDenied(f"the system collection '{name.text}' cannot be written")
    return found


def _update(
    scope: Scope, collection: Collection, node: syntax.DataSet, catalog: Catalog
) -> plan.Update:
    """As an `update` with the one field; so its data is checked as any other's."""
    value = node.value
    copied = value if isinstance(value, syntax.Word) else None
    given = syntax.NullLiteral(span=value.span) if copied else value
    pair = syntax.Entry(node.field, given, span=node.span)
    arguments = [
        _argument("collection", syntax.Word(collection.name, span=node.span)),
        _argument("data", syntax.ObjectLiteral((pair,), span=node.span)),
        _argument("all", syntax.BooleanLiteral(value=True, span=node.span)),
    ]
    if node.where is not None:
        arguments.append(_argument("where", node.where))
    update = syntax.FieldSelection(
        syntax.Name("update", span=node.span), arguments=tuple(arguments), span=node.span
    )
    (part,) = Mutations(scope, _found(catalog), _no_schema).parts((update,))
    made = cast("plan.Update", part)
    if copied is None:
        return made
    path = _field(scope, collection, copied)
    data = plan.ObjectValue(((node.field.text, plan.Computation(path)),))
    return plan.Update(made.key, made.collection, made.where, data, made.result)


def _argument(name: str, value: syntax.Value) -> syntax.Entry:
    return syntax.Entry(syntax.Name(name, span=value.span), value, span=value.span)


def _field(scope: Scope, collection: Collection, word: syntax.Word) -> plan.Path:
    try:
        return Conditions(collection, scope).path(word.text, word)
    except UnknownField as error:
        hint = error.hint or f'a text stands in quotes: "{word.text}"'
        raise scope.fail(UnknownField, error.message, word.span, hint) from None


def _found(catalog: Catalog) -> Callable[[str, Span], Collection]:
    return lambda name, _span: catalog.collections[name]


def _no_schema(_node: syntax.SchemaBlock, _key: str) -> plan.DefineSchema:
    raise AssertionError("an update defines nothing")
