"""Documents of a query as several selections show them, read in one snapshot, by their identity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from aurora_db.aql import plan, types
from aurora_db.aql.catalog import Collection, Field
from aurora_db.aql.comparing import rank
from aurora_db.aql.evaluate_expressions import plain
from aurora_db.store.port import Port
from aurora_db.store.scope import Runner, Scope

#: Gives what runs a query.
Run = Callable[[plan.Query], Runner]

#: Keys that no selection has.
_ID: Final = "\0id"
_PLACE: Final = "\0n"
_ORDER: Final = "\0o"
#: First fields of collections that tell their documents apart.
_NAMES: Final = ("id", "name", "version", "seq")
#: Documents read at once by their ids.
AT_ONCE: Final = 1_000


class Row(msgspec.Struct, frozen=True):
    """One document: what each selection shows of it, and what it is sorted by, the last one first."""

    nodes: tuple[dict[str, Any], ...]
    order: tuple[Any, ...] = ()


class Snapshots:
    """Reads the documents of a query.

    Args:
        query: its where expanded; without parts and pages. Its own outputs are not read.
        selections: what is shown of each document, at least one.
        variables: checked.
        sorts: whether rows are sorted again, by `sort`.
    """

    def __init__(
        self,
        query: plan.Query,
        selections: Sequence[tuple[plan.Selected, ...]],
        variables: Mapping[str, Any],
        run: Run,
        *,
        sorts: bool = False,
    ) -> None:
        self._query = query
        self._variables = variables
        self._run = run
        self._sorts = sorts
        marks = [identity(query.collection)]
        if sorts:
            marks += _sorting(query)
        self._outputs = [(*selections[0], *marks), *((*one, marks[0]) for one in selections[1:])]
        self._runners = [run(self._of(query, outputs)) for outputs in self._outputs]

    def _of(self, query: plan.Query, outputs: tuple[plan.Selected, ...]) -> plan.Query:
        return msgspec.structs.replace(query, outputs=outputs)

    async def all(self, port: Port) -> dict[str, Row]:
        """Every document of the query by its id, in the order of the query."""
        return await self._read(port, self._runners)

    async def among(self, port: Port, ids: Sequence[str]) -> dict[str, Row]:
        """Those of the query's documents that have one of these ids."""
        return await self._ids(port, ids, self._query)

    async def now(self, port: Port, ids: Sequence[str]) -> dict[str, Row]:
        """The documents of these ids that exist, whether or not they match."""
        return await self._ids(port, ids, msgspec.structs.replace(self._query, where=plan.ALWAYS))

    async def _ids(self, port: Port, ids: Sequence[str], query: plan.Query) -> dict[str, Row]:
        marker = identity(query.collection).path
        numbers = marker.type is not None and marker.type.name == "Int"
        known: list[Any] = list(map(int, ids)) if numbers else list(ids)
        # A search orders by what it found.
        order = () if query.search is not None else query.order
        rows: dict[str, Row] = {}
        for begin in range(0, len(known), AT_ONCE):
            wanted = plan.Compare(marker, "in", plan.Constant(known[begin : begin + AT_ONCE]))
            both = plan.And((query.where, wanted))
            part = msgspec.structs.replace(
                query, where=both, order=order, limit=None, offset=None, search=None
            )
            runners = [self._run(self._of(part, one)) for one in self._outputs]
            rows |= await self._read(port, runners)
        return rows

    async def _read(self, port: Port, runners: Sequence[Runner]) -> dict[str, Row]:
        found: list[list[dict[str, Any]]] = []
        for runner in runners:
            found.append(await runner(port, Scope(self._variables)))
        rows: dict[str, Row] = {}
        for nodes in zip(*found, strict=True):
            ids = [node.pop(_ID) for node in nodes]
            order = self._order(nodes[0]) if self._sorts else ()
            rows[str(ids[0])] = Row(nodes, order)
        return rows

    def _order(self, node: dict[str, Any]) -> tuple[Any, ...]:
        last = node.pop(_PLACE)
        keys = [_key(order, node.pop(f"{_ORDER}{n}")) for n, order in enumerate(self._query.order)]
        return (last, *reversed(keys))

    def sort(self, rows: Mapping[str, Row]) -> list[tuple[str, Row]]:
        """The rows in the order of the query."""
        sorted_ = sorted(rows.items(), key=lambda pair: pair[1].order[0])
        # Stable, the first key last; equal ones keep their order also when it is reversed.
        for n, order in enumerate(reversed(self._query.order), 1):
            sorted_.sort(key=lambda pair, n=n: pair[1].order[n], reverse=order.descending)
        return sorted_


def identity(collection: Collection) -> plan.Output:
    """The output of what tells the documents of a collection apart, a text or a number."""
    field = collection.fields[0]
    if field.name not in _NAMES:
        field = Field(name="rowid", type=types.INT)
    return plan.Output(_ID, plan.Path(field, (), field.type))


def _sorting(query: plan.Query) -> list[plan.Selected]:
    """What rows are sorted by: the keys of the order, and what ends it."""
    last = identity(query.collection).path
    if not query.order:
        # The order of insertion.
        place = Field(name="rowid" if query.collection.system else "_n", type=types.INT)
        last = plan.Path(place, (), place.type)
    keys = [plan.Computed(f"{_ORDER}{n}", order.path) for n, order in enumerate(query.order)]
    return [plan.Output(_PLACE, last), *keys]


def _key(order: plan.Order, value: Any) -> tuple[Any, ...]:
    """A value of an order as it is compared: where it stands among nulls, then itself."""
    path = order.path
    known = plain(value)
    if isinstance(path, plan.Path) and path.type is not None and path.type.name == "Priority":
        known = types.store(path.type, known)
    first = not order.descending if order.nulls_first is None else order.nulls_first
    # Of a descending order all of this is reversed.
    if known is None:
        return (0 if first != order.descending else 2,)
    return (1, rank(known))
