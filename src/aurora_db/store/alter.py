"""Changing collections that exist: their documents are converted, or all is refused.

One transaction. What is stored goes through the check of the new type; what does not convert is named
by its ids. The feed shows each document that became another one; event handlers do not fire, for the
shape of documents changed and not what they say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from aurora_db.aql import alter, checks, plan, types, written
from aurora_db.aql.catalog import Collection, Field
from aurora_db.aql.schema import with_collections
from aurora_db.base.codec import decode
from aurora_db.base.errors import AuroraError, SchemaError
from aurora_db.sql import ddl, rebuild, search, triggers
from aurora_db.sql.rebuild import CONVERTED, Rebuild
from aurora_db.sql.statement import Batch, identifier
from aurora_db.store import tables
from aurora_db.store.port import Port
from aurora_db.store.rebuilding import NeedsExclusive

#: Ids that a refusal names, at most.
NAMED = 20
#: Documents that are converted at once.
PAGE = 1_000

CHANGE_COLLECTION = "UPDATE _collections SET definition = ? WHERE name = ?"
FORGET_COLLECTION = "DELETE FROM _collections WHERE name = ?"
#: Triggers of other tables that mention one; the engine would look for it while it has no name.
MENTIONING = """
    SELECT tbl_name FROM sqlite_schema
     WHERE type = 'trigger' AND tbl_name <> ? AND instr(sql, ?) > 0
