"""The feed: which changes are kept, and for how long.

Changes are written by triggers, by whatever program writes. Here they are pruned, in steps small
enough to ride along with other work.
"""

from __future__ import annotations

from datetime import timedelta

from aurora_db.base.codec import timestamp
from aurora_db.store.port import Port

#: Changes kept at most, whatever their age.
MOST = 1_000_000
#: Changes removed in one step.
STEP = 1_000

#: The newest of the first STEP changes that is too old, or beyond the most.
EXPIRED = """
    SELECT max(seq)
      FROM (SELECT seq, at FROM _changes ORDER BY seq LIMIT :step)
     WHERE at < :before OR seq <= (SELECT max(seq) FROM _changes) - :most
"""
PRUNE_CHANGES = "DELETE FROM _changes WHERE seq <= :last"
PRUNE_OPERATIONS = "DELETE FROM _operations WHERE last <= :last"


async def prune(port: Port, retention: timedelta) -> bool:
    """Remove one step of changes older than `retention`; returns whether there may be more."""
    before = timestamp(port.now() - retention)
    row = await port.row(EXPIRED, {"step": STEP, "before": before, "most": MOST})
    if row is None or row[0] is None:
        return False
    removed = await port.change(PRUNE_CHANGES, {"last": row[0]})
    await port.change(PRUNE_OPERATIONS, {"last": row[0]})
    return removed >= STEP
