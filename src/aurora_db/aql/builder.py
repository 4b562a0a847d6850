"""The fluent builder: conditions and selections in Python become a text of AQL with variables.

The text goes the way of every other one, so a builder means what AQL means, its plan is kept by its text, and
values travel as variables. Nothing here touches a database.

    (F.age >= 18) & F["address.city"].in_(["Paris", "Oslo"])
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from aurora_db.base.errors import ValidationError

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Operators whose value is one value, whatever it looks like.
_VALUES: Final = frozenset((
    "eq", "ne", "gt", "gte", "lt", "lte", "between", "in", "nin", "notIn", "contains", "containsAny",
    "containsAll", "startsWith", "endsWith", "ieq", "icontains", "istartsWith", "iendsWith", "matches",
    "isNull", "isNotNull",
))  # fmt: skip


class Condition:
    """A condition on documents: combine with `&`, `|` and `~`."""

    __slots__ = ("where",)

    def __init__(self, where: Mapping[str, Any]) -> None:
        #: The where-object of AQL.
        self.where = where

    def __and__(self, other: Condition) -> Condition:
        return Condition({"and": [self.where, other.where]})

    def __or__(self, other: Condition) -> Condition:
        return Condition({"or": [self.where, other.where]})

    def __invert__(self) -> Condition:
        return Condition({"not": self.where})

    def __bool__(self) -> bool:
        raise TypeError(
            "a condition is not true or false by itself: use & | ~ instead of and or not"
        )

    def __repr__(self) -> str:
        return f"Condition({self.where!r})"


class FieldRef:
    """A field, or a path into one: `F.age`, `F["address.city"]`, `F.team.name`."""

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> FieldRef:
        if name.startswith("__"):
            raise AttributeError(name)
        return FieldRef(f"{self._path}.{name}")

    def __getitem__(self, name: str) -> FieldRef:
        return FieldRef(f"{self._path}.{name}")

    def _is(self, operator: str, value: object) -> Condition:
        return Condition({self._path: {operator: value}})

    def __eq__(self, value: object) -> Condition:  # type: ignore[override]
        return self._is("eq", value)

    def __ne__(self, value: object) -> Condition:  # type: ignore[override]
        return self._is("ne", value)

    __hash__ = None  # type: ignore[assignment]

    def __lt__(self, value: object) -> Condition:
        return self._is("lt", value)

    def __le__(self, value: object) -> Condition:
        return self._is("lte", value)

    def __gt__(self, value: object) -> Condition:
        return self._is("gt", value)

    def __ge__(self, value: object) -> Condition:
        return self._is("gte", value)

    def between(self, low: object, high: object) -> Condition:
        """From `low` to `high`, both included."""
        return self._is("between", [low, high])

    def in_(self, values: Iterable[object]) -> Condition:
        """One of the values, which may hold None."""
        return self._is("in", list(values))

    def not_in(self, values: Iterable[object]) -> Condition:
        """None of the values; exactly not `in_`."""
        return self._is("nin", list(values))

    def contains(self, value: object) -> Condition:
        """A part of a text, an element of a list, or keys and values of an object."""
        return self._is("contains", value)

    def contains_any(self, values: Iterable[object]) -> Condition:
        """A list with one of the values at least."""
        return self._is("containsAny", list(values))

    def contains_all(self, values: Iterable[object]) -> Condition:
        """A list with all of the values."""
        return self._is("containsAll", list(values))

    def starts_with(self, text: str, *, ignore_case: bool = False) -> Condition:
        """A text that begins with `text`."""
        return self._is("istartsWith" if ignore_case else "startsWith", text)

    def ends_with(self, text: str, *, ignore_case: bool = False) -> Condition:
        """A text that ends with `text`."""
        return self._is("iendsWith" if ignore_case else "endsWith", text)

    def equals(self, text: str, *, ignore_case: bool = False) -> Condition:
        """Equal; with `ignore_case` whatever the case of its letters."""
        return self._is("ieq" if ignore_case else "eq", text)

    def icontains(self, text: str) -> Condition:
        """A text that has `text` in it, whatever the case of its letters."""
        return self._is("icontains", text)

    def matches(self, pattern: str) -> Condition:
        """A text in which the regular expression is found."""
        return self._is("matches", pattern)

    def is_null(self, null: bool = True) -> Condition:  # noqa: FBT002 - reads as a statement
        """Missing or null; with False neither."""
        return self._is("isNull", null)

    def is_not_null(self) -> Condition:
        """Neither missing nor null."""
        return self._is("isNull", False)

    def size(self, **compared: int) -> Condition:
        """The length of a list, as `F.tags.size(gte=2)`."""
        return self._is("size", compared)

    def any(self, condition: Condition | Mapping[str, Any]) -> Condition:
        """Some element of a list of objects, or some related document, matches."""
        return self._is("some", _where(condition))

    def every(self, condition: Condition | Mapping[str, Any]) -> Condition:
        """Every element matches; of none: true."""
        return self._is("every", _where(condition))

    def none(self, condition: Condition | Mapping[str, Any]) -> Condition:
        """No element matches."""
        return self._is("none", _where(condition))

    def __repr__(self) -> str:
        return f"F[{self._path!r}]"


class _Fields:
    """The fields of any collection: `F.age`."""

    __slots__ = ()

    def __getattr__(self, name: str) -> FieldRef:
        if name.startswith("__"):
            raise AttributeError(name)
        return FieldRef(name)

    def __getitem__(self, name: str) -> FieldRef:
        return FieldRef(name)

    def __repr__(self) -> str:
        return "F"


F: Final = _Fields()


def _where(condition: Condition | Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(condition, Condition):
        return condition.where
    if isinstance(condition, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        return condition
    raise ValidationError(
        f"a filter is a condition such as F.age >= 18, or a where-object, got {condition!r}",
        rule="filter",
    )


# --- texts ----------------------------------------------------------------------------------


class Text:
    """A text of AQL while it is written, and the values of its variables."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def variable(self, value: object) -> str:
        """A new variable with this value."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"${name}"

    def where(self, where: Mapping[str, Any]) -> str:
        """A where-object; its values become variables."""
        return "{" + " ".join(self._entry(key, value) for key, value in where.items()) + "}"

    def _entry(self, key: str, value: Any) -> str:
        written = name_or_text(key)
        if value is None:
            return f"{written}: null"
        if key == "expr" and isinstance(value, str):
            return f"{written}: {json.dumps(value)}"
        if key in ("and", "or") and isinstance(value, (list, tuple)):
            parts = [self.where(_where(one)) for one in cast("Sequence[Any]", value)]
            return f"{written}: [{' '.join(parts)}]"
        if key in _VALUES or not isinstance(value, (Mapping, Condition)):
            return f"{written}: {self.variable(value)}"
        return f"{written}: {self.where(_where(value))}"

    def head(self, word: str) -> str:
        """The word of the operation with its variables, each of any type."""
        declared = " ".join(f"${name}: ValueInput" for name in self.values)
        return f"{word} ({declared})" if declared else word


def name_or_text(key: str) -> str:
    """A key of an object: a name, or a text in quotes."""
    return key if _NAME.fullmatch(key) else json.dumps(key)


class Chain(msgspec.Struct, frozen=True):
    """What a builder has been told so far. `filters` are where-objects, all of which hold."""

    collection: str
    filters: tuple[Mapping[str, Any], ...] = ()
    order: tuple[str, ...] = ()
    limit: int | None = None
    offset: int | None = None
    fields: tuple[str, ...] = ()
    computed: tuple[tuple[str, str], ...] = ()
    debounce: float = 0.0
    throttle: float = 0.0

    def filtered(self, conditions: Iterable[Condition | Mapping[str, Any]]) -> Chain:
        """With more conditions."""
        more = tuple(_where(one) for one in conditions)
        return msgspec.structs.replace(self, filters=(*self.filters, *more))

    def arguments(self, text: Text, *, order: bool = True, limits: bool = True) -> str:
        """The arguments of the query, in parentheses; nothing where there are none."""
        parts: list[str] = []
        if self.filters:
            parts.append(f"where: {self.condition(text)}")
        if order and self.order:
            keys = [f"{{field: {json.dumps(key.removeprefix('-'))} direction: {'DESC' if key.startswith('-') else 'ASC'}}}" for key in self.order]  # fmt: skip
            parts.append(f"orderBy: [{' '.join(keys)}]")
        if limits and self.limit is not None:
            parts.append(f"limit: {self.limit}")
        if limits and self.offset is not None:
            parts.append(f"offset: {self.offset}")
        return f"({' '.join(parts)})" if parts else ""

    def condition(self, text: Text) -> str:
        """All filters as one where-object."""
        if len(self.filters) == 1:
            return text.where(self.filters[0])
        return text.where({"and": list(self.filters)})

    def selection(self) -> str:
        """The selection in braces; nothing for all fields."""
        if not self.fields and not self.computed:
            return ""
        tree: dict[str, Any] = {}
        for field in self.fields:
            here = tree
            for part in field.split("."):
                here = here.setdefault(part, {})
        parts = [_branch(name, below) for name, below in tree.items()]
        parts += [f"{name}: {expression}" for name, expression in self.computed]
        return " { " + " ".join(parts) + " }"

    def query(self, selection: str | None = None, *, order: bool = True, limits: bool = True) -> tuple[str, dict[str, Any]]:  # fmt: skip
        """The text of the query and its variables; the result has the key `found`."""
        text = Text()
        arguments = self.arguments(text, order=order, limits=limits)
        shown = self.selection() if selection is None else selection
        written = f"found: {self.collection}{arguments}{shown}"
        return f"{text.head('query')} {{ {written} }}", text.values

    def root(self, text: Text, key: str, mode: str) -> str:
        """The root of a subscription, in a text that may have more of them."""
        inside = self.arguments(text).removeprefix("(").removesuffix(")")
        shown = self.selection()
        if not mode.startswith("RESULTS"):
            shown = f" {{ mutation node{shown} old{shown} changed position }}"
        return f"{key}: {self.collection}({inside}{' ' if inside else ''}mode: {mode}){shown}"

    def page(self, size: int, after: str | None, selection: str) -> tuple[str, dict[str, Any]]:
        """The text of one page after a cursor, and its variables."""
        text = Text()
        inside = self.arguments(text, limits=False).removeprefix("(").removesuffix(")")
        parts = [inside, f"first: {size}"]
        if after is not None:
            parts.append(f"after: {text.variable(after)}")
        written = f"found: {self.collection}({' '.join(parts)}){selection}"
        return f"{text.head('query')} {{ {written} }}", text.values

    def mutation(self, verb: str, more: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The text of a mutation of what matches, and its variables; the key is `done`."""
        text = Text()
        parts = [f"collection: {json.dumps(self.collection)}"]
        if self.filters:
            parts.append(f"where: {self.condition(text)}")
        parts += [f"{name}: {'true' if value is True else text.variable(value)}" for name, value in more.items()]  # fmt: skip
        return (
            f"{text.head('mutation')} {{ done: {verb}({' '.join(parts)}) {{ affected }} }}",
            text.values,
        )


def subscription(chains: Mapping[str, Chain], mode: str) -> tuple[str, dict[str, Any]]:
    """The text of one subscription to several chains by their keys, and its variables.

    `mode` is CHANGES or RESULTS, and may go on with more arguments.
    """
    text = Text()
    roots = [chain.root(text, key, mode) for key, chain in chains.items()]
    return f"{text.head('subscription')} {{ {' '.join(roots)} }}", text.values


def _branch(name: str, below: Mapping[str, Any]) -> str:
    if not below:
        return name
    return f"{name} {{ {' '.join(_branch(part, rest) for part, rest in below.items())} }}"


def checked_name(name: str, what: str) -> str:
    """A name that can stand in a text as it is.

    Raises:
        ValidationError: it cannot.
    """
    if not isinstance(cast("object", name), str):
        raise ValidationError(f"{name!r} is no name of {what}", rule="name")
    if not all(_NAME.fullmatch(part) for part in name.split(".")):
        raise ValidationError(f"{name!r} is no name of {what}", rule="name")
    return name
