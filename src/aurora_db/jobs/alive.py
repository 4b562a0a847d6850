"""Which workers are alive, as far as this process can tell.

Of one on this machine its lock tells, of one elsewhere its last heartbeat.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from aurora_db.base.codec import instant
from aurora_db.jobs import upkeep
from aurora_db.store import process
from aurora_db.store.port import Port

WORKERS = "SELECT id, host, pid, threads, types, queues, heartbeat_at FROM _workers ORDER BY id"


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A worker as it is known: `alive` if nothing speaks against it."""

    id: str
    host: str
    pid: int
    threads: int
    types: tuple[str, ...]
    queues: tuple[str, ...] | None
    heartbeat_at: datetime
    alive: bool

    def can(self, type: str, queue: str) -> bool:
        """Whether it runs jobs of this type in this queue."""
        return type in self.types and (self.queues is None or queue in self.queues)

    @property
    def name(self) -> str:
        """Its id, and where it is."""
        return f"'{self.id}' ({self.host}, pid {self.pid})"


async def workers(port: Port, folder: Path) -> list[Worker]:
    """All registered workers.

    Args:
        port: a transaction.
        folder: beside the database, where workers of this machine have their locks.
    """
    before = port.now() - timedelta(seconds=upkeep.SILENCE)
    here = upkeep.host()
    found: list[Worker] = []
    for id, host, pid, threads, types, queues, heartbeat in await port.rows(WORKERS):
        heard = instant(heartbeat)
        found.append(Worker(
            id=id, host=host, pid=pid, threads=threads, heartbeat_at=heard,
            types=msgspec.json.decode(types, type=tuple[str, ...]),
            queues=None if queues is None else msgspec.json.decode(queues, type=tuple[str, ...]),
            alive=heard >= before and not (host == here and process.inspect(folder, id) is not None),
        ))  # fmt: skip
    return found
