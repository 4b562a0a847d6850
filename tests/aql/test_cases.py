"""Runs `cases/*.md`: what each sentence of the language promises, with exact results."""

from __future__ import annotations

import json
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from tests.aql import cases, streams

from aurora_db import AqlError, AuroraError
from aurora_db.base.codec import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aurora_db import Aurora
    from aurora_db.base.clock import ManualClock

CASES = [
    pytest.param(path.name, case, id=f"{path.stem}-{case.title}")
    for path in sorted(cases.FOLDER.glob("*.md"))
    for case in cases.read(path)
]


@pytest.mark.parametrize(("file", "case"), CASES)
def test_case(file: str, case: cases.Case, db: Aurora, clock: ManualClock):
    """Each block returns exactly what stands under it, or is refused as it says."""
    bound: dict[str, Any] = {}
    last: cases.Block | None = None
    got: Any = None
    opened = streams.Streams(db)
    for block in case.blocks:
        where = f"{file}:{block.line}"
        if block.kind == "aql":
            last, got = block, _execute(db, block, clock, where)
        elif block.kind == "stream":
            last = block
            _refused_or(block, partial(opened.open, block, bound), where)
        elif block.kind == "events":
            _advance(clock, block.options)
            wanted = streams.wanted(block.text)
            said = opened.events(block.options.get("of", ""), len(wanted))
            assert cases.matches(wanted, said, bound), f"{where}\nwanted {wanted}\ngot    {said}"
        elif block.kind == "json":
            wanted = json.loads(block.text)
            assert cases.matches(wanted, got, bound), f"{where}\nwanted {wanted}\ngot    {got}"
        else:
            assert last is not None, where
            explained = db.explain(last.text, last.options.get("vars"))
            printed = explained.plan if block.kind == "plan" else "\n".join(explained.sql)
            assert printed.strip() == block.text.strip(), where
    opened.close()


def _execute(db: Aurora, block: cases.Block, clock: ManualClock, where: str) -> Any:
    options = {name: one for name, one in block.options.items() if name not in ("error", "at")}
    _advance(clock, options)
    options.pop("clock", None)
    variables = options.pop("vars", None)
    return _refused_or(
        block,
        lambda: json.loads(encode(db.execute(block.text, variables, **options))),
        where,
    )


def _advance(clock: ManualClock, options: Mapping[str, Any]) -> None:
    if "clock" in options:
        clock.advance(datetime.fromisoformat(options["clock"]) - clock.now())


def _refused_or(block: cases.Block, run: Callable[[], Any], where: str) -> Any:
    """What a block gives; None where it is refused as it says."""
    code, at = block.options.get("error"), block.options.get("at")
    if code is None:
        return run()
    with pytest.raises(AuroraError) as refused:
        run()
    error = refused.value
    assert error.code == code, f"{where}: {error}"
    if at is not None:
        assert isinstance(error, AqlError), f"{where}: {error!r}"
        assert error.span is not None, f"{where}: no place in {error}"
        assert block.text[error.span.start : error.span.end] == at, f"{where}: {error}"
    return None
