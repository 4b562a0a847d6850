"""`downsample(…)` and `windowFunc(…)` → plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aurora_db.aql import aggregates, intervals, plan, suggest, syntax
from aurora_db.aql.catalog import Collection, Type
from aurora_db.aql.directives import fields_of
from aurora_db.aql.operands import ANY, NUMBER, ORDERED, Operands, type_of
from aurora_db.aql.orders import Orders, amount
from aurora_db.aql.selections import Selections, key_of
from aurora_db.aql.values import Scope
from aurora_db.aql.words import words
from aurora_db.base.errors import (
    DuplicateAlias,
    MissingArgument,
    TypeMismatch,
    UnknownArgument,
    UnknownEnum,
    UnknownField,
)

DOWNSAMPLE: Final = {
    name: name for name in ("interval", "field", "expr", "aggregation", "time", "fill", "timezone")
}
WINDOW: Final = {
    name: name for name in ("field", "expr", "function", "windowSize", "partitionBy", "orderBy")
}
#: What each word of `aggregation` asks of its values.
AGGREGATIONS: Final = {
    "avg": NUMBER, "sum": NUMBER, "min": ORDERED, "max": ORDERED, "count": ANY, "first": ANY, "last": ANY,
}  # fmt: skip
FILLS: Final = ("NONE", "NULL", "PREVIOUS")
#: Names of the field that says when, the first one declared as DateTime is taken.
TIMES: Final = ("timestamp", "ts", "created_at", "at", "time")

FUNCTIONS: Final = {
    "rollingAvg": NUMBER, "rollingSum": NUMBER, "rollingMin": ORDERED, "rollingMax": ORDERED,
    "rowNumber": ANY, "lag": ANY, "lead": ANY, "delta": NUMBER,
}  # fmt: skip
#: What an entry of `downsample` may show.
SHOWN: Final = ("timestamp", "count", "value")


def interval_of(entry: syntax.Entry, scope: Scope) -> str:
    """The argument `interval`, checked; "1d" while its variable is not known.

    Raises:
        TypeMismatch: it means no interval.
    """
    value = scope.shape(entry.value)
    if value is None:
        return "1d"
    text = value.value if isinstance(value, syntax.StringLiteral) else None
    try:
        intervals.interval(text or "")
    except ValueError as error:
        message = str(error) if text else "an interval is a String"
        raise scope.fail(
            TypeMismatch, message, entry.value.span, 'write "15m", "1d" or "month"'
        ) from None
    return text or ""


def zone_of(entry: syntax.Entry, scope: Scope) -> str | None:
    """The argument `timezone`, checked; None for null, and while its variable is not known.

    Raises:
        UnknownEnum: the system's time zone database has none of this name.
    """
    value = scope.shape(entry.value)
    if value is None or isinstance(value, syntax.NullLiteral):
        return None
    text = value.value if isinstance(value, syntax.StringLiteral) else ""
    try:
        intervals.zone(text)
    except ValueError as error:
        raise scope.fail(
            UnknownEnum, str(error), entry.value.span, 'name one as "Europe/Paris" or "UTC"'
        ) from None
    return text


class Series:
    """Resolves the series of one collection."""

    def __init__(self, collection: Collection, scope: Scope, operands: Operands) -> None:
        self._collection = collection
        self._scope = scope
        self._selections = Selections(collection, scope)
        self._orders = Orders(collection, scope)
        self._operands = operands

    # --- downsample -------------------------------------------------------------------------

    def downsample(self, field: syntax.FieldSelection) -> plan.Downsample:
        """The plan of one `downsample`."""
        scope = self._scope
        given = scope.arguments("downsample", field.arguments, DOWNSAMPLE)
        interval = scope.needed("downsample", given, "interval", field.name.span)
        word: str | None = "avg"
        if "aggregation" in given:
            word = self._operands.word(given["aggregation"], tuple(AGGREGATIONS))
        name, value = "", None
        if "field" in given or "expr" in given or word not in ("count", None):
            wants = ANY if word is None else AGGREGATIONS[word]
            name, value = self._operands.of("downsample", given, wants, field.name)
        fill = None if "fill" not in given else self._operands.word(given["fill"], FILLS)
        return plan.Downsample(
            key=key_of(field),
            time=self._time(given.get("time"), field),
            interval=interval_of(interval, scope),
            value=value,
            keys=self._keys(field, name, valued=value is not None),
            aggregation=word or "count",
            fill=fill or "NONE",
            timezone=None if "timezone" not in given else zone_of(given["timezone"], scope),
        )

    def _time(self, entry: syntax.Entry | None, field: syntax.FieldSelection) -> plan.Path:
        if entry is not None:
            name, path = self._operands.field(entry.value)
            type = type_of(path)
            if not isinstance(path, plan.Path):  # a variable that is not known yet
                return plan.Path(None, ("",))
            if type is None or type.name != "DateTime":
                raise self._scope.fail(
                    TypeMismatch, f"'time' is a DateTime, and '{name}' is not", entry.value.span,
                    self._times_hint(),
                )  # fmt: skip
            return path
        for name in TIMES:
            known = self._collection.field(name)
            if known is not None and known.type.name == "DateTime":
                return plan.Path(known, (), known.type)
        raise self._scope.fail(
            MissingArgument, "downsample needs the argument 'time'", field.name.span,
            self._times_hint(),
        )  # fmt: skip

    def _times_hint(self) -> str:
        known = [one.name for one in self._collection.fields if one.type.name == "DateTime"]
        if not known:
            return f"declare a DateTime in '{self._collection.name}'"
        return f'write time: "{known[0]}"'

    def _keys(
        self, field: syntax.FieldSelection, name: str, *, valued: bool
    ) -> tuple[tuple[str, str], ...]:
        """Pairs of a key and what it shows; without a selection all, the value under its field's name."""
        scope = self._scope
        fields = words(self._scope, field.selection)
        if not field.selection:
            keys = [("timestamp", "timestamp"), ("count", "count")]
            name = name or ("value" if valued else "")
            if name in ("timestamp", "count"):
                raise scope.fail(
                    DuplicateAlias, f"two results would have the key '{name}'", field.name.span,
                    "select them: { timestamp count v: value }",
                )  # fmt: skip
            return tuple(keys + ([(name, "value")] if name else []))
        for one in fields:
            scope.arguments(one.name.text, one.arguments, {})
            known = ((*SHOWN, name) if name else SHOWN) if valued else SHOWN[:2]
            if one.name.text not in known or one.selection:
                raise scope.fail(
                    UnknownField, f"no field named '{one.name.text}' in downsample", one.name.span,
                    suggest.hint(one.name.text, known, f"it has {', '.join(known)}"),
                )  # fmt: skip
        return tuple(
            (key_of(one), one.name.text if one.name.text in SHOWN else "value") for one in fields
        )

    # --- windowFunc -------------------------------------------------------------------------

    def window(self, field: syntax.FieldSelection) -> plan.Window:
        """The plan of one `windowFunc`."""
        scope = self._scope
        given = scope.arguments("windowFunc", field.arguments, WINDOW)
        entry = scope.needed("windowFunc", given, "function", field.name.span)
        function = self._operands.word(entry, tuple(FUNCTIONS))
        of = None
        if function not in ("rowNumber", None) or "field" in given or "expr" in given:
            wants = ANY if function is None else FUNCTIONS[function]
            _, of = self._operands.of(function or "windowFunc", given, wants, field.name)
        # While the function is not known, the rest is checked as that of one that takes everything.
        function = function or "lag"
        self._refuse_of_row_number(function, given)
        size = self._size(function, given, field)
        partition = (
            ()
            if "partitionBy" not in given
            else tuple(path for _, path in self._operands.fields(given["partitionBy"].value))
        )
        order = self._orders.order(given.get("orderBy"))
        outputs, key, place = self._outputs(field)
        return plan.Window(
            key=key_of(field), function=function, of=of, outputs=outputs, value_key=key,
            value_place=place, size=size, partition=partition, order=order,
        )  # fmt: skip

    def _refuse_of_row_number(self, function: str, given: Mapping[str, syntax.Entry]) -> None:
        for name in ("field", "expr", "windowSize"):
            if function == "rowNumber" and name in given:
                raise self._scope.fail(
                    UnknownArgument, f"rowNumber has no argument '{name}'", given[name].key.span,
                    "it counts documents; leave the argument",
                )  # fmt: skip

    def _size(
        self,
        function: str,
        given: Mapping[str, syntax.Entry],
        field: syntax.FieldSelection,
    ) -> plan.Value | None:
        entry = given.get("windowSize")
        if entry is None and function.startswith("rolling"):
            raise self._scope.fail(
                MissingArgument, f"{function} needs the argument 'windowSize'", field.name.span,
                "say how many documents it looks back over, itself included: windowSize: 7",
            )  # fmt: skip
        size = amount(self._scope, entry)
        if entry is not None and (size is None or size == plan.Constant(0)):
            raise self._scope.fail(
                TypeMismatch, "'windowSize' is a whole number from 1", entry.value.span
            )
        return size

    def _outputs(self, field: syntax.FieldSelection) -> tuple[tuple[plan.Selected, ...], str, int]:
        """The stored fields that are selected, and the key and place of the value among them."""
        fields = fields_of(self._scope, field.selection or (), self._collection.name)
        if not fields:
            id = self._collection.fields[0]
            return (plan.Output(id.name, plan.Path(id, (), id.type)),), "value", 1
        values = [one for one in fields if _is_value(one)]
        if len(values) != 1:
            raise self._scope.fail(
                UnknownField, "the selection of windowFunc shows its 'value' once", field.name.span,
                "write { id value }",
            )  # fmt: skip
        (value,) = values
        assert isinstance(value, syntax.FieldSelection)
        self._scope.arguments("value", value.arguments, {})
        rest = tuple(one for one in fields if one is not value)
        outputs = self._selections.outputs(rest) if rest else ()
        return outputs, key_of(value), fields.index(value)


def _is_value(field: syntax.FieldSelection | syntax.Computed) -> bool:
    return isinstance(field, syntax.FieldSelection) and field.name.text == "value"


def result_type(part: plan.Downsample | plan.Window, function: str) -> Type | None:
    """The type of the value of a series; None where it is known from the values only."""
    match function:
        case "count" | "rowNumber":
            return aggregates.INT
        case "avg" | "rollingAvg":
            return aggregates.FLOAT
        case _:
            return type_of(part.value if isinstance(part, plan.Downsample) else part.of)
