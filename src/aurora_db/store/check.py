"""Reading the whole file to find what is damaged or breaks the schema."""

from __future__ import annotations

from aurora_db.base.records import Problem
from aurora_db.store.port import Port

#: Problems that are reported at most.
MOST = 1_000


async def check(port: Port) -> list[Problem]:
    """What is wrong with the file: pages, indexes, constraints of every document, relations."""
    found: list[Problem] = []
    for (text,) in await port.rows(f"PRAGMA integrity_check({MOST})"):
        if text != "ok":
            found.append(Problem("file", text))
    for table, rowid, parent, _ in await port.rows("PRAGMA foreign_key_check"):
        message = f"document number {rowid} refers to one of '{parent}' that does not exist"
        found.append(Problem(table, message))
    return found[:MOST]
