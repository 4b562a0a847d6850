"""Operations that run alone in their transaction, with foreign keys off.

A table that others relate to is made anew beside the old one; while the old one is dropped, the engine
would take what relates to it for orphaned. The pragma works between transactions only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from aurora_db.aql import plan
from aurora_db.base.errors import ForeignKeyViolation, SchemaError
from aurora_db.store import alter
from aurora_db.store.port import Port, Row, Verb

T = TypeVar("T")


def is_exclusive(operation: plan.Operation) -> bool:
    """Whether an operation must run so.

    Raises:
        SchemaError: it does something else besides, for which foreign keys must be on.
    """
    named = [
        statement.name
        for root in _flat(operation.roots)
        if isinstance(root, plan.DefineSchema)
        for statement in root.statements
        if not isinstance(statement, plan.DefineCollection) and alter.is_exclusive(statement)
    ]
    if not named:
        return False
    if not all(isinstance(root, plan.DefineSchema) for root in operation.roots):
        raise SchemaError(
            f"relations lead to '{named[0]}', so its change cannot stand beside other parts of a mutation",
            hint="write it as a schema block of its own",
        )
    return True


def _flat(parts: Sequence[plan.Part]) -> Iterator[plan.Part]:
    for part in parts:
        yield part
        if isinstance(part, plan.Transaction):
            yield from _flat(part.parts)


def checked(verb: Verb[T]) -> Verb[T]:
    """The verb, refused where it leaves relations that lead to nothing.

    Those that another program left before are not its fault.
    """

    async def run(port: Port) -> T:
        before = await _violations(port)
        result = await verb(port)
        broken = sorted(await _violations(port) - before)
        if broken:
            table, _, parent = broken[0]
            raise ForeignKeyViolation(
                f"{len(broken)} relations from '{table}' to '{parent}' would lead to nothing",
                hint="change these documents before",
            )
        return result

    return run


async def _violations(port: Port) -> set[tuple[Any, ...]]:
    rows: list[Row] = await port.rows("PRAGMA foreign_key_check")
    return {row[:3] for row in rows}
