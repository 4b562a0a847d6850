"""The type table: AQL ⇄ Python ⇄ column.

`store` checks one value and gives what its column holds; `load` gives the way back. Whole
documents are checked in `checks.py`.
"""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from aurora_db.aql import suggest
from aurora_db.aql.catalog import Field, Type
from aurora_db.aql.formats import FORMATS
from aurora_db.aql.validation import shown, validate
from aurora_db.base.codec import decode, encode, instant, timestamp
from aurora_db.base.errors import TypeMismatch, UnknownEnum, UnknownField, ValidationError
from aurora_db.base.records import Priority

Store = Callable[[Any, str], Any]

NAMES: Final = (
    "String", "Int", "Float", "Boolean", "ID", "Uuid", "DateTime", "Date", "Time", "JSON", "Object",
    "Any", "Email", "URL", "PhoneNumber", "Enum",
)  # fmt: skip
#: Other spellings, in lower case. An "Array" is a list of anything: see `named`.
ALIASES: Final = {
    **{name.lower(): name for name in NAMES},
    "integer": "Int", "double": "Float", "bool": "Boolean", "array": "Array",
}  # fmt: skip

TEXT: Final = frozenset({"String", "ID", "Uuid", "Email", "URL", "PhoneNumber", "Enum"})
ORDERED: Final = frozenset({"String", "Int", "Float", "ID", "Uuid", "DateTime", "Date", "Time", "Email", "URL", "PhoneNumber", "Enum", "Priority", "Boolean"})  # fmt: skip
#: Kept as JSON text.
JSON_KINDS: Final = frozenset({"JSON", "Object", "Any", "List", "Inline"})

INT_MIN, INT_MAX = -(2**63), 2**63 - 1

#: Types of instants, for which "now" is a default.
DATES: Final = frozenset({"DateTime", "Date", "Time"})
INT: Final = Type(name="Int")
FLOAT: Final = Type(name="Float")
STRING: Final = Type(name="String")

REV: Final = Field(name="_rev", type=Type(name="Int", required=True), required=True)


def named(word: str) -> Type | None:
    """The type that a word in any case names, aliases included; None where there is none."""
    name = ALIASES.get(word.lower())
    if name == "Array":
        return Type(name="List", item=Type(name="Any"))
    return None if name is None else Type(name=name)


def type_name(type: Type) -> str:
    """The type as it is written in AQL."""
    match type.name:
        case "List":
            item = cast("Type", type.item)
            return f"[{type_name(item)}{'!' if item.required else ''}]"
        case "Inline":
            return (
                "{ "
                + " ".join(
                    f"{f.name}: {type_name(f.type)}{'!' if f.required else ''}" for f in type.fields
                )
                + " }"
            )
        case "Enum":
            return "Enum(" + ", ".join(f'"{word}"' for word in type.words) + ")"
        case name:
            return name


# --- one value ------------------------------------------------------------------------------


def mismatch(where: str, wanted: Type | str, value: object) -> TypeMismatch:
    """The error of a value that has another type than its place."""
    name = wanted if isinstance(wanted, str) else type_name(wanted)
    return TypeMismatch(f"{where} is {name}, got {kind_of(value)} {shown(value)}")


def _below(where: str, part: str) -> str:
    """The name of a place inside `where`: "field 'box'" and ".w" are "field 'box.w'"."""
    return f"{where[:-1]}{part}'" if where.endswith("'") else f"{where}{part}"


def _path(where: str) -> str:
    """The path that a place names: of "field 'box.w'" it is "box.w"."""
    return where.partition("'")[2].rpartition("'")[0] or where


def kind_of(value: object) -> str:
    """The AQL name of a Python value's type."""
    match value:
        case bool():
            return "Boolean"
        case int():
            return "Int"
        case float():
            return "Float"
        case str():
            return "String"
        case None:
            return "null"
        case Mapping():
            return "Object"
        case list() | tuple():
            return "list"
        case dt.datetime():
            return "DateTime"
        case dt.date():
            return "Date"
        case dt.time():
            return "Time"
        case _:
            return type(value).__name__


def store(type: Type, value: Any, where: str = "the value") -> Any:
    """What a column of `type` holds for `value`; null stays null.

    Raises:
        TypeMismatch: the value has another type.
        ValidationError: it has the type and breaks its form (an address, a length).
        UnknownEnum: it is not a word of the enum.
    """
    if value is None:
        return None
    return STORES[type.name](type)(value, where)


