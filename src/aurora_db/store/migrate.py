"""The format of a file: made at the first open, upgraded when older, refused when newer."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from aurora_db.base.errors import DatabaseCorrupt, VersionTooNew
from aurora_db.store.port import finish
from aurora_db.store.sqlite import SqlitePort

#: "AURO", in the header of every file of ours.
APPLICATION_ID = 0x4155524F
#: The version that this code writes.
VERSION = 1

#: Step n upgrades a file of version n + 1; all run in the transaction of the open.
UPGRADES: tuple[Callable[[SqlitePort], None], ...] = ()


@cache
def system_sql() -> str:
    """The statements that make the system tables."""
    from importlib import resources  # noqa: PLC0415 - needed once in the life of a file

    return resources.files("aurora_db.store").joinpath("system.sql").read_text("utf-8")


def prepare(port: SqlitePort, path: str, *, read_only: bool) -> None:
    """Make or upgrade the system tables, in one transaction; two processes may do it at once.

    Raises:
        VersionTooNew: a newer version of this package wrote the file.
        DatabaseCorrupt: the file belongs to another program.
    """
    if _is_current(port, path):
        return
    if read_only:
        raise DatabaseCorrupt(
            f"the file '{path}' is not a database of aurora_db", hint="open it once for writing"
        )
    port.run("BEGIN IMMEDIATE")
    try:
        # Another process may have made them while we waited.
        if not _is_current(port, path):
            _make_or_upgrade(port)
        port.run("COMMIT")
    except BaseException:
        if port.connection.in_transaction:
            port.run("ROLLBACK")
        raise


def _is_current(port: SqlitePort, path: str) -> bool:
    version = finish(port.rows("PRAGMA user_version"))[0][0]
    application = finish(port.rows("PRAGMA application_id"))[0][0]
    if application == APPLICATION_ID:
        if version > VERSION:
            raise VersionTooNew(
                f"the file '{path}' has format version {version}, this program knows {VERSION}",
                hint="upgrade the package: pip install --upgrade aurora-db",
            )
        return version == VERSION
    tables = finish(port.rows("SELECT count(*) FROM sqlite_schema"))[0][0]
    if tables or application:
        raise DatabaseCorrupt(
            f"the file '{path}' is a database of another program",
            hint="give the path of a file that does not exist yet",
        )
    return False


def _make_or_upgrade(port: SqlitePort) -> None:
    version = finish(port.rows("PRAGMA user_version"))[0][0]
    if version == 0:
        finish(port.script(system_sql()))
    for step in UPGRADES[max(0, version - 1) :] if version else ():
        step(port)
    finish(port.script(f"PRAGMA application_id = {APPLICATION_ID}"))
    finish(port.script(f"PRAGMA user_version = {VERSION}"))
