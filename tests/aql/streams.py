"""Streams of a case: opened by its `stream` blocks, read to the end of the feed by `events` blocks."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from aurora_db import Timeout
from aurora_db.base.codec import encode

if TYPE_CHECKING:
    from tests.aql import cases

    from aurora_db import Aurora

#: Seconds until a stream that says nothing is taken for one that hangs.
HANGS = 20.0


class Streams:
    """The open streams of one case, by name."""

    def __init__(self, db: Aurora) -> None:
        self._db = db
        self._open: dict[str, Any] = {}

    def open(self, block: cases.Block, bound: dict[str, Any]) -> None:
        """Follow the text of a block; `since` and variables may be what an earlier block bound."""
        options = {
            name: _known(value, bound)
            for name, value in block.options.items()
            if name not in ("error", "at")
        }
        name = options.pop("name", "")
        variables = options.pop("vars", None)
        if name in self._open:
            self._open[name].close()
        self._open[name] = self._db.stream(block.text, variables, **options)

    def events(self, name: str, least: int) -> list[Any]:
        """All that a stream says until it has reached the end of the feed, as JSON.

        So many items are waited for, as what changes a system collection may have no place in the feed.
        """
        stream = self._open[name]
        with self._db.listen_all() as now:
            end = _number(now.position)
        found: list[Any] = []
        ends = time.monotonic() + HANGS
        while True:
            try:
                found.append(json.loads(encode(stream.next(timeout=0.01))))
            except Timeout:
                if _number(stream.position) >= end and len(found) >= least:
                    return found
                if time.monotonic() > ends:
                    return [*found, f"hangs: {stream!r}, the feed ends at {end}"]

    def close(self) -> None:
        """End all of them."""
        for stream in self._open.values():
            stream.close()


def wanted(text: str) -> list[Any]:
    """The events that a block lists, one JSON value after the other."""
    decoder = json.JSONDecoder()
    found: list[Any] = []
    at = 0
    while rest := text[at:].lstrip():
        value, used = decoder.raw_decode(rest)
        found.append(value)
        at = len(text) - len(rest) + used
    return found


def _known(value: Any, bound: dict[str, Any]) -> Any:
    """A value of an option, with what earlier blocks bound put in."""
    if isinstance(value, dict):
        return {key: _known(one, bound) for key, one in value.items()}
    return bound.get(value, value) if isinstance(value, str) else value


def _number(position: str | None) -> int:
    """The number of a position; they are only compared with others of the same database."""
    return -1 if position is None else int(position.rpartition("-")[2])
