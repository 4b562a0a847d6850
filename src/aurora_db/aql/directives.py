"""Fragments and directives: a selection as written → the fields that it means now.

What `@include`, `@skip` and a variable that shapes the plan leave is known only with the values of the
variables. A text is therefore resolved once with everything in it, which checks all of it, and where
something depends on values once more for each set of them (`Scope.known`).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any, Final

import msgspec

from aurora_db.aql import plan, suggest, syntax
from aurora_db.aql.values import Scope, literal
from aurora_db.base.errors import (
    DuplicateAlias,
    FragmentCycle,
    TypeMismatch,
    UnknownCollection,
    UnknownDirective,
    UnknownFragment,
)

#: What selections are made of when fragments are resolved.
Field = syntax.FieldSelection | syntax.Computed

#: What fragments over roots are on.
ROOTS: Final = ("Query", "Subscription")

_CONDITIONS: Final = ("include", "skip")
_ACCESS: Final = ("auth", "require")
_KNOWN: Final = (*_CONDITIONS, *_ACCESS, "explain", "defer")


def fields_of(
    scope: Scope, selection: Iterable[syntax.Selection | syntax.MutationPart], on: str | None
) -> tuple[Field, ...]:
    """The fields of a selection, fragments put in, those that are skipped left out.

    Args:
        scope: of the operation.
        selection: as written.
        on: the collection whose documents are selected from; "Query" or "Subscription" for roots; None where
            fragments of a collection make no sense.

    Raises:
        UnknownFragment, FragmentCycle, TypeMismatch: a fragment is not there, holds itself, or is
            of another collection.
        UnknownDirective, DuplicateAlias: a directive or a key is wrong.
    """
    plain = _plain(selection)
    if plain is not None:
        return plain
    found: dict[str, tuple[Field, bool]] = {}
    _collect(scope, selection, on, (), found, spread=False)
    return tuple(field for field, _ in found.values())


def _plain(
    selection: Iterable[syntax.Selection | syntax.MutationPart],
) -> tuple[Field, ...] | None:
    """The selection itself where it is nothing but fields under different keys, as most are."""
    fields: dict[str, Field] = {}
    count = 0
    for one in selection:
        if type(one) is not syntax.FieldSelection or one.directives:
            return None
        fields[(one.alias or one.name).text] = one
        count += 1
    return tuple(fields.values()) if len(fields) == count else None


def _collect(
    scope: Scope,
    selection: Iterable[syntax.Selection | syntax.MutationPart],
    on: str | None,
    stack: tuple[str, ...],
    found: dict[str, tuple[Field, bool]],
    *,
    spread: bool,
) -> None:
    for one in selection:
        assert not isinstance(one, (syntax.SchemaBlock, syntax.TransactionBlock))
        if not kept(scope, one.directives):
            continue
        match one:
            case syntax.FieldSelection() | syntax.Computed():
                _add(scope, one, found, spread=spread)
            case syntax.InlineFragment():
                if one.on is not None:
                    _fits(scope, one.on, on)
                _collect(scope, one.selection, on, stack, found, spread=True)
            case syntax.FragmentSpread():
                named = _fragment(scope, one, on, stack)
                _collect(scope, named.selection, on, (*stack, named.name.text), found, spread=True)


def names_any(scope: Scope, selection: Iterable[syntax.Selection], names: Container[str]) -> bool:
    """Whether a selection as written, skipped or not, has a field of one of these names."""
    for one in selection:
        match one:
            case syntax.FieldSelection():
                if one.name.text in names:
                    return True
            case syntax.InlineFragment():
                if names_any(scope, one.selection, names):
                    return True
            case syntax.FragmentSpread():
                named = scope.fragments.get(one.name.text)
                if named is not None and names_any(scope, named.selection, names):
                    return True
            case syntax.Computed():
                pass
    return False


def _fragment(
    scope: Scope, spread: syntax.FragmentSpread, on: str | None, stack: tuple[str, ...]
) -> syntax.FragmentDefinition:
    name = spread.name.text
    named = scope.fragments.get(name)
    if named is None:
        raise scope.fail(
            UnknownFragment, f"no fragment named '{name}'", spread.name.span,
            suggest.hint(name, scope.fragments, f"define it: fragment {name} on {on} {{ … }}"),
        )  # fmt: skip
    if name in stack:
        chain = " → ".join((*stack[stack.index(name) :], name))
        raise scope.fail(
            FragmentCycle, f"the fragment '{name}' holds itself: {chain}", spread.name.span
        )
    scope.used_fragments.add(name)
    refuse_unknown(scope, named.on)
    _fits(scope, named.on, on, spread.name)
    return named


def refuse_unknown(scope: Scope, on: syntax.Name) -> None:
    """Refuse a fragment on what is neither a collection now nor the roots of a query or subscription.

    Raises:
        UnknownCollection: nothing is named so.
    """
    if on.text not in ROOTS and on.text not in scope.collections:
        raise scope.fail(
            UnknownCollection, f"no collection named '{on.text}'", on.span,
            suggest.hint(on.text, scope.collections),
        )  # fmt: skip


def _fits(scope: Scope, said: syntax.Name, on: str | None, at: syntax.Name | None = None) -> None:
    if said.text == on:
        return
    here = "no documents are selected here" if on is None else f"this selects from '{on}'"
    raise scope.fail(
        TypeMismatch, f"the fragment is on '{said.text}', but {here}", (at or said).span
    )


def _add(scope: Scope, one: Field, found: dict[str, tuple[Field, bool]], *, spread: bool) -> None:
    key = one.alias.text if isinstance(one, syntax.Computed) else (one.alias or one.name).text
    plain = msgspec.structs.replace(one, directives=())
    if key not in found:
        found[key] = (plain, spread)
        return
    before, by_spread = found[key]
    merged = _merged(before, plain) if spread or by_spread else None
    if merged is None:
        raise scope.fail(
            DuplicateAlias,
            f"two results would have the key '{key}'",
            one.span,
            f"give one an alias: other: {key}",
        )
    found[key] = (merged, spread and by_spread)


def _merged(one: Field, other: Field) -> Field | None:
    """Two selections of the same thing as one, as fragments may overlap; None where they differ."""
    if one == other:
        return one
    if isinstance(one, syntax.Computed) or isinstance(other, syntax.Computed):
        return None
    same = (one.name, one.arguments) == (other.name, other.arguments)
    if not same or not one.selection or not other.selection:
        return None
    # What stands in both as written would be a duplicate; each half counts as a fragment.
    halves = tuple(
        syntax.InlineFragment(None, (), half, span=one.span)
        for half in (one.selection, other.selection)
    )
    return msgspec.structs.replace(one, selection=halves)


# --- directives -----------------------------------------------------------------------------


def kept(scope: Scope, directives: Sequence[syntax.Directive]) -> bool:
    """Whether a selection is there now; notes who may see it.

    Raises:
        UnknownDirective, MissingArgument, TypeMismatch, Unsupported: a directive is wrong here.
    """
    result = True
    seen: set[str] = set()
    for directive in directives:
        name = directive.name.text
        _once(scope, directive, seen)
        if name in _CONDITIONS:
            scope.shaped = True
            if _condition(scope, directive) != (name == "include"):
                result = False
        elif name in _ACCESS:
            scope.access.append(_access(scope, directive))
        else:
            raise _refused(scope, directive, "here")
    return result


def of_operation(scope: Scope, directives: Sequence[syntax.Directive]) -> bool:
    """Whether `@explain` is among the directives of an operation; notes who may run it."""
    explain = False
    seen: set[str] = set()
    for directive in directives:
        _once(scope, directive, seen)
        if directive.name.text == "explain":
            _no_arguments(scope, directive)
            explain = True
        elif directive.name.text in _ACCESS:
            scope.access.append(_access(scope, directive))
        else:
            raise _refused(scope, directive, "on an operation")
    return explain


def refuse_explain(scope: Scope, directives: Iterable[syntax.Directive]) -> None:
    """A subscription has no one result that could tell how it came about."""
    for directive in directives:
        if directive.name.text == "explain":
            raise scope.fail(
                UnknownDirective, "no directive named '@explain' on a subscription", directive.span,
                "db.explain(text) tells how it is kept",
            )  # fmt: skip


def refuse(scope: Scope, directives: Iterable[syntax.Directive], where: str) -> None:
    """No directive can stand at a place."""
    for directive in directives:
        raise _refused(scope, directive, where)


def _once(scope: Scope, directive: syntax.Directive, seen: set[str]) -> None:
    if directive.name.text in seen:
        raise scope.fail(DuplicateAlias, f"'@{directive.name.text}' stands twice", directive.span)
    seen.add(directive.name.text)


def _refused(scope: Scope, directive: syntax.Directive, where: str) -> Exception:
    name = directive.name.text
    if name == "defer":
        return scope.fail_unsupported(
            "'@defer' is not supported: a result is read from one snapshot and comes whole",
            directive.span,
            "leave it out, or run a second query",
        )
    hint = suggest.hint(
        name, _KNOWN, f"directives are {', '.join('@' + one for one in _KNOWN[:-1])}"
    )
    if name == "explain":
        hint = "write it after the word query or mutation"
    elif name in _CONDITIONS:
        hint = "it stands on fields and fragments"
    return scope.fail(
        UnknownDirective, f"no directive named '@{name}' {where}", directive.span, hint
    )


def _no_arguments(scope: Scope, directive: syntax.Directive) -> None:
    _positional(scope, directive)
    scope.arguments(f"@{directive.name.text}", directive.arguments, {})


def _positional(scope: Scope, directive: syntax.Directive) -> None:
    for value in directive.positional:
        raise scope.fail(
            TypeMismatch, f"the arguments of '@{directive.name.text}' have names", value.span
        )


def _condition(scope: Scope, directive: syntax.Directive) -> bool:
    name = directive.name.text
    _positional(scope, directive)
    given = scope.arguments(f"@{name}", directive.arguments, {"if": "if"})
    entry = scope.needed(f"@{name}", given, "if", directive.span)
    value = scope.shape(entry.value)
    if value is None:
        # While the whole text is checked, everything is there.
        return name == "include"
    if not isinstance(value, syntax.BooleanLiteral):
        raise scope.fail(TypeMismatch, f"'if' of @{name} is true or false", entry.value.span)
    return value.value if scope.known is not None else name == "include"


def _access(scope: Scope, directive: syntax.Directive) -> plan.Access:
    name = directive.name.text
    if name == "auth":
        _no_arguments(scope, directive)
        return plan.Access()
    _positional(scope, directive)
    given = scope.arguments("@require", directive.arguments, {"role": "role"})
    entry = scope.needed("@require", given, "role", directive.span)
    value = scope.shape(entry.value)
    role: Any = None if value is None else literal(value)
    if value is not None and (not isinstance(role, str) or not role):
        raise scope.fail(TypeMismatch, "'role' of @require is a String", entry.value.span)
    return plan.Access(role or "")
