"""What documents show, as a part of any statement: columns, and what makes a document of a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from aurora_db.aql import plan
from aurora_db.aql.catalog import Collection
from aurora_db.sql import linked, lower, reader


class Shown(msgspec.Struct, frozen=True):
    """The columns of a selection, which come first in a row, and what makes a document of them.

    `children` are its nested selections: statements of their own.
    """

    columns: tuple[str, ...]
    params: tuple[Any, ...]
    read: reader.Reader
    children: tuple[linked.Child, ...]


def shown(outputs: Sequence[plan.Selected], collection: Collection) -> Shown:
    """What the documents of a selection show."""
    made = [lower.column(output, collection) for output in outputs]
    return Shown(
        columns=tuple(text for text, _ in made),
        params=tuple(param for _, params in made for param in params),
        read=reader.compiled(outputs),
        children=linked.children(outputs),
    )
