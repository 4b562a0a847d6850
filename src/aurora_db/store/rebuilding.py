"""Foreign keys off, for a transaction in which a table that others relate to is made anew.

`exclusive.py` knows which operations need that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aurora_db.base.errors import Busy
from aurora_db.store.sqlite import SqlitePort


@contextmanager
def foreign_keys_off(port: SqlitePort) -> Iterator[None]:
    """Around a transaction, for the pragma does nothing within one; on again whatever happens."""
    port.run("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        port.run("PRAGMA foreign_keys = ON")


class NeedsExclusive(Busy):
    """The operation must be begun again as one that runs alone, with foreign keys off."""
