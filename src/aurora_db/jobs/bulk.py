"""Changing many jobs: which ones is decided once, then they change so many at a time.

Each part is a transaction of its own and asks the condition again, so what others changed in the
meantime is left alone, and a job that fails once more during the change is not taken twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, cast

from aurora_db.aql import system
from aurora_db.aql.builder import Condition
from aurora_db.aql.conditions import resolve_where
from aurora_db.aql.expand import is_everything
from aurora_db.base.errors import MissingWhere
from aurora_db.jobs import verbs
from aurora_db.jobs.status import ENDED, WAITING
from aurora_db.sql import lower
from aurora_db.store.port import Port, Verb

#: Jobs that change in one transaction, at most.
PART: Final = 1_000


Where = Condition | Mapping[str, Any]


class Bulk:
    """One bulk change.

    Args:
        what: "retry" or "cancel".
        where: the condition on jobs.
        all: whether a condition of nothing is meant.
    """

    def __init__(self, what: str, where: Where, *, all: bool) -> None:
        self._change = verbs.cancel if what == "cancel" else verbs.retry
        self._what = what
        self._where = cast("Mapping[str, Any]", _plain(where))
        self._all = all
        self._possible = _possible(what, self._where)

    async def find(self, port: Port) -> list[str]:
        """The ids of the jobs that it is about.

        Raises:
            MissingWhere: the condition is one of nothing, and was not meant so.
            AqlError: the condition does not fit jobs.
        """
        jobs = system.SYSTEM["_jobs"]
        if not self._all and is_everything(resolve_where(jobs, self._where, port.catalog)):
            raise MissingWhere(
                f"{self._what}_jobs without a condition would change every job",
                hint='give one, such as {"type": "mail"}, or all=True',
            )
        return await self._matching(port, {})

    def parts(self, ids: Sequence[str]) -> Iterator[Verb[int]]:
        """The verbs that change them, a transaction each; how many those were."""
        for first in range(0, len(ids), PART):
            yield partial(self._part, ids=ids[first : first + PART])

    async def _part(self, port: Port, ids: Sequence[str]) -> int:
        still = await self._matching(port, {"id": {"in": list(ids)}})
        return len(await self._change(port, still))

    async def _matching(self, port: Port, among: Mapping[str, Any]) -> list[str]:
        jobs = system.SYSTEM["_jobs"]
        where = resolve_where(jobs, {"and": [among, self._possible, self._where]}, port.catalog)
        statement = lower.ids(jobs, where)
        return [row[0] for row in await port.rows(statement.text, statement.bind({}))]


def _possible(what: str, where: Mapping[str, Any]) -> Mapping[str, Any]:
    """The statuses that it is for; of a retry FAILED alone, unless the condition names one."""
    if what == "cancel":
        return {"status": {"in": list(map(str, WAITING))}}
    return {"status": {"in": list(map(str, ENDED)) if _names_status(where) else ["FAILED"]}}


def _plain(where: object) -> object:
    """The where-object without conditions of `F` in it."""
    match where:
        case Condition():
            return where.where
        case Mapping():
            return {key: _plain(one) for key, one in cast("Mapping[str, Any]", where).items()}
        case list() | tuple():
            return [_plain(one) for one in cast("Sequence[Any]", where)]
        case _:
            return where


def _names_status(where: object) -> bool:
    match where:
        case Mapping():
            return any(
                key == "status" or (key == "expr" and "status" in str(value)) or _names_status(value)
                for key, value in cast("Mapping[str, Any]", where).items()
            )  # fmt: skip
        case list():
            return any(_names_status(one) for one in cast("list[Any]", where))
        case _:
            return False
