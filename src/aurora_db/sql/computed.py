"""Expressions → SQL: plain SQL where the types are known and it has the words, else `aurora_call`.

A value in SQL has one of three forms: "n", a number or text as it is; "b", a Boolean as 0 or 1; "j",
the JSON text of a value whose type is known at run time only, or of a list or an object. SQL's null is
null in each, and so is JSON's. Results of numbers are guarded: out of range is null.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from aurora_db.aql import plan, types
from aurora_db.aql.catalog import Collection, Type
from aurora_db.aql.evaluate_expressions import plain, variable
from aurora_db.aql.expression_types import type_of
from aurora_db.aql.functions import NULL
from aurora_db.base.codec import encode
from aurora_db.base.records import Priority
from aurora_db.sql import expressions, forms
from aurora_db.sql.forms import Sql, said
from aurora_db.sql.statement import Bound, identifier, literal

Fragment = tuple[str, tuple[Any, ...]]

_PRIORITY: Final = " ".join(f"WHEN {one.value} THEN '{one.name}'" for one in Priority)
#: What a pure text calls that another program does not have.
_OURS: Final = re.compile(r"\baurora_\w+\(")


def column_value(
    expression: plan.Expression, collection: Collection, type: Type | None = None
) -> Fragment:
    """What a column holds for the value of an expression over the same row, and its parameters.

    A number or a text, 0 or 1 of a Boolean, JSON text of lists, objects and what is known at run
    time only; null as SQL's null. `type` is that of the column where it differs: a column of JSON.
    """
    made = value(expression, identifier(collection.name) + ".")
    if type is not None and type.name in types.JSON_KINDS:
        made = forms.to_json(made)
    return made.text, made.params


def value(expression: plan.Expression, row: str | None, *, trigger: bool = False) -> Sql:
    """The value of an expression; `row` is the table and a dot, None for NEW and OLD of a trigger.

    In a trigger there are no parameters: constants become literals.
    """
    return forms.finished(_Lowering(row, trigger=trigger).of(expression))


def ordered(expression: plan.Expression, row: str) -> Sql:
    """The value of an expression as rows are ordered by it."""
    made = value(expression, row)
    return said("({0} ->> '$')", made) if made.form == "j" else made


def is_pure(expression: plan.Expression) -> bool:
    """Whether its SQL may stand in a stored trigger: any program can run it."""
    if _looks_elsewhere(expression):
        return False
    return _OURS.search(value(expression, None, trigger=True).text) is None


def _looks_elsewhere(expression: plan.Expression) -> bool:
    """Whether it needs a variable or another document."""
    match expression:
        case plan.Variable():
            return True
        case plan.Call(arguments=parts) | plan.Items(items=parts):
            return any(map(_looks_elsewhere, parts))
        case plan.Path(hops=hops):
            return bool(hops)
        case plan.Constant():
            return False


class _Lowering:
    def __init__(self, row: str | None, *, trigger: bool) -> None:
        self._row = row
        self._trigger = trigger

    def of(self, expression: plan.Expression) -> Sql:
        match expression:
            case plan.Constant():
                return self._constant(expression)
            case plan.Variable():
                return _variable(expression)
            case plan.Path():
                return self._path(expression)
            case plan.Items(items=items, type=type):
                parts = [forms.to_json(forms.finished(self.of(one))) for one in items]
                if not parts:
                    return Sql("'[]'", (), "j", type)
                holes = " || ',' || ".join(f"coalesce({{{n}}}, 'null')" for n in range(len(parts)))
                return said(f"('[' || {holes} || ']')", *parts, form="j", type=type)
            case plan.Call():
                return self._call(expression)

    def _call(self, call: plan.Call) -> Sql:
        name = call.function
        if name == "uuid":
            return Sql(expressions.UUID7 if self._trigger else "aurora_uuid()", (), "n", call.type)
        if name == "now":
            return Sql(
                f"({expressions.NOW})" if self._trigger else "aurora_now()", (), "n", call.type
            )
        arguments = [self.of(one) for one in call.arguments]
        form = forms.FORMS.get(name)
        made = None if form is None else form(call, arguments)
        return made or forms.called(call, [forms.finished(one) for one in arguments])

    def _constant(self, constant: plan.Constant) -> Sql:
        known, type = constant.value, type_of(constant)
        if known is None:
            return Sql("NULL", (), "n", NULL)
        if isinstance(known, bool):
            return Sql("1" if known else "0", (), "b", type)
        form = "j" if isinstance(known, (list, dict)) else "n"
        stored: Any = encode(known) if form == "j" else known
        if self._trigger:
            return Sql(literal(stored), (), form, type, constant=known)
        return Sql("?", (stored,), form, type, constant=known)

    def _path(self, path: plan.Path) -> Sql:
        row = self._row
        if row is None:
            row = "OLD." if path.row == "old" else "NEW."
        type = type_of(path)
        if type is None or type.name in types.JSON_KINDS:
            text = expressions.part(path, row) if path.keys else expressions.value(path, row)
            if path.keys or path.field is None:
                text = f"({text})"
            return Sql(text, (), "j", type)
        text = expressions.value(path, row)
        if path.keys:
            text = f"CAST({text} AS REAL)" if type.name == "Float" else f"({text})"
        elif path.type is not None and path.type.name == "Priority":
            text = f"(CASE {text} {_PRIORITY} END)"
        return Sql(text, (), "b" if type.name == "Boolean" else "n", type)


def _variable(value: plan.Variable) -> Sql:
    type = type_of(value)
    form = forms.form_of(type)
    name, path = value.name, value.path

    def read(variables: Mapping[str, Any]) -> Any:
        found: Any = variables.get(name)
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        if found is None:
            return None
        if form == "j":
            return encode(plain(found) if type is None else variable(found, type))
        return types.store(type or NULL, found, f"the variable '${name}'")

    return Sql("?", (Bound(read),), form, type)


# --- conditions on computed values ----------------------------------------------------------

#: Stands for a computed value in the text of a condition, until `spliced` puts it there.
PLACE: Final = "\0"


def spliced(condition: Fragment, left: Sql) -> Fragment:
    """A condition on `PLACE` as one on a value, with the parameters in the order of the text."""
    text, params = condition
    given = iter(params)
    made: list[Any] = []
    for mark in re.findall(r"[\0?]", text):
        made += left.params if mark == PLACE else [next(given)]
    return text.replace(PLACE, left.text), tuple(made)
