"""Making a table anew: the statements by which a collection becomes another one with its documents.

What `ALTER TABLE` cannot say (constraints, types, order of names) is said by a second table that
takes the rows over, and then the first one's name. The names of rows are fixed: `o` is the table as it
was, `c` what was converted row by row, `n` the table as it becomes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from aurora_db.aql import specials, types
from aurora_db.aql.catalog import Collection, Field
from aurora_db.sql import ddl, triggers
from aurora_db.sql.expressions import NOW, UUID7
from aurora_db.sql.statement import identifier, literal

#: Where converted values stand, by row; gone with the transaction.
CONVERTED = "temp._converted"


class Rebuild(msgspec.Struct, frozen=True):
    """A collection before and after.

    `sources` says for each field as it becomes whose values it takes over; None for a new one.
    `converted` are fields whose values Python makes, in the order of the columns of `CONVERTED`;
    `defaults` what new and newly required fields hold where there is nothing, as stored.
    """

    before: Collection
    after: Collection
    sources: Mapping[str, str | None]
    converted: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = {}

    @property
    def table(self) -> str:
        """The name of the second table while both exist."""
        return f"_alter:{self.after.name}"

    @property
    def dropped(self) -> list[str]:
        """Fields that nothing takes over."""
        kept = set(self.sources.values())
        return [field.name for field in self.before.stored if field.name not in kept]

    @property
    def taken(self) -> list[str]:
        """New fields whose values stand among the undeclared ones."""
        if not self.before.flexible:
            return []
        return [f.name for f in self.after.stored if self.sources[f.name] is None]


def in_place(work: Rebuild) -> list[str] | None:
    """The statements where the table can stay as it is; None where it cannot."""
    before = {field.name: field for field in work.before.stored}
    made: list[str] = []
    if work.dropped or work.taken:
        return None
    for field in work.after.stored:
        source = work.sources[field.name]
        if source is None:
            if not _adds_nothing(field):
                return None
            made.append(f"ALTER TABLE {identifier(work.after.name)} ADD COLUMN {ddl.column(field)}")
        elif ddl.column(before[source]) != ddl.column(field) or _inner(before[source], field):
            return None
    old, new = ddl.indexes(work.before), ddl.indexes(work.after)
    made = [f"DROP INDEX {identifier(name)}" for name in old if name not in new] + made
    return made + [text for name, text in new.items() if name not in old]


def _inner(old: Field, new: Field) -> bool:
    """Whether the values inside JSON may be converted, which no column shows."""
    return new.type.name in types.JSON_KINDS and old.type != new.type


def _adds_nothing(field: Field) -> bool:
    """Whether documents that exist are the same with this field as without it."""
    return not (field.required or field.has_default or field.unique or field.updated)


def source(work: Rebuild) -> tuple[str, dict[str, Any]]:
    """The rows as they become: `_n`, `_rev`, `f0` for the first field and so on; with named parameters.

    The engine forgets the name of a column of a query that is called `true` or `false`.
    """
    params: dict[str, Any] = {}
    columns = ["o._n AS _n", "o._rev AS _rev"]
    for number, field in enumerate(work.after.stored):
        columns.append(f"{_value(work, field, f'd{number}', params)} AS f{number}")
    if work.after.flexible:
        paths = ", ".join(literal(f'$."{name}"') for name in work.taken)
        columns.append(f"{f'json_remove(o._extra, {paths})' if paths else 'o._extra'} AS _extra")
    text = f"SELECT {', '.join(columns)} FROM {identifier(work.before.name)} AS o"
    if work.converted:
        text += f" LEFT JOIN {CONVERTED} AS c ON c.n = o._n"
    return text, params


def _value(work: Rebuild, field: Field, name: str, params: dict[str, Any]) -> str:
    taken = work.sources[field.name]
    found = f"o.{identifier(taken)}" if taken is not None else None
    if field.name in work.converted:
        found = f"c.c{work.converted.index(field.name)}"
    if field.name not in work.defaults:
        return found or "NULL"
    otherwise = f":{name}"
    if specials.is_special(field.type, field.default) and field.default == "uuid":
        otherwise = UUID7
    else:
        params[name] = work.defaults[field.name]
    return otherwise if found is None else f"coalesce({found}, {otherwise})"


def missing(work: Rebuild, field: Field) -> str:
    """Ids of documents that have nothing for a field."""
    return _of_rows(work, f"{_held(work, field.name)} IS NULL")


def doubled(work: Rebuild, fields: Sequence[str]) -> str:
    """Ids of documents that are not alone with their values of these fields."""
    columns = [_held(work, name) for name in fields]
    names = ", ".join(columns)
    known = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    groups = f"SELECT {names} FROM _rows WHERE {known} GROUP BY {names} HAVING count(*) > 1"
    return _of_rows(work, f"({names}) IN ({groups})")


def orphans(work: Rebuild, field: Field) -> str:
    """Ids of documents whose relation leads to nothing."""
    relation = field.relation
    assert relation is not None
    name = _held(work, field.name)
    table, key = identifier(relation.to), identifier(relation.key)
    if relation.to == work.after.name:
        table, key = "_rows", _held(work, relation.key)
    exists = f"EXISTS (SELECT 1 FROM {table} AS p WHERE p.{key} = _rows.{name})"
    return _of_rows(work, f"_rows.{name} IS NOT NULL AND NOT {exists}")


def _of_rows(work: Rebuild, condition: str) -> str:
    rows, _ = source(work)
    return f"WITH _rows AS ({rows}) SELECT {_held(work, 'id')} FROM _rows WHERE {condition} ORDER BY _n"


def _held(work: Rebuild, name: str) -> str:
    """The column of a field in the rows as they become."""
    return f"f{[field.name for field in work.after.stored].index(name)}"


def uniques(collection: Collection) -> Iterable[tuple[str, ...]]:
    """The fields of each unique index, the id's left out."""
    for field in collection.fields:
        if field.unique:
            yield (field.name,)
    for index in collection.indexes:
        if index.unique:
            yield index.fields


