"""What people type who come from SQL, MongoDB or GraphQL, and what they would type here: hints only."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from typing import Final

#: How a text begins elsewhere, and how it begins here.
_LEADING: Final[Mapping[str, str]] = {
    "select": "write { users(where: {age: {gt: 18}}) { name } }",
    "from": "write { users(where: {age: {gt: 18}}) { name } }",
    "find": "write { users(where: {age: {gt: 18}}) { name } }",
    "db": "write { users(where: {age: {gt: 18}}) { name } }",
    "insert": 'write mutation { insertInto(collection: "users", data: {…}) { id } }',
    "replace": 'write mutation { upsert(collection: "users", where: {…}, data: {…}) { id } }',
    "update": 'write mutation { update(collection: "users", where: {…}, data: {…}) { affected } }',
    "delete": 'write mutation { deleteFrom(collection: "users", where: {…}) { affected } }',
    "create": "write schema { define collection users { name: String! } }",
    "type": "write schema { define collection users { name: String! } }",
    "table": "write schema { define collection users { name: String! } }",
    "begin": "write mutation { … }: all of its parts are one transaction",
    "explain": "write query @explain { … }",
    "live": "write subscription { users(where: {age: {gt: 18}}) { mutation id node } }",
    "watch": "write subscription { users(where: {age: {gt: 18}}) { mutation id node } }",
    "listen": "write subscription { users(where: {age: {gt: 18}}) { mutation id node } }",
    "subscribe": "write subscription { users(where: {age: {gt: 18}}) { mutation id node } }",
}
#: Comparison signs and the operators that they are.
_SIGNS: Final[Mapping[str, str]] = {
    ">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "==": "eq", "!=": "ne",
}  # fmt: skip
#: Operators of conditions elsewhere.
_OPERATORS: Final[Mapping[str, str]] = {
    "like": "write startsWith, endsWith, contains or matches",
    "ilike": "write istartsWith, iendsWith, icontains or matches",
    "regex": "write matches",
    "exists": "write isNotNull: true, or isNull: true",
    "is": "write isNull: true, or eq",
    "elemmatch": "write some: {…}",
    "all": "write containsAll: […]",
    "not_in": "write notIn: […]",
}
#: Roots of subscriptions elsewhere: `userAdded`, `onCreateUser`, `users_stream`.
_EVENT_ROOT: Final = re.compile(
    r"(\w+?)_?(?:Added|Created|Inserted|Updated|Changed|Changes|Deleted|Removed|Events?)"
    r"|on_?(?:Create|Insert|Add|Update|Change|Delete|Remove)(?:d|ed)?_?(\w+)"
    r"|(\w+?)_(?:stream|by_pk|aggregate|changes|added|created|inserted|updated|changed|deleted|removed)"
)
#: Keys of events elsewhere, in small letters without underscores.
_EVENT_KEYS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("operationtype", "operation", "op", "type", "event", "eventtype", "action", "kind"), "mutation"),
    **dict.fromkeys(("fulldocument", "document", "doc", "data", "record", "new", "newval", "after", "result"), "node"),
    **dict.fromkeys(
        ("fulldocumentbeforechange", "before", "previous", "previousvalues", "oldrecord", "oldval"), "old"
    ),
    **dict.fromkeys(("documentkey", "key", "uuid"), "id"),
    **dict.fromkeys(("updatedescription", "updatedfields", "changedfields"), "changed"),
    **dict.fromkeys(("resumetoken", "cursor", "offset", "token", "lsn", "seq", "timestamp"), "position"),
}  # fmt: skip
MUTATIONS: Final = (
    "insertInto", "insert", "insertMany", "update", "upsert", "deleteFrom", "delete", "enqueueJob",
    "enqueueJobs", "cancelJob", "retryJob", "publish", "import", "export", "transaction",
)  # fmt: skip


def leading(word: str) -> str | None:
    """The hint where a text begins with `word`, which begins nothing here."""
    if word in MUTATIONS:
        return f"write 'mutation {{ {word} … }}'"
    return _LEADING.get(word.lower())


def comparison(sign: str, expected: str, before: str) -> str | None:
    """The hint where a comparison stands as in SQL; `before` is the token before the sign."""
    operator = _SIGNS.get(sign)
    if operator is None:
        return None
    if expected.startswith(("':' after the key", "an argument or")):
        return f"write {{{before}: {{{operator}: …}}}}"
    if expected.startswith("a value of '"):
        return f"write {{{operator}: …}}"
    return None


def root(name: str, collections: Iterable[str] = ()) -> str | None:
    """The hint where a mutation stands in a query."""
    del collections
    return f"write mutation {{ {name}(…) }}" if name in MUTATIONS else None


def subscribed(name: str, collections: Iterable[str]) -> str | None:
    """The hint where a subscription names an event, or a query of another system, instead of a collection."""
    if name in MUTATIONS:
        return f"a mutation runs by db.execute: mutation {{ {name}(…) }}"
    found = _EVENT_ROOT.fullmatch(name)
    if found is None:
        return None
    stem = (found[1] or found[2] or found[3]).casefold()
    for one in collections:
        if one.casefold() in (stem, f"{stem}s", f"{stem}es", f"{stem.removesuffix('y')}ies"):
            return f"write subscription {{ {one} {{ mutation node {{ … }} }} }}"
    return None


def event(name: str) -> str | None:
    """The hint where an event's key has its name in another system."""
    word = _EVENT_KEYS.get(name.casefold().replace("_", ""))
    return None if word is None else f"write {word}"


def argument(name: str, collection: str) -> str | None:
    """The hint where a query has an argument that stands in another place."""
    if name in ("mode", "since", "initial", "debounce"):
        return f"it is of subscriptions: subscription {{ {collection}({name}: …) {{ … }} }}"
    if name == "via":
        return "it stands at documents that refer here: teams { users(via: team) { name } }"
    return None


def mutation(name: str, collections: Container[str]) -> str | None:
    """The hint where a query stands in a mutation."""
    return f"write query {{ {name} {{ … }} }}" if name in collections else None


def operator(name: str) -> str | None:
    """The hint where a condition has an operator of another language."""
    return _OPERATORS.get(name.removeprefix("$").lower())


def order(text: str) -> str | None:
    """The hint where an order is `"name DESC"` or `"-name"`."""
    name, _, direction = text.partition(" ")
    if direction.strip().upper() in ("ASC", "DESC"):
        return f"write {{{name}: {direction.strip().upper()}}}"
    if text[:1] in ("-", "+"):
        return f"write {{{text[1:]}: {'DESC' if text[0] == '-' else 'ASC'}}}"
    return None


def field(name: str) -> str | None:
    """The hint where a part of an aggregate or an operator of MongoDB stands as a field."""
    if name in ("count", "sum", "avg", "min", "max", "countDistinct"):
        call = name if name == "count" else f'{name}(field: "…")'
        return f"write aggregate {{ {call} }}"
    if name in ("$set", "$unset", "$inc", "$push", "$pull", "$addToSet", "$min", "$max", "$mul"):
        return 'operators stand at their field: {age: 5, visits: {increment: 1}, tags: {push: "a"}}'
    return None


__all__ = [
    "MUTATIONS", "argument", "comparison", "event", "field", "leading", "mutation", "operator", "order",
    "root", "subscribed",
]  # fmt: skip