def fits(type: Type, value: Any) -> bool:
    """Whether `store` would certainly take a value, told at a glance; False leaves it to `store`."""
    kind, name = value.__class__, type.name
    if kind is str:
        return value.isascii() and (name == "String" or (name == "ID" and 0 < len(value) < 256))
    if kind is int:
        return name in ("Int", "Float") and INT_MIN <= value <= INT_MAX
    if kind is float:
        return name == "Float" and math.isfinite(value)
    if kind is list and type.item is not None:
        item = type.item
        return name == "List" and all(fits(item, one) for one in value)
    return kind is bool and name == "Boolean"


def _string(type: Type) -> Store:
    def check(value: Any, where: str) -> str:
        if not isinstance(value, str):
            raise mismatch(where, type, value)
        if "\ud800" <= max(value, default="") <= "\udfff" and any(
            "\ud800" <= c <= "\udfff" for c in value
        ):
            raise ValidationError(
                f"{where} holds half of a surrogate pair",
                field=_path(where),
                rule="text",
                value=value,
            )
        return value

    return check


def _int(type: Type) -> Store:
    def check(value: Any, where: str) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise mismatch(where, type, value)
        if not INT_MIN <= value <= INT_MAX:
            raise ValidationError(
                f"{where} is outside the range of Int, {INT_MIN} to {INT_MAX}",
                rule="range",
                value=value,
            )
        return int(value)

    return check


