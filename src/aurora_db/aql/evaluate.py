"""Conditions over plain Python documents: the same truth as their SQL.

The matcher of live queries, and the oracle of the tests. A document is a mapping of its stored
fields, with values of JSON or of Python; what lies behind a relation comes from `Documents`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, assert_never, cast

from aurora_db.aql import plan, types
from aurora_db.aql.catalog import Type
from aurora_db.aql.comparing import equal
from aurora_db.aql.evaluate_expressions import Document, evaluate, plain
from aurora_db.aql.matching import holds
from aurora_db.aql.operators import stored
from aurora_db.aql.types import JSON_KINDS
from aurora_db.aql.values import value_of
from aurora_db.base.codec import decode


class Documents:
    """Documents by collection, and an execution's variables and present."""

    def __init__(
        self,
        collections: Mapping[str, Sequence[Document]],
        variables: Mapping[str, Any],
        now: dt.datetime,
    ) -> None:
        self._collections = collections
        self.variables = variables
        self.now = now

    def all(self, name: str) -> Sequence[Document]:
        """The documents of a collection, in order of insertion."""
        return self._collections.get(name, ())

    def follow(self, hop: plan.Hop, document: Document) -> Document | None:
        """The document that a relation leads to, or None."""
        wanted = plain(document.get(hop.field.name))
        if wanted is None:
            return None
        found = self.all(hop.collection.name)
        return next((one for one in found if equal(plain(one.get(hop.key.name)), wanted)), None)

    def linked(self, link: plan.Link, document: Document) -> Iterable[Document]:
        """The documents that belong to one by a link."""
        wanted = self.value(link.local, document)
        if wanted is None:
            return ()
        found = self.all(link.collection.name)
        return [one for one in found if equal(self.value(link.foreign, one), wanted)]

    def value(self, expression: plan.Expression, document: Document) -> Any:
        """The plain value of an expression for a document: dates as their stored text."""
        return plain(evaluate(expression, document, self.variables, self.now, self.follow))


def matches(where: plan.Where, document: Document, documents: Documents) -> bool:
    """Whether a document matches.

    Raises:
        TypeMismatch: the value of a variable does not fit its place.
    """
    match where:
        case plan.And(parts=parts):
            return all(matches(part, document, documents) for part in parts)
        case plan.Or(parts=parts):
            return any(matches(part, document, documents) for part in parts)
        case plan.Not(part=part):
            return not matches(part, document, documents)
        case plan.Compare():
            return _compare(where, document, documents)
        case plan.Quantified():
            return _quantified(where, document, documents)
        case plan.WhereVariable():
            raise AssertionError("a where variable is expanded before it is evaluated")
        case _:
            assert_never(where)


def _quantified(where: plan.Quantified, document: Document, documents: Documents) -> bool:
    over = where.over
    elements: Iterable[Document]
    if isinstance(over, plan.Link):
        elements = documents.linked(over, document)
    else:
        found = documents.value(over, document)
        listed = cast("list[Any]", found) if isinstance(found, list) else []
        # What is no object has no fields.
        elements = [one if isinstance(one, Mapping) else {} for one in listed]
    truths = [matches(where.where, one, documents) for one in elements]
    match where.word:
        case "some":
            return any(truths)
        case "every":
            return all(truths)
        case _:
            return not any(truths)


def _compare(where: plan.Compare, document: Document, documents: Documents) -> bool:
    op, type = where.op, where.path.type
    given = where.value
    value = documents.value(where.path, document)
    if isinstance(given, plan.Computation):
        wanted = documents.value(given.expression, document)
    elif isinstance(given, plan.Constant):
        wanted = _wanted(type, op, given.value)
    else:
        known = value_of(given, documents.variables, documents.variables)
        wanted = _wanted(type, op, stored(where.path, op, known))
    if type is not None and type.name == "Priority" and value is not None:
        value = types.store(type, value)
    return holds(op, value, wanted)


def _wanted(type: Type | None, op: str, value: Any) -> Any:
    """The plain value of what a comparison holds in its stored form."""
    if op == "isNull":
        return bool(value)
    if op in ("in", "between", "containsAny", "containsAll"):
        return [_one(type, one) for one in value]
    return _one(type, value)


def _one(type: Type | None, value: Any) -> Any:
    if value is None or type is None:
        return plain(value)
    if type.name in JSON_KINDS:
        return decode(value) if isinstance(value, str) else value
    return bool(value) if type.name == "Boolean" else value
