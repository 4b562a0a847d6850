"""`expr` in the data of an update: what the expression gives, in the form of its place.

It sees the document as it was, whatever else the update changes.
"""

from __future__ import annotations

from typing import Any

from aurora_db.aql.changes import Change, leaf_of
from aurora_db.aql.types import JSON_KINDS
from aurora_db.sql import computed, ddl, forms

Fragment = tuple[str, list[Any]]


def column(change: Change, row: str) -> Fragment:
    """The value for a whole column; null as SQL's null."""
    type = change.path.type
    made = forms.to_type(computed.value(change.value, row), type)
    text = f"nullif({made.text}, 'null')" if type is None or type.name in JSON_KINDS else made.text
    return text, list(made.params)


def part(change: Change, row: str) -> tuple[str, list[Any], str, list[str]]:
    """The value for a place in JSON with its parameters; the JSON text of it as `_v`; what must hold of it."""
    type = change.path.type
    made = forms.to_type(computed.value(change.value, row), type)
    shown = forms.to_json(forms.Sql("_v", (), made.form, made.type)).text
    field = leaf_of(change.path)
    checks = (
        [] if field is None else [f"({rule}) IS NOT FALSE" for _, rule in ddl.checks(field, "_v")]
    )
    return made.text, list(made.params), f"json(coalesce({shown}, 'null'))", checks
