"""A collection as Python says it → the text of its definition, which is resolved as any other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from aurora_db.aql import define, parser, syntax
from aurora_db.base.errors import SchemaError, TypeMismatch


def definition(
    name: str, fields: Mapping[str, str], rules: Iterable[str], *, flexible: bool
) -> str:
    """The text of `define collection`.

    Args:
        name: the collection's.
        fields: by name what stands after the colon: `"String! @unique"`, `"Int = 3"`.
        rules: `"@@index(fields: [a, b])"` and `"@@unique(…)"`.
        flexible: whether undeclared fields are kept.

    Raises:
        SchemaError, TypeMismatch: a part is more or less than what should stand there.
        AqlSyntaxError: a part is not AQL; line and column count in the text made here.
    """
    if not isinstance(cast("object", fields), Mapping) or isinstance(rules, str):
        raise TypeMismatch(
            'fields are an object, rules a list: {"title": "String!"}, ["@@index(…)"]'
        )
    lines = [f"  {_name(one, 'field')}: {_text(kind, one)}" for one, kind in fields.items()]
    lines += [f"  {_text(rule, 'a rule')}" for rule in rules]
    head = f"define collection {_name(name, 'collection')}{' @flexible' if flexible else ''}"
    text = "\n".join([head + " {", *lines, "}"])
    found = parser.parse(text).definitions
    # A closing brace in a part would begin something else.
    first = found[0]
    whole = (
        len(found) == 1
        and isinstance(first, syntax.CollectionDefinition)
        and [one.name.text for one in first.fields] == list(fields)
        and len(first.rules) == len(lines) - len(fields)
    )
    if not whole:
        raise SchemaError(
            f"a part of the definition of '{name}' is more than one field or rule",
            hint='write {"title": "String! @unique"} and rules=["@@index(fields: [title])"]',
        )
    return text


def _name(name: Any, what: str) -> str:
    if isinstance(name, str) and define.NAME.fullmatch(name):
        return name
    raise SchemaError(
        f"{name!r} is no name of a {what}", hint="a name is made of letters, digits and underscores"
    )


def _text(part: Any, of: str) -> str:
    if isinstance(part, str):
        return part
    raise TypeMismatch(f"the definition of '{of}' is a String such as 'Int!', got {part!r}")
