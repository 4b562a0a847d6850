"""Explaining: how an operation runs, and how it would be kept live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from aurora_db.aql import plan, printing
from aurora_db.aql.expand import expand_query
from aurora_db.base.errors import Unsupported
from aurora_db.base.records import Explanation
from aurora_db.live import planning
from aurora_db.live.choosing import BY_KEY, INCREMENTAL, RE_RUN, How, how
from aurora_db.store import explain as statements
from aurora_db.store.operations import Prepared
from aurora_db.store.port import Port
from aurora_db.store.queries import query_runner

#: The cheapest first.
WORDS: Final = (INCREMENTAL, BY_KEY, RE_RUN)


async def explain(prepared: Prepared, port: Port, variables: Mapping[str, Any]) -> Explanation:
    """How an operation runs, and how it would be followed; what it writes is undone.

    Of a subscription its snapshot runs.

    Raises:
        Unsupported: a definition is not explained, and a subscription cannot be followed.
    """
    operation = prepared.operation
    if operation.kind == "subscription":
        return await _subscription(prepared, port, variables)
    explained = await statements.explain(prepared, port, variables)
    if operation.kind != "query" or not operation.roots:
        return explained
    found: dict[str, How] = {}
    for root in operation.roots:
        if not isinstance(root, plan.Query):
            return msgspec.structs.replace(
                explained, live_why="only queries of collections are followed"
            )
        try:
            found[root.key] = how(expand_query(root, port.catalog, variables))
        except Unsupported as refused:
            return msgspec.structs.replace(explained, live_why=refused.message)
    return _with(explained, found)


async def _subscription(
    prepared: Prepared, port: Port, variables: Mapping[str, Any]
) -> Explanation:
    found: dict[str, How] = {}
    queries: list[plan.Query] = []
    for root in prepared.operation.roots:
        assert isinstance(root, plan.Subscription)
        known = planning.expanded(root, port.catalog, variables)
        found[root.key] = how(known)
        shown = [one.outputs for one in known.keys if one.word == "node"]
        queries += [
            msgspec.structs.replace(known.query, outputs=outputs)
            for outputs in (shown or [known.query.outputs])
        ]
    operation = msgspec.structs.replace(prepared.operation, kind="query", roots=tuple(queries))
    runners = tuple((one.key, query_runner(one, [])) for one in queries)
    snapshot = msgspec.structs.replace(prepared, operation=operation, runners=runners)
    explained = await statements.explain(snapshot, port, variables)
    meant = printing.printed(prepared.operation.roots)
    return _with(msgspec.structs.replace(explained, plan=meant), found)


def _with(explained: Explanation, found: Mapping[str, How]) -> Explanation:
    """With the way to follow it: of several roots the dearest one."""
    word = max((one.word for one in found.values()), key=WORDS.index)
    why = [
        one.why if len(found) == 1 else f"{key}: {one.word}, {one.why}"
        for key, one in found.items()
    ]
    return msgspec.structs.replace(
        explained, live=word, live_why="; ".join(why), watches=_watched(list(found.values()))
    )


def _watched(found: Sequence[How]) -> dict[str, tuple[str, ...]]:
    """The fields that are watched of each collection; none named where a change of any is of interest."""
    watched: dict[str, set[str]] = {}
    whole: set[str] = set()
    for one in found:
        for name, fields in one.reads.fields.items():
            watched.setdefault(name, set()).update(fields or ())
            if one.exact or fields is None:
                whole.add(name)
    return {
        name: () if name in whole else tuple(sorted(fields)) for name, fields in watched.items()
    }
