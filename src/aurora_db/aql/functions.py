"""The function table: what every function of expressions is called, takes, gives and means.

One entry for each function, as data. `python` is its meaning, used by `evaluate_expressions` and by the
SQL function `aurora_call`; `sql/forms.py` says which can be said in plain SQL, by the name in this
table. Operators are functions: `a + b` is `add(a, b)`.

An argument that is null gives null, unless the entry says `nulls`; so does what goes wrong at run time:
a wrong type, division by zero, overflow, a bad date.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from aurora_db.aql import functions_list as lists
from aurora_db.aql import functions_number as numbers
from aurora_db.aql import functions_text as texts
from aurora_db.aql import functions_time as times
from aurora_db.aql import types
from aurora_db.aql.catalog import Type
from aurora_db.aql.comparing import WrongValue, kept

Types = Sequence[Type | None]

#: The type of the literal `null`: it fits anywhere.
NULL = Type("Null")
STRING, INT, FLOAT, BOOLEAN = Type("String"), Type("Int"), Type("Float"), Type("Boolean")
DATETIME, UUID, TEXTS = Type("DateTime"), Type("Uuid"), Type("List", item=Type("String"))

#: The types that each kind of parameter takes, beside what is untyped.
KINDS: Final = {
    "any": None,
    "text": types.TEXT,
    "number": frozenset({"Int", "Float"}),
    "whole": frozenset({"Int"}),
    "list": frozenset({"List"}),
    "text or list": types.TEXT | {"List"},
    "number, text or list": types.ORDERED | {"List"},
    "object or list": frozenset({"Inline", "Object", "List"}),
    "date": frozenset({"DateTime", "Date", "String"}),
    "time": frozenset({"DateTime", "Time", "String"}),
    "date or number": frozenset({"DateTime", "Date", "String", "Int", "Float"}),
    "text or number": types.TEXT | {"Int", "Float", "Boolean"},
    "text or whole": types.TEXT | {"Int"},
}
#: Types whose values are known at run time only.
UNTYPED: Final = frozenset({"JSON", "Any"})


class Parameter(msgspec.Struct, frozen=True):
    """One argument: its name, its kind, and whether it may be absent."""

    name: str
    kind: str = "any"
    optional: bool = False


class Function(msgspec.Struct, frozen=True):
    """One entry. `rest` is the parameter that may come any number of times after the others."""

    name: str
    group: str
    parameters: tuple[Parameter, ...]
    result: Callable[[Types], Type | None]
    python: Callable[..., Any]
    text: str
    rest: Parameter | None = None
    #: Null arguments are given to the function.
    nulls: bool = False
    #: The same arguments give the same result.
    deterministic: bool = True
    synonyms: tuple[str, ...] = ()
    #: Operators and what we make ourselves: not called by name in a text.
    internal: bool = False

    @property
    def least(self) -> int:
        """How many arguments there must be."""
        needed = sum(not one.optional for one in self.parameters)
        return needed + (self.rest is not None and not self.rest.optional)

    @property
    def most(self) -> int | None:
        """How many arguments there may be; None without limit."""
        return None if self.rest is not None else len(self.parameters)

    def parameter(self, place: int) -> Parameter:
        """The parameter that the argument at a place belongs to."""
        if place < len(self.parameters):
            return self.parameters[place]
        assert self.rest is not None
        return self.rest

    @property
    def signature(self) -> str:
        """The call as it is written: `round(number, decimals?)`."""
        names = [one.name + ("?" if one.optional else "") for one in self.parameters]
        names += [] if self.rest is None else [f"{self.rest.name}, …"]
        return f"{self.name}({', '.join(names)})"


def call(function: Function, arguments: Sequence[Any]) -> Any:
    """The result of a function of the table for values of Python; null where it has none."""
    if not function.nulls and None in arguments:
        return None
    try:
        return kept(function.python(*arguments))
    except (WrongValue, ArithmeticError, ValueError):
        # What goes wrong at run time is null: that is the rule of the language.
        return None


def fit(type: Type | None, value: Any) -> Any:
    """A result in the form of its static type: an Int where a Float is due becomes one."""
    if type is not None and type.name == "Float" and value is not None:
        return float(value)
    return value


# --- types of results -----------------------------------------------------------------------


def _always(type: Type | None) -> Callable[[Types], Type | None]:
    return lambda _given: type


def _number(given: Types) -> Type | None:
    """Int of Ints, Float where one is a Float."""
    names = {None if one is None else one.name for one in given} - {"Null"}
    if names == {"Int"}:
        return INT
    return FLOAT if names and names <= {"Int", "Float"} else None


def _sum(given: Types) -> Type | None:
    if all(one is not None and one.name in types.TEXT for one in given):
        return STRING
    return _number(given)


def _first(given: Types) -> Type | None:
    return given[0]


def _power(given: Types) -> Type | None:
    # An Int to a negative power is a Float: known at run time only.
    made = _number(given)
    return None if made == INT else made


def _round(given: Types) -> Type | None:
    return INT if len(given) == 1 else given[0]


def unified(given: Types) -> Type | None:
    """The type that values of all these types have; None where it is known at run time only."""
    known = [one for one in given if one != NULL]
    names = {one.name for one in known if one is not None}
    if None in known or not names:
        return None
    if all(one == known[0] for one in known):
        return known[0]
    if names <= types.TEXT:
        return STRING
    return FLOAT if names == {"Int", "Float"} else None


def _item(given: Types) -> Type | None:
    return given[0].item if given[0] is not None and given[0].name == "List" else None


def _item_number(given: Types) -> Type | None:
    item = _item(given)
    return item if item is not None and item.name in ("Int", "Float") else None


def _extreme(given: Types) -> Type | None:
    if len(given) == 1:
        return _item(given)
    return unified(given)


def _if(given: Types) -> Type | None:
    return unified(given[1:])


def _case(given: Types) -> Type | None:
    values = [one for n, one in enumerate(given) if n % 2 or n == len(given) - 1]
    return unified(values)


def _dated(given: Types) -> Type | None:
    return given[0] if given[0] is None or given[0].name in ("DateTime", "Date") else STRING


# --- the table ------------------------------------------------------------------------------


def _parameters(written: str) -> tuple[Parameter, ...]:
    """`name: kind` separated by commas; a question mark after the name: may be absent."""
    made: list[Parameter] = []
    for one in filter(None, written.split(";")):
        name, _, kind = one.strip().partition(": ")
        made.append(Parameter(name.rstrip("?"), kind or "any", name.endswith("?")))
    return tuple(made)


def _f(
    group: str, name: str, parameters: str, result: Callable[[Types], Type | None] | Type | None, python: Callable[..., Any], text: str,
    *, rest: str | None = None, nulls: bool = False, synonyms: str = "", internal: bool = False,
    deterministic: bool = True,
) -> Function:  # fmt: skip
    rule = _always(result) if result is None or isinstance(result, Type) else result
    return Function(
        name, group, _parameters(parameters), rule, python, text,
        rest=None if rest is None else _parameters(rest)[0], nulls=nulls, deterministic=deterministic,
        synonyms=tuple(synonyms.split()), internal=internal,
    )  # fmt: skip


def _here(*_arguments: Any) -> Any:
    raise AssertionError("known to the evaluation only")


def _format(pattern: Any, *values: Any) -> Any:
    return None if pattern is None else texts.format(pattern, *values)


def _map(values: Any, function: Any, *rest: Any) -> Any:
    each = NAMES.get(texts.text(function))
    count = 1 + len(rest)
    if each is None or count < each.least or (each.most is not None and count > each.most):
        raise WrongValue

    def call_each(*arguments: Any) -> Any:
        return call(each, arguments)

    return lists.mapped(call_each, values, *rest)


_TABLE: Final = (
    # text
    _f("text", "concat", "", STRING, texts.concat, "the texts of all values joined; null as nothing", rest="value", nulls=True),
    _f("text", "template", "", STRING, texts.concat, "what a template is made of", rest="value", nulls=True, internal=True),
    _f("text", "uppercase", "text: text", STRING, texts.upper, "in upper case", synonyms="upper"),
    _f("text", "lowercase", "text: text", STRING, texts.lower, "in lower case", synonyms="lower"),
    _f("text", "trim", "text: text", STRING, texts.trim, "without white space at both ends"),
    _f("text", "substring", "text: text; from: whole; length?: whole", STRING, texts.substring, "so many characters from a place, counted from 0, negative from the end"),
    _f("text", "replace", "text: text; old: text; new: text", STRING, texts.replace, "every `old` replaced by `new`"),
    _f("text", "length", "value: text or list", INT, texts.length, "characters of a text, elements of a list", synonyms="len"),
    _f("text", "split", "text: text; separator: text", TEXTS, texts.split, "the list of the parts between separators"),
    _f("text", "join", "list: list; separator?: text", STRING, texts.join, "the elements as one text with a separator between them; nulls left out"),
    _f("text", "startsWith", "text: text; start: text", BOOLEAN, texts.starts_with, "whether the text begins so"),
    _f("text", "endsWith", "text: text; end: text", BOOLEAN, texts.ends_with, "whether the text ends so"),
    _f("text", "contains", "value: text or list; part", BOOLEAN, texts.contains, "whether a text has this part, a list this element"),
    _f("text", "truncate", "text: text; size: whole", STRING, texts.truncate, "at most so many characters; where something is cut the last one is …"),
    _f("text", "padLeft", "text: text; size: whole; fill?: text", STRING, texts.pad_left, "at least so many characters, filled on the left"),
    _f("text", "padRight", "text: text; size: whole; fill?: text", STRING, texts.pad_right, "at least so many characters, filled on the right"),
    _f("text", "format", "pattern: text", STRING, _format, "the pattern with {} replaced by the values in turn, {0} by the first; {{ is a brace", rest="value?", nulls=True),
    _f("text", "slug", "text: text", STRING, texts.slug, "lower-case ASCII letters and digits with hyphens between"),
    # number
    _f("number", "add", "a; b", _sum, numbers.add, "a + b: the sum, or two texts joined"),
    _f("number", "subtract", "a: number; b: number", _number, numbers.subtract, "a - b"),
    _f("number", "multiply", "a: number; b: number", _number, numbers.multiply, "a * b"),
    _f("number", "divide", "a: number; b: number", FLOAT, numbers.divide, "a / b, always a Float; by zero null"),
    _f("number", "mod", "a: number; b: number", _number, numbers.mod, "a % b: the remainder with the sign of a"),
    _f("number", "negate", "a: number", _number, numbers.negate, "-a", internal=True),
    _f("number", "abs", "number: number", _first, numbers.absolute, "without its sign"),
    _f("number", "round", "number: number; decimals?: whole", _round, numbers.rounded, "to so many decimals, halves away from zero; without decimals an Int"),
    _f("number", "floor", "number: number", INT, numbers.floor, "the greatest Int that is not above"),
    _f("number", "ceil", "number: number", INT, numbers.ceil, "the least Int that is not below"),
    _f("number", "min", "value: number, text or list", _extreme, lists.least, "the least of the values, or of one list", rest="value?", nulls=True),
    _f("number", "max", "value: number, text or list", _extreme, lists.greatest, "the greatest of the values, or of one list", rest="value?", nulls=True),
    _f("number", "pow", "base: number; exponent: number", _power, numbers.power, "base to the power of exponent"),
    _f("number", "sqrt", "number: number", FLOAT, numbers.square_root, "the square root; of a negative number null"),
    _f("number", "sign", "number: number", INT, numbers.sign, "-1, 0 or 1"),
    # logic
    _f("logic", "if", "condition; then; else?", _if, numbers.choose, "then if the condition is true, else the other", nulls=True),
    _f("logic", "and", "", BOOLEAN, numbers.both, "a && b: whether all are true", rest="value", nulls=True),
    _f("logic", "or", "", BOOLEAN, numbers.either, "a || b: whether one is true", rest="value", nulls=True),
    _f("logic", "not", "value", BOOLEAN, numbers.negation, "!a: whether it is not true", nulls=True),
    _f("logic", "eq", "a; b", BOOLEAN, numbers.equal, "a == b"),
    _f("logic", "ne", "a; b", BOOLEAN, numbers.not_equal, "a != b"),
    _f("logic", "gt", "a; b", BOOLEAN, numbers.greater, "a > b"),
    _f("logic", "gte", "a; b", BOOLEAN, numbers.at_least, "a >= b"),
    _f("logic", "lt", "a; b", BOOLEAN, numbers.less, "a < b"),
    _f("logic", "lte", "a; b", BOOLEAN, numbers.at_most, "a <= b"),
    _f("logic", "isNull", "value", BOOLEAN, numbers.is_null, "whether it is null or missing", nulls=True),
    _f("logic", "isNotNull", "value", BOOLEAN, numbers.is_not_null, "whether it is there", nulls=True),
    _f("logic", "coalesce", "", unified, numbers.coalesce, "the first value that is not null", rest="value", nulls=True),
    _f("logic", "case", "when; then", _case, numbers.case, "the value after the first true condition, else the last one", rest="value?", nulls=True),
    # list
    _f("list", "first", "list: list", _item, lists.first, "the first element"),
    _f("list", "last", "list: list", _item, lists.last, "the last element"),
    _f("list", "count", "list: list", INT, lists.count, "how many elements"),
    _f("list", "sum", "list: list", _item_number, lists.total, "the sum of the elements; nulls are passed over"),
    _f("list", "avg", "list: list", FLOAT, lists.average, "the mean of the elements; of none null"),
    _f("list", "pluck", "list: list; field: text", None, lists.pluck, "the value of a field, or at a path, in each element"),
    _f("list", "filter", "list: list; field: text; value", _first, lists.where, "the elements whose field has this value", nulls=True),
    _f("list", "map", "list: list; function: text", None, _map, "what a function, named in quotes, gives for each element", rest="value?"),
    _f("list", "sort", "list: list; direction?: text", _first, lists.ordered, 'the elements in order, nulls first; "DESC" the other way round'),
    _f("list", "unique", "list: list", _first, lists.unique, "each element once"),
    _f("list", "slice", "value: text or list; from: whole; to?: whole", _first, lists.part, "the part from a place up to another, counted from 0, negative from the end"),
    # time
    _f("time", "now", "", DATETIME, _here, "the present, the same for the whole transaction"),
    _f("time", "dateAdd", "date: date; amount: whole; unit: text", _dated, times.date_add, "so many units later"),
    _f("time", "dateDiff", "a: date; b: date; unit: text", INT, times.date_diff, "whole units from b to a"),
    _f("time", "year", "date: date", INT, times.year, "the year"),
    _f("time", "month", "date: date", INT, times.month, "the month, 1 to 12"),
    _f("time", "day", "date: date", INT, times.day, "the day of the month"),
    _f("time", "hour", "time: time", INT, times.hour, "the hour, 0 to 23"),
    _f("time", "minute", "time: time", INT, times.minute, "the minute"),
    _f("time", "second", "time: time", INT, times.second, "the second"),
    _f("time", "weekday", "date: date", INT, times.weekday, "the day of the week, Monday 1 to Sunday 7"),
    _f("time", "formatDate", "date: date; pattern: text", STRING, times.format_date, "the date as a text: YYYY-MM-DD HH:mm:ss, or %Y-%m-%d; plain letters stand in [brackets]"),
    _f("time", "startOf", "date: date; unit: text", _dated, times.start_of, "the beginning of the unit it lies in"),
    # convert
    _f("convert", "toString", "value", STRING, times.to_string, "as a text"),
    _f("convert", "toInt", "value: text or number", INT, times.to_int, "a number without its fraction, or what a text says"),
    _f("convert", "toFloat", "value: text or number", FLOAT, times.to_float, "as a Float"),
    _f("convert", "toBoolean", "value", BOOLEAN, times.to_boolean, "the truth of a value; of a text what it says: true, yes, on, 1, false, no, off, 0"),
    _f("convert", "toDateTime", "value: date or number", DATETIME, times.to_datetime, "the instant of a text, a day, or seconds since 1970"),
    _f("convert", "toJSON", "value", STRING, times.to_json, "the JSON text of a value", nulls=True),
    # other
    _f("other", "uuid", "", UUID, _here, "a new UUID for each document", deterministic=False),
    _f("other", "hash", "value; algorithm?: text", STRING, times.hashed, "SHA-256 in hexadecimal"),
    _f("other", "get", "value: object or list; path: text or whole", None, lists.get, 'the value at a path such as "a.b" or "lines.0.name"'),
    _f("other", "typed", "value; type: text", None, times.as_type, "the value if it has a type, else null", internal=True),
)  # fmt: skip

TABLE: Final = {one.name: one for one in _TABLE}
#: Every name that a text may call, synonyms included.
NAMES: Final = {
    name: one for one in _TABLE for name in (one.name, *one.synonyms) if not one.internal
}


__all__ = ["KINDS", "NAMES", "NULL", "TABLE", "Function", "Parameter", "call", "fit", "unified"]
