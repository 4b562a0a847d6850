"""What a query looks into: which collections and fields, and by which ways from its documents.

A live query is asked again when one of them changes. A *way* is a list of relations and lookups, from a
document of the query to another one that has a say in what is shown, found, or in which order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

import msgspec

from aurora_db.aql import plan
from aurora_db.aql.catalog import Collection

Step = plan.Hop | plan.Link
Way = tuple[Step, ...]

#: Functions whose result changes though no document does.
VOLATILE = frozenset({"now", "uuid"})


class Reads(msgspec.Struct, frozen=True):
    """The read set of a query.

    `fields` are the names that are read of each collection, None where it may be any. `ways` lead to
    all documents beside the query's own. `volatile` tells that the result changes with time or by chance.
    """

    collections: tuple[Collection, ...]
    fields: dict[str, frozenset[str] | None]
    ways: tuple[Way, ...]
    volatile: bool


def reads(query: plan.Query) -> Reads:
    """What a query looks into; its wheres are expanded."""
    found = _Reading()
    found.query(query, ())
    return Reads(
        tuple(found.collections.values()),
        {
            name: None if name in found.whole else frozenset(fields)
            for name, fields in found.fields.items()
        },
        tuple(found.ways),
        found.volatile,
    )


class _Reading:
    def __init__(self) -> None:
        self.collections: dict[str, Collection] = {}
        self.fields: dict[str, set[str]] = {}
        #: Collections of which any field may be read.
        self.whole: set[str] = set()
        self.ways: dict[Way, None] = {}
        self.volatile = False

    def _see(self, collection: Collection) -> None:
        self.collections.setdefault(collection.name, collection)
        # The id tells which document it is.
        self.fields.setdefault(collection.name, {"id"})

    def _read(self, collection: Collection, name: str) -> None:
        self._see(collection)
        self.fields[collection.name].add(name)

    def _go(self, way: Way) -> None:
        self.ways[way] = None
        self._see(way[-1].collection)

    # --- queries ----------------------------------------------------------------------------

    def query(self, query: plan.Query, way: Way) -> None:
        """A query whose documents are at the end of `way`."""
        collection = query.collection
        self._see(collection)
        self.where(query.where, collection, way)
        self.orders(query.order, collection, way)
        self.outputs(query.outputs, collection, way)
        if query.search is not None:
            for path in query.search.fields:
                self.path(path, collection, way)
        for part in query.parts:
            self.part(part, collection, way)

    def part(self, part: plan.QueryPart, collection: Collection, way: Way) -> None:
        match part:
            case plan.Aggregates(functions=functions):
                self.functions(functions, collection, way)
            case plan.Groups(by=by, outputs=outputs):
                self.expressions([one for _, one in by], collection, way)
                for one in outputs:
                    self.functions(one.functions, collection, way)
                    if one.nodes is not None:
                        self.query(one.nodes, way)
            case plan.Downsample(time=time, value=value):
                self.expressions([time] if value is None else [time, value], collection, way)
            case plan.Window(of=of, outputs=outputs, partition=partition, order=order):
                self.expressions(partition if of is None else (*partition, of), collection, way)
                self.orders(order, collection, way)
                self.outputs(outputs, collection, way)
            case _:
                assert_never(part)

    def functions(
        self, functions: Iterable[plan.Aggregate], collection: Collection, way: Way
    ) -> None:
        self.expressions([one.of for one in functions if one.of is not None], collection, way)

    def orders(self, orders: Iterable[plan.Order], collection: Collection, way: Way) -> None:
        self.expressions([one.path for one in orders], collection, way)

    def outputs(self, outputs: Sequence[plan.Selected], collection: Collection, way: Way) -> None:
        for output in outputs:
            match output:
                case plan.Output(extra=True):
                    self.whole.add(collection.name)
                case plan.Output(path=path) | plan.Snippet(path=path):
                    self.path(path, collection, way)
                case plan.Computed(expression=expression):
                    self.expression(expression, collection, way)
                case plan.One(hop=hop, outputs=inner):
                    self.outputs(inner, hop.collection, self.hop(hop, collection, way))
                case plan.Many(link=link, query=query):
                    self.query(query, self.link(link, collection, way))
                case plan.Score():
                    pass
                case _:
                    assert_never(output)

    # --- conditions -------------------------------------------------------------------------

    def where(self, where: plan.Where, collection: Collection, way: Way) -> None:
        match where:
            case plan.And(parts=parts) | plan.Or(parts=parts):
                for part in parts:
                    self.where(part, collection, way)
            case plan.Not(part=part):
                self.where(part, collection, way)
            case plan.Compare(path=path, value=value):
                self.expression(path, collection, way)
                if isinstance(value, plan.Computation):
                    self.expression(value.expression, collection, way)
            case plan.Quantified(over=plan.Link() as link, where=inner):
                self.where(inner, link.collection, self.link(link, collection, way))
            case plan.Quantified(over=over, where=inner):
                assert isinstance(over, plan.Path)
                self.path(over, collection, way)
                # What is asked of the elements lies inside of the list.
                elements = _Reading()
                elements.where(inner, collection, ())
                self.volatile |= elements.volatile
            case plan.WhereVariable():
                raise AssertionError("a where variable is expanded before it is read")
            case _:
                assert_never(where)

    # --- values -----------------------------------------------------------------------------

    def expressions(
        self, expressions: Iterable[plan.Expression], collection: Collection, way: Way
    ) -> None:
        for one in expressions:
            self.expression(one, collection, way)

    def expression(self, expression: plan.Expression, collection: Collection, way: Way) -> None:
        match expression:
            case plan.Path():
                self.path(expression, collection, way)
            case plan.Call(function=function, arguments=arguments):
                self.volatile |= function in VOLATILE
                self.expressions(arguments, collection, way)
            case plan.Items(items=items):
                self.expressions(items, collection, way)
            case plan.Constant() | plan.Variable():
                pass
            case _:
                assert_never(expression)

    def path(self, path: plan.Path, collection: Collection, way: Way) -> None:
        for hop in path.hops:
            way, collection = self.hop(hop, collection, way), hop.collection
        name = path.keys[0] if path.field is None else path.field.name
        self._read(collection, name)

    def hop(self, hop: plan.Hop, collection: Collection, way: Way) -> Way:
        """The way over a relation."""
        self._read(collection, hop.field.name)
        self._go((*way, hop))
        self._read(hop.collection, hop.key.name)
        return (*way, hop)

    def link(self, link: plan.Link, collection: Collection, way: Way) -> Way:
        """The way over a link."""
        self.path(link.local, collection, way)
        self._go((*way, link))
        self.path(link.foreign, link.collection, (*way, link))
        return (*way, link)