def fill(work: Rebuild) -> tuple[list[tuple[str, dict[str, Any]]], list[str]]:
    """The second table, filled; and how it takes the place of the first.

    In between both exist, and the feed is told of what differs.
    """
    new, old = identifier(work.table), identifier(work.before.name)
    rows, params = source(work)
    names = [field.name for field in work.after.stored]
    extra = ["_extra"] if work.after.flexible else []
    columns = ", ".join(("_n", "_rev", *(identifier(name) for name in names), *extra))
    held = ", ".join(("_n", "_rev", *(f"f{number}" for number in range(len(names))), *extra))
    statements: list[tuple[str, dict[str, Any]]] = [
        (ddl.create_table(work.after, work.table), {}),
        (f"INSERT INTO {new} ({columns}) SELECT {held} FROM ({rows}) ORDER BY _n", params),
    ]
    differs = _differs(work)
    if differs:
        statements.append((
            f"UPDATE {new} AS n SET _rev = n._rev + 1 FROM {old} AS o WHERE o._n = n._n AND ({' OR '.join(differs)})",
            {},
        ))  # fmt: skip
        if not work.after.quiet:
            statements.append((_changes(work), {}))
    swap = [f"DROP TABLE {old}", f"ALTER TABLE {new} RENAME TO {identifier(work.after.name)}"]
    return statements, [*swap, *ddl.indexes(work.after).values()]


def _differs(work: Rebuild) -> list[str]:
    """Conditions under which a document is another one than before."""
    found = [f"o.{identifier(name)} IS NOT NULL" for name in work.dropped]
    for field in work.after.stored:
        taken, name = work.sources[field.name], f"n.{identifier(field.name)}"
        if taken is None or taken != field.name:
            found.append(f"{name} IS NOT NULL")
        elif field.name in work.converted or field.name in work.defaults:
            was = f"o.{identifier(taken)}"
            found.append(f"typeof({name}) <> typeof({was}) OR {name} IS NOT {was}")
    return found


def _changes(work: Rebuild) -> str:
    before = triggers.image(work.before, "o.", "o._rev")
    after = triggers.image(work.after, "n.", "n._rev")
    return (
        "INSERT INTO _changes (collection, op, id, before, after, at)\n"
        f"SELECT {literal(work.after.name)}, 'update', n.id, {before}, {after}, {NOW}\n"
        f"  FROM {identifier(work.before.name)} AS o JOIN {identifier(work.table)} AS n ON n._n = o._n\n"
        " WHERE n._rev <> o._rev ORDER BY n._n"
    )


def deletions(collection: Collection) -> str:
    """The changes of a collection whose documents all go."""
    before = triggers.image(collection, "o.", "o._rev")
    return (
        "INSERT INTO _changes (collection, op, id, before, at)\n"
        f"SELECT {literal(collection.name)}, 'delete', o.id, {before}, {NOW}\n"
        f"  FROM {identifier(collection.name)} AS o ORDER BY o._n"
    )


__all__ = [
    "CONVERTED",
    "Rebuild",
    "deletions",
    "doubled",
    "fill",
    "in_place",
    "missing",
    "orphans",
    "source",
    "uniques",
]
