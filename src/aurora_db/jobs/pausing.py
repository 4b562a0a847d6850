"""Pausing queues: in no process does a job of a paused queue begin."""

from __future__ import annotations

from aurora_db.base.codec import timestamp
from aurora_db.store.port import Port

PAUSE = """
    INSERT INTO _queues (name, paused_at) VALUES (:name, :now)
        ON CONFLICT (name) DO UPDATE SET paused_at = excluded.paused_at WHERE paused_at IS NULL
"""
RESUME = "UPDATE _queues SET paused_at = NULL WHERE name = :name AND paused_at IS NOT NULL"


async def pause(port: Port, queue: str) -> bool:
    """Pause a queue; False when it was paused already."""
    return await port.change(PAUSE, {"name": queue, "now": timestamp(port.now())}) > 0


async def resume(port: Port, queue: str) -> bool:
    """Let a queue go on; False when it was not paused."""
    changed = await port.change(RESUME, {"name": queue}) > 0
    if changed:
        port.touch("jobs")
    return changed
