"""The verbs that look after jobs: explain, prune, retry and cancel many. Written by hand.

`database_care.py` is generated from this file by `tools/unasync.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aurora_db.aql.builder import Condition
from aurora_db.config import Duration
from aurora_db.store.engine import Engine
from aurora_db.store.gate import AsyncGate, AsyncHeldGate


class AsyncJobCare:
    """What a database and an open transaction do to look after jobs."""

    _engine: Engine
    _gate: AsyncGate | AsyncHeldGate

    async def why(self, id: str) -> str:
        """Why a job is as it is: what it waits for, who has it, or how it ended; plain sentences.

        For people: the wording may change from version to version.

        Raises:
            NotFound: there is no such job; it may have been pruned.
        """
        from aurora_db.jobs import why as explaining  # noqa: PLC0415 - few programs ask

        folder = self._engine.folder
        return await self._gate.read(lambda port: explaining.why(port, id, folder))

    async def retry_jobs(
        self, where: Condition | Mapping[str, Any] | None = None, *, all: bool = False
    ) -> int:
        """Let the jobs that match and have ended run once more, with all their attempts; how many.

        Unless the condition names a status, these are the FAILED ones alone. Which jobs match is
        decided once; they change a thousand at a time, each part in a transaction of its own.

        Args:
            where: a condition on `_jobs`, as `F.type == "mail"`, or a where-object of AQL.
            all: without a condition, every FAILED job is meant.

        Raises:
            MissingWhere: there is no condition, or one of nothing, and `all=True` was not said.
        """
        return await self._change("retry", where, all=all)

    async def cancel_jobs(
        self, where: Condition | Mapping[str, Any] | None = None, *, all: bool = False
    ) -> int:
        """Cancel the jobs that match and have not ended; how many. As `retry_jobs` for the rest.

        Raises:
            MissingWhere: there is no condition, or one of nothing, and `all=True` was not said.
        """
        return await self._change("cancel", where, all=all)

    async def prune_jobs(
        self, *, status: str | Iterable[str] | None = None, older_than: Duration
    ) -> int:
        """Delete jobs that ended so long ago, with their errors and steps; how many.

        Never one that has not ended, nor one whose end others still wait for. It goes by small
        steps, each in a transaction of its own.

        Args:
            status: COMPLETED, FAILED or CANCELLED, or several of them; all three unless said.
            older_than: seconds since the end, from 0.

        Raises:
            ValidationError: a status is none in which jobs have ended, or the age is no duration.
        """
        from aurora_db.jobs.pruning import ByHand  # noqa: PLC0415 - few programs prune by hand

        stages = ByHand(status, older_than)
        while (verb := stages.next()) is not None:
            stages.take(await self._gate.write(verb))
        return stages.result()

    async def _change(
        self, what: str, where: Condition | Mapping[str, Any] | None, *, all: bool
    ) -> int:
        from aurora_db.jobs.bulk import Bulk  # noqa: PLC0415 - few programs change many

        bulk = Bulk(what, {} if where is None else where, all=all)
        ids = await self._gate.read(bulk.find)
        changed = 0
        for part in bulk.parts(ids):
            changed += await self._gate.write(part)
        return changed