def _float(type: Type) -> Store:
    def check(value: Any, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise mismatch(where, type, value)
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise ValidationError(f"{where} is not a finite number", rule="finite", value=value)
        return number

    return check


def _boolean(type: Type) -> Store:
    def check(value: Any, where: str) -> int:
        if not isinstance(value, bool):
            raise mismatch(where, type, value)
        return int(value)

    return check


def _id(type: Type) -> Store:
    def check(value: Any, where: str) -> str:
        if isinstance(value, (int, uuid.UUID)) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise mismatch(where, type, value)
        if not 1 <= len(value) <= 255:
            raise ValidationError(
                f"{where} has 1 to 255 characters, got {len(value)}", rule="length", value=value
            )
        return value

    return check


def _uuid(type: Type) -> Store:
    def check(value: Any, where: str) -> str:
        if isinstance(value, uuid.UUID):
            return str(value)
        if not isinstance(value, str):
            raise mismatch(where, type, value)
        try:
            return str(uuid.UUID(value))
        except ValueError:
            raise mismatch(where, type, value) from None

    return check


def _datetime(type: Type) -> Store:
    def check(value: Any, where: str) -> str:
        if isinstance(value, str):
            try:
                # RFC 3339 allows small letters for T and Z.
                value = dt.datetime.fromisoformat(value.upper())
            except ValueError:
                raise mismatch(where, type, value) from None
        if not isinstance(value, dt.datetime):
            raise mismatch(where, "DateTime with a time zone", value)
        if value.tzinfo is None:
            raise TypeMismatch(
                f"{where} is DateTime with a time zone, got '{value.isoformat()}' without one",
                hint=f'say which, such as "{value.isoformat()}Z", or datetime(…, tzinfo=UTC)',
            )
        try:
            return timestamp(value)
        except OverflowError:
            raise ValidationError(
                f"{where} is outside the years 1 to 9999 in UTC", rule="range", value=value
            ) from None

    return check


def _iso(kind: type[dt.date | dt.time]) -> Callable[[Type], Store]:
    def of(type: Type) -> Store:
        def check(value: Any, where: str) -> str:
            if isinstance(value, str):
                try:
                    value = kind.fromisoformat(value)
                except ValueError:
                    raise mismatch(where, type, value) from None
            if not isinstance(value, kind) or isinstance(value, dt.datetime):
                raise mismatch(where, type, value)
            return value.isoformat()

        return check

    return of


def _shaped(form: str, what: str) -> Callable[[Type], Store]:
    fits = FORMATS[form]

    def of(type: Type) -> Store:
        def check(value: Any, where: str) -> str:
            if not isinstance(value, str):
                raise mismatch(where, type, value)
            if not fits(value):
                raise ValidationError(
                    f"{where} is not {what}: {shown(value)}",
                    field=_path(where),
                    rule=type.name.lower(),
                    value=value,
                )
            return value

        return check

    return of


def _enum(type: Type) -> Store:
    words = frozenset(type.words)

    def check(value: Any, where: str) -> str:
        if not isinstance(value, str):
            raise mismatch(where, type, value)
        if value not in words:
            known = ", ".join(type.words)
            raise UnknownEnum(
                f"{where} has no word '{value}'",
                hint=suggest.hint(value, type.words, f"its words are {known}"),
            )
        return value

    return check


def _priority(_type: Type) -> Store:
    words = tuple(one.name for one in Priority)

    def check(value: Any, where: str) -> int:
        try:
            return int(Priority.of(value))
        except (ValueError, AttributeError, TypeError):
            raise UnknownEnum(
                f"{where} has no word {value!r}",
                hint=suggest.hint(str(value), words, f"its words are {', '.join(words)}"),
            ) from None

    return check


def _json(_type: Type) -> Store:
    return lambda value, _where: encode(value)


def _object(type: Type) -> Store:
    def check(value: Any, where: str) -> str:
        text = encode(value)
        if not text.startswith("{"):
            raise mismatch(where, type, value)
        return text

    return check


def _structured(type: Type) -> Store:
    texts = type.item is not None and type.item.name == "String"

    def check(value: Any, where: str) -> str:
        # Lists of texts are frequent, and this is a tenth of the way through `deep`.
        if texts and value.__class__ is list and {one.__class__ for one in value} <= _TEXTS:
            try:
                return encode(value)
            except ValidationError:
                # Said below, with its place.
                pass
        return encode(deep(type, value, where))

    return check


_TEXTS: Final = frozenset({str})


def deep(type: Type, value: Any, where: str) -> Any:
    """`value` as plain JSON, checked against a list or inline object to its depth."""
    if value is None:
        return None
    if type.name == "List":
        if not isinstance(value, (list, tuple)):
            raise mismatch(where, type, value)
        return [
            _element(cast("Type", type.item), one, _below(where, f"[{n}]"))
            for n, one in enumerate(cast("list[Any]", value))
        ]
    if type.name == "Inline":
        return _inline(type, value, where)
    if type.name in JSON_KINDS:
        return decode(store(type, value, where))
    stored = store(type, value, where)
    return bool(stored) if type.name == "Boolean" else stored


def _element(type: Type, value: Any, where: str) -> Any:
    if value is None and type.required:
        raise ValidationError(f"{where} is required", field=_path(where), rule="required")
    return deep(type, value, where)


def _inline(type: Type, value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise mismatch(where, type, value)
    given = cast("Mapping[str, Any]", value)
    known = {field.name: field for field in type.fields}
    for name in given:
        if name not in known:
            raise UnknownField(
                f"no field named '{name}' in {where}", hint=suggest.hint(str(name), known)
            )
    result: dict[str, Any] = {}
    for name, field in known.items():
        inner = _below(where, f".{name}")
        one = given.get(name, field.default if field.has_default else None)
        if one is None and field.required:
            raise ValidationError(f"{inner} is required", field=_path(inner), rule="required")
        if name in given or one is not None:
            result[name] = deep(field.type, one, inner)
            if field.validate is not None and one is not None:
                validate(field, _path(inner), result[name])
    return result


#: What checks a value of each type.
STORES: Final[Mapping[str, Callable[[Type], Store]]] = {
    "String": _string, "Int": _int, "Float": _float, "Boolean": _boolean, "ID": _id, "Uuid": _uuid,
    "DateTime": _datetime, "Date": _iso(dt.date), "Time": _iso(dt.time), "JSON": _json, "Any": _json,
    "Object": _object, "Email": _shaped("email", "an e-mail address"), "URL": _shaped("url", "a URL"),
    "PhoneNumber": _shaped("phone", "a phone number such as '+4912345'"), "Enum": _enum,
    "Priority": _priority, "List": _structured, "Inline": _structured,
}  # fmt: skip


def load(type: Type) -> Callable[[Any], Any] | None:
    """What makes Python of a stored value that is not null; None where it is the value itself."""
    if type.name in JSON_KINDS:
        inner = revive(type)
        return decode if inner is None else lambda text: inner(decode(text))
    return _LOADS.get(type.name)


def revive(type: Type) -> Callable[[Any], Any] | None:
    """What makes Python of a value inside JSON, null included; None where it is the value itself.

    Booleans are JSON's own; dates stand there as text.
    """
    if type.name == "List":
        each = revive(cast("Type", type.item))
        return (
            None
            if each is None
            else lambda items: None if items is None else [each(one) for one in items]
        )
    if type.name == "Inline":
        parts = [(field.name, revive(field.type)) for field in type.fields]
        known = {name: part for name, part in parts if part is not None}
        return (lambda value: _revived(known, value)) if known else None
    if type.name in ("DateTime", "Date", "Time"):
        made = _LOADS[type.name]
        return lambda text: None if text is None else made(text)
    return None


def _revived(known: Mapping[str, Callable[[Any], Any]], value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    found = cast("Mapping[str, Any]", value)
    return {name: known[name](one) if name in known else one for name, one in found.items()}


def _word(value: int) -> str:
    return Priority(value).name


_LOADS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "Boolean": bool,
    "DateTime": instant,
    "Date": dt.date.fromisoformat,
    "Time": dt.time.fromisoformat,
    "Priority": _word,
}