"""


class _Row(msgspec.Struct):
    """The document that is converted, and when."""

    id: str
    now: datetime


class Problem(msgspec.Struct):
    """Why documents do not convert: the first reason, the first ids, how many there are."""

    reason: str
    ids: list[str] = []
    count: int = 0

    def add(self, id: str) -> None:
        """One more document."""
        self.count += 1
        if len(self.ids) < NAMED:
            self.ids.append(id)


def is_exclusive(statement: plan.SchemaStatement) -> bool:
    """Whether a statement must run alone, with foreign keys off.

    While a table is made anew, what relates to it would be taken for orphaned.
    """
    match statement:
        case plan.AlterCollection():
            return statement.related and rebuild.in_place(_work(statement, {})) is None
        case plan.DropCollection():
            return statement.related
        case plan.DefineCollection():
            return False


async def alter_collection(port: Port, statement: plan.AlterCollection) -> str:
    """Change a collection and its documents; the status of the step.

    Raises:
        SchemaError: documents do not convert; `ids` are those of the first 20.
        NeedsExclusive: it must run alone, and does not.
    """
    before, after = statement.before, statement.collection
    if written.same(before, after) and not alter.renames(before, statement.actions):
        return "unchanged"
    work = _work(statement, _defaults(port, statement))
    if work.defaults or _required_now(work):
        await _refuse_new_without_default(port, work)
    checked = _to_check(work)
    statements = rebuild.in_place(work)
    if statements is not None:
        if checked:
            await _convert(port, work, checked, keep=False)
        await _refuse_rows(port, work)
        await _in_place(port, statements, work)
    else:
        if is_exclusive(statement):
            await _foreign_keys_off(port)
        work = msgspec.structs.replace(work, converted=tuple(checked))
        if checked:
            await _convert(port, work, checked, keep=True)
        await _refuse_rows(port, work)
        await _make_anew(port, work)
        for follower in alter.followers(port.catalog, statement):
            await _follow(port, follower)
    return "altered"


def _work(statement: plan.AlterCollection, defaults: Mapping[str, Any]) -> Rebuild:
    found = alter.sources(statement.before, statement.actions)
    return Rebuild(statement.before, statement.collection, found, (), defaults)


def _defaults(port: Port, statement: plan.AlterCollection) -> dict[str, Any]:
    """What fields get where documents say nothing: new ones, and those that are required now."""
    found = alter.sources(statement.before, statement.actions)
    values: dict[str, Any] = {}
    for field in statement.collection.stored:
        source = found[field.name]
        old = None if source is None else statement.before.field(source)
        if old is not None and (old.required or not field.required):
            continue
        if field.has_default and field.default is not None:
            values[field.name] = checks.default_of(field, port.now())
        elif field.updated and (old is None or field.required):
            values[field.name] = checks.present(field, port.now())
    return values


def _required_now(work: Rebuild) -> list[Field]:
    return [
        f
        for f in work.after.stored
        if f.required and f.name not in work.defaults and work.sources[f.name] is None
    ]


async def _refuse_new_without_default(port: Port, work: Rebuild) -> None:
    # A flexible collection may have the values already.
    fields = [] if work.before.flexible else _required_now(work)
    for field in fields:
        rows = await port.rows(f"SELECT id FROM {identifier(work.before.name)} ORDER BY _n LIMIT 1")
        if rows:
            raise SchemaError(
                f"'{work.after.name}' has documents, so the required field '{field.name}' needs a default",
                hint=f"write add {written.field(msgspec.structs.replace(field, has_default=True, default=_example(field)))}",
            )


def _example(field: Field) -> Any:
    match field.type.name:
        case "Int" | "Float":
            return 0
        case "Boolean":
            return False
        case "DateTime" | "Date" | "Time":
            return "now"
        case "ID" | "Uuid":
            return "uuid"
        case "Enum":
            return field.type.words[0]
        case "List":
            return []
        case "Object" | "Inline":
            return {}
        case _:
            return ""


# --- converting -----------------------------------------------------------------------------


def _to_check(work: Rebuild) -> dict[str, Callable[[Any], Any]]:
    """For each field whose stored values must pass a check, what reads the value as it was."""
    found: dict[str, Callable[[Any], Any]] = {}
    for field in work.after.stored:
        source = work.sources[field.name]
        old = None if source is None else work.before.field(source)
        if old is None:
            if field.name in work.taken:
                found[field.name] = decode
        elif (old.type, old.validate) != (field.type, field.validate):
            found[field.name] = types.load(old.type) or _plain
    return found


def _plain(value: Any) -> Any:
    return value


async def _convert(
    port: Port, work: Rebuild, readers: Mapping[str, Callable[[Any], Any]], *, keep: bool
) -> None:
    """Check each value as its new type, and keep what its column will hold.

    Raises:
        SchemaError: some do not convert.
    """
    after = {field.name: field for field in work.after.stored}
    fields = [after[name] for name in readers]
    columns = ", ".join(_read_from(work, field) for field in fields)
    text = f"SELECT o._n, o.id, {columns} FROM {identifier(work.before.name)} AS o WHERE o._n > ? ORDER BY o._n LIMIT {PAGE}"
    held: Batch | None = None
    if keep:
        names = [f"c{number}" for number in range(len(fields))]
        await port.script(f"DROP TABLE IF EXISTS {CONVERTED}")
        await port.script(f"CREATE TABLE {CONVERTED} (n INTEGER PRIMARY KEY, {', '.join(names)})")
        head = f"INSERT INTO {CONVERTED} SELECT * FROM (VALUES "
        held = Batch(head, len(names) + 1, ") WHERE column1 IS NOT NULL")
    problems: dict[str, Problem] = {}
    now = port.now()
    last = -(2**63)
    while rows := await port.rows(text, (last,)):
        made: list[tuple[Any, ...]] = []
        for n, id, *values in rows:
            row = _Row(id, now)
            pairs = zip(fields, values, strict=True)
            made.append(
                (n, *(_one(f, readers[f.name], value, row, problems) for f, value in pairs))
            )
        if held is not None and not problems:
            await port.batch(held, made)
        last = rows[-1][0]
    for name, problem in problems.items():
        raise _refusal(work, name, problem)


def _read_from(work: Rebuild, field: Field) -> str:
    taken = work.sources[field.name]
    return f"o.{identifier(taken)}" if taken is not None else f"""o._extra -> '$."{field.name}"'"""


def _one(
    field: Field, read: Callable[[Any], Any], stored: Any, row: _Row, problems: dict[str, Problem]
) -> Any:
    """What the column will hold; None where that is not possible, which is noted."""
    try:
        value = None if stored is None else read(stored)
        return None if value is None else checks.column_value(field, value, row.now)
    except AuroraError as error:
        problems.setdefault(field.name, Problem(error.message)).add(row.id)
        return None


def _refusal(work: Rebuild, name: str, problem: Problem) -> SchemaError:
    what = "document" if problem.count == 1 else "documents"
    named = ", ".join(f"'{id}'" for id in problem.ids)
    more = (
        f" and {problem.count - len(problem.ids)} more" if problem.count > len(problem.ids) else ""
    )
    error = SchemaError(
        f"the field '{name}' of {problem.count} {what} of '{work.after.name}' cannot become what it shall be: "
        f"{problem.reason} ({named}{more})",
        hint="change these documents before",
    )
    error.ids = tuple(problem.ids)
    return error


async def _refuse_rows(port: Port, work: Rebuild) -> None:
    """What only the whole column shows: nothing where something must be, doubles, orphans.

    Raises:
        SchemaError: naming the field and the documents.
    """
    before = {field.name: field for field in work.before.stored}
    _, params = rebuild.source(work)
    for field in work.after.stored:
        taken = work.sources[field.name]
        old = None if taken is None else before[taken]
        touched = old is None or field.name in work.converted
        if field.required and (touched or not (old and old.required)):
            await _none(
                port, work, field.name, "it is required", rebuild.missing(work, field), params
            )
        relation = field.relation
        held = taken is not None or field.name in (*work.taken, *work.defaults)
        if relation is not None and held and (touched or (old and old.relation) != relation):
            reason = f"no document of '{relation.to}' has it as its {relation.key}"
            await _none(port, work, field.name, reason, rebuild.orphans(work, field), params)
    known = [
        tuple(new for old in one for new, was in work.sources.items() if was == old)
        for one in rebuild.uniques(work.before)
    ]
    for names in rebuild.uniques(work.after):
        if names not in known or any(name in work.converted for name in names):
            text = rebuild.doubled(work, names)
            await _none(port, work, ", ".join(names), "another one has the same", text, params)


async def _none(
    port: Port, work: Rebuild, name: str, reason: str, text: str, params: Mapping[str, Any]
) -> None:
    ids = [row[0] for row in await port.rows(text, params)]
    if ids:
        raise _refusal(work, name, Problem(reason, ids[:NAMED], len(ids)))


# --- writing --------------------------------------------------------------------------------


async def _in_place(port: Port, statements: Iterable[str], work: Rebuild) -> None:
    moved = search.columns(work.before) != search.columns(work.after)
    for text in (*(search.drop(work.before) if moved else ()), *statements):
        await port.script(text)
    if moved:
        await _index_texts(port, work.after)
    await _keep(port, work.after, {work.after.name})


async def _index_texts(port: Port, collection: Collection) -> None:
    for text in (*search.create(collection), *search.fill(collection)):
        await port.script(text)


async def _make_anew(port: Port, work: Rebuild) -> None:
    """A second table takes the rows over, and then the place of the first."""
    name = work.before.name
    mentioned = await port.rows(MENTIONING, (name, identifier(name)))
    beside = {row[0] for row in mentioned} & set(port.catalog.collections)
    for one in (name, *sorted(beside)):
        for text in triggers.drop(port.catalog.collections[one]):
            await port.script(text)
    filled, swap = rebuild.fill(work)
    for text, params in filled:
        await port.change(text, params)
    if work.converted:
        await port.script(f"DROP TABLE {CONVERTED}")
    for text in (*search.drop(work.before), *swap):
        await port.script(text)
    await _index_texts(port, work.after)
    await _keep(port, work.after, {name, *beside})


async def _keep(port: Port, collection: Collection, renewed: set[str]) -> None:
    """Store the definition; the triggers that say it become its own."""
    text = msgspec.json.encode(collection).decode()
    await port.change(CHANGE_COLLECTION, (text, collection.name))
    port.catalog = with_collections(port.catalog, {collection.name: collection})
    await tables.renew_triggers(port, renewed)


async def _follow(port: Port, follower: Collection) -> None:
    """A collection whose relation leads to a field that got another name."""
    before = port.catalog.collections[follower.name]
    same: dict[str, str | None] = {field.name: field.name for field in before.stored}
    await _make_anew(port, Rebuild(before, follower, same))


async def _foreign_keys_off(port: Port) -> None:
    row = await port.row("PRAGMA foreign_keys")
    if row is not None and row[0]:
        raise NeedsExclusive(
            "relations lead to the collection, which is changed", hint="run it again"
        )


async def drop_collection(port: Port, statement: plan.DropCollection) -> str:
    """Remove a collection; the feed shows that each of its documents is gone. The step's status."""
    collection = port.catalog.collections.get(statement.name)
    if collection is None:
        return "unchanged"
    if not collection.quiet:
        await port.change(rebuild.deletions(collection))
    for text in (*search.drop(collection), *ddl.drop_collection(collection)):
        await port.script(text)
    await port.change(FORGET_COLLECTION, (collection.name,))
    port.catalog = with_collections(port.catalog, {collection.name: None})
    await tables.renew_triggers(port, ())
    return "dropped"
