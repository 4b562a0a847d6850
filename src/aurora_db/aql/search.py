"""Full-text search: its arguments, and what a person types → an expression of the index.

    red shoes      both words            "red shoes"   one after the other
    shoe*          words that begin so   -leather      not this word or phrase
    red OR blue    one of both, beside other words: `shoes red OR blue` is shoes and (red or blue)

Words are compared without case and accents. With `fuzzy` a word also stands for the words of the
index within so many edits; one edit adds, drops or changes a letter, or swaps two neighbours.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from aurora_db.aql import plan, suggest, syntax, types
from aurora_db.aql.catalog import Collection, Field
from aurora_db.aql.values import Scope
from aurora_db.base.errors import MissingArgument, TypeMismatch, UnknownArgument, UnknownField

#: Edits at most, and words of the index that one word stands for at most.
MOST_EDITS: Final = 2
MOST_WORDS: Final = 50
#: Words and phrases of one search at most.
MOST_UNITS: Final = 64

_UNIT: Final = re.compile(r'(?P<minus>-)?(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))')
_ARGUMENTS: Final = ("query", "fields", "fuzzy", "minScore")


def searchable(field: Field) -> bool:
    """Whether a field can be part of a full-text index: texts, and lists of them."""
    type = field.type.item if field.type.name == "List" and field.type.item else field.type
    return type.name in types.TEXT


# --- arguments ------------------------------------------------------------------------------


def resolve(scope: Scope, entry: syntax.Entry, collection: Collection) -> plan.Search:
    """What the argument `search` of a query means."""
    value = entry.value
    known = [field for field in collection.fields if field.search]
    if not known:
        raise scope.fail(
            UnknownArgument, f"no field of '{collection.name}' can be searched", entry.key.span,
            "define one with @search: body: String @search",
        )  # fmt: skip
    if isinstance(value, syntax.StringLiteral):
        value = syntax.ObjectLiteral((syntax.Entry(syntax.Name("query"), value),))
    if not isinstance(value, syntax.ObjectLiteral):
        raise scope.fail(
            TypeMismatch, "'search' is an object", value.span, 'write search: {query: "words"}'
        )
    given = scope.arguments("search", value.entries, {name: name for name in _ARGUMENTS})
    if "query" not in given:
        raise scope.fail(MissingArgument, "search needs 'query'", value.span)
    return plan.Search(
        query=_checked(scope, given["query"], _query_problem),
        fields=_fields(scope, given.get("fields"), known),
        fuzzy=_optional(scope, given.get("fuzzy"), _fuzzy_problem),
        min_score=_optional(scope, given.get("minScore"), _score_problem),
    )


def _fields(
    scope: Scope, entry: syntax.Entry | None, known: Sequence[Field]
) -> tuple[plan.Path, ...]:
    names = [field.name for field in known]
    shaped = None if entry is None else scope.shape(entry.value)
    if entry is None or shaped is None:
        return tuple(plan.Path(field, (), field.type) for field in known)
    items = shaped.items if isinstance(shaped, syntax.ListLiteral) else (shaped,)
    found: list[plan.Path] = []
    for item in items:
        name = item.value if isinstance(item, syntax.StringLiteral) else getattr(item, "text", None)
        field = next((one for one in known if one.name == name), None)
        if field is None:
            raise scope.fail(
                UnknownField, f"no searchable field named '{name}'", item.span,
                suggest.hint(str(name), names, f"searchable are {', '.join(names)}"),
            )  # fmt: skip
        found.append(plan.Path(field, (), field.type))
    if not found:
        raise scope.fail(TypeMismatch, "'fields' of search names no field", entry.value.span)
    return tuple(found)


def _optional(
    scope: Scope, entry: syntax.Entry | None, problem: Callable[[Any], str | None]
) -> plan.Value | None:
    return None if entry is None else _checked(scope, entry, problem)


def _checked(scope: Scope, entry: syntax.Entry, problem: Callable[[Any], str | None]) -> plan.Value:
    value = scope.value(entry.value)
    if isinstance(value, plan.Constant):
        said = problem(value.value)
        if said is not None:
            raise scope.fail(
                TypeMismatch, f"'{entry.key.text}' of search is {said}", entry.value.span
            )
    return value


def _query_problem(value: Any) -> str | None:
    return None if isinstance(value, str) else "a String"


def _fuzzy_problem(value: Any) -> str | None:
    ok = (
        value is None
        or isinstance(value, bool)
        or (isinstance(value, int) and 0 <= value <= MOST_EDITS)
    )
    return None if ok else f"true, false or a number of edits from 0 to {MOST_EDITS}"


def _score_problem(value: Any) -> str | None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return None if value is None or (number and 0 <= value <= 1) else "a number from 0 to 1"


class Wanted(msgspec.Struct, frozen=True):
    """One execution of a search: the text typed, the edits allowed, the least score."""

    text: str
    edits: int = 0
    min_score: float | None = None


def wanted(search: plan.Search, value: Callable[[plan.Value], Any]) -> Wanted:
    """The search with the values that its variables have now.

    Raises:
        TypeMismatch: a value is of another type.
    """
    values: dict[str, Any] = {}
    for name, given, problem in (
        ("query", search.query, _query_problem),
        ("fuzzy", search.fuzzy, _fuzzy_problem),
        ("minScore", search.min_score, _score_problem),
    ):
        values[name] = None if given is None else value(given)
        said = problem(values[name])
        if said is not None:
            raise TypeMismatch(f"'{name}' of search is {said}, got {values[name]!r}")
    return Wanted(values["query"], int(values["fuzzy"] or 0), values["minScore"])


# --- what is typed --------------------------------------------------------------------------


class Unit(msgspec.Struct, frozen=True):
    """A word or phrase of a search. `alternative` joins it to the one before by OR."""

    text: str
    phrase: bool = False
    prefix: bool = False
    excluded: bool = False
    alternative: bool = False


def units(text: str) -> list[Unit]:
    """The words and phrases that were typed; what has no letter or digit is passed over.

    Raises:
        TypeMismatch: there are too many, or only words that must not be there.
    """
    found: list[Unit] = []
    alternative = False
    for match in _UNIT.finditer(text):
        word, phrase = match["word"], match["phrase"]
        if word == "OR" and not match["minus"]:
            alternative = bool(found)
            continue
        said = phrase if word is None else word
        prefix = word is not None and word.endswith("*") and len(word) > 1
        said = said.rstrip("*") if prefix else said
        if not any(character.isalnum() for character in said):
            continue
        excluded = match["minus"] is not None
        found.append(Unit(said, word is None, prefix, excluded, alternative and not excluded))
        alternative = False
    if len(found) > MOST_UNITS:
        raise TypeMismatch(f"a search has at most {MOST_UNITS} words, got {len(found)}")
    if found and all(one.excluded for one in found):
        raise TypeMismatch(
            "a search for what is not there only", hint="add a word that must be there"
        )
    return found


def fuzzy_words(found: Iterable[Unit], edits: int) -> list[str]:
    """The folded words that may stand for others."""
    if not edits:
        return []
    plain = [one for one in found if not (one.phrase or one.prefix or one.excluded)]
    return [word for one in plain for word in (folded(one.text),) if word.isalnum()]


def expression(
    found: Sequence[Unit], columns: Sequence[str], others: Mapping[str, Sequence[str]]
) -> str | None:
    """The expression of the index; None where nothing can be found.

    `others` are the words of the index that a folded word stands for.
    """
    groups: list[list[str]] = []
    excluded: list[str] = []
    for one in found:
        text = _unit(one, others)
        if one.excluded:
            excluded.append(text)
        elif one.alternative and groups:
            groups[-1].append(text)
        else:
            groups.append([text])
    if not groups:
        return None
    joined = " AND ".join("(" + " OR ".join(group) + ")" for group in groups)
    if excluded:
        joined = f"({joined}) NOT ({' OR '.join(excluded)})"
    named = " ".join(_quoted(column) for column in columns)
    return f"{{{named}}} : ({joined})"


def _unit(unit: Unit, others: Mapping[str, Sequence[str]]) -> str:
    words = [] if unit.phrase or unit.prefix or unit.excluded else others.get(folded(unit.text), ())
    if words:
        return "(" + " OR ".join(_quoted(word) for word in words) + ")"
    return _quoted(unit.text) + ("*" if unit.prefix else "")


def _quoted(text: str) -> str:
    # A NUL character would end the expression.
    return '"' + text.replace('"', '""').replace("\0", " ") + '"'


def folded(text: str) -> str:
    """A word as the index keeps it: small letters without accents."""
    parts = unicodedata.normalize("NFD", text.lower())
    return "".join(one for one in parts if not unicodedata.combining(one))


def nearest(word: str, vocabulary: Iterable[tuple[str, int]], edits: int) -> list[str]:
    """The words of the vocabulary within `edits` of `word`, nearest first, then most frequent.

    Args:
        word: folded.
        vocabulary: pairs of a word and the number of documents that have it.
        edits: from 1.
    """
    found: list[tuple[int, int, str]] = []
    for term, count in vocabulary:
        if abs(len(term) - len(word)) <= edits:
            distance = edits_between(word, term, edits)
            if distance <= edits:
                found.append((distance, -count, term))
    return [term for _, _, term in sorted(found)[:MOST_WORDS]]


def edits_between(one: str, other: str, most: int) -> int:
    """Edits that make one word of the other, `most + 1` where there are more.

    Source: optimal string alignment, Boytsov, "Indexing methods for approximate dictionary
    searching", ACM JEA 16, 2011, section 2.
    """
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, above, row = row, before, [i]
        for j, b in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return row[-1]
