"""Conditions over plain Python documents: the same truth as their SQL.

The matcher of live queries, and the oracle of the tests. A document is a mapping of its stored
fields, with values of JSON or of Python; what lies behind a relation comes from `Documents`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, assert_never, cast

from aurora_db.aql import plan, types
from aurora_db.aql.catalog import Type
from aurora_db.aql.comparing import equal, is_number
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
        wanted = self._key(link.local, document)
        if wanted is None:
            return ()
        found = self.all(link.collection.name)
        return [one for one in found if equal(self._key(link.foreign, one), wanted)]

    def _key(self, path: plan.Path, document: Document) -> Any:
        """The value that documents are linked by: of an untyped one only a text or a number."""
        value = self.value(path, document)
        return (
            value if path.type is not None or isinstance(value, str) or is_number(value) else None
        )

    def value(self, expression: plan.Expression, document: Document) -> Any:
        """The plain value of an expression for a document: dates as their stored text."""
        return plain(evaluate(expression, document, self.variables, self.now, self.follow))


#: For what does not depend on the time.
_NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)
#: Whether a document matches.
Test = Callable[[Document], bool]


def matches(where: plan.Where, document: Document, documents: Documents) -> bool:
    """Whether a document matches; for many documents, `compiled`.

    Raises:
        TypeMismatch: the value of a variable does not fit its place.
    """
    return compiled(where, documents)(document)


def compiled(where: plan.Where, documents: Documents) -> Test:
    """The condition as a function of a document; its values are read once, here.

    Raises:
        TypeMismatch: the value of a variable does not fit its place.
    """
    match where:
        case plan.And(parts=parts):
            return _every(tuple(compiled(part, documents) for part in parts))
        case plan.Or(parts=parts):
            return _some(tuple(compiled(part, documents) for part in parts))
        case plan.Not(part=part):
            test = compiled(part, documents)
            return lambda document: not test(document)
        case plan.Compare():
            return _compare(where, documents)
        case plan.Quantified():
            return _quantified(where, documents)
        case plan.WhereVariable():
            raise AssertionError("a where variable is expanded before it is evaluated")
        case _:
            assert_never(where)


def wanted(type: Type | None, op: str, value: Any) -> Any:
    """The plain value of what a comparison holds in its stored form."""
    if op == "isNull":
        return bool(value)
    if op in ("in", "between", "containsAny", "containsAll"):
        return [_one(type, one) for one in value]
    return _one(type, value)


def _every(tests: tuple[Test, ...]) -> Test:
    if len(tests) == 1:
        return tests[0]
    return lambda document: all(test(document) for test in tests)


def _some(tests: tuple[Test, ...]) -> Test:
    return lambda document: any(test(document) for test in tests)


def _quantified(where: plan.Quantified, documents: Documents) -> Test:
    word, over = where.word, where.over
    test = compiled(where.where, documents)

    def elements(document: Document) -> Iterable[Document]:
        if isinstance(over, plan.Link):
            return documents.linked(over, document)
        found = documents.value(over, document)
        listed = cast("list[Any]", found) if isinstance(found, list) else []
        # What is no object has no fields.
        return [one if isinstance(one, Mapping) else {} for one in listed]

    if word == "every":
        return lambda document: all(map(test, elements(document)))
    some = word == "some"
    return lambda document: any(map(test, elements(document))) == some


def _compare(where: plan.Compare, documents: Documents) -> Test:
    path, op, given = where.path, where.op, where.value
    type = path.type
    read = reader(path, documents)
    if isinstance(given, plan.Computation):
        made = given.expression
        return lambda document: holds(op, read(document), documents.value(made, document))
    known = value_of(given, documents.variables, documents.variables)
    if not isinstance(given, plan.Constant):
        known = stored(path, op, known)
    right = wanted(type, op, known)
    return lambda document: holds(op, read(document), right)


def reader(
    path: plan.Path | plan.Call, documents: Documents | None = None
) -> Callable[[Document], Any]:
    """What reads the left side of a comparison; a path inside of a document needs no `documents`."""
    type = path.type
    if documents is None:
        documents = Documents({}, {}, _NEVER)
    if type is not None and type.name == "Priority":
        return lambda document: types.store(type, documents.value(path, document))
    if isinstance(path, plan.Path) and path.field is not None and not (path.hops or path.keys):
        name, fit = path.field.name, float if path.field.type.name == "Float" else plain
        return lambda document: None if (value := document.get(name)) is None else fit(value)
    return lambda document: documents.value(path, document)


def _one(type: Type | None, value: Any) -> Any:
    if value is None or type is None:
        return plain(value)
    if type.name in JSON_KINDS:
        return decode(value) if isinstance(value, str) else value
    return bool(value) if type.name == "Boolean" else value
