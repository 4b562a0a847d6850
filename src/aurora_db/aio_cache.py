"""What is kept in memory of what was read: answers from it, and the verbs that look after it. Written by hand.

`database_cache.py` is generated from this file by `tools/unasync.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from aurora_db.base.codec import seconds
from aurora_db.base.errors import ValidationError
from aurora_db.base.records import CacheCounts, CacheStats
from aurora_db.store import documents
from aurora_db.store.cache import HotCache
from aurora_db.store.gate import AsyncGate, AsyncHeldGate

if TYPE_CHECKING:
    from aurora_db.config import AuroraConfig
    from aurora_db.store.engine import Engine
    from aurora_db.store.operations import Plans, Prepared
    from aurora_db.store.port import Verb

#: Nothing: the counts of a cache that is switched off.
OFF = CacheCounts(items=0, bytes=0, hits=0, misses=0, evictions=0)


class AsyncAnswers:
    """Reading, from memory where that is right."""

    _gate: AsyncGate | AsyncHeldGate
    _plans: Plans

    async def _answer(
        self,
        verb: Verb[Any],
        text: str,
        index: int,
        one: Prepared,
        variables: Mapping[str, Any],
        *,
        fresh: bool | None,
    ) -> Any:
        """The result of an operation that reads; `fresh` is None where it is one of several."""
        hot = self._gate.hot
        asked = None
        if hot is not None and fresh is not None:
            asked = hot.asked(text, index, one, variables, fresh=fresh)
            if asked is not None and asked.found:
                return asked.result
        result = await self._gate.read(verb, bounded=one.bounded, single=one.single)
        if hot is not None and asked is not None and asked.mark is not None:
            catalog = self._gate.catalog
            hot.remember(asked, result, self._plans.ready(text, index, catalog, variables), catalog)
        return result


class AsyncCaches:
    """The verbs on what is kept in memory."""

    _engine: Engine
    _plans: Plans

    def _heat(self, engine: Engine, config: AuroraConfig) -> None:
        """Give the engine its cache, of the size that `config` says."""
        size = int(config.hot_cache_size_mb * 1024 * 1024)
        if size:
            engine.hot = HotCache(engine, size, seconds(config.poll_interval))

    def cache_stats(self) -> CacheStats:
        """What is in memory of documents, results and plans, and how often it was of use."""
        self._engine.check()
        hot = self._engine.hot
        found, results = (OFF, OFF) if hot is None else hot.stats()
        size = 0 if hot is None else hot.size
        return CacheStats(size=size, documents=found, results=results, plans=self._plans.stats())

    async def prewarm_cache(self, name: str) -> int:
        """Read documents of the collection `name` into memory, the newest first, while there is room.

        Returns how many of them are there then.

        Raises:
            UnknownCollection: it is not defined.
            ValidationError: its documents are never kept, or `hot_cache_size_mb` is 0.
        """
        hot = self._engine.hot
        if hot is None:
            documents.readable(self._engine.catalog, name)
            raise ValidationError(
                "nothing is kept in memory: the database was opened with hot_cache_size_mb=0",
                hint="open it without that option", rule="hot_cache_size_mb",
            )  # fmt: skip
        return await AsyncGate(self._engine).offload(partial(hot.prewarm, name))

    def clear_hot_cache(self) -> None:
        """Forget all documents and results in memory; the next reads come from the file."""
        self._engine.check()
        if self._engine.hot is not None:
            self._engine.hot.clear()
