"""Plan → statement: one function for each verb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from aurora_db.aql import changes, plan
from aurora_db.aql.catalog import Catalog, Collection, Field
from aurora_db.aql.selections import everything
from aurora_db.aql.values import value_of
from aurora_db.base.errors import TypeMismatch, UnknownField
from aurora_db.sql import changes as set_clause
from aurora_db.sql import computed, expressions, reader, search
from aurora_db.sql.statement import Bound, Statement, identifier
from aurora_db.sql.where import has_variable, where

#: Rows that an event loop may read inline.
FEW = 1_000

has_where_variable = has_variable


class Lowered(msgspec.Struct, frozen=True):
    """A query as a statement, with what makes documents of its rows.

    `bounded`: it reads few rows, by an index. `alone`: the query is this statement and no other.
    """

    statement: Statement
    reader: reader.Reader
    bounded: bool
    alone: bool = True


def query(query: plan.Query) -> Lowered:
    """The statement of a query, without its aggregates."""
    collection = query.collection
    condition, params = where(query.where, row=_row(collection))
    columns, shown = columns_of(query.outputs, collection)
    source, joined = search.source(query)
    terms, ordering = orders(query)
    params = shown + joined + params + ordering
    # Of a selection whose fields are all skipped nothing is shown.
    parts = [f"SELECT {columns or 'NULL'} FROM {source}"]
    if condition != "1":
        parts.append(f"WHERE {condition}")
    parts.append("ORDER BY " + terms)
    if query.limit is not None or query.offset is not None:
        parts.append("LIMIT ?")
        params += (amount(query.limit, -1),)
    if query.offset is not None:
        parts.append("OFFSET ?")
        params += (amount(query.offset, 0),)
    return Lowered(
        Statement(" ".join(parts), params), reader.compiled(query.outputs), _is_bounded(query)
    )


def _row(collection: Collection) -> str:
    return identifier(collection.name) + "."


def columns_of(outputs: Sequence[plan.Selected], collection: Collection) -> computed.Fragment:
    """One column for each output, and their parameters."""
    made = [column(output, collection) for output in outputs]
    return ", ".join(text for text, _ in made), tuple(p for _, params in made for p in params)


def column(output: plan.Selected, collection: Collection) -> computed.Fragment:
    """The column of one output; of a nested selection, the value that links."""
    if isinstance(output, plan.Computed):
        return computed.column_value(output.expression, collection)
    return _stored_column(output, collection), ()


def _stored_column(output: plan.Selected, collection: Collection) -> str:
    match output:
        case plan.Output(path=path):
            if output.extra:
                return identifier("_extra")
            if path.keys:
                return expressions.part(path, _row(collection))
            return expressions.column(path, "")
        case plan.One(hop=hop):
            return _row(collection) + identifier(hop.field.name)
        case plan.Many(link=link):
            return expressions.link(link.local, _row(collection))
        case plan.Score():
            return f"{search.FOUND}._score"
        case plan.Snippet():
            # Replaced by the snippet, which is made for the documents that are shown only.
            return f"{_row(collection)}_n"
        case plan.Computed():
            raise AssertionError(f"not read by this statement: {output}")


def amount(value: plan.Value | None, otherwise: int) -> Any:
    """A limit or an offset as a parameter; `otherwise` stands for none and for null."""
    if value is None:
        return otherwise
    if isinstance(value, plan.Constant):
        return value.value

    def read(variables: Mapping[str, Any]) -> int:
        found = value_of(value, variables)
        if found is None:
            return otherwise
        if isinstance(found, bool) or not isinstance(found, int) or found < 0:
            raise TypeMismatch(f"a limit or offset is a whole number from 0, got {found!r}")
        return found

    return Bound(read)


def orders(query: plan.Query) -> computed.Fragment:
    """The terms of the order, the last one unique, and their parameters."""
    collection = query.collection
    last = _row(collection) + _place(collection)
    if query.search is not None and not query.order:
        return f"{search.FOUND}._score DESC, {last}", ()
    if query.order and _has_unique_id(collection):
        last = _row(collection) + identifier("id")
    made = [_order(order, collection) for order in query.order]
    texts = [*(text for text, _ in made), last]
    return ", ".join(texts), tuple(p for _, params in made for p in params)


def _has_unique_id(collection: Collection) -> bool:
    return not collection.system or collection.name in ("_jobs", "_workers")


def _place(collection: Collection) -> str:
    """The column that keeps the order of insertion."""
    return "rowid" if collection.system else identifier("_n")


def _order(order: plan.Order, collection: Collection) -> computed.Fragment:
    row = _row(collection)
    if isinstance(order.path, plan.Path):
        text, params = expressions.value(order.path, row), ()
    else:
        made = computed.ordered(order.path, row)
        text, params = made.text, made.params
    text += " DESC" if order.descending else ""
    # SQLite's own rule is ours: nulls first ascending, last descending.
    if order.nulls_first is None or order.nulls_first != order.descending:
        return text, params
    return text + (" NULLS FIRST" if order.nulls_first else " NULLS LAST"), params


def _is_bounded(query: plan.Query) -> bool:
    """Whether an index leads to all rows that are looked at, and these are few."""
    parts = _comparisons((query.where,))
    if any(_is_one(part, query.collection) for part in parts):
        return True
    limit = query.limit
    if not isinstance(limit, plan.Constant) or not isinstance(limit.value, int):
        return False
    if limit.value > FEW or query.offset is not None or query.order:
        return False
    match query.where:
        case plan.And(parts=()):
            return True
        case plan.Compare(path=path, op="eq") | plan.And(parts=(plan.Compare(path=path, op="eq"),)):
            field = _own(path)
            return field is not None and field.indexed
        case _:
            return False


def _is_one(part: plan.Compare, collection: Collection) -> bool:
    """Whether a comparison leaves one document at most, or as many as the ids it lists."""
    field = _own(part.path)
    if field is None:
        return False
    is_id = field.name == "id" and _has_unique_id(collection)
    if part.op == "in" and isinstance(part.value, plan.Constant):
        return is_id and len(part.value.value) <= FEW
    # Several documents may have no value for a unique field.
    known = field.required or (
        isinstance(part.value, plan.Constant) and part.value.value is not None
    )
    return part.op == "eq" and (is_id or (field.unique and known))


def _own(path: plan.Path | plan.Call) -> Field | None:
    """The field of the document itself whose whole value is compared; None where it is another."""
    if isinstance(path, plan.Call) or path.keys or path.hops:
        return None
    return path.field


def _comparisons(parts: Sequence[plan.Where]) -> list[plan.Compare]:
    found: list[plan.Compare] = []
    for part in parts:
        if isinstance(part, plan.Compare):
            found.append(part)
        elif isinstance(part, plan.And):
            found += _comparisons(part.parts)
    return found


class Condition(msgspec.Struct, frozen=True):
    """A where of a collection as SQL, made once for all statements and executions that need it."""

    text: str
    params: tuple[Any, ...]


def condition_of(collection: Collection, where_: plan.Where) -> Condition:
    """The where as SQL; its variables are read when a statement is bound."""
    return Condition(*where(where_, row=_row(collection)))


def _said(collection: Collection, condition: plan.Where | Condition) -> tuple[str, tuple[Any, ...]]:
    if isinstance(condition, Condition):
        return condition.text, condition.params
    return where(condition, row=_row(collection))


def count(collection: Collection, condition: plan.Where) -> tuple[str, tuple[Any, ...]]:
    """The text and parameters that count what matches."""
    text, params = where(condition, row=_row(collection))
    return f"SELECT count(*) FROM {identifier(collection.name)} WHERE {text}", params


def ids(collection: Collection, condition: plan.Where | Condition) -> Statement:
    """The ids of what matches, in order of insertion."""
    text, params = _said(collection, condition)
    return Statement(
        f"SELECT id FROM {identifier(collection.name)} WHERE {text} ORDER BY _n", params
    )


def get(collection: Collection, catalog: Catalog | None = None) -> Lowered:
    """The statement that reads one document by id, its last parameter, which is left out.

    Raises:
        UnknownField: documents of a system collection have no id of their own.
    """
    if not _has_unique_id(collection):
        raise UnknownField(
            f"documents of '{collection.name}' are not kept by id",
            hint="query them by their fields",
        )
    outputs = everything(collection, catalog)
    columns, params = columns_of(outputs, collection)
    text = f"SELECT {columns} FROM {identifier(collection.name)} WHERE id = ?"
    return Lowered(Statement(text, params), reader.compiled(outputs), bounded=True)


def places(collection: Collection, condition: plan.Where, size: int) -> Statement:
    """The places and ids of the next `size` documents that match, after a place: the last parameter."""
    place = _place(collection)
    text, params = where(condition, row=_row(collection))
    return Statement(
        f"SELECT {place}, id FROM {identifier(collection.name)} WHERE ({text}) AND {place} > ? "
        f"ORDER BY {place} LIMIT {size}",
        (*params, 0),
    )


def undeclared(collection: Collection) -> str:
    """The text that lists the names of undeclared fields of a flexible collection."""
    return (
        f"SELECT DISTINCT _k.key FROM {identifier(collection.name)}, "
        f"json_each({_row(collection)}_extra) AS _k ORDER BY 1"
    )


def update(
    collection: Collection,
    condition: plan.Where | Condition,
    wanted: Sequence[changes.Change],
    kept: dict[tuple[Any, ...], str] | None = None,
) -> Statement:
    """Change what matches; returns the ids.

    `kept` are texts of earlier executions with the same condition, by the shape of their changes.
    """
    text, more = _said(collection, condition)
    shape = None if kept is None else set_clause.shape(wanted)
    if kept is not None and shape is not None:
        made = kept.get(shape)
        if made is None:
            made = kept[shape] = update(collection, condition, wanted).text
        return Statement(made, (*set_clause.values(wanted), *more))
    sets, params = set_clause.assignments(wanted, _row(collection))
    return Statement(
        f"UPDATE {identifier(collection.name)} SET {', '.join(sets)}, _rev = _rev + 1 WHERE {text} RETURNING id",
        (*params, *more),
    )


def another_rev(collection: Collection, condition: plan.Where | Condition, rev: int) -> Statement:
    """The id and revision of a document that matches and has another revision than `rev`."""
    text, params = _said(collection, condition)
    return Statement(
        f"SELECT id, _rev FROM {identifier(collection.name)} WHERE ({text}) AND _rev <> ? LIMIT 1",
        (*params, rev),
    )


def delete(collection: Collection, condition: plan.Where | Condition) -> Statement:
    """Remove what matches; returns the ids."""
    text, params = _said(collection, condition)
    return Statement(f"DELETE FROM {identifier(collection.name)} WHERE {text} RETURNING id", params)
