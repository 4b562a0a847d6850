"""`downsample(…)` and `windowFunc(…)` → plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from aurora_db.aql import aggregates, intervals, plan, suggest, syntax
from aurora_db.aql.catalog import Collection, Type
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.operands import ANY, NUMBER, ORDERED, Operands
from aurora_db.aql.selections import Selections, key_of, refuse_directives, unique_keys
from aurora_db.aql.values import Scope
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

Amount = Callable[[syntax.Entry | None], plan.Value | None]
Ordering = Callable[[syntax.Entry | None], tuple[plan.Order, ...] | plan.OrderVariable]


def interval_of(entry: syntax.Entry, scope: Scope) -> plan.Value:
    """The argument `interval`, checked where it is known."""
    value = scope.value(entry.value)
    if isinstance(value, plan.Constant):
        try:
            known_interval(value.value)
        except TypeMismatch as error:
            raise scope.fail(TypeMismatch, error.message, entry.value.span, error.hint) from None
    return value


def known_interval(value: object) -> intervals.Interval:
    """The interval of a value.

    Raises:
        TypeMismatch: it is not a text that means one.
    """
    if not isinstance(value, str):
        raise TypeMismatch(f"an interval is a String, got {value!r}", hint='write "15m" or "1d"')
    try:
        return intervals.interval(value)
    except ValueError as error:
        raise TypeMismatch(str(error), hint='write "15m", "1d" or "month"') from None


def zone_of(entry: syntax.Entry, scope: Scope) -> plan.Value:
    """The argument `timezone`, checked where it is known."""
    value = scope.value(entry.value)
    if isinstance(value, plan.Constant):
        try:
            known_zone(value.value)
        except UnknownEnum as error:
            raise scope.fail(UnknownEnum, error.message, entry.value.span, error.hint) from None
    return value


def known_zone(value: object) -> str:
    """The name of a time zone, checked; UTC for null.

    Raises:
        UnknownEnum: the system's time zone database has none of this name.
    """
    if value is None:
        return "UTC"
    try:
        intervals.zone(value if isinstance(value, str) else repr(value))
    except ValueError as error:
        raise UnknownEnum(str(error), hint="name one as 'Europe/Paris' or 'UTC'") from None
    return str(value)


def known_word(argument: str, value: object, words: tuple[str, ...]) -> str:
    """An enum word that a variable gave, whatever its case.

    Raises:
        UnknownEnum: it is none of `words`.
    """
    for word in words:
        if isinstance(value, str) and value.casefold() == word.casefold():
            return word
    raise UnknownEnum(
        f"'{argument}' has no word {value!r}",
        hint=suggest.hint(str(value), words, f"its words are {', '.join(words)}"),
    )


class Series:
    """Resolves the series of one collection."""

    def __init__(
        self,
        collection: Collection,
        scope: Scope,
        conditions: Conditions,
        selections: Selections,
    ) -> None:
        self._collection = collection
        self._scope = scope
        self._conditions = conditions
        self._selections = selections
        self._operands = Operands(conditions, scope)

    # --- downsample -------------------------------------------------------------------------

    def downsample(self, field: syntax.FieldSelection) -> plan.Downsample:
        """The plan of one `downsample`."""
        scope = self._scope
        refuse_directives(scope, field.directives)
        given = scope.arguments("downsample", field.arguments, DOWNSAMPLE)
        interval = scope.needed("downsample", given, "interval", field.name.span)
        word = plan.Constant("avg")
        if "aggregation" in given:
            word = self._word(given["aggregation"], tuple(AGGREGATIONS))
        name, value = "", None
        if "field" in given or "expr" in given or word != plan.Constant("count"):
            wants = ANY if isinstance(word, plan.Variable) else AGGREGATIONS[str(word.value)]
            name, value = self._operands.of("downsample", given, wants, field.name)
        fill = plan.Constant("NONE") if "fill" not in given else self._word(given["fill"], FILLS)
        return plan.Downsample(
            key=key_of(field),
            time=self._time(given.get("time"), field),
            interval=interval_of(interval, scope),
            value=value,
            keys=self._keys(field, name),
            aggregation=word,
            fill=fill,
            timezone=None if "timezone" not in given else zone_of(given["timezone"], scope),
        )

    def _word(self, entry: syntax.Entry, words: tuple[str, ...]) -> plan.Constant | plan.Variable:
        if isinstance(entry.value, syntax.VariableRef):
            value = self._scope.value(entry.value)
            assert isinstance(value, plan.Variable)
            return value
        return plan.Constant(self._operands.word(entry, words))

    def _time(self, entry: syntax.Entry | None, field: syntax.FieldSelection) -> plan.Path:
        if entry is not None:
            name, path = self._operands.field(entry.value)
            if path.type is None or path.type.name != "DateTime":
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

    def _keys(self, field: syntax.FieldSelection, name: str) -> tuple[tuple[str, str], ...]:
        """Pairs of a key and what it shows; without a selection all, the value under its field's name."""
        scope = self._scope
        fields = list(field.selection or ())
        if not fields:
            keys = [("timestamp", "timestamp"), ("count", "count")]
            if name in ("timestamp", "count"):
                raise scope.fail(
                    DuplicateAlias, f"two results would have the key '{name}'", field.name.span,
                    "select them: { timestamp count v: value }",
                )  # fmt: skip
            return tuple(keys + ([(name, "value")] if name else []))
        unique_keys(scope, fields, [key_of(one) for one in fields])
        for one in fields:
            refuse_directives(scope, one.directives)
            scope.arguments(one.name.text, one.arguments, {})
            known = (*SHOWN, name) if name else SHOWN[:2]
            if one.name.text not in known or one.selection:
                raise scope.fail(
                    UnknownField, f"no field named '{one.name.text}' in downsample", one.name.span,
                    suggest.hint(one.name.text, known, f"it has {', '.join(known)}"),
                )  # fmt: skip
        return tuple(
            (key_of(one), one.name.text if one.name.text in SHOWN else "value") for one in fields
        )

    # --- windowFunc -------------------------------------------------------------------------

    def window(
        self, field: syntax.FieldSelection, amount: Amount, ordering: Ordering
    ) -> plan.Window:
        """The plan of one `windowFunc`."""
        scope = self._scope
        refuse_directives(scope, field.directives)
        given = scope.arguments("windowFunc", field.arguments, WINDOW)
        entry = scope.needed("windowFunc", given, "function", field.name.span)
        function = self._operands.word(entry, tuple(FUNCTIONS))
        of = None
        if function != "rowNumber":
            _, of = self._operands.of(function, given, FUNCTIONS[function], field.name)
        self._refuse_of_row_number(function, given)
        size = self._size(function, given, amount, field)
        partition = (
            ()
            if "partitionBy" not in given
            else tuple(path for _, path in self._operands.fields(given["partitionBy"].value))
        )
        order = ordering(given.get("orderBy"))
        if isinstance(order, plan.OrderVariable):
            raise scope.unsupported("a variable for this whole orderBy is", given["orderBy"].span)
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
        amount: Amount,
        field: syntax.FieldSelection,
    ) -> plan.Value | None:
        entry = given.get("windowSize")
        if entry is None and function.startswith("rolling"):
            raise self._scope.fail(
                MissingArgument, f"{function} needs the argument 'windowSize'", field.name.span,
                "say how many documents it looks back over, itself included: windowSize: 7",
            )  # fmt: skip
        size = amount(entry)
        if entry is not None and (size is None or size == plan.Constant(0)):
            raise self._scope.fail(
                TypeMismatch, "'windowSize' is a whole number from 1", entry.value.span
            )
        return size

    def _outputs(self, field: syntax.FieldSelection) -> tuple[tuple[plan.Output, ...], str, int]:
        """The stored fields that are selected, and the key and place of the value among them."""
        fields = list(field.selection or ())
        if not fields:
            id = self._collection.fields[0]
            return (plan.Output(id.name, plan.Path(id, (), id.type)),), "value", 1
        unique_keys(self._scope, fields, [key_of(one) for one in fields])
        values = [n for n, one in enumerate(fields) if one.name.text == "value"]
        if len(values) != 1:
            raise self._scope.fail(
                UnknownField, "the selection of windowFunc shows its 'value' once", field.name.span,
                "write { id value }",
            )  # fmt: skip
        place = values[0]
        refuse_directives(self._scope, fields[place].directives)
        self._scope.arguments("value", fields[place].arguments, {})
        rest = tuple(one for one in fields if one.name.text != "value")
        outputs = self._selections.outputs(rest) if rest else ()
        return outputs, key_of(fields[place]), place


def result_type(part: plan.Downsample | plan.Window, function: str) -> Type | None:
    """The type of the value of a series; None where it is known from the values only."""
    match function:
        case "count" | "rowNumber":
            return aggregates.INT
        case "avg" | "rollingAvg":
            return aggregates.FLOAT
        case _:
            return aggregates.type_of(part.value if isinstance(part, plan.Downsample) else part.of)
