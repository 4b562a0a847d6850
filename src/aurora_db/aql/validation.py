"""The rules of `@validate`, on values that have their type."""

from __future__ import annotations

from typing import Any, cast

from aurora_db.aql.catalog import Field, Validation
from aurora_db.aql.formats import FORMATS
from aurora_db.base.errors import ValidationError


def validate(field: Field, where: str, value: Any) -> None:
    """Check the rules of `@validate` on a value as it is stored; a list as plain JSON.

    Raises:
        ValidationError: naming field, rule and value.
    """
    rules = cast("Validation", field.validate)
    if field.type.name == "List":
        _size(rules, where, value)
        for n, one in enumerate(value):
            if one is not None:
                _rules(rules, f"{where}[{n}]", one)
    else:
        _rules(rules, where, value)


def _size(rules: Validation, where: str, value: Any) -> None:
    count = len(value)
    if rules.min_items is not None and count < rules.min_items:
        raise _broken(where, "minItems", f"have at least {rules.min_items} elements", count)
    if rules.max_items is not None and count > rules.max_items:
        raise _broken(where, "maxItems", f"have at most {rules.max_items} elements", count)


def _rules(rules: Validation, where: str, value: Any) -> None:
    if rules.min is not None and value < rules.min:
        raise _broken(where, "min", f"be at least {rules.min}", value)
    if rules.max is not None and value > rules.max:
        raise _broken(where, "max", f"be at most {rules.max}", value)
    if rules.min_length is not None and len(value) < rules.min_length:
        raise _broken(where, "minLength", f"have at least {rules.min_length} characters", value)
    if rules.max_length is not None and len(value) > rules.max_length:
        raise _broken(where, "maxLength", f"have at most {rules.max_length} characters", value)
    if rules.enum is not None and value not in rules.enum:
        raise _broken(where, "enum", f"be one of {', '.join(rules.enum)}", value)
    if rules.pattern is not None and not _matches(rules.pattern, value):
        raise _broken(where, "pattern", f"match {rules.pattern}", value)
    if rules.format is not None and not FORMATS[rules.format](value):
        raise _broken(where, "format", f"be a valid {rules.format}", value)


def _matches(pattern: str, value: str) -> bool:
    from aurora_db.aql import patterns  # noqa: PLC0415 - few schemas need it

    return patterns.search(pattern, value)


def _broken(where: str, rule: str, wanted: str, value: object) -> ValidationError:
    return ValidationError(
        f"field '{where}' must {wanted}, got {shown(value)}", field=where, rule=rule, value=value
    )


def shown(value: object) -> str:
    """A value as it is quoted in messages, shortened."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
