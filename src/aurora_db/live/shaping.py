"""Images of the feed → what a query shows of their documents, without asking the database.

An image has values of JSON; what comes out has values of Python (`datetime` and the like), equal to
what the SQL of the same selection gives, and is a copy of its own. What lies in other documents is
in no image: `is_own` tells whether a selection needs any.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any, assert_never

from aurora_db.aql import plan, types
from aurora_db.aql.catalog import Catalog, Collection, Type
from aurora_db.aql.evaluate_expressions import evaluate
from aurora_db.aql.selections import everything
from aurora_db.aql.types import REV
from aurora_db.base.codec import own
from aurora_db.base.records import Priority
from aurora_db.sql import reader

Image = Mapping[str, Any]
Document = dict[str, Any]
#: Makes of an image what is shown of it.
Shape = Callable[[Image], Document]
#: Gives the instant that `now()` means.
Present = Callable[[], dt.datetime]

_Part = Callable[[Image], Any]


def is_own(outputs: Sequence[plan.Selected]) -> bool:
    """Whether all that is shown lies in the document itself."""
    return all(map(_is_own, outputs))


def _is_own(output: plan.Selected) -> bool:
    match output:
        case plan.Output(path=path):
            return not path.hops
        case plan.Computed(expression=expression):
            return stays(expression)
        case plan.One() | plan.Many() | plan.Score() | plan.Snippet():
            return False
        case _:
            assert_never(output)


def stays(expression: plan.Expression) -> bool:
    """Whether an expression looks into no other document."""
    match expression:
        case plan.Path(hops=hops):
            return not hops
        case plan.Call(arguments=parts) | plan.Items(items=parts):
            return all(map(stays, parts))
        case plan.Constant() | plan.Variable():
            return True
        case _:
            assert_never(expression)


def documents(collection: Collection, catalog: Catalog, now: Present) -> Shape:
    """What makes whole documents, as `get` gives them: without `_rev` and what is `@private`.

    Computed fields that go over relations are null: ask `is_own(everything(collection, catalog))`.
    """
    return shape(everything(collection, catalog), collection, {}, now)


def shape(
    outputs: Sequence[plan.Selected],
    collection: Collection,
    variables: Mapping[str, Any],
    now: Present,
) -> Shape:
    """What shows images of `collection` as a selection; its outputs are the document's own.

    Args:
        outputs: resolved; None of them looks elsewhere (`is_own`).
        collection: as it was when the images were written.
        variables: by name, checked.
        now: gives what `now()` means in expressions.
    """
    parts = [(output, _part(output, collection, variables, now)) for output in outputs]
    extra = any(isinstance(output, plan.Output) and output.extra for output in outputs)
    if not extra:
        pairs = [(output.key, part) for output, part in parts]
        return lambda image: {key: part(image) for key, part in pairs}

    def merged(image: Image) -> Document:
        made: Document = {}
        for output, part in parts:
            if isinstance(output, plan.Output) and output.extra:
                made |= part(image)
            else:
                made[output.key] = part(image)
        return made

    return merged


def _part(
    output: plan.Selected, collection: Collection, variables: Mapping[str, Any], now: Present
) -> _Part:
    match output:
        case plan.Output(extra=True):
            known = {REV.name, *(field.name for field in collection.stored)}
            return lambda image: {
                key: own(value) for key, value in image.items() if key not in known
            }
        case plan.Output():
            return _stored(output)
        case plan.Computed(expression=expression):
            return lambda image: own(evaluate(expression, image, variables, now()))
        case plan.One() | plan.Many() | plan.Score() | plan.Snippet():
            raise AssertionError(f"not in the image of a document: {output}")
        case _:
            assert_never(output)


def _stored(output: plan.Output) -> _Part:
    path = output.path
    if path.field is None:
        name, keys = path.keys[0], path.keys[1:]
    else:
        name, keys = path.field.name, path.keys
    load = _load(output)
    if not keys:
        if load is None:
            return lambda image: own(image.get(name))
        return lambda image: None if (found := image.get(name)) is None else load(found)

    def read(image: Image) -> Any:
        found = image.get(name)
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        return own(found) if load is None or found is None else load(found)

    return read


def _load(output: plan.Output) -> Callable[[Any], Any] | None:
    """What makes Python of a value in an image that is not null; None where it is the value itself."""
    path = output.path
    if output.selection is not None:
        shaped = reader.shape(output.selection, len(path.keys))
        return lambda value: shaped(own(value))
    type = path.type
    if type is None:
        return None
    if path.keys or type.name in types.JSON_KINDS:
        inner = types.revive(type)
        return None if inner is None else lambda value: inner(own(value))
    return _plain(type)


def _plain(type: Type) -> Callable[[Any], Any] | None:
    if type.name == "Priority":
        # The feed has the number.
        return lambda value: Priority(value).name
    # Booleans are JSON's own; dates stand there as text.
    return types.revive(type)
