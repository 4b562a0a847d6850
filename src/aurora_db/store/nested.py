"""Related documents: fetched for all parents at once, then put where they belong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aurora_db.base.codec import encode
from aurora_db.sql.linked import LINKS, Child
from aurora_db.sql.reader import Document, Reader
from aurora_db.store.port import Port, Row


async def reader(
    read: Reader,
    children: tuple[Child, ...],
    rows: Sequence[Row],
    port: Port,
    variables: Mapping[str, Any],
) -> Callable[[Row], Document]:
    """What makes a document of each of `rows`, its related documents read: one statement for each nest."""
    if not children:
        return read
    if len(children) == 1:
        related = (await _related(children[0], rows, port, variables),)
    else:
        related = tuple([await _related(child, rows, port, variables) for child in children])
    return lambda row: read(row, related)


async def _related(
    child: Child, parents: Sequence[Row], port: Port, variables: Mapping[str, Any]
) -> Callable[[Any], Any]:
    """What gives the related documents of a link's value: an object or null, or a list."""
    place = child.place
    values = {row[place] for row in parents}
    values.discard(None)
    rows: Sequence[Row] = ()
    if len(values) == 1:
        (value,) = values
        rows = await port.rows(child.alone.text, child.alone.bind({**variables, LINKS: value}))
    elif values:
        params = child.statement.bind({**variables, LINKS: encode(list(values))})
        rows = await port.rows(child.statement.text, params)
    read = await reader(child.reader, child.children, rows, port, variables)
    if child.single:
        by_key = {row[-1]: row for row in rows}
        return lambda value: None if (row := by_key.get(value)) is None else read(row)
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[-1], []).append(row)
    return lambda value: list(map(read, groups.get(value, ())))
