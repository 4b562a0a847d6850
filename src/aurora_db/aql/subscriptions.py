"""Subscriptions → plan: queries that go on, and how what comes of them is told.

In CHANGES a root says an event for each change that touches its query; its selection is of the keys
of the event. In RESULTS it says what the query gives, whole, whenever that differs; its selection is
that of a query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from aurora_db.aql import elsewhere, pages, plan, search, suggest, syntax
from aurora_db.aql.catalog import Collection
from aurora_db.aql.directives import names_any
from aurora_db.aql.job_options import seconds
from aurora_db.aql.orders import Orders, amount
from aurora_db.aql.queries import ARGUMENTS as OF_QUERIES
from aurora_db.aql.queries import WORDS, Queries
from aurora_db.aql.selections import Selections, key_of
from aurora_db.aql.values import Scope, literal, value_of
from aurora_db.aql.words import words
from aurora_db.base.errors import (
    AqlError,
    TypeMismatch,
    UnknownArgument,
    UnknownEnum,
    UnknownField,
    Unsupported,
)

#: How what comes of a root is told.
MODES: Final = ("CHANGES", "RESULTS")
#: The keys of an event, in the order they come in where none is selected.
EVENT: Final = ("mutation", "id", "node", "old", "changed", "position")
#: Arguments of subscriptions only.
OWN: Final = ("mode", "since", "initial", "debounce")
ARGUMENTS: Final = {**OF_QUERIES, **{name: name for name in OWN}}
#: Why a collection cannot be followed, and what to do.
QUIET: Final = "'{}' is @quiet: its writes leave no changes that could be told"
LOUD: Final = "define it without @quiet"
#: A day: a longer silence is a mistake.
LONGEST: Final = 86_400.0


class Subscriptions:
    """Resolves a root of a subscription, of one collection."""

    def __init__(self, collection: Collection, scope: Scope) -> None:
        self._collection = collection
        self._scope = scope

    def root(self, root: syntax.FieldSelection) -> plan.Subscription:
        """What a root means.

        Raises:
            AqlError: it is refused, with its place.
        """
        name = self._collection.name
        if self._collection.quiet:
            raise self._scope.fail_unsupported(QUIET.format(name), root.name.span, LOUD)
        given = self._scope.arguments(f"the collection '{name}'", root.arguments, ARGUMENTS)
        entry = given.get("mode")
        if entry is None:
            return self._changes(root, given)
        mode = _mode(self._scope, entry)
        if mode is None:
            return self._either(root, given)
        return self._changes(root, given) if mode == "CHANGES" else self._results(root, given)

    def _either(
        self, root: syntax.FieldSelection, given: Mapping[str, syntax.Entry]
    ) -> plan.Subscription:
        """While a variable says the mode and is not known yet: what is right in one mode is right."""
        try:
            return self._changes(root, given)
        except AqlError as error:
            try:
                return self._results(root, given)
            except AqlError:
                raise error from None

    # --- events -----------------------------------------------------------------------------

    def _changes(
        self, root: syntax.FieldSelection, given: Mapping[str, syntax.Entry]
    ) -> plan.Subscription:
        scope = self._scope
        for name in pages.ARGUMENTS:
            if name in given:
                raise scope.fail(
                    UnknownArgument, f"'{name}' turns pages, and events have none", given[name].key.span,
                    "write mode: RESULTS, or since: for what comes after a position",
                )  # fmt: skip
        found = given.get("search")
        selections = Selections(self._collection, scope)
        query = plan.Query(
            key_of(root), self._collection, (), selections.where(given),
            Orders(self._collection, scope).order(given.get("orderBy")),
            amount(scope, given.get("limit")), amount(scope, given.get("offset")),
            search=None if found is None else search.resolve(scope, found, self._collection),
        )  # fmt: skip
        return plan.Subscription(
            query.key, query, "CHANGES", self._keys(root, selections),
            initial=self._initial(given), since=self._since(given), debounce=self._debounce(given),
        )  # fmt: skip

    def _keys(
        self, root: syntax.FieldSelection, selections: Selections
    ) -> tuple[plan.EventKey, ...]:
        if not root.selection:
            return tuple([self._key(name, name, None, selections) for name in EVENT])
        self._refuse_documents(root.selection)
        made: list[plan.EventKey] = []
        for one in words(self._scope, root.selection):
            name = one.name.text
            if name not in EVENT:
                raise self._unknown(one)
            self._scope.arguments(f"'{name}' of an event", one.arguments, {})
            if one.selection and name not in ("node", "old"):
                raise self._scope.fail(
                    UnknownField, f"'{name}' of an event is a value and has no fields", one.selection[0].span
                )  # fmt: skip
            made.append(self._key(key_of(one), name, one.selection, selections))
        return tuple(made)

    def _refuse_documents(self, selection: Iterable[syntax.Selection]) -> None:
        """A fragment of documents stands in node or old."""
        for one in selection:
            match one:
                case syntax.InlineFragment(on=syntax.Name() as on):
                    written = f"... on {on.text} {{ … }}"
                case syntax.FragmentSpread(name=name) if name.text in self._scope.fragments:
                    on, written = self._scope.fragments[name.text].on, f"...{name.text}"
                case _:
                    continue
            if on.text == self._collection.name:
                raise self._scope.fail(
                    TypeMismatch, f"the fragment is on '{on.text}', but an event is no document of it", one.span,
                    f"write node {{ {written} }}, or mode: RESULTS",
                )  # fmt: skip

    def _key(
        self,
        key: str,
        word: str,
        selection: tuple[syntax.Selection, ...] | None,
        selections: Selections,
    ) -> plan.EventKey:
        if word not in ("node", "old"):
            return plan.EventKey(key, word)
        found = names_any(self._scope, selection or (), ("_score", "_snippet"))
        if found:
            raise self._scope.fail(
                UnknownField, "a score or a snippet is of a result, and an event has none",
                selection[0].span if selection else None, "write mode: RESULTS",
            )  # fmt: skip
        return plan.EventKey(key, word, selections.outputs(selection))

    def _unknown(self, one: syntax.FieldSelection) -> AqlError:
        """What is selected of an event and is none of its keys."""
        name = one.name.text
        hint = f"its keys are {', '.join(EVENT)}"
        if name in WORDS:
            hint = f"write mode: RESULTS, which gives {name} whenever it differs"
        elif self._collection.field(name) is not None:
            hint = f"write node {{ {name} }}, or mode: RESULTS"
        else:
            hint = elsewhere.event(name) or suggest.hint(name, EVENT, hint) or hint
        return self._scope.fail(
            UnknownField, f"an event has no '{name}'", one.name.span, hint
        )  # fmt: skip

    # --- results ----------------------------------------------------------------------------

    def _results(
        self, root: syntax.FieldSelection, given: Mapping[str, syntax.Entry]
    ) -> plan.Subscription:
        if "initial" in given:
            raise self._scope.fail(
                UnknownArgument, "'initial' is about events: mode: RESULTS begins with the whole result",
                given["initial"].key.span, "leave it out",
            )  # fmt: skip
        asked = {name: entry for name, entry in given.items() if name not in OWN}
        query = Queries(self._collection, self._scope).query(root, asked)
        return plan.Subscription(
            query.key, query, "RESULTS", since=self._since(given), debounce=self._debounce(given)
        )

    # --- arguments --------------------------------------------------------------------------

    def _initial(self, given: Mapping[str, syntax.Entry]) -> plan.Value:
        return self._value(given.get("initial"), plan.Constant(value=False), _initial_problem)

    def _since(self, given: Mapping[str, syntax.Entry]) -> plan.Value:
        return self._value(given.get("since"), plan.Constant(None), _since_problem)

    def _debounce(self, given: Mapping[str, syntax.Entry]) -> plan.Value:
        value = self._value(given.get("debounce"), plan.Constant(None), _debounce_problem)
        if isinstance(value, plan.Constant) and value.value is not None:
            return plan.Constant(seconds(value.value))
        return value

    def _value(
        self,
        entry: syntax.Entry | None,
        otherwise: plan.Value,
        problem: Callable[[Any], str | None],
    ) -> plan.Value:
        if entry is None:
            return otherwise
        value = self._scope.value(entry.value)
        if isinstance(value, plan.Constant):
            said = problem(value.value)
            if said is not None:
                raise self._scope.fail(
                    TypeMismatch, f"'{entry.key.text}' is {said}", entry.value.span
                )
            return otherwise if value.value is None else value
        if not isinstance(value, plan.Variable):
            raise self._scope.fail(
                TypeMismatch, f"'{entry.key.text}' is {problem([])}", entry.value.span
            )
        return value


def _mode(scope: Scope, entry: syntax.Entry) -> str | None:
    """The mode that an argument says; None while its variable is not known."""
    value = scope.shape(entry.value)
    if value is None:
        return None
    if isinstance(value, syntax.NullLiteral):
        return MODES[0]
    if not isinstance(value, (syntax.Word, syntax.StringLiteral)):
        raise scope.fail(
            TypeMismatch, "'mode' is a word", entry.value.span, f"write mode: {' or '.join(MODES)}"
        )
    said = literal(value)
    if said not in MODES:
        raise scope.fail(
            UnknownEnum, f"'mode' has no word {said!r}", entry.value.span,
            suggest.hint(said, MODES, f"its words are {', '.join(MODES)}"),
        )  # fmt: skip
    return said


def _initial_problem(value: Any) -> str | None:
    return None if value is None or isinstance(value, bool) else "true or false"


def _since_problem(value: Any) -> str | None:
    text = value is None or (isinstance(value, str) and bool(value))
    return None if text else "a position: the text that an event or subscription.position gave"


def _debounce_problem(value: Any) -> str | None:
    length = 0.0 if value is None else seconds(value)
    ok = length is not None and length <= LONGEST
    return None if ok else 'a duration such as "50ms", or seconds from 0, of a day at most'


# --- with the values of variables -----------------------------------------------------------


class Wanted(msgspec.Struct, frozen=True):
    """What the arguments of a root say now; `debounce` in seconds, 0 where there is none."""

    initial: bool = False
    since: str | None = None
    debounce: float = 0.0


def wanted(root: plan.Subscription, variables: Mapping[str, Any]) -> Wanted:
    """The arguments of a root with the values of its variables.

    Raises:
        TypeMismatch: a variable holds a value of another kind.
    """
    found: dict[str, Any] = {}
    for name, value, problem in (
        ("initial", root.initial, _initial_problem),
        ("since", root.since, _since_problem),
        ("debounce", root.debounce, _debounce_problem),
    ):
        found[name] = value_of(value, variables)
        said = problem(found[name])
        if said is not None:
            raise TypeMismatch(f"'{name}' is {said}, got {found[name]!r}")
    length = found["debounce"]
    return Wanted(
        bool(found["initial"]), found["since"], 0.0 if length is None else seconds(length) or 0.0
    )


def since_of(roots: Iterable[plan.Subscription], variables: Mapping[str, Any]) -> str | None:
    """The position that a subscription goes on after: its roots advance together.

    Raises:
        TypeMismatch: its roots name different ones.
    """
    return _one_of(roots, variables, "since", "positions")


def debounce_of(roots: Iterable[plan.Subscription], variables: Mapping[str, Any]) -> float:
    """The seconds without a change after which a subscription says what it heard; 0 is at once.

    Raises:
        TypeMismatch: its roots name different ones.
    """
    return _one_of(roots, variables, "debounce", "durations") or 0.0


def _one_of(
    roots: Iterable[plan.Subscription], variables: Mapping[str, Any], name: str, what: str
) -> Any:
    """What the roots say that say anything."""
    found = {getattr(wanted(root, variables), name) for root in roots} - {None, 0.0}
    if len(found) > 1:
        raise TypeMismatch(
            f"the roots of a subscription advance together, but '{name}' names different {what}",
            hint=f"give one {name}, or open several subscriptions",
        )
    return found.pop() if found else None


# --- operations -----------------------------------------------------------------------------


def followed(operation: plan.Operation) -> plan.Operation:
    """An operation that can be followed; each root of a query becomes one of results.

    Raises:
        Unsupported: it is neither a subscription nor a query of documents.
    """
    if operation.kind in ("query", "subscription") and not operation.roots:
        raise Unsupported(
            "nothing is selected, so nothing would ever come",
            hint="write subscription { users { mutation id node } }",
        )
    if operation.kind == "subscription":
        return operation
    if operation.kind != "query":
        raise Unsupported(
            f"a {operation.kind} is executed, not followed", hint="db.execute(text) runs it"
        )
    if operation.explain:
        raise Unsupported("what is followed is not explained", hint="db.explain(text) tells how")
    made: list[plan.Part] = []
    for root in operation.roots:
        if not isinstance(root, plan.Query):
            raise Unsupported(
                f"'{root.key}' tells of definitions, which are not followed",
                hint="db.execute(text) reads them",
            )
        refuse_quiet(root.collection)
        made.append(plan.Subscription(root.key, root, "RESULTS"))
    return msgspec.structs.replace(operation, roots=tuple(made))


def roots_of(operation: plan.Operation) -> tuple[plan.Subscription, ...]:
    """The roots of an operation that is followed."""
    return tuple([root for root in operation.roots if isinstance(root, plan.Subscription)])


def refuse_quiet(collection: Collection) -> None:
    """Refuse to follow what tells nothing.

    Raises:
        Unsupported: its writes leave no changes.
    """
    if collection.quiet:
        raise Unsupported(QUIET.format(collection.name), hint=LOUD)
