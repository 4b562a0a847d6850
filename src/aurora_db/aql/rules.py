"""Rules: `define rules` → who may do what with a collection over the network.

A condition is resolved when it is defined, as a where of the collection in which `"$auth.x"` is a value
of the caller's. It is stored as it was typed and resolved again for whoever asks.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

import msgspec

from aurora_db.aql import plan, suggest, syntax
from aurora_db.aql.catalog import Catalog, Collection, Rules
from aurora_db.aql.conditions import Conditions
from aurora_db.aql.values import Scope, literal, syntax_of
from aurora_db.base.errors import AccessDenied, RulesInvalid, UnknownCollection

#: The one text that is a rule.
AUTHENTICATED: Final = "authenticated"
#: What a caller is known by, in a condition.
AUTH: Final = "auth"
#: What may be allowed.
VERBS: Final = ("read", "insert", "update", "delete")
_VALUE: Final = re.compile(r"\$auth((?:\.[A-Za-z_][A-Za-z0-9_]*)+)")


def define(node: syntax.RulesDefinition, text: str, catalog: Catalog) -> plan.DefineRules:
    """The rules that a definition means.

    Raises:
        AqlError: a condition does not fit the collection.
    """
    scope = Scope(text, {}, catalog=catalog)
    name = node.collection.text
    collection = catalog.collections.get(name)
    if collection is None:
        raise scope.fail(
            UnknownCollection,
            f"no collection named '{name}'",
            node.collection.span,
            suggest.hint(name, catalog.collections),
        )
    if collection.system:
        raise AccessDenied(f"the system collection '{name}' has no rules of yours")
    stored: dict[str, Any] = {}
    for entry in node.rules:
        condition(collection, scope, entry.value)
        stored[entry.key.text] = literal(_quoted(entry.value))
    digest = hashlib.sha256(repr((name, node.rules)).encode()).hexdigest()
    rules = Rules(
        collection=name, text=text[node.span.start : node.span.end], digest=digest, **stored
    )
    return plan.DefineRules(rules)


def condition(collection: Collection, scope: Scope, rule: syntax.Value) -> plan.Where | bool | str:
    """What a rule means: a condition, true, false, or "authenticated".

    Values of the caller are variables, `auth` with a path.

    Raises:
        AqlError: it is none of these, or does not fit the collection.
    """
    match rule:
        case syntax.BooleanLiteral(value=value):
            return value
        case syntax.StringLiteral(value=value):
            if value != AUTHENTICATED:
                raise scope.fail(
                    RulesInvalid,
                    f"'{value}' is no rule",
                    rule.span,
                    suggest.hint(value, (AUTHENTICATED,), f'the one text is "{AUTHENTICATED}"'),
                )
            return value
        case _:
            scope.parts[AUTH] = None
            return Conditions(collection, scope).where(_asked(rule))


def check(rules: Rules, collection: Collection, catalog: Catalog) -> None:
    """See whether stored rules fit a collection as it shall be, in the catalog as it shall be.

    Raises:
        AqlError: a condition does not.
    """
    for verb in VERBS:
        rule = getattr(rules, verb)
        if rule is not None:
            condition(collection, Scope("", {}, catalog=catalog), syntax_of(rule))


def _asked(node: syntax.Value) -> syntax.Value:
    """A condition with variables in the places of `"$auth.x"`."""
    match node:
        case syntax.StringLiteral(value=value):
            found = _VALUE.fullmatch(value)
            if found is None:
                return node
            return syntax.VariableRef(AUTH, tuple(found[1][1:].split(".")), span=node.span)
        case syntax.ListLiteral(items=items):
            return msgspec.structs.replace(node, items=tuple(_asked(one) for one in items))
        case syntax.ObjectLiteral(entries=entries):
            asked = tuple(msgspec.structs.replace(e, value=_asked(e.value)) for e in entries)
            return msgspec.structs.replace(node, entries=asked)
        case _:
            return node


def _quoted(node: syntax.Value) -> syntax.Value:
    """A condition that has a literal: `$auth.x` as its text."""
    match node:
        case syntax.VariableRef(name=name, path=path):
            return syntax.StringLiteral(".".join(("$" + name, *path)), span=node.span)
        case syntax.ListLiteral(items=items):
            return msgspec.structs.replace(node, items=tuple(_quoted(one) for one in items))
        case syntax.ObjectLiteral(entries=entries):
            quoted = tuple(msgspec.structs.replace(e, value=_quoted(e.value)) for e in entries)
            return msgspec.structs.replace(node, entries=quoted)
        case _:
            return node
